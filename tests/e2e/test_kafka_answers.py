# SPDX-License-Identifier: Apache-2.0
"""What the bundled brokers answer where stock clients do not look closely, byte by byte as Apache Kafka 4.3 does: who may
touch the metadata log and the internal topics, whose transaction a batch belongs to, names given twice, null and empty
texts."""
import struct
import uuid

import pytest

import kafka_wire as wire
from kafka_messages import TRANSACTIONAL, batch
from system import System

UNKNOWN, INVALID_TOPIC, INVALID_REQUEST, DUPLICATE = 3, 17, 42, "Duplicate topic name."
METADATA_LOG = "__cluster_metadata"
NO_ID = bytes(16)


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def broker(cluster):
    with wire.Connection(cluster.ports[1]) as c:
        yield c


def create(c, *topics, partitions=1):
    make = wire.array([wire.string(t) + struct.pack(">ih", partitions, 1) + wire.array([]) + wire.array([]) for t in topics])
    r = c.call(wire.CREATE_TOPICS, 2, make + struct.pack(">i?", 10000, False))
    r.take("i")
    return r.array(lambda r: (r.string(), r.take("h"), r.string()))


def topics_of(c):
    r = c.call(wire.METADATA, 1, struct.pack(">i", -1))
    r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string()))
    r.take("i")
    return {t[1]: len(t[3]) for t in r.array(lambda r: (r.take("h"), r.string(), r.take("?"), r.array(
        lambda r: (r.take("hii"), r.array(lambda r: r.take("i")), r.array(lambda r: r.take("i"))))))}


def leader(cluster, topic, partition=0):
    with wire.Connection(cluster.ports[1]) as c:
        port = c.leader_port(topic, partition)
    with wire.Connection(port) as c:  # which may hear of it later
        assert c.leader_port(topic, partition) == port
    return port


def coordinator(cluster, key, kind):
    """kind: 0 a group's, 1 a transactional id's."""
    with wire.Connection(cluster.ports[1]) as c:
        for _ in range(1000):
            r = c.call(wire.FIND_COORDINATOR, 1, wire.string(key) + struct.pack(">b", kind))
            r.take("i")
            error, _ = r.take("h"), r.string()
            if not error:
                return (r.take("i"), r.string(), r.take("i"))[2]
    raise AssertionError(f"no coordinator of {key}")


# ---- The metadata log ----


def test_nobody_reads_or_writes_the_metadata_log(cluster):
    topic = wire.string(METADATA_LOG)
    for port in cluster.ports.values():
        with wire.Connection(port) as c:
            answer = wire.produce_answer(c.call(wire.PRODUCE, 3, wire.produce_body(METADATA_LOG, {0: batch((None, b"x"))})))
            assert answer[0][0] == UNKNOWN
            for replica in (-1, 7):
                body = struct.pack(">iiiib", replica, 10, 1, 1000, 0) + wire.array([topic + wire.array([struct.pack(">iqi", 0, 0, 1000)])])
                r = c.call(wire.FETCH, 4, body)
                r.take("i")
                found = r.array(lambda r: (r.string(), r.array(lambda r: (r.take("ihqq"), r.array(lambda r: r.take("qq")), r.bytes()))))
                assert found == [(METADATA_LOG, [((0, UNKNOWN, -1, -1), [], b"")])]
            one = wire.array([topic + wire.array([struct.pack(">iq", 0, -1)])])
            r = c.call(wire.LIST_OFFSETS, 1, struct.pack(">i", -1) + one)
            assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("ihqq"))))[0][1][0][1] == UNKNOWN
            one = wire.array([topic + wire.array([struct.pack(">iq", 0, 3)])])
            r = c.call(wire.DELETE_RECORDS, 0, one + struct.pack(">i", 5000))
            r.take("i")
            assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("iqh")))) == [(METADATA_LOG, [(0, -1, UNKNOWN)])]
            r = c.call(23, 2, wire.array([topic + wire.array([struct.pack(">iii", 0, -1, 0)])]))  # OffsetForLeaderEpoch
            r.take("i")
            assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("hiiq"))))[0][1][0][0] == UNKNOWN
            r = c.call_flexible(61, 0, describe_producers(METADATA_LOG))
            r.take("i")
            assert r.compact_array(lambda r: (r.compact_string(), r.compact_array(lambda r: r.take("ih"))))[0][1][0] == (0, UNKNOWN)


