# SPDX-License-Identifier: Apache-2.0
"""A registry's life beside its cluster: a topic it must not use, a cluster that is away, stopping while clients wait."""
import json
import os
import pathlib
import socket
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from registry import Registry, avro


def make_topic(cluster, name, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    topic = NewTopic(name, partitions, replication_factor=1, config=config)
    admin.create_topics([topic])[name].result(timeout=20)


@pytest.mark.parametrize("partitions, config, words", [
    (1, {"cleanup.policy": "delete"}, "cleanup.policy is 'delete' and must be 'compact'"),
    (1, {"cleanup.policy": "compact,delete"}, "must be 'compact'"),
    (3, {"cleanup.policy": "compact"}, "must have 1 partition and has 3"),
])
def test_a_topic_that_would_lose_schemas_is_refused(cluster, tmp_path, partitions, config, words):
    topic = f"_wrong-{os.getpid()}-{partitions}-{len(config['cleanup.policy'])}"
    make_topic(cluster, topic, partitions, **config)
    r = Registry(tmp_path, {"kafkastore.topic": topic}, cluster.bootstrap).launch()
    assert r.wait() == 2
    assert words in r.log() and topic in r.log()


def test_the_topic_has_a_replica_on_every_broker_it_can(cluster, tmp_path):
    topic = f"_replicated-{os.getpid()}"
    r = Registry(tmp_path, {"kafkastore.topic": topic}, cluster.bootstrap).start()
    r.close()
    found = AdminClient({"bootstrap.servers": cluster.bootstrap}).list_topics(topic, timeout=20).topics[topic]
    assert [len(p.replicas) for p in found.partitions.values()] == [3] or "the cluster takes no 3 replicas" in r.log()
    again = f"_single-{os.getpid()}"
    r = Registry(tmp_path, {"kafkastore.topic": again, "kafkastore.topic.replication.factor": 1}, cluster.bootstrap,
                 "again").start()
    r.close()
    found = AdminClient({"bootstrap.servers": cluster.bootstrap}).list_topics(again, timeout=20).topics[again]
    assert [len(p.replicas) for p in found.partitions.values()] == [1]


def test_a_cluster_that_is_away_at_start(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
        r = Registry(tmp_path, {"kafkastore.init.timeout.ms": 1500}, nowhere, "patience").launch()
        assert r.wait() == 1
        assert "kafkastore.init.timeout.ms=1500" in r.log()
        r = Registry(tmp_path, bootstrap=nowhere, name="forever").launch()
        deadline = time.monotonic() + 10
        while "cannot read yet, trying for ever" not in r.log():
            assert time.monotonic() < deadline, r.log()
            time.sleep(0.05)
        r.stop(seconds=10)  # SIGTERM ends the waiting, too


class Waiting:
    """A request that was sent, of which the server has read every byte, and whose answer is still to come."""

    def __init__(self, registry, method, path, body):
        self.connection = registry.connect()
        self.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        here, there = self.connection.sock.getsockname()[1], self.connection.sock.getpeername()[1]
        deadline = time.monotonic() + 10
        while self.unread(there, here):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @staticmethod
    def unread(server, client):
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].split(":")[1], 16) == server and int(words[2].split(":")[1], 16) == client:
                return int(words[4].split(":")[1], 16)  # rx_queue
        return 1

    def answer(self):
        answer = self.connection.getresponse()
        text = answer.read()
        self.connection.close()
        return answer.status, json.loads(text)


def test_a_change_that_cannot_be_committed_times_out(own_cluster, tmp_path):
    r = Registry(tmp_path, {"kafkastore.timeout.ms": 1500}, own_cluster.bootstrap).start()
    registered = r.must("POST", "/subjects/s/versions", {"schema": avro("A")})
    own_cluster.kill(*own_cluster.ids)
    asked = [("POST", "/subjects/s/versions", {"schema": avro("A", ())}, 50002, "Register operation timed out"),
             ("POST", "/subjects/s/versions", {"schema": avro("A", ("b", ))}, 50002, "Register operation timed out"),
             ("DELETE", "/subjects/s/versions/1", None, 50002, "Delete Schema Version operation timed out"),
             ("DELETE", "/subjects/s", None, 50002, "Delete subject operation timed out"),
             ("PUT", "/mode", {"mode": "READONLY"}, 50002, "Update mode operation timed out"),
             ("PUT", "/config", {"compatibility": "NONE"}, 50001, "Failed to update compatibility level")]
    for method, path, body, code, words in asked:
        began = time.monotonic()
        status, answer = r.ask(method, path, body)
        assert (status, answer["error_code"]) == (500, code), answer
        assert answer["message"].startswith(words), answer
        assert time.monotonic() - began < 12
    # what is known is still served, and answered when nothing need be written
    assert r.get("/schemas/ids/1")["schema"] == avro("A")
    assert r.must("POST", "/subjects/s/versions", {"schema": avro("A")})["id"] == registered["id"]
    own_cluster.start()
    deadline = time.monotonic() + 30
    while True:
        status, answer = r.ask("POST", "/subjects/t/versions", {"schema": avro("B")})
        if status == 200:
            break
        assert answer["error_code"] == 50002 and time.monotonic() < deadline, answer
    other = Registry(tmp_path, bootstrap=own_cluster.bootstrap, name="other").start()
    assert other.get("/schemas?deleted=true") == r.get("/schemas?deleted=true")
    other.close()
    r.close()


def test_stopping_answers_who_waits(own_cluster, tmp_path):
    r = Registry(tmp_path, bootstrap=own_cluster.bootstrap).start()
    r.must("POST", "/subjects/s/versions", {"schema": avro("A")})
    own_cluster.kill(*own_cluster.ids)
    waiting = [Waiting(r, "POST", f"/subjects/s{n}/versions", {"schema": avro(f"W{n}")}) for n in range(8)]
    r.terminate()
    for w in waiting:
        status, answer = w.answer()
        assert status == 500 and answer["error_code"] in (50001, 50002), answer
    assert r.wait() == 0, r.log()
    own_cluster.start()


def test_stopping_lets_what_is_being_written_end_well(cluster, tmp_path):
    r = Registry(tmp_path, {"kafkastore.topic": f"_stopping-{os.getpid()}"}, cluster.bootstrap).start()
    waiting = [Waiting(r, "POST", f"/subjects/s{n}/versions", {"schema": avro(f"W{n}")}) for n in range(40)]
    r.terminate()
    assert [w.answer()[0] for w in waiting] == [200] * 40
    assert r.wait() == 0, r.log()
