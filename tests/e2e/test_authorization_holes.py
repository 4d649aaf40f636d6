# SPDX-License-Identifier: Apache-2.0
"""What rights on `*`, odd requests and old versions must not reach, asked over the wire as no stock client would ask.
The answers are Apache Kafka's, but for the table in docs/authorization.md."""
import contextlib
import struct
import time
import uuid

import pytest

import kafka_messages
from kafka_messages import CONTROL, ERRORS, NO_ID, TRANSACTIONAL, batch
from kafka_wire import Connection
from system import System

METADATA_LOG, METADATA_LOG_ID = "__cluster_metadata", uuid.UUID(int=1)
INTERNAL = ("__consumer_offsets", "__transaction_state")
OURS = ("_schemas", "__castellan_users")
NO_TOPIC, NO_RIGHT, NO_TXN_RIGHT = "UNKNOWN_TOPIC_OR_PARTITION", "TOPIC_AUTHORIZATION_FAILED", \
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


@pytest.fixture(scope="module")
def system():
    s = System(brokers=1).start()
    yield s
    s.close()


@pytest.fixture
def admin(system):
    with log_in(system, "admin") as c:
        yield c


@pytest.fixture
def alice(system):
    with log_in(system, "alice") as c:
        yield c


@pytest.fixture
def group(system, admin):
    """The group that ask_offset_delete asks about: of one that is not there, nothing is said about topics."""
    create(system, admin, "for-the-group")
    eventually(lambda: coordinator(admin, 0, "holes"), "NONE")  # makes the topic of offsets
    assert eventually(lambda: error(ask_commit(admin, "for-the-group")), "NONE") == "NONE"


def log_in(system, user, node=1):
    return Connection(system.base + node, system.ca, user, system.password(user))


@contextlib.contextmanager
def rules(system, *words, user="alice"):
    """Each is "OPERATIONS --kind name [--prefixed]"; gone at the end."""
    rows = [("--allow", f"User:{user}", "--operation", *w.split()) for w in words]
    for row in rows:
        system.castellan("acl", "add", *row)
    try:
        yield
    finally:
        for row in rows:
            system.castellan("acl", "remove", *row)


def error(code):
    return ERRORS[code]


