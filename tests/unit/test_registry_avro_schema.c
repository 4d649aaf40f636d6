/* SPDX-License-Identifier: Apache-2.0
 * Avro schemas against what other implementations say of them: Java's canonical text and parse errors, the canonical
 * form's fingerprints, and which schemas are valid. */
#include "tests/unit/registry_avro_util.h"

#include <string.h>

#define AVRO TEST_SHARED "/vectors/avro/"

/* Inputs whose error has other words here, and why. */
static const struct known {
    const char *input, *why;
} other_words[] = {
    {"\"True\"", "Java prints a counter of its placeholders; here it is 'Undefined schema'"},
    {"True", "no JSON: the words of the JSON reader are ours"},
    {"{\"type\": \"enum\"\n  \"symbols\"", "no JSON"},
    {"{\n  \"type\": \"record\",\n  \"fields\": \"His vision, from the constantly passing bars,\"\n  \"name\"",
     "no JSON"},
    {"\"name\", \"Rainer\"", "no JSON"},
    {"\"type\": \"enum\"  ", "no JSON"},
};

static bool has_other_words(const char *input)
{
    for (size_t i = 0; i < sizeof other_words / sizeof *other_words; i++)
        if (strstr(input, other_words[i].input) == input ||
            (other_words[i].input[0] == '"' && other_words[i].input[1] != 'T' && strstr(input, other_words[i].input)))
            return true;
    return false;
}

static void check_error(const char *input, const char *want, enum err e, const struct reason *why, unsigned *failed)
{
    const char *words = strstr(want, ": ");
    words = words ? words + 2 : want;
    bool same = strncmp(words, why->text, sizeof why->text - 1) == 0;
    if (e == ERR_OK || (!same && (strstr(want, "JsonParseException") == NULL && !has_other_words(input)))) {
        printf("%s\n  want error %s\n  got  %s\n", input, words, e == ERR_OK ? "no error" : why->text);
        ++*failed;
    }
}

static void check_printed(const json_t *c, const struct parsed_schema *s, unsigned *failed)
{
    const char *input = json_string_value(json_object_get(c, "input"));
    struct buf b;
    uint64_t crc;
    char hex[20];
    buf_init(&b, 0);
    assert_int_equal(schema_canonical(s, &b), ERR_OK);
    expect_text(input, json_string_value(json_object_get(c, "to_string")), &b, failed);
    buf_clear(&b);
    assert_int_equal(avro_parsing_form(s, &b), ERR_OK);
    expect_text(input, json_string_value(json_object_get(c, "pcf")), &b, failed);
    assert_int_equal(avro_fingerprint_crc64(s, &crc), ERR_OK);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)crc);
    assert_string_equal(hex, json_string_value(json_object_get(c, "crc64")));
    buf_free(&b);
}

static void test_java_prints_the_same(void **state)
{
    json_t *cases = load_cases(AVRO "java-parse-tostring-oracle.json", "cases");
    unsigned failed = 0;
    size_t i;
    json_t *c;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        const char *input = json_string_value(json_object_get(c, "input"));
        const char *error = json_string_value(json_object_get(c, "error"));
        struct parsed_schema *s = NULL;
        struct reason why;
        enum err e = parse_avro(&s, slice_str(input), true, &why);
        if (error) {
            check_error(input, error, e, &why, &failed);
        } else if (e != ERR_OK) {
            printf("%s\n  refused: %s\n", input, why.text);
            failed++;
        } else {
            check_printed(c, s, &failed);
        }
        schema_free(s);
    }
    printf("%zu inputs\n", json_array_size(cases));
    json_decref(cases);
    assert_int_equal(failed, 0);
}

static void test_canonical_text_is_stable(void **state)
{
    json_t *cases = load_cases(AVRO "java-parse-tostring-oracle.json", "cases");
    unsigned failed = 0;
    size_t i;
    json_t *c;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        const char *text = json_string_value(json_object_get(c, "to_string"));
        struct parsed_schema *s = NULL, *n = NULL;
        struct reason why;
        struct buf b, again;
        if (!text)
            continue;
        buf_init(&b, 0);
        buf_init(&again, 0);
        if (parse_avro(&s, slice_str(text), false, &why) != ERR_OK)
            fail_msg("%s: %s", text, why.text);
        assert_int_equal(schema_canonical(s, &b), ERR_OK);
        expect_text(text, text, &b, &failed);
        buf_clear(&b);
        if (schema_normalized(s, &b) != ERR_OK)
            fail_msg("%s: not normalized", text);
        assert_int_equal(parse_avro(&n, buf_slice(&b), false, &why), ERR_OK);
        assert_int_equal(schema_normalized(n, &again), ERR_OK);
        expect_text(text, buf_cstr(&b), &again, &failed); /* normalizing twice changes nothing */
        schema_free(s);
        schema_free(n);
        buf_free(&b);
        buf_free(&again);
    }
    json_decref(cases);
    assert_int_equal(failed, 0);
}

