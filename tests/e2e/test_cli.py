# SPDX-License-Identifier: Apache-2.0
"""The command line against a running system: what it says, what it returns, and that it did what it said."""
import json
import os
import subprocess
import time
import uuid

import pytest

from system import CASTELLAN, System, is_zombie


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    yield system
    system.close()


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def refused(castellan, *words, status=1):
    """The one line on stderr; nothing on stdout."""
    done = castellan.castellan(*words, check=False)
    assert done.returncode == status, done
    assert done.stdout == "" and done.stderr.count("\n") == 1, done
    return done.stderr


def rows(castellan, *words):
    return json.loads(castellan.castellan(*words, "--json").stdout)


def as_user(castellan, user, *words):
    return subprocess.run([str(CASTELLAN), *words, "--config", str(castellan.data / "clients" / f"{user}.properties")],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def test_a_user_gets_a_password_and_loses_it(castellan, tmp_path):
    user = name("user")
    castellan.castellan("user", "add", user, "--client-files", str(tmp_path))
    listing = ["topic", "list", "--config", str(tmp_path / f"{user}.properties")]
    assert subprocess.run([str(CASTELLAN), *listing], timeout=60).returncode == 0
    assert subprocess.run(["kcat", "-F", str(tmp_path / f"{user}.conf"), "-L"], stdout=subprocess.DEVNULL,
                          timeout=60).returncode == 0
    assert "--replace" in refused(castellan, "user", "add", user)
    shown = castellan.castellan("user", "add", user, "--replace").stdout
    assert "shown only now" in shown
    done = subprocess.run([str(CASTELLAN), *listing], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "password" in done.stderr.lower(), done
    assert {"user": user, "mechanisms": ["SCRAM-SHA-512"]} in rows(castellan, "user", "list")
    castellan.castellan("user", "delete", user)
    assert user in refused(castellan, "user", "delete", user)


def test_a_password_from_stdin_is_not_shown(castellan):
    user = name("user")
    done = castellan.castellan("user", "add", user, "--password-stdin", "--mechanism", "SCRAM-SHA-256",
                               stdin="correct horse\n")
    assert "horse" not in done.stdout + done.stderr
    assert castellan.kcat("admin", "-L", "-X", f"sasl.username={user}", "-X", "sasl.password=correct horse", "-X",
                          "sasl.mechanisms=SCRAM-SHA-256").returncode == 0


def test_rules_come_and_go(castellan):
    topic = name("acl")
    castellan.castellan("topic", "create", topic)
    assert topic not in as_user(castellan, "bob", "topic", "list").stdout
    words = ["--allow", "bob", "--operation", "describe,read", "--topic", topic, "--host", "127.0.0.1", "--host", "::1"]
    castellan.castellan("acl", "add", *words)
    assert len(rows(castellan, "acl", "list", "--topic", topic)) == 4
    assert topic in as_user(castellan, "bob", "topic", "list").stdout
    castellan.castellan("acl", "remove", *words)
    assert rows(castellan, "acl", "list", "--topic", topic) == []
    assert "no such rule" in refused(castellan, "acl", "remove", *words)
    subject = name("subject")
    castellan.castellan("acl", "add", "--deny", "User:*", "--operation", "ALL", "--subject", subject, "--prefixed")
    assert [r for r in rows(castellan, "acl", "list") if r["resource"] == subject] == [
        {"permission": "DENY", "principal": "User:*", "operation": "ALL", "resource_type": "SUBJECT",
         "pattern": "PREFIXED", "resource": subject, "host": "*"}]


def test_a_decision_is_explained(castellan):
    topic = name("acl")
    castellan.castellan("acl", "add", "--allow", "bob", "--operation", "read", "--topic", topic)
    done = castellan.castellan("acl", "explain", "--principal", "bob", "--operation", "describe", "--topic", topic)
    assert done.stdout.startswith("allowed")
    done = castellan.castellan("acl", "explain", "--principal", "bob", "--operation", "write", "--topic", topic)
    assert done.stdout.startswith("refused")


def test_quotas_come_and_go(castellan):
    user = name("user")
    castellan.castellan("quota", "set", "--user", user, "producer_byte_rate=1000", "consumer_byte_rate=2000")
    castellan.castellan("quota", "set", "--user-default", "--client-id", user, "request_percentage=12.5")
    mine = rows(castellan, "quota", "list", "--user", user)
    assert {(r["key"], r["value"]) for r in mine} == {("producer_byte_rate", 1000), ("consumer_byte_rate", 2000)}
    assert {"user": "<default>", "client-id": user, "key": "request_percentage", "value": 12.5} in rows(
        castellan, "quota", "list")
    castellan.castellan("quota", "remove", "--user", user, "producer_byte_rate")
    assert [r["key"] for r in rows(castellan, "quota", "list", "--user", user)] == ["consumer_byte_rate"]
    castellan.castellan("quota", "remove", "--user", user)
    assert rows(castellan, "quota", "list", "--user", user) == []


def test_topics(castellan):
    topic = name("topic")
    castellan.castellan("topic", "create", topic, "--partitions", "2", "--set", "retention.ms=1000", "--set",
                        "cleanup.policy=delete")
    assert "TOPIC_ALREADY_EXISTS" in refused(castellan, "topic", "create", topic)
    castellan.castellan("topic", "alter", topic, "--partitions", "5", "--unset", "cleanup.policy", "--set",
                        "retention.ms=2000")
    described = rows(castellan, "topic", "describe", topic)
    assert [p["partition"] for p in described["partitions"]] == [0, 1, 2, 3, 4]
    assert described["settings"] == {"retention.ms": "2000"}
    assert "INVALID_CONFIG" in refused(castellan, "topic", "alter", topic, "--set", "retention.ms=soon")
    castellan.castellan("topic", "delete", topic)
    assert "UNKNOWN_TOPIC" in refused(castellan, "topic", "describe", topic)


def test_schemas_survive_export_and_import(castellan, tmp_path):
    one, two = name("one"), name("two")
    v1 = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    v2 = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"},
                                                    {"name": "b", "type": ["null", "string"], "default": None}]}
    user = {"type": "record", "name": "U", "fields": [{"name": "r", "type": "R"}]}
    broken = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "c", "type": "int"}]}
    files = {}
    for key, schema in (("v1", v1), ("v2", v2), ("user", user), ("broken", broken)):
        files[key] = str(tmp_path / f"{key}.avsc")
        (tmp_path / f"{key}.avsc").write_text(json.dumps(schema))
    for key in ("v1", "v2"):
        castellan.castellan("schema", "register", one, files[key])
    castellan.castellan("schema", "register", two, files["user"], "--reference", f"R={one}:1")
    assert "incompatible" in refused(castellan, "schema", "register", one, files["broken"])
    assert castellan.castellan("schema", "check", one, files["broken"], check=False).returncode == 1
    castellan.castellan("schema", "check", one, files["v1"])
    assert castellan.registry("PUT", f"/config/{one}", body={"compatibility": "FULL"})[0] == 200

    def listing():
        found = [r for r in rows(castellan, "schema", "list", "--all") if r["subject"] in (one, two)]
        return [{k: v for k, v in r.items() if k != "ts"} for r in found]

    listed = listing()
    exported = castellan.castellan("schema", "export").stdout
    for subject in (two, one):
        for query in ("", "?permanent=true"):
            assert castellan.registry("DELETE", f"/subjects/{subject}{query}")[0] == 200
    castellan.registry("DELETE", f"/config/{one}")  # it may have gone with the subject
    (tmp_path / "all.jsonl").write_text(exported)
    assert rows(castellan, "schema", "import", str(tmp_path / "all.jsonl"), "--subject-prefix", one)["schemas"] == 2
    assert rows(castellan, "schema", "import", str(tmp_path / "all.jsonl"))["schemas"] == 1
    assert rows(castellan, "schema", "import", str(tmp_path / "all.jsonl"))["schemas"] == 0
    assert listing() == listed
    other = exported.replace(json.dumps(json.dumps(v1, separators=(",", ":"))), json.dumps('"long"'))
    (tmp_path / "other.jsonl").write_text(other)
    done = castellan.castellan("schema", "import", str(tmp_path / "other.jsonl"), check=False)
    assert done.returncode == 1 and f"conflict: {one} version 1" in done.stderr and "nothing was written" in done.stderr
    assert castellan.registry("GET", f"/config/{one}")[1]["compatibilityLevel"] == "FULL"
    assert castellan.registry("GET", f"/mode/{one}?defaultToGlobal=true")[1]["mode"] == "READWRITE"
    assert json.loads(castellan.castellan("schema", "show", two, "--json").stdout)["references"] == [
        {"name": "R", "subject": one, "version": 1}]


