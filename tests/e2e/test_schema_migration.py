# SPDX-License-Identifier: Apache-2.0
"""`castellan schema export|import`: whole registries to a file and back, and from one running registry to another, with
the same ids and versions; cut short and run again, refused before anything is written, modes put back."""
import concurrent.futures
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

from registry import PROGRAM, Registry, avro, quoted


@pytest.fixture
def pair(tmp_path, cluster, request):
    """A registry that answers as 7.9 does, and an empty one."""
    name = f"{request.node.name[:40]}-{os.getpid()}"
    source = Registry(tmp_path, {"kafkastore.topic": f"_from-{name}", "castellan.registry.compat.version": "7.9"},
                      cluster.bootstrap, "source").launch()
    target = Registry(tmp_path, {"kafkastore.topic": f"_to-{name}"}, cluster.bootstrap, "target").launch()
    yield source.wait_ready(), target.wait_ready()
    source.close()
    target.close()


def properties(registry):
    path = registry.path("client.properties")
    path.write_text(f"castellan.registry.url={registry.url}\n")
    return str(path)


def schema(registry, *words, status=0, stdin=None):
    done = subprocess.run([PROGRAM, "schema", *words, "--config", properties(registry)], input=stdin, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == status, f"schema {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def imported(registry, *words):
    return json.loads(schema(registry, "import", *words, "--json").stdout)


OWN = ("subject", "version", "id", "schema", "references", "metadata", "ruleSet")


def content(registry):
    """What has to survive."""
    told = {"contexts": registry.get("/contexts")}
    prefix = "subjectPrefix=%3A*%3A&limit=1000"
    for what, query in (("live", ""), ("all", "&deleted=true")):
        told[what] = []
        while True:
            page = registry.get(f"/schemas?{prefix}&offset={len(told[what])}{query}")
            told[what] += [{k: s[k] for k in OWN if k in s} | {"type": s.get("schemaType", "AVRO")} for s in page]
            if len(page) < 1000:
                break
        told[what].sort(key=lambda s: (s["subject"], s["version"]))
    scopes = {s["subject"] for s in told["all"]} | {f":{c}:" for c in told["contexts"] if c != "."}
    for kind in ("config", "mode"):
        told[kind] = {s: registry.ask("GET", f"/{kind}/{quoted(s)}")[1] for s in sorted(scopes)}
        told[kind][""] = registry.get(f"/{kind}")
    return told


def fill(registry, subjects=20):
    """Every kind of thing a registry holds."""
    registry.must("PUT", "/config", {"compatibility": "NONE"})

    def post(subject, body):
        return registry.must("POST", f"/subjects/{quoted(subject)}/versions", body)

    def plain(n):
        post(f"s{n:04}-value", {"schema": avro(f"S{n}")})
        if n % 4 == 0:
            post(f"s{n:04}-value", {"schema": avro(f"S{n}", ("a", "b"))})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(plain, range(subjects)))
    # softly deleted: a version, a whole subject, one that others refer to
    registry.must("DELETE", "/subjects/s0000-value/versions/1")
    registry.must("DELETE", "/subjects/s0001-value")
    # references, the user with a lower id than what it uses: the used one was registered again, later
    post("z-used", {"schema": avro("Used")})
    user = '{"type":"record","name":"User","fields":[{"name":"u","type":"Used"}]}'
    post("a-user", {"schema": user, "references": [{"name": "Used", "subject": "z-used", "version": 1}]})
    post("b-user", {"schema": user.replace("User", "Gone"),
                    "references": [{"name": "Used", "subject": "z-used", "version": 1}]})
    registry.must("DELETE", "/subjects/b-user")
    post("json", {"schemaType": "JSON", "schema": '{"type":"object","properties":{"a":{"type":"string"}}}'})
    post("with space/and slash", {"schemaType": "JSON", "schema": '{"type":"string"}'})
    post("proto", {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";\nmessage M {\n  string a = 1;\n}\n'})
    post("contract", {"schema": avro("Contract"), "metadata": {
        "properties": {"owner": "x"}, "tags": {"Contract.a": ["PII"]}, "sensitive": ["owner"]}, "ruleSet": {
            "domainRules": [{"name": "r", "kind": "CONDITION", "type": "CEL", "mode": "WRITE",
                             "expr": "size(message.a) > 0"}]}})
    # contexts have ids of their own
    post(":.other:s0000-value", {"schema": avro("InContext")})
    post(":.other:user", {"schema": '{"type":"record","name":"U","fields":[{"name":"u","type":"InContext"}]}',
                          "references": [{"name": "InContext", "subject": "s0000-value", "version": 1}]})
    post(":.third:gone", {"schema": avro("Third")})
    registry.must("DELETE", "/subjects/%3A.third%3Agone")
    # settings
    registry.must("PUT", "/config/a-user", {"compatibility": "FULL", "normalize": True,
                                           "defaultMetadata": {"properties": {"team": "t"}}})
    registry.must("PUT", "/config/%3A.other%3A", {"compatibility": "FORWARD"})
    registry.must("PUT", "/config/%3A.other%3Auser", {"compatibility": "BACKWARD_TRANSITIVE"})
    registry.must("PUT", "/mode/json", {"mode": "READONLY"})
    registry.must("PUT", "/mode/%3A.third%3A", {"mode": "READONLY"})


def test_a_file_holds_everything(pair, tmp_path):
    source, target = pair
    fill(source)
    text = schema(source, "export").stdout
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["kind"] == "header" and lines[0]["notes"] == [] and lines[-1]["kind"] == "end"
    order = [(s["subject"], s["version"]) for s in lines if s["kind"] == "schema"]
    assert order.index(("z-used", 1)) < order.index(("a-user", 1))
    assert lines[-1]["schemas"] == len(order) == len(content(source)["all"])
    path = tmp_path / "all.jsonl"
    path.write_text(text)
    dry = imported(target, str(path), "--dry-run")
    assert dry["schemas"] == len(order) and dry["dry_run"] is True
    assert target.get("/subjects?deleted=true") == []
    assert imported(target, str(path)) == {**dry, "dry_run": False}
    assert content(target) == content(source)
    again = imported(target, str(path))
    assert (again["schemas"], again["deleted"], again["configs"], again["modes"]) == (0, 0, 0, 0)
    assert again["there"] == len(order)
    # and back out again: the same lines, but for where they came from
    out = schema(target, "export").stdout
    strip = lambda t: sorted(line for line in t.splitlines() if '"kind":"header"' not in line)  # noqa: E731
    assert strip(out) == strip(text)
    # from stdin, into a registry that serves other subjects meanwhile
    assert "0 schemas imported" in schema(target, "import", "-", stdin=text).stdout


def test_a_broken_file_is_told_and_changes_nothing(pair, tmp_path):
    source, target = pair
    fill(source, 3)
    lines = schema(source, "export").stdout.splitlines(True)
    path = tmp_path / "broken.jsonl"
    for text, words in (("".join(lines[:-1]), "cut short"), ("".join(lines[:3] + lines[4:]), "lines are missing"),
                        ("{}\n", "not written by"), ("", "not written by"), (lines[0] + "[1\n", f"{path}:2: "),
                        (lines[0] + '{"kind":"schema","subject":"x"}\n', f"{path}:2: a schema without")):
        path.write_text(text)
        assert words in schema(target, "import", str(path), status=1).stderr
    assert "no-such-file" in schema(target, "import", "no-such-file", status=1).stderr
    assert "FILE, or --from" in schema(target, "import", status=2).stderr
    assert target.get("/subjects?deleted=true") == []


def test_conflicts_are_told_before_anything_is_written(pair):
    source, target = pair
    for n in range(3):
        source.must("POST", f"/subjects/s{n}/versions", {"schema": avro(f"S{n}")})
    target.must("POST", "/subjects/own/versions", {"schema": avro("Own")})  # takes the id 1
    target.must("POST", "/subjects/s1/versions", {"schema": avro("Other")})  # takes the version, with the id 2
    before = content(target)
    told = schema(target, "import", "--from", source.url, status=1).stderr
    assert "s0 version 1 has id 1, which stands for another schema there (own version 1)" in told
    assert "s1 version 1 is there with other content" in told
    assert "2 conflicts; nothing was written" in told
    assert content(target) == before
    # what does not conflict can be picked
    assert imported(target, "--from", source.url, "--subject-prefix", "s2")["schemas"] == 1
    assert target.get("/subjects/s2/versions/1")["id"] == 3
    assert target.get("/mode") == {"mode": "READWRITE"}
    assert target.ask("GET", "/mode/s2")[0] == 404


def test_a_filter_leaves_the_rest(pair):
    source, target = pair
    fill(source, 3)
    assert imported(target, "--from", source.url, "--context", "other")["schemas"] == 2
    assert target.get("/contexts") == [".", ".other"]
    assert target.get("/config/%3A.other%3A") == {"compatibilityLevel": "FORWARD"}
    assert target.get("/config") == {"compatibilityLevel": "BACKWARD"}
    told = schema(target, "import", "--from", source.url, "--subject-prefix", "a-user", status=1).stderr
    assert "a-user version 1 refers to z-used version 1, which is neither there nor in what is imported" in told
    assert imported(target, "--from", source.url, "--context", ".")["schemas"] > 10
    assert content(target)["all"] == [s for s in content(source)["all"] if not s["subject"].startswith(":.third")]


def test_a_migration_that_is_killed_is_run_again(pair):
    source, target = pair
    fill(source, 1000)
    words = [PROGRAM, "schema", "import", "--from", source.url, "--config", properties(target)]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 40
    while len(target.get("/subjects?subjectPrefix=%3A*%3A")) < 300:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.communicate()
    there = len(target.get("/subjects?subjectPrefix=%3A*%3A"))
    assert 300 <= there < 1000
    assert target.get("/mode") == {"mode": "IMPORT"}  # nobody could put it back
    done = imported(target, "--from", source.url)
    assert done["there"] >= 300 and done["there"] + done["schemas"] == len(content(source)["all"])
    assert content(target) == content(source)
    again = imported(target, "--from", source.url)
    assert (again["schemas"], again["deleted"], again["configs"], again["modes"]) == (0, 0, 0, 0)
    # and it lives on: the next id is the one after the highest
    highest = max(s["id"] for s in content(source)["all"] if not s["subject"].startswith(":."))
    assert target.must("POST", "/subjects/next/versions", {"schema": avro("Next")})["id"] == highest + 1


def test_a_signal_puts_modes_back(pair):
    source, target = pair
    fill(source, 400)
    words = [PROGRAM, "schema", "import", "--from", source.url, "--config", properties(target)]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 40
    while len(target.get("/subjects")) < 50:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.01)
    running.terminate()
    _, told = running.communicate(timeout=30)
    assert running.returncode == 1 and "stopped by a signal" in told
    assert target.get("/mode") == {"mode": "READWRITE"}
    assert target.ask("GET", "/mode/%3A.other%3A")[0] == 404
    # the source goes on meanwhile
    source.must("POST", "/subjects/more/versions", {"schema": avro("More")})
    assert imported(target, "--from", source.url)["there"] >= 50
    assert content(target) == content(source)


def test_modes_are_put_back_when_it_fails(pair, tmp_path):
    source, target = pair
    fill(source, 3)
    target.must("POST", "/subjects/own/versions", {"schema": avro("Own"), "schemaType": "AVRO"})
    target.must("DELETE", "/subjects/own")
    target.must("DELETE", "/subjects/own?permanent=true")
    target.must("POST", "/subjects/mine/versions", {"schema": '"long"'})
    target.must("DELETE", "/subjects/mine")
    lines = schema(source, "export").stdout.splitlines(True)
    bad = [json.loads(line) for line in lines]
    for s in bad:
        if s.get("subject") == "z-used":
            s["schema"] = '{"type":"record","name":"Used","fields":[{"name":"x","type":"no such type"}]}'
        if "id" in s and not s["subject"].startswith(":."):
            s["id"] += 100
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(s) + "\n" for s in bad))
    assert "Invalid schema" in schema(target, "import", str(path), status=1).stderr
    assert target.get("/mode") == {"mode": "READWRITE"}
    assert target.get("/subjects") != []  # what came before it is there, and a repeated import finds it
    target.must("PUT", "/mode/s0000-value", {"mode": "READONLY"})
    assert "Invalid schema" in schema(target, "import", str(path), status=1).stderr
    assert target.get("/mode/s0000-value") == {"mode": "READONLY"}


