# SPDX-License-Identifier: Apache-2.0
"""What the registry makes of bad input, over real sockets: broken and huge bodies, hostile schemas, HTTP that is wrong
or slow. Each gets the documented answer, in a stated time and memory, and the registry goes on serving."""
import contextlib
import json
import socket
import time

import pytest
from registry import Registry

BODY_MAX = 16 * 1024 * 1024
SECONDS = 15  # for one request; most take milliseconds, the machine may be busy
GROWTH_MIB = 400  # at the peak of one request; a body of 16 MiB is parsed into several times its size
SETTLED_MIB = 120  # what stays after requests of any size
REGISTER = "/subjects/s/versions"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    settings = {"idle.timeout.ms": 1000, "castellan.registry.body.timeout.ms": 3000}
    with Registry(tmp_path_factory.mktemp("registry"), settings) as r:
        yield r


def ask(registry, method, path, body=None, headers=None):
    connection = registry.connect(timeout=SECONDS)
    try:
        given = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, given if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def expect(registry, status, code, *request, words=None, **more):
    """Asks, and holds the answer, its time, the memory it took and that it is an error as it should be."""
    registry.reset_peak()
    before, started = registry.rss_mib(), time.monotonic()
    got, text, headers = ask(registry, *request, **more)
    took, grown = time.monotonic() - started, registry.peak_mib() - before
    assert got == status, text[:500]
    error = json.loads(text)
    assert sorted(error) == ["error_code", "message"] and error["error_code"] == code, text[:500]
    assert words is None or words in error["message"], error["message"][-500:]
    assert took < SECONDS and grown < GROWTH_MIB, (took, grown)
    return headers


def register(schema, kind="AVRO", **members):
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return json.dumps({"schema": text, "schemaType": kind, **members})


@contextlib.contextmanager
def connected(registry, timeout=SECONDS):
    with socket.create_connection(registry.address, timeout=timeout) as s:
        yield s


def raw(registry, data, timeout=SECONDS):
    """Everything that comes back for these bytes until the registry hangs up (or resets: it need not read on)."""
    got = b""
    with connected(registry, timeout) as s:
        try:
            for piece in [data] if isinstance(data, bytes) else data:
                s.sendall(piece)
            while piece := s.recv(65536):
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return got


def head(method, path, *headers, version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def still_serves(registry):
    assert registry.process.poll() is None, registry.log()
    status, text, _ = ask(registry, "GET", "/schemas/types")
    assert status == 200 and sorted(json.loads(text)) == ["AVRO", "JSON", "PROTOBUF"]


@pytest.fixture(autouse=True)
def goes_on(registry):
    yield
    still_serves(registry)


# --- bodies ---


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"schema":"\\"int\\""} trailing',
        b'{"schema":"\\"int\\"",}',
        b'{"schema":"\xff\xfe"}',
        b'{"schema":"\xed\xa0\x80"}',
        b"[1, 2]",
        b"7",
        b"\x00",
        b"[" * 100000,
        b'{"a":' * 100000,
        b'{"schema":' + b"[" * 100000 + b"]" * 100000 + b"}",
    ],
    ids=lambda b: b[:12].decode("latin-1"),
)
@pytest.mark.parametrize("where", [("POST", REGISTER), ("POST", "/subjects/s"), ("PUT", "/config"), ("PUT", "/mode/s")])
def test_broken_json(registry, where, body):
    expect(registry, 400, 400, *where, body)


@pytest.mark.parametrize("where", [("POST", REGISTER), ("PUT", "/config")])
def test_no_body(registry, where):
    expect(registry, 422, 422, *where, b"")


@pytest.mark.parametrize(
    "members", [{"version": 2**31}, {"id": -(2**31) - 1}, {"id": 10**30}, {"version": {}}, {"references": [{}]}]
)
def test_members_out_of_range(registry, members):
    status, text, _ = ask(registry, "POST", REGISTER, register('"int"', **members))
    assert status in (400, 422) and json.loads(text)["error_code"] in (400, 422, 42201), text


def test_repeated_members(registry):
    body = b'{"schema":"\\"int\\"","schema":"\\"string\\""}'
    status, text, _ = ask(registry, "POST", "/subjects/repeated/versions", body)
    assert status == 200 and json.loads(text)["schema"] == '"string"'  # the last one, as the reference has it