def eventually(ask, *wanted, seconds=30):
    """Coordinators and new topics need a moment: ask until one of the answers comes."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer in wanted or time.monotonic() > deadline:
            return answer


def create(system, admin, *names, partitions=1):
    topics = [{"Name": n, "NumPartitions": partitions, "ReplicationFactor": 1} for n in names]
    answer = admin.ask("CreateTopics", 7, {"Topics": topics, "timeoutMs": 10000})["Topics"]
    assert {error(t["ErrorCode"]) for t in answer} <= {"NONE", "TOPIC_ALREADY_EXISTS"}, answer
    for n in names:
        ready = ["NONE"] * partitions
        assert eventually(lambda: [error(p["ErrorCode"]) for p in metadata(admin, n)["Partitions"]], ready) == ready
    return {n: metadata(admin, n)["TopicId"] for n in names}


def metadata(c, name, version=12):
    topics = c.ask("Metadata", version, {"Topics": [{"Name": name}], **no_creation(version)})["Topics"]
    assert len(topics) == 1
    return topics[0]


def no_creation(version):
    return {"AllowAutoTopicCreation": False} if version >= 4 else {}


def exists(admin, name):
    return name in [t["Name"] for t in admin.ask("Metadata", 12, {"Topics": None})["Topics"]]


def produce(c, topic, records, txn=None, version=9, partition=0, client_id="probe"):
    values = {"TransactionalId": txn, "Acks": -1, "TimeoutMs": 10000,
              "TopicData": [{"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}]}
    c.correlation += 1
    frame = kafka_messages.request_frame(0, version, values, c.correlation, client_id)
    c.socket.sendall(struct.pack(">i", len(frame)) + frame)
    (n,) = struct.unpack(">i", c.read(4))
    answer = kafka_messages.response(0, version, c.read(n))
    return error(answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"])


def refusals(system, operation, kind, user="alice"):
    _, text = system.admin("GET", "/metrics", user=None)
    labels = f'{{principal="User:{user}",operation="{operation}",type="{kind}"}}'
    found = [line for line in text.splitlines() if line.startswith("castellan_gateway_refusals_total" + labels)]
    return int(found[0].rsplit(" ", 1)[1]) if found else 0


# What may be asked about one topic, and where its error stands.
def ask_fetch(c, t):
    part = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}
    a = c.ask("Fetch", 11, {"MaxWaitMs": 10, "MinBytes": 0, "MaxBytes": 1000, "SessionEpoch": -1,
                            "Topics": [{"Topic": t, "Partitions": [part]}]})
    return a["Responses"][0]["Partitions"][0]["ErrorCode"]


def ask_delete_records(c, t):
    a = c.ask("DeleteRecords", 2, {"TimeoutMs": 1000, "Topics": [
        {"Name": t, "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_list_offsets(c, t):
    a = c.ask("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": t, "Partitions": [
        {"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_leader_epoch(c, t):
    a = c.ask("OffsetForLeaderEpoch", 4, {"ReplicaId": -1, "Topics": [{"Topic": t, "Partitions": [
        {"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_describe_producers(c, t):
    a = c.ask("DescribeProducers", 0, {"Topics": [{"Name": t, "PartitionIndexes": [0]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_create_partitions(c, t):
    a = c.ask("CreatePartitions", 3, {"TimeoutMs": 1000, "ValidateOnly": True, "Topics": [
        {"Name": t, "Count": 99, "Assignments": None}]})
    return a["Results"][0]["ErrorCode"]


def ask_alter_configs(c, t):
    a = c.ask("IncrementalAlterConfigs", 1, {"ValidateOnly": True, "Resources": [
        {"ResourceType": 2, "ResourceName": t,
         "Configs": [{"Name": "retention.ms", "ConfigOperation": 0, "Value": "1000"}]}]})
    return a["Responses"][0]["ErrorCode"]


def ask_old_alter_configs(c, t):
    a = c.ask("AlterConfigs", 1, {"ValidateOnly": True, "Resources": [
        {"ResourceType": 2, "ResourceName": t, "Configs": [{"Name": "retention.ms", "Value": "1000"}]}]})
    return a["Responses"][0]["ErrorCode"]


def ask_describe_configs(c, t):
    a = c.ask("DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": t, "ConfigurationKeys": None}]})
    return a["Results"][0]["ErrorCode"]


def ask_delete(c, t):
    return c.ask("DeleteTopics", 5, {"TopicNames": [t], "TimeoutMs": 1000})["Responses"][0]["ErrorCode"]


def ask_metadata(c, t):
    return metadata(c, t)["ErrorCode"]


def ask_describe_partitions(c, t):
    a = c.ask("DescribeTopicPartitions", 0, {"Topics": [{"Name": t}], "ResponsePartitionLimit": 10})
    return a["Topics"][0]["ErrorCode"]


def coordinator(c, kind, key):
    answer = c.ask("FindCoordinator", 4, {"KeyType": kind, "CoordinatorKeys": [key]})
    return error(answer["Coordinators"][0]["ErrorCode"])


def ask_commit(c, t):
    a = c.ask("OffsetCommit", 8, {"GroupId": "holes", "GenerationIdOrMemberEpoch": -1, "Topics": [
        {"Name": t, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_offset_delete(c, t):
    a = c.ask("OffsetDelete", 0, {"GroupId": "holes", "Topics": [{"Name": t, "Partitions": [{"PartitionIndex": 0}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"] if a["Topics"] else a["ErrorCode"]


def ask_add_to_txn(c, t):
    a = c.ask("AddPartitionsToTxn", 3, {"V3AndBelowTransactionalId": "holes", "V3AndBelowProducerId": 1,
                                        "V3AndBelowTopics": [{"Name": t, "Partitions": [0]}]})
    return a["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"]


def ask_txn_commit(c, t):
    a = c.ask("TxnOffsetCommit", 3, {"TransactionalId": "holes", "GroupId": "holes", "ProducerId": 1, "Topics": [
        {"Name": t, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0}]}]})
    return a["Topics"][0]["Partitions"][0]["ErrorCode"]


def ask_elect(c, t):
    a = c.ask("ElectLeaders", 2, {"TimeoutMs": 1000, "TopicPartitions": [{"Topic": t, "Partitions": [0]}]})
    return a["ReplicaElectionResults"][0]["PartitionResult"][0]["ErrorCode"]


def ask_reassign(c, t):
    a = c.ask("AlterPartitionReassignments", 0, {"TimeoutMs": 1000, "Topics": [
        {"Name": t, "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]})
    return a["Responses"][0]["Partitions"][0]["ErrorCode"]


def ask_log_dirs(c, t):
    a = c.ask("AlterReplicaLogDirs", 2, {"Dirs": [{"Path": "/nowhere", "Topics": [{"Name": t, "Partitions": [0]}]}]})
    return a["Results"][0]["Partitions"][0]["ErrorCode"]


def ask_markers(c, t):
    a = c.ask("WriteTxnMarkers", 1, {"Markers": [{"ProducerId": 7, "TransactionResult": True, "Topics": [
        {"Name": t, "PartitionIndexes": [0]}]}]})
    return a["Markers"][0]["Topics"][0]["Partitions"][0]["ErrorCode"]


def by_id(c, topic):
    part = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}
    fetch = c.ask("Fetch", 13, {"MaxWaitMs": 10, "MinBytes": 0, "MaxBytes": 1000, "SessionEpoch": -1,
                                "Topics": [{"TopicId": topic, "Partitions": [part]}]})
    sent = c.ask("Produce", 13, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
        {"TopicId": topic, "PartitionData": [{"Index": 0, "Records": batch((b"k", b"v"))}]}]})
    deleted = c.ask("DeleteTopics", 6, {"TimeoutMs": 1000, "Topics": [{"Name": None, "TopicId": topic}]})
    described = c.ask("Metadata", 12, {"Topics": [{"Name": None, "TopicId": topic}], **no_creation(12)})
    return {"fetch": error(fetch["Responses"][0]["Partitions"][0]["ErrorCode"]),
            "produce": error(sent["Responses"][0]["PartitionResponses"][0]["ErrorCode"]),
            "delete": error(deleted["Responses"][0]["ErrorCode"]),
            "metadata": error(described["Topics"][0]["ErrorCode"])}


READING = (ask_fetch, ask_describe_producers)
DESCRIBING = (ask_list_offsets, ask_leader_epoch, ask_metadata, ask_describe_partitions, ask_describe_configs)
CHANGING = (ask_delete_records, ask_create_partitions, ask_alter_configs, ask_old_alter_configs, ask_delete)
GROUPS = (ask_commit, ask_offset_delete, ask_add_to_txn, ask_txn_commit)
CLUSTER = (ask_elect, ask_reassign, ask_log_dirs, ask_markers)


def answers(c, topic, asks):
    return {ask.__name__: error(ask(c, topic)) for ask in asks}


def same(asks, answer):
    return {ask.__name__: answer for ask in asks}


def served(c, asks):
    """AlterReplicaLogDirs is Apache Kafka's alone: the bundled broker has one log folder."""
    keys = {k["ApiKey"] for k in c.ask("ApiVersions", 0)["ApiKeys"]}
    return tuple(a for a in asks if a is not ask_log_dirs or kafka_messages.KEYS["AlterReplicaLogDirs"] in keys)


