/* SPDX-License-Identifier: Apache-2.0
 * Passing a frame on while it comes in. The receiving connection (source) puts the bytes into the write queue of
 * another (target), before a mark that keeps the place: what others write to the target meanwhile queues behind the
 * mark, and the target's flush stops at it. When the frame is through, the mark goes and the queue flows on.
 *
 * Back-pressure counts, for each mark, the bytes that stand before it: over queue_high the source stops reading until
 * they are down to queue_low. What stands behind a mark does not count, or the stream at the front could wait for bytes
 * that wait for it.
 *
 * An editor may look at the bytes and change them where they stand in that queue, before they count as queued.
 *
 * Bytes are decrypted straight into a block of the loop's pool that then is the queue's chunk: one copy less than
 * through a buffer. If the source ends inside the frame the target cannot be saved (its peer waits for the rest) and is
 * closed; if the target ends, the source reads on and drops the rest, so that its own session survives. */
#include "core/net/conn_internal.h"

#include <assert.h>
#include <stdlib.h>

enum err conn_stream_to(struct conn *c, struct conn *to, uint32_t skip)
{
    struct chunk *mark, **at;

    assert(!c->streaming && c->loop == to->loop);
    if (c->state != CONN_OPEN)
        return ERR_CLOSED;
    assert(c->in_frame);
    if (skip > c->frame_n)
        return ERR_MALFORMED;
    if (to->state > CONN_OPEN)
        return ERR_CLOSED;
    mark = malloc(sizeof *mark);
    if (!mark)
        return ERR_NO_MEMORY;
    *mark = (struct chunk){.kind = CHUNK_MARK, .source = c};
    mark->ahead = to->queued - (to->out_n - to->out_at); /* ciphertext in the batch has left the queue */
    for (at = &to->marks; *at; at = &(*at)->next_mark)
        ;
    *at = mark;
    conn_queue_insert(to, mark, NULL);
    c->stream_wait = mark->ahead > to->queue_high;
    c->stream_to = to;
    c->stream_mark = mark;
    c->stream_skip = skip;
    c->stream_broken = false;
    c->streaming = true;
    c->edit = NULL;
    return ERR_OK;
}

void conn_stream_edit(struct conn *c, conn_edit_fn edit, void *context)
{
    assert(c->streaming && c->stream_to && edit);
    c->edit = edit;
    c->edit_context = context;
}

void conn_stream_discard(struct conn *c)
{
    assert(!c->streaming);
    c->stream_to = NULL;
    c->stream_mark = NULL;
    c->stream_skip = 0;
    c->stream_broken = false;
    c->streaming = true;
}

void conn_stream_begin(struct conn *c)
{
    c->stream_left = c->frame_n;
}

static void spare_free(struct conn *c)
{
    if (!c->stream_spare)
        return;
    loop_block_put(c->loop, c->stream_spare->block);
    free(c->stream_spare);
    c->stream_spare = NULL;
}

static void mark_remove(struct conn *c)
{
    struct conn *to = c->stream_to;
    struct chunk **at = &to->marks;

    spare_free(c);
    while (*at != c->stream_mark)
        at = &(*at)->next_mark;
    *at = c->stream_mark->next_mark;
    for (struct chunk *k = c->stream_mark->prev; k && k->mark == c->stream_mark; k = k->prev)
        k->mark = NULL;
    conn_queue_remove(to, c->stream_mark);
    c->stream_to = NULL;
    c->stream_mark = NULL;
    conn_work_later(to, WORK_FLUSH);
}

/* `n` bytes of the frame are used up. False: the connection was closed by the callback. */
static bool advance(struct conn *c, size_t n)
{
    c->stream_left -= (uint32_t)n;
    if (c->stream_left)
        return true;
    if (c->stream_to)
        mark_remove(c);
    c->streaming = false;
    c->stream_wait = false;
    if (c->ops->on_frame_end)
        c->ops->on_frame_end(c->user, c, !c->stream_broken);
    return c->state == CONN_OPEN;
}

