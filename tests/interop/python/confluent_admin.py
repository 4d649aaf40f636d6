# SPDX-License-Identifier: Apache-2.0
"""What confluent-kafka asks for in ways of its own: every topic, subscriptions by pattern, SCRAM users. Argument: where
things are, as JSON. Prints "ok NAME" per step."""
import json
import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (AdminClient, NewTopic, ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion,
                                   UserScramCredentialUpsertion)

WHERE = json.loads(sys.argv[1])
RUN = f"{time.time_ns() // 1000:x}"


def kafka(user, **more):
    return {"bootstrap.servers": WHERE["broker"], "security.protocol": "SASL_SSL", "ssl.ca.location": WHERE["ca"],
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": WHERE["passwords"][user], **more}


def list_topics(admin, topic):
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    topics = admin.list_topics(timeout=20).topics
    assert topic in topics and not topics[topic].error


def subscribe_by_pattern(topic):
    producer = Producer(kafka("admin"))
    producer.produce(topic, b"value")
    assert producer.flush(20) == 0
    consumer = Consumer(kafka("admin", **{"group.id": f"it-{RUN}", "auto.offset.reset": "earliest"}))
    consumer.subscribe([f"^it-py-.*-{RUN}$"])
    message, until = None, time.monotonic() + 60
    while message is None or message.error():
        assert time.monotonic() < until, "nothing came"
        message = consumer.poll(1)
    assert (message.topic(), message.value()) == (topic, b"value")
    consumer.close()


def scram_users(admin):
    user = f"it-py-{RUN}"
    for salt in (None, b"twelve bytes"):
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, info, b"pass-word-9", **({"salt": salt} if salt else {}))
        admin.alter_user_scram_credentials([change])[user].result(20)
        WHERE["passwords"][user] = "pass-word-9"
        assert AdminClient(kafka(user)).list_topics(timeout=20).topics is not None
    described = admin.describe_user_scram_credentials([user])[user].result(20)
    assert [(c.mechanism, c.iterations) for c in described.scram_credential_infos] == [(ScramMechanism.SCRAM_SHA_512, 4096)]
    deletion = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
    admin.alter_user_scram_credentials([deletion])[user].result(20)


def main():
    admin, topic = AdminClient(kafka("admin")), f"it-py-topic-{RUN}"
    for step, work in (("list topics", lambda: list_topics(admin, topic)),
                       ("subscribe by pattern", lambda: subscribe_by_pattern(topic)),
                       ("scram users", lambda: scram_users(admin))):
        work()
        print("ok", step, flush=True)
    print("all steps passed")


main()
