/* SPDX-License-Identifier: Apache-2.0
 * Reading by id, guid and subject. */
#include "core/base/metrics.h"
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include <stdlib.h>

static enum err subject_missing(struct rest_call *c, struct slice subject)
{
    return answer_error(c->answer, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(subject));
}

/* --- one version, also in other contexts when the name is unqualified --- */

struct in_contexts {
    const struct rest_call *c;
    int32_t version;
    bool deleted;
    const struct subject *u;
    const struct version *v;
};

static const struct version *pick(const struct subject *u, int32_t version, bool deleted)
{
    const struct version *v = version == -1 ? subject_latest(u, false) : subject_version(u, version);
    return v && (deleted || !v->deleted) ? v : NULL;
}

static bool try_context(void *ctx, struct slice context, bool declared)
{
    struct in_contexts *f = ctx;
    struct buf b;
    if (!declared)
        return true;
    buf_init(&b, 0);
    subject_put(&b, context, f->c->subject);
    f->u = store_subject(f->c->store, buf_slice(&b));
    f->v = pick(f->u, f->version, f->deleted);
    buf_free(&b);
    return f->v == NULL;
}

static enum err find_version(struct rest_call *c, struct slice text, bool deleted, const struct subject **u,
                             const struct version **v)
{
    struct in_contexts f = {.c = c, .deleted = deleted};
    enum err e = rest_version(c, text, &f.version);
    if (!e)
        e = rest_require(c, RIGHT_READ, c->subject);
    if (e)
        return e;
    *u = store_subject(c->store, c->subject);
    *v = pick(*u, f.version, deleted);
    if (!*v && subject_is_default_context(subject_parse(c->subject).context)) {
        store_each_context(c->store, try_context, &f);
        if (f.v && rest_allowed(c, RIGHT_READ, f.u->name))
            *u = f.u, *v = f.v;
    }
    if (*v)
        return ERR_OK;
    if (!subject_has(*u, deleted))
        return subject_missing(c, c->subject);
    return answer_error(c->answer, API_VERSION_NOT_FOUND, "Version %d not found.", (int)f.version);
}

/* The text in the `format` asked for; null when it is the stored one. */
static enum err formatted(struct rest_call *c, struct slice subject, const struct content *content, struct buf *out,
                          struct slice *text)
{
    struct slice format = rest_param(c->request, "format");
    struct model *m = NULL;
    struct reason why = {0};
    *text = SLICE_NULL;
    if (!format.n)
        return ERR_OK;
    /* it may hold the text of what is referred to */
    enum err e = rest_require_references(c, subject, content->references, content->reference_count, true);
    if (e)
        return e;
    e = work_model(c->settings->models, c->store, subject, content, &m, &why);
    if (!e)
        e = schema_format(m->schema, format, out);
    model_unref(m);
    if (e)
        return answer_error(c->answer, API_INVALID_SCHEMA, "%s", why.text[0] ? why.text : err_text(e));
    *text = buf_slice(out);
    return ERR_OK;
}

enum err get_version(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct slice text;
    struct buf b;
    buf_init(&b, 0);
    enum err e = find_version(c, c->request->segments[3], rest_flag(c->request, "deleted"), &u, &v);
    if (!e)
        e = formatted(c, u->name, v->content, &b, &text);
    if (!e)
        put_schema_entity(&c->answer->body, c->settings, u->name, v, text);
    buf_free(&b);
    return e;
}

enum err get_version_schema(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct slice text;
    struct buf b;
    buf_init(&b, 0);
    enum err e = find_version(c, c->request->segments[3], rest_flag(c->request, "deleted"), &u, &v);
    if (!e)
        e = formatted(c, u->name, v->content, &b, &text);
    if (!e)
        buf_put_slice(&c->answer->body, slice_is_null(text) ? v->content->text : text);
    buf_free(&b);
    return e;
}

/* --- lists with offset and limit --- */

struct page {
    struct buf *out;
    int32_t skip, left;
    bool any;
};

static bool page_takes(struct page *p)
{
    if (p->skip > 0) {
        p->skip--;
        return false;
    }
    if (p->left <= 0)
        return false;
    p->left--;
    buf_put_str(p->out, p->any ? "," : "");
    p->any = true;
    return true;
}

