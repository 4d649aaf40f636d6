# SPDX-License-Identifier: Apache-2.0
"""What an operator meets: a closing terminal, a crash, a start right after it."""
import os
import pathlib
import signal
import time

import pytest

from system import System


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


@pytest.fixture
def system():
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