def describe_producers(topic):
    return wire.compact_array([wire.compact(topic) + wire.compact_array([struct.pack(">i", 0)]) + wire.NO_TAGS]) + wire.NO_TAGS


def test_only_a_brokers_certificate_opens_the_metadata_log():
    system = System()
    try:
        system.start()
        for role, wanted in (("gateway", UNKNOWN), ("registry", UNKNOWN), ("broker-2", 0), ("broker-3", 0)):
            keystore = system.data / role / "node.keystore.pem"
            with wire.Connection(system.base + 400, str(system.data / "secrets" / "cluster-ca.pem"), keystore=keystore) as c:
                body = struct.pack(">iiiib", 2, 10, 1, 1000, 0) + wire.array(
                    [wire.string(METADATA_LOG) + wire.array([struct.pack(">iqi", 0, 0, 1000)])])
                r = c.call(wire.FETCH, 4, body)
                r.take("i")
                ((_, ((partition, _, records),)),) = r.array(lambda r: (r.string(), r.array(
                    lambda r: (r.take("ihqq"), r.array(lambda r: r.take("qq")), r.bytes()))))
                assert (partition[1], bool(records)) == (wanted, wanted == 0), role
    finally:
        system.close()


def test_no_topic_takes_the_metadata_logs_name(own_cluster):
    """It was made, and took the log's folder: the cluster was gone."""
    with wire.Connection(own_cluster.ports[1]) as c:
        assert create(c, METADATA_LOG, "other") == [
            (METADATA_LOG, INVALID_REQUEST, f"Creation of internal topic {METADATA_LOG} is prohibited."), ("other", 0, None)]
        r = c.call(wire.METADATA, 1, wire.array([wire.string(METADATA_LOG)]))  # nor is it made on demand
        r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string()))
        r.take("i")
        assert r.array(lambda r: (r.take("h"), r.string()))[0] == (UNKNOWN, METADATA_LOG)
        r = c.call(wire.DELETE_TOPICS, 1, wire.array([wire.string(METADATA_LOG)]) + struct.pack(">i", 5000))
        r.take("i")
        assert r.array(lambda r: (r.string(), r.take("h"))) == [(METADATA_LOG, UNKNOWN)]
        r = c.call(37, 0, wire.array([wire.string(METADATA_LOG) + struct.pack(">ii", 3, -1)]) + struct.pack(">i?", 5000, False))
        r.take("i")
        assert r.array(lambda r: (r.string(), r.take("h"), r.string())) == [(METADATA_LOG, UNKNOWN, None)]
        assert METADATA_LOG not in topics_of(c)
    own_cluster.stop()
    own_cluster.start()
    with wire.Connection(own_cluster.ports[1]) as c:
        assert "other" in topics_of(c)


def test_clients_do_not_write_internal_topics(cluster):
    coordinator(cluster, "g", 0), coordinator(cluster, "t", 1)
    for topic in ("__consumer_offsets", "__transaction_state"):
        with wire.Connection(leader(cluster, topic)) as c:
            answer = wire.produce_answer(c.call(wire.PRODUCE, 3, wire.produce_body(topic, {0: batch((None, b"x"))})))
            assert answer[0][0] == INVALID_TOPIC
            one = wire.array([wire.string(topic) + wire.array([struct.pack(">iq", 0, 0)])])
            r = c.call(wire.DELETE_RECORDS, 0, one + struct.pack(">i", 5000))
            r.take("i")
            assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("iqh")))) == [(topic, [(0, -1, INVALID_TOPIC)])]


