# SPDX-License-Identifier: Apache-2.0
"""Folders that somebody else may have prepared, the key process's sockets in them, and answers that only look like
success."""
import http.server
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import threading
import time

import pytest

from system import CASTELLAN, System, free_port_base

SOMEBODY_ELSE = 12345


def setting(path, key):
    for line in path.read_text().splitlines():
        if line.startswith(key + "="):
            return line.split("=", 1)[1]
    return None


def up_fails(data):
    words = [str(CASTELLAN), "up", "--data", str(data), "--port-base", str(free_port_base()), "--brokers", "1"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr


def test_a_long_path_keeps_the_sockets_in_the_data_folder(tmp_path):
    deep = tmp_path / ("long-" * 20) / ("path-" * 20)
    deep.mkdir(parents=True, mode=0o700)
    system = System(folder=str(deep), demo_users=False)
    system.start()
    try:
        for role in ("keyd", "gateway"):
            path = pathlib.Path(setting(system.data / role / f"{role}.properties", "castellan.keyd.socket"))
            assert len(str(path)) > 200 and path.parent == system.data / "keyd" and path.is_socket()
        system.castellan("forget", "ann", "--receipt", str(tmp_path / "ann.json"))
        system.castellan("receipt", "verify", str(tmp_path / "ann.json"), "--id", "ann", "--key",
                         str(system.data / "keyd" / "receipt-signing.pub"))
    finally:
        system.close()


def test_a_data_folder_open_to_others_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "something").touch()
    words = up_fails(data)
    assert str(data) in words and "open to other users" in words and "chmod 700" in words


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_a_data_folder_of_somebody_else_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, SOMEBODY_ELSE, SOMEBODY_ELSE)
    assert f"belongs to user {SOMEBODY_ELSE}" in up_fails(data)
    link = tmp_path / "link"
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    os.chown(link, SOMEBODY_ELSE, SOMEBODY_ELSE, follow_symlinks=False)
    assert "symbolic link" in up_fails(link)
    assert not list(mine.iterdir())


def test_a_part_of_the_data_folder_open_to_others_is_refused(tmp_path):
    (tmp_path / "keyd").mkdir(mode=0o700)
    (tmp_path / "keyd" / "root").touch()
    (tmp_path / "keyd").chmod(0o777)
    tmp_path.chmod(0o700)
    assert f"{tmp_path}/keyd is open to other users" in up_fails(tmp_path)


# ---- the client properties found in the current folder ----

@pytest.fixture
def found(tmp_path):
    """A folder with client properties that nobody answers."""
    clients = tmp_path / "castellan-data" / "clients"
    clients.mkdir(parents=True, mode=0o700)
    (tmp_path / "castellan-data").chmod(0o700)
    config = clients / "admin.properties"
    config.write_text("bootstrap.servers=127.0.0.1:1\nsecurity.protocol=PLAINTEXT\n"
                      "castellan.admin.url=http://127.0.0.1:1\n")
    config.chmod(0o600)
    return tmp_path, config


