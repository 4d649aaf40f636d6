/* SPDX-License-Identifier: Apache-2.0
 * From a fresh connection to one that may send requests: ApiVersions, then SaslHandshake and SaslAuthenticate.
 *
 * ApiVersions goes out in our newest version. A node that does not know it answers error 35 in version 0 of the format,
 * with the versions it has (KIP-511), and we ask again with the newest of those, or 0. Each step sends one request and
 * names the next step as its callback; any failure ends in kafka_client_fail() with the node's own words where it has
 * some. */
#include "core/net/kafka_client_internal.h"

#include "wire/api_versions.h"
#include "wire/keys.h"
#include "wire/sasl_authenticate.h"
#include "wire/sasl_handshake.h"

#include <stdio.h>

enum { NONCE_BYTES = 18 };

void kafka_client_forget_secrets(struct kafka_client *k)
{
    secret_free(&k->password);
    buf_wipe_free(&k->user);
    scram_client_free(&k->scram);
}

static void ask(struct kafka_client *k, int16_t api_key, int16_t version, const void *request, kafka_client_done done)
{
    const struct kafka_call call = {.api_key = api_key, .version = version, .done = done, .user = k};
    enum err err = kafka_client_send_early(k, &call, request);

    if (err)
        kafka_client_fail(k, err, "cannot negotiate with %s: %s", conn_peer(k->conn), err_text(err));
}

static void bad_answer(struct kafka_client *k, const char *what)
{
    kafka_client_fail(k, ERR_MALFORMED, "%s sent a malformed %s answer", conn_peer(k->conn), what);
}

/* ---- SASL ---- */

static const char *mechanism_name(enum kafka_sasl sasl)
{
    switch (sasl) {
    case KAFKA_SASL_NONE:
        return "";
    case KAFKA_SASL_PLAIN:
        return "PLAIN";
    case KAFKA_SASL_SCRAM_SHA_256:
        return "SCRAM-SHA-256";
    case KAFKA_SASL_SCRAM_SHA_512:
        return "SCRAM-SHA-512";
    }
    return "";
}

static void on_authenticate(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body);

static void send_token(struct kafka_client *k, struct buf *token)
{
    struct sasl_authenticate_request r;

    sasl_authenticate_request_init(&r);
    r.auth_bytes = buf_slice(token);
    if (buf_error(token))
        kafka_client_fail(k, buf_error(token), "no memory to authenticate");
    else
        ask(k, WIRE_SASL_AUTHENTICATE, -1, &r, on_authenticate);
}

static void plain_start(struct kafka_client *k)
{
    struct buf token;

    buf_init(&token, 0);
    buf_u8(&token, 0);
    buf_put_slice(&token, buf_slice(&k->user));
    buf_u8(&token, 0);
    buf_put_slice(&token, secret_view(&k->password));
    send_token(k, &token);
    buf_wipe_free(&token);
}

