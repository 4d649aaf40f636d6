/* SPDX-License-Identifier: Apache-2.0
 * Words into options and operands. */
#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct arg_option own[] = {{"topic", "T", "a topic"}, {"prefixed", NULL, "a flag"}, {0}};
static const struct arg_option common[] = {{"config", "FILE", ""}, {"help", NULL, ""}, {0}};

static enum err parse(struct args *out, struct reason *why, int n, const char **words)
{
    return args_parse(out, own, common, n, (char **)words, why);
}

static void test_options_in_all_their_forms(void **state)
{
    const char *words[] = {"add", "--topic", "a", "--topic=b=c", "x", "--prefixed", "-c", "file", "-h"};
    struct reason why = {0};
    struct args a;
    (void)state;
    assert_int_equal(parse(&a, &why, 9, words), ERR_OK);
    assert_int_equal(a.operand_count, 2);
    assert_string_equal(a.operands[0], "add");
    assert_string_equal(a.operands[1], "x");
    assert_string_equal(args_get(&a, "topic"), "b=c"); /* the last one */
    assert_string_equal(a.given_value[0], "a");        /* all are there, in order */
    assert_true(args_has(&a, "prefixed"));
    assert_string_equal(args_get(&a, "config"), "file");
    assert_true(args_has(&a, "help"));
    assert_null(args_get(&a, "nope"));
}

static void test_after_two_dashes_all_are_operands(void **state)
{
    const char *words[] = {"--", "--topic", "-c"};
    struct reason why = {0};
    struct args a;
    (void)state;
    assert_int_equal(parse(&a, &why, 3, words), ERR_OK);
    assert_int_equal(a.operand_count, 2);
    assert_string_equal(a.operands[1], "-c");
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *word, *said;
    } cases[] = {{"--nope", "unknown option --nope"},
                 {"--top", "unknown option --top"},
                 {"--topic", "--topic needs a value"},
                 {"--prefixed=yes", "--prefixed takes no value"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *words[] = {cases[i].word};
        struct reason why = {0};
        struct args a;
        assert_int_equal(parse(&a, &why, 1, words), ERR_BAD_CONFIG);
        assert_non_null(strstr(why.text, cases[i].said));
    }
}

static void test_too_many_words(void **state)
{
    const char *words[ARGS_MAX + 1];
    struct reason why = {0};
    struct args a;
    (void)state;
    for (size_t i = 0; i <= ARGS_MAX; i++)
        words[i] = "x";
    assert_int_equal(parse(&a, &why, ARGS_MAX + 1, words), ERR_BAD_CONFIG);
    assert_int_equal(parse(&a, &why, ARGS_MAX, words), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_in_all_their_forms),
        cmocka_unit_test(test_after_two_dashes_all_are_operands),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_too_many_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
