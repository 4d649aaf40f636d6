/* SPDX-License-Identifier: Apache-2.0
 * Patterns of topics: every line of tests/golden/topic_regex.txt (what RE2J says of a pattern and 64 names), the
 * limits, and that hostile patterns cost no more than the program's size for each byte of a name. TOPIC_REGEX_GOLDEN in
 * the environment names another file to replay, such as a longer one from tests/golden/topic_regex.java. */
#include "gateway/filter/topic_regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { NAMES = 64, LINES_MIN = 3000 };

static bool matches(const char *pattern, const char *topic)
{
    struct topic_regex *re = NULL;
    struct reason why = {0};

    if (topic_regex_compile(&re, slice_str(pattern), &why))
        fail_msg("%s: %s", pattern, why.text);
    bool yes = topic_regex_matches(re, slice_str(topic), NULL);
    topic_regex_free(re);
    return yes;
}

static void assert_refused(struct slice pattern, const char *words)
{
    struct topic_regex *re = NULL;
    struct reason why = {0};

    assert_int_equal(topic_regex_compile(&re, pattern, &why), ERR_INVALID_REGULAR_EXPRESSION);
    assert_null(re);
    if (!strstr(why.text, words))
        fail_msg("%.60s: \"%s\" does not say \"%s\"", (const char *)pattern.p, why.text, words);
}

/* --- the golden file --- */

struct golden {
    struct slice names[NAMES];
    size_t names_n, lines, wrong;
};

static void read_names(struct golden *g, struct slice list)
{
    while (g->names_n < NAMES && slice_next_item(&list, ' ', &g->names[g->names_n]))
        g->names_n++;
}

static void replay(struct golden *g, struct slice verdict, struct slice pattern)
{
    struct topic_regex *re = NULL;
    struct reason why = {0};
    enum err e = topic_regex_compile(&re, pattern, &why);
    uint64_t bits = 0;
    char said[420];

    if (e) {
        /* The one difference: see topic_regex_parse.c. */
        bool internal = !strcmp(why.text, "unexpected )");
        snprintf(said, sizeof said, "!%s", internal ? "regexp/syntax: internal error" : why.text);
    } else {
        for (size_t i = 0; i < NAMES; i++)
            bits |= (uint64_t)topic_regex_matches(re, g->names[i], NULL) << i;
        snprintf(said, sizeof said, "%016llx", (unsigned long long)bits);
    }
    topic_regex_free(re);
    g->lines++;
    if (slice_eq_str(verdict, said))
        return;
    if (++g->wrong <= 20)
        print_error("%.*s\n  RE2J:  %.*s\n  here:  %s\n", SLICE_FMT(pattern), SLICE_FMT(verdict), said);
}

static void test_golden(void **state)
{
    const char *path = getenv("TOPIC_REGEX_GOLDEN");
    static struct golden g;
    static char names[4096];
    char line[4096];
    FILE *in = fopen(path ? path : TEST_SOURCE "/tests/golden/topic_regex.txt", "r");

    (void)state;
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        char *end = strchr(line, '\n'), *tab = strchr(line, '\t');
        assert_non_null(end);
        if (line[0] == '#')
            continue;
        assert_non_null(tab);
        if (!strncmp(line, "names\t", 6)) {
            memcpy(names, tab + 1, (size_t)(end - tab - 1));
            read_names(&g, slice_of(names, (size_t)(end - tab - 1)));
            assert_int_equal(g.names_n, NAMES);
            continue;
        }
        replay(&g, slice_of(line, (size_t)(tab - line)), slice_of(tab + 1, (size_t)(end - tab - 1)));
    }
    fclose(in);
    if (g.wrong)
        fail_msg("%zu of %zu patterns differ from RE2J", g.wrong, g.lines);
    assert_true(g.lines >= LINES_MIN);
}

/* --- what people write --- */

static void test_everyday(void **state)
{
    (void)state;
    assert_true(matches("orders.*", "orders-eu"));
    assert_false(matches("orders", "orders-eu")); /* the whole name, not a part of it */
    assert_false(matches("eu", "orders-eu"));
    assert_true(matches("^orders\\.(eu|us)\\.v[0-9]+$", "orders.eu.v12"));
    assert_false(matches("^orders\\.(eu|us)\\.v[0-9]+$", "orders.asia.v1"));
    assert_true(matches("(?i)ORDERS", "orders"));
    assert_true(matches("team-(?:a|b)-.{1,3}", "team-b-xyz"));
    assert_false(matches("team-(?:a|b)-.{1,3}", "team-b-wxyz"));
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_false(matches(".", "\xff")); /* no topic has such a name; nothing matches it */
    assert_false(matches("[^a]", "\xff"));
}

/* --- limits --- */

static struct slice repeated(char *into, size_t size, const char *part, size_t times)
{
    size_t n = strlen(part);

    assert_true(n * times < size);
    for (size_t i = 0; i < times; i++)
        memcpy(into + i * n, part, n);
    into[n * times] = 0;
    return slice_of(into, n * times);
}

