/* SPDX-License-Identifier: Apache-2.0
 * JSON Schema verdicts where the reference's reading differs from the specification's: expectations are what the
 * reference answers (all incompatible differences, in its order). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "registry/json_compat.h"
#include "registry/json_java.h"

#define D4    "\"$schema\":\"http://json-schema.org/draft-04/schema#\""
#define D7    "\"$schema\":\"http://json-schema.org/draft-07/schema#\""
#define D2019 "\"$schema\":\"https://json-schema.org/draft/2019-09/schema\""
#define D2020 "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\""

static const struct {
    const char *older, *newer, *differences;
} facts[] = {
    /* clang-format off */
    /* values are told apart as Java does */
    {"{" D7 ",\"enum\":[1, 2]}",
     "{" D7 ",\"enum\":[2, 1.0, 3]}",
     "ENUM_ARRAY_CHANGED #/enum"},
    {"{" D7 ",\"enum\":[1, 2]}",
     "{" D7 ",\"enum\":[3, 2, 1]}",
     ""},
    {"{" D7 ",\"const\":1}",
     "{" D7 ",\"const\":1.0}",
     "ENUM_ARRAY_CHANGED #/const"},
    {"{" D7 ",\"const\":{\"a\":[1]}}",
     "{" D7 ",\"const\":{\"a\":[1]}}",
     ""},
    {"{" D7 ",\"type\":\"number\",\"maximum\":12345678901234567891}",
     "{" D7 ",\"type\":\"number\",\"maximum\":12345678901234567890}",
     ""},
    /* a default counts only where the reference keeps it */
    {"{" D7 ",\"type\":\"object\",\"additionalProperties\":false}",
     "{" D7 ",\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\",\"default\":\"x\"}}}",
     ""},
    {"{" D7 ",\"type\":\"object\",\"additionalProperties\":false}",
     "{" D7 ",\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#/definitions/A\",\"default\":\"x\"}},\"definitions\":{\"A\":{\"type\":\"string\"}}}",
     "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"},
    {"{" D7 ",\"type\":\"object\",\"additionalProperties\":false}",
     "{" D7 ",\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"default\":null}}}",
     ""},
    {"{" D2020 ",\"type\":\"object\",\"additionalProperties\":false}",
     "{" D2020 ",\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"default\":null}}}",
     "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"},
    /* unevaluatedProperties and unevaluatedItems */
    {"{" D2020 ",\"type\":\"object\"}",
     "{" D2020 ",\"type\":\"object\",\"unevaluatedProperties\":false}",
     "UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties"},
    {"{" D2020 ",\"maxLength\":3}",
     "{" D2020 ",\"maxLength\":3,\"unevaluatedItems\":false}",
     "TYPE_CHANGED #/"},
    {"{" D2020 ",\"type\":\"object\",\"title\":\"T\"}",
     "{" D2020 ",\"type\":\"object\",\"unevaluatedProperties\":false,\"$defs\":{\"A\":{\"type\":\"string\"}}}",
     ""},
    {"{" D2020 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"}}",
     "{" D2020 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"},\"minContains\":2}",
     "MIN_CONTAINS_INCREASED #/minContains"},
    {"{" D2020 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"}}",
     "{" D2020 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"},\"minContains\":2,\"examples\":[1]}",
     ""},
    {"{" D7 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"}}",
     "{" D7 ",\"type\":\"array\",\"contains\":{\"type\":\"integer\"},\"minContains\":2}",
     "MIN_CONTAINS_ADDED #/minContains"},
    /* keywords without a type, or of several */
    {"{" D2020 ",\"type\":[\"number\",\"integer\"],\"minimum\":1}",
     "{" D2020 ",\"type\":[\"number\",\"integer\"]}",
     ""},
    {"{" D2020 ",\"type\":[\"integer\",\"number\"],\"maximum\":3}",
     "{" D2020 ",\"type\":[\"number\",\"integer\"],\"maximum\":3}",
     "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"},
    {"{" D2020 ",\"type\":[\"string\",\"null\"],\"maximum\":3}",
     "{" D2020 ",\"type\":[\"string\",\"null\"]}",
     "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"},
    {"{" D2020 ",\"type\":\"object\"}",
     "{" D2020 ",\"type\":\"object\",\"properties\":{}}",
     ""},
    {"{" D2020 ",\"properties\":{}}",
     "{" D2020 ",\"required\":[\"a\"]}",
     "TYPE_CHANGED #/"},
    {"{" D2020 ",\"additionalProperties\":false}",
     "{" D2020 ",\"additionalProperties\":true}",
     ""},
    {"{" D2020 ",\"type\":\"string\",\"format\":\"date\"}",
     "{" D2020 ",\"type\":\"string\",\"format\":\"date-time\"}",
     ""},
    {"{" D2020 ",\"format\":\"date\"}",
     "{" D2020 ",\"minLength\":1}",
     "TYPE_CHANGED #/"},
    {"{" D7 ",\"format\":\"date\"}",
     "{" D7 ",\"minLength\":1}",
     "MIN_LENGTH_ADDED #/minLength"},
    {"{" D2020 ",\"then\":{\"type\":\"string\"}}",
     "{" D2020 ",\"if\":{\"type\":\"string\"},\"then\":{\"type\":\"integer\"}}",
     "TYPE_CHANGED #/"},
    {"{" D2019 ",\"type\":\"object\",\"dependencies\":{\"a\":[\"b\"]}}",
     "{" D2019 ",\"type\":\"object\",\"dependencies\":{\"a\":[\"c\"]}}",
     ""},
    {"{" D7 ",\"type\":\"object\",\"dependencies\":{\"a\":[\"b\"]}}",
     "{" D7 ",\"type\":\"object\",\"dependencies\":{\"a\":[\"c\"]}}",
     "DEPENDENCY_ARRAY_CHANGED #/dependencies/a"},
    {"{" D7 ",\"type\":\"object\"}",
     "{" D7 ",\"type\":\"object\",\"dependencies\":{\"a\":[]}}",
     ""},
    {"{" D2020 ",\"$id\":\"http://example.com/a\",\"type\":\"string\"}",
     "{" D2020 ",\"type\":\"string\",\"maxLength\":5}",
     "MAX_LENGTH_ADDED #/maxLength"},
    /* parts of combined schemas */
    {"{" D2020 ",\"oneOf\":[{\"type\":\"object\",\"enum\":[1]}, {\"type\":\"null\"}]}",
     "{" D2020 ",\"oneOf\":[{\"type\":\"object\"}, {\"type\":\"null\"}]}",
     "SUM_TYPE_NARROWED #/"},
    {"{" D7 ",\"oneOf\":[{\"type\":\"object\",\"enum\":[1]}, {\"type\":\"null\"}]}",
     "{" D7 ",\"oneOf\":[{\"type\":\"object\"}, {\"type\":\"null\"}]}",
     ""},
    {"{" D2020 ",\"oneOf\":[{\"type\":\"string\",\"format\":\"date\"}, {\"type\":\"string\",\"format\":\"date-time\"}]}",
     "{" D2020 ",\"oneOf\":[{\"type\":\"string\"}, {\"type\":\"integer\"}]}",
     ""},
    {"{" D7 ",\"oneOf\":[{\"type\":\"string\",\"format\":\"date\"}, {\"type\":\"string\",\"format\":\"date-time\"}]}",
     "{" D7 ",\"oneOf\":[{\"type\":\"string\"}, {\"type\":\"integer\"}]}",
     "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"},
    {"{" D7 ",\"oneOf\":[{\"type\":\"string\"}, {\"type\":\"string\",\"format\":\"no-such\"}]}",
     "{" D7 ",\"oneOf\":[{\"type\":\"string\"}]}",
     ""},
    {"{" D7 ",\"oneOf\":[{}, {\"properties\":{},\"additionalProperties\":true}]}",
     "{" D7 ",\"oneOf\":[{}]}",
     ""},
    {"{" D2020 ",\"anyOf\":[{\"type\":\"string\"}, {\"type\":\"integer\"}]}",
     "{" D2020 ",\"anyOf\":[{\"type\":\"integer\"}, {\"type\":\"string\"}, {\"type\":\"object\"}]}",
     ""},
    {"{" D2020 ",\"anyOf\":[{\"type\":\"string\"}, {\"type\":\"integer\"}, {\"type\":\"object\"}]}",
     "{" D2020 ",\"anyOf\":[{\"type\":\"integer\"}, {\"type\":\"string\"}]}",
     "SUM_TYPE_NARROWED #/"},
    {"{" D2020 ",\"allOf\":[{\"type\":\"string\"}]}",
     "{" D2020 ",\"type\":\"string\"}",
     ""},
    {"{" D2020 ",\"allOf\":[{\"type\":\"integer\",\"enum\":[1]},{\"type\":\"string\"}]}",
     "{" D2020 ",\"allOf\":[{\"type\":\"integer\",\"enum\":[1]},{\"type\":\"string\"},{\"type\":\"integer\"}]}", ""},
    {"{" D7 ",\"allOf\":[{\"type\":\"object\"},{\"type\":\"object\",\"format\":\"no-such\"}]}",
     "{" D7 ",\"allOf\":[{\"type\":\"object\",\"default\":0},{\"type\":\"object\"}]}", "PRODUCT_TYPE_EXTENDED #/"},
    {"{" D7 ",\"type\":\"string\"}", "{" D7 ",\"type\":\"string\",\"prefixItems\":[{}],\"dependentRequired\":{}}", ""},
    {"{" D4 ",\"type\":\"string\"}", "{" D4 ",\"type\":\"string\",\"contains\":{},\"propertyNames\":{}}", ""},
    /* items */
    {"{" D2020 ",\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}",
     "{" D2020 ",\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"}, {\"type\":\"integer\"}],\"items\":false}",
     ""},
    {"{" D2020 ",\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
     "{" D2020 ",\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
     "TYPE_CHANGED #/items"},
    {"{" D2020 ",\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"string\"}}",
     "{" D2020 ",\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}",
     "TYPE_CHANGED #/additionalItems"},
    {"{" D7 ",\"items\":{\"type\":\"string\"},\"additionalItems\":false}",
     "{" D7 ",\"items\":{\"type\":\"string\"}}",
     ""},
    {"{" D7 ",\"type\":\"array\",\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}",
     "{" D7 ",\"type\":\"array\",\"items\":[{\"type\":\"string\"}]}",
     ""},
    /* the order of properties is that of a Java map */
    {"{" D7 ",\"type\":\"object\",\"properties\":{}}",
     "{" D7 ",\"type\":\"object\",\"properties\":{\"zeta\":{\"type\":\"string\"},\"alpha\":{\"type\":\"string\"},\"mid\":{\"type\":\"string\"},\"a1\":{\"type\":\"string\"},\"b2\":{\"type\":\"string\"},\"c3\":{\"type\":\"string\"},\"quantity\":{\"type\":\"string\"},\"price\":{\"type\":\"string\"},\"customer\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"order_id\":{\"type\":\"string\"},\"x\":{\"type\":\"string\"},\"été\":{\"type\":\"string\"},\"😀\":{\"type\":\"string\"}}}",
     "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/zeta OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/quantity OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/mid OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a1 OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b2 OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/c3 OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/price OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/alpha OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/name OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/x OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/😀 OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/order_id OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/été OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/customer"},
    {"{" D2020 ",\"type\":\"object\",\"properties\":{\"first\":{\"type\":\"string\"},\"second\":{\"type\":\"string\"},\"third\":{\"type\":\"string\"},\"fourth\":{\"type\":\"string\"},\"fifth\":{\"type\":\"string\"}}}",
     "{" D2020 ",\"type\":\"object\",\"properties\":{\"first\":{\"type\":\"integer\"},\"second\":{\"type\":\"integer\"},\"third\":{\"type\":\"integer\"},\"fourth\":{\"type\":\"integer\"},\"fifth\":{\"type\":\"integer\"}},\"required\":[\"fifth\",\"first\",\"third\",\"second\"]}",
     "REQUIRED_ATTRIBUTE_ADDED #/required/third REQUIRED_ATTRIBUTE_ADDED #/required/fifth REQUIRED_ATTRIBUTE_ADDED #/required/first REQUIRED_ATTRIBUTE_ADDED #/required/second TYPE_CHANGED #/properties/third TYPE_CHANGED #/properties/fifth TYPE_CHANGED #/properties/fourth TYPE_CHANGED #/properties/first TYPE_CHANGED #/properties/second"},
    {"{" D7 ",\"type\":\"object\",\"dependencies\":{\"b\":[\"x\"],\"a\":{\"type\":\"string\"}}}",
     "{" D7 ",\"type\":\"object\",\"dependencies\":{\"b\":[\"y\"],\"a\":{\"type\":\"integer\"},\"c\":[\"d\"]}}",
     "DEPENDENCY_ARRAY_CHANGED #/dependencies/b DEPENDENCY_ARRAY_ADDED #/dependencies/c TYPE_CHANGED #/dependencies/a"},
    /* numbers */
    {"{" D4 ",\"type\":\"number\",\"minimum\":1,\"exclusiveMinimum\":false}",
     "{" D4 ",\"type\":\"number\",\"minimum\":1,\"exclusiveMinimum\":true}",
     ""},
    {"{" D7 ",\"type\":\"number\",\"exclusiveMinimum\":1}",
     "{" D7 ",\"type\":\"number\",\"exclusiveMinimum\":2}",
     "EXCLUSIVE_MINIMUM_INCREASED #/exclusiveMinimum"},
    {"{" D7 ",\"type\":\"number\",\"multipleOf\":0.5}",
     "{" D7 ",\"type\":\"number\",\"multipleOf\":0.5}",
     ""},
    {"{" D7 ",\"type\":\"number\",\"multipleOf\":0.5}",
     "{" D7 ",\"type\":\"number\",\"multipleOf\":1.5}",
     "MULTIPLE_OF_EXPANDED #/multipleOf"},
    {"{" D7 ",\"type\":\"number\",\"multipleOf\":4}",
     "{" D7 ",\"type\":\"number\",\"multipleOf\":2}",
     ""},
    /* clang-format on */
};

