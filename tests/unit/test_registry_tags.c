/* SPDX-License-Identifier: Apache-2.0
 * Tags inside schemas of all kinds: which entities are listed, and what becomes of a text when tags are added to and
 * removed from entities. The expected texts and lists were checked against the reference, but where a case says so. */
#include "registry/avro.h"
#include "registry/tags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct edit_case {
    const char *what;
    const struct schema_type_ops *type;
    const char *schema;
    const char *add, *remove; /* as requests have them; NULL: none */
    const char *want;         /* the text, or the words of the refusal */
    const char *listed;       /* "schemaTags" of the text; NULL: not looked at */
};

#define R(path, ...)  "{'schemaEntity':{'entityPath':'" path "','entityType':'sr_record'},'tags':[" __VA_ARGS__ "]}"
#define F(path, ...)  "{'schemaEntity':{'entityPath':'" path "','entityType':'sr_field'},'tags':[" __VA_ARGS__ "]}"
#define NO_PATH(path) "java.lang.IllegalArgumentException: No matching path '" path "' found in the schema"

#define AVRO                                                                                                           \
    "{'type':'record','name':'Rec','namespace':'com.ex','fields':[{'name':'f','type':'string'},{'name':'n','type':{"   \
    "'type':'record','name':'Nest','fields':[{'name':'g','type':['null','int']}]}},{'name':'u','type':['null',{"       \
    "'type':'array','items':{'type':'record','name':'Other','namespace':'org.o','fields':[{'name':'h','type':'int',"   \
    "'confluent:tags':['OLD']}]}}]}"
#define JSON_ONE_OF                                                                                                    \
    "{'oneOf':[{'type':'string'},{'type':'object','title':'B','properties':{'x':{}}},{'type':'object','title':'A'"
#define CONDITION "'if':{'properties':{'c':{'const':1}}},'then':{'properties':{'p':{}}},'type':'object'"
#define DEFINITIONS                                                                                                    \
    "{'type':'object','properties':{'z':{'$ref':'#/definitions/An.Other'}},'definitions':{'An.Other':{'type':"         \
    "'object','properties':{'a.b':{'type':'string'"

