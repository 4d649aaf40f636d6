# SPDX-License-Identifier: Apache-2.0
"""What bad input and lost parts get: a clear error in the protocol's own terms, one log line with a reason, a counter;
nothing acknowledged is lost, and what was lost comes back. The tests of one system run in the order of this file."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import kafka_wire as wire
from kafka_messages import batch
from system import CASTELLAN, System, fill, free_port_base
from test_system import allow, make_topic, name, produce, read_all

SASL_AUTHENTICATION_FAILED, KAFKA_STORAGE_ERROR = 58, 56
ROLES = {"broker": "broker-1", "gateway": "gateway", "registry": "registry", "keyd": "keyd"}


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


# ---- looking ----

class Log:
    """The lines a role writes from now on."""

    def __init__(self, castellan, role):
        self.path = castellan.data / "logs" / f"{role}.log"
        self.start = self.path.stat().st_size if self.path.exists() else 0

    def lines(self):
        with open(self.path, "rb") as f:
            f.seek(self.start)
            return f.read().decode(errors="replace").splitlines()

    def expect(self, words, count=1):
        """Exactly `count` lines that match, and no others that warn (but about the cluster's own topics)."""
        wait_for(lambda: len([x for x in self.lines() if re.search(words, x)]) >= count, f"a line with {words!r}",
                 also=lambda: self.lines())
        warnings = [x for x in self.lines() if (" WARN " in x or " ERROR " in x) and " ledger " not in x]
        matching = [x for x in warnings if re.search(words, x)]
        assert len(matching) == count and warnings == matching, warnings


def wait_for(condition, what, seconds=20, also=lambda: ""):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}; {also()}")


def counter(castellan, family, **labels):
    """The sum over all series of the family that have these labels."""
    total = 0
    for line in castellan.admin("GET", "/metrics", user=None)[1].splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? ([0-9.e+]+)", line)
        if found and found[1] == family:
            series = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if all(series.get(k) == v for k, v in labels.items()):
                total += float(found[3])
    return total


def ready(castellan):
    return castellan.admin("GET", "/health/ready", user=None)


def is_ready(castellan):
    with contextlib.suppress(OSError):
        return ready(castellan)[0] == 200
    return False


# ---- connections by hand ----

