# SPDX-License-Identifier: Apache-2.0
"""Python's clients at their current versions: confluent-kafka with its serializers, and python-schema-registry-client."""
import json

from tools import HERE, run_steps, venv_python


def test_confluent_kafka(request):
    python = venv_python("confluent")
    run_steps(python, HERE / "python" / "confluent_serializers.py", request.getfixturevalue("where"))


def test_confluent_kafka_lists_topics_subscribes_by_pattern_and_makes_users(request):
    run_steps(venv_python("confluent"), HERE / "python" / "confluent_admin.py", request.getfixturevalue("where"))


def test_python_schema_registry_client(request):
    python = venv_python("community")
    where = request.getfixturevalue("where")
    # its own setting for the CA counts only beside a client certificate
    run_steps(python, HERE / "python" / "community_client.py", where, SSL_CERT_FILE=json.loads(where)["ca"])