static const struct edit_case cases[] = {
    {"avro: a record's tags stand at its end", &schema_type_avro, AVRO "]}", "[" R("com.ex.Rec", "'T2','T1','T2'") "]",
     NULL, AVRO "],'confluent:tags':['T2','T1']}", R("com.ex.Rec", "'T2','T1'") "," F("org.o.Other.h", "'OLD'")},
    {"avro: by the short name, a leading dot, and tags taken away", &schema_type_avro, AVRO "]}",
     "[" F(".Nest.g", "'X'") "]", "[" F("Nest.g", "'X'") "," F("Other.h", "'OLD'") "]",
     "{'type':'record','name':'Rec','namespace':'com.ex','fields':[{'name':'f','type':'string'},{'name':'n','type':{"
     "'type':'record','name':'Nest','fields':[{'name':'g','type':['null','int']}]}},{'name':'u','type':['null',{"
     "'type':'array','items':{'type':'record','name':'Other','namespace':'org.o','fields':[{'name':'h','type':'int'}]}"
     "}]}]}",
     ""},
    {"avro: another namespace than the root's (the reference finds nothing)", &schema_type_avro, AVRO "]}",
     "[" F("org.o.Other.h", "'NEW'") "]", NULL,
     "{'type':'record','name':'Rec','namespace':'com.ex','fields':[{'name':'f','type':'string'},{'name':'n','type':{"
     "'type':'record','name':'Nest','fields':[{'name':'g','type':['null','int']}]}},{'name':'u','type':['null',{"
     "'type':'array','items':{'type':'record','name':'Other','namespace':'org.o','fields':[{'name':'h','type':'int',"
     "'confluent:tags':['OLD','NEW']}]}}]}]}",
     F("org.o.Other.h", "'OLD','NEW'")},
    {"avro: no such field", &schema_type_avro, AVRO "]}", "[" F("com.ex.Rec.zz", "'X'") "]", NULL,
     NO_PATH("com.ex.Rec.zz"), NULL},
    {"avro: a field without its record", &schema_type_avro, AVRO "]}", "[" F("f", "'X'") "]", NULL,
     "java.lang.IllegalArgumentException: 0 > -1", NULL},
    {"json: nested, in lists and allOf", &schema_type_json,
     "{'type':'object','properties':{'a':{'type':'array','items':{'type':'object','properties':{'b':{}}}},'c':{'allOf':"
     "[{'type':'string'},{'type':'object','properties':{'d':{'type':'string'}}}]}}}",
     "[" F("object.a.array.object.b", "'P'") "," R("object.c.allof.0.object", "'R'") "," F("object.c.allof.0.object.d",
                                                                                           "'Q'") "]",
     NULL,
     "{'type':'object','properties':{'a':{'type':'array','items':{'type':'object','properties':{'b':{'confluent:tags':["
     "'P']}}}},'c':{'allOf':[{'type':'string'},{'type':'object','properties':{'d':{'type':'string','confluent:tags':["
     "'Q']}},'confluent:tags':['R']}]}}}",
     F("object.a.array.object.b", "'P'") "," R("object.c.allof.0.object", "'R'") "," F("object.c.allof.0.object.d",
                                                                                       "'Q'")},
    {"json: parts are counted by kind, then title", &schema_type_json, JSON_ONE_OF "}]}",
     "[" R("oneof.0.object", "'T'") "]", NULL, JSON_ONE_OF ",'confluent:tags':['T']}]}", R("oneof.0.object", "'T'")},
    {"json: a condition beside properties", &schema_type_json, "{" CONDITION "}",
     "[" F("allof.0.conditional.then.object.p", "'P'") "," R("allof.1.object", "'R'") "]", NULL,
     "{'if':{'properties':{'c':{'const':1}}},'then':{'properties':{'p':{'confluent:tags':['P']}}},'type':'object',"
     "'confluent:tags':['R']}",
     F("allof.0.conditional.then.object.p", "'P'")},
    {"json: a list of types", &schema_type_json, "{'type':['null','object'],'properties':{'a':{'$ref':'#'}}}",
     "[" F("anyof.1.object.a", "'P'") "]", NULL,
     "{'type':['null','object'],'properties':{'a':{'$ref':'#','confluent:tags':['P']}}}", F("anyof.1.object.a", "'P'")},
    {"json: names with dots, in definitions", &schema_type_json, DEFINITIONS "}}}}}",
     "[" F("object.definitions.An.Other.object.a.b", "'P'") "]", NULL, DEFINITIONS ",'confluent:tags':['P']}}}}}",
     F("object.definitions.An.Other.object.a.b", "'P'")},
    {"json: no such path", &schema_type_json, "{'type':'object'}", "[" F("object.x", "'P'") "]", NULL,
     NO_PATH("object.x"), NULL},
    {"json: a place that is no schema", &schema_type_json, "{'properties':{'a':true}}", "[" F("object.a", "'P'") "]",
     NULL, NO_PATH("object.a"), NULL},
    {"protobuf: short forms are put together", &schema_type_protobuf,
     "syntax = \"proto3\";\npackage p;\nmessage M {\n  int32 a = 1 [(confluent.field_meta).tags = \"O\", "
     "(confluent.field_meta).tags = \"P\", deprecated = true];\n  oneof o { string b = 2; }\n  message N {}\n}\n",
     "[" F(".M.a", "'Q'") "," F("M.o.b", "'B'") "," R("M.N", "'R'") "]", "[" F("M.a", "'O'") "]",
     "syntax = \"proto3\";\npackage p;\n\nmessage M {\n  int32 a = 1 [\n    (confluent.field_meta) = {\n      "
     "tags: [\n        \"P\",\n        \"Q\"\n      ]\n    },\n    deprecated = true\n  ];\n\n  oneof o {\n"
     "    string b = 2 [(confluent.field_meta) = {\n      tags: [\n        \"B\"\n      ]\n    }];\n  }\n\n  "
     "message N {\n    option (confluent.message_meta) = {\n      tags: [\n        \"R\"\n      ]\n    };\n  }\n}\n",
     F("M.b", "'B'") "," F("M.a", "'P','Q'") "," R("M.N", "'R'")},
    {"protobuf: the last tag takes its option along", &schema_type_protobuf,
     "syntax = \"proto3\";\nmessage M {\n  option (confluent.message_meta).tags = \"O\";\n}\n", NULL,
     "[" R("M", "'O'") "]", "syntax = \"proto3\";\n\nmessage M {}\n", ""},
    {"protobuf: an option whose name ends in a dot", &schema_type_protobuf,
     "syntax = \"proto3\";\nmessage M {\n  int32 a = 1 [(y).x. = 1];\n}\n", "[" F("M.a", "'O'") "]", NULL,
     "an option beside the tags has a part without a name", NULL},
    {"protobuf: no such message", &schema_type_protobuf, "syntax = \"proto3\";\nmessage M {\n}\n",
     "[" R("X", "'O'") "]", NULL,
     "java.lang.IllegalArgumentException: No matching Message with name 'X' found in the schema", NULL},
    {"protobuf: no such field", &schema_type_protobuf, "syntax = \"proto3\";\nmessage M {\n}\n",
     "[" F("M.x", "'O'") "]", NULL,
     "java.lang.IllegalArgumentException: No matching Field with name 'x' found in the schema", NULL},
    {"protobuf: an enum is no message", &schema_type_protobuf, "syntax = \"proto3\";\nenum E {\n  A = 0;\n}\n",
     "[" R("E", "'O'") "]", NULL,
     "java.lang.IllegalArgumentException: No matching Message with name 'E' found in the schema", NULL},
};

