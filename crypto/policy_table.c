/* SPDX-License-Identifier: Apache-2.0
 * The policies in force: a table built from the topic's records, and immutable snapshots for the workers. The table
 * keeps raw record values and a snapshot decodes them, so that nothing is shared between threads but the snapshot.
 * Look-up: the literal map first, then the prefixes, longest first. */
#include "crypto/policy.h"
#include "core/base/map.h"

#include <stdatomic.h>
#include <stdlib.h>

struct policy_table {
    struct map records; /* record key -> struct value */
};

struct value {
    size_t n;
    uint8_t bytes[];
};

struct entry {
    struct policy *policy; /* NULL: the record was not understood */
    char *name;            /* topic or prefix */
    size_t name_n;
};

struct policy_set {
    atomic_int refs;
    struct map literal;      /* topic -> struct entry */
    struct entry **prefixes; /* longest first */
    size_t prefix_count;
    struct entry *entries;
    size_t count;
};

struct policy_table *policy_table_new(void)
{
    struct policy_table *t = calloc(1, sizeof *t);
    if (t)
        map_init(&t->records);
    return t;
}

void policy_table_clear(struct policy_table *t)
{
    map_free(&t->records, free);
    map_init(&t->records);
}

void policy_table_free(struct policy_table *t)
{
    if (!t)
        return;
    map_free(&t->records, free);
    free(t);
}

static bool split_key(struct slice key, struct slice *name, bool *prefixed)
{
    *prefixed = slice_starts(key, slice_str("prefixed/"));
    if (!*prefixed && !slice_starts(key, slice_str("literal/")))
        return false;
    size_t skip = *prefixed ? 9 : 8;
    *name = slice_of(key.p + skip, key.n - skip);
    return name->n > 0 && name->n <= POLICY_NAME_MAX;
}

/* Decode, and hold the record against its key. */
static enum err decode(struct policy **out, struct slice key, struct slice value, struct reason *why)
{
    struct slice name;
    bool prefixed;
    *out = NULL;
    if (!split_key(key, &name, &prefixed))
        return reason_set(why, ERR_MALFORMED, "the policy key '%.80s' is neither literal/TOPIC nor prefixed/PREFIX",
                          key.p ? (const char *)key.p : "");
    enum err e = policy_decode(out, value, why);
    if (e)
        return e;
    if ((*out)->prefixed != prefixed || !slice_eq_str(name, (*out)->topic)) {
        policy_free(*out);
        *out = NULL;
        return reason_set(why, ERR_MALFORMED, "the policy record does not match its key");
    }
    return ERR_OK;
}

enum err policy_table_apply(struct policy_table *t, struct slice key, struct slice value, struct reason *why)
{
    struct policy *p = NULL;
    struct slice name;
    bool prefixed;
    void *old = NULL;
    if (slice_is_null(value)) {
        free(map_remove(&t->records, key));
        return ERR_OK;
    }
    enum err verdict = decode(&p, key, value, why);
    policy_free(p);
    if (!split_key(key, &name, &prefixed))
        return verdict; /* names no topic: nothing to refuse */
    if (value.n > POLICY_RECORD_MAX)
        value.n = 0; /* keep it as a record that refuses */
    if (map_count(&t->records) >= POLICIES_MAX && !map_has(&t->records, key))
        return reason_set(why, ERR_LIMIT_EXCEEDED, "there are %d policies already", POLICIES_MAX);
    struct value *v = malloc(sizeof *v + value.n);
    if (!v)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a policy");
    v->n = value.n;
    if (value.n)
        memcpy(v->bytes, value.p, value.n);
    enum err e = map_put(&t->records, key, v, &old);
    if (e) {
        free(v);
        return reason_set(why, e, "no memory for a policy");
    }
    free(old);
    return verdict;
}

static int longer_first(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return x->name_n == y->name_n ? 0 : x->name_n > y->name_n ? -1 : 1;
}

static enum err add(struct policy_set *s, const struct map_entry *m)
{
    struct entry *e = &s->entries[s->count];
    const struct value *v = m->value;
    struct slice name;
    bool prefixed;
    if (!split_key(map_key(m), &name, &prefixed))
        return ERR_OK;
    e->name = malloc(name.n + 1);
    if (!e->name)
        return ERR_NO_MEMORY;
    memcpy(e->name, name.p, name.n);
    e->name[name.n] = 0;
    e->name_n = name.n;
    s->count++;
    if (decode(&e->policy, map_key(m), slice_of(v->bytes, v->n), NULL) == ERR_NO_MEMORY)
        return ERR_NO_MEMORY;
    if (prefixed) {
        s->prefixes[s->prefix_count++] = e;
        return ERR_OK;
    }
    return map_put(&s->literal, name, e, NULL);
}

struct policy_set *policy_table_snapshot(const struct policy_table *t)
{
    struct policy_set *s = calloc(1, sizeof *s);
    size_t n = map_count(&t->records);
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    map_init(&s->literal);
    s->entries = calloc(n + 1, sizeof *s->entries);
    s->prefixes = calloc(n + 1, sizeof *s->prefixes);
    bool ok = s->entries && s->prefixes;
    for (struct map_entry *m = map_first(&t->records); ok && m; m = map_next(&t->records, m))
        ok = add(s, m) == ERR_OK;
    if (!ok) {
        policy_set_unref(s);
        return NULL;
    }
    qsort(s->prefixes, s->prefix_count, sizeof *s->prefixes, longer_first);
    return s;
}

struct policy_set *policy_set_ref(struct policy_set *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void policy_set_unref(struct policy_set *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_free(&s->literal, NULL);
    for (size_t i = 0; s->entries && i < s->count; i++) {
        policy_free(s->entries[i].policy);
        free(s->entries[i].name);
    }
    free(s->entries);
    free(s->prefixes);
    free(s);
}

const struct policy *policy_set_find(const struct policy_set *s, struct slice topic, bool *broken)
{
    const struct entry *found = map_get(&s->literal, topic);
    for (size_t i = 0; !found && i < s->prefix_count; i++) {
        if (slice_starts(topic, slice_of(s->prefixes[i]->name, s->prefixes[i]->name_n)) &&
            !slice_starts(topic, slice_str("__")) && !slice_eq_str(topic, "_schemas"))
            found = s->prefixes[i];
    }
    if (broken)
        *broken = found && !found->policy;
    return found ? found->policy : NULL;
}

size_t policy_set_count(const struct policy_set *s)
{
    return s->count;
}

const struct policy *policy_set_at(const struct policy_set *s, size_t i)
{
    return i < s->count ? s->entries[i].policy : NULL;
}
