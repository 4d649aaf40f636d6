# SPDX-License-Identifier: Apache-2.0
"""`castellan registry` processes over a cluster of the tests, and a client that tells an answer from silence."""
import http.client
import json
import os
import pathlib
import select
import signal
import subprocess
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("CASTELLAN", str(ROOT / "build" / "castellan"))
START_SECONDS = 30


class NoAnswer(Exception):
    """The connection broke or nothing came back: what was asked may or may not have happened."""


class Registry:
    """One instance, on a port of its own that changes with every start."""

    def __init__(self, folder, name, bootstrap, **settings):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.process = None
        self.address = None
        self.lines = {
            "listeners": "http://127.0.0.1:0",
            "kafkastore.bootstrap.servers": bootstrap,
            "castellan.registry.authentication": "none",
            "castellan.registry.address.file": self.folder / f"{name}.address",
            **{k.replace("__", "."): v for k, v in settings.items()},
        }

    def launch(self):
        """Starts the process; does not wait for it."""
        config = self.folder / f"{self.name}.properties"
        config.write_text("".join(f"{k}={v}\n" for k, v in self.lines.items()))
        self.ready_fd, write_end = os.pipe()
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "registry", "-c", str(config)], stderr=log, stdout=log, pass_fds=[write_end],
                env={**os.environ, "CASTELLAN_READY_FD": str(write_end)})
        os.close(write_end)
        return self

    def wait_ready(self, seconds=START_SECONDS):
        ready, _, _ = select.select([self.ready_fd], [], [], seconds)
        line = os.read(self.ready_fd, 16) if ready else b""
        os.close(self.ready_fd)
        assert line.startswith(b"READY"), f"registry {self.name} is not ready:\n{self.log()}"
        address = (self.folder / f"{self.name}.address").read_text().split()[0]
        self.address = urllib.parse.urlsplit(address).netloc
        return self

    def start(self):
        return self.launch().wait_ready()

    @property
    def url(self):
        return f"http://{self.address}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"registry {self.name} does not stop:\n{self.log()}") from None
        assert status == 0, f"registry {self.name} ended with {status}:\n{self.log()}"

    def close(self):
        if self.process and self.process.poll() is None:
            self.stop()

    def log(self):
        path = self.folder / f"{self.name}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def ask(self, method, path, body=None, timeout=40):
        """(status, JSON). NoAnswer when the instance went away meanwhile."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/vnd.schemaregistry.v1+json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as e:
            raise NoAnswer(f"{method} {path}: {e!r}") from None
        finally:
            connection.close()
        return answer.status, json.loads(text) if text[:1] in b"{[" or text.strip().isdigit() else text.decode()

    def get(self, path):
        status, answer = self.ask("GET", path)
        assert status == 200, f"GET {path} at {self.name}: {status} {answer}"
        return answer

    def must(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status in (200, 204), f"{method} {path} at {self.name}: {status} {answer}"
        return answer


def quoted(subject):
    return urllib.parse.quote(subject, safe="")


def avro(name, fields=("a",)):
    """The text of a record schema in the form the registry keeps."""
    return json.dumps({"type": "record", "name": name, "fields": [{"name": f, "type": "string"} for f in fields]},
                      separators=(",", ":"))
