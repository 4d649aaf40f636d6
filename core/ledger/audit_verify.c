/* SPDX-License-Identifier: Apache-2.0
 * Verification of audit chains: records in, findings out. Every hash of a chain is kept until the end (32 bytes a
 * record), so that a record written twice, which a writer does when its first attempt's outcome was in doubt, is told
 * from one that was put in. After a fault the record at hand is taken as the new state, so that one fault is one
 * finding. */
#include "core/base/map.h"
#include "core/ledger/audit.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { TAIL = 9 + 2 * AUDIT_HASH_SIZE + 2, GAP_MAX = 1000000 };

struct chain {
    struct slice writer; /* the map's own copy of the key */
    uint64_t first;      /* number of hashes[0] */
    uint8_t (*hashes)[AUDIT_HASH_SIZE];
    size_t n, cap;
    uint64_t begin, records, duplicates, lost;
    bool stopped;
};

struct anchor {
    struct slice writer; /* owned */
    uint64_t seq;
    uint8_t hash[AUDIT_HASH_SIZE];
    bool met;
};

struct audit_verifier {
    void (*found)(void *ctx, const struct audit_finding *f);
    void *ctx;
    struct map chains; /* writer -> struct chain */
    struct anchor *anchors;
    size_t anchor_count;
    bool beginning_gone; /* some partition's first records left with retention */
};

static const char *const fault_names[] = {"malformed", "edited", "gap", "order", "link", "start", "anchor"};

const char *audit_fault_name(enum audit_fault f)
{
    return fault_names[f];
}

struct audit_verifier *audit_verifier_new(void (*found)(void *ctx, const struct audit_finding *f), void *ctx)
{
    struct audit_verifier *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->found = found;
    v->ctx = ctx;
    map_init(&v->chains);
    return v;
}

static void chain_free(void *value)
{
    struct chain *c = value;
    free(c->hashes);
    free(c);
}

void audit_verifier_free(struct audit_verifier *v)
{
    if (!v)
        return;
    map_free(&v->chains, chain_free);
    for (size_t i = 0; i < v->anchor_count; i++)
        free((void *)v->anchors[i].writer.p);
    free(v->anchors);
    free(v);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(struct slice text, uint8_t out[AUDIT_HASH_SIZE])
{
    if (text.n != 2 * AUDIT_HASH_SIZE)
        return false;
    for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
        int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

enum err audit_verify_expect(struct audit_verifier *v, struct slice writer, uint64_t seq, struct slice hash,
                             struct reason *why)
{
    struct anchor *list = realloc(v->anchors, (v->anchor_count + 1) * sizeof *list);
    if (!list)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    v->anchors = list;
    struct anchor *a = &list[v->anchor_count];
    *a = (struct anchor){.seq = seq};
    if (!read_hash(hash, a->hash))
        return reason_set(why, ERR_MALFORMED, "'%.*s' is not a hash", SLICE_FMT(hash));
    uint8_t *copy = malloc(writer.n + 1);
    if (!copy)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    memcpy(copy, writer.p, writer.n);
    a->writer = slice_of(copy, writer.n);
    v->anchor_count++;
    return ERR_OK;
}

/* --- one record --- */

struct record {
    json_t *json; /* owns the slices */
    struct slice writer;
    uint64_t seq;
    int64_t lost;
    uint8_t hash[AUDIT_HASH_SIZE], prev[AUDIT_HASH_SIZE];
    bool sound; /* the hash is that of the bytes */
    bool stop;
};

static struct slice member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static bool read_record(struct record *r, struct slice value)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (slice_is_null(value) || value.n < TAIL || value.n > AUDIT_RECORD_MAX)
        return false;
    struct slice body = slice_of(value.p, value.n - TAIL);
    r->json = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const json_t *seq = json_object_get(r->json, "seq"), *version = json_object_get(r->json, "v");
    r->writer = member(r->json, "writer");
    if (!r->writer.n || r->writer.n >= AUDIT_WRITER_MAX || !json_is_integer(seq) || json_integer_value(seq) < 0 ||
        json_integer_value(version) != 1 || !read_hash(member(r->json, "prev"), r->prev) ||
        !read_hash(member(r->json, "hash"), r->hash) || memcmp(body.p + body.n, ",\"hash\":\"", 9) != 0)
        return false;
    r->seq = (uint64_t)json_integer_value(seq);
    r->lost = json_integer_value(json_object_get(r->json, "lost"));
    r->stop = slice_eq_str(member(r->json, "event"), "stop");
    r->sound =
        EVP_Digest(body.p, body.n, digest, NULL, EVP_sha256(), NULL) && memcmp(digest, r->hash, AUDIT_HASH_SIZE) == 0;
    return true;
}

/* --- chains --- */

static enum err chain_add(struct chain *c, const uint8_t hash[AUDIT_HASH_SIZE])
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        void *list = realloc(c->hashes, cap * sizeof *c->hashes);
        if (!list)
            return ERR_NO_MEMORY;
        c->hashes = list;
        c->cap = cap;
    }
    memcpy(c->hashes[c->n++], hash, AUDIT_HASH_SIZE);
    return ERR_OK;
}

static struct chain *chain_of(struct audit_verifier *v, const struct record *r, bool *is_new)
{
    struct chain *c = map_get(&v->chains, r->writer);
    *is_new = !c;
    if (c)
        return c;
    c = calloc(1, sizeof *c);
    if (!c || map_put(&v->chains, r->writer, c, NULL)) {
        free(c);
        return NULL;
    }
    for (struct map_entry *e = map_first(&v->chains); e; e = map_next(&v->chains, e))
        if (e->value == c)
            c->writer = map_key(e);
    c->first = c->begin = r->seq;
    return c;
}

