/* SPDX-License-Identifier: Apache-2.0
 * Protobuf schemas: canonical and normalized text, descriptors there and back, what is refused, compatibility with its
 * kinds, paths and words, data, tags. */
#include "tests/unit/registry_protobuf_util.h"

static void check_refused(const char *text, const char *words)
{
    struct schema_options options = {.fresh = true, .validate_fields = true};
    struct parsed_schema *s;
    struct reason why = {0};
    if (schema_parse(&s, &schema_type_protobuf, slice_str(text), NULL, 0, &options, &why) == ERR_OK ||
        !strstr(why.text, words))
        fail_msg("%s: wanted '%s', got '%s'", text, words, why.text);
}

static const char everything[] =
    "// a file\nsyntax = 'proto3'; package my.pkg;\n"
    "import \"google/protobuf/timestamp.proto\"; import \"confluent/meta.proto\"; import public "
    "\"google/type/date.proto\";\n"
    "import \"google/protobuf/descriptor.proto\";\n"
    "option java_package = \"com.\" \"example\"; /* text in two */ option java_multiple_files = true;\n"
    "extend google.protobuf.FieldOptions { string note = 50001; }\n"
    "enum Top { TOP_NONE = 0; TOP_ONE = 1 [deprecated = true]; reserved 7, 5 to 6, 'OLD'; }\n"
    "message Outer {\n"
    "  reserved 100 to max, 50;\n"
    "  Inner inner = 3; repeated int32 numbers = 2; optional string name = 1 [(note) = 'say \"x\"', json_name = 'n'];\n"
    "  map<string, Inner> all = 4; google.protobuf.Timestamp at = 5;\n"
    "  oneof pick { Top top = 7; google.type.Date date = 6; }\n"
    "  message Inner { string secret = 1 [(confluent.field_meta) = { tags: ['PII', 'X'] }]; Outer up = 2; }\n"
    "}\n"
    "service Calls { rpc Do (Outer) returns (stream Outer.Inner) { option deprecated = true; } }\n";

static void test_canonical(void **state)
{
    struct parsed_schema *s = parse(everything), *again;
    struct buf b, c;
    (void)state;
    buf_init(&b, 0);
    buf_init(&c, 0);
    assert_int_equal(schema_canonical(s, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b),
                        "syntax = \"proto3\";\npackage my.pkg;\n\n"
                        "import \"google/protobuf/timestamp.proto\";\nimport \"confluent/meta.proto\";\n"
                        "import \"google/protobuf/descriptor.proto\";\nimport public \"google/type/date.proto\";\n\n"
                        "option java_package = \"com.example\";\noption java_multiple_files = true;\n\n"
                        "message Outer {\n  reserved 100 to max, 50;\n\n"
                        "  Inner inner = 3;\n  repeated int32 numbers = 2;\n  optional string name = 1 [\n"
                        "    (note) = \"say \\\"x\\\"\",\n    json_name = \"n\"\n  ];\n"
                        "  map<string, Inner> all = 4;\n  google.protobuf.Timestamp at = 5;\n\n"
                        "  oneof pick {\n    Top top = 7;\n    google.type.Date date = 6;\n  }\n\n"
                        "  message Inner {\n    string secret = 1 [(confluent.field_meta) = {\n      tags: [\n"
                        "        \"PII\",\n        \"X\"\n      ]\n    }];\n    Outer up = 2;\n  }\n}\n"
                        "enum Top {\n  reserved 7, 5 to 6, \"OLD\";\n  TOP_NONE = 0;\n"
                        "  TOP_ONE = 1 [deprecated = true];\n}\n\n"
                        "extend google.protobuf.FieldOptions {\n  string note = 50001;\n}\n\n"
                        "service Calls {\n  rpc Do (Outer) returns (stream Outer.Inner) {\n"
                        "    option deprecated = true;\n  };\n}\n");
    again = parse(buf_cstr(&b));
    assert_int_equal(schema_canonical(again, &c), ERR_OK);
    assert_string_equal(buf_cstr(&c), buf_cstr(&b));
    buf_free(&b);
    buf_free(&c);
    schema_free(again);
    schema_free(s);
}

