# SPDX-License-Identifier: Apache-2.0
"""What is asked (see cases.py): topics and settings, the cluster, rules, limits and users, and reserved names."""
from cases import LONG_MS, OURS, case, commit, committed, filled, metadata, producer
from kafka_wire import scram_upsertion


# ---- topics and settings ----
def create(*names, partitions=1, replicas=1, configs=(), only_check=False):
    return {"Topics": [{"Name": n, "NumPartitions": partitions, "ReplicationFactor": replicas, "Configs": [
        {"Name": k, "Value": v} for k, v in configs]} for n in names], "timeoutMs": 10000, "validateOnly": only_check}


case("CreateTopics", "two topics", "CREATE topic t, CREATE topic u", own="t u",
     also=("CREATE cluster", "DESCRIBE topic t", "CREATE topic t, CREATE topic u, DESCRIBE_CONFIGS topic t"))(
    lambda r: create(r("t"), r("u")))
case("CreateTopics", "with settings", "CREATE topic t, DESCRIBE_CONFIGS topic t", own="t")(
    lambda r: create(r("t"), configs=[("retention.ms", "1000")]))
case("CreateTopics", "only checked", "CREATE topic t, DESCRIBE_CONFIGS topic t",
    own="t")(lambda r: create(r("t"), only_check=True))
case("CreateTopics", "one that exists", "CREATE topic t", own="u",
    also=("CREATE topic t, DESCRIBE topic t",))(lambda r: create(r("t")))
case("CreateTopics", "impossible name", "CREATE topic *")(lambda r: create("no/such name"))
case("CreateTopics", "impossible setting", "CREATE topic t", own="t")(lambda r: create(r("t"),
    configs=[("no.such.setting", "1")]))
case("CreateTopics", "too many replicas", "CREATE topic t", own="t")(lambda r: create(r("t"), replicas=9))
case("CreateTopics", "named twice", "CREATE topic t", own="t")(lambda r: create(r("t"), r("t")))
case("CreateTopics", "__cluster_metadata", "CREATE topic *", about="__cluster_metadata",
    also=("CREATE cluster",))(lambda r: create("__cluster_metadata"))
case("CreateTopics", "beginning with a dot", "CREATE topic *")(lambda r: create(".dot", only_check=True))


def delete(r, *roles, by_id=False):
    return {"TopicNames": [r(t) for t in roles], "TimeoutMs": 10000,
            "Topics": [{"TopicId": r.id(t)} if by_id else {"Name": r(t)} for t in roles]}


case("DeleteTopics", "two topics", "DELETE topic t, DELETE topic u", own="t u", topics="t u",
    also=("DESCRIBE topic t",))(
    lambda r: delete(r, "t", "u"))
case("DeleteTopics", "by id", "DELETE topic t, DELETE topic u", own="t u", topics="t u", only=[6],
     also=("DESCRIBE topic t", "DESCRIBE topic t, DELETE topic u"))(lambda r: delete(r, "t", "u", by_id=True))
case("DeleteTopics", "unknown topic", "DELETE topic t", own="t", also=("DESCRIBE topic t",))(lambda r: delete(r, "t"))
case("DeleteTopics", "unknown id", "DELETE topic t", own="t", only=[6])(lambda r: delete(r, "t", by_id=True))
case("DeleteTopics", "named twice", "DELETE topic t", own="t", topics="t")(lambda r: delete(r, "t", "t"))
case("DeleteTopics", "by id twice", "DELETE topic t", own="t", topics="t",
    only=[6])(lambda r: delete(r, "t", "t", by_id=True))
case("DeleteTopics", "by name and id", "DELETE topic t", own="t", topics="t", only=[6])(
    lambda r: {"TimeoutMs": 10000, "Topics": [{"Name": r("t"), "TopicId": r.id("t")}]})
case("DeleteTopics", "name beside its id", "DELETE topic t", own="t", topics="t", only=[6])(
    lambda r: {"TimeoutMs": 10000, "Topics": [{"Name": r("t")}, {"TopicId": r.id("t")}]})
case("DeleteTopics", "neither name nor id", "DELETE topic t", only=[6])(lambda r: {"TimeoutMs": 10000, "Topics": [{}]})


def grow(*names, count=3, only_check=False):
    return {"Topics": [{"Name": n, "Count": count, "Assignments": None} for n in names], "TimeoutMs": 10000,
        "ValidateOnly": only_check}