# ---- Reserved names ----
@pytest.mark.parametrize("user", ["alice", "admin"])
def test_the_metadata_log_is_nobodys(system, group, user):
    asks = READING + DESCRIBING + CHANGING + GROUPS + CLUSTER
    with rules(system, "ALL --topic *", "ALL --group *", "ALL --transactional-id *", "ALL --cluster",
               f"ALL --topic {METADATA_LOG}"):
        with log_in(system, user) as c:
            asks = served(c, asks)
            assert answers(c, METADATA_LOG, asks) == same(asks, NO_TOPIC)
            assert produce(c, METADATA_LOG, batch((b"k", b"v"))) == NO_TOPIC
            assert produce(c, METADATA_LOG, batch((b"k", b"v")), client_id="__admin_client") == NO_TOPIC
            assert METADATA_LOG not in [t["Name"] for t in c.ask("Metadata", 12, {"Topics": None})["Topics"]]
            dirs = c.ask("DescribeLogDirs", 4, {"Topics": None})["Results"]
            assert METADATA_LOG not in [t["Name"] for d in dirs for t in d["Topics"]]
            listed = c.ask("ListConfigResources", 1, {"ResourceTypes": [2]})["ConfigResources"]
            assert METADATA_LOG not in [r["ResourceName"] for r in listed]
            assert by_id(c, METADATA_LOG_ID) == dict.fromkeys(by_id(c, METADATA_LOG_ID), "UNKNOWN_TOPIC_ID")
            for version in (2, 7):
                new = [{"Name": METADATA_LOG, "NumPartitions": 1, "ReplicationFactor": 1}]
                (t,) = c.ask("CreateTopics", version, {"Topics": new, "timeoutMs": 1000})["Topics"]
                assert error(t["ErrorCode"]) == "INVALID_REQUEST"
                assert t["ErrorMessage"] == "Creation of internal topic __cluster_metadata is prohibited."


def test_the_metadata_log_tells_nothing_to_whom_has_no_right(alice):
    assert error(ask_fetch(alice, METADATA_LOG)) == NO_RIGHT
    assert error(ask_delete_records(alice, METADATA_LOG)) == NO_RIGHT


