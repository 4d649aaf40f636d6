# SPDX-License-Identifier: Apache-2.0
"""`castellan registry` processes of tests and benchmarks, with their ledger in memory or over a cluster, and a client
that tells an answer from silence."""
import atexit
import http.client
import json
import os
import pathlib
import select
import signal
import ssl
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("CASTELLAN", str(ROOT / "build" / "castellan"))
START_SECONDS = 30


class NoAnswer(Exception):
    """The connection broke or nothing came back: what was asked may or may not have happened."""


running = set()  # processes; a test that fails may leave some behind


@atexit.register
def end_what_runs():
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


class Registry:
    """One instance, on ports of its own that change with every start. `settings`, by their names, override the
    defaults; None leaves one out. Its files are `folder`/`name`.*; without `bootstrap` the ledger is in memory. As a
    context it starts, and has to stop cleanly."""

    def __init__(self, folder, settings=None, bootstrap=None, name="registry", cpu=None, program=PROGRAM):
        self.folder, self.name = pathlib.Path(folder), name
        self.command = [*(["taskset", "-c", str(cpu)] if cpu is not None else []), str(program), "registry"]
        self.timeout = 40 if bootstrap else 20  # of a request, in seconds
        self.process = self.ready_fd = self.ready_after = None
        self.addresses = []  # URLs, one a listener
        self.settings = {
            "listeners": "http://127.0.0.1:0",
            **({"kafkastore.bootstrap.servers": bootstrap} if bootstrap else {"castellan.ledger": "memory"}),
            "castellan.registry.authentication": "none",
            "castellan.registry.address.file": self.path("addresses"),
            **(settings or {}),
        }

    def path(self, kind):
        return self.folder / f"{self.name}.{kind}"

    def launch(self):
        """Starts the process; does not wait for it."""
        config = self.path("properties")
        config.write_text("".join(f"{k}={v}\n" for k, v in self.settings.items() if v is not None))
        self.ready_fd, write_end = os.pipe()
        self.launched = time.monotonic()
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "-c", str(config)], stderr=log, stdout=log, pass_fds=[write_end],
                env={**os.environ, "CASTELLAN_READY_FD": str(write_end)})
            running.add(self.process)
        os.close(write_end)
        return self

    def wait_ready(self, seconds=START_SECONDS):
        """RuntimeError with the log when it is not ready by then, or ended; it is gone then."""
        ready, _, _ = select.select([self.ready_fd], [], [], seconds)
        line = os.read(self.ready_fd, 16) if ready else b""  # ends when the process does
        self.ready_after = time.monotonic() - self.launched
        if not line.startswith(b"READY"):
            if ready:
                self.wait()
            else:
                self.kill()
            raise RuntimeError(f"registry {self.name} is not ready:\n{self.log()}")
        self.close_ready()
        self.addresses = self.path("addresses").read_text().split()
        return self

    def start(self):
        return self.launch().wait_ready()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def close_ready(self):
        if self.ready_fd is not None:
            os.close(self.ready_fd)
            self.ready_fd = None

    def wait(self, seconds=20):
        """For the end of the process; its exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"registry {self.name} does not end:\n{self.log()}") from None
        self.close_ready()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.close_ready()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=20):
        self.terminate()
        status = self.wait(seconds)
        assert status == 0, f"registry {self.name} ended with {status}:\n{self.log()}"

    def close(self):
        """Stops it if it runs."""
        if self.process and self.process.poll() is None:
            self.stop()

    def log(self):
        path = self.path("log")
        return path.read_text(errors="replace") if path.exists() else ""

    def memory_mib(self, name):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        raise KeyError(name)

    def rss_mib(self):
        return self.memory_mib("VmRSS")

    def peak_mib(self):
        return self.memory_mib("VmHWM")

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def url(self):
        return self.addresses[0]

    @property
    def address(self):
        """(host, port)"""
        url = urllib.parse.urlsplit(self.url)
        return url.hostname, url.port

    def connect(self, tls=None, timeout=None):
        """A connection of http.client; `tls` is the ssl.SSLContext for https."""
        more = {"context": tls} if self.url.startswith("https:") else {}
        kind = http.client.HTTPSConnection if more else http.client.HTTPConnection
        return kind(*self.address, timeout=timeout or self.timeout, **more)

    def exchange(self, method, path, body=None, headers=None, tls=None, timeout=None):
        """(status, headers, JSON). NoAnswer when the instance went away meanwhile, ssl.SSLError when TLS failed."""
        connection = self.connect(tls, timeout)
        given = {"Content-Type": "application/vnd.schemaregistry.v1+json", **(headers or {})}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            text = answer.read()
        except ssl.SSLError:
            raise
        except (OSError, http.client.HTTPException) as e:
            raise NoAnswer(f"{method} {path}: {e!r}") from None
        finally:
            connection.close()
        is_json = text[:1] in (b"{", b"[") or text.strip().isdigit()
        return answer.status, answer.headers, json.loads(text) if is_json else text.decode()

    def ask(self, *request, **more):
        """(status, JSON) of an exchange."""
        status, _, answer = self.exchange(*request, **more)
        return status, answer

    def must(self, *request, wanted=(200, 204), **more):
        status, answer = self.ask(*request, **more)
        assert status in wanted, f"{' '.join(request[:2])} at {self.name}: {status} {answer}"
        return answer

    def get(self, path):
        return self.must("GET", path, wanted=(200,))


def quoted(subject):
    return urllib.parse.quote(subject, safe="")


def avro(name, fields=("a",)):
    """The text of a record schema in the form the registry keeps."""
    return json.dumps({"type": "record", "name": name, "fields": [{"name": f, "type": "string"} for f in fields]},
                      separators=(",", ":"))
