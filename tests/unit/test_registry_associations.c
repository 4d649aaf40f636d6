/* SPDX-License-Identifier: Apache-2.0
 * Associations: their records byte for byte, replay and overlays, and the decisions that write them. */
#include "registry/association.h"
#include "registry/change.h"
#include "registry/change_associations.h"
#include "registry/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* As the reference (8.2.3) wrote them. */
#define KEY(name, subject)                                                                                             \
    "{\"keytype\":\"ASSOC\",\"tenant\":\"default\",\"resourceName\":\"" name                                           \
    "\",\"resourceNamespace\":\"lkc1\",\"resourceType\":\"topic\",\"associationType\":\"value\",\"subject\":"          \
    "\"" subject "\",\"magic\":0}"
#define VALUE(name, id, subject, lifecycle, frozen)                                                                    \
    "{\"guid\":\"9d02f0db-bd13-4164-a2e1-36e80b5222ba\",\"tenant\":\"default\",\"resourceName\":\"" name               \
    "\",\"resourceNamespace\":\"lkc1\",\"resourceId\":\"" id                                                           \
    "\",\"resourceType\":\"topic\",\"associationType\":\"value\",\"subject\":\"" subject                               \
    "\",\"lifecycle\":\"" lifecycle "\",\"frozen\":" frozen "}"

static void apply(struct store *s, const char *key, const char *value, int64_t at_ms)
{
    struct reason why = {0};
    if (store_apply(s, slice_str(key), value ? slice_str(value) : SLICE_NULL, at_ms, &why))
        fail_msg("%s: %s", key, why.text);
}

static size_t count(const struct store *s, struct association_query q)
{
    struct association_list l;
    assert_int_equal(association_find(s, &q, &l), ERR_OK);
    size_t n = l.n;
    association_list_free(&l);
    return n;
}

static size_t of_subject(const struct store *s, const char *subject)
{
    return count(s, (struct association_query){.subject = slice_str(subject)});
}

static size_t of_resource(const struct store *s, const char *id)
{
    return count(s, (struct association_query){.resource_id = slice_str(id)});
}

static void test_records_are_the_references(void **state)
{
    struct store s;
    struct association_list l;
    struct buf b;
    (void)state;
    store_init(&s, NULL);
    buf_init(&b, 0);
    apply(&s, KEY("t", ":.lkc1:t-value"), VALUE("t", "id1", ":.lkc1:t-value", "STRONG", "true"), 5);
    struct association_query q = {.resource_id = slice_str("id1")};
    assert_int_equal(association_find(&s, &q, &l), ERR_OK);
    assert_int_equal(l.n, 1);
    record_association_key(&b, l.v[0]);
    assert_string_equal(buf_cstr(&b), KEY("t", ":.lkc1:t-value"));
    buf_clear(&b);
    record_association_value(&b, l.v[0]);
    assert_string_equal(buf_cstr(&b), VALUE("t", "id1", ":.lkc1:t-value", "STRONG", "true"));
    association_list_free(&l);
    buf_free(&b);
    store_free(&s);
}

