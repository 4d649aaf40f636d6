# SPDX-License-Identifier: Apache-2.0
"""Requests of as many elements as one likes, and record batches, built byte by byte: every list that a client fills and
the gateway takes apart."""
import collections
import gzip
import struct

import kafka_wire as wire
from kafka_messages import batch_around, record
from kafka_wire import compact as text, compact_array as array, varint as uvarint


# ---- encoding ----

def i32(n):
    return struct.pack(">i", n)


def uuid(i):
    return b"\x77" * 8 + struct.pack(">q", i + 1)


def each(n, one):
    return array([one(i) for i in range(n)])


NULL, EMPTY, TAGS = b"\0", b"\1", b"\0"

# ---- requests of n elements ----

class Request(collections.namedtuple("Request", "what user key version flexible body answer")):
    """user: who sends it. answer: the least bytes that each element adds to the answer; 0 where Kafka gives one error
    for all or leaves out what is refused."""

    def frame(self, n):
        head = struct.pack(">hhi", self.key, self.version, 1) + wire.string("many") + (TAGS if self.flexible else b"")
        return head + self.body(n)


NULL, EMPTY, TAGS = b"\0", b"\1", b"\0"
OWN_GROUP, OWN_TXN, OWN_TOPIC, OWN_PREFIX = b"mallory-group", b"mallory-txn", b"mallory-topic", b"mallory-"
PRODUCED = EMPTY + TAGS  # no records; nobody looks at them before the right to write
FETCHED = struct.pack(">iiqiqi", 0, -1, 0, -1, -1, 1 << 20) + TAGS
LISTED = struct.pack(">iiq", 0, -1, -1) + TAGS
COMMITTED = struct.pack(">iqi", 0, 1, -1) + NULL + TAGS
DELETED = struct.pack(">iq", 0, 0) + TAGS
RULE = b"\3" + text(b"User:x") + text(b"*") + b"\3\3" + TAGS
GROUP_COMMIT = text(OWN_GROUP) + i32(-1) + EMPTY + NULL
TRANSACTION = text(OWN_TXN) + struct.pack(">qh", 1, 0)
TXN_COMMIT = text(OWN_TXN) + text(OWN_GROUP) + struct.pack(">qhi", 1, 0, -1) + EMPTY + NULL


def produce(topics):
    return NULL + struct.pack(">hi", -1, 1000) + topics + TAGS


def fetch(topics):
    """Versions 12 to 14."""
    return struct.pack(">iiiibii", -1, 10, 0, 1 << 20, 0, 0, -1) + topics + EMPTY + EMPTY + TAGS


def one_partition(packed):
    return array([packed]) + TAGS


ONE_INDEX = one_partition(i32(0))


def partitions(packed):
    """One topic that may not be touched, n partitions; the index stands first in `packed`."""
    return lambda n: array([text(b"closed") + each(n, lambda i: i32(i) + packed[4:]) + TAGS])


def by_id(one):
    return lambda n: each(n, lambda i: uuid(i) + one)


