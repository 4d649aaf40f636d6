/* SPDX-License-Identifier: Apache-2.0
 * The registry's state: subjects with their versions, ids per context, contents shared by identity, who refers to whom.
 *
 * Ownership: the store owns subjects (kept, empty, after their last version went: a name costs little and pointers to
 * it stay good), contexts, ids and referrer lists; contents are reference counted, one for the store's table and one
 * for each version. Back pointers (id -> subjects, version -> referrers) are only ever hints: every reader looks the
 * version up again, so deletions need not hunt them down and an overlay may shadow what they point to. */
#include "registry/store.h"
#include "registry/association.h"
#include "registry/store_internal.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

const char *schema_type_name(enum schema_type t)
{
    static const char *const names[SCHEMA_TYPES] = {"AVRO", "JSON", "PROTOBUF"};
    return names[t];
}

bool schema_type_parse(struct slice s, enum schema_type *out)
{
    *out = SCHEMA_AVRO;
    if (slice_is_null(s))
        return true;
    for (int t = 0; t < SCHEMA_TYPES; t++)
        if (slice_eq_str(s, schema_type_name((enum schema_type)t))) {
            *out = (enum schema_type)t;
            return true;
        }
    return false;
}

static const char *const mode_names[] = {"", "READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"};

const char *mode_name(enum mode m)
{
    return mode_names[m];
}

bool mode_parse(struct slice s, enum mode *out)
{
    for (int m = MODE_READWRITE; m <= MODE_FORWARD; m++)
        if (s.n == strlen(mode_names[m]) && !strncasecmp((const char *)s.p, mode_names[m], s.n)) {
            *out = (enum mode)m;
            return true;
        }
    return false;
}

/* --- contents --- */

static void hash_piece(void *ctx, const void *bytes, size_t n)
{
    EVP_DigestUpdate(ctx, bytes, n);
}

static bool content_hash(struct content *c, const json_t *metadata, const json_t *rules)
{
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_md5(), NULL);
    if (ok) {
        EVP_DigestUpdate(md, c->text.p, c->text.n);
        for (size_t i = 0; i < c->reference_count; i++) {
            const struct schema_ref *r = &c->references[i];
            uint32_t v = (uint32_t)r->version;
            uint8_t be[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
            EVP_DigestUpdate(md, r->name.p, r->name.n);
            EVP_DigestUpdate(md, r->subject.p, r->subject.n);
            EVP_DigestUpdate(md, be, sizeof be);
        }
        contract_metadata_hash(metadata, hash_piece, md);
        contract_rules_hash(rules, hash_piece, md);
        ok = EVP_DigestFinal_ex(md, c->guid, &n) && n == GUID_SIZE;
    }
    EVP_MD_CTX_free(md);
    return ok;
}

static struct slice put_bytes(uint8_t **at, struct slice s)
{
    if (slice_is_null(s))
        return s;
    memcpy(*at, s.p, s.n);
    struct slice out = slice_of(*at, s.n);
    *at += s.n + 1; /* each piece NUL-terminated */
    (*at)[-1] = 0;
    return out;
}

struct content *content_new(enum schema_type type, struct slice text, const struct schema_ref *references, size_t n,
                            const json_t *metadata, const json_t *rules)
{
    struct buf m, r;
    size_t bytes = text.n + 1;
    buf_init(&m, 0);
    buf_init(&r, 0);
    if (metadata)
        contract_put(&m, metadata);
    if (rules)
        contract_put(&r, rules);
    for (size_t i = 0; i < n; i++)
        bytes += references[i].name.n + references[i].subject.n + 2;
    bytes += m.n + r.n + 2;
    struct content *c = calloc(1, sizeof *c + n * sizeof *references + bytes);
    if (c) {
        struct schema_ref *refs = (struct schema_ref *)(c + 1);
        uint8_t *at = (uint8_t *)(refs + n);
        atomic_init(&c->refs, 1);
        c->type = type;
        c->text = put_bytes(&at, text);
        for (size_t i = 0; i < n; i++) {
            refs[i].name = put_bytes(&at, references[i].name);
            refs[i].subject = put_bytes(&at, references[i].subject);
            refs[i].version = references[i].version;
        }
        c->references = refs;
        c->reference_count = n;
        c->metadata = put_bytes(&at, metadata ? buf_slice(&m) : SLICE_NULL);
        c->rules = put_bytes(&at, rules ? buf_slice(&r) : SLICE_NULL);
        if (!content_hash(c, metadata, rules)) {
            free(c);
            c = NULL;
        }
    }
    buf_free(&m);
    buf_free(&r);
    return c;
}

