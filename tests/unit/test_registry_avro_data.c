/* SPDX-License-Identifier: Apache-2.0
 * Binary Avro data against its schema: what is valid, what is not and how it is said, JSON, and values by path and tag.
 */
#include "core/base/buf.h"
#include "tests/unit/registry_avro_util.h"

#include <string.h>

static const char person[] =
    "{\"type\":\"record\",\"name\":\"Person\",\"namespace\":\"n\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"long\"},"
    "{\"name\":\"name\",\"type\":\"string\",\"confluent:tags\":[\"PII\"]},"
    "{\"name\":\"mail\",\"type\":[\"null\",\"string\"],\"default\":null,\"confluent:tags\":[\"PII\",\"MAIL\"]},"
    "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"int\"}},"
    "{\"name\":\"homes\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Home\",\"fields\":["
    "{\"name\":\"city\",\"type\":\"string\"},{\"name\":\"size\",\"type\":\"double\"}]}}},"
    "{\"name\":\"hash\",\"type\":{\"type\":\"fixed\",\"name\":\"H\",\"size\":2}},"
    "{\"name\":\"boss\",\"type\":[\"null\",\"Person\"]}]}";

static void put_text(struct buf *b, const char *s)
{
    buf_varint(b, (int64_t)strlen(s));
    buf_put_str(b, s);
}

static void put_double(struct buf *b, double d)
{
    buf_put(b, &d, sizeof d);
}

static void put_person(struct buf *b, int depth, bool sized)
{
    struct buf homes;
    buf_varint(b, 7 + depth);
    put_text(b, "Zo\xc3\xab");
    buf_varint(b, 1);
    put_text(b, "z@x.org");
    buf_varint(b, 1);
    buf_varint(b, 1);
    put_text(b, "k");
    buf_varint(b, -5);
    buf_varint(b, 0);
    buf_init(&homes, 0);
    put_text(&homes, "Rome");
    put_double(&homes, 1.5);
    put_text(&homes, "Oslo");
    put_double(&homes, 100);
    buf_varint(b, sized ? -2 : 2);
    if (sized)
        buf_varint(b, (int64_t)homes.n);
    buf_put_slice(b, buf_slice(&homes));
    buf_varint(b, 0);
    buf_put_str(b, "\x01\xff");
    buf_varint(b, depth > 0);
    if (depth > 0)
        put_person(b, depth - 1, sized);
    buf_free(&homes);
}

static struct avro_program *must_compile(const char *text)
{
    struct parsed_schema *s = must_parse(text);
    struct avro_program *p;
    struct reason why;
    assert_int_equal(avro_program_new(&p, s, &why), ERR_OK);
    schema_free(s); /* the program stands on its own */
    return p;
}

static void test_valid(void **state)
{
    struct avro_program *p = must_compile(person);
    struct buf b;
    struct reason why = {0};
    (void)state;
    for (int sized = 0; sized < 2; sized++) {
        buf_init(&b, 0);
        put_person(&b, 3, sized);
        assert_int_equal(avro_program_validate(p, buf_slice(&b), &why), ERR_OK);
        for (size_t n = 0; n < b.n; n++) /* no cut of it is valid */
            assert_int_equal(avro_program_validate(p, slice_of(b.p, n), &why), ERR_INVALID_RECORD);
        buf_u8(&b, 0);
        assert_int_equal(avro_program_validate(p, buf_slice(&b), &why), ERR_INVALID_RECORD);
        assert_non_null(strstr(why.text, "bytes after the end"));
        buf_free(&b);
    }
    avro_program_free(p);
}

