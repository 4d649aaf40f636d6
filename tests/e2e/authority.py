# SPDX-License-Identifier: Apache-2.0
"""The certificates of tests, made with openssl, and the headers of those who authenticate without one."""
import base64
import pathlib
import ssl
import subprocess


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
