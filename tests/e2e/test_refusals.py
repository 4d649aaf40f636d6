# SPDX-License-Identifier: Apache-2.0
"""A user without rights on the cluster: each request that is refused as a whole is answered item by item, where Kafka's
clients look for it; without that Kafka's Java client tells of an unknown server error."""
import pytest

import kafka_wire as wire
from system import System

CLUSTER_REFUSED = 31


@pytest.fixture(scope="module")
def alice():
    system = System()
    system.start()
    try:
        with wire.Connection(system.base, system.ca, "alice", system.password("alice")) as c:
            yield c
    finally:
        system.close()


TOPICS = [{"Name": "a", "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}, {"PartitionIndex": 2, "Replicas": None}]},
          {"Name": "b", "Partitions": [{"PartitionIndex": 1, "Replicas": [1]}]}]


def codes(topics, partitions, index, code="ErrorCode"):
    return {t.get("Name", t.get("Topic")): {p[index]: p[code] for p in t[partitions]} for t in topics}


@pytest.mark.parametrize("version", [0, 1])
def test_reassignments(alice, version):
    r = alice.ask("AlterPartitionReassignments", version, {"TimeoutMs": 1000, "Topics": TOPICS})
    assert r["ErrorCode"] == CLUSTER_REFUSED and r["ErrorMessage"]
    assert codes(r["Responses"], "Partitions", "PartitionIndex") == {"a": {0: 31, 2: 31}, "b": {1: 31}}
    assert all(p["ErrorMessage"] for t in r["Responses"] for p in t["Partitions"])


def test_listed_reassignments(alice):
    r = alice.ask("ListPartitionReassignments", 0, {"TimeoutMs": 1000, "Topics": [{"Name": "a", "PartitionIndexes": [0, 2]}]})
    assert r["ErrorCode"] == CLUSTER_REFUSED
    assert [(t["Name"], [p["PartitionIndex"] for p in t["Partitions"]]) for t in r["Topics"]] == [("a", [0, 2])]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_elections(alice, version):
    asked = {"ElectionType": 0, "TopicPartitions": [{"Topic": "a", "Partitions": [0, 2]}], "TimeoutMs": 1000}
    r = alice.ask("ElectLeaders", version, asked)
    assert r.get("ErrorCode", CLUSTER_REFUSED) == CLUSTER_REFUSED
    assert codes(r["ReplicaElectionResults"], "PartitionResult", "PartitionId") == {"a": {0: 31, 2: 31}}


def test_markers(alice):
    marker = {"ProducerId": 7, "ProducerEpoch": 1, "TransactionResult": True, "CoordinatorEpoch": 0,
              "Topics": [{"Name": "a", "PartitionIndexes": [0, 2]}]}
    r = alice.ask("WriteTxnMarkers", 1, {"Markers": [marker]})
    assert [m["ProducerId"] for m in r["Markers"]] == [7]
    assert codes(r["Markers"][0]["Topics"], "Partitions", "PartitionIndex") == {"a": {0: 31, 2: 31}}


def test_scram_users(alice):
    r = alice.ask("DescribeUserScramCredentials", 0, {"Users": [{"Name": "x"}, {"Name": "y"}]})
    assert r["ErrorCode"] == CLUSTER_REFUSED and [u["ErrorCode"] for u in r["Results"]] == [CLUSTER_REFUSED] * 2
    deletion = {"Name": "z", "Mechanism": 1}
    r = alice.ask("AlterUserScramCredentials", 0, {"Deletions": [deletion, {"Name": "y", "Mechanism": 2}], "Upsertions": []})
    assert sorted((u["User"], u["ErrorCode"]) for u in r["Results"]) == [("y", CLUSTER_REFUSED), ("z", CLUSTER_REFUSED)]


def test_log_dirs_and_quorum(alice):
    assert alice.ask("DescribeLogDirs", 4, {"Topics": None})["ErrorCode"] == CLUSTER_REFUSED
    r = alice.ask("DescribeQuorum", 1, {"Topics": []})
    assert (r["ErrorCode"], r["Topics"]) == (CLUSTER_REFUSED, [])
