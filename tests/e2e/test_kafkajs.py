# SPDX-License-Identifier: Apache-2.0
"""kafkajs through the gateway. The package comes from the npm registry at the version package.json names; without npm or
the registry the test is skipped by name."""
import pathlib
import shutil
import subprocess

import pytest

from system import ROOT, System

HERE = pathlib.Path(__file__).resolve().parent / "kafkajs"


@pytest.fixture(scope="module")
def scripts():
    """run.js beside its installed package, kept in the build folder between runs."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node are not installed")
    folder = ROOT / "build" / "e2e-kafkajs"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "run.js"):
        shutil.copy(HERE / name, folder / name)
    if not (folder / "node_modules" / "kafkajs").is_dir():
        done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip("the npm registry cannot be reached: " + done.stderr.strip()[-200:])
    return folder


def test_kafkajs(scripts):
    castellan = System()
    try:
        castellan.start()
        done = subprocess.run(["node", "run.js", f"localhost:{castellan.base}", castellan.ca,
                               castellan.password("admin"), castellan.password("bob")], cwd=scripts,
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "all steps passed" in done.stdout
    finally:
        castellan.close()