static enum err page_open(struct rest_call *c, bool schemas, struct page *p)
{
    const struct api_settings *st = c->settings;
    p->out = &c->answer->body;
    p->any = false;
    enum err e = rest_page(c, schemas ? st->schema_limit_default : st->list_limit_default,
                           schemas ? st->schema_limit_max : st->list_limit_max, &p->skip, &p->left);
    if (!e)
        buf_put_str(p->out, "[");
    return e;
}

struct use {
    const struct subject *u;
    const struct version *v;
};

struct uses {
    struct use *list;
    size_t n, cap;
    bool deleted;
    const struct rest_call *c;
    enum rest_right right;
};

static bool uses_add(struct uses *s, const struct subject *u, const struct version *v)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct use *list = realloc(s->list, cap * sizeof *list);
        if (!list)
            return false;
        s->list = list;
        s->cap = cap;
    }
    s->list[s->n++] = (struct use){u, v};
    return true;
}

static int cmp_uses(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int r = slice_cmp(x->u->name, y->u->name);
    return r || !x->v || !y->v ? r : (x->v->version > y->v->version) - (x->v->version < y->v->version);
}

static void uses_sort(struct uses *s)
{
    if (s->n > 1)
        qsort(s->list, s->n, sizeof *s->list, cmp_uses);
}

static bool collect_use(void *ctx, const struct subject *u, const struct version *v)
{
    struct uses *s = ctx;
    if ((v->deleted && !s->deleted) || !rest_allowed(s->c, s->right, u->name))
        return true;
    return uses_add(s, u, v);
}

/* --- ids --- */

struct id_search {
    const struct rest_call *c;
    int32_t id;
    struct slice context; /* found */
    struct slice name;    /* unqualified */
};

static bool id_in_context(void *ctx, struct slice context, bool declared)
{
    struct id_search *f = ctx;
    struct buf b;
    bool found = false;
    if (!declared)
        return true;
    buf_init(&b, 0);
    subject_put(&b, context, f->name);
    const struct subject *u = store_subject(f->c->store, buf_slice(&b));
    for (size_t i = 0; u && i < u->n && !found; i++)
        found = u->versions[i].id == f->id;
    buf_free(&b);
    if (found)
        f->context = context;
    return !found;
}

/* The context an id is looked up in: that of ?subject=; an unqualified subject is also tried in other contexts. */
static struct slice context_of_id(struct rest_call *c, int32_t id)
{
    struct qsubject q = subject_parse(slice_is_null(c->subject) ? slice_str("") : c->subject);
    struct id_search f = {c, id, q.context, q.name};
    if (!q.name.n || !subject_is_default_context(q.context))
        return q.context;
    const struct subject *u = store_subject(c->store, c->subject);
    for (size_t i = 0; u && i < u->n; i++)
        if (u->versions[i].id == id)
            return q.context;
    store_each_context(c->store, id_in_context, &f);
    return f.context;
}

struct may_see {
    const struct rest_call *c;
    bool yes;
};

static bool see_use(void *ctx, const struct subject *u, const struct version *v)
{
    struct may_see *m = ctx;
    (void)v;
    m->yes = rest_allowed(m->c, RIGHT_READ, u->name);
    return !m->yes;
}

/* Whoever may read one subject that uses the id. */
static bool may_see_id(const struct rest_call *c, struct slice context, int32_t id)
{
    struct may_see m = {c, !c->request->allowed};
    if (!m.yes)
        store_each_use(c->store, context, id, see_use, &m);
    return m.yes;
}

static enum err find_id(struct rest_call *c, int32_t *id, struct slice *context, const struct content **content)
{
    char *end;
    struct slice s = c->request->segments[2];
    char text[16] = "";
    memcpy(text, s.p, s.n < sizeof text ? s.n : 0);
    long v = strtol(text, &end, 10);
    if (!text[0] || *end || v < INT32_MIN || v > INT32_MAX)
        return rest_not_found(c);
    *id = (int32_t)v;
    *context = context_of_id(c, *id);
    *content = store_by_id(c->store, *context, *id);
    if (*content && !may_see_id(c, *context, *id)) {
        c->request->denied_right = RIGHT_READ;
        return answer_error(c->answer, 40301, "User is denied operation on Schema: %d", (int)*id);
    }
    return *content ? ERR_OK : answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema %d not found", (int)*id);
}

