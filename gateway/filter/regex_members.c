/* SPDX-License-Identifier: Apache-2.0
 * The memory of who subscribed with which pattern. One entry per (group, member id), held by the principal that told
 * the pattern last; a heartbeat of somebody else that tells none is passed on and changes nothing. Entries stand in a
 * list in the order of their last heartbeat, so that expiry looks at the oldest only. A plain entry (is_plain()) says
 * that the member has no pattern; it gives way to whatever is told next.
 *
 * An entry owns the pattern's text and the explicit names, in one allocation that is replaced when they change; the
 * compiled pattern belongs to the resolution and goes with it. */
#include "gateway/filter/regex_members.h"

#include "core/base/map.h"
#include "gateway/filter/topic_regex.h"

#include <assert.h>
#include <stdlib.h>

enum { MEMBERS_MAGIC = 0x52474d42, KEY_MAX = 2 + 2 * INT16_MAX };

struct principal {
    size_t members;
};

struct told { /* what the member said; the bytes follow in the same allocation */
    struct slice pattern;
    struct wire_string_array names; /* explicit, sorted */
    size_t bytes;
};

struct member {
    struct member *older, *newer;
    struct told *told;
    struct slice key, principal; /* in this allocation */
    uint64_t last_ms;
    uint64_t serial;            /* of what it said: changes with every telling */
    struct regex_versions sent; /* the cluster has the names of these, */
    bool is_sent;               /* if it has any */
    size_t bytes;
};

struct regex_members {
    uint32_t magic;
    struct regex_limits limits;
    struct map by_key, by_principal;
    struct member *oldest, *newest;
    size_t bytes;
    uint64_t serial;
};

struct regex_members *regex_members_new(const struct regex_limits *limits)
{
    struct regex_members *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->magic = MEMBERS_MAGIC;
    if (limits)
        m->limits = *limits;
    if (!m->limits.members_max)
        m->limits.members_max = REGEX_MEMBERS_MAX_DEFAULT;
    if (!m->limits.members_per_principal_max)
        m->limits.members_per_principal_max = REGEX_MEMBERS_PER_PRINCIPAL_MAX_DEFAULT;
    if (!m->limits.bytes_max)
        m->limits.bytes_max = REGEX_MEMBERS_BYTES_MAX_DEFAULT;
    if (!m->limits.expire_ms)
        m->limits.expire_ms = REGEX_MEMBERS_EXPIRE_MS_DEFAULT;
    map_init(&m->by_key);
    map_init(&m->by_principal);
    return m;
}

size_t regex_members_count(const struct regex_members *m)
{
    assert(m->magic == MEMBERS_MAGIC);
    return map_count(&m->by_key);
}

size_t regex_members_bytes(const struct regex_members *m)
{
    assert(m->magic == MEMBERS_MAGIC);
    return m->bytes;
}

/* --- the list by age --- */

static void list_remove(struct regex_members *m, struct member *e)
{
    *(e->older ? &e->older->newer : &m->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &m->newest) = e->older;
    e->older = e->newer = NULL;
}

static void list_add(struct regex_members *m, struct member *e)
{
    assert(!e->older && !e->newer);
    e->older = m->newest;
    *(m->newest ? &m->newest->newer : &m->oldest) = e;
    m->newest = e;
}

/* --- entries --- */

/* Of a group and a member id: the length keeps ("a","bc") and ("ab","c") apart. */
static struct slice make_key(uint8_t into[KEY_MAX], struct slice group, struct slice member)
{
    if (group.n > INT16_MAX || member.n > INT16_MAX)
        return SLICE_NULL;
    into[0] = (uint8_t)(group.n >> 8);
    into[1] = (uint8_t)group.n;
    if (group.n)
        memcpy(into + 2, group.p, group.n);
    if (member.n)
        memcpy(into + 2 + group.n, member.p, member.n);
    return slice_of(into, 2 + group.n + member.n);
}

static void entry_forget(struct regex_members *m, struct member *e)
{
    struct principal *p = map_get(&m->by_principal, e->principal);

    assert(p && p->members > 0 && m->bytes >= e->bytes);
    if (--p->members == 0)
        free(map_remove(&m->by_principal, e->principal));
    map_remove(&m->by_key, e->key);
    list_remove(m, e);
    m->bytes -= e->bytes;
    free(e->told);
    free(e);
}

