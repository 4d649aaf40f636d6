# SPDX-License-Identifier: Apache-2.0
"""python-schema-registry-client against the registry. Argument: where things are, as JSON. Prints "ok NAME" per step."""
import json
import sys
import time

from schema_registry.client import SchemaRegistryClient, schema
from schema_registry.client.errors import ClientError
from schema_registry.serializers import AvroMessageSerializer, JsonMessageSerializer

WHERE = json.loads(sys.argv[1])
SUBJECT = f"it-community-{time.time_ns() // 1000:x}-value"


def registry(user, password=None):
    return SchemaRegistryClient({"url": WHERE["registry"], "ssl.ca.location": WHERE["ca"],
                                 "basic.auth.credentials.source": "USER_INFO",
                                 "basic.auth.user.info": f"{user}:{password or WHERE['passwords'][user]}"})


def user(*more):
    return schema.AvroSchema({"type": "record", "name": "User", "fields": [{"name": "name", "type": "string"}, *more]})


def ok(step):
    print("ok", step, flush=True)


alice, admin = registry("alice"), registry("admin")
first = alice.register(SUBJECT, user())
assert alice.register(SUBJECT, user({"name": "n", "type": "int", "default": 0})) > first
assert registry("bob").get_by_id(first).schema == user().schema
assert registry("bob").get_schema(SUBJECT).version == 2 and alice.get_versions(SUBJECT) == [1, 2]
assert registry("bob").check_version(SUBJECT, user()).version == 1
assert [v.version for v in registry("bob").get_schema_subject_versions(first)] == [1]
assert SUBJECT in alice.get_subjects()
ok("register, look up, list")
assert alice.test_compatibility(SUBJECT, user({"name": "m", "type": "int", "default": 0}))
assert not alice.test_compatibility(SUBJECT, user({"name": "m", "type": "int"}))
try:
    alice.register(SUBJECT, user({"name": "m", "type": "int"}))
    raise AssertionError("an incompatible schema was taken")
except ClientError as e:
    assert e.http_code == 409, e
assert admin.update_compatibility("FULL", SUBJECT) and admin.get_compatibility(SUBJECT) == "FULL"
ok("compatibility")
serializer = AvroMessageSerializer(alice)
data = serializer.encode_record_with_schema(SUBJECT, user(), {"name": "Ann"})
assert AvroMessageSerializer(registry("bob")).decode_message(data) == {"name": "Ann"}
person = schema.JsonSchema({"type": "object", "properties": {"name": {"type": "string"}}})
data = JsonMessageSerializer(alice).encode_record_with_schema("it-json-" + SUBJECT, person, {"name": "Bo"})
assert JsonMessageSerializer(registry("bob")).decode_message(data) == {"name": "Bo"}
ok("serializers")
assert admin.delete_version(SUBJECT, 1) == 1 and admin.delete_subject(SUBJECT) == [2]
for refused, code in ((lambda: registry("alice", "wrong").get_subjects(), 401),
                      (lambda: alice.register("elsewhere", user()), 403)):
    try:
        refused()
        raise AssertionError("not refused")
    except ClientError as e:
        assert e.http_code == code, e
ok("deletes, users")
print("all steps passed")