# ---- Whose transaction ----


class Transaction:
    """One of an id of its own, open in every partition of the topic."""

    def __init__(self, cluster, topic, partitions):
        self.id = name("tx")
        self.cluster, self.topic = cluster, topic
        self.port = coordinator(cluster, self.id, 1)
        with wire.Connection(self.port) as c:
            for _ in range(1000):
                r = c.call(wire.INIT_PRODUCER_ID, 0, wire.string(self.id) + struct.pack(">i", 60000))
                r.take("i")
                if r.take("h") == 0:
                    break
            self.producer, self.epoch = r.take("qh")
            body = wire.string(self.id) + struct.pack(">qh", self.producer, self.epoch)
            body += wire.array([wire.string(topic) + wire.array([struct.pack(">i", p) for p in range(partitions)])])
            r = c.call(24, 0, body)  # AddPartitionsToTxn
            r.take("i")
            assert all(e == 0 for _, e in r.array(lambda r: (r.string(), r.array(lambda r: r.take("ih"))))[0][1])

    def batch(self, sequence, transactional=True):
        return batch((None, b"v"), attributes=TRANSACTIONAL if transactional else 0, producer_id=self.producer,
                     producer_epoch=self.epoch, sequence=sequence)

    def commit(self):
        with wire.Connection(self.port) as c:
            for _ in range(1000):
                r = c.call(wire.END_TXN, 0, wire.string(self.id) + struct.pack(">qh?", self.producer, self.epoch, True))
                r.take("i")
                if r.take("h") == 0:
                    return
        raise AssertionError("not committed")


def put(c, topic, partitions, transactional_id=None):
    """Errors by partition."""
    answer = wire.produce_answer(c.call(wire.PRODUCE, 3, wire.produce_body(topic, partitions, transactional_id)))
    return {p: error for p, (error, _) in answer.items()}


@pytest.fixture
def two(own_cluster):
    """Two open transactions in a topic, both partitions of which one broker leads."""
    cluster = own_cluster
    with wire.Connection(cluster.ports[1]) as c:
        topic = name("t")
        placed = wire.array([struct.pack(">i", p) + wire.array([struct.pack(">i", 1)]) for p in range(2)])
        make = wire.array([wire.string(topic) + struct.pack(">ih", -1, -1) + placed + wire.array([])])
        r = c.call(wire.CREATE_TOPICS, 2, make + struct.pack(">i?", 10000, False))
        assert r.take("i") == 0
        c.leader_port(topic)
    return cluster, topic, Transaction(cluster, topic, 2), Transaction(cluster, topic, 2)


def test_transactional_records_need_the_transactional_id(two):
    cluster, topic, mine, victim = two
    with wire.Connection(leader(cluster, topic)) as c:
        assert put(c, topic, {0: victim.batch(0)}, victim.id) == {0: 0}
        # nobody's id, in an open transaction and in none: for the whole request, also for what is plain
        assert put(c, topic, {0: victim.batch(1), 1: batch((None, b"plain"))}) == {0: 53, 1: 53}
        forged = batch((None, b"v"), attributes=TRANSACTIONAL, producer_id=4711, producer_epoch=0, sequence=0)
        assert put(c, topic, {1: forged}) == {1: 53}
        assert put(c, topic, {0: victim.batch(1)}, victim.id) == {0: 0}  # not a duplicate: nothing was injected
        victim.commit()
        assert put(c, topic, {0: batch((None, b"plain"))}, mine.id) == {0: 0}  # plain records under an id are plain


def test_no_acks_and_no_transactional_id_ends_the_connection(two):
    cluster, topic, _, victim = two
    with wire.Connection(leader(cluster, topic)) as c:
        c.send(wire.PRODUCE, 3, wire.produce_body(topic, {0: victim.batch(0)}, None, 0))
        assert c.is_closed()