void regex_members_free(struct regex_members *m)
{
    if (!m)
        return;
    assert(m->magic == MEMBERS_MAGIC);
    while (m->oldest)
        entry_forget(m, m->oldest);
    assert(m->bytes == 0 && map_count(&m->by_principal) == 0);
    map_free(&m->by_key, NULL);
    map_free(&m->by_principal, NULL);
    m->magic = 0;
    free(m);
}

static void expire(struct regex_members *m, uint64_t now_ms)
{
    while (m->oldest && m->oldest->last_ms + m->limits.expire_ms <= now_ms)
        entry_forget(m, m->oldest);
}

static enum err over_limit(struct reason *why, const char *name, size_t limit)
{
    return reason_set(why, ERR_GROUP_MAX_SIZE_REACHED,
                      "no room to remember another subscription by pattern: %s is %zu; subscribe by name", name, limit);
}

/* For one more of `principal`, in place of `gives_way` (or NULL). */
static enum err check_room(const struct regex_members *m, struct slice principal, size_t bytes,
                           const struct member *gives_way, struct reason *why)
{
    const struct principal *p = map_get(&m->by_principal, principal);

    if (map_count(&m->by_key) - (gives_way != NULL) >= m->limits.members_max)
        return over_limit(why, "castellan.regex.members.max", m->limits.members_max);
    if (p && p->members >= m->limits.members_per_principal_max)
        return over_limit(why, "castellan.regex.members.per.principal.max", m->limits.members_per_principal_max);
    if (m->bytes - (gives_way ? gives_way->bytes : 0) + bytes > m->limits.bytes_max)
        return over_limit(why, "castellan.regex.members.bytes.max", m->limits.bytes_max);
    return ERR_OK;
}

/* The holder's count, made with the first member. */
static struct principal *principal_get(struct regex_members *m, struct slice name)
{
    struct principal *p = map_get(&m->by_principal, name);

    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (p && map_put(&m->by_principal, name, p, NULL)) {
        free(p);
        p = NULL;
    }
    return p;
}

/* Takes `told` over on success; the member that gives way (or NULL) is then gone. */
static enum err entry_add(struct regex_members *m, struct slice key, struct slice principal, struct told *told,
                          struct member *gives_way, struct member **out, struct reason *why)
{
    struct member *e;
    struct principal *p;
    size_t bytes = sizeof *e + key.n + principal.n + told->bytes;
    enum err err = check_room(m, principal, bytes, gives_way, why);

    if (err)
        return err;
    if (gives_way)
        entry_forget(m, gives_way);
    e = calloc(1, sizeof *e + key.n + principal.n);
    p = principal_get(m, principal);
    if (!e || !p || map_put(&m->by_key, key, e, NULL)) {
        if (p && p->members == 0)
            free(map_remove(&m->by_principal, principal));
        free(e);
        return reason_set(why, ERR_NO_MEMORY, "no memory to remember a subscription");
    }
    memcpy(e + 1, key.p, key.n);
    e->key = slice_of(e + 1, key.n);
    if (principal.n)
        memcpy((uint8_t *)(e + 1) + key.n, principal.p, principal.n);
    e->principal = slice_of((uint8_t *)(e + 1) + key.n, principal.n);
    e->told = told;
    e->bytes = bytes;
    m->bytes += bytes;
    p->members++;
    list_add(m, e);
    *out = e;
    return ERR_OK;
}

/* --- what a member said --- */

static int compare_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* A copy: the names sorted. NULL: no memory. */
static struct told *told_new(struct slice pattern, struct wire_string_array names)
{
    int32_t n = names.n > 0 ? names.n : 0;
    size_t bytes = sizeof(struct told) + (size_t)n * sizeof(struct slice) + pattern.n;
    struct told *t;
    uint8_t *to;

    for (int32_t i = 0; i < n; i++)
        bytes += names.v[i].n;
    t = malloc(bytes);
    if (!t)
        return NULL;
    t->bytes = bytes;
    t->names = (struct wire_string_array){(struct slice *)(void *)(t + 1), n};
    to = (uint8_t *)(t->names.v + n);
    t->pattern = slice_of(to, pattern.n);
    if (pattern.n)
        memcpy(to, pattern.p, pattern.n);
    to += pattern.n;
    for (int32_t i = 0; i < n; i++) {
        t->names.v[i] = slice_of(to, names.v[i].n);
        if (names.v[i].n)
            memcpy(to, names.v[i].p, names.v[i].n);
        to += names.v[i].n;
    }
    qsort(t->names.v, (size_t)n, sizeof t->names.v[0], compare_slices);
    return t;
}

