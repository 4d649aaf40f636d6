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

// castellan.* settings of the topic, without that prefix
async function makeTopic (what, settings = {}) {
  const admin = kafkaAs('admin').admin()
  await admin.connect()
  const topic = name(what)
  const configEntries = Object.entries(settings).map(([key, value]) => ({ name: `castellan.${key}`, value }))
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: true })
  await admin.disconnect()
  return topic
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

// count messages of the topic, in their order
async function readAll (topic, count) {
  const consumer = kafka.consumer({ groupId: `${topic}-${Math.random()}` })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`only ${got.length} of ${count} records of ${topic} came`)), 20000)
    consumer.run({ eachMessage: async ({ message }) => {
      got.push(message)
      if (got.length === count) { clearTimeout(timer); resolve() }
    } }).catch(reject)
  })
  await consumer.disconnect()
  return got
}

function main (work) {
  work().then(() => { console.log('all steps passed'); process.exit(0) }, e => { console.error(e); process.exit(1) })
}

module.exports = { where, ca, name, step, makeTopic, send, refused, readAll, main }
