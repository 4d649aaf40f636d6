# SPDX-License-Identifier: Apache-2.0
"""Everything at once against one system: clients of every kind, refused and broken ones among them, while rules, users,
limits and policies change, people are forgotten and brokers die. Each activity is a function that repeats its steps
until the load is over. A step may fail, as brokers die and rights come and go; what counts is that each kind of step
also succeeds, and that the processes live. Used by test_races.py."""
import contextlib
import collections
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import abuse
import abuse_requests
import kafka_wire as wire
from test_authentication import Client

EXPECTED = OSError, KafkaException, AssertionError, http.client.HTTPException, subprocess.TimeoutExpired, struct.error
TOPICS = ["load-0", "load-1", "load-2"]
PEOPLE, CHECKED, GROUP, CHANGED = "load-people", "load-checked", "load-group", "alice-topic"
PAUSE_SECONDS = 0.02       # between the steps of a producer, which would else take the processors of all others
CLIENT_SECONDS = 10        # how long a client waits for one step
HEALTHY_SECONDS = 30       # until a killed broker serves again
ENDS_SECONDS = 60          # until the activities have seen that the load is over
TOPIC_TYPE, LITERAL, WRITE, ALLOW = 2, 3, 4, 3  # in CreateAcls

activities = []


def activity(function):
    activities.append(function)
    return function


class Load:
    def __init__(self, system):
        self.system, self.done, self.failed = system, collections.Counter(), {}
        self.lock, self.over = threading.Lock(), threading.Event()
        self.unexpected = []

    def __enter__(self):
        """Makes what the activities need, then begins all of them."""
        prepare(self.system)
        self.threads = [threading.Thread(target=self.run, args=(f,), name=f.__name__) for f in activities]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        until = time.monotonic() + ENDS_SECONDS
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        for t in self.threads:
            if t.is_alive():
                where = traceback.format_stack(sys._current_frames()[t.ident])
                self.unexpected.append(f"{t.name} does not end: {''.join(where[-2:])}")

    def run(self, function):
        try:
            function(self)
        except Exception as e:  # pylint: disable=broad-except
            self.unexpected.append(f"{function.__name__}: {e!r}")

    def goes_on(self):
        return not self.over.is_set()

    @contextlib.contextmanager
    def step(self, what):
        try:
            yield
            with self.lock:
                self.done[what] += 1
        except EXPECTED as e:
            with self.lock:
                self.done[what] += 0
                self.failed[what] = repr(e)
            self.over.wait(0.05)  # what fails at once, as while a broker is away, shall not take all processors

    def never_done(self):
        return {what: self.failed.get(what) for what, n in self.done.items() if not n}

    # ---- what the activities share ----
    def config(self, user, **more):
        return self.system.client_config(user, **{"socket.timeout.ms": CLIENT_SECONDS * 1000, "log_level": 0, **more})

    def log_in(self, user, node=0):
        return wire.Connection(self.system.base + node, self.system.ca, user, self.system.password(user))

    def ask_admin(self, api, version, **values):
        with self.log_in("admin") as c:
            return c.ask(api, version, values)


def prepare(system):
    abuse.prepare(system)
    for topic in TOPICS + [PEOPLE, CHANGED]:
        system.castellan("topic", "create", topic, "--partitions", "3")
    system.castellan("topic", "create", CHECKED, "--partitions", "1", "--set",
                     "castellan.value.schema.validation=payload")
    for kind in ("--topic", "--group", "--transactional-id"):
        system.castellan("acl", "add", "--allow", "User:alice", "--operation", "ALL", kind, "load-", "--prefixed")
    system.castellan("policy", "set", PEOPLE, "--subject-from", "key", "--protect", "value", "--erased", "null")


# ---- producers and consumers ----

def send(producer, topic, records):
    """Whether all were taken."""
    errors = []
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda e, m: errors.append(e))
    assert producer.flush(CLIENT_SECONDS) == 0 and not any(errors), errors and next(filter(None, errors), None)


def produces(load, what, **config):
    producer = Producer(load.config("alice", **{"message.timeout.ms": CLIENT_SECONDS * 1000, **config}))
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step(what):
            send(producer, TOPICS[n % len(TOPICS)], [(b"k%d" % k, b"value %d " % n * 40) for k in range(200)])
        load.over.wait(PAUSE_SECONDS)
    producer.purge()