static void check_anchors(struct audit_verifier *v, const struct record *r, struct audit_finding *f)
{
    for (size_t i = 0; i < v->anchor_count; i++) {
        struct anchor *a = &v->anchors[i];
        if (a->seq != r->seq || a->met || !slice_eq(a->writer, r->writer))
            continue;
        a->met = true;
        if (!r->sound || memcmp(a->hash, r->hash, AUDIT_HASH_SIZE) == 0)
            continue;
        f->fault = AUDIT_FAULT_ANCHOR;
        v->found(v->ctx, f);
    }
}

/* Where a record with an unexpected number belongs. */
static enum err out_of_turn(struct audit_verifier *v, struct chain *c, const struct record *r, struct audit_finding *f)
{
    static const uint8_t missing[AUDIT_HASH_SIZE];
    uint64_t next = c->first + c->n;
    enum err e = ERR_OK;
    if (r->seq >= c->first && r->seq < next && !memcmp(c->hashes[r->seq - c->first], r->hash, AUDIT_HASH_SIZE)) {
        c->duplicates++;
        return ERR_OK;
    }
    f->fault = r->seq < next ? AUDIT_FAULT_ORDER : AUDIT_FAULT_GAP;
    v->found(v->ctx, f);
    if (r->seq < next) {
        if (r->seq >= c->first) /* it may be the one that was missed */
            memcpy(c->hashes[r->seq - c->first], r->hash, AUDIT_HASH_SIZE);
        c->records++;
        return ERR_OK;
    }
    if (r->seq - next > GAP_MAX) {
        c->n = 0;
        c->first = r->seq;
    }
    while (!e && c->first + c->n < r->seq)
        e = chain_add(c, missing);
    c->records++;
    return e ? e : chain_add(c, r->hash);
}

static enum err follow(struct audit_verifier *v, struct chain *c, const struct record *r, struct audit_finding *f)
{
    static const uint8_t none[AUDIT_HASH_SIZE];
    f->wanted = c->first + c->n;
    if (r->seq != f->wanted)
        return out_of_turn(v, c, r, f);
    const uint8_t *before = c->n ? c->hashes[c->n - 1] : r->seq == 0 ? none : r->prev;
    if (memcmp(before, r->prev, AUDIT_HASH_SIZE) != 0) {
        f->fault = AUDIT_FAULT_LINK;
        v->found(v->ctx, f);
    }
    c->records++;
    return chain_add(c, r->hash);
}

enum err audit_verify_record(struct audit_verifier *v, int32_t partition, int64_t offset, struct slice value,
                             bool from_start)
{
    struct record r = {0};
    struct audit_finding f = {.partition = partition, .offset = offset};
    bool is_new;
    if (!from_start)
        v->beginning_gone = true;
    if (!read_record(&r, value)) {
        f.fault = AUDIT_FAULT_MALFORMED;
        v->found(v->ctx, &f);
        json_decref(r.json);
        return ERR_OK;
    }
    struct chain *c = chain_of(v, &r, &is_new);
    enum err e = c ? ERR_OK : ERR_NO_MEMORY;
    if (!e) {
        f.writer = r.writer;
        f.seq = r.seq;
        if (!r.sound) {
            f.fault = AUDIT_FAULT_EDITED;
            v->found(v->ctx, &f);
        }
        if (is_new && from_start && r.seq) {
            f.fault = AUDIT_FAULT_START;
            v->found(v->ctx, &f);
        }
        check_anchors(v, &r, &f);
        uint64_t before = c->duplicates;
        e = follow(v, c, &r, &f);
        if (c->duplicates == before) {
            c->stopped = r.stop;
            c->lost += r.lost > 0 ? (uint64_t)r.lost : 0;
        }
    }
    json_decref(r.json);
    return e;
}

void audit_verify_end(struct audit_verifier *v)
{
    for (size_t i = 0; i < v->anchor_count; i++) {
        const struct anchor *a = &v->anchors[i];
        const struct chain *c = map_get(&v->chains, a->writer);
        struct audit_finding f = {AUDIT_FAULT_ANCHOR, 0, -1, a->writer, a->seq, a->seq};
        /* what was before the chain's first record may have left with the topic's retention */
        if (!a->met && (c ? a->seq >= c->begin : !v->beginning_gone))
            v->found(v->ctx, &f);
    }
}

void audit_verify_each(const struct audit_verifier *v, void (*fn)(void *ctx, const struct audit_summary *s), void *ctx)
{
    for (struct map_entry *e = map_first(&v->chains); e; e = map_next(&v->chains, e)) {
        const struct chain *c = e->value;
        struct audit_summary s = {.writer = c->writer,
                                  .first = c->begin,
                                  .last = c->first + c->n - 1,
                                  .records = c->records,
                                  .duplicates = c->duplicates,
                                  .lost = c->lost,
                                  .stopped = c->stopped};
        for (int i = 0; i < AUDIT_HASH_SIZE; i++) {
            s.head[2 * i] = "0123456789abcdef"[c->hashes[c->n - 1][i] >> 4];
            s.head[2 * i + 1] = "0123456789abcdef"[c->hashes[c->n - 1][i] & 15];
        }
        fn(ctx, &s);
    }
}
