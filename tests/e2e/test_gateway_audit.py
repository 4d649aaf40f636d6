# SPDX-License-Identifier: Apache-2.0
"""What the gateway tells the audit: logins that failed, and changes of rules, users, limits and policies."""
import json
import time

import pytest
from confluent_kafka.admin import AdminClient

from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System().start()
    yield system
    system.close()


def records(system, *words):
    found = json.loads(system.castellan("audit", "list", "--role", "gateway", "--json", *words).stdout)
    return [tuple(r.get(n) for n in ("principal", "operation", "resourceType", "resource", "detail", "outcome"))
            for r in found]


def test_changes(castellan):
    castellan.castellan("acl", "add", "--allow", "User:bob", "--operation", "READ", "--topic", "orders")
    castellan.castellan("acl", "remove", "--allow", "User:bob", "--operation", "READ", "--topic", "orders")
    castellan.castellan("user", "add", "carol", "--password-stdin", stdin="a password of hers\n")
    castellan.castellan("quota", "set", "--user", "bob", "producer_byte_rate=1024")
    castellan.castellan("quota", "remove", "--user", "bob")
    castellan.castellan("topic", "create", "people")
    castellan.castellan("policy", "set", "people", "--subject-from", "key", "--protect", "value", "--erased", "null")
    castellan.castellan("user", "delete", "carol")
    rule = "ALLOW User:bob READ TOPIC LITERAL orders from *"
    found = records(castellan, "--event", "change")
    assert all(r[0] == "User:admin" and r[5] == "done" for r in found)
    told = [r[1:5] for r in found]
    for wanted in (
        ("CreateAcls", "TOPIC", "orders", f"add {rule}"),
        ("DeleteAcls", "TOPIC", "orders", f"remove {rule}"),
        ("AlterUserScramCredentials", "USER", "carol", "set SCRAM-SHA-512"),
        ("AlterClientQuotas", "QUOTA", "user=bob", "set producer_byte_rate=1024"),
        ("AlterClientQuotas", "QUOTA", "user=bob", "remove producer_byte_rate"),
        ("PUT policies", "POLICY", "people", "set"),
        ("AlterUserScramCredentials", "USER", "carol", "remove SCRAM-SHA-512"),
    ):
        assert wanted in told, (wanted, told)
    assert "a password of hers" not in castellan.castellan("audit", "list", "--json").stdout


def test_failed_logins(castellan):
    def log_in(user, password):
        config = castellan.client_config("alice", **{"sasl.username": user, "sasl.password": password})
        with pytest.raises(Exception):
            AdminClient(config).list_topics(timeout=1.5)

    log_in("alice", "wrong-password-9")
    log_in("nobody-of-that-name", "x")
    assert castellan.http("GET", 300, "/v1/status", headers={"Authorization": "Basic eDp5"})[0] == 401

    def found():
        rows = json.loads(castellan.castellan("audit", "list", "--event", "authentication", "--json").stdout)
        return {(r.get("principal"), r["operation"], r["reason"]) for r in rows if r["role"] == "gateway"}

    wanted = {
        ("User:alice", "SaslAuthenticate SCRAM-SHA-512", "wrong_credentials"),
        (None, "SaslAuthenticate SCRAM-SHA-512", "wrong_credentials"),
        (None, "admin interface", "wrong_credentials"),
    }
    deadline = time.monotonic() + 10
    while found() != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found() == wanted
    text = castellan.castellan("audit", "list", "--json").stdout
    assert "wrong-password-9" not in text and "nobody-of-that-name" not in text


def test_the_chain_verifies(castellan):
    verified = json.loads(castellan.castellan("audit", "verify", "--json").stdout)
    assert verified["verified"] and {c["writer"].split("-")[0] for c in verified["chains"]} == {"gateway", "registry"}
