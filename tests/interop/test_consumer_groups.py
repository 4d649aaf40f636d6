# SPDX-License-Identifier: Apache-2.0
"""Consumer groups of Kafka's new protocol (KIP-848), with Apache Kafka behind the gateway: names need DESCRIBE, patterns
are resolved at the gateway for each member, assignments tell only what a member may describe. Then what clients decide by
the features of the cluster: transactions of version 2 (KIP-890)."""
import json
import pathlib
import tempfile
import time
import uuid

import pytest

import targets
from authority import Authority
from kafka_messages import TRANSACTIONAL, batch
from kafka_wire import Connection, scram_upsertion
from system import free_port_base
from targets import ADMIN, PASSWORD, Target, serves
from tools import HERE, java_class_path, run_steps, venv_python

ALLOW, ANY_HOST = 3, "*"
TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
READ, WRITE, DESCRIBE = 3, 4, 8
PREFIXED = 4
OK, TOPIC_REFUSED, UNKNOWN_MEMBER = 0, 29, 25
LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16
FENCED_EPOCH, INVALID_PATTERN, TRANSACTION_REFUSED = 110, 128, 53
REBALANCE_MS, HEARTBEAT_MS, FOUND_SECONDS = 60000, 200, 60


class Place:
    """A gateway before an Apache Kafka, and connections to both."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder / "pki")
        base = free_port_base()
        self.kafka = targets.ApacheKafka(folder / "behind", base, authority=self.authority)
        self.gateway = targets.Gateway(folder / "gateway", base + 100, self.authority, self.kafka)
        self.asking = Target("gateway", self.gateway.port)
        self.run = uuid.uuid4().hex[:6]

    def start(self):
        self.kafka.start()
        self.behind = Target("kafka", self.kafka.port, ca=str(self.authority.ca))
        certificate = self.authority.issue("client", "/CN=client")
        self.behind.open = lambda user: Connection(self.kafka.port, ca=str(self.authority.ca), keystore=certificate)
        self.behind.wait(serves)
        self.gateway.start()
        self.asking.wait(serves)
        said = self.asking.admin("AlterUserScramCredentials", 0,
                                 {"Upsertions": [scram_upsertion(u, PASSWORD) for u in ("alice", "bob")]})
        assert all(not r["ErrorCode"] for r in said["Results"]), said
        for user in ("alice", "bob"):
            self.rules(user, (GROUP, "g-", READ, DESCRIBE))
            self.asking.wait(lambda t: t.ask(user, "Metadata", 1, {"Topics": []}))

    def again(self):
        """The gateway stops and starts."""
        self.gateway.close()
        self.gateway.log = open(self.gateway.folder / "gateway.log", "ab")
        self.asking.close()
        self.asking.connections.clear()
        self.gateway.start()
        self.asking.wait(serves)

    def rules(self, user, *rights, add=True):
        """Each right a resource type, the beginning of names, and operations."""
        rows = [{"ResourceType": t, "ResourceName": n, "ResourcePatternType": PREFIXED, "Principal": f"User:{user}",
                 "Host": ANY_HOST, "Operation": o, "PermissionType": ALLOW} for t, n, *os_ in rights for o in os_]
        if add:
            said = self.asking.admin("CreateAcls", 3, {"Creations": rows})["Results"]
        else:
            said = self.asking.admin("DeleteAcls", 3, {"Filters": [
                {"ResourceTypeFilter": r["ResourceType"], "ResourceNameFilter": r["ResourceName"],
                 "PatternTypeFilter": PREFIXED, "PrincipalFilter": r["Principal"], "HostFilter": ANY_HOST,
                 "Operation": r["Operation"], "PermissionType": ALLOW} for r in rows]})["FilterResults"]
        assert all(not r["ErrorCode"] for r in said), said

    def topics(self, *names, behind=False):
        where = self.behind if behind else self.asking
        said = where.admin("CreateTopics", 7, {"Topics": [{"Name": n, "NumPartitions": 1, "ReplicationFactor": 1}
                                                          for n in names], "timeoutMs": 60000})
        assert all(not t["ErrorCode"] for t in said["Topics"]), said
        self.behind.wait(lambda t: set(names) <= t.learn_topics())

    def close(self):
        for one in (self.asking, getattr(self, "behind", None), self.gateway, self.kafka):
            if one:
                one.close()


@pytest.fixture(scope="module")
def place():
    java_class_path("broker")  # skips where it cannot be had
    with tempfile.TemporaryDirectory(prefix="castellan-groups-") as folder:
        it = Place(pathlib.Path(folder))
        try:
            it.start()
            yield it
        except BaseException:
            print(it.gateway.logs(), it.kafka.logs())
            raise
        finally:
            it.close()


@pytest.fixture
def prefix(place):
    """Of the names of one test's topics; alice may read what is under it but for PREFIXsecret."""
    name = f"o{uuid.uuid4().hex[:6]}-"
    place.rules("alice", (TOPIC, name + "a", READ, DESCRIBE), (TOPIC, name + "b", READ, DESCRIBE))
    return name