def by_name(name, user):
    """Requests whose elements are told apart by name: all refused, or every second one allowed, as name(i) has it."""
    def named(one=b"", before=b""):
        return lambda n: each(n, lambda i: before + text(name(i)) + one)

    def old_topics(n):
        return i32(n) + b"".join(wire.string(name(i).decode()) + i32(1) + i32(0) for i in range(n))

    rows = [
        ("Produce, topics", user, 0, 9, lambda n: produce(named(one_partition(i32(0) + PRODUCED))(n)), 20),
        ("DeleteTopics, names", user, 20, 6, lambda n: named(bytes(16) + TAGS)(n) + i32(1000) + TAGS, 19),
        ("FindCoordinator, groups", user, 10, 4, lambda n: b"\0" + named()(n) + TAGS, 15),
        ("FindCoordinator, transactional ids", user, 10, 4, lambda n: b"\1" + named()(n) + TAGS, 15),
        ("DescribeGroups", user, 15, 5, lambda n: named()(n) + b"\0" + TAGS, 15),
        ("ConsumerGroupDescribe", user, 69, 0, lambda n: named()(n) + b"\0" + TAGS, 15),
        ("DeleteGroups", user, 42, 2, lambda n: named()(n) + TAGS, 11),
        ("Metadata, names", user, 3, 12, lambda n: named(TAGS, bytes(16))(n) + b"\0\0" + TAGS, 25),
        ("DescribeTopicPartitions", user, 75, 0, lambda n: named(TAGS)(n) + i32(2000) + b"\xff" + TAGS, 0),
        ("OffsetFetch, groups", user, 9, 8, lambda n: named(NULL + TAGS)(n) + b"\0" + TAGS, 12),
        ("OffsetFetch, topics of an own group", "alice", 9, 8,
         lambda n: array([text(OWN_GROUP) + named(ONE_INDEX)(n) + TAGS]) + b"\0" + TAGS, 0),
        ("Fetch, topics", user, 1, 12, lambda n: fetch(named(one_partition(FETCHED))(n)), 30),
        ("ListOffsets, topics", user, 2, 6, lambda n: i32(-1) + b"\0" + named(one_partition(LISTED))(n) + TAGS, 25),
        ("OffsetForLeaderEpoch, topics", user, 23, 4,
         lambda n: i32(-1) + named(one_partition(struct.pack(">iii", 0, -1, 0) + TAGS))(n) + TAGS, 20),
        ("OffsetCommit, topics of an own group", "alice", 8, 8,
         lambda n: GROUP_COMMIT + named(one_partition(COMMITTED))(n) + TAGS, 15),
        ("OffsetDelete, topics of an own group", "alice", 47, 0,
         lambda n: wire.string(OWN_GROUP.decode()) + old_topics(n), 0),
        ("DescribeConfigs, topics", user, 32, 4, lambda n: named(NULL + TAGS, b"\2")(n) + b"\0\0" + TAGS, 14),
        ("IncrementalAlterConfigs, topics", user, 44, 1, lambda n: named(EMPTY + TAGS, b"\2")(n) + b"\1" + TAGS, 13),
        ("AlterConfigs, topics", user, 33, 2, lambda n: named(EMPTY + TAGS, b"\2")(n) + b"\1" + TAGS, 13),
        ("CreateTopics", user, 19, 7,
         lambda n: named(struct.pack(">ih", 1, 1) + EMPTY + EMPTY + TAGS)(n) + i32(1000) + b"\1" + TAGS, 20),
        ("CreatePartitions", user, 37, 3, lambda n: named(i32(9) + NULL + TAGS)(n) + i32(1000) + b"\1" + TAGS, 12),
        ("DeleteRecords, topics", user, 21, 2,
         lambda n: named(one_partition(DELETED))(n) + i32(1000) + TAGS, 20),
        ("DescribeProducers, topics", user, 61, 0, lambda n: named(ONE_INDEX)(n) + TAGS, 15),
        ("AddPartitionsToTxn, topics", "alice", 24, 3, lambda n: TRANSACTION + named(ONE_INDEX)(n) + TAGS, 15),
        ("TxnOffsetCommit, topics", "alice", 28, 3,
         lambda n: TXN_COMMIT + named(one_partition(COMMITTED))(n) + TAGS, 15),
        ("DescribeTransactions", user, 65, 0, lambda n: named()(n) + TAGS, 15),
        ("ConsumerGroupHeartbeat, topics of an own group", "alice", 68, 0,
         lambda n: text(OWN_GROUP) + EMPTY + i32(0) + NULL + NULL + i32(60000) + named()(n) + NULL + EMPTY + TAGS, 0),
    ]
    return [Request(what, user, key, version, key != 47, body, answer)
            for what, user, key, version, body, answer in rows]


