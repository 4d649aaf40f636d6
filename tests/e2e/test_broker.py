# SPDX-License-Identifier: Apache-2.0
"""The bundled brokers under stock clients: librdkafka through confluent-kafka, and the protocol by hand where that does
not reach."""
import os
import pathlib
import struct
import subprocess
import threading
import time
import uuid

import pytest

kafka = pytest.importorskip("confluent_kafka")
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic  # noqa: E402

from conftest import Cluster  # noqa: E402
import kafka_wire as wire  # noqa: E402

SECONDS = 20
OFFSET_INVALID = -1001


# ---- Helpers ----


def admin(cluster):
    """One per cluster: its futures end with it."""
    if not hasattr(cluster, "admin"):
        cluster.admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "reconnect.backoff.max.ms": 200})
    return cluster.admin


def create(cluster, partitions=1, name=None, **config):
    name = name or f"t-{uuid.uuid4().hex[:10]}"
    for f in admin(cluster).create_topics([NewTopic(name, partitions, 1, config=config)]).values():
        f.result(SECONDS)
    return name


def producer(cluster, **config):
    return Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 2, **config})


def produce(p, topic, values, **kwargs):
    """Waits for all of them; returns what was acknowledged as (partition, offset, value)."""
    done, failed = [], []

    def report(err, m):
        if err:
            failed.append(err)
        else:
            done.append((m.partition(), m.offset(), m.value()))

    for v in values:
        p.produce(topic, v, on_delivery=report, **kwargs)
    left = p.flush(SECONDS)
    assert left == 0 and not failed, f"{left} left, failed: {failed[:3]}"
    return done


def consumer(cluster, group=None, **config):
    return Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": group or f"g-{uuid.uuid4().hex[:10]}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 200,
            "fetch.wait.max.ms": 50,
            **config,
        }
    )


def poll_until(c, n, seconds=SECONDS):
    """n messages, or an assertion."""
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < n:
        assert time.monotonic() < deadline, f"{len(messages)} of {n} messages"
        m = c.poll(0.2)
        if m is None:
            continue
        assert not m.error(), m.error()
        messages.append(m)
    return messages


def read_all(cluster, topic, partitions=1, **config):
    """Everything between the first and the last offset, without a group."""
    c = consumer(cluster, **config)
    ends, messages = {}, []
    try:
        for i in range(partitions):
            low, high = c.get_watermark_offsets(TopicPartition(topic, i), timeout=SECONDS)
            if high > low:
                ends[i] = high
        c.assign([TopicPartition(topic, i, kafka.OFFSET_BEGINNING) for i in ends])
        deadline = time.monotonic() + SECONDS
        while any(p.offset < ends[p.partition] for p in c.position([TopicPartition(topic, i) for i in ends])):
            assert time.monotonic() < deadline, f"stuck at {c.position([TopicPartition(topic, i) for i in ends])}"
            m = c.poll(0.1)
            if m is not None:
                assert not m.error(), m.error()
                messages.append(m)
        return messages
    finally:
        c.close()


