/* SPDX-License-Identifier: Apache-2.0
 * Lists: offset and limit, subjects by prefix, all schemas. */
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include <stdlib.h>

/* --- lists with offset and limit --- */

bool page_takes(struct page *p)
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

enum err page_open(struct rest_call *c, bool schemas, struct page *p)
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

/* --- subjects --- */

struct prefix_search {
    struct rest_call *c;
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

/* `unset`: the prefix of a request that names none. */
static void prefix_read(struct prefix_search *f, struct rest_call *c, const char *unset)
{
    struct slice p = rest_param(c->request, "subjectPrefix");
    f->c = c;
    if (slice_is_null(p))
        p = slice_str(slice_is_null(c->request->context) ? unset : "");
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
        rest_allowed(f->c, RIGHT_DESCRIBE, u->name) && page_takes(&l->page))
        json_text_print_string(l->page.out, u->name);
    return l->page.left > 0;
}

enum err get_subjects(struct rest_call *c)
{
    struct subject_page l = {0};
    prefix_read(&l.search, c, SUBJECT_ALL_CONTEXTS);
    enum err e = page_open(c, false, &l.page);
    if (e)
        return e;
    store_each_sorted(c->store, put_subject, &l);
    buf_put_str(l.page.out, "]");
    return ERR_OK;
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

/* Subjects that configurations name as what they are an alias of. */
struct alias {
    struct slice subject, alias; /* qualified; in the request's arena, in the store */
};

struct schema_page {
    struct prefix_search search;
    struct association_filter associations;
    struct page page;
    struct alias *aliases;
    size_t alias_count;
};

static bool collect_alias(void *ctx, struct slice scope)
{
    struct schema_page *l = ctx;
    struct rest_call *c = l->search.c;
    struct slice target = rest_alias(c, scope);
    if (!prefix_fits(&l->search, scope) || slice_eq(target, scope) || !rest_allowed(c, RIGHT_SEE_CONFIG, scope))
        return true;
    struct alias *list = realloc(l->aliases, (l->alias_count + 1) * sizeof *list);
    if (!list)
        return false;
    l->aliases = list;
    list[l->alias_count++] = (struct alias){target, scope};
    return true;
}

static bool is_aliased(const struct schema_page *l, struct slice subject)
{
    for (size_t i = 0; i < l->alias_count; i++)
        if (slice_eq(l->aliases[i].subject, subject))
            return true;
    return false;
}

static void put_aliases(struct schema_page *l, struct slice subject)
{
    bool any = false;
    for (size_t i = 0; i < l->alias_count; i++) {
        if (!slice_eq(l->aliases[i].subject, subject))
            continue;
        buf_put_str(l->page.out, any ? "," : ",\"aliases\":[");
        json_text_print_string(l->page.out, l->aliases[i].alias);
        any = true;
    }
    buf_put_str(l->page.out, any ? "]" : "");
}

static bool put_schemas(void *ctx, const struct subject *u)
{
    struct schema_page *l = ctx;
    const struct prefix_search *f = &l->search;
    const struct rest_call *c = f->c;
    bool latest = rest_flag(c->request, "latestOnly");
    struct slice rule = rest_param(c->request, "ruleType");
    const struct version *last = subject_latest(u, f->deleted);
    struct buf links;
    if (!(prefix_fits(f, u->name) || is_aliased(l, u->name)) || !rest_allowed(c, RIGHT_READ, u->name))
        return true;
    buf_init(&links, 0);
    bool fits = rest_fits_associations(c, &l->associations, u->name, &links);
    for (size_t i = 0; i < u->n && l->page.left > 0 && fits; i++) {
        const struct version *v = &u->versions[i];
        if ((v->deleted && !f->deleted) || (latest && v != last) || (rule.n && !has_rule(v->content, rule)))
            continue;
        if (page_takes(&l->page)) {
            put_schema_entity_open(l->page.out, c->settings, u->name, v, SLICE_NULL, SLICE_NULL, true);
            put_aliases(l, u->name);
            buf_put_slice(l->page.out, buf_slice(&links));
            put_schema_entity_close(l->page.out, v);
        }
    }
    buf_free(&links);
    return l->page.left > 0;
}

enum err get_schemas(struct rest_call *c)
{
    struct schema_page l = {0};
    prefix_read(&l.search, c, "");
    enum err e = rest_filters_associations(c, &l.associations) ? ERR_OK : rest_not_found(c);
    if (!e)
        e = page_open(c, true, &l.page);
    if (e)
        return e;
    if (rest_flag(c->request, "aliases"))
        store_each_config(c->store, collect_alias, &l);
    store_each_sorted(c->store, put_schemas, &l);
    buf_put_str(l.page.out, "]");
    free(l.aliases);
    return ERR_OK;
}
