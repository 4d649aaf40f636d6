# SPDX-License-Identifier: Apache-2.0
"""A Castellan for clients of other languages. alice may read and write what begins with "it-", bob may only read it."""
import json

import pytest

from tools import ROOT  # noqa: F401  puts tests/e2e on the path
from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    for kind, operations in (("--topic", "READ,WRITE,DESCRIBE"), ("--subject", "READ,WRITE"), ("--group", "READ")):
        system.castellan("acl", "add", "--allow", "User:alice", "--operation", operations, kind, "it-", "--prefixed")
        system.castellan("acl", "add", "--allow", "User:bob", "--operation", "READ", kind, "it-", "--prefixed")
    yield system
    system.close()


@pytest.fixture(scope="module")
def where(castellan):
    """Addresses and users as the JSON text that the programs take."""
    return json.dumps({"broker": castellan.bootstrap, "registry": f"https://localhost:{castellan.base + 200}",
                       "ca": castellan.ca, "passwords": {u: castellan.password(u) for u in ("admin", "alice", "bob")}})
