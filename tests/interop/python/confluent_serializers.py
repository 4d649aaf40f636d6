# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka's serializers of Avro, JSON and Protobuf, with references, rules and GUID headers, and its registry
client, through gateway and registry. Argument: where things are, as JSON. Prints "ok NAME" per step."""
import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import (ConfigCompatibilityLevel, Metadata, MetadataProperties, MetadataTags, Rule,
                                             RuleKind, RuleMode, RuleParams, RuleSet, Schema, SchemaReference,
                                             SchemaRegistryClient, ServerConfig, header_schema_id_serializer)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.schema_registry.rule_registry import RuleOverride, RuleRegistry
from confluent_kafka.schema_registry.rules.cel.cel_executor import CelExecutor
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

WHERE = json.loads(sys.argv[1])
RUN = f"{time.time_ns() // 1000:x}"
USER = {"type": "record", "namespace": "shop", "name": "User",
        "fields": [{"name": "name", "type": "string"}, {"name": "age", "type": "int"}]}
USER2 = {**USER, "fields": USER["fields"] + [{"name": "city", "type": "string", "default": ""}]}
WRONG = {**USER, "fields": [{"name": "name", "type": "int"}]}


def name(what):
    return f"it-py-{what}-{RUN}"


def kafka(user, **more):
    return {"bootstrap.servers": WHERE["broker"], "security.protocol": "SASL_SSL", "ssl.ca.location": WHERE["ca"],
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": WHERE["passwords"][user], **more}


def registry(user, password=None):
    return SchemaRegistryClient({"url": WHERE["registry"], "ssl.ca.location": WHERE["ca"], "max.retries": 0,
                                 "basic.auth.user.info": f"{user}:{password or WHERE['passwords'][user]}"})


def ok(step):
    print("ok", step, flush=True)


def refused(status, code, call, *args, text=""):
    try:
        call(*args)
    except SchemaRegistryError as e:
        assert (e.http_status_code, e.error_code) == (status, code) and text in str(e), e
        return
    raise AssertionError(f"not refused: {call}{args}")


class Topic:
    """A topic whose values are validated whole, with one producer and one consumer."""
    producer = Producer(kafka("alice", **{"linger.ms": 0}))
    admin = AdminClient(kafka("admin"))

    def __init__(self, what):
        self.name = name(what)
        self.subject = f"{self.name}-value"
        self.context = SerializationContext(self.name, MessageField.VALUE, headers=[])
        topic = NewTopic(self.name, 1, -1, config={"castellan.value.schema.validation": "payload"})
        self.admin.create_topics([topic])[self.name].result(20)

    def send(self, value, headers=None):
        """The error's code, or None."""
        got = []
        self.producer.produce(self.name, value, headers=headers, on_delivery=lambda e, m: got.append(e and e.code()))
        assert self.producer.flush(30) == 0
        return got[0]

    def read(self, count):
        consumer = Consumer(kafka("bob", **{"group.id": name("group"), "auto.offset.reset": "earliest"}))
        consumer.assign([TopicPartition(self.name, 0, 0)])
        got, until = [], time.monotonic() + 30
        while len(got) < count and time.monotonic() < until:
            message = consumer.poll(0.5)
            if message is not None:
                assert message.error() is None, message.error()
                got.append(message)
        consumer.close()
        assert len(got) == count
        return got

    def there(self, serializer, deserializer, value):
        """Through the gateway as alice and back as bob; then the same bytes cut short are refused."""
        context = SerializationContext(self.name, MessageField.VALUE, headers=[])
        data = serializer(value, context)
        assert self.send(data, context.headers) is None
        assert self.send(data[:-1], context.headers) == KafkaError.INVALID_RECORD
        message = self.read(1)[0]
        return deserializer(message.value(), SerializationContext(self.name, MessageField.VALUE, headers=message.headers()))