static void put_schema_string(struct rest_call *c, const struct content *k, struct slice text)
{
    struct buf *out = &c->answer->body;
    buf_put_str(out, "{");
    bool first = true;
    if (c->settings->shape >= 80 || k->type != SCHEMA_AVRO) {
        buf_printf(out, "\"schemaType\":\"%s\"", schema_type_name(k->type));
        first = false;
    }
    buf_put_str(out, first ? "\"schema\":" : ",\"schema\":");
    json_text_print_string(out, slice_is_null(text) ? k->text : text);
    put_schema_members(out, c->settings, k);
    if (c->settings->shape >= 80) {
        buf_put_str(out, ",\"guid\":\"");
        guid_put(out, k->guid);
        buf_put_str(out, "\"");
    }
}

enum err get_id(struct rest_call *c)
{
    int32_t id;
    struct slice context, text;
    const struct content *content;
    struct buf b;
    buf_init(&b, 0);
    enum err e = find_id(c, &id, &context, &content);
    if (!e)
        e = formatted(c, slice_is_null(c->subject) ? slice_str("") : c->subject, content, &b, &text);
    if (!e) {
        struct buf *out = &c->answer->body;
        put_schema_string(c, content, text);
        if (!slice_is_null(rest_param(c->request, "subject")) && c->settings->shape >= 80) {
            struct uses s = {.c = c, .deleted = true, .right = RIGHT_READ};
            store_each_use(c->store, context, id, collect_use, &s);
            uses_sort(&s);
            size_t at = 0;
            for (size_t i = 0; i < s.n; i++)
                if (slice_eq(s.list[i].u->name, c->subject))
                    at = i;
            if (s.n) {
                buf_put_str(out, ",\"subject\":");
                json_text_print_string(out, s.list[at].u->name);
                buf_printf(out, ",\"version\":%d", (int)s.list[at].v->version);
            }
            free(s.list);
        }
        if (rest_flag(c->request, "fetchMaxId"))
            buf_printf(out, ",\"maxId\":%d", (int)store_max_id(c->store, context));
        buf_put_str(out, "}");
    }
    buf_free(&b);
    return e;
}

enum err get_id_schema(struct rest_call *c)
{
    int32_t id;
    struct slice context, text;
    const struct content *content;
    struct buf b;
    buf_init(&b, 0);
    enum err e = find_id(c, &id, &context, &content);
    if (!e)
        e = formatted(c, slice_is_null(c->subject) ? slice_str("") : c->subject, content, &b, &text);
    if (!e)
        buf_put_slice(&c->answer->body, slice_is_null(text) ? content->text : text);
    buf_free(&b);
    return e;
}

static enum err uses_of_id(struct rest_call *c, struct uses *s)
{
    int32_t id;
    struct slice context;
    const struct content *content;
    *s = (struct uses){.c = c, .deleted = rest_flag(c->request, "deleted"), .right = RIGHT_READ};
    enum err e = find_id(c, &id, &context, &content);
    if (e && c->answer->error_code == API_SCHEMA_NOT_FOUND)
        return answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema not found");
    if (e)
        return e;
    store_each_use(c->store, context, id, collect_use, s);
    uses_sort(s);
    return ERR_OK;
}

enum err get_id_subjects(struct rest_call *c)
{
    struct uses s;
    struct page p;
    enum err e = uses_of_id(c, &s);
    if (!e)
        e = page_open(c, false, &p);
    for (size_t i = 0; !e && i < s.n; i++)
        if ((i == 0 || s.list[i].u != s.list[i - 1].u) && page_takes(&p))
            json_text_print_string(p.out, s.list[i].u->name);
    if (!e)
        buf_put_str(p.out, "]");
    free(s.list);
    return e;
}

enum err get_id_versions(struct rest_call *c)
{
    struct uses s;
    struct page p;
    enum err e = uses_of_id(c, &s);
    if (!e)
        e = page_open(c, false, &p);
    for (size_t i = 0; !e && i < s.n; i++) {
        if (!page_takes(&p))
            continue;
        buf_put_str(p.out, "{\"subject\":");
        json_text_print_string(p.out, s.list[i].u->name);
        buf_printf(p.out, ",\"version\":%d}", (int)s.list[i].v->version);
    }
    if (!e)
        buf_put_str(p.out, "]");
    free(s.list);
    return e;
}

/* --- guids --- */

/* What the caller may see of a GUID is what it may see of the ids that have it: each by the subjects that use it. */
struct guid_search {
    const struct rest_call *c;
    uint8_t guid[GUID_SIZE];
    const struct content *content;
    struct buf *out; /* NULL: the first is enough */
    bool any, denied;
};

