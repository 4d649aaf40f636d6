# SPDX-License-Identifier: Apache-2.0
"""`castellan registry` with its ledger in memory, for tests that need no cluster."""
import contextlib
import os
import pathlib
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("CASTELLAN", str(ROOT / "build" / "castellan"))


class Registry:
    def __init__(self, process, url, log):
        self.process, self.url, self.log = process, url, log
        host, port = url.split("//")[1].rsplit(":", 1)
        self.address = host, int(port)

    def _status(self, name):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        raise KeyError(name)

    def rss_mib(self):
        return self._status("VmRSS")

    def peak_mib(self):
        return self._status("VmHWM")

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@contextlib.contextmanager
def running(folder, **settings):
    """Starts one in `folder`, ready; at the end it has to stop cleanly. Settings have '_' for '.', None leaves one out."""
    addresses, config, log = folder / "addresses", folder / "registry.properties", folder / "log"
    words = {
        "listeners": "http://127.0.0.1:0",
        "castellan.ledger": "memory",
        "castellan.registry.authentication": "none",
        "castellan.registry.address.file": addresses,
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
    config.write_text("".join(f"{name}={value}\n" for name, value in words.items() if value is not None))
    read_end, write_end = os.pipe()
    with open(log, "w") as out:
        process = subprocess.Popen(
            [PROGRAM, "registry", "-c", str(config)],
            stderr=out,
            pass_fds=[write_end],
            env={**os.environ, "CASTELLAN_READY_FD": str(write_end)},
        )
    os.close(write_end)
    ready = os.read(read_end, 16)  # ends when the process does
    os.close(read_end)
    try:
        assert ready.startswith(b"READY"), log.read_text()
        yield Registry(process, addresses.read_text().split()[0], log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
