# SPDX-License-Identifier: Apache-2.0
"""Who may what at the registry of a whole system: rules made with `castellan acl`, users by password and by the client
certificates `castellan up` made; a change of rules is felt without a restart."""
import json
import ssl
import time
import urllib.error
import urllib.request

import pytest

from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System().start()
    for subject in ("a-value", "a-key", "b-value", ":.team:c-value"):
        status, body = system.registry("POST", f"/subjects/{subject}/versions", body={"schema": '"string"'})
        assert status == 200, body
    yield system
    system.close()


def with_certificate(system, user, path):
    context = ssl.create_default_context(cafile=system.ca)
    context.load_cert_chain(system.data / "clients" / f"{user}.pem", system.data / "clients" / f"{user}.key")
    try:
        with urllib.request.urlopen(f"https://localhost:{system.base + 200}{path}", context=context, timeout=30) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def acl(system, *words):
    system.castellan("acl", "add", *words)


def becomes(ask, wanted):
    """A rule reaches the registry within a fetch."""
    deadline = time.monotonic() + 15
    while (got := ask()) != wanted:
        assert time.monotonic() < deadline, got
        time.sleep(0.02)


def test_rules_by_name_prefix_and_context(castellan):
    def subjects(user):
        return castellan.registry("GET", "/subjects", user=user)

    assert subjects("alice") == (200, [])
    acl(castellan, "--allow", "User:alice", "--operation", "READ", "--subject", "a-value")
    becomes(lambda: subjects("alice"), (200, ["a-value"]))
    acl(castellan, "--allow", "User:alice", "--operation", "READ", "--subject", "a-", "--prefixed")
    becomes(lambda: subjects("alice"), (200, ["a-key", "a-value"]))
    acl(castellan, "--allow", "User:alice", "--operation", "ALL", "--subject", ":.team:", "--prefixed")
    becomes(lambda: subjects("alice"), (200, [":.team:c-value", "a-key", "a-value"]))
    assert castellan.registry("GET", "/contexts", user="alice") == (200, [".", ".team"])
    assert castellan.registry("GET", "/contexts", user="bob") == (200, ["."])
    status, body = castellan.registry("POST", "/contexts/.team/subjects/new/versions", user="alice",
                                      body={"schema": '"int"'})
    assert status == 200, body
    acl(castellan, "--deny", "User:alice", "--operation", "READ", "--subject", "a-key")
    becomes(lambda: castellan.registry("GET", "/subjects/a-key/versions/1", user="alice")[0], 403)
    assert castellan.registry("GET", "/subjects/a-value/versions/1", user="alice")[0] == 200


def test_certificates_are_the_same_users(castellan):
    assert with_certificate(castellan, "admin", "/subjects/b-value/versions/1")[0] == 200
    status, body = with_certificate(castellan, "bob", "/subjects/b-value/versions/1")
    assert (status, body["error_code"]) == (403, 40301)
    acl(castellan, "--allow", "User:bob", "--operation", "READ", "--subject", "b-value")
    becomes(lambda: with_certificate(castellan, "bob", "/subjects/b-value/versions/1")[0], 200)
    assert castellan.registry("GET", "/subjects/b-value/versions/1", user="bob")[0] == 200


def test_references_need_read(castellan):
    body = {"schema": json.dumps({"type": "record", "name": "common.Id", "fields": []})}
    assert castellan.registry("POST", "/subjects/common-id/versions", body=body)[0] == 200
    acl(castellan, "--allow", "User:bob", "--operation", "READ,WRITE", "--subject", "uses-id")
    uses = {
        "schema": json.dumps({"type": "record", "name": "U", "fields": [{"name": "id", "type": "common.Id"}]}),
        "references": [{"name": "common.Id", "subject": "common-id", "version": 1}],
    }

    def register():
        return castellan.registry("POST", "/subjects/uses-id/versions", user="bob", body=uses)

    becomes(lambda: register()[1].get("message"), "User is denied operation on Subject: common-id")
    acl(castellan, "--allow", "User:bob", "--operation", "READ", "--subject", "common-id")
    becomes(lambda: register()[0], 200)