class Member:
    """A member by hand: says what changed, as clients do."""

    def __init__(self, place, group, user="alice", version=1):
        self.place, self.user, self.version = place, user, version
        self.group, self.id, self.epoch = group, str(uuid.uuid4()), 0
        self.assigned, self.owned, self.count = {}, None, 0

    def beat(self, **more):
        self.count += 1
        said = {"GroupId": self.group, "MemberId": self.id, "MemberEpoch": self.epoch, **more}
        if self.owned is not None:
            said["TopicPartitions"] = [{"TopicId": t, "Partitions": p} for t, p in self.owned.items()]
            self.owned = None
        answer = self.place.asking.ask(self.user, "ConsumerGroupHeartbeat", self.version, said)
        if not answer["ErrorCode"]:
            self.epoch = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            self.assigned = {t["TopicId"]: t["Partitions"] for t in answer["Assignment"]["TopicPartitions"]}
            self.owned = dict(self.assigned)
        return answer

    def join(self, **more):
        self.epoch, self.owned = 0, None
        self.subscription, answers = more, []

        def coordinated(_):
            answers.append(self.beat(RebalanceTimeoutMs=REBALANCE_MS, TopicPartitions=[], **more))
            if answers[-1]["ErrorCode"] == NOT_COORDINATOR:
                self.place.asking.ask(self.user, "FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": [self.group]})
            return answers[-1]["ErrorCode"] not in (LOADING, NOT_AVAILABLE, NOT_COORDINATOR)

        self.place.asking.wait(coordinated)
        return answers[-1]

    def names(self):
        self.place.behind.learn_topics()
        return {self.place.behind.name_of(t) for t in self.assigned}

    def beat_until(self, names, seconds=FOUND_SECONDS):
        """Heartbeats until these topics are assigned; every answer but the last may be about something else."""
        deadline = time.monotonic() + seconds
        while self.names() != names:
            assert time.monotonic() < deadline, (self.names(), names)
            time.sleep(HEARTBEAT_MS / 1000)
            assert self.beat()["ErrorCode"] == OK

    def leave(self):
        self.epoch = -1
        self.beat()


@pytest.fixture
def member(place):
    made = []

    def make(group=None, **more):
        made.append(Member(place, group or f"g-{uuid.uuid4().hex[:6]}", **more))
        return made[-1]

    yield make
    for m in made:
        if m.epoch > 0:
            m.leave()


