/* SPDX-License-Identifier: Apache-2.0
 * Builds the immutable index of acl_internal.h from a set of rules. Names, principals and hosts are ranked first, so
 * that sorting the rules compares integers; then one pass cuts the sorted rules into patterns and entries. All memory
 * is the snapshot's arena (and its maps), freed with the last reference. */
#include "acl/acl_internal.h"

#include <stdlib.h>

/* A rule while sorting: ranks instead of texts. */
struct ranked {
    uint32_t type, name, pattern, principal, host, rest; /* rest: permission, operation */
    uint32_t rule;
};

struct builder {
    struct acl_snapshot *s;
    struct acl_rule *copies; /* arena, in the set's order */
    struct ranked *ranked;
    struct map names; /* text -> rank + 1 */
    uint32_t n;
    enum err error;
};

static bool copy_rule(void *ctx, const struct acl_rule *r)
{
    struct builder *b = ctx;
    struct acl_rule *c = &b->copies[b->n];
    struct slice *texts[] = {&c->name, &c->principal, &c->host};
    char space[ACL_HOST_TEXT_MAX];
    struct slice host;
    enum err e;

    *c = *r;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = arena_copy(&b->s->arena, *texts[i]);
        if (slice_is_null(*texts[i])) {
            b->error = ERR_NO_MEMORY;
            return false;
        }
    }
    host = acl_host_canonical(c->host, space);
    e = map_put(&b->names, c->name, NULL, NULL);
    if (!e)
        e = map_put(&b->s->principals, c->principal, NULL, NULL);
    if (!e)
        e = map_put(&b->s->hosts, host, NULL, NULL);
    b->error = e;
    b->n++;
    return e == ERR_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct map_entry *const *x = a, *const *y = b;
    return slice_cmp(map_key(*x), map_key(*y));
}

/* Give every key of the map its rank in sorted order, plus one. */
static enum err rank_map(struct map *m)
{
    size_t n = map_count(m), i = 0;
    struct map_entry **order = calloc(n ? n : 1, sizeof *order);

    if (!order)
        return ERR_NO_MEMORY;
    for (struct map_entry *e = map_first(m); e; e = map_next(m, e))
        order[i++] = e;
    qsort(order, n, sizeof *order, compare_entries);
    for (i = 0; i < n; i++)
        order[i]->value = (void *)(uintptr_t)(i + 1);
    free(order);
    return ERR_OK;
}

static uint32_t rank_of(const struct map *m, struct slice key)
{
    uintptr_t v = (uintptr_t)map_get(m, key);
    return v ? (uint32_t)(v - 1) : ACL_NOBODY;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
#define CMP(f)                                                                                                         \
    if (x->f != y->f)                                                                                                  \
    return x->f < y->f ? -1 : 1
    CMP(type);
    CMP(name);
    CMP(pattern);
    CMP(principal);
    CMP(host);
    CMP(rest);
    CMP(rule);
#undef CMP
    return 0;
}

static enum err sort_rules(struct builder *b)
{
    struct acl_snapshot *s = b->s;
    char space[ACL_HOST_TEXT_MAX];

    if (rank_map(&b->names) || rank_map(&s->principals) || rank_map(&s->hosts))
        return ERR_NO_MEMORY;
    b->ranked = calloc(b->n ? b->n : 1, sizeof *b->ranked);
    s->rules = arena_array(&s->arena, b->n ? b->n : 1, sizeof *s->rules);
    if (!b->ranked || !s->rules)
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct acl_rule *r = &b->copies[i];
        b->ranked[i] = (struct ranked){
            .type = (uint32_t)acl_type_slot(r->type),
            .name = rank_of(&b->names, r->name),
            .pattern = (uint32_t)r->pattern,
            .principal = rank_of(&s->principals, r->principal),
            .host = rank_of(&s->hosts, acl_host_canonical(r->host, space)),
            .rest = (uint32_t)r->permission << 8 | (uint32_t)r->operation,
            .rule = i,
        };
    }
    qsort(b->ranked, b->n, sizeof *b->ranked, compare_ranked);
    for (uint32_t i = 0; i < b->n; i++)
        s->rules[i] = b->copies[b->ranked[i].rule];
    s->rules_n = b->n;
    s->everyone = rank_of(&s->principals, slice_str("User:*"));
    s->anywhere = rank_of(&s->hosts, slice_str("*"));
    return ERR_OK;
}