def wait_for(what, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def code(exception_info):
    return exception_info.value.args[0].code()


def coordinator(cluster, key, kind=0):
    """The port of a group's (0) or a transactional id's (1) coordinator."""
    deadline = time.monotonic() + SECONDS
    while True:
        with wire.Connection(cluster.ports[1]) as c:
            r = c.call(wire.FIND_COORDINATOR, 1, wire.string(key) + struct.pack(">b", kind))
            _, error, _, _, _, port = r.take("i"), r.take("h"), r.string(), r.take("i"), r.string(), r.take("i")
        if error == 0:
            return port
        assert error == 15 and time.monotonic() < deadline
        time.sleep(0.05)


# ---- Producing and consuming ----


def test_cluster(cluster):
    m = admin(cluster).list_topics(timeout=SECONDS)
    assert sorted(m.brokers) == [1, 2, 3]
    assert m.cluster_id == "e2e-cluster"
    assert {b.port for b in m.brokers.values()} == set(cluster.ports.values())


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(cluster, codec):
    topic = create(cluster, 2)
    p = producer(cluster, **{"compression.type": codec})
    values = [(b"%d " % i) * (i % 50) for i in range(400)]
    for i, v in enumerate(values):
        p.produce(topic, v or None, key=b"k%d" % (i % 7), headers=[("h", b"%d" % i), ("none", None)])
    assert p.flush(SECONDS) == 0
    messages = read_all(cluster, topic, 2)
    assert sorted(m.value() or b"" for m in messages) == sorted(values)
    for m in messages:
        assert m.headers()[1] == ("none", None)
        number = int(m.headers()[0][1])
        assert m.key() == b"k%d" % (number % 7) and (m.value() or b"") == values[number]
    for i in range(2):
        assert [m.offset() for m in messages if m.partition() == i] == list(
            range(sum(m.partition() == i for m in messages))
        )


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(cluster, acks):
    topic = create(cluster)
    p = producer(cluster, acks=acks)
    for i in range(100):
        p.produce(topic, b"%d" % i)
    assert p.flush(SECONDS) == 0
    wait_for(lambda: len(read_all(cluster, topic)) == 100)


def test_idempotent_producer(cluster):
    topic = create(cluster, 3)
    p = producer(cluster, **{"enable.idempotence": True, "batch.num.messages": 50})
    produce(p, topic, [b"%d" % i for i in range(3000)], key=b"same")
    messages = read_all(cluster, topic, 3)
    assert [int(m.value()) for m in messages] == list(range(3000))


def test_auto_creation(cluster):
    topic = f"auto-{uuid.uuid4().hex[:8]}"
    produce(producer(cluster), topic, [b"x"])
    assert [m.value() for m in read_all(cluster, topic)] == [b"x"]


def test_large_messages(cluster):
    topic = create(cluster, **{"max.message.bytes": "100000"})
    p = producer(cluster, **{"message.max.bytes": 3000000})
    produce(p, topic, [b"x" * 90000])
    errors = []
    p.produce(topic, b"y" * 200000, on_delivery=lambda err, m: errors.append(err))
    p.flush(SECONDS)
    assert errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    big = create(cluster, **{"max.message.bytes": "3000000"})
    produce(p, big, [b"z" * 2000000] * 3)
    assert [len(m.value()) for m in read_all(cluster, big)] == [2000000] * 3


def test_compacted_needs_keys(cluster):
    topic = create(cluster, **{"cleanup.policy": "compact"})
    errors = []
    p = producer(cluster)
    p.produce(topic, b"x", on_delivery=lambda err, m: errors.append(err))
    p.flush(SECONDS)
    assert errors[0].code() == KafkaError.INVALID_RECORD


# ---- Groups ----


class Member(threading.Thread):
    """A consumer that polls until told to leave."""

    def __init__(self, cluster, group, topic, **config):
        super().__init__(daemon=True)
        self.consumer = consumer(cluster, group, **config)
        self.assigned, self.rebalances, self.values, self.errors = set(), 0, [], []
        self.leaving, self.close = threading.Event(), True
        self.topic = topic
        self.start()

    def on_assign(self, _, partitions):
        self.assigned = {p.partition for p in partitions}
        self.rebalances += 1

    def on_revoke(self, _, __):
        self.assigned = set()

    def run(self):
        self.consumer.subscribe([self.topic], on_assign=self.on_assign, on_revoke=self.on_revoke)
        while not self.leaving.is_set():
            m = self.consumer.poll(0.05)
            if m is not None and m.error():
                self.errors.append(m.error())
            elif m is not None:
                self.values.append(m.value())
        self.consumer.close()

    def leave(self):
        self.leaving.set()
        self.join(SECONDS)
        assert not self.is_alive()


def test_rebalance(cluster):
    topic, group = create(cluster, 6), f"g-{uuid.uuid4().hex[:8]}"
    a = Member(cluster, group, topic)
    wait_for(lambda: a.assigned == set(range(6)))
    b = Member(cluster, group, topic)
    wait_for(lambda: len(a.assigned) == 3 and len(b.assigned) == 3 and a.assigned | b.assigned == set(range(6)))
    (described,) = admin(cluster).list_groups(group, timeout=SECONDS)
    assert (described.state, described.protocol_type, described.protocol) == ("Stable", "consumer", "range")
    assert len(described.members) == 2
    produce(producer(cluster), topic, [b"%d" % i for i in range(200)])
    wait_for(lambda: len(a.values) + len(b.values) == 200)
    b.leave()
    wait_for(lambda: a.assigned == set(range(6)))
    a.leave()
    assert not a.errors and not b.errors
    (described,) = admin(cluster).list_groups(group, timeout=SECONDS)
    assert described.state == "Empty"


def test_cooperative_rebalance(cluster):
    topic, group = create(cluster, 4), f"g-{uuid.uuid4().hex[:8]}"
    config = {"partition.assignment.strategy": "cooperative-sticky"}
    seen = [set(), set()]

    def make(i):
        c = consumer(cluster, group, **config)
        c.subscribe(
            [topic],
            on_assign=lambda c, ps: (seen[i].update(p.partition for p in ps), c.incremental_assign(ps)),
            on_revoke=lambda c, ps: (seen[i].difference_update(p.partition for p in ps), c.incremental_unassign(ps)),
        )
        return c

    def settle(consumers, want):
        deadline = time.monotonic() + SECONDS
        while [len(s) for s in seen] != want:
            assert time.monotonic() < deadline, seen
            for c in consumers:
                c.poll(0.05)

    a = make(0)
    settle([a], [4, 0])
    b = make(1)
    settle([a, b], [2, 2])
    assert seen[0] | seen[1] == set(range(4))
    b.close()
    seen[1].clear()
    settle([a], [4, 0])
    a.close()


def test_static_member_restarts_without_rebalance(cluster):
    topic, group = create(cluster, 4), f"g-{uuid.uuid4().hex[:8]}"
    a = Member(cluster, group, topic, **{"group.instance.id": "one"})
    b = Member(cluster, group, topic, **{"group.instance.id": "two"})
    wait_for(lambda: len(a.assigned) == 2 and len(b.assigned) == 2)
    had, before = b.assigned, a.rebalances
    b.leave()  # static members do not leave the group when they close
    b = Member(cluster, group, topic, **{"group.instance.id": "two"})
    wait_for(lambda: b.assigned == had)
    assert a.rebalances == before
    a.leave()
    b.leave()


def test_dead_member_is_expelled(cluster):
    topic, group = create(cluster, 2), f"g-{uuid.uuid4().hex[:8]}"
    port = coordinator(cluster, group)
    with wire.Connection(port) as c:  # joins, syncs, is never heard of again
        subscription = struct.pack(">h", 0) + wire.array([wire.string(topic)]) + struct.pack(">i", -1)
        body = wire.string(group) + struct.pack(">ii", 1000, 5000) + wire.string("") + wire.string("consumer")
        body += wire.array([wire.string("range") + wire.bytes_(subscription)])
        r = c.call(wire.JOIN_GROUP, 1, body)
        error, generation, _, _, member = r.take("h"), r.take("i"), r.string(), r.string(), r.string()
        assert error == 0
        assignment = wire.string(member) + wire.bytes_(b"")
        r = c.call(
            wire.SYNC_GROUP,
            0,
            wire.string(group) + struct.pack(">i", generation) + wire.string(member) + wire.array([assignment]),
        )
        assert r.take("h") == 0
    a = Member(cluster, group, topic)
    wait_for(lambda: a.assigned == {0, 1})
    a.leave()


def test_offsets(cluster):
    topic, group = create(cluster, 2), f"g-{uuid.uuid4().hex[:8]}"
    c = consumer(cluster, group)
    mine = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    assert [p.offset for p in c.committed(mine, timeout=SECONDS)] == [OFFSET_INVALID] * 2
    c.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    assert [p.offset for p in c.committed(mine, timeout=SECONDS)] == [5, OFFSET_INVALID]
    c.commit(offsets=[TopicPartition(topic, 0, 2), TopicPartition(topic, 1, 9)], asynchronous=False)
    assert [p.offset for p in c.committed(mine, timeout=SECONDS)] == [2, 9]
    with pytest.raises(KafkaException) as e:
        c.commit(offsets=[TopicPartition(f"{topic}-gone", 0, 2)], asynchronous=False)
    assert code(e) == KafkaError.UNKNOWN_TOPIC_OR_PART
    c.close()


def offset_fetch(c, group, topic, partitions):
    body = wire.string(group) + wire.array([wire.string(topic) + wire.array([struct.pack(">i", p) for p in partitions])])
    r = c.call(wire.OFFSET_FETCH, 1, body)
    return r.array(
        lambda r: (r.string(), r.array(lambda r: (r.take("i"), r.take("q"), r.string(), r.take("h"))))
    )


def offset_commit(c, group, topic, partition, offset, metadata):
    body = wire.string(group) + struct.pack(">i", -1) + wire.string("") + struct.pack(">q", -1)
    body += wire.array([wire.string(topic) + wire.array([struct.pack(">iq", partition, offset) + wire.string(metadata)])])
    r = c.call(wire.OFFSET_COMMIT, 2, body)
    return r.array(lambda r: (r.string(), r.array(lambda r: (r.take("i"), r.take("h")))))


def test_offset_metadata_deletion(cluster):
    topic, group = create(cluster, 2), f"g-{uuid.uuid4().hex[:8]}"
    with wire.Connection(coordinator(cluster, group)) as c:
        # the coordinator's node learns of the new topic a moment after the controller
        wait_for(lambda: offset_commit(c, group, topic, 0, 7, "where I was") == [(topic, [(0, 0)])])
        assert offset_commit(c, group, topic, 1, 7, "x" * 5000) == [(topic, [(1, 12)])]
        assert offset_commit(c, group, topic, 9, 7, "") == [(topic, [(9, 3)])]
        assert offset_fetch(c, group, topic, [0, 1]) == [(topic, [(0, 7, "where I was", 0), (1, -1, "", 0)])]
        body = wire.string(group) + wire.array([wire.string(topic) + wire.array([struct.pack(">i", 0)])])
        r = c.call(wire.OFFSET_DELETE, 0, body)
        assert (r.take("h"), r.take("i")) == (0, 0)
        assert offset_fetch(c, group, topic, [0]) == [(topic, [(0, -1, "", 0)])]
        r = c.call(wire.OFFSET_DELETE, 0, wire.string("no-such-group") + wire.array([]))
        assert r.take("h") in (16, 69)
        offset_commit(c, group, topic, 0, 7, "")
        r = c.call(wire.DELETE_GROUPS, 0, wire.array([wire.string(group)]))
        assert (r.take("i"), r.array(lambda r: (r.string(), r.take("h")))) == (0, [(group, 0)])
        assert offset_fetch(c, group, topic, [0]) == [(topic, [(0, -1, "", 0)])]
        r = c.call(wire.DELETE_GROUPS, 0, wire.array([wire.string(group)]))
        assert (r.take("i"), r.array(lambda r: (r.string(), r.take("h")))) == (0, [(group, 69)])


def test_deleted_topic_takes_its_offsets_along(cluster):
    topic, group = create(cluster), f"g-{uuid.uuid4().hex[:8]}"
    with wire.Connection(coordinator(cluster, group)) as c:
        wait_for(lambda: offset_commit(c, group, topic, 0, 7, "") == [(topic, [(0, 0)])])
        admin(cluster).delete_topics([topic])[topic].result(SECONDS)
        wait_for(lambda: offset_fetch(c, group, topic, [0]) == [(topic, [(0, -1, "", 0)])])


# ---- Transactions ----


def test_transactions(cluster):
    topic = create(cluster, 2)
    p = producer(cluster, **{"transactional.id": f"x-{uuid.uuid4().hex[:8]}"})
    p.init_transactions(SECONDS)
    for word, end in [("one", p.commit_transaction), ("two", p.abort_transaction), ("three", p.commit_transaction)]:
        p.begin_transaction()
        for i in range(20):
            p.produce(topic, f"{word}{i}".encode(), partition=i % 2)
        p.flush(SECONDS)
        end(SECONDS)
    seen = {m.value().decode().rstrip("0123456789") for m in read_all(cluster, topic, 2, **{"isolation.level": "read_committed"})}
    assert seen == {"one", "three"}
    everything = read_all(cluster, topic, 2, **{"isolation.level": "read_uncommitted"})
    assert len(everything) == 60


def test_open_transaction_holds_readers(cluster):
    topic = create(cluster)
    p = producer(cluster, **{"transactional.id": f"x-{uuid.uuid4().hex[:8]}"})
    p.init_transactions(SECONDS)
    p.begin_transaction()
    p.produce(topic, b"later")
    p.flush(SECONDS)
    produce(producer(cluster), topic, [b"plain"])
    c = consumer(cluster, **{"isolation.level": "read_committed"})
    c.assign([TopicPartition(topic, 0, 0)])
    assert c.poll(0.5) is None
    p.commit_transaction(SECONDS)
    assert [m.value() for m in poll_until(c, 2)] == [b"later", b"plain"]
    c.close()


def test_transactional_fencing(cluster):
    topic, name = create(cluster), f"x-{uuid.uuid4().hex[:8]}"
    first, second = (producer(cluster, **{"transactional.id": name}) for _ in range(2))
    first.init_transactions(SECONDS)
    first.begin_transaction()
    first.produce(topic, b"lost")
    first.flush(SECONDS)
    second.init_transactions(SECONDS)  # ends the other's transaction
    with pytest.raises(KafkaException) as e:
        first.commit_transaction(SECONDS)
    assert e.value.args[0].fatal()
    second.begin_transaction()
    second.produce(topic, b"kept")
    second.commit_transaction(SECONDS)
    assert [m.value() for m in read_all(cluster, topic, **{"isolation.level": "read_committed"})] == [b"kept"]


def test_late_transactional_write_is_refused(cluster):
    """A commit of offsets that arrives after its transaction has ended would begin one that nobody ends."""
    topic, group, name = create(cluster), f"g-{uuid.uuid4().hex[:8]}", f"x-{uuid.uuid4().hex[:8]}"
    with wire.Connection(coordinator(cluster, name, 1)) as x, wire.Connection(coordinator(cluster, group)) as c:
        deadline, error = time.monotonic() + SECONDS, 14
        while error == 14 and time.monotonic() < deadline:
            r = x.call(wire.INIT_PRODUCER_ID, 0, wire.string(name) + struct.pack(">i", 60000))
            _, error, producer_id, epoch = r.take("ihqh")
        assert error == 0
        who = struct.pack(">qh", producer_id, epoch)

        def commit(offset):
            body = wire.string(name) + wire.string(group) + who
            body += wire.array([wire.string(topic) + wire.array([struct.pack(">iq", 0, offset) + wire.string("")])])
            r = c.call(wire.TXN_OFFSET_COMMIT, 0, body)
            r.take("i")
            ((_, ((_, error),)),) = r.array(lambda r: (r.string(), r.array(lambda r: (r.take("i"), r.take("h")))))
            return error

        assert commit(1) == 48  # not part of any transaction yet
        r = x.call(wire.ADD_OFFSETS_TO_TXN, 0, wire.string(name) + who + wire.string(group))
        assert r.take("ih") == (0, 0)
        assert commit(2) == 0
        r = x.call(wire.END_TXN, 0, wire.string(name) + who + b"\1")
        assert r.take("ih") == (0, 0)
        wait_for(lambda: offset_fetch(c, group, topic, [0]) == [(topic, [(0, 2, "", 0)])])
        assert commit(3) == 48  # late
        assert offset_fetch(c, group, topic, [0]) == [(topic, [(0, 2, "", 0)])]


def test_consume_transform_produce(cluster):
    source, target, group = create(cluster, 2), create(cluster), f"g-{uuid.uuid4().hex[:8]}"
    produce(producer(cluster), source, [b"%d" % i for i in range(60)])
    c = consumer(cluster, group, **{"isolation.level": "read_committed"})
    c.subscribe([source])
    p = producer(cluster, **{"transactional.id": f"x-{group}"})
    p.init_transactions(SECONDS)
    counted = 0
    while counted < 60:
        p.begin_transaction()
        messages = poll_until(c, 20)
        for m in messages:
            p.produce(target, m.value())
        p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), SECONDS)
        if counted == 20 and messages:  # once, the second batch is given up and read again
            p.abort_transaction(SECONDS)
            counted += 1
            for position in c.committed(c.assignment(), timeout=SECONDS):
                c.seek(TopicPartition(source, position.partition, max(position.offset, 0)))
            continue
        p.commit_transaction(SECONDS)
        counted += 20 if counted != 21 else 19
    committed = sum(max(x.offset, 0) for x in c.committed([TopicPartition(source, i) for i in range(2)], timeout=SECONDS))
    c.close()
    values = [int(m.value()) for m in read_all(cluster, target, **{"isolation.level": "read_committed"})]
    assert committed == 60
    assert sorted(values) == list(range(60))


