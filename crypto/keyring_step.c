/* SPDX-License-Identifier: Apache-2.0
 * What comes next. Every condition is read from the state, none from memory of what was done before, and the order of
 * the questions is the order of the protocol: fence, acknowledge, rotate, destroy, verify, receipt, mark, sweep. */
#include "crypto/keyring_step.h"
#include "crypto/keyring_internal.h"
#include "crypto/keyring_step_internal.h"

#include <stdlib.h>

void keyring_work_init(struct keyring_work *w, struct keyring *kr, struct erasure_log *log, struct custody *custody,
                       const struct receipt_signer *signer, struct env *env)
{
    *w = (struct keyring_work){.kr = kr, .log = log, .custody = custody, .signer = signer, .env = env};
    map_init(&w->acks);
    buf_init(&w->evidence, 4096);
}

void keyring_work_free(struct keyring_work *w)
{
    while (w->requests) {
        struct keyring_request *r = w->requests;
        w->requests = r->next;
        free(r);
    }
    map_free(&w->acks, free);
    buf_free(&w->evidence);
}

enum err keyring_work_check(struct keyring_work *w, struct reason *why)
{
    struct keyring_root root = keyring_root(w->kr);
    struct custody_mark mark;
    enum err e = w->custody->ops->get_mark(w->custody, &mark, why);
    if (!e)
        e = erasure_log_check(w->log, &mark, why);
    if (e)
        return e;
    if (root.epoch < mark.root_epoch)
        return reason_set(why, ERR_CONFLICT,
                          "the key topic's root is of epoch %u, but custody remembers %u: the topic is older than the "
                          "root's memory (a restored backup?); refusing to serve",
                          root.epoch, mark.root_epoch);
    if (!root.epoch)
        return ERR_OK;
    e = keyring_open(w->kr, w->custody, why);
    if (e == ERR_NOT_FOUND || e == ERR_DECRYPT)
        return reason_set(why, ERR_CONFLICT,
                          "custody cannot open the root of epoch %u (version %u): it is another root, or an older copy "
                          "of it; refusing to serve",
                          root.epoch, root.version);
    return e;
}

static bool equal_id(const uint8_t *a, const uint8_t *b)
{
    return !memcmp(a, b, KEYRING_ERASURE_ID_SIZE);
}

static bool fenced(const struct keyring_work *w, const struct erasure_entry *i, struct keyring_subject *s)
{
    *s = keyring_subject(w->kr, i->tag);
    return s->erased && equal_id(s->erasure, i->erasure);
}

static bool acked(const struct keyring_work *w, const struct erasure_entry *i)
{
    return map_has(&w->acks, slice_of(i->erasure, KEYRING_ERASURE_ID_SIZE));
}

/* Were there keys at all? Without any there is nothing to shred and no reason to rotate. */
static bool had_keys(const struct keyring_work *w, const struct erasure_entry *i)
{
    struct buf b;
    size_t n = 0;
    buf_init(&b, 0);
    enum err e = keyring_put_fenced_keys(w->kr, i->tag, &b, &n);
    buf_free(&b);
    return e || n > 0;
}

static bool shredded(const struct keyring_work *w, const struct erasure_entry *i, const struct keyring_subject *s)
{
    return keyring_root(w->kr).through > s->fence_offset || !had_keys(w, i);
}

static const struct erasure_entry *next_pending(const struct keyring_work *w, size_t *at)
{
    for (; *at < w->log->n; ++*at) {
        const struct erasure_entry *i = &w->log->entries[*at];
        if (!i->receipt && !i->done) {
            ++*at;
            return i;
        }
    }
    return NULL;
}

bool keyring_work_unacked(const struct keyring_work *w, size_t *at, const struct erasure_entry **out)
{
    struct keyring_subject s;
    while (w->log->pending && (*out = next_pending(w, at))) {
        if (fenced(w, *out, &s) && !acked(w, *out))
            return true;
    }
    return false;
}