static void test_replay(void **state)
{
    struct store s;
    struct association_list l;
    (void)state;
    store_init(&s, NULL);
    apply(&s, KEY("a", "x"), VALUE("a", "id1", "x", "WEAK", "false"), 5);
    apply(&s, KEY("b", "x"), VALUE("b", "id2", "x", "WEAK", "false"), 6);
    assert_int_equal(of_subject(&s, "x"), 2);
    /* the same again, with another resource id: it moves */
    apply(&s, KEY("a", "x"), VALUE("a", "id9", "x", "STRONG", "false"), 7);
    assert_int_equal(of_subject(&s, "x"), 2);
    assert_int_equal(of_resource(&s, "id1"), 0);
    struct association_query q = {.resource_id = slice_str("id9")};
    assert_int_equal(association_find(&s, &q, &l), ERR_OK);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.v[0]->created_ms, 5);
    assert_int_equal(l.v[0]->updated_ms, 7);
    association_list_free(&l);
    /* by name, with any namespace, by lifecycle and type */
    q = (struct association_query){.resource_name = slice_str("b"), .resource_namespace = slice_str("-")};
    assert_int_equal(count(&s, q), 1);
    q.resource_namespace = slice_str("other");
    assert_int_equal(count(&s, q), 0);
    struct slice key = slice_str("key");
    q = (struct association_query){.subject = slice_str("x"), .types = &key, .types_n = 1};
    assert_int_equal(count(&s, q), 0);
    q = (struct association_query){.subject = slice_str("x"), .lifecycle = LIFECYCLE_STRONG};
    assert_int_equal(count(&s, q), 1);
    /* a foreign form of the key is the same association; a tombstone falls on both */
    const char *foreign = "{\"magic\":0,\"subject\":\"x\",\"keytype\":\"ASSOC\",\"resourceName\":\"b\",\"tenant\":"
                          "\"default\",\"resourceNamespace\":\"lkc1\",\"associationType\":\"value\",\"resourceType\":"
                          "\"topic\"}";
    apply(&s, foreign, VALUE("b", "id2", "x", "WEAK", "false"), 8);
    assert_int_equal(of_subject(&s, "x"), 2);
    assert_true(slice_eq_str(store_raw_key(&s, slice_str(KEY("b", "x")), 0), foreign));
    apply(&s, KEY("b", "x"), NULL, 9);
    apply(&s, KEY("a", "x"), NULL, 9);
    apply(&s, KEY("never", "x"), NULL, 9);
    assert_int_equal(of_subject(&s, "x"), 0);
    assert_false(association_exists(&s, slice_str("x")));
    /* broken ones are skipped */
    assert_int_equal(store_apply(&s, slice_str("{\"keytype\":\"ASSOC\"}"), slice_str("{}"), 0, NULL), ERR_MALFORMED);
    assert_int_equal(store_apply(&s, slice_str(KEY("a", "x")), slice_str("{\"guid\":\"g\"}"), 0, NULL), ERR_MALFORMED);
    assert_int_equal(
        store_apply(&s, slice_str(KEY("a", "x")), slice_str(VALUE("a", "i", "x", "MILD", "false")), 0, NULL),
        ERR_MALFORMED);
    assert_int_equal(of_subject(&s, "x"), 0);
    store_free(&s);
}

static void test_overlays(void **state)
{
    struct store base, over, top;
    (void)state;
    store_init(&base, NULL);
    apply(&base, KEY("a", "x"), VALUE("a", "id1", "x", "WEAK", "false"), 1);
    apply(&base, KEY("b", "x"), VALUE("b", "id2", "x", "WEAK", "false"), 1);
    store_init(&over, &base);
    apply(&over, KEY("a", "x"), NULL, 2);
    apply(&over, KEY("b", "x"), VALUE("b", "id3", "x", "STRONG", "false"), 2);
    apply(&over, KEY("c", "x"), VALUE("c", "id4", "x", "WEAK", "false"), 2);
    assert_int_equal(of_subject(&over, "x"), 2);
    assert_int_equal(of_resource(&over, "id1"), 0);
    assert_int_equal(of_resource(&over, "id2"), 0);
    assert_int_equal(of_resource(&over, "id3"), 1);
    store_init(&top, &over);
    apply(&top, KEY("a", "x"), VALUE("a", "id1", "x", "WEAK", "false"), 3);
    apply(&top, KEY("c", "x"), NULL, 3);
    assert_int_equal(of_subject(&top, "x"), 2);
    assert_int_equal(of_resource(&top, "id1"), 1);
    assert_int_equal(of_resource(&top, "id4"), 0);
    assert_int_equal(of_subject(&base, "x"), 2);
    store_free(&top);
    store_free(&over);
    store_free(&base);
}

/* --- decisions, by way of the routes --- */

struct world {
    struct store store;
    struct api_settings settings;
    struct rest_server server;
    const char *denied; /* a subject the client may do nothing with */
    const char *unread; /* one it may not read */
    struct answer answer;
    struct change *change;
    struct rest_request request;
    size_t records;
};

