/* SPDX-License-Identifier: Apache-2.0
 * The audit: its records, that verification tells every way to tamper with them, and the log against librdkafka's mock
 * cluster: in order whatever the brokers answer, callbacks, and what is lost is said. */
#include "core/base/env.h"
#include "core/ledger/audit_log.h"
#include "core/ledger/ledger.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { RECORDS = 8, WAIT_MS = 20000 };

/* --- a chain to tamper with --- */

struct made {
    struct buf records[RECORDS];
};

static void make(struct made *m, const char *writer)
{
    struct audit_chain c = {0};
    snprintf(c.writer, sizeof c.writer, "%s", writer);
    for (int i = 0; i < RECORDS; i++) {
        struct audit_entry e = {.time_ms = 1800000000000 + i,
                                .role = "registry",
                                .event = i == 0             ? AUDIT_START
                                         : i == RECORDS - 1 ? AUDIT_STOP
                                                            : AUDIT_CHANGE,
                                .principal = slice_str("User:alice"),
                                .operation = slice_str("POST subjects/*/versions"),
                                .resource_type = "Subject",
                                .resource = slice_str("orders-value"),
                                .status = 200,
                                .id = i};
        buf_init(&m->records[i], 0);
        assert_int_equal(audit_seal(&c, &e, &m->records[i]), ERR_OK);
    }
}

static void unmake(struct made *m)
{
    for (int i = 0; i < RECORDS; i++)
        buf_free(&m->records[i]);
}

struct seen {
    char text[512]; /* "gap@5 link@6" */
    struct audit_summary last;
    char writer[AUDIT_WRITER_MAX];
    size_t chains;
};

static void on_found(void *ctx, const struct audit_finding *f)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "%s%s@%lld", n ? " " : "", audit_fault_name(f->fault),
             (long long)f->offset);
}

static void on_chain(void *ctx, const struct audit_summary *s)
{
    struct seen *seen = ctx;
    seen->chains++;
    seen->last = *s;
    snprintf(seen->writer, sizeof seen->writer, "%.*s", SLICE_FMT(s->writer));
}

/* Verifies the records named by `order` ("01234567"; others are left out), offsets counting up. */
static void verify(struct made *m, const char *order, bool from_start, const char *writer, uint64_t anchor,
                   const char *hash, struct seen *seen)
{
    struct audit_verifier *v = audit_verifier_new(on_found, seen);
    if (hash)
        assert_int_equal(audit_verify_expect(v, slice_str(writer), anchor, slice_str(hash), NULL), ERR_OK);
    for (int64_t offset = 0; order[offset]; offset++)
        assert_int_equal(audit_verify_record(v, 0, offset, buf_slice(&m->records[order[offset] - '0']), from_start),
                         ERR_OK);
    audit_verify_end(v);
    audit_verify_each(v, on_chain, seen);
    audit_verifier_free(v);
}

static void expect(struct made *m, const char *order, const char *findings)
{
    struct seen seen = {0};
    verify(m, order, true, NULL, 0, NULL, &seen);
    if (strcmp(seen.text, findings))
        fail_msg("%s: found \"%s\", not \"%s\"", order, seen.text, findings);
}

static void a_record_is_as_documented(void **state)
{
    struct audit_chain c = {.writer = "registry-1"};
    struct buf b;
    struct audit_entry e = {.time_ms = 1800000000123,
                            .role = "registry",
                            .event = AUDIT_AUTHORIZATION,
                            .outcome = AUDIT_REFUSED,
                            .principal = slice_str("User:\"bob\"\n"),
                            .host = slice_str("::1"),
                            .operation = slice_str("DELETE subjects/*"),
                            .resource_type = "Subject",
                            .resource = slice_of("a\xff\x01", 3),
                            .right = "DELETE",
                            .status = 403,
                            .error_code = 40301};
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(audit_seal(&c, &e, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b),
                        "{\"v\":1,\"writer\":\"registry-1\",\"seq\":0,"
                        "\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\","
                        "\"time\":\"2027-01-15T08:00:00.123Z\",\"role\":\"registry\",\"event\":\"authorization\","
                        "\"outcome\":\"refused\",\"principal\":\"User:\\\"bob\\\"\\n\",\"host\":\"::1\","
                        "\"operation\":\"DELETE subjects/*\",\"resourceType\":\"Subject\",\"resource\":\"a?\\u0001\","
                        "\"right\":\"DELETE\",\"status\":403,\"error\":40301,"
                        "\"hash\":\"e9822413dfce920493057a125607406c63959ef013fb399baf60fe2cb038609c\"}");
    char *long_text = calloc(1, 3 * AUDIT_TEXT_MAX);
    memset(long_text, 'x', 3 * AUDIT_TEXT_MAX - 1);
    memcpy(long_text + AUDIT_TEXT_MAX - 1, "\xc3\xa4", 2); /* a character across the limit */
    e.resource = slice_str(long_text);
    assert_int_equal(audit_seal(&c, &e, &b), ERR_OK);
    json_t *j = json_loadb((const char *)b.p, b.n, 0, NULL);
    assert_int_equal(json_string_length(json_object_get(j, "resource")), AUDIT_TEXT_MAX - 1);
    json_decref(j);
    free(long_text);
    buf_free(&b);
}

