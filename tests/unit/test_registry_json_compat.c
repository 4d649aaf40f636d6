/* SPDX-License-Identifier: Apache-2.0
 * The comparison of JSON Schemas: verdicts and texts of our own cases, Karapace's cases but those listed, recursion and
 * hostile schemas; and the shared face (canonical text, references, tags). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "registry/compatibility.h"
#include "registry/json_compat.h"
#include "registry/schema_type.h"

#define KARAPACE TEST_SHARED "/vectors/karapace/jsonschema-compatibility.json"

static struct json_schema *compile(struct slice text)
{
    struct json_schema *s;
    struct reason why = {0};
    if (json_schema_compile(&s, text, NULL, &why) != ERR_OK)
        fail_msg("%.*s: %s", SLICE_FMT(text), why.text);
    return s;
}

/* The incompatible differences, "TYPE path" joined by blanks; "" when compatible. */
static const char *compare(const char *older, const char *newer, enum json_compat_policy policy)
{
    static char out[4096];
    struct json_schema *a = compile(slice_str(older)), *b = compile(slice_str(newer));
    struct json_compat c;
    struct reason why = {0};
    size_t at = 0;
    out[0] = '\0';
    if (json_compat_compare(&c, a, b, policy, &why) != ERR_OK) {
        snprintf(out, sizeof out, "error: %s", why.text);
    } else {
        for (size_t i = 0; i < c.n; i++)
            if (!json_difference_is_compatible(c.items[i].type, policy))
                at += (size_t)snprintf(out + at, sizeof out - at, "%s%s %.*s", at ? " " : "",
                                       json_difference_name(c.items[i].type), SLICE_FMT(c.items[i].path));
        assert_int_equal(c.compatible, at == 0);
        json_compat_free(&c);
    }
    json_schema_free(a);
    json_schema_free(b);
    return out;
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *older, *newer, *strict, *lenient;
    } cases[] = {
        {"{\"type\":\"string\"}", "{\"type\":\"integer\"}", "TYPE_CHANGED #/", "TYPE_CHANGED #/"},
        {"{\"type\":\"integer\"}", "{\"type\":\"number\"}", "", ""},
        {"{\"type\":\"number\"}", "{\"type\":\"integer\"}", "TYPE_NARROWED #/", "TYPE_NARROWED #/"},
        {"{\"type\":\"object\"}", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}",
         "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a", ""},
        {"{\"type\":\"object\",\"additionalProperties\":false}",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"a\":{\"type\":\"string\"}}}", "", ""},
        {"{\"type\":\"object\",\"additionalProperties\":false}",
         "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],"
         "\"properties\":{\"a\":{\"type\":\"string\"}}}",
         "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a",
         "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
         "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
         "\"properties\":{\"a\":{\"type\":\"integer\"}}}",
         "TYPE_CHANGED #/properties/a PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
         "TYPE_CHANGED #/properties/a"},
        {"{\"enum\":[1,2]}", "{\"enum\":[2,1,3]}", "", ""},
        {"{\"enum\":[1,2,3]}", "{\"enum\":[2,1]}", "ENUM_ARRAY_NARROWED #/enum", "ENUM_ARRAY_NARROWED #/enum"},
        {"{\"maximum\":10}", "{\"maximum\":9}", "MAXIMUM_DECREASED #/maximum", "MAXIMUM_DECREASED #/maximum"},
        {"{\"multipleOf\":0.5}", "{\"multipleOf\":0.25}", "", ""},
        {"{\"type\":\"string\"}", "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "", ""},
        {"{\"type\":[\"string\",\"null\"]}", "{\"type\":\"string\"}", "TYPE_CHANGED #/", "TYPE_CHANGED #/"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "{\"oneOf\":[{\"type\":\"string\"}]}",
         "SUM_TYPE_NARROWED #/", "SUM_TYPE_NARROWED #/"},
        {"{\"not\":{\"type\":\"integer\"}}", "{\"not\":{\"type\":\"number\"}}", "NOT_TYPE_EXTENDED #/not",
         "NOT_TYPE_EXTENDED #/not"},
        {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}", "{\"items\":[],\"additionalItems\":false}",
         "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/0", "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/0"},
        {"{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"type\":\"string\"}}}", "{\"type\":\"string\"}", "",
         ""},
        {"false", "{\"type\":\"string\"}", "", ""},
        {"{\"type\":\"string\"}", "true", "", ""},
        {"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\"}",
         "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
         "\"unevaluatedProperties\":false}",
         "UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(compare(cases[i].older, cases[i].newer, JSON_COMPAT_STRICT), cases[i].strict);
        assert_string_equal(compare(cases[i].older, cases[i].newer, JSON_COMPAT_LENIENT), cases[i].lenient);
    }
}