bool content_take_md5(struct content *c, struct slice base64)
{
    uint8_t bytes[GUID_SIZE + 2];
    enum { MD5_TEXT = 4 * ((GUID_SIZE + 2) / 3) };
    if (base64.n != MD5_TEXT || base64.p[MD5_TEXT - 1] != '=' || base64.p[MD5_TEXT - 2] != '=' ||
        EVP_DecodeBlock(bytes, base64.p, MD5_TEXT) != GUID_SIZE + 2)
        return false;
    memcpy(c->guid, bytes, GUID_SIZE);
    c->guid_given = true;
    return true;
}

struct content *content_ref(struct content *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void content_unref(struct content *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

bool content_same(const struct content *a, const struct content *b)
{
    return a == b || (a->type == b->type && memcmp(a->guid, b->guid, GUID_SIZE) == 0);
}

void guid_put(struct buf *out, const uint8_t guid[GUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char text[GUID_SIZE * 2 + 4];
    size_t n = 0;
    for (int i = 0; i < GUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[n++] = '-';
        text[n++] = hex[guid[i] >> 4];
        text[n++] = hex[guid[i] & 15];
    }
    buf_put(out, text, n);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool guid_parse(struct slice text, uint8_t guid[GUID_SIZE])
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int d = hex_digit(text.p[i]);
        if (text.p[i] == '-')
            continue;
        if (d < 0 || n >= 2 * GUID_SIZE)
            return false;
        guid[n / 2] = (uint8_t)(n % 2 ? guid[n / 2] | d : d << 4);
        n++;
    }
    return n == 2 * GUID_SIZE;
}

/* --- keys of the inner tables --- */

struct content_key content_key(const struct content *c)
{
    struct content_key k;
    /* the guid does not tell empty metadata from an empty rule set */
    k.bytes[0] = (uint8_t)(c->type | slice_is_null(c->metadata) << 4 | slice_is_null(c->rules) << 5);
    memcpy(k.bytes + 1, c->guid, GUID_SIZE);
    return k;
}

static struct slice id_key(uint8_t out[4], int32_t id)
{
    uint32_t v = (uint32_t)id;
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
    return slice_of(out, 4);
}

/* --- life --- */

/* Subjects of a base store are never taken out of its table, so what is new stands at the table's end: it is sorted and
 * merged into the order. The order has its own lock, because readers make it. */
struct store_order {
    pthread_mutex_t lock;
    const struct subject **list;
    size_t n;
};

void store_init(struct store *s, const struct store *base)
{
    memset(s, 0, sizeof *s);
    s->base = base;
    map_init(&s->subjects);
    map_init(&s->contexts);
    map_init(&s->contents);
    map_init(&s->referrers);
    map_init(&s->configs);
    map_init(&s->modes);
    map_init(&s->associations);
    map_init(&s->association_index);
    map_init(&s->raw_keys);
    map_init(&s->repairs);
    map_init(&s->reserved);
    arena_init(&s->scratch, 0);
    if (base)
        return;
    s->order = calloc(1, sizeof *s->order);
    if (!s->order)
        abort();
    pthread_mutex_init(&s->order->lock, NULL);
}

static void free_subject(void *p)
{
    struct subject *u = p;
    for (size_t i = 0; i < u->n; i++)
        content_unref(u->versions[i].content);
    free(u->versions);
    free(u);
}

static void free_id(void *p)
{
    struct id_entry *e = p;
    content_unref(e->content);
    free(e->subjects);
    free(e);
}

static void free_context(void *p)
{
    struct context *c = p;
    map_free(&c->by_content, NULL);
    map_free(&c->ids, free_id);
    free(c);
}

static void free_content(void *p)
{
    content_unref(p);
}

static void free_referrers(void *p)
{
    struct referrers *r = p;
    for (size_t i = 0; i < r->n; i++)
        free(r->list[i].subject);
    free(r->list);
    free(r);
}

static void free_json(void *p)
{
    json_decref(p);
}

void store_free(struct store *s)
{
    map_free(&s->subjects, free_subject);
    map_free(&s->contexts, free_context);
    map_free(&s->contents, free_content);
    map_free(&s->referrers, free_referrers);
    map_free(&s->configs, free_json);
    map_free(&s->modes, NULL);
    association_store_free(s);
    map_free(&s->raw_keys, free_json);
    map_free(&s->repairs, free);
    map_free(&s->reserved, NULL);
    arena_free(&s->scratch);
    if (s->order) {
        pthread_mutex_destroy(&s->order->lock);
        free(s->order->list);
        free(s->order);
        s->order = NULL;
    }
}

/* --- changing --- */

struct subject *store_subject_for_write(struct store *s, struct slice name)
{
    struct subject *u = map_get(&s->subjects, name);
    if (u)
        return u;
    const struct subject *below = NULL;
    for (const struct store *at = s->base; at && !below; at = at->base)
        below = map_get(&at->subjects, name);
    u = calloc(1, sizeof *u + name.n + 1);
    if (!u)
        return NULL;
    memcpy(u + 1, name.p, name.n);
    u->name = slice_of(u + 1, name.n);
    if (below && below->n) {
        u->versions = malloc(below->n * sizeof *u->versions);
        if (!u->versions) {
            free(u);
            return NULL;
        }
        memcpy(u->versions, below->versions, below->n * sizeof *u->versions);
        u->n = u->cap = below->n;
        for (size_t i = 0; i < u->n; i++)
            content_ref(u->versions[i].content);
    }
    if (map_put(&s->subjects, name, u, NULL)) {
        free_subject(u);
        return NULL;
    }
    return u;
}

struct context *store_context_for_write(struct store *s, struct slice name)
{
    struct context *c = map_get(&s->contexts, name);
    if (c)
        return c;
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    map_init(&c->ids);
    map_init(&c->by_content);
    c->declared = -1; /* as the base says */
    if (map_put(&s->contexts, name, c, NULL)) {
        free(c);
        return NULL;
    }
    return c;
}

/* The store's own copy of that content, so that equal ones are one. Takes over the reference. */
struct content *store_intern(struct store *s, struct content *c)
{
    struct content_key k = content_key(c);
    struct slice key = slice_of(k.bytes, sizeof k.bytes);
    struct content *known = map_get(&s->contents, key);
    if (!known && s->base)
        known = map_get(&s->base->contents, key);
    if (known) {
        content_ref(known);
        content_unref(c);
        return known;
    }
    if (map_put(&s->contents, key, content_ref(c), NULL)) {
        content_unref(c);
        content_unref(c);
        return NULL;
    }
    return c;
}

void store_release(struct store *s, struct content *c)
{
    struct content_key k = content_key(c);
    bool last = atomic_load(&c->refs) == 2; /* this one and the table's */
    content_unref(c);
    if (last && map_get(&s->contents, slice_of(k.bytes, sizeof k.bytes)) == c) {
        map_remove(&s->contents, slice_of(k.bytes, sizeof k.bytes));
        content_unref(c);
    }
}

enum err store_note_id(struct store *s, struct subject *u, const struct version *v)
{
    uint8_t be[4];
    struct context *c = store_context_for_write(s, subject_parse(u->name).context);
    if (!c)
        return ERR_NO_MEMORY;
    struct id_entry *e = map_get(&c->ids, id_key(be, v->id));
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e || map_put(&c->ids, id_key(be, v->id), e, NULL)) {
            free(e);
            return ERR_NO_MEMORY;
        }
        e->id = v->id;
    }
    if (!e->content || !store_by_id(s, subject_parse(u->name).context, v->id)) {
        content_unref(e->content); /* nobody uses the old one any more: the id starts over */
        e->content = content_ref(v->content);
    }
    struct content_key k = content_key(v->content); /* one id may have several: the same text with other metadata */
    if (map_put(&c->by_content, slice_of(k.bytes, sizeof k.bytes), e, NULL))
        return ERR_NO_MEMORY;
    if (v->id > c->max_id)
        c->max_id = v->id;
    for (size_t i = 0; i < e->n; i++)
        if (e->subjects[i] == u)
            return ERR_OK;
    struct subject **list = realloc(e->subjects, (e->n + 1) * sizeof *list);
    if (!list)
        return ERR_NO_MEMORY;
    list[e->n++] = u;
    e->subjects = list;
    return ERR_OK;
}

