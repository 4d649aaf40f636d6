/* SPDX-License-Identifier: Apache-2.0
 * The walk over a run of record batches, in slices. A batch is read record by record and written anew into the output,
 * with every other field of header and record kept; when nothing in it differs, what was written is taken back and the
 * batch copied. The CRC of a batch is checked before it is closed anew, so that corruption is not laundered under a
 * fresh checksum.
 *
 *   batch -> record -> (large value -> headers) -> record ... -> checking -> closing -> batch ... -> through
 *                                                              \-> copying /
 *
 * Why slices on the worker's thread, and no thread of a pool: the keys. They live in the worker's cache, and an erasure
 * must wipe them at once, before it is acknowledged. A pool would need copies of them, which the acknowledgement then
 * had to wait for; here a key is in use for one record, or one piece of a large one, under a lock that the erasure
 * takes too. The cipher does a gigabyte a second, so slices of RECORD_CRYPT_SLICE are short; what is slow
 * (decompression) needs no key and is done before, elsewhere (core/wire/record_unpack.h).
 *
 * What an erasure finds between two records: no key (each is looked up when it is used), perhaps a stream in the middle
 * of a large value, which is held by its key and wiped with it, and plaintext in `out`. That is why a run looks, before
 * it is through, whether any of its keys was wiped since its start, and begins anew if so: nothing that was opened with
 * an erased key leaves. It cannot go on for ever, since each time one key more is erased. */
#include "crypto/record_crypt_internal.h"
#include "core/base/secret.h"
#include "core/wire/compress.h"
#include "core/wire/crc32c.h"

#include <assert.h>
#include <stdlib.h>

enum { RUN_MAGIC = 0x52756e43, RECORD_CRYPT_HEADER_COST = 16 };

static bool writes(const struct record_crypt_run *w)
{
    return w->kind == RECORD_CRYPT_SEAL || w->kind == RECORD_CRYPT_OPEN;
}

static void to(struct record_crypt_run *w, enum run_state state)
{
    assert(w->state != RUN_THROUGH);
    w->state = state;
}

static void spend(size_t *budget, size_t n)
{
    *budget -= n < *budget ? n : *budget;
}

/* From here to release() no key is wiped, nor what was made from one. */
static void enter(struct record_crypt_run *w)
{
    if (w->keys.enter)
        w->keys.enter(w->keys.user);
}

static void release(struct record_crypt_run *w)
{
    if (w->keys.release)
        w->keys.release(w->keys.user);
}

static bool uses_key(const struct record_crypt_run *w)
{
    return w->todo.what == RECORD_SEAL || w->todo.what == RECORD_OPEN;
}

/* Between enter() and release(). */
static void let_hold_go(struct record_crypt_run *w)
{
    if (w->holding && w->keys.let_go)
        w->keys.let_go(w->keys.user, &w->hold);
    w->holding = false;
}

static void let_stream_go(struct record_crypt_run *w)
{
    if (!w->holding) {
        envelope_stream_wipe(&w->stream);
        return;
    }
    enter(w);
    let_hold_go(w);
    envelope_stream_wipe(&w->stream);
    release(w);
}

/* What was written from `at` on goes; when opening, it may be what nobody may see. */
static void take_back(struct record_crypt_run *w, size_t at)
{
    if (w->out->n > at && w->kind == RECORD_CRYPT_OPEN)
        secret_wipe(w->out->p + at, w->out->n - at);
    w->out->n = at;
}

static void fail(struct record_crypt_run *w, enum err e)
{
    let_stream_go(w);
    if (writes(w)) {
        take_back(w, w->before);
        w->out->error = ERR_OK;
    }
    w->err = e;
    to(w, RUN_THROUGH);
}

static enum err too_large(struct record_crypt_run *w)
{
    return reason_set(
        &w->why, ERR_MESSAGE_TOO_LARGE,
        "the batch has more than %zu bytes when encrypted, the most that is allowed; send smaller batches", w->max);
}

/* ---- Life ---- */

