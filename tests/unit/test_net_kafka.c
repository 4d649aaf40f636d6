/* SPDX-License-Identifier: Apache-2.0
 * The Kafka client against a small broker made of the same connections: negotiation, SASL, pipelining, streaming, and
 * each way to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/net/kafka_client.h"
#include "core/net/scram_client.h"
#include "core/wire/header.h"
#include "tests/unit/net_side.h"
#include "wire/api_versions.h"
#include "wire/fetch.h"
#include "wire/heartbeat.h"
#include "wire/keys.h"
#include "wire/sasl_authenticate.h"
#include "wire/sasl_handshake.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* ---- the broker ---- */

struct broker {
    struct loop *l;
    struct listener *listener;
    struct conn *conn;
    struct arena arena;
    bool old, closed, silent, wrong_id, wrong_signature;
    unsigned requests, held;
    int16_t versions_seen[8];
    unsigned versions_n;
    int scram_step;
    struct buf first_bare, server_first;
    const char *password;
    size_t big; /* answer Heartbeat with so many bytes of tags */
    int32_t held_ids[16];
    int16_t held_version;
};

static void reply(struct broker *b, const struct request_header *h, const void *response)
{
    struct buf out;

    buf_init(&out, 0);
    assert_int_equal(wire_response_frame(&out, h->request_api_key, h->request_api_version,
                                         h->correlation_id + (b->wrong_id ? 1 : 0), response),
                     ERR_OK);
    assert_int_equal(conn_write_owned(b->conn, &out), ERR_OK);
}

static void serve_versions(struct broker *b, struct request_header *h)
{
    static struct api_versions_response_api_version v[] = {
        {.api_key = WIRE_API_VERSIONS, .max_version = 2},
        {.api_key = WIRE_SASL_HANDSHAKE, .max_version = 1},
        {.api_key = WIRE_SASL_AUTHENTICATE, .max_version = 2},
        {.api_key = WIRE_HEARTBEAT, .max_version = 4},
        {.api_key = WIRE_FETCH, .min_version = 4, .max_version = 30},
        {.api_key = 900, .max_version = 1},
    };
    struct api_versions_response r;

    api_versions_response_init(&r);
    r.api_keys.v = v;
    r.api_keys.n = sizeof v / sizeof v[0];
    b->versions_seen[b->versions_n++ % 8] = h->request_api_version;
    if (b->old && h->request_api_version > 2) {
        r.error_code = (int16_t)ERR_UNSUPPORTED_VERSION;
        h->request_api_version = 0;
    }
    reply(b, h, &r);
}

static void put_base64(struct buf *out, const uint8_t *p, size_t n)
{
    uint8_t text[200];

    buf_put(out, text, (size_t)EVP_EncodeBlock(text, p, (int)n));
}

/* The server's half of RFC 5802, as far as a test needs it: the client's proof is checked. */
static void serve_scram(struct broker *b, struct slice token, struct sasl_authenticate_response *r, struct buf *out)
{
    static const uint8_t salt[] = "saltsaltsalt";
    uint8_t salted[64], key[64], stored[64], signature[64], proof[68];
    struct buf message;
    unsigned n;
    const uint8_t *p;

    if (b->scram_step++ == 0) {
        struct slice bare = slice_of(token.p + 3, token.n - 3);
        buf_put_slice(&b->first_bare, bare);
        p = memmem(bare.p, bare.n, ",r=", 3);
        buf_put_str(&b->server_first, "r=");
        buf_put(&b->server_first, p + 3, (size_t)(bare.p + bare.n - p - 3));
        buf_put_str(&b->server_first, "xyz,s=");
        put_base64(&b->server_first, salt, 12);
        buf_put_str(&b->server_first, ",i=4096");
        buf_put_slice(out, buf_slice(&b->server_first));
        return;
    }
    p = memmem(token.p, token.n, ",p=", 3);
    buf_init(&message, 0);
    buf_printf(&message, "%s,%s,%.*s", buf_cstr(&b->first_bare), buf_cstr(&b->server_first), (int)(p - token.p),
               (const char *)token.p);
    assert_int_equal(scram_salt_password(SCRAM_SHA_512, slice_str(b->password), slice_of(salt, 12), 4096, salted),
                     ERR_OK);
    HMAC(EVP_sha512(), salted, 64, (const uint8_t *)"Client Key", 10, key, &n);
    EVP_Digest(key, 64, stored, &n, EVP_sha512(), NULL);
    HMAC(EVP_sha512(), stored, 64, message.p, message.n, signature, &n);
    assert_int_equal(EVP_DecodeBlock(proof, p + 3, (int)(token.p + token.n - p - 3)), 66);
    for (int i = 0; i < 64; i++)
        if ((proof[i] ^ signature[i]) != key[i])
            r->error_code = (int16_t)ERR_SASL_AUTHENTICATION_FAILED;
    HMAC(EVP_sha512(), salted, 64, (const uint8_t *)"Server Key", 10, key, &n);
    HMAC(EVP_sha512(), key, 64, message.p, message.n, signature, &n);
    signature[5] ^= b->wrong_signature;
    buf_put_str(out, "v=");
    put_base64(out, signature, 64);
    buf_free(&message);
}

