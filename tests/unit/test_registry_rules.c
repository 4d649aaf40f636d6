/* SPDX-License-Identifier: Apache-2.0
 * Conditions of a data contract: the expressions that are known, those that are not, and what becomes of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "registry/rules_cel.h"

static const char message[] =
    "{\"id\":7,\"amount\":12.5,\"name\":\"J\xc3\xb8rgen\",\"empty\":\"\",\"vip\":true,\"none\":null,"
    "\"tags\":[\"a\",\"b\"],\"address\":{\"zip\":\"0150\",\"city\":\"Oslo\"},"
    "\"huge\":123456789012345678901234567890}";

/* "true", "false", "error" (no value), "refused" (does not parse) */
static const char *result(const char *expression)
{
    struct arena a;
    struct jvalue *v;
    struct cel_node *n;
    struct json_regex *regexes = NULL;
    const char *r = "refused";
    bool yes;
    arena_init(&a, 0);
    assert_int_equal(json_text_parse(&v, slice_str(message), &a, NULL), ERR_OK);
    if (cel_parse(&n, slice_str(expression), &a, &regexes, NULL) == ERR_OK) {
        enum err e = cel_is_true(n, v, &yes, NULL);
        r = e == ERR_OK ? (yes ? "true" : "false") : e == ERR_INVALID_RECORD ? "error" : err_name(e);
    }
    while (regexes) {
        struct json_regex *next = regexes->next;
        json_regex_free(regexes);
        regexes = next;
    }
    arena_free(&a);
    return r;
}

