/* SPDX-License-Identifier: Apache-2.0
 * Lookup, compatibility, configuration, modes, contexts, metadata and health: the reads that are not a lookup by key.
 */
#include "core/base/metrics.h"
#include "registry/gauges.h"
#include "registry/json_text.h"
#include "registry/openapi.h"
#include "registry/rest_internal.h"

#include <stdlib.h>

enum err get_root(struct rest_call *c)
{
    buf_put_str(&c->answer->body, "{}");
    return ERR_OK;
}

enum err post_root(struct rest_call *c)
{
    json_t *body = NULL;
    enum err e = bind_body(&bind_texts, c->request->body, &body, c->answer);
    json_decref(body);
    return e ? e : get_root(c);
}

enum err get_types(struct rest_call *c)
{
    buf_put_str(&c->answer->body, "[\"JSON\",\"PROTOBUF\",\"AVRO\"]");
    return ERR_OK;
}

/* --- requests that bring a schema --- */

static enum err read_draft(struct rest_call *c, const char *parameter, struct draft *d)
{
    json_t *body = NULL;
    *d = (struct draft){.id = -1};
    enum err e = rest_body(c, &bind_register, parameter, &body);
    if (!e)
        e = draft_read(d, body, c->answer);
    json_decref(body);
    return e;
}

static bool wants_normal(struct rest_call *c)
{
    struct scope scope;
    if (rest_flag(c->request, "normalize"))
        return true;
    scope_read(&scope, c->store, c->subject);
    bool yes = scope_flag(&scope, "normalize");
    scope_free(&scope);
    return yes;
}

struct lookup {
    struct rest_call *c;
    struct lookup_wish wish;
    struct found found;
};

static bool lookup_in_context(void *ctx, struct slice context, bool declared)
{
    struct lookup *l = ctx;
    struct lookup_wish wish = l->wish;
    struct answer scratch;
    struct buf b;
    if (!declared)
        return true;
    buf_init(&b, 0);
    answer_init(&scratch);
    subject_put(&b, context, l->c->subject);
    wish.subject = buf_slice(&b);
    if (store_subject(l->c->store, wish.subject) && rest_allowed(l->c, RIGHT_READ, wish.subject) &&
        find_draft(l->c->store, l->c->settings, &wish, &l->found, &scratch))
        l->found.v = NULL; /* not a schema there: go on */
    answer_free(&scratch);
    buf_free(&b);
    return l->found.v == NULL;
}

/* With the text in the format asked for. */
static enum err put_found(struct rest_call *c, const struct found *f)
{
    struct slice text;
    struct buf b;
    buf_init(&b, 0);
    enum err e = rest_formatted(c, f->u->name, f->v->content, &b, &text);
    if (!e)
        put_schema_entity(&c->answer->body, c->settings, f->u->name, f->v, text, f->stored);
    buf_free(&b);
    return e;
}

enum err post_lookup(struct rest_call *c)
{
    struct draft d;
    struct lookup l = {
        .c = c,
        .wish = {.subject = c->subject, .draft = &d, .deleted = rest_flag(c->request, "deleted")},
    };
    enum err e = read_draft(c, "lookUpSchemaUnderSubject.arg5", &d);
    if (!e)
        e = rest_require(c, RIGHT_READ, c->subject);
    if (!e)
        e = rest_require_references(c, c->subject, d.references, d.reference_count, false);
    if (!e) {
        l.wish.normalize = wants_normal(c);
        e = find_draft(c->store, c->settings, &l.wish, &l.found, c->answer);
    }
    if (!e && !l.found.v && subject_is_default_context(subject_parse(c->subject).context))
        store_each_context(c->store, lookup_in_context, &l);
    if (!e && l.found.v)
        e = put_found(c, &l.found);
    else if (!e && !subject_has(store_subject(c->store, c->subject), l.wish.deleted))
        e = answer_error(c->answer, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(c->subject));
    else if (!e)
        e = answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema not found");
    draft_free(&d);
    return e;
}

static void put_verdict(struct rest_call *c, const struct compat_result *m, bool verbose)
{
    struct buf *out = &c->answer->body;
    buf_clear(out);
    buf_printf(out, "{\"is_compatible\":%s", m->n ? "false" : "true");
    if (verbose) {
        buf_put_str(out, ",\"messages\":[");
        for (size_t i = 0; i < m->n; i++) {
            buf_put_str(out, i ? "," : "");
            json_text_print_string(out, m->items[i].text);
        }
        buf_put_str(out, "]");
    }
    buf_put_str(out, "}");
}