static void tampering_is_told(void **state)
{
    struct made m, other;
    (void)state;
    make(&m, "registry-1");
    make(&other, "registry-2");
    expect(&m, "01234567", "");
    expect(&m, "0123", "");                  /* the end cut off: what only an anchor tells */
    expect(&m, "1234567", "start@0");        /* the beginning */
    expect(&m, "0134567", "gap@2");          /* one removed */
    expect(&m, "0167", "gap@2");             /* several */
    expect(&m, "01324567", "gap@2 order@3"); /* put elsewhere */
    expect(&m, "012012345672", "");          /* written twice, the same: a writer's own doing */
    expect(&m, "", "");

    /* one byte changed; the hash mended; and mended all the way through, which only an anchor tells */
    uint8_t *digit = memmem(m.records[3].p, m.records[3].n, "alice", 5);
    digit[0] = 'A';
    expect(&m, "01234567", "edited@3");
    digit[0] = 'a';
    m.records[3].p[m.records[3].n - 3] ^= 1;
    expect(&m, "01234567", "edited@3 link@4");
    m.records[3].p[m.records[3].n - 3] ^= 1;
    struct buf was = m.records[3];
    m.records[3] = other.records[3];
    expect(&m, "01234567", "start@3 gap@4"); /* another chain's record in its place */
    m.records[3] = was;
    struct audit_chain forged = {.writer = "registry-1", .next = 3};
    struct audit_entry e = {.role = "registry", .event = AUDIT_CHANGE};
    buf_init(&m.records[3], 0);
    assert_int_equal(audit_seal(&forged, &e, &m.records[3]), ERR_OK);
    expect(&m, "01234567", "link@3 link@4");
    expect(&m, "0123456", "link@3 link@4");
    buf_clear(&m.records[3]);
    buf_put_str(&m.records[3], "{\"v\":1}");
    expect(&m, "01234567", "malformed@3 gap@4");
    buf_free(&m.records[3]);
    m.records[3] = was;
    unmake(&m);
    unmake(&other);
}

static void heads_kept_elsewhere(void **state)
{
    struct made m;
    struct seen seen = {0};
    char head[2 * AUDIT_HASH_SIZE + 1];
    (void)state;
    make(&m, "w");
    verify(&m, "012345", true, NULL, 0, NULL, &seen);
    assert_int_equal(seen.last.last, 5);
    assert_int_equal(seen.last.records, 6);
    assert_false(seen.last.stopped);
    memcpy(head, seen.last.head, sizeof head);
    seen = (struct seen){0};
    verify(&m, "01234567", true, "w", 5, head, &seen); /* the chain went on */
    assert_string_equal(seen.text, "");
    assert_true(seen.last.stopped);
    seen = (struct seen){0};
    verify(&m, "0123", true, "w", 5, head, &seen); /* its end was cut off */
    assert_string_equal(seen.text, "anchor@-1");
    seen = (struct seen){0};
    verify(&m, "", true, "w", 5, head, &seen); /* all of it */
    assert_string_equal(seen.text, "anchor@-1");
    seen = (struct seen){0};
    verify(&m, "67", false, "w", 5, head, &seen); /* retention took it */
    assert_string_equal(seen.text, "");
    unmake(&m);
    make(&m, "w"); /* written anew as a whole, with other content */
    struct audit_chain c = {.writer = "w"};
    for (int i = 0; i < RECORDS; i++) {
        struct audit_entry e = {.role = "registry", .event = AUDIT_CHANGE};
        assert_int_equal(audit_seal(&c, &e, &m.records[i]), ERR_OK);
    }
    seen = (struct seen){0};
    verify(&m, "01234567", true, "w", 5, head, &seen);
    assert_string_equal(seen.text, "anchor@5");
    unmake(&m);
}

