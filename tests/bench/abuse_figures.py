#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What hostile clients cost the gateway: time and memory for each element of a request, what an honest client sees
beside them, memory afterwards, and the price of passing bytes through, beside the brokers' own price for the same.
Part of tests/bench/run; alone: tests/bench/abuse_figures.py [--quick] [--build DIR]."""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from abuse_requests import requests, text  # noqa: E402

MIB = 1 << 20
ELEMENT_US, ELEMENT_BYTES = 2, 200
HONEST_MS = 50
CONNECTIONS = 2000
STORM_RECORDS = 50000
SETTLE_SECONDS = 20
PASS_RECORDS = 500000  # of 1 KiB
FETCH_VERSIONS = 12, 15, 17


def elements(row, system, abuse):
    """At the largest size that was safe to measure; growth: of time from there to four times as many."""
    for r in requests():
        with abuse.Gateway(system) as gateway:
            with gateway.connect("admin") as client:
                if r.key not in client.served():
                    continue
            costs, wrong = abuse.cost_of(gateway, r)
        if wrong:
            row(r.what, wrong, "", "", False)
            continue
        n, spent = max(costs.items())
        micros, size = 1e6 * spent.cpu / n, max(0, spent.bytes) / n
        small, large = (costs[n].cpu if n in costs else 0 for n in abuse.SIZES[-2:])
        row(r.what, f"{micros:.2f} us, {size:.0f} bytes each", f"{n} elements; 4 times as many: "
            + (f"{large / small:.1f} times the time" if large and small else "not tried"),
            f"< {ELEMENT_US} us, {ELEMENT_BYTES} bytes", micros < ELEMENT_US and size < ELEMENT_BYTES)


def honest(row, system, abuse, seconds):
    nobody = {"nobody": lambda gateway, until: time.sleep(max(0, until - time.monotonic()))}
    for what, run in {**nobody, **abuse.ABUSERS}.items():
        def attack(until):
            try:
                run(gateway, until)
            except OSError:
                pass  # refused or closed: as it should be
        with abuse.Gateway(system) as gateway:
            before = gateway.memory()
            with abuse.Honest(gateway) as client, gateway.measured() as spent:
                thread = threading.Thread(target=attack, args=(time.monotonic() + seconds,))
                thread.start()
                thread.join()
        fine = not client.lost and client.p99_ms() < HONEST_MS
        row(f"honest client beside: {what}", f"p99 {client.p99_ms():.0f} ms" + (f", lost: {client.lost}" if client.lost
            else ""), f"at most {client.max_ms():.0f} ms; memory {before / MIB:.0f} + {spent.bytes / MIB:.0f} MiB",
            f"p99 < {HONEST_MS} ms", fine)


def settled(gateway, most):
    """Memory once it is at most this, or after SETTLE_SECONDS."""
    until = time.monotonic() + SETTLE_SECONDS
    while gateway.memory() > most and time.monotonic() < until:
        time.sleep(0.1)
    return gateway.memory()


def afterwards(row, system, abuse, what, work, threads=2):
    with abuse.Gateway(system, **{"num.network.threads": threads}) as gateway:
        with gateway.connect("admin") as client:
            client.served()
        before = gateway.memory()
        with gateway.measured() as spent:
            work(gateway)
        after = settled(gateway, before * 1.2)
    row(f"memory after {what}", f"{after / MIB:.0f} MiB",
        f"{before / MIB:.0f} before, {(before + spent.bytes) / MIB:.0f} meanwhile", "<= 120 % of before",
        after <= before * 1.2)


def storm(records):
    """One record for each of many people, to a topic with a privacy policy."""
    def work(gateway):
        from confluent_kafka import Producer
        config = gateway.system.client_config("admin", **{"bootstrap.servers": f"localhost:{gateway.port}",
                                                          "linger.ms": "20", "queue.buffering.max.messages": "1000000",
                                                          "batch.num.messages": "1000"})
        refused = []
        producer = Producer(config)
        for i in range(records):
            producer.produce("honest-sealed", b"v" * 200, b"person-%d" % i,
                             on_delivery=lambda e, m: e and refused.append(e))
            producer.poll(0)
        assert producer.flush(300) == 0 and not refused, refused[:1]
    return work


def broker_pids(system):
    return [pid for pid in system.pids() if b"broker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


def cpu_of(pids):
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def cipher_seconds():
    """Of one processor, to decrypt and encrypt a gigabyte as TLS does: what no proxy between TLS peers is spared."""
    done = subprocess.run(["openssl", "speed", "-seconds", "1", "-bytes", "16384", "-evp", "aes-256-gcm"], check=True,
                          capture_output=True, text=True, timeout=60)
    return 2 * 1e6 / float(re.search(r"([0-9.]+)k\s*$", done.stdout)[1])


def fetching(row, system, abuse, gigabytes, note):
    """The same for the Fetch versions of clients of different age, asked one at a time."""
    with abuse.Gateway(system) as gateway:
        node = abuse.fill(gateway)
        with gateway.connect("admin", node) as client:
            names = {version: text(b"closed") if version < 13 else abuse.topic_id(client, b"closed")
                     for version in FETCH_VERSIONS}
            cipher, costs = [], {version: [] for version in FETCH_VERSIONS}
            for _ in range(3):
                cipher.append(cipher_seconds())
                for version in FETCH_VERSIONS:
                    frame, before, got = abuse.fetch_of_records(names[version], version), gateway.cpu_seconds(), 0
                    while got < gigabytes * 1e9:
                        client.send_frame(frame)
                        got += client.skip_answer()
                    costs[version].append((gateway.cpu_seconds() - before) / got * 1e9)
    cipher = statistics.median(cipher)
    for version, all_costs in costs.items():
        cost = statistics.median(all_costs)
        row(f"pass-through, Fetch v{version}, {note}: gateway's CPU for 1 GB", f"{cost:.2f} s",
            f"{cost / cipher:.1f} times the bare cipher's {cipher:.2f} s", "no dearer than before", True)


def passing(row, system, abuse, bench, records, rounds):
    """Processor seconds a gigabyte costs the gateway, what the same bytes cost the brokers when they are reached
    without it, over TLS too, and what the bare cipher takes; rounds taken in turn."""
    system.castellan("topic", "create", "passing", "--partitions", "3")
    direct = {"bootstrap.servers": f"127.0.0.1:{system.base + 400}", "security.protocol": "ssl",
              "ssl.ca.location": str(system.data / "secrets" / "cluster-ca.pem"),
              "ssl.certificate.location": str(system.data / "gateway" / "node.pem"),
              "ssl.key.location": str(system.data / "gateway" / "node.key")}
    gigabytes, brokers = records * 1024 / 1e9, broker_pids(system)
    with abuse.Gateway(system, **{"num.network.threads": 2}) as gateway:
        through = system.client_config("admin", **{"bootstrap.servers": f"localhost:{gateway.port}"})
        for kind, more in (("produce", {"acks": "1", "linger.ms": "5"}), ("consume", {"group.id": "passing"})):
            costs = {"gateway": [], "brokers": [], "cipher": []}
            for _ in range(rounds):
                costs["cipher"].append(cipher_seconds())
                for who, config, pids in (("brokers", direct, brokers), ("gateway", through, [gateway.pid])):
                    before = cpu_of(pids)
                    subprocess.run([str(bench / "bench_throughput"), kind, "passing", str(records), "1024",
                                    *(f"{k}={v}" for k, v in {**config, **more}.items())], check=True,
                                   stdout=subprocess.DEVNULL, timeout=300)
                    costs[who].append((cpu_of(pids) - before) / gigabytes)
            mine, theirs, cipher = (statistics.median(costs[who]) for who in ("gateway", "brokers", "cipher"))
            row(f"pass-through, {kind}: gateway's CPU for 1 GB", f"{mine:.2f} s",
                f"{mine / cipher:.1f} times the bare cipher's {cipher:.2f} s; brokers reached directly: {theirs:.2f} s",
                "no dearer than before", True)


def figures(row, build, quick, progress=lambda text: None):
    build = pathlib.Path(build)
    os.environ.setdefault("CASTELLAN_BINARY", str(build / "castellan"))
    import abuse
    from system import System
    system = System()
    try:
        system.start()
        abuse.prepare(system)
        progress("what each element of a request costs")
        elements(row, system, abuse)
        progress("bytes that pass through")  # before there is any policy
        passing(row, system, abuse, build / "tests" / "bench", PASS_RECORDS // (5 if quick else 1), 3 if quick else 5)
        fetching(row, system, abuse, 0.2 if quick else 1, "no policy")
        abuse.prepare_policies(system)
        fetching(row, system, abuse, 0.2 if quick else 1, "a policy elsewhere")
        progress("an honest client beside each abuser")
        honest(row, system, abuse, 3 if quick else 6)
        progress("memory afterwards")
        afterwards(row, system, abuse, f"{CONNECTIONS} TLS connections",
                   lambda gateway: abuse.open_and_close(gateway, CONNECTIONS))
        records = STORM_RECORDS // (5 if quick else 1)
        afterwards(row, system, abuse, f"sealing for {records} people", storm(records))
        afterwards(row, system, abuse, "500,000 empty keys of FindCoordinator", lambda gateway: abuse.ABUSERS[
            "FindCoordinator, 500,000 empty keys"](gateway, time.monotonic() + 1))
    finally:
        system.close()


if __name__ == "__main__":
    at = sys.argv.index("--build") + 1 if "--build" in sys.argv else 0
    figures(lambda *cells: print("  ".join(str(c) for c in cells), flush=True),
            sys.argv[at] if at else ROOT / "build", "--quick" in sys.argv)
