# SPDX-License-Identifier: Apache-2.0
"""The snippets of README.md and docs/clients.md, run as they stand there; only the ports are the test's own."""
import os
import re
import subprocess

import pytest

from tools import ROOT, venv_python
from npm import npm_folder


@pytest.fixture(scope="module")
def beside(castellan, tmp_path_factory):
    """A folder as the reader has it: castellan-data in it, and the topic the text makes."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "castellan-data").symlink_to(castellan.data)
    words = re.findall(r"^    build/castellan (topic create books .*)$", (ROOT / "README.md").read_text(), re.M)
    castellan.castellan(*words[0].split())
    return folder


def snippets(path, language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / path).read_text(), re.M | re.S)
    assert found
    return found


def run(castellan, folder, text, name, *command, **env):
    text = text.replace("localhost:8081", f"localhost:{castellan.base + 200}").replace("localhost:9093", castellan.bootstrap)
    (folder / name).write_text(text)
    done = subprocess.run([*map(str, command), name], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python(request):
    python = venv_python("confluent")
    castellan, beside = request.getfixturevalue("castellan"), request.getfixturevalue("beside")
    for text in snippets("README.md", "python"):
        assert run(castellan, beside, text, "books.py", python) == "0 records not delivered\n"
    assert "Der Process" in castellan.kcat("admin", "-C", "-t", "books", "-e", "-o", "beginning").stdout


def test_javascript(request):
    modules = npm_folder(ROOT / "tests" / "e2e" / "serializers") / "node_modules"
    castellan, beside = request.getfixturevalue("castellan"), request.getfixturevalue("beside")
    (beside / "node_modules").symlink_to(modules)
    outputs = [run(castellan, beside, text, "books.js", "node") for text in snippets("docs/clients.md", "js")]
    assert "Die Verwandlung" in outputs[0] and outputs[1] == "Amerika\n"
    assert "Die Verwandlung" in castellan.kcat("admin", "-C", "-t", "books", "-e", "-o", "beginning").stdout