def avro():
    topic, sr = Topic("avro"), registry("alice")
    serializer = AvroSerializer(sr, json.dumps(USER))
    user = {"name": "Ann", "age": 30}
    assert topic.there(serializer, AvroDeserializer(registry("bob")), user) == user
    assert sr.get_latest_version(topic.subject).version == 1
    newer = AvroSerializer(sr, json.dumps(USER2))
    assert topic.send(newer({**user, "city": "Ulm"}, topic.context)) is None
    old = AvroDeserializer(registry("bob"), json.dumps(USER2))(topic.read(2)[0].value(), topic.context)
    assert old == {**user, "city": ""}
    refused(409, 409, AvroSerializer(sr, json.dumps(WRONG)), {"name": 1}, topic.context, text="incompatible with an earlier schema")
    ok("Avro: registered by the serializer, evolution")

    topic = Topic("avrolatest")
    sr.register_schema(topic.subject, Schema(json.dumps({**USER, "doc": topic.name}), "AVRO"))
    latest = AvroSerializer(sr, None, conf={"auto.register.schemas": False, "use.latest.version": True})
    assert topic.there(latest, AvroDeserializer(registry("bob")), user) == user
    ok("Avro: the latest version")

    topic = Topic("avroref")
    city = {"type": "record", "namespace": "shop", "name": "City", "fields": [{"name": "city", "type": "string"}]}
    home = {"type": "record", "namespace": "shop", "name": "Home", "fields": [{"name": "home", "type": "shop.City"}]}
    sr.register_schema(name("city"), Schema(json.dumps(city), "AVRO"))
    schema = Schema(json.dumps(home), "AVRO", [SchemaReference("shop.City", name("city"), 1)])
    value = {"home": {"city": "Ulm"}}
    assert topic.there(AvroSerializer(sr, schema), AvroDeserializer(registry("bob")), value) == value
    home_at = sr.get_latest_version(topic.subject)
    assert sr.get_referenced_by(name("city"), 1) == [home_at.schema_id]
    refused(422, 42206, registry("admin").delete_version, name("city"), 1, text="One or more references exist")
    ok("Avro: references")

    topic = Topic("guid")
    conf = {"schema.id.serializer": header_schema_id_serializer}
    serializer = AvroSerializer(sr, json.dumps({**USER, "doc": topic.name}), conf=conf)
    user = {"name": "Annabel", "age": 30}
    assert topic.there(serializer, AvroDeserializer(registry("bob")), user) == user
    assert topic.read(1)[0].value() == b"\x0eAnnabel\x3c"
    ok("Avro: the GUID in a header")


def json_schema():
    topic, sr = Topic("json"), registry("alice")
    person = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Person", "type": "object", "required": ["name"],
              "properties": {"name": {"type": "string"}, "home": {"$ref": "city.json"}}}
    city = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["city"],
            "properties": {"city": {"type": "string"}}}
    sr.register_schema(name("jsoncity"), Schema(json.dumps(city), "JSON"))
    schema = Schema(json.dumps(person), "JSON", [SchemaReference("city.json", name("jsoncity"), 1)])
    serializer = JSONSerializer(schema, sr)
    deserializer = JSONDeserializer(schema, schema_registry_client=registry("bob"))
    value = {"name": "Bo", "home": {"city": "Ulm"}}
    assert topic.there(serializer, deserializer, value) == value
    try:
        serializer({"home": {}}, topic.context)
        raise AssertionError("the client takes what is not of the schema")
    except SerializationError:
        pass
    careless = JSONSerializer(schema, sr, conf={"validate": False})
    assert topic.send(careless({"name": "Bo", "home": {}}, topic.context)) == KafkaError.INVALID_RECORD
    ok("JSON Schema, with a reference")


def protobuf():
    topic, sr = Topic("proto"), registry("alice")
    field = descriptor_pb2.FieldDescriptorProto
    unit = descriptor_pb2.FileDescriptorProto(name=f"unit{RUN}.proto", package="shop", syntax="proto3")
    unit.message_type.add(name="Unit").field.add(name="label", number=1, type=field.TYPE_STRING, label=1)
    crate = descriptor_pb2.FileDescriptorProto(name=f"crate{RUN}.proto", package="shop", syntax="proto3", dependency=[
        unit.name, "google/protobuf/timestamp.proto"])
    crate.message_type.add(name="Other")
    message = crate.message_type.add(name="Crate")
    message.field.add(name="what", number=1, type=field.TYPE_STRING, label=1)
    message.field.add(name="unit", number=2, type=field.TYPE_MESSAGE, label=1, type_name=".shop.Unit")
    message.field.add(name="at", number=3, type=field.TYPE_MESSAGE, label=1, type_name=".google.protobuf.Timestamp")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(unit)
    pool.Add(crate)
    Crate = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Crate"))
    subjects = {"reference.subject.name.strategy": lambda context, reference: name(reference.name if hasattr(reference, "name") else str(reference))}
    serializer = ProtobufSerializer(Crate, sr, {"use.deprecated.format": False, **subjects})
    deserializer = ProtobufDeserializer(Crate, {"use.deprecated.format": False}, registry("bob"))
    value = Crate(what="apples")
    value.unit.label, value.at.seconds = "kg", 7
    assert topic.there(serializer, deserializer, value) == value
    stored = registry("bob").get_latest_version(topic.subject)
    assert "message Crate {" in stored.schema.schema_str, stored.schema.schema_str
    assert [r.name for r in stored.schema.references] == [unit.name]
    serializer(value, topic.context)  # found again, though it was stored as text
    assert sr.get_versions(topic.subject) == [1]
    ok("Protobuf, with an import")


