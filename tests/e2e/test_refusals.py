# SPDX-License-Identifier: Apache-2.0
"""What the gateway answers by itself, as Apache Kafka 4.3 does: to a user without rights on the cluster each request that is
refused as a whole item by item, where Kafka's clients look for it (else Kafka's Java client tells of an unknown server
error); and null or an empty text where there is nothing to say."""
import uuid

import pytest

import kafka_wire as wire
from system import System

CLUSTER_REFUSED = 31


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


@pytest.fixture(scope="module")
def alice(castellan):
    with wire.Connection(castellan.base, castellan.ca, "alice", castellan.password("alice")) as c:
        yield c


@pytest.fixture(scope="module")
def admin(castellan):
    with wire.Connection(castellan.base, castellan.ca, "admin", castellan.password("admin")) as c:
        yield c


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


# ---- Nothing to say ----


def test_acls_say_nothing_with_null_or_with_an_empty_text(admin):
    rule = {"ResourceType": 2, "ResourceName": uuid.uuid4().hex, "ResourcePatternType": 3, "Principal": "User:nobody",
            "Host": "*", "Operation": 3, "PermissionType": 3}
    assert admin.ask("CreateAcls", 3, {"Creations": [rule]})["Results"] == [{"ErrorCode": 0, "ErrorMessage": ""}]
    asked = {"ResourceTypeFilter": 2, "ResourceNameFilter": rule["ResourceName"], "PatternTypeFilter": 3,
             "PrincipalFilter": None, "HostFilter": None, "Operation": 1, "PermissionType": 1}
    assert admin.ask("DescribeAcls", 3, asked)["ErrorMessage"] == ""
    (found,) = admin.ask("DeleteAcls", 3, {"Filters": [asked]})["FilterResults"]
    assert (found["ErrorCode"], found["ErrorMessage"]) == (0, None)
    assert [m["ErrorMessage"] for m in found["MatchingAcls"]] == [None]


def test_users_and_quotas_say_nothing_with_an_empty_text(admin):
    asked = {"Components": [{"EntityType": "user", "MatchType": 0, "Match": "nobody"}], "Strict": True}
    assert admin.ask("DescribeClientQuotas", 1, asked)["ErrorMessage"] == ""
    r = admin.ask("DescribeUserScramCredentials", 0, {"Users": [{"Name": "alice"}]})
    assert (r["ErrorMessage"], r["Results"][0]["ErrorMessage"]) == ("", "")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_tokens_that_are_not_served_name_who_asked(alice, version):
    r = alice.ask("CreateDelegationToken", version, {"Renewers": [], "MaxLifetimeMs": -1})
    assert (r["ErrorCode"], r["PrincipalType"], r["PrincipalName"]) == (61, "User", "alice")
    assert (r["IssueTimestampMs"], r["ExpiryTimestampMs"], r["MaxTimestampMs"]) == (0, 0, 0)