static bool same_pattern(const struct ranked *a, const struct ranked *b)
{
    return a->type == b->type && a->name == b->name && a->pattern == b->pattern;
}

static bool same_entry(const struct ranked *a, const struct ranked *b)
{
    return same_pattern(a, b) && a->principal == b->principal && a->host == b->host;
}

static uint16_t bit(enum acl_operation o)
{
    return o == ACL_ALL ? 0xfff8 : (uint16_t)(1u << o);
}

/* "Allow READ, WRITE, DELETE, ALTER implies DESCRIBE; ALTER_CONFIGS implies DESCRIBE_CONFIGS" (KIP-11, Authorizer). */
static uint16_t with_implied(uint16_t mask)
{
    if (mask & (bit(ACL_READ) | bit(ACL_WRITE) | bit(ACL_DELETE) | bit(ACL_ALTER)))
        mask |= bit(ACL_DESCRIBE);
    if (mask & bit(ACL_ALTER_CONFIGS))
        mask |= bit(ACL_DESCRIBE_CONFIGS);
    return mask;
}

static void add_rule_to_entry(struct acl_entry *e, const struct acl_rule *r)
{
    if (r->permission == ACL_DENY)
        e->deny |= bit(r->operation);
    else
        e->allow_named |= bit(r->operation);
    e->allow = with_implied(e->allow_named);
    e->rule_n++;
}

static enum err cut_rules(struct builder *b)
{
    struct acl_snapshot *s = b->s;
    uint32_t patterns = 0, entries = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        patterns += i == 0 || !same_pattern(&b->ranked[i - 1], &b->ranked[i]);
        entries += i == 0 || !same_entry(&b->ranked[i - 1], &b->ranked[i]);
    }
    s->patterns = arena_array(&s->arena, patterns + 1, sizeof *s->patterns);
    s->entries = arena_array(&s->arena, entries + 1, sizeof *s->entries);
    if (!s->patterns || !s->entries)
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct ranked *k = &b->ranked[i];
        if (i == 0 || !same_pattern(k - 1, k))
            s->patterns[s->patterns_n++] = (struct acl_node){.name = s->rules[i].name,
                                                             .type = (uint8_t)k->type,
                                                             .prefixed = k->pattern == ACL_PREFIXED,
                                                             .entry_at = s->entries_n};
        if (i == 0 || !same_entry(k - 1, k)) {
            s->entries[s->entries_n++] = (struct acl_entry){
                .principal = k->principal, .host = k->host, .pattern = s->patterns_n - 1, .rule_at = i};
            s->patterns[s->patterns_n - 1].entry_n++;
        }
        add_rule_to_entry(&s->entries[s->entries_n - 1], &s->rules[i]);
    }
    return ERR_OK;
}

static enum err fill_slots(struct acl_snapshot *s)
{
    uint32_t size = 16;

    while (size < s->patterns_n * 2)
        size *= 2;
    s->slots = arena_array(&s->arena, size, sizeof *s->slots);
    if (!s->slots)
        return ERR_NO_MEMORY;
    s->slots_mask = size - 1;
    for (uint32_t i = 0; i < s->patterns_n; i++) {
        const struct acl_node *p = &s->patterns[i];
        uint64_t h = acl_hash_start(p->type);
        uint32_t at;
        for (size_t k = 0; k < p->name.n; k++)
            h = acl_hash_byte(h, p->name.p[k]);
        h = acl_hash_end(h, p->prefixed);
        for (at = (uint32_t)h & s->slots_mask; s->slots[at].pattern; at = (at + 1) & s->slots_mask)
            ;
        s->slots[at] = (struct acl_slot){(uint32_t)(h >> 32), i + 1};
        if (!p->prefixed && slice_eq_str(p->name, "*"))
            s->types[p->type].wildcard = i;
    }
    return ERR_OK;
}

/* Patterns are sorted by type, so each type's prefix lengths become one run. */
static enum err list_lengths(struct acl_snapshot *s)
{
    uint8_t *seen = calloc(ACL_NAME_MAX + 1, 1);
    uint32_t i = 0, used = 0;

