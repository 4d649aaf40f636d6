/* SPDX-License-Identifier: Apache-2.0
 * Request bodies, bound as Jackson binds them: what is coerced, what is refused and in which words. The words are those
 * the reference answered for these very bodies. */
#include "registry/json_syntax.h"
#include "registry/rest_bind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MAKE(type)    "Cannot construct instance of `" type "` (although at least one Creator exists): no "
#define FROM          "-argument constructor/factory method to deserialize from "
#define READ(type)    "Cannot deserialize value of type `" type "` from "
#define INT_TOKEN     "Integer value (token `JsonToken.VALUE_NUMBER_INT`)"
#define FLOAT_TOKEN   "Floating-point value (token `JsonToken.VALUE_NUMBER_FLOAT`)"
#define ARRAY_TOKEN   "Array value (token `JsonToken.START_ARRAY`)"
#define OBJECT_TOKEN  "Object value (token `JsonToken.START_OBJECT`)"
#define STRING_TOKEN  "String value (token `JsonToken.VALUE_STRING`)"
#define TRUE_TOKEN    "Boolean value (token `JsonToken.VALUE_TRUE`)"
#define COERCION      "` value (but could if coercion was enabled using `CoercionConfig`)"
#define INT_RANGE     "out of range of int (-2147483648 - 2147483647)"
#define TOKENS        "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
#define HIDDEN_SOURCE "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: "

struct row {
    const struct bind_type *type;
    const char *body;
    const char *bound;   /* compact JSON; NULL: refused, or nothing there */
    const char *refusal; /* NULL: none */
};

