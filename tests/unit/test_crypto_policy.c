/* SPDX-License-Identifier: Apache-2.0
 * Privacy policies: words in, record out and back; what cannot be enforced is refused; literal before longest prefix;
 * a broken record makes its topic refuse rather than pass. */
#include "crypto/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct policy_words words(const char *topic, bool prefixed, const char *subject, const char *protect,
                                 const char *erased)
{
    return (struct policy_words){
        .topic = topic, .prefixed = prefixed, .subject_from = subject, .protect = protect, .erased = erased};
}

static void test_round_trip(void **state)
{
    static const char *const erased[] = {"null", "skip", "redact", "error", "ciphertext"};
    struct buf key, value;
    (void)state;
    buf_init(&key, 0);
    buf_init(&value, 0);
    for (size_t i = 0; i < 5; i++) {
        struct policy *p, *q;
        struct policy_words w = words("orders", i % 2, i % 2 ? "header:user-id" : "key", "value", erased[i]);
        w.lineage = i == 2 ? "orders-eu" : NULL;
        w.suite = i == 3 ? "chacha20-poly1305" : NULL;
        assert_int_equal(policy_new(&p, &w, NULL), ERR_OK);
        buf_clear(&key);
        buf_clear(&value);
        assert_int_equal(policy_encode(p, &key, &value), ERR_OK);
        assert_string_equal(buf_cstr(&key), i % 2 ? "prefixed/orders" : "literal/orders");
        assert_int_equal(policy_decode(&q, buf_slice(&value), NULL), ERR_OK);
        assert_string_equal(q->topic, "orders");
        assert_int_equal(q->erased, p->erased);
        assert_int_equal(q->subject, p->subject);
        assert_string_equal(q->subject_arg, p->subject_arg);
        assert_string_equal(q->lineage, i == 2 ? "orders-eu" : "");
        assert_string_equal(q->tenant, "default");
        assert_int_equal(q->suite, i == 3 ? ENVELOPE_CHACHA20_POLY1305 : 0);
        policy_free(p);
        policy_free(q);
    }
    buf_free(&key);
    buf_free(&value);
}

static void test_refusals_say_why(void **state)
{
    const struct {
        struct policy_words w;
        enum err e;
        const char *says;
    } cases[] = {
        {words(NULL, false, "key", "value", "null"), ERR_INVALID_TOPIC_EXCEPTION, "topic name"},
        {words("a b", false, "key", "value", "null"), ERR_INVALID_TOPIC_EXCEPTION, "a b"},
        {words("", true, "key", "value", "null"), ERR_INVALID_TOPIC_EXCEPTION, "prefix"},
        {words("__castellan_keys", false, "key", "value", "null"), ERR_POLICY_VIOLATION, "internal"},
        {words("_schemas", false, "key", "value", "null"), ERR_POLICY_VIOLATION, "internal"},
        {words("t", false, NULL, "value", "null"), ERR_POLICY_VIOLATION, "subject-from"},
        {words("t", false, "header:", "value", "null"), ERR_POLICY_VIOLATION, "header"},
        {words("t", false, "field:/user/id", "value", "null"), ERR_UNSUPPORTED, "cannot be enforced yet"},
        {words("t", false, "value", "value", "null"), ERR_POLICY_VIOLATION, "none of"},
        {words("t", false, "key", NULL, "null"), ERR_POLICY_VIOLATION, "protects"},
        {words("t", false, "key", "fields:a,b", "null"), ERR_UNSUPPORTED, "fields:a,b"},
        {words("t", false, "key", "tag:PII", "null"), ERR_UNSUPPORTED, "cannot be enforced yet"},
        {words("t", false, "key", "nothing", "null"), ERR_POLICY_VIOLATION, "nothing"},
        {words("t", false, "key", "value", NULL), ERR_POLICY_VIOLATION, "none of null"},
        {words("t", false, "key", "value", "vanish"), ERR_POLICY_VIOLATION, "vanish"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *p = (struct policy *)1;
        struct reason why = {0};
        assert_int_equal(policy_new(&p, &cases[i].w, &why), cases[i].e);
        assert_null(p);
        if (!strstr(why.text, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, why.text, cases[i].says);
    }
}

static void test_bad_records_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"version\":1}",
        "{\"version\":2,\"topic\":\"t\",\"pattern\":\"literal\",\"subject_from\":\"key\",\"protect\":\"value\","
        "\"erased\":\"null\"}",
        "{\"version\":1,\"topic\":\"t\",\"pattern\":\"glob\",\"subject_from\":\"key\",\"protect\":\"value\",\"erased\":"
        "\"null\"}",
        "{\"version\":1,\"topic\":\"t\",\"pattern\":\"literal\",\"subject_from\":\"key\",\"protect\":\"value\","
        "\"erased\":\"null\",\"extra\":1}",
        "{\"version\":1,\"topic\":\"t\",\"topic\":\"u\",\"pattern\":\"literal\",\"subject_from\":\"key\",\"protect\":"
        "\"value\",\"erased\":\"null\"}",
        "{\"version\":1,\"topic\":7,\"pattern\":\"literal\",\"subject_from\":\"key\",\"protect\":\"value\",\"erased\":"
        "\"null\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct policy *p;
        assert_int_not_equal(policy_decode(&p, slice_str(bad[i]), NULL), ERR_OK);
        assert_null(p);
    }
}