static void check_refused(const char *schema, const char *bytes, size_t n, const char *words)
{
    struct avro_program *p = must_compile(schema);
    struct reason why = {0};
    assert_int_equal(avro_program_validate(p, slice_of(bytes, n), &why), ERR_INVALID_RECORD);
    if (!strstr(why.text, words))
        fail_msg("%s: wanted '%s', got '%s'", schema, words, why.text);
    avro_program_free(p);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("\"int\"", "\x80\x80\x80\x80\x10", 5, "more than 32 bits");
    check_refused("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "more than 64 bits");
    check_refused("\"boolean\"", "\x02", 1, "neither 0 nor 1");
    check_refused("\"string\"", "\x04\xc3\x28", 3, "not UTF-8");
    check_refused("\"bytes\"", "\x01", 1, "length beyond the end");
    check_refused("\"bytes\"", "\x0a\x01", 2, "length beyond the end");
    check_refused("[\"null\",\"int\"]", "\x04\x00", 2, "union number");
    check_refused("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\x02", 1, "without symbol");
    check_refused("{\"type\":\"array\",\"items\":\"int\"}", "\x7e\x02\x00", 3, "more items than bytes");
    check_refused("{\"type\":\"array\",\"items\":\"int\"}", "\x01\x06\x02\x02\x00", 5, "stated size");
    check_refused("{\"type\":\"array\",\"items\":\"null\"}", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11,
                  "take no bytes");
    check_refused("{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"next\",\"type\":\"L\"}]}", "", 0,
                  "nested too deep");
    check_refused("{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":{\"type\":\"record\","
                  "\"name\":\"B\",\"fields\":[{\"name\":\"c\",\"type\":\"string\"}]}}]}",
                  "\x02\xff", 2, "field b.c");
}

static void test_json(void **state)
{
    struct avro_program *p = must_compile(person);
    struct buf b, out;
    struct reason why = {0};
    (void)state;
    buf_init(&b, 0);
    buf_init(&out, 0);
    put_person(&b, 0, true);
    assert_int_equal(avro_program_to_json(p, buf_slice(&b), AVRO_JSON_PLAIN, &out, &why), ERR_OK);
    assert_string_equal(buf_cstr(&out),
                        "{\"id\":7,\"name\":\"Zo\xc3\xab\",\"mail\":\"z@x.org\",\"kind\":\"B\",\"tags\":{\"k\":-5},"
                        "\"homes\":[{\"city\":\"Rome\",\"size\":1.5},{\"city\":\"Oslo\",\"size\":100.0}],"
                        "\"hash\":\"\\u0001\xc3\xbf\",\"boss\":null}");
    buf_clear(&out);
    assert_int_equal(avro_program_to_json(p, buf_slice(&b), AVRO_JSON_AVRO, &out, &why), ERR_OK);
    assert_non_null(strstr(buf_cstr(&out), "\"mail\":{\"string\":\"z@x.org\"}"));
    buf_free(&b);
    buf_free(&out);
    avro_program_free(p);
}

struct seen {
    char text[400];
    unsigned n;
    const uint8_t *datum;
};

static bool note(void *context, const struct avro_found *f)
{
    struct seen *s = context;
    size_t at = strlen(s->text);
    s->n++;
    switch (f->kind) {
    case AVRO_STRING:
        snprintf(s->text + at, sizeof s->text - at, "%.*s;", SLICE_FMT(f->content));
        assert_int_equal(s->datum[f->at], f->content.n * 2);
        assert_int_equal(f->n, f->content.n + 1);
        break;
    case AVRO_DOUBLE:
        snprintf(s->text + at, sizeof s->text - at, "%g;", f->real);
        break;
    case AVRO_ENUM:
        snprintf(s->text + at, sizeof s->text - at, "%.*s;", SLICE_FMT(f->symbol));
        break;
    default:
        snprintf(s->text + at, sizeof s->text - at, "%lld;", (long long)f->number);
    }
    return true;
}

static void check_located(const struct avro_program *p, struct slice datum, const char *path, const char *want)
{
    struct seen s = {.datum = datum.p};
    struct reason why = {0};
    assert_int_equal(avro_program_locate(p, datum, slice_str(path), note, &s, &why), ERR_OK);
    assert_string_equal(s.text, want);
}

static void test_located(void **state)
{
    struct avro_program *p = must_compile(person);
    struct seen s;
    struct buf b;
    struct reason why = {0};
    (void)state;
    buf_init(&b, 0);
    put_person(&b, 1, false);
    check_located(p, buf_slice(&b), "name", "Zo\xc3\xab;");
    check_located(p, buf_slice(&b), "boss.mail", "z@x.org;");
    check_located(p, buf_slice(&b), "boss.boss", "0;");
    check_located(p, buf_slice(&b), "homes.city", "Rome;Oslo;");
    check_located(p, buf_slice(&b), "homes.size", "1.5;100;");
    check_located(p, buf_slice(&b), "tags.k", "-5;");
    check_located(p, buf_slice(&b), "kind", "B;");
    check_located(p, buf_slice(&b), "nothing", "");
    s = (struct seen){.datum = b.p};
    assert_int_equal(avro_program_locate_tag(p, buf_slice(&b), slice_str("PII"), note, &s, &why), ERR_OK);
    assert_string_equal(s.text, "Zo\xc3\xab;z@x.org;Zo\xc3\xab;z@x.org;"); /* at any depth */
    assert_true(avro_program_has_path(p, slice_str("homes.city")));
    assert_true(avro_program_has_path(p, slice_str("boss.boss.boss.tags.any")));
    assert_false(avro_program_has_path(p, slice_str("homes.town")));
    buf_free(&b);
    avro_program_free(p);
}

static bool list_tag(void *context, struct slice path, struct slice tag)
{
    buf_printf(context, "%.*s=%.*s ", SLICE_FMT(path), SLICE_FMT(tag));
    return true;
}

static void test_tags(void **state)
{
    struct parsed_schema *s = must_parse(person);
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(schema_tags(s, list_tag, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), "name=PII mail=PII mail=MAIL ");
    assert_true(schema_has_field(s, slice_str("homes")));
    assert_false(schema_has_field(s, slice_str("city")));
    assert_true(slice_eq_str(schema_record_name(s), "n.Person"));
    buf_free(&b);
    schema_free(s);
}

static void check_parse(const char *text, bool fresh, const char *words)
{
    struct parsed_schema *s = NULL;
    struct reason why;
    enum err e = parse_avro(&s, slice_str(text), fresh, &why);
    if (words ? e == ERR_OK || !strstr(why.text, words) : e != ERR_OK)
        fail_msg("%s: wanted %s, got %s", text, words ? words : "no error", e == ERR_OK ? "none" : why.text);
    schema_free(s);
}

static void test_defaults_and_names(void **state)
{
    static const char bad_default[] =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"default\":\"x\"}]}";
    (void)state;
    check_parse(bad_default, true, "Invalid default for field a: \"x\" not a \"int\"");
    check_parse(bad_default, false, NULL); /* stored schemas are taken as they are */
    check_parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"int\"],"
                "\"default\":1}]}",
                true, NULL); /* any branch */
    check_parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"R\",\"default\":{}}]}",
                true, "Schema fields not set yet"); /* needs itself without end */
    check_parse("{\"type\":\"fixed\",\"name\":\"\xc3\xa9\",\"size\":1}", true, "Illegal initial character");
    check_parse("{\"type\":\"fixed\",\"name\":\"\xc3\xa9\",\"size\":1}", false, NULL);
    check_parse("// a comment\n{\"type\": /* here */ \"int\"}", true, NULL);
    check_parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"a\","
                "\"type\":\"long\"}]}",
                true, "Duplicate field a in record R: a type:LONG pos:1 and a type:INT pos:0.");
    check_parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":"
                "\"E\",\"symbols\":[\"A\"]}},{\"name\":\"b\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":"
                "[\"B\"]}}]}",
                true, "Can't redefine: E");
}