def test_large_body(registry):
    """Refused by its length, announced or not; what is too much is not kept."""
    expect(registry, 413, 413, "POST", REGISTER, b"x" * (BODY_MAX + 1))
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    registry.reset_peak()
    before = registry.rss_mib()
    answer = raw(registry, [head("POST", REGISTER, "Transfer-Encoding: chunked"), *[chunk] * 48, b"0\r\n\r\n"])
    assert status_of(answer) == 413 and b'"error_code":413' in answer
    assert registry.peak_mib() - before < 64
    assert raw(registry, [head("POST", REGISTER, "Transfer-Encoding: chunked"), *[chunk] * 200]) == b""  # cut off
    assert registry.peak_mib() - before < 64


def test_nobody_is_kept_for(tmp_path):
    """Who is not known is refused before the body: it costs no memory. What is public says so."""
    with Registry(tmp_path, {"castellan.registry.authentication": None}) as r:
        before = r.rss_mib()
        headers = expect(r, 401, 401, "POST", REGISTER, b"x" * BODY_MAX)
        assert headers["WWW-Authenticate"].startswith("Basic ")
        chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
        answer = raw(r, [head("POST", REGISTER, "Transfer-Encoding: chunked"), *[chunk] * 20, b"0\r\n\r\n"])
        assert status_of(answer) == 401 and r.peak_mib() - before < 8
        for path in ("/health/live", "/health/ready", "/openapi.json", "/openapi"):
            status, text, _ = ask(r, "GET", path)
            assert status == 200 and json.loads(text)
        for path in ("/", "/subjects", "/metrics", "/config", "/schemas/ids/1"):
            expect(r, 401, 401, "GET", path)


def test_lying_length(registry):
    """413 at once for what will be too much; a body that never comes ends with the connection."""
    started = time.monotonic()
    answer = raw(registry, head("POST", REGISTER, "Content-Length: 99999999999") + b"abc")
    assert status_of(answer) == 413 and time.monotonic() - started < SECONDS
    answer = raw(registry, head("POST", REGISTER, "Content-Length: 99999999999", "Expect: 100-continue"))
    assert status_of(answer) == 413  # and no 100 before it
    assert raw(registry, head("POST", REGISTER, "Content-Length: 50") + b"{") == b""
    short = b'{"schema":"\\"int\\""}garbage'
    answer = raw(registry, head("POST", "/subjects/short/versions", "Content-Length: 20") + short)
    assert status_of(answer) == 200  # what is beyond is no part of this request


