/* SPDX-License-Identifier: Apache-2.0
 * What is done with a schema before it is written or looked up: resolving what it refers to, parsing, the contract that
 * applies, and the judgement against earlier versions. Reads the store, writes nothing.
 * Models of stored schemas are cached by identity; a schema with references is resolved relative to its subject's
 * context, so the context is part of its cache key. */
#include "registry/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFERENCES_MAX = 2000, REFERENCE_DEPTH_MAX = 200 };

/* --- references --- */

struct sources {
    struct schema_ref_text *list;
    size_t n, cap;
    struct map seen; /* names */
};

static void sources_free(struct sources *r)
{
    map_free(&r->seen, NULL);
    free(r->list);
}

static enum err sources_add(struct sources *r, struct slice name, const struct subject *u, const struct version *v,
                            struct reason *why)
{
    if (r->n >= REFERENCES_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "more than %d references", REFERENCES_MAX);
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct schema_ref_text *list = realloc(r->list, cap * sizeof *list);
        if (!list)
            return reason_set(why, ERR_NO_MEMORY, "out of memory");
        r->list = list;
        r->cap = cap;
    }
    r->list[r->n++] = (struct schema_ref_text){name, u->name, v->version, v->content->text};
    return ERR_OK;
}

static void put_reference(struct buf *out, const struct schema_ref *r)
{
    buf_printf(
        out, "{name='%.*s', subject='%.*s', version=", SLICE_FMT(slice_is_null(r->name) ? slice_str("null") : r->name),
        SLICE_FMT(slice_is_null(r->subject) ? slice_str("null") : r->subject));
    if (r->version == DRAFT_NO_VERSION)
        buf_put_str(out, "null}");
    else
        buf_printf(out, "%d}", (int)r->version);
}

static enum err check_reference(const struct schema_ref *r, struct reason *why)
{
    struct buf b;
    enum err e = ERR_OK;
    buf_init(&b, 0);
    put_reference(&b, r);
    if (slice_is_null(r->name) || slice_is_null(r->subject) || r->version == DRAFT_NO_VERSION)
        e = reason_set(why, ERR_INVALID_RECORD, "Invalid reference: %s", buf_cstr(&b));
    else if (r->version < -1 || r->version == 0)
        e = reason_set(why, ERR_INVALID_RECORD,
                       "io.confluent.kafka.schemaregistry.exceptions.InvalidVersionException: %d", (int)r->version);
    buf_free(&b);
    return e;
}

static enum err resolve(struct sources *out, const struct store *s, struct slice parent, struct schema_ref *refs,
                        size_t n, bool live, bool pin, int depth, struct reason *why)
{
    struct buf target;
    enum err e = ERR_OK;
    buf_init(&target, 0);
    if (depth > REFERENCE_DEPTH_MAX)
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "references are nested deeper than %d", REFERENCE_DEPTH_MAX);
    for (size_t i = 0; i < n && !e; i++) {
        buf_clear(&target);
        e = check_reference(&refs[i], why);
        if (e)
            break;
        subject_put_from_parent(&target, parent, refs[i].subject);
        const struct subject *u = store_subject(s, buf_slice(&target));
        const struct version *v =
            refs[i].version == -1 ? subject_latest(u, false) : subject_version(u, refs[i].version);
        if (!v || (live && v->deleted)) {
            e = reason_set(why, ERR_INVALID_RECORD, "No schema reference found for subject \"%.*s\" and version %d",
                           SLICE_FMT(buf_slice(&target)), (int)refs[i].version);
            break;
        }
        if (pin)
            refs[i].version = v->version;
        if (map_has(&out->seen, refs[i].name))
            continue;
        e = map_put(&out->seen, refs[i].name, out, NULL);
        if (!e)
            e = resolve(out, s, u->name, (struct schema_ref *)v->content->references, v->content->reference_count,
                        false, false, depth + 1, why);
        if (!e)
            e = sources_add(out, refs[i].name, u, v, why);
    }
    buf_free(&target);
    return e;
}

enum err work_model(struct model_cache *cache, const struct store *s, struct slice subject, const struct content *c,
                    struct model **out, struct reason *why)
{
    struct buf key;
    struct sources r = {0};
    enum err e;
    buf_init(&key, 0);
    buf_u8(&key, (uint8_t)c->type);
    buf_put(&key, c->guid, GUID_SIZE);
    if (c->reference_count)
        buf_put_slice(&key, subject_parse(subject).context);
    *out = model_cache_get(cache, buf_slice(&key));
    if (*out) {
        buf_free(&key);
        return ERR_OK;
    }
    map_init(&r.seen);
    e = resolve(&r, s, subject, (struct schema_ref *)c->references, c->reference_count, false, false, 0, why);
    if (!e)
        e = model_new(out, c->type, c->text, r.list, r.n, NULL, why);
    if (!e)
        model_cache_put(cache, buf_slice(&key), *out);
    sources_free(&r);
    buf_free(&key);
    return e;
}