/* With JSON's quotes; in Protobuf there are only those anyway. */
static char *quoted(const char *s)
{
    char *out = strdup(s ? s : "");
    for (char *p = out; *p; p++)
        if (*p == '\'' && strncmp(s, "java.", 5) != 0 && strncmp(s, "syntax", 6) != 0)
            *p = '"';
    return out;
}

static json_t *json_of(const char *s)
{
    char *text = quoted(s);
    json_t *v = s ? json_loads(text, 0, NULL) : NULL;
    assert_true(!s || v);
    free(text);
    return v;
}

static struct parsed_schema *parse(const struct edit_case *c, struct slice text)
{
    struct parsed_schema *s = NULL;
    struct reason why = {0};
    if (schema_parse(&s, c->type, text, NULL, 0, NULL, &why))
        fail_msg("%s: %s", c->what, why.text);
    return s;
}

static void check_text(const struct edit_case *c, struct slice got, const char *want)
{
    char *expected = quoted(want);
    if (!slice_eq_str(got, expected))
        fail_msg("%s\ngot  %.*s\nwant %s", c->what, SLICE_FMT(got), expected);
    free(expected);
}

static void check_list(const struct edit_case *c, struct slice text)
{
    struct slice any = slice_str("*");
    struct buf got, want;
    struct parsed_schema *s = parse(c, text);
    char *list = quoted(c->listed);
    buf_init(&got, 0);
    buf_init(&want, 0);
    if (*list)
        buf_printf(&want, ",\"schemaTags\":[%s]", list);
    assert_int_equal(tags_put(&got, s, &any, 1), ERR_OK);
    if (!slice_eq(buf_slice(&got), buf_slice(&want)))
        fail_msg("%s\ngot  %s\nwant %s", c->what, buf_cstr(&got), buf_cstr(&want));
    free(list);
    buf_free(&got);
    buf_free(&want);
    schema_free(s);
}

static void check_case(const struct edit_case *c)
{
    struct tag_edits edits;
    struct reason why = {0};
    struct buf out;
    char *text = quoted(c->schema);
    json_t *add = json_of(c->add), *remove = json_of(c->remove);
    struct parsed_schema *s = parse(c, slice_str(text));
    buf_init(&out, 0);
    tag_edits_init(&edits);
    assert_int_equal(tag_edits_read(&edits, add, remove, &why), ERR_OK);
    enum err e = schema_edit_tags(s, edits.list, edits.n, NULL, &out, &why);
    check_text(c, e ? slice_str(why.text) : buf_slice(&out), c->want);
    /* looking only says the same */
    assert_int_equal(schema_edit_tags(s, edits.list, edits.n, NULL, NULL, NULL), e);
    if (c->listed)
        check_list(c, buf_slice(&out));
    tag_edits_free(&edits);
    buf_free(&out);
    schema_free(s);
    json_decref(add);
    json_decref(remove);
    free(text);
}

static void test_edits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i]);
}