@pytest.mark.parametrize(
    "headers, status",
    [
        (["Content-Length: -1"], 400),
        (["Content-Length: 1x"], 400),
        (["Content-Length: 3", "Content-Length: 4"], 400),
        (["Content-Length: 3", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: gzip"], 501),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501),
        (["Content-Type: text/plain", "Content-Length: 3"], 415),
        (["Accept: text/html", "Content-Length: 3"], 406),
    ],
)
def test_headers_of_a_body(registry, headers, status):
    chunked = any("chunked" in h for h in headers)
    body = b"3\r\nabc\r\n0\r\n\r\n" if chunked else b"abcd"
    assert status_of(raw(registry, head("POST", REGISTER, *headers) + body)) == status


# --- schemas ---

DEEP = {
    "avro": ("AVRO", '{"type":"array","items":', '"int"', "}"),
    "json": ("JSON", '{"properties":{"a":', "{}", "}}"),
    "json-allOf": ("JSON", '{"allOf":[', "{}", "]}"),
    "protobuf": ("PROTOBUF", "message A{", "", "}"),
    "protobuf-option": ("PROTOBUF", "{a:", "1", "}"),
}


@pytest.mark.parametrize("times", [1100, 100000])
@pytest.mark.parametrize("name", DEEP)
def test_deep_schema(registry, name, times):
    kind, left, inner, right = DEEP[name]
    text = left * times + inner + right * times
    if kind == "PROTOBUF":
        text = 'syntax="proto3"; ' + (f"option (x) = {text}; message A{{}}" if name.endswith("option") else text)
    expect(registry, 422, 42201, "POST", REGISTER, register(text, kind), words="details: ")


def numbered(count, form):
    return ",".join(form % i for i in range(count))


@pytest.mark.parametrize(
    "kind, schema",
    [
        ("AVRO", "[" + ",".join(['"int"'] * 1000000) + "]"),
        ("AVRO", "[" + numbered(300000, '{"type":"fixed","name":"a%d","size":1}') + "]"),
        ("JSON", '{"anyOf":[' + ",".join(["{}"] * 1000000) + "]}"),
        ("JSON", '{"oneOf":[' + numbered(200000, '{"type":"object","properties":{"a%d":{}}}') + "]}"),
        ("PROTOBUF", 'syntax="proto3"; message M {' + "".join(f"int32 a{i}={i + 1};" for i in range(200000)) + "}"),
        ("PROTOBUF", 'syntax="proto3";' + "".join(f"message M{i}{{}}" for i in range(100000))),
    ],
    ids=["union", "union-named", "anyOf", "oneOf", "fields", "messages"],
)
def test_wide_schema(registry, kind, schema):
    expect(registry, 422, 42201, "POST", REGISTER, register(schema, kind), words="details: ")


@pytest.mark.parametrize("kind, schema", [("JSON", '{"$ref":"http://169.254.169.254/latest"}'), ("JSON", '{"$ref":"file:///etc/passwd"}')])
def test_nothing_is_fetched(registry, kind, schema):
    expect(registry, 422, 42201, "POST", REGISTER, register(schema, kind))


def definitions(count, leaf, form):
    """Each definition names the next one twice: 2^count ways through it."""
    all_ = {f"a{i}": form({"$ref": f"#/definitions/a{i + 1}"}) for i in range(count)}
    return {"definitions": {**all_, f"a{count}": leaf}, "$ref": "#/definitions/a0"}


def one_of(letter, count):
    branch = [{"type": "object", "properties": {f"{letter}{i}": {"type": "string"}}} for i in range(count)]
    return {"oneOf": [{**b, "required": list(b["properties"])} for b in branch]}


SELF, OTHER = {"$ref": "#"}, {"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}
HOSTILE = {
    **{
        word: tuple(definitions(40, {"type": t}, lambda r, w=word: {w: [r, r]}) for t in ("string", "number"))
        for word in ("allOf", "anyOf", "oneOf")
    },
    "properties": tuple(
        definitions(40, {"type": t}, lambda r: {"properties": {"x": r, "y": r}}) for t in ("string", "number")
    ),
    "itself": (SELF, {**SELF, "type": "string"}),
    "itself-not": ({"not": {"not": SELF}}, {"not": SELF}),
    "itself-allOf": ({"allOf": [SELF, SELF]}, {"allOf": [SELF]}),
    "each-other": ({**OTHER, "$ref": "#/definitions/a"}, {**OTHER, "anyOf": [{"$ref": "#/definitions/b"}, SELF]}),
    "matrix": (one_of("a", 3000), one_of("b", 3000)),
    "enum": ({"enum": list(range(100000))}, {"enum": list(range(1, 100001))}),
    "names": ({"required": [str(i) for i in range(100000)]}, {"required": [str(i) for i in range(1, 100001)]}),
    "numbers": ('{"minimum":1e400,"multipleOf":1e-400}', '{"minimum":1e999999999,"maxLength":99999999999999999999}'),
    "patterns": (
        {"patternProperties": {f"^(a+)+{i}$": {} for i in range(3000)}},
        {"properties": {"a" * 40 + str(i): {} for i in range(3000)}, "additionalProperties": False},
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_schemas(registry, name):
    """Registered or refused, then judged against each other: a verdict or a clear 422, in bounded time."""
    for schema in HOSTILE[name]:
        registry.reset_peak()
        before, started = registry.rss_mib(), time.monotonic()
        status, text, _ = ask(registry, "POST", f"/subjects/hostile-{name}/versions", register(schema, "JSON"))
        assert status in (200, 409, 422), text[:500]
        assert status == 200 or json.loads(text)["error_code"] in (409, 42201)
        assert time.monotonic() - started < SECONDS and registry.peak_mib() - before < GROWTH_MIB


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(" * 5000 + ")" * 5000, "a{1,65535}{1,65535}", "[", "(?R)"]
)
def test_hostile_patterns(registry, pattern):
    """Patterns are compiled within limits when a schema is registered; matching has limits of its own."""
    for keyword in ({"pattern": pattern}, {"patternProperties": {pattern: {}}, "properties": {"a" * 40: {}}}):
        status, text, _ = ask(registry, "POST", "/compatibility/subjects/p/versions", register(keyword, "JSON"))
        assert status == 200 or json.loads(text)["error_code"] == 42201, text[:300]


def test_references_in_circles(registry):
    """What is not there cannot be referred to, so a circle cannot be closed; chains end, wide ones too."""
    ref = {"name": "r.json", "subject": "circle", "version": 1}
    body = register({"$ref": "r.json"}, "JSON", references=[ref])
    expect(registry, 422, 42201, "POST", "/subjects/circle/versions", body, words="No schema reference found")
    other = register({"$ref": "r.json"}, "JSON", references=[{**ref, "subject": "circle2"}])
    expect(registry, 422, 42201, "POST", "/subjects/circle/versions", other, words="No schema reference found")
    assert ask(registry, "POST", "/subjects/circle/versions", register({}, "JSON"))[0] == 200
    assert ask(registry, "POST", "/subjects/circle2/versions", body)[0] == 200
    status, text, _ = ask(registry, "POST", "/subjects/circle/versions", other)  # a newer version may close it
    assert status in (200, 409, 422), text[:300]
    many = [{**ref, "name": f"r{i}.json"} for i in range(100000)]
    expect(registry, 422, 42201, "POST", "/subjects/many/versions", register({}, "JSON", references=many), words="more than")


def test_chain_of_references(registry):
    for i in range(250):
        refs = [{"name": "r.json" if i == 1 else f"r{i}.json", "subject": f"chain{i - 1}", "version": 1}] if i else []
        schema = {"$ref": refs[0]["name"]} if i else {}
        status, text, _ = ask(registry, "POST", f"/subjects/chain{i}/versions", register(schema, "JSON", references=refs))
        if status != 200:
            break
    assert status == 422 and "nested deeper than" in json.loads(text)["message"] and i > 100


# --- HTTP ---


@pytest.mark.parametrize(
    "path, status",
    [
        ("/subjects/\xff\xfe/versions", 400),
        ("/subjects/%ff/versions", 400),
        ("/subjects/%ed%a0%80/versions", 400),
        ("/subjects/%c0%af/versions", 400),
        ("/subjects/%/versions", 400),
        ("/subjects/%4/versions", 400),
        ("/subjects/%00/versions", 400),
        ("/subjects?subjectPrefix=%ff", 400),
        ("/subjects?%ff=1", 400),
        ("/subjects?" + "a=1&" * 100, 400),
        ("/subjects?offset=x", 404),
        ("/schemas/ids/99999999999", 404),
        ("/schemas/ids/-1", 404),
        ("/subjects/s/versions/99999999999", 422),
        ("/subjects/s/versions/0", 422),
        ("/subjects/" + "a" * 10000 + "/versions", 404),
        ("/" + "a/" * 1000, 404),
        ("/subjects/../../etc/passwd", 404),
    ],
    ids=lambda p: str(p)[:24],
)
def test_targets(registry, path, status):
    answer = raw(registry, head("GET", path))
    assert status_of(answer) == status and b'"error_code":' in answer, answer[:300]


@pytest.mark.parametrize("subject", ["%0A", "a%01b", "%7F", "a%C2%80", "__GLOBAL", "__EMPTY", ":.c:a%0D"])
def test_wrong_subjects(registry, subject):
    expect(registry, 422, 42208, "POST", f"/subjects/{subject}/versions", register('"int"'))
    expect(registry, 422, 42208, "PUT", f"/config/{subject}", b'{"compatibility":"NONE"}')
    assert b"\n" not in ask(registry, "GET", "/subjects")[1]


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "CONNECT", "FOO", "get", "A" * 5000])
def test_methods(registry, method):
    answer = raw(registry, head(method, "/subjects"))
    assert status_of(answer) == 405 and b"\r\nAllow: GET, HEAD\r\n" in answer


def test_head(registry):
    answer = raw(registry, head("HEAD", "/schemas/types"))
    assert status_of(answer) == 200 and answer.endswith(b"\r\n\r\n") and b"Content-Length: " in answer


def test_versions_of_http(registry):
    assert status_of(raw(registry, head("GET", "/subjects", version="1.0"))) == 200
    assert status_of(raw(registry, head("GET", "/subjects", version="2.0"))) == 505
    assert status_of(raw(registry, b"GET /subjects\r\n\r\n")) == 400
    assert status_of(raw(registry, b"GET /subjects HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400  # no Host
    assert status_of(raw(registry, head("GET", "http://elsewhere/schemas/types"))) == 200
    raw(registry, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20)  # TLS to a plain port


def test_pipelining(registry):
    one = b"GET /schemas/types HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b'{"schema":"\\"int\\""}'
    post = b"POST /subjects/piped/versions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = raw(registry, one * 20 + post + body + one * 20 + head("GET", "/subjects/piped/versions"))
    assert answer.count(b"HTTP/1.1 200 OK") == 42 and answer.endswith(b"[1]")


def test_long_targets_and_headers(registry):
    assert status_of(raw(registry, head("GET", "/subjects/" + "a" * 200000))) == 414
    assert status_of(raw(registry, head("GET", "/subjects", *[f"X-{i}: y" for i in range(10000)]))) == 431
    assert status_of(raw(registry, head("GET", "/subjects", "X: " + "y" * 100000))) == 431


def test_slow_senders(registry):
    """Nobody holds a connection by sending nothing: not in the request line, not in the headers, not in the body."""
    starts = [b"", b"GET /subj", b"GET /subjects HTTP/1.1\r\nHost:", head("POST", REGISTER, "Content-Length: 100") + b"{"]
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connected(registry, 30)) for _ in range(50) for _ in starts]
        for s, data in zip(sockets, starts * 50):
            s.sendall(data)
        still_serves(registry)
        started = time.monotonic()
        for s in sockets:
            with contextlib.suppress(ConnectionResetError):
                while s.recv(65536):
                    pass
        assert time.monotonic() - started < 30  # idle.timeout.ms is one second here


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_dripping_body(registry, framing):
    """A body that comes in drops, so that the connection is never idle, has its time too."""
    drop = b"1\r\nx\r\n" if "chunked" in framing else b"x"
    with connected(registry) as s:
        s.settimeout(0.2)  # what paces the drops
        s.sendall(head("POST", REGISTER, framing))
        started, open_ = time.monotonic(), True
        while open_ and time.monotonic() - started < SECONDS + 10:
            try:
                s.sendall(drop)
                open_ = s.recv(1) != b""
            except TimeoutError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                open_ = False
        assert not open_ and time.monotonic() - started > 2  # castellan.registry.body.timeout.ms is three seconds here


@pytest.mark.parametrize("before", [b"", b"GET /schemas/types HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "next"])
def test_dripping_headers(registry, before):
    """Headers that come in drops, so that the connection is never idle, do not keep it: not the first, not the next."""
    with connected(registry) as s:
        s.sendall(before)
        if before:
            assert status_of(s.recv(65536)) == 200
        s.settimeout(0.2)  # what paces the drops
        s.sendall(b"GET /subjects HTTP/1.1\r\nX: ")
        started, open_ = time.monotonic(), True
        while open_ and time.monotonic() - started < SECONDS + 10:
            try:
                s.sendall(b"y")
                open_ = s.recv(1) != b""
            except TimeoutError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                open_ = False
        assert not open_ and time.monotonic() - started > 1  # twice idle.timeout.ms, which is one second here


def test_expected_body(registry):
    """Who waits for leave to send gets it, when the headers are fine."""
    body = b'{"schema":"\\"int\\""}'
    with connected(registry) as s:
        s.sendall(head("POST", "/subjects/expected/versions", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert s.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(body)
        assert status_of(s.recv(65536)) == 200


def test_memory_settles(registry):
    """After everything above (or alone, after this): what large requests took went back to the system."""
    body = register("[" + numbered(300000, '{"type":"fixed","name":"b%d","size":1}') + "]")
    for _ in range(3):
        ask(registry, "POST", REGISTER, body)
    deadline = time.monotonic() + 20
    while registry.rss_mib() > SETTLED_MIB and time.monotonic() < deadline:
        still_serves(registry)
    assert registry.rss_mib() <= SETTLED_MIB