static bool guid_in_context(void *ctx, struct slice context, bool declared)
{
    struct guid_search *g = ctx;
    int32_t id;
    const struct content *content = store_by_guid(g->c->store, context, g->guid, &id);
    (void)declared;
    if (!content)
        return true;
    if (!may_see_id(g->c, context, id)) {
        g->denied = true;
        return true;
    }
    g->content = content;
    if (!g->out)
        return false;
    buf_put_str(g->out, g->any ? ",{\"context\":" : "{\"context\":");
    json_text_print_string(g->out, context);
    buf_printf(g->out, ",\"id\":%d}", (int)id);
    g->any = true;
    return true;
}

static enum err search_guid(struct rest_call *c, struct guid_search *g)
{
    struct slice text = c->request->segments[2];
    if (guid_parse(text, g->guid))
        store_each_context(c->store, guid_in_context, g);
    if (!g->denied || g->content)
        return ERR_OK;
    c->request->denied_right = RIGHT_READ;
    return answer_error(c->answer, 40301, "User is denied operation on Schema: %.*s", SLICE_FMT(text));
}

enum err get_guid(struct rest_call *c)
{
    struct guid_search g = {.c = c};
    struct slice text;
    struct buf b;
    enum err e = search_guid(c, &g);
    if (e)
        return e;
    if (!g.content)
        return answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema %.*s not found",
                            SLICE_FMT(c->request->segments[2]));
    buf_init(&b, 0);
    e = formatted(c, slice_str(""), g.content, &b, &text);
    if (!e) {
        put_schema_string(c, g.content, text);
        buf_put_str(&c->answer->body, "}");
    }
    buf_free(&b);
    return e;
}

enum err get_guid_ids(struct rest_call *c)
{
    struct guid_search g = {.c = c, .out = &c->answer->body};
    buf_put_str(g.out, "[");
    enum err e = search_guid(c, &g);
    if (!e)
        buf_put_str(g.out, "]");
    return e;
}

/* --- subjects --- */

struct prefix_search {
    struct uses uses;
    struct slice prefix; /* qualified */
    bool every_context, deleted, only_deleted;
};

static bool prefix_fits(const struct prefix_search *f, struct slice name)
{
    if (f->every_context)
        return slice_starts(subject_parse(name).name, f->prefix);
    struct qsubject want = subject_parse(f->prefix), have = subject_parse(name);
    return slice_eq(want.context, have.context) && slice_starts(have.name, want.name);
}

static void prefix_read(struct prefix_search *f, struct rest_call *c)
{
    struct slice p = rest_param(c->request, "subjectPrefix");
    f->uses.c = c;
    if (slice_is_null(p))
        p = slice_is_null(c->request->context) ? slice_str(SUBJECT_ALL_CONTEXTS) : slice_str("");
    f->every_context = slice_starts(p, slice_str(SUBJECT_ALL_CONTEXTS));
    f->prefix = f->every_context ? slice_of(p.p + 3, p.n - 3) : rest_qualify(c, p);
    f->deleted = rest_flag(c->request, "deleted");
    f->only_deleted = rest_flag(c->request, "deletedOnly");
}

struct subject_page {
    struct prefix_search search;
    struct page page;
};

static bool put_subject(void *ctx, const struct subject *u)
{
    struct subject_page *l = ctx;
    const struct prefix_search *f = &l->search;
    bool live = subject_has(u, false);
    if ((f->only_deleted ? !live : f->deleted || live) && prefix_fits(f, u->name) &&
        rest_allowed(f->uses.c, RIGHT_DESCRIBE, u->name) && page_takes(&l->page))
        json_text_print_string(l->page.out, u->name);
    return l->page.left > 0;
}

enum err get_subjects(struct rest_call *c)
{
    struct subject_page l = {0};
    prefix_read(&l.search, c);
    enum err e = page_open(c, false, &l.page);
    if (e)
        return e;
    store_each_sorted(c->store, put_subject, &l);
    buf_put_str(l.page.out, "]");
    return ERR_OK;
}

enum err get_versions(struct rest_call *c)
{
    bool deleted = rest_flag(c->request, "deleted"), only = rest_flag(c->request, "deletedOnly");
    bool negative = rest_flag(c->request, "deletedAsNegative");
    struct page p;
    enum err e = rest_require(c, RIGHT_READ, c->subject);
    const struct subject *u = store_subject(c->store, c->subject);
    if (!e && !subject_has(u, deleted || only))
        e = subject_missing(c, c->subject);
    if (!e)
        e = page_open(c, false, &p);
    for (size_t i = 0; !e && i < u->n; i++) {
        const struct version *v = &u->versions[i];
        if ((negative || (only ? v->deleted : deleted || !v->deleted)) && page_takes(&p))
            buf_printf(p.out, "%d", (int)(negative && v->deleted ? -v->version : v->version));
    }
    if (!e)
        buf_put_str(p.out, "]");
    return e;
}

