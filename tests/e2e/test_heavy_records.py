# SPDX-License-Identifier: Apache-2.0
"""Batches that take long: compressed ones, large values, more than may be decompressed. They are sealed and opened as
others are, within limits that producers and consumers can live with."""
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

import abuse
from system import System
from test_faults import wait_for

MIB = 1 << 20
LIMITS = {"castellan.batch.decompressed.max.bytes": 4 * MIB, "castellan.request.decompressed.max.bytes": 6 * MIB}
TOPIC = "heavy-sealed"
BIG = 3 * MIB  # a value that is sealed piece by piece


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    abuse.prepare(system)
    system.castellan("topic", "create", TOPIC, "--partitions", "1", "--set", f"max.message.bytes={64 * MIB}")
    system.castellan("policy", "set", TOPIC, "--subject-from", "key", "--protect", "value", "--erased", "null")
    yield system
    system.close()


@pytest.fixture(scope="module")
def gateway(castellan):
    with abuse.Gateway(castellan, **LIMITS) as gateway:
        yield gateway


def settings(gateway, **more):
    return gateway.system.client_config("admin", **{"bootstrap.servers": f"localhost:{gateway.port}",
                                                    "message.max.bytes": 64 * MIB, **more})


def produce(gateway, values, **more):
    """Sends them, and returns for each the offset, or the error."""
    outcome = [None] * len(values)
    producer = Producer(settings(gateway, **more))

    def on_delivery(i):
        def done(err, message):
            outcome[i] = err.code() if err else message.offset()
        return done

    for i, value in enumerate(values):
        producer.produce(TOPIC, value, key=b"alice", partition=0, on_delivery=on_delivery(i))
    assert producer.flush(60) == 0
    return outcome


def consume(gateway, offset, n):
    consumer = Consumer(settings(gateway, **{"group.id": "heavy", "fetch.message.max.bytes": 64 * MIB,
                                             "fetch.max.bytes": 64 * MIB, "receive.message.max.bytes": 128 * MIB}))
    consumer.assign([TopicPartition(TOPIC, 0, offset)])
    got = []

    def more():
        message = consumer.poll(1)
        if message is not None and not message.error():
            got.append(message.value())
        assert message is None or not message.error(), message.error()
        return len(got) >= n

    wait_for(more, f"{n} records", 60)
    consumer.close()
    return got


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_and_size(gateway, codec):
    values = [b"small", bytes(range(256)) * (BIG // 256), b"", b"x" * 100000]
    offsets = produce(gateway, values, **{"compression.type": codec, "linger.ms": 0, "batch.num.messages": 1})
    assert offsets == list(range(offsets[0], offsets[0] + 4))
    assert consume(gateway, offsets[0], 4) == values


def test_what_decompresses_to_too_much_is_too_large(castellan, gateway):
    before = counted(gateway)
    outcome = produce(gateway, [bytes(5 * MIB), b"after"], **{"compression.type": "zstd", "batch.num.messages": 1,
                                                             "enable.idempotence": False})
    assert outcome[0] == KafkaError.MSG_SIZE_TOO_LARGE
    assert outcome[1] >= 0
    assert counted(gateway) == before + 1


def test_a_consumer_gets_past_what_was_there_before_the_policy(castellan, gateway):
    """One fetch would decompress to more than a request may: it gets some, and the next fetch the rest."""
    topic = "heavy-before"
    castellan.castellan("topic", "create", topic, "--partitions", "1")
    producer = Producer(settings(gateway, **{"compression.type": "gzip", "batch.num.messages": 1}))
    values = [bytes([i]) * (2 * MIB) for i in range(10)]
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(60) == 0
    castellan.castellan("policy", "set", topic, "--subject-from", "key", "--protect", "value", "--erased", "null")
    consumer = Consumer(settings(gateway, **{"group.id": "heavy", "fetch.message.max.bytes": 64 * MIB}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    got = []

    def more():
        message = consumer.poll(1)
        assert message is None or not message.error(), message.error()
        if message is not None:
            got.append(message.value())
        return len(got) == len(values)

    wait_for(more, "all records", 60)
    consumer.close()
    assert got == values


def counted(gateway):
    _, text = gateway.system.http("GET", 300 + abuse.GATEWAY_OFFSET, "/metrics")
    for line in text.splitlines():
        if line.startswith("castellan_gateway_decompression_refused_total"):
            return int(line.split()[-1])
    return 0