static void serve_authenticate(struct broker *b, struct request_header *h, struct cursor *c)
{
    struct sasl_authenticate_request q;
    struct sasl_authenticate_response r;
    struct buf out;

    buf_init(&out, 0);
    sasl_authenticate_response_init(&r);
    assert_int_equal(sasl_authenticate_request_decode(&q, c, h->request_api_version, &b->arena), ERR_OK);
    if (q.auth_bytes.n && q.auth_bytes.p[0] == 0) {
        if (!slice_eq(q.auth_bytes, slice_of("\0alice\0secret", 13)))
            r.error_code = (int16_t)ERR_SASL_AUTHENTICATION_FAILED;
    } else {
        serve_scram(b, q.auth_bytes, &r, &out);
    }
    r.auth_bytes = slice_of(out.p ? out.p : (const uint8_t *)"", out.n);
    r.error_message = r.error_code ? slice_str("no such thing") : SLICE_NULL;
    reply(b, h, &r);
    buf_free(&out);
}

static void serve_heartbeat(struct broker *b, struct request_header *h)
{
    struct heartbeat_response r;
    struct wire_tag tag = {.tag = 7};
    uint8_t *bytes = NULL;

    heartbeat_response_init(&r);
    r.throttle_time_ms = (int32_t)++b->requests;
    if (b->big) {
        bytes = side_pattern(b->big, 3);
        tag.data = slice_of(bytes, b->big);
        r.tags = (struct wire_tags){&tag, 1};
    }
    if (!b->silent)
        reply(b, h, &r);
    free(bytes);
}

static void broker_on_frame(void *user, struct conn *c, struct slice frame)
{
    static struct slice offered[] = {{(const uint8_t *)"PLAIN", 5}, {(const uint8_t *)"SCRAM-SHA-512", 13}};
    struct broker *b = user;
    struct cursor cur = cursor_of(frame);
    struct request_header h;

    (void)c;
    arena_reset(&b->arena);
    assert_int_equal(wire_request_header_decode(&h, &cur, &b->arena), ERR_OK);
    if (h.request_api_key == WIRE_API_VERSIONS) {
        serve_versions(b, &h);
    } else if (h.request_api_key == WIRE_SASL_HANDSHAKE) {
        struct sasl_handshake_request q;
        struct sasl_handshake_response r;
        sasl_handshake_response_init(&r);
        assert_int_equal(sasl_handshake_request_decode(&q, &cur, h.request_api_version, &b->arena), ERR_OK);
        if (!slice_eq_str(q.mechanism, "PLAIN") && !slice_eq_str(q.mechanism, "SCRAM-SHA-512"))
            r.error_code = (int16_t)ERR_UNSUPPORTED_SASL_MECHANISM;
        r.mechanisms.v = offered;
        r.mechanisms.n = 2;
        reply(b, &h, &r);
    } else if (h.request_api_key == WIRE_SASL_AUTHENTICATE) {
        serve_authenticate(b, &h, &cur);
    } else if (h.request_api_key == WIRE_HEARTBEAT) {
        serve_heartbeat(b, &h);
    } else {
        fail_msg("API %d", h.request_api_key);
    }
}

static void broker_on_closed(void *user, struct conn *c, enum conn_close why, const char *detail)
{
    struct broker *b = user;

    (void)c;
    (void)why;
    (void)detail;
    b->conn = NULL;
    b->closed = true;
}

static const struct conn_ops broker_ops = {.on_frame = broker_on_frame, .on_closed = broker_on_closed};

