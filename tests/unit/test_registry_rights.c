/* SPDX-License-Identifier: Apache-2.0
 * Who may what in the registry: which right on which subject every route asks for, as a golden file, so that a silent
 * change fails; and the rules at work over a store with contexts, aliases and references.
 * UPDATE_GOLDEN=1 writes the golden file anew. */
#include "registry/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GOLDEN TEST_SOURCE "/tests/golden/registry_rights.txt"

/* --- a registry with something in it --- */

struct world {
    struct store store;
    struct api_settings settings;
    struct rest_server server;
};

#define SCHEMA_KEY(subject, version)                                                                                   \
    "{\"keytype\":\"SCHEMA\",\"subject\":\"" subject "\",\"version\":" #version ",\"magic\":1}"
#define AVRO(subject, version, id, schema, more)                                                                       \
    "{\"subject\":\"" subject "\",\"version\":" #version ",\"id\":" #id ",\"schemaType\":\"AVRO\"" more                \
    ",\"schema\":\"" schema "\",\"deleted\":false}"
#define RECORD(name, type)                                                                                             \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"" name                                                              \
    "\\\",\\\"fields\\\":[{\\\"name\\\":\\\"f\\\",\\\"type\\\":\\\"" type "\\\"}]}"

static const char *const world_records[][2] = {
    {"{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".ctx\",\"magic\":0}",
     "{\"tenant\":\"default\",\"context\":\".ctx\"}"},
    {"{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".dark\",\"magic\":0}",
     "{\"tenant\":\"default\",\"context\":\".dark\"}"},
    {SCHEMA_KEY("orders-value", 1), AVRO("orders-value", 1, 1, "\\\"string\\\"", "")},
    {SCHEMA_KEY("orders-key", 1), AVRO("orders-key", 1, 2, "\\\"int\\\"", "")},
    {SCHEMA_KEY("common", 1), AVRO("common", 1, 3, RECORD("Common", "int"), "")},
    {SCHEMA_KEY("uses", 1), AVRO("uses", 1, 4, RECORD("Uses", "Common"),
                                 ",\"references\":[{\"name\":\"Common\",\"subject\":\"common\",\"version\":1}]")},
    {SCHEMA_KEY("secret", 1), AVRO("secret", 1, 5, "\\\"bytes\\\"", "")},
    {SCHEMA_KEY("shared-a", 1), AVRO("shared-a", 1, 6, "\\\"long\\\"", "")},
    {SCHEMA_KEY("shared-b", 1), AVRO("shared-b", 1, 6, "\\\"long\\\"", "")},
    {SCHEMA_KEY(":.ctx:c", 1), AVRO(":.ctx:c", 1, 1, "\\\"double\\\"", "")},
    {SCHEMA_KEY(":.dark:d", 1), AVRO(":.dark:d", 1, 1, "\\\"float\\\"", "")},
    {"{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".gone\",\"magic\":0}",
     "{\"tenant\":\"default\",\"context\":\".gone\"}"},
    {SCHEMA_KEY(":.gone:g", 1), AVRO(":.gone:g", 1, 1, "\\\"boolean\\\"", "")},
    {"{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\":.gone:g\",\"magic\":0}",
     "{\"subject\":\":.gone:g\",\"version\":1}"},
    {"{\"keytype\":\"CONFIG\",\"subject\":\"nick\",\"magic\":0}", "{\"subject\":\"nick\",\"alias\":\"secret\"}"},
    {"{\"keytype\":\"CONFIG\",\"subject\":\"orders-value\",\"magic\":0}",
     "{\"subject\":\"orders-value\",\"compatibilityLevel\":\"FULL\"}"},
    {"{\"keytype\":\"MODE\",\"subject\":\"orders-value\",\"magic\":0}",
     "{\"subject\":\"orders-value\",\"mode\":\"READWRITE\"}"},
    {"{\"keytype\":\"MODE\",\"subject\":\":.ctx:c\",\"magic\":0}", "{\"subject\":\":.ctx:c\",\"mode\":\"READWRITE\"}"},
    {"{\"keytype\":\"MODE\",\"subject\":\":.ctx:\",\"magic\":0}", "{\"subject\":\":.ctx:\",\"mode\":\"READWRITE\"}"},
};

