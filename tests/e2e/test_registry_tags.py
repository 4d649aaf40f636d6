# SPDX-License-Identifier: Apache-2.0
"""Tags inside schemas, and associations, over HTTP: requests played in order against one fresh registry, with the answers
that Confluent's registry gave to them (8.1.5 for tags, 8.2.3 for associations). Ids, times and associations' guids are
masked. Only what is meant to be the same is in the tables."""
import json
import pathlib
import re

import pytest
from test_registry_rest import memory  # noqa: F401

HERE = pathlib.Path(__file__).parent
STRING = {"schema": '"string"'}


@pytest.fixture
def start(memory):  # noqa: F811
    return lambda version: memory({"castellan.registry.compat.version": version})


def masked(text, guids):
    text = re.sub(r'"(ts|createTs|updateTs|id)":-?\d+', r'"\1":0', text)
    return re.sub(r'"guid":"[^"]*"', '"guid":"G"', text) if guids else text


def call(registry, do, body=None):
    status, _, text, _ = registry.call(do, body)
    return status, text


def play(registry, steps, guids):
    wrong = []
    for step in steps:
        status, text = call(registry, step["do"], step.get("body"))
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
    call(r, "POST /subjects/s/versions", STRING)
    tags = "POST /subjects/s/versions/latest/tags"

    def rules(*names):
        return {"domainRules": [{"name": n, "mode": "WRITE", "type": "t"} for n in names]}

    def names():
        schema = json.loads(call(r, "GET /subjects/s/versions/latest")[1])
        return [x["name"] for x in schema.get("ruleSet", {}).get("domainRules", [])], schema["version"]

    assert call(r, tags, {"rulesToMerge": rules("a", "b")})[0] == 200
    assert names() == (["a", "b"], 2)
    assert call(r, tags, {"rulesToMerge": rules("c"), "rulesToRemove": ["a"]})[0] == 200
    assert names() == (["b", "c"], 3)
    assert call(r, tags, {"rulesToRemove": ["b", "c"]})[0] == 200
    assert names() == ([], 4)
    status, text = call(r, tags, {"rulesToRemove": ["b"], "ruleSet": rules("x")})
    assert (status, json.loads(text)["error_code"]) == (422, 42210)
    status, text = call(r, tags, {"rulesToMerge": rules("1x")})
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
        assert call(r, do, None if do.startswith("GET") else {})[0] == 404, do
