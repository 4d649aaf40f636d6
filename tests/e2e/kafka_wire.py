# SPDX-License-Identifier: Apache-2.0
"""A Kafka connection by hand, for what the clients at hand do not ask for: any API in any version as dictionaries (ask),
or old request formats (without tagged fields), built and read field by field (call)."""
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


def string(s):
    return struct.pack(">h", -1) if s is None else struct.pack(">h", len(s.encode())) + s.encode()


def bytes_(b):
    return struct.pack(">i", len(b)) + b


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Connection:
    def __init__(self, port, ca=None, user=None, password=None):
        """Plain, or TLS where ca names the file of the authority; with a user, logged in by PLAIN."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.correlation = 0
        if ca:
            context = ssl.create_default_context(cafile=ca)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if user:
            self.log_in(user, password)

    def log_in(self, user, password):
        said = self.ask("SaslHandshake", 1, {"Mechanism": "PLAIN"})
        assert said["ErrorCode"] == 0, said
        said = self.ask("SaslAuthenticate", 2, {"AuthBytes": f"\0{user}\0{password}".encode()})
        assert said["ErrorCode"] == 0, said

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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, key, version, body=b""):
        self.correlation += 1
        frame = struct.pack(">hhi", key, version, self.correlation) + string("probe") + body
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

    def call(self, key, version, body=b""):
        self.send(key, version, body)
        return self.receive()


def scram_upsertion(user, password, mechanism=2, iterations=4096):
    """What AlterUserScramCredentials takes to make a user; mechanism 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac({1: "sha256", 2: "sha512"}[mechanism], password.encode(), salt, iterations)
    return {"Name": user, "Mechanism": mechanism, "Iterations": iterations, "Salt": salt, "SaltedPassword": salted}


FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 10, 11, 12, 13, 14
DESCRIBE_GROUPS, LIST_GROUPS, API_VERSIONS, DELETE_RECORDS, DELETE_GROUPS, OFFSET_DELETE = 15, 16, 18, 21, 42, 47
OFFSET_COMMIT, OFFSET_FETCH = 8, 9
INIT_PRODUCER_ID, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 25, 26, 28