static void test_recursion(void **state)
{
    (void)state;
    static const char list[] = "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"%s\"},"
                               "\"next\":{\"$ref\":\"#\"}}}";
    char a[256], b[256];
    snprintf(a, sizeof a, list, "integer"); /* allow: the format is ours */
    snprintf(b, sizeof b, list, "string");
    assert_string_equal(compare(a, a, JSON_COMPAT_STRICT), "");
    assert_non_null(strstr(compare(a, b, JSON_COMPAT_STRICT), "TYPE_CHANGED #/properties/value"));
    assert_string_equal(compare("{\"$ref\":\"#\"}", "{\"$ref\":\"#\"}", JSON_COMPAT_STRICT), "");
}

/* Definitions that all name one another through oneOf: exponential without a memo. */
static void test_entangled(void **state)
{
    (void)state;
    enum { KINDS = 25 };
    struct buf b;
    buf_init(&b, 0);
    buf_put_str(&b, "{\"definitions\":{");
    for (int i = 0; i < KINDS; i++) {
        buf_printf(&b, "%s\"d%d\":{\"type\":\"object\",\"properties\":{\"k\":{\"const\":%d},\"x\":{\"oneOf\":[",
                   i ? "," : "", i, i);
        for (int j = 0; j < KINDS; j++)
            buf_printf(&b, "%s{\"$ref\":\"#/definitions/d%d\"}", j ? "," : "", j);
        buf_put_str(&b, "]}}}");
    }
    buf_put_str(&b, "},\"$ref\":\"#/definitions/d0\"}");
    assert_string_equal(compare(buf_cstr(&b), buf_cstr(&b), JSON_COMPAT_STRICT), "");
    buf_free(&b);
}

static void test_text(void **state)
{
    (void)state;
    struct json_compat_item item = {.type = JSON_DIFF_TYPE_CHANGED, .path = slice_str("#/")};
    struct buf b;
    buf_init(&b, 0);
    json_compat_print(&b, &item, "new", "old");
    assert_string_equal(buf_cstr(&b), "{errorType:\"TYPE_CHANGED\", description:\"A type at path '#/' is different "
                                      "between the new schema and the old schema'}");
    buf_free(&b);
}

/* Cases where Karapace judges otherwise than the reference, which is ours. NULL stands for any. */
static const struct {
    const char *name, *reader, *writer, *why;
} not_ours[] = {
    {"test_true_schema_is_compatible_with_object", "TRUE_SCHEMA", NULL, "every schema may become true"},
    {"test_extra_field_with_closed_model_is_incompatible", NULL, "FALSE_SCHEMA", "nothing was written with false"},
    {"test_boolean_schemas_are_backward_compatible", "FALSE_SCHEMA", "TRUE_SCHEMA", "false reads nothing"},
    {"test_true_and_false_schemas", NULL, "FALSE_SCHEMA", "nothing was written with false"},
    {"test_true_and_false_schemas", "TRUE_SCHEMA", NULL, "every schema may become true"},
    {"test_pattern_properties", "PATTERN_PROPERTY_ASTAR_OBJECT_SCHEMA", "B_INT_OBJECT_SCHEMA",
     "a* is found in any name, so the removed property is covered"},
    {"test_object_properties", "A_OBJECT_SCHEMA", "OBJECT_SCHEMA", "a property of empty schema excludes nothing"},
    {"test_property_names", "A_OBJECT_SCHEMA", "PROPERTY_NAMES_ASTAR_OBJECT_SCHEMA", "propertyNames is not compared"},
};