static struct json_schema *compile(const char *text)
{
    struct json_schema *s;
    struct reason why = {0};
    if (json_schema_compile(&s, slice_str(text), NULL, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.text);
    return s;
}

static void check(const char *older, const char *newer, const char *differences)
{
    struct json_schema *a = compile(older), *b = compile(newer);
    struct json_compat c;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(json_compat_compare(&c, a, b, JSON_COMPAT_STRICT, NULL), ERR_OK);
    for (size_t i = 0; i < c.n; i++)
        if (!json_difference_is_compatible(c.items[i].type, JSON_COMPAT_STRICT))
            buf_printf(&out, "%s%s %.*s", out.n ? " " : "", json_difference_name(c.items[i].type),
                       SLICE_FMT(c.items[i].path));
    if (strcmp(buf_cstr(&out), differences) != 0)
        fail_msg("%s -> %s: got %s", older, newer, buf_cstr(&out));
    assert_int_equal(c.compatible, out.n == 0);
    buf_free(&out);
    json_compat_free(&c);
    json_schema_free(a);
    json_schema_free(b);
}

static void test_facts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        check(facts[i].older, facts[i].newer, facts[i].differences);
}

/* Which formats are checked depends on the draft; later drafts' are annotations. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *document;
        enum err verdict;
    } cases[] = {
        {"{" D7 ",\"format\":\"date\"}", "\"2020-13-01\"", ERR_INVALID_RECORD},
        {"{" D7 ",\"format\":\"date\"}", "\"2020-12-01\"", ERR_OK},
        {"{" D7 ",\"format\":\"date\"}", "20201301", ERR_OK},
        {"{" D7 ",\"format\":\"uuid\"}", "\"x\"", ERR_OK},
        {"{" D4 ",\"format\":\"date\"}", "\"2020-13-01\"", ERR_OK},
        {"{" D4 ",\"format\":\"ipv4\"}", "\"1.2.3\"", ERR_INVALID_RECORD},
        {"{" D4 ",\"format\":\"uri\"}", "\"/a\"", ERR_OK},
        {"{" D7 ",\"format\":\"uri\"}", "\"/a\"", ERR_INVALID_RECORD},
        {"{" D2019 ",\"format\":\"ipv4\"}", "\"1.2.3\"", ERR_OK},
        {"{" D2020 ",\"format\":\"date\"}", "\"2020-13-01\"", ERR_OK},
        {"{\"format\":\"email\"}", "\"nobody\"", ERR_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_schema_options o = {.draft = JSON_DRAFT_7, .formats = JSON_FORMAT_REFERENCE};
        struct json_schema *s;
        struct reason why = {0};
        assert_int_equal(json_schema_compile(&s, slice_str(cases[i].schema), &o, &why), ERR_OK);
        if (json_schema_validate_text(s, slice_str(cases[i].document), &why) != cases[i].verdict)
            fail_msg("%s: %s", cases[i].schema, cases[i].document);
        json_schema_free(s);
    }
}

static void test_java_order(void **state)
{
    (void)state;
    assert_int_equal(json_java_hash(slice_str("")), 0);
    assert_int_equal(json_java_hash(slice_str("Aa")), 2112);
    assert_int_equal(json_java_hash(slice_str("BB")), 2112);
    assert_int_equal(json_java_hash(slice_str("\xc3\xa9t\xc3\xa9")), 227742u);
    assert_int_equal(json_java_hash(slice_str("\xf0\x9f\x98\x80")), 1772899u);
    assert_int_equal(json_java_buckets(0), 16);
    assert_int_equal(json_java_buckets(12), 16);
    assert_int_equal(json_java_buckets(13), 32);
    assert_int_equal(json_java_buckets(25), 64);
    assert_int_equal(json_java_buckets_copied(11, 11), 16);
    assert_int_equal(json_java_buckets_copied(12, 12), 32);
    assert_int_equal(json_java_buckets_copied(0, 13), 32);
    struct json_java_key keys[] = {{.name = slice_str("BB"), .index = 0},
                                   {.name = slice_str("Aa"), .index = 1},
                                   {.name = slice_str("a"), .index = 2}};
    json_java_sort(keys, 3, 16);
    assert_int_equal(keys[0].index, 0);
    assert_int_equal(keys[1].index, 1);
    assert_int_equal(keys[2].index, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_java_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