    s->lengths = arena_array(&s->arena, s->patterns_n + 1, sizeof *s->lengths);
    if (!seen || !s->lengths) {
        free(seen);
        return ERR_NO_MEMORY;
    }
    for (int type = 0; type < ACL_TYPE_SLOTS; type++) {
        memset(seen, 0, ACL_NAME_MAX + 1);
        for (; i < s->patterns_n && s->patterns[i].type == type; i++)
            if (s->patterns[i].prefixed)
                seen[s->patterns[i].name.n] = 1;
        s->types[type].lengths_at = used;
        for (size_t n = 0; n <= ACL_NAME_MAX; n++)
            if (seen[n])
                s->lengths[used++] = (uint16_t)n;
        s->types[type].lengths_n = used - s->types[type].lengths_at;
    }
    free(seen);
    return ERR_OK;
}

static int compare_who(const void *a, const void *b, void *ctx)
{
    const struct acl_snapshot *s = ctx;
    const struct acl_entry *x = &s->entries[*(const uint32_t *)a], *y = &s->entries[*(const uint32_t *)b];
    uint8_t tx = s->patterns[x->pattern].type, ty = s->patterns[y->pattern].type;

    if (tx != ty)
        return tx < ty ? -1 : 1;
    if (x->principal != y->principal)
        return x->principal < y->principal ? -1 : 1;
    return (x > y) - (x < y);
}

static enum err list_by_who(struct acl_snapshot *s)
{
    s->by_who = arena_array(&s->arena, s->entries_n + 1, sizeof *s->by_who);
    if (!s->by_who)
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < s->entries_n; i++)
        s->by_who[i] = i;
    qsort_r(s->by_who, s->entries_n, sizeof *s->by_who, compare_who, s);
    return ERR_OK;
}

static struct slice trim(struct slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* super.users: separated by ';' because a distinguished name holds commas. */
static enum err read_super_users(struct acl_snapshot *s, struct slice text, struct reason *why)
{
    while (text.n) {
        const uint8_t *end = memchr(text.p, ';', text.n);
        struct slice one = trim(slice_of(text.p, end ? (size_t)(end - text.p) : text.n));
        size_t skip = end ? (size_t)(end - text.p) + 1 : text.n;
        if (one.n) {
            if (!memchr(one.p, ':', one.n))
                return reason_set(why, ERR_BAD_CONFIG,
                                  "super.users: expected a string in format principalType:principalName but got %.*s",
                                  SLICE_FMT(one));
            if (map_put(&s->super_users, one, s, NULL))
                return ERR_NO_MEMORY;
        }
        text.p += skip;
        text.n -= skip;
    }
    return ERR_OK;
}

enum err acl_snapshot_build(struct acl_snapshot **out, const struct acl_set *set, const struct acl_options *o,
                            struct reason *why)
{
    struct acl_snapshot *s = calloc(1, sizeof *s);
    struct builder b = {.s = s};
    enum err e;

    *out = NULL;
    if (!s)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the access rules");
    atomic_init(&s->refs, 1);
    arena_init(&s->arena, SIZE_MAX / 2);
    map_init(&s->principals);
    map_init(&s->hosts);
    map_init(&s->super_users);
    map_init(&b.names);
    for (int i = 0; i < ACL_TYPE_SLOTS; i++)
        s->types[i].wildcard = ACL_NOBODY;
    s->allow_if_no_acl = o && o->allow_if_no_acl;
    e = o ? read_super_users(s, o->super_users, why) : ERR_OK;
    if (e)
        goto out;
    b.copies = arena_array(&s->arena, acl_set_count(set) + 1, sizeof *b.copies);
    if (!b.copies)
        e = ERR_NO_MEMORY;
    else
        acl_set_each(set, copy_rule, &b);
    e = e ? e : b.error;
    e = e ? e : sort_rules(&b);
    e = e ? e : cut_rules(&b);
    e = e ? e : fill_slots(s);
    e = e ? e : list_lengths(s);
    e = e ? e : list_by_who(s);
    if (e)
        reason_set(why, e, "access rules: %s", err_text(e));
out:
    free(b.ranked);
    map_free(&b.names, NULL);
    if (e)
        acl_snapshot_unref(s);
    else
        *out = s;
    return e;
}

struct acl_snapshot *acl_snapshot_ref(struct acl_snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void acl_snapshot_unref(struct acl_snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_free(&s->principals, NULL);
    map_free(&s->hosts, NULL);
    map_free(&s->super_users, NULL);
    arena_free(&s->arena);
    free(s);
}

size_t acl_snapshot_count(const struct acl_snapshot *s)
{
    return s->rules_n;
}

const struct acl_rule *acl_snapshot_rule(const struct acl_snapshot *s, size_t i)
{
    return &s->rules[i];
}
