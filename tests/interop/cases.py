# SPDX-License-Identifier: Apache-2.0
"""What is asked: for every API the gateway serves, its shapes, and the rights that Kafka wants for each. The rights
stand as "OPERATION kind role"; roles t, u are topics, g, h groups, x, y transactional ids (see matrix.py). Here:
records, what there is, groups and transactions; cases_admin.py has the rest."""
import time
import uuid

from kafka_messages import TRANSACTIONAL, batch, prefixed
from matrix import Case

CASES = []
LONG_MS = 900_000  # longer than the whole run: nothing ends by itself
SESSION_MS = 600_000
STAMP = int(time.time() * 1000)  # of every record; old ones would be deleted at once


def case(api, shape, needs="", **more):
    def keep(build):
        CASES.append(Case(api, shape, needs, build, **more))
        return build

    return keep


def records(**more):
    return batch((b"key", b"value"), timestamp=STAMP, **more)


# ---- what comes before ----
def producer(r, role=None):
    said = r.admin("InitProducerId", 4, {"TransactionalId": r(role) if role else None, "TransactionTimeoutMs": LONG_MS})
    r.producer, r.epoch = said["ProducerId"], said["ProducerEpoch"]


def transaction(*topics, groups=()):
    """An open transaction of x."""
    def work(r):
        producer(r, "x")
        mine = {"TransactionalId": r("x"), "ProducerId": r.producer, "ProducerEpoch": r.epoch}
        if topics:
            r.admin("AddPartitionsToTxn", 3, {
                "V3AndBelowTransactionalId": r("x"), "V3AndBelowProducerId": r.producer,
                    "V3AndBelowProducerEpoch": r.epoch,
                "V3AndBelowTopics": [{"Name": r(t), "Partitions": [0]} for t in topics]})
        for g in groups:
            r.admin("AddOffsetsToTxn", 3, {**mine, "GroupId": r(g)})

    return work


def committed(*groups, topics=("t",)):
    def work(r):
        for g in groups:
            r.admin("OffsetCommit", 6, {"GroupId": r(g), "Topics": [
                {"Name": r(t), "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1,
                    "CommittedMetadata": "m"}]} for t in topics]})

    return work


def join(r, member="", protocol="range"):
    subscription = prefixed(1, "ConsumerProtocolSubscription", {"Topics": [r("t")]})
    return {"GroupId": r("g"), "SessionTimeoutMs": SESSION_MS, "RebalanceTimeoutMs": LONG_MS, "MemberId": member,
        "ProtocolType": "consumer",
            "Protocols": [{"Name": protocol, "Metadata": subscription}]}


def joined(r):
    """A member of the classic protocol, in its first generation."""
    said = r.admin("JoinGroup", 3, join(r))
    r.member, r.generation = said["MemberId"], said["GenerationId"]


def synced(r):
    joined(r)
    r.admin("SyncGroup", 2, sync(r))


def sync(r):
    assignment = prefixed(1, "ConsumerProtocolAssignment", {"AssignedPartitions": [{"Topic": r("t"),
        "Partitions": [0]}]})
    return {"GroupId": r("g"), "GenerationId": r.generation, "MemberId": r.member, "ProtocolType": "consumer",
        "ProtocolName": "range",
            "Assignments": [{"MemberId": r.member, "Assignment": assignment}]}


def new_member(r, **more):
    return {"GroupId": r("g"), "MemberId": str(uuid.uuid4()), "MemberEpoch": 0, "RebalanceTimeoutMs": LONG_MS,
            "SubscribedTopicNames": [r("t")], "TopicPartitions": [], **more}


def joined_new(r):
    """A member of the consumer protocol."""
    r.admin("ConsumerGroupHeartbeat", 0, new_member(r))


# ---- records ----
def produce(r, *roles, raw=None, acks=-1, **more):
    topics = [{"Name": r(t), "TopicId": r.id(t), "PartitionData": [{"Index": 0,
        "Records": raw or records()}]} for t in roles]
    return {"Acks": acks, "TimeoutMs": 10000, "TopicData": topics, **more}