def not_by_name(name):
    """bob may do nothing at all; alice owns one topic, one group and one transactional id; admin may everything."""
    def named(one, before=b""):
        return lambda n: each(n, lambda i: before + text(name(i)) + one)

    rows = [
        ("Produce, partitions of one topic", "bob", 0, 9, lambda n: produce(partitions(i32(0) + PRODUCED)(n)), 20),
        ("Produce, unknown topic ids", "bob", 0, 13, lambda n: produce(by_id(one_partition(i32(0) + PRODUCED))(n)), 20),
        ("Produce, one own topic many times", "alice", 0, 9,
         lambda n: produce(each(n, lambda i: text(OWN_TOPIC) + one_partition(i32(i + 9) + PRODUCED))), 20),
        ("DeleteTopics, unknown ids", "bob", 20, 6,
         lambda n: each(n, lambda i: NULL + uuid(i) + TAGS) + i32(1000) + TAGS, 19),
        ("FindCoordinator, empty keys", "bob", 10, 4, lambda n: b"\0" + array([EMPTY] * n) + TAGS, 8),
        ("DescribeGroups, empty ids", "bob", 15, 5, lambda n: array([EMPTY] * n) + b"\0" + TAGS, 8),
        ("DescribeGroups, one own group many times", "alice", 15, 5,
         lambda n: array([text(b"closed")] + [text(OWN_GROUP)] * n) + b"\0" + TAGS, 15),
        ("Metadata, unknown ids", "bob", 3, 12, lambda n: by_id(NULL + TAGS)(n) + b"\0\0" + TAGS, 20),
        ("Metadata, unknown names", "admin", 3, 12, lambda n: named(TAGS, bytes(16))(n) + b"\0\0" + TAGS, 25),
        ("OffsetFetch, topics of a refused group", "bob", 9, 8,
         lambda n: array([text(b"closed") + named(ONE_INDEX)(n) + TAGS]) + b"\0" + TAGS, 0),
        ("OffsetFetch, one own group many times", "alice", 9, 8,
         lambda n: array([text(OWN_GROUP) + array([text(b"closed") + ONE_INDEX]) + TAGS] * n) + b"\0" + TAGS, 12),
        ("Fetch, partitions of one topic", "bob", 1, 12, lambda n: fetch(partitions(FETCHED)(n)), 30),
        ("Fetch, unknown topic ids", "bob", 1, 13, lambda n: fetch(by_id(one_partition(FETCHED))(n)), 30),
        ("ListOffsets, partitions of one topic", "bob", 2, 6,
         lambda n: i32(-1) + b"\0" + partitions(LISTED)(n) + TAGS, 25),
        ("OffsetCommit, topics of a refused group", "bob", 8, 8,
         lambda n: GROUP_COMMIT + named(one_partition(COMMITTED))(n) + TAGS, 15),
        ("DeleteRecords, partitions of one topic", "bob", 21, 2,
         lambda n: partitions(DELETED)(n) + i32(1000) + TAGS, 14),
        ("AddPartitionsToTxn, topics with a refused id", "bob", 24, 3,
         lambda n: TRANSACTION + named(ONE_INDEX)(n) + TAGS, 15),
        ("LeaveGroup, members of a refused group", "bob", 13, 4,
         lambda n: text(b"closed") + named(NULL + TAGS)(n) + TAGS, 0),
        ("CreateAcls", "bob", 30, 3, lambda n: named(RULE, b"\2")(n) + TAGS, 4),
        ("DeleteAcls", "bob", 31, 3, lambda n: named(RULE, b"\2")(n) + TAGS, 5),
        ("DescribeUserScramCredentials", "bob", 50, 0, lambda n: named(TAGS)(n) + TAGS, 0),
        ("DescribeUserScramCredentials, unknown users", "admin", 50, 0, lambda n: named(TAGS)(n) + TAGS, 12),
        ("AlterUserScramCredentials", "bob", 51, 0, lambda n: named(b"\1" + TAGS)(n) + EMPTY + TAGS, 12),
        ("AlterClientQuotas", "bob", 49, 1,
         lambda n: each(n, lambda i: array([text(b"user") + text(name(i)) + TAGS]) + EMPTY + TAGS) + b"\0" + TAGS, 15),
    ]
    return [Request(what, user, key, version, True, body, answer) for what, user, key, version, body, answer in rows]


def refused_name(i):
    return b"n%07d" % i


def mixed_name(i):
    return (b"n%07d" if i % 2 else OWN_PREFIX + b"%07d") % i


def requests():
    mixed = [r._replace(what=r.what + ", every second allowed") for r in by_name(mixed_name, "alice")
             if r.what != "CreateTopics"]  # its answer tells all settings of each topic
    return by_name(refused_name, "bob") + not_by_name(refused_name) + mixed


def request(what):
    return next(r for r in requests() if r.what == what)


# ---- record batches ----

def bomb(size):
    """A gzip batch of one record of `size` zeros, about a thousandth as long."""
    return batch_around(gzip.compress(record(b"k", bytes(size))), 1, attributes=1)
