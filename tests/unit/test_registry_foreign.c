/* SPDX-License-Identifier: Apache-2.0
 * What other writers leave in `_schemas`: ids given twice, keys in several forms, records not understood, cleared
 * subjects, encrypted metadata; and what is written to set it right. */
#include "registry/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define K(subject, version) "{\"keytype\":\"SCHEMA\",\"subject\":\"" subject "\",\"version\":" #version ",\"magic\":1}"
#define OLD_K(subject, version)                                                                                        \
    "{\"subject\":\"" subject "\",\"version\":" #version ",\"magic\":1,\"keytype\":\"SCHEMA\"}"
#define V(subject, version, id, schema, deleted)                                                                       \
    "{\"subject\":\"" subject "\",\"version\":" #version ",\"id\":" #id                                                \
    ",\"schemaType\":\"JSON\",\"schema\":\"" schema "\",\"deleted\":" #deleted "}"

static enum err apply(struct store *s, const char *key, const char *value)
{
    struct reason why = {0};
    return store_apply(s, slice_str(key), value ? slice_str(value) : SLICE_NULL, 1000, &why);
}

static void apply_ok(struct store *s, const char *key, const char *value)
{
    assert_int_equal(apply(s, key, value), ERR_OK);
}

static void emit_to_text(void *ctx, struct slice key, struct slice value)
{
    buf_printf(ctx, "%.*s=%.*s\n", SLICE_FMT(key), SLICE_FMT(slice_is_null(value) ? slice_str("null") : value));
}

/* What a decision wrote; it is applied once the decision is over, as the log does. */
struct written {
    char *key[16], *value[16];
    size_t n;
};

static void emit_to_list(void *ctx, struct slice key, struct slice value)
{
    struct written *w = ctx;
    assert_true(w->n < 16);
    w->key[w->n] = strndup((const char *)key.p, key.n);
    w->value[w->n++] = slice_is_null(value) ? NULL : strndup((const char *)value.p, value.n);
}

static void repair_is(const struct store *s, const char *want)
{
    struct buf text;
    buf_init(&text, 0);
    store_repair(s, emit_to_text, &text);
    assert_string_equal(buf_cstr(&text), want);
    assert_int_equal(store_wants_repair(s), *want != 0);
    buf_free(&text);
}

static const struct version *find(const struct store *s, const char *subject, int32_t version)
{
    return subject_version(store_subject(s, slice_str(subject)), version);
}

static void test_an_id_stands_for_its_first_schema(void **state)
{
    struct store s, over;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), V("a", 1, 7, "{}", false));
    assert_int_equal(apply(&s, K("b", 1), V("b", 1, 7, "true", false)), ERR_CONFLICT);
    assert_null(find(&s, "b", 1));
    assert_true(slice_eq_str(store_by_id(&s, slice_str("."), 7)->text, "{}"));
    repair_is(&s, K("b", 1) "=null\n");
    /* an instance that is about to repair sees what its own batch wrote meanwhile */
    store_init(&over, &s);
    apply_ok(&over, K("b", 1), V("b", 1, 8, "false", false));
    repair_is(&over, K("b", 1) "=" V("b", 1, 8, "false", false) "\n");
    store_free(&over);
    apply_ok(&s, K("b", 1), NULL); /* the repair, this instance's or another's */
    repair_is(&s, "");
    /* what was there before comes back */
    apply_ok(&s, K("c", 1), V("c", 1, 9, "{\\\"a\\\":1}", true));
    assert_int_equal(apply(&s, K("c", 1), V("c", 1, 7, "true", false)), ERR_CONFLICT);
    assert_int_equal(find(&s, "c", 1)->id, 9);
    repair_is(&s, K("c", 1) "=" V("c", 1, 9, "{\\\"a\\\":1}", true) "\n");
    apply_ok(&s, K("c", 1), V("c", 1, 9, "{\\\"a\\\":1}", true));
    repair_is(&s, "");
    /* another spelling of the same JSON is no other schema, and ids are per context */
    apply_ok(&s, K("d", 1), V("d", 1, 9, "{ \\\"a\\\" : 1 }", false));
    apply_ok(&s, K(":.x:d", 1), V(":.x:d", 1, 9, "true", false));
    /* free again once nobody has it */
    apply_ok(&s, K("a", 1), NULL);
    apply_ok(&s, K("e", 1), V("e", 1, 7, "true", false));
    assert_true(slice_eq_str(store_by_id(&s, slice_str("."), 7)->text, "true"));
    repair_is(&s, "");
    store_free(&s);
}

