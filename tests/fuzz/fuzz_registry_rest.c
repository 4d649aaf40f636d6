/* SPDX-License-Identifier: Apache-2.0
 * Input: requests, one a line: METHOD TAB target TAB body TAB Content-Type TAB Accept (what is missing is empty),
 * played without a socket against a store in memory, twice: once with every record applied at once, once as the server
 * does it, with decisions taken on an overlay of records that are not applied yet. A line "COMMIT" applies them.
 *
 * Held: an answer has a status the OpenAPI description lists and the type it says, errors have the reference's shape;
 * what was registered is found by its id at once, and an id keeps its content while it is in use; the two ways answer
 * changes alike; every record written is understood, has the canonical key, and all of them replayed give the same
 * state. */
#include "registry/association.h"
#include "registry/http_negotiate.h"
#include "registry/json_text.h"
#include "registry/openapi.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

enum { REQUESTS_MAX = 40, MODELS = 50 };

struct record {
    struct buf key, value;
    bool tombstone;
};

struct records {
    struct record *list;
    size_t n;
};

struct world {
    struct api_settings settings;
    struct rest_server server;
    struct store store, overlay;
    bool lazy; /* decide on the overlay, apply at COMMIT */
    bool imported;
    struct records log;  /* everything written */
    struct records last; /* what the decision at hand emits */
    size_t applied;      /* of log, by store */
    struct map by_id;    /* context NUL id -> the guid it was given */
};

struct wish {
    enum rest_method method;
    struct slice target, body, content_type, accept;
};

/* --- records --- */

static void note(struct records *r, struct slice key, struct slice value)
{
    r->list = realloc(r->list, (r->n + 1) * sizeof *r->list);
    FUZZ_EXPECT(r->list);
    struct record *n = &r->list[r->n++];
    n->tombstone = slice_is_null(value);
    buf_init(&n->key, 0);
    buf_init(&n->value, 0);
    buf_put_slice(&n->key, key);
    buf_put_slice(&n->value, value);
}

static void forget(struct records *r)
{
    for (size_t i = 0; i < r->n; i++) {
        buf_free(&r->list[i].key);
        buf_free(&r->list[i].value);
    }
    free(r->list);
    *r = (struct records){0};
}

static void emit(void *ctx, struct slice key, struct slice value)
{
    note(ctx, key, value);
}

static void apply(struct store *s, const struct record *r, size_t offset)
{
    struct reason why;
    struct slice value = r->tombstone ? SLICE_NULL : slice_of(r->value.p ? r->value.p : (uint8_t *)"", r->value.n);
    FUZZ_EXPECT(store_apply(s, buf_slice(&r->key), value, 1000 + (int64_t)offset, &why) == ERR_OK);
}

static void commit(struct world *w)
{
    if (w->lazy) {
        store_free(&w->overlay);
        store_init(&w->overlay, &w->store);
    }
    while (w->applied < w->log.n) {
        apply(&w->store, &w->log.list[w->applied], w->applied);
        w->applied++;
    }
}

/* --- the state as text --- */

static bool put_subject(void *ctx, const struct subject *u)
{
    struct buf *out = ctx;
    json_text_print_string(out, u->name);
    for (size_t i = 0; i < u->n; i++) {
        const struct version *v = &u->versions[i];
        buf_printf(out, " %d:%d:%d:%lld:", (int)v->version, (int)v->id, v->deleted, (long long)v->timestamp_ms);
        guid_put(out, v->content->guid);
    }
    buf_put_str(out, "\n");
    return true;
}

struct lines {
    char **list;
    size_t n;
};

static void add_line(struct lines *l, struct buf *text)
{
    l->list = realloc(l->list, (l->n + 1) * sizeof *l->list);
    FUZZ_EXPECT(l->list && !buf_error(text));
    l->list[l->n++] = strdup(buf_cstr(text));
    buf_free(text);
}

struct context_lines {
    const struct store *s;
    struct lines *lines;
};

