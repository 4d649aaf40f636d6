# SPDX-License-Identifier: Apache-2.0
"""The audit of a whole system: what is recorded, by whom, without secrets; that a change answered for is there whatever
happens next; and that tampering is found."""
import itertools
import json
import os
import re
import signal
import threading
import time

import pytest

from system import System

SECRET = "a-schema-text-nobody-else-uses"


@pytest.fixture(scope="module")
def castellan():
    system = System().start()
    yield system
    system.close()


def audit(system, *words, check=True):
    done = system.castellan("audit", *words, "--json", check=check)
    return json.loads(done.stdout)


def register(system, subject, schema='"string"', user="admin"):
    return system.registry("POST", f"/subjects/{subject}/versions", user=user, body={"schema": schema})


def pick(record, *names):
    return tuple(record.get(n) for n in names)


def records(system, subject, **more):
    words = [w for k, v in more.items() for w in (f"--{k}", v)]
    return [pick(r, "event", "outcome", "principal", "operation", "status", "error", "id", "version", "right", "detail")
            for r in audit(system, "list", "--resource", subject, *words)]


def test_changes_and_refusals_are_recorded(castellan):
    schema = json.dumps({"type": "record", "name": "R", "doc": SECRET, "fields": [{"name": "a", "type": "int"}]})
    assert register(castellan, "s-value", schema)[0] == 200
    assert register(castellan, "s-value", schema)[0] == 200  # there already: nothing changes
    assert register(castellan, "s-value", '"int"')[0] == 409
    assert register(castellan, "s-value", user="bob")[0] == 403
    assert castellan.registry("GET", "/subjects/s-value/versions/1", user="bob")[0] == 403
    assert castellan.registry("GET", "/subjects/s-value/versions/1")[0] == 200
    assert castellan.registry("PUT", "/config/s-value", body={"compatibility": "NONE", "normalize": True})[0] == 200
    assert castellan.registry("PUT", "/mode/s-value", body={"mode": "READONLY"})[0] == 200
    assert castellan.registry("DELETE", "/subjects/s-value/versions/1")[0] == 422  # read-only
    assert castellan.registry("DELETE", "/mode/s-value")[0] == 200
    assert castellan.registry("DELETE", "/subjects/s-value/versions/1")[0] == 200
    assert castellan.registry("DELETE", "/subjects/s-value/versions/1?permanent=true")[0] == 200
    post, delete = "POST subjects/*/versions", "DELETE subjects/*/versions/*"
    wanted = [
        ("change", "done", "User:admin", post, 200, None, 1, 1, None, None),
        ("change", "refused", "User:admin", post, 409, 409, None, None, None, None),
        ("authorization", "refused", "User:bob", post, 403, 40301, None, None, "WRITE", None),
        ("authorization", "refused", "User:bob", "GET subjects/*/versions/*", 403, 40301, None, None, "READ", None),
        ("change", "done", "User:admin", "PUT config/*", 200, None, None, None, None, "compatibility NONE, normalize"),
        ("change", "done", "User:admin", "PUT mode/*", 200, None, None, None, None, "mode READONLY"),
        ("change", "refused", "User:admin", delete, 422, 42205, None, None, None, "soft"),
        ("change", "done", "User:admin", "DELETE mode/*", 200, None, None, None, None, None),
        ("change", "done", "User:admin", delete, 200, None, None, 1, None, "soft"),
        ("change", "done", "User:admin", delete, 200, None, None, 1, None, "permanent"),
    ]
    # a refusal is not waited for
    deadline = time.monotonic() + 10
    while (found := records(castellan, "s-value")) != wanted and time.monotonic() < deadline:
        pass
    assert found == wanted
    assert records(castellan, "s-value", principal="User:bob") == wanted[2:4]
    assert records(castellan, "s-value", outcome="refused", event="change") == [wanted[1], wanted[6]]


def test_failed_authentications_are_recorded(castellan):
    def ask(header):
        headers = {"Authorization": header} if header else {}
        return castellan.http("GET", 200, "/subjects", headers=headers)[0]

    import base64
    for pair in ("alice:wrong-password-1", "my-password-as-a-name:x"):
        assert ask("Basic " + base64.b64encode(pair.encode()).decode()) == 401
    assert ask("Bearer eyJhbGciOiJub25lIn0.e30.") == 401  # bearer tokens are not configured here
    assert ask(None) == 401  # no attempt: only the question for credentials
    wanted = [("User:alice", "wrong_password"), (None, "unknown_user"), (None, "unsupported_scheme")]

    def found():
        return [pick(r, "principal", "reason") for r in audit(castellan, "list", "--event", "authentication")]

    deadline = time.monotonic() + 10
    while found() != wanted and time.monotonic() < deadline:
        pass
    assert found() == wanted
    one = audit(castellan, "list", "--event", "authentication")[0]
    assert pick(one, "role", "host", "operation", "status") == ("registry", "127.0.0.1", "GET subjects", 401)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])


