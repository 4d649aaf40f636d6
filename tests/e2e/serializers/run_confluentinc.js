// SPDX-License-Identifier: Apache-2.0
// @confluentinc/schemaregistry: serializers of Avro, JSON and Protobuf with their options, rules, headers with GUIDs, and
// the client's calls. kafkajs carries the bytes.
'use strict'
const https = require('https')
const assert = require('assert')
const { SchemaRegistryClient, SerdeType, AvroSerializer, AvroDeserializer, JsonSerializer, JsonDeserializer,
  ProtobufSerializer, ProtobufDeserializer, HeaderSchemaIdSerializer, RuleRegistry, CelExecutor, RestError,
  SubjectNameStrategyType } = require('@confluentinc/schemaregistry')
const { create, createFileRegistry, createMutableRegistry } = require('@bufbuild/protobuf')
const { FileDescriptorProtoSchema, FileDescriptorSetSchema } = require('@bufbuild/protobuf/wkt')
const { where, ca, name, step, openTopics, send, refused, readAll, main } = require('./lib')

const registryAs = (user, password = where.passwords[user]) => new SchemaRegistryClient({
  baseURLs: [where.registry], createAxiosDefaults: { httpsAgent: new https.Agent({ ca, keepAlive: true }) },
  basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `${user}:${password}` }, maxRetries: 0 })
const registry = registryAs('alice')
const VALUE = SerdeType.VALUE
const restError = (status, errorCode, text = /./) => e => e instanceof RestError && e.status === status &&
  e.errorCode === errorCode && text.test(e.message)

const record = (recordName, ...fields) => ({ type: 'record', namespace: 'shop', name: recordName, fields })
const avro = (schema, more) => ({ schema: JSON.stringify(schema), schemaType: 'AVRO', ...more })
const json = (schema, more) => ({ schema: JSON.stringify(schema), schemaType: 'JSON', ...more })
const USER = record('User', { name: 'name', type: 'string' }, { name: 'age', type: 'int' })
const PERSON = { type: 'object', title: 'Person', required: ['name'], additionalProperties: false,
  properties: { name: { type: 'string' }, age: { type: 'integer' } } }
const PAYLOAD = { 'value.schema.validation': 'payload' }
const TOPICS = {
  'c-avro': PAYLOAD,
  'c-auto': {},
  'c-id': { 'value.schema.validation': 'id' },
  'c-ref': PAYLOAD,
  'c-guid': PAYLOAD,
  'c-json': PAYLOAD,
  'c-jsonref': PAYLOAD,
  'c-proto': PAYLOAD,
  'c-rules': PAYLOAD
}
const plain = value => JSON.parse(JSON.stringify(value))

async function there (topic, serializer, deserializer, value) {
  const headers = {}
  await send(topic, { value: await serializer.serialize(topic, value, headers), headers })
  const [message] = await readAll(topic, 1)
  return await deserializer.deserialize(topic, message.value, message.headers)
}