static void test_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *want;
    } cases[] = {
        {"message.id > 0", "true"},
        {"message.id >= 8 || message.amount < 13", "true"},
        {"message.amount == 12.5 && message.id != 6", "true"},
        {"message.id == 7.0", "true"},
        {"size(message.name) == 6", "true"},
        {"message.name.size() > 0 && size(message.tags) == 2", "true"},
        {"size(message.empty) > 0", "false"},
        {"has(message.address) && has(message.address.zip)", "true"},
        {"has(message.missing)", "false"},
        {"has(message.none)", "false"},
        {"message.missing > 0", "error"},
        {"message.missing > 0 || message.vip", "true"},
        {"message.vip || message.missing > 0", "true"},
        {"message.missing > 0 && !message.vip", "false"},
        {"message.missing > 0 && message.vip", "error"},
        {"!(message.vip)", "false"},
        {"!!message.vip", "true"},
        {"message.none == null", "true"},
        {"message.address['city'] == \"Oslo\"", "true"},
        {"message.tags[1] == 'b'", "true"},
        {"message.tags[2] == 'c'", "error"},
        {"'a' in message.tags", "true"},
        {"message.id in [1, 2 + 5, 3]", "true"},
        {"message.tags == ['a', 'b']", "true"},
        {"'zip' in message.address", "true"},
        {"message.name.startsWith('J') && message.name.endsWith(\"gen\") && message.name.contains('r')", "true"},
        {"message.address.zip.matches('^[0-9]{4}$')", "true"},
        {"matches(message.address.zip, '^[a-z]')", "false"},
        {"message.id * 2 + 1 == 15 && -message.id == 0 - 7 && message.id % 4 == 3", "true"},
        {"message.id / 0 == 1", "error"},
        {"9223372036854775807 + message.id > 0", "error"},
        {"message.huge > 1", "true"},
        {"message.name < 3", "error"},
        {"message.name == 3", "false"},
        {"message.vip ? message.id == 7 : false", "true"},
        {"!message.vip ; message.missing", "true"},
        {"message.vip ; message.id == 8", "false"},
        {"message.name + '!' == 'J\xc3\xb8rgen!'", "true"},
        {"message.id", "error"},
        {"true // a comment", "true"},
        {"", "refused"},
        {"message.id >", "refused"},
        {"(message.vip", "refused"},
        {"message.vip)", "refused"},
        {"message.tags.all(t, t != '')", "refused"},
        {"now() > 3", "refused"},
        {"value == 1", "refused"},
        {"1u == 1", "refused"},
        {"'open", "refused"},
        {"has(3)", "refused"},
        {"message.name.matches(message.name)", "refused"},
        {"message.name.matches('(')", "refused"},
        {"message.name.matches('(a|a)*(a|a)*(a|a)*$')", "true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(result(cases[i].expression), cases[i].want) != 0)
            fail_msg("%s: want %s, got %s", cases[i].expression, cases[i].want, result(cases[i].expression));
}

static void test_limits(void **state)
{
    (void)state;
    char deep[4 * RULES_DEPTH_MAX + 10];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_string_equal(result(deep), "refused");
    memset(deep, '!', sizeof deep - 1);
    assert_string_equal(result(deep), "refused");
    static char wide[RULES_EXPRESSION_MAX + 10];
    memset(wide, ' ', sizeof wide - 1);
    memcpy(wide, "true", 4);
    assert_string_equal(result(wide), "refused");
}

static void test_rule_sets(void **state)
{
    (void)state;
    static const char set[] =
        "{\"domainRules\":["
        "{\"name\":\"off\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITE\",\"expr\":\"false\",\"disabled\":"
        "true},"
        "{\"name\":\"onread\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"READ\",\"expr\":\"false\"},"
        "{\"name\":\"mask\",\"kind\":\"TRANSFORM\",\"type\":\"CEL_FIELD\",\"expr\":\"'x'\"},"
        "{\"name\":\"far\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITE\",\"expr\":\"message.l.all(x, x > "
        "1)\"},"
        "{\"name\":\"jsonata\",\"kind\":\"CONDITION\",\"type\":\"JSONATA\",\"mode\":\"WRITE\",\"expr\":\"x\"},"
        "{\"name\":\"quiet\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITE\",\"expr\":\"false\","
        "\"onFailure\":\"NONE\"},"
        "{\"name\":\"positive\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITEREAD\",\"expr\":\"message.id > "
        "0\","
        "\"onFailure\":\"DLQ,ERROR\"},"
        "{\"name\":\"named\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITE\",\"expr\":\"size(message.name) "
        "> 0\"}]}";
    struct rules *r;
    struct rules_verdict v;
    struct reason why = {0};
    struct arena a;
    struct jvalue *m;
    arena_init(&a, 0);
    assert_int_equal(rules_compile(&r, slice_str(set), RULES_WRITE, &why), ERR_OK);
    assert_int_equal(rules_count(r), 3);
    assert_int_equal(rules_skipped(r), 2);
    assert_true(slice_eq_str(rules_skipped_name(r, 0), "far"));
    assert_non_null(strstr(rules_skipped_why(r, 0), "all() is not supported"));
    assert_int_equal(json_text_parse(&m, slice_str("{\"id\":1,\"name\":\"x\"}"), &a, NULL), ERR_OK);
    assert_int_equal(rules_check(r, m, &v, &why), ERR_OK);
    assert_false(v.broken);
    assert_int_equal(json_text_parse(&m, slice_str("{\"id\":0,\"name\":\"x\"}"), &a, NULL), ERR_OK);
    assert_int_equal(rules_check(r, m, &v, &why), ERR_OK);
    assert_true(v.broken && slice_eq_str(v.rule, "positive"));
    assert_int_equal(v.action, RULES_ACTION_DLQ);
    assert_string_equal(why.text, "rule positive does not hold");
    assert_int_equal(json_text_parse(&m, slice_str("{\"id\":2}"), &a, NULL), ERR_OK);
    assert_int_equal(rules_check(r, m, &v, &why), ERR_OK);
    assert_true(v.broken && slice_eq_str(v.rule, "named"));
    assert_int_equal(v.action, RULES_ACTION_ERROR);
    rules_free(r);
    assert_int_equal(rules_compile(&r, slice_str(set), RULES_READ, &why), ERR_OK);
    assert_int_equal(rules_count(r), 2);
    rules_free(r);
    assert_int_equal(rules_compile(&r, slice_str("[]"), RULES_WRITE, &why), ERR_MALFORMED);
    assert_int_equal(rules_compile(&r, slice_str("{\"domainRules\":[3]}"), RULES_WRITE, &why), ERR_MALFORMED);
    assert_int_equal(rules_compile(&r, slice_str("{}"), RULES_WRITE, &why), ERR_OK);
    assert_int_equal(rules_count(r), 0);
    rules_free(r);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_rule_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
