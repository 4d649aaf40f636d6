# SPDX-License-Identifier: Apache-2.0
"""The admin interface over HTTPS: who is let in, what each right opens, policies from setting to removal and over a
restart, forgetting and receipts, and answers to what is not a request at all. One system for all tests of this file."""
import socket
import ssl
import urllib.parse
import uuid

import pytest
from confluent_kafka.admin import AdminClient

from system import System


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


POLICY = {"subject_from": "key", "protect": "value", "erased": "null"}


def raw(castellan, text, answer_wanted=True):
    """The first line of the answer to these bytes ("closed" when the server hung up on them), or a client that sends
    them and leaves."""
    context = ssl.create_default_context(cafile=castellan.ca)
    with socket.create_connection(("127.0.0.1", castellan.base + 300), timeout=15) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            answer = b""
            try:
                s.sendall(text)
                while answer_wanted and b"\n" not in answer:
                    more = s.recv(4096)
                    if not more:
                        break
                    answer += more
            except (ssl.SSLError, ConnectionError):
                return "closed"
    return answer.split(b"\r\n")[0].decode()


def test_open_to_everybody(castellan):
    assert castellan.admin("GET", "/health/live", user=None) == (200, {"status": "live"})
    status, report = castellan.admin("GET", "/health/ready", user=None)
    assert status == 200 and report["ready"]
    assert {n for n, p in report["parts"].items() if p["ready"]} == {"cluster", "gateway", "keyd", "registry"}
    status, text = castellan.admin("GET", "/metrics", user=None)
    assert status == 200 and "# TYPE castellan_admin_requests_total counter" in text


@pytest.mark.parametrize("path", ["/", "/console", "/v1/status", "/v1/policies", "/v1/receipts/1"])
def test_nothing_else_is(castellan, path):
    assert castellan.admin("GET", path, user=None)[0] == 401
    wrong = {"Authorization": "Basic YWRtaW46d3Jvbmc="}
    assert castellan.http("GET", 300, path, headers=wrong)[0] == 401


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/status"), ("GET", "/v1/policies"), ("PUT", "/v1/policies/x"), ("DELETE", "/v1/policies/x"),
    ("DELETE", "/v1/subjects/someone"), ("PUT", "/v1/subjects/someone"), ("PUT", "/v1/holds/someone"),
    ("DELETE", "/v1/holds/someone"), ("GET", "/v1/receipts/1"),
    ("GET", "/v1/acls/explain?principal=User:bob&type=TOPIC&name=x&operation=READ")])
def test_a_user_without_rights_may_nothing(castellan, method, path):
    status, body = castellan.admin(method, path, user="bob", body=POLICY if method == "PUT" else None)
    assert status == 403 and body["error_code"] == 403 and "User:bob needs" in body["message"]


def test_status(castellan):
    assert len(AdminClient(castellan.client_config("admin")).list_topics(timeout=15).brokers) == 3
    status, body = castellan.admin("GET", "/v1/status")
    assert status == 200 and body["ready"]
    assert sorted(n["id"] for n in body["nodes"]) == [1, 2, 3]
    assert body["counts"]["users"] == 3 and body["keyd"]["live_keys"] >= 0
    assert set(body["tables"]) == {f"__castellan_{t}" for t in ("acl", "users", "quotas", "policies")}


def test_policies(castellan):
    topic, prefix = name("people"), name("crm") + "-"
    assert castellan.admin("GET", f"/v1/policies/{topic}")[0] == 404
    status, policy = castellan.admin("PUT", f"/v1/policies/{topic}", body=POLICY)
    assert status == 200 and policy["topic"] == topic and policy["pattern"] == "literal"
    assert castellan.admin("GET", f"/v1/policies/{topic}") == (200, policy)
    assert castellan.admin("PUT", f"/v1/policies/{topic}", body=policy) == (200, policy)  # what it gives, it takes
    changed = dict(POLICY, erased="skip", lineage="origin", **{"class": "customers"})
    assert castellan.admin("PUT", f"/v1/policies/{topic}", body=changed)[1]["class"] == "customers"
    status, other = castellan.admin("PUT", f"/v1/policies/{prefix}?prefixed=true", body=POLICY)
    assert status == 200 and other["pattern"] == "prefixed"
    listed = castellan.admin("GET", "/v1/policies")[1]["policies"]
    assert {(p["topic"], p["pattern"]) for p in listed} >= {(topic, "literal"), (prefix, "prefixed")}
    assert castellan.admin("DELETE", f"/v1/policies/{prefix}")[0] == 404  # the literal one of that name
    assert castellan.admin("DELETE", f"/v1/policies/{prefix}?prefixed=true") == (204, "")
    assert castellan.admin("DELETE", f"/v1/policies/{topic}") == (204, "")
    assert castellan.admin("DELETE", f"/v1/policies/{topic}")[0] == 404