/* --- preparing --- */

void work_free(struct work *w)
{
    model_unref(w->model);
    content_unref(w->content);
    *w = (struct work){0};
}

static void put_references_text(struct buf *out, const struct draft *d)
{
    buf_put_str(out, "[");
    for (size_t i = 0; i < d->reference_count; i++) {
        buf_put_str(out, i ? ", " : "");
        put_reference(out, &d->references[i]);
    }
    buf_put_str(out, "]");
}

/* The draft as the reference prints a schema entity. */
static void put_entity(struct buf *out, int shape, struct slice subject, const struct draft *d, enum schema_type type)
{
    buf_printf(out, "{subject=%.*s,version=", SLICE_FMT(subject));
    if (shape < 80) {
        buf_printf(out, "%d,id=%d", (int)d->version, (int)d->id);
    } else {
        struct content *c = content_new(type, d->text, d->references, d->reference_count, d->metadata, d->rules);
        buf_put_str(out, "null,id=null,guid=");
        if (c)
            guid_put(out, c->guid);
        content_unref(c);
    }
    buf_printf(out, ",schemaType=%s,references=", schema_type_name(type));
    put_references_text(out, d);
    buf_put_str(out, ",metadata=");
    contract_show_metadata(out, d->metadata);
    buf_put_str(out, ",ruleSet=");
    contract_show_rules(out, d->rules);
    buf_put_str(out, ",schema=");
    buf_put_slice(out, d->text);
    buf_put_str(out, shape < 80 ? ",schemaTags=null}" : ",schemaTags=null,ts=null,deleted=null}");
}

/* The reference's words: it prints the whole schema entity, as far as it was made ready. */
static enum err refuse_schema(struct answer *a, int shape, struct slice subject, const struct draft *d,
                              enum schema_type type, const char *details)
{
    struct buf b;
    buf_init(&b, 0);
    if (shape >= 80)
        buf_printf(&b, "Invalid schema of type %s, details: ", schema_type_name(type));
    buf_put_str(&b, "Invalid schema ");
    put_entity(&b, shape, subject, d, type);
    buf_put_str(&b, " with refs ");
    put_references_text(&b, d);
    buf_printf(&b, " of type %s, details: %s", schema_type_name(type), details);
    enum err e = answer_error_text(a, API_INVALID_SCHEMA, buf_slice(&b));
    buf_free(&b);
    return e;
}

/* The setting of that name; what is imported is taken as it is. */
static bool validates_fields(const struct store *s, struct slice subject)
{
    struct scope scope;
    scope_read(&scope, s, subject);
    bool yes = scope_flag(&scope, "validateFields") && !mode_is_import(scope.mode);
    scope_free(&scope);
    return yes;
}

enum err work_prepare(struct work *w, int shape, const struct store *s, struct slice subject, const struct draft *d,
                      const json_t *metadata, const json_t *rules, bool normalize, bool fresh, struct answer *a)
{
    struct sources r = {0};
    struct reason why = {0};
    struct buf text;
    enum schema_type type;
    struct schema_options options = {.fresh = fresh};
    *w = (struct work){0};
    if (!schema_type_parse(d->type, &type))
        return answer_error(a, API_INVALID_SCHEMA, "Invalid schema type %.*s", SLICE_FMT(d->type));
    buf_init(&text, 0);
    map_init(&r.seen);
    struct schema_ref *refs = calloc(d->reference_count + 1, sizeof *refs);
    enum err e = refs ? ERR_OK : ERR_NO_MEMORY;
    options.validate_fields = type != SCHEMA_AVRO && validates_fields(s, subject);
    if (!e && d->reference_count)
        memcpy(refs, d->references, d->reference_count * sizeof *refs);
    if (!e)
        e = resolve(&r, s, subject, refs, d->reference_count, fresh, true, 0, &why);
    if (!e)
        e = model_new(&w->model, type, d->text, r.list, r.n, &options, &why);
    if (!e)
        e = normalize ? schema_normalized(w->model->schema, &text) : schema_canonical(w->model->schema, &text);
    if (!e) {
        w->content = content_new(type, buf_slice(&text), refs, d->reference_count, metadata, rules);
        e = w->content ? ERR_OK : ERR_NO_MEMORY;
    }
    if (e) {
        struct draft ready = *d; /* with what stands for it by now: pinned references, the contract in force */
        ready.references = refs ? refs : d->references;
        ready.metadata = (json_t *)metadata;
        ready.rules = (json_t *)rules;
        e = refuse_schema(a, shape, subject, &ready, type, why.text[0] ? why.text : err_text(e));
    }
    free(refs);
    sources_free(&r);
    buf_free(&text);
    return e;
}

