# SPDX-License-Identifier: Apache-2.0
"""Tags inside schemas, and associations, over HTTP: requests played in order against one fresh registry, with the answers
that Confluent's registry gave to them (8.1.5 for tags, 8.2.3 for associations). Ids, times and associations' guids are
masked. Only what is meant to be the same is in the tables."""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.parse

import pytest

HERE = pathlib.Path(__file__).parent
PROGRAM = os.environ.get("CASTELLAN", str(HERE.parents[1] / "build" / "castellan"))
TYPE = "application/vnd.schemaregistry.v1+json"
STRING = {"schema": '"string"'}


class Registry:
    def __init__(self, folder, version):
        addresses = folder / "addresses"
        config = folder / "registry.properties"
        config.write_text(
            "listeners=http://127.0.0.1:0\n"
            "castellan.ledger=memory\n"
            "castellan.registry.authentication=none\n"
            f"castellan.registry.compat.version={version}\n"
            f"castellan.registry.address.file={addresses}\n"
        )
        read_end, write_end = os.pipe()
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "registry", "-c", str(config)],
                stderr=log,
                pass_fds=[write_end],
                env={**os.environ, "CASTELLAN_READY_FD": str(write_end)},
            )
        os.close(write_end)
        ready = os.read(read_end, 16)  # ends when the process does
        os.close(read_end)
        assert ready.startswith(b"READY"), (folder / "log").read_text()
        address = urllib.parse.urlsplit(addresses.read_text().split()[0])
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)

    def call(self, do, body=None):
        method, target = do.split(" ", 1)
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        self.connection.request(method, target, body, {"Content-Type": TYPE})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(timeout=20) == 0
        finally:
            self.process.kill()


@pytest.fixture
def start(tmp_path):
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not built")
    started = []

    def one(version):
        started.append(Registry(tmp_path, version))
        return started[-1]

    yield one
    for r in started:
        r.stop()


def masked(text, guids):
    text = re.sub(r'"(ts|createTs|updateTs|id)":-?\d+', r'"\1":0', text)
    return re.sub(r'"guid":"[^"]*"', '"guid":"G"', text) if guids else text


def play(registry, steps, guids):
    wrong = []
    for step in steps:
        status, text = registry.call(step["do"], step.get("body"))
        if (status, masked(text, guids)) != (step["status"], step["answer"]):
            wrong.append(f"{step}\n  got {status} {text}")
    assert not wrong, f"{len(wrong)} of {len(steps)} steps differ:\n" + "\n".join(wrong[:10])


def test_tags(start):
    play(start("8.1"), json.loads((HERE / "registry_tags_steps.json").read_text()), False)


def test_associations(start):
    play(start("8.2"), json.loads((HERE / "registry_associations_steps.json").read_text()), True)


def test_rules_change_with_tags(start):
    """The reference's own distribution does not keep rule sets; these are its code's words and merging."""
    r = start("8.1")
    r.call("POST /subjects/s/versions", STRING)
    tags = "POST /subjects/s/versions/latest/tags"

    def rules(*names):
        return {"domainRules": [{"name": n, "mode": "WRITE", "type": "t"} for n in names]}

    def names():
        schema = json.loads(r.call("GET /subjects/s/versions/latest")[1])
        return [x["name"] for x in schema.get("ruleSet", {}).get("domainRules", [])], schema["version"]

    assert r.call(tags, {"rulesToMerge": rules("a", "b")})[0] == 200
    assert names() == (["a", "b"], 2)
    assert r.call(tags, {"rulesToMerge": rules("c"), "rulesToRemove": ["a"]})[0] == 200
    assert names() == (["b", "c"], 3)
    assert r.call(tags, {"rulesToRemove": ["b", "c"]})[0] == 200
    assert names() == ([], 4)
    status, text = r.call(tags, {"rulesToRemove": ["b"], "ruleSet": rules("x")})
    assert (status, json.loads(text)["error_code"]) == (422, 42210)
    status, text = r.call(tags, {"rulesToMerge": rules("1x")})
    assert (status, json.loads(text)["message"]) == (422, "Illegal initial character in rule name: 1x")
    assert names() == ([], 4)


def test_associations_are_not_there_before_8_2(start):
    r = start("8.1")
    for do in (
        "GET /associations/resources/a",
        "GET /associations/resources/a/b",
        "GET /associations/subjects/a",
        "POST /associations",
        "PUT /associations/resources/a",
        "DELETE /associations/resources/a",
        "POST /associations:batchGet",
        "POST /associations:batchMutate",
    ):
        assert r.call(do, None if do.startswith("GET") else {})[0] == 404, do