static void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    store_init(&w->store, NULL);
    w->settings = (struct api_settings){.shape = 81,
                                        .mode_mutability = true,
                                        .schema_limit_default = 1000,
                                        .schema_limit_max = 1000,
                                        .list_limit_default = 1000,
                                        .list_limit_max = 1000,
                                        .models = model_cache_new(100)};
    for (size_t i = 0; i < sizeof world_records / sizeof *world_records; i++) {
        struct reason why = {0};
        if (store_apply(&w->store, slice_str(world_records[i][0]), slice_str(world_records[i][1]), 1, &why))
            fail_msg("%s: %s", world_records[i][0], why.text);
    }
    w->server = (struct rest_server){.store = &w->store, .settings = &w->settings};
}

static void world_free(struct world *w)
{
    store_free(&w->store);
    model_cache_free(w->settings.models);
}

typedef bool (*allowed_fn)(void *ctx, enum rest_right right, struct slice subject);

/* `target` is path and query. The status, with error code and body; "change SUBJECT" when it goes on to the ledger. */
static void ask(struct world *w, enum rest_method method, const char *target, const char *body, allowed_fn allowed,
                void *ctx, struct buf *out)
{
    struct rest_request r;
    struct answer a;
    struct change *c = NULL;
    rest_request_init(&r);
    answer_init(&a);
    r.method = method;
    r.allowed = allowed;
    r.allowed_ctx = ctx;
    if (!rest_request_target(&r, slice_str(target), &a)) {
        r.body = slice_str(body ? body : "");
        const struct rest_route *route = rest_route(&r, &a);
        if (route)
            rest_run(route, &w->server, &r, &a, &c);
    }
    if (c)
        buf_printf(out, "change %.*s", SLICE_FMT(c->subject));
    else
        buf_printf(out, "%d %.*s", a.error_code ? a.error_code : a.status, SLICE_FMT(buf_slice(&a.body)));
    rest_change_free(c);
    answer_free(&a);
    rest_request_free(&r);
}

/* --- the golden file --- */

struct asked {
    struct buf text; /* "READ orders-value, ..." */
    bool answer;
};

static bool note(void *ctx, enum rest_right right, struct slice subject)
{
    struct asked *k = ctx;
    char one[256];
    snprintf(one, sizeof one, "%s %.*s", right == RIGHT_SEE_CONFIG ? "SEE_CONFIG" : rest_right_name(right),
             SLICE_FMT(slice_is_null(subject) || !subject.n ? slice_str(RIGHTS_GLOBAL) : subject));
    if (!k->text.n || !memmem(k->text.p, k->text.n, one, strlen(one)))
        buf_printf(&k->text, "%s%s", k->text.n ? ", " : "", one);
    return k->answer;
}

/* The route's pattern with names the world has. */
static void put_target(const struct world *w, struct buf *out, const char *pattern)
{
    static const char *const names[][2] = {
        {"subjects/*", "orders-value"}, {"versions/*", "1"},        {"schemas/ids/*", "1"},
        {"config/*", "orders-value"},   {"mode/*", "orders-value"}, {"contexts/*", ".ctx"},
    };
    buf_put_str(out, "/");
    for (const char *at = pattern; *at; at++) {
        const char *name = "x";
        if (*at != '*') {
            buf_u8(out, (uint8_t)*at);
            continue;
        }
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            size_t n = strlen(names[i][0]);
            if ((size_t)(at - pattern) + 1 >= n && !strncmp(at + 1 - n, names[i][0], n))
                name = names[i][1];
        }
        if (at - pattern >= 6 && !strncmp(at - 6, "guids/", 6))
            guid_put(out, subject_version(store_subject(&w->store, slice_str("orders-value")), 1)->content->guid);
        else
            buf_put_str(out, name);
    }
}

static const char every_body[] = "{\"schema\":\"" RECORD(
    "Uses", "Common") "\",\"references\":[{\"name\":\"Common\",\"subject\":\"common\",\"version\":1}],"
                      "\"compatibility\":\"NONE\",\"mode\":\"READONLY\"}";