@activity
def produces_idempotent(load):
    produces(load, "idempotent", **{"enable.idempotence": "true", "compression.type": "lz4"})


@activity
def produces_without_answers(load):
    produces(load, "acks=0", acks="0", **{"compression.type": "gzip"})


@activity
def produces_in_turn_with_each_codec(load):
    codecs = itertools.cycle(["none", "gzip", "snappy", "lz4", "zstd"])
    while load.goes_on():
        codec = next(codecs)
        with load.step(codec):
            producer = Producer(load.config("admin", **{"compression.type": codec, "message.timeout.ms": "8000"}))
            send(producer, TOPICS[0], [(None, b"some text " * 50)] * 50)


@activity
def transacts(load):
    while load.goes_on():
        with load.step("transactions begun"):
            producer = Producer(load.config("alice", **{"transactional.id": "load-tx"}))
            producer.init_transactions(CLIENT_SECONDS)
        with load.step("transactions"):
            for n in itertools.takewhile(lambda _: load.goes_on(), range(5)):
                producer.begin_transaction()
                for topic in TOPICS[:2]:  # the third is denied now and then
                    producer.produce(topic, b"in a transaction")
                if n % 3:
                    consumer = Consumer(load.config("alice", **{"group.id": "load-tx-group"}))
                    producer.send_offsets_to_transaction([TopicPartition(TOPICS[0], 0, n)],
                                                         consumer.consumer_group_metadata(), CLIENT_SECONDS)
                    consumer.close()
                    producer.commit_transaction(CLIENT_SECONDS)
                else:
                    producer.abort_transaction(CLIENT_SECONDS)


def consumes(load, what, topics, wanted, **config):
    """Joins, reads a while, leaves, and again."""
    while load.goes_on():
        consumer = Consumer(load.config("alice", **{"group.id": GROUP, "auto.offset.reset": "earliest",
                                                    "session.timeout.ms": "6000", **config}))
        with load.step(what):
            consumer.subscribe(topics)
            got = 0
            for _ in itertools.takewhile(lambda _: load.goes_on() and got < wanted, range(60)):
                got += sum(not m.error() for m in consumer.consume(wanted, 0.5))
            consumer.commit(asynchronous=False)
            assert got
        consumer.close()


@activity
def consumes_in_a_group(load):
    consumes(load, "consumed", TOPICS, 2000)


@activity
def consumes_beside_it_by_a_pattern(load):
    consumes(load, "consumed by pattern", ["^load-.*"], 500, **{"isolation.level": "read_uncommitted"})


@activity
def opens_what_is_sealed(load):
    consumes(load, "opened", [PEOPLE], 200, **{"group.id": "load-openers"})


@activity
def seals(load):
    producer = Producer(load.config("alice", **{"message.timeout.ms": CLIENT_SECONDS * 1000}))
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("sealed"):
            send(producer, PEOPLE, [(b"person-%d-%d" % (n, k % 20), b"lives somewhere") for k in range(60)])


@activity
def checks_schemas(load):
    producer = Producer(load.config("admin", **{"message.timeout.ms": CLIENT_SECONDS * 1000}))
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("registered"):
            fields = [{"name": "id", "type": "long"}] + [{"name": f"f{k}", "type": ["null", "int"], "default": None}
                                                         for k in range(n % 30)]
            schema = json.dumps({"type": "record", "name": "Order", "fields": fields})
            status, body = load.system.registry("POST", f"/subjects/{CHECKED}-value/versions", body={"schema": schema})
            assert status == 200, body
            with load.step("valid"):
                send(producer, CHECKED, [(None, b"\0" + struct.pack(">i", body["id"]) + b"\2" + b"\0" * (n % 30))] * 20)
            with load.step("not valid"):
                bad = []
                producer.produce(CHECKED, b"\0" + struct.pack(">i", body["id"]) + b"\x80",
                                 on_delivery=lambda e, m: bad.append(e))
                producer.flush(CLIENT_SECONDS)
                assert bad and bad[0], "a record against its schema was taken"


# ---- others ----

def assert_refused(act):
    """The connection is closed, without a wait for the timeout."""
    try:
        act()
    except (ConnectionError, ssl.SSLError):
        return
    raise AssertionError("somebody was let in")


