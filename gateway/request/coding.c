/* SPDX-License-Identifier: Apache-2.0
 * One message at a time is under way for a request: its state stands in the arena until it is through. */
#include "gateway/request/coding.h"
#include "core/wire/resumable.h"

#include <assert.h>

struct coding {
    union {
        struct wire_decoding decoding;
        struct wire_encoding encoding;
    };
    const void *m; /* which message it is */
    bool encodes;
};

static struct coding *begin(struct request *r, const void *m, bool encodes)
{
    r->coding = arena_alloc(&r->arena, sizeof *r->coding);
    if (r->coding) {
        r->coding->m = m;
        r->coding->encodes = encodes;
    }
    return r->coding;
}

static enum step end(struct request *r, enum wire_progress progress, enum err error, enum err *err)
{
    if (progress == WIRE_MORE)
        return STEP_AGAIN;
    r->coding = NULL;
    *err = progress == WIRE_FAILED ? error : ERR_OK;
    return progress == WIRE_DONE ? STEP_NEXT : STEP_DONE;
}

enum step coding_decode(struct request *r, const struct wire_message *message, void *m, struct cursor *c, enum err *err)
{
    struct coding *k = r->coding;
    enum wire_progress progress;

    if (!k && cursor_left(c) <= CODING_AT_ONCE_MAX) {
        *err = message->decode(m, c, r->version, &r->arena);
        return *err ? STEP_DONE : STEP_NEXT;
    }
    if (!k) {
        k = begin(r, m, false);
        if (!k) {
            *err = ERR_NO_MEMORY;
            return STEP_DONE;
        }
        wire_decoding_begin(&k->decoding, message, m, *c, r->version, &r->arena);
    }
    assert(k->m == m && !k->encodes);
    progress = wire_decoding_run(&k->decoding, &r->left);
    *c = k->decoding.cursor;
    return end(r, progress, k->decoding.error, err);
}

enum step coding_encode(struct request *r, const struct wire_message *message, const void *m, struct buf *out,
                        enum err *err)
{
    struct coding *k = r->coding;
    enum wire_progress progress;

    if (!k) {
        k = begin(r, m, true);
        if (!k) {
            *err = ERR_NO_MEMORY;
            return STEP_DONE;
        }
        wire_encoding_begin(&k->encoding, message, m, out, r->version);
    }
    assert(k->m == m && k->encodes);
    progress = wire_encoding_run(&k->encoding, &r->left);
    return end(r, progress, k->encoding.error, err);
}
