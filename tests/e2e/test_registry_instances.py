# SPDX-License-Identifier: Apache-2.0
"""Four registries over one `_schemas` of three brokers: they register, delete and import at once, are killed and come
back, a broker goes and comes back; and there is one truth at the end. Randomness is seeded: CASTELLAN_SEED repeats it."""
import collections
import json
import os
import random
import socket
import threading
import time

import pytest

from registry import NoAnswer, Registry, avro, quoted

INSTANCES = 4
SETTLE_SECONDS = 15
ELSEWHERE_SECONDS = 5  # a write is seen by every other instance within this


@pytest.fixture
def seed():
    value = int(os.environ.get("CASTELLAN_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"CASTELLAN_SEED={value}")
    return value


def start_all(folder, cluster, settings=None):
    group = [Registry(folder, settings, cluster.bootstrap, f"registry{i}").launch() for i in range(INSTANCES)]
    return [r.wait_ready() for r in group]


@pytest.fixture
def four(tmp_path, cluster, request):
    """Over the shared cluster, in a topic of this test's own."""
    group = start_all(tmp_path, cluster, {"kafkastore.topic": f"_schemas-{request.node.name}-{os.getpid()}"})
    yield group
    for r in group:
        r.close()


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def everything(registry):
    """All that a registry tells: every version, every config and mode."""
    told, subjects = {}, registry.get("/subjects?deleted=true&subjectPrefix=%3A*%3A")
    told["subjects"] = sorted(subjects)
    told["schemas"] = []
    while True:
        page = registry.get(f"/schemas?deleted=true&subjectPrefix=%3A*%3A&offset={len(told['schemas'])}&limit=1000")
        told["schemas"] += page
        if len(page) < 1000:
            break
    told["config"] = {s: registry.ask("GET", f"/config/{quoted(s)}") for s in subjects}
    told["mode"] = {s: registry.ask("GET", f"/mode/{quoted(s)}") for s in subjects}
    return told


def one_truth(group):
    """Waits until every instance tells the same, and returns it."""
    told = []

    def agree():
        told[:] = [everything(r) for r in group]
        return all(t == told[0] for t in told)

    wait_until(agree, SETTLE_SECONDS, lambda: "the instances differ: " + json.dumps(
        [{k: len(v) for k, v in t.items()} for t in told]))
    return told[0]


def check_ids(truth):
    """No id stands for two contents, no content has two ids, no versions are missing."""
    texts, ids, versions = {}, {}, collections.defaultdict(list)
    for s in truth["schemas"]:
        context = s["subject"].split(":")[1] if s["subject"].startswith(":.") else "."
        assert texts.setdefault((context, s["id"]), s["schema"]) == s["schema"], f"id {s['id']} for two contents"
        assert ids.setdefault((context, s["schema"]), s["id"]) == s["id"], f"two ids for {s['schema']}"
        versions[s["subject"]].append(s["version"])
    for subject, list_ in versions.items():
        assert sorted(list_) == list(range(1, len(list_) + 1)), f"{subject} has versions {sorted(list_)}"


class Load:
    """Clients that register at whichever instance is up, and remember what they were promised."""

    def __init__(self, group, seed, clients):
        self.group, self.seed = group, seed
        self.up = set(range(len(group)))
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.promised = {}  # (subject, text) -> (id, version)
        self.doubtful = set()
        self.deleted = set()  # (subject, version) of a soft deletion that was promised
        self.levels = {}  # subject -> the level promised last, None when that is in doubt
        self.outcomes = collections.Counter()
        self.wrong = []
        self.threads = [threading.Thread(target=self.guarded, args=(n,)) for n in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def guarded(self, n):
        try:
            self.client(n, random.Random(f"{self.seed}-{n}"))
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(repr(e))
            self.stopping.set()

    def client(self, n, rng):
        subjects = [f"s{i}-value" for i in range(6)]
        made = 0
        while not self.stopping.is_set():
            with self.lock:
                here = rng.choice(sorted(self.up))
            there = rng.choice([i for i in range(len(self.group)) if i != here])
            if rng.random() < 0.15:
                self.change_own(self.group[here], f"own{n}", f"Own{n}Nr{made}", rng)
                made += 1
                continue
            subject = rng.choice(subjects)
            if rng.random() < 0.25:  # what another client may register at this moment, too
                text = avro(f"Shared{rng.randrange(60)}")
            else:
                text = avro(f"Of{n}Nr{made}")
                made += 1
            try:
                status, answer = self.group[here].ask("POST", f"/subjects/{subject}/versions", {"schema": text})
            except NoAnswer:
                self.outcomes["no answer"] += 1
                self.doubtful.add((subject, text))
                continue
            self.outcomes[status] += 1
            if status == 500:
                assert answer["error_code"] in (50001, 50002), answer
                self.doubtful.add((subject, text))
                continue
            assert status == 200, (status, answer)
            promise = (answer["id"], answer["version"])
            assert self.promised.setdefault((subject, text), promise) == promise, (subject, text, promise)
            self.read_back(self.group[here], subject, text, promise)
            if rng.random() < 0.1:
                self.read_elsewhere(there, subject, promise)

    def change_own(self, registry, subject, name, rng):
        """In a subject that nobody else touches: a schema comes and goes, the configuration changes."""
        level = rng.choice(["NONE", "FULL", "BACKWARD"])
        try:
            self.levels[subject] = None
            status, answer = registry.ask("PUT", f"/config/{subject}", {"compatibility": level})
            assert status == 200 or answer["error_code"] == 50001, answer
            self.levels[subject] = level if status == 200 else None
            status, answer = registry.ask("POST", f"/subjects/{subject}/versions", {"schema": avro(name)})
            if status != 200:
                assert status == 409 or answer["error_code"] in (50001, 50002), answer
                self.doubtful.add((subject, avro(name)))
                return
            self.promised[(subject, avro(name))] = (answer["id"], answer["version"])
            version = answer["version"]
            status, answer = registry.ask("DELETE", f"/subjects/{subject}/versions/{version}")
            assert (status, answer) == (200, version) or answer["error_code"] in (50001, 50002), answer
            if status == 200:
                self.deleted.add((subject, version))
                status, answer = registry.ask("GET", f"/subjects/{subject}/versions/{version}")
                assert status == 404, answer
        except NoAnswer:
            self.outcomes["no answer"] += 1
            self.doubtful.add((subject, avro(name)))

    def read_back(self, registry, subject, text, promise):
        """At the same instance a write is there at once, whatever happened to the instance since."""
        try:
            status, answer = registry.ask("GET", f"/subjects/{subject}/versions/{promise[1]}")
            assert status == 200 and answer["id"] == promise[0] and answer["schema"] == text, (promise, answer)
            status, answer = registry.ask("GET", f"/schemas/ids/{promise[0]}")
            assert status == 200 and answer["schema"] == text, (promise, answer)
        except NoAnswer:
            self.outcomes["unread"] += 1

    def read_elsewhere(self, there, subject, promise):
        deadline = time.monotonic() + ELSEWHERE_SECONDS
        while not self.stopping.is_set():
            with self.lock:
                if there not in self.up:
                    return
            try:
                status, answer = self.group[there].ask("GET", f"/subjects/{subject}/versions/{promise[1]}")
            except NoAnswer:
                return
            if status == 200:
                assert answer["id"] == promise[0], (promise, answer)
                return
            assert time.monotonic() < deadline, f"{subject} {promise} is not at {self.group[there].name}: {answer}"
            time.sleep(0.05)


def test_instances_are_killed_while_all_register(own_cluster, tmp_path, seed):
    rng = random.Random(seed)
    group = start_all(tmp_path, own_cluster)
    group[0].must("PUT", "/config", {"compatibility": "NONE"})
    wait_until(lambda: all(r.get("/config") == {"compatibilityLevel": "NONE"} for r in group), 10, "the config")
    with Load(group, seed, clients=12) as load:
        for step in range(6):
            load.stopping.wait(rng.uniform(0.5, 1.5))
            victim = rng.randrange(INSTANCES)
            with load.lock:
                load.up.discard(victim)
            group[victim].kill()
            if step == 2:
                broker = rng.choice(own_cluster.ids)
                own_cluster.kill(broker)
                load.stopping.wait(rng.uniform(0.5, 1.5))
                own_cluster.start(broker)
            load.stopping.wait(rng.uniform(0, 0.5))
            group[victim].start()
            with load.lock:
                load.up.add(victim)
        load.stopping.wait(1)
    print(dict(load.outcomes), "promised", len(load.promised))
    assert not load.wrong, load.wrong
    assert load.outcomes[200] > 100
    truth = one_truth(group)
    check_ids(truth)
    stored = {(s["subject"], s["schema"]): (s["id"], s["version"]) for s in truth["schemas"]}
    for key, promise in load.promised.items():
        assert stored.get(key) == promise, f"{key}: promised {promise}, stored {stored.get(key)}"
    assert stored.keys() <= load.promised.keys() | load.doubtful
    gone = {(s["subject"], s["version"]) for s in truth["schemas"] if s.get("deleted")}
    assert load.deleted and load.deleted <= gone, load.deleted - gone
    for subject, level in load.levels.items():
        if level:
            assert group[0].get(f"/config/{subject}") == {"compatibilityLevel": level}
    for r in group:
        r.close()


def at_once(*calls):
    """Runs the calls together; their results in order."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i, call):
        barrier.wait()
        results[i] = call()

    threads = [threading.Thread(target=run, args=(i, c)) for i, c in enumerate(calls)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_the_same_schema_at_once_everywhere_is_one(four):
    for n in range(12):
        body = {"schema": avro(f"One{n}")}
        answers = at_once(*(lambda r=r: r.must("POST", f"/subjects/one{n}/versions", body) for r in four))
        assert len({(a["id"], a["version"]) for a in answers}) == 1 and answers[0]["version"] == 1, answers
    check_ids(one_truth(four))


def test_an_id_is_imported_for_one_content_only(four):
    four[0].must("PUT", "/mode", {"mode": "IMPORT"})
    wait_until(lambda: all(r.get("/mode")["mode"] == "IMPORT" for r in four), 10, "mode IMPORT everywhere")
    for n in range(10):
        def post(r, subject, name):
            return lambda: r.ask("POST", f"/subjects/{subject}/versions",
                                 {"schema": avro(name), "id": 500 + n, "version": 1})

        answers = at_once(post(four[0], f"left{n}", f"Left{n}"), post(four[1], f"right{n}", f"Right{n}"),
                          post(four[2], f"left{n}", f"Left{n}"))
        assert answers[0][0] == answers[2][0], answers
        assert sorted((answers[0][0], answers[1][0])) == [200, 422], answers
        refused = answers[1] if answers[1][0] == 422 else answers[0]
        assert refused[1]["error_code"] == 42205, refused
    truth = one_truth(four)
    check_ids(truth)
    assert {s["id"] for s in truth["schemas"]} == set(range(500, 510))


def test_deleting_races_with_registering(four, seed):
    rng = random.Random(seed)
    seen, lock, wrong = {}, threading.Lock(), []
    until = time.monotonic() + 8
    plans = [[rng.random() for _ in range(5000)] for _ in four]

    def client(r, plan):
        for n, x in enumerate(plan):
            if time.monotonic() > until or wrong:
                return
            try:
                if x < 0.6:
                    text = avro(f"R{int(x * 50)}")
                    status, answer = r.ask("POST", "/subjects/race/versions", {"schema": text})
                    with lock:
                        if status == 200 and seen.setdefault(answer["id"], text) != text:
                            wrong.append(f"id {answer['id']} for {text} and {seen[answer['id']]}")
                    ok = status == 200
                elif x < 0.75:
                    status, answer = r.ask("DELETE", "/subjects/race/versions/latest")
                    ok = status == 200 or answer["error_code"] in (40401, 40402)
                elif x < 0.85:
                    status, answer = r.ask("DELETE", "/subjects/race")
                    ok = status == 200 or answer["error_code"] in (40401, 40404)
                elif x < 0.93:
                    status, answer = r.ask("DELETE", "/subjects/race?permanent=true")
                    ok = status == 200 or answer["error_code"] in (40401, 40405)
                else:
                    level = ("FULL", "NONE", "BACKWARD")[n % 3]
                    status, answer = r.ask("PUT", "/config/race", {"compatibility": level})
                    ok = status == 200
                # a schema that was deleted is not compatible or compatible with what is there: both are answers
                if not ok and not (status == 409 and x < 0.6):
                    wrong.append(f"{x}: {status} {answer}")
            except Exception as e:  # pylint: disable=broad-except
                wrong.append(repr(e))

    threads = [threading.Thread(target=client, args=(r, p)) for r, p in zip(four, plans)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:5]
    assert len(seen) > 5
    truth = one_truth(four)
    for s in truth["schemas"]:
        assert seen[s["id"]] == s["schema"], s