static void start(struct record_crypt_run *w)
{
    w->state = RUN_BATCH;
    w->rest = w->all;
    w->changed = w->interrupted = false;
    w->counts = (struct record_crypt_counts){0};
    w->lost = w->keys.lost ? w->keys.lost(w->keys.user) : 0;
}

static void on_wiped(struct key_hold *h)
{
    struct record_crypt_run *w =
        (struct record_crypt_run *)(void *)((char *)h - offsetof(struct record_crypt_run, hold));

    assert(w->magic == RUN_MAGIC);
    envelope_stream_wipe(&w->stream);
    w->interrupted = true;
}

struct record_crypt_run *record_crypt_run_new(const struct record_crypt_args *a)
{
    struct record_crypt_run *w = calloc(1, sizeof *w);
    enum err e;

    if (!w)
        return NULL;
    *w = (struct record_crypt_run){.magic = RUN_MAGIC,
                                   .kind = a->kind,
                                   .all = a->batches,
                                   .policy = a->policy,
                                   .needs = a->needs,
                                   .keys = a->keys,
                                   .env = a->env,
                                   .max = a->max ? a->max : (size_t)WIRE_DECOMPRESSED_MAX,
                                   .ciphertext = a->ciphertext,
                                   .out = a->out,
                                   .before = a->out ? a->out->n : 0,
                                   .hold.wipe = on_wiped};
    assert(writes(w) ? w->out != NULL : w->needs != NULL);
    buf_init(&w->scratch, WIRE_DECOMPRESSED_MAX);
    if (writes(w))
        start(w);
    else
        w->rest = w->all;
    e = record_crypt_prepare(w, a->topic);
    if (e)
        fail(w, e);
    return w;
}

static void run_free(struct record_crypt_run *w)
{
    assert(w->magic == RUN_MAGIC);
    let_stream_go(w);
    buf_wipe_free(&w->scratch);
    w->magic = 0;
    free(w);
}

enum err record_crypt_run_end(struct record_crypt_run *w, bool *changed, struct record_crypt_counts *counts,
                              struct reason *why)
{
    enum err e = w->err;

    assert(w->state == RUN_THROUGH);
    if (changed)
        *changed = !e && w->changed;
    if (counts && !e) {
        counts->sealed += w->counts.sealed;
        counts->opened += w->counts.opened;
        counts->erased += w->counts.erased;
        counts->passed += w->counts.passed;
    }
    if (e && why) {
        if (w->why.code)
            *why = w->why;
        else
            reason_set(why, e, "%s", err_text(e));
    }
    run_free(w);
    return e;
}

void record_crypt_run_abandon(struct record_crypt_run *w)
{
    if (!w)
        return;
    if (w->state != RUN_THROUGH)
        fail(w, ERR_CANCELLED);
    else if (writes(w))
        take_back(w, w->before);
    run_free(w);
}

/* ---- Batches ---- */

/* The bytes that are copied, checked or worked on from here on, piece by piece. */
static void take_up(struct record_crypt_run *w, struct slice piece, enum run_state state)
{
    w->piece = piece;
    w->done = 0;
    to(w, state);
}

static void copy_batch(struct record_crypt_run *w)
{
    take_up(w, w->batch.bytes, RUN_COPYING);
}

static enum err begin_writing(struct record_crypt_run *w)
{
    const struct record_batch *b = &w->batch;

    w->batch_at = w->out->n;
    w->written = 0;
    w->differs = false;
    w->index = 0;
    if (w->env)
        w->env->random(w->env, w->salt, ENVELOPE_BATCH_SALT_SIZE);
    if (!buf_reserve(w->out, b->bytes.n))
        return buf_error(w->out);
    buf_put(w->out, b->bytes.p, RECORD_BATCH_HEADER_SIZE);
    w->out->p[w->batch_at + RECORD_BATCH_ATTRIBUTES_AT + 1] &= (uint8_t)~RECORD_CODEC_MASK;
    return ERR_OK;
}

/* All batches were gone through. */
static enum err end_run(struct record_crypt_run *w)
{
    bool whole = w->kind == RECORD_CRYPT_SEAL || w->kind == RECORD_CRYPT_SUBJECTS;