case("CreatePartitions", "two topics", "ALTER topic t, ALTER topic u", own="t u", topics="t u",
    also=("DESCRIBE topic t", "ALTER cluster"))(
    lambda r: grow(r("t"), r("u")))
case("CreatePartitions", "only checked", "ALTER topic t", own="t", topics="t")(lambda r: grow(r("t"), only_check=True))
case("CreatePartitions", "unknown topic", "ALTER topic t", own="t")(lambda r: grow(r("t")))
case("CreatePartitions", "fewer than there are", "ALTER topic t", own="t", topics="t")(lambda r: grow(r("t"), count=1))
case("CreatePartitions", "named twice", "ALTER topic t", own="t", topics="t")(lambda r: grow(r("t"), r("t")))

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32


def configs_of(kind, *names, keys=("retention.ms", "cleanup.policy"), **more):
    return {"Resources": [{"ResourceType": kind, "ResourceName": n,
        "ConfigurationKeys": keys and list(keys)} for n in names], **more}


case("DescribeConfigs", "two topics", "DESCRIBE_CONFIGS topic t, DESCRIBE_CONFIGS topic u", also=("DESCRIBE topic t",))(
    lambda r: configs_of(TOPIC, r("t"), r("u")))
case("DescribeConfigs", "every setting", "DESCRIBE_CONFIGS topic t")(lambda r: configs_of(TOPIC, r("t"), keys=None))
case("DescribeConfigs", "with synonyms", "DESCRIBE_CONFIGS topic t")(lambda r: configs_of(
    TOPIC, r("t"), IncludeSynonyms=True, IncludeDocumentation=True))
case("DescribeConfigs", "unknown topic", "DESCRIBE_CONFIGS topic t", own="t")(lambda r: configs_of(TOPIC, r("t")))
case("DescribeConfigs", "broker", "DESCRIBE_CONFIGS cluster")(lambda r: configs_of(BROKER, "1",
    keys=("num.partitions",)))
case("DescribeConfigs", "every broker", "DESCRIBE_CONFIGS cluster")(lambda r: configs_of(BROKER, "",
    keys=("num.partitions",)))
case("DescribeConfigs", "loggers", "DESCRIBE_CONFIGS cluster")(lambda r: configs_of(LOGGER, "1",
    keys=("no.such.logger",)))
case("DescribeConfigs", "client metrics", "DESCRIBE_CONFIGS cluster")(lambda r: configs_of(CLIENT_METRICS, "m",
    keys=("interval.ms",)))
case("DescribeConfigs", "group", "DESCRIBE_CONFIGS group g", also=("DESCRIBE_CONFIGS cluster",))(lambda r: configs_of(
    GROUP, r("g"), keys=("consumer.session.timeout.ms",)))
case("DescribeConfigs", "unknown kind", "DESCRIBE_CONFIGS cluster")(lambda r: configs_of(77, "n"))


def altered(kind, *names, key="retention.ms", value="4000", operation=0, only_check=False):
    return lambda r: {"ValidateOnly": only_check, "Resources": [
        {"ResourceType": kind, "ResourceName": r(n) if len(n) == 1 and n.isalpha() else n, "Configs": [
            {"Name": key, "Value": value, **({"ConfigOperation": operation} if r.run.case.api[0] == "I" else {
                })}]} for n in names]}


for _api in ("AlterConfigs", "IncrementalAlterConfigs"):
    case(_api, "two topics", "ALTER_CONFIGS topic t, ALTER_CONFIGS topic u", own="t u", topics="t u",
         also=("DESCRIBE topic t", "ALTER topic t"))(altered(TOPIC, "t", "u"))
    case(_api, "only checked", "ALTER_CONFIGS topic t", own="t", topics="t")(altered(TOPIC, "t", only_check=True))
    case(_api, "unknown topic", "ALTER_CONFIGS topic t", own="t")(altered(TOPIC, "t"))
    case(_api, "impossible setting", "ALTER_CONFIGS topic t", own="t",
        topics="t")(altered(TOPIC, "t", key="no.such.setting"))
    case(_api, "impossible value", "ALTER_CONFIGS topic t", own="t", topics="t")(altered(TOPIC, "t", value="soon"))
    case(_api, "broker, only checked", "ALTER_CONFIGS cluster", also=("ALTER cluster",))(
        altered(BROKER, "1", key="log.cleaner.threads", value="1", only_check=True))
    case(_api, "group", "ALTER_CONFIGS group g", own="g", also=("ALTER_CONFIGS cluster",))(
        altered(GROUP, "g", key="consumer.session.timeout.ms", value="50000", only_check=True))
    case(_api, "unknown kind", "ALTER_CONFIGS cluster")(altered(77, "nothing"))
