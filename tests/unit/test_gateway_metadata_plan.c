/* SPDX-License-Identifier: Apache-2.0
 * What becomes of each topic a Metadata request names: described, made on demand, asked for apart, refused. */
#include "gateway/api/metadata_plan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum err describe(void *ctx, struct slice topic)
{
    (void)ctx;
    return slice_starts(topic, slice_str("hidden")) ? ERR_TOPIC_AUTHORIZATION_FAILED : ERR_OK;
}

static enum err create(void *ctx, struct slice topic)
{
    (void)ctx;
    return slice_starts(topic, slice_str("made")) ? ERR_OK : ERR_TOPIC_AUTHORIZATION_FAILED;
}

static const struct metadata_rights rights = {NULL, describe, create};
static struct arena arena;

static struct metadata_plan plan(struct metadata_request_metadata_request_topic *v, int32_t n, int16_t version,
                                 bool create_flag)
{
    struct metadata_request req;
    struct metadata_plan out;

    metadata_request_init(&req);
    req.topics.v = v;
    req.topics.n = n;
    req.allow_auto_topic_creation = create_flag;
    assert_int_equal(metadata_plan_begin(&out, &req, version, &arena), ERR_OK);
    while (out.at < n && !out.whole)
        metadata_plan_next(&out, &req, version, &rights);
    return out;
}

static void test_names(void **state)
{
    struct metadata_request_metadata_request_topic v[] = {
        {.name = slice_str("made")}, {.name = slice_str("hidden")}, {.name = slice_str("seen")}};

    (void)state;
    for (int16_t version = 0; version <= METADATA_REQUEST_MAX; version++)
        for (int flag = 0; flag < 2; flag++) {
            struct metadata_plan p = plan(v, 3, version, flag);
            bool creates = flag || version < METADATA_CREATE_FLAG_SINCE;

            assert_int_equal(p.whole, ERR_OK);
            assert_false(p.by_id);
            assert_int_equal(p.refused_n, 1);
            assert_true(slice_eq_str(p.refused[0].name, "hidden"));
            assert_int_equal(p.refused[0].err, ERR_TOPIC_AUTHORIZATION_FAILED);
            assert_int_equal(p.ask.n, creates);
            assert_int_equal(p.send.n, creates ? 1 : 2);
            assert_true(slice_eq_str(p.send.v[0].name, "made"));
            assert_true(slice_eq_str((creates ? p.ask.v[0] : p.send.v[1]).name, "seen"));
        }
}

static void test_all_and_none(void **state)
{
    (void)state;
    for (int32_t n = -1; n < 1; n++) {
        struct metadata_plan p = plan(NULL, n, 12, true);
        assert_int_equal(p.whole, ERR_OK);
        assert_int_equal(p.refused_n + p.ask.n + p.send.n, 0);
    }
}

static void test_ids(void **state)
{
    struct metadata_request_metadata_request_topic v[] = {
        {.name = slice_str("hidden"), .topic_id = {{7}}}, {.name = slice_str("made")}, {.topic_id = {{8}}}};
    struct metadata_plan p = plan(v, 3, 12, true);

    (void)state;
    assert_true(p.by_id);
    assert_int_equal(p.send.n, 2); /* the one without an id is dropped, and no name goes on */
    assert_int_equal(p.refused_n + p.ask.n, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(slice_is_null(p.send.v[i].name));
        assert_int_equal(p.send.v[i].topic_id.b[0], 7 + i);
    }
    for (int16_t version = 10; version < METADATA_IDS_SINCE; version++) {
        assert_int_equal(plan(v, 1, version, true).whole, ERR_INVALID_REQUEST);
        assert_int_equal(plan(v + 2, 1, version, true).whole, ERR_INVALID_REQUEST);
    }
}

static void test_neither(void **state)
{
    struct metadata_request_metadata_request_topic v[] = {{.name = SLICE_NULL}, {.name = slice_str("seen")}};

    (void)state;
    assert_int_equal(plan(v, 2, 11, true).whole, ERR_INVALID_REQUEST);
    assert_int_equal(plan(v, 2, 12, true).whole, ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(plan(v, 2, 12, true).send.n, 0);
}

static void test_the_refusal_of_the_whole(void **state)
{
    struct metadata_request_metadata_request_topic v[] = {{.name = SLICE_NULL, .topic_id = {{1}}},
                                                          {.name = slice_str("seen")}};
    struct metadata_request req;
    struct metadata_response resp;

    (void)state;
    metadata_request_init(&req);
    req.topics.v = v;
    req.topics.n = 2;
    assert_int_equal(metadata_refuse_whole(&resp, &req, ERR_INVALID_REQUEST, &arena), ERR_OK);
    assert_int_equal(resp.brokers.n, 0);
    assert_int_equal(resp.topics.n, 2);
    assert_int_equal(resp.topics.v[0].error_code, ERR_INVALID_REQUEST);
    assert_true(slice_eq_str(resp.topics.v[0].name, ""));
    assert_int_equal(resp.topics.v[0].topic_id.b[0], 1);
    assert_true(slice_eq_str(resp.topics.v[1].name, "seen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_all_and_none),
        cmocka_unit_test(test_ids),     cmocka_unit_test(test_the_refusal_of_the_whole),
        cmocka_unit_test(test_neither),
    };
    int failed;

    arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