static const struct row rows[] = {
    /* nothing there */
    {&bind_register, "", NULL, NULL},
    {&bind_register, " \n\t", NULL, NULL},
    {&bind_register, "null", NULL, NULL},
    /* the whole body */
    {&bind_register, "{}", "{}", NULL},
    {&bind_register, "\xef\xbb\xbf{}", "{}", NULL},
    {&bind_register, "[]", NULL, READ("RegisterSchemaRequest") ARRAY_TOKEN},
    {&bind_register, "1", NULL, MAKE("RegisterSchemaRequest") "int/Int" FROM "Number value (1)"},
    {&bind_register, "1.5", NULL, MAKE("RegisterSchemaRequest") "double/Double" FROM "Number value (1.5)"},
    {&bind_register, "99999999999", NULL, MAKE("RegisterSchemaRequest") "long/Long" FROM "Number value (99999999999)"},
    {&bind_register, "\" x \"", NULL, MAKE("RegisterSchemaRequest") "String" FROM "String value ('x')"},
    {&bind_register, "\" \"", NULL, "Cannot coerce empty String (\"\") to `RegisterSchemaRequest" COERCION},
    {&bind_register, "true", NULL, MAKE("RegisterSchemaRequest") "boolean/Boolean" FROM "boolean value (true)"},
    {&bind_mode, "\"READONLY\"", "{\"mode\":\"READONLY\"}", NULL},
    {&bind_texts, "{\"a\":1}", "{\"a\":\"1\"}", NULL},
    {&bind_texts, "[]", NULL, READ("String>") ARRAY_TOKEN},
    /* texts */
    {&bind_register, "{\"schema\":1,\"schemaType\":true,\"other\":[]}", "{\"schema\":\"1\",\"schemaType\":\"true\"}",
     NULL},
    {&bind_register, "{\"schema\":1.5}", "{\"schema\":\"1.5\"}", NULL},
    {&bind_register, "{\"schema\":null}", "{\"schema\":null}", NULL},
    {&bind_register, "{\"schema\":{}}", NULL, READ("String") OBJECT_TOKEN},
    {&bind_register, "{\"schema\":[1 2]}", NULL,
     "Unexpected character ('2' (code 50)): was expecting comma to separate "
     "Array entries"},
    /* integers */
    {&bind_register, "{\"id\":\" +7 \",\"version\":-1.9}", "{\"id\":7,\"version\":-1}", NULL},
    {&bind_register, "{\"id\":\"\",\"version\":\"null\"}", "{\"id\":null,\"version\":null}", NULL},
    {&bind_register, "{\"id\":\"1.5\"}", NULL,
     "Cannot deserialize value of type `Integer` from String \"1.5\": not a valid `java.lang.Integer` value"},
    {&bind_register, "{\"id\":\"99999999999\"}", NULL,
     "Cannot deserialize value of type `Integer` from String \"99999999999\": Overflow: numeric value (99999999999) "
     "out "
     "of range of `java.lang.Integer` (-2147483648 -2147483647)"},
    {&bind_register, "{\"id\":2147483648}", NULL, "Numeric value (2147483648) " INT_RANGE},
    {&bind_register, "{\"id\":-2147483648}", "{\"id\":-2147483648}", NULL},
    {&bind_register, "{\"id\":true}", NULL, READ("Integer") TRUE_TOKEN},
    {&bind_register, "{\"id\":[]}", NULL, READ("Integer") ARRAY_TOKEN},
    /* flags */
    {&bind_config, "{\"normalize\":2,\"validateFields\":\"False\",\"validateRules\":0}",
     "{\"normalize\":true,\"validateFields\":false,\"validateRules\":false}", NULL},
    {&bind_config, "{\"normalize\":\"\"}", "{\"normalize\":null}", NULL},
    {&bind_config, "{\"normalize\":\"yes\"}", NULL,
     "Cannot deserialize value of type `Boolean` from String \"yes\": only \"true\" or \"false\" recognized"},
    {&bind_config, "{\"normalize\":1.0}", NULL, READ("Boolean") FLOAT_TOKEN},
    {&bind_register, "{\"ruleSet\":{\"domainRules\":[{\"disabled\":\"x\"}]}}", NULL,
     "Cannot deserialize value of type `boolean` from String \"x\": only \"true\"/\"True\"/\"TRUE\" or "
     "\"false\"/\"False\"/\"FALSE\" recognized"},
    /* words */
    {&bind_register, "{\"ruleSet\":{\"enableAt\":1,\"domainRules\":[{\"kind\":1,\"mode\":\"READ\"}]}}",
     "{\"ruleSet\":{\"enableAt\":\"CLIENT\",\"domainRules\":[{\"kind\":\"CONDITION\",\"mode\":\"READ\"}]}}", NULL},
    {&bind_register, "{\"ruleSet\":{\"domainRules\":[{\"kind\":2}]}}", NULL,
     "Cannot deserialize value of type `RuleKind` from number 2: index value outside legal index range [0..1]"},
    {&bind_register, "{\"ruleSet\":{\"domainRules\":[{\"mode\":\"write\"}]}}", NULL,
     "Cannot deserialize value of type `RuleMode` from String \"write\": not one of the values accepted for Enum "
     "class: "
     "[DOWNGRADE, READ, UPGRADE, UPDOWN, WRITE, WRITEREAD]"},
    {&bind_register, "{\"ruleSet\":{\"enableAt\":\"\"}}", NULL,
     "Cannot coerce empty String (\"\") to `ExecutionEnvironment" COERCION},
    /* collections */
    {&bind_register, "{\"references\":[{\"name\":\"a\",\"version\":\"3\",\"x\":1}]}",
     "{\"references\":[{\"name\":\"a\",\"version\":3}]}", NULL},
    {&bind_register, "{\"references\":1}", NULL, READ("SchemaReference>") INT_TOKEN},
    {&bind_register, "{\"references\":\"x\"}", NULL, READ("SchemaReference>") STRING_TOKEN},
    {&bind_register, "{\"references\":[\"x\"]}", NULL, MAKE("SchemaReference") "String" FROM "String value ('x')"},
    {&bind_register, "{\"metadata\":{\"tags\":{\"a\":[1]},\"properties\":{\"b\":true},\"sensitive\":[\"c\"]}}",
     "{\"metadata\":{\"tags\":{\"a\":[\"1\"]},\"properties\":{\"b\":\"true\"},\"sensitive\":[\"c\"]}}", NULL},
    {&bind_register, "{\"metadata\":{\"tags\":1}}", NULL, READ("String>>") INT_TOKEN},
    {&bind_register, "{\"metadata\":{\"tags\":{\"a\":\"b\"}}}", NULL,
     MAKE("HashSet") "String" FROM "String value ('b')"},
    {&bind_register, "{\"metadata\":{\"properties\":\"\"}}", NULL,
     "Cannot coerce empty String (\"\") to element of `LinkedHashMap` (but could if coercion was enabled using "
     "`CoercionConfig`)"},
    {&bind_register, "{\"metadata\":{\"properties\":{\"a\":[]}}}", NULL, READ("String") ARRAY_TOKEN},
    {&bind_tags, "{\"rulesToRemove\":[1],\"newVersion\":\"2\"}", "{\"rulesToRemove\":[\"1\"],\"newVersion\":2}", NULL},
    {&bind_tags, "{\"rulesToRemove\":\"a\"}", NULL, MAKE("ArrayList") "String" FROM "String value ('a')"},
    /* no JSON */
    {&bind_register, "{", NULL,
     "Unexpected end-of-input: expected close marker for Object (start marker at " HIDDEN_SOURCE "1, column: 1])"},
    {&bind_register, "{\"a\":", NULL, "Unexpected end-of-input within/between Object entries"},
    {&bind_register, "{\"a\":1,", NULL, "Unexpected end-of-input within/between Object entries"},
    {&bind_register, "{\"a", NULL, "Unexpected end-of-input in field name"},
    {&bind_register, "{\"a\":\"b", NULL, "Unexpected end-of-input in VALUE_STRING"},
    {&bind_register, "{\"a\":\"\\", NULL, "Unexpected end-of-input in character escape sequence"},
    {&bind_register, "{\"a\":}", NULL, "Unexpected character ('}' (code 125)): expected a value"},
    {&bind_register, "{\"a\":1,}", NULL,
     "Unexpected character ('}' (code 125)): was expecting double-quote to start field name"},
    {&bind_register, "{\"a\" 1}", NULL,
     "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value"},
    {&bind_register, "{\"a\":1 \"b\":2}", NULL,
     "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries"},
    {&bind_register, "{\"a\":tru}", NULL, "Unrecognized token 'tru': was expecting " TOKENS},
    {&bind_register, "{\"a\":NaN}", NULL,
     "Non-standard token 'NaN': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"},
    {&bind_register, "{\"a\":01}", NULL, "Invalid numeric value: Leading zeroes not allowed"},
    {&bind_register, "{\"a\":-x}", NULL,
     "Unexpected character ('x' (code 120)) in numeric value: expected digit (0-9) "
     "to follow minus sign, for valid numeric value"},
    {&bind_register, "{\"a\":1.}", NULL,
     "Unexpected character ('}' (code 125)) in numeric value: Decimal point not followed by a digit"},
    {&bind_register, "{\"a\":1e}", NULL,
     "Unexpected character ('}' (code 125)) in numeric value: Exponent indicator not followed by a digit"},
    {&bind_register, "{\"a\":+1}", NULL,
     "Unexpected character ('+' (code 43)) in numeric value: JSON spec does not allow numbers to have plus signs: "
     "enable "
     "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow"},
    {&bind_register, "{\"a\":'x'}", NULL, "Unexpected character (''' (code 39)): expected a valid value " TOKENS},
    {&bind_register, "{\"a\":\"\\x\"}", NULL, "Unrecognized character escape 'x' (code 120)"},
    {&bind_register, "{\"a\":\"\\u12z\"}", NULL,
     "Unexpected character ('z' (code 122)): expected a hex-digit for character escape sequence"},
    {&bind_register, "{\"a\":\"\t\"}", NULL,
     "Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped using "
     "backslash to be included in string value"},
    {&bind_register, "\v{}", NULL,
     "Illegal character ((CTRL-CHAR, code 11)): only regular white space (\\r, \\n, \\t) is "
     "allowed between tokens"},
    {&bind_register, "{\"a\":\"\xff\"}", NULL, "Invalid UTF-8 start byte 0xff"},
    {&bind_register, "{\"a\":\"\xc3\"}", NULL, "Invalid UTF-8 middle byte 0x22"},
    {&bind_register, "{\n \"a\":[}", NULL,
     "Unexpected close marker '}': expected ']' (for Array starting at " HIDDEN_SOURCE "2, column: 6])"},
    {&bind_register, "{}]", NULL, "Unexpected close marker ']': no open Array to close"},
    {&bind_register, "{} {}", NULL,
     "Trailing token (of type START_OBJECT) found after value (bound as "
     "`RegisterSchemaRequest`): not allowed as per "
     "`DeserializationFeature.FAIL_ON_TRAILING_TOKENS`"},
    {&bind_register, "/* c */ {}", NULL,
     "Unexpected character ('/' (code 47)): maybe a (non-standard) comment? (not "
     "recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct answer a;
        json_t *bound = NULL;
        answer_init(&a);
        enum err e = bind_body(r->type, slice_str(r->body), &bound, &a);
        json_t *error = json_loadb((const char *)a.body.p, a.body.n, 0, NULL);
        const char *message = json_string_value(json_object_get(error, "message"));
        char *text = bound ? json_dumps(bound, JSON_COMPACT) : NULL;
        print_message("%s\n", r->body);
        assert_int_equal(e != ERR_OK, r->refusal != NULL);
        assert_string_equal(message ? message : "", r->refusal ? r->refusal : "");
        assert_int_equal(a.error_code, r->refusal ? 400 : 0);
        assert_string_equal(text ? text : "", r->bound ? r->bound : "");
        free(text);
        json_decref(error);
        json_decref(bound);
        answer_free(&a);
    }
}