case("IncrementalAlterConfigs", "loggers, only checked", "ALTER_CONFIGS cluster", also=("CLUSTER_ACTION cluster",))(
    altered(LOGGER, "1", key="kafka", value="INFO", only_check=True))
case("IncrementalAlterConfigs", "named twice", "ALTER_CONFIGS topic t", own="t",
    topics="t")(altered(TOPIC, "t", "t"))  # Kafka never answers AlterConfigs
case("IncrementalAlterConfigs", "delete", "ALTER_CONFIGS topic t", own="t",
    topics="t")(altered(TOPIC, "t", value=None, operation=1))
case("ListConfigResources", "all", "DESCRIBE_CONFIGS cluster")(lambda r: {"ResourceTypes": [16]})

# ---- the cluster ----
case("DescribeLogDirs", "two topics", "DESCRIBE cluster", also=("DESCRIBE topic t, DESCRIBE topic u",))(
    lambda r: {"Topics": [{"Topic": r(t), "Partitions": [0]} for t in "tu"]})
case("AlterReplicaLogDirs", "no such folder", "ALTER cluster")(lambda r: {"Dirs": [{"Path": "/no/such", "Topics": [
    {"Name": r(t), "Partitions": [0]} for t in "tu"]}]})
case("ElectLeaders", "two topics", "ALTER cluster")(lambda r: {"ElectionType": 0, "TimeoutMs": 10000,
    "TopicPartitions": [
    {"Topic": r(t), "Partitions": [0]} for t in "tu"]})
case("ElectLeaders", "unknown topic", "ALTER cluster", own="t")(lambda r: {"ElectionType": 0, "TimeoutMs": 10000,
    "TopicPartitions": [
    {"Topic": r("t"), "Partitions": [0]}]})
case("AlterPartitionReassignments", "where they are", "ALTER cluster")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r(t), "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]} for t in "tu"]})
case("AlterPartitionReassignments", "no such node", "ALTER cluster")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r("t"), "Partitions": [{"PartitionIndex": 0, "Replicas": [7]}]}]})
case("AlterPartitionReassignments", "cancel what is not", "ALTER cluster")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r("t"), "Partitions": [{"PartitionIndex": 0, "Replicas": None}]}]})
case("AlterPartitionReassignments", "unknown topic", "ALTER cluster",
    own="t")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r("t"), "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]})
case("ListPartitionReassignments", "all", "DESCRIBE cluster")(lambda r: {"TimeoutMs": 10000, "Topics": None})
case("ListPartitionReassignments", "one topic", "DESCRIBE cluster")(lambda r: {"TimeoutMs": 10000, "Topics": [
    {"Name": r("t"), "PartitionIndexes": [0]}]})
