/* SPDX-License-Identifier: Apache-2.0
 * Giving keys. GET answers at once from the keyring. CREATE answers when every subject has a key that stands in the
 * log: what is missing is made and written, and the request is parked with a count of the keys that are on their way,
 * its own and others'. A key that came counts down those that wait for it, so a request costs the same however many are
 * parked. During a rotation no key is made: what misses one is held, and looked at once more when the rotation is over.
 */
#include "crypto/keyd_internal.h"
#include "core/base/secret.h"

#include <assert.h>
#include <stdlib.h>

static void put_key(struct keyd *d, const uint8_t *id, struct buf *out)
{
    static const uint8_t none[ENVELOPE_KEY_SIZE];
    struct data_key key;
    enum key_state s = keyring_unwrap(d->kr, id, &key, NULL);
    buf_u8(out, (uint8_t)s);
    buf_put(out, id, ENVELOPE_KEY_ID_SIZE);
    buf_put(out, s == KEY_LIVE ? key.bytes : none, ENVELOPE_KEY_SIZE);
    secret_wipe(&key, sizeof key);
}

static void put_state(enum key_state s, struct buf *out)
{
    static const uint8_t none[ENVELOPE_KEY_ID_SIZE + ENVELOPE_KEY_SIZE];
    buf_u8(out, (uint8_t)s);
    buf_put(out, none, sizeof none);
}

enum err keyd_on_get(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    uint32_t n = cursor_u32(&cur);
    struct buf out;
    if (n > KEYD_KEY_IDS_MAX || cursor_left(&cur) != (size_t)n * ENVELOPE_KEY_ID_SIZE)
        return ERR_MALFORMED;
    buf_init(&out, KEYD_FRAME_MAX);
    buf_reserve(&out, KEYD_FRAME_HEADER + 4 + (size_t)n * KEYD_ENTRY_SIZE); /* keys are not moved about the heap */
    size_t at = keyd_frame_begin(&out, KEYD_KEYS, f->request);
    buf_u32(&out, n);
    for (uint32_t i = 0; i < n; i++)
        put_key(c->d, cursor_take(&cur, ENVELOPE_KEY_ID_SIZE).p, &out);
    keyd_frame_end(&out, at);
    keyd_send(c, &out);
    return ERR_OK;
}

/* ---- parked requests ---- */

static size_t parked_bytes(size_t n)
{
    return sizeof(struct keyd_parked) + n * (KEYRING_TAG_SIZE + sizeof(struct keyd_wait));
}

static enum err parse(struct keyd_client *c, const struct keyd_frame *f, struct keyd_parked **out)
{
    struct cursor cur = cursor_of(f->body);
    struct slice tenant = keyd_get_string(&cur, ENVELOPE_NAME_MAX), cls = keyd_get_string(&cur, ENVELOPE_NAME_MAX);
    uint32_t n = cursor_u32(&cur);
    enum err e = cur.error ? ERR_MALFORMED : n > KEYD_SUBJECTS_MAX ? ERR_LIMIT_EXCEEDED : ERR_OK;
    struct keyd_parked *p = e ? NULL : malloc(sizeof *p + (size_t)n * KEYRING_TAG_SIZE);
    if (!p)
        return e ? e : ERR_NO_MEMORY;
    *p = (struct keyd_parked){.client = c->id, .request = f->request, .n = n};
    for (uint32_t i = 0; !e && i < n; i++) {
        struct slice id = keyd_get_string(&cur, KEYRING_SUBJECT_MAX);
        if (id.n == 0)
            e = ERR_MALFORMED;
        else
            keyring_tag(c->d->kr, tenant, cls, id, p->tags[i]);
    }
    if (!e)
        e = cursor_finish(&cur);
    if (e)
        free(p);
    else
        *out = p;
    return e;
}

static void answer(struct keyd_client *c, const struct keyd_parked *p)
{
    struct buf out;
    buf_init(&out, KEYD_FRAME_MAX);
    buf_reserve(&out, KEYD_FRAME_HEADER + 4 + p->n * KEYD_ENTRY_SIZE);
    size_t at = keyd_frame_begin(&out, KEYD_KEYS, p->request);
    buf_u32(&out, (uint32_t)p->n);
    for (size_t i = 0; i < p->n; i++) {
        uint8_t id[ENVELOPE_KEY_ID_SIZE];
        if (keyring_subject(c->d->kr, p->tags[i]).erased)
            put_state(KEY_ERASED, &out);
        else if (keyring_current_key(c->d->kr, p->tags[i], id))
            put_key(c->d, id, &out);
        else
            put_state(KEY_UNKNOWN, &out);
    }
    keyd_frame_end(&out, at);
    keyd_send(c, &out);
}

/* Answers it, if there is somebody left, and frees it. */
static void finish(struct keyd *d, struct keyd_parked *p)
{
    struct keyd_client *c = d->stopping ? NULL : keyd_client_of(d, p->client);
    assert(p->waits == 0);
    if (c && p->failed)
        keyd_send_error(c, p->request, ERR_KAFKA_STORAGE_ERROR, "a data key cannot be created now");
    else if (c)
        answer(c, p);
    d->parked_bytes -= parked_bytes(p->n);
    free(p);
}

/* ---- making keys ---- */

struct created {
    size_t n;
    uint8_t tags[][KEYRING_TAG_SIZE];
};