static enum err resolution_begin(struct regex_resolution *r, const struct told *told, struct reason *why)
{
    enum err e = ERR_OK;

    *r = (struct regex_resolution){0};
    arena_init(&r->arena, 0);
    if (told->pattern.n)
        e = topic_regex_compile(&r->re, told->pattern, why);
    if (!e && told->names.n) {
        r->explicit_names.v = arena_array(&r->arena, (size_t)told->names.n, sizeof(struct slice));
        e = r->explicit_names.v ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory to resolve a pattern");
    }
    for (int32_t i = 0; !e && i < told->names.n; i++) {
        struct slice copy = arena_copy(&r->arena, told->names.v[i]);
        if (slice_is_null(copy))
            e = reason_set(why, ERR_NO_MEMORY, "no memory to resolve a pattern");
        r->explicit_names.v[r->explicit_names.n++] = copy;
    }
    if (e)
        regex_resolution_free(r);
    return e;
}

/* --- one heartbeat --- */

/* Replaces what the member said. Takes `told` over on success. */
static enum err entry_replace(struct regex_members *m, struct member *e, struct told *told, struct reason *why)
{
    assert(m->bytes >= e->bytes && e->bytes >= e->told->bytes);
    if (told->bytes > e->told->bytes && m->bytes - e->told->bytes + told->bytes > m->limits.bytes_max)
        return over_limit(why, "castellan.regex.members.bytes.max", m->limits.bytes_max);
    m->bytes = m->bytes - e->told->bytes + told->bytes;
    e->bytes = e->bytes - e->told->bytes + told->bytes;
    free(e->told);
    e->told = told;
    return ERR_OK;
}

/* The member tells a pattern, or names beside the one it has. Remembered only if all of it can be. `*e` is NULL for a
 * member that has none; another principal's gives way to it. */
static enum err tell(struct regex_members *m, struct slice key, struct member **e, struct member *gives_way,
                     const struct regex_heartbeat *h, struct regex_resolution *r, struct reason *why)
{
    struct slice pattern = slice_is_null(h->regex) ? (*e)->told->pattern : h->regex;
    struct wire_string_array names = h->names.n < 0 && *e ? (*e)->told->names : h->names;
    struct told *told;
    enum err err;

    assert(!*e || !gives_way);
    if (names.n > REGEX_EXPLICIT_NAMES_MAX)
        return over_limit(why, "the number of topics named beside a pattern", REGEX_EXPLICIT_NAMES_MAX);
    told = told_new(pattern, names);
    if (!told)
        return reason_set(why, ERR_NO_MEMORY, "no memory to remember a subscription");
    err = resolution_begin(r, told, why);
    if (err) {
        free(told);
        return err;
    }
    err = *e ? entry_replace(m, *e, told, why) : entry_add(m, key, h->principal, told, gives_way, e, why);
    if (err) {
        regex_resolution_free(r);
        free(told);
        return err;
    }
    (*e)->is_sent = false;
    (*e)->serial = ++m->serial;
    return ERR_OK;
}

/* It told that it has no pattern, and the cluster has its names. */
static bool is_plain(const struct member *e)
{
    return !e->told->pattern.n && e->is_sent;
}

static void touch(struct regex_members *m, struct member *e, uint64_t now_ms)
{
    e->last_ms = now_ms;
    list_remove(m, e);
    list_add(m, e);
}

static size_t plain_bytes(struct slice key, struct slice principal)
{
    return sizeof(struct member) + sizeof(struct told) + key.n + principal.n;
}

/* Patterns go first: who has none may fill half of each limit. */
static bool has_room_for_plain(const struct regex_members *m, struct slice key, struct slice principal)
{
    const struct principal *p = map_get(&m->by_principal, principal);

    return map_count(&m->by_key) < m->limits.members_max / 2 &&
           (!p || p->members < m->limits.members_per_principal_max / 2) &&
           m->bytes + plain_bytes(key, principal) <= m->limits.bytes_max / 2;
}

/* In place of `gives_way` (or NULL). Without room or memory it is not remembered: then it is asked again. */
static void remember_plain(struct regex_members *m, struct slice key, struct member *gives_way,
                           const struct regex_heartbeat *h, uint64_t now_ms)
{
    struct told *told;
    struct member *e;

    if (gives_way)
        entry_forget(m, gives_way);
    if (!has_room_for_plain(m, key, h->principal))
        return;
    told = told_new(slice_of("", 0), (struct wire_string_array){NULL, -1});
    if (told && entry_add(m, key, h->principal, told, NULL, &e, NULL)) {
        free(told);
        return;
    }
    if (!told)
        return;
    e->is_sent = true;
    e->serial = ++m->serial;
    e->last_ms = now_ms;
}