def test_forgetting_and_its_receipt(castellan, tmp_path):
    topic, person = name("people"), name("person")
    castellan.castellan("topic", "create", topic, "--partitions", "1")
    castellan.castellan("policy", "set", topic, "--subject-from", "key", "--protect", "value", "--erased", "null")
    assert topic in [p["topic"] for p in rows(castellan, "policy", "list")]
    assert castellan.kcat("admin", "-P", "-t", topic, "-K:", stdin=f"{person}:secret\n").returncode == 0
    receipt = tmp_path / "receipt.json"
    castellan.castellan("forget", person, "--receipt", str(receipt))
    assert receipt.stat().st_mode & 0o777 == 0o600
    read = castellan.kcat("admin", "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-K:", "-Z").stdout
    assert read == f"{person}:NULL\n"
    key = str(castellan.data / "keyd" / "receipt-signing.pub")
    report = rows(castellan, "receipt", "verify", str(receipt), "--key", key, "--id", person)
    assert report["holds"] and report["keys"] == 1
    assert "another data subject" in refused(castellan, "receipt", "verify", str(receipt), "--id", "somebody")
    bundle = json.loads(receipt.read_text())
    assert rows(castellan, "receipt", "show", str(bundle["receipt"]["seq"]))["receipt"] == bundle["receipt"]
    bundle["receipt"]["level"] = "E4"
    receipt.write_text(json.dumps(bundle))
    refused(castellan, "receipt", "verify", str(receipt))
    castellan.castellan("policy", "remove", topic)
    refused(castellan, "policy", "remove", topic)


