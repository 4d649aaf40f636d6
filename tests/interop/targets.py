# SPDX-License-Identifier: Apache-2.0
"""The systems that the differential test asks the same: Apache Kafka with its own authorizer (the reference), the
gateway before an Apache Kafka without one, and the gateway before bundled brokers. One node each, with the id 1."""
import base64
import os
import pathlib
import select
import subprocess
import tempfile
import time
import uuid

from tools import java_class_path
from authority import Authority
from kafka_wire import Connection, scram_upsertion
from system import CASTELLAN, System, free_port_base

NOBODY = uuid.UUID("0badc0de-0000-4000-8000-000000000000")  # the id of no topic
ADMIN, PASSWORD = "admin", "the-tests-own"
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-Xshare:auto"]
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 90, 30, 15


def stop(process):
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class ApacheKafka:
    """A process of its own: broker and controller in one. With users, they log in by PLAIN and an authorizer decides;
    else whoever has a certificate may do everything."""

    def __init__(self, folder, port, users=None, authority=None):
        self.folder, self.class_path = folder, java_class_path("broker")
        self.port, controller = port, port + 1
        lines = {
            "process.roles": "broker,controller", "node.id": 1, "log.dirs": folder / "log",
            "controller.quorum.voters": f"1@localhost:{controller}", "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL",
            "num.partitions": 3, "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 12,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 12, "share.coordinator.state.topic.replication.factor": 1,
            "group.initial.rebalance.delay.ms": 0, "log.cleaner.dedupe.buffer.size": 2 << 20,
        }
        protocol = "SASL_PLAINTEXT" if users else "SSL"
        lines |= {"listeners": f"{protocol}://localhost:{self.port},CONTROLLER://localhost:{controller}",
                  "inter.broker.listener.name": protocol}
        if users:
            login = "org.apache.kafka.common.security.plain.PlainLoginModule required " + " ".join(
                [f'username="{ADMIN}" password="{PASSWORD}"'] + [f'user_{u}="{PASSWORD}"' for u in [ADMIN,
                    *users]]) + ";"
            lines |= {"sasl.enabled.mechanisms": "PLAIN", "sasl.mechanism.inter.broker.protocol": "PLAIN",
                      "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
                      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                      "super.users": f"User:{ADMIN};User:ANONYMOUS"}
        if authority:
            lines |= {"ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM", "ssl.client.auth": "required",
                      "ssl.keystore.location": authority.issue("broker", "/CN=broker", usage="serverAuth,clientAuth",
                                                               alt="DNS:localhost,IP:127.0.0.1"),
                      "ssl.truststore.location": authority.ca}
        folder.mkdir()
        (folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        self.log = open(folder / "kafka.log", "ab")

    def java(self, *words):
        return subprocess.Popen(["java", *JVM, "-cp", self.class_path, *words], stdout=self.log,
            stderr=subprocess.STDOUT)

    def start(self):
        """Returns at once; whoever asks waits (Target.wait)."""
        # an id may begin with a dash, so it is not a word of its own
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        settings = str(self.folder / "server.properties")
        formatting = self.java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", settings)
        assert formatting.wait(START_SECONDS) == 0, self.logs()
        self.process = self.java("kafka.Kafka", settings)

    def logs(self):
        return (self.folder / "kafka.log").read_text(errors="replace")[-3000:]

    def close(self):
        stop(getattr(self, "process", None))
        self.log.close()


class Gateway:
    """`castellan gateway` alone, before a cluster that lets it in by certificate."""

    def __init__(self, folder, port, authority, behind):
        self.folder, self.port = folder, port
        folder.mkdir()
        admin = scram_upsertion(ADMIN, PASSWORD)
        salt, salted = (base64.b64encode(admin[k]).decode() for k in ("Salt", "SaltedPassword"))
        (folder / "users.scram").write_text(
            f"SCRAM-SHA-512=[name={ADMIN},iterations={admin['Iterations']},salt={salt},saltedpassword={salted}]\n")
        lines = {
            "bootstrap.servers": f"localhost:{behind.port}", "listeners": f"SASL_PLAINTEXT://localhost:{self.port}",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,SCRAM-SHA-256", "super.users": f"User:{ADMIN}",
            "castellan.upstream.security.protocol": "SSL", "castellan.upstream.ssl.truststore.location": authority.ca,
            "castellan.upstream.ssl.keystore.location": authority.issue("gateway", "/CN=gateway"),
            "castellan.bootstrap.scram": folder / "users.scram",
        }
        (folder / "gateway.properties").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        self.log = open(folder / "gateway.log", "ab")

    def start(self):
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen([CASTELLAN, "gateway", "-c", self.folder / "gateway.properties"],
            stdout=self.log,
                                        stderr=subprocess.STDOUT, pass_fds=[write_end],
                                        env={**os.environ, "CASTELLAN_READY_FD": str(write_end)})
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], START_SECONDS)
        line = os.read(read_end, 16) if ready else b""
        os.close(read_end)
        assert line.startswith(b"READY"), self.logs()

    def logs(self):
        return (self.folder / "gateway.log").read_text(errors="replace")[-3000:]

    def close(self):
        stop(getattr(self, "process", None))
        self.log.close()


