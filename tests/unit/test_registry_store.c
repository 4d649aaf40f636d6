/* SPDX-License-Identifier: Apache-2.0
 * The store over `_schemas`: byte-exact records both ways, older and foreign forms, traps of an existing topic, the
 * overlay, and the decisions that write. */
#include "registry/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct slice str(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static void apply(struct store *s, const char *key, const char *value)
{
    struct reason why = {0};
    enum err e = store_apply(s, slice_str(key), value ? slice_str(value) : SLICE_NULL, 1000, &why);
    if (e)
        print_error("%s: %s\n", key, why.text);
    assert_int_equal(e, ERR_OK);
}

static void same_text(struct buf *got, struct slice want)
{
    assert_true(slice_eq(buf_slice(got), want) ||
                (print_error("got  %s\nwant %.*s\n", buf_cstr(got), SLICE_FMT(want)), 0));
    buf_clear(got);
}

/* Write again what was read, by kind; false: a kind that has nothing to say. */
static bool rewrite(const struct store *s, struct slice raw_key, struct buf *key, struct buf *value)
{
    json_t *k = json_loadb((const char *)raw_key.p, raw_key.n, 0, NULL);
    struct slice kind = str(json_object_get(k, "keytype")), subject = str(json_object_get(k, "subject"));
    int32_t version = (int32_t)json_integer_value(json_object_get(k, "version"));
    bool known = true;
    if (slice_eq_str(kind, "SCHEMA")) {
        const struct version *v = subject_version(store_subject(s, subject), version);
        record_schema_key(key, subject, version);
        if (v)
            record_schema_value(value, subject, v, v->deleted);
    } else if (slice_eq_str(kind, "CONFIG")) {
        record_config_key(key, subject);
        if (store_config(s, subject))
            record_config_value(value, subject, store_config(s, subject));
    } else if (slice_eq_str(kind, "MODE")) {
        record_mode_key(key, subject);
        if (store_mode(s, subject) != MODE_NONE)
            record_mode_value(value, subject, store_mode(s, subject));
    } else if (slice_eq_str(kind, "DELETE_SUBJECT")) {
        record_delete_subject_key(key, subject);
        record_delete_subject_value(value, subject, 3);
    } else if (slice_eq_str(kind, "CLEAR_SUBJECT")) {
        record_clear_subject_key(key, subject);
        record_clear_subject_value(value, subject);
    } else if (slice_eq_str(kind, "CONTEXT")) {
        record_context_key(key, str(json_object_get(k, "context")));
        record_context_value(value, str(json_object_get(k, "context")));
    } else {
        known = false;
    }
    json_decref(k);
    return known;
}

static void test_records_are_byte_exact(void **state)
{
    json_t *doc = json_load_file(TEST_SHARED "/vectors/schemas-topic/schemas-topic-records.json", 0, NULL);
    struct buf key, value;
    size_t checked = 0;
    (void)state;
    if (!doc) {
        print_message("schemas-topic-records.json is absent\n");
        skip();
    }
    const json_t *records = json_object_get(doc, "records");
    buf_init(&key, 0);
    buf_init(&value, 0);
    for (size_t i = 0; i < json_array_size(records); i++) {
        struct store s;
        struct slice k = str(json_object_get(json_array_get(records, i), "key"));
        struct slice v = str(json_object_get(json_array_get(records, i), "value"));
        if (slice_is_null(k))
            continue;
        store_init(&s, NULL);
        assert_int_equal(store_apply(&s, k, v, 0, NULL), ERR_OK);
        if (rewrite(&s, k, &key, &value)) {
            same_text(&key, k);
            same_text(&value, slice_is_null(v) ? slice_str("") : v);
            checked++;
        }
        store_free(&s);
    }
    print_message("%zu records rewritten byte for byte\n", checked);
    assert_true(checked >= 13);
    buf_free(&key);
    buf_free(&value);
    json_decref(doc);
}

#define V(subject, version, id, schema, deleted)                                                                       \
    "{\"subject\":\"" subject "\",\"version\":" #version ",\"id\":" #id                                                \
    ",\"schemaType\":\"JSON\",\"schema\":\"" schema "\",\"deleted\":" #deleted "}"
#define K(subject, version) "{\"keytype\":\"SCHEMA\",\"subject\":\"" subject "\",\"version\":" #version ",\"magic\":1}"