    if (whole && w->rest.n)
        return reason_set(&w->why, ERR_CORRUPT_MESSAGE, "the last record batch is cut short");
    if (writes(w) && w->keys.lost && w->keys.lost(w->keys.user) != w->lost) {
        take_back(w, w->before);
        start(w);
        return ERR_OK;
    }
    to(w, RUN_THROUGH);
    return ERR_OK;
}

static enum err next_batch(struct record_crypt_run *w, size_t *budget)
{
    bool more;
    enum err e = record_batches_next(&w->rest, &w->batch, &more, &w->why);

    spend(budget, RECORD_CRYPT_RECORD_COST);
    if (e)
        return e;
    if (!more)
        return end_run(w);
    if (record_batch_is_control(&w->batch)) {
        if (writes(w))
            copy_batch(w);
        return ERR_OK;
    }
    e = record_iter_open(&w->records, &w->batch, &w->scratch, 0, &w->why);
    if (record_batch_codec(&w->batch) != WIRE_CODEC_NONE)
        spend(budget, w->scratch.n);
    w->records.headers_max = RECORD_CRYPT_HEADERS_MAX;
    if (!e && writes(w))
        e = begin_writing(w);
    if (!e)
        to(w, RUN_RECORDS);
    return e;
}

static enum err end_batch(struct record_crypt_run *w)
{
    const struct slice bytes = w->batch.bytes;

    if (!writes(w)) {
        to(w, RUN_BATCH);
    } else if (!w->differs) {
        w->out->n = w->batch_at; /* nothing was opened */
        copy_batch(w);
    } else if (w->out->n - w->batch_at > w->max) {
        return too_large(w);
    } else {
        w->crc = 0;
        take_up(w, slice_of(bytes.p + RECORD_BATCH_ATTRIBUTES_AT, bytes.n - RECORD_BATCH_ATTRIBUTES_AT), RUN_CHECKING);
    }
    return ERR_OK;
}

/* The next of its pieces; what remains of the budget is less by it. */
static struct slice next_piece(struct record_crypt_run *w, size_t *budget)
{
    size_t left = w->piece.n - w->done, n = left < RECORD_CRYPT_PIECE ? left : RECORD_CRYPT_PIECE;
    struct slice s = slice_of(w->piece.p + w->done, n);

    w->done += n;
    spend(budget, n);
    return s;
}

static bool pieces_end(const struct record_crypt_run *w)
{
    return w->done == w->piece.n;
}

static enum err copy_some(struct record_crypt_run *w, size_t *budget)
{
    buf_put_slice(w->out, next_piece(w, budget));
    if (pieces_end(w))
        to(w, RUN_BATCH);
    return buf_error(w->out);
}

static enum err check_some(struct record_crypt_run *w, size_t *budget)
{
    struct slice s = next_piece(w, budget);
    uint8_t *batch = w->out->p + w->batch_at;

    w->crc = crc32c_extend(w->crc, s.p, s.n);
    if (!pieces_end(w))
        return ERR_OK;
    if (w->crc != w->batch.crc)
        return reason_set(&w->why, ERR_CORRUPT_MESSAGE, "batch CRC is %08x, its bytes give %08x", w->batch.crc, w->crc);
    record_batch_set_record_count(batch, w->written);
    w->crc = 0;
    take_up(w, slice_of(batch + RECORD_BATCH_ATTRIBUTES_AT, w->out->n - w->batch_at - RECORD_BATCH_ATTRIBUTES_AT),
            RUN_CLOSING);
    return ERR_OK;
}

static enum err close_some(struct record_crypt_run *w, size_t *budget)
{
    struct slice s = next_piece(w, budget);

    w->crc = crc32c_extend(w->crc, s.p, s.n);
    if (!pieces_end(w))
        return ERR_OK;
    w->changed = true;
    to(w, RUN_BATCH);
    return record_batch_close_with(w->out->p + w->batch_at, w->out->n - w->batch_at, w->crc);
}

/* ---- Records ---- */

