# SPDX-License-Identifier: Apache-2.0
"""Black-box HTTP scenarios recorded against the registry's interface, played against `castellan registry` with its
ledger in memory. The scenarios and their player are outside data: absent, the test is skipped by name."""
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
from registry import Registry

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("CASTELLAN_SHARED", ROOT.parent / "shared"))
PLAYER = SHARED / "tools" / "registry_scenarios.py"
SCENARIOS = SHARED / "vectors" / "registry-http" / "scenarios.json"

# Scenarios that cannot hold, by name, with the reason. Empty is the goal.
KNOWN = {}


@pytest.fixture
def registry(tmp_path):
    with Registry(tmp_path) as r:
        yield r.url


@pytest.mark.skipif(not SCENARIOS.exists(), reason=f"{SCENARIOS} is absent")
def test_registry_scenarios(registry):
    started = time.monotonic()
    played = subprocess.run(
        [sys.executable, str(PLAYER), registry, str(SCENARIOS), "--failures", "1000"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    failed = {m.group(1) for m in re.finditer(r"^FAIL (.*)$", played.stdout, re.M)}
    print(played.stdout.splitlines()[-1], f"in {time.monotonic() - started:.1f} s")
    unexpected = failed - KNOWN.keys()
    assert not unexpected, played.stdout
    assert re.search(r"(\d+) passed", played.stdout) and int(re.search(r"(\d+) passed", played.stdout).group(1)) > 500
    assert KNOWN.keys() <= failed, "these hold now, take them off the list: " + ", ".join(KNOWN.keys() - failed)