static bool may(void *ctx, enum rest_right right, struct slice subject)
{
    const struct world *w = ctx;
    if (w->unread && right == RIGHT_READ && slice_eq_str(subject, w->unread))
        return false;
    return !w->denied || !slice_eq_str(subject, w->denied);
}

static void take(void *ctx, struct slice key, struct slice value)
{
    struct world *w = ctx;
    w->records++;
    assert_int_equal(store_apply(&w->store, key, value, 1000, NULL), ERR_OK);
}

static void world_init(struct world *w, int shape)
{
    *w = (struct world){.settings = {.shape = shape,
                                     .schema_limit_default = 1000,
                                     .schema_limit_max = 1000,
                                     .list_limit_default = 1000,
                                     .list_limit_max = 1000}};
    w->settings.models = model_cache_new(100);
    store_init(&w->store, NULL);
    w->server = (struct rest_server){.store = &w->store, .settings = &w->settings};
}

static void world_free(struct world *w)
{
    store_free(&w->store);
    model_cache_free(w->settings.models);
}

struct emitted {
    struct buf bytes[64];
    bool tombstone[64];
    size_t n;
};

static void keep(void *ctx, struct slice key, struct slice value)
{
    struct emitted *e = ctx;
    assert_true(e->n + 2 <= 64);
    buf_init(&e->bytes[e->n], 0);
    buf_init(&e->bytes[e->n + 1], 0);
    buf_put_slice(&e->bytes[e->n], key);
    buf_put_slice(&e->bytes[e->n + 1], value);
    e->tombstone[e->n / 2] = slice_is_null(value);
    e->n += 2;
}

/* One request, decided and written; 'quotes' are JSON's. The status comes back, the text is compared when given. */
static void ask(struct world *w, enum rest_method method, const char *target, const char *body, int status,
                const char *part)
{
    struct emitted emitted = {0};
    char *text = strdup(body ? body : "");
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    rest_request_init(&w->request);
    answer_init(&w->answer);
    w->request.method = method;
    w->request.body = slice_str(text);
    w->request.allowed = may;
    w->request.allowed_ctx = w;
    assert_int_equal(rest_request_target(&w->request, slice_str(target), &w->answer), ERR_OK);
    const struct rest_route *route = rest_route(&w->request, &w->answer);
    w->change = NULL;
    if (route) {
        w->answer.status = 200;
        rest_run(route, &w->server, &w->request, &w->answer, &w->change);
    }
    if (w->change) {
        enum err e = change_decide(w->change, &w->store, &w->settings, keep, &emitted);
        assert_true(e == ERR_OK || (e == ERR_CONFLICT && w->answer.error_code && emitted.n == 0));
        for (size_t i = 0; i < emitted.n; i += 2) {
            take(w, buf_slice(&emitted.bytes[i]),
                 emitted.tombstone[i / 2] ? SLICE_NULL : buf_slice(&emitted.bytes[i + 1]));
            buf_free(&emitted.bytes[i]);
            buf_free(&emitted.bytes[i + 1]);
        }
        rest_change_free(w->change);
    }
    if (w->answer.status != status || (part && !strstr(buf_cstr(&w->answer.body), part)))
        fail_msg("%s %s\ngot  %d %s\nwant %d %s", target, body ? body : "", w->answer.status, buf_cstr(&w->answer.body),
                 status, part ? part : "");
    answer_free(&w->answer);
    rest_request_free(&w->request);
    free(text);
}

#define STRING          "{'schema':'{\\u0022type\\u0022:\\u0022string\\u0022}'}"
#define INT             "{'schema':'{\\u0022type\\u0022:\\u0022int\\u0022}'}"
#define STRING_TEXT     "'{\\u0022type\\u0022:\\u0022string\\u0022}'"
#define GROUPED(schema) "{'schema':" schema ",'metadata':{'properties':{'g':'1'}}}"
#define T(name, what)                                                                                                  \
    "{'resourceName':'" name "','resourceNamespace':'ns','resourceId':'" name "','associations':[" what "]}"

