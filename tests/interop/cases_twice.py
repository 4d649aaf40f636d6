# SPDX-License-Identifier: Apache-2.0
"""What is asked (see cases.py): lists that name one thing twice, with another between, each with rights on both, on one of
them, on none. Kafka answers once, or for each, or refuses, as the API goes."""
from cases import (add_partitions, case, commit, committed, delete_records, fetch, filled, joined_new, list_offsets,
                   metadata, mine, offset_fetch, produce, transaction)
from cases_admin import TOPIC, configs_of

TUT, GHG, XYX = ("t", "u", "t"), ("g", "h", "g"), ("x", "y", "x")


def on(operation, kind, first, second, before=""):
    return f"{before}{operation} {kind} {first}, {operation} {kind} {second}"


def topics(operation, before=""):
    return on(operation, "topic", "t", "u", before)


def groups(operation):
    return on(operation, "group", "g", "h")


case("Produce", "named twice", topics("WRITE"), own="t u", topics="t u")(lambda r: produce(r, *TUT))
case("Fetch", "named twice", topics("READ"))(lambda r: fetch(r, *TUT))
case("ListOffsets", "named twice", topics("DESCRIBE"))(lambda r: list_offsets(r, *TUT))
case("OffsetForLeaderEpoch", "named twice", topics("DESCRIBE"))(lambda r: {"ReplicaId": -1, "Topics": [
    {"Topic": r(t), "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]} for t in TUT]})
case("DeleteRecords", "named twice", topics("DELETE"), own="t u", topics="t u", prepare=filled("t", "u"))(
    lambda r: delete_records(*map(r, TUT), offset=1))
case("DescribeProducers", "named twice", topics("READ"))(lambda r: {"Topics": [
    {"Name": r(t), "PartitionIndexes": [0]} for t in TUT]})
case("Metadata", "named twice", topics("DESCRIBE"))(lambda r: metadata(*map(r, TUT)))
case("Metadata", "by id, named twice", topics("DESCRIBE"), only=range(12, 99))(lambda r: {
    **metadata(), "Topics": [{"TopicId": r.id(t), "Name": None} for t in TUT]})
case("DescribeTopicPartitions", "named twice", topics("DESCRIBE"))(lambda r: {"Topics": [{"Name": r(t)} for t in TUT]})
case("FindCoordinator", "named twice", groups("DESCRIBE"), only=range(4, 99))(
    lambda r: {"CoordinatorKeys": list(map(r, GHG)), "KeyType": 0})
case("OffsetCommit", "named twice", topics("READ", "READ group g, "), own="g")(lambda r: commit(r, *TUT))
case("OffsetFetch", "topic named twice", topics("DESCRIBE", "DESCRIBE group g, "))(lambda r: offset_fetch(r, "g", *TUT))
case("OffsetFetch", "group named twice", groups("DESCRIBE") + ", DESCRIBE topic t", only=range(8, 99))(
    lambda r: offset_fetch(r, GHG, "t"))
case("OffsetDelete", "named twice", topics("READ", "DELETE group g, "), own="g", prepare=committed("g", topics="tu"))(
    lambda r: {"GroupId": r("g"), "Topics": [{"Name": r(t), "Partitions": [{"PartitionIndex": 0}]} for t in TUT]})
case("DescribeGroups", "named twice", groups("DESCRIBE"))(lambda r: {"Groups": list(map(r, GHG))})
case("DeleteGroups", "named twice", groups("DELETE"), own="g h", prepare=committed("g", "h"))(
    lambda r: {"GroupsNames": list(map(r, GHG))})
case("ConsumerGroupDescribe", "named twice", groups("DESCRIBE") + ", DESCRIBE topic t", own="g", prepare=joined_new)(
    lambda r: {"GroupIds": list(map(r, GHG))})
case("AddPartitionsToTxn", "named twice", topics("WRITE", "WRITE transaction x, "), own="x", only=range(4),
     prepare=transaction())(lambda r: add_partitions(r, *TUT))
case("TxnOffsetCommit", "named twice", topics("READ", "WRITE transaction x, READ group g, "), own="x g",
     prepare=transaction(groups="g"))(lambda r: {**mine(r), "GroupId": r("g"), "Topics": [{"Name": r(t), "Partitions": [
         {"PartitionIndex": 0, "CommittedOffset": 3, "CommittedMetadata": "m"}]} for t in TUT]})
case("DescribeTransactions", "named twice", on("DESCRIBE", "transaction", "x", "y"))(
    lambda r: {"TransactionalIds": list(map(r, XYX))})
case("DescribeConfigs", "named twice", topics("DESCRIBE_CONFIGS"))(lambda r: configs_of(TOPIC, *map(r, TUT)))
case("ElectLeaders", "named twice", "ALTER cluster")(lambda r: {"ElectionType": 0, "TimeoutMs": 10000,
    "TopicPartitions": [{"Topic": r(t), "Partitions": [0]} for t in TUT]})
case("AlterPartitionReassignments", "named twice", "ALTER cluster")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r(t), "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]} for t in TUT]})
case("DescribeLogDirs", "named twice", "DESCRIBE cluster")(lambda r: {"Topics": [
    {"Topic": r(t), "Partitions": [0]} for t in TUT]})