def described(where, user, group):
    """The members of a group, by id: their pattern and names."""
    answer = where.ask(user, "ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0]
    assert answer["ErrorCode"] == OK, answer
    return {m["MemberId"]: (m["SubscribedTopicRegex"], set(m["SubscribedTopicNames"] or [])) for m in answer["Members"]}


# ---- names ----
def test_names_need_describe_as_in_kafka(place, prefix, member):
    place.topics(prefix + "a", prefix + "secret")
    m = member()
    refused = m.join(SubscribedTopicNames=[prefix + "a", prefix + "secret"])
    assert (refused["ErrorCode"], refused["MemberId"], refused["Assignment"]) == (TOPIC_REFUSED, None, None), refused
    assert m.join(SubscribedTopicNames=[prefix + "a", "__consumer_offsets"])["ErrorCode"] == TOPIC_REFUSED
    assert m.join(SubscribedTopicNames=[prefix + "a"])["ErrorCode"] == OK
    m.beat_until({prefix + "a"})


def test_a_member_is_not_told_of_topics_whose_right_went(place, prefix, member):
    """Names that were told while they might be: the coordinator goes on assigning them."""
    place.topics(prefix + "a", prefix + "b")
    m = member()
    m.join(SubscribedTopicNames=[prefix + "a", prefix + "b"])
    m.beat_until({prefix + "a", prefix + "b"})
    place.rules("alice", (TOPIC, prefix + "b", READ, DESCRIBE), add=False)
    said = place.behind.admin("CreatePartitions", 3, {"Topics": [{"Name": prefix + n, "Count": 2, "Assignments": None}
                                                                 for n in "ab"],
                                                      "TimeoutMs": 60000})
    assert all(not r["ErrorCode"] for r in said["Results"]), said
    deadline = time.monotonic() + FOUND_SECONDS
    while set(map(tuple, m.assigned.values())) != {(0, 1)}:
        assert time.monotonic() < deadline, m.assigned
        assert m.beat()["ErrorCode"] == OK
        time.sleep(HEARTBEAT_MS / 1000)
    assert m.names() == {prefix + "a"}


# ---- patterns ----
def test_forbidden_topics_do_not_starve_a_pattern(place, prefix, member):
    place.topics(*(prefix + n for n in ("a", "b", "secret")))
    m = member()
    assert m.join(SubscribedTopicRegex=prefix + ".*")["ErrorCode"] == OK
    m.beat_until({prefix + "a", prefix + "b"})
    pattern, names = described(place.behind, ADMIN, m.group)[m.id]
    assert not pattern and names == {prefix + "a", prefix + "b"}, "the cluster was shown the pattern"
    assert described(place.asking, ADMIN, m.group)[m.id] == (prefix + ".*", set())


def test_new_topics_are_found(place, prefix, member):
    place.topics(prefix + "a")
    m = member()
    m.join(SubscribedTopicRegex=prefix + "(a|b).*")
    m.beat_until({prefix + "a"})
    place.topics(prefix + "a2", prefix + "secret2")
    m.beat_until({prefix + "a", prefix + "a2"})
    place.topics(prefix + "b", behind=True)  # not through the gateway
    m.beat_until({prefix + "a", prefix + "a2", prefix + "b"})


def test_changed_rules_are_found(place, prefix, member):
    place.topics(*(prefix + n for n in ("a", "b", "c")))
    m = member()
    m.join(SubscribedTopicRegex=prefix + "[abc]")
    m.beat_until({prefix + "a", prefix + "b"})
    place.rules("alice", (TOPIC, prefix + "c", DESCRIBE))
    m.beat_until({prefix + "a", prefix + "b", prefix + "c"})
    place.rules("alice", (TOPIC, prefix + "a", READ, DESCRIBE), add=False)
    m.beat_until({prefix + "b", prefix + "c"})


def test_a_pattern_that_chooses_nothing_waits(place, prefix, member):
    place.topics(prefix + "secret")
    m = member()
    assert m.join(SubscribedTopicRegex=prefix + ".*")["ErrorCode"] == OK
    for _ in range(5):
        assert m.beat()["ErrorCode"] == OK
    assert m.assigned == {}
    place.topics(prefix + "a")
    m.beat_until({prefix + "a"})


def test_names_beside_a_pattern_and_in_its_place(place, prefix, member):
    place.topics(*(prefix + n for n in ("a1", "a2", "b")))
    m = member()
    m.join(SubscribedTopicNames=[prefix + "b"], SubscribedTopicRegex=prefix + "a1")
    m.beat_until({prefix + "a1", prefix + "b"})
    assert described(place.asking, ADMIN, m.group)[m.id] == (prefix + "a1", {prefix + "b"})
    assert m.beat(SubscribedTopicRegex=prefix + "a2")["ErrorCode"] == OK
    m.beat_until({prefix + "a2", prefix + "b"})
    assert m.beat(SubscribedTopicRegex="")["ErrorCode"] == OK
    m.beat_until({prefix + "b"})
    assert described(place.asking, ADMIN, m.group)[m.id][1] == {prefix + "b"}


def test_patterns_that_are_none(place, prefix, member):
    m = member()
    for pattern, why in (("((", "missing closing )"), ("a**", "invalid nested repetition operator"),
                         (r"(?=a)", "invalid or unsupported Perl syntax")):
        refused = m.join(SubscribedTopicRegex=pattern)
        assert refused["ErrorCode"] == INVALID_PATTERN
        asked = place.behind.admin("ConsumerGroupHeartbeat", 1, {"GroupId": m.group, "MemberId": m.id, "MemberEpoch": 0,
            "RebalanceTimeoutMs": REBALANCE_MS, "SubscribedTopicRegex": pattern, "TopicPartitions": []})
        assert (asked["ErrorCode"], asked["ErrorMessage"]) == (refused["ErrorCode"], refused["ErrorMessage"])
        assert why in refused["ErrorMessage"]


def test_one_group_of_two_users(place, prefix, member):
    """Each is shown its own: bob may describe what alice may not, and both subscribe to the same pattern."""
    place.rules("bob", (TOPIC, prefix, READ, DESCRIBE))
    place.topics(*(prefix + n for n in ("a", "secret")))
    alice = member()
    bob = member(alice.group, user="bob")
    for m in (alice, bob):
        assert m.join(SubscribedTopicRegex=prefix + ".*")["ErrorCode"] == OK
    deadline = time.monotonic() + FOUND_SECONDS
    while alice.names() | bob.names() != {prefix + "a", prefix + "secret"} or not bob.names() >= {prefix + "secret"}:
        assert time.monotonic() < deadline, (alice.names(), bob.names())
        assert alice.names() <= {prefix + "a"}
        for m in (alice, bob):
            assert m.beat()["ErrorCode"] == OK
        time.sleep(HEARTBEAT_MS / 1000)
    refused = place.asking.ask("alice", "ConsumerGroupDescribe", 1, {"GroupIds": [alice.group]})["Groups"][0]
    assert (refused["ErrorCode"], refused["Members"]) == (TOPIC_REFUSED, [])


def test_the_gateway_starts_anew(place, prefix, member):
    """A member that it has not heard of is asked to say everything again, once; one that says everything is not."""
    place.topics(prefix + "a")
    pattern, names = member(), member()
    pattern.join(SubscribedTopicRegex=prefix + ".*")
    names.join(SubscribedTopicNames=[prefix + "a"])
    for m in (pattern, names):
        m.beat_until({prefix + "a"})
    place.again()
    assert names.beat(RebalanceTimeoutMs=REBALANCE_MS, SubscribedTopicNames=[prefix + "a"])["ErrorCode"] == OK
    assert names.beat()["ErrorCode"] == OK
    assert pattern.beat()["ErrorCode"] == FENCED_EPOCH
    assert pattern.join(**pattern.subscription)["ErrorCode"] == OK
    place.topics(prefix + "b")
    pattern.beat_until({prefix + "a", prefix + "b"})
    unknown = Member(place, pattern.group)
    unknown.epoch = 7
    assert unknown.beat()["ErrorCode"] == UNKNOWN_MEMBER, "the cluster's own refusal goes first"


# ---- clients ----
def client(place, **more):
    return json.dumps({"broker": f"localhost:{place.gateway.port}", "behind": f"localhost:{place.kafka.port}",
                       "ca": str(place.authority.ca), "password": PASSWORD,
                       "certificate": str(place.authority.folder / "client.pem"), **more})


def test_librdkafka_subscribes_by_pattern(place, prefix):
    """It gets what it may read, now and later, and asks little meanwhile."""
    place.topics(*(prefix + n for n in ("a", "secret")))
    run_steps(venv_python("confluent"), HERE / "python" / "confluent_pattern.py", client(place, prefix=prefix))


def test_java_subscribes_by_pattern(place, prefix):
    place.topics(*(prefix + n for n in ("a", "secret")))
    run_steps("java", "-XX:TieredStopAtLevel=1", "-cp", java_class_path("broker"),
              HERE / "java" / "groups" / "Pattern.java", f"localhost:{place.gateway.port}", PASSWORD, prefix)


# ---- features ----
def features(answer):
    return ({f["Name"]: (f["MinVersion"], f["MaxVersion"]) for f in answer.get("SupportedFeatures", [])},
            {f["Name"]: (f["MinVersionLevel"], f["MaxVersionLevel"]) for f in answer.get("FinalizedFeatures", [])},
            answer.get("FinalizedFeaturesEpoch", -1), answer.get("ZkMigrationReady", False))


@pytest.mark.parametrize("version", [3, 4])
def test_features_are_the_clusters(place, version):
    software = {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"}
    deadline = time.monotonic() + FOUND_SECONDS
    while True:  # the epoch of the one may be read a moment after the other
        ours, theirs = (features(t.admin("ApiVersions", version, software)) for t in (place.asking, place.behind))
        if ours == theirs:
            break
        assert time.monotonic() < deadline, (ours, theirs)
        time.sleep(0.1)
    assert theirs[1]["transaction.version"][1] >= 2 and theirs[2] >= 0


def test_a_changed_feature_is_told(place):
    before = features(place.asking.admin("ApiVersions", 4, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"}))
    try:
        for level, upgrade in ((1, 2), (2, 1)):  # 2: a safe downgrade
            said = place.behind.admin("UpdateFeatures", 1, {"FeatureUpdates": [
                {"Feature": "transaction.version", "MaxVersionLevel": level, "UpgradeType": upgrade}], "timeoutMs": 60000})
            assert said["ErrorCode"] == OK and not any(r["ErrorCode"] for r in said.get("Results", [])), said
            deadline = time.monotonic() + FOUND_SECONDS
            while True:
                now = features(place.asking.admin("ApiVersions", 4, {"ClientSoftwareName": "test",
                                                                     "ClientSoftwareVersion": "1"}))
                if now[1]["transaction.version"][1] == level and now[2] > before[2]:
                    break
                assert time.monotonic() < deadline, now
                time.sleep(0.1)
            before = now
    finally:
        place.behind.admin("UpdateFeatures", 1, {"FeatureUpdates": [
            {"Feature": "transaction.version", "MaxVersionLevel": 2, "UpgradeType": 1}], "timeoutMs": 60000})


def begin(place, user, transactional_id):
    answer = place.asking.ask(user, "InitProducerId", 5, {"TransactionalId": transactional_id,
                                                          "TransactionTimeoutMs": REBALANCE_MS})
    assert answer["ErrorCode"] == OK, answer
    return answer["ProducerId"], answer["ProducerEpoch"]


def produce(place, user, transactional_id, topic, producer, version=12):
    records = batch((None, b"v"), attributes=TRANSACTIONAL, producer_id=producer[0], producer_epoch=producer[1], sequence=0)
    said = place.asking.ask(user, "Produce", version, {
        "TransactionalId": transactional_id, "Acks": -1, "TimeoutMs": 15000,
        "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}]})
    return said["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


def test_produce_adds_partitions_where_the_transactional_id_may_be_written(place, prefix):
    """From version 12 on, Produce itself takes the partition into the transaction: that needs WRITE on its id."""
    topic = prefix + "a"
    place.topics(topic)
    place.rules("alice", (TOPIC, topic, WRITE), (TRANSACTIONAL_ID, prefix, WRITE, DESCRIBE))
    place.rules("bob", (TOPIC, topic, WRITE, DESCRIBE))
    place.asking.wait(lambda t: t.ask("alice", "FindCoordinator", 4, {
        "KeyType": 1, "CoordinatorKeys": [prefix + "x"]})["Coordinators"][0]["ErrorCode"] == OK)
    producer = []

    def begun(_):
        producer[:] = begin(place, "alice", prefix + "x")
        return True

    place.asking.wait(begun)
    assert produce(place, "bob", prefix + "x", topic, producer) == TRANSACTION_REFUSED
    state = place.asking.ask("alice", "DescribeTransactions", 0, {"TransactionalIds": [prefix + "x"]})
    assert state["TransactionStates"][0]["Topics"] == []
    assert produce(place, "alice", prefix + "x", topic, producer) == OK
    state = place.asking.ask("alice", "DescribeTransactions", 0, {"TransactionalIds": [prefix + "x"]})
    assert [t["Topic"] for t in state["TransactionStates"][0]["Topics"]] == [topic]
    ended = place.asking.ask("alice", "EndTxn", 5, {"TransactionalId": prefix + "x", "ProducerId": producer[0],
                                                    "ProducerEpoch": producer[1], "Committed": True})
    assert ended["ErrorCode"] == OK and ended["ProducerEpoch"] > producer[1], "not a transaction of version 2"


def test_a_java_producer_has_transactions_of_version_2(place, prefix):
    place.topics(prefix + "a")
    place.rules("alice", (TOPIC, prefix, READ, WRITE, DESCRIBE), (TRANSACTIONAL_ID, prefix, WRITE, DESCRIBE))
    run_steps("java", "-XX:TieredStopAtLevel=1", "-cp", java_class_path("broker"),
              HERE / "java" / "groups" / "Transactions.java", f"localhost:{place.gateway.port}", PASSWORD, prefix)