@activity
def administers(load):
    admin = AdminClient(load.config("admin"))
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        topic = f"load-short-{n}"
        with load.step("topic made"):
            admin.create_topics([NewTopic(topic, 2, replication_factor=1)])[topic].result(CLIENT_SECONDS)
        with load.step("topics listed"):
            admin.list_topics(timeout=CLIENT_SECONDS)
            admin.list_groups(timeout=CLIENT_SECONDS)
        with load.step("topic described"):
            resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
            admin.describe_configs([resource])[resource].result(CLIENT_SECONDS)
        with load.step("topic grown"):
            admin.create_partitions([NewPartitions(topic, 4)])[topic].result(CLIENT_SECONDS)
        with load.step("topic deleted"):
            admin.delete_topics([topic])[topic].result(CLIENT_SECONDS)


@activity
def asks_for_much_and_is_refused(load):
    for r in itertools.takewhile(lambda _: load.goes_on(), itertools.cycle(abuse_requests.requests())):
        with load.step("long requests"):
            with abuse.Client(load.system.base + 1, load.system.ca, timeout=CLIENT_SECONDS) as c:
                c.login(r.user, load.system.password(r.user))
                if r.key in c.served():
                    c.request(r, 200)


@activity
def comes_and_goes(load):
    fetch = struct.pack(">iiiib", -1, 500, 1, 1 << 20, 0) + wire.array(
        [wire.string(TOPICS[0]) + wire.array([struct.pack(">iqi", p, 0, 1 << 20) for p in range(3)])])
    for node in itertools.takewhile(lambda _: load.goes_on(), itertools.cycle(range(4))):
        with load.step("connected"):
            socket.create_connection(("127.0.0.1", load.system.base + node), timeout=CLIENT_SECONDS).close()
        with load.step("greeted"):
            abuse.Client(load.system.base + node, load.system.ca, timeout=CLIENT_SECONDS).socket.close()
        with load.step("left with answers on their way"):
            with load.log_in("alice", node) as c:
                for _ in range(30):
                    c.send(wire.METADATA, 1, struct.pack(">i", -1))
                    c.send(wire.FETCH, 4, fetch)
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@activity
def says_wrong_passwords(load):
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        source = f"127.0.9.{1 + n % 200}"
        with load.step("wrong password"):
            with Client(load.system, source=source, timeout=CLIENT_SECONDS) as c:
                assert c.plain("alice" if n % 2 else f"nobody-{n}", "wrong")
        with load.step("wrong proof"):
            with Client(load.system, source=source, timeout=CLIENT_SECONDS) as c:
                assert c.scram_final("wrong", c.scram_first("alice"))
        with load.step("right password by SCRAM"):
            with Client(load.system, source=f"127.0.8.{1 + n % 200}", timeout=CLIENT_SECONDS) as c:
                assert not c.scram_final(load.system.password("alice"), c.scram_first("alice"))


@activity
def shows_certificates(load):
    clients = load.system.data / "clients"
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("mutual TLS"):
            context = ssl.create_default_context(cafile=load.system.ca)
            context.load_cert_chain(clients / "admin.pem", clients / "admin.key")
            with Client(load.system, load.system.base + 100, context=context, timeout=CLIENT_SECONDS) as c:
                assert c.brokers()
        with load.step("no certificate"):
            assert_refused(lambda: Client(load.system, load.system.base + 100, source=f"127.0.6.{1 + n % 200}",
                                          timeout=CLIENT_SECONDS).brokers())


# ---- changes ----

@activity
def changes_rules(load):
    rule = dict(ResourceType=TOPIC_TYPE, ResourceName=CHANGED, ResourcePatternType=LITERAL, Principal="User:bob",
                Host="*", Operation=WRITE, PermissionType=ALLOW)
    wanted = dict(ResourceTypeFilter=TOPIC_TYPE, ResourceNameFilter=CHANGED, PatternTypeFilter=LITERAL,
                  PrincipalFilter="User:bob", HostFilter="*", Operation=WRITE, PermissionType=ALLOW)
    while load.goes_on():
        with load.step("rule made"):
            assert load.ask_admin("CreateAcls", 3, Creations=[rule])["Results"][0]["ErrorCode"] == 0
        with load.step("rule used"):
            producer = Producer(load.config("bob", **{"message.timeout.ms": "5000"}))
            send(producer, CHANGED, [(None, b"by right")])
        with load.step("rule removed"):
            answer = load.ask_admin("DeleteAcls", 3, Filters=[wanted])["FilterResults"][0]
            assert answer["ErrorCode"] == 0 and answer["MatchingAcls"]


