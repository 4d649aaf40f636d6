/* SPDX-License-Identifier: Apache-2.0
 * Associations in the store: read from and written as ASSOC records, found by subject, by resource id and by name.
 *
 * Each store (or overlay) holds what its own records said, by the record's logical key; in an overlay an entry without
 * a guid says that the one below is gone. The index lists, per subject and per resource id, keys that may be there:
 * whoever reads looks each up again. A base store forgets index entries when a record goes; overlays are short-lived
 * and do not care. */
#include "registry/association.h"

#include "registry/json_text.h"

#include <stdlib.h>

const char *lifecycle_name(enum lifecycle l)
{
    static const char *const names[] = {"", "STRONG", "WEAK"};
    return names[l];
}

bool lifecycle_parse(struct slice s, enum lifecycle *out)
{
    *out = slice_eq_str(s, "STRONG") ? LIFECYCLE_STRONG : slice_eq_str(s, "WEAK") ? LIFECYCLE_WEAK : LIFECYCLE_UNSET;
    return *out != LIFECYCLE_UNSET;
}

/* --- records --- */

static void put_member(struct buf *out, const char *name, struct slice value)
{
    buf_printf(out, "\"%s\":", name);
    json_text_print_string(out, value);
    buf_put_str(out, ",");
}

void record_association_key(struct buf *out, const struct association *a)
{
    buf_put_str(out, "{\"keytype\":\"ASSOC\",\"tenant\":\"default\",");
    put_member(out, "resourceName", a->resource_name);
    put_member(out, "resourceNamespace", a->resource_namespace);
    put_member(out, "resourceType", a->resource_type);
    put_member(out, "associationType", a->type);
    put_member(out, "subject", a->subject);
    buf_put_str(out, "\"magic\":0}");
}

void record_association_value(struct buf *out, const struct association *a)
{
    buf_put_str(out, "{");
    put_member(out, "guid", a->guid);
    put_member(out, "tenant", slice_str("default"));
    put_member(out, "resourceName", a->resource_name);
    put_member(out, "resourceNamespace", a->resource_namespace);
    put_member(out, "resourceId", a->resource_id);
    put_member(out, "resourceType", a->resource_type);
    put_member(out, "associationType", a->type);
    put_member(out, "subject", a->subject);
    buf_printf(out, "\"lifecycle\":\"%s\",\"frozen\":%s}", lifecycle_name(a->lifecycle), a->frozen ? "true" : "false");
}

static struct slice text_of(const struct jvalue *v, const char *name)
{
    const struct jvalue *m = json_text_get_str(v, name);
    return m && m->kind == J_STRING ? m->u.text : SLICE_NULL;
}

/* The members that make the key; false: one is missing. */
static bool read_key(const struct jvalue *key, struct association *a)
{
    a->resource_name = text_of(key, "resourceName");
    a->resource_namespace = text_of(key, "resourceNamespace");
    a->resource_type = text_of(key, "resourceType");
    a->type = text_of(key, "associationType");
    a->subject = text_of(key, "subject");
    return a->resource_name.p && a->resource_namespace.p && a->resource_type.p && a->type.p && a->subject.p;
}

static bool read_value(const struct jvalue *value, struct association *a)
{
    const struct jvalue *frozen = json_text_get_str(value, "frozen");
    a->guid = text_of(value, "guid");
    a->resource_id = text_of(value, "resourceId");
    a->frozen = frozen && frozen->kind == J_TRUE;
    return a->guid.p && a->resource_id.p && lifecycle_parse(text_of(value, "lifecycle"), &a->lifecycle);
}

void association_put_key(struct buf *out, const struct jvalue *key)
{
    struct association a = {0};
    if (read_key(key, &a))
        record_association_key(out, &a);
}

/* --- the store's part --- */

static struct slice copied(uint8_t **at, struct slice s)
{
    if (slice_is_null(s))
        return s;
    memcpy(*at, s.p, s.n);
    s.p = *at;
    *at += s.n + 1;
    return s;
}

static struct association *copy_of(const struct association *a)
{
    size_t n = a->resource_name.n + a->resource_namespace.n + a->resource_id.n + a->resource_type.n + a->type.n +
               a->subject.n + a->guid.n + 7;
    struct association *c = calloc(1, sizeof *c + n);
    if (!c)
        return NULL;
    uint8_t *at = (uint8_t *)(c + 1);
    *c = *a;
    c->resource_name = copied(&at, a->resource_name);
    c->resource_namespace = copied(&at, a->resource_namespace);
    c->resource_id = copied(&at, a->resource_id);
    c->resource_type = copied(&at, a->resource_type);
    c->type = copied(&at, a->type);
    c->subject = copied(&at, a->subject);
    c->guid = copied(&at, a->guid);
    return c;
}

