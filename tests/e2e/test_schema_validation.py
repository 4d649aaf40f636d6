# SPDX-License-Identifier: Apache-2.0
"""Schema validation at the gateway: topics that ask for ids, for payloads, for rules, with the registry beside it."""
import json
import struct
import time
import uuid

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

import kafka_wire as wire
from kafka_messages import batch
from system import System
from test_faults import Hand, leader_of
from test_system import read_all

ORDER = {"type": "record", "name": "Order", "namespace": "shop",
         "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": "string"}]}
PERSON = {"type": "object", "title": "Person", "required": ["age"], "properties": {"age": {"type": "integer"}}}
ADULTS = {"domainRules": [{"name": "adult", "kind": "CONDITION", "type": "CEL", "mode": "WRITE",
                           "expr": "message.age >= 18", "onFailure": "ERROR"}]}


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def make_topic(castellan, prefix, **config):
    topic = name(prefix)
    admin = AdminClient(castellan.client_config("admin"))
    config = {"castellan." + key.replace("_", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(topic, 1, replication_factor=1, config=config)])[topic].result(20)
    return topic


def register(castellan, subject, schema, **more):
    status, body = castellan.registry("POST", f"/subjects/{subject}/versions",
                                      body={"schema": json.dumps(schema), **more})
    assert status == 200, body
    return body["id"]


def send(castellan, topic, values, headers=None, keys=None, **config):
    """One batch; for each value None or the error's code."""
    out = [Ellipsis] * len(values)
    producer = Producer(castellan.client_config("admin", **{"message.timeout.ms": "20000", "linger.ms": "200", **config}))

    def report(i):
        def done(error, message):
            out[i] = error and error.code()
        return done

    for i, value in enumerate(values):
        producer.produce(topic, value, keys[i] if keys else None, on_delivery=report(i), headers=headers or [])
    assert producer.flush(30) == 0
    return out


def frame(schema_id, payload):
    return b"\0" + struct.pack(">i", schema_id) + payload


def order(number, note):
    def varint(n):
        n, out = n << 1, b""
        while n > 0x7f:
            out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
        return out + bytes([n])
    return varint(number) + varint(len(note)) + note.encode()


def violations(castellan, reason):
    _, text = castellan.admin("GET", "/metrics")
    return sum(float(line.split()[-1]) for line in text.splitlines()
               if line.startswith(f'castellan_schema_violations_total{{reason="{reason}"}}'))


BAD = KafkaError.INVALID_RECORD


def test_id(castellan):
    topic = make_topic(castellan, "ids", value_schema_validation="id")
    mine = register(castellan, f"{topic}-value", ORDER)
    other = register(castellan, name("other"), {**ORDER, "name": name("Other").replace("-", "")})
    assert send(castellan, topic, [frame(mine, b"anything")]) == [None]
    before = violations(castellan, "unframed")
    assert send(castellan, topic, [b"{}"]) == [BAD]
    assert violations(castellan, "unframed") == before + 1
    assert send(castellan, topic, [frame(999999, order(1, "x"))]) == [BAD]
    assert send(castellan, topic, [frame(other, order(1, "x"))]) == [BAD]
    assert send(castellan, topic, [None], keys=[b"a tombstone passes"]) == [None]
    assert send(castellan, topic, [frame(mine, b"again")], **{"enable.idempotence": "true"}) == [None]
    assert [v for _, v in read_all(castellan, "admin", topic, 1)] == [frame(mine, b"anything"), None,
                                                                      frame(mine, b"again")]


def test_exactly_the_bad_records_are_named(castellan):
    topic = make_topic(castellan, "batch", value_schema_validation="payload")
    mine = register(castellan, f"{topic}-value", ORDER)
    good, bad = frame(mine, order(7, "hi")), frame(mine, order(7, "hi")[:-1])
    got = send(castellan, topic, [good, bad, good, b"x", good])
    assert got == [BAD] * 5  # the batch is refused whole
    assert read_all(castellan, "admin", topic, 1) == []


def produce_body(topic, values):
    return wire.string(None) + struct.pack(">hi", -1, 10000) + wire.array(
        [wire.string(topic) + wire.array([struct.pack(">i", 0) + wire.bytes_(batch(*((None, v) for v in values)))])])


def produce_by_hand(castellan, topic, values, version=8):
    """(error code, base offset, [(batch index, message)], error message) of partition 0."""
    with Hand(castellan, 100 + leader_of(castellan, topic)) as hand:
        answer = hand.ask(0, version, produce_body(topic, values))

    def partition(r):
        _, error, offset, _, _ = r.take("ihqqq")
        return error, offset, *([r.array(lambda e: (e.take("i"), e.string())), r.string()] if version >= 8 else [])

    return answer.array(lambda r: (r.string(), r.array(partition)))[0][1][0]


