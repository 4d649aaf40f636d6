# SPDX-License-Identifier: Apache-2.0
"""The main job end to end with the clients people use: kcat, confluent-kafka, curl's way of HTTP, Kafka's own tools'
requests. One system for all tests of this file; each test uses topics and users of its own."""
import json
import socket
import ssl
import struct
import subprocess
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def make_topic(castellan, topic, partitions=3, **config):
    admin = AdminClient(castellan.client_config("admin"))
    admin.create_topics([NewTopic(topic, partitions, replication_factor=1, config=config)])[topic].result(20)


def allow(castellan, user, operations, *resource):
    castellan.castellan("acl", "add", "--allow", f"User:{user}", "--operation", operations, *resource)


def produce(castellan, user, topic, records, **config):
    """records: (key, value); returns the errors reported per record."""
    errors = []
    producer = Producer(castellan.client_config(user, **{"message.timeout.ms": "15000", **config}))
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda e, m: errors.append(e))
    producer.flush(20)
    return errors


def read_all(castellan, user, topic, partitions=3, **config):
    """Every record of a topic as (key, value), in the order of partitions."""
    consumer = Consumer(castellan.client_config(user, **{"group.id": name("g"), "enable.auto.commit": "false",
                                                         "enable.partition.eof": "true", **config}))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    got, ended, until = [], set(), time.monotonic() + 30
    try:
        while len(ended) < partitions and time.monotonic() < until:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                    continue
                if message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    continue  # the client looks for a coordinator although it assigns for itself
                raise KafkaException(message.error())
            got.append((message.key(), message.value()))
    finally:
        consumer.close()
    assert len(ended) == partitions, "not every partition was read to its end"
    return got


def test_ready_in_time_and_memory(castellan):
    assert castellan.admin("GET", "/health/live", user=None)[0] == 200
    status, body = castellan.admin("GET", "/health/ready", user=None)
    assert status == 200, body


def test_kcat_lists_the_gateway_never_the_brokers(castellan):
    done = castellan.kcat("admin", "-L", "-J")
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    assert sorted(b["name"] for b in listing["brokers"]) == [f"localhost:{castellan.base + n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_every_mechanism_lets_in_and_keeps_out(castellan, mechanism):
    good = AdminClient(castellan.client_config("admin", **{"sasl.mechanisms": mechanism}))
    assert good.list_topics(timeout=15).brokers
    bad = castellan.kcat("admin", "-X", f"sasl.mechanisms={mechanism}", "-X", "sasl.password=wrong", "-L", "-m", "5")
    assert bad.returncode != 0
    assert "uthentication failed" in bad.stderr


def test_produce_and_consume_with_kcat(castellan):
    topic = name("kcat")
    make_topic(castellan, topic)
    lines = "".join(f"k{i}:value {i}\n" for i in range(1000))
    done = castellan.kcat("admin", "-P", "-t", topic, "-K:", stdin=lines)
    assert done.returncode == 0, done.stderr
    done = castellan.kcat("admin", "-C", "-t", topic, "-e", "-q", "-K:")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(lines.splitlines())


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_survives(castellan, codec):
    topic = name(codec)
    make_topic(castellan, topic)
    records = [(f"k{i}".encode(), f"value {i} ".encode() * 20) for i in range(500)]
    assert not any(produce(castellan, "admin", topic, records, **{"compression.type": codec}))
    assert sorted(read_all(castellan, "admin", topic)) == sorted(records)


def test_nothing_without_an_acl_and_just_what_it_says_with_one(castellan):
    topic = name("acl")
    make_topic(castellan, topic)
    assert topic not in AdminClient(castellan.client_config("bob")).list_topics(timeout=15).topics
    errors = produce(castellan, "bob", topic, [(b"k", b"v")])
    assert [e.code() for e in errors] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]

    allow(castellan, "bob", "WRITE,DESCRIBE", "--topic", topic)
    assert not any(produce(castellan, "bob", topic, [(b"k", b"v")]))
    with pytest.raises(KafkaException) as refused:
        read_all(castellan, "bob", topic)
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow(castellan, "bob", "READ", "--topic", topic)
    assert read_all(castellan, "bob", topic) == [(b"k", b"v")]

    castellan.castellan("acl", "add", "--deny", "User:bob", "--operation", "READ", "--topic", topic)
    with pytest.raises(KafkaException):
        read_all(castellan, "bob", topic)
    castellan.castellan("acl", "remove", "--deny", "User:bob", "--operation", "READ", "--topic", topic)
    assert read_all(castellan, "bob", topic) == [(b"k", b"v")]