static void test_only_some_tags_are_told(void **state)
{
    (void)state;
    struct edit_case c = {.what = "some", .type = &schema_type_avro};
    char *text = quoted("{'type':'record','name':'R','fields':[{'name':'a','type':'int','confluent:tags':['X','Y']},"
                        "{'name':'b','type':'int','confluent:tags':['Z',7]},{'name':'c','type':'int'}]}");
    struct parsed_schema *s = parse(&c, slice_str(text));
    struct slice wanted[] = {slice_str("Y"), slice_str("W")};
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(tags_put(&out, s, wanted, 2), ERR_OK);
    c.what = "the field with Y";
    check_text(&c, buf_slice(&out),
               ",'schemaTags':[{'schemaEntity':{'entityPath':'R.a','entityType':'sr_field'},'tags':['X','Y']}]");
    buf_clear(&out);
    assert_int_equal(tags_put(&out, s, wanted + 1, 1), ERR_OK);
    assert_int_equal(out.n, 0);
    buf_free(&out);
    schema_free(s);
    free(text);
}

/* What a reference brings is listed, but it is another schema's to change. */
static void test_references_are_left_alone(void **state)
{
    (void)state;
    char *base = quoted("{'type':'record','name':'Base','fields':[{'name':'a','type':'int','confluent:tags':['X']}]}");
    char *text = quoted("{'type':'record','name':'R','fields':[{'name':'b','type':'Base','confluent:tags':['Y']}]}");
    struct schema_ref_text ref = {slice_str("Base"), slice_str("s"), 1, slice_str(base)};
    struct parsed_schema *s = NULL;
    struct tag_edits edits;
    struct slice any = slice_str("*");
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(schema_parse(&s, &schema_type_avro, slice_str(text), &ref, 1, NULL, NULL), ERR_OK);
    assert_int_equal(tags_put(&out, s, &any, 1), ERR_OK);
    assert_non_null(strstr(buf_cstr(&out), "\"Base.a\""));
    tag_edits_init(&edits);
    assert_int_equal(tag_edits_from(&edits, s), ERR_OK);
    assert_int_equal(edits.n, 1);
    assert_true(slice_eq_str(edits.list[0].entity.path, "R.b"));
    assert_true(slice_eq_str(edits.list[0].add[0], "Y"));
    tag_edits_free(&edits);
    buf_free(&out);
    schema_free(s);
    free(base);
    free(text);
}

static void test_requests_are_read_strictly(void **state)
{
    static const char *const wrong[][2] = {
        {"{}", "schemaTags"},
        {"[{'tags':['a']}]", "schemaEntity"},
        {"[{'schemaEntity':{'entityPath':7,'entityType':'sr_field'},'tags':[]}]", "schemaEntity"},
        {"[{'schemaEntity':{'entityPath':'a','entityType':'sr_what'},'tags':[]}]", "EntityType"},
        {"[{'schemaEntity':{'entityPath':'a','entityType':'sr_field'}}]", "tags"},
        {"[{'schemaEntity':{'entityPath':'a','entityType':'sr_field'},'tags':[1]}]", "tags"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tag_edits e;
        struct reason why = {0};
        json_t *list = json_of(wrong[i][0]);
        tag_edits_init(&e);
        assert_int_equal(tag_edits_read(&e, list, NULL, &why), ERR_MALFORMED);
        assert_non_null(strstr(why.text, wrong[i][1]));
        tag_edits_free(&e);
        json_decref(list);
    }
}

static void test_the_order_of_a_hash_map(void **state)
{
    /* as `new HashMap<>()` lists them, by Java itself */
    static const char *const names[] = {"z0", "aa", "b",          "list",     "cc",
                                        "Aa", "BB", "deprecated", "\xc3\xbc", "\xf0\x9f\x98\x80"};
    struct slice list[10];
    struct arena a;
    struct buf got;
    (void)state;
    arena_init(&a, 0);
    buf_init(&got, 0);
    for (size_t i = 0; i < 10; i++)
        list[i] = slice_str(names[i]);
    uint32_t *order = tags_hash_order(&a, list, 10);
    for (size_t i = 0; i < 10; i++)
        buf_printf(&got, "%s ", names[order[i]]);
    assert_string_equal(buf_cstr(&got), "aa cc Aa BB b z0 deprecated \xf0\x9f\x98\x80"
                                        " list \xc3\xbc"
                                        " ");
    buf_free(&got);
    arena_free(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_only_some_tags_are_told),
        cmocka_unit_test(test_references_are_left_alone),
        cmocka_unit_test(test_requests_are_read_strictly),
        cmocka_unit_test(test_the_order_of_a_hash_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