def forget_here(folder, *more):
    env = {k: v for k, v in os.environ.items() if k != "CASTELLAN_CONFIG"}
    return subprocess.run([str(CASTELLAN), "forget", "ann", *more], cwd=folder, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


def test_it_is_said_which_file_is_used(found):
    folder, _ = found
    assert "castellan: using castellan-data/clients/admin.properties\n" in forget_here(folder).stderr


@pytest.mark.parametrize("part", ["castellan-data", "castellan-data/clients", "castellan-data/clients/admin.properties"])
def test_what_others_can_write_is_not_used(found, part):
    folder, _ = found
    (folder / part).chmod(0o777)
    done = forget_here(folder)
    assert done.returncode == 1 and "can be written by other users" in done.stderr and "--config" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
@pytest.mark.parametrize("part", ["castellan-data", "castellan-data/clients", "castellan-data/clients/admin.properties"])
def test_what_belongs_to_somebody_else_is_not_used(found, part):
    folder, _ = found
    os.chown(folder / part, SOMEBODY_ELSE, SOMEBODY_ELSE)
    done = forget_here(folder)
    assert done.returncode == 1 and f"belongs to user {SOMEBODY_ELSE}" in done.stderr


# ---- answers that are no receipt ----

RECEIPT_LOOKALIKE = {"receipt": {"level": "E2", "seq": 7, "keys": []}}


@pytest.mark.parametrize("answer", [{}, {"state": "done"}, {"ok": True}, RECEIPT_LOOKALIKE, None])
def test_an_answer_that_is_no_receipt_is_no_success(tmp_path, answer):
    class Impostor(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self):
            body = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = tmp_path / "c.properties"
        config.write_text("bootstrap.servers=127.0.0.1:1\nsecurity.protocol=PLAINTEXT\n"
                          f"castellan.admin.url=http://127.0.0.1:{server.server_address[1]}\n")
        done = forget_here(tmp_path, "--config", str(config))
        server.shutdown()
    assert done.returncode == 1 and done.stdout == "" and "no receipt" in done.stderr, done
    assert not list(tmp_path.glob("receipt-*"))


# ---- the key process's sockets ----

HELLO, CREATE, GET, RENEW, ACK, FORGET, STATUS = range(1, 8)
WELCOME, KEYS, RENEWED, JSON = 129, 130, 131, 133
DATA, ADMIN = 1, 2
SILENT = 1100


def text(s):
    return struct.pack(">H", len(s)) + s.encode()


class KeydClient:
    """Speaks to a socket of the key process by hand."""

    def __init__(self, path, wants=None):
        self.socket = socket.socket(socket.AF_UNIX)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self.socket.settimeout(30)
        self.greeting = self.call(HELLO, bytes([1, wants]) + text("by-hand")) if wants is not None else None

    def send(self, kind, body=b""):
        self.socket.sendall(struct.pack(">IBI", len(body) + 5, kind, 7) + body)

    def receive(self):
        """The kind of the next frame, 0 at the end."""
        def exactly(n):
            data = b""
            while len(data) < n:
                more = self.socket.recv(n - len(data))
                if not more:
                    return b""
                data += more
            return data
        try:
            head = exactly(9)
            if head:
                exactly(struct.unpack(">I", head[:4])[0] - 5)
            return head[4] if head else 0
        except ConnectionError:
            return 0

    def call(self, kind, body=b""):
        try:
            self.send(kind, body)
        except ConnectionError:
            return 0
        return self.receive()


@pytest.fixture(scope="module")
def castellan():
    system = System(demo_users=False)
    system.start()
    yield system
    system.close()


def sockets(castellan):
    return castellan.data / "keyd" / "keyd.sock", castellan.data / "keyd" / "admin.sock"


def test_a_socket_gives_what_it_is_for_and_no_more(castellan):
    data, admin = sockets(castellan)
    assert KeydClient(data, ADMIN).greeting == 0
    assert KeydClient(data, DATA | ADMIN).greeting == 0
    assert KeydClient(data, DATA).call(FORGET, text("") * 2 + text("ann") + text("me")) == 0
    assert KeydClient(data, DATA).call(RENEW) == RENEWED
    assert KeydClient(data, 0).call(STATUS) == JSON
    assert KeydClient(admin, DATA).greeting == 0
    assert KeydClient(admin, ADMIN).call(GET, bytes(4)) == 0


def test_the_gateways_workers_have_no_right_to_forget(castellan):
    config = castellan.data / "gateway" / "gateway.properties"
    assert setting(config, "castellan.keyd.admin.socket") == str(sockets(castellan)[1])
    assert castellan.admin("DELETE", "/v1/subjects/ann")[0] == 200
    status = castellan.admin("GET", "/v1/status")[1]["keyd"]
    assert status["clients"] and all(c.startswith("gateway/") for c in status["clients"])


def test_silent_connections_do_not_stop_forgetting(castellan):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    silent = []
    try:
        for path in sockets(castellan):
            if path.exists():
                silent += [KeydClient(path) for _ in range(SILENT)]
        status, bundle = castellan.admin("DELETE", "/v1/subjects/ben")
        assert status == 200 and bundle["receipt"], bundle
        assert castellan.admin("GET", "/health/ready", user=None)[0] == 200
        assert silent[0].receive() == 0  # its place was needed
        assert silent[-1].receive() == 0  # it had time enough to say who it is
    finally:
        for client in silent:
            client.socket.close()


def test_renewals_come_before_other_work(castellan):
    """One client has very many keys made; another's renewals are answered in between."""
    data, _ = sockets(castellan)
    busy, calm = KeydClient(data, DATA), KeydClient(data, DATA)
    frames, people = 200, 1000

    def create():
        for i in range(frames):
            busy.send(CREATE, text("t") + text("c") + struct.pack(">I", people) +
                      b"".join(text(f"person-{i}-{k}") for k in range(people)))

    def collect():
        assert [busy.receive() for _ in range(frames)] == [KEYS] * frames

    threads = [threading.Thread(target=create), threading.Thread(target=collect)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    longest = 0
    while any(thread.is_alive() for thread in threads):
        before = time.monotonic()
        assert calm.call(RENEW) == RENEWED
        longest = max(longest, time.monotonic() - before)
        threads[1].join(0.01)
    took = time.monotonic() - started
    assert longest < max(0.5, took / 8), f"a renewal took {longest:.2f} s of {took:.2f} s"
