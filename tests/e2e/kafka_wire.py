# SPDX-License-Identifier: Apache-2.0
"""A Kafka connection by hand, for what the clients at hand do not ask for: old request formats (without tagged fields),
built and read field by field."""
import socket
import struct


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
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.correlation = 0

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


FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 10, 11, 12, 13, 14
DESCRIBE_GROUPS, LIST_GROUPS, API_VERSIONS, DELETE_RECORDS, DELETE_GROUPS, OFFSET_DELETE = 15, 16, 18, 21, 42, 47
OFFSET_COMMIT, OFFSET_FETCH = 8, 9
INIT_PRODUCER_ID, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 25, 26, 28