static void put_route(struct world *w, const struct rest_route *route, struct buf *out)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "OTHER"};
    struct asked yes = {.answer = true}, no = {.answer = false};
    struct buf target, answer;
    buf_init(&yes.text, 0);
    buf_init(&no.text, 0);
    buf_init(&target, 0);
    buf_init(&answer, 0);
    put_target(w, &target, rest_route_name(route));
    enum rest_method m = rest_route_method(route);
    const char *body = m == REST_POST || m == REST_PUT ? every_body : NULL;
    ask(w, m, buf_cstr(&target), body, note, &yes, &answer);
    buf_clear(&answer);
    ask(w, m, buf_cstr(&target), body, note, &no, &answer);
    bool is_public = rest_route_is_public(route);
    buf_printf(out, "%s /%s\n    asks: %s\n", methods[m], rest_route_name(route),
               is_public    ? "nothing, of nobody"
               : yes.text.n ? buf_cstr(&yes.text)
                            : "to be known");
    if (yes.text.n)
        buf_printf(out, "    without: %.100s\n", buf_cstr(&answer));
    buf_free(&yes.text);
    buf_free(&no.text);
    buf_free(&target);
    buf_free(&answer);
}

static void every_route_asks_what_is_agreed(void **state)
{
    struct world w;
    struct buf got, want;
    (void)state;
    world_init(&w);
    buf_init(&got, 0);
    buf_init(&want, 0);
    buf_put_str(&got,
                "# Which right on which subject each route of the registry asks for, and what is answered to one who\n"
                "# has none. Written by UPDATE_GOLDEN=1 test_registry_rights; a difference is a change of who may.\n");
    for (size_t i = 0; rest_route_at(i); i++)
        put_route(&w, rest_route_at(i), &got);
    FILE *f = fopen(GOLDEN, getenv("UPDATE_GOLDEN") ? "w" : "r");
    assert_non_null(f);
    if (getenv("UPDATE_GOLDEN")) {
        fwrite(got.p, 1, got.n, f);
    } else {
        uint8_t *p = buf_grow(&want, 1 << 20);
        want.n = fread(p, 1, 1 << 20, f);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
    }
    fclose(f);
    buf_free(&got);
    buf_free(&want);
    world_free(&w);
}

/* --- rules at work --- */

static void add_rule(struct acl_set *set, enum acl_permission permission, const char *principal,
                     enum acl_operation operation, enum acl_pattern pattern, const char *name)
{
    struct acl_rule r = {.type = ACL_SUBJECT,
                         .pattern = pattern,
                         .operation = operation,
                         .permission = permission,
                         .name = slice_str(name),
                         .principal = slice_str(principal),
                         .host = slice_str("*")};
    assert_int_equal(acl_set_add(set, &r, NULL, NULL), ERR_OK);
}

struct asker {
    const struct acl_snapshot *s;
    const char *principal;
};

static bool by_rules(void *ctx, enum rest_right right, struct slice subject)
{
    const struct asker *a = ctx;
    return rights_allow(a->s, slice_str(a->principal), slice_str("127.0.0.1"), right, subject);
}

static struct acl_snapshot *rules(void)
{
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *s = NULL;
    struct acl_options options = {.super_users = slice_str("User:root")};
    /* literal, prefixed, wildcard */
    add_rule(set, ACL_ALLOW, "User:lit", ACL_READ, ACL_LITERAL, "orders-value");
    add_rule(set, ACL_ALLOW, "User:pre", ACL_ALL, ACL_PREFIXED, "orders-");
    add_rule(set, ACL_ALLOW, "User:any", ACL_ALL, ACL_LITERAL, "*");
    add_rule(set, ACL_DENY, "User:any", ACL_ALL, ACL_LITERAL, "secret");
    add_rule(set, ACL_DENY, "User:any", ACL_READ, ACL_PREFIXED, ":.dark:");
    /* contexts */
    add_rule(set, ACL_ALLOW, "User:ctx", ACL_ALL, ACL_PREFIXED, ":.ctx:");
    /* references and aliases */
    add_rule(set, ACL_ALLOW, "User:dev", ACL_ALL, ACL_LITERAL, "uses");
    add_rule(set, ACL_ALLOW, "User:dev", ACL_ALL, ACL_LITERAL, "nick");
    add_rule(set, ACL_ALLOW, "User:ref", ACL_ALL, ACL_LITERAL, "uses");
    add_rule(set, ACL_ALLOW, "User:ref", ACL_READ, ACL_LITERAL, "common");
    /* one right each */
    add_rule(set, ACL_ALLOW, "User:w", ACL_WRITE, ACL_LITERAL, "orders-value");
    add_rule(set, ACL_ALLOW, "User:d", ACL_DELETE, ACL_LITERAL, "orders-value");
    add_rule(set, ACL_ALLOW, "User:dc", ACL_DESCRIBE_CONFIGS, ACL_LITERAL, "orders-value");
    add_rule(set, ACL_ALLOW, "User:ac", ACL_ALTER_CONFIGS, ACL_LITERAL, "orders-value");
    add_rule(set, ACL_ALLOW, "User:ac", ACL_ALTER_CONFIGS, ACL_LITERAL, ":.ctx:");
    add_rule(set, ACL_ALLOW, "User:acs", ACL_ALTER_CONFIGS, ACL_PREFIXED, ":.ctx:");
    add_rule(set, ACL_ALLOW, "User:gone", ACL_ALTER_CONFIGS, ACL_PREFIXED, ":.gone:");
    add_rule(set, ACL_ALLOW, "User:g", ACL_ALTER_CONFIGS, ACL_LITERAL, "__GLOBAL");
    add_rule(set, ACL_ALLOW, "User:b", ACL_READ, ACL_LITERAL, "shared-b");
    assert_int_equal(acl_snapshot_build(&s, set, &options, NULL), ERR_OK);
    acl_set_free(set);
    return s;
}