case("Produce", "one topic", "WRITE topic t", own="t", topics="t")(lambda r: produce(r, "t"))
case("Produce", "two topics", "WRITE topic t, WRITE topic u", own="t u", topics="t u")(lambda r: produce(r, "t", "u"))
case("Produce", "unknown topic", "WRITE topic t", own="t")(lambda r: produce(r, "t"))
case("Produce", "unknown beside known", "WRITE topic t, WRITE topic u", own="t u",
    topics="u")(lambda r: produce(r, "t", "u"))
case("Produce", "no answer wanted", "WRITE topic t", own="t", topics="t",
    answer=False)(lambda r: produce(r, "t", acks=0))
case("Produce", "wrong acks", "WRITE topic t", own="t", topics="t")(lambda r: produce(r, "t", acks=2))
case("Produce", "no such partition", "WRITE topic t", own="t", topics="t")(lambda r: {
    **produce(r), "TopicData": [{"Name": r("t"), "TopicId": r.id("t"),
        "PartitionData": [{"Index": 7, "Records": records()}]}]})


@case("Produce", "idempotent", "WRITE topic t", own="t", topics="t", prepare=producer)
def _(r):
    return produce(r, "t", raw=records(producer_id=r.producer, producer_epoch=r.epoch, sequence=0))


@case("Produce", "in a transaction", "WRITE transaction x, WRITE topic t", own="t x", topics="t",
    prepare=transaction("t"))
def _(r):
    raw = records(producer_id=r.producer, producer_epoch=r.epoch, sequence=0, attributes=TRANSACTIONAL)
    return produce(r, "t", raw=raw, TransactionalId=r("x"))


@case("Produce", "in a transaction, two topics", "WRITE transaction x, WRITE topic t, WRITE topic u", own="t u x",
    topics="t u",
      prepare=transaction("t", "u"))
def _(r):
    raw = records(producer_id=r.producer, producer_epoch=r.epoch, sequence=0, attributes=TRANSACTIONAL)
    return produce(r, "t", "u", raw=raw, TransactionalId=r("x"))


@case("Produce", "a partition not added to the transaction", "WRITE transaction x, WRITE topic t", own="t x",
    topics="t",
      prepare=transaction())
def _(r):
    raw = records(producer_id=r.producer, producer_epoch=r.epoch, sequence=0, attributes=TRANSACTIONAL)
    return produce(r, "t", raw=raw, TransactionalId=r("x"))


@case("Produce", "transactional records without the id", "WRITE topic t", own="t x", topics="t",
    prepare=transaction("t"),
      also=("WRITE topic t, WRITE transaction x",))
def _(r):
    return produce(r, "t", raw=records(producer_id=r.producer, producer_epoch=r.epoch, sequence=0,
        attributes=TRANSACTIONAL))


case("Produce", "transactional id and plain records", "WRITE transaction x, WRITE topic t", own="t x", topics="t")(
    lambda r: produce(r, "t", TransactionalId=r("x")))


def named(name):
    """A request for a topic by its very name, not a role's."""
    return lambda r: {"Acks": -1, "TimeoutMs": 10000, "TopicData": [
        {"Name": name, "TopicId": r.target.id_of(name), "PartitionData": [{"Index": 0, "Records": records()}]}]}


OURS = "_dek_registry_keys"
RESERVED = ("__consumer_offsets", "__transaction_state", "__cluster_metadata", OURS)
for _name in RESERVED:
    case("Produce", f"to {_name}", "WRITE topic *", about=_name)(named(_name))