def test_records_of_another_producer_are_refused_under_ones_own_id(two):
    cluster, topic, mine, victim = two
    with wire.Connection(leader(cluster, topic)) as c:
        assert put(c, topic, {0: victim.batch(0)}, victim.id) == {0: 0}
        assert put(c, topic, {0: victim.batch(1)}, mine.id) == {0: 49}  # INVALID_PRODUCER_ID_MAPPING
        assert put(c, topic, {0: mine.batch(0), 1: victim.batch(0)}, mine.id) == {0: 49, 1: 49}
        assert put(c, topic, {0: victim.batch(1, False)}) == {0: 48}  # INVALID_TXN_STATE
        assert put(c, topic, {1: victim.batch(0, False)}) == {1: 48}
        assert put(c, topic, {0: victim.batch(1), 1: victim.batch(0)}, victim.id) == {0: 0, 1: 0}
        assert put(c, topic, {0: mine.batch(0)}, mine.id) == {0: 0}


def test_the_owner_is_known_again_after_a_restart(two):
    cluster, topic, mine, victim = two
    with wire.Connection(leader(cluster, topic)) as c:
        assert put(c, topic, {0: victim.batch(0)}, victim.id) == {0: 0}
    cluster.kill(1)
    cluster.start(1)
    with wire.Connection(leader(cluster, topic)) as c:
        for transaction, wanted in ((mine, 49), (victim, 0)):
            error = 19  # NOT_ENOUGH_REPLICAS: the coordinator is not back yet
            while error == 19:
                error = put(c, topic, {0: victim.batch(1)}, transaction.id)[0]
            assert error == wanted


def test_internal_topics_are_not_added_to_a_transaction(two):
    cluster, topic, mine, _ = two
    with wire.Connection(mine.port) as c:
        body = wire.string(mine.id) + struct.pack(">qh", mine.producer, mine.epoch)
        body += wire.array([wire.string(t) + wire.array([struct.pack(">i", 0)]) for t in ("__consumer_offsets", "none", topic)])
        r = c.call(24, 0, body)
        r.take("i")
        errors = {t: e for t, ((_, e),) in r.array(lambda r: (r.string(), r.array(lambda r: r.take("ih"))))}
        assert errors == {"__consumer_offsets": 29, "none": UNKNOWN, topic: 55}


# ---- Names ----


def test_topics_named_twice_are_not_made(broker):
    a, b = name("a"), name("b")
    assert create(broker, a, b, a, a) == [(a, INVALID_REQUEST, DUPLICATE), (b, 0, None)]
    assert a not in topics_of(broker) and b in topics_of(broker)


def test_partitions_asked_for_twice_are_not_added(broker):
    a, b = name("a"), name("b")
    create(broker, a, b)
    more = wire.array([wire.string(t) + struct.pack(">ii", n, -1) for t, n in ((a, 3), (b, 1), (a, 4), ("none", 2))])
    r = broker.call(37, 0, more + struct.pack(">i?", 5000, False))
    r.take("i")
    assert r.array(lambda r: (r.string(), r.take("h"), r.string())) == [
        (a, INVALID_REQUEST, DUPLICATE), (b, 37, "Topic already has 1 partition(s)."), ("none", UNKNOWN, None)]
    assert topics_of(broker)[a] == 1


def delete(c, *asked):
    """asked: (name or None, id); answers as (name, id, error, message)."""
    body = wire.compact_array([wire.compact(n) + i + wire.NO_TAGS for n, i in asked]) + struct.pack(">i", 5000) + wire.NO_TAGS
    r = c.call_flexible(wire.DELETE_TOPICS, 6, body)
    r.take("i")
    return r.compact_array(lambda r: (r.compact_string(), r.take("16s"), r.take("h"), r.compact_string(), r.tags())[:4])