/* Defaults of bytes stand bare while they are a word; what is stored always reads again. */
static void test_defaults(void **state)
{
    static const char head[] = "syntax = \"proto2\";\n\nmessage A {\n  optional ";
    static const struct {
        const char *written, *printed;
    } cases[] = {
        {"bytes b = 1 [default = \"plain\"];", "bytes b = 1 [default = plain];\n}\n"},
        {"bytes b = 1 [default = \"\\001 x\"];", "bytes b = 1 [default = \"\001 x\"];\n}\n"},
        {"bytes b = 1 [default = \"\"];", "bytes b = 1 [default = \"\"];\n}\n"},
        {"string b = 1 [default = \"plain\"];", "string b = 1 [default = \"plain\"];\n}\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200], wanted[200];
        struct buf once, twice;
        buf_init(&once, 0);
        buf_init(&twice, 0);
        snprintf(text, sizeof text, "%s%s }", head, cases[i].written);
        snprintf(wanted, sizeof wanted, "%s%s", head, cases[i].printed);
        struct parsed_schema *s = parse(text);
        assert_int_equal(schema_canonical(s, &once), ERR_OK);
        assert_string_equal(buf_cstr(&once), wanted);
        struct parsed_schema *again = parse(buf_cstr(&once));
        assert_int_equal(schema_canonical(again, &twice), ERR_OK);
        assert_string_equal(buf_cstr(&twice), wanted);
        schema_free(again);
        schema_free(s);
        buf_free(&once);
        buf_free(&twice);
    }
}

static const char everything_normal[] =
    "syntax = \"proto3\";\npackage my.pkg;\n\n"
    "import \"confluent/meta.proto\";\nimport \"google/protobuf/descriptor.proto\";\n"
    "import \"google/protobuf/timestamp.proto\";\nimport public \"google/type/date.proto\";\n\n"
    "option java_multiple_files = true;\noption java_package = \"com.example\";\n\n"
    "message Outer {\n  reserved 50;\n  reserved 100 to max;\n\n"
    "  optional string name = 1 [\n    json_name = \"n\",\n    (my.pkg.note) = \"say \\\"x\\\"\"\n  ];\n"
    "  repeated int32 numbers = 2;\n  .my.pkg.Outer.Inner inner = 3;\n"
    "  map<string, .my.pkg.Outer.Inner> all = 4;\n  .google.protobuf.Timestamp at = 5;\n\n"
    "  oneof pick {\n    .google.type.Date date = 6;\n    .my.pkg.Top top = 7;\n  }\n\n"
    "  message Inner {\n    string secret = 1 [(confluent.field_meta) = {\n      tags: [\n"
    "        \"PII\",\n        \"X\"\n      ]\n    }];\n    .my.pkg.Outer up = 2;\n  }\n}\n"
    "enum Top {\n  reserved 5 to 6;\n  reserved 7;\n  reserved \"OLD\";\n  TOP_NONE = 0;\n"
    "  TOP_ONE = 1 [deprecated = true];\n}\n\n"
    "extend .google.protobuf.FieldOptions {\n  string note = 50001;\n}\n\n"
    "service Calls {\n  rpc Do (.my.pkg.Outer) returns (stream .my.pkg.Outer.Inner) {\n"
    "    option deprecated = true;\n  };\n}\n";

static void test_normalized_and_descriptor(void **state)
{
    struct parsed_schema *s = parse(everything), *again;
    struct buf b, c;
    const char *cut;
    (void)state;
    buf_init(&b, 0);
    buf_init(&c, 0);
    assert_int_equal(schema_normalized(s, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), everything_normal);
    buf_clear(&b);
    assert_int_equal(schema_format(s, slice_str("serialized"), &b), ERR_OK);
    again = parse(buf_cstr(&b));
    assert_int_equal(schema_normalized(again, &c), ERR_OK);
    cut = strstr(buf_cstr(&c), "    (my.pkg.note)"); /* a custom option has no place of its own in a descriptor */
    assert_null(cut);
    assert_non_null(strstr(buf_cstr(&c), "  optional string name = 1 [json_name = \"n\"];\n"));
    assert_non_null(strstr(buf_cstr(&c), "  map<string, .my.pkg.Outer.Inner> all = 4;\n"));
    assert_non_null(strstr(buf_cstr(&c), "(confluent.field_meta) = {\n      tags: [\n        \"PII\",\n"));
    assert_non_null(strstr(buf_cstr(&c), "service Calls {\n  rpc Do (.my.pkg.Outer) returns (stream "));
    buf_clear(&c);
    assert_int_equal(schema_format(s, slice_str("ignore_extensions"), &c), ERR_OK);
    assert_null(strstr(buf_cstr(&c), "note"));
    assert_non_null(strstr(buf_cstr(&c), "confluent.field_meta"));
    buf_free(&b);
    buf_free(&c);
    schema_free(again);
    schema_free(s);
}

static void test_refused(void **state)
{
    struct buf b;
    (void)state;
    check_refused("message A {", "unexpected end of file");
    check_refused("syntax=\"proto3\"; import \"a\\\"b\"; message A {}", "a name in quotes holds no quotes");
    check_refused("syntax=\"proto3\"; message A { reserved \"a\nb\"; }", "a name in quotes holds no quotes");
    check_refused("syntax = \"proto4\";", "unexpected syntax");
    check_refused("CgFmEgFwIggFmEgFwIg4KAU0SCQoCWIGcHJvdG8z",
                  "expected a word");                                         /* a descriptor, a message without name */
    check_refused("message A { string x = 1; }", "unexpected label: string"); /* no label, no proto3 */
    check_refused("syntax=\"proto3\"; message A { required string x = 1; }", "'required' label forbidden");
    check_refused("syntax=\"proto3\"; message A { Missing x = 1; }", "Could not resolve type: Missing");
    check_refused("syntax=\"proto3\"; message A { string x = 1; string y = 1; }", "defined twice");
    check_refused("syntax=\"proto3\"; message A { string x = 19000; }", "not allowed");
    check_refused("syntax=\"proto3\"; message A {} message A {}", "already defined");
    check_refused("syntax=\"proto3\"; message A { map<double, string> x = 1; }", "map key");
    check_refused("/* never closed", "unterminated comment");
    check_refused("option a = \"x", "unterminated string");
    check_refused("bm90IGEgZGVzY3JpcHRvcg==", "Syntax error");
    check_refused("{\"type\":\"string\"}", "expected a word");
    buf_init(&b, 0);
    buf_put_str(&b, "syntax=\"proto3\";");
    for (int i = 0; i < 1000; i++)
        buf_put_str(&b, "message M{");
    check_refused(buf_cstr(&b), "nested deeper");
    buf_clear(&b);
    buf_put_str(&b, "option a = ");
    for (int i = 0; i < 100000; i++)
        buf_put_str(&b, "[");
    check_refused(buf_cstr(&b), "nested deeper");
    buf_free(&b);
}

#define P3 "syntax=\"proto3\";"

static void test_compatibility(void **state)
{
    (void)state;
    check_pair(P3 "message A{string a=1;}", P3 "message A{string renamed=1;int32 more=2;}", "");
    check_pair(P3 "message A{string a=1;}", P3 "message A{bytes a=1;}", "");
    check_pair(P3 "message A{int32 a=1;}", P3 "message A{uint64 a=1;}", "");
    check_pair(P3 "message A{int32 a=1;}", P3 "message A{sint32 a=1;}", "FIELD_SCALAR_KIND_CHANGED #/A/1;");
    check_pair(P3 "message A{int32 a=1;}", P3 "message A{E a=1;} enum E{X=0;}", "");
    check_pair(P3 "message A{int32 a=1;}", P3 "message A{B a=1;} message B{}", "FIELD_KIND_CHANGED #/A/1;");
    check_pair(P3 "message A{map<string,int32> a=1;}", P3 "message A{map<string,string> a=1;}",
               "FIELD_SCALAR_KIND_CHANGED #/A/1;");
    check_pair(P3 "message A{} message B{}", P3 "message B{}", "MESSAGE_REMOVED #/A;");
    check_pair(P3 "package a; message A{}", P3 "package b; message A{}", "PACKAGE_CHANGED #/;");
    check_pair("message A{repeated int32 a=1;}", "message A{optional int32 a=1;}",
               "FIELD_NUMERIC_LABEL_CHANGED #/A/1;");
    check_pair("message A{repeated string a=1;}", "message A{optional string a=1;}", "");
    check_pair("message A{}", "message A{required string a=1;}", "REQUIRED_FIELD_ADDED #/A/1;");
    check_pair("message A{required string a=1;}", "message A{}", "REQUIRED_FIELD_REMOVED #/A/1;");
    check_pair(P3 "message A{oneof o{string a=1;string b=2;}}", P3 "message A{oneof o{string a=1;}}",
               "ONEOF_FIELD_REMOVED #/A/o/2;");
    check_pair(P3 "message A{oneof o{string a=1;string b=2;} int32 c=3;}", P3 "message A{int32 c=3;}", "");
    check_pair(P3 "message A{string a=1;string b=2;}", P3 "message A{oneof o{string a=1;string b=2;}}",
               "MULTIPLE_FIELDS_MOVED_TO_ONEOF #/A/o;");
    check_pair(P3 "message A{string a=1;oneof o{string b=2;}}", P3 "message A{oneof o{string a=1;string b=2;}}",
               "FIELD_MOVED_TO_EXISTING_ONEOF #/A/o;");
    check_pair(P3 "message A{string a=1;}", P3 "message A{oneof o{string a=1;}}", "");
    check_pair(P3 "message A{message B{int32 x=1;} B b=1;}", P3 "message A{message B{string x=1;} B b=1;}",
               "FIELD_SCALAR_KIND_CHANGED #/A/B/1;");
    check_pair(P3 "message A{A a=1; message B{A a=1; B b=2;}}", P3 "message A{A a=1; message B{A a=1; B b=2;}}", "");
}

static void test_words_and_references(void **state)
{
    struct schema_ref_text old_ref = {slice_str("b.proto"), slice_str("b"), 1,
                                      slice_str(P3 "package o; message B{int32 x=1;}")};
    struct schema_ref_text new_ref = {slice_str("b.proto"), slice_str("b"), 2,
                                      slice_str(P3 "package o; message B{string x=1;}")};
    const char *text = P3 "import \"b.proto\"; message A{o.B b=1;}";
    struct parsed_schema *was = parse_with(text, &old_ref, 1), *now = parse_with(text, &new_ref, 1);
    struct compat_previous previous = {1, was};
    struct compat_result r;
    struct reason why;
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    compat_result_init(&r);
    assert_int_equal(compat_check(COMPAT_BACKWARD, COMPAT_STRICT, now, &previous, 1, &r, &why), ERR_OK);
    compat_print(&r, &b);
    assert_non_null(strstr(buf_cstr(&b),
                           "[{errorType:\"FIELD_SCALAR_KIND_CHANGED\", description:\"The kind of a SCALAR "
                           "field at path '#/B/1' in the new schema does not match its kind in the old "
                           "schema\"}, {errorType:\"FIELD_NAMED_TYPE_CHANGED\", description:\"The type of a "
                           "MESSAGE field at path '#/A/1' in the new schema does not match its type in the "
                           "old schema\"}, {oldSchemaVersion: 1}, {oldSchema: 'syntax = "));
    buf_free(&b);
    compat_result_free(&r);
    schema_free(was);
    schema_free(now);
}

static void check_data(const struct parsed_schema *s, const char *bytes, size_t n, const char *words)
{
    struct reason why = {0};
    enum err e = schema_validate(s, slice_of(bytes, n), &why);
    if (words ? e != ERR_INVALID_RECORD || !strstr(why.text, words) : e != ERR_OK)
        fail_msg("wanted %s, got %s", words ? words : "no error", e == ERR_OK ? "none" : why.text);
}

static void test_data(void **state)
{
    struct parsed_schema *s =
        parse(P3 "message A{int32 n=1; string t=2; A a=3; repeated fixed32 f=4; map<string,int32> "
                 "m=5; message C{} enum E{X=0;} message D{string x=1;}}");
    struct parsed_schema *required = parse("message R{required int32 n=1;}");
    const struct protobuf_message *m;
    struct reason why;
    size_t used;
    (void)state;
    check_data(s, "", 0, NULL);
    check_data(s, "\x08\x96\x01\x12\x02hi\x1a\x02\x08\x01", 11, NULL);
    check_data(s, "\x22\x08\x01\x02\x03\x04\x05\x06\x07\x08", 10, NULL); /* packed */
    check_data(s, "\x25\x01\x02\x03\x04", 5, NULL);                      /* not packed */
    check_data(s, "\x2a\x05\x0a\x01k\x10\x05", 7, NULL);
    check_data(s, "\xf2\x06\x01z", 4, NULL); /* unknown */
    check_data(s, "\x2a\x05\x0a\x01k\x15\x05", 7, "map entry");
    check_data(s, "\x22\x03\x01\x02\x03", 5, "A.f: packed numbers cut short");
    check_data(s, "\x12\x02\xc3\x28", 4, "A.t: a string that is not UTF-8");
    check_data(s, "\x0a\x01x", 3, "A.n: a value of another wire type");
    check_data(s, "\x12\x05hi", 4, "length beyond the end");
    check_data(s, "\x1a\x02\x12\x05", 4, "length beyond the end");
    check_data(s, "\x00", 1, "broken field number");
    check_data(required, "", 0, "R.n: the required field is missing");
    check_data(required, "\x08\x01", 2, NULL);
    assert_int_equal(protobuf_read_indexes(s, slice_str(""), &m, &used, &why), ERR_INVALID_RECORD);
    assert_int_equal(protobuf_read_indexes(s, slice_of("\0x", 2), &m, &used, &why), ERR_OK);
    assert_true(slice_eq_str(protobuf_message_name(m), "A") && used == 1);
    assert_int_equal(protobuf_read_indexes(s, slice_of("\x04\0\x02", 3), &m, &used, &why), ERR_OK);
    assert_true(slice_eq_str(protobuf_message_name(m), "A.D") && used == 3); /* enums do not count */
    assert_int_equal(protobuf_read_indexes(s, slice_of("\x04\0\x04", 3), &m, &used, &why), ERR_INVALID_RECORD);
    schema_free(s);
    schema_free(required);
}

static bool list_tag(void *context, struct slice path, struct slice tag)
{
    buf_printf(context, "%.*s=%.*s ", SLICE_FMT(path), SLICE_FMT(tag));
    return true;
}

static void test_tags(void **state)
{
    struct parsed_schema *s = parse(everything);
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(schema_tags(s, list_tag, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), "inner.secret=PII inner.secret=X all.secret=PII all.secret=X ");
    assert_false(schema_has_field(s, slice_str("date")));
    assert_true(slice_eq_str(schema_record_name(s), "my.pkg.Outer"));
    buf_free(&b);
    schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_normalized_and_descriptor),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_compatibility),
        cmocka_unit_test(test_words_and_references),
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
