# SPDX-License-Identifier: Apache-2.0
"""What clients send that is not quite the protocol, and that Kafka takes: one test for each row of docs/leniencies.md, at
the bundled brokers and at the gateway."""
import re
import struct
import uuid

import pytest

import kafka_wire as wire
from kafka_messages import batch
from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


class At:
    """Where a test knocks: a bundled broker, or the gateway as admin."""

    def __init__(self, port, castellan=None):
        self.port, self.castellan = port, castellan

    def connect(self, port=None):
        if not self.castellan:
            return wire.Connection(port or self.port)
        c = wire.Connection(port or self.castellan.base, self.castellan.ca)
        return c.login("admin", self.castellan.password("admin"))


@pytest.fixture(params=["broker", "gateway"])
def at(request):
    if request.param == "broker":
        return At(request.getfixturevalue("cluster").ports[1])
    return At(None, request.getfixturevalue("castellan"))


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def api_versions(c, body=b"", version=0):
    r = c.call(wire.API_VERSIONS, version, body, wire.NO_TAGS if version >= 3 else b"")
    return r.take("h")


def metadata_of_all(version):
    """As librdkafka writes it: all topics, none created, no authorized operations."""
    body = wire.compact_array(None) + b"\0"
    body += b"\0\0" if version <= 10 else b"\0"
    return body + wire.NO_TAGS


# ---- Bytes after a request's end ----


@pytest.mark.parametrize("version", [9, 10, 12, 13])
def test_bytes_after_metadata(at, version):
    with at.connect() as c:
        for surplus in (b"\0\0\0", b"\xff" * 300):
            r = c.call_flexible(wire.METADATA, version, metadata_of_all(version) + surplus)
            r.take("i")
            brokers = r.compact_array(lambda r: (r.take("i"), r.compact_string(), r.take("i"), r.compact_string(), r.tags()))
            assert brokers
        assert api_versions(c) == 0  # the next request begins where it should


def test_bytes_after_api_versions(at):
    with at.connect() as c:
        assert api_versions(c, b"\0\0\0\0") == 0  # librdkafka 0.11 to 1.3
        assert api_versions(c, b"\1") == 0
        assert api_versions(c) == 0


def test_bytes_after_a_request_that_is_passed_on_or_answered_by_the_controller(at):
    topic = name("surplus")
    make = wire.array([wire.string(topic) + struct.pack(">ih", 1, 1) + wire.array([]) + wire.array([])])
    with at.connect() as c:
        r = c.call(19, 2, make + struct.pack(">i?", 10000, False) + b"more than was asked for")
        r.take("i")
        assert r.array(lambda r: (r.string(), r.take("h"), r.string()))[0][:2] == (topic, 0)
        assert api_versions(c) == 0


def test_bytes_after_any_broker_passes_a_request_to_the_controller(cluster):
    for port in cluster.ports.values():
        topic = name("surplus")
        make = wire.array([wire.string(topic) + struct.pack(">ih", 1, 1) + wire.array([]) + wire.array([])])
        with wire.Connection(port) as c:
            r = c.call(19, 2, make + struct.pack(">i?", 10000, False) + b"\0")
            r.take("i")
            assert r.array(lambda r: (r.string(), r.take("h"), r.string()))[0][:2] == (topic, 0)


def test_bytes_after_produce_and_the_next_one_in_flight(at):
    """A body large enough to be passed on in its own memory."""
    topic = name("surplus")
    make = wire.array([wire.string(topic) + struct.pack(">ih", 1, 1) + wire.array([]) + wire.array([])])
    with at.connect() as c:
        assert c.call(19, 2, make + struct.pack(">i?", 10000, False)).take("i") == 0
        port = c.leader_port(topic)
    with at.connect(port) as c:
        for size in (20000, 10):
            for surplus in (b"", b"\0\0\0", b"x" * 1000):
                body = wire.produce_body(topic, {0: batch((None, b"v" * size))}) + surplus
                error, offset = wire.produce_answer(c.call(wire.PRODUCE, 3, body))[0]
                assert error == 0
        assert offset == 5


def test_a_byte_after_alter_user_scram_credentials(castellan):
    """Every librdkafka writes one; and what is dropped is counted."""
    user = name("eve")
    upsertion = wire.compact(user) + struct.pack(">bi", 1, 4096) + wire.compact(b"salt-salt") + wire.compact(b"s" * 32) + wire.NO_TAGS
    body = wire.compact_array([]) + wire.compact_array([upsertion]) + wire.NO_TAGS
    before = counter(castellan, "castellan_gateway_surplus_requests_total")
    with At(None, castellan).connect() as c:
        r = c.call_flexible(wire.ALTER_USER_SCRAM_CREDENTIALS, 0, body + b"\0")
        r.take("i")
        assert r.compact_array(lambda r: (r.compact_string(), r.take("h"), r.compact_string(), r.tags())) == [(user, 0, None, None)]
    assert counter(castellan, "castellan_gateway_surplus_requests_total") == before + 1


def counter(castellan, metric):
    status, text = castellan.admin("GET", "/metrics", user=None)
    assert status == 200
    found = re.search(rf"^{metric} (\d+)$", text, re.M)
    return int(found.group(1)) if found else 0


# ---- Others ----