@pytest.mark.parametrize("user", ["alice", "admin"])
def test_nobody_writes_internal_topics(system, admin, user):
    for kind in (0, 1):
        eventually(lambda: coordinator(admin, kind, "holes"), "NONE")
    with rules(system, "ALL --topic *", "ALL --transactional-id *"), log_in(system, user) as c:
        for topic in INTERNAL:
            assert produce(c, topic, batch((b"k", b"v"))) == "INVALID_TOPIC_EXCEPTION"
            assert produce(c, topic, batch((b"k", b"v")), client_id="__admin_client") == "INVALID_TOPIC_EXCEPTION"
            assert error(ask_delete_records(c, topic)) == "INVALID_TOPIC_EXCEPTION"
            assert error(ask_add_to_txn(c, topic)) == NO_RIGHT
            assert error(ask_fetch(c, topic)) == "NONE"  # everything else as Kafka


def test_rules_for_everything_do_not_reach_our_topics(system, group, alice):
    refused = READING + CHANGING + GROUPS
    with rules(system, "ALL --topic *", "ALL --topic _ --prefixed", "ALL --group *", "ALL --transactional-id *"):
        for topic in OURS:
            assert answers(alice, topic, refused) == same(refused, NO_RIGHT)
            assert produce(alice, topic, batch((b"k", b"v"))) == NO_RIGHT
            assert answers(alice, topic, DESCRIBING) == same(DESCRIBING, "NONE")
            told = alice.ask("Metadata", 12, {"Topics": [{"Name": topic}], "IncludeTopicAuthorizedOperations": True})
            describe, describe_configs = 8, 10
            assert told["Topics"][0]["TopicAuthorizedOperations"] == 1 << describe | 1 << describe_configs
        with rules(system, "READ --topic _schemas"):
            assert error(ask_fetch(alice, "_schemas")) == "NONE"
            assert produce(alice, "_schemas", batch((b"k", b"v"))) == NO_RIGHT


def test_rights_on_the_cluster_do_not_reach_our_topics(system, alice):
    with rules(system, "ALL --cluster"):
        for topic in OURS:
            asks = served(alice, CLUSTER)
            assert answers(alice, topic, asks) == same(asks, NO_RIGHT)
        for name in ("__castellan_more", "_dek_registry_keys"):
            new = [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]
            (t,) = alice.ask("CreateTopics", 7, {"Topics": new, "timeoutMs": 1000, "validateOnly": True})["Topics"]
            assert error(t["ErrorCode"]) == NO_RIGHT


def test_a_request_may_name_reserved_topics_among_others(system, admin, alice):
    create(system, admin, "among")
    with rules(system, "ALL --cluster", "ALL --topic *"):
        a = alice.ask("WriteTxnMarkers", 1, {"Markers": [
            {"ProducerId": 7, "TransactionResult": True, "Topics": [
                {"Name": METADATA_LOG, "PartitionIndexes": [0]}, {"Name": "among", "PartitionIndexes": [0]}]},
            {"ProducerId": 8, "TransactionResult": True, "Topics": [
                {"Name": "__castellan_users", "PartitionIndexes": [0, 1]}]}]})
        told = {(m["ProducerId"], t["Name"], p["PartitionIndex"]): error(p["ErrorCode"])
                for m in a["Markers"] for t in m["Topics"] for p in t["Partitions"]}
        assert told == {(7, METADATA_LOG, 0): NO_TOPIC, (7, "among", 0): "NONE",
                        (8, "__castellan_users", 0): NO_RIGHT, (8, "__castellan_users", 1): NO_RIGHT}
        a = alice.ask("ElectLeaders", 2, {"TimeoutMs": 1000, "TopicPartitions": [
            {"Topic": METADATA_LOG, "Partitions": [0]}, {"Topic": "among", "Partitions": [0]}]})
        told = {t["Topic"]: error(t["PartitionResult"][0]["ErrorCode"]) for t in a["ReplicaElectionResults"]}
        for kind, wanted in ((0, "NONE"), (1, "CLUSTER_AUTHORIZATION_FAILED")):  # preferred, unclean
            a = alice.ask("ElectLeaders", 2, {"ElectionType": kind, "TimeoutMs": 1000, "TopicPartitions": None})
            assert error(a["ErrorCode"]) == wanted
        assert told == {METADATA_LOG: NO_TOPIC, "among": "ELECTION_NOT_NEEDED"}