static struct slice index_key(struct buf *out, char kind, struct slice what)
{
    buf_clear(out);
    buf_u8(out, (uint8_t)kind);
    buf_put_slice(out, what);
    return buf_slice(out);
}

static enum err index_add(struct store *s, char kind, struct slice what, struct slice key)
{
    struct buf b;
    buf_init(&b, 0);
    struct slice at = index_key(&b, kind, what);
    struct map *keys = map_get(&s->association_index, at);
    enum err e = ERR_OK;
    if (!keys) {
        keys = calloc(1, sizeof *keys);
        if (keys)
            map_init(keys);
        e = keys ? map_put(&s->association_index, at, keys, NULL) : ERR_NO_MEMORY;
        if (e)
            free(keys);
    }
    if (!e)
        e = map_put(keys, key, keys, NULL);
    buf_free(&b);
    return e;
}

static void free_keys(void *p)
{
    struct map *keys = p;
    map_free(keys, NULL);
    free(keys);
}

static void index_remove(struct store *s, char kind, struct slice what, struct slice key)
{
    struct buf b;
    buf_init(&b, 0);
    struct slice at = index_key(&b, kind, what);
    struct map *keys = map_get(&s->association_index, at);
    if (keys)
        map_remove(keys, key);
    if (keys && map_count(keys) == 0) {
        map_remove(&s->association_index, at);
        free_keys(keys);
    }
    buf_free(&b);
}

/* The association there is under that key, or NULL. */
static const struct association *known(const struct store *s, struct slice key)
{
    for (; s; s = s->base) {
        const struct association *a = map_get(&s->associations, key);
        if (a)
            return a->guid.p ? a : NULL;
    }
    return NULL;
}

static void forget(struct store *s, struct slice key)
{
    struct association *old = map_remove(&s->associations, key);
    if (old && old->guid.p) {
        index_remove(s, 's', old->subject, key);
        index_remove(s, 'r', old->resource_id, key);
    }
    free(old);
}

static enum err remember(struct store *s, struct slice key, const struct association *a)
{
    struct association *copy = copy_of(a);
    if (!copy || map_put(&s->associations, key, copy, NULL)) {
        free(copy);
        return ERR_NO_MEMORY;
    }
    if (!copy->guid.p)
        return ERR_OK;
    enum err e = index_add(s, 's', copy->subject, key);
    return e ? e : index_add(s, 'r', copy->resource_id, key);
}

enum err association_apply(struct store *s, const struct jvalue *key, const struct jvalue *value, int64_t timestamp_ms,
                           struct reason *why)
{
    struct association a = {.created_ms = timestamp_ms, .updated_ms = timestamp_ms};
    struct buf canonical;
    enum err e = ERR_OK;
    if (!read_key(key, &a))
        return reason_set(why, ERR_MALFORMED, "ASSOC key without resource, type or subject");
    if (value && !read_value(value, &a))
        return reason_set(why, ERR_MALFORMED, "ASSOC record without guid, resource id or lifecycle");
    buf_init(&canonical, 0);
    record_association_key(&canonical, &a);
    const struct association *old = known(s, buf_slice(&canonical));
    if (value && old)
        a.created_ms = old->created_ms;
    forget(s, buf_slice(&canonical));
    if (value || s->base)
        e = remember(s, buf_slice(&canonical), &a);
    buf_free(&canonical);
    return e;
}

static void free_association(void *p)
{
    free(p);
}

void association_store_free(struct store *s)
{
    map_free(&s->associations, free_association);
    map_free(&s->association_index, free_keys);
}

/* --- finding --- */

/* Does a store above `at` say something about that key? */
static bool is_overlaid(const struct store *s, const struct store *at, struct slice key)
{
    for (; s != at; s = s->base)
        if (map_has(&s->associations, key))
            return true;
    return false;
}

static bool is_name(struct slice wanted, struct slice have)
{
    return slice_eq_str(wanted, ASSOCIATION_ANY) || slice_eq(wanted, have);
}

static bool fits(const struct association_query *q, const struct association *a)
{
    bool by_name = slice_is_null(q->subject) && slice_is_null(q->resource_id);
    if (!a->guid.p || (q->subject.p && !slice_eq(q->subject, a->subject)) ||
        (q->resource_id.p && !slice_eq(q->resource_id, a->resource_id)))
        return false;
    if (by_name &&
        (!is_name(q->resource_name, a->resource_name) || !is_name(q->resource_namespace, a->resource_namespace)))
        return false;
    if (q->resource_type.p && !slice_eq(q->resource_type, a->resource_type))
        return false;
    if (q->lifecycle != LIFECYCLE_UNSET && q->lifecycle != a->lifecycle)
        return false;
    for (size_t i = 0; i < q->types_n; i++)
        if (slice_eq(q->types[i], a->type))
            return true;
    return q->types_n == 0;
}

