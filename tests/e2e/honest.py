# SPDX-License-Identifier: Apache-2.0
"""An honest client: Metadata and a Produce to each topic in turn, one each PACE_SECONDS, however late the answers are.
A latency counts from the moment the request was due, so that a stall is seen by all that would have been sent
meanwhile. A record that is refused ends it.

usage: honest.py PORT CA USER TOPIC...   the password is the first line of its input; it starts at the second and tells
its latencies as JSON when the input ends"""
import json
import select
import struct
import sys
import time

import abuse
import kafka_wire as wire
from kafka_messages import batch

PACE_SECONDS = 0.01
PATIENCE_SECONDS = 60


def connect(port, ca, user, password):
    client = abuse.Client(port, ca, timeout=PATIENCE_SECONDS)
    client.login(user, password)
    return client


def metadata(client, topic):
    return lambda: client.call(3, 4, wire.array([wire.string(topic)]) + b"\0")


def produce(client, topic):
    body = wire.string(None) + struct.pack(">hi", 1, 10000) + wire.array([wire.string(topic) + wire.array(
        [struct.pack(">i", 0) + wire.bytes_(batch((b"k", b"v")))])])

    def call():
        answer = client.call(0, 8, body)
        ((_, (error,)),) = answer.array(lambda r: (r.string(), r.array(lambda p: p.take("ihqqqih")[1])))
        assert error == 0, f"{topic}: error {error}"
    return call


def main(port, ca, user, *topics):
    password = sys.stdin.readline().rstrip("\n")
    asking = connect(int(port), ca, user, password)
    calls = [metadata(asking, topics[0])]
    for topic in topics:
        calls.append(produce(connect(asking.leader_port(topic), ca, user, password), topic))
    for call in calls:
        call()
    print("ready", flush=True)
    sys.stdin.readline()
    due, latencies, lost, turn = time.monotonic(), [], None, 0
    while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
        try:
            calls[turn % len(calls)]()
        except (OSError, AssertionError) as e:
            lost = repr(e)
            break
        latencies.append(time.monotonic() - due)
        due, turn = due + PACE_SECONDS, turn + 1
    while due < time.monotonic() and not lost:  # those that the last one kept from being sent
        latencies.append(time.monotonic() - due)
        due += PACE_SECONDS
    print(json.dumps({"latencies": latencies, "lost": lost}))


if __name__ == "__main__":
    main(*sys.argv[1:])
