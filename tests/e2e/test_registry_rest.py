# SPDX-License-Identifier: Apache-2.0
"""The registry's REST interface, step by step: registry_rest_steps.json holds requests, played in order against a fresh
registry, with the status, body and media type that Confluent's registry 8.1.5 gave (its rule set handler keeping rule
sets, as the enterprise edition's does). Times are masked; lists without an order are compared as sets. Only what is meant
to be the same is in the table: deliberate differences are in docs/registry.md.

The records written to the topic for those requests are compared as well, byte for byte, with those of the reference."""
import contextlib
import json
import os
import pathlib
import re

import pytest
from confluent_kafka import Consumer, TopicPartition

from conftest import Cluster
from registry import PROGRAM, Registry

HERE = pathlib.Path(__file__).parent
GROUPS = json.loads((HERE / "registry_rest_steps.json").read_text())
FRESH = [i for i, g in enumerate(GROUPS) if g.get("fresh")] + [len(GROUPS)]
SEQUENCES = [GROUPS[a:b] for a, b in zip([0] + FRESH, FRESH)]  # each for a registry of its own
V1 = "application/vnd.schemaregistry.v1+json"


class Player(Registry):
    """With one connection, for requests that http.client must not add headers to."""

    def wait_ready(self, *words):
        super().wait_ready(*words)
        self.connection = self.connect(timeout=20)
        return self

    def call(self, do, body=None, headers=None):
        method, path = do.split(" ", 1)
        c = self.connection
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        data = None if body is None else body.encode()
        c.putrequest(method, path, skip_accept_encoding=True)
        sent = {"Accept": V1, **({} if body is None else {"Content-Type": V1}), **(headers or {})}
        for name, value in sent.items():
            if value is not None:
                c.putheader(name, value)
        if data is not None or method in ("POST", "PUT"):
            c.putheader("Content-Length", str(len(data or b"")))
        c.endheaders(data)
        r = c.getresponse()
        return r.status, r.getheader("Content-Type"), r.read().decode(), r

    def stop(self, *words):
        self.connection.close()
        super().stop(*words)


def masked(text):
    return re.sub(r'"kafka-cluster":"[^"]*"', '"kafka-cluster":"K"', re.sub(r'"ts":\d+', '"ts":0', text))


def unordered(do, status, text):
    if status == 200 and re.search(r"/schemas/ids/[^/]*/(subjects|versions)", do):
        return json.dumps(sorted(json.loads(text), key=str), separators=(",", ":"))
    return text


def play(registry, groups):
    wrong = []
    for group in groups:
        for step in group["steps"]:
            status, kind, text, _ = registry.call(step["do"], step.get("body"), step.get("headers"))
            text = unordered(step["do"], status, masked(text))
            want = (step["status"], step["answer"], step.get("type", kind))
            if (status, text, kind) != want:
                wrong.append(f"{group['about']}: {step}\n  got {status} {kind} {text}")
    return wrong


@pytest.fixture
def memory(tmp_path):
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not built")
    with contextlib.ExitStack() as stack:
        yield lambda settings=None: stack.enter_context(Player(tmp_path, settings))


@pytest.mark.parametrize("groups", SEQUENCES, ids=lambda groups: groups[0]["about"])
def test_steps(memory, groups):
    wrong = play(memory({"castellan.registry.compat.version": "8.2"}), groups)
    assert not wrong, f"{len(wrong)} steps differ:\n" + "\n".join(wrong[:20])


def records_of(bootstrap):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-registry-rest", "enable.partition.eof": True})
    consumer.assign([TopicPartition("_schemas", 0, 0)])
    lines = []
    while True:
        m = consumer.poll(20)
        assert m is not None, "the topic could not be read to its end"
        if m.error():
            break
        value = "NULL" if m.value() is None else m.value().decode()
        lines.append(f"{m.key().decode()} => {value}")
    consumer.close()
    return lines


def test_topic(tmp_path):
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not built")
    cluster = Cluster(tmp_path, n=1)
    cluster.start()
    try:
        settings = {"kafkastore.topic.replication.factor": 1, "castellan.registry.compat.version": "8.2"}
        with Player(tmp_path, settings, cluster.bootstrap) as registry:
            wrong = play(registry, SEQUENCES[0])
        assert not wrong, "\n".join(wrong[:5])
        written = records_of(cluster.bootstrap)
    finally:
        cluster.stop()
    expected = (HERE / "registry_rest_topic.txt").read_text().splitlines()
    for i, (got, want) in enumerate(zip(written, expected)):
        assert got == want, f"record {i}"
    assert len(written) == len(expected)


A1 = '{"type":"record","name":"A","fields":[{"name":"a","type":"string"}]}'
A2 = '{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}'


@pytest.mark.parametrize("shape", ["7.9", "8.0", "8.1", "8.2"])
def test_shape(memory, shape):
    registry = memory({"castellan.registry.compat.version": shape})
    get = lambda do, body=None: json.loads(masked(registry.call(do, body)[2]))  # noqa: E731
    newer = shape != "7.9"
    registered = get("POST /subjects/s/versions", {"schema": A1})
    assert list(registered) == (["id", "version", "guid", "schemaType", "schema"] if newer else ["id"])
    version = get("GET /subjects/s/versions/1")
    assert list(version) == (
        ["subject", "version", "id", "guid", "schemaType", "schema", "ts", "deleted"]
        if newer
        else ["subject", "version", "id", "schema"]
    )
    by_id = get("GET /schemas/ids/1")
    assert list(by_id) == (
        ["subject", "version", "guid", "schemaType", "schema", "ts", "deleted"] if newer else ["schema"]
    )
    refused = get("POST /subjects/s/versions", {"schema": A2})
    assert refused["error_code"] == (40901 if shape == "8.2" else 409)
    config = get("PUT /config/s", {"compatibilityPolicy": "LENIENT", "compatibility": "NONE"})
    assert config == {"compatibility": "NONE", **({"compatibilityPolicy": "LENIENT"} if shape == "8.2" else {})}
    assert registry.call("GET /v1/metadata/deployment")[0] == (200 if shape in ("8.1", "8.2") else 404)
    assert ("id" in get("GET /v1/metadata/id")) == (not newer)
    bad = get("POST /subjects/s", {"schema": '"nope"'})
    assert bad["message"].startswith(
        "Invalid schema of type AVRO, details: Invalid schema {subject=s,version=null,id=null,guid="
        if newer
        else "Invalid schema {subject=s,version=0,id=-1,schemaType=AVRO,references=[],metadata=null"
    )


def test_options_name_the_methods(memory):
    registry = memory()
    for path, methods in {
        "/subjects": {"GET", "HEAD", "OPTIONS"},
        "/config/x": {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"},
        "/subjects/x": {"POST", "DELETE", "OPTIONS"},
    }.items():
        status, _, text, answer = registry.call(f"OPTIONS {path}")
        assert (status, text) == (200, "")
        assert set(answer.getheader("Allow").split(", ")) == methods
    assert registry.call("OPTIONS /nowhere")[0] == 404