def fetch(r, *roles, partition=0, replica=-1, **more):
    topics = [{"Topic": r(t), "TopicId": r.id(t), "Partitions": [
        {"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]} for t in roles]
    return {"ReplicaId": replica, "ReplicaState": {"ReplicaId": replica, "ReplicaEpoch": -1}, "MaxWaitMs": 0,
        "MinBytes": 0,
            "MaxBytes": 1 << 20, "Topics": topics, "ForgottenTopicsData": [], **more}


case("Fetch", "one topic", "READ topic t")(lambda r: fetch(r, "t"))
case("Fetch", "two topics", "READ topic t, READ topic u")(lambda r: fetch(r, "t", "u"))
case("Fetch", "in a session", "READ topic t, READ topic u")(lambda r: fetch(r, "t", "u", SessionEpoch=0))
case("Fetch", "unknown topic", "READ topic t", own="t")(lambda r: fetch(r, "t"))
case("Fetch", "unknown beside known", "READ topic t, READ topic u", own="t")(lambda r: fetch(r, "t", "u"))
case("Fetch", "no such partition", "READ topic t")(lambda r: fetch(r, "t", partition=7))
case("Fetch", "as a follower", "CLUSTER_ACTION cluster", also=("READ topic t",))(lambda r: fetch(r, "t", replica=5))
for _name in RESERVED:
    case("Fetch", f"of {_name}", "READ topic *", about=_name)(lambda r, n=_name: {**fetch(r), "Topics": [
        {"Topic": n, "TopicId": r.target.id_of(n), "Partitions": [{"Partition": 0, "FetchOffset": 1 << 40,
            "PartitionMaxBytes": 1}]}]})


def list_offsets(r, *roles, when=-1, partition=0):
    return {"ReplicaId": -1, "Topics": [{"Name": r(t), "Partitions": [{"PartitionIndex": partition,
        "Timestamp": when}]} for t in roles]}


case("ListOffsets", "two topics", "DESCRIBE topic t, DESCRIBE topic u")(lambda r: list_offsets(r, "t", "u"))
case("ListOffsets", "first", "DESCRIBE topic t", also=("READ topic t",
    "ALTER_CONFIGS topic t"))(lambda r: list_offsets(r, "t", when=-2))
case("ListOffsets", "by time", "DESCRIBE topic t")(lambda r: list_offsets(r, "t", when=STAMP))
case("ListOffsets", "unknown topic", "DESCRIBE topic t", own="t")(lambda r: list_offsets(r, "t"))
case("ListOffsets", "no such partition", "DESCRIBE topic t")(lambda r: list_offsets(r, "t", partition=7))

case("OffsetForLeaderEpoch", "two topics", "DESCRIBE topic t, DESCRIBE topic u")(lambda r: {"ReplicaId": -1, "Topics": [
    {"Topic": r(t), "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]} for t in "tu"]})
case("OffsetForLeaderEpoch", "unknown topic", "DESCRIBE topic t", own="t")(lambda r: {"ReplicaId": -1, "Topics": [
    {"Topic": r("t"), "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}]})
case("OffsetForLeaderEpoch", "as a follower", "CLUSTER_ACTION cluster",
    also=("DESCRIBE topic t",))(lambda r: {"ReplicaId": 5, "Topics": [
    {"Topic": r("t"), "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}]})


def delete_records(*names, offset=0, partition=0):
    return {"TimeoutMs": 10000, "Topics": [{"Name": n, "Partitions": [{"PartitionIndex": partition,
        "Offset": offset}]} for n in names]}


def filled(*roles):
    return lambda r: [r.admin("Produce", 9, produce(r, t)) for t in roles]


case("DeleteRecords", "two topics", "DELETE topic t, DELETE topic u", own="t u", topics="t u",
    prepare=filled("t", "u"))(
    lambda r: delete_records(r("t"), r("u"), offset=1))
case("DeleteRecords", "unknown topic", "DELETE topic t", own="t")(lambda r: delete_records(r("t")))
case("DeleteRecords", "unknown beside known", "DELETE topic t, DELETE topic u", own="t u", topics="u",
    prepare=filled("u"))(
    lambda r: delete_records(r("t"), r("u"), offset=1))
for _name in RESERVED:
    case("DeleteRecords", f"of {_name}", "DELETE topic *", about=_name)(lambda r, n=_name: delete_records(n))

case("DescribeProducers", "two topics", "READ topic t, READ topic u", also=("DESCRIBE topic t",))(lambda r: {"Topics": [
    {"Name": r(t), "PartitionIndexes": [0]} for t in "tu"]})
case("DescribeProducers", "unknown topic", "READ topic t", own="t")(lambda r: {"Topics": [{"Name": r("t"),
    "PartitionIndexes": [0]}]})


# ---- what there is ----
def metadata(*names, create=False, operations=True):
    return {"Topics": [{"Name": n} for n in names], "AllowAutoTopicCreation": create,
        "IncludeClusterAuthorizedOperations": operations,
            "IncludeTopicAuthorizedOperations": operations}


OLD_METADATA = range(4)  # they always create
case("Metadata", "two topics", "DESCRIBE topic t, DESCRIBE topic u",
    also=("READ topic t, DELETE topic t", "ALTER_CONFIGS topic t"))(
    lambda r: metadata(r("t"), r("u")))
case("Metadata", "no operations asked", "DESCRIBE topic t")(lambda r: metadata(r("t"), operations=False))
case("Metadata", "all topics", "DESCRIBE topic t, DESCRIBE topic u", also=("DESCRIBE cluster",))(
    lambda r: {**metadata(), "Topics": [] if r.version == 0 else None})
case("Metadata", "no topics", "DESCRIBE topic t", only=range(1, 99))(lambda r: metadata())
case("Metadata", "unknown topic", "DESCRIBE topic t", own="t", only=range(4, 99))(lambda r: metadata(r("t")))
case("Metadata", "unknown beside known", "DESCRIBE topic t, DESCRIBE topic u", own="t",
    only=range(4, 99))(lambda r: metadata(r("t"), r("u")))
case("Metadata", "creates a topic", "CREATE topic t, DESCRIBE topic t", own="t",
     also=("CREATE cluster", "CREATE cluster, DESCRIBE topic t", "ALL topic t"))(lambda r: metadata(r("t"),
         create=True))
case("Metadata", "an impossible name", "DESCRIBE topic *, CREATE topic *")(lambda r: metadata("no/such name",
    create=True))
case("Metadata", "by id", "DESCRIBE topic t, DESCRIBE topic u", only=range(10, 99))(lambda r: {
    **metadata(), "Topics": [{"TopicId": r.id(t), "Name": None} for t in "tu"]})
case("Metadata", "by an unknown id", "DESCRIBE topic *", only=range(10, 99), own="t")(lambda r: {
    **metadata(), "Topics": [{"TopicId": r.id("t"), "Name": None}]})
case("Metadata", "of reserved topics", "DESCRIBE topic *", only=range(4, 99))(lambda r: metadata(*RESERVED[:3]))
case("DescribeTopicPartitions", "two topics", "DESCRIBE topic t, DESCRIBE topic u")(lambda r: {"Topics": [{"Name": r(
    t)} for t in "tu"]})
case("DescribeTopicPartitions", "all topics", "DESCRIBE topic t, DESCRIBE topic u")(lambda r: {"Topics": []})
case("DescribeTopicPartitions", "all from a cursor on", "DESCRIBE topic t, DESCRIBE topic u")(
    lambda r: {"Topics": [], "Cursor": {"TopicName": "a", "PartitionIndex": 0}})
case("DescribeTopicPartitions", "named from a cursor on", "DESCRIBE topic t, DESCRIBE topic u")(
    lambda r: {"Topics": [{"Name": r(t)} for t in "tu"], "Cursor": {"TopicName": r("u"), "PartitionIndex": 0}})
case("DescribeTopicPartitions", "one by one", "DESCRIBE topic t, DESCRIBE topic u")(
    lambda r: {"Topics": [{"Name": r(t)} for t in "tu"], "ResponsePartitionLimit": 1})
case("DescribeTopicPartitions", "unknown topic", "DESCRIBE topic t", own="t")(lambda r: {"Topics": [{"Name": r("t")}]})
case("DescribeCluster", "nodes and rights", "DESCRIBE cluster", also=("ALTER cluster, CREATE cluster",))(
    lambda r: {"IncludeClusterAuthorizedOperations": True})
case("DescribeCluster", "nodes", "DESCRIBE cluster")(lambda r: {})
case("DescribeCluster", "controllers", "DESCRIBE cluster", only=range(1, 99))(lambda r: {"EndpointType": 2})
case("DescribeCluster", "fenced nodes", "DESCRIBE cluster", only=range(2, 99))(lambda r: {"IncludeFencedBrokers": True})
case("ApiVersions", "ask")(lambda r: {"ClientSoftwareName": "probe", "ClientSoftwareVersion": "1"})
case("ApiVersions", "a name that is none", only=range(3, 99))(lambda r: {"ClientSoftwareName": "!",
    "ClientSoftwareVersion": ""})
case("SaslHandshake", "a mechanism that is none")(lambda r: {"Mechanism": "NONE-SUCH"})
case("SaslAuthenticate", "without a handshake")(lambda r: {"AuthBytes": b"\0nobody\0nothing"})

# ---- groups ----
case("FindCoordinator", "of a group", "DESCRIBE group g", only=range(4),
    also=("READ group g",))(lambda r: {"Key": r("g"), "KeyType": 0})
case("FindCoordinator", "of a transactional id", "DESCRIBE transaction x",
    only=range(1, 4))(lambda r: {"Key": r("x"), "KeyType": 1})
case("FindCoordinator", "of groups", "DESCRIBE group g, DESCRIBE group h", only=range(4, 99))(
    lambda r: {"CoordinatorKeys": [r("g"), r("h")], "KeyType": 0})
case("FindCoordinator", "of transactional ids", "DESCRIBE transaction x, DESCRIBE transaction y", only=range(4, 99))(
    lambda r: {"CoordinatorKeys": [r("x"), r("y")], "KeyType": 1})
case("FindCoordinator", "of a share partition", "CLUSTER_ACTION cluster", only=[5, 6])(
    lambda r: {"CoordinatorKeys": [f"{r('g')}:{uuid.UUID(int=5)}:0"], "KeyType": 2})
case("FindCoordinator", "of an unknown kind", "DESCRIBE group g")(lambda r: {"Key": r("g"), "CoordinatorKeys": [r("g")],
    "KeyType": 9})

case("JoinGroup", "first", "READ group g", own="g", also=("DESCRIBE group g",))(join)
case("JoinGroup", "a member again", "READ group g", own="g", prepare=joined)(lambda r: join(r, r.member))
case("JoinGroup", "an empty group id", "READ group *")(lambda r: {**join(r), "GroupId": ""})
case("SyncGroup", "leader", "READ group g", own="g", prepare=joined)(sync)
case("SyncGroup", "unknown member", "READ group g")(lambda r: {**SYNC_NOBODY, "GroupId": r("g")})
SYNC_NOBODY = {"GenerationId": 1, "MemberId": "nobody", "ProtocolType": "consumer", "ProtocolName": "range",
    "Assignments": []}
case("Heartbeat", "member", "READ group g", own="g", prepare=synced)(lambda r: {
    "GroupId": r("g"), "GenerationId": r.generation, "MemberId": r.member})
case("Heartbeat", "unknown member", "READ group g")(lambda r: {"GroupId": r("g"), "GenerationId": 1,
    "MemberId": "nobody"})
case("LeaveGroup", "member", "READ group g", own="g", prepare=synced)(lambda r: {
    "GroupId": r("g"), "MemberId": r.member, "Members": [{"MemberId": r.member}]})
case("LeaveGroup", "unknown member", "READ group g")(lambda r: {"GroupId": r("g"), "MemberId": "nobody",
    "Members": [{"MemberId": "nobody"}]})


def commit(r, *roles, partition=0, **more):
    return {"GroupId": r("g"), "Topics": [{"Name": r(t), "TopicId": r.id(t), "Partitions": [
        {"PartitionIndex": partition, "CommittedOffset": 5, "CommittedMetadata": "m"}]} for t in roles], **more}


case("OffsetCommit", "two topics", "READ group g, READ topic t, READ topic u", own="g")(lambda r: commit(r, "t", "u"))
case("OffsetCommit", "as a member", "READ group g, READ topic t", own="g", prepare=synced)(lambda r: commit(
    r, "t", GenerationIdOrMemberEpoch=r.generation, MemberId=r.member))
case("OffsetCommit", "unknown topic", "READ group g, READ topic t", own="g t")(lambda r: commit(r, "t"))
case("OffsetCommit", "unknown beside known", "READ group g, READ topic t, READ topic u",
    own="g t")(lambda r: commit(r, "t", "u"))
case("OffsetCommit", "no such partition", "READ group g, READ topic t", own="g")(lambda r: commit(r, "t", partition=7))
case("OffsetCommit", "no topics", "READ group g", own="g")(lambda r: commit(r))


def offset_fetch(r, groups, *roles, everything=False, **more):
    topics = None if everything else [{"Name": r(t), "TopicId": r.id(t), "PartitionIndexes": [0]} for t in roles]
    old = None if everything else [{k: v for k, v in t.items() if k != "TopicId"} for t in topics]
    return {"GroupId": r(groups[0]), "Topics": old, "Groups": [{"GroupId": r(g), "Topics": topics} for g in groups],
        **more}


case("OffsetFetch", "two topics", "DESCRIBE group g, DESCRIBE topic t, DESCRIBE topic u")(lambda r: offset_fetch(r, "g",
    "t", "u"))
case("OffsetFetch", "every topic", "DESCRIBE group g, DESCRIBE topic t, DESCRIBE topic u", only=range(2, 99))(
    lambda r: offset_fetch(r, "g", everything=True))
case("OffsetFetch", "no topics", "DESCRIBE group g")(lambda r: offset_fetch(r, "g"))
case("OffsetFetch", "two groups", "DESCRIBE group g, DESCRIBE group h, DESCRIBE topic t, DESCRIBE topic u",
    only=range(8, 99))(
    lambda r: offset_fetch(r, "gh", "t", "u"))
case("OffsetFetch", "two groups, every topic", "DESCRIBE group g, DESCRIBE group h, DESCRIBE topic t, DESCRIBE topic u",
     only=range(8, 99))(lambda r: offset_fetch(r, "gh", everything=True))
case("OffsetFetch", "unknown topic", "DESCRIBE group g, DESCRIBE topic t", own="t")(lambda r: offset_fetch(r, "g", "t"))
case("OffsetFetch", "unknown group", "DESCRIBE group g, DESCRIBE topic t", own="g")(lambda r: offset_fetch(r, "g", "t"))
case("OffsetFetch", "stable", "DESCRIBE group g, DESCRIBE topic t",
    only=range(7, 99))(lambda r: offset_fetch(r, "g", "t", RequireStable=True))
case("OffsetDelete", "two topics", "DELETE group g, READ topic t, READ topic u", own="g",
    prepare=committed("g", topics="tu"))(
    lambda r: {"GroupId": r("g"), "Topics": [{"Name": r(t), "Partitions": [{"PartitionIndex": 0}]} for t in "tu"]})
case("OffsetDelete", "unknown group", "DELETE group g, READ topic t", own="g")(
    lambda r: {"GroupId": r("g"), "Topics": [{"Name": r("t"), "Partitions": [{"PartitionIndex": 0}]}]})
case("OffsetDelete", "unknown topic", "DELETE group g, READ topic t", own="g t", prepare=lambda r: r.admin(
    "OffsetCommit", 6, {"GroupId": r("g"), "Topics": [{"Name": r("u"), "Partitions": [
        {"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]}]}))(
    lambda r: {"GroupId": r("g"), "Topics": [{"Name": r("t"), "Partitions": [{"PartitionIndex": 0}]}]})

case("DescribeGroups", "two groups", "DESCRIBE group g, DESCRIBE group h", also=("READ group g, DELETE group g",))(
    lambda r: {"Groups": [r("g"), r("h")], "IncludeAuthorizedOperations": True})
case("DescribeGroups", "a member", "DESCRIBE group g, DESCRIBE topic t", own="g",
    prepare=synced)(lambda r: {"Groups": [r("g")]})
case("DescribeGroups", "unknown group", "DESCRIBE group g", own="g")(lambda r: {"Groups": [r("g")]})
case("ListGroups", "all", "DESCRIBE group g, DESCRIBE group h", also=("DESCRIBE cluster", "READ group g"))(lambda r: {})
case("ListGroups", "by state", "DESCRIBE group g, DESCRIBE group h", only=[4, 5])(lambda r: {"StatesFilter": ["Empty"]})
case("ListGroups", "by type", "DESCRIBE group g, DESCRIBE group h", only=[5])(lambda r: {"TypesFilter": ["classic"]})
case("DeleteGroups", "two groups", "DELETE group g, DELETE group h", own="g h", prepare=committed("g", "h"),
    also=("DESCRIBE group g",))(
    lambda r: {"GroupsNames": [r("g"), r("h")]})
case("DeleteGroups", "unknown group", "DELETE group g", own="g")(lambda r: {"GroupsNames": [r("g")]})
case("DeleteGroups", "with a member", "DELETE group g", own="g", prepare=synced)(lambda r: {"GroupsNames": [r("g")]})
case("ConsumerGroupHeartbeat", "join", "READ group g, DESCRIBE topic t", own="g")(new_member)
case("ConsumerGroupHeartbeat", "join two topics", "READ group g, DESCRIBE topic t, DESCRIBE topic u", own="g")(
    lambda r: new_member(r, SubscribedTopicNames=[r("t"), r("u")]))
case("ConsumerGroupHeartbeat", "unknown topic", "READ group g, DESCRIBE topic t", own="g t")(new_member)
case("ConsumerGroupHeartbeat", "by pattern", "READ group g, DESCRIBE topic t", own="g", only=[1])(
    lambda r: new_member(r, SubscribedTopicNames=None, SubscribedTopicRegex="t-shared"))
case("ConsumerGroupHeartbeat", "a pattern that is none", "READ group g, DESCRIBE topic t", own="g", only=[1])(
    lambda r: new_member(r, SubscribedTopicNames=None, SubscribedTopicRegex="(("))
case("ConsumerGroupHeartbeat", "unknown member", "READ group g", own="g")(lambda r: {
    "GroupId": r("g"), "MemberId": "nobody", "MemberEpoch": 3})
case("ConsumerGroupDescribe", "members", "DESCRIBE group g, DESCRIBE topic t", own="g", prepare=joined_new)(
    lambda r: {"GroupIds": [r("g")], "IncludeAuthorizedOperations": True})
case("ConsumerGroupDescribe", "two groups", "DESCRIBE group g, DESCRIBE group h, DESCRIBE topic t", own="g",
    prepare=joined_new)(
    lambda r: {"GroupIds": [r("g"), r("h")]})
case("ConsumerGroupDescribe", "unknown group", "DESCRIBE group g", own="g")(lambda r: {"GroupIds": [r("g")]})

# ---- transactions ----
case("InitProducerId", "without a transaction", "IDEMPOTENT_WRITE cluster",
    also=("WRITE topic t", "READ topic t", "WRITE cluster"))(
    lambda r: {"TransactionalId": None, "TransactionTimeoutMs": LONG_MS})
case("InitProducerId", "transactional", "WRITE transaction x", own="x",
    also=("DESCRIBE transaction x", "IDEMPOTENT_WRITE cluster"))(
    lambda r: {"TransactionalId": r("x"), "TransactionTimeoutMs": LONG_MS})
case("InitProducerId", "an empty id", "WRITE transaction *")(lambda r: {"TransactionalId": "",
    "TransactionTimeoutMs": LONG_MS})
case("InitProducerId", "too long a time", "WRITE transaction x",
    own="x")(lambda r: {"TransactionalId": r("x"), "TransactionTimeoutMs": 1 << 30})


def add_partitions(r, *roles):
    topics = [{"Name": r(t), "Partitions": [0]} for t in roles]
    return {"V3AndBelowTransactionalId": r("x"), "V3AndBelowProducerId": r.producer, "V3AndBelowProducerEpoch": r.epoch,
            "V3AndBelowTopics": topics, "Transactions": [{"TransactionalId": r("x"), "ProducerId": r.producer,
                                                          "ProducerEpoch": r.epoch, "VerifyOnly": False,
                                                              "Topics": topics}]}


case("AddPartitionsToTxn", "two topics", "WRITE transaction x, WRITE topic t, WRITE topic u", own="x", only=range(4),
     prepare=transaction())(lambda r: add_partitions(r, "t", "u"))
case("AddPartitionsToTxn", "unknown topic", "WRITE transaction x, WRITE topic t", own="x t", only=range(4),
    prepare=transaction())(
    lambda r: add_partitions(r, "t"))
case("AddPartitionsToTxn", "unknown beside known", "WRITE transaction x, WRITE topic t, WRITE topic u", own="x t",
    only=range(4),
     prepare=transaction())(lambda r: add_partitions(r, "t", "u"))
case("AddPartitionsToTxn", "between brokers", "CLUSTER_ACTION cluster", own="x", only=range(4, 99),
    prepare=transaction(),
     also=("WRITE transaction x, WRITE topic t",))(lambda r: add_partitions(r, "t"))
case("AddPartitionsToTxn", "internal topic", "WRITE transaction x, WRITE topic *", own="x", only=range(4),
    prepare=transaction(),
     about="__consumer_offsets")(
    lambda r: {**add_partitions(r), "V3AndBelowTopics": [{"Name": "__consumer_offsets", "Partitions": [0]}]})


def mine(r):
    return {"TransactionalId": r("x"), "ProducerId": r.producer, "ProducerEpoch": r.epoch}


case("AddOffsetsToTxn", "a group", "WRITE transaction x, READ group g", own="x g", prepare=transaction())(
    lambda r: {**mine(r), "GroupId": r("g")})
case("TxnOffsetCommit", "two topics", "WRITE transaction x, READ group g, READ topic t, READ topic u", own="x g",
     prepare=transaction(groups="g"))(lambda r: {**mine(r), "GroupId": r("g"), "Topics": [{"Name": r(t), "Partitions": [
         {"PartitionIndex": 0, "CommittedOffset": 3, "CommittedMetadata": "m"}]} for t in "tu"]})
case("TxnOffsetCommit", "unknown topic", "WRITE transaction x, READ group g, READ topic t", own="x g t",
     prepare=transaction(groups="g"))(lambda r: {**mine(r), "GroupId": r("g"),
         "Topics": [{"Name": r("t"), "Partitions": [
         {"PartitionIndex": 0, "CommittedOffset": 3, "CommittedMetadata": "m"}]}]})
case("EndTxn", "commit", "WRITE transaction x", own="x t", topics="t",
    prepare=transaction("t"))(lambda r: {**mine(r), "Committed": True})
case("EndTxn", "abort", "WRITE transaction x", own="x t", topics="t",
    prepare=transaction("t"))(lambda r: {**mine(r), "Committed": False})
case("EndTxn", "another's producer", "WRITE transaction x", own="x", prepare=transaction())(
    lambda r: {**mine(r), "ProducerId": r.producer + 12345, "Committed": True})
case("WriteTxnMarkers", "two topics", "CLUSTER_ACTION cluster", own="t u", topics="t u", prepare=producer,
    also=("ALTER cluster",))(
    lambda r: {"Markers": [{"ProducerId": r.producer, "ProducerEpoch": r.epoch, "TransactionResult": False,
        "CoordinatorEpoch": 0,
                            "Topics": [{"Name": r(t), "PartitionIndexes": [0]} for t in "tu"]}]})
case("DescribeTransactions", "two ids", "DESCRIBE transaction x, DESCRIBE transaction y")(lambda r: {
    "TransactionalIds": [r("x"), r("y")]})
case("DescribeTransactions", "with a topic", "DESCRIBE transaction x, DESCRIBE topic t, DESCRIBE topic u", own="x t u",
    topics="t u",
     prepare=transaction("t", "u"))(lambda r: {"TransactionalIds": [r("x")]})
case("DescribeTransactions", "unknown id", "DESCRIBE transaction x", own="x")(lambda r: {"TransactionalIds": [r("x")]})
case("ListTransactions", "all", "DESCRIBE transaction x, DESCRIBE transaction y",
    also=("WRITE transaction x", "DESCRIBE cluster"))(lambda r: {})
case("ListTransactions", "by state", "DESCRIBE transaction x")(lambda r: {"StateFilters": ["Empty", "None"]})
case("ListTransactions", "by pattern", "DESCRIBE transaction x, DESCRIBE transaction y",
    only=[2])(lambda r: {"TransactionalIdPattern": "x-.*"})
case("ListTransactions", "a pattern that is none", "DESCRIBE transaction x",
    only=[2])(lambda r: {"TransactionalIdPattern": "(("})