static void test_a_deleted_schema_does_not_come_back_under_another_form(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, OLD_K("a", 1), V("a", 1, 1, "{}", true));
    apply_ok(&s, K("a", 1), V("a", 1, 1, "{}", true));
    apply_ok(&s, K("a", 1), NULL); /* a writer that knows one form only */
    assert_null(find(&s, "a", 1));
    repair_is(&s, OLD_K("a", 1) "=null\n");
    apply_ok(&s, OLD_K("a", 1), NULL);
    repair_is(&s, K("a", 1) "=null\n"); /* the other way round it cannot be known whether ours was there */
    apply_ok(&s, K("a", 1), NULL);
    repair_is(&s, "");
    /* settings, too; what was set again meanwhile is written under the old form as well */
    apply_ok(&s, "{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}", "{\"compatibilityLevel\":\"FULL\"}");
    apply_ok(&s, "{\"keytype\":\"CONFIG\",\"magic\":0}", NULL);
    apply_ok(&s, "{\"keytype\":\"CONFIG\",\"magic\":0}", "{\"compatibilityLevel\":\"NONE\"}");
    repair_is(&s, "{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}={\"compatibilityLevel\":\"NONE\"}\n");
    store_free(&s);
}

static struct api_settings settings(void)
{
    return (struct api_settings){.shape = 81, .mode_mutability = true, .models = model_cache_new(10)};
}

static int decide(struct store *s, struct change *c)
{
    struct api_settings st = settings();
    struct answer a;
    answer_init(&a);
    c->answer = &a;
    struct written w = {.n = 0};
    enum err e = change_decide(c, s, &st, emit_to_list, &w);
    int code = a.error_code;
    for (size_t i = 0; i < w.n; i++) {
        apply_ok(s, w.key[i], w.value[i]);
        free(w.key[i]);
        free(w.value[i]);
    }
    assert_true(e == ERR_OK || code);
    change_free(c);
    answer_free(&a);
    model_cache_free(st.models);
    return code;
}

static int register_json(struct store *s, const char *subject, const char *schema)
{
    struct change c = {.kind = CHANGE_REGISTER, .subject = slice_str(subject)};
    struct answer a;
    json_t *request = json_pack("{s:s,s:s}", "schema", schema, "schemaType", "JSON");
    answer_init(&a);
    assert_int_equal(draft_read(&c.draft, request, &a), ERR_OK);
    json_decref(request);
    answer_free(&a);
    return decide(s, &c);
}

static void test_our_own_deletion_leaves_nothing_to_repair(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, OLD_K("a", 1), V("a", 1, 1, "{}", true));
    apply_ok(&s, "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":0}", V("a", 1, 1, "{}", true));
    struct change c = {.kind = CHANGE_DELETE_VERSION, .subject = slice_str("a"), .version = 1, .permanent = true};
    assert_int_equal(decide(&s, &c), 0);
    assert_null(find(&s, "a", 1));
    repair_is(&s, "");
    store_free(&s);
}

static void test_what_is_not_understood_is_not_written_over(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), V("a", 1, 1, "{}", false));
    assert_int_equal(
        apply(&s, K("a", 2), "{\"subject\":\"a\",\"version\":2,\"id\":40,\"schemaType\":\"THRIFT\",\"schema\":\"x\"}"),
        ERR_MALFORMED);
    assert_int_equal(
        apply(&s, "{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":3,\"magic\":2}", V("a", 3, 3, "1", false)),
        ERR_MALFORMED);
    assert_int_equal(apply(&s, K("a", 0), V("a", 0, 3, "1", false)), ERR_MALFORMED);
    assert_int_equal(apply(&s, K("a", 3), "{\"subject\":\"a\",\"version\":3,\"schema\":\"true\"}"), ERR_MALFORMED);
    assert_int_equal(register_json(&s, "a", "{\"title\":\"b\"}"), 0);
    assert_int_equal(store_subject(&s, slice_str("a"))->n, 2);
    assert_int_equal(find(&s, "a", 3)->id, 41);
    assert_int_equal(apply(&s, "{\"keytype\":\"CONFIG\",\"magic\":0}", "{\"compatibilityLevel\":\"SOME\"}"),
                     ERR_MALFORMED);
    assert_null(store_config(&s, SLICE_NULL));
    apply_ok(&s, K("b", 2147483647), V("b", 2147483647, 2, "{}", true));
    assert_int_equal(register_json(&s, "b", "{\"title\":\"c\"}"), API_STORE);
    store_free(&s);
}

static void test_a_cleared_subject_has_no_deleted_versions(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), V("a", 1, 1, "{}", true));
    apply_ok(&s, K("a", 2), V("a", 2, 2, "true", true));
    apply_ok(&s, K("a", 3), V("a", 3, 3, "false", false));
    apply_ok(&s, K("b", 1), V("b", 1, 1, "{}", true));
    apply_ok(&s, K(":.x:a", 1), V(":.x:a", 1, 1, "{}", true));
    apply_ok(&s, K(":.x:b", 1), V(":.x:b", 1, 1, "{}", true));
    apply_ok(&s, "{\"keytype\":\"CLEAR_SUBJECT\",\"subject\":\"a\",\"magic\":0}", "{\"subject\":\"a\"}");
    assert_int_equal(store_subject(&s, slice_str("a"))->n, 1);
    assert_non_null(find(&s, "a", 3));
    assert_non_null(find(&s, "b", 1));
    apply_ok(&s, "{\"keytype\":\"CLEAR_SUBJECT\",\"subject\":\":.x:\",\"magic\":0}", "{\"subject\":\":.x:\"}");
    assert_null(store_subject(&s, slice_str(":.x:a")));
    assert_null(store_subject(&s, slice_str(":.x:b")));
    apply_ok(&s, "{\"keytype\":\"CLEAR_SUBJECT\",\"magic\":0}", "{}");
    assert_null(store_subject(&s, slice_str("b")));
    assert_non_null(find(&s, "a", 3));
    store_free(&s);
}

