/* SPDX-License-Identifier: Apache-2.0
 * Members that subscribe with a pattern: what is sent to the cluster in place of it, when it is sent again, what is
 * remembered for how long and for whom, and what is taken out of assignments. */
#include "gateway/filter/regex_members.h"
#include "gateway/filter/topic_regex.h"
#include "tests/unit/malloc_fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct wire_string_array null_names = {NULL, -1};
static struct slice topics[5];
static const char *hidden; /* the topic that nobody may describe */

static bool may_describe(void *context, struct slice topic)
{
    (void)context;
    return !hidden || !slice_eq_str(topic, hidden);
}

static int setup(void **state)
{
    static const char *const names[] = {"a1", "a2", "b1", "b2", "c1"};

    for (size_t i = 0; i < 5; i++)
        topics[i] = slice_str(names[i]);
    hidden = NULL;
    *state = regex_members_new(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    regex_members_free(*state);
    return 0;
}

static struct regex_heartbeat heartbeat(int32_t epoch, const char *regex)
{
    return (struct regex_heartbeat){.group = slice_str("g"),
                                    .member = slice_str("m"),
                                    .principal = slice_str("User:alice"),
                                    .epoch = epoch,
                                    .names = null_names,
                                    .regex = slice_str(regex)};
}

/* Resolves to the end, in slices of one step, and gives the names as "a b". */
static void assert_names(struct regex_resolution *r, const char *expected)
{
    char text[200] = "";
    size_t n = 0;
    enum regex_progress p;

    do
        p = regex_resolution_step(r, topics, 5, may_describe, NULL, 1, NULL);
    while (p == REGEX_AGAIN);
    assert_int_equal(p, REGEX_DONE);
    for (int32_t i = 0; i < r->names.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? " " : "", SLICE_FMT(r->names.v[i]));
    assert_string_equal(text, expected);
}

/* A heartbeat that must send `names`; answered with `answer`. */
static void sends(struct regex_members *m, struct regex_heartbeat h, struct regex_versions v, const char *names,
                  enum err answer)
{
    struct regex_resolution r;
    enum regex_plan plan;

    assert_int_equal(regex_members_heartbeat(m, &h, v, 0, &plan, &r, NULL), ERR_OK);
    assert_int_equal(plan, REGEX_RESOLVE);
    assert_names(&r, names);
    regex_members_answered(m, &h, r.ticket, answer);
    regex_resolution_free(&r);
}

static void plans(struct regex_members *m, struct regex_heartbeat h, struct regex_versions v, enum regex_plan expected)
{
    struct regex_resolution r;
    enum regex_plan plan;

    assert_true(expected != REGEX_RESOLVE);
    assert_int_equal(regex_members_heartbeat(m, &h, v, 0, &plan, &r, NULL), ERR_OK);
    assert_int_equal(plan, expected);
}

static void test_life(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct slice pattern;
    struct wire_string_array names;

    hidden = "a2";
    sends(m, heartbeat(0, "a.|c1"), v, "a1 c1", ERR_OK);
    plans(m, heartbeat(1, NULL), v, REGEX_KEEP);
    v.topics++;
    sends(m, heartbeat(1, NULL), v, "a1 c1", ERR_OK);
    plans(m, heartbeat(1, NULL), v, REGEX_KEEP);
    v.rules++;
    hidden = "a1";
    sends(m, heartbeat(1, NULL), v, "a2 c1", ERR_OK);
    sends(m, heartbeat(1, "b.*"), v, "b1 b2", ERR_OK);
    assert_true(regex_members_describe(m, slice_str("g"), slice_str("m"), &pattern, &names));
    assert_true(slice_eq_str(pattern, "b.*"));
    assert_int_equal(names.n, 0);
    assert_false(regex_members_describe(m, slice_str("gm"), slice_str(""), &pattern, &names));
    plans(m, heartbeat(-1, NULL), v, REGEX_FORWARD); /* leaves */
    assert_int_equal(regex_members_count(m), 0);
    assert_int_equal(regex_members_bytes(m), 0);
    plans(m, heartbeat(1, NULL), v, REGEX_REJOIN);
}

static void test_no_pattern_is_passed_on(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct slice list[] = {slice_str("a1")}, pattern;
    struct regex_heartbeat h = heartbeat(0, NULL);
    struct wire_string_array names;

    plans(m, h, v, REGEX_FORWARD);
    h.names = (struct wire_string_array){list, 1};
    plans(m, h, v, REGEX_FORWARD);
    h.regex = slice_str("");
    plans(m, h, v, REGEX_FORWARD);
    assert_int_equal(regex_members_count(m), 1);
    assert_false(regex_members_describe(m, h.group, h.member, &pattern, &names));
    v = (struct regex_versions){2, 2};
    plans(m, heartbeat(1, NULL), v, REGEX_FORWARD); /* its names are its own: nothing is sent again */
    h = heartbeat(1, NULL);
    h.principal = slice_str("User:bob");
    plans(m, h, v, REGEX_FORWARD);
    plans(m, heartbeat(-1, NULL), v, REGEX_FORWARD);
    assert_int_equal(regex_members_count(m), 0);
}

/* The gateway was started since the member joined, or it joined at another one. */
static void test_members_nobody_has_heard_of(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct slice list[] = {slice_str("a1")};
    struct regex_heartbeat h = heartbeat(7, NULL);

    plans(m, h, v, REGEX_REJOIN);
    plans(m, h, v, REGEX_REJOIN); /* until it says what it has */
    h.names = (struct wire_string_array){list, 1};
    plans(m, h, v, REGEX_FORWARD); /* names that changed: there may still be a pattern */
    plans(m, heartbeat(7, NULL), v, REGEX_REJOIN);
    h.says_all = true; /* as a client does after a failed heartbeat, too */
    plans(m, h, v, REGEX_FORWARD);
    plans(m, heartbeat(7, NULL), v, REGEX_FORWARD);
    h.regex = slice_str("b.");
    sends(m, h, v, "a1 b1 b2", ERR_OK);
    plans(m, heartbeat(7, NULL), v, REGEX_KEEP);
}

static void plain_joins(struct regex_members *m, int number, const char *principal)
{
    struct regex_heartbeat h = heartbeat(0, "");
    char id[20];

    snprintf(id, sizeof id, "plain%d", number);
    h.member = slice_str(id);
    h.principal = slice_str(principal);
    plans(m, h, (struct regex_versions){1, 1}, REGEX_FORWARD);
}

/* Who has no pattern takes no room from those who have one; without room for it nobody is asked to join again, as it
 * would be without end. */
static void test_plain_members_fill_half(void **state)
{
    struct regex_limits limits = {.members_max = 6, .members_per_principal_max = 4};
    struct regex_members *m = regex_members_new(&limits);
    struct regex_versions v = {1, 1};

    (void)state;
    for (int i = 0; i < 4; i++)
        plain_joins(m, i, "User:a");
    assert_int_equal(regex_members_count(m), 2);
    plans(m, heartbeat(3, NULL), v, REGEX_REJOIN); /* of alice, who has none yet */
    for (int i = 4; i < 8; i++)
        plain_joins(m, i, "User:b");
    assert_int_equal(regex_members_count(m), 3);
    plans(m, heartbeat(3, NULL), v, REGEX_FORWARD);
    sends(m, heartbeat(0, "a."), v, "a1 a2", ERR_OK);
    assert_int_equal(regex_members_count(m), 4);
    regex_members_free(m);
}

static void test_names_beside_a_pattern(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct slice list[] = {slice_str("zz"), slice_str("a2"), slice_str("a2"), slice_str("B")};
    struct regex_heartbeat h = heartbeat(0, "a.");
    struct slice pattern;
    struct wire_string_array names;

    h.names = (struct wire_string_array){list, 4};
    sends(m, h, v, "B a1 a2 zz", ERR_OK); /* zz does not exist yet: it stays subscribed, as in Kafka */
    assert_true(regex_members_describe(m, h.group, h.member, &pattern, &names));
    assert_int_equal(names.n, 4);
    v.rules++;
    hidden = "zz"; /* a right that was lost since */
    sends(m, heartbeat(1, NULL), v, "B a1 a2", ERR_OK);
    hidden = NULL;
    sends(m, heartbeat(1, "c."), v, "B a2 c1 zz", ERR_OK); /* null names: unchanged */
    sends(m, heartbeat(1, ""), v, "B a2 zz", ERR_OK);      /* no pattern any more: the cluster is told the rest */
    assert_false(regex_members_describe(m, h.group, h.member, &pattern, &names));
    v.topics++;
    plans(m, heartbeat(1, NULL), v, REGEX_FORWARD);

    /* The names were told while there was no pattern, so they are not known here. */
    plans(m, heartbeat(5, "a."), v, REGEX_REJOIN);
    h = heartbeat(5, "a.");
    h.names = (struct wire_string_array){list, 1};
    sends(m, h, v, "a1 a2 zz", ERR_OK);
    h = heartbeat(6, NULL);
    h.names = (struct wire_string_array){list + 3, 1};
    sends(m, h, v, "B a1 a2", ERR_OK);
}

static void test_answers(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct regex_heartbeat first = heartbeat(0, "a.");
    struct regex_resolution r;
    enum regex_plan plan;

    sends(m, first, v, "a1 a2", ERR_COORDINATOR_NOT_AVAILABLE);
    sends(m, heartbeat(1, NULL), v, "a1 a2", ERR_OK);
    sends(m, heartbeat(1, ""), v, "", ERR_NOT_COORDINATOR); /* not taken: it still holds what to say */
    assert_int_equal(regex_members_count(m), 1);
    sends(m, heartbeat(1, NULL), v, "", ERR_OK);
    plans(m, heartbeat(1, NULL), v, REGEX_FORWARD);

    sends(m, first, v, "a1 a2", ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(regex_members_count(m), 0);

    /* An answer to what was said before does not count for what was said since. */
    assert_int_equal(regex_members_heartbeat(m, &first, v, 0, &plan, &r, NULL), ERR_OK);
    sends(m, heartbeat(1, "b."), v, "b1 b2", ERR_NETWORK_EXCEPTION);
    regex_members_answered(m, &first, r.ticket, ERR_OK);
    regex_resolution_free(&r);
    sends(m, heartbeat(1, NULL), v, "b1 b2", ERR_OK);
}

static void test_refused_changes_nothing(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct regex_heartbeat bad = heartbeat(1, "a(");
    struct regex_resolution r;
    struct reason why = {0};
    enum regex_plan plan;

    assert_int_equal(regex_members_heartbeat(m, &bad, v, 0, &plan, &r, &why), ERR_OK);
    assert_int_equal(plan, REGEX_REJOIN); /* the pattern is not even looked at */
    bad.epoch = 0;
    assert_int_equal(regex_members_heartbeat(m, &bad, v, 0, &plan, &r, &why), ERR_INVALID_REGULAR_EXPRESSION);
    assert_string_equal(why.text, "missing closing )");
    assert_int_equal(regex_members_count(m), 0);
    sends(m, heartbeat(0, "a."), v, "a1 a2", ERR_OK);
    bad.epoch = 1;
    assert_int_equal(regex_members_heartbeat(m, &bad, v, 0, &plan, &r, &why), ERR_INVALID_REGULAR_EXPRESSION);
    plans(m, heartbeat(1, NULL), v, REGEX_KEEP);
}

static void test_other_principals(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct regex_heartbeat bob = heartbeat(1, NULL);
    struct regex_resolution r;
    enum regex_plan plan;

    sends(m, heartbeat(0, "a."), v, "a1 a2", ERR_OK);
    bob.principal = slice_str("User:bob");
    plans(m, bob, v, REGEX_REJOIN);
    bob.epoch = -1;
    plans(m, bob, v, REGEX_FORWARD);
    bob.epoch = 0;
    bob.regex = slice_str("b(");
    assert_int_equal(regex_members_heartbeat(m, &bob, v, 0, &plan, &r, NULL), ERR_INVALID_REGULAR_EXPRESSION);
    plans(m, heartbeat(1, NULL), v, REGEX_KEEP); /* untouched */
    bob.regex = slice_str("b.");
    sends(m, bob, v, "b1 b2", ERR_OK);
    assert_int_equal(regex_members_count(m), 1);
    plans(m, heartbeat(1, NULL), v, REGEX_REJOIN);
    plans(m, heartbeat(0, NULL), v, REGEX_FORWARD); /* joins anew, by names */
    assert_int_equal(regex_members_count(m), 1);
    bob.epoch = 1;
    plans(m, bob, v, REGEX_REJOIN); /* the names are gone with it */
}

static void test_expiry(void **state)
{
    struct regex_members *m = *state;
    struct regex_versions v = {1, 1};
    struct regex_heartbeat h = heartbeat(0, "a."), other = heartbeat(0, "b.");
    struct regex_resolution r;
    enum regex_plan plan;

    other.member = slice_str("n");
    assert_int_equal(regex_members_heartbeat(m, &h, v, 1000, &plan, &r, NULL), ERR_OK);
    regex_resolution_free(&r);
    assert_int_equal(regex_members_heartbeat(m, &other, v, 2000, &plan, &r, NULL), ERR_OK);
    regex_resolution_free(&r);
    h.regex = SLICE_NULL;
    assert_int_equal(regex_members_heartbeat(m, &h, v, 3000, &plan, &r, NULL), ERR_OK);
    regex_resolution_free(&r);
    assert_int_equal(regex_members_count(m), 2);
    other.regex = SLICE_NULL;
    other.epoch = 1;
    assert_int_equal(regex_members_heartbeat(m, &other, v, 2000 + REGEX_MEMBERS_EXPIRE_MS_DEFAULT, &plan, &r, NULL),
                     ERR_OK);
    assert_int_equal(plan, REGEX_REJOIN); /* it is not known any more; the other one is */
    assert_int_equal(regex_members_count(m), 1);
}

static enum err join(struct regex_members *m, int number, const char *principal, struct reason *why)
{
    struct regex_heartbeat h = heartbeat(0, "a.");
    struct regex_resolution r;
    enum regex_plan plan;
    char id[20];
    enum err e;

    snprintf(id, sizeof id, "m%d", number);
    h.member = slice_str(id);
    h.principal = slice_str(principal);
    e = regex_members_heartbeat(m, &h, (struct regex_versions){1, 1}, 0, &plan, &r, why);
    if (!e)
        regex_resolution_free(&r);
    return e;
}

static void test_limits(void **state)
{
    struct regex_limits limits = {.members_max = 5, .members_per_principal_max = 3};
    struct regex_members *m = regex_members_new(&limits);
    struct reason why = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(join(m, i, "User:a", NULL), ERR_OK);
    assert_int_equal(join(m, 0, "User:a", NULL), ERR_OK); /* again the same one */
    assert_int_equal(join(m, 3, "User:a", &why), ERR_GROUP_MAX_SIZE_REACHED);
    assert_non_null(strstr(why.text, "castellan.regex.members.per.principal.max is 3"));
    assert_int_equal(join(m, 4, "User:b", NULL), ERR_OK);
    assert_int_equal(join(m, 5, "User:b", NULL), ERR_OK);
    assert_int_equal(join(m, 6, "User:c", &why), ERR_GROUP_MAX_SIZE_REACHED);
    assert_non_null(strstr(why.text, "castellan.regex.members.max is 5"));
    regex_members_free(m);

    limits = (struct regex_limits){.bytes_max = 1000};
    m = regex_members_new(&limits);
    int n = 0;
    while (join(m, n, "User:a", &why) == ERR_OK && n < 100)
        n++;
    assert_true(n > 0 && n < 100);
    assert_non_null(strstr(why.text, "castellan.regex.members.bytes.max is 1000"));
    assert_true(regex_members_bytes(m) <= 1000);
    regex_members_free(m);
}

/* A pattern whose every name costs the most there is, over enough topics: ended by the named limit, in slices. */
static void test_work_is_bounded(void **state)
{
    enum { TOPICS = 100, NAME = 249 };
    static char bytes[TOPICS][NAME];
    static struct slice many[TOPICS];
    struct regex_resolution r;
    struct reason why = {0};
    enum regex_plan plan;
    enum regex_progress p;
    uint64_t before, most = 0;
    struct regex_heartbeat h = heartbeat(0, "(?:.?){1300}(?:.?){740}b");

    assert_int_equal(regex_members_heartbeat(*state, &h, (struct regex_versions){1, 1}, 0, &plan, &r, &why),
                     ERR_INVALID_REGULAR_EXPRESSION); /* 1300 is over RE2's own limit */
    h.regex = slice_str("(?:.?){1000}(?:.?){1000}b");
    assert_int_equal(regex_members_heartbeat(*state, &h, (struct regex_versions){1, 1}, 0, &plan, &r, NULL), ERR_OK);
    for (int i = 0; i < TOPICS; i++) {
        memset(bytes[i], 'a', NAME);
        char number[16];
        snprintf(number, sizeof number, "%03d", i);
        memcpy(bytes[i], number, 3);
        many[i] = slice_of(bytes[i], NAME);
    }
    do {
        before = r.steps;
        p = regex_resolution_step(&r, many, TOPICS, may_describe, NULL, 100000, &why);
        most = r.steps - before > most ? r.steps - before : most;
    } while (p == REGEX_AGAIN);
    assert_int_equal(p, REGEX_FAILED);
    assert_int_equal(why.code, ERR_INVALID_REGULAR_EXPRESSION);
    assert_non_null(strstr(why.text, "more than 50000000 steps"));
    assert_true(most <= 100000 + (NAME + 1) * 2ull * TOPIC_REGEX_INSTRUCTIONS_MAX + 100);
    regex_resolution_free(&r);
}

/* One heartbeat with the n-th allocation failing. True: it went through without reaching the fault. */
static bool survives_fault(struct regex_members *m, const struct regex_heartbeat *h, int n)
{
    size_t count = regex_members_count(m), bytes = regex_members_bytes(m);
    struct regex_resolution r;
    enum regex_progress p = REGEX_DONE;
    enum regex_plan plan;
    struct reason why = {0};

    malloc_fault_arm(n, 1);
    enum err e = regex_members_heartbeat(m, h, (struct regex_versions){1, 1}, 0, &plan, &r, &why);
    if (!e)
        do
            p = regex_resolution_step(&r, topics, 5, may_describe, NULL, 10, &why);
        while (p == REGEX_AGAIN);
    malloc_fault_arm(MALLOC_FAULT_NONE, 1);
    if (!e) {
        regex_members_answered(m, h, r.ticket, p == REGEX_DONE ? ERR_OK : ERR_NO_MEMORY);
        regex_resolution_free(&r);
    }
    if (e || p == REGEX_FAILED) {
        assert_int_equal(why.code, ERR_NO_MEMORY);
        assert_true(!e || (regex_members_count(m) == count && regex_members_bytes(m) == bytes));
        return false;
    }
    return true;
}

static void test_no_memory(void **state)
{
    struct regex_versions v = {2, 1};
    struct slice list[] = {slice_str("zz"), slice_str("B")};
    struct regex_heartbeat joins = heartbeat(0, "(?P<n>a.)|(?P<m>b.)"), changes = heartbeat(1, "c.");
    int n;

    (void)state;
    changes.names = (struct wire_string_array){list, 2};
    for (n = 0;; n++) {
        struct regex_members *m = regex_members_new(NULL);
        assert_non_null(m);
        bool joined = survives_fault(m, &joins, n);
        sends(m, joins, v, "a1 a2 b1 b2", ERR_OK); /* works after the fault */
        bool changed = survives_fault(m, &changes, n);
        sends(m, changes, v, "B c1 zz", ERR_OK);
        plans(m, heartbeat(1, NULL), v, REGEX_KEEP);
        regex_members_free(m);
        if (joined && changed)
            break;
    }
    assert_true(n > 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_no_pattern_is_passed_on),
        TEST(test_members_nobody_has_heard_of),
        TEST(test_plain_members_fill_half),
        TEST(test_names_beside_a_pattern),
        TEST(test_answers),
        TEST(test_refused_changes_nothing),
        TEST(test_other_principals),
        TEST(test_expiry),
        TEST(test_limits),
        TEST(test_work_is_bounded),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