# ---- Topics, configurations, offsets by time, deletion of records ----


def test_topics(cluster):
    a = admin(cluster)
    topic = create(cluster, 5, **{"retention.ms": "86400000"})
    described = a.list_topics(topic, timeout=SECONDS).topics[topic]
    assert sorted(described.partitions) == list(range(5))
    assert all(p.leader in (1, 2, 3) and p.replicas == [p.leader] == p.isrs for p in described.partitions.values())
    assert {p.leader for p in described.partitions.values()} == {1, 2, 3}
    a.create_partitions([NewPartitions(topic, 7)])[topic].result(SECONDS)
    wait_for(lambda: len(a.list_topics(topic, timeout=SECONDS).topics[topic].partitions) == 7)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    config = a.describe_configs([resource])[resource].result(SECONDS)
    assert config["retention.ms"].value == "86400000" and not config["retention.ms"].is_default
    assert config["segment.bytes"].is_default
    a.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "5000000"})])
    wait_for(lambda: a.describe_configs([resource])[resource].result(SECONDS)["retention.ms"].value == "5000000")
    a.delete_topics([topic])[topic].result(SECONDS)
    wait_for(lambda: topic not in a.list_topics(timeout=SECONDS).topics)


@pytest.mark.parametrize(
    "topic, error",
    [
        (NewTopic("bad name", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("x" * 250, 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("too-many-replicas", 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic("bad-config", 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG),
        (NewTopic("unknown-config", 1, 1, config={"colour": "red"}), KafkaError.INVALID_CONFIG),
    ],
)
def test_topics_refused(cluster, topic, error):
    (future,) = admin(cluster).create_topics([topic]).values()
    with pytest.raises(KafkaException) as e:
        future.result(SECONDS)
    assert code(e) == error


def test_topic_errors(cluster):
    a = admin(cluster)
    topic = create(cluster)
    with pytest.raises(KafkaException) as e:
        create(cluster, name=topic)
    assert code(e) == KafkaError.TOPIC_ALREADY_EXISTS
    with pytest.raises(KafkaException) as e:
        a.delete_topics(["no-such-topic"])["no-such-topic"].result(SECONDS)
    assert code(e) == KafkaError.UNKNOWN_TOPIC_OR_PART
    with pytest.raises(KafkaException) as e:
        a.create_partitions([NewPartitions(topic, 1)])[topic].result(SECONDS)
    assert code(e) == KafkaError.INVALID_PARTITIONS


def test_offsets_by_time(cluster):
    topic = create(cluster)
    p = producer(cluster)
    base = int(time.time() * 1000) - 100000
    for i in range(50):
        p.produce(topic, b"%d" % i, timestamp=base + i * 100)
        if i % 10 == 9:
            p.flush(SECONDS)
    p.flush(SECONDS)
    c = consumer(cluster)

    def at(t):
        return c.offsets_for_times([TopicPartition(topic, 0, t)], timeout=SECONDS)[0].offset

    assert [at(base - 5), at(base), at(base + 1), at(base + 4900)] == [0, 0, 1, 49]
    assert at(base + 4901) == kafka.OFFSET_END
    assert c.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS) == (0, 50)
    c.close()


def test_delete_records(cluster):
    topic = create(cluster)
    produce(producer(cluster), topic, [b"%d" % i for i in range(30)])
    leader = admin(cluster).list_topics(topic, timeout=SECONDS).topics[topic].partitions[0].leader
    with wire.Connection(cluster.ports[leader]) as c:

        def delete(offset):
            body = wire.array([wire.string(topic) + wire.array([struct.pack(">iq", 0, offset)])])
            r = c.call(wire.DELETE_RECORDS, 0, body + struct.pack(">i", 5000))
            r.take("i")
            ((_, ((_, low, error),)),) = r.array(
                lambda r: (r.string(), r.array(lambda r: (r.take("i"), r.take("q"), r.take("h"))))
            )
            return low, error

        assert delete(12) == (12, 0)
        assert delete(31)[1] == 1
    messages = read_all(cluster, topic)
    assert [m.offset() for m in messages] == list(range(12, 30))


# ---- The protocol's edges ----


def test_api_versions(cluster):
    with wire.Connection(cluster.ports[1]) as c:
        r = c.call(wire.API_VERSIONS, 0)
        assert r.take("h") == 0
        ranges = {k: (low, high) for k, low, high in r.array(lambda r: r.take("hhh"))}
        assert ranges[0] == (0, 13) and ranges[1] == (4, 18) and ranges[18] == (0, 4)
        assert ranges[8] == (2, 10) and ranges[9] == (1, 10) and ranges[11] == (0, 9)
        c.send(wire.API_VERSIONS, 99, b"\0")  # an unknown version is answered in version 0
        assert c.receive().take("h") == 35


PROBE = pathlib.Path(os.environ.get("WIRE_PROBE", pathlib.Path(__file__).resolve().parents[2] / "build/tests/wire_probe"))


@pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} is not built")
def test_every_version_is_answered(own_cluster):
    topic = create(own_cluster, 3)
    produce(producer(own_cluster), topic, [b"%d" % i for i in range(10)])
    for name in ["probe-0", "probe-1"]:  # the coordinators' topics
        coordinator(own_cluster, name)
    x = producer(own_cluster, **{"transactional.id": "probe-0"})
    x.init_transactions(SECONDS)
    for port in own_cluster.ports.values():
        began = time.monotonic()
        run = subprocess.run([PROBE, str(port), topic], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout
        assert time.monotonic() - began < 5  # nothing waits behind anything else, say a long poll


def test_malformed_requests_end_the_connection(cluster):
    for frame in [b"\x00\x00\x00\x04\xff\xff\xff\xff", b"\x7f\xff\xff\xff", struct.pack(">ihhih", 10, 999, 0, 1, -1)]:
        with wire.Connection(cluster.ports[2]) as c:
            c.socket.sendall(frame)
            with pytest.raises((ConnectionError, OSError)):
                c.read(1)
    test_cluster(cluster)


def test_wrong_coordinator(cluster):
    group = f"g-{uuid.uuid4().hex[:8]}"
    right = coordinator(cluster, group)
    wrong = next(p for p in cluster.ports.values() if p != right)
    with wire.Connection(wrong) as c:
        r = c.call(wire.HEARTBEAT, 0, wire.string(group) + struct.pack(">i", 1) + wire.string("m"))
        assert r.take("h") == 16
    with wire.Connection(right) as c:
        r = c.call(wire.HEARTBEAT, 0, wire.string(group) + struct.pack(">i", 1) + wire.string("m"))
        assert r.take("h") == 25


def test_client_that_leaves_while_joining(cluster):
    """Its request waits in the coordinator when the connection goes; nothing must come of it."""
    topic, group = create(cluster, 2), f"g-{uuid.uuid4().hex[:8]}"
    a = Member(cluster, group, topic)
    wait_for(lambda: a.assigned == {0, 1})
    subscription = struct.pack(">h", 0) + wire.array([wire.string(topic)]) + struct.pack(">i", -1)
    body = wire.string(group) + struct.pack(">ii", 1000, 2000) + wire.string("") + wire.string("consumer")
    body += wire.array([wire.string("range") + wire.bytes_(subscription)])
    with wire.Connection(coordinator(cluster, group)) as c:
        c.send(wire.JOIN_GROUP, 1, body)
    wait_for(lambda: a.rebalances >= 2 and a.assigned == {0, 1})
    a.leave()


# ---- Restarts ----


def state_of(cluster, topic, group):
    c = consumer(cluster, group)
    try:
        positions = c.committed([TopicPartition(topic, i) for i in range(3)], timeout=SECONDS)
        return (
            sorted((m.partition(), m.offset(), m.value()) for m in read_all(cluster, topic, 3, **{"isolation.level": "read_committed"})),
            [p.offset for p in positions],
        )
    finally:
        c.close()


def test_clean_restart(own_cluster):
    topic, group = create(own_cluster, 3), "restarted"
    done = produce(producer(own_cluster), topic, [b"%d" % i for i in range(500)])
    x = producer(own_cluster, **{"transactional.id": "x"})
    x.init_transactions(SECONDS)
    x.begin_transaction()
    x.produce(topic, b"aborted")
    x.flush(SECONDS)
    x.abort_transaction(SECONDS)
    c = consumer(own_cluster, group)
    c.commit(offsets=[TopicPartition(topic, 0, 11), TopicPartition(topic, 2, 13)], asynchronous=False)
    c.close()
    before = state_of(own_cluster, topic, group)
    assert before == (sorted(done), [11, OFFSET_INVALID, 13])
    own_cluster.stop()
    own_cluster.start()
    assert state_of(own_cluster, topic, group) == before
    more = produce(producer(own_cluster), topic, [b"more"])
    assert more[0][1] >= len([d for d in done if d[0] == more[0][0]])


OLD_MS = 1509827900073  # long past retention.ms


def test_records_with_old_timestamps_stay_until_retention_looks(own_cluster):
    topic = create(own_cluster, 1)
    produce(producer(own_cluster), topic, [b"old"], timestamp=OLD_MS)
    until = time.monotonic() + 4 * 1.0  # the brokers' upkeep runs each second
    while time.monotonic() < until:
        assert [m.value() for m in read_all(own_cluster, topic)] == [b"old"]


def test_retention_looks_as_often_as_it_is_told(tmp_path):
    c = Cluster(tmp_path, 1, **{"log.retention.check.interval.ms": 100, "log.initial.task.delay.ms": 0})
    c.start()
    try:
        topic = create(c, 1)
        done = produce(producer(c), topic, [b"old"], timestamp=OLD_MS)
        k = consumer(c)
        wait_for(lambda: k.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS) == (1, 1))
        k.close()
        assert done[0][1] == 0 and produce(producer(c), topic, [b"new"])[0][1] == 1
        assert [m.value() for m in read_all(c, topic)] == [b"new"]
    finally:
        c.stop()


def test_names_that_begin_with_a_dot(own_cluster):
    """Only "." and ".." are no names."""
    names = [".x", "..x", "...", ".-0", ".lock", "-x"]
    for name in names:
        create(own_cluster, 2, name)
        done = produce(producer(own_cluster), name, [b"1", b"2", b"3"])
        assert len(done) == 3
    for name in (".", ".."):
        with pytest.raises(KafkaException) as e:
            create(own_cluster, 1, name)
        assert e.value.args[0].code() == KafkaError.TOPIC_EXCEPTION
        assert f"'{name}' is not allowed" in e.value.args[0].str()
    own_cluster.stop()
    own_cluster.start()
    for name in names:
        assert sorted(m.value() for m in read_all(own_cluster, name, 2)) == [b"1", b"2", b"3"]
    admin(own_cluster).delete_topics([".x"])[".x"].result(SECONDS)
    own_cluster.kill()
    own_cluster.start()
    assert ".x" not in admin(own_cluster).list_topics(timeout=SECONDS).topics
    assert len(read_all(own_cluster, "..x", 2)) == 3


def test_offsets_survive_compaction(own_cluster):
    topic, group = create(own_cluster, 2), "compacted"
    c = consumer(own_cluster, group)
    c.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    name = "__consumer_offsets"
    config = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    a = admin(own_cluster)
    a.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, set_config=config)])
    segments = lambda: sorted(own_cluster.folder.glob(f"log*/{name}-*/*.log"))  # noqa: E731
    x = producer(own_cluster, **{"transactional.id": "compacted"})
    x.init_transactions(SECONDS)
    sizes = []
    for i in range(2, 40):
        c.commit(offsets=[TopicPartition(topic, 0, i)], asynchronous=False)
        if i % 3 == 0:  # staged and committed, or aborted
            x.begin_transaction()
            x.send_offsets_to_transaction([TopicPartition(topic, 1, i)], c.consumer_group_metadata(), SECONDS)
            (x.abort_transaction if i % 2 else x.commit_transaction)(SECONDS)
        time.sleep(0.05)
        sizes.append(sum(f.stat().st_size for f in segments()))
    wait_for(lambda: sum(f.stat().st_size for f in segments()) < max(sizes) / 2)
    own_cluster.kill()
    own_cluster.start()
    positions = c.committed([TopicPartition(topic, i) for i in range(2)], timeout=SECONDS)
    assert [p.offset for p in positions] == [39, 36]
    c.close()