static void test_contexts_come_and_go(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, "{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".x\",\"magic\":0}",
             "{\"tenant\":\"default\",\"context\":\".x\"}");
    assert_true(store_has_context(&s, slice_str(".x")));
    apply_ok(&s, "{\"magic\":0,\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".x\"}",
             "{\"tenant\":\"default\",\"context\":\".x\"}");
    struct change c = {.kind = CHANGE_DELETE_CONTEXT, .subject = slice_str(":.x:")};
    assert_int_equal(decide(&s, &c), 0);
    assert_false(store_has_context(&s, slice_str(".x")));
    repair_is(&s, ""); /* both forms were tombstoned */
    apply_ok(&s, "{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".never\",\"magic\":0}", NULL);
    store_free(&s);
}

static void test_encrypted_metadata_keeps_its_identity(void **state)
{
    static const char value[] =
        "{\"subject\":\"a\",\"version\":1,\"id\":1,\"md5\":\"AAECAwQFBgcICQoLDA0ODw==\",\"schemaType\":\"JSON\","
        "\"metadata\":{\"properties\":{\"__enc__\":\"true\",\"owner\":\"c2VjcmV0\"},\"sensitive\":[\"owner\"]},"
        "\"schema\":\"{}\",\"deleted\":false}";
    struct store s;
    struct buf text;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), value);
    buf_init(&text, 0);
    guid_put(&text, find(&s, "a", 1)->content->guid);
    assert_string_equal(buf_cstr(&text), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    buf_clear(&text);
    record_schema_value(&text, slice_str("a"), find(&s, "a", 1), false);
    assert_string_equal(buf_cstr(&text), value);
    /* one that is none is no identity */
    apply_ok(&s, K("a", 2),
             "{\"subject\":\"a\",\"version\":2,\"id\":2,\"md5\":\"AAEC\",\"schemaType\":\"JSON\",\"schema\":\"true\"}");
    buf_clear(&text);
    record_schema_value(&text, slice_str("a"), find(&s, "a", 2), false);
    assert_string_equal(buf_cstr(&text), V("a", 2, 2, "true", false));
    buf_free(&text);
    store_free(&s);
}

static void test_one_id_for_one_text_with_two_contracts(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), V("a", 1, 1, "{}", false));
    apply_ok(&s, K("b", 1),
             "{\"subject\":\"b\",\"version\":1,\"id\":1,\"schemaType\":\"JSON\",\"metadata\":{\"properties\":{\"o\":"
             "\"x\"}},\"schema\":\"{}\",\"deleted\":false}");
    assert_int_equal(store_id_of(&s, slice_str("."), find(&s, "a", 1)->content), 1);
    assert_int_equal(store_id_of(&s, slice_str("."), find(&s, "b", 1)->content), 1);
    apply_ok(&s, K("b", 1), NULL);
    assert_int_equal(store_id_of(&s, slice_str("."), find(&s, "a", 1)->content), 1);
    store_free(&s);
}

/* Start-up judges no schema: what does not parse is served as text, and told when somebody builds on it. */
static void test_a_broken_schema_is_judged_when_it_is_used(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    apply_ok(&s, K("a", 1), V("a", 1, 1, "{\\\"type\\\":", false));
    apply_ok(&s, K("b", 1), "{\"subject\":\"b\",\"version\":1,\"id\":2,\"schema\":\"no avro\",\"deleted\":false}");
    assert_true(slice_eq_str(store_by_id(&s, slice_str("."), 1)->text, "{\"type\":"));
    assert_true(slice_eq_str(find(&s, "b", 1)->content->text, "no avro"));
    assert_int_not_equal(register_json(&s, "a", "{\"type\":\"string\"}"), 0);
    assert_int_equal(register_json(&s, "c", "{\"type\":\"string\"}"), 0);
    struct change c = {.kind = CHANGE_DELETE_SUBJECT, .subject = slice_str("a")};
    assert_int_equal(decide(&s, &c), 0);
    store_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_stands_for_its_first_schema),
        cmocka_unit_test(test_a_deleted_schema_does_not_come_back_under_another_form),
        cmocka_unit_test(test_our_own_deletion_leaves_nothing_to_repair),
        cmocka_unit_test(test_what_is_not_understood_is_not_written_over),
        cmocka_unit_test(test_a_cleared_subject_has_no_deleted_versions),
        cmocka_unit_test(test_contexts_come_and_go),
        cmocka_unit_test(test_encrypted_metadata_keeps_its_identity),
        cmocka_unit_test(test_one_id_for_one_text_with_two_contracts),
        cmocka_unit_test(test_a_broken_schema_is_judged_when_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
