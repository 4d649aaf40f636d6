# SPDX-License-Identifier: Apache-2.0
"""Clients from the registries of other languages, installed into the build folder once and again when their list changes:
a venv from PyPI, a program from Go modules, jars from Maven Central. What cannot be reached is skipped by name."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

UNREACHABLE = re.compile(r"NewConnectionError|ConnectTimeout|Read timed out|Temporary failure in name|Could not resolve host|"
                         r"No route to host|Network is unreachable|dial tcp|i/o timeout|Unknown host|Connection refused|"
                         r"Connect timed out|Connection timed out|Could not transfer artifact|status code: (403|5\d\d)|"
                         r"Service Unavailable|403 Forbidden")
INSTALL_SECONDS = 420


def installed(what, *needs, wanted, work):
    """The folder of the build tree in which work(folder) was done for the text wanted."""
    for program in needs:
        if not shutil.which(program):
            pytest.skip(f"{what}: {program} is not installed")
    folder = ROOT / "build" / "interop" / what
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".installed-for"
        if not stamp.exists() or stamp.read_text() != wanted:
            work(folder)
            stamp.write_text(wanted)
    return folder


def fetch(what, *command, cwd, **env):
    """One step of an install."""
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, text=True, timeout=INSTALL_SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what}: installing took more than {INSTALL_SECONDS} s")
    if done.returncode and UNREACHABLE.search(done.stdout):
        pytest.skip(f"{what}: its registry cannot be reached: " + done.stdout.strip()[-300:])
    assert done.returncode == 0, done.stdout[-4000:]


def venv_python(name):
    """The python of a venv with what python/NAME.txt lists."""
    list_ = HERE / "python" / f"{name}.txt"

    def work(folder):
        fetch(name, "/usr/bin/python3", "-m", "venv", "--clear", str(folder / "venv"), cwd=folder)
        fetch(name, str(folder / "venv/bin/pip"), "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:",
              "-r", str(list_), cwd=folder)

    return installed(name, "/usr/bin/python3", wanted=list_.read_text(), work=work) / "venv/bin/python"


def go_command():
    """The machine's own Go when it is new enough for go.mod, else PyPI's."""
    def version(text):
        return tuple(map(int, re.search(r"go ?(\d+)\.(\d+)", text).groups()))

    if shutil.which("go"):
        own = subprocess.run(["go", "version"], capture_output=True, text=True, env={**os.environ, "GOTOOLCHAIN": "local"})
        if version(own.stdout) >= version((HERE / "go" / "go.mod").read_text()):
            return "go"
    return str(venv_python("go").parent / "go")


def go_program():
    source, go = HERE / "go", go_command()

    def work(folder):
        for path in source.iterdir():
            shutil.copy(path, folder / path.name)
        fetch("franz-go", go, "build", "-o", "interop", ".", cwd=folder, GOFLAGS="-mod=readonly", GOTOOLCHAIN="local")

    wanted = "".join(p.read_text() for p in sorted(source.iterdir()))
    return installed("franz-go", wanted=wanted, work=work) / "interop"


def java_class_path(name):
    """The jars that java/NAME/pom.xml lists."""
    pom = HERE / "java" / name / "pom.xml"

    def work(folder):
        shutil.copy(pom, folder / "pom.xml")
        fetch(name, "mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}", cwd=folder)

    return str(installed(f"java-{name}", "mvn", "java", wanted=pom.read_text(), work=work) / "lib" / "*")


def run_steps(*command, timeout=150, **env):
    """A program that prints "ok NAME" for each step and "all steps passed" at the end."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all steps passed" in done.stdout, done.stdout + done.stderr
