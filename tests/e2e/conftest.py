# SPDX-License-Identifier: Apache-2.0
"""A cluster of three bundled brokers on loopback, for the tests of this folder: plain connections, free ports, a folder
of its own. CASTELLAN names the program; without it the build's is taken."""
import ctypes
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("CASTELLAN", str(ROOT / "build" / "castellan"))
START_SECONDS = 30
STOP_SECONDS = 20

# confluent-kafka 1.7 gives away references to None; Python aborts when the last one is gone.
ctypes.c_ssize_t.from_address(id(None)).value += 1 << 30


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """Brokers 1..n; each may be stopped, killed and started again."""

    def __init__(self, folder, n=3, **settings):
        self.folder = pathlib.Path(folder)
        self.ids = list(range(1, n + 1))
        self.ports = dict(zip(self.ids, free_ports(n)))
        self.processes = {}
        voters = ",".join(f"{i}@127.0.0.1:{p}" for i, p in self.ports.items())
        for i, port in self.ports.items():
            lines = {
                "process.roles": "broker,controller",
                "node.id": i,
                "cluster.id": "e2e-cluster",
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{port}",
                "log.dirs": self.folder / f"log{i}",
                "offsets.topic.num.partitions": 6,
                "transaction.state.log.num.partitions": 6,
                "group.initial.rebalance.delay.ms": 0,
                "group.min.session.timeout.ms": 1000,
                **settings,
            }
            text = "".join(f"{k}={v}\n" for k, v in lines.items())
            (self.folder / f"broker{i}.properties").write_text(text)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{p}" for p in self.ports.values())

    def start(self, *ids):
        waiting = {}
        for i in ids or self.ids:
            read_end, write_end = os.pipe()
            with open(self.folder / f"broker{i}.log", "ab") as log:
                self.processes[i] = subprocess.Popen(
                    [PROGRAM, "broker", "-c", str(self.folder / f"broker{i}.properties")],
                    stderr=log,
                    stdout=log,
                    pass_fds=[write_end],
                    env={**os.environ, "CASTELLAN_READY_FD": str(write_end)},
                )
            os.close(write_end)
            waiting[read_end] = i
        deadline = time.monotonic() + START_SECONDS
        for fd, i in waiting.items():
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            line = os.read(fd, 16) if ready else b""
            os.close(fd)
            assert line.startswith(b"READY"), f"broker {i} is not ready:\n{self.log(i)}"

    def stop(self, *ids):
        """As a supervisor does; the exit status must be 0."""
        stopping = {i: self.processes.pop(i) for i in ids or self.ids if i in self.processes}
        for p in stopping.values():
            p.send_signal(signal.SIGTERM)
        for i, p in stopping.items():
            try:
                status = p.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
                raise AssertionError(f"broker {i} does not stop:\n{self.log(i)}") from None
            assert status == 0, f"broker {i} ended with {status}:\n{self.log(i)}"

    def kill(self, *ids):
        for i in ids or self.ids:
            p = self.processes.pop(i, None)
            if p:
                p.kill()
                p.wait()

    def log(self, i):
        return (self.folder / f"broker{i}.log").read_text(errors="replace")[-4000:]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Shared by all tests: give topics and groups names of your own; leave all brokers running."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not built")
    c = Cluster(tmp_path_factory.mktemp("cluster"))
    c.start()
    yield c
    c.stop()


@pytest.fixture
def own_cluster(tmp_path):
    """For tests that kill brokers."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not built")
    c = Cluster(tmp_path)
    c.start()
    yield c
    c.stop()


@pytest.fixture
def small_disk(request, tmp_path):
    """The log folder of a node (the parameter) of a System in tmp_path, on a file system of its own, which can be filled."""
    folder = tmp_path / "data" / f"broker-{request.param}" / "log"
    folder.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