def topic_id(c, topic):
    one = wire.compact_array([NO_ID + wire.compact(topic) + wire.NO_TAGS])
    r = c.call_flexible(wire.METADATA, 12, one + b"\0\0" + wire.NO_TAGS)
    r.take("i")
    r.compact_array(lambda r: (r.take("i"), r.compact_string(), r.take("i"), r.compact_string(), r.tags()))
    r.compact_string(), r.take("i")
    assert r.varint() == 2
    error, found, id_ = r.take("h"), r.compact_string(), r.take("16s")
    return id_ if (error, found) == (0, topic) else None


def test_topics_are_deleted_by_name_or_by_id_and_once(broker):
    a, b, d = name("a"), name("b"), name("d")
    create(broker, a, b, d)
    ids = {t: topic_id(broker, t) for t in (a, b, d)}
    unknown = b"\7" * 16
    assert delete(broker, (None, NO_ID)) == [(None, NO_ID, INVALID_REQUEST, "Neither topic name nor id were specified.")]
    both = "You may not specify both topic name and topic id."
    assert delete(broker, (a, ids[a]), (a, unknown)) == [(a, ids[a], INVALID_REQUEST, both), (a, unknown, INVALID_REQUEST, both)]
    assert delete(broker, (a, NO_ID), (a, NO_ID)) == [(a, NO_ID, INVALID_REQUEST, DUPLICATE)]
    assert delete(broker, (None, ids[a]), (None, ids[a])) == [(None, ids[a], INVALID_REQUEST, "Duplicate topic id.")]
    twice = "The provided topic name maps to an ID that was already supplied."
    assert delete(broker, (a, NO_ID), (None, ids[a])) == [(a, ids[a], INVALID_REQUEST, twice)]
    assert delete(broker, (None, ids[a]), (a, NO_ID)) == [(a, ids[a], INVALID_REQUEST, twice)]
    assert {a, b, d} <= set(topics_of(broker))
    found = delete(broker, (None, NO_ID), ("none", NO_ID), (a, NO_ID), (None, unknown), (None, ids[b]))
    assert [f[:3] for f in found] == [(None, NO_ID, INVALID_REQUEST), ("none", NO_ID, UNKNOWN), (a, ids[a], 0),
                                      (None, unknown, 100), (b, ids[b], 0)]
    assert [f[3] for f in found if f[2] == 0] == [None, None]
    assert not {a, b} & set(topics_of(broker)) and d in topics_of(broker)


def test_names_that_are_none(broker):
    for bad in ("", ".", "..", "a b", "x" * 250, "a/b"):
        assert create(broker, bad)[0][1] == INVALID_TOPIC
        for version in (1, 4):
            r = broker.call(wire.METADATA, version, wire.array([wire.string(bad)]) + b"\1" * (version >= 4))
            r.take("i" * (version >= 3) or "")
            r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string()))
            r.string() if version >= 2 else None
            r.take("i")
            assert r.array(lambda r: (r.take("h"), r.string()))[0] == (INVALID_TOPIC, bad)


@pytest.mark.parametrize("version", [0, 1, 3, 4])
def test_old_metadata_makes_a_topic(broker, version):
    topic = name("made")
    for _ in range(1000):
        r = broker.call(wire.METADATA, version, wire.array([wire.string(topic)]) + b"\1" * (version >= 4))
        if version >= 3:
            r.take("i")
        r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string() if version else None))
        if version >= 2:
            r.string()
        if version >= 1:
            r.take("i")
        found = r.array(lambda r: (r.take("h"), r.string()))[0]
        assert found[1] == topic and found[0] in (0, UNKNOWN, 5)
        if _ == 0:
            assert found[0] == UNKNOWN
        if found[0] == 0:
            return
    raise AssertionError("not made")


# ---- Reassignments ----