def test_transactional_ids_of_ledgers_are_ours(system, alice):
    ours = "castellan-ledger-__castellan_users"
    with rules(system, "ALL --transactional-id *", "ALL --transactional-id castellan --prefixed"):
        (c,) = alice.ask("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": [ours]})["Coordinators"]
        assert error(c["ErrorCode"]) == NO_TXN_RIGHT
        a = alice.ask("InitProducerId", 4, {"TransactionalId": ours, "TransactionTimeoutMs": 60000})
        assert error(a["ErrorCode"]) == NO_TXN_RIGHT
        listed = alice.ask("ListTransactions", 1, {})["TransactionStates"]
        assert not [t for t in listed if t["TransactionalId"].startswith("castellan-ledger-")]
        (t,) = alice.ask("DescribeTransactions", 0, {"TransactionalIds": [ours]})["TransactionStates"]
        assert error(t["ErrorCode"]) == NO_TXN_RIGHT
        a = alice.ask("EndTxn", 3, {"TransactionalId": ours, "ProducerId": 1, "Committed": True})
        assert error(a["ErrorCode"]) == NO_TXN_RIGHT
    system.castellan("user", "add", "carla", "--password-stdin", stdin="a password of hers\n")
    system.castellan("user", "delete", "carla")


@pytest.mark.parametrize("dead", ["__consumer_offsets", "__castellan_users", "_schemas"])
def test_dead_letters_do_not_reach_reserved_topics(system, admin, dead):
    """Not even those of a super user: the gateway writes them with its own rights."""
    topic = f"dead-letters-of{dead}"
    system.castellan("topic", "create", topic, "--set", "castellan.value.schema.validation=id", "--set",
                     f"castellan.schema.dead.letter.topic={dead}", "--partitions", "1")
    assert eventually(lambda: error(metadata(admin, topic)["ErrorCode"]), "NONE") == "NONE"
    assert produce(admin, topic, batch((b"k", b"no schema"))) == "INVALID_RECORD"


def test_groups_of_ours(system, alice):
    with rules(system, "ALL --group *", "ALL --group __ --prefixed", "ALL --topic *"):
        a = alice.ask("OffsetFetch", 7, {"GroupId": "__castellan_any", "Topics": None})
        assert error(a["ErrorCode"]) == "GROUP_AUTHORIZATION_FAILED"
        (g,) = alice.ask("DeleteGroups", 2, {"GroupsNames": ["__castellan_any"]})["Results"]
        assert error(g["ErrorCode"]) == "GROUP_AUTHORIZATION_FAILED"
        (g,) = alice.ask("DescribeConfigs", 4, {"Resources": [
            {"ResourceType": 32, "ResourceName": "__castellan_any", "ConfigurationKeys": None}]})["Results"]
        assert error(g["ErrorCode"]) == "GROUP_AUTHORIZATION_FAILED"


def test_the_reason_can_be_asked_for(system):
    with rules(system, "ALL --topic *"):
        where = "/v1/acls/explain?principal=User:alice&type=TOPIC&operation=READ&name="
        status, told = system.admin("GET", where + "_schemas")
        assert (status, told["allowed"]) == (200, False)
        assert told["explanation"].startswith("refused: the name is reserved")
        assert system.admin("GET", where + "orders")[1]["allowed"]


# ---- Produce ----
def test_transactional_records_need_a_transactional_id(system, admin, alice):
    create(system, admin, "txn-records", partitions=2)
    txn = batch((b"k", b"v"), attributes=TRANSACTIONAL, producer_id=1, producer_epoch=0, sequence=0)
    marker = batch((b"\0\0\0\1", b"\0\0\0\0\0\0"), attributes=TRANSACTIONAL | CONTROL, producer_id=1, producer_epoch=0)
    plain = batch((b"k", b"v"))
    with rules(system, "WRITE,DESCRIBE --topic txn-records"):
        for records in (txn, marker):
            assert produce(alice, "txn-records", records) == NO_TXN_RIGHT
            assert produce(alice, "txn-records", records, txn="not-hers") == NO_TXN_RIGHT
        # the whole request, whichever partition carries them
        parts = [{"Index": 0, "Records": plain}, {"Index": 1, "Records": txn}]
        a = alice.ask("Produce", 9, {"Acks": -1, "TimeoutMs": 10000,
                                     "TopicData": [{"Name": "txn-records", "PartitionData": parts}]})
        codes = [error(x["ErrorCode"]) for x in a["Responses"][0]["PartitionResponses"]]
        assert codes == [NO_TXN_RIGHT, NO_TXN_RIGHT]
        idempotent = batch((b"k", b"v"), producer_id=4711, producer_epoch=0, sequence=0)
        assert produce(alice, "txn-records", idempotent) == "NONE"  # InitProducerId asks for that right, not Produce
        # hidden behind another batch: no second batch is allowed
        assert produce(alice, "txn-records", plain + txn) == "INVALID_RECORD"
        assert produce(alice, "txn-records", txn + plain) == NO_TXN_RIGHT
        assert produce(alice, "txn-records", plain + txn[:40]) == "NONE"  # as Kafka: no whole batch, dropped
        for version in (3, 9, 12):
            assert produce(alice, "txn-records", plain, version=version) == "NONE"
            # a transactional id says nothing over plain records
            assert produce(alice, "txn-records", plain, txn="not-hers", version=version) == "NONE"
    parts = [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]
    a = admin.ask("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": 1,
                                     "Topics": [{"Name": "txn-records", "Partitions": parts}]})
    assert a["Topics"][0]["Partitions"][0]["Offset"] == 8  # one for each success, nothing open