@pytest.mark.parametrize("stated", [1, 2, 3, 999])
def test_a_subscription_that_states_a_version_and_ends_early(cluster, stated):
    """kafkajs and @platformatic write version 0 and say 1: its topics are known all the same, so the group's offsets of
    them cannot be deleted while it reads them."""
    topic, group = name("t"), name("g")
    with wire.Connection(cluster.ports[1]) as c:
        make = wire.array([wire.string(topic) + struct.pack(">ih", 1, 1) + wire.array([]) + wire.array([])])
        assert c.call(19, 2, make + struct.pack(">i?", 10000, False)).take("i") == 0
    subscription = struct.pack(">h", stated) + wire.array([wire.string(topic)]) + struct.pack(">i", -1)
    with wire.Connection(coordinator(cluster, group)) as c:
        join = wire.string(group) + struct.pack(">ii", 10000, 10000) + wire.string("") + wire.string("consumer")
        r = c.call(wire.JOIN_GROUP, 1, join + wire.array([wire.string("range") + wire.bytes_(subscription)]))
        error, generation, _, _, me = r.take("h"), r.take("i"), r.string(), r.string(), r.string()
        assert error == 0
        sync = wire.string(group) + struct.pack(">i", generation) + wire.string(me)
        assert c.call(wire.SYNC_GROUP, 0, sync + wire.array([wire.string(me) + wire.bytes_(b"")])).take("h") == 0
        delete = wire.string(group) + wire.array([wire.string(topic) + wire.array([struct.pack(">i", 0)])])
        r = c.call(wire.OFFSET_DELETE, 0, delete)
        assert r.take("h") == 0
        r.take("i")
        assert r.array(lambda r: (r.string(), r.array(lambda r: r.take("ih")))) == [(topic, [(0, 86)])]  # GROUP_SUBSCRIBED_TO_TOPIC


def coordinator(cluster, group):
    for _ in range(400):
        with wire.Connection(cluster.ports[1]) as c:
            r = c.call(wire.FIND_COORDINATOR, 0, wire.string(group))
            if r.take("h") == 0:
                return (r.take("i"), r.string(), r.take("i"))[2]
    raise AssertionError("no coordinator")


def test_api_versions_of_an_unknown_version(at):
    with at.connect() as c:
        for version in (5, 99, 32767, -1):
            assert api_versions(c, b"whatever", version) == 35
        assert api_versions(c) == 0


@pytest.mark.parametrize("software", [("", "1"), ("lib", ""), ("-lib", "1"), ("lib rd", "1"), ("lib", "1.0/x")])
def test_a_bad_software_name_is_answered(at, software):
    with at.connect() as c:
        body = wire.compact(software[0]) + wire.compact(software[1]) + wire.NO_TAGS
        assert api_versions(c, body, 3) == 42
        assert api_versions(c, wire.compact("lib-rd.kafka") + wire.compact("2.16.1") + wire.NO_TAGS, 3) == 0


def test_unknown_tagged_fields(at):
    tag = b"\1" + wire.varint(7777) + wire.compact(b"abc")[:1].replace(b"\4", b"\3") + b"abc"
    with at.connect() as c:
        r = c.call_flexible(wire.METADATA, 12, metadata_of_all(12)[:-1] + tag, tags=tag)
        r.take("i")
        assert r.compact_array(lambda r: (r.take("i"), r.compact_string(), r.take("i"), r.compact_string(), r.tags()))


def test_any_negative_length_is_null(at):
    with at.connect() as c:
        r = c.call(wire.METADATA, 4, struct.pack(">i", -7) + b"\0")
        r.take("i")
        assert r.array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string()))


def test_produce_is_said_to_begin_at_version_0(at):
    with at.connect() as c:
        r = c.call(wire.API_VERSIONS, 0)
        assert r.take("h") == 0
        assert {k: low for k, low, _ in r.array(lambda r: r.take("hhh"))}[wire.PRODUCE] == 0


def test_the_client_id_may_be_null(at):
    with at.connect() as c:
        frame = struct.pack(">hhih", wire.API_VERSIONS, 0, 1000, -1)
        c.socket.sendall(struct.pack(">i", len(frame)) + frame)
        c.correlation = 1000
        assert c.receive().take("h") == 0


# ---- What is refused says what it was ----


def test_a_version_that_is_not_served_is_logged_once_in_a_while(castellan):
    log = castellan.data / "logs" / "gateway.log"
    for _ in range(60):
        with At(None, castellan).connect() as c:
            assert api_versions(c, wire.compact("odd-lib") + wire.compact("0.7") + wire.NO_TAGS, 3) == 0
            c.send(1, 99, b"")
            assert c.is_closed()
    lines = [line for line in log.read_text().splitlines() if "not served" in line]
    wanted = 'User:admin): a request of a version that is not served: Fetch version 99 (client id "probe", software odd-lib 0.7)'
    assert lines and all(wanted in line for line in lines)
    assert len(lines) < 50


def test_the_broker_logs_it_too(cluster):
    for _ in range(60):
        with wire.Connection(cluster.ports[3]) as c:
            assert api_versions(c, wire.compact("odd-lib") + wire.compact("0.7") + wire.NO_TAGS, 3) == 0
            c.send(1, 99, b"")
            assert c.is_closed()
    lines = [line for line in (cluster.folder / "broker3.log").read_text().splitlines() if "not served" in line]
    wanted = 'a request of a version that is not served: Fetch version 99 (client id "probe", software odd-lib 0.7)'
    assert lines and all(wanted in line for line in lines)
    assert len(lines) < 50
