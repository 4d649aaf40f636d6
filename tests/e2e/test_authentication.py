# SPDX-License-Identifier: Apache-2.0
"""Who may come in, and what it costs to guess: deleted users, ended certificates, strangers that look like users, the
limiter of failed authentications, and floods of strangers. Each test that fails on purpose uses a source address of its
own (127.0.x.y), because limits are by address."""
import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kafka_wire import Connection, array, bytes_, string
from system import CASTELLAN, System, free_port_base

METADATA, SASL_HANDSHAKE, SASL_AUTHENTICATE = 3, 17, 36
SASL_AUTHENTICATION_FAILED = 58


@pytest.fixture(scope="module")
def castellan():
    system = System().start()
    yield system
    system.close()


class Client(Connection):
    """A Kafka connection over TLS, from a source address of one's choice."""

    def __init__(self, system, port=None, source="127.0.0.1", context=None, session=None, timeout=40):
        context = context or ssl.create_default_context(cafile=system.ca)
        plain = socket.create_connection(("127.0.0.1", port or system.base), timeout=timeout, source_address=(source, 0))
        self.socket = context.wrap_socket(plain, server_hostname="localhost", session=session)
        self.correlation = 0

    def handshake(self, mechanism):
        assert self.call(SASL_HANDSHAKE, 1, string(mechanism)).take("h") == 0

    def token(self, token):
        """(error, text, answer)"""
        r = self.call(SASL_AUTHENTICATE, 1, bytes_(token))
        return r.take("h"), r.string(), r.bytes()

    def plain(self, user, password):
        self.handshake("PLAIN")
        return self.token(f"\0{user}\0{password}".encode())[0]

    def scram_first(self, user, mechanism="SCRAM-SHA-512"):
        """Sends the first message; salt and iterations of the answer, and what the final message needs."""
        self.handshake(mechanism)
        bare = f"n={user},r=rOprNGfwEbeRWgbNEkqO"
        error, _, answer = self.token(b"n,," + bare.encode())
        assert error == 0
        parts = dict(p.split("=", 1) for p in answer.decode().split(","))
        return base64.b64decode(parts["s"]), int(parts["i"]), (bare, answer.decode(), parts["r"])

    def scram_final(self, password, first, digest="sha512"):
        salt, iterations, (bare, answer, nonce) = first
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
        key = hmac.digest(salted, b"Client Key", digest)
        final = f"c=biws,r={nonce}"
        signature = hmac.digest(hashlib.new(digest, key).digest(), f"{bare},{answer},{final}".encode(), digest)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return self.token(f"{final},p={base64.b64encode(proof).decode()}".encode())[0]

    def brokers(self):
        """How many the cluster has: works only for who is known."""
        return len(self.call(METADATA, 1, array([])).array(lambda r: (r.take("i"), r.string(), r.take("i"), r.string())))


def closed(client):
    """Nothing comes but the end."""
    try:
        return client.socket.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def add(system, name, password="a password", *words):
    system.castellan("user", "add", name, "--password-stdin", *words, stdin=password + "\n")


def delete(system, name):
    system.castellan("user", "delete", name)


# ---- The credential counts when it is used ----

@pytest.mark.parametrize("what", ["deleted", "changed"])
def test_a_handshake_of_old_lets_nobody_in(castellan, what):
    name, source = f"leaver-{what}", "127.0.1.1" if what == "deleted" else "127.0.1.2"
    add(castellan, name)
    plain, scram, begun = (Client(castellan, source=source) for _ in range(3))
    plain.handshake("PLAIN")
    scram.handshake("SCRAM-SHA-512")
    first = begun.scram_first(name)
    if what == "deleted":
        delete(castellan, name)
    else:
        add(castellan, name, "another password", "--replace")
    assert plain.token(f"\0{name}\0a password".encode())[0] == SASL_AUTHENTICATION_FAILED
    assert begun.scram_final("a password", first) == SASL_AUTHENTICATION_FAILED
    bare = f"n={name},r=rOprNGfwEbeRWgbNEkqO"
    error, _, answer = scram.token(b"n,," + bare.encode())
    parts = dict(p.split("=", 1) for p in answer.decode().split(","))
    late = (base64.b64decode(parts["s"]), int(parts["i"]), (bare, answer.decode(), parts["r"]))
    assert (error, scram.scram_final("a password", late)) == (0, SASL_AUTHENTICATION_FAILED)
    if what == "changed":
        assert Client(castellan, source=source).plain(name, "another password") == 0


