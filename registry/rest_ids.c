/* SPDX-License-Identifier: Apache-2.0
 * Reading by id and by guid, and who uses what. */
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include <stdlib.h>

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

/* The version an id is shown with: of the subject asked for, else of the one that had it first; its highest. */
struct choice {
    const struct rest_call *c;
    struct use best;
};

static bool choose(void *ctx, const struct subject *u, const struct version *v)
{
    struct choice *p = ctx;
    if (p->best.u && p->best.u != u)
        return false;
    if (rest_allowed(p->c, RIGHT_READ, u->name))
        p->best = (struct use){u, v}; /* versions come ascending */
    return true;
}

static struct use choose_use(struct rest_call *c, struct slice context, int32_t id)
{
    struct choice p = {.c = c};
    struct slice want = slice_is_null(c->subject) ? slice_str("") : subject_parse(c->subject).name;
    struct buf b;
    buf_init(&b, 0);
    subject_put(&b, context, want);
    const struct subject *u = want.n ? store_subject(c->store, buf_slice(&b)) : NULL;
    for (size_t i = 0; u && i < u->n; i++)
        if (u->versions[i].id == id)
            (void)choose(&p, u, &u->versions[i]);
    if (!p.best.u)
        store_each_use(c->store, context, id, choose, &p);
    buf_free(&b);
    return p.best;
}

/* Whoever may read one subject that uses the id. */
static bool may_see_id(const struct rest_call *c, struct slice context, int32_t id)
{
    struct may_see m = {c, !c->request->allowed};
    if (!m.yes)
        store_each_use(c->store, context, id, see_use, &m);
    return m.yes;
}

/* A subject in a context of its own must itself have the id; one in the default context is only a hint. */
static bool is_used_as_asked(const struct rest_call *c, int32_t id)
{
    struct slice subject = slice_is_null(c->subject) ? slice_str("") : c->subject;
    struct qsubject q = subject_parse(subject);
    if (!q.name.n || subject_is_default_context(q.context))
        return true;
    const struct subject *u = store_subject(c->store, subject);
    for (size_t i = 0; u && i < u->n; i++)
        if (u->versions[i].id == id)
            return true;
    return false;
}

static enum err find_id(struct rest_call *c, int32_t *id, struct slice *context, const struct content **content)
{
    if (!rest_parse_int(c->request->segments[2], id))
        return rest_not_found(c);
    *context = context_of_id(c, *id);
    *content = store_by_id(c->store, *context, *id);
    if (*content && !is_used_as_asked(c, *id))
        *content = NULL;
    if (*content && !may_see_id(c, *context, *id)) {
        c->request->denied_right = RIGHT_READ;
        return answer_error(c->answer, 40301, "User is denied operation on Schema: %d", (int)*id);
    }
    return *content ? ERR_OK : answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema %d not found", (int)*id);
}

/* What a schema is found by, beside the schema. */
struct shown {
    const struct content *content;
    struct slice context;
    int32_t id;
    bool with_subject;
};

static void put_contents(struct rest_call *c, const struct content *k, const struct content *qualified,
                         struct slice text)
{
    struct buf *out = &c->answer->body;
    const struct content *refs = qualified ? qualified : k;
    if (c->settings->shape >= 80 || k->type != SCHEMA_AVRO) {
        buf_put_str(out, "\"schemaType\":\"");
        buf_put_str(out, schema_type_name(k->type));
        buf_put_str(out, "\",");
    }
    buf_put_str(out, "\"schema\":");
    put_text(out, c->settings, k, text);
    put_references(out, refs->references, refs->reference_count);
    put_contract(out, ",\"metadata\":", k->metadata);
    put_contract(out, ",\"ruleSet\":", k->rules);
}

static void put_found_as(struct rest_call *c, const struct shown *s, const struct use *use)
{
    struct buf *out = &c->answer->body;
    if (s->with_subject && use->u) {
        buf_put_str(out, "\"subject\":");
        json_text_print_string(out, use->u->name);
        put_int_member(out, ",\"version\":", use->v->version);
        buf_put_str(out, ",");
    }
    buf_put_str(out, "\"guid\":\"");
    guid_put(out, s->content->guid);
    buf_put_str(out, "\",");
}

static enum err put_schema_string(struct rest_call *c, const struct shown *s)
{
    struct buf b, *out = &c->answer->body;
    struct slice text;
    struct use use = choose_use(c, s->context, s->id);
    struct slice subject = use.u ? use.u->name : slice_str("");
    bool newer = c->settings->shape >= 80;
    buf_init(&b, 0);
    enum err e = rest_formatted(c, subject, s->content, &b, &text);
    if (!e) {
        struct content *qualified = s->with_subject ? rest_qualified_references(c, subject, s->content) : NULL;
        buf_put_str(out, "{");
        if (newer)
            put_found_as(c, s, &use);
        put_contents(c, s->content, qualified, text);
        if (s->with_subject)
            e = rest_put_tags(c, subject, s->content, out);
        if (s->with_subject && rest_flag(c->request, "fetchMaxId"))
            put_int_member(out, ",\"maxId\":", store_max_id(c->store, s->context));
        if (newer && use.u)
            put_time(out, use.v);
        buf_put_str(out, "}");
        content_unref(qualified);
    }
    buf_free(&b);
    return e;
}

enum err get_id(struct rest_call *c)
{
    struct shown s = {.with_subject = true};
    enum err e = find_id(c, &s.id, &s.context, &s.content);
    return e ? e : put_schema_string(c, &s);
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
        e = rest_formatted(c, slice_is_null(c->subject) ? slice_str("") : c->subject, content, &b, &text);
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
    struct shown found;
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
    g->found = (struct shown){content, context, id, false};
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
    if (!g->denied || g->found.content)
        return ERR_OK;
    c->request->denied_right = RIGHT_READ;
    return answer_error(c->answer, 40301, "User is denied operation on Schema: %.*s", SLICE_FMT(text));
}

enum err get_guid(struct rest_call *c)
{
    struct guid_search g = {.c = c};
    enum err e = search_guid(c, &g);
    if (!e && !g.found.content)
        e = answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema %.*s not found", SLICE_FMT(c->request->segments[2]));
    return e ? e : put_schema_string(c, &g.found);
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

/* --- references --- */

/* Sorted by id: the same one stands just before. */
static bool is_reported(const struct uses *s, size_t i)
{
    return i && s->list[i - 1].v->id == s->list[i].v->id &&
           slice_eq(subject_parse(s->list[i - 1].u->name).context, subject_parse(s->list[i].u->name).context);
}

/* By context, then id. */
static int cmp_ids(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int r = slice_cmp(subject_parse(x->u->name).context, subject_parse(y->u->name).context);
    return r ? r : (x->v->id > y->v->id) - (x->v->id < y->v->id);
}

enum err get_referenced_by(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct page p;
    struct uses s = {.c = c, .deleted = true, .right = RIGHT_DESCRIBE};
    enum err e = rest_find_version(c, c->request->segments[3], true, &u, &v);
    if (!e)
        e = page_open(c, true, &p);
    if (e)
        return e;
    store_each_referrer(c->store, u->name, v->version, rest_flag(c->request, "deleted"), collect_use, &s);
    if (s.n > 1)
        qsort(s.list, s.n, sizeof *s.list, cmp_ids);
    for (size_t i = 0; i < s.n; i++)
        if (!is_reported(&s, i) && page_takes(&p))
            buf_printf(p.out, "%d", (int)s.list[i].v->id);
    buf_put_str(p.out, "]");
    free(s.list);
    return ERR_OK;
}
