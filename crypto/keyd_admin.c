/* SPDX-License-Identifier: Apache-2.0
 * The administrator's requests: forget, reopen, hold, status, receipts. FORGET answers when the receipt stands in the
 * ledger and custody remembers it. */
#include "crypto/keyd_internal.h"
#include "core/base/log.h"

#include <jansson.h>
#include <stdlib.h>

static enum err parse_subject(struct cursor *c, struct keyring_forget *out)
{
    out->tenant = keyd_get_string(c, ENVELOPE_NAME_MAX);
    out->subject_class = keyd_get_string(c, ENVELOPE_NAME_MAX);
    out->id = keyd_get_string(c, KEYRING_SUBJECT_MAX);
    return out->id.n ? c->error : ERR_MALFORMED;
}

static bool wait_for(struct keyd_client *c, uint32_t request, const uint8_t *erasure)
{
    struct keyd_waiter *w = calloc(1, sizeof *w);
    if (!w)
        return false;
    w->client = c->id;
    w->request = request;
    memcpy(w->erasure, erasure, sizeof w->erasure);
    w->next = c->d->waiters;
    c->d->waiters = w;
    return true;
}

enum err keyd_on_forget(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    struct keyring_forget r;
    struct reason why = {0};
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    enum err e = parse_subject(&cur, &r);
    r.requester = keyd_get_string(&cur, KEYRING_REQUESTER_MAX);
    if (e || cursor_finish(&cur))
        return ERR_MALFORMED;
    e = keyring_work_forget(&c->d->work, &r, c->d->env->wall_ms(c->d->env), erasure, &why);
    if (!e && !wait_for(c, f->request, erasure))
        e = reason_set(&why, ERR_NO_MEMORY, "no memory for a request");
    if (e)
        keyd_send_error(c, f->request, e, why.text);
    keyd_pump(c->d);
    return ERR_OK;
}

static void send_bundle(struct keyd_client *c, uint32_t request, uint64_t seq, bool with_salt)
{
    struct buf text;
    struct reason why = {0};
    buf_init(&text, KEYD_FRAME_MAX);
    enum err e = keyring_work_bundle(&c->d->work, seq, with_salt, &text, &why);
    if (e)
        keyd_send_error(c, request, e, why.text);
    else
        keyd_send_json(c, request, buf_slice(&text));
    buf_free(&text);
}

/* True when the waiter got its answer. */
static bool settle(struct keyd *d, struct keyd_waiter *w)
{
    struct keyd_client *c = keyd_client_of(d, w->client);
    if (!c)
        return true;
    switch (keyring_work_progress(&d->work, w->erasure)) {
    case KEYRING_PENDING:
        return false;
    case KEYRING_HELD:
        keyd_send_error(c, w->request, ERR_POLICY_VIOLATION,
                        "the erasure is recorded, and waits: the data subject is under a legal hold");
        return true;
    case KEYRING_DONE:
        send_bundle(c, w->request, erasure_log_intent(&d->log, w->erasure)->receipt_seq, true);
        return true;
    case KEYRING_NO_SUCH:
        keyd_send_error(c, w->request, ERR_INVALID_REQUEST, "the request cannot be recorded: text must be UTF-8");
        return true;
    }
    return true;
}

