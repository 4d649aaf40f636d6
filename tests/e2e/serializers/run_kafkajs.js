// SPDX-License-Identifier: Apache-2.0
// @kafkajs/confluent-schema-registry: register, encode, produce, consume, decode; evolution, references, look-ups, users.
'use strict'
const https = require('https')
const assert = require('assert')
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry')
const { where, ca, name, step, openTopics, send, refused, readAll, main } = require('./lib')

const registryAs = (username, password = where.passwords[username], options) => new SchemaRegistry({
  host: where.registry, auth: { username, password }, agent: new https.Agent({ ca, keepAlive: true }),
  retry: { retries: 0 } }, options)
const registry = registryAs('alice')
const record = (recordName, ...fields) => ({ type: 'record', namespace: 'shop', name: recordName, fields })
const avro = schema => ({ type: SchemaType.AVRO, schema: JSON.stringify(schema) })
const json = schema => ({ type: SchemaType.JSON, schema: JSON.stringify(schema) })

const PAYLOAD = { 'value.schema.validation': 'payload' }
const TOPICS = {
  orders: PAYLOAD,
  people: PAYLOAD,
  json: PAYLOAD,
  proto: { 'value.schema.validation': 'id' } // this library leaves the message indexes out, so the payload cannot be told
}

async function all () {
  await openTopics(TOPICS)
  const orders = name('orders')
  const subject = `${orders}-value`
  const first = record('Order', { name: 'id', type: 'long' }, { name: 'note', type: ['null', 'string'], default: null })
  const order = { id: 42, note: 'two crates' }
  let id
  await step('register Avro, which also sets the subject\'s compatibility', async () => {
    id = (await registryAs('admin').register(avro(first), { subject })).id
    assert.strictEqual(id, await registry.getRegistryId(subject, 1))
    assert.strictEqual(id, await registry.getRegistryIdBySchema(subject, avro(first)))
    assert.strictEqual(id, await registry.getLatestSchemaId(subject))
  })
  await step('registering again gives the same id', async () => {
    assert.strictEqual((await registry.register(avro(first), { subject })).id, id)
  })
  await step('Avro through the gateway and back', async () => {
    await send(orders, [{ key: 'a', value: await registry.encode(id, order) },
      { key: 'b', value: await registry.encode(id, { id: 43, note: null }) }])
    const reader = registryAs('bob')
    const values = await Promise.all((await readAll(orders, 2)).map(m => reader.decode(m.value)))
    assert.deepStrictEqual(values.map(v => ({ ...v })), [order, { id: 43, note: null }])
  })
  await step('what the serializer did not make is refused', async () => {
    await refused(orders, { value: 'garbage' })
    const good = await registry.encode(id, order)
    await refused(orders, { value: good.subarray(0, good.length - 1) })
    const foreign = Buffer.from(good)
    foreign.writeInt32BE(1000000, 1)
    await refused(orders, { value: foreign })
  })
  await step('a compatible new version is taken, and reads the old data', async () => {
    const second = { ...first, fields: [...first.fields, { name: 'pieces', type: 'int', default: 1 }] }
    const newer = (await registry.register(avro(second), { subject })).id
    assert.notStrictEqual(newer, id)
    await send(orders, { value: await registry.encode(newer, { ...order, pieces: 7 }) })
    const messages = await readAll(orders, 3)
    assert.strictEqual((await registry.decode(messages[2].value)).pieces, 7)
    const old = await registry.decode(messages[0].value, { [SchemaType.AVRO]: { readerSchema: second } })
    assert.deepStrictEqual({ ...old }, { ...order, pieces: 1 })
  })
  await step('an incompatible version is refused with 409', async () => {
    const wrong = { ...first, fields: [{ name: 'id', type: 'string' }] }
    await assert.rejects(registry.register(avro(wrong), { subject }), e => e.name === 'ResponseError' &&
      e.status === 409 && /incompatible with an earlier schema/.test(e.message) && /TYPE_MISMATCH/.test(e.message))
  })
  await step('a compatibility that is not the subject\'s is the client\'s own error', async () => {
    await assert.rejects(registry.register(avro(first), { subject, compatibility: COMPATIBILITY.FULL }),
      e => e.name === 'ConfluentSchemaRegistryCompatibilityError' && /FULL != BACKWARD/.test(e.message))
  })
  await step('a payload that is not of the schema is the client\'s own error', async () => {
    await assert.rejects(registry.encode(id, { id: 'x' }), { name: 'ConfluentSchemaRegistryValidationError' })
  })
  await step('an invalid schema gets 422', async () => {
    const invalid = { type: SchemaType.JSON, schema: '{"type": 7}' }
    await assert.rejects(registryAs('alice', undefined, { [SchemaType.JSON]: { ajvInstance: { compile: () => ({}) } } })
      .register(invalid, { subject: name('invalid') }), e => e.status === 422 && /Invalid schema/.test(e.message))
  })
  await step('references between Avro subjects', async () => {
    const address = record('Address', { name: 'city', type: 'string' })
    await registry.register(avro(address), { subject: name('address'), updateConfig: false })
    const topic = name('people')
    const person = record('Person', { name: 'home', type: 'shop.Address' })
    const references = [{ name: 'shop.Address', subject: name('address'), version: 1 }]
    const person_ = { ...avro(person), references }
    const personId = (await registry.register(person_, { subject: `${topic}-value`, updateConfig: false })).id
    await send(topic, { value: await registry.encode(personId, { home: { city: 'Ulm' } }) })
    const [message] = await readAll(topic, 1)
    const value = await registryAs('bob').decode(message.value)
    assert.strictEqual(value.home.city, 'Ulm')
  })
  await step('JSON Schema, with a reference, through the gateway and back', async () => {
    const topic = name('json')
    await registry.register(json({ $id: 'https://example.org/money.json', type: 'object', required: ['cents'],
      properties: { cents: { type: 'integer' } } }), { subject: name('money'), updateConfig: false })
    const schema = json({ $id: 'https://example.org/price.json', type: 'object', properties: {
      price: { $ref: 'https://example.org/money.json' } }, required: ['price'] })
    schema.references = [{ name: 'https://example.org/money.json', subject: name('money'), version: 1 }]
    const jsonId = (await registry.register(schema, { subject: `${topic}-value`, updateConfig: false })).id
    const good = await registry.encode(jsonId, { price: { cents: 250 } })
    await send(topic, { value: good })
    await refused(topic, { value: Buffer.concat([good.subarray(0, 5), Buffer.from('{"price": {"cents": "250"}}')]) })
    await assert.rejects(registry.encode(jsonId, { price: {} }), { name: 'ConfluentSchemaRegistryValidationError' })
    const [message] = await readAll(topic, 1)
    assert.deepStrictEqual(await registryAs('bob').decode(message.value), { price: { cents: 250 } })
  })
  await step('Protobuf through the gateway and back', async () => {
    const topic = name('proto')
    const schema = { type: SchemaType.PROTOBUF, schema: 'syntax = "proto3"; package shop; message Crate { string what = 1; int32 n = 2; }' }
    const protoId = (await registry.register(schema, { subject: `${topic}-value`, updateConfig: false })).id
    await send(topic, { value: await registry.encode(protoId, { what: 'apples', n: 3 }) })
    const [message] = await readAll(topic, 1)
    const value = await registryAs('bob').decode(message.value)
    assert.deepStrictEqual({ what: value.what, n: value.n }, { what: 'apples', n: 3 })
  })
  await step('what is not there gets 404', async () => {
    await assert.rejects(registry.getLatestSchemaId(name('nothing')), e => e.status === 404 && /Subject '.*' not found/.test(e.message))
    await assert.rejects(registry.getRegistryId(subject, 99), e => e.status === 404 && /Version 99 not found/.test(e.message))
    await assert.rejects(registry.getSchema(1000000), e => e.status === 404 && /Schema 1000000 not found/.test(e.message))
    await assert.rejects(registry.getRegistryIdBySchema(subject, avro(record('Other', { name: 'x', type: 'int' }))),
      { name: 'ConfluentSchemaRegistryError' })
  })
  await step('a wrong password gets 401', async () => {
    await assert.rejects(registryAs('alice', 'wrong').getLatestSchemaId(subject), e => e.status === 401 && e.unauthorized)
  })
  await step('who may only read gets 403 on registering', async () => {
    const bob = registryAs('bob')
    assert.ok(await bob.getLatestSchemaId(subject) > 0)
    const third = { ...first, fields: [...first.fields, { name: 'more', type: 'int', default: 1 }] }
    await assert.rejects(bob.register(avro(third), { subject }), e => e.status === 403)
    await assert.rejects(registry.getLatestSchemaId('elsewhere-value'), e => e.status === 403)
  })
}

main(all)
