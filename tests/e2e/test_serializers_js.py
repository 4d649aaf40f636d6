# SPDX-License-Identifier: Apache-2.0
"""The serializers that JavaScript users have, through gateway (TLS, SASL) and registry (HTTPS, Basic):
@kafkajs/confluent-schema-registry and @confluentinc/schemaregistry, at the versions package.json names."""
import json
import pathlib

import pytest

from npm import npm_folder, run_node
from system import System

HERE = pathlib.Path(__file__).resolve().parent / "serializers"


@pytest.fixture(scope="module")
def folder():
    return npm_folder(HERE)


@pytest.fixture(scope="module")
def where(folder):
    """What the scripts are told: addresses and users. alice may read and write, bob may only read."""
    castellan = System()
    try:
        castellan.start()
        for kind in ("--topic", "--subject", "--group"):
            operations = {"--topic": "READ,WRITE,DESCRIBE", "--subject": "READ,WRITE", "--group": "READ"}[kind]
            castellan.castellan("acl", "add", "--allow", "User:alice", "--operation", operations, kind, "js-",
                                "--prefixed")
            castellan.castellan("acl", "add", "--allow", "User:bob", "--operation", "READ", kind, "js-", "--prefixed")
        yield json.dumps({"broker": castellan.bootstrap, "registry": f"https://localhost:{castellan.base + 200}",
                          "ca": castellan.ca, "passwords": {u: castellan.password(u) for u in ("admin", "alice", "bob")}})
    finally:
        castellan.close()


def test_kafkajs_confluent_schema_registry(folder, where):
    run_node(folder, "run_kafkajs.js", where)


def test_confluentinc_schemaregistry(folder, where):
    run_node(folder, "run_confluentinc.js", where)