# ---- Certificates ----

def certificate(system, name, seconds=3600, folder=None):
    """A context with a client certificate of the system's own authority that begins now."""
    secrets = system.data / "secrets"
    ca = x509.load_pem_x509_certificate((secrets / "client-ca.pem").read_bytes())
    ca_key = serialization.load_pem_private_key((secrets / "client-ca.key").read_bytes(), None)
    return signed(system, name, ca.subject, ca_key, seconds, folder)


def signed(system, name, issuer, ca_key, seconds=3600, folder=None):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(seconds=seconds)).sign(ca_key, hashes.SHA256()))
    path = pathlib.Path(folder or system.data) / f"{name}-{made.serial_number}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.create_default_context(cafile=system.ca)
    context.load_cert_chain(path)
    return context


def by_certificate(system, context, source="127.0.0.1"):
    """Brokers seen, or None when refused."""
    with contextlib.suppress(ConnectionError, ssl.SSLError), \
            Client(system, system.base + 100, source=source, context=context) as c:
        return c.brokers()
    return None


def registry_by_certificate(system, context, source):
    c = http.client.HTTPSConnection("localhost", system.base + 200, context=context, timeout=30, source_address=(source, 0))
    c.request("GET", "/subjects")
    return c.getresponse().status


def test_a_deleted_users_certificate_is_refused():
    system = System().start()
    try:
        old = ssl.create_default_context(cafile=system.ca)
        old.load_cert_chain(system.data / "clients" / "alice.pem", system.data / "clients" / "alice.key")
        live = Client(system, system.base + 100, context=old)
        assert live.brokers() == 3
        assert registry_by_certificate(system, old, "127.0.2.1") == 200
        delete(system, "alice")
        with pytest.raises((ConnectionError, ssl.SSLError)):  # the connection that was there, with its next request
            live.brokers()
        assert by_certificate(system, old, "127.0.2.2") is None
        assert registry_by_certificate(system, old, "127.0.2.3") == 401
        assert by_certificate(system, certificate(system, "robot"), "127.0.2.4") == 3  # never was a user

        add(system, "alice")  # somebody of that name again: the old certificate is not hers
        assert by_certificate(system, old, "127.0.2.5") is None
        time.sleep(1.1)  # certificates count whole seconds, and one of the deletion's own second is an old one
        fresh = certificate(system, "alice")
        assert by_certificate(system, fresh, "127.0.2.6") == 3
        assert registry_by_certificate(system, fresh, "127.0.2.7") == 200

        bob = system.password("bob")  # one of the users `up` made at its first start
        delete(system, "bob")
        system.stop()
        system.start()
        assert Client(system, source="127.0.2.8").plain("bob", bob) == SASL_AUTHENTICATION_FAILED
        assert by_certificate(system, old, "127.0.2.9") is None
    finally:
        system.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_expired_certificate_does_not_live_on(castellan, version):
    source = f"127.0.3.{int(version) & 0xff}"
    context = certificate(castellan, "alice", seconds=5)
    ends = time.time() + 5
    context.maximum_version = context.minimum_version = version

    def connect(session):
        c = Client(castellan, castellan.base + 100, source=source, context=context, session=session)
        return c, c.brokers()

    first, brokers = connect(None)
    assert brokers == 3
    again, brokers = connect(first.socket.session)
    assert brokers == 3 and again.socket.session_reused
    session = again.socket.session
    time.sleep(max(0, ends - time.time()) + 1.5)  # a certificate's end is a moment in time
    with pytest.raises((ConnectionError, ssl.SSLError)):
        connect(session)
    with pytest.raises((ConnectionError, ssl.SSLError)):  # nor does the connection that was there
        again.brokers()


# ---- Strangers look like users ----