static void broker_accept(void *arg, struct accepted a)
{
    struct broker *b = arg;
    const struct conn_opts o = {.ops = &broker_ops, .user = b};

    assert_int_equal(conn_accept(&b->conn, b->l, a, &o), ERR_OK);
}

/* ---- the client's side ---- */

struct fixture {
    struct broker b;
    struct kafka_client *k;
    bool up, down;
    enum err err;
    char why[400];
    unsigned done, failed;
    enum err last_err;
    int32_t order;
    size_t body_n;
    struct side pass_in, pass_out;
    unsigned started;
};

static void on_up(void *owner, struct kafka_client *k)
{
    struct fixture *f = owner;
    assert_true(kafka_client_is_up(k));
    f->up = true;
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct fixture *f = owner;
    (void)k;
    assert_false(f->down);
    f->down = true;
    f->k = NULL;
    f->err = err;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static void open_broker(struct fixture *f)
{
    struct listener_opts lo = {.host = "127.0.0.1", .workers = 1};

    *f = (struct fixture){.b = {.password = "secret"}};
    f->b.l = side_loop(NULL);
    arena_init(&f->b.arena, 0);
    buf_init(&f->b.first_bare, 0);
    buf_init(&f->b.server_first, 0);
    assert_int_equal(listener_open(&f->b.listener, &lo, NULL), ERR_OK);
    assert_int_equal(listener_attach(f->b.listener, 0, f->b.l, broker_accept, &f->b), ERR_OK);
}

static void open_client(struct fixture *f, struct kafka_client_opts o)
{
    o.host = "127.0.0.1";
    o.port = listener_port(f->b.listener);
    o.user = slice_str("alice");
    o.on_up = on_up;
    o.on_down = on_down;
    o.owner = f;
    if (slice_is_null(o.password))
        o.password = slice_str("secret");
    assert_int_equal(kafka_client_connect(&f->k, f->b.l, &o), ERR_OK);
    RUN_UNTIL(f->b.l, f->up || f->down);
}

static void close_fixture(struct fixture *f)
{
    if (f->k) {
        kafka_client_close(f->k, "the test is over");
        RUN_UNTIL(f->b.l, f->down);
        assert_int_equal(f->err, ERR_CANCELLED);
    }
    listener_free(f->b.listener);
    loop_free(f->b.l);
    arena_free(&f->b.arena);
    buf_free(&f->b.first_bare);
    buf_free(&f->b.server_first);
}

static void on_done(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct fixture *f = user;
    struct heartbeat_response r;
    struct cursor c = cursor_of(body);
    struct arena a;

    (void)k;
    f->last_err = err;
    if (err) {
        f->failed++;
        return;
    }
    f->done++;
    f->body_n = body.n;
    if (slice_is_null(body))
        return;
    arena_init(&a, 0);
    assert_int_equal(heartbeat_response_decode(&r, &c, version, &a), ERR_OK);
    assert_int_equal(cursor_finish(&c), ERR_OK);
    assert_int_equal(r.throttle_time_ms, ++f->order);
    arena_free(&a);
}

static enum err beat(struct fixture *f, int64_t timeout_ms)
{
    const struct kafka_call call = {
        .api_key = WIRE_HEARTBEAT, .version = -1, .timeout_ms = timeout_ms, .done = on_done, .user = f};
    struct heartbeat_request r;

    heartbeat_request_init(&r);
    r.group_id = r.member_id = slice_str("g");
    return kafka_client_send(f->k, &call, &r);
}

static void test_versions(void **state)
{
    struct fixture f;
    int16_t min, max;

    (void)state;
    for (int old = 0; old < 2; old++) {
        open_broker(&f);
        f.b.old = old;
        open_client(&f, (struct kafka_client_opts){0});
        assert_true(f.up);
        assert_int_equal(f.b.versions_seen[0], 4);
        assert_int_equal(f.b.versions_n, 1 + old);
        if (old)
            assert_int_equal(f.b.versions_seen[1], 2); /* what the refusal said it knows */
        assert_int_equal(kafka_client_version(f.k, WIRE_HEARTBEAT), 4);
        assert_in_range(kafka_client_version(f.k, WIRE_FETCH), 13, 18); /* ours, not the 30 of the node */
        assert_true(kafka_client_range(f.k, WIRE_FETCH, &min, &max) && min == 4 && max == 30);
        assert_int_equal(kafka_client_version(f.k, WIRE_JOIN_GROUP), -1);
        assert_int_equal(kafka_client_version(f.k, 900), -1);
        close_fixture(&f);
    }
}

static void sasl_case(enum kafka_sasl sasl, const char *password, bool wrong_signature, const char *failure)
{
    struct fixture f;

    open_broker(&f);
    f.b.wrong_signature = wrong_signature;
    open_client(&f, (struct kafka_client_opts){.sasl = sasl, .password = slice_str(password)});
    if (failure) {
        assert_true(f.down);
        assert_int_equal(f.err, ERR_AUTH);
        if (!strstr(f.why, failure))
            fail_msg("%s", f.why);
    } else {
        if (!f.up)
            fail_msg("%s", f.why);
        assert_int_equal(beat(&f, 0), ERR_OK);
        RUN_UNTIL(f.b.l, f.done == 1);
    }
    close_fixture(&f);
}

static void test_sasl(void **state)
{
    (void)state;
    sasl_case(KAFKA_SASL_PLAIN, "secret", false, NULL);
    sasl_case(KAFKA_SASL_PLAIN, "wrong", false, "refuses the credentials of alice: no such thing");
    sasl_case(KAFKA_SASL_SCRAM_SHA_512, "secret", false, NULL);
    sasl_case(KAFKA_SASL_SCRAM_SHA_512, "wrong", false, "refuses the credentials of alice");
    sasl_case(KAFKA_SASL_SCRAM_SHA_512, "secret", true, "does not know the password");
    sasl_case(KAFKA_SASL_SCRAM_SHA_256, "secret", false,
              "does not offer SASL mechanism SCRAM-SHA-256 (it offers: PLAIN, ");
}

static void test_pipeline(void **state)
{
    struct heartbeat_request r;
    struct slice body, parts[2];
    struct fixture f;
    struct buf b;

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){.in_flight_max = 500});
    for (int i = 0; i < 499; i++)
        assert_int_equal(beat(&f, 0), ERR_OK);
    heartbeat_request_init(&r);
    r.group_id = r.member_id = slice_str("raw");
    buf_init(&b, 0);
    assert_int_equal(heartbeat_request_encode(&r, &b, 3), ERR_OK);
    body = buf_slice(&b);
    parts[0] = slice_of(body.p, 2);
    parts[1] = slice_of(body.p + 2, body.n - 2);
    const struct kafka_call call = {.api_key = WIRE_HEARTBEAT, .version = 3, .done = on_done, .user = &f};
    assert_int_equal(kafka_client_send_body(f.k, &call, slice_str("other-id"), parts, 2), ERR_OK);
    assert_int_equal(beat(&f, 0), ERR_LIMIT_EXCEEDED);
    assert_true(kafka_client_is_congested(f.k));
    RUN_UNTIL(f.b.l, f.done == 500);
    assert_int_equal(kafka_client_in_flight(f.k), 0);
    assert_int_equal(f.failed, 0);
    buf_free(&b);
    close_fixture(&f);
}