static bool put_context(void *ctx, struct slice context, bool declared)
{
    struct context_lines *c = ctx;
    struct buf b;
    buf_init(&b, 0);
    buf_put_str(&b, "context ");
    json_text_print_string(&b, context);
    buf_printf(&b, " %d %d", declared, (int)store_max_id(c->s, context));
    add_line(c->lines, &b);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_settings(const struct store *s, struct lines *lines)
{
    struct buf b;
    buf_init(&b, 0);
    for (struct map_entry *e = map_first(&s->configs); e; e = map_next(&s->configs, e)) {
        if (!store_config(s, map_key(e)))
            continue;
        buf_put_str(&b, "config ");
        json_text_print_string(&b, map_key(e));
        config_put_members(&b, store_config(s, map_key(e)), "level", true);
        add_line(lines, &b);
    }
    for (struct map_entry *e = map_first(&s->modes); e; e = map_next(&s->modes, e)) {
        if (store_mode(s, map_key(e)) == MODE_NONE)
            continue;
        buf_put_str(&b, "mode ");
        json_text_print_string(&b, map_key(e));
        buf_printf(&b, " %s", mode_name(store_mode(s, map_key(e))));
        add_line(lines, &b);
    }
}

static void put_associations(const struct store *s, struct lines *lines)
{
    struct association_query all = {.resource_name = slice_str(ASSOCIATION_ANY),
                                    .resource_namespace = slice_str(ASSOCIATION_ANY)};
    struct association_list found;
    FUZZ_EXPECT(association_find(s, &all, &found) == ERR_OK);
    for (size_t i = 0; i < found.n; i++) {
        struct buf b;
        buf_init(&b, 0);
        record_association_key(&b, found.v[i]);
        record_association_value(&b, found.v[i]);
        add_line(lines, &b);
        FUZZ_EXPECT(association_exists(s, found.v[i]->subject));
    }
    association_list_free(&found);
}

static void dump(const struct store *s, struct buf *out)
{
    struct lines lines = {0};
    struct context_lines c = {s, &lines};
    store_each_sorted(s, put_subject, out);
    store_each_context(s, put_context, &c);
    put_settings(s, &lines);
    put_associations(s, &lines);
    if (lines.n)
        qsort(lines.list, lines.n, sizeof *lines.list, by_text);
    for (size_t i = 0; i < lines.n; i++) {
        buf_printf(out, "%s\n", lines.list[i]);
        free(lines.list[i]);
    }
    free(lines.list);
    FUZZ_EXPECT(!buf_error(out));
}

/* --- the world --- */

static void world_init(struct world *w, int shape, bool lazy)
{
    *w = (struct world){.lazy = lazy};
    w->settings = (struct api_settings){.shape = shape,
                                        .mode_mutability = true,
                                        .schema_limit_default = 1000,
                                        .schema_limit_max = 1000,
                                        .list_limit_default = 1000,
                                        .list_limit_max = 1000,
                                        .models = model_cache_new(MODELS)};
    w->server = (struct rest_server){
        .store = &w->store, .settings = &w->settings, .cluster_id = slice_str("c"), .group_id = slice_str("g")};
    FUZZ_EXPECT(w->settings.models);
    store_init(&w->store, NULL);
    store_init(&w->overlay, &w->store);
    map_init(&w->by_id);
}

static void world_free(struct world *w)
{
    store_free(&w->overlay);
    store_free(&w->store);
    forget(&w->log);
    model_cache_free(w->settings.models);
    map_free(&w->by_id, free);
}

static void check_replay(struct world *w)
{
    struct store again;
    struct buf live, replayed;
    commit(w);
    FUZZ_EXPECT(map_count(&w->store.raw_keys) == 0 && w->store.skipped == 0);
    store_init(&again, NULL);
    for (size_t i = 0; i < w->log.n; i++)
        apply(&again, &w->log.list[i], i);
    buf_init(&live, 0);
    buf_init(&replayed, 0);
    dump(&w->store, &live);
    dump(&again, &replayed);
    FUZZ_EXPECT(slice_eq(buf_slice(&live), buf_slice(&replayed)));
    buf_free(&live);
    buf_free(&replayed);
    store_free(&again);
}

/* --- answers --- */

static bool is_status(int status)
{
    static const int known[] = {200, 204, 207, 400, 403, 404, 405, 406, 409, 413, 415, 422, 503};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == status)
            return true;
    return false;
}

