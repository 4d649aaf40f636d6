# SPDX-License-Identifier: Apache-2.0
"""A whole Castellan for tests: `castellan up` in a temporary folder on free ports, and the clients people use."""
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASTELLAN = pathlib.Path(os.environ.get("CASTELLAN_BINARY", ROOT / "build" / "castellan"))
SPAN = 500  # ports from the base on that `up` may use


reserved = []  # lock files held open for the life of this process


def free_port_base():
    """A base whose ports are free, and stay this process's own: slots below the ephemeral range, each behind a lock."""
    slots = list(range(21000, 32000, SPAN))
    start = os.getpid() % len(slots)
    for base in slots[start:] + slots[:start]:
        lock = open(os.path.join(tempfile.gettempdir(), f"castellan-test-ports-{os.getuid()}-{base}"), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if all(is_free(base + n) for n in (0, 1, 2, 3, 100, 101, 102, 103, 200, 300, 400, 401, 402)):
            reserved.append(lock)
            return base
        lock.close()
    raise RuntimeError("no free ports")


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def fill(disk):
    """Writes until there is no room; returns the file, whose deletion makes room again."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"\0" * 65536)
    return filler


class System:
    def __init__(self, folder=None, base=None, demo_users=True, brokers=3):
        self.temp = None if folder else tempfile.TemporaryDirectory(prefix="castellan-test-")
        self.data = pathlib.Path(folder or self.temp.name) / "data"
        self.base = base or free_port_base()
        self.demo_users, self.brokers = demo_users, brokers
        self.process = None

    # ---- life ----
    def start(self, timeout=30):
        words = [str(CASTELLAN), "up", "--data", str(self.data), "--port-base", str(self.base),
                 "--brokers", str(self.brokers)]
        if self.demo_users:
            words.append("--demo-users")
        started = time.monotonic()
        self.log = open(self.data.parent / "up.log", "ab")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        text = b""
        while time.monotonic() - started < timeout:
            chunk = self.process.stdout.read() or b""
            text += chunk
            if b"castellan is up" in text:
                self.ready_after = time.monotonic() - started
                return self
            if self.process.poll() is not None:
                raise RuntimeError("castellan up ended:\n" + text.decode() + self.logs())
            time.sleep(0.02)
        raise RuntimeError("castellan up was not ready in time:\n" + self.logs())

    def logs(self):
        out = []
        for path in sorted(self.data.glob("logs/*.log")) + [self.data.parent / "up.log"]:
            if path.exists():
                out.append(f"--- {path.name}\n" + "".join(path.read_text(errors="replace").splitlines(True)[-15:]))
        return "\n".join(out)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode if self.process else 0

    def pids(self):
        """The supervisor and its roles."""
        me = self.process.pid
        children = pathlib.Path(f"/proc/{me}/task/{me}/children").read_text().split()
        return [me] + [int(c) for c in children]

    def kill(self):
        """kill -9 of every process."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pid in pids[1:]:
            while os.path.exists(f"/proc/{pid}") and not is_zombie(pid):
                time.sleep(0.01)

    def close(self):
        try:
            self.stop()
        finally:
            if self.temp:
                self.temp.cleanup()

    def resident_mib(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        return total / 1024

    # ---- where things are ----
    @property
    def bootstrap(self):
        return f"localhost:{self.base}"

    @property
    def ca(self):
        return str(self.data / "ca.pem")

    def conf(self, user):
        return str(self.data / "clients" / f"{user}.conf")

    def password(self, user):
        return self.client_config(user)["sasl.password"]

    def client_config(self, user, **more):
        config = {}
        for line in open(self.conf(user)):
            line = line.strip()
            if line and not line.startswith("#"):
                key, value = line.split("=", 1)
                config[key] = value
        config["bootstrap.servers"] = self.bootstrap
        config.update(more)
        return config

    # ---- clients ----
    def kcat(self, user, *words, stdin=None, timeout=30):
        return subprocess.run(["kcat", "-F", self.conf(user), "-b", self.bootstrap, *words], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, text=True)

    def castellan(self, *words, check=True, stdin=None):
        done = subprocess.run([str(CASTELLAN), *words, "--config", str(self.data / "clients" / "admin.properties")],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, text=True,
                              cwd=self.data)
        if check and done.returncode != 0:
            raise AssertionError(f"castellan {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def http(self, method, port_offset, path, user=None, body=None, headers=None):
        context = ssl.create_default_context(cafile=self.ca)
        request = urllib.request.Request(f"https://localhost:{self.base + port_offset}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/vnd.schemaregistry.v1+json" if port_offset == 200
                           else "application/json")
        for key, value in (headers or {}).items():
            request.add_header(key, value)
        if user:
            token = base64.b64encode(f"{user}:{self.password(user)}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
        except urllib.error.HTTPError as e:
            text = e.read().decode()
            return e.code, json.loads(text) if text.startswith(("{", "[")) else text

    def registry(self, method, path, user="admin", body=None):
        return self.http(method, 200, path, user, body)

    def admin(self, method, path, user="admin", body=None):
        return self.http(method, 300, path, user, body)


def is_zombie(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
