# SPDX-License-Identifier: Apache-2.0
"""Kafka's messages as dictionaries, for tests: every API in every version, from the descriptions in core/wire/messages.
A request's missing fields take their defaults; an answer must be read to its last byte."""
import pathlib
import re
import struct
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}
NO_ID = uuid.UUID(int=0)
RESPONSE_HEADER_STAYS_OLD = 18  # ApiVersions: a client that is too new must still be able to read the header


def versions(text):
    """"3", "0-4", "2+" or "none" as a range."""
    if text == "none":
        return range(0)
    first, _, last = text.partition("-")
    if text.endswith("+"):
        return range(int(text[:-1]), 1 << 15)
    return range(int(first), int(last or first) + 1)


class Field:
    def __init__(self, words):
        self.name, self.type, self.versions = words[0], words[1], versions(words[2])
        self.nullable, self.tagged, self.tag = range(0), range(0), None
        self.default_text, self.old_encoding, self.fields = None, False, []
        at = 3
        while at < len(words):
            word = words[at]
            if word == "nullable":
                self.nullable = versions(words[at + 1])
                at += 2
            elif word == "tag":
                self.tag, self.tagged = int(words[at + 1]), versions(words[at + 2])
                at += 3
            elif word == "default":
                self.default_text = words[at + 1].strip('"')
                at += 2
            elif word == "flexible":
                self.old_encoding = True
                at += 2
            else:
                at += 2 if word == "entity" else 1
        self.item = self.type[2:] if self.type.startswith("[]") else None

    def default(self):
        text = self.default_text
        if text == "null":
            return None
        if self.item:
            return []
        if self.type in NUMBERS:
            return float(text or 0) if self.type == "float64" else int(text or "0", 0)
        if self.type == "bool":
            return text == "true"
        return {"string": text or "", "bytes": b"", "records": None, "uuid": NO_ID}.get(self.type, {})


class Message:
    def __init__(self, words):
        self.name, self.versions, self.flexible = words[1], versions(words[2]), versions(words[4])
        self.fields, self.structs = [], {}


def read_file(path):
    """The API's number and name, if the file describes one, and its messages."""
    api, found, open_lists = None, [], []
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        depth = (len(line) - len(line.lstrip())) // 4
        if depth == 0:
            if words[0] == "api":
                api = (int(words[1]), words[2])
            if words[0] in ("request", "response", "data"):
                found.append((words[0], Message(words)))
                open_lists = [found[-1][1].fields]
            continue
        if not found:
            continue
        del open_lists[depth:]
        if words[0] == "struct":
            open_lists.append(found[-1][1].structs.setdefault(words[1], []))
            continue
        field = Field(words)
        open_lists[-1].append(field)
        open_lists.append(field.fields)
    return api, found


REQUESTS, RESPONSES, DATA, KEYS, NAMES = {}, {}, {}, {}, {}
for _path in sorted((ROOT / "core" / "wire" / "messages").glob("*.msg")):
    _api, _found = read_file(_path)
    for _kind, _message in _found:
        if _kind == "data":
            DATA[_message.name] = _message
        elif _api:
            (REQUESTS if _kind == "request" else RESPONSES)[_api[0]] = _message
            KEYS[_api[1]], NAMES[_api[0]] = _api[0], _api[1]
ERRORS = {int(m[2]): m[1] for m in re.finditer(r"^ERR\((\w+), (-?\d+),", (ROOT / "core/base/err.tbl").read_text(), re.M)
          if int(m[2]) < 1000}
ERRORS[0] = "NONE"