@pytest.mark.parametrize("records", [b"", b"\0" * 11, b"\0" * 61, batch((b"k", b"v"))[:-1], b"\xff" * 80],
                         ids=["none", "short", "zeros", "cut", "ones"])
def test_records_that_are_no_batch_are_not_forwarded(system, admin, alice, records):
    create(system, admin, "no-batch")
    with rules(system, "WRITE,DESCRIBE --topic no-batch"):
        assert produce(alice, "no-batch", records) in ("INVALID_RECORD", "CORRUPT_MESSAGE")
        assert produce(alice, "no-batch", batch((b"k", b"v"))) == "NONE"  # the connection lives on


# ---- Listing ----
def all_pages(c, limit):
    """Every topic a client reaches by the cursor, and every name a cursor tells."""
    topics, cursors, cursor = [], [], None
    for _ in range(200):
        a = c.ask("DescribeTopicPartitions", 0, {"Topics": [], "ResponsePartitionLimit": limit, "Cursor": cursor})
        topics += [(t["Name"], p["PartitionIndex"]) for t in a["Topics"] for p in t["Partitions"]]
        cursor = a["NextCursor"]
        if cursor is None:
            return topics, cursors
        cursors.append(cursor["TopicName"])
    raise AssertionError("the pages do not end")


def test_a_cursor_tells_only_what_may_be_described(system, admin, alice):
    create(system, admin, "page-a", "page-b", "page-c", partitions=2)
    assert all_pages(alice, 1) == ([], [])
    with rules(system, "DESCRIBE --topic page-a", "DESCRIBE --topic page-c"):
        mine = [(n, i) for n in ("page-a", "page-c") for i in (0, 1)]
        for limit in (1, 2, 3, 4, 100):
            topics, cursors = all_pages(alice, limit)
            assert topics == mine
            assert set(cursors) <= {"page-a", "page-c"}

        def ask(names, cursor=None):
            a = alice.ask("DescribeTopicPartitions", 0, {"Topics": [{"Name": n} for n in names],
                                                         "ResponsePartitionLimit": 1, "Cursor": cursor})
            told = [(t["Name"], error(t["ErrorCode"]), [p["PartitionIndex"] for p in t["Partitions"]])
                    for t in a["Topics"]]
            return told, a["NextCursor"] and (a["NextCursor"]["TopicName"], a["NextCursor"]["PartitionIndex"])

        def at(name, index):
            return {"TopicName": name, "PartitionIndex": index}

        # a cursor on what may not be described is only a place to begin
        assert ask([], at("page-b", 1)) == ([("page-c", "NONE", [0])], ("page-c", 1))
        assert ask([], at("page-c", 1)) == ([("page-c", "NONE", [1])], None)
        assert ask([], at("zzz", 0)) == ([], None)
        names = ["page-c", "page-b", "page-a"]
        assert ask(names) == ([("page-a", "NONE", [0]), ("page-b", NO_RIGHT, [])], ("page-a", 1))
        assert ask(names, at("page-a", 1)) == ([("page-a", "NONE", [1]), ("page-b", NO_RIGHT, [])], ("page-c", 0))
        assert ask(names, at("page-b", 0)) == ([("page-c", "NONE", [0]), ("page-b", NO_RIGHT, [])], ("page-c", 1))
        assert ask(["page-a"], at("page-c", 0)) == ([("page-a", "INVALID_REQUEST", [])], None)
        assert ask(["page-a"], at("page-a", -1)) == ([("page-a", "INVALID_REQUEST", [])], None)


def test_all_pages_of_a_super_user(admin):
    topics, _ = all_pages(admin, 3)
    wanted = admin.ask("Metadata", 12, {"Topics": None})["Topics"]
    assert topics == sorted((t["Name"], p["PartitionIndex"]) for t in wanted for p in t["Partitions"])