static void test_foreign_forms_and_traps(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    /* no schemaType, no deleted, other key order and magic, extra members */
    apply(&s, "{\"subject\":\"a\",\"version\":1,\"magic\":0,\"keytype\":\"SCHEMA\",\"seq\":42,\"node\":2}",
          "{\"subject\":\"a\",\"version\":1,\"id\":7,\"schema\":\"\\\"string\\\"\"}");
    const struct version *v = subject_version(store_subject(&s, slice_str("a")), 1);
    assert_non_null(v);
    assert_int_equal(v->content->type, SCHEMA_AVRO);
    assert_int_equal(v->id, 7);
    /* its raw key is remembered for the day of its tombstone */
    struct slice raw = store_raw_key(&s, slice_str(K("a", 1)), 0);
    assert_true(slice_eq_str(
        raw, "{\"subject\":\"a\",\"version\":1,\"magic\":0,\"keytype\":\"SCHEMA\",\"seq\":42,\"node\":2}"));
    /* a tombstone whose soft delete was compacted away; DELETE_SUBJECT for versions never seen, and without version */
    apply(&s, K("zz", 4), NULL);
    apply(&s, "{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"zz\",\"magic\":0}", "{\"subject\":\"zz\",\"version\":9}");
    apply(&s, "{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"a\",\"magic\":0,\"seq\":1,\"node\":2}",
          "{\"subject\":\"a\"}");
    assert_false(subject_has(store_subject(&s, slice_str("a")), false));
    assert_true(subject_has(store_subject(&s, slice_str("a")), true));
    /* global CONFIG with a null subject; CONFIG without one in its value */
    apply(&s, "{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}", "{\"compatibilityLevel\":\"FULL\"}");
    assert_non_null(store_config(&s, SLICE_NULL));
    apply(&s, "{\"keytype\":\"CONFIG\",\"subject\":\"a\",\"magic\":0}", "{\"compatibilityLevel\":\"NONE\"}");
    assert_non_null(store_config(&s, slice_str("a")));
    /* references to what comes later in the log */
    apply(&s, K("b", 1),
          "{\"subject\":\"b\",\"version\":1,\"id\":8,\"schemaType\":\"JSON\",\"references\":[{\"name\":\"x\","
          "\"subject\":\"c\","
          "\"version\":1}],\"schema\":\"{}\",\"deleted\":false}");
    assert_true(store_is_referenced(&s, slice_str("c"), 1, false, SLICE_NULL));
    apply(&s, K("c", 1), V("c", 1, 9, "{}", false));
    /* what is not understood is skipped, and the rest goes on */
    assert_int_equal(store_apply(&s, slice_str("{\"keytype\":\"NEW\"}"), slice_str("{}"), 0, NULL), ERR_MALFORMED);
    assert_int_equal(store_apply(&s, slice_str("nonsense"), SLICE_NULL, 0, NULL), ERR_MALFORMED);
    assert_int_equal(store_apply(&s, slice_str(K("d", 1)), slice_str("[1"), 0, NULL), ERR_MALFORMED);
    assert_int_equal(s.skipped, 3);
    assert_int_equal(store_max_id(&s, slice_str(".")), 9);
    store_free(&s);
}

static void test_an_overlay_shadows_its_base(void **state)
{
    struct store base, over;
    (void)state;
    store_init(&base, NULL);
    apply(&base, K("a", 1), V("a", 1, 1, "{}", false));
    apply(&base, "{\"keytype\":\"MODE\",\"magic\":0}", "{\"mode\":\"READONLY\"}");
    store_init(&over, &base);
    apply(&over, K("a", 2), V("a", 2, 2, "true", false));
    apply(&over, K("a", 1), NULL);
    apply(&over, "{\"keytype\":\"MODE\",\"magic\":0}", NULL);
    apply(&over, K("b", 1), V("b", 1, 2, "true", false));
    assert_null(subject_version(store_subject(&over, slice_str("a")), 1));
    assert_null(store_by_id(&over, slice_str("."), 1));
    assert_non_null(store_by_id(&over, slice_str("."), 2));
    assert_int_equal(store_max_id(&over, slice_str(".")), 2);
    assert_int_equal(store_mode(&over, SLICE_NULL), MODE_NONE);
    assert_int_equal(store_mode(&base, SLICE_NULL), MODE_READONLY);
    assert_non_null(subject_version(store_subject(&base, slice_str("a")), 1));
    assert_null(subject_version(store_subject(&base, slice_str("a")), 2));
    assert_null(store_subject(&base, slice_str("b")));
    store_free(&over);
    assert_non_null(store_by_id(&base, slice_str("."), 1));
    store_free(&base);
}

/* --- decisions --- */

static void emit_to_store(void *ctx, struct slice key, struct slice value)
{
    assert_int_equal(store_apply(ctx, key, value, 5, NULL), ERR_OK);
}

struct recorded {
    struct buf text;
};

static void emit_to_text(void *ctx, struct slice key, struct slice value)
{
    struct recorded *r = ctx;
    buf_printf(&r->text, "%.*s=%.*s\n", SLICE_FMT(key), SLICE_FMT(slice_is_null(value) ? slice_str("null") : value));
}