static void test_references(void **state)
{
    static const char address[] = "{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":["
                                  "{\"name\":\"city\",\"type\":\"string\"}]}";
    static const char user[] = "{\"type\": \"record\",\"name\":\"User\",\"namespace\":\"n\",\"fields\":["
                               "{\"name\":\"home\",\"type\":\"n.Address\"},{\"name\":\"work\",\"type\":\"Address\"}]}";
    struct schema_ref_text ref = {slice_str("n.Address"), slice_str("address"), 1, slice_str(address)};
    struct parsed_schema *s;
    struct reason why = {0};
    struct buf b;
    (void)state;
    check_parse(user, true, "Undefined schema: n.Address");
    assert_int_equal(schema_parse(&s, &schema_type_avro, slice_str(user), &ref, 1, NULL, &why), ERR_OK);
    buf_init(&b, 0);
    assert_int_equal(schema_canonical(s, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b),
                        "{\"type\":\"record\",\"name\":\"User\",\"namespace\":\"n\",\"fields\":[{\"name\":"
                        "\"home\",\"type\":\"Address\"},{\"name\":\"work\",\"type\":\"Address\"}]}");
    buf_clear(&b);
    assert_int_equal(schema_format(s, slice_str("resolved"), &b), ERR_OK);
    assert_string_equal(buf_cstr(&b),
                        "{\"type\":\"record\",\"name\":\"User\",\"namespace\":\"n\",\"fields\":[{\"name\":"
                        "\"home\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"fields\":[{\"name\":"
                        "\"city\",\"type\":\"string\"}]}},{\"name\":\"work\",\"type\":\"Address\"}]}");
    buf_free(&b);
    schema_free(s);
}

static void test_normalized(void **state)
{
    static const char text[] =
        "{\"name\":\"R\",\"z\":1,\"type\":\"record\",\"a\":{\"y\":1,\"x\":2},\"aliases\":[\"Q\",\"P\"],\"fields\":["
        "{\"default\":1,\"order\":\"ascending\",\"name\":\"d\",\"type\":\"double\",\"doc\":\"\"},"
        "{\"name\":\"n\",\"type\":{\"scale\":0,\"precision\":4,\"logicalType\":\"decimal\",\"type\":\"bytes\"}}]}";
    struct parsed_schema *s = must_parse(text);
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(schema_normalized(s, &b), ERR_OK);
    assert_string_equal(
        buf_cstr(&b),
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"d\",\"type\":\"double\",\"doc\":\"\",\"default\":"
        "1.0},"
        "{\"name\":\"n\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":0}}],"
        "\"a\":{\"x\":2,\"y\":1},\"z\":1,\"aliases\":[\"P\",\"Q\"]}");
    buf_free(&b);
    schema_free(s);
}