# ---- Metadata ----
@pytest.mark.parametrize("version", [0, 1, 3, 4, 8, 12])
def test_describing_does_not_make_a_topic(system, admin, alice, version):
    create(system, admin, "made-before")
    values = {"AllowAutoTopicCreation": True} if version >= 4 else {}

    def ask(*names):
        a = alice.ask("Metadata", version, {"Topics": [{"Name": n} for n in names], **values})
        assert a["Brokers"]
        return {t["Name"]: error(t["ErrorCode"]) for t in a["Topics"]}

    mine, hers = f"made-{version}", f"hidden-{version}"
    with rules(system, "DESCRIBE --topic made --prefixed"):
        assert ask(mine, "made-before", hers) == {mine: NO_RIGHT, "made-before": "NONE", hers: NO_RIGHT}
        assert ask(mine) == {mine: NO_RIGHT}
        assert ask(hers) == {hers: NO_RIGHT}
        assert not exists(admin, mine)
        # a right that was not needed is not refused
        before = refusals(system, "CREATE", "CLUSTER"), refusals(system, "CREATE", "TOPIC")
        assert ask("made-before") == {"made-before": "NONE"}
        assert (refusals(system, "CREATE", "CLUSTER"), refusals(system, "CREATE", "TOPIC")) == before
        with rules(system, f"CREATE --topic {mine}"):
            other = f"made-other-{version}"
            answer = ask(mine, other, "made-before")
            assert answer.pop(mine) in ("LEADER_NOT_AVAILABLE", NO_TOPIC, "NONE")  # Kafka says the second
            assert answer == {other: NO_RIGHT, "made-before": "NONE"}
            assert eventually(lambda: exists(admin, mine), True)
            assert not exists(admin, other)


@pytest.mark.parametrize("user", ["alice", "admin"])
def test_reserved_names_are_not_made_on_demand(system, admin, user):
    names = ("__castellan_zzz", "_dek_registry_keys", "__share_group_state", METADATA_LOG)
    with rules(system, "ALL --cluster", "ALL --topic *"), log_in(system, user) as c:
        for version in (1, 12):
            values = {"AllowAutoTopicCreation": True} if version >= 4 else {}
            a = c.ask("Metadata", version, {"Topics": [{"Name": n} for n in names], **values})
            assert {t["Name"]: error(t["ErrorCode"]) for t in a["Topics"]} == dict.fromkeys(names, NO_TOPIC)
    assert not [n for n in names if exists(admin, n)]


def test_an_id_does_not_tell_a_name(system, admin, alice):
    ids = create(system, admin, "by-id", "by-id-hidden")
    nobody = uuid.uuid4()

    def ask(version, *topics):
        named = [{"Name": n, "TopicId": i} for n, i in topics]
        a = alice.ask("Metadata", version, {"Topics": named, **no_creation(version)})
        return sorted(((t["Name"], t["TopicId"], error(t["ErrorCode"])) for t in a["Topics"]), key=str)

    with rules(system, "DESCRIBE --topic by-id"):
        hidden = ids["by-id-hidden"]
        for version in (10, 11):
            assert ask(version, ("by-id", hidden)) == [("by-id", hidden, "INVALID_REQUEST")]
            assert ask(version, ("", hidden)) == [("", hidden, "INVALID_REQUEST")]
        for version in (12, 13):
            assert ask(version, (None, hidden)) == [(None, hidden, NO_RIGHT)]
            assert ask(version, ("by-id", hidden)) == [(None, hidden, NO_RIGHT)]
            assert ask(version, (None, nobody)) == [(None, nobody, "UNKNOWN_TOPIC_ID")]
            assert ask(version, (None, ids["by-id"]), ("by-id-hidden", NO_ID)) == [("by-id", ids["by-id"], "NONE")]
            assert ask(version, ("by-id-hidden", NO_ID)) == [("by-id-hidden", NO_ID, NO_RIGHT)]


def test_a_transaction_does_not_tell_its_topics(system, admin, alice):
    create(system, admin, "txn-seen", "txn-hidden")
    eventually(lambda: error(admin.ask("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": ["told"]})[
        "Coordinators"][0]["ErrorCode"]), "NONE")
    values = {"TransactionalId": "told", "TransactionTimeoutMs": 60000}
    started = {}

    def start():
        started.update(admin.ask("InitProducerId", 4, values))
        return error(started["ErrorCode"])

    assert eventually(start, "NONE") == "NONE"
    who = {"V3AndBelowTransactionalId": "told", "V3AndBelowProducerId": started["ProducerId"],
           "V3AndBelowProducerEpoch": started["ProducerEpoch"]}
    a = admin.ask("AddPartitionsToTxn", 3, {**who, "V3AndBelowTopics": [
        {"Name": n, "Partitions": [0]} for n in ("txn-seen", "txn-hidden")]})
    assert {p["PartitionErrorCode"] for t in a["ResultsByTopicV3AndBelow"] for p in t["ResultsByPartition"]} == {0}
    with rules(system, "DESCRIBE --transactional-id told", "DESCRIBE --topic txn-seen"):
        (t,) = alice.ask("DescribeTransactions", 0, {"TransactionalIds": ["told"]})["TransactionStates"]
        assert t["TransactionState"] == "Ongoing"
        assert [x["Topic"] for x in t["Topics"]] == ["txn-seen"]
    admin.ask("EndTxn", 3, {"TransactionalId": "told", "ProducerId": started["ProducerId"],
                            "ProducerEpoch": started["ProducerEpoch"], "Committed": False})