static void test_create_update_delete(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    ask(&w, REST_POST, "/associations", T("t", "{'schema':" STRING "}"), 200,
        "\"associations\":[{\"subject\":\":.ns:t-value\",\"associationType\":\"value\",\"lifecycle\":\"STRONG\","
        "\"frozen\":true,\"schema\":{\"subject\":\":.ns:t-value\",\"version\":1,\"id\":1,");
    /* context, schema, association */
    assert_int_equal(w.records, 3);
    /* again: nothing to write */
    ask(&w, REST_POST, "/associations", T("t", "{'schema':" STRING "}"), 200, "\"resourceType\":\"topic\"}");
    assert_int_equal(w.records, 3);
    ask(&w, REST_POST, "/associations", T("t", "{'schema':" INT "}"), 409, "40903");
    ask(&w, REST_PUT, "/associations/resources/t", T("t", "{'schema':" STRING ",'lifecycle':'STRONG','frozen':false}"),
        422, "frozen attribute of association cannot be changed");
    ask(&w, REST_PUT, "/associations/resources/t", T("t", "{'lifecycle':'WEAK'}"), 422, "42212");
    ask(&w, REST_GET, "/associations/resources/t", NULL, 200, "\"frozen\":true,\"createTs\":1000,\"updateTs\":1000}]");
    ask(&w, REST_DELETE, "/associations/resources/t", NULL, 409, "The association of type  'value' is frozen");
    ask(&w, REST_DELETE, "/subjects/%3A.ns%3At-value", NULL, 409, "40904");
    ask(&w, REST_DELETE, "/subjects/%3A.ns%3At-value/versions/1", NULL, 409, "40907");
    ask(&w, REST_DELETE, "/associations/resources/t?cascadeLifecycle=true&dryRun=true", NULL, 204, NULL);
    assert_int_equal(w.records, 3);
    ask(&w, REST_DELETE, "/associations/resources/t?cascadeLifecycle=true", NULL, 204, NULL);
    assert_null(store_subject(&w.store, slice_str(":.ns:t-value")));
    assert_int_equal(of_resource(&w.store, "t"), 0);
    ask(&w, REST_DELETE, "/associations/resources/t", NULL, 404, "40410");
    world_free(&w);
}

static void test_weak_and_strong(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    ask(&w, REST_POST, "/associations", T("a", "{'subject':'s'}"), 409, "40907");
    ask(&w, REST_POST, "/subjects/s/versions", STRING, 200, NULL);
    ask(&w, REST_POST, "/associations", T("a", "{}"), 422, "must be provided for WEAK associations");
    ask(&w, REST_POST, "/associations", T("a", "{'subject':'s'}"), 200, "\"lifecycle\":\"WEAK\",\"frozen\":false");
    ask(&w, REST_POST, "/associations", T("b", "{'subject':'s'}"), 200, NULL);
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'lifecycle':'STRONG'}"), 409, "40904");
    ask(&w, REST_DELETE, "/associations/resources/b", NULL, 204, NULL);
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'lifecycle':'STRONG'}"), 200, "STRONG");
    ask(&w, REST_POST, "/associations", T("b", "{'subject':'s'}"), 409, "40905");
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'schema':" INT "}"), 409, "40901");
    ask(&w, REST_PUT, "/associations/resources/a", T("c", "{'lifecycle':'WEAK'}"), 422, "path parameter");
    ask(&w, REST_GET, "/schemas?lifecycle=STRONG", NULL, 200, "\"associations\":[{\"subject\":\"s\"");
    ask(&w, REST_GET, "/schemas?lifecycle=WEAK", NULL, 200, "[]");
    ask(&w, REST_GET, "/schemas?lifecycle=NONE", NULL, 200, "[]");
    ask(&w, REST_GET, "/schemas?lifecycle=MILD", NULL, 404, NULL);
    world_free(&w);
}