/* The versions to compare with: the one named, or all live ones. */
static enum err choose_versions(struct rest_call *c, const struct version ***out, size_t *n)
{
    const struct subject *u = store_subject(c->store, c->subject);
    int32_t version = 0;
    bool one = c->request->segment_count == 5;
    enum err e = one ? rest_version(c, c->request->segments[4], &version) : ERR_OK;
    *n = 0;
    *out = calloc(u ? u->n + 1 : 1, sizeof **out);
    if (e || !*out)
        return e ? e : ERR_NO_MEMORY;
    for (size_t i = 0; u && i < u->n && !one; i++)
        if (!u->versions[i].deleted)
            (*out)[(*n)++] = &u->versions[i];
    if (!one)
        return ERR_OK;
    const struct version *v = version == -1 ? subject_latest(u, false) : subject_version(u, version);
    if (v && !v->deleted)
        (*out)[(*n)++] = v;
    else if (version != -1)
        return answer_error(c->answer, API_VERSION_NOT_FOUND, "Version %d not found.", (int)version);
    return ERR_OK;
}

static enum err judge(struct rest_call *c, const struct draft *d, const struct version *const *versions, size_t n,
                      struct compat_result *m)
{
    struct scope scope;
    struct work w = {0};
    enum err e = ERR_OK;
    scope_read(&scope, c->store, c->subject);
    bool normal = rest_flag(c->request, "normalize") || scope_flag(&scope, "normalize");
    if (draft_is_blank(d))
        e = answer_error(c->answer, API_INVALID_SCHEMA, "Empty schema");
    if (!e)
        e = work_prepare(&w, c->settings->shape, c->store, c->subject, d, d->metadata, d->rules, normal,
                         scope_flag_or(&scope, "validateNewSchemas", true), c->answer);
    if (!e)
        e = work_compatible(c->settings->models, c->store, c->subject, &scope, &w, versions, n, m, c->answer);
    work_free(&w);
    scope_free(&scope);
    return e;
}

/* The message of an error body, back out of its JSON. */
static void message_of_error(struct rest_call *c, struct compat_result *m)
{
    json_t *body = contract_parse(buf_slice(&c->answer->body));
    const char *text = json_string_value(json_object_get(body, "message"));
    compat_result_free(m);
    compat_result_init(m);
    (void)!compat_add_line(m, slice_str(text ? text : ""));
    json_decref(body);
    c->answer->status = 200;
    c->answer->error_code = 0;
}

enum err post_compatibility(struct rest_call *c)
{
    struct draft d;
    struct compat_result m;
    const struct version **versions = NULL;
    size_t n = 0;
    bool verbose = rest_flag(c->request, "verbose");
    compat_result_init(&m);
    bool one = c->request->segment_count == 5;
    enum err e = read_draft(c, one ? "testCompatibilityBySubjectName.arg4" : "testCompatibilityForSubject.arg3", &d);
    if (!e)
        e = rest_require(c, RIGHT_READ, c->subject);
    if (!e)
        e = rest_require_references(c, c->subject, d.references, d.reference_count, false);
    if (!e)
        e = choose_versions(c, &versions, &n);
    if (!e) {
        e = judge(c, &d, versions, n, &m);
        if (e && c->answer->error_code == API_INVALID_SCHEMA && verbose) {
            message_of_error(c, &m);
            e = ERR_OK;
        }
        if (!e)
            put_verdict(c, &m, verbose);
    }
    compat_result_free(&m);
    free(versions);
    draft_free(&d);
    return e;
}

/* --- configuration and modes --- */

enum err get_config(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_SEE_CONFIG, c->subject);
    if (e)
        return e;
    json_t *config = scope_config(c->store, c->subject, rest_flag(c->request, "defaultToGlobal"));
    if (!config)
        return answer_error(c->answer, API_NO_SUBJECT_CONFIG,
                            "Subject '%.*s' does not have subject-level compatibility configured",
                            SLICE_FMT(c->subject));
    put_config(&c->answer->body, config, "compatibilityLevel");
    json_decref(config);
    return ERR_OK;
}

