/* SPDX-License-Identifier: Apache-2.0
 * Resolving what a run of batches needs: from the cache what is there, the rest from the key process in as few messages
 * as fit. A set pins its keys against eviction, not against erasure. */
#include "crypto/key_client_internal.h"

#include <assert.h>
#include <stdlib.h>

static void free_item(void *p)
{
    struct key_item *i = p;
    if (i->entry)
        key_cache_unpin(i->entry);
    free(i);
}

static void unlink_set(struct key_set *s)
{
    if (s->prev) {
        s->prev->next = s->next;
        s->next->prev = s->prev;
    }
    s->prev = s->next = NULL;
}

/* Under the client's lock, if there is one. */
static void drop_set(struct key_set *s)
{
    unlink_set(s);
    map_free(&s->subjects, free_item);
    map_free(&s->ids, free_item);
    free(s->scope);
    free(s);
}

void key_set_free(struct key_set *s)
{
    struct key_client *c = s ? s->client : NULL;
    if (!s)
        return;
    if (c)
        key_client_enter(c);
    drop_set(s);
    if (c)
        key_client_leave(c, false);
}

/* The client goes: its sets find nothing from here on. */
void key_set_orphan_all(struct key_client *c)
{
    while (c->sets.next != &c->sets) {
        struct key_set *s = c->sets.next;
        struct map *maps[] = {&s->subjects, &s->ids};
        for (int i = 0; i < 2; i++) {
            for (struct map_entry *m = map_first(maps[i]); m; m = map_next(maps[i], m)) {
                struct key_item *item = m->value;
                if (item->entry)
                    key_cache_unpin(item->entry);
                *item = (struct key_item){.state = KEY_UNAVAILABLE};
            }
        }
        unlink_set(s);
        s->client = NULL;
    }
}

/* ---- looking up ---- */

static enum key_state look(const struct key_set *s, const struct key_item *i, const struct data_key **out)
{
    if (!s->client || !i || !key_client_leased(s->client))
        return KEY_UNAVAILABLE;
    if (!i->entry)
        return i->state;
    if (i->entry->erased)
        return KEY_ERASED;
    if (!i->entry->key) /* wiped when the lease was lost */
        return KEY_UNAVAILABLE;
    *out = i->entry->key;
    return KEY_LIVE;
}

/* The lock stays taken while the key is in use: it cannot be wiped then, nor its wiping acknowledged. */
static enum key_state find(struct key_set *s, const struct map *items, struct slice name, const struct data_key **out)
{
    if (!s->client)
        return KEY_UNAVAILABLE;
    key_client_enter(s->client);
    enum key_state state = look(s, map_get(items, name), out);
    if (state != KEY_LIVE)
        pthread_mutex_unlock(&s->client->lock);
    return state;
}

static enum key_state by_subject(void *user, struct slice subject, const struct data_key **out)
{
    struct key_set *s = user;
    return find(s, &s->subjects, subject, out);
}

static enum key_state by_id(void *user, const uint8_t id[ENVELOPE_KEY_ID_SIZE], const struct data_key **out)
{
    struct key_set *s = user;
    return find(s, &s->ids, slice_of(id, ENVELOPE_KEY_ID_SIZE), out);
}

static void enter(void *user)
{
    struct key_set *s = user;
    if (s->client)
        key_client_enter(s->client);
}

static void release(void *user)
{
    struct key_set *s = user;
    if (s->client)
        pthread_mutex_unlock(&s->client->lock);
}

static size_t count_wiped(const struct map *items)
{
    size_t n = 0;

    for (struct map_entry *m = map_first(items); m; m = map_next(items, m)) {
        const struct key_item *i = m->value;
        n += i->entry && !i->entry->key;
    }
    return n;
}

/* Without a lease nothing may be used: every key is lost. */
static size_t lost(void *user)
{
    struct key_set *s = user;
    size_t n = SIZE_MAX;

    enter(s);
    if (s->client && s->wiped_then != s->client->cache.wiped) {
        s->wiped_then = s->client->cache.wiped;
        s->lost = count_wiped(&s->subjects) + count_wiped(&s->ids);
    }
    if (s->client && key_client_leased(s->client))
        n = s->lost;
    release(s);
    return n;
}

static void hold(void *user, const struct data_key *key, struct key_hold *h)
{
    struct key_set *s = user;

    assert(s->client);
    key_cache_hold(key_cache_by_id(s->client, key->id), h);
}