static int64_t value_size(const struct record_crypt_run *w)
{
    struct slice value = w->todo.what == RECORD_REPLACE ? w->todo.value : w->record.value;

    switch (w->todo.what) {
    case RECORD_SEAL:
        return (int64_t)value.n + ENVELOPE_OVERHEAD;
    case RECORD_OPEN:
        return (int64_t)(w->todo.envelope.sealed.n - ENVELOPE_TAG_SIZE);
    case RECORD_KEEP:
    case RECORD_REPLACE:
    case RECORD_DROP:
        break;
    }
    return slice_is_null(value) ? -1 : (int64_t)value.n;
}

static void begin_headers(struct record_crypt_run *w)
{
    buf_varint(w->out, w->record.header_count);
    take_up(w, w->record.headers, RUN_HEADERS);
}

/* The record as it is, after all: no policy is there, and its value is no envelope of ours. */
static void keep_instead(struct record_crypt_run *w)
{
    take_back(w, w->record_at);
    w->todo = (struct record_todo){.what = RECORD_KEEP};
    record_put_head(w->out, &w->record, value_size(w));
    take_up(w, w->record.value, RUN_VALUE);
}

static void opened(struct record_crypt_run *w)
{
    w->counts.opened++;
    w->differs = true;
}

/* A small value, in one piece. */
static enum err put_value(struct record_crypt_run *w)
{
    const struct record *r = &w->record;
    enum err e;

    switch (w->todo.what) {
    case RECORD_SEAL:
        e = envelope_seal(w->suite, w->todo.key, &w->context, r->key, w->salt, r->value, w->out);
        if (e && e != ERR_NO_MEMORY)
            return reason_set(&w->why, e, "a record cannot be encrypted: %s", err_text(e));
        w->differs = true;
        return e;
    case RECORD_OPEN:
        e = envelope_open(&w->todo.envelope, w->todo.key->bytes, &w->context, r->key, w->out, &w->why);
        if (e == ERR_DECRYPT && !(e = record_crypt_not_ours(w, e)))
            keep_instead(w);
        else if (!e)
            opened(w);
        return e;
    case RECORD_KEEP:
        buf_put_slice(w->out, r->value);
        break;
    case RECORD_REPLACE:
        buf_put_slice(w->out, w->todo.value);
        w->differs = true;
        break;
    case RECORD_DROP:
        break;
    }
    return buf_error(w->out);
}

/* A large one begins: what its pieces go through, and the envelope's header. */
static enum err begin_value(struct record_crypt_run *w)
{
    const struct record *r = &w->record;
    uint8_t *header;
    enum err e = ERR_OK;

    take_up(w, r->value, RUN_VALUE);
    if (w->todo.what == RECORD_SEAL) {
        if (r->value.n > ENVELOPE_PLAIN_MAX)
            return ERR_LIMIT_EXCEEDED;
        header = buf_grow(w->out, ENVELOPE_HEADER_SIZE);
        if (!header)
            return buf_error(w->out);
        e = envelope_seal_begin(&w->stream, w->suite, w->todo.key, &w->context, r->key, w->salt, header);
        w->differs = true;
    } else if (w->todo.what == RECORD_OPEN) {
        const struct slice sealed = w->todo.envelope.sealed;
        w->piece = slice_of(sealed.p, sealed.n - ENVELOPE_TAG_SIZE);
        e = envelope_open_begin(&w->stream, &w->todo.envelope, w->todo.key->bytes, &w->context, r->key, &w->why);
        if (e == ERR_DECRYPT && !(e = record_crypt_not_ours(w, e)))
            keep_instead(w);
    }
    if (!e && w->stream.cipher && w->keys.hold) {
        w->keys.hold(w->keys.user, w->todo.key, &w->hold);
        w->holding = true;
    }
    return e;
}

static enum err end_value(struct record_crypt_run *w)
{
    enum err e = ERR_OK;