enum err get_mode(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_SEE_CONFIG, c->subject);
    if (e)
        return e;
    enum mode m = scope_mode(c->store, c->subject, rest_flag(c->request, "defaultToGlobal"));
    if (m == MODE_NONE)
        return answer_error(c->answer, API_NO_SUBJECT_MODE,
                            "Subject '%.*s' does not have subject-level mode configured", SLICE_FMT(c->subject));
    buf_printf(&c->answer->body, "{\"mode\":\"%s\"}", mode_name(m));
    return ERR_OK;
}

/* --- contexts --- */

struct context_list {
    struct slice *list;
    size_t n;
    struct slice prefix;
    struct map *seen; /* NULL: all of them */
};

static bool collect_context(void *ctx, struct slice context, bool declared)
{
    struct context_list *l = ctx;
    if (!declared || subject_is_default_context(context) || (l->seen && !map_has(l->seen, context)))
        return true;
    struct slice *list = realloc(l->list, (l->n + 1) * sizeof *list);
    if (!list)
        return false;
    l->list = list;
    list[l->n++] = context;
    return true;
}

static int cmp_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

enum err get_contexts(struct rest_call *c)
{
    struct context_list l = {0};
    struct map seen;
    int32_t skip, left;
    struct slice prefix = rest_param(c->request, "contextPrefix");
    bool any = false;
    enum err e = rest_page(c, c->settings->list_limit_default, c->settings->list_limit_max, &skip, &left);
    if (e)
        return e;
    l.list = malloc(sizeof *l.list);
    if (!l.list)
        return ERR_NO_MEMORY;
    l.list[l.n++] = slice_str(SUBJECT_DEFAULT_CONTEXT);
    map_init(&seen);
    if (c->request->allowed) {
        rest_seen_contexts(c, &seen);
        l.seen = &seen;
    }
    store_each_context(c->store, collect_context, &l);
    map_free(&seen, NULL);
    qsort(l.list, l.n, sizeof *l.list, cmp_slices);
    buf_put_str(&c->answer->body, "[");
    for (size_t i = 0; i < l.n && left > 0; i++) {
        if (prefix.n && !slice_starts(l.list[i], prefix))
            continue;
        if (skip-- > 0)
            continue;
        left--;
        buf_put_str(&c->answer->body, any ? "," : "");
        json_text_print_string(&c->answer->body, l.list[i]);
        any = true;
    }
    buf_put_str(&c->answer->body, "]");
    free(l.list);
    return ERR_OK;
}

/* --- about the server --- */

enum err get_metadata_id(struct rest_call *c)
{
    struct buf *out = &c->answer->body;
    buf_printf(out, "{%s\"scope\":{\"path\":[],\"clusters\":{\"kafka-cluster\":",
               c->settings->shape < 80 ? "\"id\":\"\"," : "");
    json_text_print_string(out, c->server->cluster_id);
    buf_put_str(out, ",\"schema-registry-cluster\":");
    json_text_print_string(out, c->server->group_id);
    buf_put_str(out, "}}}");
    return ERR_OK;
}

enum err get_metadata_version(struct rest_call *c)
{
    int shape = c->settings->shape;
    buf_printf(&c->answer->body, "{\"version\":\"%d.%d.0-castellan-%s\",\"commitId\":\"\"}", shape / 10, shape % 10,
               CASTELLAN_VERSION);
    return ERR_OK;
}

enum err get_metadata_deployment(struct rest_call *c)
{
    if (c->settings->shape < 81)
        return rest_not_found(c);
    buf_put_str(&c->answer->body, "{\"attributes\":[]}");
    return ERR_OK;
}

enum err get_live(struct rest_call *c)
{
    buf_put_str(&c->answer->body, "{\"status\":\"UP\"}");
    return ERR_OK;
}

enum err get_ready(struct rest_call *c)
{
    bool ready = !c->server->ready || c->server->ready(c->server->ready_ctx);
    c->answer->status = ready ? 200 : 503;
    buf_printf(&c->answer->body, "{\"status\":\"%s\"}", ready ? "UP" : "STARTING");
    return ERR_OK;
}

enum err get_metrics(struct rest_call *c)
{
    gauges_update(c->store);
    metrics_render(&c->answer->body);
    c->answer->content_type = "text/plain; version=0.0.4";
    return ERR_OK;
}

enum err get_openapi(struct rest_call *c)
{
    buf_put(&c->answer->body, registry_openapi, registry_openapi_n);
    c->answer->content_type = "application/json";
    return ERR_OK;
}
