# SPDX-License-Identifier: Apache-2.0
"""Kafka's own tools, as their scripts start them, through the gateway: what each prints is what it prints with Kafka."""
import json
import os
import re
import subprocess
import uuid

import pytest

from tools import java_class_path

JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]  # starts faster
TOOLS_SECONDS = 60


class Tools:
    def __init__(self, class_path, castellan):
        self.class_path, self.castellan = class_path, castellan

    def run(self, tool, *words, user="admin", stdin=None, status=0):
        """What the tool org.apache.kafka.tools.TOOL says; its exit status must be the given one."""
        there = ["--bootstrap-server", self.castellan.bootstrap,
                 "--command-config", str(self.castellan.data / "clients" / f"{user}.properties")]
        words = [*words, *there] if tool == "ClusterTool" else [*there, *words]
        command = ["java", *JVM, "-cp", self.class_path, f"org.apache.kafka.tools.{tool}", *words]
        done = subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TOOLS_SECONDS, env=os.environ)
        assert done.returncode == status, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def tools(request):
    class_path = java_class_path("tools")
    return Tools(class_path, request.getfixturevalue("castellan"))


@pytest.fixture
def topic(tools):
    name = f"tools-{uuid.uuid4().hex[:8]}"
    tools.castellan.castellan("topic", "create", name, "--partitions", "2")
    return name


def test_topics(tools):
    name = f"tools-{uuid.uuid4().hex[:8]}"
    out = tools.run("TopicCommand", "--create", "--topic", name, "--partitions", "3", "--config", "retention.ms=3600000")
    assert f"Created topic {name}." in out
    assert name in tools.run("TopicCommand", "--list").split()
    tools.run("TopicCommand", "--alter", "--topic", name, "--partitions", "4")
    out = tools.run("TopicCommand", "--describe", "--topic", name)
    assert "PartitionCount: 4" in out and "Configs: retention.ms=3600000" in out
    assert {int(n) for n in re.findall(r"Leader: (\d+)", out)} <= {1, 2, 3} and out.count("Partition: ") == 4
    assert "already exists" in tools.run("TopicCommand", "--create", "--topic", name, status=1)
    tools.run("TopicCommand", "--delete", "--topic", name)
    assert "does not exist" in tools.run("TopicCommand", "--describe", "--topic", name, status=1)


def test_configs(tools, topic):
    entity = ["--entity-type", "topics", "--entity-name", topic]
    setting = "castellan.value.schema.validation"
    out = tools.run("ConfigCommand", "--alter", *entity, "--add-config", f"{setting}=id,retention.ms=7200000")
    assert f"Completed updating config for topic {topic}." in out
    out = tools.run("ConfigCommand", "--describe", *entity)
    assert f"{setting}=id sensitive=false" in out and "DYNAMIC_TOPIC_CONFIG:retention.ms=7200000" in out
    tools.run("ConfigCommand", "--alter", *entity, "--delete-config", setting)
    assert setting not in tools.run("ConfigCommand", "--describe", *entity)
    out = tools.run("ConfigCommand", "--alter", *entity, "--add-config", "no.such.setting=1", status=1)
    assert "no.such.setting" in out


def test_users_and_quotas(tools):
    carol = ["--entity-type", "users", "--entity-name", "carol"]
    tools.run("ConfigCommand", "--alter", *carol, "--add-config", "SCRAM-SHA-512=[iterations=8192,password=carols-secret]")
    assert "SCRAM-SHA-512=iterations=8192" in tools.run("ConfigCommand", "--describe", *carol)
    tools.run("ConfigCommand", "--alter", *carol, "--add-config", "producer_byte_rate=1048576")
    assert "producer_byte_rate=1048576.0" in tools.run("ConfigCommand", "--describe", *carol)
    properties = (tools.castellan.data / "clients" / "admin.properties").read_text()
    login = properties.replace('username="admin"', 'username="carol"').replace(tools.castellan.password("admin"), "carols-secret")
    (tools.castellan.data / "clients" / "carol.properties").write_text(login)
    tools.run("TopicCommand", "--list", user="carol")
    tools.run("ConfigCommand", "--alter", *carol, "--delete-config", "SCRAM-SHA-512")
    assert "Authentication failed" in tools.run("TopicCommand", "--list", user="carol", status=1)