def test_killed_brokers_lose_nothing_acknowledged(own_cluster):
    topic, group = create(own_cluster, 3), "killed"
    p = producer(own_cluster, **{"enable.idempotence": True, "retry.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
    acknowledged, failed = [], []

    def report(err, m):
        (failed if err else acknowledged).append(err or (m.partition(), m.offset(), m.value()))

    c = consumer(own_cluster, group, **{"reconnect.backoff.max.ms": 200})
    for round_ in range(3):
        for i in range(400):
            p.produce(topic, b"%d-%d" % (round_, i), on_delivery=report)
        p.poll(0.02)
        committed = round_ + 100
        c.commit(offsets=[TopicPartition(topic, 0, committed)], asynchronous=False)
        own_cluster.kill(*([1, 2, 3] if round_ == 2 else [round_ + 2]))
        own_cluster.start(*([1, 2, 3] if round_ == 2 else [round_ + 2]))
    assert p.flush(40) == 0 and not failed
    c.close()
    there, positions = state_of(own_cluster, topic, group)
    assert set(acknowledged) <= set(there)
    assert len(acknowledged) == 1200 and len(there) == 1200  # idempotent: none twice
    assert positions[0] == committed


def test_group_survives_its_coordinator(own_cluster):
    topic, group = create(own_cluster, 4), "survivor"
    a = Member(own_cluster, group, topic, **{"reconnect.backoff.max.ms": 200})
    b = Member(own_cluster, group, topic, **{"reconnect.backoff.max.ms": 200})
    wait_for(lambda: len(a.assigned) == 2 and len(b.assigned) == 2)
    port = coordinator(own_cluster, group)
    broker = next(i for i, p in own_cluster.ports.items() if p == port)
    before = (a.rebalances, b.rebalances)
    own_cluster.kill(broker)
    own_cluster.start(broker)
    p = producer(own_cluster)
    for i in range(4):
        p.produce(topic, b"x", partition=i)
    assert p.flush(SECONDS) == 0
    wait_for(lambda: len(a.values) + len(b.values) == 4)
    (described,) = admin(own_cluster).list_groups(group, timeout=SECONDS)
    assert described.state == "Stable" and len(described.members) == 2
    assert (a.rebalances, b.rebalances) == before  # their generation was in the log
    a.leave()
    b.leave()