static void let_go(void *user, struct key_hold *h)
{
    (void)user;
    key_cache_let_go(h); /* of a client that is gone: nothing is held any more */
}

struct key_lookup key_set_lookup(struct key_set *s)
{
    return (struct key_lookup){.user = s,
                               .by_subject = by_subject,
                               .by_id = by_id,
                               .enter = enter,
                               .release = release,
                               .lost = lost,
                               .hold = hold,
                               .let_go = let_go};
}

/* ---- resolving ---- */

/* "tenant 0 class 0 id": the cache's name for a subject. */
static bool scoped(const struct key_set *s, struct slice subject, struct buf *out)
{
    buf_clear(out);
    buf_put(out, s->scope, s->scope_n);
    buf_put_slice(out, subject);
    return !out->error;
}

static void finish(struct key_client *c, struct key_set *s)
{
    s->finished_next = NULL;
    *c->finished_end = s;
    c->finished_end = &s->finished_next;
}

void key_set_deliver(void *set)
{
    struct key_set *s = set;
    key_client_fn fn = s->fn;
    void *arg = s->arg;
    if (!s->failed) {
        fn(arg, ERR_OK, s, &s->why);
        return;
    }
    struct reason why = s->why;
    enum err e = s->failed;
    key_set_free(s);
    fn(arg, e, NULL, &why);
}

static void fail(struct key_set *s, enum err e, const struct reason *why)
{
    if (s->failed)
        return;
    s->failed = e;
    if (why)
        s->why = *why;
}

static void take_key(struct key_client *c, struct key_request *r, size_t i, struct cursor *cur)
{
    enum key_state state = (enum key_state)cursor_u8(cur);
    const uint8_t *id = cursor_take(cur, ENVELOPE_KEY_ID_SIZE).p;
    const uint8_t *bytes = cursor_take(cur, ENVELOPE_KEY_SIZE).p;
    struct key_item *item = r->items[i];
    struct buf name;
    if (cur->error || (unsigned)state > KEY_UNAVAILABLE ||
        (!r->by_subject && memcmp(id, r->names[i].p, ENVELOPE_KEY_ID_SIZE))) {
        cursor_fail(cur, ERR_MALFORMED);
        return;
    }
    item->state = state;
    if (state == KEY_ERASED && !r->by_subject)
        key_cache_note_erased(c, id);
    if (state != KEY_LIVE || item->entry)
        return;
    buf_init(&name, 0);
    struct slice subject = r->by_subject && scoped(r->set, r->names[i], &name) ? buf_slice(&name) : SLICE_NULL;
    item->entry = key_cache_put(c, id, bytes, subject);
    if (!item->entry)
        cursor_fail(cur, ERR_LIMIT_EXCEEDED);
    buf_free(&name);
}

void key_set_answer(struct key_client *c, struct key_request *r, struct slice body, enum err e,
                    const struct reason *why)
{
    struct key_set *s = r->set;
    struct cursor cur = cursor_of(body);
    if (e) {
        fail(s, ERR_KAFKA_STORAGE_ERROR, why);
    } else {
        if (cursor_u32(&cur) != r->n)
            cursor_fail(&cur, ERR_MALFORMED);
        for (size_t i = 0; i < r->n && !cur.error; i++)
            take_key(c, r, i, &cur);
        enum err bad = cursor_finish(&cur);
        struct reason words = {0};
        if (bad)
            fail(s,
                 reason_set(&words, ERR_KAFKA_STORAGE_ERROR, "the key process's answer cannot be used: %s",
                            err_text(bad)),
                 &words);
    }
    if (--s->waiting == 0 && s->complete)
        finish(c, s);
}

static struct key_item *item_of(struct map *m, struct slice name)
{
    struct key_item *i = calloc(1, sizeof *i);
    if (i && map_put(m, name, i, NULL)) {
        free(i);
        return NULL;
    }
    if (i)
        i->state = KEY_UNAVAILABLE;
    return i;
}

