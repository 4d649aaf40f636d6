# SPDX-License-Identifier: Apache-2.0
"""What an operator meets: a closing terminal, a crash, a start right after it; a node that hangs, a full disk;
memory after a storm."""
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest
from confluent_kafka import Consumer

import kafka_wire as wire
from system import System, fill


def command_line(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ignores_hangup(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(ignored.split()[1], 16) & 1 << (signal.SIGHUP - 1))


@pytest.fixture(scope="module")
def system():
    """One for all that leave it as they found it; the tests run in the order of this file."""
    s = System()
    s.start()
    yield s
    s.close()


def test_a_closing_terminal_ends_no_role(system):
    pids = system.pids()
    assert len(pids) == 7  # up, three brokers, keyd, gateway, registry
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
        assert ignores_hangup(pid), command_line(pid)
    assert system.admin("GET", "/health/live")[0] == 200
    assert system.pids() == pids


def test_up_right_after_the_supervisor_was_killed(system):
    roles = system.pids()[1:]
    # a role that takes its time: it gets to its SIGTERM when it is let go
    slow = next(pid for pid in roles if b"broker" in command_line(pid))
    os.kill(slow, signal.SIGSTOP)
    os.kill(system.process.pid, signal.SIGKILL)
    system.process.wait()
    try:
        pid = os.fork()
        if pid == 0:  # lets it go once the new supervisor says that it waits
            log, until = system.data.parent / "up.log", time.monotonic() + 15
            while b"waiting for the processes" not in log.read_bytes() and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(slow, signal.SIGCONT)
            os._exit(0)
        system.start(timeout=60)
        os.waitpid(pid, 0)
    finally:
        if is_alive(slow):
            os.kill(slow, signal.SIGCONT)
    assert "waiting for the processes of an earlier `castellan up`" in system.logs()
    assert not any(is_alive(pid) for pid in roles)
    assert system.admin("GET", "/health/ready")[0] == 200


# ---- What was refused, and throttled ----

def metric(system, line):
    """The value of a series by its name and labels, 0 when there is none."""
    status, text = system.admin("GET", "/metrics", user=None)
    assert status == 200
    for found in text.splitlines():
        if found.startswith(line + " "):
            return int(found.rsplit(" ", 1)[1])
    return 0


def test_refusals_and_throttles_are_counted_and_logged(system):
    refused = 'castellan_gateway_refusals_total{principal="User:alice",operation="%s",type="%s"}'
    system.castellan("topic", "create", "orders")
    for _ in range(3):
        system.kcat("alice", "-P", "-t", "orders", "-X", "message.timeout.ms=3000", stdin="x\n")
    assert metric(system, refused % ("DESCRIBE", "TOPIC")) >= 3
    system.kcat("alice", "-G", "g", "orders", "-e", "-m", "2", timeout=15)
    assert metric(system, refused % ("DESCRIBE", "GROUP")) >= 1
    # a list that leaves things out is no refusal
    before = metric(system, refused % ("DESCRIBE", "TOPIC"))
    assert "orders" not in system.kcat("alice", "-L").stdout
    assert metric(system, refused % ("DESCRIBE", "TOPIC")) == before
    log = (system.data / "logs" / "gateway.log").read_text()
    workers = len(system.admin("GET", "/v1/status")[1]["workers"])
    assert 1 <= log.count('User:alice: DESCRIBE, TOPIC "orders": is refused') <= workers

    system.castellan("acl", "add", "--allow", "User:alice", "--operation", "WRITE,DESCRIBE", "--topic", "orders")
    system.castellan("quota", "set", "--user", "alice", "producer_byte_rate=1000")
    system.kcat("alice", "-P", "-t", "orders", stdin="x" * 30000 + "\n")
    throttled = 'castellan_gateway_throttles_total{principal="User:alice",operation="Produce",type="producer_byte_rate"}'
    assert metric(system, throttled) >= 1


# ---- A node that hangs, a disk that is full, a partition without a leader ----

def wait_for(condition, what, seconds=40):
    until = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < until, what() if callable(what) else what
        time.sleep(0.1)


def status(system):
    done = system.castellan("status", "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def node(report, node_id):
    return next(n for n in report["nodes"] if n["id"] == node_id)


def broker(system, node_id):
    path = f"{system.data}/broker-{node_id}".encode()
    return next(p for p in system.pids()[1:] if any(w.startswith(path) for w in command_line(p)))


@contextlib.contextmanager
def frozen(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_frozen_broker_is_told(system):
    system.castellan("topic", "create", "many", "--partitions", "6")
    wait_for(lambda: [n["state"] for n in status(system)[1]["nodes"]] == ["answers"] * 3, "three nodes that answer")
    wait_for(lambda: status(system)[0] == 0, "all well")
    code, report = status(system)
    assert report["problems"] == []
    assert report["partitions"]["total"] > 0 and report["partitions"]["offline"] == 0
    with frozen(broker(system, 3)):
        wait_for(lambda: node(status(system)[1], 3)["state"] == "silent", "node 3 to be found silent")
        code, report = status(system)
        assert code == 1 and any("node 3 (127.0.0.1:" in p and "does not answer" in p for p in report["problems"])
        assert metric(system, 'castellan_cluster_node_up{node="3"}') == 0
        assert metric(system, 'castellan_cluster_node_up{node="1"}') == 1
        wait_for(lambda: status(system)[1]["partitions"]["offline"] >= 2, "partitions without a leader")
        assert any("have no leader that answers: " in p for p in status(system)[1]["problems"])
        assert "SILENT" in system.castellan("status", check=False).stdout
        assert metric(system, "castellan_cluster_offline_partitions") >= 2
        assert system.admin("GET", "/health/live", user=None)[0] == 200
        # whoever is not known is told how many, not which
        answer = system.admin("GET", "/health/ready", user=None)[1]
        assert "1 of 3 nodes do not answer" in json.dumps(answer) and "many" not in json.dumps(answer)
    wait_for(lambda: status(system)[0] == 0, "all well again")
    assert metric(system, 'castellan_cluster_node_up{node="3"}') == 1


def test_not_ready_says_why(system):
    assert system.admin("GET", "/health/ready", user=None)[0] == 200
    pids = [broker(system, n) for n in (1, 2, 3)]
    with frozen(pids[0]), frozen(pids[1]), frozen(pids[2]):
        def not_ready():
            code, answer = system.admin("GET", "/health/ready", user=None)
            return code == 503 and answer
        answer = wait_for(not_ready, "503")
        assert any(r.startswith("cluster: no node of the cluster behind answers") for r in answer["reasons"])
        assert answer["ready"] is False and answer["parts"]["cluster"]["ready"] is False
        assert system.admin("GET", "/health/live", user=None)[0] == 200
    wait_for(lambda: system.admin("GET", "/health/ready", user=None)[0] == 200, "ready again")


def test_one_frozen_broker_does_not_hold_up_metadata(system):
    """Every node in turn, so that it meets the ones that the workers begin with."""
    for node_id in (1, 2, 3):
        consumer = Consumer(system.client_config("admin", **{"group.id": f"g{node_id}"}))
        consumer.list_topics(timeout=20)  # a connection from before the freeze
        with frozen(broker(system, node_id)):
            slowest = 0
            for _ in range(8):
                started = time.monotonic()
                listed = system.kcat("admin", "-L", "-X", "socket.timeout.ms=9000", "-m", "9", timeout=30)
                slowest = max(slowest, time.monotonic() - started)
                assert "3 brokers" in listed.stdout or "2 brokers" in listed.stdout, listed.stderr
            assert slowest < 8, slowest
            wait_for(lambda: node(status(system)[1], node_id).get("state") != "answers", "silence")
            # now that it is known, nobody waits for it, whichever port is asked
            for port in range(4):
                started = time.monotonic()
                listed = system.kcat("admin", "-L", "-b", f"localhost:{system.base + port}", "-m", "9", timeout=30)
                assert "brokers" in listed.stdout, listed.stderr
                assert time.monotonic() - started < 4
            assert consumer.list_topics(timeout=20).brokers
        consumer.close()
        wait_for(lambda: node(status(system)[1], node_id).get("state") != "silent", "an answer")


@pytest.mark.parametrize("small_disk", [2], indirect=True)
def test_a_full_disk_is_told(small_disk, tmp_path):
    system = System(tmp_path)
    try:
        system.start()
        wait_for(lambda: status(system)[0] == 0, "all well")
        filler = fill(small_disk)
        told = wait_for(lambda: [p for p in status(system)[1]["problems"] if "disk is full" in p], "a full disk")
        assert told[0].startswith("node 2: ")
        assert status(system)[0] == 1
        assert metric(system, 'castellan_cluster_disk_usable_bytes{node="2"}') < 1 << 20
        filler.unlink()
        wait_for(lambda: status(system)[0] == 0, "room")
    finally:
        system.close()


# ---- Memory after a storm ----

def resident_mib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) / 1024


def authenticate(connection, user, password):
    """SASL/PLAIN by hand."""
    for key, version, body in ((17, 1, wire.string("PLAIN")),
                               (36, 0, wire.bytes_(f"\0{user}\0{password}".encode()))):
        frame = struct.pack(">hhi", key, version, 1) + wire.string("storm") + body
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        answer = connection.recv(4096)
        assert struct.unpack_from(">h", answer, 8) == (0,), answer


def test_memory_goes_back_after_a_storm(system):
    gateway = next(p for p in system.pids()[1:] if b"gateway" in command_line(p))
    system.castellan("topic", "create", "big", "--partitions", "6")
    # what one connection of each kind needs is no storm
    system.kcat("admin", "-P", "-t", "big", stdin="x\n")
    before = resident_mib(gateway)
    context = ssl.create_default_context(cafile=system.ca)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with contextlib.ExitStack() as open_ones:
        for _ in range(400):
            raw = socket.create_connection(("localhost", system.base), timeout=30)
            connection = open_ones.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
            authenticate(connection, "admin", system.password("admin"))
        during = resident_mib(gateway)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert during > before + 4  # it was a storm
    for _ in range(2):
        system.kcat("admin", "-P", "-t", "big", "-X", "batch.size=4000000", "-X", "linger.ms=200",
                    stdin=("x" * 900 + "\n") * 60000, timeout=120)
        system.kcat("admin", "-C", "-t", "big", "-o", "beginning", "-e", "-q", timeout=120)
    allowed = before * 1.2 + 10
    wait_for(lambda: resident_mib(gateway) < allowed, lambda: f"{resident_mib(gateway)} MiB, not {allowed}", 60)
