# SPDX-License-Identifier: Apache-2.0
"""What hostile clients send and what it costs the gateway: requests with many elements, built byte by byte, and meters
for the processor time and memory of the gateway's process. Shared by test_exhaustion.py and tests/bench/abuse.py."""
import collections
import contextlib
import gzip
import json
import os
import pathlib
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

import kafka_wire as wire
from system import CASTELLAN

HERE = pathlib.Path(__file__).resolve().parent
GATEWAY_OFFSET = 40  # own gateways listen this far behind the ports of `castellan up`
GATEWAY_START_SECONDS = 30
GATEWAY_STOP_SECONDS = 20


# ---- the process that is measured ----

class Gateway:
    """A gateway of its own beside those of a running System, as an operator would add one: its properties with other
    ports and the settings of the test. One worker, so that whoever is slow is slow for everybody on it."""

    def __init__(self, system, **settings):
        self.system = system
        self.port = system.base + GATEWAY_OFFSET
        self.mtls_port = system.base + 100 + GATEWAY_OFFSET
        lines = dict(line.split("=", 1) for line in
                     (system.data / "gateway" / "gateway.properties").read_text().splitlines()
                     if line and not line.startswith("#"))
        lines["listeners"] = f"SASL_SSL://localhost:{self.port},SSL://localhost:{self.mtls_port}"
        lines["castellan.admin.listener"] = f"https://localhost:{system.base + 300 + GATEWAY_OFFSET}"
        lines["num.network.threads"] = "1"
        lines.update({key: str(value) for key, value in settings.items()})
        self.config = system.data / "gateway-measured.properties"
        self.config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        self.process = None

    def __enter__(self):
        read_end, write_end = os.pipe()
        self.log = self.system.data / "logs" / "gateway-measured.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([CASTELLAN, "gateway", "-c", self.config], stdout=log, stderr=log,
                                            pass_fds=[write_end],
                                            env={**os.environ, "CASTELLAN_READY_FD": str(write_end)})
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], GATEWAY_START_SECONDS)
        line = os.read(read_end, 16) if ready else b""
        os.close(read_end)
        if not line.startswith(b"READY"):
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the gateway is not ready:\n" + "".join(self.log.read_text().splitlines(True)[-15:]))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(GATEWAY_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def connect(self, user=None, node=0, **more):
        """A connection to the bootstrap port (node 0) or a node's, logged in unless user is None."""
        client = Client(self.port + node, self.system.ca, **more)
        if user:
            client.log_in(user, self.system.password(user))
        return client

    def cpu_seconds(self):
        """All threads' time, in the scheduler's own resolution."""
        return time.clock_gettime(~self.pid << 3 | 2)  # what clock_getcpuclockid(3) gives

    def memory(self, key="VmRSS"):
        """Bytes resident now, or at the most since forget_peak (VmHWM)."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", status, re.M)[1]) * 1024

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @contextlib.contextmanager
    def measured(self):
        """Yields a Cost that is filled in at the end: processor time, and memory at its most above what it was."""
        cost = Cost()
        before = self.memory()
        self.forget_peak()
        cpu, clock = self.cpu_seconds(), time.monotonic()
        yield cost
        cost.cpu, cost.seconds = self.cpu_seconds() - cpu, time.monotonic() - clock
        cost.bytes = max(0, self.memory("VmHWM") - before)


class Cost:
    cpu = seconds = bytes = 0


# ---- a connection that sends what it likes ----

class Client(wire.Connection):
    def __init__(self, port, ca, certificate=None, timeout=60, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket = context_for(ca, certificate).wrap_socket(self.socket, server_hostname="localhost")
        self.correlation = 0

    def log_in(self, user, password):
        assert self.call(17, 1, wire.string("PLAIN")).take("h") == 0
        answer = self.call(36, 1, wire.bytes_(b"\0" + user.encode() + b"\0" + password.encode()))
        assert answer.take("h") == 0, answer.string()

    def request(self, r, n):
        """Sends the request with n elements and returns the length of its answer."""
        self.send_frame(r.frame(n))
        return self.skip_answer()

    def send_frame(self, frame):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def served(self):
        """The numbers of the APIs that are offered."""
        answer = self.call(18, 0)
        assert answer.take("h") == 0
        return {api for api, _, _ in answer.array(lambda r: r.take("hhh"))}

    def skip_answer(self):
        (length,) = struct.unpack(">i", self.read(4))
        left, room = length, bytearray(1 << 18)
        while left:
            got = self.socket.recv_into(room, min(left, len(room)))
            if not got:
                raise ConnectionError("closed by the gateway")
            left -= got
        return length

    def is_closed(self):
        """Whatever is left to be read is read first."""
        self.socket.settimeout(0.05)
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True


contexts = {}


def context_for(ca, certificate=None):
    key = str(ca), str(certificate)
    if key not in contexts:
        contexts[key] = ssl.create_default_context(cafile=ca)
        if certificate:
            contexts[key].load_cert_chain(*certificate)
    return contexts[key]


# ---- encoding ----

def uvarint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def text(s):
    return uvarint(len(s) + 1) + s


def array(items):
    return uvarint(len(items) + 1) + b"".join(items)


def i32(n):
    return struct.pack(">i", n)


def uuid(i):
    return b"\x77" * 8 + struct.pack(">q", i + 1)


def each(n, one):
    return array([one(i) for i in range(n)])


NULL, EMPTY, TAGS = b"\0", b"\1", b"\0"

# ---- requests of n elements ----

class Request(collections.namedtuple("Request", "what user key version flexible body answer")):
    """user: who sends it. answer: the least bytes that each element adds to the answer; 0 where Kafka gives one error for
    all or leaves out what is refused."""

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
         lambda n: text(OWN_GROUP + b"2") + EMPTY + i32(0) + NULL + NULL + i32(60000) + named()(n) + NULL + EMPTY + TAGS,
         0),
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


def prepare(system):
    """The rights that the requests speak of, and the topics of honest clients."""
    for topic in (OWN_TOPIC.decode(), "closed", "honest"):
        system.castellan("topic", "create", topic, "--partitions", "1")
    for resource in ("--topic", "--transactional-id", "--group"):
        system.castellan("acl", "add", "--allow", "User:alice", "--operation", "ALL", resource, OWN_PREFIX.decode(),
                         "--prefixed")


SIZES = 1000, 10000, 40000  # the last two show how time grows
ELEMENT_BYTES_ENOUGH = 4096  # an element that costs more ends the measuring: the next size could take all memory
REPEAT_BELOW_SECONDS = 0.1   # of processor time; the least of two counts, as the machine has other work


def cost_of(gateway, r):
    """The cost at each size, as far as it was safe to go, and the reason if the answer was not what it should be. The
    gateway must be new: what it keeps of memory from before would hide what it takes now."""
    costs = {}
    with gateway.connect(r.user) as client:
        client.request(r, 10)
        for n in SIZES:
            with gateway.measured() as costs[n]:
                length = client.request(r, n)
            if length < n * r.answer:
                return costs, f"{n} elements are answered by {length} bytes"
            if costs[n].bytes > n * ELEMENT_BYTES_ENOUGH:
                break
            if costs[n].cpu < REPEAT_BELOW_SECONDS:
                with gateway.measured() as again:
                    client.request(r, n)
                costs[n].cpu = min(costs[n].cpu, again.cpu)
    return costs, None


# ---- record batches ----

def varint(n):
    return uvarint((n << 1) ^ (n >> 63))


def record(key, value):
    body = b"\0" + varint(0) + varint(0) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(records, count, codec=0):
    now = int(time.time() * 1000)
    after_crc = struct.pack(">hiqqqhii", codec, count - 1, now, now, -1, -1, -1, count) + records
    return struct.pack(">qiibI", 0, 9 + len(after_crc), -1, 2, crc32c(after_crc)) + after_crc


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(crc_table())


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def bomb(size):
    """A gzip batch of one record of `size` zeros, about a thousandth as long."""
    return batch(gzip.compress(record(b"k", bytes(size))), 1, codec=1)


# ---- an honest client beside them ----

class Honest:
    """A program of its own (honest.py) that asks at a steady pace while the block runs; then `latencies`, sorted, in
    seconds, and `lost`: why it ended before it was told to, if it did. Needs prepare_policies."""

    def __init__(self, gateway, user="admin"):
        port = gateway.port
        words = [sys.executable, str(HERE / "honest.py"), str(port), str(gateway.system.ca), user, "honest", "honest-sealed"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(gateway.system.password(user) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self

    def __exit__(self, *_):
        """Tells it to end; it has measured all the time until now."""
        self.process.stdin.close()
        told = json.loads(self.process.stdout.read())
        self.process.wait()
        self.latencies, self.lost = sorted(told["latencies"]), told["lost"]

    def p99_ms(self):
        return 1000 * self.latencies[int(len(self.latencies) * 0.99)] if self.latencies else float("inf")

    def max_ms(self):
        return 1000 * self.latencies[-1] if self.latencies else float("inf")


# ---- clients that do harm for as long as they are let ----

def repeats(what, n):
    """Sends one request of n elements again and again."""
    def run(gateway, until):
        r = request(what)
        frame = r.frame(n)
        with gateway.connect(r.user) as client:
            while time.monotonic() < until:
                client.send_frame(frame)
                client.skip_answer()
    return run


API_VERSIONS_ASKED = struct.pack(">hhi", 18, 0, 1) + wire.string("many")
UNREAD_BUFFER = 4096  # bytes the client's own socket takes of answers


def metadata_of_long_names():
    names = each(500, lambda i: bytes(16) + text(b"q" * 200 + b"%d" % i) + TAGS)
    return struct.pack(">hhi", 3, 12, 1) + wire.string("many") + TAGS + names + b"\0\0" + TAGS


def fetch_of_records():
    topic = array([text(b"closed") + array([struct.pack(">iiqiqi", 0, -1, 0, -1, -1, 4 << 20) + TAGS]) + TAGS])
    return struct.pack(">hhi", 1, 12, 1) + wire.string("many") + TAGS + struct.pack(
        ">iiiibii", -1, 10, 0, 4 << 20, 0, 0, -1) + topic + EMPTY + EMPTY + TAGS


def fill(gateway, megabytes=4):
    """Records for fetch_of_records; returns the node whose port leads to them."""
    node = leader_of(gateway, "closed")
    body = NULL + struct.pack(">hi", 1, 10000) + array([text(b"closed") + array(
        [i32(0) + one_batch(batch(record(b"k", os.urandom(500 << 10)), 1)) + TAGS]) + TAGS]) + TAGS
    frame = struct.pack(">hhi", 0, 9, 1) + wire.string("many") + TAGS + body
    with gateway.connect("admin", node) as client:
        for _ in range(2 * megabytes):
            client.send_frame(frame)
            client.skip_answer()
    return node


def one_batch(records):
    return uvarint(len(records) + 1) + records


def leader_of(gateway, topic):
    with gateway.connect("admin") as client:
        return leader_port(client, topic) - gateway.port


def leader_port(client, topic):
    answer = client.call(3, 4, wire.array([wire.string(topic)]) + b"\0")
    answer.take("i")
    ports = dict(answer.array(lambda r: (r.take("i"), (r.string(), r.take("i"), r.string())[1])))
    answer.string()
    answer.take("i")
    (partitions,) = answer.array(lambda r: (r.take("h"), r.string(), r.take("b"), r.array(
        lambda p: (p.take("hii")[2], p.array(lambda x: x.take("i")), p.array(lambda x: x.take("i")))[0]))[3])
    return ports[partitions[0]]


class Unread:
    """A client that asks and takes no answer."""

    def __init__(self, gateway, frame, user=None, node=0, pause=0):
        self.client = gateway.connect(user, node, receive_buffer=UNREAD_BUFFER)
        self.pause = pause  # between requests; without one they are sent 16 KiB at a time
        self.frames = (struct.pack(">i", len(frame)) + frame) * (1 if pause else max(1, (16 << 10) // len(frame)))
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.socket.close()

    def ask(self, until, patience=1.0):
        """Until nothing was taken of it for `patience` seconds."""
        self.client.socket.settimeout(patience)
        while time.monotonic() < until and not self.closed:
            try:
                self.client.socket.sendall(self.frames)
                time.sleep(self.pause)
            except TimeoutError:
                return
            except OSError:
                self.closed = True


def does_not_read(make_frame, user=None):
    def run(gateway, until):
        with Unread(gateway, make_frame(), user) as client:
            client.ask(until)
            while time.monotonic() < until:
                time.sleep(0.05)
    return run


def bombs(topic, size=100 << 20, count=10):
    """A Produce of about a megabyte that decompresses to a gigabyte."""
    records = one_batch(bomb(size))
    body = produce(array([text(topic.encode()) + each(count, lambda i: i32(i) + records + TAGS) + TAGS]))
    return struct.pack(">hhi", 0, 9, 1) + wire.string("many") + TAGS + body


def sends_bombs(topic):
    def run(gateway, until):
        frame = bombs(topic)
        with gateway.connect("alice", leader_of(gateway, topic)) as client:
            while time.monotonic() < until:
                client.send_frame(frame)
                client.skip_answer()
    return run


class HalfSent:
    """Connections of one principal, each with most of one large request sent."""
    BODY_BYTES = 1 << 20

    def __init__(self, gateway, connections):
        self.gateway, self.wanted, self.clients, self.sent = gateway, connections, [], 0

    def __enter__(self):
        folder = self.gateway.system.data / "clients"
        certificate = folder / "alice.pem", folder / "alice.key"
        for _ in range(self.wanted):
            self.clients.append(Client(self.gateway.mtls_port, self.gateway.system.ca, certificate))
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.socket.close()

    def send(self, until):
        """Round after round, a piece each, as long as any is taken."""
        head = struct.pack(">i", self.BODY_BYTES + 1024) + struct.pack(">hhi", 0, 9, 1) + wire.string("many") + TAGS
        piece, left = bytes(64 << 10), {client: self.BODY_BYTES for client in self.clients}
        for client in self.clients:
            client.socket.sendall(head)
            client.socket.setblocking(False)
        while left and time.monotonic() < until:
            taken = 0
            for client in list(left):
                try:
                    n = client.socket.send(piece[:left[client]])
                except ssl.SSLWantWriteError:
                    continue
                except OSError:
                    del left[client]  # refused: its connection is closed
                    continue
                taken, left[client] = taken + n, left[client] - n
                if not left[client]:
                    del left[client]
            self.sent += taken
            if not taken:
                time.sleep(0.02)


def holds_half(connections):
    def run(gateway, until):
        with HalfSent(gateway, connections) as clients:
            clients.send(until)
            while time.monotonic() < until:
                time.sleep(0.05)
    return run


def prepare_policies(system):
    """Topics whose records the gateway looks into: 'sealed' has a privacy policy, 'judged' validates payloads."""
    for topic in ("mallory-sealed", "honest-sealed"):
        system.castellan("topic", "create", topic, "--partitions", "1")
        system.castellan("policy", "set", topic, "--subject-from", "key", "--protect", "value", "--erased", "null")
    system.castellan("topic", "create", "mallory-judged", "--partitions", "1", "--set",
                     "castellan.value.schema.validation=payload")


ABUSERS = {
    "nobody": lambda gateway, until: time.sleep(max(0, until - time.monotonic())),
    "Produce, 40,000 partitions": repeats("Produce, partitions of one topic", 40000),
    "Produce, 2,000 topics": repeats("Produce, topics", 2000),
    "DeleteTopics, 40,000 unknown ids": repeats("DeleteTopics, unknown ids", 40000),
    "DescribeGroups, 40,000 times an own group": repeats("DescribeGroups, one own group many times", 40000),
    "FindCoordinator, 500,000 empty keys": repeats("FindCoordinator, empty keys", 500000),
    "DescribeGroups, 500,000 empty ids": repeats("DescribeGroups, empty ids", 500000),
    "Fetch, 30,000 unknown ids": repeats("Fetch, unknown topic ids", 30000),
    "ApiVersions before login, unread": does_not_read(lambda: API_VERSIONS_ASKED),
    "Metadata, unread": does_not_read(metadata_of_long_names, "bob"),
    "bombs to a topic with a policy": sends_bombs("mallory-sealed"),
    "bombs to a topic with schemas": sends_bombs("mallory-judged"),
    "300 half-sent requests": holds_half(300),
}
