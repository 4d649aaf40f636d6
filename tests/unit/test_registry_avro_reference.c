/* SPDX-License-Identifier: Apache-2.0
 * What Avro 1.12.1 in the settings of Confluent's registry says of schemas that are easily judged or printed otherwise:
 * each case was answered by that implementation. The last test holds the places where this one differs on purpose. */
#include "tests/unit/registry_avro_util.h"

#include <string.h>

enum { REFS_MAX = 2 };

struct expected {
    const char *schema;
    const char *refs[REFS_MAX];
    bool stored; /* judged as a schema that is in the registry already */
    const char *want;
    const char *error; /* instead of `want` */
};

typedef enum err (*printer)(const struct parsed_schema *s, struct buf *out);

static enum err parse_case(const struct expected *c, struct parsed_schema **out, struct reason *why)
{
    struct schema_options options = {.fresh = !c->stored};
    struct schema_ref_text refs[REFS_MAX];
    size_t n = 0;
    for (; n < REFS_MAX && c->refs[n]; n++)
        refs[n] = (struct schema_ref_text){slice_str(n ? "b" : "a"), slice_str("s"), 1, slice_str(c->refs[n])};
    *why = (struct reason){0};
    return schema_parse(out, &schema_type_avro, slice_str(c->schema), refs, n, &options, why);
}

static void check_cases(const struct expected *cases, size_t n, printer print)
{
    unsigned failed = 0;
    for (size_t i = 0; i < n; i++) {
        struct parsed_schema *s = NULL;
        struct reason why;
        struct buf b;
        buf_init(&b, 0);
        enum err e = parse_case(&cases[i], &s, &why);
        if (e != ERR_OK && !cases[i].error) {
            printf("%s\n  refused: %s\n", cases[i].schema, why.text);
            failed++;
        } else if (e != ERR_OK && strcmp(why.text, cases[i].error) != 0) {
            printf("%s\n  want error %s\n  got error  %s\n", cases[i].schema, cases[i].error, why.text);
            failed++;
        } else if (e == ERR_OK && cases[i].error) {
            printf("%s\n  accepted, want error %s\n", cases[i].schema, cases[i].error);
            failed++;
        } else if (e == ERR_OK) {
            assert_int_equal(print(s, &b), ERR_OK);
            expect_text(cases[i].schema, cases[i].want, &b, &failed);
        }
        schema_free(s);
        buf_free(&b);
    }
    assert_int_equal(failed, 0);
}

#define CHECK(cases, print) check_cases(cases, sizeof cases / sizeof *cases, print)
#define REC(fields)         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FLD(type, rest)     "{\"name\":\"f\",\"type\":" type rest "}"