static enum err gather(struct key_set *s, struct map *items, const struct map *needs, bool by_subject, struct ask *out)
{
    struct key_client *c = s->client;
    struct buf name;
    enum err e = ERR_OK;
    buf_init(&name, 0);
    out->names = calloc(map_count(needs) + 1, sizeof *out->names);
    out->items = calloc(map_count(needs) + 1, sizeof *out->items);
    if (!out->names || !out->items)
        e = ERR_NO_MEMORY;
    for (struct map_entry *m = map_first(needs); !e && m; m = map_next(needs, m)) {
        struct key_item *item = item_of(items, map_key(m));
        struct key_entry *entry = NULL;
        if (!item) {
            e = ERR_NO_MEMORY;
            break;
        }
        if (by_subject)
            entry = scoped(s, map_key(m), &name) ? key_cache_by_subject(c, buf_slice(&name)) : NULL;
        else if (map_has(&c->cache.erased, map_key(m)))
            item->state = KEY_ERASED;
        else
            entry = key_cache_by_id(c, map_key(m).p);
        if (entry) {
            key_cache_pin(entry);
            item->entry = entry;
            item->state = KEY_LIVE;
        } else if (item->state != KEY_ERASED) {
            out->items[out->n++] = item;
        }
    }
    /* The names must live as long as the set, so they point into its own map. */
    size_t at = 0;
    for (struct map_entry *m = map_first(items); !e && m && at < out->n; m = map_next(items, m)) {
        if (m->value == out->items[at])
            out->names[at++] = map_key(m);
    }
    buf_free(&name);
    return e;
}

/* One message for the items from `at` on; moves `at`. */
static enum err ask_some(struct key_set *s, const struct ask *a, bool by_subject, size_t *at)
{
    struct key_client *c = s->client;
    size_t n = 0, max = by_subject ? KEYD_SUBJECTS_MAX : KEYD_KEY_IDS_MAX;
    uint32_t id = ++c->next_request;
    struct buf f;
    buf_init(&f, KEYD_FRAME_MAX);
    size_t frame = keyd_frame_begin(&f, by_subject ? KEYD_CREATE : KEYD_GET, id);
    if (by_subject) {
        struct slice tenant = slice_str(s->scope);
        keyd_put_string(&f, tenant);
        keyd_put_string(&f, slice_str(s->scope + tenant.n + 1));
    }
    size_t count_at = f.n;
    buf_u32(&f, 0);
    for (; *at + n < a->n && n < max && f.n < KEY_CLIENT_CREATE_BYTES; n++) {
        if (by_subject)
            keyd_put_string(&f, a->names[*at + n]);
        else
            buf_put_slice(&f, a->names[*at + n]);
    }
    if (!f.error)
        buf_patch_u32(&f, count_at, (uint32_t)n);
    keyd_frame_end(&f, frame);
    struct slice *names = calloc(n + 1, sizeof *names);
    struct key_item **items = calloc(n + 1, sizeof *items);
    struct key_request *r = names && items && !f.error ? key_client_send(c, &f, id) : NULL;
    buf_free(&f);
    if (!r) {
        free(names);
        free(items);
        return ERR_KAFKA_STORAGE_ERROR;
    }
    memcpy(names, a->names + *at, n * sizeof *names);
    memcpy(items, a->items + *at, n * sizeof *items);
    r->set = s;
    r->names = names;
    r->items = items;
    r->n = n;
    r->by_subject = by_subject;
    s->waiting++;
    *at += n;
    return ERR_OK;
}

static struct key_set *new_set(struct key_client *c, const struct policy *p, key_client_fn fn, void *arg)
{
    const char *tenant = p ? p->tenant : POLICY_TENANT_DEFAULT, *cls = p ? p->subject_class : POLICY_CLASS_DEFAULT;
    struct key_set *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->scope_n = strlen(tenant) + strlen(cls) + 2;
    s->scope = malloc(s->scope_n);
    if (!s->scope) {
        free(s);
        return NULL;
    }
    memcpy(s->scope, tenant, strlen(tenant) + 1);
    memcpy(s->scope + strlen(tenant) + 1, cls, strlen(cls) + 1);
    map_init(&s->subjects);
    map_init(&s->ids);
    s->client = c;
    s->fn = fn;
    s->arg = arg;
    s->prev = &c->sets;
    s->next = c->sets.next;
    s->next->prev = s;
    c->sets.next = s;
    return s;
}

static void free_ask(struct ask *a)
{
    free(a->names);
    free(a->items);
}

