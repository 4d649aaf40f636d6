# SPDX-License-Identifier: Apache-2.0
"""kafkajs through the gateway, at the version package.json names."""
import pathlib

from npm import npm_folder, run_node
from system import System

HERE = pathlib.Path(__file__).resolve().parent / "kafkajs"


def test_kafkajs():
    scripts = npm_folder(HERE)
    castellan = System()
    try:
        castellan.start()
        run_node(scripts, "run.js", f"localhost:{castellan.base}", castellan.ca, castellan.password("admin"),
                 castellan.password("bob"), timeout=180)
    finally:
        castellan.close()
