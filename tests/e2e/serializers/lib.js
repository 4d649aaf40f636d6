// SPDX-License-Identifier: Apache-2.0
// What both programs share: kafkajs as one of the users, topics with settings, sending, reading back, named steps.
'use strict'
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const where = JSON.parse(process.argv[2])
const run = Date.now().toString(36)
const ca = fs.readFileSync(where.ca)
const INVALID_RECORD = 87

const kafkaAs = username => new Kafka({
  clientId: 'serializers-test', brokers: [where.broker], logLevel: logLevel.NOTHING, retry: { retries: 3 },
  ssl: { ca: [ca], servername: 'localhost' }, sasl: { mechanism: 'scram-sha-512', username, password: where.passwords[username] } })
const kafka = kafkaAs('alice')
const name = what => `js-${what}-${run}`

async function step (title, work) {
  await work()
  console.log(`ok ${title}`)
}

// Makes the topics, given as {what: settings}, and starts to read them all: one consumer, as joining a group takes seconds.
const received = {}
const waiting = new Set()
async function openTopics (topics) {
  const admin = kafkaAs('admin').admin()
  await admin.connect()
  await admin.createTopics({ waitForLeaders: true, topics: Object.entries(topics).map(([what, settings]) => ({
    topic: name(what), numPartitions: 1,
    configEntries: Object.entries(settings).map(([key, value]) => ({ name: `castellan.${key}`, value })) })) })
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: name('readers') })
  await consumer.connect()
  for (const what in topics) received[name(what)] = []
  await consumer.subscribe({ topics: Object.keys(received), fromBeginning: true })
  await consumer.run({ eachMessage: async ({ topic, message }) => {
    received[topic].push(message)
    waiting.forEach(look => look())
  } })
}

// all messages of the topic so far, once there are count of them
function readAll (topic, count) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${received[topic].length} of ${count} records of ${topic} came`)), 20000)
    const look = () => {
      if (received[topic].length < count) return
      clearTimeout(timer)
      waiting.delete(look)
      resolve(received[topic])
    }
    waiting.add(look)
    look()
  })
}

let producer
async function send (topic, messages) {
  if (!producer) {
    producer = kafka.producer()
    await producer.connect()
  }
  await producer.send({ topic, messages: Array.isArray(messages) ? messages : [messages] })
}

async function refused (topic, message) {
  try {
    await send(topic, message)
  } catch (e) {
    const code = e.code !== undefined ? e.code : e.cause && e.cause.code
    if (code === INVALID_RECORD) return
    throw e
  }
  throw new Error('the record was taken')
}

function main (work) {
  work().then(() => { console.log('all steps passed'); process.exit(0) }, e => { console.error(e); process.exit(1) })
}

module.exports = { where, ca, name, step, openTopics, send, refused, readAll, main }