/* The body leaves from the middle of a buffer that changes hands: it must parse at the other end, three times in a row.
 */
static void test_owned_body(void **state)
{
    struct heartbeat_request r;
    struct fixture f;
    struct buf b;
    size_t at;

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){0});
    const struct kafka_call call = {.api_key = WIRE_HEARTBEAT, .version = 3, .done = on_done, .user = &f};
    for (int i = 0; i < 3; i++) {
        buf_init(&b, 0);
        buf_put_str(&b, "whatever stood before");
        at = b.n;
        heartbeat_request_init(&r);
        r.group_id = r.member_id = slice_str("owned");
        assert_int_equal(heartbeat_request_encode(&r, &b, 3), ERR_OK);
        assert_int_equal(kafka_client_send_owned(f.k, &call, slice_str("other-id"), &b, at), ERR_OK);
        assert_null(b.p);
        assert_int_equal(b.n, 0);
    }
    RUN_UNTIL(f.b.l, f.done == 3);
    assert_int_equal(f.failed, 0);
    close_fixture(&f);
}

static void test_timeout(void **state)
{
    struct fixture f;

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){0});
    f.b.silent = true;
    assert_int_equal(beat(&f, 0), ERR_OK);
    assert_int_equal(beat(&f, 20), ERR_OK);
    RUN_UNTIL(f.b.l, f.down);
    assert_int_equal(f.failed, 2);
    assert_int_equal(f.last_err, ERR_TIMEOUT);
    assert_int_equal(f.err, ERR_TIMEOUT);
    assert_non_null(strstr(f.why, "did not answer Heartbeat in time"));
    close_fixture(&f);
}