case("DescribeQuorum", "metadata", "DESCRIBE cluster", only=[0, 1])(lambda r: {"Topics": [
    {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]})
case("UpdateFeatures", "unknown feature, only checked", "ALTER cluster")(lambda r: {"timeoutMs": 10000,
    "ValidateOnly": True, "FeatureUpdates": [
    {"Feature": "no.such.feature", "MaxVersionLevel": 1}]} if r.version else {
        "timeoutMs": 10000, "FeatureUpdates": [{"Feature": "no.such.feature", "MaxVersionLevel": 1}]})
case("UnregisterBroker", "no such node", "ALTER cluster")(lambda r: {"BrokerId": 77})


# ---- rules, limits, users ----
def rule(r, **more):
    return {"ResourceType": 2, "ResourceName": r("a"), "ResourcePatternType": 3, "Principal": "User:somebody",
        "Host": "*",
            "Operation": 3, "PermissionType": 3, **more}


def rule_filter(r, **more):
    return {"ResourceTypeFilter": 2, "ResourceNameFilter": r("a"), "PatternTypeFilter": 3, "PrincipalFilter": None,
            "HostFilter": None, "Operation": 1, "PermissionType": 1, **more}


def ruled(r):
    r.admin("CreateAcls", 2, {"Creations": [rule(r)]})
    r.until(lambda said: said["Resources"], "DescribeAcls", 2, rule_filter(r))


case("DescribeAcls", "of a topic", "DESCRIBE cluster", own="a", prepare=ruled, also=("ALTER cluster",))(rule_filter)
case("DescribeAcls", "that match", "DESCRIBE cluster", own="a", prepare=ruled)(lambda r: rule_filter(
    r, PatternTypeFilter=2, PrincipalFilter="User:somebody"))
case("DescribeAcls", "impossible", "DESCRIBE cluster")(lambda r: rule_filter(r, ResourceTypeFilter=0))
case("CreateAcls", "one", "ALTER cluster", own="a", also=("DESCRIBE cluster",))(lambda r: {"Creations": [rule(r)]})
case("CreateAcls", "one impossible", "ALTER cluster", own="a")(lambda r: {"Creations": [rule(r), rule(r, Operation=1)]})
case("CreateAcls", "no principal", "ALTER cluster", own="a")(lambda r: {"Creations": [rule(r, Principal="somebody")]})
case("CreateAcls", "no resource name", "ALTER cluster", own="a")(lambda r: {"Creations": [rule(r, ResourceName="")]})
case("CreateAcls", "a cluster of another name", "ALTER cluster",
    own="a")(lambda r: {"Creations": [rule(r, ResourceType=4)]})
case("DeleteAcls", "one", "ALTER cluster", own="a", prepare=ruled)(lambda r: {"Filters": [rule_filter(r)]})
case("DeleteAcls", "none found", "ALTER cluster", own="a")(lambda r: {"Filters": [rule_filter(r)]})
case("DeleteAcls", "impossible", "ALTER cluster", own="a")(lambda r: {"Filters": [rule_filter(r,
    ResourceTypeFilter=0)]})


def limited(r):
    r.admin("AlterClientQuotas", 1, limit(r))
    r.until(lambda said: said["Entries"], "DescribeClientQuotas", 1, limits_of(r))


def limits_of(r):
    return {"Components": [{"EntityType": "user", "MatchType": 0, "Match": r("q")}], "Strict": True}


def limit(r, key="producer_byte_rate", only_check=False, value=1024.0, remove=False):
    return {"ValidateOnly": only_check, "Entries": [{"Entity": [{"EntityType": "user", "EntityName": r("q")}], "Ops": [
        {"Key": key, "Value": value, "Remove": remove}]}]}


case("DescribeClientQuotas", "of a user", "DESCRIBE_CONFIGS cluster", own="q", prepare=limited)(
    limits_of)
case("DescribeClientQuotas", "of nobody", "DESCRIBE_CONFIGS cluster", own="q")(
    lambda r: {"Components": [{"EntityType": "user", "MatchType": 0, "Match": r("q")}]})
case("DescribeClientQuotas", "of an unknown kind", "DESCRIBE_CONFIGS cluster")(
    lambda r: {"Components": [{"EntityType": "nothing", "MatchType": 0, "Match": "n"}]})
case("AlterClientQuotas", "set", "ALTER_CONFIGS cluster", own="q", also=("ALTER cluster",))(limit)
case("AlterClientQuotas", "remove", "ALTER_CONFIGS cluster", own="q", prepare=limited)(lambda r: limit(r, remove=True))
case("AlterClientQuotas", "only checked", "ALTER_CONFIGS cluster", own="q")(lambda r: limit(r, only_check=True))
case("AlterClientQuotas", "unknown key", "ALTER_CONFIGS cluster", own="q")(lambda r: limit(r, key="no_such_rate"))


def fixed_user(r, **more):
    return {**scram_upsertion(r("s"), "a password"), **more}


def with_user(r):
    r.admin("AlterUserScramCredentials", 0, {"Upsertions": [fixed_user(r)]})
    r.until(lambda said: r("s") in [u["User"] for u in said["Results"]], "DescribeUserScramCredentials", 0,
        {"Users": None})


case("DescribeUserScramCredentials", "one", "DESCRIBE cluster", own="s",
    prepare=with_user)(lambda r: {"Users": [{"Name": r("s")}]})
case("DescribeUserScramCredentials", "unknown", "DESCRIBE cluster", own="s")(lambda r: {"Users": [{"Name": r("s")}]})
case("DescribeUserScramCredentials", "named twice", "DESCRIBE cluster", own="s",
    prepare=with_user)(lambda r: {"Users": [{"Name": r("s")}] * 2})
case("AlterUserScramCredentials", "set", "ALTER cluster", own="s")(lambda r: {"Upsertions": [fixed_user(r)]})
case("AlterUserScramCredentials", "too few iterations", "ALTER cluster",
    own="s")(lambda r: {"Upsertions": [fixed_user(r, Iterations=10)]})
case("AlterUserScramCredentials", "unknown mechanism", "ALTER cluster",
    own="s")(lambda r: {"Upsertions": [fixed_user(r, Mechanism=9)]})
case("AlterUserScramCredentials", "delete", "ALTER cluster", own="s", prepare=with_user)(
    lambda r: {"Deletions": [{"Name": r("s"), "Mechanism": 2}]})
case("AlterUserScramCredentials", "delete what is not", "ALTER cluster",
    own="s")(lambda r: {"Deletions": [{"Name": r("s"), "Mechanism": 2}]})
case("AlterUserScramCredentials", "set and delete", "ALTER cluster", own="s", prepare=with_user)(
    lambda r: {"Deletions": [{"Name": r("s"), "Mechanism": 2}], "Upsertions": [fixed_user(r)]})

case("CreateDelegationToken", "own")(lambda r: {"MaxLifetimeMs": -1})
case("RenewDelegationToken", "unknown")(lambda r: {"Hmac": b"none", "RenewPeriodMs": -1})
case("ExpireDelegationToken", "unknown")(lambda r: {"Hmac": b"none", "ExpiryTimePeriodMs": -1})
case("DescribeDelegationToken", "all")(lambda r: {"Owners": None})


# ---- reserved names, by rights on "*" ----
case("Metadata", "creates a topic of ours", "DESCRIBE topic *, CREATE topic *", only=range(4, 99),
    about="__castellan_new")(
    lambda r: metadata(r("n"), create=True))
case("Metadata", "creates an internal topic", "DESCRIBE topic *, CREATE topic *", only=[13], about="__share_group_state",
    once=True)(lambda r: metadata("__share_group_state", create=True))
case("IncrementalAlterConfigs", f"of {OURS}", "ALTER_CONFIGS topic *",
    about=OURS)(altered(TOPIC, OURS, only_check=True))
case("AlterConfigs", f"of {OURS}", "ALTER_CONFIGS topic *", about=OURS)(altered(TOPIC, OURS, only_check=True))
case("DescribeConfigs", f"of {OURS}", "DESCRIBE_CONFIGS topic *", about=OURS)(lambda r: configs_of(TOPIC, OURS))
case("CreatePartitions", f"of {OURS}", "ALTER topic *", about=OURS)(lambda r: grow(OURS, only_check=True))
LEDGER, OUR_GROUP = "castellan-ledger-probe", "__castellan_probe"
case("InitProducerId", f"of {LEDGER}", "WRITE transaction *", about=LEDGER)(
    lambda r: {"TransactionalId": LEDGER, "TransactionTimeoutMs": LONG_MS})
case("OffsetCommit", f"of {OUR_GROUP}", "READ group *, READ topic t",
    about=OUR_GROUP)(lambda r: {**commit(r, "t"), "GroupId": OUR_GROUP})
case("Heartbeat", f"of {OUR_GROUP}", "READ group *", about=OUR_GROUP)(
    lambda r: {"GroupId": OUR_GROUP, "GenerationId": 1, "MemberId": "nobody"})
case("DeleteTopics", f"of {OURS}", "DELETE topic *", only=[1],
    about=OURS)(lambda r: {"TopicNames": [OURS], "TimeoutMs": 10000})


def coordinators(r):
    """Kafka makes the internal topics when it is asked for a coordinator."""
    for kind, roles in ((0, "gh"), (1, "xy")):
        r.admin("FindCoordinator", 4, {"CoordinatorKeys": [r(n) for n in roles], "KeyType": kind})


SHARED_WORK = [coordinators, filled("t", "u"), committed("g", "h", topics="tu"), lambda r: producer(r, "x"),
    lambda r: producer(r, "y")]
