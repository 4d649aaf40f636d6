# SPDX-License-Identifier: Apache-2.0
"""kill -9 of every process, then a restart: what was acknowledged is there, who was forgotten stays forgotten."""
import time

from confluent_kafka import KafkaError, Producer

from system import System
from test_system import allow, make_topic, name, produce, read_all


def test_everything_acknowledged_survives_kill_dash_nine():
    castellan = System()
    try:
        castellan.start()
        topic, people, subject = name("t"), name("people"), name("s")
        make_topic(castellan, topic)
        make_topic(castellan, people)
        allow(castellan, "bob", "WRITE,DESCRIBE", "--topic", topic)
        castellan.castellan("quota", "set", "--user", "bob", "producer_byte_rate=123456789")
        castellan.castellan("user", "add", "carol", "--password-stdin", stdin="carols-password\n")
        castellan.castellan("policy", "set", people, "--subject-from", "key", "--protect", "value", "--erased", "null")
        status, registered = castellan.registry("POST", f"/subjects/{subject}/versions", body={"schema": '"string"'})
        assert status == 200
        records = [(f"k{i}".encode(), f"v{i}".encode()) for i in range(2000)]
        assert not any(produce(castellan, "bob", topic, records))
        persons = [(b"ann", b"ann's data"), (b"ben", b"ben's data")]
        assert not any(produce(castellan, "admin", people, persons))
        castellan.castellan("forget", "ann")

        acknowledged = []
        producer = Producer(castellan.client_config("bob", **{"linger.ms": "1", "message.timeout.ms": "3000"}))
        for i in range(5000):
            value = f"late{i}".encode()
            producer.produce(topic, value, on_delivery=lambda e, m: e or acknowledged.append(m.value()))
            producer.poll(0)
            if len(acknowledged) > 500:
                break
        until = time.monotonic() + 10
        while not acknowledged and time.monotonic() < until:
            producer.poll(0.05)
        castellan.kill()
        producer.purge()
        producer.flush(5)
        assert acknowledged

        castellan.start()
        got = read_all(castellan, "admin", topic)
        values = {v for _, v in got}
        assert set(records) <= set(got)
        assert set(acknowledged) <= values
        status, schema = castellan.registry("GET", f"/schemas/ids/{registered['id']}")
        assert status == 200 and schema["schema"] == '"string"'
        listed = castellan.castellan("acl", "list", "--json").stdout
        assert topic in listed and "User:bob" in listed
        assert "123456789" in castellan.castellan("quota", "list", "--json").stdout
        assert '"carol"' in castellan.castellan("user", "list", "--json").stdout
        assert not any(produce(castellan, "bob", topic, [(b"k", b"after")]))
        after = dict(read_all(castellan, "admin", people))
        assert after == {b"ann": None, b"ben": b"ben's data"}
        errors = produce(castellan, "admin", people, [(b"ann", b"again")])
        assert errors[0] is not None and errors[0].code() != KafkaError._MSG_TIMED_OUT
        assert castellan.stop() == 0
    finally:
        castellan.close()


def test_a_clean_stop_and_start_keeps_everything():
    castellan = System()
    try:
        castellan.start()
        topic = name("t")
        make_topic(castellan, topic)
        records = [(f"k{i}".encode(), f"v{i}".encode()) for i in range(100)]
        assert not any(produce(castellan, "admin", topic, records))
        assert castellan.stop() == 0
        castellan.start()
        assert sorted(read_all(castellan, "admin", topic)) == sorted(records)
    finally:
        castellan.close()