/* What fails leaves nothing behind: not the schema of the association that was well, nor a batch's first operation. */
static void test_all_or_nothing(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    ask(&w, REST_POST, "/associations",
        T("t", "{'associationType':'key','schema':" STRING "},{'schema':{'schema':'{'}}"), 422, "42201");
    assert_int_equal(w.records, 0);
    ask(&w, REST_POST, "/associations:batchMutate",
        "{'requests':[" T(
            "t",
            "{'opType':'UPSERT','schema':" STRING "},{'opType':'CREATE','associationType':'key',"
            "'lifecycle':'STRONG','subject':'none'}") "," T("u",
                                                            "{'opType':'UPSERT','schema':" STRING
                                                            "}") "," T("u",
                                                                       "{'opType':'DELETE','cascadeLifecycle':"
                                                                       "true}") "," T("v", "{'opType':'UPSERT','schema'"
                                                                                           ":" STRING "}") "]}",
        207,
        "{\"results\":[{\"error\":{\"error_code\":40907,\"message\":\"No active (non-deleted) version exists for "
        "subject "
        "'none'\"}},{\"result\":{\"resourceName\":\"u\"");
    assert_int_equal(of_resource(&w.store, "t"), 0);
    assert_int_equal(of_resource(&w.store, "u"), 0);
    assert_int_equal(of_resource(&w.store, "v"), 1);
    assert_null(store_subject(&w.store, slice_str(":.ns:u-value")));
    assert_non_null(store_subject(&w.store, slice_str(":.ns:v-value")));
    ask(&w, REST_POST, "/associations:batchGet", "{'requests':[{'resourceId':'v'},{'resourceId':'t'},{}]}", 207,
        "{\"results\":[{\"result\":{\"resourceName\":\"v\",\"resourceNamespace\":\"ns\",\"resourceId\":\"v\","
        "\"resourceType\":\"topic\",\"associations\":[{\"subject\":\":.ns:v-value\",\"associationType\":\"value\","
        "\"lifecycle\":\"STRONG\",\"frozen\":false}]}},{\"result\":{\"resourceId\":\"t\",\"resourceType\":\"topic\"}},"
        "{\"error\":{\"error_code\":500,\"message\":\"Error while getting associations: property: resourceId; detail: "
        "either resourceId or resourceName must be specified\"}}]}");
    world_free(&w);
}

static void test_context_and_mode(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    w.settings.mode_mutability = true;
    ask(&w, REST_PUT, "/contexts/.c/associations/resources/a", T("a", "{'subject':'s','schema':" STRING "}"), 200,
        "\"subject\":\":.c:s\"");
    assert_int_equal(of_subject(&w.store, ":.c:s"), 1);
    ask(&w, REST_PUT, "/associations/resources/b?context=:.d:", T("b", "{'subject':'s','schema':" STRING "}"), 200,
        "\"subject\":\":.d:s\"");
    ask(&w, REST_PUT, "/mode/:.d:s", "{'mode':'READONLY'}", 200, NULL);
    ask(&w, REST_DELETE, "/associations/resources/b", NULL, 422, "Subject s in context .d is in read-only mode");
    ask(&w, REST_PUT, "/associations/resources/b", T("b", "{'subject':':.d:s','lifecycle':'STRONG'}"), 422, "42205");
    world_free(&w);
}

/* Whoever may not see a subject is not told that it is associated, nor its name. */
static void test_rights(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'subject':'secret','schema':" STRING "}"), 200, NULL);
    w.denied = "secret";
    size_t before = w.records;
    ask(&w, REST_GET, "/associations/resources/a", NULL, 200, "[]");
    ask(&w, REST_GET, "/associations/resources/ns/a", NULL, 200, "[]");
    ask(&w, REST_GET, "/associations/subjects/secret", NULL, 403, "40301");
    ask(&w, REST_POST, "/associations:batchGet", "{'requests':[{'resourceId':'a'}]}", 207,
        "{\"results\":[{\"result\":{\"resourceId\":\"a\",\"resourceType\":\"topic\"}}]}");
    ask(&w, REST_DELETE, "/associations/resources/a", NULL, 404, "40410");
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'subject':'mine','schema':" STRING "}"), 403,
        "\"message\":\"User is denied operation on Association: a\"");
    ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'lifecycle':'WEAK'}"), 403, "on Association: a\"");
    ask(&w, REST_PUT, "/associations/resources/b", T("b", "{'subject':'secret','schema':" STRING "}"), 403,
        "on Subject: secret");
    ask(&w, REST_POST, "/associations:batchMutate",
        "{'requests':[" T("a", "{'opType':'UPSERT','lifecycle':'WEAK'}") "]}", 207,
        "{\"results\":[{\"error\":{\"error_code\":40301,\"message\":\"User is denied operation on Association: "
        "a\"}}]}");
    assert_int_equal(w.records, before);
    world_free(&w);
}