static void scram_start(struct kafka_client *k)
{
    uint8_t random[NONCE_BYTES];
    char nonce[2 * NONCE_BYTES + 1];
    struct buf token;
    struct env *e = loop_env(k->loop);

    e->random(e, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    buf_init(&token, 0);
    if (scram_client_init(&k->scram, k->sasl == KAFKA_SASL_SCRAM_SHA_256 ? SCRAM_SHA_256 : SCRAM_SHA_512,
                          slice_str(nonce)) ||
        scram_client_first(&k->scram, buf_slice(&k->user), &token))
        kafka_client_fail(k, ERR_AUTH, "SCRAM cannot start");
    else
        send_token(k, &token);
    buf_wipe_free(&token);
}

/* Step 0 had server-first for an answer, step 1 server-final. */
static void scram_step(struct kafka_client *k, struct slice from_server)
{
    struct reason why = {0};
    struct buf token;

    if (k->scram_step == 1) {
        if (scram_client_verify(&k->scram, from_server, &why))
            kafka_client_fail(k, ERR_AUTH, "authentication with %s failed: %s", conn_peer(k->conn), why.text);
        else
            kafka_client_came_up(k);
        return;
    }
    k->scram_step = 1;
    buf_init(&token, 0);
    if (scram_client_final(&k->scram, secret_view(&k->password), from_server, &token, &why))
        kafka_client_fail(k, ERR_AUTH, "authentication with %s failed: %s", conn_peer(k->conn), why.text);
    else
        send_token(k, &token);
    buf_wipe_free(&token);
}

static void on_authenticate(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct sasl_authenticate_response r;
    struct cursor c = cursor_of(body);

    (void)user;
    if (err || k->state == KAFKA_CLIENT_DOWN)
        return;
    if (sasl_authenticate_response_decode(&r, &c, version, &k->arena) || cursor_finish(&c)) {
        bad_answer(k, "SaslAuthenticate");
        return;
    }
    if (r.error_code) {
        kafka_client_fail(k, ERR_AUTH, "%s refuses the credentials of %.*s: %.*s", conn_peer(k->conn),
                          SLICE_FMT(buf_slice(&k->user)), (int)(r.error_message.n < 150 ? r.error_message.n : 150),
                          r.error_message.p ? (const char *)r.error_message.p : "");
        return;
    }
    if (k->sasl == KAFKA_SASL_PLAIN)
        kafka_client_came_up(k);
    else
        scram_step(k, r.auth_bytes);
}

static void on_handshake(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct sasl_handshake_response r;
    struct cursor c = cursor_of(body);
    struct buf list;

    (void)user;
    if (err || k->state == KAFKA_CLIENT_DOWN)
        return;
    if (sasl_handshake_response_decode(&r, &c, version, &k->arena) || cursor_finish(&c)) {
        bad_answer(k, "SaslHandshake");
        return;
    }
    if (r.error_code) {
        buf_init(&list, 200);
        for (int32_t i = 0; i < r.mechanisms.n; i++)
            buf_printf(&list, "%s%.*s", i ? ", " : "", SLICE_FMT(r.mechanisms.v[i]));
        kafka_client_fail(k, ERR_AUTH, "%s does not offer SASL mechanism %s (it offers: %s)", conn_peer(k->conn),
                          mechanism_name(k->sasl), buf_cstr(&list));
        buf_free(&list);
        return;
    }
    if (k->sasl == KAFKA_SASL_PLAIN)
        plain_start(k);
    else
        scram_start(k);
}

static void sasl_start(struct kafka_client *k)
{
    struct sasl_handshake_request r;
    int16_t min, max;

    if (k->sasl == KAFKA_SASL_NONE) {
        kafka_client_came_up(k);
        return;
    }
    /* Version 0 of the handshake is followed by raw tokens instead of SaslAuthenticate; nobody needs it any more. */
    if (!kafka_client_range(k, WIRE_SASL_HANDSHAKE, &min, &max) || max < 1 ||
        kafka_client_version(k, WIRE_SASL_AUTHENTICATE) < 0) {
        kafka_client_fail(k, ERR_AUTH, "%s does not offer SASL", conn_peer(k->conn));
        return;
    }
    sasl_handshake_request_init(&r);
    r.mechanism = slice_str(mechanism_name(k->sasl));
    ask(k, WIRE_SASL_HANDSHAKE, 1, &r, on_handshake);
}

/* ---- ApiVersions ---- */

static void on_api_versions(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body);

static void ask_versions(struct kafka_client *k, int16_t version)
{
    struct api_versions_request r;

    api_versions_request_init(&r);
    if (version >= 3) {
        r.client_software_name = slice_str("castellan");
        r.client_software_version = slice_str(CASTELLAN_VERSION);
    }
    ask(k, WIRE_API_VERSIONS, version, &r, on_api_versions);
}

static void learn(struct kafka_client *k, const struct api_versions_response *r)
{
    for (int32_t i = 0; i < r->api_keys.n; i++) {
        const struct api_versions_response_api_version *v = &r->api_keys.v[i];
        if (v->api_key < 0 || v->api_key >= KAFKA_CLIENT_APIS_MAX || v->min_version > v->max_version)
            continue;
        k->api_min[v->api_key] = v->min_version;
        k->api_max[v->api_key] = v->max_version;
    }
}

static void on_api_versions(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct api_versions_response r;
    struct cursor c = cursor_of(body);
    int16_t code = body.n >= 2 ? (int16_t)(body.p[0] << 8 | body.p[1]) : 0;
    bool too_new = version > 0 && code == (int16_t)ERR_UNSUPPORTED_VERSION;

    (void)user;
    if (err || k->state == KAFKA_CLIENT_DOWN)
        return;
    if (api_versions_response_decode(&r, &c, too_new ? 0 : version, &k->arena) || cursor_finish(&c)) {
        if (too_new) /* the error alone, in no format we know */
            ask_versions(k, 0);
        else
            bad_answer(k, "ApiVersions");
        return;
    }
    learn(k, &r);
    if (too_new) {
        int16_t next = kafka_client_version(k, WIRE_API_VERSIONS);
        ask_versions(k, next >= 0 && next < version ? next : 0);
        return;
    }
    if (r.error_code) {
        kafka_client_fail(k, ERR_UNSUPPORTED, "%s refuses ApiVersions: %s", conn_peer(k->conn),
                          err_text((enum err)r.error_code));
        return;
    }
    sasl_start(k);
}

void kafka_client_negotiate(struct kafka_client *k)
{
    ask_versions(k, API_VERSIONS_REQUEST_MAX);
}