static void test_numbers(void **state)
{
    static const struct expected cases[] = {
        {"{\"type\":\"int\",\"p\":[4.9e-324,8.41E21,1e23,2e-3,5.684341886080802e-14]}",
         .want = "{\"type\":\"int\",\"p\":[4.9E-324,8.41E21,1.0E23,0.002,5.684341886080802E-14]}"},
        {"{\"type\":\"int\",\"p\":[-0,0e0,-0.0,1.10,12345678901234567890.5,1e400,9999999.0,1e7,123456789012345678901]}",
         .want = "{\"type\":\"int\",\"p\":[0,0.0,-0.0,1.1,1.2345678901234567E19,\"Infinity\",9999999.0,1.0E7,"
                 "123456789012345678901]}"},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_names(void **state)
{
    static const struct expected cases[] = {
        {"{\"type\":\"fixed\",\"name\":\"\xc3\xa9\",\"size\":1}", .error = "Illegal initial character: \xc3\xa9"},
        {"{\"type\":\"fixed\",\"name\":\"\xc3\xa9\",\"size\":1}", .stored = true,
         .want = "{\"type\":\"fixed\",\"name\":\"\xc3\xa9\",\"size\":1}"},
        {"{\"type\":\"fixed\",\"name\":\"A\xc2\xb2\",\"size\":1}", .stored = true,
         .error = "Illegal character in: A\xc2\xb2"}, /* a superscript is no digit */
        {"{\"type\":\"fixed\",\"name\":\"A\xd9\xa3\",\"size\":1}", .stored = true,
         .want = "{\"type\":\"fixed\",\"name\":\"A\xd9\xa3\",\"size\":1}"}, /* an Arabic one is */
        {"{\"type\":\"fixed\",\"name\":\"\xe2\x85\xa7\",\"size\":1}", .stored = true,
         .error = "Illegal initial character: \xe2\x85\xa7"},
        {"{\"type\":\"fixed\",\"name\":\"\xf0\x90\x90\x80\",\"size\":1}", .stored = true,
         .error = "Illegal initial character: \xf0\x90\x90\x80"}, /* two chars to Java */
        {"{\"type\":\"fixed\",\"name\":\"A\",\"namespace\":\"1x\",\"size\":1}",
         .error = "Namespace part \"1x\" is invalid: Illegal initial character: 1x"},
        {"{\"type\":\"fixed\",\"name\":\"A\",\"namespace\":\"1x\",\"size\":1}", .stored = true,
         .want = "{\"type\":\"fixed\",\"name\":\"A\",\"namespace\":\"1x\",\"size\":1}"},
        {"{\"type\":\"fixed\",\"name\":\"A\",\"aliases\":[\"1x\"],\"size\":1}",
         .error = "Illegal initial character: 1x"},
        {"{\"type\":\"fixed\",\"name\":\"A\",\"aliases\":[\"1x\",\"\"],\"size\":1}", .stored = true,
         .want = "{\"type\":\"fixed\",\"name\":\"A\",\"size\":1,\"aliases\":[\"1x\",\"\"]}"},
        {"{\"type\":\"enum\",\"name\":\"A\",\"symbols\":[5]}", .stored = true, .error = "Null name"},
        {"{\"type\":\"enum\",\"name\":\"int\"}", .error = "Enum has no symbols: {\"type\":\"enum\",\"name\":\"int\"}"},
        {"{\"type\":\"record\",\"name\":\"int\"}", .error = "Schemas may not be named after primitives: int"},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_references_are_held_to_the_same_rules(void **state)
{
    static const struct expected cases[] = {
        {"\"int\"",
         {"{\"type\":\"fixed\",\"name\":\"A\xc3\xa9\",\"size\":1}"},
         false,
         NULL,
         "Illegal character in: A\xc3\xa9"},
        {"\"int\"", {"{\"type\":\"fixed\",\"name\":\"A\xc3\xa9\",\"size\":1}"}, true, "\"int\"", NULL},
        {"\"int\"",
         {REC(FLD("\"int\"", ",\"default\":\"x\""))},
         false,
         NULL,
         "Invalid default for field f: \"x\" not a \"int\""},
        {"\"int\"", {REC(FLD("\"int\"", ",\"default\":\"x\""))}, true, "\"int\"", NULL},
        /* defining once more what a reference defines is naming it */
        {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}",
         {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}"},
         false,
         "\"A\"",
         NULL},
        {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":2}",
         {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}"},
         false,
         NULL,
         "Can't redefine: A"},
        {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1,\"p\":1.0}",
         {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1,\"p\":1}"},
         false,
         NULL,
         "Can't redefine: A"},
        {REC(FLD("\"A\"", "")),
         {"[\"null\",{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}]"},
         false,
         REC(FLD("{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}", "")),
         NULL},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_a_type_object_may_name_a_type(void **state)
{
    static const struct expected cases[] = {
        {REC(FLD("[\"null\",{\"type\":\"R\",\"p\":1}]", "")), .want = REC(FLD("[\"null\",\"R\"]", ""))},
        {"{\"type\":\"A\"}", {"{\"type\":\"fixed\",\"name\":\"A\",\"size\":1}"}, false, "\"A\"", NULL},
        {REC(FLD("{\"type\":\"nope\"}", "")),
         .error = "A schema \"type\" MUST be a primitive type or one of \"enum\", \"fixed\", \"record\", \"error\", "
                  "\"array\" or \"map\"."},
        {REC(FLD("{\"type\":{\"type\":\"int\"}}", "")), .error = "No type: {\"type\":{\"type\":\"int\"}}"},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_defaults(void **state)
{
    static const struct expected cases[] = {
        {REC(FLD("\"double\"", ",\"default\":\" 0x1p3 \"")), .want = REC(FLD("\"double\"", ",\"default\":8.0"))},
        {REC(FLD("\"float\"", ",\"default\":\"1d\"")), .want = REC(FLD("\"float\"", ",\"default\":1.0"))},
        {REC(FLD("\"float\"", ",\"default\":\"-.5\"")), .want = REC(FLD("\"float\"", ",\"default\":-0.5"))},
        {REC(FLD("\"float\"", ",\"default\":\"NaN\"")), .want = REC(FLD("\"float\"", ",\"default\":\"NaN\""))},
        {REC(FLD("\"float\"", ",\"default\":\"Nan\"")), .error = "For input string: \"Nan\""},
        {REC(FLD("\"float\"", ",\"default\":\"inf\"")), .error = "For input string: \"inf\""},
        {REC(FLD("\"float\"", ",\"default\":\"0x10\"")), .error = "For input string: \"0x10\""},
        {REC(FLD("\"float\"", ",\"default\":\".\"")), .error = "For input string: \".\""},
        {REC(FLD("\"float\"", ",\"default\":\" \"")), .error = "empty String"},
        {REC(FLD("[\"null\",\"string\"]", ",\"default\":\"x\"")),
         .want = REC(FLD("[\"null\",\"string\"]", ",\"default\":\"x\""))}, /* any branch */
        {REC(FLD("[\"null\",\"R\"]", ",\"default\":null")), .want = REC(FLD("[\"null\",\"R\"]", ",\"default\":null"))},
        {REC(FLD("[\"null\",\"R\"]", ",\"default\":{}")), .error = "Schema fields not set yet"},
        {REC(FLD("\"R\"", ",\"default\":{}")), .error = "Schema fields not set yet"},
        {REC(FLD("\"R\"", ",\"default\":{}")), .stored = true, .want = REC(FLD("\"R\"", ",\"default\":{}"))},
        {REC(FLD("\"long\"", ",\"default\":9223372036854775808")),
         .error = "Invalid default for field f: 9223372036854775808 not a \"long\""},
        {REC(FLD("\"int\"", ",\"order\":\"x\"")), .error = "No enum constant org.apache.avro.Schema.Field.Order.X"},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_properties_and_logical_types(void **state)
{
    static const struct expected cases[] = {
        {"{\"type\":\"array\",\"items\":\"int\",\"p\":9223372036854775808}",
         .error = "Can't set a property to null: p"},
        {"{\"type\":\"int\",\"p\":9223372036854775808}", .want = "{\"type\":\"int\",\"p\":9223372036854775808}"},
        {"{\"type\":\"array\",\"p\":1,\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":"
         "["
         "{\"name\":\"key\",\"type\":\"int\"},{\"name\":\"value\",\"type\":\"int\"}]}}",
         .want =
             "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"key\",\"type\":"
             "\"int\"},{\"name\":\"value\",\"type\":\"int\"}]},\"logicalType\":\"map\",\"p\":1}"},
        {"{\"type\":\"array\",\"p\":1,\"logicalType\":\"map\",\"items\":\"int\"}",
         .want = "{\"type\":\"array\",\"items\":\"int\",\"p\":1,\"logicalType\":\"map\"}"},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_text_around_the_schema(void **state)
{
    static const struct expected cases[] = {
        {"/* a */ \"int\" \n", .want = "\"int\""},
        {"\"int\" /* a */", .error = "dangling content after end of schema: /* a */"},
        {"\"int\"//", .error = "dangling content after end of schema: //"},
        {"{\"type\":\"int\"} {}", .error = "dangling content after end of schema: {}"},
        {"[\"int\",[\"null\"]]", .error = "Nested union: [\"int\",[\"null\"]]"},
        {"[\"int\",{\"type\":\"int\"}]", .error = "Duplicate in union:int"},
        {REC(FLD("\"int\"", "") "," FLD("\"string\"", "") "," FLD("\"int\"", "")),
         .error = "Duplicate field f in record R: f type:STRING pos:1 and f type:INT pos:0."},
    };
    (void)state;
    CHECK(cases, schema_canonical);
}

static void test_normalized(void **state)
{
    static const struct expected cases[] = {
        {REC(FLD("\"bytes\"", ",\"default\":\"\xc4\x80\xc3\xbf\"")),
         .want = REC(FLD("\"bytes\"", ",\"default\":\"?\xc3\xbf\""))},
        {"{\"type\":\"bytes\",\"z\":1,\"scale\":2,\"precision\":4,\"logicalType\":\"decimal\"}",
         .want = "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2,\"z\":1}"},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\",\"a\":1,\"avro.java.string\":\"String\"}",
         .want = "{\"type\":\"string\",\"a\":1,\"avro.java.string\":\"String\",\"logicalType\":\"uuid\"}"},
    };
    (void)state;
    CHECK(cases, schema_normalized);
}

/* Where the reference's normalization changes what a schema means, ours does not: it drops a default that is not one of
 * the first branch, and renames a type without namespace that stands in one with a namespace. */
static void test_normalized_keeps_the_meaning(void **state)
{
    static const struct expected cases[] = {
        {REC(FLD("[\"null\",\"string\"]", ",\"default\":\"x\"")),
         .want = REC(FLD("[\"null\",\"string\"]", ",\"default\":\"x\""))},
        {"{\"type\":\"record\",\"name\":\"a.R\",\"fields\":["
         "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"A\",\"namespace\":\"\",\"size\":1}}]}",
         .want = "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a\",\"fields\":["
                 "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"A\",\"namespace\":\"\",\"size\":1}}]}"},
    };
    (void)state;
    CHECK(cases, schema_normalized);
}

/* Each would take for ever, or the stack, if taken at its word. */
static void test_hostile(void **state)
{
    struct buf b;
    struct reason why;
    struct parsed_schema *s;
    (void)state;
    buf_init(&b, 0);
    buf_put_str(&b, "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i < 40; i++) { /* a default that uses a default, twice at each level */
        struct buf outer;
        buf_init(&outer, 0);
        buf_printf(&outer,
                   "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":%s,\"default\":{}},"
                   "{\"name\":\"b\",\"type\":\"R%d\",\"default\":{}}]}",
                   i, buf_cstr(&b), i - 1);
        buf_free(&b);
        b = outer;
    }
    assert_int_equal(parse_avro(&s, buf_slice(&b), true, &why), ERR_LIMIT_EXCEEDED);
    buf_clear(&b);
    buf_put_str(&b, "[");
    for (int i = 0; i < AVRO_UNION_BRANCHES_MAX + 1; i++)
        buf_printf(&b, "%s{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":1}", i ? "," : "", i);
    buf_put_str(&b, "]");
    assert_int_equal(parse_avro(&s, buf_slice(&b), true, &why), ERR_LIMIT_EXCEEDED);
    buf_clear(&b);
    buf_put_str(&b, "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1,\"aliases\":[\"a\"");
    for (int i = 0; i < 300000; i++)
        buf_printf(&b, ",\"a%d\"", i);
    buf_put_str(&b, "]}");
    assert_int_equal(parse_avro(&s, buf_slice(&b), true, &why), ERR_OK);
    schema_free(s);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_references_are_held_to_the_same_rules),
        cmocka_unit_test(test_a_type_object_may_name_a_type),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_properties_and_logical_types),
        cmocka_unit_test(test_text_around_the_schema),
        cmocka_unit_test(test_normalized),
        cmocka_unit_test(test_normalized_keeps_the_meaning),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