enum { NOT_OURS = sizeof not_ours / sizeof *not_ours };
static bool used[NOT_OURS];

static bool same_or_any(const char *want, const struct jvalue *have)
{
    return !want || json_text_is_str(have, want);
}

static const char *why_not_ours(const struct jvalue *c)
{
    for (size_t i = 0; i < NOT_OURS; i++) {
        if (!slice_starts(json_text_get_str(c, "name")->u.text, slice_str(not_ours[i].name)) ||
            !same_or_any(not_ours[i].reader, json_text_get_str(c, "reader_name")) ||
            !same_or_any(not_ours[i].writer, json_text_get_str(c, "writer_name")))
            continue;
        used[i] = true;
        return not_ours[i].why;
    }
    return NULL;
}

static struct json_schema *compile_member(const struct jvalue *c, const char *member)
{
    struct buf b;
    buf_init(&b, 0);
    json_text_print(&b, json_text_get_str(c, member), JSON_TEXT_AS_WRITTEN);
    struct json_schema *s = compile(buf_slice(&b));
    buf_free(&b);
    return s;
}

static struct slice read_whole(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    uint8_t *p = malloc((size_t)st.st_size + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)st.st_size, f), (size_t)st.st_size);
    fclose(f);
    return slice_of(p, (size_t)st.st_size);
}

static void test_karapace(void **state)
{
    (void)state;
    struct stat st;
    struct arena a;
    struct jvalue *file;
    unsigned same = 0, other = 0;
    if (stat(KARAPACE, &st) != 0) {
        print_message("SKIPPED: %s is absent\n", KARAPACE);
        skip();
    }
    struct slice text = read_whole(KARAPACE);
    arena_init(&a, 0);
    assert_int_equal(json_text_parse(&file, text, &a, NULL), ERR_OK);
    const struct jvalue *cases = json_text_get_str(file, "cases");
    for (uint32_t i = 0; i < cases->n; i++) {
        const struct jvalue *c = &cases->u.items[i];
        struct json_schema *reader = compile_member(c, "reader"), *writer = compile_member(c, "writer");
        bool want = json_text_get_str(c, "compatible")->kind == J_TRUE;
        struct json_compat result;
        assert_int_equal(json_compat_compare(&result, writer, reader, JSON_COMPAT_STRICT, NULL), ERR_OK);
        if (result.compatible == want)
            same++;
        else if (why_not_ours(c))
            other++;
        else
            fail_msg("%.*s: %.*s <- %.*s: want %d", SLICE_FMT(json_text_get_str(c, "name")->u.text),
                     SLICE_FMT(json_text_get_str(c, "reader_name")->u.text),
                     SLICE_FMT(json_text_get_str(c, "writer_name")->u.text), want);
        json_compat_free(&result);
        json_schema_free(reader);
        json_schema_free(writer);
    }
    print_message("%u cases as Karapace has them, %u as the reference has them\n", same, other);
    assert_int_equal(same, 249);
    assert_int_equal(other, 72);
    for (size_t i = 0; i < NOT_OURS; i++)
        assert_true(used[i]); /* the list is as short as can be */
    arena_free(&a);
    free((void *)(uintptr_t)text.p);
}

static bool collect_tag(void *context, struct slice path, struct slice tag)
{
    buf_printf(context, "%.*s=%.*s;", SLICE_FMT(path), SLICE_FMT(tag));
    return true;
}

