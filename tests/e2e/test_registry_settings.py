# SPDX-License-Identifier: Apache-2.0
"""Settings that operators bring from the reference, and what they change: pages of other origins, encrypted keys,
validateFields, accepted names, and the times of /metrics."""
import ssl

import pytest

from authority import Authority
from registry import Registry

ORIGIN = "https://ui.example"


def headers_of(registry, method, path, **headers):
    status, answered, _ = registry.exchange(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return status, answered


def test_pages_of_other_origins(tmp_path):
    with Registry(tmp_path, {"access.control.allow.origin": f"https://other.example, {ORIGIN}",
                             "access.control.allow.methods": "GET,POST,PUT,DELETE,OPTIONS",
                             "access.control.allow.headers": "Authorization,Content-Type"}) as registry:
        status, answered = headers_of(registry, "GET", "/subjects", Origin=ORIGIN)
        assert status == 200 and answered["Access-Control-Allow-Origin"] == ORIGIN
        assert answered["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answered.get_all("Vary")
        assert answered["Access-Control-Allow-Methods"] is None
        status, answered = headers_of(registry, "OPTIONS", "/subjects/s/versions", Origin=ORIGIN,
                                      Access_Control_Request_Method="POST")
        assert status == 200 and answered["Access-Control-Allow-Methods"] == "GET,POST,PUT,DELETE,OPTIONS"
        assert answered["Access-Control-Allow-Headers"] == "Authorization,Content-Type"
        assert answered["Access-Control-Max-Age"] == "1800"
        status, answered = headers_of(registry, "GET", "/subjects", Origin="https://ui.example.evil")
        assert status == 200 and answered["Access-Control-Allow-Origin"] is None


def test_any_page_sends_no_credentials(tmp_path):
    with Registry(tmp_path, {"access.control.allow.origin": "*"}) as registry:
        _, answered = headers_of(registry, "GET", "/subjects", Origin=ORIGIN)
        assert answered["Access-Control-Allow-Origin"] == "*"
        assert answered["Access-Control-Allow-Credentials"] is None


def test_no_page_unless_said(tmp_path):
    with Registry(tmp_path) as registry:
        _, answered = headers_of(registry, "OPTIONS", "/subjects", Origin=ORIGIN, Access_Control_Request_Method="GET")
        assert answered["Access-Control-Allow-Origin"] is None
        assert answered["Access-Control-Allow-Methods"] is None


def test_an_encrypted_key(tmp_path):
    ca = Authority(tmp_path / "ca")
    keystore = ca.issue("server", "/CN=localhost", usage="serverAuth", alt="DNS:localhost,IP:127.0.0.1")
    ca.run("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:open sesame", "-out", "server.enc.key")
    keystore.write_text((ca.folder / "server.enc.key").read_text() + (ca.folder / "server.crt").read_text())
    settings = {"listeners": "https://localhost:0", "ssl.keystore.location": keystore}
    with Registry(tmp_path, {**settings, "ssl.key.password": "open sesame"}) as registry:
        context = ssl.create_default_context(cafile=str(ca.ca))
        assert registry.exchange("GET", "/subjects", tls=context)[0] == 200
    with pytest.raises(RuntimeError, match="wrong key or certificate"):
        Registry(tmp_path, {**settings, "ssl.key.password": "open onions"}).start()


def test_names_of_fields_are_validated_when_asked_for(tmp_path):
    dollars = {"schemaType": "JSON", "schema": '{"type":"object","properties":{"$$id":{"type":"string"}}}'}
    twice = {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3"; message M { string a = 1; string b = 1; }'}
    with Registry(tmp_path) as registry:
        assert registry.ask("POST", "/subjects/free/versions", dollars)[0] == 200
        for subject, body, words in (("j", dollars, "Field names cannot start with $$ prefix"), ("p", twice, "")):
            assert registry.ask("PUT", f"/config/{subject}", {"validateFields": True})[0] == 200
            status, answer = registry.ask("POST", f"/subjects/{subject}/versions", body)
            assert (status, answer["error_code"]) == (422, 42201) and words in answer["message"]
            assert registry.ask("GET", f"/subjects/{subject}/versions")[1]["error_code"] == 40401


def test_names_accepted_for_compatibility(tmp_path):
    with Registry(tmp_path, {"host.name": "sr", "leader.eligibility": "true", "inter.instance.protocol": "https",
                             "debug": "false"}) as registry:
        assert registry.ask("GET", "/subjects") == (200, [])
    with pytest.raises(RuntimeError, match="registry.properties:.*no.such.key"):
        Registry(tmp_path, {"no.such.key": "1"}).start()


def test_times_of_routes(tmp_path):
    with Registry(tmp_path) as registry:
        registry.ask("GET", "/subjects")
        registry.ask("GET", "/schemas/ids/1")
        text = registry.ask("GET", "/metrics")[1]
        assert 'castellan_registry_request_seconds_count{method="GET",route="/subjects"} 1' in text
        assert 'castellan_registry_request_seconds_count{method="GET",route="/schemas/ids/*"} 1' in text
        assert 'castellan_registry_request_seconds_count{method="DELETE",route="/subjects/*"} 0' in text
