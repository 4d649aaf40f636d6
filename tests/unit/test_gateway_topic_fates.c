/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics' and DeleteTopics' lists: a topic named twice, by name and id both, by neither, and what the answers
 * show to whom. */
#include "gateway/api/topic_fates.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena arena;

/* Topic with id 1 is "mine", 2 "mine2", 3 "seen", 4 "hers". */
static enum err change(void *ctx, struct slice topic, const char **text)
{
    (void)ctx;
    if (slice_eq_str(topic, "log")) {
        *text = "never";
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return slice_starts(topic, slice_str("mine")) ? ERR_OK : ERR_TOPIC_AUTHORIZATION_FAILED;
}

static bool describe(void *ctx, struct slice topic)
{
    (void)ctx;
    return slice_starts(topic, slice_str("mine")) || slice_eq_str(topic, "seen");
}

static struct slice name_of(void *ctx, const struct wire_uuid *id)
{
    static const char *const names[] = {"", "mine", "mine2", "seen", "hers", "log"};
    (void)ctx;
    return id->b[0] < 6 ? slice_str(names[id->b[0]]) : SLICE_NULL;
}

static const struct topic_rights rights = {NULL, change, describe, name_of};

typedef struct delete_topics_request_delete_topic_state topic;

static struct topic_fate *decided(struct topic_fates *f)
{
    while (topic_fates_next(f, &rights))
        ;
    return f->v;
}

static struct topic_fate *fates_of(topic *v, int32_t n)
{
    struct delete_topics_request req;
    struct topic_fates out;