def test_record_errors(castellan):
    topic = make_topic(castellan, "errors", value_schema_validation="payload")
    mine = register(castellan, f"{topic}-value", ORDER)
    good, cut = frame(mine, order(7, "hi")), frame(mine, order(7, "hi")[:-1])
    error, offset, records, message = produce_by_hand(castellan, topic, [good, cut, good, b"x", frame(99999, b"")])
    assert (error, offset, message) == (87, -1, "One or more records have been rejected")
    assert [index for index, _ in records] == [1, 3, 4]
    assert f"not what schema id {mine} says" in records[0][1]
    assert "does not begin with a schema id" in records[1][1]
    assert "schema id 99999 cannot be used" in records[2][1]
    assert produce_by_hand(castellan, topic, [cut], version=7) == (87, -1)
    assert produce_by_hand(castellan, topic, [good, good]) == (0, 0, [], None)


def test_producers_that_leave_while_schemas_are_looked_up(castellan):
    dead = make_topic(castellan, "leftdead")
    topic = make_topic(castellan, "left", value_schema_validation="payload", schema_dead_letter_topic=dead)
    mine = register(castellan, f"{topic}-value", ORDER)
    leader = leader_of(castellan, topic)
    for _ in range(30):
        with Hand(castellan, 100 + leader) as hand:
            body = produce_body(topic, [frame(99999, b""), frame(mine, order(1, "x"))])
            hand.frame(struct.pack(">hhi", 0, 8, 7) + wire.string("probe") + body)
    # requests one after the other without waiting are answered in their order
    with Hand(castellan, 100 + leader) as hand:
        for i in range(20):
            body = produce_body(topic, [frame(mine if i % 2 else 88888, order(1, "x"))])
            hand.frame(struct.pack(">hhi", 0, 8, i) + wire.string("probe") + body)
        for i in range(20):
            size = struct.unpack(">i", hand.exactly(4))[0]
            assert struct.unpack(">i", hand.exactly(size)[:4])[0] == i
    assert castellan.process.poll() is None


def test_guid_header(castellan):
    topic = make_topic(castellan, "guid", value_schema_validation="payload")
    register(castellan, f"{topic}-value", ORDER)
    status, body = castellan.registry("GET", f"/subjects/{topic}-value/versions/1")
    guid = uuid.UUID(body["guid"]).bytes
    assert send(castellan, topic, [order(1, "a")], headers=[("__value_schema_id", b"\1" + guid)]) == [None]
    assert send(castellan, topic, [order(1, "a")], headers=[("__value_schema_id", b"\1" + bytes(16))]) == [BAD]
    assert send(castellan, topic, [order(1, "a")[:-1]], headers=[("__value_schema_id", b"\1" + guid)]) == [BAD]


def test_payload_avro_and_json(castellan):
    avro = make_topic(castellan, "avro", value_schema_validation="payload")
    first = register(castellan, f"{avro}-value", ORDER)
    assert send(castellan, avro, [frame(first, order(5, "fine"))], **{"compression.type": "zstd"}) == [None]
    assert send(castellan, avro, [frame(first, order(5, "fine")[:-2])]) == [BAD]
    assert send(castellan, avro, [frame(first, order(5, "fine") + b"!")]) == [BAD]
    # a new version is known at once
    newer = {**ORDER, "fields": ORDER["fields"] + [{"name": "n", "type": "int", "default": 0}]}
    second = register(castellan, f"{avro}-value", newer)
    assert send(castellan, avro, [frame(second, order(5, "fine") + b"\2")]) == [None]

    topic = make_topic(castellan, "json", value_schema_validation="payload")
    schema = register(castellan, f"{topic}-value", PERSON, schemaType="JSON")
    assert send(castellan, topic, [frame(schema, b'{"age": 3}')]) == [None]
    assert send(castellan, topic, [frame(schema, b'{"age": "3"}')]) == [BAD]
    assert send(castellan, topic, [frame(schema, b'{"age": ')]) == [BAD]


def test_protobuf(castellan):
    topic = make_topic(castellan, "proto", value_schema_validation="payload",
                       value_subject_name_strategy="RecordNameStrategy")
    package = "p" + uuid.uuid4().hex[:8]
    text = f'syntax = "proto3"; package {package}; message A {{ string s = 1; }} message B {{ int32 n = 1; }}'
    status, body = castellan.registry("POST", f"/subjects/{package}.A/versions",
                                      body={"schema": text, "schemaType": "PROTOBUF"})
    assert status == 200, body
    a = b"\0\x0a\2hi"
    assert send(castellan, topic, [frame(body["id"], a)]) == [None]
    assert send(castellan, topic, [frame(body["id"], a[:-1])]) == [BAD]
    assert send(castellan, topic, [frame(body["id"], b"\2\2\x08\1")]) == [BAD]  # message B has another subject


