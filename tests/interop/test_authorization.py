# SPDX-License-Identifier: Apache-2.0
"""Equal to Kafka: the same requests of the same users under the same rules, to Apache Kafka with its own authorizer,
and through the gateway to an Apache Kafka without one and to bundled brokers. Answers and what exists afterwards are
equal, but for three tables: reserved names (docs/authorization.md), deliberate_differences.txt (for good, too) and
known_faults.txt (until they are mended). A line that no longer holds fails. What Kafka answers stands in
tests/golden/authorization_matrix.txt.

UPDATE_GOLDEN=1 writes the matrix and the faults anew; DIFFERENTIAL_ONLY=Fetch,Produce asks these APIs alone."""
import concurrent.futures
import fnmatch
import os
import re
import time

import pytest

import matrix as m
from cases import CASES, OURS
from cases_admin import SHARED_WORK
import cases_twice  # noqa: F401  more cases
from compare import differences, summary
from kafka_messages import KEYS, REQUESTS
from tools import HERE, ROOT, java_class_path
import targets

GOLDEN = ROOT / "tests" / "golden" / "authorization_matrix.txt"
FAULTS, DELIBERATE = HERE / "known_faults.txt", HERE / "deliberate_differences.txt"
RESERVED_TABLE = ROOT / "docs" / "authorization.md"
UPDATE = os.environ.get("UPDATE_GOLDEN")
ONLY = set(filter(None, os.environ.get("DIFFERENTIAL_ONLY", "").split(",")))
GOLDEN_HEAD = """\
# What Apache Kafka 4.3.1 answers under StandardAuthorizer: for each request, the versions, the rights that the user has
# (all that are needed, without one of them, none, or others) and the outcome. Names: t, u topics, g, h groups, x, y
# transactional ids; "t/0=ERROR" is the error of partition 0 of topic t, "=ERROR" that of the whole answer, "t:hex" the
# operations told of t. "left" is what exists afterwards under the names of this request alone. Written by
# tests/interop/test_authorization.py with UPDATE_GOLDEN=1; have someone read the diff.""".splitlines()
FAULTS_HEAD = """\
# Where we differ from Kafka and should not, one line each: API and versions | request | rights | through which system |
# where in the answer, and what each says. The test fails when a line no longer holds, and when one is missing: the file
# only shrinks. Written by tests/interop/test_authorization.py with UPDATE_GOLDEN=1.""".splitlines()
SHARED_TOPICS = ("t-shared", "u-shared")


def prepare_shared(target):
    """Topics with a record, groups with offsets, transactional ids without a transaction."""
    m.create_topics(target, [*SHARED_TOPICS, OURS])
    asking = m.Asking(m.Run(CASES[0], 0, "shared", None), target)
    asking.run.names = {r: f"{r}-shared" for r in m.ROLES}
    for work in SHARED_WORK:
        work(asking)
    target.learn_topics()


def work_of(target, matrix, runs):
    """Everything asked of one target: what changes nothing first, so that lists are the same at every target."""
    offered = m.advertised(target)
    runs = [r for r in runs if r.version in offered.get(KEYS[r.case.api], [])]
    m.prepare_users(target, matrix)
    prepare_shared(target)
    last = [r for r in runs if r.case.last]
    changing = [r for r in runs if r.case.own and not r.case.last]
    outcomes = {run: m.perform(run, target) for run in runs if not run.case.own and not run.case.last}
    m.create_topics(target, [run.names[t] for run in changing for t in run.case.topics])
    outcomes |= {run: m.perform(run, target) for run in changing}
    left = m.left_behind(target)
    return outcomes | {run: m.perform(run, target) for run in last}, left


class Asked:
    def __init__(self, systems, matrix):
        self.targets = systems.start()
        offered = [m.advertised(t) for t in self.targets]

        def versions(api):
            """What Kafka and one of the others serve."""
            return [v for v in offered[0].get(KEYS[api], []) if v in REQUESTS[KEYS[api]].versions and any(v in o.get(
                KEYS[api], []) for o in offered[1:])]

        self.runs = [r for r in matrix.runs(versions) if not ONLY or r.case.api in ONLY]
        with concurrent.futures.ThreadPoolExecutor(len(self.targets)) as pool:
            done = list(pool.map(lambda t: work_of(t, matrix, self.runs), self.targets))
        self.outcomes, self.left = [d[0] for d in done], [d[1] for d in done]

    def left_by(self, run, i):
        """What run left at target i, by role."""
        return {r: ", ".join(self.left[i][run.names[r]]) for r in run.case.own if run.names[r] in self.left[i]}

    def outcome(self, run, i):
        return {**self.outcomes[i][run], "left": self.left_by(run, i)}


@pytest.fixture(scope="module")
def asked(request):
    java_class_path("broker")  # skips where it cannot be had
    matrix = m.Matrix(CASES)
    systems = targets.Systems(list(matrix.users.values()))
    try:
        started = time.monotonic()
        result = Asked(systems, matrix)
        print(f"{len(result.runs)} requests to each of the systems in {time.monotonic() - started:.0f} s")
        yield result
    except BaseException:
        print(systems.logs())
        raise
    finally:
        systems.close()


