# SPDX-License-Identifier: Apache-2.0
"""Taking over an existing `_schemas` as it is: records of other registries and of older releases, byte for byte, with
the traps such topics hold; and a foreign writer that goes on writing while we serve."""
import json
import os
import pathlib
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from registry import Registry, avro, quoted

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("CASTELLAN_SHARED", ROOT.parent / "shared"))
RECORDS = SHARED / "vectors" / "schemas-topic" / "schemas-topic-records.json"


@pytest.fixture
def topic(cluster, request):
    """A compacted topic of one partition, and its name."""
    name = f"_schemas-{request.node.name.split('[')[0][-40:]}-{os.getpid()}"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    config = {"cleanup.policy": "delete", "max.message.bytes": "60000"}
    admin.create_topics([NewTopic(name, 1, replication_factor=1, config=config)])[name].result(timeout=20)
    produce(cluster, name, [(None, "from the days when it was not compacted")])
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, {**config, "cleanup.policy": "compact"})
    admin.alter_configs([resource])[resource].result(timeout=20)
    return name


@pytest.fixture
def registry(cluster, tmp_path, topic):
    """Not started."""
    r = Registry(tmp_path, {"kafkastore.topic": topic}, cluster.bootstrap)
    yield r
    r.close()


def produce(cluster, topic, records):
    """As a plain producer does, one by one: (key, value), either may be None."""
    p = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    failed = []
    for key, value in records:
        p.produce(topic, key=key, value=value, on_delivery=lambda e, m: failed.append(e) if e else None)
    assert p.flush(20) == 0 and not failed, failed


def produce_in_transactions(cluster, topic, records, commit):
    """One transaction a record, so that markers stand between them; aborted ones leave gaps."""
    p = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": f"foreign-{os.getpid()}-{commit}"})
    p.init_transactions(20)
    for key, value in records:
        p.begin_transaction()
        p.produce(topic, key=key, value=value)
        if commit:
            p.commit_transaction(20)
        else:
            p.flush(20)
            p.abort_transaction(20)


def consume(cluster, topic):
    """All committed records: [(key, value)] as text."""
    c = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "reader", "enable.partition.eof": True,
                  "isolation.level": "read_committed", "enable.auto.commit": False})
    c.assign([TopicPartition(topic, 0, 0)])
    found = []
    while True:
        m = c.poll(20)
        assert m is not None
        if m.error():
            break
        found.append(tuple(t.decode() if t is not None else None for t in (m.key(), m.value())))
    c.close()
    return found


def compacted(records):
    left = {}
    for key, value in records:
        left[key] = value
    return {k: v for k, v in left.items() if k and v is not None}


