# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens at `castellan registry`: made with PyJWT, verified against a JWKS in a file or behind HTTPS."""
import functools
import http.server
import json
import ssl
import threading
import time

import pytest

from authority import Authority, basic, bearer
from registry import Registry

jwt = pytest.importorskip("jwt", reason="python3-jwt is not installed")
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm  # noqa: E402

ISSUER = "https://issuer.example"


@functools.lru_cache
def key(kind):
    return {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa2": lambda: rsa.generate_private_key(65537, 2048),
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ed": lambda: ed25519.Ed25519PrivateKey.generate(),
    }[kind]()


def jwk(kind):
    algorithm = {"rsa": RSAAlgorithm, "ec": ECAlgorithm, "ed": OKPAlgorithm}[kind.rstrip("2")]
    public = key(kind).public_key()
    if kind == "ec":  # PyJWT 2.6 does not write EC keys
        numbers = public.public_numbers()
        encode = lambda n: jwt.utils.base64url_encode(n.to_bytes(32, "big")).decode()  # noqa: E731
        fields = {"kty": "EC", "crv": "P-256", "x": encode(numbers.x), "y": encode(numbers.y)}
    else:
        fields = json.loads(algorithm.to_jwk(public))
        fields.pop("key_ops", None)
    return {**fields, "kid": kind}


def jwks(*kinds):
    return json.dumps({"keys": [jwk(k) for k in kinds]})


def token(kind="rsa", alg="RS256", headers=None, **claims):
    given = {"iss": ISSUER, "aud": "registry", "sub": "alice", "exp": int(time.time()) + 300, **claims}
    given = {k: v for k, v in given.items() if v is not None}
    return jwt.encode(given, key(kind), algorithm=alg, headers={"kid": kind, **(headers or {})})


def settings(folder, **more):
    (folder / "keys.json").write_text(jwks("rsa", "ec", "ed"))
    return {
        "castellan.registry.authentication": None,
        "authentication.method": "BEARER",
        "sasl.oauthbearer.jwks.endpoint.url": f"file://{folder}/keys.json",
        "sasl.oauthbearer.expected.issuer": ISSUER,
        "sasl.oauthbearer.expected.audience": "registry",
        "super.users": "User:alice",
        **more,
    }


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    with Registry(folder, settings(folder)) as r:
        yield r


@pytest.mark.parametrize("kind,alg", [("rsa", "RS256"), ("rsa", "PS384"), ("ec", "ES256"), ("ed", "EdDSA")])
def test_a_token_opens(registry, kind, alg):
    for _ in range(2):  # the second comes from what is remembered
        t = token(kind, alg)
        for _ in range(2):
            status, subjects = registry.ask("GET", "/subjects", headers=bearer(t))
            assert (status, subjects) == (200, [])


def test_the_subject_decides(registry):
    body = {"schema": '"string"'}
    assert registry.ask("POST", "/subjects/t-value/versions", body, bearer(token()))[0] == 200
    status, answer = registry.ask("POST", "/subjects/t-value/versions", body, bearer(token(sub="bob")))
    assert (status, answer["error_code"]) == (403, 40301)