def test_status(castellan):
    shown = castellan.castellan("status").stdout
    for part in ("gateway", "keyd", "registry", "cluster"):
        assert part in shown
    assert rows(castellan, "status")["ready"] is True


def test_wrong_words_are_status_2(castellan):
    for words in (["user", "add"], ["user", "frob"], ["acl", "add", "--allow", "x"], ["topic", "list", "--nope"],
                  ["quota", "set", "producer_byte_rate=1"], ["quota", "set", "--user", "u", "speed=1"],
                  ["topic", "create", "t", "--partitions", "many"], ["schema", "register", "s"],
                  ["policy", "set", "t", "--erased", "null"], ["acl", "add", "--allow", "x", "--operation", "fly",
                                                               "--topic", "t"]):
        assert "--help" in refused(castellan, *words, status=2)


def test_what_is_not_there_is_said(castellan, tmp_path):
    done = subprocess.run([str(CASTELLAN), "user", "list", "--config", str(tmp_path / "nope")], stderr=subprocess.PIPE,
                          text=True, timeout=20)
    assert done.returncode == 1 and "castellan up" in done.stderr
    text = (castellan.data / "clients" / "admin.properties").read_text()
    wrong = tmp_path / "wrong.properties"
    wrong.write_text(text.replace("bootstrap.servers", "bootstrap.server"))
    done = subprocess.run([str(CASTELLAN), "user", "list", "--config", str(wrong)], stderr=subprocess.PIPE, text=True,
                          timeout=20)
    assert done.returncode == 1 and f"{wrong}:2: " in done.stderr, done.stderr
    wrong.write_text(text.replace(f"localhost:{castellan.base}\n", "localhost:1\n").replace(
        f"localhost:{castellan.base + 300}", "localhost:1"))
    for words in (["user", "list"], ["status"]):
        done = subprocess.run([str(CASTELLAN), *words, "--config", str(wrong)], stderr=subprocess.PIPE, text=True,
                              timeout=30)
        assert done.returncode == 1 and "localhost:1" in done.stderr and str(wrong) in done.stderr, done.stderr


def test_a_second_system_on_the_same_ports_says_so(castellan, tmp_path):
    done = subprocess.run([str(CASTELLAN), "up", "--data", str(tmp_path / "d"), "--port-base", str(castellan.base)],
                          stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and f"port {castellan.base}" in done.stderr and "--port-base" in done.stderr


def test_a_second_system_on_the_same_data_says_so(castellan):
    before = (castellan.data / "gateway" / "gateway.properties").read_bytes()
    done = subprocess.run([str(CASTELLAN), "up", "--data", str(castellan.data), "--port-base", "1024"],
                          stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and str(castellan.data) in done.stderr and "--data" in done.stderr
    assert (castellan.data / "gateway" / "gateway.properties").read_bytes() == before


def test_roles_end_with_their_supervisor():
    system = System()
    system.start()
    pids = system.pids()
    system.process.kill()
    system.process.wait()
    deadline = time.monotonic() + 15
    while [p for p in pids[1:] if os.path.exists(f"/proc/{p}") and not is_zombie(p)]:
        assert time.monotonic() < deadline, system.logs()
        time.sleep(0.05)
    system.start()
    assert rows(system, "status")["ready"] is True
    system.close()
    assert system.process.returncode == 0