async function serializers () {
  await step('Avro: register, use the latest version, there and back', async () => {
    const topic = name('c-avro')
    await registry.register(`${topic}-value`, avro(USER))
    const serializer = new AvroSerializer(registry, VALUE, { useLatestVersion: true })
    const value = await there(topic, serializer, new AvroDeserializer(registryAs('bob'), VALUE, {}), { name: 'Ann', age: 30 })
    assert.deepStrictEqual(plain(value), { name: 'Ann', age: 30 })
    await refused(topic, { value: 'garbage' })
    await refused(topic, { value: (await serializer.serialize(topic, { name: 'Ann', age: 30 })).subarray(0, 7) })
  })
  await step('Avro: registered by the serializer itself', async () => {
    const topic = name('c-auto')
    const more = { autoRegisterSchemas: true, subjectNameStrategyType: SubjectNameStrategyType.TOPIC }
    const serializer = new AvroSerializer(registry, VALUE, more)
    const value = await there(topic, serializer, new AvroDeserializer(registry, VALUE, {}), { colour: 'red', n: 3 })
    assert.deepStrictEqual(plain(value), { colour: 'red', n: 3 })
    assert.deepStrictEqual(await registry.getAllVersions(`${topic}-value`), [1])
  })
  await step('Avro: a schema of a given id', async () => {
    const topic = name('c-id')
    const id = await registry.register(`${topic}-value`, avro({ ...USER, doc: topic }))
    const serializer = new AvroSerializer(registry, VALUE, { useSchemaId: id })
    const value = await there(topic, serializer, new AvroDeserializer(registry, VALUE, {}), { name: 'Bo', age: 1 })
    assert.strictEqual(value.name, 'Bo')
  })
  await step('Avro: references', async () => {
    const topic = name('c-ref')
    await registry.register(name('c-city'), avro(record('City', { name: 'city', type: 'string' })))
    const references = [{ name: 'shop.City', subject: name('c-city'), version: 1 }]
    await registry.register(`${topic}-value`, avro(record('Home', { name: 'home', type: 'shop.City' }), { references }))
    const serializer = new AvroSerializer(registry, VALUE, { useLatestVersion: true })
    const value = await there(topic, serializer, new AvroDeserializer(registryAs('bob'), VALUE, {}), { home: { city: 'Ulm' } })
    assert.deepStrictEqual(plain(value), { home: { city: 'Ulm' } })
    await assert.rejects(registryAs('admin').deleteSubjectVersion(name('c-city'), 1), restError(422, 42206, /One or more references exist/))
  })
  await step('the GUID in a header, and the record without a prefix', async () => {
    const topic = name('c-guid')
    await registry.register(`${topic}-value`, avro({ ...USER, doc: topic }))
    const serializer = new AvroSerializer(registry, VALUE, { useLatestVersion: true, schemaIdSerializer: HeaderSchemaIdSerializer })
    const headers = {}
    const bytes = await serializer.serialize(topic, { name: 'Cy', age: 2 }, headers)
    assert.deepStrictEqual([...bytes], [4, 67, 121, 4])
    const value = await there(topic, serializer, new AvroDeserializer(registryAs('bob'), VALUE, {}), { name: 'Cy', age: 2 })
    assert.deepStrictEqual(plain(value), { name: 'Cy', age: 2 })
    await refused(topic, { value: bytes.subarray(0, 2), headers })
    await refused(topic, { value: bytes, headers: { __value_schema_id: Buffer.alloc(17, 1) } })
  })
  await step('JSON Schema: the client validates, and so does the gateway', async () => {
    const topic = name('c-json')
    await registry.register(`${topic}-value`, json(PERSON))
    const serializer = new JsonSerializer(registry, VALUE, { useLatestVersion: true, validate: true })
    const value = await there(topic, serializer, new JsonDeserializer(registryAs('bob'), VALUE, { validate: true }), { name: 'Di', age: 4 })
    assert.deepStrictEqual(value, { name: 'Di', age: 4 })
    await assert.rejects(serializer.serialize(topic, { age: 4 }))
    const careless = new JsonSerializer(registry, VALUE, { useLatestVersion: true, validate: false })
    await refused(topic, { value: await careless.serialize(topic, { age: 4 }) })
  })
  await step('JSON Schema: references', async () => {
    const topic = name('c-jsonref')
    await registry.register(name('c-money'), json({ type: 'object', properties: { cents: { type: 'integer' } }, required: ['cents'] }))
    await registry.register(`${topic}-value`, json({ type: 'object', properties: { price: { $ref: 'money.json' } } },
      { references: [{ name: 'money.json', subject: name('c-money'), version: 1 }] }))
    const serializer = new JsonSerializer(registry, VALUE, { useLatestVersion: true, validate: true })
    const value = await there(topic, serializer, new JsonDeserializer(registryAs('bob'), VALUE, { validate: true }), { price: { cents: 5 } })
    assert.deepStrictEqual(value, { price: { cents: 5 } })
    await assert.rejects(serializer.serialize(topic, { price: {} }))
  })
  await step('Protobuf: registered by the serializer, with an import', async () => {
    const INT32 = 5; const STRING = 9; const MESSAGE = 11
    const field = (fieldName, number, type, typeName) => ({ name: fieldName, number, type, typeName, label: 1, jsonName: fieldName })
    const unit = create(FileDescriptorProtoSchema, { name: `${name('unit')}.proto`, package: 'shop', syntax: 'proto3',
      messageType: [{ name: 'Unit', field: [field('label', 1, STRING)] }] })
    const crate = create(FileDescriptorProtoSchema, { name: 'crate.proto', package: 'shop', syntax: 'proto3', dependency: [unit.name],
      messageType: [{ name: 'Other' }, { name: 'Crate', field: [field('what', 1, STRING), field('n', 2, INT32), field('unit', 3, MESSAGE, '.shop.Unit')] }] })
    const files = createFileRegistry(create(FileDescriptorSetSchema, { file: [unit, crate] }))
    const Crate = files.getMessage('shop.Crate')
    const topic = name('c-proto')
    const serializer = new ProtobufSerializer(registry, VALUE, { autoRegisterSchemas: true, registry: createMutableRegistry(Crate, files.getMessage('shop.Unit')) })
    const message = create(Crate, { what: 'apples', n: 3, unit: create(files.getMessage('shop.Unit'), { label: 'kg' }) })
    const value = await there(topic, serializer, new ProtobufDeserializer(registryAs('bob'), VALUE, {}), message)
    assert.deepStrictEqual([value.what, value.n, value.unit.label], ['apples', 3, 'kg'])
    const bytes = await serializer.serialize(topic, message)
    await refused(topic, { value: bytes.subarray(0, bytes.length - 1) })
    const { schema } = await registry.getLatestSchemaMetadata(`${topic}-value`)
    assert.match(schema, /message Crate \{/)
  })
}

async function contracts () {
  const condition = { name: 'adult', kind: 'CONDITION', type: 'CEL', mode: 'WRITE', expr: 'message.age >= 18', doc: 'adults only',
    tags: ['AGE'], params: { reason: 'law' }, onFailure: 'ERROR' }
  const metadata = { tags: { 'shop.User.name': ['PII'] }, properties: { owner: 'sales', team: name('team') }, sensitive: ['owner'] }
  const topic = name('c-rules')
  const subject = `${topic}-value`
  await step('metadata and rules are registered and read back', async () => {
    await registry.register(subject, avro({ ...USER, doc: topic }, { metadata, ruleSet: { domainRules: [condition] } }))
    for (const stored of [await registryAs('bob').getLatestSchemaMetadata(subject), await registryAs('bob').getSchemaMetadata(subject, 1)]) {
      assert.deepStrictEqual(stored.metadata, metadata)
      assert.strictEqual(stored.ruleSet.domainRules.length, 1)
      for (const [key, value] of Object.entries(condition)) assert.deepStrictEqual(stored.ruleSet.domainRules[0][key], value)
    }
    const found = await registry.getLatestWithMetadata(subject, { owner: 'sales' })
    assert.strictEqual(found.version, 1)
    await assert.rejects(registry.getLatestWithMetadata(subject, { owner: 'nobody' }), restError(404, 40403))
  })
  await step('a condition is kept by the client that knows it', async () => {
    const rules = new RuleRegistry()
    rules.registerExecutor(new CelExecutor())
    const serializer = new AvroSerializer(registry, VALUE, { useLatestWithMetadata: { owner: 'sales' } }, rules)
    await send(topic, { value: await serializer.serialize(topic, { name: 'Ed', age: 18 }) })
    await assert.rejects(serializer.serialize(topic, { name: 'Flo', age: 17 }), /adult|adults only/)
  })
  await step('and by the gateway for the client that does not', async () => {
    const rules = new RuleRegistry()
    rules.registerOverride({ type: 'CEL', disabled: true })
    const serializer = new AvroSerializer(registry, VALUE, { useLatestVersion: true }, rules)
    await send(topic, { value: await serializer.serialize(topic, { name: 'Ed', age: 19 }) })
    await refused(topic, { value: await serializer.serialize(topic, { name: 'Flo', age: 17 }) })
    assert.strictEqual((await readAll(topic, 2)).length, 2)
  })
  await step('a rule set that is none gets 422', async () => {
    const twice = { domainRules: [condition, condition] }
    await assert.rejects(registry.register(name('c-badrules'), avro(USER, { ruleSet: twice })), restError(422, 42210))
  })
}

async function calls () {
  const subject = name('c-calls')
  const second = { ...USER, fields: [...USER.fields, { name: 'city', type: 'string', default: '' }] }
  const wrong = { ...USER, fields: [{ name: 'name', type: 'int' }] }
  let id
  await step('register, look up, list', async () => {
    const full = await registry.registerFullResponse(subject, avro(USER))
    id = full.id
    assert.match(full.guid, /^[0-9a-f]{8}-[0-9a-f]{4}-/)
    assert.strictEqual(full.version, 1)
    const bob = registryAs('bob')
    assert.strictEqual(await bob.getId(subject, avro(USER)), id)
    assert.strictEqual(await bob.getVersion(subject, avro(USER)), 1)
    assert.strictEqual((await bob.getIdFullResponse(subject, avro(USER))).guid, full.guid)
    assert.deepStrictEqual(JSON.parse((await bob.getBySubjectAndId(subject, id)).schema), USER)
    assert.deepStrictEqual(JSON.parse((await bob.getByGuid(full.guid)).schema), USER)
    assert.ok((await bob.getAllSubjects()).includes(subject))
    await assert.rejects(bob.getId(subject, avro(second)), restError(404, 40403))
    await assert.rejects(bob.getLatestSchemaMetadata(name('none')), restError(404, 40401))
    await assert.rejects(bob.getSchemaMetadata(subject, 2), restError(404, 40402))
  })
  await step('evolution: compatible passes, incompatible gets 409', async () => {
    assert.strictEqual(await registry.testSubjectCompatibility(subject, avro(second)), true)
    assert.strictEqual(await registry.testCompatibility(subject, 1, avro(wrong)), false)
    assert.strictEqual((await registry.registerFullResponse(subject, avro(second))).version, 2)
    await assert.rejects(registry.register(subject, avro(wrong)), e => e instanceof RestError && e.status === 409 &&
      /incompatible with an earlier schema for subject/.test(e.message))
    assert.deepStrictEqual(await registryAs('bob').getAllVersions(subject), [1, 2])
  })
  await step('normalize finds the same schema written another way', async () => {
    const shuffled = { fields: USER.fields.map(f => ({ type: f.type, name: f.name })), name: 'User', type: 'record', namespace: 'shop' }
    assert.strictEqual(await registryAs('bob').getId(subject, avro(shuffled), true), id)
  })
  const admin = registryAs('admin')
  await step('compatibility and configuration', async () => {
    assert.strictEqual(await admin.getDefaultCompatibility(), 'BACKWARD')
    assert.strictEqual(await admin.updateCompatibility(subject, 'NONE'), 'NONE')
    assert.strictEqual(await admin.getCompatibility(subject), 'NONE')
    assert.strictEqual((await registry.registerFullResponse(subject, avro(wrong))).version, 3)
    const wanted = { compatibilityLevel: 'FULL', normalize: true, compatibilityGroup: 'major', alias: '',
      defaultMetadata: { properties: { a: 'b' } }, overrideMetadata: { tags: { x: ['Y'] } },
      defaultRuleSet: { domainRules: [{ name: 'r', kind: 'CONDITION', type: 'CEL', mode: 'WRITE', expr: 'true' }] },
      overrideRuleSet: { migrationRules: [{ name: 'm', kind: 'TRANSFORM', type: 'JSONATA', mode: 'UPGRADE', expr: '$' }] } }
    const { compatibilityLevel, alias, ...rest } = wanted
    await admin.updateConfig(subject, { compatibility: compatibilityLevel, ...rest })
    const got = await admin.getConfig(subject)
    assert.deepStrictEqual(got.defaultMetadata.properties, wanted.defaultMetadata.properties)
    assert.deepStrictEqual(got.overrideMetadata.tags, wanted.overrideMetadata.tags)
    assert.strictEqual(got.defaultRuleSet.domainRules[0].expr, 'true')
    assert.strictEqual(got.overrideRuleSet.migrationRules[0].type, 'JSONATA')
    assert.deepStrictEqual([got.compatibilityLevel, got.normalize, got.compatibilityGroup], ['FULL', true, 'major'])
    assert.strictEqual((await admin.getDefaultConfig()).compatibilityLevel, 'BACKWARD')
    await assert.rejects(registryAs('admin').updateCompatibility(subject, 'SIDEWAYS'), restError(422, 42203))
    await assert.rejects(registryAs('bob').updateCompatibility(subject, 'NONE'), restError(403, 40301))
  })
  await step('deleting, softly and for good', async () => {
    const own = registryAs('admin')
    assert.strictEqual(await own.deleteSubjectVersion(subject, 3), 3)
    assert.deepStrictEqual(await registryAs('admin').getAllVersions(subject), [1, 2])
    assert.strictEqual((await registryAs('admin').getSchemaMetadata(subject, 3, true)).version, 3)
    await assert.rejects(own.deleteSubjectVersion(subject, 2, true), restError(404, 40407))
    assert.deepStrictEqual(await own.deleteSubject(subject), [1, 2])
    await assert.rejects(own.deleteSubject(subject), restError(404, 40404))
    assert.deepStrictEqual(await own.deleteSubject(subject, true), [1, 2, 3])
    await assert.rejects(registryAs('admin').getAllVersions(subject), restError(404, 40401))
    await assert.rejects(own.deleteSubject(name('never'), true), restError(404, 40401))
    await assert.rejects(registryAs('bob').deleteSubject(name('c-city')), restError(403, 40301))
  })
  await step('users: a wrong password, a subject out of reach', async () => {
    await assert.rejects(registryAs('alice', 'wrong').getAllSubjects(), e => e instanceof RestError && e.status === 401)
    const { id, guid } = await registryAs('admin').registerFullResponse('elsewhere-value', avro({ ...USER, doc: 'elsewhere' }))
    assert.ok((await registryAs('admin').getByGuid(guid)).schema)
    await assert.rejects(registry.getByGuid(guid), restError(403, 40301))
    await assert.rejects(registry.getBySubjectAndId('', id), restError(403, 40301))
    await assert.rejects(registry.register('elsewhere-value', avro(USER)), restError(403, 40301))
    await assert.rejects(registry.getLatestSchemaMetadata('elsewhere-value'), restError(403, 40301))
    assert.ok(!(await registry.getAllSubjects()).some(s => !s.startsWith('js-')))
  })
}

main(async () => {
  await openTopics(TOPICS)
  await serializers()
  await contracts()
  await calls()
})