def unsigned(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


class Writer:
    def __init__(self, message, version):
        self.message, self.version, self.flexible = message, version, version in message.flexible
        self.out = bytearray()

    def length(self, n, old):
        if self.flexible:
            self.out += unsigned(0 if n is None else n + 1)
        else:
            self.out += struct.pack(old, -1 if n is None else n)

    def value(self, field, kind, x):
        if kind in NUMBERS:
            self.out += struct.pack(NUMBERS[kind], x)
        elif kind == "bool":
            self.out.append(1 if x else 0)
        elif kind == "string":
            raw = None if x is None else x.encode()
            self.length(None if raw is None else len(raw), ">h")
            self.out += raw or b""
        elif kind in ("bytes", "records"):
            self.length(None if x is None else len(x), ">i")
            self.out += x or b""
        elif kind == "uuid":
            self.out += x.bytes
        else:
            self.struct(field.fields or self.message.structs[kind], x)

    def field(self, field, x):
        if field.item:
            self.length(None if x is None else len(x), ">i")
            for one in x or []:
                self.value(field, field.item, one)
            return
        if is_struct(field.type) and self.version in field.nullable:
            self.out += b"\xff" if x is None else b"\1"
            if x is None:
                return
        self.value(field, field.type, x)

    def struct(self, fields, values):
        unknown = set(values) - {f.name for f in fields}
        assert not unknown, f"{self.message.name} has no {unknown}"
        tagged = []
        for f in fields:
            if self.version not in f.versions:
                continue
            if self.flexible and self.version in f.tagged:
                if f.name in values:
                    w = Writer(self.message, self.version)
                    w.field(f, values[f.name])
                    tagged.append((f.tag, bytes(w.out)))
                continue
            self.field(f, values[f.name] if f.name in values else f.default())
        if self.flexible:
            self.out += unsigned(len(tagged))
            for tag, raw in sorted(tagged):
                self.out += unsigned(tag) + unsigned(len(raw)) + raw


def is_struct(kind):
    return kind not in NUMBERS and kind not in ("bool", "string", "bytes", "records", "uuid")


class Reader:
    def __init__(self, message, version, raw, at=0):
        self.message, self.version, self.flexible = message, version, version in message.flexible
        self.raw, self.at = raw, at

    def take(self, n):
        assert 0 <= n <= len(self.raw) - self.at, f"{self.message.name} v{self.version} ends early"
        self.at += n
        return self.raw[self.at - n : self.at]

    def unsigned(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    def length(self, old):
        if self.flexible:
            return self.unsigned() - 1
        return struct.unpack(old, self.take(struct.calcsize(old)))[0]

    def value(self, field, kind):
        if kind in NUMBERS:
            return struct.unpack(NUMBERS[kind], self.take(struct.calcsize(NUMBERS[kind])))[0]
        if kind == "bool":
            return self.take(1)[0] != 0
        if kind == "string":
            n = self.length(">h")
            return None if n < 0 else bytes(self.take(n)).decode()
        if kind in ("bytes", "records"):
            n = self.length(">i")
            return None if n < 0 else bytes(self.take(n))
        if kind == "uuid":
            return uuid.UUID(bytes=bytes(self.take(16)))
        return self.struct(field.fields or self.message.structs[kind])

    def field(self, field):
        if field.item:
            n = self.length(">i")
            return None if n < 0 else [self.value(field, field.item) for _ in range(n)]
        if is_struct(field.type) and self.version in field.nullable and struct.unpack(">b", self.take(1))[0] < 0:
            return None
        return self.value(field, field.type)

    def struct(self, fields):
        out, tagged = {}, {}
        for f in fields:
            if self.version not in f.versions:
                continue
            if self.flexible and self.version in f.tagged:
                tagged[f.tag] = f
                continue
            out[f.name] = self.field(f)
        if self.flexible:
            for _ in range(self.unsigned()):
                tag, n = self.unsigned(), self.unsigned()
                raw = self.take(n)
                if tag in tagged:
                    r = Reader(self.message, self.version, raw)
                    out[tagged[tag].name] = r.field(tagged[tag])
                else:
                    out[f"tag {tag}"] = bytes(raw)
        return out


def encode(message, version, values):
    w = Writer(message, version)
    w.struct(message.fields, values)
    return bytes(w.out)


def decode(message, version, raw, at=0):
    r = Reader(message, version, raw, at)
    out = r.struct(message.fields)
    assert r.at == len(raw), f"{message.name} v{version}: {len(raw) - r.at} bytes behind its end"
    return out


def request_frame(key, version, values, correlation, client_id="probe"):
    message = REQUESTS[key]
    head = struct.pack(">hhih", key, version, correlation, len(client_id)) + client_id.encode()
    if version in message.flexible:
        head += b"\0"
    return head + encode(message, version, values)


def response(key, version, frame):
    """The decoded answer, without its header."""
    flexible = version in RESPONSES[key].flexible and key != RESPONSE_HEADER_STAYS_OLD
    r = Reader(RESPONSES[key], version, frame, 4)
    if flexible:
        for _ in range(r.unsigned()):
            r.unsigned()
            r.take(r.unsigned())
    return decode(RESPONSES[key], version, frame, r.at)


# ---- what stands inside bytes ----
def prefixed(version, message, values):
    """As consumers write subscriptions and assignments: the version, then the message."""
    return struct.pack(">h", version) + encode(DATA[message], version, values)


def zigzag(n):
    return unsigned((n << 1 ^ n >> 63) & (1 << 64) - 1)


CRC_TABLE = []
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = _crc >> 1 ^ (0x82F63B78 if _crc & 1 else 0)
    CRC_TABLE.append(_crc)


def crc32c(raw):
    crc = 0xFFFFFFFF
    for byte in raw:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


TRANSACTIONAL, CONTROL = 1 << 4, 1 << 5


def record(key, value, i=0):
    """The i-th of a batch; None is null."""
    one = b"\0" + zigzag(0) + zigzag(i)
    for part in (key, value):
        one += zigzag(-1) if part is None else zigzag(len(part)) + part
    one += zigzag(0)
    return zigzag(len(one)) + one


def batch_around(records, count, attributes=0, producer_id=-1, producer_epoch=-1, sequence=-1, timestamp=None):
    """A batch of `count` records that are bytes already, compressed maybe."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    tail = struct.pack(">hiqqqhii", attributes, count - 1, now, now, producer_id, producer_epoch, sequence,
                       count) + records
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def batch(*records, **more):
    """A batch of (key, value) pairs, as Produce carries it."""
    return batch_around(b"".join(record(*pair, i) for i, pair in enumerate(records)), len(records), **more)


def read_batches(raw):
    """The heads of batches: (first offset, attributes, number of records, the bytes of the records)."""
    out, at = [], 0
    while at + 61 <= len(raw):
        first, length = struct.unpack_from(">qi", raw, at)
        if at + 12 + length > len(raw):
            break
        (attributes,) = struct.unpack_from(">h", raw, at + 21)
        (count,) = struct.unpack_from(">i", raw, at + 57)
        out.append((first, attributes, count, bytes(raw[at + 61 : at + 12 + length])))
        at += 12 + length
    return out