/* What the description of the interface says this route answers. */
static bool is_described(enum rest_method method, const char *route, int status)
{
    static const char *const methods[] = {[REST_GET] = "get",       [REST_POST] = "post", [REST_PUT] = "put",
                                          [REST_DELETE] = "delete", [REST_OPTIONS] = "",  [REST_OTHER] = ""};
    static json_t *description;
    const char *path;
    json_t *item;
    char text[8];
    if (!description)
        description = json_loadb((const char *)registry_openapi, registry_openapi_n, 0, NULL);
    snprintf(text, sizeof text, "%d", status);
    json_object_foreach(json_object_get(description, "paths"), path, item)
    {
        const char *p = path + 1, *q = route;
        while (*p && *q && (*p == *q || (*p == '{' && *q == '*'))) {
            p = *p == '{' ? strchr(p, '}') + 1 : p + 1;
            q++;
        }
        if (!*p && !*q)
            return json_object_get(json_object_get(json_object_get(item, methods[method]), "responses"), text);
    }
    return false;
}

static void check_answer(const struct answer *a, const char *route)
{
    struct jvalue *v = NULL;
    struct arena arena;
    size_t route_n = strlen(route);
    bool raw = route_n > 7 && !strcmp(route + route_n - 7, "/schema"); /* a schema's text, Protobuf too */
    FUZZ_EXPECT(!buf_error(&a->body) && is_status(a->status));
    if (!a->error_code && (raw || a->content_type || a->status == 204 || a->allow)) /* OPTIONS has no body */
        return;
    arena_init(&arena, 0);
    FUZZ_EXPECT(json_text_parse(&v, buf_slice(&a->body), &arena, NULL) == ERR_OK);
    if (a->error_code) {
        const struct jvalue *code = json_text_get_str(v, "error_code"), *text = json_text_get_str(v, "message");
        int status = a->error_code;
        while (status >= 1000)
            status /= 10;
        FUZZ_EXPECT(v->n == 2 && code && code->kind == J_NUMBER && text && text->kind == J_STRING);
        FUZZ_EXPECT(status == a->status);
    } else {
        FUZZ_EXPECT(a->status == 200 || a->status == 207 || a->status == 503);
    }
    arena_free(&arena);
}

/* An id keeps its content: for ever, unless an import chose ids; then as long as it is in use. */
static void check_registered(struct world *w, struct slice subject, const struct answer *a)
{
    json_error_t at;
    struct buf key;
    struct slice context = subject_parse(subject).context;
    const struct store *s = w->lazy ? &w->overlay : &w->store;
    json_t *body = json_loadb((const char *)a->body.p, a->body.n, JSON_ALLOW_NUL, &at);
    int32_t id = (int32_t)json_integer_value(json_object_get(body, "id"));
    const struct content *c = store_by_id(s, context, id);
    FUZZ_EXPECT(json_is_integer(json_object_get(body, "id")) && c && store_id_of(s, context, c) >= 0);
    json_t *text = json_object_get(body, "schema");
    FUZZ_EXPECT(!text || slice_eq(c->text, slice_of(json_string_value(text), json_string_length(text))));
    json_decref(body);
    buf_init(&key, 0);
    buf_put_slice(&key, context);
    buf_u8(&key, 0);
    buf_u32(&key, (uint32_t)id);
    uint8_t *guid = malloc(GUID_SIZE), *old = map_get(&w->by_id, buf_slice(&key));
    FUZZ_EXPECT(guid && (!old || w->imported || !memcmp(old, c->guid, GUID_SIZE)));
    memcpy(guid, c->guid, GUID_SIZE);
    FUZZ_EXPECT(map_put(&w->by_id, buf_slice(&key), guid, (void **)&old) == ERR_OK);
    free(old);
    buf_free(&key);
}

/* --- playing --- */

static void decide(struct world *w, struct change *c, bool register_version)
{
    struct answer *a = c->answer;
    enum err e = change_decide(c, w->lazy ? &w->overlay : &w->store, &w->settings, emit, &w->last);
    bool settle = false;
    FUZZ_EXPECT(e == ERR_OK || (e == ERR_CONFLICT && a->error_code));
    for (size_t i = 0; !e && i < w->last.n; i++) {
        const struct record *r = &w->last.list[i];
        note(&w->log, buf_slice(&r->key), r->tombstone ? SLICE_NULL : buf_slice(&r->value));
        if (w->lazy)
            apply(&w->overlay, r, w->log.n - 1);
        /* aliases are looked up before the decision, so a configuration is not left waiting */
        settle |= r->key.n > 20 && memmem(r->key.p, r->key.n, "\"CONFIG\"", 8);
    }
    forget(&w->last);
    if (!w->lazy || settle)
        commit(w);
    w->imported |= c->kind == CHANGE_REGISTER && c->draft.id >= 0;
    if (!e && register_version)
        check_registered(w, c->subject, a);
}