void work_contract(const struct scope *c, const struct draft *d, const struct content *previous, int32_t new_version,
                   json_t **metadata, json_t **rules)
{
    json_t *given = d->metadata ? json_incref(d->metadata) : previous ? contract_parse(previous->metadata) : NULL;
    json_t *given_rules = d->rules ? json_incref(d->rules) : previous ? contract_parse(previous->rules) : NULL;
    json_t *lower = contract_metadata_merge(json_object_get(c->config, "defaultMetadata"), given);
    *metadata = contract_metadata_merge(lower, json_object_get(c->config, "overrideMetadata"));
    json_decref(lower);
    lower = contract_rules_merge(json_object_get(c->config, "defaultRuleSet"), given_rules);
    *rules = contract_rules_merge(lower, json_object_get(c->config, "overrideRuleSet"));
    json_decref(lower);
    json_decref(given);
    json_decref(given_rules);
    if (new_version > 0 && (d->version != 0 || contract_property(*metadata, "confluent:version"))) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)new_version);
        json_t *with = contract_with_property(*metadata, "confluent:version", text);
        json_decref(*metadata);
        *metadata = with;
    }
}

static int32_t version_in(const json_t *metadata)
{
    const char *text = contract_property(metadata, "confluent:version");
    char *end = NULL;
    long n = text ? strtol(text, &end, 10) : 0;
    return text && end != text && !*end && n > 0 && n <= INT32_MAX ? (int32_t)n : 0;
}

/* One side may lack confluent:version: what was asked for without it finds what has it, and the other way round when
 * it is the stored version's number. */
static bool metadata_alike(const struct content *asked, const struct version *stored)
{
    json_t *m = contract_parse(asked->metadata), *n = contract_parse(stored->content->metadata);
    int32_t mine = version_in(m), theirs = version_in(n);
    bool alike = slice_eq(asked->metadata, stored->content->metadata) &&
                 slice_is_null(asked->metadata) == slice_is_null(stored->content->metadata);
    if (!mine != !theirs)
        alike = (theirs || mine == stored->version) && contract_metadata_alike(m, n);
    json_decref(m);
    json_decref(n);
    return alike;
}

static bool references_same(const struct content *a, const struct content *b)
{
    bool same = a->reference_count == b->reference_count;
    for (size_t i = 0; same && i < a->reference_count; i++) {
        const struct schema_ref *x = &a->references[i], *y = &b->references[i];
        same = x->version == y->version && slice_eq(x->name, y->name) && slice_eq(x->subject, y->subject);
    }
    return same;
}

/* Could one be the other in another order? Cheap, and nearly always no. */
static bool same_letters(struct slice a, struct slice b)
{
    uint64_t sum = 0, squares = 0; /* of a, less those of b */
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        sum += a.p[i] - (uint64_t)b.p[i];
        squares += (uint64_t)a.p[i] * a.p[i] - (uint64_t)b.p[i] * b.p[i];
    }
    return !sum && !squares;
}

/* Avro texts that differ may still be one schema: aliases in another order, or references written out. */
static bool schema_alike(struct model_cache *cache, const struct store *s, struct slice subject,
                         const struct work *asked, const struct content *stored)
{
    struct model *m = NULL;
    struct reason why;
    struct buf a, b;
    bool resolve = !references_same(asked->content, stored);
    if (resolve && (asked->content->reference_count || stored->type != SCHEMA_AVRO))
        return false;
    if (!resolve && slice_eq(asked->content->text, stored->text))
        return true;
    if (stored->type != SCHEMA_AVRO || (!resolve && !same_letters(asked->content->text, stored->text)) ||
        work_model(cache, s, subject, stored, &m, &why))
        return false;
    buf_init(&a, 0);
    buf_init(&b, 0);
    struct slice format = slice_str("resolved");
    enum err e =
        resolve ? schema_format(asked->model->schema, format, &a) : schema_normalized(asked->model->schema, &a);
    if (!e)
        e = resolve ? schema_format(m->schema, format, &b) : schema_normalized(m->schema, &b);
    bool alike = !e && slice_eq(buf_slice(&a), buf_slice(&b));
    buf_free(&a);
    buf_free(&b);
    model_unref(m);
    return alike;
}

bool work_alike(struct model_cache *cache, const struct store *s, struct slice subject, const struct work *asked,
                const struct version *stored)
{
    const struct content *c = stored->content;
    return asked->content->type == c->type && slice_eq(asked->content->rules, c->rules) &&
           metadata_alike(asked->content, stored) && schema_alike(cache, s, subject, asked, c);
}