bool keyring_work_may_create(const struct keyring_work *w)
{
    return keyring_is_open(w->kr) && !w->rotation_wanted && !keyring_rotating(w->kr);
}

/* ---- the steps; each says in out->need whether it had something to do ---- */

static enum err step_fences(struct keyring_work *w, int64_t now_ms, struct keyring_output *out)
{
    const struct erasure_entry *i;
    size_t at = 0;
    while (w->log->pending && (i = next_pending(w, &at))) {
        struct keyring_subject s;
        if (fenced(w, i, &s) || s.held)
            continue;
        out->need = KEYRING_NEED_WRITE_KEYS;
        return keyring_make_fence(w->kr, i->tag, i->erasure, true, now_ms, &out->records);
    }
    return ERR_OK;
}

static enum err step_rotation(struct keyring_work *w, int64_t now_ms, struct keyring_output *out, struct reason *why)
{
    bool done;
    if (!keyring_rotating(w->kr))
        return ERR_OK;
    enum err e = keyring_rotation_next(w->kr, w->custody, now_ms, &out->records, &done, why);
    if (e == ERR_CONFLICT) {
        keyring_rotation_abort(w->kr);
        out->need = KEYRING_NEED_AGAIN;
        return ERR_OK;
    }
    out->need = KEYRING_NEED_WRITE_KEYS;
    return e;
}

static enum err step_destroy(struct keyring_work *w, struct keyring_output *out, struct reason *why)
{
    uint32_t versions[CUSTODY_VERSIONS_MAX], current = keyring_root(w->kr).version;
    size_t n = w->custody->ops->versions(w->custody, versions);
    if (!n || versions[0] >= current)
        return ERR_OK;
    out->need = KEYRING_NEED_AGAIN;
    return w->custody->ops->destroy_version(w->custody, versions[0], why);
}

/* Evidence that the version before the current root's is gone: needed by receipts, found out anew after a restart. */
static enum err step_verify(struct keyring_work *w, struct keyring_output *out, struct reason *why)
{
    uint32_t previous = keyring_root(w->kr).previous_version;
    if (!previous || w->verified_version == previous)
        return ERR_OK;
    buf_clear(&w->evidence);
    enum err e = w->custody->ops->verify_destroyed(w->custody, previous, &w->evidence, why);
    if (!e)
        w->verified_version = previous;
    out->need = KEYRING_NEED_AGAIN;
    return e;
}

static enum err step_receipts(struct keyring_work *w, int64_t now_ms, struct keyring_output *out, struct reason *why)
{
    const struct erasure_entry *i;
    size_t at = 0;
    while (w->log->pending && (i = next_pending(w, &at))) {
        struct keyring_subject s;
        if (!fenced(w, i, &s) || !acked(w, i) || !shredded(w, i, &s))
            continue;
        out->need = KEYRING_NEED_WRITE_ERASURE;
        return keyring_work_receipt(w, i, &s, had_keys(w, i), now_ms, &out->records, why);
    }
    return ERR_OK;
}

static enum err step_mark(struct keyring_work *w, struct keyring_output *out, struct reason *why)
{
    struct custody_mark mark, want = {.ledger_size = w->log->n, .root_epoch = keyring_root(w->kr).epoch};
    enum err e = w->custody->ops->get_mark(w->custody, &mark, why);
    if (e || (mark.ledger_size == want.ledger_size && mark.root_epoch == want.root_epoch))
        return e;
    memcpy(want.ledger_head, w->log->head, sizeof want.ledger_head);
    out->need = KEYRING_NEED_AGAIN;
    return w->custody->ops->set_mark(w->custody, &want, why);
}

static bool wants_rotation(const struct keyring_work *w)
{
    const struct erasure_entry *i;
    size_t at = 0;
    if (!keyring_root(w->kr).epoch)
        return true;
    while (w->log->pending && (i = next_pending(w, &at))) {
        struct keyring_subject s;
        if (fenced(w, i, &s) && acked(w, i) && !shredded(w, i, &s))
            return true;
    }
    return false;
}