/* The key stands in the log, or it does not (e): whoever waited for it knows. */
static void came(struct keyd *d, const uint8_t *tag, enum err e)
{
    struct keyd_wait *w = map_remove(&d->creating, slice_of(tag, KEYRING_TAG_SIZE)), *next;
    for (; w; w = next) {
        struct keyd_parked *p = w->parked;
        next = w->next;
        free(w);
        p->failed = p->failed ? p->failed : e;
        assert(p->waits > 0);
        if (--p->waits == 0)
            finish(d, p);
    }
}

static void on_created(struct keyd *d, void *arg, enum err e)
{
    struct created *made = arg;
    for (size_t i = 0; i < made->n; i++)
        came(d, made->tags[i], e);
    free(made);
    d->work.creates_in_flight--;
    if (d->stopping)
        return;
    if (!d->work.creates_in_flight)
        keyd_pump(d); /* a rotation may be waiting for this */
    keyd_jobs_run(d);
}

static bool is_missing(struct keyd *d, const uint8_t *tag)
{
    uint8_t id[ENVELOPE_KEY_ID_SIZE];
    return !keyring_subject(d->kr, tag).erased && !keyring_current_key(d->kr, tag, id);
}

/* `p` waits for this key, which is on its way. */
static enum err wait_for(struct keyd *d, struct keyd_parked *p, const uint8_t *tag)
{
    struct keyd_wait *w = malloc(sizeof *w);
    void *first = map_get(&d->creating, slice_of(tag, KEYRING_TAG_SIZE));
    if (!w || map_put(&d->creating, slice_of(tag, KEYRING_TAG_SIZE), w, NULL)) {
        free(w);
        return ERR_NO_MEMORY;
    }
    *w = (struct keyd_wait){first, p};
    p->waits++;
    return ERR_OK;
}

/* Make those that nobody makes yet, and wait for all that are missing. */
static enum err make_missing(struct keyd *d, struct keyd_parked *p, struct created *made,
                             struct keyring_records *records)
{
    uint8_t id[ENVELOPE_KEY_ID_SIZE];
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < p->n; i++) {
        const uint8_t *tag = p->tags[i];
        if (!is_missing(d, tag))
            continue;
        bool on_its_way = map_has(&d->creating, slice_of(tag, KEYRING_TAG_SIZE));
        if (!on_its_way)
            e = keyring_make_key(d->kr, tag, d->env->wall_ms(d->env), records, id);
        if (!e)
            e = wait_for(d, p, tag);
        if (!e && !on_its_way)
            memcpy(made->tags[made->n++], tag, KEYRING_TAG_SIZE);
    }
    return e;
}

/* Takes the request over: it is answered, or waits. */
static void create(struct keyd *d, struct keyd_parked *p)
{
    struct keyring_records records = {0};
    struct created *made = calloc(1, sizeof *made + p->n * KEYRING_TAG_SIZE);
    enum err e = made ? ERR_OK : ERR_NO_MEMORY;
    p->waits = 1; /* of its own: not answered before all is asked for */
    if (!e)
        e = make_missing(d, p, made, &records);
    if (!e && records.n) {
        d->work.creates_in_flight++;
        e = keyd_write_keys(d, &records, on_created, made);
        if (!e)
            made = NULL;
        else
            d->work.creates_in_flight--;
    }
    for (size_t i = 0; made && i < made->n; i++) /* they were not sent on their way */
        came(d, made->tags[i], e);
    free(made);
    keyring_records_free(&records);
    p->failed = e;
    if (--p->waits == 0)
        finish(d, p);
}

static void hold(struct keyd *d, struct keyd_parked *p)
{
    p->next = NULL;
    *d->held_end = p;
    d->held_end = &p->next;
}

/* May it be answered, or its keys be made, at this time? */
static bool must_hold(struct keyd *d, const struct keyd_parked *p)
{
    bool missing = false;
    if (keyring_work_may_create(&d->work))
        return false;
    for (size_t i = 0; !missing && i < p->n; i++)
        missing = is_missing(d, p->tags[i]);
    return missing;
}

enum err keyd_on_create(struct keyd_client *c, const struct keyd_frame *f)
{
    struct keyd *d = c->d;
    struct keyd_parked *p = NULL;
    enum err e = parse(c, f, &p);
    if (e == ERR_NO_MEMORY || (!e && d->parked_bytes + parked_bytes(p->n) > KEYD_PARKED_BYTES_MAX)) {
        free(p);
        keyd_send_error(c, f->request, ERR_KAFKA_STORAGE_ERROR, "too many requests wait for data keys");
        return ERR_OK;
    }
    if (e)
        return e;
    d->parked_bytes += parked_bytes(p->n);
    if (must_hold(d, p))
        hold(d, p);
    else
        create(d, p);
    return ERR_OK;
}

void keyd_release_held(struct keyd *d)
{
    struct keyd_parked *p = d->held, *next;
    d->held = NULL;
    d->held_end = &d->held;
    for (; p; p = next) {
        next = p->next;
        if (must_hold(d, p))
            hold(d, p);
        else
            create(d, p);
    }
}

void keyd_drop_parked(struct keyd *d)
{
    struct keyd_parked *p;
    for (struct map_entry *m = map_first(&d->creating); m; m = map_next(&d->creating, m)) {
        uint8_t tag[KEYRING_TAG_SIZE];
        memcpy(tag, m->key, sizeof tag);
        came(d, tag, ERR_CANCELLED);
    }
    while ((p = d->held)) {
        d->held = p->next;
        finish(d, p);
    }
    d->held_end = &d->held;
    assert(d->parked_bytes == 0);
}