    let_hold_go(w);
    if (w->todo.what == RECORD_SEAL) {
        uint8_t *tag = buf_grow(w->out, ENVELOPE_TAG_SIZE);
        e = tag ? envelope_seal_end(&w->stream, tag) : buf_error(w->out);
    } else if (w->todo.what == RECORD_OPEN) {
        e = envelope_open_end(&w->stream, w->piece.p + w->piece.n, &w->why);
        if (!e)
            opened(w);
        else if (e == ERR_DECRYPT && !(e = record_crypt_not_ours(w, e))) {
            keep_instead(w);
            return ERR_OK;
        }
    }
    if (!e)
        begin_headers(w);
    return e;
}

static enum err piece_of_value(struct record_crypt_run *w, size_t *budget)
{
    struct slice s = next_piece(w, budget);
    uint8_t *at = s.n ? buf_grow(w->out, s.n) : NULL;
    enum err e = ERR_OK;

    if (s.n && !at)
        return buf_error(w->out);
    if (s.n && uses_key(w))
        e = envelope_stream_update(&w->stream, s, at);
    else if (s.n)
        memcpy(at, s.p, s.n);
    return e || !pieces_end(w) ? e : end_value(w);
}

static enum err value_some(struct record_crypt_run *w, size_t *budget)
{
    bool interrupted;
    enum err e = ERR_OK;

    if (!uses_key(w))
        return piece_of_value(w, budget);
    enter(w);
    interrupted = w->interrupted;
    if (interrupted)
        let_hold_go(w);
    else
        e = piece_of_value(w, budget);
    release(w);
    if (interrupted) { /* its key was wiped meanwhile: ask again what becomes of the run */
        take_back(w, w->before);
        start(w);
    }
    return e;
}

static enum err headers_some(struct record_crypt_run *w, size_t *budget)
{
    buf_put_slice(w->out, next_piece(w, budget));
    if (pieces_end(w)) {
        w->written++;
        to(w, RUN_RECORDS);
    }
    return buf_error(w->out);
}

static enum err put_record(struct record_crypt_run *w, size_t *budget)
{
    int64_t n = value_size(w);
    enum err e;

    w->record_at = w->out->n;
    if (w->out->n - w->batch_at > w->max || (n > 0 && (size_t)n > w->max))
        return too_large(w);
    record_put_head(w->out, &w->record, n);
    if (n > RECORD_CRYPT_PIECE)
        return begin_value(w);
    spend(budget, n > 0 ? (size_t)n : 0);
    e = put_value(w);
    if (!e && w->state == RUN_RECORDS)
        begin_headers(w);
    return e;
}

static enum err next_record(struct record_crypt_run *w, size_t *budget)
{
    bool more, in_use;
    enum err e = record_iter_next(&w->records, &w->record, &more, &w->why);

    if (e)
        return e;
    if (!more)
        return end_batch(w);
    spend(budget, RECORD_CRYPT_RECORD_COST + (size_t)w->record.header_count * RECORD_CRYPT_HEADER_COST);
    e = record_crypt_decide(w, &w->record, &w->todo);
    if (e || !writes(w))
        return e;
    if (w->todo.what == RECORD_DROP) {
        w->differs = true;
        return ERR_OK;
    }
    in_use = uses_key(w);
    e = put_record(w, budget);
    if (in_use)
        release(w);
    return e;
}

bool record_crypt_run_step(struct record_crypt_run *w, size_t *budget)
{
    assert(w->magic == RUN_MAGIC);
    while (w->state != RUN_THROUGH && *budget > 0) {
        enum err e = ERR_OK;
        switch (w->state) {
        case RUN_BATCH:
            e = next_batch(w, budget);
            break;
        case RUN_RECORDS:
            e = next_record(w, budget);
            break;
        case RUN_VALUE:
            e = value_some(w, budget);
            break;
        case RUN_HEADERS:
            e = headers_some(w, budget);
            break;
        case RUN_CHECKING:
            e = check_some(w, budget);
            break;
        case RUN_CLOSING:
            e = close_some(w, budget);
            break;
        case RUN_COPYING:
            e = copy_some(w, budget);
            break;
        case RUN_THROUGH:
            break;
        }
        if (e)
            fail(w, e);
    }
    return w->state == RUN_THROUGH;
}