def key(subject, version, magic=1):
    return json.dumps({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": magic},
                      separators=(",", ":"))


def value(subject, version, id_, schema, deleted=False, **more):
    return json.dumps({"subject": subject, "version": version, "id": id_, **more, "schema": schema,
                       "deleted": deleted}, separators=(",", ":"))


@pytest.mark.skipif(not RECORDS.exists(), reason=f"{RECORDS} is absent")
def test_the_reference_s_own_records(cluster, topic, registry):
    given = [r for r in json.loads(RECORDS.read_text())["records"] if "key" in r]
    by_what = {r["what"]: (r["key"], r["value"]) for r in given}
    produce(cluster, topic, [(r["key"], r["value"]) for r in given])
    registry.start()
    # versions 1 and 2 and 3, the first tombstoned, then the subject deleted, then cleared
    assert registry.ask("GET", "/subjects/s-value/versions?deleted=true")[1]["error_code"] == 40401
    assert registry.get("/config") == {"compatibilityLevel": "FULL"}
    assert registry.get("/mode") == {"mode": "READONLY"}
    assert registry.get("/mode/s-value") == {"mode": "IMPORT"}
    assert registry.get("/contexts") == [".", ".ctx"]
    registry.stop()
    # the same again without the end of the story, and with the configuration
    whole = "CONFIG subject all"
    produce(cluster, topic, [by_what["SCHEMA json + refs"], by_what["SCHEMA full"], by_what[whole],
                             (by_what["MODE subject"][0], None), (by_what["MODE global"][0], None)])
    registry.start()
    config = json.loads(by_what[whole][1])
    config.pop("subject")
    told = registry.get("/config/s-value")
    assert {k: v for k, v in config.items() if k in told} == told and told["compatibilityGroup"]
    # its alias leads to a subject that is not there
    assert registry.ask("GET", "/subjects/s-value/versions")[1]["error_code"] == 40401
    full = registry.get("/schemas/ids/9")
    assert full["metadata"]["tags"] == {"f1": ["PII"]} and full["ruleSet"]["domainRules"][0]["name"] == "r1"
    assert registry.get("/schemas/ids/8")["references"] == [{"name": "other.json", "subject": "other", "version": 3}]
    # written by us, byte for byte what the reference writes
    produce(cluster, topic, [(by_what[whole][0], None)])
    deadline = time.monotonic() + 10
    while registry.ask("GET", "/config/s-value")[0] != 404:
        assert time.monotonic() < deadline
    assert registry.get("/subjects/s-value/versions") == [2, 3]
    before = len(consume(cluster, topic))
    registry.must("PUT", "/config/s-value", {"compatibility": "NONE"})
    registry.must("DELETE", "/subjects/s-value/versions/3")
    registry.must("DELETE", "/subjects/s-value/versions/3?permanent=true")
    registry.must("DELETE", "/subjects/s-value")
    written = consume(cluster, topic)[before:]
    deleted = by_what["SCHEMA full"][1].replace('"deleted":false', '"deleted":true')
    assert written[-1] == (by_what["DELETE_SUBJECT"][0], '{"subject":"s-value","version":2}')
    assert written[:-1] == [(by_what["CONFIG subject"][0], by_what["CONFIG subject"][1]),
                            (by_what["SCHEMA full"][0], deleted), (by_what["SCHEMA full"][0], None)]


FOREIGN = [
    ("", "a record with an empty key"),
    ("no JSON at all", "{}"),
    ("[1]", "{}"),
    ('{"keytype":"NEW","magic":9}', "{}"),
    ('{"keytype":"ASSOC","tenant":"default","magic":0}', "{}"),
    ('{"keytype":"NOOP","magic":0}', None),
    (key("broken", 1), "{\"subject\":"),
    (key("broken", 2), ""),
    # an older release: magic 0, no schemaType, no deleted
    (key("old", 1, magic=0), '{"subject":"old","version":1,"id":1,"schema":"\\"string\\""}'),
    # Karapace: other order of the key; and the same key in ours
    ('{"subject":"k","version":1,"magic":1,"keytype":"SCHEMA"}', value("k", 1, 2, "\"int\"")),
    (key("k", 1), value("k", 1, 2, "\"int\"", schemaType="AVRO")),
    # Redpanda: more members in the key
    ('{"keytype":"SCHEMA","subject":"rp","version":1,"magic":1,"seq":42,"node":2}',
     value("rp", 1, 3, "\"long\"", schemaType="AVRO")),
    # the global configuration with a subject of null, a subject's without one in its value
    ('{"keytype":"CONFIG","subject":null,"magic":0}', '{"compatibilityLevel":"FORWARD"}'),
    ('{"keytype":"CONFIG","subject":"k","magic":0}', '{"compatibilityLevel":"NONE"}'),
    # a tombstone and a deletion of what was never seen
    (key("never", 4), None),
    ('{"keytype":"DELETE_SUBJECT","subject":"never","magic":0}', '{"subject":"never","version":9}'),
    # a reference to what comes later
    (key("uses", 1), value("uses", 1, 4, '{"type":"record","name":"U","fields":[{"name":"l","type":"Later"}]}',
                           schemaType="AVRO", references=[{"name": "Later", "subject": "later", "version": 1}])),
    (key("later", 1), value("later", 1, 5, avro("Later"), schemaType="AVRO")),
    # text that is no schema
    (key("nonsense", 1), value("nonsense", 1, 6, "this is no schema", schemaType="AVRO")),
    # the id of another schema, twice
    (key("thief", 1), value("thief", 1, 5, avro("Thief"), schemaType="AVRO")),
    # softly deleted, Redpanda's way without a version
    (key("gone", 1), value("gone", 1, 7, "\"bytes\"", schemaType="AVRO")),
    ('{"keytype":"DELETE_SUBJECT","subject":"gone","magic":0,"seq":7,"node":1}', '{"subject":"gone"}'),
    # a context that was deleted
    ('{"keytype":"CONTEXT","tenant":"default","context":".was","magic":0}', '{"tenant":"default","context":".was"}'),
    ('{"keytype":"CONTEXT","tenant":"default","context":".was","magic":0}', None),
]


def test_a_topic_with_every_trap(cluster, topic, registry):
    produce(cluster, topic, FOREIGN[:9])
    produce_in_transactions(cluster, topic, [(key("aborted", 1), value("aborted", 1, 90, avro("Aborted")))], False)
    produce_in_transactions(cluster, topic, FOREIGN[9:16], True)
    produce(cluster, topic, FOREIGN[16:])
    registry.start()
    assert sorted(registry.get("/subjects")) == ["k", "later", "nonsense", "old", "rp", "uses"]
    assert sorted(registry.get("/subjects?deletedOnly=true")) == ["gone"]
    assert registry.get("/config") == {"compatibilityLevel": "FORWARD"}
    assert registry.get("/config/k") == {"compatibilityLevel": "NONE"}
    assert registry.get("/schemas/ids/1") ["schema"] == "\"string\""
    assert registry.get("/subjects/uses/versions/1")["references"][0]["subject"] == "later"
    assert registry.get("/subjects/later/versions/1/referencedby") == [4]
    assert registry.get("/contexts") == ["."]
    # what does not parse is served as it is, and judged when somebody builds on it
    assert registry.get("/subjects/nonsense/versions/1")["schema"] == "this is no schema"
    status, answer = registry.ask("POST", "/subjects/nonsense/versions", {"schema": "\"string\""})
    assert status in (422, 500, 409) and answer["error_code"] in (42201, 50001, 409), answer
    # so far nothing was written
    assert compacted(consume(cluster, topic))[key("thief", 1)] == value("thief", 1, 5, avro("Thief"), schemaType="AVRO")
    # ids go on after the highest one seen; what was no JSON is written over
    assert registry.must("POST", "/subjects/new/versions", {"schema": avro("New")})["id"] == 8
    assert registry.must("POST", "/subjects/broken/versions", {"schema": avro("Unbroken")})["version"] == 1
    # the thief is told off: its record is overwritten, so that no later start finds it first
    deadline = time.monotonic() + 10
    while key("thief", 1) in compacted(consume(cluster, topic)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # a permanent deletion leaves nothing under any form of the key
    for subject in ("old", "k", "rp", "gone"):
        if subject != "gone":
            registry.must("DELETE", f"/subjects/{subject}")
        registry.must("DELETE", f"/subjects/{subject}?permanent=true")
    registry.must("DELETE", "/config")
    left = compacted(consume(cluster, topic))
    kept = [k for k in left if any(f'"subject":"{s}"' in k for s in ("old", "k", "rp", "gone"))]
    assert [k for k in kept if "DELETE_SUBJECT" not in k] == []
    assert not [k for k in left if '"CONFIG"' in k]
    # and a registry that starts on what compaction leaves tells the same
    told = registry.get("/schemas?deleted=true")
    registry.stop()
    registry.start()
    assert registry.get("/schemas?deleted=true") == told
    again = f"{topic}-compacted"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(again, 1, 1, config={"cleanup.policy": "compact"})])[again].result(timeout=20)
    produce(cluster, again, list(left.items()))
    other = Registry(registry.folder, {"kafkastore.topic": again}, cluster.bootstrap, "other").start()
    strip = lambda all_: [{k: v for k, v in s.items() if k != "ts"} for s in all_]  # noqa: E731
    assert strip(other.get("/schemas?deleted=true")) == strip(told)
    other.close()


