// SPDX-License-Identifier: Apache-2.0
// What a kafkajs user does: connect by each mechanism, make a topic, produce, consume in a group, transact, administer.
// Arguments: bootstrap address, CA file, admin's password, bob's password. Prints "ok NAME" per step; any failure ends it.
'use strict'
const fs = require('fs')
const assert = require('assert')
const { Kafka, CompressionTypes, logLevel, AclResourceTypes, AclOperationTypes, AclPermissionTypes,
  ResourcePatternTypes, ConfigResourceTypes } = require('kafkajs')

const [broker, ca, adminPassword, bobPassword] = process.argv.slice(2)
const run = Date.now().toString(36)
const client = (username, password, mechanism = 'scram-sha-512') => new Kafka({
  clientId: 'kafkajs-test', brokers: [broker], logLevel: logLevel.NOTHING, retry: { retries: 3 },
  ssl: { ca: [fs.readFileSync(ca)], servername: 'localhost' }, sasl: { mechanism, username, password } })
const kafka = client('admin', adminPassword)
const topic = `kafkajs-${run}`

async function step (name, work) {
  await work()
  console.log(`ok ${name}`)
}

async function readAll (from, count, group) {
  const consumer = kafka.consumer({ groupId: group })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topic: from, fromBeginning: true })
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`only ${got.length} of ${count} records came`)), 40000)
    consumer.run({ eachMessage: async ({ message }) => {
      got.push(message.value.toString())
      if (got.length === count) { clearTimeout(timer); resolve() }
    } }).catch(reject)
  })
  await consumer.disconnect()
  return got.sort()
}

async function main () {
  const admin = kafka.admin()
  await admin.connect()
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
    await step(`connect by ${mechanism}`, async () => {
      const a = client('admin', adminPassword, mechanism).admin()
      await a.connect()
      assert.strictEqual((await a.describeCluster()).brokers.length, 3)
      await a.disconnect()
    })
  }
  await step('a wrong password is refused', async () => {
    await assert.rejects(client('admin', 'wrong').admin().connect(), /auth/i)
  })
  await step('create a topic', async () => {
    assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true }), true)
  })
  const sent = []
  await step('produce', async () => {
    const producer = kafka.producer()
    await producer.connect()
    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      const messages = Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value: `${compression}-${i}` }))
      messages.forEach(m => sent.push(m.value))
      await producer.send({ topic, messages, compression })
    }
    const idempotent = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await idempotent.connect()
    await idempotent.send({ topic, messages: [{ value: 'idempotent' }] })
    sent.push('idempotent')
    await idempotent.disconnect()
    await producer.disconnect()
  })
  await step('consume in a group', async () => {
    assert.deepStrictEqual(await readAll(topic, sent.length, `group-${run}`), sent.sort())
  })
  await step('committed offsets', async () => {
    const [offsets] = await admin.fetchOffsets({ groupId: `group-${run}`, topics: [topic] })
    assert.strictEqual(offsets.partitions.reduce((n, p) => n + Math.max(0, Number(p.offset)), 0), sent.length)
  })
  await step('transactions', async () => {
    const producer = kafka.producer({ transactionalId: `tx-${run}`, idempotent: true, maxInFlightRequests: 1 })
    const txTopic = `${topic}-tx`
    await admin.createTopics({ topics: [{ topic: txTopic, numPartitions: 1 }], waitForLeaders: true })
    await producer.connect()
    for (const commit of [true, false, true]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: txTopic, messages: [{ value: commit ? 'kept' : 'dropped' }] })
      await (commit ? transaction.commit() : transaction.abort())
    }
    await producer.disconnect()
    assert.deepStrictEqual(await readAll(txTopic, 2, `tx-group-${run}`), ['kept', 'kept'])
  })
  await step('topic configuration', async () => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    await admin.alterConfigs({ validateOnly: false,
      resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '4711' }] }] })
    const described = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
    assert.strictEqual(described.resources[0].configEntries.find(e => e.configName === 'retention.ms').configValue, '4711')
  })
  const bob = client('bob', bobPassword)
  await step('bob is refused', async () => {
    const producer = bob.producer({ retry: { retries: 0 } })
    await producer.connect()
    await assert.rejects(producer.send({ topic, messages: [{ value: 'x' }] }), /not authorized to access topics/i)
    await producer.disconnect()
  })
  const rule = { resourceType: AclResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:bob', host: '*', operation: AclOperationTypes.WRITE, permissionType: AclPermissionTypes.ALLOW }
  await step('rules are made, shown and removed', async () => {
    await admin.createAcls({ acl: [rule] })
    const producer = bob.producer()
    await producer.connect()
    await producer.send({ topic, messages: [{ value: 'x' }] })
    await producer.disconnect()
    const shown = await admin.describeAcls(rule)
    assert.strictEqual(shown.resources.length, 1)
    const removed = await admin.deleteAcls({ filters: [rule] })
    assert.strictEqual(removed.filterResponses[0].matchingAcls.length, 1)
  })
  await step('delete the topic', async () => {
    await admin.deleteTopics({ topics: [topic] })
    assert(!(await admin.listTopics()).includes(topic))
  })
  await admin.disconnect()
  console.log('all steps passed')
}

main().then(() => process.exit(0), e => { console.error(e); process.exit(1) })