class OldRegistry(http.server.BaseHTTPRequestHandler):
    """A registry without contexts, GET /schemas, modes, pages and metadata, that fails every other time."""
    calls = 0
    versions = {"old-value": [(1, 11, "{ \"type\": \"string\" }"), (2, 12, "\"int\"")],
                "old-key": [(1, 11, '{"type":"string"}')]}

    def do_GET(self):
        type(self).calls += 1
        path = self.path.split("?")[0]
        words = path.strip("/").split("/")
        if type(self).calls % 2:
            return self.say(503, {"error_code": 50003, "message": "not now"})
        if self.headers["Authorization"] != "Basic bWU6c2VjcmV0":
            return self.say(401, {"error_code": 401, "message": "Unauthorized"})
        if path == "/subjects":
            return self.say(200, list(self.versions))
        if words[0] == "subjects" and words[1] in self.versions and len(words) == 3:
            live = [v for v, _, _ in self.versions[words[1]] if "deleted" in self.path or v != 1]
            return self.say(200, live) if live else self.say(404, {"error_code": 40401, "message": "no"})
        if words[0] == "subjects" and words[1] in self.versions:
            version, id_, text = self.versions[words[1]][int(words[3]) - 1]
            return self.say(200, {"subject": words[1], "version": version, "id": id_, "schema": text})
        if path == "/config":
            return self.say(200, {"compatibilityLevel": "FULL"})
        return self.say(404, {"error_code": 404, "message": "HTTP 404 Not Found"})

    def say(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def test_a_registry_that_serves_less(pair):
    _, target = pair
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OldRegistry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert "--from-insecure" in schema(target, "import", "--from", url, "--from-user", "me", status=2).stderr
    words = ["--from", url, "--from-user", "me", "--password-stdin", "--from-insecure"]
    assert "does not know this user" in schema(target, "import", *words, status=1, stdin="wrong\n").stderr
    done = schema(target, "import", *words, stdin="secret\n")
    for note in ("does not serve contexts", "does not serve GET /schemas", "does not serve modes",
                 "no metadata and rule sets"):
        assert note in done.stderr
    assert [v for v in target.get("/subjects/old-value/versions?deleted=true")] == [1, 2]
    assert target.get("/subjects/old-value/versions") == [2]
    assert sorted(target.get("/subjects?deletedOnly=true")) == ["old-key"]
    assert target.get("/schemas/ids/11")["schema"] == '"string"'
    assert target.get("/config") == {"compatibilityLevel": "FULL"}
    again = schema(target, "import", *words, stdin="secret\n").stdout
    assert again.startswith("0 schemas imported, 3 there already, 0 softly deleted, 0 configurations and 0 modes")
    server.shutdown()


def test_what_cannot_be_reached_is_said(pair, tmp_path):
    _, target = pair
    assert "is no http:// or https://" in schema(target, "import", "--from", "localhost:8081", status=2).stderr
    assert pathlib.Path(properties(target)).exists()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = schema(target, "import", "--from", f"http://127.0.0.1:{server.server_port}", status=1).stderr
    assert "501" in told
    server.shutdown()
