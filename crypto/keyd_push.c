/* SPDX-License-Identifier: Apache-2.0
 * Telling the clients. When a fence stands in the log, every client that may hold keys is sent the ids to wipe; the
 * erasure goes on when each has acknowledged or its lease ran out. That covers clients that left (their lease runs on)
 * and those of an earlier key process, whom this one does not know: it waits one lease from its own start for them.
 * While a client owes an acknowledgement its lease is not renewed, so no client can hold up an erasure. */
#include "crypto/keyd_internal.h"
#include "core/base/log.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

static bool pushed(const struct keyd *d, const uint8_t *erasure)
{
    for (const struct keyd_push *p = d->pushes; p; p = p->next) {
        if (!memcmp(p->erasure, erasure, KEYRING_ERASURE_ID_SIZE))
            return true;
    }
    return false;
}

static void put_id(void *ctx, const uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    buf_put(ctx, id, ENVELOPE_KEY_ID_SIZE);
}

static void add(struct keyd_push *p, uint64_t client, const char *name, int64_t lease_until_ms)
{
    assert(p->n < p->cap);
    struct keyd_participant *v = &p->v[p->n++];
    *v = (struct keyd_participant){.client = client, .lease_until_ms = lease_until_ms};
    snprintf(v->name, sizeof v->name, "%s", name);
}

static bool takes_part(const struct keyd_client *c)
{
    return !c->closing && c->welcome && (c->caps & KEYD_CAP_DATA);
}

/* Everybody who may hold keys now. Before anything is sent: a client that does not take the push is closed and moves
 * to those that left, and would be counted twice. */
static void add_participants(const struct keyd *d, struct keyd_push *p)
{
    int64_t now = env_mono_ms(d->env);
    for (const struct keyd_client *c = d->clients; c; c = c->next) {
        if (takes_part(c))
            add(p, c->id, c->name, c->lease_until_ms);
    }
    for (size_t i = 0; i < d->gone_n; i++) {
        if (d->gone[i].lease_until_ms > now)
            add(p, UINT64_MAX, d->gone[i].name, d->gone[i].lease_until_ms);
    }
    if (d->started_ms + d->opts.lease_ms > now)
        add(p, 0, "clients of an earlier key process", d->started_ms + d->opts.lease_ms);
}

/* Closing a client leaves it in the list until the loop's next turn, so the walk is safe. */
static void send_push(struct keyd *d, const struct keyd_push *p, const uint8_t *tag)
{
    struct buf ids;
    buf_init(&ids, KEYD_FRAME_MAX);
    keyring_each_key(d->kr, tag, put_id, &ids);
    for (struct keyd_client *c = d->clients; c; c = c->next) {
        struct buf frame;
        if (!takes_part(c))
            continue;
        buf_init(&frame, KEYD_FRAME_MAX);
        size_t at = keyd_frame_begin(&frame, KEYD_ERASED, p->id);
        buf_u32(&frame, (uint32_t)(ids.n / ENVELOPE_KEY_ID_SIZE));
        buf_put_slice(&frame, buf_slice(&ids));
        keyd_frame_end(&frame, at);
        keyd_send(c, &frame);
    }
    buf_free(&ids);
}

void keyd_push_erasures(struct keyd *d)
{
    const struct erasure_entry *i;
    size_t at = 0;
    bool any = false;
    if (!d->serving)
        return;
    while (keyring_work_unacked(&d->work, &at, &i)) {
        any = true;
        if (pushed(d, i->erasure))
            continue;
        struct keyd_push *p = calloc(1, sizeof *p);
        if (p) {
            p->cap = d->clients_n + d->gone_n + 1;
            p->v = calloc(p->cap, sizeof *p->v);
        }
        if (!p || !p->v) {
            free(p);
            break; /* the tick tries again */
        }
        p->id = d->next_push++;
        memcpy(p->erasure, i->erasure, sizeof p->erasure);
        p->next = d->pushes;
        d->pushes = p;
        add_participants(d, p);
        send_push(d, p, i->tag);
    }
    if (any && !d->tick.running)
        loop_timer_start(&d->tick, d->pushes && !d->pushes->n ? 0 : KEYD_TICK_MS);
}

