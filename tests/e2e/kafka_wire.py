# SPDX-License-Identifier: Apache-2.0
"""A Kafka connection by hand, for what the clients at hand do not ask for: any API in any version as dictionaries (ask),
or requests built and read field by field, in old formats and in flexible ones (call); plain or through TLS and SASL."""
import hashlib
import os
import socket
import ssl
import struct

import kafka_messages


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        values = struct.unpack_from(">" + fmt, self.data, self.at)
        self.at += struct.calcsize(">" + fmt)
        return values[0] if len(values) == 1 else values

    def string(self):
        n = self.take("h")
        if n < 0:
            return None
        self.at += n
        return self.data[self.at - n : self.at].decode()

    def bytes(self):
        n = self.take("i")
        if n < 0:
            return None
        self.at += n
        return self.data[self.at - n : self.at]

    def array(self, item):
        return [item(self) for _ in range(self.take("i"))]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def compact_string(self):
        n = self.varint() - 1
        if n < 0:
            return None
        self.at += n
        return self.data[self.at - n : self.at].decode()

    def compact_array(self, item):
        n = self.varint() - 1
        return None if n < 0 else [item(self) for _ in range(n)]

    def tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.at += self.varint()

    def left(self):
        return len(self.data) - self.at


def string(s):
    return struct.pack(">h", -1) if s is None else struct.pack(">h", len(s.encode())) + s.encode()


def bytes_(b):
    return struct.pack(">i", len(b)) + b


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def compact(s):
    """A string or bytes; None is null."""
    if s is None:
        return b"\0"
    s = s.encode() if isinstance(s, str) else s
    return varint(len(s) + 1) + s


def compact_array(items):
    return b"\0" if items is None else varint(len(items) + 1) + b"".join(items)


NO_TAGS = b"\0"


class Connection:
    def __init__(self, port, ca=None, user=None, password=None, keystore=None):
        """Plain, or TLS where ca names the file of the authority; with a user, logged in by PLAIN; keystore: our
        certificate and key."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.correlation = 0
        if ca:
            context = ssl.create_default_context(cafile=ca)
            if keystore:
                context.load_cert_chain(keystore)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if user:
            self.login(user, password)

    def ask(self, api, version, values=None, expect_answer=True):
        """The answer to one request of that API, decoded; ConnectionError when there is none."""
        key = kafka_messages.KEYS[api]
        self.correlation += 1
        frame = kafka_messages.request_frame(key, version, values or {}, self.correlation)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        if not expect_answer:
            return None
        (n,) = struct.unpack(">i", self.read(4))
        raw = self.read(n)
        assert struct.unpack_from(">i", raw)[0] == self.correlation
        return kafka_messages.response(key, version, raw)

    def login(self, user, password):
        r = self.call(SASL_HANDSHAKE, 1, string("PLAIN"))
        assert r.take("h") == 0
        r = self.call(SASL_AUTHENTICATE, 0, bytes_(b"\0" + user.encode() + b"\0" + password.encode()))
        assert r.take("h") == 0, "the login was refused"
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, key, version, body=b"", tags=b""):
        """tags: NO_TAGS or more for a request of a flexible version."""
        self.correlation += 1
        frame = struct.pack(">hhi", key, version, self.correlation) + string("probe") + tags + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("closed by the broker")
            data += more
        return data

    def receive(self):
        (n,) = struct.unpack(">i", self.read(4))
        r = Reader(self.read(n))
        assert r.take("i") == self.correlation
        return r

    def call(self, key, version, body=b"", tags=b""):
        self.send(key, version, body, tags)
        return self.receive()

    def call_flexible(self, key, version, body=b"", tags=NO_TAGS):
        r = self.call(key, version, body, tags)
        r.tags()
        return r

    def leader_port(self, topic, partition=0):
        """Asks until the partition has a leader."""
        for _ in range(1000):
            r = self.call(METADATA, 1, array([string(topic)]))
            ports = {n: port for n, _, port, _ in r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string()))}
            r.take("i")
            found = r.array(lambda r: (r.take("h"), r.string(), r.take("?"), r.array(
                lambda r: (r.take("hii"), r.array(lambda r: r.take("i")), r.array(lambda r: r.take("i"))))))
            leaders = {p[0][1]: p[0][2] for p in found[0][3]}
            if leaders.get(partition, -1) in ports:
                return ports[leaders[partition]]
        raise AssertionError(f"{topic}-{partition} has no leader")

    def is_closed(self):
        """Whether the other side has closed it, or does so within the timeout, without a further answer."""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True


PRODUCE, FETCH, LIST_OFFSETS, METADATA, SASL_HANDSHAKE, CREATE_TOPICS, DELETE_TOPICS = 0, 1, 2, 3, 17, 19, 20
SASL_AUTHENTICATE, ALTER_USER_SCRAM_CREDENTIALS = 36, 51
FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 10, 11, 12, 13, 14
DESCRIBE_GROUPS, LIST_GROUPS, API_VERSIONS, DELETE_RECORDS, DELETE_GROUPS, OFFSET_DELETE = 15, 16, 18, 21, 42, 47
OFFSET_COMMIT, OFFSET_FETCH = 8, 9
INIT_PRODUCER_ID, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 25, 26, 28


def scram_upsertion(user, password, mechanism=2, iterations=4096):
    """What AlterUserScramCredentials takes to make a user; mechanism 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac({1: "sha256", 2: "sha512"}[mechanism], password.encode(), salt, iterations)
    return {"Name": user, "Mechanism": mechanism, "Iterations": iterations, "Salt": salt, "SaltedPassword": salted}


def produce_body(topic, partitions, transactional_id=None, acks=-1):
    """Of Produce 3 to 8; partitions: number -> batch."""
    data = [struct.pack(">i", p) + bytes_(b) for p, b in partitions.items()]
    return string(transactional_id) + struct.pack(">hi", acks, 15000) + array([string(topic) + array(data)])


def produce_answer(r, version=3):
    """partition -> (error, base offset) of an answer about one topic."""
    def partition(r):
        index, error, offset, _ = r.take("ihqq")
        if version >= 5:
            r.take("q")
        if version >= 8:
            r.array(lambda r: (r.take("i"), r.string()))
            r.string()
        return index, (error, offset)
    return dict(r.array(lambda r: (r.string(), r.array(partition)))[0][1])
