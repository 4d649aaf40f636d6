/* SPDX-License-Identifier: Apache-2.0
 * Quotas: Kafka's order of precedence, its checks and filters, the records, and over simulated time that clients who
 * obey their throttle time get exactly their quota in the long run. */
#include "acl/quota_meter.h"
#include "acl/quota_records.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEFAULT_NAME ((const char *)-1)

static struct quota_part part(const char *name)
{
    if (!name)
        return (struct quota_part){0};
    if (name == DEFAULT_NAME)
        return (struct quota_part){.kind = QUOTA_DEFAULT};
    return (struct quota_part){.kind = QUOTA_NAMED, .name = slice_str(name)};
}

static struct quota_entity entity(const char *user, const char *client, const char *ip)
{
    return (struct quota_entity){part(user), part(client), part(ip)};
}

static void put(struct quota_table *t, const char *user, const char *client, enum quota_key k, double value)
{
    struct quota_entity e = entity(user, client, NULL);
    assert_int_equal(quota_table_put(t, &e, k, value), ERR_OK);
}

/* Take the eight levels away one after the other: the next one must show. */
static void the_eight_levels_in_order(void **state)
{
    static const struct {
        const char *user, *client;
        enum quota_tags tags;
    } levels[] = {
        {"u", "c", QUOTA_TAGS_USER_CLIENT},
        {"u", DEFAULT_NAME, QUOTA_TAGS_USER_CLIENT},
        {"u", NULL, QUOTA_TAGS_USER},
        {DEFAULT_NAME, "c", QUOTA_TAGS_USER_CLIENT},
        {DEFAULT_NAME, DEFAULT_NAME, QUOTA_TAGS_USER_CLIENT},
        {DEFAULT_NAME, NULL, QUOTA_TAGS_USER},
        {NULL, "c", QUOTA_TAGS_CLIENT},
        {NULL, DEFAULT_NAME, QUOTA_TAGS_CLIENT},
    };
    struct quota_table *t = quota_table_new();
    struct quota_snapshot *s;
    struct quota_bound b;

    (void)state;
    for (int i = 0; i < 8; i++) {
        put(t, levels[i].user, levels[i].client, QUOTA_PRODUCER_BYTE_RATE, 100 + i);
        put(t, levels[i].user, levels[i].client, QUOTA_REQUEST_PERCENTAGE, 1);
    }
    assert_int_equal(quota_table_count(t), 8);
    for (int i = 0; i < 8; i++) {
        struct quota_entity e = entity(levels[i].user, levels[i].client, NULL);
        assert_int_equal(quota_snapshot_build(&s, t), ERR_OK);
        assert_true(quota_snapshot_resolve(s, QUOTA_PRODUCER_BYTE_RATE, slice_str("u"), slice_str("c"), &b));
        assert_true(b.bound == 100 + i);
        assert_int_equal(b.tags, levels[i].tags);
        assert_int_equal(b.user.n, b.tags != QUOTA_TAGS_CLIENT);
        assert_int_equal(b.client_id.n, b.tags != QUOTA_TAGS_USER);
        assert_false(quota_snapshot_limits_any(s, QUOTA_CONSUMER_BYTE_RATE));
        quota_snapshot_unref(s);
        assert_true(quota_table_remove(t, &e, QUOTA_PRODUCER_BYTE_RATE)); /* another key still holds the entity */
        assert_false(quota_table_remove(t, &e, QUOTA_PRODUCER_BYTE_RATE));
    }
    assert_int_equal(quota_snapshot_build(&s, t), ERR_OK);
    assert_false(quota_snapshot_resolve(s, QUOTA_PRODUCER_BYTE_RATE, slice_str("u"), slice_str("c"), &b));
    assert_true(quota_snapshot_resolve(s, QUOTA_REQUEST_PERCENTAGE, slice_str("x"), SLICE_NULL, &b));
    assert_int_equal(b.tags, QUOTA_TAGS_USER_CLIENT);
    quota_snapshot_unref(s);
    quota_table_free(t);
}

