/* SPDX-License-Identifier: Apache-2.0
 * The blocking client against a two-node cluster in another thread, and the JAAS line it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/net/kafka_cli.h"
#include "core/wire/header.h"
#include "wire/api_versions.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/keys.h"
#include "wire/metadata.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- the cluster: nodes 0 and 7, controller 7; Heartbeat answers with the node's id ---- */

struct cluster {
    struct loop *l;
    struct listener *listeners[2];
    struct cluster_node {
        struct cluster *cluster;
        int32_t id;
    } nodes[2];
    pthread_t thread;
    atomic_int accepts;
    bool malformed;
};

static void answer(struct conn *c, const struct request_header *h, const void *response)
{
    struct buf out;

    buf_init(&out, 0);
    assert_int_equal(wire_response_frame(&out, h->request_api_key, h->request_api_version, h->correlation_id, response),
                     ERR_OK);
    assert_int_equal(conn_write_owned(c, &out), ERR_OK);
}

static void serve(struct cluster_node *n, struct conn *c, const struct request_header *h, struct cursor *body,
                  struct arena *a)
{
    static struct api_versions_response_api_version v[] = {{.api_key = WIRE_API_VERSIONS, .max_version = 4},
                                                           {.api_key = WIRE_METADATA, .max_version = 12},
                                                           {.api_key = WIRE_FIND_COORDINATOR, .max_version = 4},
                                                           {.api_key = WIRE_HEARTBEAT, .max_version = 4}};
    struct metadata_response_metadata_response_broker brokers[2] = {0};
    struct api_versions_response versions;
    struct metadata_response metadata;
    struct heartbeat_response beat;
    struct find_coordinator_request who;
    struct find_coordinator_response coordinator;
    struct find_coordinator_response_coordinator one = {
        .node_id = 7, .host = slice_str("h"), .error_message = SLICE_NULL};

    if (h->request_api_key == WIRE_API_VERSIONS) {
        api_versions_response_init(&versions);
        versions.api_keys.v = v;
        versions.api_keys.n = 4;
        answer(c, h, &versions);
    } else if (h->request_api_key == WIRE_METADATA) {
        metadata_response_init(&metadata);
        for (int i = 0; i < 2; i++) {
            brokers[i].node_id = n->cluster->nodes[i].id;
            brokers[i].host = slice_str("localhost");
            brokers[i].port = listener_port(n->cluster->listeners[i]);
        }
        metadata.brokers.v = brokers;
        metadata.brokers.n = 2;
        metadata.controller_id = 7;
        answer(c, h, &metadata);
    } else if (h->request_api_key == WIRE_FIND_COORDINATOR) {
        assert_int_equal(find_coordinator_request_decode(&who, body, h->request_api_version, a), ERR_OK);
        find_coordinator_response_init(&coordinator);
        one.key = who.coordinator_keys.v[0];
        coordinator.coordinators.v = &one;
        coordinator.coordinators.n = 1;
        answer(c, h, &coordinator);
    } else if (n->cluster->malformed) {
        const struct slice rubbish = slice_of("\0\0\0", 3);
        assert_int_equal(conn_write_frame(c, &rubbish, 1), ERR_OK);
    } else {
        heartbeat_response_init(&beat);
        beat.throttle_time_ms = n->id;
        answer(c, h, &beat);
    }
}

static void on_frame(void *user, struct conn *c, struct slice frame)
{
    struct cursor body = cursor_of(frame);
    struct request_header h;
    struct arena a;

    arena_init(&a, 0);
    assert_int_equal(wire_request_header_decode(&h, &body, &a), ERR_OK);
    serve(user, c, &h, &body, &a);
    arena_free(&a);
}

static void on_accept(void *arg, struct accepted a)
{
    static const struct conn_ops ops = {.on_frame = on_frame};
    struct cluster_node *n = arg;
    const struct conn_opts o = {.ops = &ops, .user = n};
    struct conn *c;

    atomic_fetch_add(&n->cluster->accepts, 1);
    assert_int_equal(conn_accept(&c, n->cluster->l, a, &o), ERR_OK);
}