/* Schemas made to hurt: each gets an error or a schema, in short time. */
static void test_hostile(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    for (int i = 0; i < 600; i++)
        buf_put_str(&b, "{\"type\":\"array\",\"items\":");
    buf_put_str(&b, "\"int\"");
    for (int i = 0; i < 600; i++)
        buf_put_str(&b, "}");
    check_parse(buf_cstr(&b), true, "nested deeper");
    buf_clear(&b);
    buf_put_str(&b, "[");
    for (int i = 0; i < AVRO_UNION_BRANCHES_MAX + 1; i++)
        buf_printf(&b, "%s{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":1}", i ? "," : "", i);
    buf_put_str(&b, "]");
    check_parse(buf_cstr(&b), true, "branches");
    buf_clear(&b);
    buf_put_str(&b, "["); /* a chain of records, each used before it is defined */
    for (int i = 0; i < 3000; i++)
        buf_printf(&b, "%s{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"f\",\"type\":\"R%d\"}]}",
                   i ? "," : "", i, (i + 1) % 3000);
    buf_put_str(&b, "]");
    check_parse(buf_cstr(&b), true, "nested deeper");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),      cmocka_unit_test(test_refused),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_located),    cmocka_unit_test(test_tags),       cmocka_unit_test(test_defaults_and_names),
        cmocka_unit_test(test_references), cmocka_unit_test(test_normalized), cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