    delete_topics_request_init(&req);
    req.topics.v = v;
    req.topics.n = n;
    assert_true(topic_fates_delete(&out, &req, &arena));
    return decided(&out);
}

static void shows(const struct topic_fate *f, enum err err, const char *name, uint8_t id, bool silent)
{
    assert_int_equal(f->err, err);
    assert_int_equal(f->silent, silent);
    if (name)
        assert_true(slice_eq_str(f->name, name));
    else
        assert_true(slice_is_null(f->name));
    assert_int_equal(f->id.b[0], id);
}

static void test_one(void **state)
{
    topic v[] = {{.name = slice_str("mine")}, {.topic_id = {{2}}},       {.name = slice_str("hers")},
                 {.topic_id = {{3}}},         {.topic_id = {{4}}},       {.topic_id = {{9}}},
                 {.topic_id = {{5}}},         {.name = slice_str("log")}};
    struct topic_fate *f = fates_of(v, 8);

    (void)state;
    shows(&f[0], ERR_OK, "mine", 0, false);
    shows(&f[1], ERR_OK, NULL, 2, false);
    shows(&f[2], ERR_TOPIC_AUTHORIZATION_FAILED, "hers", 0, false);
    shows(&f[3], ERR_TOPIC_AUTHORIZATION_FAILED, "seen", 3, false);
    shows(&f[4], ERR_TOPIC_AUTHORIZATION_FAILED, NULL, 4, false); /* and not its name */
    shows(&f[5], ERR_UNKNOWN_TOPIC_ID, NULL, 9, false);
    shows(&f[6], ERR_UNKNOWN_TOPIC_ID, NULL, 5, false);
    shows(&f[7], ERR_UNKNOWN_TOPIC_OR_PARTITION, "log", 0, false);
    assert_string_equal(f[7].text, "never");
    for (int i = 0; i < 8; i++)
        assert_false(f[i].may_miss);
    f = fates_of((topic[]){{.name = slice_str("seen")}}, 1);
    shows(f, ERR_TOPIC_AUTHORIZATION_FAILED, "seen", 0, false);
    assert_true(f->may_miss);
}

static void test_the_list(void **state)
{
    topic v[] = {{.name = slice_str("mine"), .topic_id = {{4}}},
                 {.name = SLICE_NULL},
                 {.name = slice_str("hers")},
                 {.name = slice_str("hers")},
                 {.name = slice_str("hers")},
                 {.topic_id = {{9}}},
                 {.topic_id = {{9}}},
                 {.name = slice_str("mine")}};
    struct topic_fate *f = fates_of(v, 8);

    (void)state;
    shows(&f[0], ERR_INVALID_REQUEST, "mine", 4, false);
    shows(&f[1], ERR_INVALID_REQUEST, NULL, 0, false);
    shows(&f[2], ERR_INVALID_REQUEST, "hers", 0, false);
    shows(&f[3], ERR_INVALID_REQUEST, "hers", 0, true);
    shows(&f[4], ERR_INVALID_REQUEST, "hers", 0, true);
    shows(&f[5], ERR_INVALID_REQUEST, NULL, 9, false);
    shows(&f[6], ERR_INVALID_REQUEST, NULL, 9, true);
    shows(&f[7], ERR_OK, "mine", 0, false);
    assert_string_equal(f[2].text, "Duplicate topic name.");
    assert_string_equal(f[5].text, "Duplicate topic id.");
}

static void test_a_name_and_its_id(void **state)
{
    topic v[] = {{.topic_id = {{1}}}, {.name = slice_str("mine")}, {.name = slice_str("hers")}, {.topic_id = {{4}}}};
    struct topic_fate *f = fates_of(v, 4);

    (void)state;
    shows(&f[0], ERR_INVALID_REQUEST, NULL, 1, true);
    shows(&f[1], ERR_INVALID_REQUEST, "mine", 1, false);
    shows(&f[2], ERR_TOPIC_AUTHORIZATION_FAILED, "hers", 0, false); /* that the two are one is not told */
    shows(&f[3], ERR_TOPIC_AUTHORIZATION_FAILED, NULL, 4, false);
}

static void test_old_versions(void **state)
{
    struct slice names[] = {slice_str("mine"), slice_str("hers"), slice_str("mine2"), slice_str("mine2")};
    struct delete_topics_request req;
    struct topic_fates fates;
    struct topic_fate *f;

    (void)state;
    delete_topics_request_init(&req);
    req.topic_names.v = names;
    req.topic_names.n = 4;
    assert_true(topic_fates_delete(&fates, &req, &arena));
    f = decided(&fates);
    shows(&f[0], ERR_OK, "mine", 0, false);
    shows(&f[1], ERR_TOPIC_AUTHORIZATION_FAILED, "hers", 0, false);
    shows(&f[2], ERR_INVALID_REQUEST, "mine2", 0, false);
    shows(&f[3], ERR_INVALID_REQUEST, "mine2", 0, true);
}

static void test_create(void **state)
{
    struct create_topics_request_creatable_topic v[] = {{.name = slice_str("mine")},
                                                        {.name = slice_str("log")},
                                                        {.name = slice_str("twice")},
                                                        {.name = slice_str("hers")},
                                                        {.name = slice_str("twice")}};
    struct create_topics_request req;
    struct topic_fates fates;
    struct topic_fate *f;

    (void)state;
    create_topics_request_init(&req);
    req.topics.v = v;
    req.topics.n = 5;
    assert_true(topic_fates_create(&fates, &req, &arena));
    f = decided(&fates);
    shows(&f[0], ERR_OK, "mine", 0, false);
    shows(&f[1], ERR_UNKNOWN_TOPIC_OR_PARTITION, "log", 0, false);
    shows(&f[2], ERR_INVALID_REQUEST, "twice", 0, false);
    shows(&f[3], ERR_TOPIC_AUTHORIZATION_FAILED, "hers", 0, false);
    shows(&f[4], ERR_INVALID_REQUEST, "twice", 0, true);
    assert_string_equal(f[1].text, "never");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),          cmocka_unit_test(test_the_list), cmocka_unit_test(test_a_name_and_its_id),
        cmocka_unit_test(test_old_versions), cmocka_unit_test(test_create),
    };
    int failed;

    arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