def ranges(numbers):
    """3,4,5,7 as "3-5,7"."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def merged(rows):
    """(key, version) pairs as one (key, versions) each, in the order they came."""
    versions = {}
    for key, v in rows:
        versions.setdefault(key, set()).add(v)
    return [(key, ranges(v)) for key, v in versions.items()]


def effective_matrix(asked):
    """One line for each case, rights and range of versions: what Kafka answers, and what is there afterwards."""
    rows = []
    for run in asked.runs:
        left = [f"{r}: {what}" for r, what in sorted(asked.left_by(run, 0).items())]
        answer = asked.outcomes[0][run]
        text = answer["answer"] if "answer" in answer else " ".join(summary(answer)) or "-"
        rows.append(((run.case, run.variant, text, "; ".join(left)), run.version))
    lines, heading = [], None
    for (case, variant, text, left), versions in merged(rows):
        if heading is not case:
            heading = case
            lines += ["", f"{case.api}: {case.shape}"]
        lines.append(f"    v{versions} {variant} -> {text}" + (f"  | left {left}" if left else ""))
    return lines


class Reserved:
    """A row of the table in docs/authorization.md, where we refuse on purpose."""

    def __init__(self, line):
        names, apis, _, self.answer, _ = [c.strip() for c in line.strip("|").split(" | ")]
        self.line, self.names, self.apis = line, re.findall(r"`([^`]+)`", names), re.findall(r"[A-Z]\w+", apis)

    def covers(self, run, answer):
        return (run.case.about and any(fnmatch.fnmatchcase(run.case.about, n) for n in self.names)
                and (not self.apis or run.case.api in self.apis)
                and any(item.endswith("=" + self.answer) for item in summary(answer)))


def reserved_rows():
    return [Reserved(line) for line in RESERVED_TABLE.read_text().splitlines() if re.match(r"\| .*`", line)]


def found_differences(asked):
    """(api, shape, rights, target, path, Kafka's, ours) and versions, but for what is reserved."""
    rows, reserved = [], reserved_rows()
    for run in asked.runs:
        kafka = asked.outcome(run, 0)
        for i, target in enumerate(asked.targets[1:], 1):
            if run not in asked.outcomes[i]:
                continue  # not served, as ApiVersions tells
            if any(row.covers(run, asked.outcomes[i][run]) for row in reserved):
                continue
            for path, a, b in sorted(differences(kafka, asked.outcome(run, i))):
                rows.append(((run.case.api, run.case.shape, run.variant, target.name, path, a, b), run.version))
    return merged(rows)


def fault_lines(found):
    """One line for each difference, with all the rights, targets and versions it shows in."""
    where = {}
    for (api, shape, variant, target, path, a, b), versions in found:
        where.setdefault((api, shape, path, a, b, target, versions), []).append(variant)
    sides = {}
    for (api, shape, path, a, b, target, versions), variants in where.items():
        sides.setdefault((api, shape, path, a, b, versions, "; ".join(variants)), []).append(target)
    return sorted(f"{api} v{versions} | {shape} | {variants} | {' and '.join(names)} | {path}: "
                  f"Kafka says {a}, we say {b}" for (api, shape, path, a, b, versions, variants),
                      names in sides.items())


def read_lines(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")] if path.exists() else [
        ]


def read_rows(path):
    return [[w.strip() for w in line.split(" | ")] for line in read_lines(path)]


def is_meant(difference, row):
    """A row: what it is about, in which APIs (or "API: request"), our answer (words may have * in them), and why."""
    api, shape, _, _, path, _, ours = difference
    name, apis, answer, _ = row
    labels = [part.split("]")[0] for part in path.split("[")[1:]] + path.split(".")[-1:]
    return (any(fnmatch.fnmatchcase(f"{api}: {shape}" if ":" in a else api, a) for a in apis.split(","))
            and fnmatch.fnmatchcase(ours, answer) and any(fnmatch.fnmatchcase(x, name) for x in labels))


def test_the_reference_answers_as_before(asked):
    """Kafka itself, against the golden file."""
    lines = effective_matrix(asked)
    if UPDATE and not ONLY:
        GOLDEN.write_text("\n".join([*GOLDEN_HEAD, *lines]) + "\n")
    golden = read_lines(GOLDEN)
    told = [line for line in lines if line]
    if not ONLY:
        assert told == golden


def test_answers_and_effects_are_kafkas(asked):
    found = found_differences(asked)
    rows = read_rows(DELIBERATE)
    unmeant = [d for d in found if not any(is_meant(d[0], row) for row in rows)]
    lines = fault_lines(unmeant)
    if UPDATE and not ONLY:
        FAULTS.write_text("\n".join([*FAULTS_HEAD, *lines]) + "\n")
    apis = ONLY or {c.api for c in CASES}
    known = [line for line in read_lines(FAULTS) if line.split(" v")[0] in apis]
    new, mended = [x for x in lines if x not in known], [x for x in known if x not in lines]
    assert not new, "differences from Kafka that nobody knows of:\n" + "\n".join(new)
    assert not mended, "no longer so; take these lines out of known_faults.txt:\n" + "\n".join(mended)
    if not ONLY:
        idle = [row.line for row in reserved_rows() if not any(
            row.covers(run, asked.outcomes[i][run]) for run in asked.runs for i in (1, 2) if run in asked.outcomes[i])]
        assert not idle, f"no request was answered so: {idle}"
        unused = [row for row in rows if not any(is_meant(d[0], row) for d in found)]
        assert not unused, f"nothing differs so, take them out of deliberate_differences.txt: {unused}"
    if known:
        pytest.xfail(f"{len(known)} lines of known_faults.txt still hold")
