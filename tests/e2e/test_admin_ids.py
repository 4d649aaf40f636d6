# SPDX-License-Identifier: Apache-2.0
"""Names are bytes: what a right is asked on is what is acted on, %00 cuts nothing, any id can be named from the command
line and over HTTP alike, and a right on a person of one tenant reaches nobody of another."""
import base64
import socket
import ssl
import uuid

import pytest
from confluent_kafka import Consumer, Producer

import kafka_wire as wire
from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def protected_topic(castellan, **more):
    """A topic whose values are sealed for the person its keys name."""
    topic = name("people")
    castellan.castellan("topic", "create", topic, "--partitions", "1")
    policy = {"subject_from": "key", "protect": "value", "erased": "null", **more}
    assert castellan.admin("PUT", f"/v1/policies/{topic}", body=policy)[0] == 200
    return topic


def write(castellan, topic, *keys):
    producer = Producer(castellan.client_config("admin"))
    for key in keys:
        producer.produce(topic, key=key, value=b"data of " + key)
    assert producer.flush(30) == 0


def read(castellan, topic, n):
    """key -> value, None when it is erased."""
    consumer = Consumer(castellan.client_config("admin", **{"group.id": name("group"), "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    values = {}
    try:
        while len(values) < n:
            message = consumer.poll(15)
            assert message is not None and not message.error(), message
            values[message.key()] = message.value()
    finally:
        consumer.close()
    return values


def allow(castellan, user, operation, subject, *more):
    castellan.castellan("acl", "add", "--allow", f"User:{user}", "--operation", operation, "--data-subject", subject, *more)


def test_a_nul_cuts_nobody_short(castellan):
    carl = name("carl").encode()
    other = carl + b"\0yle"
    topic = protected_topic(castellan)
    write(castellan, topic, carl, other)
    status, bundle = castellan.admin("DELETE", f"/v1/subjects/{carl.decode()}%00yle")
    assert status == 200 and bundle["receipt"]["keys"]
    assert read(castellan, topic, 2) == {carl: b"data of " + carl, other: None}


def raw(castellan, port, line):
    """The status of the answer to this request line."""
    token = base64.b64encode(b"admin:" + castellan.password("admin").encode())
    context = ssl.create_default_context(cafile=castellan.ca)
    with socket.create_connection(("127.0.0.1", castellan.base + port), timeout=15) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic " + token +
                      b"\r\n\r\n")
            answer = b""
            while b"\r\n" not in answer:
                more = s.recv(4096)
                assert more, answer
                answer += more
    return int(answer.split()[1])


@pytest.mark.parametrize("rest", [b"\0yle", b"\0yle?tenant=default", b"?tenant=default\0x"])
def test_a_raw_nul_cuts_nobody_short_either(castellan, rest):
    carl = name("carl").encode()
    topic = protected_topic(castellan)
    write(castellan, topic, carl)
    assert raw(castellan, 300, b"DELETE /v1/subjects/" + carl + rest) == 400
    assert read(castellan, topic, 1) == {carl: b"data of " + carl}
    assert raw(castellan, 200, b"GET /subjects/x" + rest) == 400
    assert raw(castellan, 300, b"GET /v1/status?x=y%20z") == 200
    assert raw(castellan, 200, b"GET /subjects?deleted=true&x=y%20z") == 200


def test_rights_are_asked_on_all_bytes(castellan):
    ben = name("ben")
    allow(castellan, "alice", "DELETE,ALTER", ben)
    for method, path in [("DELETE", "subjects"), ("PUT", "subjects"), ("PUT", "holds"), ("DELETE", "holds")]:
        assert castellan.admin(method, f"/v1/{path}/{ben}%00x", user="alice")[0] == 403
    assert castellan.admin("DELETE", f"/v1/subjects/{ben}", user="alice")[0] == 200


@pytest.mark.parametrize("key", [b"\x00\x01\xfe\xff", b"100%", b"a/b?c=d&e", b" \n", "Zoë".encode()])
def test_any_id_can_be_named_both_ways(castellan, tmp_path, key):
    topic = protected_topic(castellan)
    by_cli, by_http = key + b"-cli", key + b"-http"
    write(castellan, topic, by_cli, by_http)
    encoded = "".join(f"%{byte:02x}" for byte in by_cli)
    file = str(tmp_path / "receipt.json")
    castellan.castellan("forget", encoded, "--encoded", "--receipt", file)
    castellan.castellan("receipt", "verify", file, "--id", encoded, "--encoded")
    assert castellan.castellan("receipt", "verify", file, "--id", "somebody", check=False).returncode == 1
    assert castellan.admin("DELETE", "/v1/subjects/" + "".join(f"%{byte:02X}" for byte in by_http))[0] == 200
    assert read(castellan, topic, 2) == {by_cli: None, by_http: None}


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/policies/a%00b"), ("PUT", "/v1/policies/a%00b"), ("DELETE", "/v1/policies/a%00b"),
    ("GET", "/v1/receipts/1%00"), ("DELETE", "/v1/subjects/a%0"), ("DELETE", "/v1/subjects/a%zz"),
    ("DELETE", "/v1/subjects/a?tenant=%4"), ("DELETE", "/v1/subjects/a?tenant="), ("DELETE", "/v1/subjects/a?class="),
    ("GET", "/v1/acls/explain?principal=User:alice&type=TOPIC&name=%&operation=READ")])
