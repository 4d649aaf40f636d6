/* SPDX-License-Identifier: Apache-2.0
 * A batch in two: what goes to the dead-letter topic, and what goes on. The rest is numbered anew; that is why batches
 * with sequence numbers are not parted (the caller sees to it). */
#include "gateway/filter/schema_parting.h"

enum { HEADERS_KEPT_MAX = 1 << 20 };

static enum err keep(struct record_batch_builder *kept, const struct record *r, struct arena *arena)
{
    struct record_header *headers = arena_array(arena, (size_t)r->header_count + 1, sizeof *headers);
    struct cursor c = cursor_of(r->headers);
    int32_t n = 0;

    if (!headers)
        return ERR_NO_MEMORY;
    while (n < r->header_count && record_header_next(&c, &headers[n]))
        n++;
    record_batch_append(kept, r->timestamp, r->key, r->value, headers, n);
    if (arena->used > HEADERS_KEPT_MAX)
        arena_reset(arena);
    return ERR_OK;
}

static enum err part(const struct schema_parting *p, struct record_iter *it, struct record_batch_builder *kept)
{
    struct arena arena;
    struct record r;
    size_t at = 0;
    bool more = false;
    enum err err = ERR_OK;

    arena_init(&arena, 0);
    for (int32_t i = 0; !err && !(err = record_iter_next(it, &r, &more, NULL)) && more; i++) {
        if (at < p->bad_n && p->bad[at].index == i)
            err = p->send(p->arg, &r, &p->bad[at++]);
        else
            err = keep(kept, &r, &arena);
    }
    arena_free(&arena);
    return err;
}

enum err schema_part(const struct schema_parting *p, struct buf *kept)
{
    struct record_unpack own = {.limits = {RECORD_UNPACK_BATCH_MAX, RECORD_UNPACK_REQUEST_MAX}};
    struct record_batch_builder builder;
    struct record_batch batch;
    struct record_iter it;
    enum wire_codec codec;
    struct buf plain;
    enum err err = record_batch_parse(p->records, &batch, NULL);

    if (err)
        return err;
    codec = record_batch_codec(&batch);
    buf_init(&plain, 0);
    if (codec != WIRE_CODEC_NONE) {
        err = record_unpack_run(p->unpack ? p->unpack : &own, p->records, &plain, NULL, NULL);
        if (!err)
            err = record_batch_parse(buf_slice(&plain), &batch, NULL);
    }
    record_batch_builder_init(&builder, codec, 0);
    if (!err)
        err = record_iter_open(&it, &batch, &plain, 0, NULL);
    if (!err)
        err = part(p, &it, &builder);
    if (!err && builder.head.record_count > 0)
        err = record_batch_finish(&builder, kept);
    record_batch_builder_free(&builder);
    buf_free(&plain);
    return err;
}