def rules():
    topic, sr = Topic("rules"), registry("alice")
    rule = Rule("adult", "adults only", RuleKind.CONDITION, RuleMode.WRITE, "CEL", ["AGE"], RuleParams({"k": "v"}),
                "message.age >= 18", None, "ERROR", False)
    metadata = Metadata(MetadataTags({"shop.User.name": ["PII"]}), MetadataProperties({"owner": "sales"}), ["owner"])
    text = json.dumps({**USER, "doc": topic.name})
    sr.register_schema(topic.subject, Schema(text, "AVRO", [], metadata, RuleSet(None, [rule])))
    stored = registry("bob").get_latest_version(topic.subject).schema
    assert stored.metadata == metadata, stored.metadata
    assert [r.to_dict() for r in stored.rule_set.domain_rules] == [rule.to_dict()], stored.rule_set
    assert registry("bob").get_latest_with_metadata(topic.subject, {"owner": "sales"}).version == 1
    refused(404, 40403, registry("bob").get_latest_with_metadata, topic.subject, {"owner": "nobody"})
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    own = RuleRegistry()
    own.register_executor(CelExecutor())
    strict = AvroSerializer(sr, None, conf=conf, rule_registry=own)
    assert topic.send(strict({"name": "Ed", "age": 18}, topic.context)) is None
    try:
        strict({"name": "Flo", "age": 17}, topic.context)
        raise AssertionError("the client takes what its rule forbids")
    except SerializationError as e:
        assert "adult" in str(e.__cause__), e.__cause__
    none = RuleRegistry()
    none.register_override(RuleOverride("CEL", None, None, True))
    careless = AvroSerializer(sr, None, conf=conf, rule_registry=none)
    assert topic.send(careless({"name": "Flo", "age": 17}, topic.context)) == KafkaError.INVALID_RECORD
    assert topic.send(careless({"name": "Ed", "age": 19}, topic.context)) is None
    ok("metadata, tags and rules")


def client():
    admin, bob, subject = registry("admin"), registry("bob"), name("client")
    made = admin.register_schema_full_response(subject, Schema(json.dumps(USER), "AVRO"))
    assert (made.version, made.subject) == (1, subject), made
    assert admin.register_schema(subject, Schema(json.dumps(USER2), "AVRO")) != made.schema_id
    assert sorted(bob.get_schema_types()) == ["AVRO", "JSON", "PROTOBUF"]
    assert json.loads(bob.get_schema(made.schema_id).schema_str) == USER
    assert json.loads(bob.get_schema_by_guid(made.guid).schema_str) == USER
    assert subject in bob.get_subjects_by_schema_id(made.schema_id)
    assert subject in [v.subject for v in bob.get_schema_versions(made.schema_id)]
    assert bob.lookup_schema(subject, Schema(json.dumps(USER), "AVRO")).version == 1
    assert subject in bob.get_subjects() and bob.get_versions(subject) == [1, 2]
    assert admin.test_compatibility(subject, Schema(json.dumps(WRONG), "AVRO")) is False
    assert admin.test_compatibility_all_versions(subject, Schema(json.dumps(USER2), "AVRO")) is True
    ok("client: schemas")
    assert admin.get_compatibility() == "BACKWARD" and admin.set_compatibility(subject, "FULL")
    assert admin.get_compatibility(subject) == "FULL"
    rule, upgrade = (Rule("r", None, RuleKind.CONDITION, mode, "CEL", None, None, "true", None, None, False)
                     for mode in (RuleMode.WRITE, RuleMode.UPGRADE))
    rest = ("major", Metadata(None, MetadataProperties({"a": "b"}), None), Metadata(MetadataTags({"x": ["Y"]}), None, None),
            RuleSet(None, [rule]))
    wrong = ServerConfig(ConfigCompatibilityLevel.NONE, None, *rest, RuleSet([rule], None))
    refused(422, 42210, admin.set_config, subject, wrong, text="Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN")
    admin.set_config(subject, ServerConfig(ConfigCompatibilityLevel.NONE, None, *rest, RuleSet([upgrade], None)))
    got = admin.get_config(subject)
    assert (got.compatibility_level, got.compatibility_group) == (ConfigCompatibilityLevel.NONE, "major"), got
    assert got.default_metadata.properties.properties == {"a": "b"} and got.override_metadata.tags.tags == {"x": ["Y"]}
    assert got.default_rule_set.domain_rules[0].expr == "true" and got.override_rule_set.migration_rules[0].name == "r"
    assert admin.delete_config(subject).compatibility_level == ConfigCompatibilityLevel.NONE
    refused(404, 40408, admin.get_config, subject)
    assert admin.get_global_mode() == "READWRITE" and admin.update_mode(subject, "READONLY") == "READONLY"
    assert admin.get_mode(subject) == "READONLY"
    refused(422, 42205, admin.register_schema, subject, Schema(json.dumps({**USER2, "doc": "x"}), "AVRO"))
    assert admin.delete_mode(subject) == "READONLY"
    refused(404, 40409, admin.get_mode, subject)
    assert "." in admin.get_contexts()
    ok("client: configuration, modes, contexts")
    assert admin.delete_version(subject, 2) == 2
    assert admin.delete_subject(subject) == [1] and admin.delete_subject(subject, permanent=True) == [1, 2]
    refused(404, 40401, admin.get_versions, subject)
    refused(401, 401, registry("alice", "wrong").get_subjects)
    refused(403, 40301, registry("alice").register_schema, "elsewhere", Schema(json.dumps(USER), "AVRO"))
    refused(403, 40301, bob.delete_subject, name("city"))
    ok("client: deletes, users, rights")


avro()
json_schema()
protobuf()
rules()
client()
print("all steps passed")