NOW = time.time
REFUSED = {
    "expired": (lambda: token(exp=int(NOW()) - 60), "The token has expired"),
    "without expiry": (lambda: token(exp=None), "The token does not expire"),
    "not yet valid": (lambda: token(nbf=int(NOW()) + 120), "The token is not valid yet"),
    "another issuer": (lambda: token(iss="https://evil.example"), "The token's issuer is not the expected one"),
    "another audience": (lambda: token(aud=["gateway"]), "The token is meant for another audience"),
    "no subject": (lambda: token(sub=None), "The token names no subject"),
    "everybody": (lambda: token(sub="*"), "The token names no subject"),
    "unknown key": (lambda: token("rsa2"), "The token's key is not known"),
    "another's key": (lambda: token("rsa2", headers={"kid": "rsa"}), "The token's signature is wrong"),
    "none": (lambda: jwt.encode({"sub": "alice", "exp": NOW() + 60}, None, algorithm="none"),
             "The token's algorithm is not accepted"),
    "HMAC with the public key": (
        # PyJWT refuses PEM as a secret; the document itself is public too
        lambda: jwt.encode({"sub": "alice", "iss": ISSUER, "aud": "registry", "exp": NOW() + 60}, jwks("rsa"),
                           algorithm="HS256", headers={"kid": "rsa"}),
        "The token's algorithm is not accepted"),
    "critical header": (lambda: token(headers={"crit": ["x"], "x": 1}),
                        "The token's header asks for an extension that is not supported"),
    "garbage": (lambda: "garbage", "The token is not a signed JWT in compact form"),
    "cut": (lambda: token()[:-10], "The token's signature is wrong"),
    "huge": (lambda: token(sub="a" * 9500), "The token is too large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_token_is_refused(registry, name):
    make, words = REFUSED[name]
    t = make()
    status, headers, answer = registry.exchange("GET", "/subjects", headers=bearer(t))
    assert (status, answer) == (401, {"error_code": 401, "message": "Unauthorized"})
    assert headers.get_all("WWW-Authenticate") == [
        f'Bearer realm="castellan", error="invalid_token", error_description="{words}"'
    ]
    assert not [part for part in t.split(".") if len(part) > 20 and part in registry.log()]


def test_without_a_token_the_challenge_names_no_error(registry):
    for given in (None, basic("alice", "x"), {"Authorization": "Negotiate abc"}):
        status, headers, _ = registry.exchange("GET", "/subjects", headers=given)
        assert (status, headers.get_all("WWW-Authenticate")) == (401, ['Bearer realm="castellan"'])
    assert registry.ask("GET", "/health/live")[0] == 200


def test_basic_and_bearer_together(tmp_path):
    with Registry(tmp_path, settings(tmp_path, **{"authentication.method": "BASIC,BEARER"})) as r:
        status, headers, _ = r.exchange("GET", "/subjects", headers=basic("alice", "wrong"))
        assert status == 401
        assert headers.get_all("WWW-Authenticate") == ['Basic realm="castellan"', 'Bearer realm="castellan"']
        assert r.ask("GET", "/subjects", headers=bearer(token()))[0] == 200


def test_a_required_scope(tmp_path):
    more = {"castellan.oauthbearer.required.scope": "schemas", "sasl.oauthbearer.scope.claim.name": "scp"}
    with Registry(tmp_path, settings(tmp_path, **more)) as r:
        assert r.ask("GET", "/subjects", headers=bearer(token(scp="other schemas")))[0] == 200
        assert r.ask("GET", "/subjects", headers=bearer(token(scp=["schemas"])))[0] == 200
        status, headers, answer = r.exchange("GET", "/subjects", headers=bearer(token(scp="other")))
        assert (status, answer["error_code"]) == (403, 403)
        assert 'error="insufficient_scope"' in headers["WWW-Authenticate"]
        assert 'scope="schemas"' in headers["WWW-Authenticate"]
        last = json.loads(r.log().strip().splitlines()[-1].split("audit: ", 1)[1])
        assert (last["event"], last["principal"], last["reason"]) == ("authorization", "User:alice", "token_scope")


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def test_a_new_key_is_found_and_an_old_one_forgotten(tmp_path):
    more = {"castellan.oauthbearer.jwks.ask.ms": "100"}  # the next refresh is an hour away: the unknown kid brings it on
    with Registry(tmp_path, settings(tmp_path, **more)) as r:
        def status_of(kind):
            return r.ask("GET", "/subjects", headers=bearer(token(kind)))[0]

        assert (status_of("rsa"), status_of("rsa2")) == (200, 401)
        (tmp_path / "keys.json").write_text(jwks("rsa2"))
        wait_for(lambda: status_of("rsa2") == 200)
        assert status_of("rsa") == 401, "what was remembered under an old key must not count any more"
        # a broken document changes nothing
        (tmp_path / "keys.json").write_text("{")
        assert status_of("rsa") == 401
        wait_for(lambda: "keys at hand stay in use" in r.log())
        assert status_of("rsa2") == 200


def test_a_jwks_over_https(tmp_path):
    authority = Authority(tmp_path / "certs")
    certificate = authority.issue("server", "/CN=localhost", "serverAuth", alt="DNS:localhost,IP:127.0.0.1")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = jwks("ec").encode()
            self.send_response(302 if self.path == "/moved" else 200)
            if self.path == "/moved":
                self.send_header("Location", "/keys")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"https://localhost:{server.server_address[1]}"
    trusted = {"castellan.oauthbearer.ssl.truststore.location": authority.ca}
    url = "sasl.oauthbearer.jwks.endpoint.url"
    try:
        more = {url: f"{base}/keys", "sasl.oauthbearer.jwks.endpoint.refresh.ms": "100", **trusted}
        with Registry(tmp_path, settings(tmp_path, **more)) as r:
            assert r.ask("GET", "/subjects", headers=bearer(token("ec", "ES256")))[0] == 200
            wait_for(lambda: len(asked) >= 3)
        for wrong in ({url: f"{base}/moved", **trusted}, {url: f"{base}/keys"}):
            with pytest.raises(RuntimeError) as e:
                Registry(tmp_path, settings(tmp_path, **wrong)).start()
            assert f"sasl.oauthbearer.jwks.endpoint.url: {wrong[url]}:" in str(e.value)
    finally:
        server.shutdown()


BAD_CONFIG = {
    "no URL": ({"sasl.oauthbearer.jwks.endpoint.url": None}, "needs sasl.oauthbearer.jwks.endpoint.url"),
    "no file": ({"sasl.oauthbearer.jwks.endpoint.url": "file:///nowhere/keys.json"}, "/nowhere/keys.json"),
    "in the clear": ({"sasl.oauthbearer.jwks.endpoint.url": "http://127.0.0.1:1/keys"}, "neither https:// nor file:/"),
    "another word": ({"authentication.method": "BASIC,TOKENS"}, "'TOKENS' is not BASIC, BEARER or NONE"),
    "none and one": ({"authentication.method": "NONE,BEARER"}, "NONE stands alone"),
}


@pytest.mark.parametrize("name", BAD_CONFIG)
def test_a_wrong_configuration_is_told(tmp_path, name):
    more, words = BAD_CONFIG[name]
    r = Registry(tmp_path, settings(tmp_path, **more))
    with pytest.raises(RuntimeError) as e:
        r.start()
    assert words in str(e.value) and r.process.returncode in (1, 2)


def test_a_key_set_without_usable_keys_is_an_error(tmp_path):
    given = settings(tmp_path)
    pem = key("rsa").public_key().public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
    for text in (b'{"keys":[{"kty":"oct","k":"AAAA","kid":"rsa"}]}', pem):
        (tmp_path / "keys.json").write_bytes(text)
        with pytest.raises(RuntimeError, match="keys.json: "):
            Registry(tmp_path, given).start()