/* The contract in force may make a schema incompatible that was not by itself: why is told as by any registration. */
static void test_refusals_show_nothing_unread(void **state)
{
    struct world w;
    static const char *const unread[] = {NULL, "s"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world_init(&w, 82);
        ask(&w, REST_PUT, "/config/s", "{'compatibilityGroup':'g'}", 200, NULL);
        ask(&w, REST_POST, "/subjects/s/versions", GROUPED(STRING_TEXT), 200, NULL);
        w.unread = unread[i];
        ask(&w, REST_PUT, "/associations/resources/a", T("a", "{'subject':'s','lifecycle':'STRONG','schema':" INT "}"),
            409, unread[i] ? "details: shown to those who may read it" : "oldSchema");
        world_free(&w);
    }
}

#define DELETED(version)                                                                                               \
    "{\"keytype\":\"SCHEMA\",\"subject\":\"s\",\"version\":" version ",\"magic\":1}",                                  \
        "{\"subject\":\"s\",\"version\":" version                                                                      \
        ",\"id\":1,\"schemaType\":\"AVRO\",\"schema\":\"\\\"string\\\"\",\"deleted\":true}"

/* Within a batch, versions go while they are counted: each softly deleted one with the new version's id does. */
static void test_all_older_versions_go(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 82);
    apply(&w.store, DELETED("1"), 1);
    apply(&w.store, DELETED("2"), 1);
    ask(&w, REST_PUT, "/config/s", "{'compatibility':'NONE'}", 200, NULL);
    ask(&w, REST_POST, "/associations:batchMutate",
        "{'requests':[" T("a",
                          "{'opType':'UPSERT','subject':'s','lifecycle':'STRONG','schema':" INT
                          "},{'opType':'DELETE'},{'opType':'UPSERT','subject':'s','lifecycle':'STRONG','schema':" STRING
                          "}") "]}",
        207, "{\"results\":[{\"result\"");
    const struct subject *u = store_subject(&w.store, slice_str("s"));
    assert_non_null(u);
    assert_null(subject_version(u, 1));
    assert_null(subject_version(u, 2));
    assert_int_equal(subject_latest(u, false)->version, 4);
    assert_int_equal(subject_latest(u, false)->id, 1);
    world_free(&w);
}

static void test_not_before_82(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 81);
    ask(&w, REST_GET, "/associations/resources/a", NULL, 404, "HTTP 404 Not Found");
    ask(&w, REST_POST, "/associations", T("a", "{'schema':" STRING "}"), 404, "HTTP 404 Not Found");
    ask(&w, REST_POST, "/associations:batchMutate", "{}", 404, "HTTP 404 Not Found");
    /* nor does one in the topic hold a subject */
    ask(&w, REST_POST, "/subjects/x/versions", STRING, 200, NULL);
    apply(&w.store, KEY("a", "x"), VALUE("a", "id1", "x", "STRONG", "false"), 1);
    ask(&w, REST_DELETE, "/subjects/x", NULL, 200, "[1]");
    world_free(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_the_references),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_overlays),
        cmocka_unit_test(test_create_update_delete),
        cmocka_unit_test(test_weak_and_strong),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_context_and_mode),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_refusals_show_nothing_unread),
        cmocka_unit_test(test_all_older_versions_go),
        cmocka_unit_test(test_not_before_82),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
