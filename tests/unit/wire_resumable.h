/* SPDX-License-Identifier: Apache-2.0
 * The generated codec beside the resumable one: both must say the same. Each returns NULL, or what differs. */
#ifndef CASTELLAN_TESTS_WIRE_RESUMABLE_H
#define CASTELLAN_TESTS_WIRE_RESUMABLE_H

#include "core/wire/resumable.h"
#include "tests/unit/wire_random.h"

static inline enum err decode_in_slices(struct wire_decoding *d, int32_t slice, int32_t *runs)
{
    enum wire_progress progress;
    int32_t units;

    *runs = 0;
    do {
        units = slice;
        progress = wire_decoding_run(d, &units);
        ++*runs;
    } while (progress == WIRE_MORE);
    return progress == WIRE_DONE ? ERR_OK : d->error;
}

static inline enum err encode_in_slices(const struct wire_message *w, const void *m, struct buf *out, int16_t version,
                                        int32_t slice)
{
    struct wire_encoding e;
    enum wire_progress progress;
    int32_t units;

    wire_encoding_begin(&e, w, m, out, version);
    do {
        units = slice;
        progress = wire_encoding_run(&e, &units);
    } while (progress == WIRE_MORE);
    return progress == WIRE_DONE ? ERR_OK : e.error;
}

static inline const char *encoding_differs(const struct wire_message *w, const void *m, int16_t version, int32_t slice,
                                           size_t max)
{
    struct buf once, sliced;
    const char *differs = NULL;
    enum err err;

    buf_init(&once, max);
    buf_init(&sliced, max);
    buf_put_str(&once, "before");
    buf_put_str(&sliced, "before");
    err = w->encode(m, &once, version);
    if (encode_in_slices(w, m, &sliced, version, slice) != err)
        differs = "the error of encoding";
    else if (!slice_eq(buf_slice(&once), buf_slice(&sliced)))
        differs = "the encoded bytes";
    else if (sliced.error)
        differs = "the buffer's error";
    buf_free(&once);
    buf_free(&sliced);
    return differs;
}

static inline const char *decoding_differs(const struct wire_message *w, struct slice bytes, int16_t version,
                                           int32_t slice, size_t max)
{
    struct cursor c = cursor_of(bytes);
    struct wire_decoding d;
    struct arena a, b;
    const char *differs = NULL;
    void *once, *sliced;
    enum err err;
    int32_t runs;

    arena_init(&a, max);
    arena_init(&b, max);
    once = wire_struct_new(w->body, &a);
    sliced = wire_struct_new(w->body, &b);
    if (once && sliced) {
        err = w->decode(once, &c, version, &a);
        wire_decoding_begin(&d, w, sliced, cursor_of(bytes), version, &b);
        if (decode_in_slices(&d, slice, &runs) != err)
            differs = "the error of decoding";
        else if (d.cursor.p != c.p || d.cursor.end != c.end)
            differs = "where the cursor stands";
        else if (a.used != b.used)
            differs = "the memory used";
        else if (!err && !wire_struct_equal(w->body, once, sliced))
            differs = "what was decoded";
        else if (!err)
            differs = encoding_differs(w, sliced, version, slice, 0);
    }
    arena_free(&a);
    arena_free(&b);
    return differs;
}

#endif