@pytest.mark.parametrize("body", [{}, {"subject_from": "key"}, dict(POLICY, erased="burn"), dict(POLICY, more="x"),
                                  dict(POLICY, subject_from=7), dict(POLICY, topic="another")])
def test_a_wrong_policy_changes_nothing(castellan, body):
    topic = name("wrong")
    status, answer = castellan.admin("PUT", f"/v1/policies/{topic}", body=body)
    assert status == 422 and answer["message"]
    assert castellan.admin("GET", f"/v1/policies/{topic}")[0] == 404


def test_rights_come_from_acls(castellan):
    subject = name("person")
    path = "/v1/subjects/" + urllib.parse.quote(subject + "/ä", safe="")
    castellan.castellan("acl", "add", "--allow", "User:alice", "--operation", "DELETE", "--data-subject", subject,
                        "--prefixed")
    status, bundle = castellan.admin("DELETE", path, user="alice")
    assert status == 200 and bundle["receipt"]["signature"]
    assert subject not in str(bundle)  # a commitment, not a name
    assert castellan.admin("DELETE", "/v1/subjects/else", user="alice")[0] == 403
    status, again = castellan.admin("GET", f"/v1/receipts/{bundle['receipt']['seq']}")
    assert status == 200 and again["receipt"] == bundle["receipt"]
    assert castellan.admin("GET", "/v1/receipts/999999")[0] == 404
    assert castellan.admin("GET", "/v1/receipts/-1")[0] == 400


def test_explain(castellan):
    topic = name("why")
    ask = f"/v1/acls/explain?principal=User:alice&type=TOPIC&name={topic}&operation=READ"
    assert castellan.admin("GET", ask)[1] == {"allowed": False, "explanation": "refused: no rule names the resource"}
    castellan.castellan("acl", "add", "--allow", "User:alice", "--operation", "READ", "--topic", topic)
    status, answer = castellan.admin("GET", ask)
    assert answer["allowed"] and f"READ TOPIC LITERAL {topic}" in answer["explanation"]
    assert castellan.admin("GET", "/v1/acls/explain?principal=User:alice&type=TOPIC")[0] == 400


def test_the_page_loads_nothing_from_elsewhere(castellan):
    status, page = castellan.admin("GET", "/", user="bob")
    assert status == 200 and "Castellan" in page
    assert "http:" not in page and "https:" not in page and "//" not in page


def test_what_is_no_request(castellan):
    assert castellan.admin("GET", "/nothing")[0] == 404
    assert castellan.admin("POST", "/v1/policies/x", body={})[0] == 405
    assert castellan.http("OPTIONS", 300, "/v1/policies/x", headers={"Origin": "https://evil"})[0] == 405
    assert castellan.admin("PUT", "/v1/policies/x", body={"x": "y" * 100000})[0] == 413
    assert castellan.admin("PUT", "/v1/policies/x", body=[1])[0] == 400
    refused = raw(castellan, b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert " 4" in refused or refused == "closed"  # it may hang up before all of it was sent
    raw(castellan, b"\0\1\2\3 nonsense\r\n\r\n", answer_wanted=False)
    assert castellan.admin("GET", "/health/live", user=None)[0] == 200


def test_policies_live_on_after_a_restart(castellan):
    topic = name("kept")
    policy = castellan.admin("PUT", f"/v1/policies/{topic}", body=POLICY)[1]
    assert castellan.stop() == 0
    castellan.start()
    assert castellan.admin("GET", f"/v1/policies/{topic}") == (200, policy)