static void test_face(void **state)
{
    (void)state;
    static const char text[] =
        "{ \"title\" : \"Order\", \"type\":\"object\", \"properties\": {"
        "\"mail\":{\"type\":\"string\",\"confluent:tags\":[\"PII\",\"MAIL\"]},"
        "\"lines\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"confluent:tags\":[\"LINE\"],\"properties\":{"
        "\"who\":{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"confluent:tags\":[\"PII\"]}]}}}},"
        "\"product\":{\"$ref\":\"product.json\"},\"up\":{\"$ref\":\"#\"}}, \"required\":[\"mail\"] }";
    static const char product[] = "{\"type\":\"object\",\"properties\":{\"sku\":{\"type\":\"string\","
                                  "\"confluent:tags\":[\"SKU\"]}},\"additionalProperties\":false}";
    struct schema_ref_text ref = {
        .name = slice_str("product.json"), .subject = slice_str("product"), .version = 1, .text = slice_str(product)};
    struct parsed_schema *s, *without;
    struct reason why = {0};
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(schema_parse(&s, &schema_type_json, slice_str(text), &ref, 1, NULL, &why), ERR_OK);
    assert_int_equal(schema_parse(&without, &schema_type_json, slice_str(text), NULL, 0, NULL, &why), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "product.json"));
    assert_int_equal(schema_canonical(s, &b), ERR_OK);
    assert_int_equal(strncmp(buf_cstr(&b), "{\"title\":\"Order\",\"type\":\"object\",\"properties\":{\"mail\":", 50),
                     0);
    buf_clear(&b);
    assert_int_equal(schema_normalized(s, &b), ERR_OK);
    assert_int_equal(strncmp(buf_cstr(&b), "{\"properties\":{\"lines\":{\"items\":", 32), 0);
    buf_clear(&b);
    assert_int_equal(schema_tags(s, collect_tag, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), "mail=PII;mail=MAIL;lines=LINE;lines.who=PII;product.sku=SKU;");
    assert_true(schema_has_field(s, slice_str("lines")));
    assert_false(schema_has_field(s, slice_str("sku")));
    assert_true(slice_eq_str(schema_record_name(s), "Order"));
    assert_int_equal(schema_validate(s, slice_str("{\"mail\":\"a\",\"product\":{\"sku\":\"x\"}}"), &why), ERR_OK);
    assert_int_equal(schema_validate(s, slice_str("{\"mail\":\"a\",\"up\":{\"product\":{\"skew\":1}}}"), &why),
                     ERR_INVALID_RECORD);
    assert_non_null(strstr(why.text, "#/up"));
    assert_int_equal(schema_validate(s, slice_str("{\"mail\":"), &why), ERR_INVALID_RECORD);
    schema_free(s);
    buf_free(&b);
}

static void test_bad_schemas(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "{",
        "3",
        "[]",
        "{\"type\":\"strin\"}",
        "{\"type\":3}",
        "{\"properties\":[]}",
        "{\"properties\":{\"a\":3}}",
        "{\"required\":true}",
        "{\"$ref\":\"#/definitions/missing\"}",
        "{\"$ref\":\"http://example.com/never-fetched.json\"}",
        "{\"multipleOf\":0}",
        "{\"pattern\":\"(\"}",
        "{\"allOf\":{}}",
        "{\"minLength\":1.5}",
        "{\"title\":3}",
        "{\"description\":null}",
        "{\"$id\":1}",
        "{\"$ref\":[]}",
        "{\"readOnly\":\"yes\"}",
        "{\"$schema\":3}",
        "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"exclusiveMinimum\":1}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"deprecated\":1}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":[]}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":{\"a\":{\"type\":\"strin\"}}}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"definitions\":{\"a\":{\"minimum\":\"1\"}}}",
        "{\"enum\":3}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_schema *s;
        struct reason why = {0};
        assert_int_equal(json_schema_compile(&s, slice_str(cases[i]), NULL, &why), ERR_MALFORMED);
        assert_true(why.text[0]);
    }
}

/* What no specification permits, but the reference takes. */
static void test_odd_schemas(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"minLength\":-1}",
        "{\"definitions\":{\"a\":{\"type\":\"strin\"}}}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"maxItems\":1.5}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"dependencies\":[]}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"then\":3}",
        "{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\",\"else\":[]}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"minContains\":\"1\"}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        json_schema_free(compile(slice_str(cases[i])));
}

/* More parts than can be told apart within the limit. */
static void test_too_many_parts(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_put_str(&b, "{\"oneOf\":[{}");
    for (int i = 0; i < 60000; i++)
        buf_printf(&b, ",{\"const\":%d}", i);
    buf_put_str(&b, "]}");
    assert_non_null(strstr(compare(buf_cstr(&b), buf_cstr(&b), JSON_COMPAT_STRICT), "too large"));
    buf_free(&b);
}