static void test_wrong_correlation(void **state)
{
    struct fixture f;

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){0});
    f.b.wrong_id = true;
    assert_int_equal(beat(&f, 0), ERR_OK);
    RUN_UNTIL(f.b.l, f.down);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.err, ERR_MALFORMED);
    close_fixture(&f);
}

static void test_node_goes_away(void **state)
{
    struct fixture f;

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){0});
    f.b.silent = true;
    assert_int_equal(beat(&f, 0), ERR_OK);
    RUN_UNTIL(f.b.l, f.b.requests == 1);
    conn_close(f.b.conn, CONN_CLOSE_LOCAL, NULL);
    RUN_UNTIL(f.b.l, f.down);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.err, ERR_CLOSED);
    close_fixture(&f);
    /* Nobody there at all. */
    open_broker(&f);
    uint16_t port = listener_port(f.b.listener);
    listener_detach(f.b.listener, 0);
    const struct kafka_client_opts o = {
        .host = "127.0.0.1", .port = port, .on_up = on_up, .on_down = on_down, .owner = &f};
    assert_int_equal(kafka_client_connect(&f.k, f.b.l, &o), ERR_OK);
    RUN_UNTIL(f.b.l, f.down);
    assert_int_equal(f.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(f.why, "refused"));
    close_fixture(&f);
}

static enum conn_frame_choice on_stream(void *owner, struct kafka_client *k, const struct kafka_stream_start *s)
{
    struct fixture *f = owner;
    struct slice length;
    uint8_t bytes[4] = {(uint8_t)(s->body_n >> 24), (uint8_t)(s->body_n >> 16), (uint8_t)(s->body_n >> 8),
                        (uint8_t)s->body_n};

    assert_int_equal(s->api_key, WIRE_HEARTBEAT);
    assert_true(s->user == f);
    assert_true(s->head.n >= 16);
    f->started++;
    length = slice_of(bytes, 4);
    assert_int_equal(conn_write(f->pass_in.conn, &length, 1), ERR_OK);
    assert_int_equal(conn_stream_to(kafka_client_conn(k), f->pass_in.conn, s->header_n), ERR_OK);
    return CONN_FRAME_STREAMED;
}

static void test_streamed_answer(void **state)
{
    struct conn_opts oi, oo;
    struct fixture f;
    int fds[2];

    (void)state;
    open_broker(&f);
    open_client(&f, (struct kafka_client_opts){0});
    oi = side_opts(&f.pass_in, f.b.l);
    oo = side_opts(&f.pass_out, f.b.l);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_adopt(&f.pass_in.conn, f.b.l, fds[0], true, &oi), ERR_OK);
    assert_int_equal(conn_adopt(&f.pass_out.conn, f.b.l, fds[1], false, &oo), ERR_OK);
    kafka_client_on_stream(f.k, 1000, 16, on_stream);
    assert_int_equal(beat(&f, 0), ERR_OK); /* small: collected */
    RUN_UNTIL(f.b.l, f.done == 1);
    assert_int_equal(f.started, 0);
    f.b.big = 5 << 20;
    assert_int_equal(beat(&f, 0), ERR_OK);
    RUN_UNTIL(f.b.l, f.done == 2 && f.pass_out.frames == 1);
    assert_int_equal(f.started, 1);
    assert_int_equal(f.body_n, 0);
    assert_in_range(f.pass_out.bytes, 5 << 20, (5 << 20) + 20);
    f.b.big = 0;
    f.order++; /* the streamed one was not decoded */
    assert_int_equal(beat(&f, 0), ERR_OK);
    RUN_UNTIL(f.b.l, f.done == 3);
    conn_close(f.pass_in.conn, CONN_CLOSE_LOCAL, NULL);
    RUN_UNTIL(f.b.l, f.pass_in.closed && f.pass_out.closed);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),       cmocka_unit_test(test_sasl),
        cmocka_unit_test(test_pipeline),       cmocka_unit_test(test_owned_body),
        cmocka_unit_test(test_timeout),        cmocka_unit_test(test_wrong_correlation),
        cmocka_unit_test(test_node_goes_away), cmocka_unit_test(test_streamed_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