/* --- the log --- */

struct cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *mock;
    const char *kafka[7];
};

static int start_cluster(void **state)
{
    struct cluster *c = calloc(1, sizeof *c);
    char text[256];
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    c->mock = rd_kafka_mock_cluster_new(c->rk, 1);
    rd_kafka_mock_topic_create(c->mock, AUDIT_TOPIC, 1, 1); /* the mock makes no topics on request */
    c->kafka[0] = "bootstrap.servers";
    c->kafka[1] = rd_kafka_mock_cluster_bootstraps(c->mock);
    c->kafka[2] = "retry.backoff.ms";
    c->kafka[3] = "20";
    *state = c;
    return 0;
}

static int stop_cluster(void **state)
{
    struct cluster *c = *state;
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->rk);
    free(c);
    return 0;
}

static struct audit_log *open_log(struct cluster *c)
{
    struct audit_log *l = NULL;
    struct audit_log_config config = {.role = "registry", .retention_ms = "1000000", .kafka = c ? c->kafka : NULL};
    assert_int_equal(audit_log_open(&l, &config, NULL), ERR_OK);
    return l;
}

static void post(void *ctx)
{
    sem_post(ctx);
}

static void wait_for(sem_t *s, int n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    for (int i = 0; i < n; i++)
        assert_int_equal(sem_timedwait(s, &until), 0);
}

static const struct audit_entry change = {.event = AUDIT_CHANGE, .status = 200};

struct read_back {
    struct audit_verifier *v;
    int records;
};

static void on_record(void *user, const struct ledger_record *r)
{
    struct read_back *b = user;
    b->records++;
    assert_int_equal(audit_verify_record(b->v, r->partition, r->offset, r->value, true), ERR_OK);
}

static void read_all(struct cluster *c, struct seen *seen)
{
    struct reason why;
    struct ledger *l = NULL;
    struct read_back b = {.v = audit_verifier_new(on_found, seen)};
    struct ledger_config config = {.topic = AUDIT_TOPIC, .read_only = true, .kafka = c->kafka};
    struct ledger_hooks hooks = {.user = &b, .apply = on_record};
    assert_int_equal(ledger_open(&l, &config, &hooks, &why), ERR_OK);
    assert_int_equal(ledger_wait_ready(l, WAIT_MS, &why), ERR_OK);
    ledger_close(l);
    audit_verify_end(b.v);
    audit_verify_each(b.v, on_chain, seen);
    audit_verifier_free(b.v);
}

static void what_is_put_is_written(void **state)
{
    struct cluster *c = *state;
    struct audit_log *l = open_log(c);
    struct seen seen = {0};
    sem_t done;
    sem_init(&done, 0, 0);
    for (int i = 0; i < 500; i++)
        audit_log_put(l, &change, post, &done);
    wait_for(&done, 500);
    read_all(c, &seen); /* acknowledged means there */
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.last.last, 500);
    audit_log_free(l);
    seen = (struct seen){0};
    read_all(c, &seen);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.last.records, 502); /* start and stop */
    assert_true(seen.last.stopped);
    sem_destroy(&done);
}

static void refusals_change_no_order(void **state)
{
    struct cluster *c = *state;
    struct audit_log *l = open_log(c);
    struct seen seen = {0};
    sem_t done;
    sem_init(&done, 0, 0);
    rd_kafka_mock_push_request_errors(c->mock, 0 /* Produce */, 4, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED); /* the last one drops messages */
    for (int i = 0; i < 50; i++)
        audit_log_put(l, &change, post, &done);
    wait_for(&done, 50);
    audit_log_free(l);
    read_all(c, &seen);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.chains, 1);
    assert_int_equal(seen.last.records, 52);
    sem_destroy(&done);
}