/* An id below `$defs` counts in every draft. */
static void test_defs_of_old_drafts(void **state)
{
    (void)state;
    json_schema_free(compile(slice_str("{\"$id\":\"http://example.com/tree\",\"items\":{\"$ref\":\"node\"},"
                                       "\"$defs\":{\"n\":{\"$id\":\"http://example.com/node\"}}}")));
}

/* Endless by reference, exponential by pattern, exponential by branches: a limit, never a hang. */
static void test_hostile(void **state)
{
    (void)state;
    struct json_schema *s = compile(slice_str("{\"$ref\":\"#\"}"));
    assert_int_equal(json_schema_validate_text(s, slice_str("1"), NULL), ERR_LIMIT_EXCEEDED);
    json_schema_free(s);
    s = compile(slice_str("{\"pattern\":\"^(a|a)*$\"}"));
    assert_int_equal(json_schema_validate_text(s, slice_str("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\""), NULL),
                     ERR_LIMIT_EXCEEDED);
    json_schema_free(s);
    struct buf b;
    buf_init(&b, 0);
    buf_put_str(&b, "{\"definitions\":{\"d0\":{\"type\":\"string\"}");
    for (int i = 1; i < 60; i++)
        buf_printf(&b, ",\"d%d\":{\"anyOf\":[{\"$ref\":\"#/definitions/d%d\"},{\"$ref\":\"#/definitions/d%d\"}]}", i,
                   i - 1, i - 1);
    buf_put_str(&b, "},\"$ref\":\"#/definitions/d59\"}");
    s = compile(buf_slice(&b));
    assert_int_equal(json_schema_validate_text(s, slice_str("1"), NULL), ERR_LIMIT_EXCEEDED);
    json_schema_free(s);
    buf_free(&b);
}

/* oneOf of n objects that all differ: n * n pairs to look at. */
static struct parsed_schema *entangled(int n)
{
    struct parsed_schema *s = NULL;
    struct reason why = {0};
    struct buf b;
    buf_init(&b, 0);
    buf_put_str(&b, "{\"oneOf\":[");
    for (int i = 0; i < n; i++)
        buf_printf(
            &b, "%s{\"type\":\"object\",\"properties\":{\"p%d\":{\"type\":\"string\"}},\"additionalProperties\":false}",
            i ? "," : "", i);
    buf_put_str(&b, "]}");
    assert_int_equal(schema_parse(&s, &schema_type_json, buf_slice(&b), NULL, 0, NULL, &why), ERR_OK);
    buf_free(&b);
    return s;
}

/* One comparison is within its limit; a hundred such versions are not gone through for minutes. */
static void test_many_versions(void **state)
{
    enum { VERSIONS = 100 };
    struct compat_previous old[VERSIONS];
    struct parsed_schema *s = entangled(300);
    struct compat_result r;
    struct reason why = {0};
    (void)state;
    for (int i = 0; i < VERSIONS; i++)
        old[i] = (struct compat_previous){VERSIONS - i, s};
    compat_result_init(&r);
    assert_int_equal(compat_check(COMPAT_BACKWARD, COMPAT_STRICT, s, old, VERSIONS, &r, &why), ERR_OK);
    assert_int_equal(r.n, 0);
    assert_true(r.work > 0 && r.work < JSON_COMPAT_VERSIONS_WORK_MAX / 2);
    assert_int_equal(compat_check(COMPAT_FULL_TRANSITIVE, COMPAT_STRICT, s, old, VERSIONS, &r, &why),
                     ERR_LIMIT_EXCEEDED);
    assert_true(r.work < JSON_COMPAT_VERSIONS_WORK_MAX + (uint64_t)JSON_COMPAT_WORK_MAX);
    compat_result_free(&r);
    schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),       cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_entangled),      cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_text),           cmocka_unit_test(test_karapace),
        cmocka_unit_test(test_face),           cmocka_unit_test(test_bad_schemas),
        cmocka_unit_test(test_odd_schemas),    cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_too_many_parts), cmocka_unit_test(test_defs_of_old_drafts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
