/* SPDX-License-Identifier: Apache-2.0
 * Giving keys. GET answers at once from the keyring. CREATE answers when every subject has a key that stands in the
 * log: what is missing is made and written, the request is parked, and whenever a write ends or a rotation is over the
 * parked requests are looked at again from the start. */
#include "crypto/keyd_internal.h"
#include "core/base/secret.h"

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

struct create {
    struct slice tenant, subject_class;
    uint32_t n;
    struct cursor subjects;
};

static enum err parse(struct slice body, struct create *out)
{
    struct cursor c = cursor_of(body);
    out->tenant = keyd_get_string(&c, ENVELOPE_NAME_MAX);
    out->subject_class = keyd_get_string(&c, ENVELOPE_NAME_MAX);
    out->n = cursor_u32(&c);
    out->subjects = c;
    if (out->n > KEYD_SUBJECTS_MAX)
        return ERR_LIMIT_EXCEEDED;
    for (uint32_t i = 0; i < out->n; i++) {
        if (keyd_get_string(&c, KEYRING_SUBJECT_MAX).n == 0)
            return ERR_MALFORMED;
    }
    return cursor_finish(&c);
}

struct created {
    size_t n;
    uint8_t tags[][KEYRING_TAG_SIZE];
};

static void on_created(struct keyd *d, void *arg, enum err e)
{
    struct created *made = arg;
    for (size_t i = 0; i < made->n; i++)
        map_remove(&d->creating, slice_of(made->tags[i], KEYRING_TAG_SIZE));
    free(made);
    d->work.creates_in_flight--;
    if (d->stopping)
        return;
    keyd_unpark(d, e);
    if (!d->work.creates_in_flight)
        keyd_pump(d); /* a rotation may be waiting for this */
}

/* Make what is missing; *wait: something is on its way. */
static enum err make_missing(struct keyd *d, const struct create *r, bool *wait)
{
    struct keyring_records records = {0};
    struct created *made = calloc(1, sizeof *made + (size_t)r->n * KEYRING_TAG_SIZE);
    struct cursor c = r->subjects;
    enum err e = made ? ERR_OK : ERR_NO_MEMORY;
    for (uint32_t i = 0; !e && i < r->n; i++) {
        uint8_t tag[KEYRING_TAG_SIZE], id[ENVELOPE_KEY_ID_SIZE];
        struct slice name = slice_of(tag, sizeof tag);
        keyring_tag(d->kr, r->tenant, r->subject_class, keyd_get_string(&c, KEYRING_SUBJECT_MAX), tag);
        if (keyring_subject(d->kr, tag).erased || keyring_current_key(d->kr, tag, id))
            continue;
        *wait = true;
        if (map_has(&d->creating, name) || !keyring_work_may_create(&d->work))
            continue;
        e = keyring_make_key(d->kr, tag, d->env->wall_ms(d->env), &records, id);
        if (!e)
            e = map_put(&d->creating, name, NULL, NULL);
        if (!e)
            memcpy(made->tags[made->n++], tag, sizeof tag);
    }
    if (!e && records.n) {
        d->work.creates_in_flight++;
        e = keyd_write_keys(d, &records, on_created, made);
        if (!e)
            return ERR_OK;
        d->work.creates_in_flight--;
    }
    for (size_t i = 0; made && i < made->n; i++)
        map_remove(&d->creating, slice_of(made->tags[i], KEYRING_TAG_SIZE));
    free(made);
    keyring_records_free(&records);
    return e;
}

static void answer(struct keyd_client *c, uint32_t request, const struct create *r)
{
    struct cursor cur = r->subjects;
    struct buf out;
    buf_init(&out, KEYD_FRAME_MAX);
    buf_reserve(&out, KEYD_FRAME_HEADER + 4 + (size_t)r->n * KEYD_ENTRY_SIZE);
    size_t at = keyd_frame_begin(&out, KEYD_KEYS, request);
    buf_u32(&out, r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        uint8_t tag[KEYRING_TAG_SIZE], id[ENVELOPE_KEY_ID_SIZE];
        keyring_tag(c->d->kr, r->tenant, r->subject_class, keyd_get_string(&cur, KEYRING_SUBJECT_MAX), tag);
        if (keyring_subject(c->d->kr, tag).erased)
            put_state(KEY_ERASED, &out);
        else if (keyring_current_key(c->d->kr, tag, id))
            put_key(c->d, id, &out);
        else
            put_state(KEY_UNKNOWN, &out);
    }
    keyd_frame_end(&out, at);
    keyd_send(c, &out);
}

/* Answer, or say that it must wait. */
static enum err try_create(struct keyd_client *c, uint32_t request, struct slice body, bool *wait)
{
    struct create r;
    enum err e = parse(body, &r);
    *wait = false;
    if (e)
        return e;
    e = make_missing(c->d, &r, wait);
    if (e)
        *wait = false;
    if (e)
        keyd_send_error(c, request, ERR_KAFKA_STORAGE_ERROR, "a data key cannot be created now");
    else if (!*wait)
        answer(c, request, &r);
    return ERR_OK;
}

enum err keyd_on_create(struct keyd_client *c, const struct keyd_frame *f)
{
    struct keyd *d = c->d;
    bool wait;
    enum err e = try_create(c, f->request, f->body, &wait);
    if (e || !wait)
        return e;
    struct keyd_parked *p = d->parked_n < KEYD_PARKED_MAX ? calloc(1, sizeof *p) : NULL;
    uint8_t *body = p ? malloc(f->body.n + 1) : NULL;
    if (!body) {
        free(p);
        keyd_send_error(c, f->request, ERR_KAFKA_STORAGE_ERROR, "too many requests wait for data keys");
        return ERR_OK;
    }
    memcpy(body, f->body.p, f->body.n);
    *p = (struct keyd_parked){.client = c->id, .request = f->request, .body = body, .n = f->body.n};
    struct keyd_parked **end = &d->parked;
    while (*end)
        end = &(*end)->next;
    *end = p;
    d->parked_n++;
    return ERR_OK;
}

void keyd_unpark(struct keyd *d, enum err failed)
{
    struct keyd_parked *todo = d->parked, *p;
    struct keyd_parked **end = &d->parked;
    d->parked = NULL;
    while ((p = todo)) {
        struct keyd_client *c = keyd_client_of(d, p->client);
        bool wait = false;
        todo = p->next;
        p->next = NULL;
        if (c && failed)
            keyd_send_error(c, p->request, ERR_KAFKA_STORAGE_ERROR, "a data key could not be made durable");
        else if (c && try_create(c, p->request, slice_of(p->body, p->n), &wait))
            keyd_client_close(c, "a parked request is damaged");
        if (wait) {
            *end = p;
            end = &p->next;
            continue;
        }
        d->parked_n--;
        free(p->body);
        free(p);
    }
}