#define STRING_BODY "{\"schema\":\"\\\"string\\\"\"}"
#define FLOAT_BODY  "{\"schema\":\"\\\"float\\\"\"}"

static void the_rules_decide(void **state)
{
    /* `want` begins the answer; a leading '!' says what it must not hold */
    static const struct {
        const char *who;
        enum rest_method method;
        const char *target, *body, *want;
    } cases[] = {
        /* literal, prefixed, wildcard, deny, nobody */
        {"lit", REST_GET, "/subjects/orders-value/versions/1", NULL, "200"},
        {"lit", REST_GET, "/subjects/orders-key/versions/1", NULL, "40301"},
        {"pre", REST_GET, "/subjects/orders-key/versions/1", NULL, "200"},
        {"pre", REST_GET, "/subjects/secret/versions/1", NULL, "40301"},
        {"any", REST_GET, "/subjects/orders-key/versions/1", NULL, "200"},
        {"any", REST_GET, "/subjects/secret/versions/1", NULL, "40301"},
        {"root", REST_GET, "/subjects/secret/versions/1", NULL, "200"},
        {"nobody", REST_GET, "/subjects/orders-value/versions/1", NULL,
         "40301 {\"error_code\":40301,\"message\":\"User is denied operation on Subject: orders-value\"}"},
        {"nobody", REST_GET, "/subjects/no-such/versions/1", NULL, "40301"}, /* nothing tells whether it exists */
        {"any", REST_GET, "/subjects/no-such/versions/1", NULL, "40401"},
        /* another way to write the same name is the same subject */
        {"any", REST_GET, "/subjects/:.:secret/versions/1", NULL, "40301"},
        {"any", REST_GET, "/contexts/.dark/subjects/d/versions/1", NULL, "40301"},
        {"any", REST_GET, "/subjects/:.dark:d/versions/1", NULL, "40301"},
        /* one right is not another */
        {"lit", REST_POST, "/subjects/orders-value/versions", FLOAT_BODY, "40301"},
        {"lit", REST_DELETE, "/subjects/orders-value", NULL, "40301"},
        {"lit", REST_PUT, "/config/orders-value", "{\"compatibility\":\"NONE\"}", "40301"},
        {"w", REST_POST, "/subjects/orders-value/versions", FLOAT_BODY, "change orders-value"},
        {"w", REST_GET, "/subjects/orders-value/versions/1", NULL, "40301"},
        {"w", REST_POST, "/compatibility/subjects/orders-value/versions/1", FLOAT_BODY, "40301"},
        {"w", REST_DELETE, "/subjects/orders-value/versions/1", NULL, "40301"},
        {"d", REST_DELETE, "/subjects/orders-value/versions/1", NULL, "change orders-value"},
        {"d", REST_POST, "/subjects/orders-value/versions", FLOAT_BODY, "40301"},
        {"dc", REST_GET, "/config/orders-value", NULL, "200 {\"compatibilityLevel\":\"FULL\"}"},
        {"dc", REST_PUT, "/config/orders-value", "{\"compatibility\":\"NONE\"}", "40301"},
        {"lit", REST_GET, "/mode/orders-value", NULL, "200"},
        {"ac", REST_PUT, "/mode/orders-value", "{\"mode\":\"READONLY\"}", "change orders-value"},
        {"ac", REST_PUT, "/mode", "{\"mode\":\"READONLY\"}", "40301"},
        {"g", REST_PUT, "/mode", "{\"mode\":\"READONLY\"}", "change"},
        {"nobody", REST_GET, "/config", NULL, "200"},
        /* lists */
        {"nobody", REST_GET, "/subjects", NULL, "200 []"},
        {"lit", REST_GET, "/subjects", NULL, "200 [\"orders-value\"]"},
        {"pre", REST_GET, "/subjects", NULL, "200 [\"orders-key\",\"orders-value\"]"},
        {"any", REST_GET, "/subjects", NULL, "200 [\":.ctx:c\",\":.dark:d\",\"common\""}, /* DENY READ is no more */
        {"any", REST_GET, "/subjects", NULL, "!secret"},
        {"w", REST_GET, "/subjects", NULL, "200 [\"orders-value\"]"},
        {"w", REST_GET, "/schemas", NULL, "200 []"},
        {"lit", REST_GET, "/schemas", NULL, "200 [{\"subject\":\"orders-value\""},
        {"any", REST_GET, "/schemas", NULL, "!secret"},
        {"any", REST_GET, "/schemas", NULL, "!float"},
        {"nobody", REST_GET, "/contexts", NULL, "200 [\".\"]"},
        {"ctx", REST_GET, "/contexts", NULL, "200 [\".\",\".ctx\"]"},
        {"root", REST_GET, "/contexts", NULL, "200 [\".\",\".ctx\",\".dark\",\".gone\"]"},
        /* contexts */
        {"ctx", REST_GET, "/contexts/.ctx/subjects/c/versions/1", NULL, "200"},
        {"ctx", REST_GET, "/subjects/:.ctx:c/versions/1", NULL, "200"},
        {"ctx", REST_GET, "/subjects/orders-value/versions/1", NULL, "40301"},
        {"ctx", REST_POST, "/contexts/.ctx/subjects/new/versions", FLOAT_BODY, "change :.ctx:new"},
        {"ctx", REST_POST, "/subjects/new/versions", FLOAT_BODY, "40301"},
        {"ctx", REST_DELETE, "/contexts/.ctx", NULL, "change :.ctx:"},
        {"pre", REST_DELETE, "/contexts/.ctx", NULL, "40301"},
        /* ids, only through a subject that may be read */
        {"lit", REST_GET, "/schemas/ids/1", NULL, "200"},
        {"lit", REST_GET, "/schemas/ids/2", NULL, "40301"},
        {"lit", REST_GET, "/schemas/ids/5/schema", NULL, "40301"},
        {"nobody", REST_GET, "/schemas/ids/1", NULL, "40301"},
        {"b", REST_GET, "/schemas/ids/6", NULL, "200"},
        {"b", REST_GET, "/schemas/ids/6/subjects", NULL, "200 [\"shared-b\"]"},
        {"b", REST_GET, "/schemas/ids/6/versions", NULL, "200 [{\"subject\":\"shared-b\",\"version\":1}]"},
        {"ctx", REST_GET, "/contexts/.ctx/schemas/ids/1", NULL, "200 {\"subject\":\":.ctx:c\",\"version\":1"},
        {"any", REST_GET, "/contexts/.dark/schemas/ids/1", NULL, "40301"},
        {"any", REST_GET, "/schemas/ids/1?subject=:.dark:d", NULL, "40301"},
        /* lookups find nothing that may not be read, also where a name is looked for in other contexts */
        {"any", REST_POST, "/subjects/secret", "{\"schema\":\"\\\"bytes\\\"\"}", "40301"},
        {"any", REST_POST, "/subjects/d", FLOAT_BODY, "40401"},
        {"any", REST_GET, "/subjects/d/versions/1", NULL, "40401"},
        {"root", REST_POST, "/subjects/d", FLOAT_BODY, "200"},
        /* an alias grants nothing: nick stands for secret */
        {"dev", REST_GET, "/subjects/nick/versions/1", NULL, "40301"},
        {"dev", REST_POST, "/subjects/nick/versions", FLOAT_BODY, "40301"},
        {"dev", REST_DELETE, "/subjects/nick", NULL, "40301"},
        {"dev", REST_POST, "/subjects/nick", "{\"schema\":\"\\\"bytes\\\"\"}", "40301"},
        {"dev", REST_GET, "/schemas/ids/5?subject=nick", NULL, "40301"},
        {"root", REST_GET, "/subjects/nick/versions/1", NULL, "200"},
        /* a reference needs READ on what it names */
        {"dev", REST_POST, "/subjects/uses/versions", every_body, "40301"},
        {"ref", REST_POST, "/subjects/uses/versions", every_body, "200"},
        {"dev", REST_POST, "/compatibility/subjects/uses/versions", every_body, "40301"},
        {"ref", REST_POST, "/compatibility/subjects/uses/versions", every_body, "200"},
        {"dev", REST_POST, "/subjects/uses", every_body, "40301"},
        {"ref", REST_POST, "/subjects/uses", every_body, "200"},
        {"dev", REST_GET, "/subjects/uses/versions/1", NULL, "200"},
        {"dev", REST_GET, "/subjects/uses/versions/1?format=resolved", NULL, "40301"},
        {"ref", REST_GET, "/subjects/uses/versions/1?format=resolved", NULL, "200"},
        {"dev", REST_GET, "/schemas/ids/4?format=resolved", NULL, "40301"},
        {"dev", REST_GET, "/subjects/uses/versions/1/schema?format=resolved", NULL, "40301"},
        /* what stands below a scope */
        {"ac", REST_DELETE, "/mode/:.ctx:", NULL, "change :.ctx:"},
        {"ac", REST_DELETE, "/mode/:.ctx:?recursive=true", NULL, "40301"},
        {"acs", REST_DELETE, "/mode/:.ctx:?recursive=true", NULL, "change :.ctx:"},
        {"g", REST_DELETE, "/mode?recursive=true", NULL, "40301"},
        {"root", REST_DELETE, "/mode?recursive=true", NULL, "change"},
        /* IMPORT deletes for good what is softly deleted */
        {"gone", REST_PUT, "/mode/:.gone:", "{\"mode\":\"IMPORT\"}", "40301"},
        {"gone", REST_PUT, "/mode/:.gone:g", "{\"mode\":\"IMPORT\"}", "40301"},
        {"gone", REST_PUT, "/mode/:.gone:?force=true", "{\"mode\":\"IMPORT\"}", "change :.gone:"},
        {"gone", REST_PUT, "/mode/:.gone:", "{\"mode\":\"READONLY\"}", "change :.gone:"},
        {"root", REST_PUT, "/mode/:.gone:", "{\"mode\":\"IMPORT\"}", "change :.gone:"},
    };
    struct world w;
    struct acl_snapshot *s = rules();
    bool failed = false;
    (void)state;
    world_init(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char principal[32];
        struct buf got;
        struct asker who = {s, principal};
        snprintf(principal, sizeof principal, "User:%s", cases[i].who);
        buf_init(&got, 0);
        ask(&w, cases[i].method, cases[i].target, cases[i].body, by_rules, &who, &got);
        const char *want = cases[i].want;
        bool good = *want == '!' ? !strstr(buf_cstr(&got), want + 1) : !strncmp(buf_cstr(&got), want, strlen(want));
        if (!good)
            print_error("%s %s: %s, not %s\n", principal, cases[i].target, buf_cstr(&got), want);
        buf_free(&got);
        failed = failed || !good;
    }
    acl_snapshot_unref(s);
    world_free(&w);
    assert_false(failed);
}