void keyd_settle_waiters(struct keyd *d)
{
    struct keyd_waiter **at = &d->waiters;
    while (*at) {
        struct keyd_waiter *w = *at;
        if (!settle(d, w)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

enum err keyd_on_receipt(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    uint64_t seq = cursor_u64(&cur);
    if (cursor_finish(&cur))
        return ERR_MALFORMED;
    send_bundle(c, f->request, seq, false);
    return ERR_OK;
}

static json_t *status_receipts(const struct keyd *d)
{
    json_t *a = json_array();
    size_t from = d->log.n > 1000 ? d->log.n - 1000 : 0;
    for (size_t i = from; i < d->log.n; i++) {
        if (d->log.entries[i].receipt)
            json_array_append_new(a, json_integer((json_int_t)i));
    }
    return a;
}

enum err keyd_on_status(struct keyd_client *c, const struct keyd_frame *f)
{
    struct keyd *d = c->d;
    struct keyring_counts n = keyring_counts(d->kr);
    struct buf text;
    if (f->body.n)
        return ERR_MALFORMED;
    json_t *clients = json_array();
    for (const struct keyd_client *k = d->clients; k; k = k->next) {
        if (k->welcome && (k->caps & KEYD_CAP_DATA))
            json_array_append_new(clients, json_string(k->name));
    }
    json_t *o =
        json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:s s:s s:o s:o}", "subjects", (json_int_t)n.subjects, "live_keys",
                  (json_int_t)n.live_keys, "erased_keys", (json_int_t)n.dead_keys, "erased_subjects",
                  (json_int_t)n.erased_subjects, "held_subjects", (json_int_t)n.held_subjects, "root_epoch",
                  (json_int_t)keyring_root(d->kr).epoch, "ledger_size", (json_int_t)d->log.n, "pending_erasures",
                  (json_int_t)d->log.pending, "custody", d->custody->ops->kind, "signer", d->signer.fingerprint,
                  "clients", clients, "receipts", status_receipts(d));
    buf_init(&text, KEYD_FRAME_MAX);
    if (!o || receipt_canonical(o, &text))
        keyd_send_error(c, f->request, ERR_NO_MEMORY, "no memory for the status");
    else
        keyd_send_json(c, f->request, buf_slice(&text));
    json_decref(o);
    buf_free(&text);
    return ERR_OK;
}

/* ---- reopen and hold: one record each, answered when it stands in the log ---- */

struct change {
    uint64_t client;
    uint32_t request;
};

static void on_changed(struct keyd *d, void *arg, enum err e)
{
    struct change *ch = arg;
    struct keyd_client *c = d->stopping ? NULL : keyd_client_of(d, ch->client);
    if (c && e)
        keyd_send_error(c, ch->request, ERR_KAFKA_STORAGE_ERROR, "the change could not be made durable");
    else if (c)
        keyd_send_json(c, ch->request, slice_str("{\"ok\":true}"));
    free(ch);
    if (!d->stopping)
        keyd_pump(d);
}

static void write_change(struct keyd_client *c, uint32_t request, enum err e, struct keyring_records *records,
                         const char *refusal)
{
    struct change *ch = e ? NULL : calloc(1, sizeof *ch);
    if (ch) {
        *ch = (struct change){c->id, request};
        e = keyd_write_keys(c->d, records, on_changed, ch);
    } else if (!e) {
        e = ERR_NO_MEMORY;
    }
    if (e) {
        free(ch);
        keyring_records_free(records);
        keyd_send_error(c, request, e, refusal ? refusal : "the change cannot be written now");
    }
}

enum err keyd_on_reopen(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    struct keyring_forget r;
    struct keyring_records records = {0};
    uint8_t tag[KEYRING_TAG_SIZE];
    const char *refusal = NULL;
    enum err e = parse_subject(&cur, &r);
    if (e || cursor_finish(&cur))
        return ERR_MALFORMED;
    keyring_tag(c->d->kr, r.tenant, r.subject_class, r.id, tag);
    struct keyring_subject s = keyring_subject(c->d->kr, tag);
    const struct erasure_entry *i = erasure_log_intent(&c->d->log, s.erasure);
    if (!s.erased)
        refusal = "the data subject was not forgotten";
    else if (i && !i->done)
        refusal = "the data subject's erasure is still under way";
    e = refusal ? ERR_CONFLICT
                : keyring_make_fence(c->d->kr, tag, s.erasure, false, c->d->env->wall_ms(c->d->env), &records);
    write_change(c, f->request, e, &records, refusal);
    return ERR_OK;
}

enum err keyd_on_hold(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    struct keyring_forget r;
    struct keyring_records records = {0};
    uint8_t tag[KEYRING_TAG_SIZE];
    enum err e = parse_subject(&cur, &r);
    uint8_t on = cursor_u8(&cur);
    if (e || on > 1 || cursor_finish(&cur))
        return ERR_MALFORMED;
    keyring_tag(c->d->kr, r.tenant, r.subject_class, r.id, tag);
    e = keyring_make_hold(c->d->kr, tag, on, c->d->env->wall_ms(c->d->env), &records);
    write_change(c, f->request, e, &records, NULL);
    return ERR_OK;
}