class Gateway:
    """One more gateway before the same brokers, with settings of its own."""

    def __init__(self, system, **settings):
        self.system, self.base, self.ca = system, free_port_base(), system.ca
        lines = dict(line.split("=", 1) for line in
                     (system.data / "gateway" / "gateway.properties").read_text().splitlines()
                     if line and not line.startswith("#"))
        lines["listeners"] = f"SASL_SSL://localhost:{self.base},SSL://localhost:{self.base + 100}"
        lines["castellan.admin.listener"] = f"https://localhost:{self.base + 300}"
        lines.update({k.replace("_", "."): v for k, v in settings.items()})
        self.config = system.data / f"gateway-{self.base}.properties"
        self.config.write_text("".join(f"{k}={v}\n" for k, v in lines.items()))

    def __enter__(self):
        read_end, write_end = os.pipe()
        with open(self.system.data / f"gateway-{self.base}.log", "ab") as log:
            self.process = subprocess.Popen([str(CASTELLAN), "gateway", "-c", str(self.config)], stdout=log, stderr=log,
                                            pass_fds=[write_end], env={**os.environ, "CASTELLAN_READY_FD": str(write_end)})
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], 30)
        line = os.read(read_end, 16) if ready else b""
        os.close(read_end)
        if not line.startswith(b"READY"):
            self.__exit__()
            raise AssertionError("the gateway is not ready: " + self.log())
        return self

    def log(self):
        return (self.system.data / f"gateway-{self.base}.log").read_text()[-3000:]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def cpu_seconds(self):
        """Of all threads, in nanoseconds' steps."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9


def shape(system, user, mechanism="SCRAM-SHA-512"):
    with Client(system) as c:
        salt, iterations, _ = c.scram_first(user, mechanism)
        return salt, len(salt), iterations


def test_a_stranger_looks_like_a_user(castellan):
    """The users of this system have 4096 iterations (made by `up`) and 8192 (made by `user add`)."""
    for i in range(12):
        add(castellan, f"many-{i}")
    real = {shape(castellan, name)[1:] for name in ("admin", "many-1")}
    assert real == {(24, 4096), (24, 8192)}
    ghosts = [f"ghost-{i}" for i in range(30)]
    seen = {g: shape(castellan, g) for g in ghosts}
    assert {s[1:] for s in seen.values()} == real
    assert len({s[0] for s in seen.values()}) == len(ghosts)
    assert {g: shape(castellan, g) for g in ghosts} == seen
    with Gateway(castellan) as other:  # the same at another gateway, so also after a start
        assert {g: shape(other, g) for g in ghosts} == seen


def test_a_wrong_password_costs_the_same_for_everybody(castellan):
    """Hashing for an unknown user takes the processor as long as for a known one."""
    with Gateway(castellan) as gateway:
        for i in range(40):
            add(castellan, f"cost-{i}")  # most users have 8192 iterations now, so most strangers are hashed with as many

        def cost(prefix, network):
            clients = [Client(gateway, source=f"127.0.{network}.{1 + i}") for i in range(40)]  # no address fails twice
            for c in clients:
                c.handshake("PLAIN")
            before = gateway.cpu_seconds()
            for i, c in enumerate(clients):
                c.send(SASL_AUTHENTICATE, 1, bytes_(f"\0{prefix}-{i}\0wrong".encode()))
            assert all(c.receive().take("h") == SASL_AUTHENTICATION_FAILED for c in clients)
            return gateway.cpu_seconds() - before

        # what the process does besides adds to either: the least of three counts
        known, unknown = (min(cost(who, first + n) for n in range(3)) for who, first in (("cost", 10), ("nobody", 20)))
        assert 0.7 < unknown / known < 1.4, (known, unknown)


# ---- The failure limiter ----

def told_after(failures):
    """Seconds until a failure is told after so many before it: 0.1, doubled for every three."""
    return 0.095 * 2 ** (failures // 3)


def failure(system, source):
    """Seconds until a wrong password at this address is answered."""
    with Client(system, source=source) as c:
        c.handshake("PLAIN")
        started = time.monotonic()
        assert c.token(b"\0alice\0wrong")[0] == SASL_AUTHENTICATION_FAILED
        took = time.monotonic() - started
        assert closed(c)
        return took


def test_failures_are_answered_later_and_later(castellan):
    source, password = "127.0.4.1", castellan.password("alice")
    took = [failure(castellan, source) for _ in range(10)]
    for i, seconds in enumerate(took):
        assert seconds > told_after(i), took
    # where guessing goes on, the right password waits for its turn as well
    with Client(castellan, source=source) as c:
        started = time.monotonic()
        assert c.plain("alice", password) == 0
        assert time.monotonic() - started > 0.75
    failure(castellan, source)
    with Client(castellan, source=source) as c:  # and so does SCRAM's proof
        first = c.scram_first("alice")
        started = time.monotonic()
        assert c.scram_final(password, first) == 0
        assert time.monotonic() - started > 0.75
    # nobody else does, and the user is not locked out
    started = time.monotonic()
    assert Client(castellan, source="127.0.4.2").plain("alice", password) == 0
    assert time.monotonic() - started < 0.75


def test_what_waits_holds_up_nobody(castellan):
    """Forty failures wait for seconds on two workers; whoever comes from elsewhere is served meanwhile."""
    waiting = []
    for _ in range(40):
        c = Client(castellan, source="127.0.4.3")
        c.handshake("PLAIN")
        c.send(SASL_AUTHENTICATE, 1, bytes_(b"\0alice\0wrong"))
        waiting.append(c)
    password = castellan.password("alice")
    for _ in range(5):
        started = time.monotonic()
        with Client(castellan, source="127.0.4.4") as c:
            assert c.plain("alice", password) == 0 and c.brokers() == 3
        assert time.monotonic() - started < 3
    still = [c for c in waiting if not select.select([c.socket], [], [], 0)[0]]
    assert len(still) > 20  # they were not answered at once
    for c in waiting:
        c.socket.close()


def raw_token(system, source):
    """The bare token of SaslHandshake v0: no answer, the connection ends."""
    with Client(system, source=source) as c:
        assert c.call(SASL_HANDSHAKE, 0, string("PLAIN")).take("h") == 0
        started = time.monotonic()
        c.socket.sendall(bytes_(b"\0alice\0wrong"))
        assert closed(c)
        return time.monotonic() - started


def test_bare_tokens_wait_too(castellan):
    took = [raw_token(castellan, "127.0.4.5") for _ in range(7)]
    assert all(seconds > told_after(i) for i, seconds in enumerate(took)), took
    with Client(castellan, source="127.0.4.6") as c:
        assert c.call(SASL_HANDSHAKE, 0, string("PLAIN")).take("h") == 0
        c.socket.sendall(bytes_(f"\0alice\0{castellan.password('alice')}".encode()))
        assert c.read(4) == b"\0\0\0\0" and c.brokers() == 3


def test_mutual_tls_failures_wait(castellan, tmp_path):
    foreign = signed(castellan, "alice", x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another CA")]),
                     ec.generate_private_key(ec.SECP256R1()), folder=tmp_path)
    good = certificate(castellan, "alice")

    def attempt(context, source):
        started = time.monotonic()
        return by_certificate(castellan, context, source), time.monotonic() - started

    for i in range(10):
        brokers, took = attempt(foreign, "127.0.5.1")
        assert brokers is None and took > told_after(i), (i, took)
    brokers, took = attempt(good, "127.0.5.1")
    assert brokers == 3 and took > 0.75, took
    brokers, took = attempt(good, "127.0.5.2")
    assert brokers == 3 and took < 0.75, took


@pytest.mark.parametrize("port, path", [(200, "/subjects"), (300, "/v1/status")])
def test_http_failures_wait(castellan, port, path):
    """The registry and the admin interface."""
    context = ssl.create_default_context(cafile=castellan.ca)
    wrong, right = ("admin", "wrong"), ("admin", castellan.password("admin"))

    def ask(source, who, connection=None):
        c = connection or http.client.HTTPSConnection("localhost", castellan.base + port, context=context, timeout=40,
                                                      source_address=(source, 0))
        token = base64.b64encode(":".join(who).encode()).decode()
        started = time.monotonic()
        c.request("GET", path, headers={"Authorization": f"Basic {token}"})
        answer = c.getresponse()
        answer.read()
        return answer.status, time.monotonic() - started, c

    bad, good = f"127.0.6.{port & 0x7f}", f"127.0.7.{port & 0x7f}"
    kept = ask(bad, right)[2]
    for i in range(10):
        status, took, _ = ask(bad, wrong)
        assert status == 401 and took > told_after(i), (i, took)
    status, took, _ = ask(bad, right)
    assert status == 200 and took > 0.75, took
    status, took, _ = ask(bad, right, kept)  # a connection that showed this password before is not suspected
    assert status == 200 and took < 0.75, took
    status, took, _ = ask(good, right)
    assert status == 200 and took < 0.75, took
    status, took, _ = ask(good, wrong)
    assert status == 401 and 0.095 < took < 0.75, took


def test_a_body_announced_does_not_spare_the_wait(castellan):
    """Expect: 100-continue used to get its refusal at once."""
    context = ssl.create_default_context(cafile=castellan.ca)
    for i in range(5):
        plain = socket.create_connection(("127.0.0.1", castellan.base + 200), timeout=20, source_address=("127.0.6.99", 0))
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            started = time.monotonic()
            s.sendall(b"POST /subjects/s/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                      b"Content-Type: application/json\r\nExpect: 100-continue\r\nAuthorization: Basic eDp5\r\n\r\n")
            text = s.recv(1000)
            if text.startswith(b"HTTP/1.1 100"):
                s.sendall(b"null")
                text = s.recv(1000)
            assert text.startswith(b"HTTP/1.1 401"), text
            assert time.monotonic() - started > told_after(i)


# ---- Strangers ----

def client_hello(system):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = ssl.create_default_context(cafile=system.ca).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return outgoing.read()


def flood(port, source, hello, until, answered):
    """Full handshakes at the server's cost: a ClientHello of old, again and again, and away once it was answered."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.settimeout(max(0.01, until - time.monotonic()))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.bind((source, 0))
            s.connect(("127.0.0.1", port))
            s.sendall(hello)
            if s.recv(5):
                answered.append(time.monotonic())