/* A guid is reached through any context with a subject that may be read, and shows no others. */
static void guids_are_reached_through_subjects(void **state)
{
    struct world w;
    struct acl_snapshot *s = rules();
    const struct version *v;
    struct buf target, got;
    static const struct {
        const char *who, *want;
    } cases[] = {{"User:lit", "200"}, {"User:ctx", "40301"}, {"User:nobody", "40301"}, {"User:root", "200"}};
    (void)state;
    world_init(&w);
    v = subject_version(store_subject(&w.store, slice_str("orders-value")), 1);
    buf_init(&target, 0);
    buf_init(&got, 0);
    buf_put_str(&target, "/schemas/guids/");
    guid_put(&target, v->content->guid);
    for (int ids = 0; ids < 2; ids++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct asker who = {s, cases[i].who};
            ask(&w, REST_GET, buf_cstr(&target), NULL, by_rules, &who, &got);
            if (strncmp(buf_cstr(&got), cases[i].want, strlen(cases[i].want)))
                fail_msg("%s %s: %s", cases[i].who, buf_cstr(&target), buf_cstr(&got));
            buf_clear(&got);
        }
        buf_put_str(&target, "/ids");
    }
    buf_free(&target);
    buf_free(&got);
    acl_snapshot_unref(s);
    world_free(&w);
}