static bool is_reported(const struct uses *s, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (s->list[j].v->id == s->list[i].v->id)
            return true;
    return false;
}

enum err get_referenced_by(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct page p;
    struct uses s = {.c = c, .deleted = true, .right = RIGHT_DESCRIBE};
    enum err e = find_version(c, c->request->segments[3], true, &u, &v);
    if (!e)
        e = page_open(c, true, &p);
    if (e)
        return e;
    store_each_referrer(c->store, u->name, v->version, rest_flag(c->request, "deleted"), collect_use, &s);
    uses_sort(&s);
    for (size_t i = 0; i < s.n; i++)
        if (!is_reported(&s, i) && page_takes(&p))
            buf_printf(p.out, "%d", (int)s.list[i].v->id);
    buf_put_str(p.out, "]");
    free(s.list);
    return ERR_OK;
}

static bool has_properties(const struct rest_request *r, const json_t *metadata)
{
    size_t values = 0;
    for (size_t i = 0; i < r->param_count; i++) {
        if (!slice_eq_str(r->params[i].name, "key"))
            continue;
        size_t seen = 0;
        for (size_t j = 0; j < r->param_count; j++) {
            if (!slice_eq_str(r->params[j].name, "value") || seen++ != values)
                continue;
            char key[256] = "";
            memcpy(key, r->params[i].value.p, r->params[i].value.n < sizeof key ? r->params[i].value.n : 0);
            const char *have = contract_property(metadata, key);
            if (!have || !slice_eq_str(r->params[j].value, have))
                return false;
        }
        values++;
    }
    return true;
}

enum err get_subject_metadata(struct rest_call *c)
{
    bool deleted = rest_flag(c->request, "deleted");
    enum err e = rest_require(c, RIGHT_READ, c->subject);
    const struct subject *u = store_subject(c->store, c->subject);
    if (e)
        return e;
    for (size_t i = u ? u->n : 0; i > 0; i--) {
        const struct version *v = &u->versions[i - 1];
        if (v->deleted && !deleted)
            continue;
        json_t *metadata = contract_parse(v->content->metadata);
        bool fits = json_object_get(metadata, "properties") && has_properties(c->request, metadata);
        json_decref(metadata);
        if (!fits)
            continue;
        put_schema_entity(&c->answer->body, c->settings, u->name, v, SLICE_NULL);
        return ERR_OK;
    }
    if (!subject_has(u, deleted))
        return subject_missing(c, c->subject);
    return answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema not found");
}

/* --- all schemas --- */

static bool has_rule(const struct content *c, struct slice rule)
{
    char type[64] = "";
    memcpy(type, rule.p, rule.n < sizeof type ? rule.n : 0);
    json_t *rules = contract_parse(c->rules);
    bool has = contract_has_rule_type(rules, type);
    json_decref(rules);
    return has;
}

static bool put_schemas(void *ctx, const struct subject *u)
{
    struct subject_page *l = ctx;
    const struct prefix_search *f = &l->search;
    const struct rest_call *c = f->uses.c;
    bool latest = rest_flag(c->request, "latestOnly");
    struct slice rule = rest_param(c->request, "ruleType");
    const struct version *last = subject_latest(u, f->deleted);
    if (!prefix_fits(f, u->name) || !rest_allowed(c, RIGHT_READ, u->name))
        return true;
    for (size_t i = 0; i < u->n && l->page.left > 0; i++) {
        const struct version *v = &u->versions[i];
        if ((v->deleted && !f->deleted) || (latest && v != last) || (rule.n && !has_rule(v->content, rule)))
            continue;
        if (page_takes(&l->page))
            put_schema_entity(l->page.out, c->settings, u->name, v, SLICE_NULL);
    }
    return l->page.left > 0;
}

enum err get_schemas(struct rest_call *c)
{
    struct subject_page l = {0};
    prefix_read(&l.search, c);
    enum err e = page_open(c, true, &l.page);
    if (e)
        return e;
    store_each_sorted(c->store, put_schemas, &l);
    buf_put_str(l.page.out, "]");
    return ERR_OK;
}