/* The last chunk of this stream in the queue if it still takes bytes, else a new one, which joins the queue with its
 * first bytes: a chunk in the queue is never empty. NULL: no memory. */
static struct chunk *tail_chunk(struct conn *c)
{
    struct chunk *k = c->stream_mark->prev;

    if (k && k->mark == c->stream_mark && k->n < k->cap)
        return k;
    if (c->stream_spare)
        return c->stream_spare;
    k = malloc(sizeof *k);
    if (!k)
        return NULL;
    *k = (struct chunk){.kind = CHUNK_BLOCK, .mark = c->stream_mark, .cap = LOOP_BLOCK_SIZE};
    k->block = loop_block_get(c->loop);
    if (!k->block) {
        free(k);
        return NULL;
    }
    k->p = k->block->bytes;
    c->stream_spare = k;
    return k;
}

/* k, which tail_chunk() gave, got n bytes more. False: they may not pass, and the connection was closed. */
static bool appended(struct conn *c, struct chunk *k, size_t n)
{
    struct conn *to = c->stream_to;
    const char *why = "";

    if (c->edit && !c->edit(c->edit_context, k->p + k->n, n, &why)) {
        conn_close(c, CONN_CLOSE_PROTOCOL, why);
        return false;
    }
    if (k == c->stream_spare) {
        c->stream_spare = NULL;
        conn_queue_insert(to, k, c->stream_mark);
    }
    k->n += n;
    conn_queue_grew(to, n);
    for (struct chunk *m = c->stream_mark; m; m = m->next_mark)
        m->ahead += n;
    if (c->stream_mark->ahead > to->queue_high)
        c->stream_wait = true;
    return true;
}

bool conn_stream_put(struct conn *c, const uint8_t *p, size_t n)
{
    size_t whole = n, skip = c->stream_skip < n ? c->stream_skip : n;

    c->stream_skip -= (uint32_t)skip;
    p += skip;
    n -= skip;
    while (n && c->stream_to) {
        struct chunk *k = tail_chunk(c);
        size_t take;
        if (!k) {
            conn_close(c, CONN_CLOSE_NO_MEMORY, NULL);
            return false;
        }
        take = k->cap - k->n < n ? k->cap - k->n : n;
        memcpy(k->p + k->n, p, take);
        if (!appended(c, k, take))
            return false;
        p += take;
        n -= take;
    }
    return advance(c, whole);
}

/* Where the next bytes may be read to; NULL: nowhere, use conn_stream_put(). Commit what came, or 0. */
uint8_t *conn_stream_room(struct conn *c, size_t *cap)
{
    struct chunk *k;

    if (!c->stream_to || c->stream_skip)
        return NULL;
    k = tail_chunk(c);
    if (!k)
        return NULL;
    *cap = k->cap - k->n < c->stream_left ? k->cap - k->n : c->stream_left;
    return k->p + k->n;
}

bool conn_stream_commit(struct conn *c, size_t n)
{
    if (n == 0 || !c->stream_to) {
        spare_free(c);
        return false;
    }
    return appended(c, tail_chunk(c), n) && advance(c, n);
}

void conn_stream_drained(struct conn *to, size_t n)
{
    for (struct chunk *m = to->marks; m; m = m->next_mark) {
        m->ahead -= n;
        if (m->source && m->source->stream_wait && m->ahead <= to->queue_low) {
            m->source->stream_wait = false;
            conn_work_later(m->source, WORK_READ);
        }
    }
}

void conn_stream_source_gone(struct conn *c)
{
    struct conn *to = c->stream_to;

    spare_free(c);
    if (!to)
        return;
    c->stream_to = NULL;
    c->stream_mark->source = NULL;
    c->stream_mark = NULL;
    conn_close(to, CONN_CLOSE_STREAM_BROKEN, NULL);
}

void conn_stream_target_gone(struct chunk *mark)
{
    struct conn *source = mark->source;

    spare_free(source);
    source->stream_to = NULL;
    source->stream_mark = NULL;
    source->stream_broken = true;
    if (source->stream_wait) {
        source->stream_wait = false;
        conn_work_later(source, WORK_READ);
    }
}