def test_record_name_strategies(castellan):
    record = "R" + uuid.uuid4().hex[:8]
    schema = {**ORDER, "name": record}
    topic = make_topic(castellan, "rns", value_schema_validation="payload",
                       value_subject_name_strategy="RecordNameStrategy")
    by_topic = register(castellan, f"{topic}-value", schema)
    assert send(castellan, topic, [frame(by_topic, order(1, "x"))]) == [BAD]
    assert register(castellan, f"shop.{record}", schema) == by_topic
    assert send(castellan, topic, [frame(by_topic, order(1, "x"))]) == [None]

    topic = make_topic(castellan, "trns", value_schema_validation="id",
                       value_subject_name_strategy="TopicRecordNameStrategy")
    assert send(castellan, topic, [frame(by_topic, order(1, "x"))]) == [BAD]
    register(castellan, f"{topic}-shop.{record}", schema)
    assert send(castellan, topic, [frame(by_topic, order(1, "x"))]) == [None]


def test_keys(castellan):
    topic = make_topic(castellan, "keys", key_schema_validation="payload")
    key = register(castellan, f"{topic}-key", {"type": "string", "title": topic}, schemaType="JSON")
    assert send(castellan, topic, [b"free"], keys=[frame(key, b'"k"')]) == [None]
    assert send(castellan, topic, [b"free"], keys=[frame(key, b"7")]) == [BAD]
    assert send(castellan, topic, [b"free"], keys=[b"bare"]) == [BAD]


def test_conditions(castellan):
    topic = make_topic(castellan, "rules", value_schema_validation="payload")
    schema = register(castellan, f"{topic}-value", {**PERSON, "title": topic}, schemaType="JSON", ruleSet=ADULTS)
    before = violations(castellan, "rule")
    assert send(castellan, topic, [frame(schema, b'{"age": 18}')]) == [None]
    assert send(castellan, topic, [frame(schema, b'{"age": 17}')]) == [BAD]
    assert violations(castellan, "rule") == before + 1

    topic = make_topic(castellan, "avrorules", value_schema_validation="payload")
    schema = register(castellan, f"{topic}-value",
                      {"type": "record", "name": "P", "fields": [{"name": "age", "type": ["null", "int"]}]},
                      ruleSet=ADULTS)
    assert send(castellan, topic, [frame(schema, b"\2\x24")]) == [None]
    assert send(castellan, topic, [frame(schema, b"\2\x22")]) == [BAD]


def test_dead_letters(castellan):
    dead = make_topic(castellan, "dead")
    topic = make_topic(castellan, "alive", value_schema_validation="payload", schema_dead_letter_topic=dead)
    mine = register(castellan, f"{topic}-value", ORDER)
    good = [frame(mine, order(n, "ok")) for n in range(3)]
    assert send(castellan, topic, [good[0], b"bad", good[1], b"worse", good[2]]) == [None] * 5
    assert [v for _, v in read_all(castellan, "admin", topic, 1)] == good
    assert [v for _, v in read_all(castellan, "admin", dead, 1)] == [b"bad", b"worse"]
    assert send(castellan, topic, [b"only bad"]) == [None]
    assert [v for _, v in read_all(castellan, "admin", topic, 1)] == good
    # sequence numbers count the records: such a batch cannot be parted
    assert send(castellan, topic, [b"bad"], **{"enable.idempotence": "true"}) == [BAD]
    assert len(read_all(castellan, "admin", dead, 1)) == 3


def test_a_rule_says_whether_its_failures_are_dead_letters(castellan):
    dead = make_topic(castellan, "ruledead")
    for failure, expected in (("DLQ", None), ("ERROR", BAD)):
        topic = make_topic(castellan, "ruled", value_schema_validation="payload", schema_dead_letter_topic=dead)
        rules = {"domainRules": [{**ADULTS["domainRules"][0], "onFailure": failure}]}
        schema = register(castellan, f"{topic}-value", {**PERSON, "title": topic}, schemaType="JSON", ruleSet=rules)
        assert send(castellan, topic, [frame(schema, b'{"age": 17}')]) == [expected]
        assert read_all(castellan, "admin", topic, 1) == []
    assert [v[5:] for _, v in read_all(castellan, "admin", dead, 1)] == [b'{"age": 17}']


def test_turned_on_and_off(castellan):
    topic = make_topic(castellan, "switch")
    assert send(castellan, topic, [b"free"]) == [None]
    admin = AdminClient(castellan.client_config("admin"))
    for value, expected in (("id", BAD), ("", None)):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic,
                                  set_config={"castellan.value.schema.validation": value})
        admin.alter_configs([resource])[resource].result(20)
        until = time.monotonic() + 10  # the nodes behind hear of it one after the other
        while send(castellan, topic, [b"free"]) != [expected]:
            assert time.monotonic() < until


def test_other_topics_are_untouched(castellan):
    topic = make_topic(castellan, "plain")
    assert send(castellan, topic, [b"", b"\0", b"\0\0\0\0\1", None, b"{"]) == [None] * 5