/* As http.c does it. The answer is the caller's; true when it came from a decision. */
static bool play(struct world *w, const struct wish *q, struct answer *a)
{
    struct rest_request r;
    struct change *change = NULL;
    const struct rest_route *route = NULL;
    char accept[256], type[256];
    bool decided = false;
    snprintf(accept, sizeof accept, "%.*s", SLICE_FMT(q->accept));
    snprintf(type, sizeof type, "%.*s", SLICE_FMT(q->content_type));
    rest_request_init(&r);
    r.method = q->method;
    enum err e = rest_request_target(&r, q->target, a);
    if (!e)
        route = rest_route(&r, a);
    bool picky = route && !rest_route_is_public(route) && strcmp(rest_route_name(route), "metrics") != 0;
    if (picky && !http_answer_type(accept))
        e = answer_error(a, 406, "HTTP 406 Not Acceptable");
    int status = picky ? http_type_status(*type ? type : NULL) : 200;
    if (!e && status != 200)
        e = answer_error(a, status, "the media type is not served");
    if (!e && route) {
        r.body = q->body;
        if (strstr(rest_route_name(route), "/tags"))
            commit(w); /* they are read before the decision */
        rest_run(route, &w->server, &r, a, &change);
    }
    if (change) {
        decided = true;
        decide(w, change, !strcmp(rest_route_name(route), "subjects/*/versions"));
    }
    FUZZ_EXPECT(route || a->error_code || q->method == REST_OPTIONS);
    FUZZ_EXPECT(!route || is_described(q->method, rest_route_name(route), a->status));
    check_answer(a, route ? rest_route_name(route) : "");
    rest_change_free(change);
    rest_request_free(&r);
    return decided;
}

static struct slice cut(struct slice *rest, char mark)
{
    const uint8_t *at = rest->n ? memchr(rest->p, mark, rest->n) : NULL;
    size_t n = at ? (size_t)(at - rest->p) : rest->n;
    struct slice part = slice_of(rest->p, n);
    *rest = at ? slice_of(at + 1, rest->n - n - 1) : slice_of(rest->p + n, 0);
    return part;
}

static struct wish read_wish(struct slice line)
{
    struct wish q;
    char method[16];
    struct slice name = cut(&line, '\t');
    snprintf(method, sizeof method, "%.*s", SLICE_FMT(name));
    q.method = http_method(method);
    q.target = cut(&line, '\t');
    q.body = cut(&line, '\t');
    q.content_type = cut(&line, '\t');
    q.accept = cut(&line, '\t');
    return q;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int shapes[] = {79, 80, 81, 82};
    struct slice rest = slice_of(data ? data : (const uint8_t *)"", size);
    int shape = shapes[size % 4];
    bool alike = true; /* until one finds registered what a waiting deletion has taken from the other */
    struct world plain, lazy;
    world_init(&plain, shape, false);
    world_init(&lazy, shape, true);
    for (int i = 0; rest.n && i < REQUESTS_MAX; i++) {
        struct slice line = cut(&rest, '\n');
        struct answer one, two;
        if (slice_eq_str(line, "COMMIT")) {
            commit(&lazy);
            continue;
        }
        struct wish q = read_wish(line);
        answer_init(&one);
        answer_init(&two);
        bool decided = play(&plain, &q, &one);
        alike &= play(&lazy, &q, &two) == decided;
        if (decided && alike)
            FUZZ_EXPECT(one.status == two.status && slice_eq(buf_slice(&one.body), buf_slice(&two.body)));
        answer_free(&one);
        answer_free(&two);
    }
    check_replay(&plain);
    check_replay(&lazy);
    world_free(&plain);
    world_free(&lazy);
    return 0;
}
