/* SPDX-License-Identifier: Apache-2.0
 * Verdicts of compatibility: Java's own cases with kind, message and location, Karapace's, and the lines a registry
 * prints at each level. */
#include "registry/compatibility.h"
#include "tests/unit/registry_avro_util.h"

#include <string.h>

static struct parsed_schema *parse_json(const json_t *v, struct reason *why)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    struct parsed_schema *s = NULL;
    if (parse_avro(&s, slice_str(text), false, why) != ERR_OK)
        s = NULL;
    free(text);
    return s;
}

static bool same_items(const json_t *want, const struct compat_result *got)
{
    size_t i;
    json_t *w;
    if (json_array_size(want) != got->n)
        return false;
    json_array_foreach(
        want, i,
        w) if (strcmp(json_string_value(json_object_get(w, "type")), got->items[i].type) != 0 ||
               !slice_eq_str(got->items[i].additional, json_string_value(json_object_get(w, "message"))) ||
               !slice_eq_str(got->items[i].path, json_string_value(json_object_get(w, "location")))) return false;
    return true;
}

static void print_items(const char *name, const json_t *want, const struct compat_result *got)
{
    char *text = json_dumps(want, JSON_COMPACT);
    printf("%s\n  want %s\n", name, text);
    for (size_t i = 0; i < got->n; i++)
        printf("  got  %s %.*s %.*s\n", got->items[i].type, SLICE_FMT(got->items[i].additional),
               SLICE_FMT(got->items[i].path));
    free(text);
}

static void test_java_cases(void **state)
{
    json_t *cases = load_cases(TEST_SHARED "/vectors/avro/java-schema-compatibility.json", "cases");
    unsigned failed = 0, nameless = 0;
    size_t i;
    json_t *c;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        struct reason why = {0};
        struct parsed_schema *reader = parse_json(json_object_get(c, "reader"), &why);
        struct parsed_schema *writer = parse_json(json_object_get(c, "writer"), &why);
        struct compat_question q = {.reader_is_new = true};
        struct compat_result r;
        compat_result_init(&r);
        if (!reader || !writer) {
            assert_memory_equal(why.text, "No name in schema", 17); /* Java made these without parsing */
            nameless++;
        } else {
            assert_int_equal(schema_compatible(reader, writer, &q, &r, &why), ERR_OK);
            if (!same_items(json_object_get(c, "incompatibilities"), &r) ||
                (r.n == 0) != json_is_true(json_object_get(c, "compatible"))) {
                print_items(name, json_object_get(c, "incompatibilities"), &r);
                failed++;
            }
        }
        compat_result_free(&r);
        schema_free(reader);
        schema_free(writer);
    }
    printf("%zu cases, %u of nameless records, which cannot be parsed\n", json_array_size(cases), nameless);
    json_decref(cases);
    assert_true(nameless <= 5);
    assert_int_equal(failed, 0);
}

/* Karapace's cases that Java, and so this, judges otherwise. */
static const struct {
    const char *name, *why;
} karapace_own[] = {
    {"test_schemaregistry_basic_backwards_compatibility:97",
     "an enum whose default is not one of its symbols: not a schema to Java"},
};

static bool is_karapace_own(const char *name)
{
    for (size_t i = 0; i < sizeof karapace_own / sizeof *karapace_own; i++)
        if (!strcmp(name, karapace_own[i].name))
            return true;
    return false;
}

static void test_karapace_cases(void **state)
{
    json_t *cases = load_cases(TEST_SHARED "/vectors/karapace/avro-compatibility.json", "cases");
    unsigned failed = 0, skipped = 0;
    size_t i;
    json_t *c;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        struct reason why = {0};
        struct parsed_schema *reader = parse_json(json_object_get(c, "reader"), &why);
        struct parsed_schema *writer = parse_json(json_object_get(c, "writer"), &why);
        struct compat_question q = {.reader_is_new = true};
        struct compat_result r;
        compat_result_init(&r);
        if (!reader || !writer) {
            skipped++;
            if (!is_karapace_own(name)) {
                printf("%s: %s\n", name, why.text);
                failed++;
            }
        } else {
            assert_int_equal(schema_compatible(reader, writer, &q, &r, &why), ERR_OK);
            if ((r.n == 0) != json_is_true(json_object_get(c, "compatible"))) {
                print_items(name, json_object_get(c, "compatible"), &r);
                failed++;
            }
        }
        compat_result_free(&r);
        schema_free(reader);
        schema_free(writer);
    }
    printf("%zu cases, %u skipped\n", json_array_size(cases), skipped);
    json_decref(cases);
    assert_int_equal(failed, 0);
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields "]}"
#define F1             "{\"name\":\"f1\",\"type\":\"string\"}"
#define F2             "{\"name\":\"f2\",\"type\":\"string\"}"
#define F2_DEFAULT     "{\"name\":\"f2\",\"type\":\"string\",\"default\":\"x\"}"

static void check_level(enum compat_level level, const char *schema, const char *const *previous, const char *want)
{
    struct parsed_schema *s = must_parse(schema);
    struct compat_previous old[4];
    size_t n = 0;
    struct compat_result r;
    struct buf b;
    struct reason why = {0};
    for (; previous[n]; n++)
        old[n] = (struct compat_previous){(int32_t)(10 - n), must_parse(previous[n])};
    compat_result_init(&r);
    buf_init(&b, 0);
    assert_int_equal(compat_check(level, COMPAT_STRICT, s, old, n, &r, &why), ERR_OK);
    if (r.n)
        assert_int_equal(compat_add_config(&r, false, level), ERR_OK);
    compat_print(&r, &b);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
    compat_result_free(&r);
    schema_free(s);
    while (n)
        schema_free((struct parsed_schema *)old[--n].schema);
}