class Target:
    """Where to ask, and a connection for each user."""

    def __init__(self, name, port, admin_password=PASSWORD, ca=None):
        self.name, self.port, self.ca, self.admin_password = name, port, ca, admin_password
        self.connections, self.topic_ids, self.topic_names = {}, {}, {}

    def open(self, user):
        password = self.admin_password if user == ADMIN else PASSWORD
        c = Connection(self.port, ca=self.ca, user=user, password=password)
        c.socket.settimeout(ANSWER_SECONDS)
        return c

    def ask(self, user, api, version, values=None, expect_answer=True):
        if user not in self.connections:
            self.connections[user] = self.open(user)
        try:
            return self.connections[user].ask(api, version, values, expect_answer)
        except (OSError, AssertionError) as e:
            self.connections.pop(user).socket.close()
            raise type(e)(f"{self.name}: {api} v{version} by {user}: {e}") from e

    def admin(self, api, version, values=None):
        return self.ask(ADMIN, api, version, values)

    # ---- topics by their ids ----
    def learn_topics(self):
        for t in self.admin("Metadata", 10, {"Topics": None})["Topics"]:
            self.topic_ids[t["Name"]] = t["TopicId"]
        self.topic_names = {i: n for n, i in self.topic_ids.items()}
        return set(self.topic_ids)

    def id_of(self, name):
        return self.topic_ids.get(name, NOBODY)

    def name_of(self, topic_id):
        return "nobody" if topic_id == NOBODY else self.topic_names.get(topic_id)

    def wait(self, what, seconds=START_SECONDS):
        """Until what(target) is true; a refused or closed connection counts as not yet."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if what(self):
                    return
                why = "not yet"
            except (OSError, AssertionError) as e:
                why = repr(e)
            assert time.monotonic() < deadline, f"{self.name}: {what.__name__} in vain: {why}"
            time.sleep(0.05)

    def close(self):
        for c in self.connections.values():
            c.socket.close()


def serves(target):
    return [b["NodeId"] for b in target.admin("Metadata", 9, {"Topics": []})["Brokers"]] == [1]


class Systems:
    """All of them, started side by side."""

    def __init__(self, users):
        self.temp = tempfile.TemporaryDirectory(prefix="castellan-differential-")
        folder = pathlib.Path(self.temp.name)
        authority = Authority(folder / "pki")
        base = free_port_base()
        self.reference = ApacheKafka(folder / "reference", base, users=users)
        self.behind = ApacheKafka(folder / "behind", base + 2, authority=authority)
        self.gateway = Gateway(folder / "gateway", base + 100, authority, self.behind)
        self.bundled = System(brokers=1, demo_users=False)
        self.targets = []

    def start(self):
        for kafka in (self.reference, self.behind):
            kafka.start()
        self.bundled.start()
        targets = [Target("kafka", self.reference.port)]
        targets[0].wait(serves)
        self.gateway.start()
        targets.append(Target("gateway+kafka", self.gateway.port))
        targets.append(Target("gateway+bundled", self.bundled.base, self.bundled.password("admin"), self.bundled.ca))
        for target in targets:
            target.wait(serves)
        self.targets = targets
        return targets

    def logs(self):
        return "\n".join(f"--- {k}\n{s.logs()}" for k, s in (("reference", self.reference), ("behind", self.behind),
                                                             ("gateway", self.gateway), ("bundled", self.bundled)))

    def close(self):
        for target in self.targets:
            target.close()
        self.bundled.close()
        for one in (self.gateway, self.behind, self.reference):
            one.close()
        self.temp.cleanup()
