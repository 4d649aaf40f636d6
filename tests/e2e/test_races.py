# SPDX-License-Identifier: Apache-2.0
"""Four workers under mixed load (mixed_load.py) with changes of rules, users, limits and policies: nothing crashes, no
assertion fails, and a program built with a sanitizer has nothing to tell. CASTELLAN_RACES_SECONDS is how long the load
runs; ./check --long runs it longer, with the program built by TSan (CASTELLAN_TSAN) and by ASan with UBSan."""
import os
import re
import signal

import pytest

import mixed_load
from system import ROOT, System

SECONDS = float(os.environ.get("CASTELLAN_RACES_SECONDS", "15"))
WORKERS = 4
SETTINGS = {"num.network.threads": WORKERS, "castellan.connection.creation.rate.per.address": 100000}
START_SECONDS = 120
GATEWAY_ENDS_SECONDS = 60
SUPPRESSIONS = ROOT / "tests" / "tsan" / "suppressions"
ENDED = re.compile(r"\b(was ended by signal (?!9;)\d+|ended with status (?!0;)\d+)")  # 9: brokers killed by the test


@pytest.fixture
def sanitizers(tmp_path, monkeypatch):
    """The folder where a sanitizer writes its reports."""
    folder = tmp_path / "reports"
    folder.mkdir()
    common = f"log_path={folder}/report:exitcode=0"
    monkeypatch.setenv("TSAN_OPTIONS", f"{common}:history_size=4:second_deadlock_stack=1")
    monkeypatch.setenv("ASAN_OPTIONS", f"{common}:detect_leaks=1")
    monkeypatch.setenv("UBSAN_OPTIONS", f"{common}:print_stacktrace=1")
    return folder


def passed_over():
    """[(library, function or "-")] of tests/tsan/suppressions."""
    lines = SUPPRESSIONS.read_text().splitlines()
    return [line.split()[:2] for line in lines if line and not line.startswith("#")]


ACCESS = re.compile(r"^  (?:Previous )?(?:atomic )?(?:read|write) of size", re.I | re.M)
INTERCEPTED = re.compile(r"\((?:libtsan|libc)\.so")
OURS = "(castellan+"


def accesses(report):
    """The two of a race, each as its frames without TSan's own, innermost first; and whether the library's free made it."""
    out = []
    for part in report.split("\n\n"):
        if ACCESS.search(part):
            frames = re.findall(r"^\s+#\d+ (.*)", part, re.M)
            freed = bool(frames) and frames[0].startswith("free ")
            out.append(([f for f in frames if not INTERCEPTED.search(f)], freed))
    return out


def is_passed_over(report, rows):
    if "data race" not in report:
        return False
    sides = accesses(report)
    if len(sides) != 2 or not all(frames for frames, _ in sides):
        return False

    def inside(frames, library):
        return f"({library}." in frames[0]

    for library, function in rows:
        if function == "-":
            if all(any(inside(frames, name) for name, other in rows if other == "-") for frames, _ in sides) \
                    and any(inside(frames, library) for frames, _ in sides) \
                    and any(not any(OURS in f for f in frames) for frames, _ in sides):
                return True
            continue
        for (freeing, freed), (reading, _) in (sides, sides[::-1]):
            if freed and inside(freeing, library) and any(f.startswith(function + " ") for f in reading):
                return True
    return False


def reports(folder):
    rows, found = passed_over(), []
    for path in sorted(folder.iterdir()):
        text = path.read_text(errors="replace")
        parts = re.split(r"^={18,}$", text, flags=re.M) if "ThreadSanitizer" in text else [text]
        found += [f"{path.name}:{part}" for part in parts
                  if re.search(r"WARNING|ERROR|runtime error|FATAL", part) and not is_passed_over(part, rows)]
    return found


def set_workers(system):
    """More of them in the properties that `up` wrote, and the gateway started again by its supervisor."""
    path = system.data / "gateway" / "gateway.properties"
    lines = [line for line in path.read_text().splitlines() if line.split("=")[0] not in SETTINGS]
    path.write_text("".join(f"{line}\n" for line in lines + [f"{key}={value}" for key, value in SETTINGS.items()]))
    (old,) = mixed_load.roles(system)["gateway"]
    os.kill(old, signal.SIGTERM)
    mixed_load.wait_until(lambda: mixed_load.roles(system)["gateway"] not in ([], [old]) and mixed_load.is_ready(system),
                          START_SECONDS, "the gateway was not started again:\n" + system.logs())


def workers(system):
    return len(system.admin("GET", "/v1/status")[1]["workers"])


def test_nothing_races_under_mixed_load(sanitizers):
    system = System()
    try:
        system.start(START_SECONDS)
        set_workers(system)
        (gateway,) = mixed_load.roles(system)["gateway"]
        assert workers(system) == WORKERS
        with mixed_load.Load(system) as load:
            load.over.wait(SECONDS / 3)
            mixed_load.kill_each_broker(system)
            load.over.wait(2 * SECONDS / 3)
            assert mixed_load.roles(system)["gateway"] == [gateway], "the gateway crashed:\n" + system.logs()
            os.kill(gateway, signal.SIGTERM)  # under load
            mixed_load.wait_until(lambda: gateway not in mixed_load.roles(system)["gateway"], GATEWAY_ENDS_SECONDS,
                                  "the gateway does not stop:\n" + system.logs())
        assert system.stop() == 0
        log = (system.data.parent / "up.log").read_text()
        print(dict(load.done), load.failed, sep="\n")
        assert not ENDED.search(log), log + system.logs()
        found = reports(sanitizers)
        assert not found, "\n".join(found)
        assert not load.unexpected
        assert not load.never_done(), "these never succeeded, with the last reason"
    finally:
        system.close()