static enum err step_begin(struct keyring_work *w, struct keyring_output *out, struct reason *why)
{
    uint32_t versions[CUSTODY_VERSIONS_MAX], current = keyring_root(w->kr).version;
    w->rotation_wanted = wants_rotation(w);
    if (!w->rotation_wanted)
        return ERR_OK;
    if (w->creates_in_flight) {
        out->need = KEYRING_NEED_CREATES_SETTLED;
        return ERR_OK;
    }
    out->need = KEYRING_NEED_AGAIN;
    size_t n = w->custody->ops->versions(w->custody, versions);
    if (!n || versions[n - 1] <= current)
        return w->custody->ops->new_version(w->custody, current + 1, why);
    return keyring_rotation_begin(w->kr, w->custody, versions[n - 1], why);
}

static enum err step_sweep(struct keyring_work *w, struct keyring_output *out)
{
    if (!keyring_stale(w->kr))
        return ERR_OK;
    out->need = KEYRING_NEED_WRITE_KEYS;
    return keyring_make_sweep(w->kr, KEYRING_SWEEP_MAX, &out->records);
}

static enum err decide(struct keyring_work *w, int64_t now_ms, struct keyring_output *out, struct reason *why)
{
    const struct erasure_entry *i;
    size_t at = 0;
    enum err e;
#define STEP(call)                                                                                                     \
    if ((e = (call)) || out->need != KEYRING_NEED_NOTHING)                                                             \
    return e
    if (keyring_root(w->kr).epoch) {
        if ((e = keyring_open(w->kr, w->custody, why)))
            return e;
        STEP(keyring_work_intents(w, &out->records, &out->need));
        STEP(step_fences(w, now_ms, out));
    }
    STEP(step_rotation(w, now_ms, out, why));
    if (keyring_root(w->kr).epoch) {
        STEP(step_destroy(w, out, why));
        STEP(step_verify(w, out, why));
        STEP(step_mark(w, out, why));
        STEP(step_receipts(w, now_ms, out, why));
    }
    STEP(step_begin(w, out, why));
    STEP(step_sweep(w, out));
#undef STEP
    if (keyring_work_unacked(w, &at, &i))
        out->need = KEYRING_NEED_ACKS;
    return ERR_OK;
}

enum err keyring_step(struct keyring_work *w, int64_t now_ms, struct keyring_output *out, struct reason *why)
{
    *out = (struct keyring_output){0};
    enum err e = decide(w, now_ms, out, why);
    if (e) {
        keyring_records_free(&out->records);
        out->need = KEYRING_NEED_NOTHING;
        return why && why->code == e ? e : reason_set(why, e, "the keyring cannot go on: %s", err_text(e));
    }
    return ERR_OK;
}

enum keyring_progress keyring_work_progress(const struct keyring_work *w,
                                            const uint8_t erasure[KEYRING_ERASURE_ID_SIZE])
{
    const struct erasure_entry *i = erasure_log_intent(w->log, erasure);
    struct custody_mark mark = {0};
    if (!i) {
        for (const struct keyring_request *r = w->requests; r; r = r->next) {
            if (equal_id(r->erasure, erasure))
                return KEYRING_PENDING;
        }
        return KEYRING_NO_SUCH;
    }
    if (!i->done)
        return keyring_subject(w->kr, i->tag).held ? KEYRING_HELD : KEYRING_PENDING;
    return w->custody->ops->get_mark(w->custody, &mark, NULL) || mark.ledger_size <= i->receipt_seq ? KEYRING_PENDING
                                                                                                    : KEYRING_DONE;
}

enum err keyring_work_acked(struct keyring_work *w, const uint8_t erasure[KEYRING_ERASURE_ID_SIZE], struct slice acks)
{
    char *text = strndup((const char *)acks.p, acks.n);
    void *old = NULL;
    enum err e = text ? map_put(&w->acks, slice_of(erasure, KEYRING_ERASURE_ID_SIZE), text, &old) : ERR_NO_MEMORY;
    free(e ? text : old);
    return e;
}
