/* SPDX-License-Identifier: Apache-2.0
 * The properties of every message: what decodes encodes again in its version, and comes back equal; and decoding and
 * encoding in slices are the same as the generated code. */
#ifndef CASTELLAN_TESTS_WIRE_FUZZ_H
#define CASTELLAN_TESTS_WIRE_FUZZ_H

#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire_resumable.h"

enum { FUZZ_ARENA_MAX = 64 * 1024 * 1024 };

static inline void fuzz_message(const struct wire_message *w, int16_t version, struct cursor *c, struct arena *a)
{
    uint8_t *m = wire_struct_new(w->body, a), *back = wire_struct_new(w->body, a);
    struct buf once, twice, text;
    struct slice bytes = slice_of(c->p, cursor_left(c));
    struct cursor again;

    FUZZ_EXPECT(!decoding_differs(w, bytes, version, 1 + (int32_t)(bytes.n % 9), FUZZ_ARENA_MAX));
    if (!m || !back || w->decode(m, c, version, a) != ERR_OK)
        return;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    buf_init(&text, 0);
    FUZZ_EXPECT(w->encode(m, &once, version) == ERR_OK);
    again = cursor_of(buf_slice(&once));
    FUZZ_EXPECT(w->decode(back, &again, version, a) == ERR_OK);
    FUZZ_EXPECT(cursor_finish(&again) == ERR_OK);
    FUZZ_EXPECT(wire_struct_equal(w->body, m, back));
    FUZZ_EXPECT(w->encode(back, &twice, version) == ERR_OK);
    FUZZ_EXPECT(slice_eq(buf_slice(&once), buf_slice(&twice)));
    wire_print(w->body, m, version, &text);
    buf_free(&once);
    buf_free(&twice);
    buf_free(&text);
}

#endif