@activity
def changes_rules_by_command(load):
    words = ["--deny", "User:alice", "--operation", "READ,WRITE", "--topic", TOPICS[2]]
    while load.goes_on():
        with load.step("rule by command"):
            load.system.castellan("acl", "add", *words)
            load.system.castellan("acl", "list")
        with load.step("rule removed by command"):
            load.system.castellan("acl", "remove", *words)


@activity
def changes_users(load):
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        name, source = f"short-{n % 50}", f"127.0.7.{1 + n % 200}"
        with load.step("user made"):
            made = wire.scram_upsertion(name, "a password")
            assert load.ask_admin("AlterUserScramCredentials", 0, Upsertions=[made])["Results"][0]["ErrorCode"] == 0
        with load.step("user logs in"), Client(load.system, source=source, timeout=CLIENT_SECONDS) as c:
            assert c.plain(name, "a password") == 0
            load.ask_admin("AlterUserScramCredentials", 0, Deletions=[{"Name": name, "Mechanism": 2}])
        with load.step("user is gone"), Client(load.system, source=source, timeout=CLIENT_SECONDS) as c:
            assert c.plain(name, "a password")


@activity
def changes_users_by_command(load):
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("user by command"):
            load.system.castellan("user", "add", f"cli-{n}")
            load.system.castellan("user", "list")
            load.system.castellan("user", "delete", f"cli-{n}")


@activity
def changes_quotas(load):
    entity = [{"EntityType": "user", "EntityName": "alice"}]
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("quota"):
            for remove in (False, True):
                ops = [{"Key": "producer_byte_rate", "Value": 1e6 + n, "Remove": remove},
                       {"Key": "request_percentage", "Value": 150.0, "Remove": remove}]
                answer = load.ask_admin("AlterClientQuotas", 1, Entries=[{"Entity": entity, "Ops": ops}])
                assert answer["Entries"][0]["ErrorCode"] == 0
        with load.step("quota by command"):
            load.system.castellan("quota", "set", "--user-default", "consumer_byte_rate=50000000")
            load.system.castellan("quota", "remove", "--user-default")


@activity
def changes_policies(load):
    policy = {"subject_from": "key", "protect": "value", "erased": "skip"}
    for topic in itertools.takewhile(lambda _: load.goes_on(), itertools.cycle(["load-short-p", CHANGED])):
        with load.step("policy set"):
            assert load.system.admin("PUT", f"/v1/policies/{topic}", body=policy)[0] in (200, 201)
        with load.step("policy removed"):
            assert load.system.admin("DELETE", f"/v1/policies/{topic}")[0] in (200, 204)


@activity
def forgets(load):
    for n in itertools.takewhile(lambda _: load.goes_on(), itertools.count()):
        with load.step("forgotten"):
            status, body = load.system.admin("DELETE", f"/v1/subjects/person-{n}-{n % 20}")
            assert status == 200, body
        load.over.wait(0.5)


@activity
def looks(load):
    while load.goes_on():
        for port, path, user in ((300, "/metrics", None), (300, "/health/live", None), (300, "/health/ready", None),
                                 (300, "/v1/status", "admin"), (300, "/v1/policies", "admin"), (200, "/subjects", "admin")):
            with load.step(f"{port} {path}"):
                status, _ = load.system.http("GET", port, path, user)
                assert status == 200
        load.over.wait(0.2)


# ---- what is done to the system meanwhile ----

def roles(system):
    """word -> the ids of its processes."""
    out = collections.defaultdict(list)
    for pid in system.pids()[1:]:
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if len(words) > 1:  # else it has ended
                out[words[1].decode()].append(pid)
    return out


def is_ready(system):
    with contextlib.suppress(OSError):
        return system.admin("GET", "/health/ready", user=None)[0] == 200
    return False


def wait_until(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"after {seconds} s: {what}"
        time.sleep(0.1)


def kill_each_broker(system):
    """One after the other, each when the one before is there again."""
    for pid in roles(system)["broker"]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(roles(system)["broker"]) == system.brokers and is_ready(system), HEALTHY_SECONDS,
                   "no broker in the place of the one that was killed:\n" + system.logs())