def test_no_secrets(castellan):
    text = json.dumps(audit(castellan, "list", "--last", "100000"))
    for secret in (SECRET, "wrong-password-1", "my-password-as-a-name", "eyJhbGci", castellan.password("admin")):
        assert secret not in text


def registry_pid(system):
    for pid in system.pids()[1:]:
        if b"registry" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0"):
            return pid
    return None


def kill_registry(system):
    """kill -9; until the supervisor has started another and it answers."""
    pid = registry_pid(system)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if registry_pid(system) not in (pid, None) and system.registry("GET", "/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("the registry did not come back:\n" + system.logs())


def test_what_was_answered_for_is_there_after_a_kill(castellan):
    for i in range(3):
        assert register(castellan, f"killed-{i}")[0] == 200
        kill_registry(castellan)
        assert [r[:2] for r in records(castellan, f"killed-{i}")] == [("change", "done")]
    verified = audit(castellan, "verify")
    assert verified["verified"] and not verified["findings"]
    chains = [c for c in verified["chains"] if c["writer"].startswith("registry-")]
    assert len(chains) == 4  # each process is a writer of its own
    assert all(c["first"] == 0 and c["end"] == "open" and c["lost"] == 0 for c in chains)


def test_a_proper_end_and_heads(castellan, tmp_path):
    saved = tmp_path / "heads.json"
    saved.write_text(castellan.castellan("audit", "verify", "--json").stdout)
    pid = registry_pid(castellan)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while registry_pid(castellan) in (pid, None):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    verified = audit(castellan, "verify", "--heads", str(saved))
    assert verified["verified"]
    assert [c["end"] for c in verified["chains"]].count("stop") == 1
    # an earlier verification of something else
    other = json.loads(saved.read_text())
    other["chains"][0]["head"] = "0" * 64
    saved.write_text(json.dumps(other))
    done = castellan.castellan("audit", "verify", "--heads", str(saved), check=False)
    assert done.returncode == 1 and "anchor: record" in done.stdout and "does not verify" in done.stderr


def test_brokers_may_die(castellan):
    """Whatever the brokers go through, the chain stays whole and holds every change that was answered for."""
    done, stop = [], threading.Event()

    def work(name):
        for i in itertools.count():
            if stop.is_set():
                return
            try:
                if register(castellan, f"dying-{name}-{i}")[0] == 200:
                    done.append(f"dying-{name}-{i}")
            except OSError:
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        before = len(done)
        for pid in castellan.pids()[1:]:
            if b"broker" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(done) < before + 20:
            assert time.monotonic() < deadline, castellan.logs()
            time.sleep(0.05)
    stop.set()
    for t in threads:
        t.join()

    def missing():
        told = audit(castellan, "list", "--event", "change", "--outcome", "done", "--last", "100000")
        return set(done) - {r["resource"] for r in told}

    deadline = time.monotonic() + 20  # an answer that waited a second for its record goes out before it
    while missing() and time.monotonic() < deadline:
        pass
    assert not missing()
    assert audit(castellan, "verify")["verified"]


def test_others_may_not_read_or_write_it(castellan):
    castellan.castellan("acl", "add", "--allow", "User:bob", "--operation", "ALL", "--topic", "*")
    for words in (("-C", "-t", "__castellan_audit", "-e"), ("-P", "-t", "__castellan_audit")):
        done = castellan.kcat("bob", *words, stdin="x\n")
        said = (done.stderr + done.stdout).lower()
        assert "authorization failed" in said or "denied" in said, done


def test_what_does_not_belong_is_found(castellan):
    """Last: it spoils the topic for the others."""
    done = castellan.kcat("admin", "-P", "-t", "__castellan_audit", "-k", "me", stdin='{"v":1,"event":"change"}\n')
    assert done.returncode == 0, done
    done = castellan.castellan("audit", "verify", check=False)
    assert done.returncode == 1
    assert re.search(r"^malformed: record 0 of \? at partition 0 offset \d+", done.stdout, re.M), done.stdout
    text = castellan.castellan("audit", "list", "--last", "3").stdout
    assert text.splitlines()[0].split()[:4] == ["TIME", "EVENT", "OUTCOME", "PRINCIPAL"]
