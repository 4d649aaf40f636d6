# SPDX-License-Identifier: Apache-2.0
"""Node programs with packages from the npm registry, for tests: a folder with its package.json and scripts is installed
once into the build folder, and again when package.json changes. Without npm or the registry the test is skipped by name."""
import fcntl
import pathlib
import re
import shutil
import subprocess

import pytest

from system import ROOT

UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|"
                         r"network|code E(403|429|5\d\d)", re.I)
INSTALL = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]


def npm_folder(source: pathlib.Path) -> pathlib.Path:
    """source's files beside its installed packages."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node are not installed")
    folder = ROOT / "build" / f"e2e-{source.name}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of ctest may want the same folder
        for path in source.iterdir():
            shutil.copy(path, folder / path.name)
        wanted, stamp = (source / "package.json").read_text(), folder / "node_modules" / ".installed-for"
        if not stamp.exists() or stamp.read_text() != wanted:
            done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=400)
            if done.returncode and UNREACHABLE.search(done.stderr):
                pytest.skip("the npm registry cannot be reached: " + done.stderr.strip()[-200:])
            assert done.returncode == 0, done.stderr
            stamp.write_text(wanted)
    return folder


def run_node(folder: pathlib.Path, *words: str, timeout: int = 120) -> None:
    """A script that prints "ok NAME" for each of its steps and "all steps passed" at the end."""
    done = subprocess.run(["node", *words], cwd=folder, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all steps passed" in done.stdout, done.stdout + done.stderr