def reassign(c, topic, *wanted, change_factor=True):
    """wanted: (partition, replicas or None); answers as (partition, error, message)."""
    version = 0 if change_factor else 1
    items = [struct.pack(">i", p) + wire.compact_array(r if r is None else [struct.pack(">i", i) for i in r]) + wire.NO_TAGS
             for p, r in wanted]
    body = struct.pack(">i", 5000) + (b"" if change_factor else b"\0")
    body += wire.compact_array([wire.compact(topic) + wire.compact_array(items) + wire.NO_TAGS]) + wire.NO_TAGS
    r = c.call_flexible(45, version, body)
    r.take("i")
    if not change_factor:
        r.take("?")
    assert (r.take("h"), r.compact_string()) == (0, None)
    ((name_, answers, _),) = r.compact_array(lambda r: (r.compact_string(), r.compact_array(
        lambda r: (r.take("ih"), r.compact_string(), r.tags())), r.tags()))
    assert name_ == topic
    return [(p, e, message) for (p, e), message, _ in answers]


def test_reassignments(broker, cluster):
    topic = name("t")
    create(broker, topic)
    port = broker.leader_port(topic)
    here = next(i for i, p in cluster.ports.items() if p == port)
    other = 1 + here % 3
    assert reassign(broker, topic, (0, None), (0, [here]), (9, None), (9, [here])) == [
        (0, 85, None), (0, 0, None),
        (9, UNKNOWN, f"Unable to find partition {topic}:9."), (9, UNKNOWN, f"Unable to find partition {topic}:9.")]
    assert reassign(broker, "none", (0, None)) == [(0, UNKNOWN, "Unable to find a topic named none.")]
    wrong = "The manual partition assignment includes "
    assert reassign(broker, topic, (0, []), (0, [here, here]), (0, [99])) == [
        (0, 39, wrong + "an empty replica list."), (0, 39, wrong + f"the broker {here} more than once."),
        (0, 39, wrong + "broker 99, but no such broker is registered.")]
    assert reassign(broker, topic, (0, [here, other]), change_factor=False) == [
        (0, 38, "The replication factor is changed from 1 to 2")]
    for replicas in ([other], [here, other]):
        ((_, error, message),) = reassign(broker, topic, (0, replicas))
        assert error == 39 and f"{topic}-0 stays on broker {here}" in message
    r = broker.call_flexible(46, 0, struct.pack(">i", 5000) + wire.compact_array(None) + wire.NO_TAGS)
    r.take("i")
    assert (r.take("h"), r.compact_string()) == (0, None)


# ---- Groups and others ----


def test_the_empty_group(cluster):
    """Old clients commit in it."""
    topic = name("t")
    with wire.Connection(cluster.ports[1]) as c:
        create(c, topic)
    with wire.Connection(coordinator(cluster, "", 0)) as c:
        body = wire.string("") + struct.pack(">i", -1) + wire.string("") + struct.pack(">q", -1)
        body += wire.array([wire.string(topic) + wire.array([struct.pack(">iq", 0, 7) + wire.string(None)])])
        r = c.call(wire.OFFSET_COMMIT, 2, body)
        assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("ih")))) == [(topic, [(0, 0)])]
        r = c.call(wire.OFFSET_FETCH, 1, wire.string("") + wire.array([wire.string(topic) + wire.array([struct.pack(">i", 0)])]))
        assert r.array(lambda r: (r.string(), r.array(lambda r: (r.take("iq"), r.string(), r.take("h"))))) == [
            (topic, [((0, 7), "", 0)])]
        r = c.call(wire.JOIN_GROUP, 0, wire.string("") + struct.pack(">i", 10000) + wire.string("") + wire.string("consumer") + wire.array([]))
        assert r.take("h") == 24
        r = c.call(wire.DELETE_GROUPS, 0, wire.array([wire.string("")]))
        r.take("i")
        assert r.array(lambda r: (r.string(), r.take("h"))) == [("", 0)]