def test_a_request_of_many_topics_is_split(castellan):
    open_topic, closed = name("open"), name("closed")
    make_topic(castellan, open_topic)
    make_topic(castellan, closed)
    allow(castellan, "alice", "WRITE,READ,DESCRIBE", "--topic", open_topic)
    producer = Producer(castellan.client_config("alice", **{"message.timeout.ms": "10000", "linger.ms": "200"}))
    outcome = {}
    for topic in (closed, open_topic):
        producer.produce(topic, b"v", on_delivery=lambda e, m: outcome.setdefault(m.topic(), e))
    producer.flush(20)
    assert outcome[open_topic] is None
    assert outcome[closed].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_prefixed_and_group_rules_let_a_consumer_group_work(castellan):
    prefix = name("team")
    topic, group = prefix + ".orders", prefix + ".group"
    make_topic(castellan, topic)
    for resource in ("--topic", "--group"):
        allow(castellan, "alice", "READ,DESCRIBE", resource, prefix, "--prefixed")
    records = [(f"k{i}".encode(), f"v{i}".encode()) for i in range(300)]
    assert not any(produce(castellan, "admin", topic, records))
    consumer = Consumer(castellan.client_config("alice", **{"group.id": group, "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    got, until = [], time.monotonic() + 40
    while len(got) < len(records) and time.monotonic() < until:
        message = consumer.poll(1)
        if message is not None:
            assert message.error() is None, message.error()
            got.append((message.key(), message.value()))
    consumer.commit(asynchronous=False)
    committed = consumer.committed([TopicPartition(topic, p) for p in range(3)], timeout=15)
    consumer.close()
    assert sorted(got) == sorted(records)
    assert sum(max(c.offset, 0) for c in committed) == len(records)
    outsider = Consumer(castellan.client_config("bob", **{"group.id": group}))
    outsider.subscribe([topic])
    message = outsider.poll(15)
    assert message is not None and message.error().code() in (KafkaError.GROUP_AUTHORIZATION_FAILED,
                                                              KafkaError.TOPIC_AUTHORIZATION_FAILED)
    outsider.close()


def test_transactions_commit_and_abort(castellan):
    topic = name("txn")
    make_topic(castellan, topic)
    producer = Producer(castellan.client_config("admin", **{"transactional.id": name("tx")}))
    producer.init_transactions(30)
    for i in range(6):
        producer.begin_transaction()
        for k in range(10):
            producer.produce(topic, f"{i}-{k}".encode())
        if i % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    got = read_all(castellan, "admin", topic, **{"isolation.level": "read_committed"})
    assert sorted(v for _, v in got) == sorted(f"{i}-{k}".encode() for i in (0, 2, 4) for k in range(10))


def test_a_byte_rate_quota_is_felt_and_lifted(castellan):
    topic, user = name("quota"), "bob"
    make_topic(castellan, topic)
    allow(castellan, user, "WRITE,DESCRIBE", "--topic", topic)
    records = [(None, b"x" * 50000)] * 100  # 5 MB
    produce(castellan, user, topic, records[:2])
    castellan.castellan("quota", "set", "--user", user, "producer_byte_rate=200000")
    throttles = []

    def stats(text):
        for broker in json.loads(text)["brokers"].values():
            throttles.append(broker.get("throttle", {}).get("max", 0))

    producer = Producer(castellan.client_config(user, **{"statistics.interval.ms": "200", "stats_cb": stats,
                                                         "batch.num.messages": "5", "message.timeout.ms": "120000"}))
    for _, value in records:
        producer.produce(topic, value)
        producer.poll(0)
    until = time.monotonic() + 30
    while not any(throttles) and time.monotonic() < until:
        producer.poll(0.1)
    castellan.castellan("quota", "remove", "--user", user)
    producer.purge()
    producer.flush(5)
    assert any(throttles), "no throttle time was reported to the client"
    listed = castellan.castellan("quota", "list", "--json").stdout
    assert "producer_byte_rate" not in listed


def test_mutual_tls_gives_the_name_in_the_certificate(castellan):
    config = {"bootstrap.servers": f"localhost:{castellan.base + 100}", "security.protocol": "SSL",
              "ssl.ca.location": castellan.ca,
              "ssl.certificate.location": str(castellan.data / "clients" / "admin.pem"),
              "ssl.key.location": str(castellan.data / "clients" / "admin.key")}
    listing = AdminClient(config).list_topics(timeout=15)
    assert sorted(b.port for b in listing.brokers.values()) == [castellan.base + 100 + n for n in (1, 2, 3)]
    topic = name("mtls")
    make_topic(castellan, topic)
    assert topic in AdminClient(config).list_topics(timeout=15).topics  # admin is a super user by this road too
    config.pop("ssl.certificate.location"), config.pop("ssl.key.location")
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=4)


def test_brokers_refuse_everybody_but_the_cluster(castellan):
    for cert in (None, "admin"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if cert:
            context.load_cert_chain(castellan.data / "clients" / "admin.pem", castellan.data / "clients" / "admin.key")
        with socket.create_connection(("127.0.0.1", castellan.base + 400), timeout=10) as raw:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with context.wrap_socket(raw) as tls:
                    tls.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                    if not tls.recv(4):
                        raise ConnectionError("closed")


def frame(castellan, data, receive=True):
    context = ssl.create_default_context(cafile=castellan.ca)
    with socket.create_connection(("localhost", castellan.base), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.settimeout(10)
            tls.sendall(data)
            try:
                return tls.recv(65536) if receive else b""
            except (ConnectionError, ssl.SSLError):
                return b""


def test_bad_frames_end_the_connection_and_nothing_else(castellan):
    bad = [struct.pack(">i", -1), struct.pack(">i", 0), struct.pack(">i", 0x7fffffff), b"GET / HTTP/1.1\r\n\r\n",
           struct.pack(">ihhih", 10, 999, 0, 1, -1), struct.pack(">ihhih", 10, 0, 9, 1, -1),
           struct.pack(">ihhih", 10, 3, 1, 1, -1) + b"\xff" * 4, struct.pack(">ihhih", 10, 1, 77, 1, -1)]
    for data in bad:
        assert frame(castellan, data) == b"", data
    assert castellan.kcat("admin", "-L").returncode == 0


def test_unknown_api_versions_is_answered_with_error_35_in_a_v0_body(castellan):
    answer = frame(castellan, struct.pack(">ihhih", 10, 18, 99, 7, -1))
    size, correlation, error, count = struct.unpack(">iihi", answer[:14])
    assert (correlation, error) == (7, 35) and size == len(answer) - 4
    keys = [struct.unpack(">hhh", answer[14 + 6 * i:20 + 6 * i]) for i in range(count)]
    assert (18, 0, 4) in keys


def test_what_is_advertised_is_kafkas_range(castellan):
    answer = frame(castellan, struct.pack(">ihhih", 10, 18, 0, 7, -1))
    count = struct.unpack(">i", answer[10:14])[0]
    ranges = {}
    for i in range(count):
        key, low, high = struct.unpack(">hhh", answer[14 + 6 * i:20 + 6 * i])
        ranges[key] = (low, high)
    assert ranges[0] == (0, 13) and ranges[1] == (4, 18) and ranges[3] == (0, 13) and ranges[18] == (0, 4)
    assert not {4, 5, 6, 7, 52, 53, 54, 56, 58, 62, 63, 67} & set(ranges), "requests between brokers"


def test_topic_configs_are_described_and_altered(castellan):
    topic = name("config")
    make_topic(castellan, topic, **{"retention.ms": "12345"})
    admin = AdminClient(castellan.client_config("admin"))
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    configs = admin.describe_configs([resource])[resource].result(20)
    assert configs["retention.ms"].value == "12345" and configs["cleanup.policy"].value == "delete"
    with pytest.raises(KafkaException) as refused:
        other = AdminClient(castellan.client_config("bob"))
        other.describe_configs([resource])[resource].result(20)
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_schemas_are_registered_checked_and_refused(castellan):
    subject = name("subject")
    v1 = {"type": "record", "name": "P", "fields": [{"name": "id", "type": "string"}]}
    v2 = {"type": "record", "name": "P", "fields": [{"name": "id", "type": "string"}, {"name": "n", "type": "int"}]}
    status, body = castellan.registry("POST", f"/subjects/{subject}/versions", body={"schema": json.dumps(v1)})
    assert status == 200 and body["id"] > 0, body
    status, got = castellan.registry("GET", f"/schemas/ids/{body['id']}")
    assert status == 200 and json.loads(got["schema"]) == v1
    status, body = castellan.registry("POST", f"/subjects/{subject}/versions", body={"schema": json.dumps(v2)})
    assert status == 409 and body["error_code"] == 409, body
    status, body = castellan.registry("POST", f"/subjects/{subject}/versions", body={"schema": "{}"})
    assert status == 422 and body["error_code"] == 42201, body
    assert castellan.http("GET", 200, "/subjects")[0] == 401
    status, body = castellan.registry("POST", f"/subjects/{subject}/versions", user="bob",
                                      body={"schema": json.dumps(v1)})
    assert status == 403, body


def test_forgetting_one_person_and_nobody_else(castellan):
    topic, plain = name("people"), name("plain")
    make_topic(castellan, topic)
    make_topic(castellan, plain)
    castellan.castellan("policy", "set", topic, "--subject-from", "key", "--protect", "value", "--erased", "null")
    people = [f"person-{i}" for i in range(20)]
    secret = f"lives at {uuid.uuid4().hex}"
    control = f"control {uuid.uuid4().hex}"
    records = [(p.encode(), f"{p} {secret}".encode()) for p in people for _ in range(3)]
    assert not any(produce(castellan, "admin", topic, records))
    assert not any(produce(castellan, "admin", plain, [(b"k", control.encode())]))
    assert sorted(read_all(castellan, "admin", topic)) == sorted(records)

    found = subprocess.run(["grep", "-rlaF", secret, *map(str, castellan.data.glob("broker-*"))], capture_output=True)
    assert found.returncode == 1, "the plaintext stands on the brokers' disks"
    found = subprocess.run(["grep", "-rlaF", control, *map(str, castellan.data.glob("broker-*"))], capture_output=True)
    assert found.returncode == 0, "the control was not found: the search itself is broken"

    receipt = castellan.data / "receipt.json"
    castellan.castellan("forget", "person-7", "--receipt", str(receipt))
    castellan.castellan("receipt", "verify", str(receipt))
    after = read_all(castellan, "admin", topic)
    assert sorted(v for k, v in after if k == b"person-7" and v is not None) == []
    assert sum(k == b"person-7" for k, _ in after) == 3
    assert sorted((k, v) for k, v in after if k != b"person-7") == sorted(r for r in records if r[0] != b"person-7")
    errors = produce(castellan, "admin", topic, [(b"person-7", b"back again")])
    assert errors[0] is not None, "an erased person's data was accepted again"
    tampered = json.loads(receipt.read_text())
    text = json.dumps(tampered).replace("person", "nobody") if "person" in json.dumps(tampered) else None
    broken = castellan.data / "broken.json"
    broken.write_text(text or receipt.read_text().replace('"seq":', '"seq":1', 1))
    assert castellan.castellan("receipt", "verify", str(broken), check=False).returncode == 1


def test_metrics_speak_prometheus(castellan):
    status, text = castellan.admin("GET", "/metrics", user=None)
    assert status == 200
    assert "# TYPE castellan_gateway_connections_total counter" in text