/* --- compatibility --- */

/* Properties named in confluent:reserved, comma-separated. */
static bool reserved_has(const char *list, struct slice name)
{
    struct slice rest = slice_str(list), one;
    while (slice_next_item(&rest, ',', &one))
        if (slice_eq(one, name))
            return true;
    return false;
}

static void each_reserved(const char *list, const char *other, bool only_missing, const struct model *m,
                          const char *format, struct compat_result *out)
{
    struct slice rest = slice_str(list), one;
    while (slice_next_item(&rest, ',', &one)) {
        char text[400];
        bool say = one.n && (only_missing ? !reserved_has(other, one) : schema_has_field(m->schema, one));
        if (say) {
            char name[256];
            snprintf(name, sizeof name, "%.*s", SLICE_FMT(one));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof text, format, name);
#pragma GCC diagnostic pop
            (void)!compat_add_line(out, slice_str(text));
        }
    }
}

static void check_reserved(const struct work *w, const struct content *previous, struct compat_result *out)
{
    json_t *now = contract_parse(w->content->metadata), *was = previous ? contract_parse(previous->metadata) : NULL;
    const char *mine = contract_property(now, "confluent:reserved");
    const char *theirs = contract_property(was, "confluent:reserved");
    each_reserved(theirs, mine, true, w->model,
                  "The new schema has reserved field %s removed from its metadata which is present in the old schema's "
                  "metadata.",
                  out);
    each_reserved(mine, NULL, false, w->model, "The new schema has field that conflicts with the reserved field %s.",
                  out);
    json_decref(now);
    json_decref(was);
}

static bool in_group(const struct content *a, const struct content *b, const char *group)
{
    if (!group)
        return true;
    json_t *m = contract_parse(a->metadata), *n = contract_parse(b->metadata);
    const char *x = contract_property(m, group), *y = contract_property(n, group);
    bool same = (!x && !y) || (x && y && !strcmp(x, y));
    json_decref(m);
    json_decref(n);
    return same;
}

struct previous {
    struct compat_previous *list; /* newest first */
    struct model **models;
    size_t n;
};

static void previous_free(struct previous *p)
{
    for (size_t i = 0; i < p->n; i++)
        model_unref(p->models[i]);
    free(p->list);
    free(p->models);
}

/* The models of the versions that will be looked at. */
static enum err load_previous(struct previous *p, struct model_cache *cache, const struct store *s,
                              struct slice subject, const struct work *w, const struct version *const *versions,
                              size_t n, bool all, const char *group, struct reason *why)
{
    enum err e = ERR_OK;
    p->list = calloc(n + 1, sizeof *p->list);
    p->models = calloc(n + 1, sizeof *p->models);
    if (!p->list || !p->models)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    for (size_t i = n; i > 0 && !e && (all || !p->n); i--) {
        const struct version *v = versions[i - 1];
        if (!in_group(w->content, v->content, group))
            continue;
        e = work_model(cache, s, subject, v->content, &p->models[p->n], why);
        if (!e) {
            p->list[p->n].version = v->version;
            p->list[p->n].schema = p->models[p->n]->schema;
            p->n++;
        }
    }
    return e;
}

enum err work_compatible(struct model_cache *cache, const struct store *s, struct slice subject, const struct scope *c,
                         const struct work *w, const struct version *const *versions, size_t n,
                         struct compat_result *out, struct answer *a)
{
    enum compat_level level = COMPAT_BACKWARD;
    enum compat_policy policy = COMPAT_STRICT;
    struct previous p = {0};
    struct reason why = {0};
    bool validate = scope_flag(c, "validateFields");
    enum err e = ERR_OK;
    (void)compat_level_parse(slice_str(scope_level(c)), &level);
    (void)compat_policy_parse(slice_str(scope_text(c, "compatibilityPolicy")), &policy);
    if (validate)
        check_reserved(w, n ? versions[n - 1]->content : NULL, out);
    if (level != COMPAT_NONE) {
        bool all = strstr(compat_level_name(level), "_TRANSITIVE") != NULL;
        e = load_previous(&p, cache, s, subject, w, versions, n, all, scope_text(c, "compatibilityGroup"), &why);
        if (!e)
            e = compat_check(level, policy, w->model->schema, p.list, p.n, out, &why);
    }
    if (!e && out->n)
        e = compat_add_config(out, validate, level);
    previous_free(&p);
    return e ? answer_error(a, API_INVALID_SCHEMA, "Invalid schema: %s", why.text[0] ? why.text : err_text(e)) : ERR_OK;
}
