# SPDX-License-Identifier: Apache-2.0
"""The registry's figures: requests a second beside a server doing nothing, registrations a second, and what 100,000
schemas cost. Part of tests/bench/run; alone: tests/bench/registry_figures.py [--quick] [--build DIR]."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from registry import Registry  # noqa: E402

SCHEMA_BYTES = 1024
SCHEMAS = 100000


def schema_text(name):
    """An Avro record of SCHEMA_BYTES bytes, as it is stored."""
    fields = []
    text = ""
    while len(text) < SCHEMA_BYTES:
        fields.append({"name": f"field{len(fields)}", "type": "string"})
        text = json.dumps({"type": "record", "name": name, "fields": fields}, separators=(",", ":"))
    return text


def quiet(folder, program, **more):
    """One of a single thread that logs nothing."""
    return Registry(folder, {"castellan.registry.threads": 1, "log.level": "error"}, program=program, **more)


def load(bench, registry, connections, seconds, method, path, body="", cpu=None):
    """(requests a second, median microseconds)."""
    words = (["taskset", "-c", str(cpu)] if cpu is not None else []) + \
        [str(bench / "bench_http"), str(registry.address[1]), str(connections), str(seconds), method, path, body]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise SystemExit(done.stderr)
    rate, median, _ = done.stdout.split()
    return float(rate), float(median)


def read_figures(row, program, bench, quick):
    paths = {"limit": "/health/live", "GET /schemas/ids/{id}": "/schemas/ids/1",
             "GET /subjects/{s}/versions/latest": "/subjects/bench-1/versions/latest"}
    rates = {name: [] for name in paths}
    with tempfile.TemporaryDirectory() as folder:
        with quiet(folder, program, cpu=1) as registry:
            for i in range(1, 101):
                registry.must("POST", f"/subjects/bench-{i}/versions", {"schema": schema_text(f"Bench{i}")})
            for _ in range(3 if quick else 9):
                for name, path in paths.items():
                    rates[name].append(load(bench, registry, 16, 1, "GET", path, cpu=0)[0])
    limit = statistics.median(rates.pop("limit"))
    for name, measured in rates.items():
        rate = statistics.median(measured)
        row(f"{name}, one core", f"{rate:.0f}/s", f"{limit:.0f}/s doing nothing: {100 * rate / limit:.0f} %",
            ">= 80 %, > 30000/s", rate / limit >= 0.8 and rate > 30000)


def fill_topic(cluster, n):
    """n registered schemas as the topic holds them, written past the registry."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    topic = NewTopic("_schemas", num_partitions=1, replication_factor=1, config={"cleanup.policy": "compact"})
    admin.create_topics([topic])["_schemas"].result(30)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 20, "enable.idempotence": True,
                         "queue.buffering.max.messages": n + 1})
    for i in range(1, n + 1):
        subject = f"subject-{i:06d}-value"
        key = {"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1}
        value = {"subject": subject, "version": 1, "id": i, "schemaType": "AVRO", "schema": schema_text(f"Record{i:06d}"),
                 "deleted": False}
        producer.produce("_schemas", json.dumps(value, separators=(",", ":")), json.dumps(key, separators=(",", ":")))
        producer.poll(0)
    producer.flush(60)


def state_figures(row, program, bench, quick):
    os.environ["CASTELLAN"] = str(program)
    from conftest import Cluster
    schemas = SCHEMAS // 10 if quick else SCHEMAS
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(folder)
        cluster.start()
        try:
            fill_topic(cluster, schemas)
            starts, memory, lists = [], [], []
            for _ in range(3 if quick else 5):
                with quiet(folder, program, bootstrap=cluster.bootstrap) as registry:
                    starts.append(registry.ready_after)
                    begun, connection = time.monotonic(), registry.connect()
                    connection.request("GET", f"/subjects?limit={schemas}")
                    text = connection.getresponse().read()
                    connection.close()
                    lists.append(1000 * (time.monotonic() - begun))
                    assert text.count(b"subject-") >= min(schemas, 20000)
                    memory.append(registry.rss_mib())
            what = f"{schemas} schemas of 1 KiB"
            row(f"{what}: ready after", f"{statistics.median(starts):.2f} s", "", "< 1 s", statistics.median(starts) < 1)
            row(f"{what}: resident memory", f"{max(memory):.0f} MiB", f"{schemas * SCHEMA_BYTES >> 20} MiB of text",
                "< 200 MiB", max(memory) < 200)
            row(f"{what}: first GET /subjects", f"{max(lists):.0f} ms", "", "< 100 ms", max(lists) < 100)
            with quiet(folder, program, bootstrap=cluster.bootstrap) as registry:
                body = json.dumps({"schema": schema_text("Registered").replace("Registered", "R#")})
                rate, median = load(bench, registry, 32, 3 if quick else 10, "POST", "/subjects/new-#/versions", body)
            row("register a new schema, 32 in flight", f"{rate:.0f}/s", f"median {median / 1000:.1f} ms", ">= 1000/s",
                rate >= 1000)
        finally:
            cluster.stop()


def figures(row, build, quick, progress=lambda text: None):
    build = pathlib.Path(build)
    progress("registry: reads on one core")
    read_figures(row, build / "castellan", build / "tests" / "bench", quick)
    progress("registry: 100,000 schemas, and registering more")
    state_figures(row, build / "castellan", build / "tests" / "bench", quick)


if __name__ == "__main__":
    at = sys.argv.index("--build") + 1 if "--build" in sys.argv else 0
    figures(lambda *cells: print("  ".join(str(c) for c in cells), flush=True),
            sys.argv[at] if at else ROOT / "build", "--quick" in sys.argv)