/* As JSON, for the receipt. */
static enum err report(const struct keyd_push *p, struct buf *out)
{
    json_t *a = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct keyd_participant *v = &p->v[i];
        json_array_append_new(a, json_pack("{s:s s:s s:I}", "client", v->name, "how",
                                           v->ack == KEYD_ACK_DONE ? "acknowledged" : "lease ran out", "at",
                                           (json_int_t)v->at_ms));
    }
    enum err e = receipt_canonical(a, out);
    json_decref(a);
    return e;
}

static bool settled(struct keyd *d, struct keyd_push *p)
{
    int64_t now = env_mono_ms(d->env);
    bool all = true;
    for (size_t i = 0; i < p->n; i++) {
        struct keyd_participant *v = &p->v[i];
        if (v->ack == KEYD_ACK_WAITING && v->lease_until_ms <= now) {
            v->ack = KEYD_ACK_EXPIRED;
            v->at_ms = d->env->wall_ms(d->env);
            log_info("keyd: %s: its lease ran out before it acknowledged an erasure", v->name);
        }
        all = all && v->ack != KEYD_ACK_WAITING;
    }
    return all;
}

void keyd_push_check(struct keyd *d)
{
    struct keyd_push **at = &d->pushes;
    bool moved = false;
    while (*at) {
        struct keyd_push *p = *at;
        struct buf text;
        if (!settled(d, p)) {
            at = &p->next;
            continue;
        }
        buf_init(&text, KEYD_FRAME_MAX);
        if (report(p, &text) || keyring_work_acked(&d->work, p->erasure, buf_slice(&text)))
            log_warn("keyd: no memory to note acknowledgements");
        buf_free(&text);
        *at = p->next;
        free(p->v);
        free(p);
        moved = true;
    }
    if (moved)
        keyd_pump(d);
    if (d->pushes && !d->tick.running && !d->stopping)
        loop_timer_start(&d->tick, KEYD_TICK_MS);
}

void keyd_push_acked(struct keyd_client *c, uint32_t push)
{
    for (struct keyd_push *p = c->d->pushes; p; p = p->next) {
        for (size_t i = 0; p->id == push && i < p->n; i++) {
            if (p->v[i].client == c->id && p->v[i].ack == KEYD_ACK_WAITING) {
                p->v[i].ack = KEYD_ACK_DONE;
                p->v[i].at_ms = c->d->env->wall_ms(c->d->env);
            }
        }
    }
    keyd_push_check(c->d);
}

bool keyd_push_waits_for(const struct keyd *d, const struct keyd_client *c)
{
    for (const struct keyd_push *p = d->pushes; p; p = p->next) {
        for (size_t i = 0; i < p->n; i++) {
            if (p->v[i].client == c->id && p->v[i].ack == KEYD_ACK_WAITING)
                return true;
        }
    }
    return false;
}

/* It may hold keys until its lease ends; remember it that long. */
void keyd_push_left(struct keyd *d, const struct keyd_client *c)
{
    int64_t now = env_mono_ms(d->env);
    size_t kept = 0;
    for (size_t i = 0; i < d->gone_n; i++) {
        if (d->gone[i].lease_until_ms > now)
            d->gone[kept++] = d->gone[i];
    }
    d->gone_n = kept;
    if (!(c->caps & KEYD_CAP_DATA) || c->lease_until_ms <= now)
        return;
    if (d->gone_n == KEYD_GONE_MAX) /* too many to name: as if this process had just started */
        d->started_ms = now;
    else {
        struct keyd_gone *g = &d->gone[d->gone_n++];
        snprintf(g->name, sizeof g->name, "%s", c->name);
        g->lease_until_ms = c->lease_until_ms;
    }
}

void keyd_push_free(struct keyd *d)
{
    while (d->pushes) {
        struct keyd_push *p = d->pushes;
        d->pushes = p->next;
        free(p->v);
        free(p);
    }
}