static void test_levels_and_their_words(void **state)
{
    static const char *const one[] = {RECORD(F1), NULL};
    static const char *const two[] = {RECORD(F1 "," F2_DEFAULT), RECORD(F1), NULL};
    (void)state;
    check_level(
        COMPAT_BACKWARD, RECORD(F1 "," F2), one,
        "[{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/1' in "
        "the new schema has no default value and is missing in the old schema', additionalInfo:'f2'}, "
        "{oldSchemaVersion: 10}, {oldSchema: '" RECORD(F1) "'}, "
                                                           "{validateFields: 'false', compatibility: 'BACKWARD'}]");
    check_level(COMPAT_FORWARD, RECORD(F1 "," F2), one, "[]");
    check_level(COMPAT_NONE, RECORD(F2), one, "[]");
    check_level(COMPAT_BACKWARD, RECORD(F1 "," F2), two, "[]");
    check_level(COMPAT_BACKWARD_TRANSITIVE, RECORD(F1 "," F2), two,
                "[{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/1' in "
                "the new schema has no default value and is missing in the old schema', additionalInfo:'f2'}, "
                "{oldSchemaVersion: 9}, {oldSchema: '" RECORD(
                    F1) "'}, "
                        "{validateFields: 'false', compatibility: 'BACKWARD_TRANSITIVE'}]");
    /* only the backward question's incompatibilities carry the old schema in FULL */
    check_level(COMPAT_FULL, RECORD(F2), one,
                "[{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f1' at path '/fields/0' in "
                "the old schema has no default value and is missing in the new schema', additionalInfo:'f1'}, "
                "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/0' in "
                "the new schema has no default value and is missing in the old schema', additionalInfo:'f2'}, "
                "{oldSchemaVersion: 10}, {oldSchema: '" RECORD(F1) "'}, "
                                                                   "{validateFields: 'false', compatibility: 'FULL'}]");
    check_level(COMPAT_FULL_TRANSITIVE, RECORD(F1 "," F2_DEFAULT), two, "[]");
}

static void test_other_kind_and_long_schema(void **state)
{
    struct parsed_schema *s = must_parse("\"int\""), *json, *large;
    struct compat_previous old = {.version = 3};
    struct compat_result r;
    struct reason why;
    struct buf b, text;
    (void)state;
    buf_init(&b, 0);
    buf_init(&text, 0);
    assert_int_equal(schema_parse(&json, &schema_type_json, slice_str("{}"), NULL, 0, NULL, &why), ERR_OK);
    old.schema = json;
    compat_result_init(&r);
    assert_int_equal(compat_check(COMPAT_FULL, COMPAT_STRICT, s, &old, 1, &r, &why), ERR_OK);
    compat_print(&r, &b);
    assert_string_equal(buf_cstr(&b), "[Incompatible because of different schema type]");
    compat_result_free(&r);
    buf_printf(&text, "{\"type\":\"string\",\"note\":\"%0*d\"}", COMPAT_OLD_SCHEMA_SHOWN_MAX, 0);
    assert_int_equal(parse_avro(&large, buf_slice(&text), true, &why), ERR_OK);
    old.schema = large;
    compat_result_init(&r);
    assert_int_equal(compat_check(COMPAT_BACKWARD, COMPAT_STRICT, s, &old, 1, &r, &why), ERR_OK);
    buf_clear(&b);
    compat_print(&r, &b);
    assert_non_null(strstr(buf_cstr(&b), "{oldSchema: <truncated> '{\"type\":\"string\",\"note\":\"0000"));
    assert_non_null(strstr(buf_cstr(&b), "0...'}]"));
    compat_result_free(&r);
    buf_free(&b);
    buf_free(&text);
    schema_free(s);
    schema_free(json);
    schema_free(large);
}

static void test_level_names(void **state)
{
    enum compat_level level;
    enum compat_policy policy;
    (void)state;
    assert_true(compat_level_parse(slice_str("backward_Transitive"), &level));
    assert_string_equal(compat_level_name(level), "BACKWARD_TRANSITIVE");
    assert_false(compat_level_parse(slice_str("BACKWARDS"), &level));
    assert_false(compat_level_parse(SLICE_NULL, &level));
    assert_true(compat_policy_parse(slice_str("lenient"), &policy) && policy == COMPAT_LENIENT);
    assert_true(compat_policy_parse(SLICE_NULL, &policy) && policy == COMPAT_STRICT);
    assert_false(compat_policy_parse(slice_str("loose"), &policy));
}

/* Two types that contain themselves, in many ways: remembered pairs keep the work small. */
static void test_recursion_ends(void **state)
{
    struct parsed_schema *a, *b;
    struct compat_question q = {.reader_is_new = true};
    struct compat_result r;
    struct reason why = {0};
    struct buf text;
    (void)state;
    buf_init(&text, 0);
    buf_put_str(&text, "{\"type\":\"record\",\"name\":\"T\",\"fields\":[");
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "%s{\"name\":\"f%d\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"T\"}]}", i ? "," : "",
                   i);
    buf_put_str(&text, "]}");
    assert_int_equal(parse_avro(&a, buf_slice(&text), true, &why), ERR_OK);
    assert_int_equal(parse_avro(&b, buf_slice(&text), true, &why), ERR_OK);
    compat_result_init(&r);
    assert_int_equal(schema_compatible(a, b, &q, &r, &why), ERR_OK);
    assert_int_equal(r.n, 0);
    compat_result_free(&r);
    buf_free(&text);
    schema_free(a);
    schema_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_java_cases),
        cmocka_unit_test(test_karapace_cases),
        cmocka_unit_test(test_levels_and_their_words),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_other_kind_and_long_schema),
        cmocka_unit_test(test_recursion_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