static void *run(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void cluster_start(struct cluster *k)
{
    *k = (struct cluster){0};
    assert_int_equal(loop_new(&k->l, NULL, NULL), ERR_OK);
    for (int i = 0; i < 2; i++) {
        const struct listener_opts o = {.host = "localhost", .workers = 1};
        k->nodes[i] = (struct cluster_node){k, i ? 7 : 0};
        assert_int_equal(listener_open(&k->listeners[i], &o, NULL), ERR_OK);
        assert_int_equal(listener_attach(k->listeners[i], 0, k->l, on_accept, &k->nodes[i]), ERR_OK);
    }
    assert_int_equal(pthread_create(&k->thread, NULL, run, k->l), 0);
}

static void cluster_stop(struct cluster *k)
{
    loop_stop(k->l);
    pthread_join(k->thread, NULL);
    loop_free(k->l);
    for (int i = 0; i < 2; i++)
        listener_free(k->listeners[i]);
}

/* ---- the client ---- */

static struct settings *settings_of(const char *text)
{
    static const struct setting_row rows[] = {KAFKA_CLI_SETTING_ROWS, {0}};
    struct settings *s;
    struct reason why;

    if (settings_parse(&s, "test.properties", slice_str(text), rows, &why))
        fail_msg("%s", why.text);
    return s;
}

static int32_t beat_at(struct kafka_cli *c, int32_t node, enum err expect, struct reason *why)
{
    struct heartbeat_request q;
    struct heartbeat_response r = {0};
    struct arena a;

    arena_init(&a, 0);
    heartbeat_request_init(&q);
    q.group_id = q.member_id = slice_str("g");
    assert_int_equal(kafka_cli_call(c, node, WIRE_HEARTBEAT, &q, &r, &a, why), expect);
    arena_free(&a);
    return r.throttle_time_ms;
}

static void test_calls(void **state)
{
    struct cluster k;
    struct kafka_cli *c;
    struct settings *s;
    struct reason why;
    char text[300];
    int16_t version;
    int32_t node;

    (void)state;
    cluster_start(&k);
    /* The first server is not there: the second is asked. */
    snprintf(text, sizeof text, "bootstrap.servers=localhost:1,localhost:%u\n", listener_port(k.listeners[0]));
    s = settings_of(text);
    assert_int_equal(kafka_cli_open_settings(&c, s, &why), ERR_OK);
    assert_int_equal(beat_at(c, KAFKA_CLI_ANY, ERR_OK, &why), 0);
    assert_int_equal(beat_at(c, KAFKA_CLI_CONTROLLER, ERR_OK, &why), 7);
    assert_int_equal(beat_at(c, 7, ERR_OK, &why), 7);
    assert_int_equal(beat_at(c, 0, ERR_OK, &why), 0);
    assert_int_equal(atomic_load(&k.accepts), 3); /* any, 7, 0: kept open */
    (void)beat_at(c, 5, ERR_UNAVAILABLE, &why);
    assert_string_equal(why.text, "the cluster has no node 5");
    assert_int_equal(kafka_cli_coordinator(c, 0, slice_str("group"), &node, &why), ERR_OK);
    assert_int_equal(node, 7);
    assert_int_equal(kafka_cli_version(c, KAFKA_CLI_ANY, WIRE_METADATA, &version, &why), ERR_OK);
    assert_int_equal(version, 12);
    assert_int_equal(kafka_cli_version(c, 0, WIRE_CREATE_TOPICS, &version, &why), ERR_OK);
    assert_int_equal(version, -1);
    assert_int_equal(kafka_cli_call(c, 0, WIRE_CREATE_TOPICS, NULL, NULL, NULL, &why), ERR_UNSUPPORTED_VERSION);
    assert_non_null(strstr(why.text, "CreateTopics"));
    k.malformed = true;
    (void)beat_at(c, 7, ERR_MALFORMED, &why);
    assert_non_null(strstr(why.text, "malformed"));
    k.malformed = false;
    assert_int_equal(beat_at(c, 7, ERR_OK, &why), 7); /* a fresh connection */
    cluster_stop(&k);
    (void)beat_at(c, KAFKA_CLI_ANY, ERR_UNAVAILABLE, &why);
    kafka_cli_close(c);
    settings_free(s);
}

static void refused(const char *text, const char *words)
{
    struct settings *s = settings_of(text);
    struct kafka_cli *c;
    struct reason why = {0};

    assert_int_equal(kafka_cli_open_settings(&c, s, &why), ERR_BAD_CONFIG);
    if (!strstr(why.text, words))
        fail_msg("%s", why.text);
    settings_free(s);
}

static void test_bad_settings(void **state)
{
    (void)state;
    refused("", "bootstrap.servers");
    refused("bootstrap.servers=a:1\nsecurity.protocol=TLS\n", "security.protocol=TLS");
    refused("bootstrap.servers=a:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=GSSAPI\n", "sasl.mechanism");
    refused("bootstrap.servers=a:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n", "sasl.jaas.config");
    refused(
        "bootstrap.servers=a:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=x required;\n",
        "no username");
    refused("bootstrap.servers=a:1\nsecurity.protocol=SSL\nssl.truststore.type=JKS\n", "only PEM");
}

static void test_jaas(void **state)
{
    static const char *const bad[] = {"",
                                      "Module",
                                      "Module required",
                                      "Module required username=\"a\" password=\"b\"",
                                      "Module required username=\"a\";",
                                      "Module required username=\"a\" password=\"b;",
                                      "Module required username \"a\" password=\"b\";",
                                      "Module required username= password=\"b\";"};
    struct secret password;
    struct reason why;
    struct buf user;

    (void)state;
    buf_init(&user, 0);
    assert_int_equal(
        kafka_jaas_parse(slice_str("org.x.ScramLoginModule required\n username=\"al\\\"ice\"\n other=\"1\" "
                                   "password=\"p\\\\ =;w\" ;"),
                         &user, &password, &why),
        ERR_OK);
    assert_string_equal(buf_cstr(&user), "al\"ice");
    assert_true(slice_eq_str(secret_view(&password), "p\\ =;w"));
    secret_free(&password);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kafka_jaas_parse(slice_str(bad[i]), &user, &password, &why), ERR_BAD_CONFIG);
    buf_free(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_jaas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
