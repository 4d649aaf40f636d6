# SPDX-License-Identifier: Apache-2.0
"""Client certificates and TLS versions at `castellan registry`."""
import json
import ssl
import warnings

import pytest

from authority import Authority, basic
from registry import Registry

RULES = "RULE:^CN=([^,]+),OU=apps.*$/$1/L,RULE:^CN=([a-z]+)$/$1/,RULE:^CN=both$/x/"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    good, other = Authority(folder / "good"), Authority(folder / "other", "other-ca")
    return {
        "authority": good,
        "server": good.issue("server", "/CN=localhost", "serverAuth", alt="DNS:localhost,IP:127.0.0.1"),
        "alice": good.issue("alice", "/CN=alice"),
        "app": good.issue("app", "/C=DE/O=Acme, Inc/OU=apps/CN=Orders"),
        "plain": good.issue("plain", "/CN=alice", usage=None),
        "expired": good.issue("expired", "/CN=alice", expired=True),
        "for servers": good.issue("srv", "/CN=alice", "serverAuth"),
        "unmapped": good.issue("unmapped", "/O=Nobody"),
        "stranger": other.issue("alice", "/CN=alice"),
    }


def settings(pki, **more):
    return {
        "listeners": "https://127.0.0.1:0",
        "castellan.registry.authentication": None,
        "ssl.keystore.location": pki["server"],
        "ssl.truststore.location": pki["authority"].ca,
        "ssl.principal.mapping.rules": RULES,
        "super.users": "User:alice",
        **more,
    }


def ask(r, pki, certificate=None, headers=None, path="/subjects", version=None):
    context = pki["authority"].context(pki[certificate] if certificate else None, version)
    return r.exchange("GET", path, headers=headers, tls=context)


def start(tmp_path_factory, pki, **more):
    return Registry(tmp_path_factory.mktemp("registry"), settings(pki, **more))


@pytest.fixture(scope="module")
def requested(tmp_path_factory, pki):
    with start(tmp_path_factory, pki, **{"ssl.client.authentication": "REQUESTED"}) as r:
        yield r


@pytest.fixture(scope="module")
def required(tmp_path_factory, pki):
    with start(tmp_path_factory, pki, **{"ssl.client.authentication": "REQUIRED"}) as r:
        yield r


def test_a_certificate_names_its_principal(requested, required, pki):
    for r in (requested, required):
        for certificate in ("alice", "plain"):
            status, _, answer = ask(r, pki, certificate)
            assert (status, answer) == (200, [])


def test_mapping_rules(requested, pki):
    """User:orders is known, and may do nothing."""
    body = {"schema": '"string"'}
    context = pki["authority"].context(pki["app"])
    status, answer = requested.ask("POST", "/subjects/s/versions", body, tls=context)
    assert (status, answer["error_code"]) == (403, 40301)
    status, headers, _ = ask(requested, pki, "unmapped")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="castellan"')


def test_subjects_are_read_as_at_the_gateway(tmp_path_factory, pki):
    """RFC 2253: the last relative name first, special characters escaped."""
    rule = r"RULE:^CN=Orders,OU=apps,O=Acme\\\\, Inc,C=DE$/alice/"
    with start(tmp_path_factory, pki, **{"ssl.client.authentication": "REQUIRED",
                                         "ssl.principal.mapping.rules": rule}) as r:
        assert ask(r, pki, "app")[0] == 200
        assert ask(r, pki, "alice")[0] == 401


@pytest.mark.parametrize("certificate", ["expired", "for servers", "stranger"])
def test_a_bad_certificate_is_refused(requested, required, pki, certificate):
    """Even where none is needed: whoever shows one is held to it."""
    for r in (requested, required):
        status, _, answer = ask(r, pki, certificate)
        assert (status, answer) == (401, {"error_code": 401, "message": "Unauthorized"})
        status, _, answer = ask(r, pki, certificate, path="/health/live")
        assert status == 200


def test_without_a_certificate(requested, required, pki):
    status, headers, _ = ask(requested, pki)
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="castellan"')
    for given in (None, basic("alice", "x")):
        status, headers, _ = ask(required, pki, headers=given)
        assert (status, headers["WWW-Authenticate"]) == (401, None)  # no password will do