def tls_context(castellan, certificate=None, key=None):
    context = ssl.create_default_context(cafile=castellan.ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Hand(wire.Connection):
    """A connection over TLS: as nobody to the SASL port, as admin to the port for certificates."""

    def __init__(self, castellan, port_offset=0, certificate=None):
        super().__init__(castellan.base + port_offset)
        if port_offset >= 100 and not certificate:
            certificate = castellan.data / "clients" / "admin.pem", castellan.data / "clients" / "admin.key"
        self.raw = self.socket
        self.socket = tls_context(castellan, *(certificate or ())).wrap_socket(self.raw, server_hostname="localhost")

    def frame(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def ask(self, key, version, body=b""):
        self.frame(struct.pack(">hhi", key, version, 7) + wire.string("probe") + body)
        size = struct.unpack(">i", self.exactly(4))[0]
        reader = wire.Reader(self.exactly(size))
        assert reader.take("i") == 7
        return reader

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise ConnectionError("closed")
            got += more
        return got

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True


def authenticate(hand, mechanism, token):
    answer = hand.ask(17, 1, wire.string(mechanism))
    assert answer.take("h") == 0
    return hand.ask(36, 1, wire.bytes_(token))


def leader_of(castellan, topic):
    topics = AdminClient(castellan.client_config("admin")).list_topics(topic, timeout=15).topics
    return topics[topic].partitions[0].leader


def fetch_by_hand(castellan, topic):
    """(error code, bytes of records) of partition 0 from its beginning."""
    with Hand(castellan, 100 + leader_of(castellan, topic)) as hand:
        answer = hand.ask(1, 4, struct.pack(">iiiib", -1, 1000, 1, 1 << 20, 0) + wire.array(
            [wire.string(topic) + wire.array([struct.pack(">iqi", 0, 0, 1 << 20)])]))

    def partition(r):
        _, error, _, _ = r.take("ihqq")
        for _ in range(max(r.take("i"), 0)):
            r.take("qq")
        return error, len(r.bytes() or b"")

    answer.take("i")
    return answer.array(lambda r: (r.string(), r.array(partition)))[0][1][0]


def produce_by_hand(castellan, topic, key, value):
    """(error code, message) of one record to partition 0, by a client that does not try again."""
    with Hand(castellan, 100 + leader_of(castellan, topic)) as hand:
        records = batch((key, value))
        body = wire.string(None) + struct.pack(">hi", -1, 15000) + wire.array(
            [wire.string(topic) + wire.array([struct.pack(">i", 0) + wire.bytes_(records)])])
        answer = hand.ask(0, 8, body)

    def partition(r):
        index, error, _, _, _ = r.take("ihqqq")
        r.array(lambda x: (x.take("i"), x.string()))
        return error, r.string()

    return answer.array(lambda r: (r.string(), r.array(partition)))[0][1][0]


# ---- who may come in ----

@pytest.mark.parametrize("user", ["admin", "nobody"])
def test_a_wrong_password(castellan, user):
    log = Log(castellan, "gateway")
    before = counter(castellan, "castellan_gateway_authentications_total", mechanism="PLAIN", result="wrong_credentials")
    with Hand(castellan) as hand:
        answer = authenticate(hand, "PLAIN", b"\0" + user.encode() + b"\0wrong")
        assert answer.take("h") == SASL_AUTHENTICATION_FAILED
        assert answer.string() == "Authentication failed: Invalid username or password"
        assert hand.is_closed()
    log.expect(f'127.0.0.1:[0-9]+: authentication of "{user}" by PLAIN failed: wrong_credentials')
    assert counter(castellan, "castellan_gateway_authentications_total", mechanism="PLAIN",
                   result="wrong_credentials") == before + 1


def test_a_request_before_authentication(castellan):
    log = Log(castellan, "gateway")
    with Hand(castellan) as hand:
        hand.frame(struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", -1))
        assert hand.is_closed()
    log.expect("not authenticated.*a request before authentication")


def make_certificate(folder, words, **by):
    """A certificate of CN=admin by openssl: signed by ca= and key=, or by itself."""
    key, request, certificate = folder / "made.key", folder / "made.csr", folder / "made.pem"
    run = lambda *a: subprocess.run(["openssl", *map(str, a)], check=True, capture_output=True)
    run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    if not by:
        run("req", "-x509", "-new", "-key", key, "-subj", "/CN=admin", "-out", certificate, *words)
    else:
        run("req", "-new", "-key", key, "-subj", "/CN=admin", "-out", request)
        run("x509", "-req", "-in", request, "-CA", by["ca"], "-CAkey", by["key"], "-out", certificate, *words)
    return certificate, key


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
@pytest.mark.parametrize("kind,alert,reason", [("expired", "certificate expired", "has expired"),
                                               ("foreign", "unknown ca", "self-signed|unknown|issuer")])
def test_a_certificate_that_is_not_accepted(castellan, tmp_path, kind, alert, reason):
    secrets = castellan.data / "secrets"
    certificate = make_certificate(tmp_path, ["-days", "-1"], ca=secrets / "client-ca.pem",
                                   key=secrets / "client-ca.key") if kind == "expired" else \
        make_certificate(tmp_path, ["-days", "9"])
    log = Log(castellan, "gateway")
    before = counter(castellan, "castellan_gateway_disconnects_total", reason="tls_handshake")
    with pytest.raises(ssl.SSLError, match=alert), Hand(castellan, 100, certificate) as hand:
        hand.ask(18, 0)
    log.expect(f"not authenticated.*TLS handshake failed.*({reason})")
    assert counter(castellan, "castellan_gateway_disconnects_total", reason="tls_handshake") == before + 1


def test_no_certificate_where_one_is_needed(castellan):
    log = Log(castellan, "gateway")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", castellan.base + 100), timeout=10) as raw:
            with tls_context(castellan).wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                tls.recv(1)
                raise ConnectionError("closed")
    log.expect("not authenticated.*TLS handshake failed.*(certificate)")


@pytest.mark.parametrize("port", [0, 100])
def test_plain_text_on_a_tls_port(castellan, port):
    log = Log(castellan, "gateway")
    with socket.create_connection(("127.0.0.1", castellan.base + port), timeout=10) as raw:
        raw.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        with contextlib.suppress(ConnectionError):
            raw.recv(100)
    log.expect("the peer spoke plain text on a TLS port")


@pytest.mark.parametrize("certificate", [None, "admin"])
def test_brokers_refuse_everybody_but_the_cluster(castellan, certificate):
    log = Log(castellan, "broker-1")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(castellan.data / "clients" / "admin.pem", castellan.data / "clients" / "admin.key")
    with socket.create_connection(("127.0.0.1", castellan.base + 400), timeout=10) as raw:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(raw) as tls:
                tls.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                if not tls.recv(4):
                    raise ConnectionError("closed")
    log.expect("127.0.0.1:[0-9]+: the TLS handshake failed.*certificate")


# ---- what they may say ----

def request(key, version, body=b"", client=b"\xff\xff"):
    return struct.pack(">hhi", key, version, 1) + client + body


BAD_FRAMES = {
    "a negative length": (struct.pack(">i", -1), "zero or negative length"),
    "no length": (struct.pack(">i", 0), "zero or negative length"),
    "too long": (struct.pack(">i", 0x7fffffff), "longer than"),
    "http": (b"GET / HTTP/1.1\r\n\r\n", "longer than"),
    "an unknown api": (wire.bytes_(request(999, 0)), "unknown API"),
    "an api between brokers": (wire.bytes_(request(4, 0)), "unknown API"),
    "an unknown version": (wire.bytes_(request(3, 99) + b"\0"), "version that is not served"),
    "a produce of long ago": (wire.bytes_(request(0, 2, b"\0" * 10)), "version that is not served"),
    "no header": (wire.bytes_(b"\0"), "header does not parse"),
    "half a body": (wire.bytes_(request(3, 1, b"\0\0")), "body does not parse"),
    "an array longer than its frame": (wire.bytes_(request(3, 1, struct.pack(">i", 0x7fffffff))),
                                       "body does not parse"),
    "a negative string": (wire.bytes_(request(10, 0, struct.pack(">h", -7))), "body does not parse"),
    "a tagged field that lies": (wire.bytes_(request(18, 3, b"\xff\xff\xff\xff\x7f", b"\xff\xff\0")),
                                 "body does not parse"),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_a_bad_frame_ends_its_connection_and_nothing_else(castellan, kind):
    data, reason = BAD_FRAMES[kind]
    log = Log(castellan, "gateway")
    before = counter(castellan, "castellan_gateway_disconnects_total")
    with Hand(castellan, 100) as bystander, Hand(castellan, 100) as hand:
        hand.socket.sendall(data)
        assert hand.is_closed()
        log.expect(f"User:admin.*{reason}")
        assert bystander.ask(18, 0).take("h") == 0
    assert counter(castellan, "castellan_gateway_disconnects_total") >= before + 1


def test_half_a_frame_is_no_request(castellan):
    with Hand(castellan, 100) as hand:
        hand.socket.sendall(wire.bytes_(request(3, 1, struct.pack(">i", -1)))[:9])
    with Hand(castellan, 100) as hand:
        assert hand.ask(18, 0).take("h") == 0


# ---- how they are started ----

def run_role(role, path, timeout=20):
    return subprocess.run([str(CASTELLAN), role, "-c", str(path)], capture_output=True, text=True, timeout=timeout)


def complaints(done):
    return [x for x in done.stderr.splitlines() if " INFO " not in x]


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_key_is_named_with_file_and_line(castellan, tmp_path, role):
    good = castellan.data / ROLES[role] / f"{role}.properties"
    bad = tmp_path / "bad.properties"
    lines = good.read_text().splitlines() + ["log.dirz=/tmp/x"]
    bad.write_text("\n".join(lines) + "\n")
    done = run_role(role, bad)
    assert done.returncode == 2
    assert f"{bad}:{len(lines)}: " in done.stderr and "log.dirz" in done.stderr
    assert len(complaints(done)) == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_file(castellan, tmp_path, role):
    done = run_role(role, tmp_path / "none.properties")
    assert done.returncode == 2
    assert str(tmp_path / "none.properties") in done.stderr and "No such file" in done.stderr
    assert len(complaints(done)) == 1


def test_a_second_system_on_the_same_ports(castellan, tmp_path):
    done = subprocess.run([str(CASTELLAN), "up", "--data", str(tmp_path / "data"), "--port-base", str(castellan.base)],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert str(castellan.base) in done.stderr and "in use" in done.stderr
    assert not (tmp_path / "data" / "secrets").exists(), "it began before it knew"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_is_there_already(castellan, role):
    done = run_role(role, castellan.data / ROLES[role] / f"{role}.properties")
    assert done.returncode == 1, done.stderr
    assert re.search(r"in use|another|already|lock", done.stderr), done.stderr
    assert is_ready(castellan)


# ---- what is lost ----

def pid_of(castellan, role):
    for pid in castellan.pids()[1:]:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if len(words) > 3 and words[3].decode().split("/")[-2] == role:
            return pid
    return None


def kill(castellan, role):
    os.kill(wait_for(lambda: pid_of(castellan, role), f"{role} to run"), signal.SIGKILL)


@contextlib.contextmanager
def down(castellan, *roles):
    """kill -9, and no restart before the end of the block."""
    files = {r: castellan.data / r / f"{r.split('-')[0]}.properties" for r in roles}
    for path in files.values():
        path.rename(path.with_suffix(".away"))
    try:
        for role in roles:
            kill(castellan, role)
        yield
    finally:
        for path in files.values():
            path.with_suffix(".away").rename(path)
    wait_for(lambda: is_ready(castellan), f"{roles} to come back")


class Load:
    """A producer that never stops trying; every value it was told is stored."""

    def __init__(self, castellan, topic):
        self.stored, self.lost, self.sent = [], [], 0
        self.topic = topic
        self.producer = Producer(castellan.client_config("admin", **{
            "enable.idempotence": "true", "linger.ms": "2", "message.timeout.ms": "60000", "log_level": "0",
            "retry.backoff.ms": "50", "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "200"}))

    def on_delivery(self, error, message):
        (self.lost if error else self.stored).append(message.value())

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(BufferError):
                self.producer.produce(self.topic, f"{self.sent}".encode(), on_delivery=self.on_delivery)
                self.sent += 1
            self.producer.poll(0 if self.sent % 100 else 0.01)


@pytest.mark.parametrize("role", ["broker-2", "broker-1", "gateway"])
def test_killed_under_load_and_nothing_acknowledged_is_lost(castellan, role):
    topic = name("load")
    make_topic(castellan, topic, 6)
    load = Load(castellan, topic)
    load.run(0.5)
    kill(castellan, role)
    load.run(0.5)
    wait_for(lambda: is_ready(castellan), f"{role} to come back")
    load.run(0.2)
    assert load.stored
    assert load.producer.flush(40) == 0, "the client did not recover"
    assert not load.lost
    got = [v for _, v in read_all(castellan, "admin", topic, 6)]
    assert len(got) == len(set(got)), "a retry was stored twice"
    assert set(got) == set(load.stored)


def test_without_the_key_process_protected_topics_fail_closed_and_others_work(castellan):
    secret, plain = name("secret"), name("plain")
    make_topic(castellan, secret, 1)
    make_topic(castellan, plain, 1)
    castellan.castellan("policy", "set", secret, "--subject-from", "key", "--protect", "value", "--erased", "null")
    wait_for(lambda: secret in castellan.castellan("policy", "list").stdout, "the policy")
    assert produce_by_hand(castellan, secret, b"ann", b"a secret of ann")[0] == 0
    with down(castellan, "keyd"):
        log = Log(castellan, "gateway")
        wait_for(lambda: not is_ready(castellan), "the loss to be seen")
        status, report = ready(castellan)
        assert status == 503 and not report["parts"]["keyd"]["ready"] and report["parts"]["registry"]["ready"]
        assert report["parts"]["keyd"]["detail"]
        error, message = produce_by_hand(castellan, secret, b"ben", b"a secret of ben")
        assert error == KAFKA_STORAGE_ERROR and "key process" in message
        assert any(f"produce to {secret} is refused: " in x and "key process" in x for x in log.lines())
        assert produce_by_hand(castellan, plain, b"ben", b"nothing to hide")[0] == 0
        assert read_all(castellan, "admin", plain, 1) == [(b"ben", b"nothing to hide")]
        wait_for(lambda: any("the lease ran out; every key was wiped" in x for x in log.lines()), "the lease to end")
        assert produce_by_hand(castellan, secret, b"ann", b"more of ann")[0] == KAFKA_STORAGE_ERROR
        assert fetch_by_hand(castellan, secret) == (KAFKA_STORAGE_ERROR, 0)
    wait_for(lambda: produce_by_hand(castellan, secret, b"ben", b"a secret of ben")[0] == 0, "keys")
    assert read_all(castellan, "admin", secret, 1) == [(b"ann", b"a secret of ann"), (b"ben", b"a secret of ben")]


def test_without_the_registry_the_rest_works(castellan):
    subject = name("subject")
    assert castellan.registry("POST", f"/subjects/{subject}/versions", body={"schema": '"string"'})[0] == 200
    with down(castellan, "registry"):
        wait_for(lambda: not is_ready(castellan), "the loss to be seen")
        status, report = ready(castellan)
        assert status == 503 and not report["parts"]["registry"]["ready"] and report["parts"]["keyd"]["ready"]
        assert castellan.kcat("admin", "-L").returncode == 0
    status, body = castellan.registry("GET", f"/subjects/{subject}/versions/1")
    assert status == 200 and body["schema"] == '"string"'


def test_without_any_broker_the_gateway_says_so_and_comes_back(castellan):
    topic = name("before")
    make_topic(castellan, topic, 3)
    records = [(None, f"{i}".encode()) for i in range(100)]
    assert not any(produce(castellan, "admin", topic, records))
    with Hand(castellan, 100) as hand:
        hand.ask(3, 1, struct.pack(">i", -1))
        with down(castellan, "broker-1", "broker-2", "broker-3"):
            assert hand.is_closed(), "a client whose node is lost is to look for another"
            wait_for(lambda: not is_ready(castellan), "the loss to be seen")
            status, report = ready(castellan)
            assert status == 503 and not report["parts"]["gateway"]["ready"]
            assert "cluster" in report["parts"]["gateway"]["detail"]
            assert castellan.admin("GET", "/health/live", user=None)[0] == 200
            log = Log(castellan, "gateway")
            with Hand(castellan, 100) as other:
                assert other.ask(18, 0).take("h") == 0  # what needs no cluster is answered
                other.frame(request(3, 1, struct.pack(">i", -1)))
                assert other.is_closed()
            log.expect("the node behind is lost: cannot connect to 127.0.0.1:[0-9]+: Connection refused|"
                       "no node of the cluster can be reached")
    assert not any(produce(castellan, "admin", topic, records))
    assert len(read_all(castellan, "admin", topic)) == 200


# ---- the end ----

def test_idle_it_is_quiet(castellan):
    wait_for(lambda: is_ready(castellan), "everything")
    quiet_since = [time.monotonic(), None]

    def settled():  # connections to what came back are told once
        sizes = {p: p.stat().st_size for p in castellan.data.glob("logs/*.log")}
        if sizes != quiet_since[1]:
            quiet_since[:] = time.monotonic(), sizes
        return time.monotonic() - quiet_since[0] > 1

    wait_for(settled, "the logs to come to rest", also=castellan.logs)

    def ticks():
        return {p: sum(map(int, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:13]))
                for p in castellan.pids()}

    logs = {p: p.stat().st_size for p in castellan.data.glob("logs/*.log")}
    before, started = ticks(), time.monotonic()
    time.sleep(4)  # the measure itself
    after, seconds = ticks(), time.monotonic() - started
    busy = {p: (after[p] - before[p]) / os.sysconf("SC_CLK_TCK") / seconds for p in before}
    assert max(busy.values()) < 0.05, busy
    assert {p: p.stat().st_size for p in castellan.data.glob("logs/*.log")} == logs


def test_sigterm_stops_everything_and_leaves_nothing(castellan):
    topic = name("stop")
    make_topic(castellan, topic, 3)
    load = Load(castellan, topic)
    load.run(0.3)
    pids = castellan.pids()
    with Hand(castellan, 100), Hand(castellan):
        started = time.monotonic()
        castellan.process.send_signal(signal.SIGTERM)
        load.run(0.2)
        assert castellan.process.wait(15) == 0
        assert time.monotonic() - started < 10
    load.producer.purge()
    assert not [p for p in pids if os.path.exists(f"/proc/{p}")]
    assert not list(castellan.data.rglob("*.sock"))
    for offset in (0, 1, 2, 3, 100, 101, 200, 300, 400, 401, 402):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", castellan.base + offset))
    assert "killed" not in (castellan.data.parent / "up.log").read_text()
    castellan.start()
    got = {v for _, v in read_all(castellan, "admin", topic)}
    assert set(load.stored) <= got


# ---- a full disk ----

@pytest.mark.parametrize("small_disk", [1], indirect=True)
def test_a_full_disk(small_disk, tmp_path):
    castellan = System(tmp_path, free_port_base())
    try:
        castellan.start()
        topic = name("full")
        make_topic(castellan, topic, 1)
        while leader_of(castellan, topic) != 1:  # leaders are spread; the disk is broker 1's
            topic = name("full")
            make_topic(castellan, topic, 1)
        stored = []
        for i in range(20):
            assert produce_by_hand(castellan, topic, b"k", b"%d" % i)[0] == 0
            stored.append(b"%d" % i)
        filler = fill(small_disk)
        refused = 0
        for i in range(200):
            value = b"%d " % i + b"x" * 4000
            error, message = produce_by_hand(castellan, topic, b"k", value) if i < 3 or not refused else (None, None)
            if error is None:
                break
            if error == 0:
                stored.append(value)
                continue
            assert error == KAFKA_STORAGE_ERROR and "o space left on device" in message, (error, message)
            refused += 1
        assert refused
        assert [v for _, v in read_all(castellan, "admin", topic, 1)] == stored
        filler.unlink()
        wait_for(lambda: produce_by_hand(castellan, topic, b"k", b"after")[0] == 0, "room to be seen")
        stored.append(b"after")
        assert [v for _, v in read_all(castellan, "admin", topic, 1)] == stored
        kill(castellan, "broker-1")
        wait_for(lambda: is_ready(castellan), "broker-1 to come back")
        assert [v for _, v in read_all(castellan, "admin", topic, 1)] == stored
    finally:
        castellan.close()