struct slice referrer_key(struct buf *out, struct slice subject, int32_t version)
{
    buf_clear(out);
    buf_put_slice(out, subject);
    buf_u8(out, 0);
    buf_u32(out, (uint32_t)version);
    return buf_slice(out);
}

static enum err add_referrer(struct store *s, struct slice key, struct slice subject, int32_t version)
{
    struct referrers *r = map_get(&s->referrers, key);
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r || map_put(&s->referrers, key, r, NULL)) {
            free(r);
            return ERR_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->list[i].version == version && slice_eq_str(subject, r->list[i].subject))
            return ERR_OK;
    struct referrer *list = realloc(r->list, (r->n + 1) * sizeof *list);
    if (!list)
        return ERR_NO_MEMORY;
    r->list = list;
    list[r->n].subject = strndup((const char *)subject.p, subject.n);
    list[r->n].version = version;
    return list[r->n++].subject ? ERR_OK : ERR_NO_MEMORY;
}

enum err store_note_references(struct store *s, const struct subject *u, const struct version *v)
{
    struct buf target, key;
    enum err e = ERR_OK;
    buf_init(&target, 0);
    buf_init(&key, 0);
    for (size_t i = 0; i < v->content->reference_count && !e; i++) {
        buf_clear(&target);
        subject_put_from_parent(&target, u->name, v->content->references[i].subject);
        struct slice k = referrer_key(&key, buf_slice(&target), v->content->references[i].version);
        e = add_referrer(s, k, u->name, v->version);
    }
    buf_free(&target);
    buf_free(&key);
    return e;
}