/* Whatever is cut off or damaged in a body, it is told without touching what lies behind it. */
static void test_every_cut(void **state)
{
    static const char body[] =
        "{\"schema\":\"\\u00e9\\\"\",\"id\":-1.5e3,\"references\":[{\"name\":null},{}],\"x\":[true,false,[[]]]}";
    (void)state;
    for (size_t n = 0; n < sizeof body; n++)
        for (int damage = 0; damage < 3; damage++) {
            char *copy = malloc(n + 1);
            struct buf why;
            memcpy(copy, body, n);
            if (n && damage)
                copy[n / 2] = damage == 1 ? '\x01' : '\xe2';
            buf_init(&why, 0);
            enum json_syntax s = json_syntax_check(slice_of(copy, n), "X", &why);
            bool whole = n == sizeof body - 1 && !damage;
            assert_int_equal(s, n == 0 ? JSON_SYNTAX_EMPTY : whole ? JSON_SYNTAX_FINE : JSON_SYNTAX_WRONG);
            assert_int_equal(why.n != 0, s == JSON_SYNTAX_WRONG);
            buf_free(&why);
            free(copy);
        }
}

static void test_depth(void **state)
{
    char deep[1002];
    struct buf why;
    (void)state;
    memset(deep, '[', sizeof deep);
    buf_init(&why, 0);
    assert_int_equal(json_syntax_check(slice_of(deep, sizeof deep), "X", &why), JSON_SYNTAX_WRONG);
    assert_non_null(strstr(buf_cstr(&why), "nesting depth (1001)"));
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