/* Without a pattern in the heartbeat, and none that its principal told. Another's is not used for him: his client must
 * say everything again. So must one that nobody here has heard of, as it may have a pattern: its names would stay what
 * they are for ever. */
static enum regex_plan plan_plain(struct regex_members *m, struct slice key, struct member *e,
                                  const struct regex_heartbeat *h, uint64_t now_ms)
{
    if (h->epoch == 0 || (h->says_all && h->names.n >= 0)) {
        if (e && is_plain(e) && slice_eq(e->principal, h->principal))
            touch(m, e, now_ms);
        else
            remember_plain(m, key, e, h, now_ms);
        return REGEX_FORWARD;
    }
    if (e && is_plain(e)) {
        touch(m, e, now_ms);
        return REGEX_FORWARD;
    }
    if (e)
        return REGEX_REJOIN;
    return h->names.n < 0 && has_room_for_plain(m, key, h->principal) ? REGEX_REJOIN : REGEX_FORWARD;
}

static bool is_current(const struct member *e, struct regex_versions now)
{
    return e->is_sent && e->sent.topics == now.topics && e->sent.rules == now.rules;
}

enum err regex_members_heartbeat(struct regex_members *m, const struct regex_heartbeat *h, struct regex_versions now,
                                 uint64_t now_ms, enum regex_plan *plan, struct regex_resolution *r, struct reason *why)
{
    uint8_t bytes[KEY_MAX];
    struct slice key = make_key(bytes, h->group, h->member);
    struct member *e, *own;
    bool tells = !slice_is_null(h->regex) || h->names.n >= 0;
    enum err err = ERR_OK;

    assert(m->magic == MEMBERS_MAGIC && h->principal.p);
    *plan = REGEX_FORWARD;
    if (slice_is_null(key))
        return reason_set(why, ERR_INVALID_REQUEST, "a group or member id is longer than %d bytes", INT16_MAX);
    expire(m, now_ms);
    e = map_get(&m->by_key, key);
    own = e && !is_plain(e) && slice_eq(e->principal, h->principal) ? e : NULL;
    if (h->epoch < 0) { /* leaves */
        if (e && slice_eq(e->principal, h->principal))
            entry_forget(m, e);
        return ERR_OK;
    }
    if (!own && !h->regex.n) {
        *plan = plan_plain(m, key, e, h, now_ms);
        return ERR_OK;
    }
    if (!own && h->epoch > 0 && h->names.n < 0) {
        *plan = REGEX_REJOIN;
        return ERR_OK;
    }
    *plan = tells || !is_current(own, now) ? REGEX_RESOLVE : REGEX_KEEP;
    if (tells)
        err = tell(m, key, &own, own ? NULL : e, h, r, why);
    else if (*plan == REGEX_RESOLVE)
        err = resolution_begin(r, own->told, why);
    if (err) {
        *plan = REGEX_FORWARD;
        return err;
    }
    if (*plan == REGEX_RESOLVE)
        r->ticket = (struct regex_ticket){now, own->serial};
    touch(m, own, now_ms);
    return ERR_OK;
}

void regex_members_answered(struct regex_members *m, const struct regex_heartbeat *h, struct regex_ticket sent,
                            enum err answer)
{
    uint8_t bytes[KEY_MAX];
    struct slice key = make_key(bytes, h->group, h->member);
    struct member *e = slice_is_null(key) ? NULL : map_get(&m->by_key, key);

    assert(m->magic == MEMBERS_MAGIC);
    if (!e || e->serial != sent.serial)
        return; /* forgotten, or it has said something else since */
    e->is_sent = answer == ERR_OK;
    e->sent = sent.versions;
    if (answer == ERR_UNKNOWN_MEMBER_ID)
        entry_forget(m, e);
}

bool regex_members_describe(const struct regex_members *m, struct slice group, struct slice member,
                            struct slice *pattern, struct wire_string_array *names)
{
    uint8_t bytes[KEY_MAX];
    struct slice key = make_key(bytes, group, member);
    const struct member *e = slice_is_null(key) ? NULL : map_get(&m->by_key, key);

    assert(m->magic == MEMBERS_MAGIC);
    if (!e || !e->told->pattern.n)
        return false;
    *pattern = e->told->pattern;
    *names = e->told->names;
    return true;
}