static void nobody_waits_longer_than_said(void **state)
{
    struct cluster *c = *state;
    struct env *env = env_system();
    struct seen seen = {0};
    sem_t done;
    sem_init(&done, 0, 0);
    rd_kafka_mock_broker_set_down(c->mock, 1);
    struct audit_log *l = open_log(c);
    int64_t from = env_mono_ms(env);
    audit_log_put(l, &change, post, &done);
    wait_for(&done, 1);
    assert_in_range(env_mono_ms(env) - from, AUDIT_WAIT_MS, 10 * AUDIT_WAIT_MS);
    /* the queue fills; what does not fit is told at once */
    for (int i = 0; i < AUDIT_QUEUE_MAX; i++)
        audit_log_put(l, &change, NULL, NULL);
    from = env_mono_ms(env);
    audit_log_put(l, &change, post, &done);
    wait_for(&done, 1);
    assert_in_range(env_mono_ms(env) - from, 0, AUDIT_WAIT_MS / 2);
    rd_kafka_mock_broker_set_up(c->mock, 1);
    /* until there is room again; each attempt before that is one more lost */
    int lost = 3; /* start and the first change took two places, and then the last one */
    for (size_t chains = 0; !chains;) {
        struct seen now = {0};
        read_all(c, &now);
        chains = now.chains && now.last.last >= AUDIT_QUEUE_MAX - 1;
    }
    audit_log_put(l, &change, post, &done);
    wait_for(&done, 1);
    audit_log_free(l);
    read_all(c, &seen);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.last.lost, lost);
    assert_int_equal(seen.last.last, AUDIT_QUEUE_MAX + 2); /* lost, the change, stop */
    sem_destroy(&done);
}

/* Whoever is not let in cannot fill the topic, and hides nobody else's doings. */
static void strangers_are_counted(void **state)
{
    static const struct audit_entry stranger = {.event = AUDIT_AUTHENTICATION, .outcome = AUDIT_REFUSED};
    struct cluster *c = *state;
    struct seen seen = {0};
    enum { TRIED = 5000, CHANGES = 10 };
    sem_t done;
    sem_init(&done, 0, 0);
    struct audit_log *l = open_log(c);
    for (int i = 0; i < TRIED; i++) {
        audit_log_put(l, &stranger, NULL, NULL);
        if (i % (TRIED / CHANGES) == TRIED / CHANGES - 1)
            audit_log_put(l, &change, post, &done);
    }
    wait_for(&done, CHANGES);
    audit_log_free(l);
    read_all(c, &seen);
    assert_string_equal(seen.text, "");
    assert_in_range(seen.last.lost, TRIED / 2, TRIED - AUDIT_STRANGERS_BURST);
    /* start, stop, changes, those of the strangers that were kept, and one that tells of the lost before each change */
    assert_in_range(seen.last.records + seen.last.lost, TRIED + CHANGES + 2, TRIED + 2 * CHANGES + 2 + TRIED / 2);
    sem_destroy(&done);
}

static void without_a_cluster(void **state)
{
    sem_t done;
    (void)state;
    sem_init(&done, 0, 0);
    struct audit_log *l = open_log(NULL);
    audit_log_put(l, &change, post, &done);
    audit_log_put(NULL, &change, post, &done);
    audit_log_stop(l);
    audit_log_put(l, &change, post, &done);
    wait_for(&done, 3);
    audit_log_free(l);
    audit_log_free(NULL);
    sem_destroy(&done);
}

static void an_end_without_a_cluster(void **state)
{
    struct cluster *c = *state;
    sem_t done;
    sem_init(&done, 0, 0);
    rd_kafka_mock_broker_set_down(c->mock, 1);
    struct audit_log *l = open_log(c);
    audit_log_put(l, &change, post, &done);
    audit_log_stop(l); /* gives up, and tells who waits */
    wait_for(&done, 1);
    audit_log_put(l, &change, post, &done);
    wait_for(&done, 1);
    audit_log_free(l);
    sem_destroy(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_as_documented),
        cmocka_unit_test(tampering_is_told),
        cmocka_unit_test(heads_kept_elsewhere),
        cmocka_unit_test_setup_teardown(what_is_put_is_written, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(refusals_change_no_order, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(nobody_waits_longer_than_said, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(strangers_are_counted, start_cluster, stop_cluster),
        cmocka_unit_test(without_a_cluster),
        cmocka_unit_test_setup_teardown(an_end_without_a_cluster, start_cluster, stop_cluster),
    };
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