static void ignore(void *ctx, struct slice key, struct slice value)
{
    (void)ctx, (void)key, (void)value;
}

/* Who may write but not read learns that a schema does not fit, and nothing of the one it does not fit. */
static void refusals_show_nothing_unread(void **state)
{
    struct world w;
    struct acl_snapshot *s = rules();
    static const char *const who[] = {"User:w", "User:root"};
    (void)state;
    world_init(&w);
    for (size_t i = 0; i < 2; i++) {
        struct asker asker = {s, who[i]};
        struct rest_request r;
        struct answer a;
        struct change *c = NULL;
        rest_request_init(&r);
        answer_init(&a);
        r.method = REST_POST;
        r.allowed = by_rules;
        r.allowed_ctx = &asker;
        assert_int_equal(rest_request_target(&r, slice_str("/subjects/orders-value/versions"), &a), ERR_OK);
        r.body = slice_str(FLOAT_BODY);
        rest_run(rest_route(&r, &a), &w.server, &r, &a, &c);
        assert_non_null(c);
        assert_int_equal(change_decide(c, &w.store, &w.settings, ignore, NULL), ERR_CONFLICT);
        assert_int_equal(a.status, 409);
        assert_true(!strstr(buf_cstr(&a.body), "oldSchema") == (i == 0));
        rest_change_free(c);
        answer_free(&a);
        rest_request_free(&r);
    }
    acl_snapshot_unref(s);
    world_free(&w);
}