static struct api_settings settings(void)
{
    return (struct api_settings){.shape = 81, .mode_mutability = true, .models = model_cache_new(10)};
}

static int decide_on(struct store *s, const struct api_settings *st, struct change *c, struct answer *a)
{
    answer_init(a);
    c->answer = a;
    enum err e = change_decide(c, s, st, emit_to_store, s);
    assert_true(e == ERR_OK || (e == ERR_CONFLICT && a->error_code));
    int code = a->error_code;
    change_free(c);
    return code;
}

static int register_json(struct store *s, const struct api_settings *st, const char *subject, const char *schema)
{
    struct change c = {.kind = CHANGE_REGISTER, .subject = slice_str(subject)};
    struct answer a;
    json_t *request = json_pack("{s:s,s:s}", "schema", schema, "schemaType", "JSON");
    answer_init(&a);
    assert_int_equal(draft_read(&c.draft, request, &a), ERR_OK);
    json_decref(request);
    answer_free(&a);
    int code = decide_on(s, st, &c, &a);
    json_t *body = json_loadb((const char *)a.body.p, a.body.n, 0, NULL);
    int id = (int)json_integer_value(json_object_get(body, "id"));
    json_decref(body);
    answer_free(&a);
    return code ? -code : id;
}

static int delete_subject_of(struct store *s, const struct api_settings *st, const char *subject, bool permanent)
{
    struct change c = {.kind = CHANGE_DELETE_SUBJECT, .subject = slice_str(subject), .permanent = permanent};
    struct answer a;
    int code = decide_on(s, st, &c, &a);
    answer_free(&a);
    return code;
}

static void test_ids_are_shared_and_never_reused_while_known(void **state)
{
    struct store s;
    struct api_settings st = settings();
    (void)state;
    store_init(&s, NULL);
    assert_int_equal(register_json(&s, &st, "a", "{\"type\":\"string\"}"), 1);
    assert_int_equal(register_json(&s, &st, "a", "{ \"type\" : \"string\" }"), 1); /* the same content */
    assert_int_equal(subject_latest(store_subject(&s, slice_str("a")), false)->version, 1);
    assert_int_equal(register_json(&s, &st, "b", "{\"type\":\"string\"}"), 1);
    assert_int_equal(register_json(&s, &st, "b", "{\"type\":\"integer\"}"), -409);
    assert_int_equal(register_json(&s, &st, "c", "{\"type\":\"integer\"}"), 2);
    assert_int_equal(register_json(&s, &st, ":.ctx:a", "{\"type\":\"integer\"}"), 1); /* ids are per context */
    assert_true(store_has_context(&s, slice_str(".ctx")));
    assert_int_equal(delete_subject_of(&s, &st, "c", true), API_SUBJECT_NOT_SOFT_DELETED);
    assert_int_equal(delete_subject_of(&s, &st, "c", false), 0);
    assert_int_equal(delete_subject_of(&s, &st, "c", false), API_SUBJECT_SOFT_DELETED);
    assert_non_null(store_by_id(&s, slice_str("."), 2)); /* still decodes */
    assert_int_equal(delete_subject_of(&s, &st, "c", true), 0);
    assert_null(store_by_id(&s, slice_str("."), 2));
    assert_int_equal(register_json(&s, &st, "c", "{\"type\":\"integer\"}"), 3);
    store_free(&s);
    model_cache_free(st.models);
}

static void test_a_tombstone_falls_on_every_form_of_the_key(void **state)
{
    struct store s;
    struct answer a;
    struct recorded r;
    struct api_settings st = settings();
    struct change c = {
        .kind = CHANGE_DELETE_VERSION, .subject = slice_str("a"), .version = 1, .permanent = true, .answer = &a};
    (void)state;
    store_init(&s, NULL);
    answer_init(&a);
    buf_init(&r.text, 0);
    apply(&s, "{\"subject\":\"a\",\"version\":1,\"magic\":1,\"keytype\":\"SCHEMA\"}", V("a", 1, 1, "{}", true));
    apply(&s, K("a", 1), V("a", 1, 1, "{}", true));
    assert_int_equal(change_decide(&c, &s, &st, emit_to_text, &r), ERR_OK);
    assert_string_equal(buf_cstr(&r.text),
                        "{\"subject\":\"a\",\"version\":1,\"magic\":1,\"keytype\":\"SCHEMA\"}=null\n"
                        "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}=null\n");
    buf_free(&r.text);
    answer_free(&a);
    change_free(&c);
    store_free(&s);
    model_cache_free(st.models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_byte_exact),
        cmocka_unit_test(test_foreign_forms_and_traps),
        cmocka_unit_test(test_an_overlay_shadows_its_base),
        cmocka_unit_test(test_ids_are_shared_and_never_reused_while_known),
        cmocka_unit_test(test_a_tombstone_falls_on_every_form_of_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