static void put(struct policy_table *t, const char *topic, bool prefixed, const char *erased)
{
    struct policy *p;
    struct buf key, value;
    struct policy_words w = words(topic, prefixed, "key", "value", erased);
    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(policy_new(&p, &w, NULL), ERR_OK);
    assert_int_equal(policy_encode(p, &key, &value), ERR_OK);
    assert_int_equal(policy_table_apply(t, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    policy_free(p);
    buf_free(&key);
    buf_free(&value);
}

static void finds(struct policy_set *s, const char *topic, const char *policy_topic)
{
    bool broken;
    const struct policy *p = policy_set_find(s, slice_str(topic), &broken);
    assert_false(broken);
    if (!policy_topic)
        assert_null(p);
    else
        assert_string_equal(p->topic, policy_topic);
}

static void test_lookup(void **state)
{
    struct policy_table *t = policy_table_new();
    bool broken = false;
    (void)state;
    put(t, "or", true, "skip");
    put(t, "orders-", true, "null");
    put(t, "orders-eu", false, "error");
    struct policy_set *s = policy_table_snapshot(t);
    assert_int_equal(policy_set_count(s), 3);
    finds(s, "orders-eu", "orders-eu");
    finds(s, "orders-eu2", "orders-");
    finds(s, "orders-us", "orders-");
    finds(s, "orbit", "or");
    finds(s, "o", NULL);
    finds(s, "people", NULL);

    /* a later change is not seen by the old snapshot */
    assert_int_equal(policy_table_apply(t, slice_str("literal/orders-eu"), SLICE_NULL, NULL), ERR_OK);
    struct policy_set *s2 = policy_table_snapshot(t);
    finds(s, "orders-eu", "orders-eu");
    finds(s2, "orders-eu", "orders-");
    policy_set_unref(s);
    policy_set_unref(s2);

    /* a record from the future fails closed for its topic, and for no other */
    struct reason why;
    assert_int_not_equal(policy_table_apply(t, slice_str("literal/people"), slice_str("{\"version\":9}"), &why),
                         ERR_OK);
    assert_int_not_equal(policy_table_apply(t, slice_str("nonsense"), slice_str("{}"), &why), ERR_OK);
    s = policy_table_snapshot(t);
    assert_null(policy_set_find(s, slice_str("people"), &broken));
    assert_true(broken);
    finds(s, "orders-eu", "orders-");
    policy_set_unref(policy_set_ref(s));
    policy_set_unref(s);
    policy_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_bad_records_are_refused),
        cmocka_unit_test(test_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