def test_what_cannot_be_a_name_is_refused(castellan, method, path):
    status, body = castellan.admin(method, path, body={"subject_from": "key", "protect": "value", "erased": "null"}
                                   if method == "PUT" else None)
    assert status == 400 and body["message"], body


@pytest.mark.parametrize("member", ["erased", "tenant", "class", "topic"])
def test_a_nul_in_a_policy_is_refused(castellan, member):
    topic = name("nul")
    good = {"subject_from": "key", "protect": "value", "erased": "null", "tenant": "t", "class": "c", "topic": topic}
    status, body = castellan.admin("PUT", f"/v1/policies/{topic}", body=dict(good, **{member: good[member] + "\0x"}))
    assert status == 422 and "NUL" in body["message"]


def test_explain_asks_about_the_whole_name(castellan):
    topic = name("topic")
    castellan.castellan("acl", "add", "--allow", "User:alice", "--operation", "READ", "--topic", topic)
    ask = "/v1/acls/explain?principal=User:alice&type=TOPIC&operation=READ&name=" + topic
    assert castellan.admin("GET", ask)[1]["allowed"] is True
    assert castellan.admin("GET", ask + "%00x")[1]["allowed"] is False


def test_the_registry_knows_no_nul(castellan):
    for method, path, body in [("GET", "/subjects/a%00b/versions", None), ("GET", "/schemas/ids/1?subject=a%00b", None),
                               ("PUT", "/mode", {"mode": "READONLY\0x"}),
                               ("PUT", "/config", {"compatibility": "NONE\0x"})]:
        status, answer = castellan.registry(method, path, body=body)
        assert status in (400, 422), (path, answer)
    assert castellan.registry("GET", "/mode")[1] == {"mode": "READWRITE"}


# ---- tenant and class ----

def test_a_right_on_one_tenants_ben_reaches_no_other(castellan):
    ben = name("ben")
    here, there, kind = (protected_topic(castellan), protected_topic(castellan, tenant="acme"),
                         protected_topic(castellan, **{"class": "patient"}))
    for topic in (here, there, kind):
        write(castellan, topic, ben.encode())
    allow(castellan, "alice", "DELETE,ALTER", ben)
    for query in ("?tenant=acme", "?class=patient", "?tenant=acme&class=patient"):
        for method, path in [("DELETE", "subjects"), ("PUT", "subjects"), ("PUT", "holds"), ("DELETE", "holds")]:
            assert castellan.admin(method, f"/v1/{path}/{ben}{query}", user="alice")[0] == 403
    allow(castellan, "bob", "DELETE", "//acme/default/", "--prefixed")
    assert castellan.admin("DELETE", f"/v1/subjects/{ben}", user="bob")[0] == 403
    assert castellan.admin("DELETE", f"/v1/subjects/{ben}?class=patient", user="bob")[0] == 403
    assert castellan.admin("DELETE", f"/v1/subjects/%2F%2Facme%2Fdefault%2F{ben}", user="bob")[0] == 403
    assert castellan.admin("DELETE", f"/v1/subjects/{ben}?tenant=acme", user="bob")[0] == 200
    value = {ben.encode(): b"data of " + ben.encode()}
    assert read(castellan, there, 1) == {ben.encode(): None}
    assert read(castellan, here, 1) == value and read(castellan, kind, 1) == value
    assert castellan.admin("DELETE", f"/v1/subjects/{ben}", user="alice")[0] == 200
    assert read(castellan, kind, 1) == value


# ---- ids that a broker keeps as C strings ----

def test_ids_with_a_nul_are_refused_by_the_brokers(cluster):
    coordinator_errors = set()
    for port in cluster.ports.values():
        with wire.Connection(port) as c:
            for group in ("g\0x", "g\0x"):  # a group that was left over broke the table at the second request
                r = c.call(11, 0, wire.string(group) + b"\0\0\x75\x30" + wire.string("") + wire.string("consumer") +
                           wire.array([wire.string("range") + wire.bytes_(b"")]))
                coordinator_errors.add(r.take("h"))
            r = c.call(22, 0, wire.string("tx\0x") + b"\0\0\x75\x30")
            r.take("i")
            coordinator_errors.add(r.take("h"))
    assert coordinator_errors == {24, 42}  # INVALID_GROUP_ID, INVALID_REQUEST