static enum err add(struct association_list *l, const struct association *a)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        const struct association **v = realloc(l->v, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = a;
    return ERR_OK;
}

/* The keys of a layer to look at: those indexed, or all. */
static const struct map *keys_of(const struct store *s, const struct association_query *q, struct buf *b)
{
    if (q->subject.p)
        return map_get(&s->association_index, index_key(b, 's', q->subject));
    if (q->resource_id.p)
        return map_get(&s->association_index, index_key(b, 'r', q->resource_id));
    return &s->associations;
}

static int by_place(const void *x, const void *y)
{
    const struct association *a = *(const struct association *const *)x, *b = *(const struct association *const *)y;
    int c = slice_cmp(a->resource_name, b->resource_name);
    c = c ? c : slice_cmp(a->resource_namespace, b->resource_namespace);
    c = c ? c : slice_cmp(a->resource_type, b->resource_type);
    c = c ? c : slice_cmp(a->type, b->type);
    return c ? c : slice_cmp(a->subject, b->subject);
}

enum err association_find(const struct store *s, const struct association_query *q, struct association_list *out)
{
    struct buf b;
    enum err e = ERR_OK;
    *out = (struct association_list){0};
    buf_init(&b, 0);
    for (const struct store *at = s; at && !e; at = at->base) {
        const struct map *keys = keys_of(at, q, &b);
        for (struct map_entry *k = keys ? map_first(keys) : NULL; k && !e; k = map_next(keys, k)) {
            const struct association *a = map_get(&at->associations, map_key(k));
            if (a && fits(q, a) && !is_overlaid(s, at, map_key(k)))
                e = add(out, a);
        }
    }
    buf_free(&b);
    if (out->n > 1)
        qsort(out->v, out->n, sizeof *out->v, by_place);
    return e;
}

void association_list_free(struct association_list *l)
{
    free(l->v);
    *l = (struct association_list){0};
}

bool association_exists(const struct store *s, struct slice subject)
{
    struct association_query q = {.subject = subject};
    struct association_list l;
    bool any = association_find(s, &q, &l) != ERR_OK || l.n > 0;
    association_list_free(&l);
    return any;
}

/* --- answers --- */

void association_put(struct buf *out, const struct association *a)
{
    buf_put_str(out, "{");
    put_member(out, "subject", a->subject);
    put_member(out, "guid", a->guid);
    association_put_resource(out, a->resource_name, a->resource_namespace, a->resource_id, a->resource_type);
    buf_put_str(out, ",");
    put_member(out, "associationType", a->type);
    buf_printf(out, "\"lifecycle\":\"%s\",\"frozen\":%s,\"createTs\":%lld,\"updateTs\":%lld}",
               lifecycle_name(a->lifecycle), a->frozen ? "true" : "false", (long long)a->created_ms,
               (long long)a->updated_ms);
}

void association_put_info(struct buf *out, const struct association *a, struct slice schema)
{
    buf_put_str(out, "{");
    put_member(out, "subject", a->subject);
    put_member(out, "associationType", a->type);
    buf_printf(out, "\"lifecycle\":\"%s\",\"frozen\":%s", lifecycle_name(a->lifecycle), a->frozen ? "true" : "false");
    if (!slice_is_null(schema)) {
        buf_put_str(out, ",\"schema\":");
        buf_put_slice(out, schema);
    }
    buf_put_str(out, "}");
}

void association_put_resource(struct buf *out, struct slice name, struct slice name_space, struct slice id,
                              struct slice type)
{
    static const char *const names[] = {"resourceName", "resourceNamespace", "resourceId", "resourceType"};
    struct slice values[] = {name, name_space, id, type};
    bool any = false;
    for (int i = 0; i < 4; i++) {
        if (!values[i].n)
            continue;
        buf_printf(out, "%s\"%s\":", any ? "," : "", names[i]);
        json_text_print_string(out, values[i]);
        any = true;
    }
}

void association_guid(char out[ASSOCIATION_GUID_SIZE], uint8_t bytes[GUID_SIZE])
{
    struct buf b;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    buf_init(&b, 0);
    guid_put(&b, bytes);
    memcpy(out, buf_cstr(&b), b.n < ASSOCIATION_GUID_SIZE ? b.n + 1 : 0);
    buf_free(&b);
}