def test_acls(tools, topic):
    rule = ["--allow-principal", "User:bob", "--operation", "Read", "--operation", "Write", "--topic", topic]
    assert "authorization failed" in produce(tools, topic, "x\n", user="bob")
    out = tools.run("AclCommand", "--add", *rule)
    shown = [f"(principal=User:bob, host=*, operation={o}, permissionType=ALLOW)" for o in ("READ", "WRITE")]
    assert all(line in out for line in shown)
    out = tools.run("AclCommand", "--list", "--topic", topic)
    assert f"resourceType=TOPIC, name={topic}, patternType=LITERAL" in out and all(line in out for line in shown)
    assert "Error" not in produce(tools, topic, "x\n", user="bob")
    tools.run("AclCommand", "--remove", "--force", *rule)
    assert shown[0] not in tools.run("AclCommand", "--list", "--topic", topic)
    assert "ClusterAuthorizationException" in tools.run("AclCommand", "--add", *rule, user="bob", status=1)


def produce(tools, topic, lines, user="admin"):
    return tools.run("ConsoleProducer", "--topic", topic, user=user, stdin=lines)


def test_console_and_groups(tools, topic):
    out = tools.run("ConsoleProducer", "--topic", topic, "--reader-property", "parse.key=true", "--reader-property",
                    "key.separator=:", stdin="a:1\nb:2\nc:3\n")
    assert "Error" not in out and "Exception" not in out
    group = f"group-{topic}"
    out = tools.run("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--max-messages", "3", "--group", group,
                    "--timeout-ms", "30000", "--formatter-property", "print.key=true")
    assert {"a\t1", "b\t2", "c\t3"} <= set(out.splitlines()), out
    assert group in tools.run("consumer.group.ConsumerGroupCommand", "--list").split()
    assert re.search(rf"^{group}\s+Classic", tools.run("GroupsCommand", "--list"), re.M)
    out = tools.run("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
    rows = re.findall(rf"^{group}\s+{topic}\s+(\d+)\s+(\d+)\s+(\d+)\s+0\s", out, re.M)
    assert sum(int(r[1]) for r in rows) == sum(int(r[2]) for r in rows) == 3, out
    out = tools.run("consumer.group.ConsumerGroupCommand", "--reset-offsets", "--group", group, "--topic", topic,
                    "--to-earliest", "--execute")
    assert len(re.findall(rf"^{group}\s+{topic}\s+\d\s+0\s*$", out, re.M)) == 2, out
    out = tools.run("consumer.group.ConsumerGroupCommand", "--delete", "--group", group)
    assert f"Deletion of requested consumer groups ('{group}') was successful." in out


def test_offsets_and_deleting_records(tools, topic, tmp_path):
    produce(tools, topic, "1\n2\n3\n4\n")
    offsets = dict(re.findall(rf"^{topic}:(\d):(\d+)$", tools.run("GetOffsetShell", "--topic", topic), re.M))
    assert sum(map(int, offsets.values())) == 4
    partition = next(p for p, offset in offsets.items() if int(offset) > 0)
    wanted = {"partitions": [{"topic": topic, "partition": int(partition), "offset": int(offsets[partition])}], "version": 1}
    (tmp_path / "offsets.json").write_text(json.dumps(wanted))
    out = tools.run("DeleteRecordsCommand", "--offset-json-file", str(tmp_path / "offsets.json"))
    assert f"partition: {topic}-{partition}\tlow_watermark: {offsets[partition]}" in out
    earliest = tools.run("GetOffsetShell", "--topic", topic, "--time", "earliest")
    assert f"{topic}:{partition}:{offsets[partition]}" in earliest.split()


def test_the_cluster(tools, topic):
    out = tools.run("BrokerApiVersionsCommand")
    assert out.count("Produce(0): 0 to 13 [usable: 13]") == 3, out
    assert re.search(r"Cluster ID: \S+", tools.run("ClusterTool", "cluster-id"))
    out = tools.run("MetadataQuorumCommand", "describe", "--status")
    assert re.search(r"LeaderId:\s+[123]\n", out) and '{"id": 3}' in out
    assert "castellan-ledger-_schemas" not in tools.run("TransactionsCommand", "list", user="bob")
    out = tools.run("LogDirsCommand", "--describe", "--topic-list", topic)
    assert f'"partition":"{topic}-0"' in out
    out = tools.run("VerifiableProducer", "--topic", topic, "--max-messages", "10")
    assert '"acked":10' in out
