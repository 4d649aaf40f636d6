# SPDX-License-Identifier: Apache-2.0
"""`castellan registry` with its ledger in memory, and the certificates and tokens of tests, made with openssl and
PyJWT."""
import base64
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("CASTELLAN", str(ROOT / "build" / "castellan"))


class Registry:
    """Settings override the defaults; None leaves one out."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.settings = {
            "listeners": "http://127.0.0.1:0",
            "castellan.ledger": "memory",
            "castellan.registry.address.file": self.folder / "addresses",
            **settings,
        }
        self.process = None

    def start(self):
        config = self.folder / "registry.properties"
        config.write_text("".join(f"{k}={v}\n" for k, v in self.settings.items() if v is not None))
        read_end, write_end = os.pipe()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "registry", "-c", str(config)],
                stderr=log,
                pass_fds=[write_end],
                env={**os.environ, "CASTELLAN_READY_FD": str(write_end)},
            )
        os.close(write_end)
        ready = os.read(read_end, 16)  # ends when the process does
        os.close(read_end)
        if not ready.startswith(b"READY"):
            self.status = self.process.wait(20)
            raise RuntimeError(self.log())
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(20) == 0, self.log()
        finally:
            self.process.kill()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    @property
    def addresses(self):
        return (self.folder / "addresses").read_text().split()

    def ask(self, method, path, body=None, headers=None, tls=None, address=0):
        """(status, headers, JSON); `tls` is an ssl.SSLContext."""
        scheme, host, port = re.match(r"(\w+)://(.*):(\d+)", self.addresses[address]).groups()
        if scheme == "https":
            c = http.client.HTTPSConnection(host, int(port), timeout=20, context=tls)
        else:
            c = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            given = {"Content-Type": "application/json", **(headers or {})}
            c.request(method, path, None if body is None else json.dumps(body), given)
            r = c.getresponse()
            raw = r.read()
            return r.status, r.headers, json.loads(raw) if raw[:1] in b"{[" else raw.decode()
        finally:
            c.close()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


class Authority:
    """A certificate authority of openssl's making."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.name = name
        self.ca = self.folder / f"{name}.pem"
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name, subject, usage="clientAuth", expired=False, alt=None):
        """NAME.pem with key and chain; its path."""
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                 "-keyout", f"{name}.key", "-out", f"{name}.csr")
        ext = "basicConstraints=CA:FALSE\n" + (f"extendedKeyUsage={usage}\n" if usage else "")
        ext += f"subjectAltName={alt}\n" if alt else ""
        (self.folder / f"{name}.ext").write_text(ext)
        # -days -1 ends yesterday
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key",
                 "-CAcreateserial", "-days", "-1" if expired else "10", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
        path = self.folder / f"{name}.pem"
        path.write_text((self.folder / f"{name}.key").read_text() + (self.folder / f"{name}.crt").read_text())
        return path

    def context(self, certificate=None, version=None):
        c = ssl.create_default_context(cafile=str(self.ca))
        if certificate:
            c.load_cert_chain(str(certificate))
        if version:
            if version < ssl.TLSVersion.TLSv1_2:
                c.set_ciphers("ALL:@SECLEVEL=0")  # or this side would not even try
            c.minimum_version = c.maximum_version = version
        return c