def test_a_flood_of_handshakes_takes_its_turns(castellan):
    seconds, hello, answered = 4, client_hello(castellan), []
    password = castellan.password("alice")
    settled = Client(castellan, source="127.0.8.1")
    assert settled.plain("alice", password) == 0
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=flood, args=(castellan.base + p, "127.0.8.2", hello, until, answered))
               for p in (0, 1, 100, 101) for _ in range(4)]
    for t in threads:
        t.start()
    came = 0
    while time.monotonic() < until - 0.5:
        assert settled.brokers() == 3
        with Client(castellan, source="127.0.8.3") as c:
            assert c.plain("alice", password) == 0
        came += 1
        time.sleep(0.1)  # two or three honest ones a second, beside the flood
    for t in threads:
        t.join()
    assert came >= 2
    assert len(answered) <= 200 + 200 * (seconds + 1), len(answered)  # a second's worth, and the rate; on all ports


def test_strangers_leave_room_and_must_say_who_they_are(castellan):
    with Gateway(castellan, castellan_unauthenticated_connections_per_address_max=20,
                 castellan_authentication_timeout_ms=2000) as gateway:
        started = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", gateway.base), source_address=("127.0.9.1", 0))
                  for _ in range(15)]
        spoken = [Client(gateway, source="127.0.9.1") for _ in range(5)]  # the TLS handshake alone says nothing
        more = socket.create_connection(("127.0.0.1", gateway.base), timeout=10, source_address=("127.0.9.1", 0))
        assert more.recv(1) == b""
        with Client(gateway, source="127.0.9.2") as c:  # elsewhere there is room
            assert c.plain("alice", castellan.password("alice")) == 0
            for s in silent:
                s.settimeout(20)
                assert s.recv(1) == b""
            assert all(closed(s) for s in spoken)
            assert time.monotonic() - started > 1.9
            assert c.brokers() == 3  # whoever said it stays
        # who has authenticated is no stranger: there is room for more than 20 of them
        known = [Client(gateway, source="127.0.9.1") for _ in range(18)]
        assert all(c.plain("alice", castellan.password("alice")) == 0 for c in known)
        known += [Client(gateway, source="127.0.9.1") for _ in range(18)]
        assert known[-1].plain("alice", castellan.password("alice")) == 0


def test_strangers_are_limited_by_default(castellan):
    """Five hundred of one address; what is over is closed as it comes, whatever the others say or do not say."""
    sockets = []
    try:
        for _ in range(520):
            s = socket.create_connection(("127.0.0.1", castellan.base), timeout=15, source_address=("127.0.9.3", 0))
            sockets.append(s)
        ended, until = set(), time.monotonic() + 3  # long before their handshakes are overdue
        while len(ended) < 20 and time.monotonic() < until:
            ended |= set(select.select(sockets, [], [], 0.2)[0])
        assert len(ended) == 20
        with Client(castellan, source="127.0.9.4") as c:
            assert c.plain("alice", castellan.password("alice")) == 0
    finally:
        for s in sockets:
            s.close()