static void ip_limits(void **state)
{
    struct quota_table *t = quota_table_new();
    struct quota_entity one = entity(NULL, NULL, "::1"), any = entity(NULL, NULL, DEFAULT_NAME);
    struct quota_snapshot *s;
    struct quota_bound b;

    (void)state;
    assert_int_equal(quota_table_put(t, &one, QUOTA_CONNECTION_CREATION_RATE, 5), ERR_OK);
    assert_int_equal(quota_table_put(t, &any, QUOTA_CONNECTION_CREATION_RATE, 7), ERR_OK);
    assert_int_equal(quota_snapshot_build(&s, t), ERR_OK);
    assert_true(quota_snapshot_resolve_ip(s, slice_str("0:0:0:0:0:0:0:1"), &b) && b.bound == 5);
    assert_true(quota_snapshot_resolve_ip(s, slice_str("10.0.0.1"), &b) && b.bound == 7);
    quota_snapshot_unref(s);
    quota_table_free(t);
}

static void changes_are_checked_as_kafka_does(void **state)
{
    struct quota_entity e = {0};
    struct quota_entity ip = entity(NULL, NULL, "10.0.0.1"), user = entity("u", NULL, NULL);
    enum quota_key k;
    struct reason why;

    (void)state;
    assert_int_equal(quota_entity_validate(&e, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid empty client quota entity");
    assert_int_equal(quota_entity_set(&e, slice_str("group"), slice_str("g"), &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Unhandled client quota entity type: group");
    assert_int_equal(quota_entity_set(&e, slice_str("user"), slice_str(""), &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Empty user not supported");
    assert_int_equal(quota_entity_set(&e, slice_str("user"), SLICE_NULL, &why), ERR_OK);
    assert_int_equal(quota_entity_set(&e, slice_str("user"), slice_str("u"), &why), ERR_INVALID_REQUEST);
    assert_int_equal(quota_entity_set(&e, slice_str("ip"), slice_str("10.0.0.1"), &why), ERR_OK);
    assert_int_equal(quota_entity_validate(&e, &why), ERR_INVALID_REQUEST);
    e = entity(NULL, NULL, "not-an-address");
    assert_int_equal(quota_entity_validate(&e, &why), ERR_INVALID_REQUEST);

    assert_int_equal(quota_value_validate(&user, slice_str("producer_byte_rate"), 1024, &k, &why), ERR_OK);
    assert_int_equal(quota_value_validate(&user, slice_str("speed"), 1, &k, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid configuration key speed");
    assert_int_equal(quota_value_validate(&user, slice_str("connection_creation_rate"), 1, &k, &why),
                     ERR_INVALID_REQUEST);
    assert_int_equal(quota_value_validate(&ip, slice_str("producer_byte_rate"), 1, &k, &why), ERR_INVALID_REQUEST);
    assert_int_equal(quota_value_validate(&user, slice_str("producer_byte_rate"), 0, &k, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Quota producer_byte_rate must be greater than 0");
    assert_int_equal(quota_value_validate(&user, slice_str("producer_byte_rate"), NAN, &k, &why), ERR_INVALID_REQUEST);
    assert_int_equal(quota_value_validate(&user, slice_str("producer_byte_rate"), 1.5, &k, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "producer_byte_rate cannot be a fractional value.");
    assert_int_equal(quota_value_validate(&user, slice_str("request_percentage"), 1.5, &k, &why), ERR_OK);
    assert_int_equal(quota_value_validate(&ip, slice_str("connection_creation_rate"), 3e9, &k, &why),
                     ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Proposed value for connection_creation_rate is too large for an INT.");
}

static void filters(void **state)
{
    struct quota_entity both = entity("u", "c", NULL), user = entity("u", NULL, NULL),
                        any = entity(DEFAULT_NAME, NULL, NULL);
    struct quota_filter f = {0};
    struct reason why;

    (void)state;
    assert_true(quota_filter_matches(&f, &both));
    f.strict = true;
    assert_false(quota_filter_matches(&f, &both));
    f.strict = false;
    assert_int_equal(quota_filter_add(&f, slice_str("user"), QUOTA_MATCH_EXACT, slice_str("u"), &why), ERR_OK);
    assert_true(quota_filter_matches(&f, &both) && quota_filter_matches(&f, &user));
    assert_false(quota_filter_matches(&f, &any));
    f.strict = true;
    assert_false(quota_filter_matches(&f, &both));
    assert_true(quota_filter_matches(&f, &user));
    assert_int_equal(quota_filter_add(&f, slice_str("user"), QUOTA_MATCH_DEFAULT, SLICE_NULL, &why),
                     ERR_INVALID_REQUEST);
    f = (struct quota_filter){0};
    assert_int_equal(quota_filter_add(&f, slice_str("user"), QUOTA_MATCH_DEFAULT, SLICE_NULL, &why), ERR_OK);
    assert_true(quota_filter_matches(&f, &any));
    assert_false(quota_filter_matches(&f, &user));
    f = (struct quota_filter){0};
    assert_int_equal(quota_filter_add(&f, slice_str("user"), QUOTA_MATCH_SPECIFIED, SLICE_NULL, &why), ERR_OK);
    assert_true(quota_filter_matches(&f, &any) && quota_filter_matches(&f, &user));
    assert_int_equal(quota_filter_add(&f, slice_str("client-id"), QUOTA_MATCH_SPECIFIED, SLICE_NULL, &why), ERR_OK);
    assert_false(quota_filter_matches(&f, &user));
    assert_true(quota_filter_matches(&f, &both));
    assert_int_equal(quota_filter_add(&f, slice_str("ip"), QUOTA_MATCH_SPECIFIED, SLICE_NULL, &why), ERR_OK);
    assert_int_equal(quota_filter_validate(&f, &why), ERR_INVALID_REQUEST);
    f = (struct quota_filter){0};
    assert_int_equal(quota_filter_add(&f, slice_str("user"), QUOTA_MATCH_EXACT, SLICE_NULL, &why), ERR_INVALID_REQUEST);
    assert_int_equal(quota_filter_add(&f, slice_str("user"), 3, SLICE_NULL, &why), ERR_INVALID_REQUEST);
    assert_int_equal(quota_filter_add(&f, slice_str("host"), 0, slice_str("h"), &why), ERR_UNSUPPORTED_VERSION);
}

static void records_round_trip(void **state)
{
    struct quota_table *t = quota_table_new();
    struct quota_entity e = entity("al\"ice", DEFAULT_NAME, NULL);
    const struct quota_limits *l;
    struct buf key, value;
    struct reason why;

    (void)state;
    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(quota_record_key(&key, &e, QUOTA_CONSUMER_BYTE_RATE), ERR_OK);
    assert_string_equal(buf_cstr(&key),
                        "{\"entity\":{\"client-id\":null,\"user\":\"al\\\"ice\"},\"quota\":\"consumer_byte_rate\"}");
    assert_int_equal(quota_record_value(&value, 1048576), ERR_OK);
    assert_string_equal(buf_cstr(&value), "{\"value\":1048576.0,\"version\":1}");
    assert_int_equal(quota_record_apply(t, buf_slice(&key), buf_slice(&value), &why), ERR_OK);
    l = quota_table_get(t, &e);
    assert_true(l && l->set[QUOTA_CONSUMER_BYTE_RATE] && l->value[QUOTA_CONSUMER_BYTE_RATE] == 1048576);
    assert_int_equal(quota_record_apply(t, buf_slice(&key), SLICE_NULL, &why), ERR_OK);
    assert_int_equal(quota_table_count(t), 0);
    assert_int_equal(quota_record_apply(t, slice_str("{}"), buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(quota_record_apply(t, slice_str("x"), buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(quota_record_apply(t, buf_slice(&key), slice_str("{\"value\":-1}"), &why), ERR_MALFORMED);
    assert_int_equal(quota_record_apply(t, buf_slice(&key), slice_str("{\"value\":\"1\"}"), &why), ERR_MALFORMED);
    assert_int_equal(quota_table_count(t), 0);
    quota_table_free(t);
    buf_free(&key);
    buf_free(&value);
}

/* A client that sends `size` at a time and waits as told, for `seconds`; the rate it got after the first window. */
static double obedient_rate(double bound, double size, int64_t gap_ms, int seconds)
{
    struct quota_meters *m = quota_meters_new(NULL);
    struct quota_bound b = {QUOTA_PRODUCER_BYTE_RATE, QUOTA_TAGS_USER, bound, slice_str("u"), {0}, {0}};
    int64_t now = 1000, start = now + 30000, end = start + seconds * 1000LL;
    double sent = 0;

    while (now < end) {
        if (now >= start)
            sent += size;
        now += gap_ms + quota_record(m, &b, size, now);
    }
    quota_meters_free(m);
    return sent * 1000.0 / (double)(now - start);
}

static void the_long_run_rate_is_the_quota(void **state)
{
    static const struct {
        double bound, size;
        int64_t gap_ms;
    } cases[] = {
        {1e6, 1e3, 0}, {1e6, 1e4, 0},   {1e6, 1e5, 1}, {1e6, 1e6, 0}, {1e6, 3e6, 5},
        {1e4, 6e5, 1}, {1e5, 16384, 3}, {5e7, 1e6, 1}, {2e4, 1e4, 7}, {100, 30, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = obedient_rate(cases[i].bound, cases[i].size, cases[i].gap_ms, 6000);
        if (fabs(got / cases[i].bound - 1) > 0.01)
            fail_msg("case %zu: %.0f instead of %.0f", i, got, cases[i].bound);
    }
    /* under the quota nobody waits */
    assert_true(obedient_rate(1e6, 1e3, 10, 60) > 0.99e5);
}

/* By hand: a burst of 10 s, then a bucket in debt. The first figures are also those of Kafka's sampled rate. */
static void throttle_times_add_up(void **state)
{
    struct quota_meters *m = quota_meters_new(NULL);
    struct quota_bound b = {QUOTA_PRODUCER_BYTE_RATE, QUOTA_TAGS_USER, 1000, slice_str("u"), {0}, {0}};
    struct quota_bound request = {QUOTA_REQUEST_PERCENTAGE, QUOTA_TAGS_USER, 1, slice_str("u"), {0}, {0}};

    (void)state;
    assert_int_equal(quota_record(m, &b, 10000, 5000), 0); /* 10 s worth: the bound over Kafka's window */
    assert_int_equal(quota_record(m, &b, 500, 5000), 500); /* Kafka: (1050 - 1000) / 1000 * 10 s */
    assert_int_equal(quota_record(m, &b, 0, 5200), 300);
    quota_unrecord(m, &b, 500, 5200);
    assert_int_equal(quota_peek(m, &b, 5200), 0);
    assert_int_equal(quota_record(m, &b, 20000, 6000), 19000);
    assert_int_equal(quota_peek(m, &b, 17000), 8000);
    assert_int_equal(quota_peek(m, &b, 25000), 0);
    b.bound = 500; /* lowered meanwhile: at most the new burst is left */
    assert_int_equal(quota_record(m, &b, 5000, 900000), 0);
    assert_int_equal(quota_record(m, &b, 500, 900000), 1000);
    assert_int_equal(quota_record(m, &b, 1e12, 900000), QUOTA_THROTTLE_MAX_MS);
    assert_int_equal(quota_record(m, &request, 500, 5000), 1000); /* bounded by one sample */
    assert_int_equal(quota_peek(m, &request, 15000), 0);
    assert_true(quota_window_max(m, &b) == 5000);
    quota_meters_free(m);
}

static void mutations_use_a_token_bucket(void **state)
{
    struct quota_meters *m = quota_meters_new(NULL);
    struct quota_bound b = {QUOTA_CONTROLLER_MUTATION_RATE, QUOTA_TAGS_USER, 2, slice_str("u"), {0}, {0}};
    bool refused;
    double done = 0;

    (void)state;
    assert_int_equal(quota_record_mutations(m, &b, 22, true, &refused, 1000), 0); /* the burst: 11 s of tokens */
    assert_int_equal(quota_record_mutations(m, &b, 10, true, &refused, 1000), 5000);
    assert_false(refused);
    assert_int_equal(quota_record_mutations(m, &b, 1, true, &refused, 2000), 4000);
    assert_true(refused);
    assert_int_equal(quota_record_mutations(m, &b, 1, false, &refused, 2000), 4500);
    assert_false(refused);
    assert_int_equal(quota_record_mutations(m, &b, 1, true, &refused, 6500), 500);
    assert_false(refused);
    for (int64_t now = 10000; now < 610000;) {
        int64_t wait = quota_record_mutations(m, &b, 3, true, &refused, now);
        done += refused ? 0 : 3;
        now += wait + 1;
    }
    assert_true(fabs(done / 600 / 2 - 1) < 0.02); /* the burst at its start included */
    quota_meters_free(m);
}

static void tags_share_and_separate(void **state)
{
    struct quota_meters *m = quota_meters_new(NULL);
    struct quota_bound user = {QUOTA_PRODUCER_BYTE_RATE, QUOTA_TAGS_USER, 1000, slice_str("u"), {0}, {0}};
    struct quota_bound pair = {QUOTA_PRODUCER_BYTE_RATE, QUOTA_TAGS_USER_CLIENT, 1000,
                               slice_str("u"),           slice_str("c"),         {0}};
    struct quota_bound fetch = user;

    (void)state;
    fetch.key = QUOTA_CONSUMER_BYTE_RATE;
    assert_int_equal(quota_record(m, &user, 11000, 1000), 1000);
    assert_int_equal(quota_peek(m, &user, 1000), 1000);
    assert_int_equal(quota_peek(m, &pair, 1000), 0);
    assert_int_equal(quota_peek(m, &fetch, 1000), 0);
    quota_meters_free(m);
}

static void meters_are_bounded_and_expire(void **state)
{
    struct quota_meter_options o = {.meters_max = 64};
    struct quota_meters *m = quota_meters_new(&o);
    char name[2000];
    struct quota_bound b = {QUOTA_PRODUCER_BYTE_RATE, QUOTA_TAGS_CLIENT, 1000, {0}, {0}, {0}};

    (void)state;
    memset(name, 'x', sizeof name); /* longer than a key kept on the stack */
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(name, 16, "client-%d", i);
        name[n] = 'x';
        b.client_id = slice_of(name, i % 2 ? (size_t)n : sizeof name);
        (void)quota_record(m, &b, 1, 1000 + i);
        assert_true(quota_meters_count(m) <= 64);
    }
    assert_true(quota_meters_count(m) > 32);
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(name, sizeof name, "later-%d", i);
        b.client_id = slice_of(name, (size_t)n);
        assert_int_equal(quota_record(m, &b, 1, 1000000 + i), 0);
    }
    assert_true(quota_meters_count(m) <= 64);
    b.client_id = slice_str("client-1");
    (void)quota_record(m, &b, 1, 2000000);
    assert_true(quota_meters_count(m) <= 64);
    quota_meters_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_eight_levels_in_order),
        cmocka_unit_test(ip_limits),
        cmocka_unit_test(changes_are_checked_as_kafka_does),
        cmocka_unit_test(filters),
        cmocka_unit_test(records_round_trip),
        cmocka_unit_test(the_long_run_rate_is_the_quota),
        cmocka_unit_test(throttle_times_add_up),
        cmocka_unit_test(mutations_use_a_token_bucket),
        cmocka_unit_test(tags_share_and_separate),
        cmocka_unit_test(meters_are_bounded_and_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
