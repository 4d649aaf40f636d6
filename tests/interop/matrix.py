# SPDX-License-Identifier: Apache-2.0
"""From the cases to runs: each case in each version, once by a user with every right it needs, once without each of
them, and by one without any. Every set of rights is a user; every run has names of its own for what it changes, so that
what exists at the end tells what each run did."""
import itertools
import re
import time

from compare import tidy
from targets import PASSWORD
from kafka_wire import scram_upsertion

OPERATIONS = {"ALL": 2, "READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "ALTER": 7, "DESCRIBE": 8, "CLUSTER_ACTION": 9,
              "DESCRIBE_CONFIGS": 10, "ALTER_CONFIGS": 11, "IDEMPOTENT_WRITE": 12}
TYPES = {"topic": 2, "group": 3, "cluster": 4, "transaction": 5}
LITERAL, PREFIXED, ALLOW = 3, 4, 3
ROLES = {"t": "topic", "u": "topic", "g": "group", "h": "group", "x": "transaction", "y": "transaction", "a": "rule",
    "s": "user",
         "q": "quota"}
BUSY_SECONDS = 20
BUSY = {14, 15, 16, 51}  # the coordinator loads, or has a transaction to end: asked again


class Case:
    """own: the roles whose names are each run's own; topics: those of them that are made beforehand. last: what could
    harm the whole system is asked behind everything else. about: the reserved name that is asked for. once: only with
    all rights, as another answer would depend on whether the first had its effect yet."""

    def __init__(self, api, shape, needs, build, own="", topics="", prepare=None, also=(), only=None, answer=True,
                 last=False, about=None, once=False):
        self.api, self.shape, self.build, self.prepare, self.answer = api, shape, build, prepare, answer
        self.needs = [n.strip() for n in needs.split(",")] if needs else []
        self.own, self.topics, self.only, self.also = own.split(), topics.split(), only, also
        self.last, self.about, self.once = last or bool(about), about, once
        self.slug = re.sub(r"[^a-z0-9]+", "-", f"{api} {shape}".lower())

    def variants(self):
        """(what is said of it, the rights)"""
        out = [("all", self.needs)]
        if self.once:
            return out
        if len(self.needs) > 1:
            out += [(f"without {n}", [m for m in self.needs if m != n]) for n in self.needs]
        if self.needs:
            out.append(("none", []))
        return out + [(f"with {rights}", [n.strip() for n in rights.split(",")]) for rights in self.also]


class Run:
    def __init__(self, case, version, variant, user):
        self.case, self.version, self.variant, self.user = case, version, variant, user
        self.place = f"v{version}-{re.sub(r'[^a-z0-9]+', '-', variant.lower()).strip('-')}"
        self.names = {r: f"{r}-{case.slug}-{self.place}" if r in case.own else f"{r}-shared" for r in ROLES}
        self.names["n"] = f"__castellan_{case.slug}-{self.place}"
        self.roles = {n: r for r, n in self.names.items()}

    def role_of(self, name):
        return self.roles.get(name, name)

    def __repr__(self):
        return f"{self.case.api} v{self.version} {self.case.shape} ({self.variant})"


class Asking:
    """A run at one target, as the case's functions see it."""

    def __init__(self, run, target):
        self.run, self.case, self.target, self.role_of, self.version = run, run.case, target, run.role_of, run.version

    def __call__(self, role):
        return self.run.names[role]

    def id(self, role):
        return self.target.id_of(self.run.names[role])

    def admin(self, api, version, values):
        """As the super user, until the coordinator is there; the answer has no error."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            said = self.target.admin(api, version, values)
            codes = set(error_codes(said))
            if not codes & BUSY or time.monotonic() > deadline:
                assert codes <= {0}, f"{api} by admin: {said}"
                return said


    def until(self, what, api, version, values):
        """Asks as the super user until what(answer) holds: changes reach brokers some time after they are answered."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not what(said := self.admin(api, version, values)):
            assert time.monotonic() < deadline, f"{api} by admin: {said}"


def error_codes(x):
    if isinstance(x, list):
        return [c for e in x for c in error_codes(e)]
    if not isinstance(x, dict):
        return []
    return [v for k, v in x.items() if k.endswith("ErrorCode")] + [c for v in x.values() for c in error_codes(v)]


class Matrix:
    def __init__(self, cases):
        self.cases, self.users = cases, {}
        for case in cases:
            for _, rights in case.variants():
                self.user_of(rights)

    def user_of(self, rights):
        key = ", ".join(sorted(rights))
        return self.users.setdefault(key, f"user{len(self.users)}")

    def runs(self, versions):
        for case in self.cases:
            for v in versions(case.api):
                if case.only and v not in case.only:
                    continue
                for variant, rights in case.variants():
                    yield Run(case, v, variant, self.user_of(rights))

    def rules(self):
        for rights, user in self.users.items():
            for right in filter(None, rights.split(", ")):
                operation, kind, *role = right.split()
                everything = kind == "cluster" or role == ["*"]
                yield {"ResourceType": TYPES[kind], "Principal": f"User:{user}", "Host": "*",
                    "Operation": OPERATIONS[operation],
                       "PermissionType": ALLOW, "ResourcePatternType": LITERAL if everything else PREFIXED,
                       "ResourceName": "kafka-cluster" if kind == "cluster" else "*" if everything else f"{role[0]}-"}


def advertised(target):
    said = target.admin("ApiVersions", 3, {"ClientSoftwareName": "probe", "ClientSoftwareVersion": "1"})
    return {a["ApiKey"]: range(a["MinVersion"], a["MaxVersion"] + 1) for a in said["ApiKeys"]}