def test_a_password_beside_a_certificate_is_what_counts(requested, pki):
    assert ask(requested, pki, "alice", headers=basic("alice", "wrong"))[0] == 401


def test_certificates_are_not_looked_at_unless_asked_for(tmp_path_factory, pki):
    with start(tmp_path_factory, pki) as r:
        assert ask(r, pki, "alice")[0] == 401
        assert ask(r, pki, "stranger", path="/health/ready")[0] == 200


def test_the_older_name(tmp_path_factory, pki):
    with start(tmp_path_factory, pki, **{"ssl.client.auth": "true"}) as r:
        assert ask(r, pki, "alice")[0] == 200
        assert ask(r, pki)[1]["WWW-Authenticate"] is None
    both = {"ssl.client.auth": "true", "ssl.client.authentication": "NONE"}
    with start(tmp_path_factory, pki, **both) as r:  # the newer one wins
        assert ask(r, pki, "alice")[0] == 401


def test_certificates_alone(tmp_path_factory, pki):
    more = {"ssl.client.authentication": "REQUIRED", "authentication.method": "NONE"}
    with start(tmp_path_factory, pki, **more) as r:
        assert ask(r, pki, "alice")[0] == 200
        assert ask(r, pki)[0] == 401


def test_what_is_recorded(tmp_path_factory, pki):
    """A ledger in memory has its audit in the log."""
    def events(r):
        lines = [json.loads(line.split("audit: ", 1)[1]) for line in r.log().splitlines() if "audit: {" in line]
        return [tuple(e.get(n) for n in ("event", "outcome", "principal", "reason")) for e in lines[1:]]

    body, context = {"schema": '"string"'}, pki["authority"].context(pki["alice"])
    with start(tmp_path_factory, pki, **{"ssl.client.authentication": "REQUESTED"}) as r:
        assert r.ask("POST", "/subjects/s/versions", body, tls=context)[0] == 200
        for certificate in ("expired", "stranger", "for servers", "unmapped", None):
            assert ask(r, pki, certificate)[0] == 401
        assert events(r) == [("change", "done", "User:alice", None)] + [
            ("authentication", "refused", None, f"certificate_{why}")
            for why in ("expired", "untrusted", "not_for_clients", "unmapped")
        ]
    more = {"ssl.client.authentication": "REQUESTED", "castellan.registry.authentication": "none"}
    with start(tmp_path_factory, pki, **more) as r:
        assert r.ask("POST", "/subjects/s/versions", body, tls=context)[0] == 200
        assert r.ask("GET", "/subjects", tls=context)[0] == 200
        assert events(r) == [("change", "done", None, None)]
    with start(tmp_path_factory, pki, **{**more, "castellan.audit.enable": "false"}) as r:
        assert r.ask("POST", "/subjects/s/versions", body, tls=context)[0] == 200
        assert "audit" not in r.log()


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("setting,good,bad", [(None, [V12, V13], []), ("TLSv1.3", [V13], [V12]),
                                              ("TLSv1.2", [V12], [V13])])
def test_tls_versions(tmp_path_factory, pki, setting, good, bad):
    with start(tmp_path_factory, pki, **{"ssl.client.authentication": "REQUIRED", "ssl.enabled.protocols": setting}) as r:
        for version in good:
            assert ask(r, pki, "alice", version=version)[0] == 200
        for version in bad:
            with pytest.raises(ssl.SSLError):
                ask(r, pki, "alice", version=version)
        with pytest.raises(ssl.SSLError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ask(r, pki, "alice", version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("more,words", [
    ({"ssl.client.authentication": "SOMETIMES"}, "'SOMETIMES' is not NONE, REQUESTED or REQUIRED"),
    ({"authentication.realm": 'my "own" realm'}, "authentication.realm: quotes"),
    ({"ssl.enabled.protocols": "SSLv3"}, "'SSLv3' is not TLSv1.2 or TLSv1.3"),
    ({"ssl.client.authentication": "REQUIRED", "ssl.truststore.location": None}, "need ssl.truststore.location"),
])
def test_a_wrong_configuration_is_told(tmp_path_factory, pki, more, words):
    with pytest.raises(RuntimeError) as e:
        start(tmp_path_factory, pki, **more).start()
    assert words in str(e.value)
