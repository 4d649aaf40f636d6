# SPDX-License-Identifier: Apache-2.0
"""Java: Spring's client of Confluent's registry, Apache Avro and Kafka's client, in one small program. Confluent's own
serializers are not on Maven Central."""
from tools import HERE, java_class_path, run_steps


def test_spring_and_avro(request):
    class_path = java_class_path("avro")
    castellan = request.getfixturevalue("castellan")
    run_steps("java", "-cp", class_path, HERE / "java" / "avro" / "Orders.java", f"https://localhost:{castellan.base + 200}",
              castellan.ca, castellan.data / "clients" / "admin.properties", castellan.password("admin"))