def test_null_where_nothing_is_said(cluster):
    coordinator(cluster, "g", 0)
    with wire.Connection(cluster.ports[2]) as c:
        for version, text in ((1, "NONE"), (3, "NONE"), (4, "")):  # as Kafka writes it
            old = version < 4
            asked = wire.string if version < 3 else wire.compact
            body = asked("g") + b"\0" if old else b"\0" + wire.compact_array([wire.compact("g")])
            r = c.call(wire.FIND_COORDINATOR, version, body + wire.NO_TAGS * (version >= 3), wire.NO_TAGS * (version >= 3))
            r.tags() if version >= 3 else None
            r.take("i")
            if not old:
                assert r.varint() == 2 and r.compact_string() == "g"
                r.take("i"), r.compact_string(), r.take("i")
            assert (r.take("h"), r.string() if version < 3 else r.compact_string()) == (0, text)
    with wire.Connection(coordinator(cluster, "g", 0)) as c:
        body = wire.compact("none") + struct.pack(">i", 1) + wire.compact("m") + b"\0" + wire.compact(None) * 2 + wire.compact_array([])
        r = c.call_flexible(wire.SYNC_GROUP, 5, body + wire.NO_TAGS)  # says neither protocol type nor name
        assert (r.take("i"), r.take("h")) == (0, 23)
        body = wire.compact("g") + struct.pack(">ii", 1, 1) + wire.compact("") + b"\0" + wire.compact("consumer") + wire.compact_array([])
        r = c.call_flexible(wire.JOIN_GROUP, 9, body + b"\0" + wire.NO_TAGS)
        assert (r.take("i"), r.take("h"), r.take("i"), r.compact_string(), r.compact_string()) == (0, 26, -1, None, None)


def alter_configs(c, *resources):
    items = [struct.pack(">b", 2) + wire.string(t) + wire.array([wire.string(k) + b"\0" + wire.string(v) for k, v in configs])
             for t, configs in resources]
    r = c.call(44, 0, wire.array(items) + b"\0")  # IncrementalAlterConfigs
    r.take("i")
    return r.array(lambda r: (r.take("h"), r.string(), r.take("b"), r.string()))


def test_configurations_of_null_and_named_twice(broker):
    topic = name("t")
    create(broker, topic)
    null = "Null value not supported for : retention.ms"
    assert alter_configs(broker, (topic, [("retention.ms", None)])) == [(INVALID_REQUEST, null, 2, topic)]
    twice = "Each resource must appear at most once."
    assert alter_configs(broker, (topic, [("retention.ms", "1")]), (topic, [("retention.ms", "2")])) == [
        (INVALID_REQUEST, twice, 2, topic)] * 2
    assert alter_configs(broker, (topic, [("retention.ms", "100000")])) == [(0, None, 2, topic)]
    # no name at all asks for every one
    r = broker.call(32, 1, wire.array([struct.pack(">b", 2) + wire.string(topic) + wire.array([])]) + b"\0")
    r.take("i")
    assert r.take("i") == 1 and (r.take("h"), r.string(), r.take("b"), r.string()) == (0, "", 2, topic)
    assert r.take("i") > 20


def test_describe_quorum_tells_of_the_metadata_log_only(broker):
    def ask(topic, partition):
        one = wire.compact_array([wire.compact(topic) + wire.compact_array([struct.pack(">i", partition) + wire.NO_TAGS]) + wire.NO_TAGS])
        r = broker.call_flexible(55, 0, one + wire.NO_TAGS)
        assert r.take("h") == 0
        assert r.varint() == 2 and r.compact_string() == topic and r.varint() == 2
        return r.take("ih")

    assert ask(METADATA_LOG, 0) == (0, 0)
    assert ask(METADATA_LOG, 1) == (1, UNKNOWN)
    assert ask("none", 0) == (0, UNKNOWN)
