/* SPDX-License-Identifier: Apache-2.0
 * The lock around the members with a pattern, and the list of topics that patterns are resolved over. The list is one
 * allocation, held by reference: a resolution that takes many turns goes on over the list it began with. A new version
 * is a new list; the members' heartbeats then find that what they sent is not current. */
#include "gateway/filter/subscriptions.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SUBSCRIPTIONS_MAGIC = 0x53756273 };

struct subscriptions {
    uint32_t magic;
    pthread_mutex_t lock;
    struct regex_members *members;
    struct topic_list *topics; /* NULL: not read yet */
};

struct subscriptions *subscriptions_new(const struct regex_limits *limits)
{
    struct subscriptions *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->members = regex_members_new(limits);
    if (!s->members) {
        free(s);
        return NULL;
    }
    s->magic = SUBSCRIPTIONS_MAGIC;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void subscriptions_free(struct subscriptions *s)
{
    if (!s)
        return;
    assert(s->magic == SUBSCRIPTIONS_MAGIC);
    regex_members_free(s->members);
    topic_list_unref(s->topics);
    pthread_mutex_destroy(&s->lock);
    s->magic = 0;
    free(s);
}

/* ---- Topics ---- */

void topic_list_unref(struct topic_list *l)
{
    if (l && atomic_fetch_sub(&l->refs, 1) == 1)
        free(l);
}

static int compare(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* One allocation: the struct, the table, the names. */
static struct topic_list *list_of(const struct slice *names, size_t n)
{
    size_t bytes = sizeof(struct topic_list) + n * sizeof(struct slice);
    struct topic_list *l;
    uint8_t *to;

    for (size_t i = 0; i < n; i++)
        bytes += names[i].n;
    l = malloc(bytes);
    if (!l)
        return NULL;
    *l = (struct topic_list){.v = (struct slice *)(void *)(l + 1)};
    atomic_init(&l->refs, 1);
    to = (uint8_t *)(l->v + n);
    for (size_t i = 0; i < n; i++) {
        l->v[i] = slice_of(to, names[i].n);
        if (names[i].n)
            memcpy(to, names[i].p, names[i].n);
        to += names[i].n;
    }
    qsort(l->v, n, sizeof *l->v, compare);
    for (size_t i = 0; i < n; i++)
        if (l->n == 0 || !slice_eq(l->v[l->n - 1], l->v[i]))
            l->v[l->n++] = l->v[i];
    return l;
}

static bool are_same(const struct topic_list *a, const struct topic_list *b)
{
    if (!a || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!slice_eq(a->v[i], b->v[i]))
            return false;
    return true;
}

enum err subscriptions_set_topics(struct subscriptions *s, const struct slice *names, size_t n)
{
    struct topic_list *fresh = list_of(names, n), *old = NULL;

    assert(s->magic == SUBSCRIPTIONS_MAGIC);
    if (!fresh)
        return ERR_NO_MEMORY;
    if (are_same(s->topics, fresh)) { /* nobody else sets it */
        topic_list_unref(fresh);
        return ERR_OK;
    }
    pthread_mutex_lock(&s->lock);
    old = s->topics;
    fresh->version = old ? old->version + 1 : 1;
    s->topics = fresh;
    pthread_mutex_unlock(&s->lock);
    topic_list_unref(old);
    return ERR_OK;
}

/* ---- Members ---- */

enum err subscriptions_heartbeat(struct subscriptions *s, const struct regex_heartbeat *h, uint64_t rules,
                                 uint64_t now_ms, enum regex_plan *plan, struct regex_resolution *r,
                                 struct topic_list **topics, struct reason *why)
{
    enum err err;

    assert(s->magic == SUBSCRIPTIONS_MAGIC);
    *topics = NULL;
    pthread_mutex_lock(&s->lock);
    err = regex_members_heartbeat(s->members, h, (struct regex_versions){s->topics ? s->topics->version : 0, rules},
                                  now_ms, plan, r, why);
    if (!err && *plan == REGEX_RESOLVE && s->topics) {
        atomic_fetch_add(&s->topics->refs, 1);
        *topics = s->topics;
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

void subscriptions_answered(struct subscriptions *s, const struct regex_heartbeat *h, struct regex_ticket sent,
                            enum err answer)
{
    assert(s->magic == SUBSCRIPTIONS_MAGIC);
    pthread_mutex_lock(&s->lock);
    regex_members_answered(s->members, h, sent, answer);
    pthread_mutex_unlock(&s->lock);
}

static bool copy_names(struct wire_string_array *names, struct arena *a)
{
    struct slice *v = arena_array(a, (size_t)names->n, sizeof *v);

    if (!v)
        return false;
    for (int32_t i = 0; i < names->n; i++) {
        v[i] = arena_copy(a, names->v[i]);
        if (slice_is_null(v[i]))
            return false;
    }
    names->v = v;
    return true;
}

bool subscriptions_describe(struct subscriptions *s, struct slice group, struct slice member, struct arena *a,
                            struct slice *pattern, struct wire_string_array *names)
{
    bool ok = true;

    assert(s->magic == SUBSCRIPTIONS_MAGIC);
    pthread_mutex_lock(&s->lock);
    if (regex_members_describe(s->members, group, member, pattern, names)) {
        *pattern = arena_copy(a, *pattern);
        ok = !slice_is_null(*pattern) && copy_names(names, a);
    } else {
        *pattern = SLICE_NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}