# ---- Lists of topics ----
BOTH = "You may not specify both topic name and topic id."
NEITHER = "Neither topic name nor id were specified."
TWICE = "Duplicate topic name."
TWICE_ID = "Duplicate topic id."
SAME = "The provided topic name maps to an ID that was already supplied."


def test_delete_topics_by_name_and_id(system, admin, alice):
    ids = create(system, admin, "del-mine", "del-mine2", "del-hers", "del-seen")
    nobody = uuid.uuid4()

    def ask(*topics):
        a = alice.ask("DeleteTopics", 6, {"TimeoutMs": 10000, "Topics": [{"Name": n, "TopicId": i} for n, i in topics]})
        return [(r["Name"], r["TopicId"], error(r["ErrorCode"]),
                 r["ErrorMessage"] if error(r["ErrorCode"]) == "INVALID_REQUEST" else None) for r in a["Responses"]]

    wrong = "INVALID_REQUEST"
    with rules(system, "DELETE --topic del-mine --prefixed", "DESCRIBE --topic del-seen"):
        hers, mine = ids["del-hers"], ids["del-mine"]
        assert ask(("del-mine", hers)) == [("del-mine", hers, wrong, BOTH)]
        assert ask((None, NO_ID)) == [(None, NO_ID, wrong, NEITHER)]
        assert ask(("del-mine", NO_ID), ("del-mine", NO_ID), ("del-mine", NO_ID)) == [("del-mine", NO_ID, wrong, TWICE)]
        assert ask((None, mine), (None, mine)) == [(None, mine, wrong, TWICE_ID)]
        assert ask(("del-mine", NO_ID), (None, mine)) == [("del-mine", mine, wrong, SAME)]
        assert ask((None, hers)) == [(None, hers, NO_RIGHT, None)]
        assert ask((None, ids["del-seen"])) == [("del-seen", ids["del-seen"], NO_RIGHT, None)]
        assert ask(("del-seen", NO_ID)) == [("del-seen", NO_ID, NO_RIGHT, None)]
        with rules(system, "DESCRIBE --topic del-nothing"):
            assert ask(("del-nothing", NO_ID), ("del-seen", NO_ID), ("del-never", NO_ID)) == [
                ("del-nothing", NO_ID, NO_TOPIC, None), ("del-seen", NO_ID, NO_RIGHT, None),
                ("del-never", NO_ID, NO_RIGHT, None)]
        assert ask((None, nobody)) == [(None, nobody, "UNKNOWN_TOPIC_ID", None)]
        assert {n for n in ids if exists(admin, n)} == set(ids)
        assert [(r[0], r[2]) for r in ask(("del-hers", NO_ID), ("del-mine", NO_ID), (None, ids["del-mine2"]))] == [
            ("del-hers", NO_RIGHT), ("del-mine", "NONE"), ("del-mine2", "NONE")]
    a = alice.ask("DeleteTopics", 5, {"TimeoutMs": 1000, "TopicNames": ["nope", "nope", "del-hers"]})
    assert [(r["Name"], error(r["ErrorCode"])) for r in a["Responses"]] == [("nope", wrong), ("del-hers", NO_RIGHT)]
    with rules(system, "ALL --cluster"):  # as in Kafka, for every topic that is not reserved
        assert [(r[0], r[2]) for r in ask(("del-hers", NO_ID), ("__castellan_users", NO_ID))] == [
            ("del-hers", "NONE"), ("__castellan_users", NO_RIGHT)]


def test_create_topics_names_each_once(system, admin, alice):
    def ask(*names):
        topics = [{"Name": n, "NumPartitions": 1, "ReplicationFactor": 1} for n in names]
        a = alice.ask("CreateTopics", 7, {"Topics": topics, "timeoutMs": 10000})
        return [(t["Name"], error(t["ErrorCode"])) for t in a["Topics"]]

    with rules(system, "CREATE --topic new --prefixed"):
        assert ask("new-a", "other", "new-a", METADATA_LOG, "new-b") == [
            ("new-a", "INVALID_REQUEST"), ("other", NO_RIGHT), (METADATA_LOG, "INVALID_REQUEST"), ("new-b", "NONE")]
    assert not exists(admin, "new-a")
    assert exists(admin, "new-b")