def test_a_foreign_writer_while_we_serve(cluster, topic, registry):
    registry.start()
    registry.must("PUT", "/config", {"compatibility": "NONE"})
    stop, ours, wrong = threading.Event(), [], []

    def register():
        n = 0
        while not stop.is_set():
            try:
                answer = registry.must("POST", f"/subjects/ours{n % 5}/versions", {"schema": avro(f"Ours{n}")})
                ours.append((f"ours{n % 5}", answer["version"], answer["id"], avro(f"Ours{n}")))
                n += 1
            except Exception as e:  # pylint: disable=broad-except
                wrong.append(repr(e))
                return

    thread = threading.Thread(target=register)
    thread.start()
    foreign = []
    for n in range(40):  # a writer that knows nothing of us, with ids of its own, far away
        foreign.append((f"theirs{n}", 1, 100000 + 1000 * n, avro(f"Theirs{n}")))
        produce(cluster, topic, [(key(f"theirs{n}", 1), value(*foreign[-1], schemaType="AVRO")),
                                 (f"noise {n}", "noise")])
        deadline = time.monotonic() + 5
        while registry.ask("GET", f"/subjects/theirs{n}/versions/1")[0] != 200:
            assert time.monotonic() < deadline
    stop.set()
    thread.join()
    assert not wrong, wrong
    stored, page = {}, [1]
    while page:
        page = registry.get(f"/schemas?offset={len(stored)}")
        stored.update({(s["subject"], s["version"]): (s["id"], s["schema"]) for s in page})
    for subject, version, id_, schema in ours + foreign:
        assert stored[(subject, version)] == (id_, schema)
    ids = [id_ for id_, _ in stored.values()]
    assert len(ids) == len(set(ids))
    assert max(id_ for _, _, id_, _ in ours) > 100000  # they go on after the highest one, whoever wrote it
    assert not registry.get("/subjects/ours0/versions") == []


def test_one_schema_too_large_fails_alone(registry):
    registry.start()
    big = json.dumps({"type": "record", "name": "Big", "doc": "x" * 70000, "fields": []})
    answers = {}

    def post(n):
        body = {"schema": big if n == 3 else avro(f"Small{n}")}
        answers[n] = registry.ask("POST", f"/subjects/s{n}/versions", body)

    threads = [threading.Thread(target=post, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    status, answer = answers.pop(3)
    assert status == 422 and answer["error_code"] == 42209, answer
    assert {s for s, _ in answers.values()} == {200}, answers
    assert quoted("s3") not in registry.get("/subjects")
