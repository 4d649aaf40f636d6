# SPDX-License-Identifier: Apache-2.0
"""What hostile clients do and what it costs the gateway: meters for the processor time and memory of its process,
connections that send what they like, an honest client beside them. Shared by test_exhaustion.py,
test_hostile_clients.py and tests/bench/abuse_figures.py."""
import contextlib
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
from abuse_requests import (EMPTY, NULL, OWN_PREFIX, OWN_TOPIC, TAGS, array, bomb, each, i32, produce, request, text,
                            uvarint)
from kafka_messages import batch
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
            client.login(user, self.system.password(user))
        return client

    def connect_by_certificate(self, user):
        folder = self.system.data / "clients"
        return Client(self.mtls_port, self.system.ca, (folder / f"{user}.pem", folder / f"{user}.key"))

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


contexts = {}


def context_for(ca, certificate=None):
    key = str(ca), str(certificate)
    if key not in contexts:
        contexts[key] = ssl.create_default_context(cafile=ca)
        if certificate:
            contexts[key].load_cert_chain(*certificate)
    return contexts[key]


def prepare(system):
    """The rights that the requests speak of, and the topics of honest clients."""
    for topic in (OWN_TOPIC.decode(), "closed", "honest"):
        system.castellan("topic", "create", topic, "--partitions", "1")
    for resource in ("--topic", "--transactional-id", "--group"):
        system.castellan("acl", "add", "--allow", "User:alice", "--operation", "ALL", resource, OWN_PREFIX.decode(),
                         "--prefixed")


SIZES = 1000, 10000, 40000  # the last two show how time grows
ELEMENT_BYTES_ENOUGH = 4096  # an element that costs more ends the measuring: the next size could take all memory
REPEATS, REPEAT_BELOW_SECONDS = 2, 0.1  # of processor time: the least counts, as the machine has other work


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
            for _ in range(REPEATS if costs[n].cpu < REPEAT_BELOW_SECONDS else 0):
                with gateway.measured() as again:
                    client.request(r, n)
                costs[n].cpu = min(costs[n].cpu, again.cpu)
    return costs, None


# ---- an honest client beside them ----

class Honest:
    """A program of its own (honest.py) that asks at a steady pace while the block runs; then `latencies`, sorted, in
    seconds, and `lost`: why it ended before it was told to, if it did. Needs prepare_policies."""

    def __init__(self, gateway, user="admin"):
        words = [sys.executable, str(HERE / "honest.py"), str(gateway.port), str(gateway.system.ca), user, "honest",
                 "honest-sealed"]
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
FETCH_BYTES = 4 << 20
UNREAD_BUFFER = 4096  # bytes the client's own socket takes of answers


def metadata_of_long_names():
    names = each(500, lambda i: bytes(16) + text(b"q" * 200 + b"%d" % i) + TAGS)
    return struct.pack(">hhi", 3, 12, 1) + wire.string("many") + TAGS + names + b"\0\0" + TAGS


def fetch_of_records(topic=text(b"closed"), version=12):
    """Of what fill() wrote; from version 13 on the topic is its id."""
    topics = array([topic + array([struct.pack(">iiqiqi", 0, -1, 0, -1, -1, FETCH_BYTES) + TAGS]) + TAGS])
    return struct.pack(">hhi", 1, version, 1) + wire.string("many") + TAGS + (i32(-1) if version < 15 else b"") + \
        struct.pack(">iiibii", 10, 0, FETCH_BYTES, 0, 0, -1) + topics + EMPTY + EMPTY + TAGS


def topic_id(client, topic):
    client.send_frame(struct.pack(">hhi", 3, 12, 1) + wire.string("many") + TAGS + array(
        [bytes(16) + text(topic) + TAGS]) + b"\0\0" + TAGS)
    answer = client.read(struct.unpack(">i", client.read(4))[0])
    at = answer.index(text(topic)) + len(text(topic))
    return answer[at:at + 16]


def fill(gateway, megabytes=FETCH_BYTES >> 20):
    """Records for fetch_of_records; returns the node whose port leads to them."""
    node = leader_of(gateway, "closed")
    body = NULL + struct.pack(">hi", 1, 10000) + array([text(b"closed") + array(
        [i32(0) + one_batch(batch((b"k", os.urandom(500 << 10)))) + TAGS]) + TAGS]) + TAGS
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
        return client.leader_port(topic) - gateway.port


class Unread:
    """A client that asks and takes no answer."""

    def __init__(self, gateway, frame, user=None, node=0, pause=0):
        self.client = gateway.connect(user, node, receive_buffer=UNREAD_BUFFER)
        self.pause = pause  # between requests; without one they are sent 16 KiB at a time
        self.frames = (struct.pack(">i", len(frame)) + frame) * (1 if pause else max(1, (16 << 10) // len(frame)))
        self.left = memoryview(b"")  # of the frames that are being sent: TLS goes on where it was stopped
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
                if not self.left:
                    time.sleep(self.pause)
                    self.left = memoryview(self.frames)
                self.left = self.left[self.client.socket.send(self.left):]
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


def open_and_close(gateway, connections):
    """All open at once; each has asked something that the gateway asks the cluster."""
    clients = []
    for _ in range(connections):
        clients.append(gateway.connect_by_certificate("alice"))
        clients[-1].call(3, 4, wire.array([wire.string(OWN_TOPIC.decode())]) + b"\0")
    for client in clients:
        client.socket.close()


class HalfSent:
    """Connections of one principal, each with most of one large request sent."""
    BODY_BYTES = 1 << 20

    def __init__(self, gateway, connections):
        self.gateway, self.wanted, self.clients, self.sent = gateway, connections, [], 0

    def __enter__(self):
        self.clients = [self.gateway.connect_by_certificate("alice") for _ in range(self.wanted)]
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
