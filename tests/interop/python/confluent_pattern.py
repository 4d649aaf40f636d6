# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka (librdkafka) subscribes by pattern in the consumer protocol of KIP-848, as alice, who may read PREFIXa...
and PREFIXb... but not PREFIXsecret. It counts what it asked. Argument: where things are, as JSON. Prints "ok NAME"."""
import json
import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

WHERE = json.loads(sys.argv[1])
PREFIX, QUIET_SECONDS, FOUND_SECONDS = WHERE["prefix"], 10, 60
COUNTED = ("ConsumerGroupHeartbeat", "Metadata", "FindCoordinator")
asked = {}


def kafka(user, **more):
    return {"bootstrap.servers": WHERE["broker"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
            "sasl.username": user, "sasl.password": WHERE["password"], **more}


def count(text):
    asked.clear()
    for broker in json.loads(text)["brokers"].values():
        for api in COUNTED:
            asked[api] = asked.get(api, 0) + broker["req"].get(api, 0)


def produce(*topics):
    producer = Producer(kafka("admin"))
    for topic in topics:
        producer.produce(topic, topic.encode())
    assert producer.flush(30) == 0


def read_until(consumer, topics):
    seen, until = set(), time.monotonic() + FOUND_SECONDS
    while seen != topics:
        assert time.monotonic() < until, (seen, topics, consumer.assignment())
        message = consumer.poll(0.5)
        if message and not message.error():
            seen.add(message.topic())
            assert seen <= topics, seen


def ok(step):
    print("ok", step, flush=True)


admin = AdminClient(kafka("admin"))
consumer = Consumer(kafka("alice", **{"group.id": f"g-{PREFIX}", "group.protocol": "consumer", "auto.offset.reset": "earliest",
                                      "statistics.interval.ms": 200, "stats_cb": count}))
produce(PREFIX + "a", PREFIX + "secret")
consumer.subscribe([f"^{PREFIX}.*"])
read_until(consumer, {PREFIX + "a"})
ok("what it may read")
before, until = dict(asked), time.monotonic() + QUIET_SECONDS
while time.monotonic() < until:
    assert consumer.poll(0.2) is None
more = {api: asked[api] - before.get(api, 0) for api in COUNTED}
assert sum(more.values()) < 10 * QUIET_SECONDS, more
ok(f"quiet: {more} in {QUIET_SECONDS} s")
admin.create_topics([NewTopic(PREFIX + "b", 1, 1)])[PREFIX + "b"].result(30)
produce(PREFIX + "b")
read_until(consumer, {PREFIX + "b"})
ok("a new topic")
consumer.close()
print("all steps passed")
