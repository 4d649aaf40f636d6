/* SPDX-License-Identifier: Apache-2.0
 * What Confluent's registry 8.1 says of Protobuf schemas that are easily judged otherwise: each case was answered by
 * that implementation. */
#include "tests/unit/registry_protobuf_util.h"

#define P3 "syntax=\"proto3\"; "

struct expected {
    const char *schema, *error; /* NULL: accepted */
};

static void check_verdict(const struct expected *c)
{
    struct schema_options options = {.fresh = true};
    struct parsed_schema *s = NULL;
    struct reason why = {0};
    enum err e = schema_parse(&s, &schema_type_protobuf, slice_str(c->schema), NULL, 0, &options, &why);
    if (c->error ? e == ERR_OK || strcmp(why.text, c->error) != 0 : e != ERR_OK)
        fail_msg("%s: wanted '%s', got '%s'", c->schema, c->error ? c->error : "accepted",
                 e == ERR_OK ? "accepted" : why.text);
    schema_free(s);
}

static void test_verdicts(void **state)
{
    static const struct expected cases[] = {
        {"message A {", "Could not parse Protobuf - Syntax error in :1:12: unexpected end of file"},
        {"syntax = \"proto4\";", "Could not parse Protobuf - Syntax error in :1:1: unexpected syntax: proto4"},
        {"; syntax = \"proto3\";",
         "Could not parse Protobuf - Syntax error in :1:3: 'syntax' element must be the first declaration in a file"},
        {"message A { string x = 1; }", "Could not parse Protobuf - Syntax error in :1:13: unexpected label: string"},
        {P3 "message A { required string x = 1; }",
         "Could not parse Protobuf - Syntax error in :1:30: 'required' label forbidden in proto3 field declarations"},
        {P3 "message A { repeated map<string, string> x = 1; }",
         "Could not parse Protobuf - Syntax error in :1:30: 'map' type cannot have label"},
        {P3 "message A { oneof o { repeated string m = 1; } }",
         "Could not parse Protobuf - Syntax error in :1:57: expected '=' but was 'm'"},
        {P3 "message A {} enum A {X=0;}", "Could not parse Protobuf - A (:1:31) is already defined at :1:18"},
        {"edition = \"2023\"; message A { int32 x = 1; }",
         "Could not parse Protobuf - Syntax error in :1:8: edition is not currently supported"},
        {P3 "message A { int32 a = 1; /* x */ int32 b = 2; }",
         "Could not parse Protobuf - Syntax error in :1:52: no syntax may follow trailing comment"},
        {P3 "message A { int32 a = 1; /* x */\n int32 b = 2; // y\n}", NULL},
        {P3 "message A { oneof o { int32 a = 1;; } }",
         "Could not parse Protobuf - Syntax error in :1:52: expected a word"},
        {"/* never", "Could not parse Protobuf - Syntax error in :1:8: unterminated comment"},
        {P3 "message A { Missing x = 1; }", "Could not resolve type: Missing"},
        {P3 "message A { map<string, Missing> x = 1; }", NULL}, /* maps are not looked into */
        {P3 "message A { map<double, string> x = 1; }", "map key must be non-byte, non-floating point scalar: double"},
        {P3 "message A { string x = 1; string y = 1; string z = 19000; }", NULL}, /* only with validateFields */
        {P3 "message A { message B {} message B {} }", NULL},
        {P3 "service S { rpc M(string) returns (A); } message A{}", "Could not resolve type: string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_verdict(&cases[i]);
}

static void test_oneofs(void **state)
{
    (void)state;
    /* what moves into a oneof is not compared, nor what was in one that went away */
    check_pair(P3 "message A{int32 a=1;}", P3 "message A{oneof o{string a=1;}}", "");
    check_pair(P3 "message A{oneof o{int32 a=1;}}", P3 "message A{string a=1;}", "");
    check_pair(P3 "message A{oneof o{int32 a=1;}}", P3 "message A{oneof p{string a=1;}}", "");
    check_pair(P3 "message A{oneof o{int32 a=1; int32 b=2;}}", P3 "message A{oneof p{int32 a=1;}}", "");
    check_pair(P3 "message A{int32 a=1; oneof o{int32 b=2;}}", P3 "message A{oneof o{int32 a=1; string b=2;}}",
               "FIELD_MOVED_TO_EXISTING_ONEOF #/A/o;FIELD_SCALAR_KIND_CHANGED #/A/o/2;");
    check_pair(P3 "message A{int32 a=1; int32 b=2; oneof o{int32 c=3;}}",
               P3 "message A{oneof o{int32 a=1; int32 b=2; int32 c=3;}}", "MULTIPLE_FIELDS_MOVED_TO_ONEOF #/A/o;");
}

/* Differences come in the order of Java's hash maps. */
static void test_order(void **state)
{
    (void)state;
    check_pair(P3 "message Zebra{} message Apple{} message Mango{}", P3 "message X{}",
               "MESSAGE_REMOVED #/Apple;MESSAGE_REMOVED #/Zebra;MESSAGE_REMOVED #/Mango;");
    check_pair("message A{required int32 a=17; required int32 b=1; required int32 c=100000;}", "message A{}",
               "REQUIRED_FIELD_REMOVED #/A/17;REQUIRED_FIELD_REMOVED #/A/1;REQUIRED_FIELD_REMOVED #/A/100000;");
}

static void test_names(void **state)
{
    struct parsed_schema *s = parse(P3 "package p; enum E { A = 0; }");
    (void)state;
    assert_true(slice_eq_str(schema_record_name(s), "p.E"));
    schema_free(s);
}

/* Options of the normalized text. The last is ours: the reference rounds it to three places. */
static void test_normalized_options(void **state)
{
    static const struct {
        const char *schema, *want;
    } cases[] = {
        {"option (opt).a = 1.0f;", "\noption (opt).a = 1;\n"},
        {"option (opt).a = 1.;", "\noption (opt).a = 1;\n"},
        {"option (opt).a = 1e3;", "\noption (opt).a = 1000;\n"},
        {"option (opt).a = 0x10;", "\noption (opt).a = 16;\n"},
        {"option (opt).a = -1.50;", "\noption (opt).a = -1.5;\n"},
        {"option (opt).a = { b: 1; [x.y]: 2 };", "\noption (opt).a = {\n  [x.y]: 2,\n  b: 1\n};\n"},
        {"import \"confluent/meta.proto\"; option (confluent.file_meta).tags = [\"A\", \"B\"]; "
         "option (confluent.file_meta) = { tags: \"A\" tags: \"C\" };",
         "\nimport \"confluent/meta.proto\";\n\noption (confluent.file_meta) = {\n  tags: [\n    \"A\",\n    \"B\",\n"
         "    \"C\"\n  ]\n};\n"},
        {"option (opt).a = 3.14159;", "\noption (opt).a = 3.14159;\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed_schema *s = parse(cases[i].schema);
        struct buf b;
        buf_init(&b, 0);
        assert_int_equal(schema_normalized(s, &b), ERR_OK);
        assert_string_equal(buf_cstr(&b), cases[i].want);
        buf_free(&b);
        schema_free(s);
    }
}

static void test_serialized(void **state)
{
    struct parsed_schema *s =
        parse("syntax = \"proto3\"; package a.b; import \"google/protobuf/timestamp.proto\"; import"
              " \"nope.proto\"; message A { int32 a = 1; B b = 2; repeated E e = 3; map<string, B"
              "> my_map = 4; map<string, int32> m = 5; google.protobuf.Timestamp t = 6; optiona"
              "l string s = 7; oneof o { B x = 8; int32 y = 9; } message B { .a.b.A a = 1; rese"
              "rved 5, \"z\", 7 to 9; } extensions 100 to 200; } enum E { Z = 0; } service S { rp"
              "c M (A) returns (stream A.B); } option optimize_for = SPEED; option java_multipl"
              "e_files = true;");
    static const char want[] =
        "CgdkZWZhdWx0EgNhLmIaH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8isgIKAUESDgoBeBgIIAEoCzIBQk"
        "gAEgsKAXkYCSABKAVIABIHCgFhGAEoBRIKCgFiGAIoCzIBQhIMCgFlGAMgAygOMgFFEhgKBm15X21hcBgEIAMyCk15"
        "TWFwRW50cnkSDwoBbRgFIAMyBm1FbnRyeRIiCgF0GAYoCzIZZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcBIOCgFzGA"
        "cgASgJSAGIAQEaIwoBQhIPCgFhGAEoCzIGLmEuYi5BSgQIBRAGSgQIBxAKUgF6GisKCk15TWFwRW50cnkSCQoDa2V5"
        "GAEoCRIOCgV2YWx1ZRgCKAsyAUI6AjgBGiQKBm1FbnRyeRIJCgNrZXkYASgJEgsKBXZhbHVlGAIoBToCOAEqBwhkEM"
        "kBGgBCBQoBbxIAQgYKAl9zEgAqCgoBRRIFCgFaEAAyFAoBUxIPCgFNEgFBGgNBLkIoADABQgRIAVABYgZwcm90bzM=";
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(schema_format(s, slice_str("serialized"), &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
    schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_oneofs),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_normalized_options),
        cmocka_unit_test(test_serialized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