static void test_fingerprints(void **state)
{
    json_t *cases = load_cases(AVRO "canonical-form-fingerprints.json", "cases");
    unsigned failed = 0, fingerprints = 0;
    size_t i;
    json_t *c;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        struct parsed_schema *s;
        struct reason why;
        struct buf b;
        uint64_t crc;
        buf_init(&b, 0);
        assert_int_equal(parse_avro(&s, text_of(json_object_get(c, "input")), true, &why), ERR_OK);
        assert_int_equal(avro_parsing_form(s, &b), ERR_OK);
        expect_text(json_string_value(json_object_get(c, "input")), json_string_value(json_object_get(c, "canonical")),
                    &b, &failed);
        assert_int_equal(avro_fingerprint_crc64(s, &crc), ERR_OK);
        if (json_object_get(c, "fingerprint")) {
            fingerprints++;
            assert_int_equal((int64_t)crc, json_integer_value(json_object_get(c, "fingerprint")));
        }
        schema_free(s);
        buf_free(&b);
    }
    assert_true(fingerprints >= 26);
    json_decref(cases);
    assert_int_equal(failed, 0);
}

/* The specification's own examples of digests, for "int". */
static void test_digests(void **state)
{
    static const uint8_t md5[] = {0xef, 0x52, 0x4e, 0xa1, 0xb9, 0x1e, 0x73, 0x17,
                                  0x3d, 0x93, 0x8a, 0xde, 0x36, 0xc1, 0xdb, 0x32};
    static const uint8_t sha[] = {0x3f, 0x2b, 0x87, 0xa9, 0xfe, 0x7c, 0xc9, 0xb1};
    struct parsed_schema *s = must_parse("{\"type\":\"int\"}");
    uint8_t got[32];
    (void)state;
    assert_int_equal(avro_fingerprint_md5(s, got), ERR_OK);
    assert_memory_equal(got, md5, sizeof md5);
    assert_int_equal(avro_fingerprint_sha256(s, got), ERR_OK);
    assert_memory_equal(got, sha, sizeof sha);
    schema_free(s);
}

/* Where Python or C judge otherwise than Java, Java's verdict counts (today they agree on all). */
static unsigned check_validity(const char *file)
{
    json_t *cases = load_cases(file, "cases");
    json_t *oracle = load_cases(AVRO "java-parse-tostring-oracle.json", "cases");
    unsigned failed = 0, by_java = 0;
    size_t i, k;
    json_t *c, *o;
    json_array_foreach(cases, i, c)
    {
        const char *text = json_string_value(json_object_get(c, "schema_text"));
        bool valid = json_is_true(json_object_get(c, "valid"));
        struct parsed_schema *s = NULL;
        struct reason why;
        if (!text)
            continue;
        bool accepted = parse_avro(&s, slice_str(text), true, &why) == ERR_OK;
        json_array_foreach(oracle, k, o) if (!strcmp(text, json_string_value(json_object_get(o, "input"))))
        {
            bool java = !json_object_get(o, "error");
            by_java += java != valid;
            if (java != valid)
                printf("Java judges otherwise: %s\n", text);
            valid = java;
            break;
        }
        if (accepted != valid) {
            printf("%s: %s\n", text, accepted ? "accepted" : why.text);
            failed++;
        }
        schema_free(s);
    }
    printf("%s: %zu cases, %u by Java's verdict\n", file, json_array_size(cases), by_java);
    json_decref(cases);
    json_decref(oracle);
    return failed;
}

static void test_valid_and_invalid(void **state)
{
    (void)state;
    assert_int_equal(check_validity(AVRO "python-schema-valid-invalid.json"), 0);
    assert_int_equal(check_validity(AVRO "avro-c-schema-pass-fail.json"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_java_prints_the_same), cmocka_unit_test(test_canonical_text_is_stable),
        cmocka_unit_test(test_fingerprints),         cmocka_unit_test(test_digests),
        cmocka_unit_test(test_valid_and_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