def prepare_users(target, matrix):
    names = list(matrix.users.values())
    if target.name != "kafka":  # there they stand in the configuration
        for some in grouped(names, 20):
            said = target.admin("AlterUserScramCredentials", 0,
                {"Upsertions": [scram_upsertion(n, PASSWORD) for n in some]})
            assert set(error_codes(said)) == {0}, said
    said = target.admin("CreateAcls", 3, {"Creations": list(matrix.rules())})
    assert set(error_codes(said)) == {0}, said
    last = names[-1]
    target.wait(lambda t: t.ask(last, "Metadata", 1, {"Topics": []}))


def grouped(things, n):
    it = iter(things)
    while some := list(itertools.islice(it, n)):
        yield some


def create_topics(target, names):
    for some in grouped(names, 100):
        said = target.admin("CreateTopics", 5, {"Topics": [{"Name": n, "NumPartitions": 1,
            "ReplicationFactor": 1} for n in some],
                                               "timeoutMs": 60000})
        assert set(error_codes(said)) == {0}, said
    target.wait(lambda t: set(names) <= t.learn_topics())


def perform(run, target):
    """What came of it, comparable."""
    asking = Asking(run, target)
    try:
        if run.case.prepare:
            run.case.prepare(asking)
    except (OSError, AssertionError) as e:
        return {"answer": f"not asked, preparing failed: {e}"[:300]}
    try:
        said = target.ask(run.user, run.case.api, run.version, run.case.build(asking), run.case.answer)
        if said is None:
            target.ask(run.user, "ApiVersions", 0)
            return {"answer": "none, as asked"}
        return tidy(said, asking)
    except TimeoutError:
        return {"answer": "none in time"}
    except OSError:
        return {"answer": "connection closed"}
    except AssertionError as e:
        return {"answer": "cannot be read: " + str(e).rsplit(": ", 1)[-1]}


# ---- what exists afterwards ----
def left_behind(target):
    """What exists under the runs' names, when it no longer changes."""
    deadline, last = time.monotonic() + BUSY_SECONDS, None
    while last != (now := Everything(target).found):
        assert time.monotonic() < deadline, f"{target.name}: what exists goes on changing"
        last = now
        time.sleep(0.2)  # two equal looks with time between them
    return now


class Everything:
    """Of the runs' names: topics, their records and settings, groups, transactions, rules, users, quotas."""

    def __init__(self, target):
        self.target, self.found = target, {}
        self.topics()
        self.groups()
        self.others()

    def note(self, name, what):
        if re.match(r"[a-z]-", name):
            self.found.setdefault(name, []).append(what)

    def topics(self):
        ask = self.target.admin
        topics = {t["Name"]: len(t["Partitions"]) for t in ask("Metadata", 1, {"Topics": None})["Topics"]
                  if re.match(r"[a-z]-", t["Name"])}
        ends = {}
        for when, word in ((-2, "start"), (-1, "end")):
            said = ask("ListOffsets", 1, {"ReplicaId": -1, "Topics": [
                {"Name": n, "Partitions": [{"PartitionIndex": p, "Timestamp": when} for p in range(count)]}
                for n, count in topics.items()]})
            for t in said["Topics"]:
                ends.setdefault(t["Name"], []).append(f"{word} " + ",".join(
                    str(p["Offset"]) for p in sorted(t["Partitions"], key=lambda p: p["PartitionIndex"])))
        said = ask("DescribeConfigs", 1, {"Resources": [{"ResourceType": 2, "ResourceName": n,
            "ConfigurationKeys": None}
                                                        for n in topics]})
        settings = {r["ResourceName"]: sorted(f"{c['Name']}={c['Value']}" for c in r["Configs"] if c[
            "ConfigSource"] == 1)
                    for r in said["Results"]}
        for n, count in topics.items():
            self.note(n, " ".join([f"topic of {count}", *ends.get(n, []), *settings.get(n, [])]))

    def groups(self):
        names = [g["GroupId"] for g in self.target.admin("ListGroups", 4)["Groups"] if re.match(r"[a-z]-",
            g["GroupId"])]
        for g in self.target.admin("OffsetFetch", 8, {"Groups": [{"GroupId": n,
            "Topics": None} for n in names]})["Groups"]:
            offsets = sorted(f"{t['Name'][:1]}/{p['PartitionIndex']}:{p['CommittedOffset']}" for t in g[
                "Topics"] for p in t["Partitions"])
            self.note(g["GroupId"], " ".join(["group", *offsets]))

    def others(self):
        ask = self.target.admin
        for t in ask("ListTransactions", 0)["TransactionStates"]:
            self.note(t["TransactionalId"], "transaction " + t["TransactionState"].replace("Prepare", "Complete"))
        said = ask("DescribeAcls", 1, {"ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1,
                                       "PrincipalFilter": None, "HostFilter": None, "Operation": 1,
                                           "PermissionType": 1})
        for r in said["Resources"]:
            if len(r["ResourceName"]) > 2:
                self.note(r["ResourceName"], "rules " + " ".join(sorted(f"{a['Operation']}:{a['Principal']}" for a in r[
                    "Acls"])))
        for u in ask("DescribeUserScramCredentials", 0, {"Users": None})["Results"]:
            self.note(u["User"], f"user {[c['Mechanism'] for c in u['CredentialInfos']]}")
        for e in ask("DescribeClientQuotas", 0, {"Components": [{"EntityType": "user", "MatchType": 2,
            "Match": None}]})["Entries"] or []:
            for part in e["Entity"]:
                self.note(part["EntityName"] or "", f"quota {sorted((v['Key'], v['Value']) for v in e['Values'])}")