/* --- lookups --- */

const struct subject *store_subject(const struct store *s, struct slice name)
{
    for (; s; s = s->base) {
        const struct subject *u = map_get(&s->subjects, name);
        if (u)
            return u->n ? u : NULL;
    }
    return NULL;
}

const struct version *subject_version(const struct subject *u, int32_t version)
{
    size_t lo = 0, hi = u ? u->n : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (u->versions[mid].version == version)
            return &u->versions[mid];
        if (u->versions[mid].version < version)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct version *subject_latest(const struct subject *u, bool deleted)
{
    for (size_t i = u ? u->n : 0; i > 0; i--)
        if (deleted || !u->versions[i - 1].deleted)
            return &u->versions[i - 1];
    return NULL;
}

bool subject_has(const struct subject *u, bool deleted)
{
    return subject_latest(u, deleted) != NULL;
}

void store_each_subject(const struct store *s, bool (*fn)(void *ctx, const struct subject *u), void *ctx)
{
    for (const struct store *at = s; at; at = at->base)
        for (struct map_entry *e = map_first(&at->subjects); e; e = map_next(&at->subjects, e)) {
            const struct subject *u = e->value;
            if (!u->n || (at != s && store_subject(s, u->name) != u))
                continue;
            if (!fn(ctx, u))
                return;
        }
}

static int cmp_subjects(const void *a, const void *b)
{
    return slice_cmp((*(const struct subject *const *)a)->name, (*(const struct subject *const *)b)->name);
}

static bool order_catch_up(struct store_order *o, const struct store *s)
{
    size_t total = map_count(&s->subjects), seen = 0, fresh_n = 0, i = 0, j = 0, n = 0;
    if (o->n == total)
        return true;
    const struct subject **list = malloc(total * sizeof *list), **fresh = malloc((total - o->n) * sizeof *fresh);
    for (struct map_entry *e = map_first(&s->subjects); e && list && fresh; e = map_next(&s->subjects, e))
        if (seen++ >= o->n)
            fresh[fresh_n++] = e->value;
    if (list && fresh) {
        qsort(fresh, fresh_n, sizeof *fresh, cmp_subjects);
        while (i < o->n || j < fresh_n)
            list[n++] =
                j == fresh_n || (i < o->n && cmp_subjects(&o->list[i], &fresh[j]) < 0) ? o->list[i++] : fresh[j++];
        free(o->list);
        o->list = list;
        o->n = n;
        list = NULL;
    }
    free(list);
    free(fresh);
    return o->n == total;
}

void store_each_sorted(const struct store *s, bool (*fn)(void *ctx, const struct subject *u), void *ctx)
{
    struct store_order *o = s->order;
    pthread_mutex_lock(&o->lock);
    if (order_catch_up(o, s))
        for (size_t i = 0; i < o->n; i++)
            if (o->list[i]->n && !fn(ctx, o->list[i]))
                break;
    pthread_mutex_unlock(&o->lock);
}

struct has_subjects {
    struct qsubject want;
    bool deleted, found;
};

static bool find_in_context(void *ctx, const struct subject *u)
{
    struct has_subjects *h = ctx;
    if (slice_eq(subject_parse(u->name).context, h->want.context) && subject_has(u, h->deleted))
        h->found = true;
    return !h->found;
}

bool store_has_subjects(const struct store *s, struct slice qualified, bool deleted)
{
    struct has_subjects h = {subject_parse(qualified), deleted, false};
    if (!subject_is_context(qualified))
        return subject_has(store_subject(s, qualified), deleted);
    store_each_subject(s, find_in_context, &h);
    return h.found;
}

void store_each_use(const struct store *s, struct slice context, int32_t id,
                    bool (*fn)(void *ctx, const struct subject *u, const struct version *v), void *ctx)
{
    uint8_t be[4];
    for (const struct store *at = s; at; at = at->base) {
        const struct context *c = map_get(&at->contexts, context);
        const struct id_entry *e = c ? map_get(&c->ids, id_key(be, id)) : NULL;
        for (size_t i = 0; e && i < e->n; i++) {
            const struct subject *u = store_subject(s, e->subjects[i]->name);
            if (at != s && map_has(&s->subjects, e->subjects[i]->name) && c != map_get(&s->contexts, context)) {
                const struct context *own = map_get(&s->contexts, context);
                const struct id_entry *mine = own ? map_get(&own->ids, id_key(be, id)) : NULL;
                bool told = false;
                for (size_t j = 0; mine && j < mine->n; j++)
                    told |= slice_eq(mine->subjects[j]->name, e->subjects[i]->name);
                if (told)
                    continue;
            }
            for (size_t j = 0; u && j < u->n; j++)
                if (u->versions[j].id == id && !fn(ctx, u, &u->versions[j]))
                    return;
        }
    }
}

static bool any_use(void *ctx, const struct subject *u, const struct version *v)
{
    (void)u;
    *(const struct content **)ctx = v->content;
    return false;
}

const struct content *store_by_id(const struct store *s, struct slice context, int32_t id)
{
    const struct content *c = NULL;
    store_each_use(s, context, id, any_use, &c);
    return c;
}

struct find_content {
    const struct content *want;
    bool found;
};

static bool is_content(void *ctx, const struct subject *u, const struct version *v)
{
    struct find_content *f = ctx;
    (void)u;
    f->found = content_same(v->content, f->want);
    return !f->found;
}

int32_t store_id_of(const struct store *s, struct slice context, const struct content *c)
{
    struct content_key k = content_key(c);
    for (const struct store *at = s; at; at = at->base) {
        const struct context *x = map_get(&at->contexts, context);
        const struct id_entry *e = x ? map_get(&x->by_content, slice_of(k.bytes, sizeof k.bytes)) : NULL;
        struct find_content f = {c, false};
        if (e)
            store_each_use(s, context, e->id, is_content, &f);
        if (f.found)
            return e->id;
    }
    return -1;
}

int32_t store_max_id(const struct store *s, struct slice context)
{
    int32_t max = 0;
    for (; s; s = s->base) {
        const struct context *c = map_get(&s->contexts, context);
        if (c && c->max_id > max)
            max = c->max_id;
    }
    return max;
}

const struct content *store_by_guid(const struct store *s, struct slice context, const uint8_t guid[GUID_SIZE],
                                    int32_t *id)
{
    struct content probe = {0};
    memcpy(probe.guid, guid, GUID_SIZE);
    for (int t = 0; t < SCHEMA_TYPES * 4; t++) { /* each type, with and without metadata and rules */
        probe.type = (enum schema_type)(t / 4);
        probe.metadata = t & 1 ? slice_str("") : SLICE_NULL;
        probe.rules = t & 2 ? slice_str("") : SLICE_NULL;
        *id = store_id_of(s, context, &probe);
        if (*id >= 0)
            return store_by_id(s, context, *id);
    }
    return NULL;
}

static bool refers(const struct version *v, struct slice parent, struct slice subject, int32_t version)
{
    struct buf target;
    bool yes = false;
    buf_init(&target, 0);
    for (size_t i = 0; i < v->content->reference_count && !yes; i++) {
        buf_clear(&target);
        subject_put_from_parent(&target, parent, v->content->references[i].subject);
        yes = v->content->references[i].version == version && slice_eq(buf_slice(&target), subject);
    }
    buf_free(&target);
    return yes;
}

static bool is_told(const struct store *s, const struct store *upto, struct slice key, const struct referrer *r)
{
    for (; s != upto; s = s->base) {
        const struct referrers *list = map_get(&s->referrers, key);
        for (size_t i = 0; list && i < list->n; i++)
            if (list->list[i].version == r->version && !strcmp(list->list[i].subject, r->subject))
                return true;
    }
    return false;
}

void store_each_referrer(const struct store *s, struct slice qualified, int32_t version, bool deleted,
                         bool (*fn)(void *ctx, const struct subject *u, const struct version *v), void *ctx)
{
    struct buf b;
    bool more = true;
    buf_init(&b, 0);
    struct slice key = referrer_key(&b, qualified, version);
    for (const struct store *at = s; at && more; at = at->base) {
        const struct referrers *r = map_get(&at->referrers, key);
        for (size_t i = 0; r && i < r->n && more; i++) {
            const struct subject *u = store_subject(s, slice_str(r->list[i].subject));
            const struct version *v = subject_version(u, r->list[i].version);
            if (v && (deleted || !v->deleted) && !is_told(s, at, key, &r->list[i]) &&
                refers(v, u->name, qualified, version))
                more = fn(ctx, u, v);
        }
    }
    buf_free(&b);
}

struct any_referrer {
    struct slice except;
    bool found;
};

static bool note_referrer(void *ctx, const struct subject *u, const struct version *v)
{
    struct any_referrer *a = ctx;
    (void)v;
    a->found = slice_is_null(a->except) || !slice_eq(u->name, a->except);
    return !a->found;
}

bool store_is_referenced(const struct store *s, struct slice qualified, int32_t version, bool deleted,
                         struct slice except_subject)
{
    struct any_referrer a = {except_subject, false};
    store_each_referrer(s, qualified, version, deleted, note_referrer, &a);
    return a.found;
}

const char *store_default_level(const struct store *s)
{
    while (s->base)
        s = s->base;
    return s->default_level ? s->default_level : "BACKWARD";
}

bool store_has_context(const struct store *s, struct slice context)
{
    for (; s; s = s->base) {
        const struct context *c = map_get(&s->contexts, context);
        if (c && c->declared >= 0)
            return c->declared;
    }
    return false;
}

static int cmp_names(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* The keys of one map of the store and of those below it, each once, sorted; the caller frees. `at` is the map's place
 * in the struct. */
static struct slice *all_keys(const struct store *s, size_t at, size_t *n)
{
    size_t cap = 0;
    for (const struct store *b = s; b; b = b->base)
        cap += map_count((const struct map *)((const char *)b + at));
    struct slice *keys = calloc(cap + 1, sizeof *keys);
    *n = 0;
    for (const struct store *b = s; b && keys; b = b->base) {
        const struct map *m = (const struct map *)((const char *)b + at);
        for (struct map_entry *e = map_first(m); e; e = map_next(m, e)) {
            bool told = false;
            for (const struct store *up = s; up != b; up = up->base)
                told |= map_has((const struct map *)((const char *)up + at), map_key(e));
            if (!told)
                keys[(*n)++] = map_key(e);
        }
    }
    if (keys)
        qsort(keys, *n, sizeof *keys, cmp_names);
    return keys;
}

void store_each_context(const struct store *s, bool (*fn)(void *ctx, struct slice context, bool declared), void *ctx)
{
    size_t n;
    struct slice *names = all_keys(s, offsetof(struct store, contexts), &n);
    for (size_t i = 0; i < n && fn(ctx, names[i], store_has_context(s, names[i])); i++)
        ;
    free(names);
}

static struct slice scope_key(struct slice qualified)
{
    return slice_is_null(qualified) ? slice_str("") : qualified;
}

const json_t *store_config(const struct store *s, struct slice qualified)
{
    for (; s; s = s->base) {
        const json_t *c = map_get(&s->configs, scope_key(qualified));
        if (c)
            return json_is_null(c) ? NULL : c;
    }
    return NULL;
}

enum mode store_mode(const struct store *s, struct slice qualified)
{
    for (; s; s = s->base)
        if (map_has(&s->modes, scope_key(qualified)))
            return (enum mode)(intptr_t)map_get(&s->modes, scope_key(qualified));
    return MODE_NONE;
}

void store_each_config(const struct store *s, bool (*fn)(void *ctx, struct slice qualified), void *ctx)
{
    size_t n;
    struct slice *names = all_keys(s, offsetof(struct store, configs), &n);
    for (size_t i = 0; i < n; i++)
        if (store_config(s, names[i]) && !fn(ctx, names[i]))
            break;
    free(names);
}

void store_each_mode(const struct store *s, bool (*fn)(void *ctx, struct slice qualified), void *ctx)
{
    size_t n;
    struct slice *names = all_keys(s, offsetof(struct store, modes), &n);
    for (size_t i = 0; i < n; i++)
        if (store_mode(s, names[i]) != MODE_NONE && !fn(ctx, names[i]))
            break;
    free(names);
}