/* What answers with an earlier version's text, or takes over what that says, needs READ of it; editing the tags of a
 * version needs it of what the version refers to, like registering the same by hand. */
static bool not_read(void *ctx, enum rest_right right, struct slice subject)
{
    return right != RIGHT_READ || !slice_eq_str(subject, ctx);
}

static void what_is_shown_needs_read(void **state)
{
    struct world w;
    static const struct {
        const char *target, *body, *unread, *want;
    } cases[] = {
        {"/subjects/uses/versions", "{}", "uses", "40301"},
        {"/subjects/uses/versions", "{\"schema\":\" \"}", "uses", "40301"},
        {"/subjects/uses/versions", "{\"schema\":\"\\\"int\\\"\",\"propagateSchemaTags\":true}", "uses", "40301"},
        {"/subjects/uses/versions", "{\"schema\":\"\\\"int\\\"\"}", "uses", "change uses"},
        {"/subjects/uses/versions/1/tags", "{}", "uses", "40301"},
        {"/subjects/uses/versions/9/tags", "{}", "uses", "40301"},
        {"/subjects/uses/versions/1/tags", "{}", "common", "40301"},
        {"/subjects/uses/versions/1/tags", "{}", "secret", "change uses"},
    };
    (void)state;
    world_init(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf got;
        buf_init(&got, 0);
        ask(&w, REST_POST, cases[i].target, cases[i].body, not_read, (void *)(uintptr_t)cases[i].unread, &got);
        if (strncmp(buf_cstr(&got), cases[i].want, strlen(cases[i].want)))
            fail_msg("%s %s without %s: %s", cases[i].target, cases[i].body, cases[i].unread, buf_cstr(&got));
        buf_free(&got);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_asks_what_is_agreed),    cmocka_unit_test(the_rules_decide),
        cmocka_unit_test(guids_are_reached_through_subjects), cmocka_unit_test(refusals_show_nothing_unread),
        cmocka_unit_test(what_is_shown_needs_read),
    };
    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