static enum err ask_all(struct key_set *s, const struct ask *subjects, const struct ask *ids)
{
    enum err e = ERR_OK;
    for (size_t at = 0; !e && at < subjects->n;)
        e = ask_some(s, subjects, true, &at);
    for (size_t at = 0; !e && at < ids->n;)
        e = ask_some(s, ids, false, &at);
    return e;
}

static void end_asking(struct asking *a)
{
    a->prev->next = a->next;
    a->next->prev = a->prev;
    free_ask(&a->subjects);
    free_ask(&a->ids);
    free(a);
}

/* On the keeper's thread. */
static void on_asking(void *arg)
{
    struct asking *a = arg;
    struct key_client *c = a->client;
    struct key_set *s;
    struct reason why;
    enum err e;
    key_client_enter_first(c);
    s = a->set;
    e = s ? ask_all(s, &a->subjects, &a->ids) : ERR_OK;
    if (e)
        fail(s, ERR_KAFKA_STORAGE_ERROR,
             (reason_set(&why, ERR_KAFKA_STORAGE_ERROR, "no data keys: the key process is not reachable"), &why));
    if (s)
        s->complete = true;
    if (s && !s->waiting)
        finish(c, s);
    end_asking(a);
    key_client_leave(c, false);
}

/* What is to be asked goes to the keeper's thread; takes both lists. */
static enum err post_asking(struct key_client *c, struct key_set *s, const struct ask *subjects, const struct ask *ids)
{
    struct asking *a = malloc(sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    *a = (struct asking){.client = c, .set = s, .subjects = *subjects, .ids = *ids};
    a->next = &c->askings;
    a->prev = c->askings.prev;
    a->prev->next = a;
    a->next->prev = a;
    loop_post_task(c->home, &a->task, on_asking, a);
    return ERR_OK;
}

void key_set_cancel_askings(struct key_client *c)
{
    struct reason why;
    reason_set(&why, ERR_CANCELLED, "the key client stops");
    for (struct asking *a = c->askings.next; a != &c->askings; a = a->next) {
        if (!a->set)
            continue;
        fail(a->set, ERR_CANCELLED, &why);
        finish(c, a->set);
        a->set = NULL;
    }
}

/* Without a keeper. */
static enum err ask_here(struct key_client *c, struct key_set *s, const struct ask *subjects, const struct ask *ids)
{
    enum err e = ask_all(s, subjects, ids);
    if (e && !s->waiting)
        return e;
    if (e) /* some messages went out: the callback comes when they are answered */
        s->failed = reason_set(&s->why, e, "the key process cannot be asked for data keys");
    s->complete = true;
    if (!s->waiting)
        finish(c, s);
    return ERR_OK;
}

/* Under the lock. *posted: the keeper has the lists. */
static enum err resolve(struct key_client *c, struct key_set *s, const struct record_crypt_needs *needs)
{
    struct ask subjects = {0}, ids = {0};
    bool posted = false;
    enum err e = gather(s, &s->subjects, &needs->subjects, true, &subjects);
    if (!e)
        e = gather(s, &s->ids, &needs->key_ids, false, &ids);
    if (!e && c->home && (subjects.n || ids.n)) {
        e = post_asking(c, s, &subjects, &ids);
        posted = !e;
    } else if (!e) {
        e = ask_here(c, s, &subjects, &ids);
    }
    if (!posted) {
        free_ask(&subjects);
        free_ask(&ids);
    }
    return e;
}

enum err key_client_resolve(struct key_client *c, const struct policy *policy, const struct record_crypt_needs *needs,
                            key_client_fn fn, void *arg, struct reason *why)
{
    struct key_set *s = NULL;
    enum err e = ERR_KAFKA_STORAGE_ERROR;
    key_client_enter(c);
    if (c->freeing || !key_client_leased(c)) {
        reason_set(why, e, "the key process is not reachable, or the lease for its keys ran out");
    } else if (!(s = new_set(c, policy, fn, arg))) {
        e = reason_set(why, ERR_NO_MEMORY, "no memory for data keys");
    } else if ((e = resolve(c, s, needs))) {
        drop_set(s);
        reason_set(why, e, "no data keys: the key process %s",
                   e == ERR_KAFKA_STORAGE_ERROR ? "is not reachable" : "cannot be asked");
    }
    if (e)
        pthread_mutex_unlock(&c->lock);
    else if (s->complete && !s->waiting) /* all in the cache, or without a keeper */
        key_client_leave(c, true);
    else
        key_client_leave(c, false);
    return e;
}