static void test_limits(void **state)
{
    static char text[TOPIC_REGEX_BYTES_MAX + 16], groups[2 * (TOPIC_REGEX_DEPTH_MAX + 2)];
    struct topic_regex *re = NULL;
    char sets[TOPIC_REGEX_BYTES_MAX];
    size_t n = 0;

    (void)state;
    assert_refused(repeated(text, sizeof text, "a", TOPIC_REGEX_BYTES_MAX + 1), "longer than 4096 bytes");
    assert_refused(repeated(text, sizeof text, "a", TOPIC_REGEX_BYTES_MAX), "more than 4096 instructions");
    assert_int_equal(topic_regex_compile(&re, repeated(text, sizeof text, "a", TOPIC_REGEX_INSTRUCTIONS_MAX - 1), NULL),
                     ERR_OK);
    topic_regex_free(re);
    assert_refused(slice_str("a{1001}"), "invalid repeat count");
    assert_refused(slice_str("x{1000}{1000}"), "invalid nested repetition operator");
    assert_refused(slice_str("(x{1000}){1000}"), "more than 4096 instructions");
    assert_refused(slice_str("(x{0,1000}){0,1000}"), "more than 4096 instructions");
    assert_refused(slice_str("((((x{1000}){1000}){1000}){1000}){1000}"), "more than 4096 instructions");
    assert_refused(slice_str("(.{1000,}){5,}"), "more than 4096 instructions");

    memset(groups, '(', TOPIC_REGEX_DEPTH_MAX + 1);
    memset(groups + TOPIC_REGEX_DEPTH_MAX + 1, ')', TOPIC_REGEX_DEPTH_MAX + 1);
    assert_refused(slice_of(groups, 2 * (TOPIC_REGEX_DEPTH_MAX + 1)), "nested more than 1000 deep");
    assert_int_equal(topic_regex_compile(&re, slice_of(groups + 1, 2 * TOPIC_REGEX_DEPTH_MAX), NULL), ERR_OK);
    assert_true(topic_regex_matches(re, slice_str(""), NULL));
    topic_regex_free(re);

    for (char a = 'A'; a <= 'Z'; a++)
        for (char b = 'a'; b <= 'k'; b++) /* 286 different sets */
            n += (size_t)snprintf(sets + n, sizeof sets - n, "[%c%c]", a, b);
    assert_refused(slice_of(sets, n), "more than 256 different sets");
    assert_int_equal(topic_regex_compile(&re, slice_of(sets, 4 * TOPIC_REGEX_SETS_MAX), NULL), ERR_OK);
    topic_regex_free(re);
}

static void test_text_is_utf8(void **state)
{
    static const char *const bad[] = {
        "\x80", "a\xff", "\xc0\x80", "\xe2\x84", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\xaf"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(slice_str(bad[i]), "not valid UTF-8");
    assert_true(matches("(?i)\xe2\x84\xaa", "k")); /* the Kelvin sign */
    struct topic_regex *re = NULL;
    assert_int_equal(topic_regex_compile(&re, slice_of("a\0b", 3), NULL), ERR_OK); /* NUL is a character */
    assert_true(topic_regex_matches(re, slice_of("a\0b", 3), NULL));
    assert_false(topic_regex_matches(re, slice_str("a"), NULL));
    topic_regex_free(re);
}

/* --- hostile patterns: counted steps, not a clock --- */

static void test_hostile(void **state)
{
    static const char *const patterns[] = {
        "(a*)*b",           "(a|aa)+$",        "(a|a)*b",
        "((((a*)*)*)*)*b",  "(a?){100}a{100}", "(.*)(.*)(.*)(.*)b",
        "(?:a*a*a*a*a*)*b", "(a{0,60}){30}",   "(?:(?:a|b?)+\\b?)*c",
        "(.*.*.*)*x",       "a{0,1000}b",      "(?:a?){1000}[^a]",
        "(\\b|\\B)*b",      "(|a|aa|aaa)*b",   "(?:()*)*b",
    };
    uint8_t name[249];

    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct topic_regex *re = NULL;
        uint64_t whole = 0, half = 0;
        assert_int_equal(topic_regex_compile(&re, slice_str(patterns[i]), NULL), ERR_OK);
        topic_regex_matches(re, slice_of(name, sizeof name), &whole);
        topic_regex_matches(re, slice_of(name, sizeof name / 2), &half);
        assert_true(topic_regex_steps_max(re) <= 2 * TOPIC_REGEX_INSTRUCTIONS_MAX);
        assert_true(whole > 0 && whole <= (sizeof name + 1) * (uint64_t)topic_regex_steps_max(re));
        assert_true(half <= (sizeof name / 2 + 1) * (uint64_t)topic_regex_steps_max(re));
        topic_regex_free(re);
    }
    assert_false(matches("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    assert_true(matches("(a|aa)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_everyday), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_text_is_utf8), cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
