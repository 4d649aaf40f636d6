/* SPDX-License-Identifier: Apache-2.0
 * What must hold for the bytes of any message that pass a skim: the pieces they come in do not matter, what decodes
 * passes, and where field 0 is hidden the rest decodes as before. Returns NULL, or what is wrong. */
#ifndef CASTELLAN_TESTS_WIRE_SKIM_H
#define CASTELLAN_TESTS_WIRE_SKIM_H

#include "core/wire/skim.h"
#include "tests/unit/wire_random.h"

#include <stdlib.h>

/* Passes p[0..n) in pieces of 1 to `piece_max` bytes, each in memory of exactly its size. */
static inline bool skim_in_pieces(const struct wire_message *w, int16_t version, uint8_t *p, size_t n, bool hide,
                                  size_t piece_max, uint64_t seed)
{
    struct wire_skim s;
    bool ok = true;

    wire_skim_begin(&s, w, version, n, hide);
    for (size_t at = 0; ok && at < n;) {
        size_t take = 1 + random_next(&seed) % piece_max;
        uint8_t *piece = malloc(take = take < n - at ? take : n - at);
        if (!piece)
            abort();
        memcpy(piece, p + at, take);
        ok = wire_skim_pass(&s, piece, take);
        memcpy(p + at, piece, take);
        free(piece);
        at += take;
    }
    return ok && wire_skim_is_through(&s);
}

/* Field 0 and the unknown ones of the message itself are as if they were not there. */
static inline void skim_forget_tags(const struct wire_message *w, uint8_t *m, int16_t version, struct arena *a)
{
    uint8_t *fresh = wire_struct_new(w->body, a);

    for (size_t i = 0; i < w->body->field_count; i++) {
        const struct wire_field *f = &w->body->fields[i];
        size_t size = f->array ? sizeof(struct wire_array) : f->pointer ? sizeof(void *) : wire_field_size(f);
        if (f->tag >= 0 && wire_versions_has(f->tagged, version))
            memcpy(m + f->offset, fresh + f->offset, size);
    }
    if (w->body->tags_offset != SIZE_MAX)
        ((struct wire_tags *)(void *)(m + w->body->tags_offset))->n = 0;
}

static inline const char *skim_hidden_wrong(const struct wire_message *w, int16_t version, uint8_t *before,
                                            struct slice after, struct arena *a)
{
    struct cursor c = cursor_of(after);
    uint8_t *m = wire_struct_new(w->body, a), *fresh = wire_struct_new(w->body, a);

    if (w->decode(m, &c, version, a) || cursor_finish(&c))
        return "what was edited does not decode";
    for (size_t i = 0; i < w->body->field_count; i++) {
        const struct wire_field *f = &w->body->fields[i];
        if (f->tag == 0 && !wire_field_equal(f, m + f->offset, fresh + f->offset))
            return "the hidden field is still there";
    }
    skim_forget_tags(w, m, version, a);
    skim_forget_tags(w, before, version, a);
    return wire_struct_equal(w->body, m, before) ? NULL : "what is not hidden changed";
}

static inline const char *skim_wrong(const struct wire_message *w, int16_t version, struct slice bytes, bool hide,
                                     size_t piece_max, uint64_t seed)
{
    uint8_t *whole = malloc(bytes.n + 1), *pieces = malloc(bytes.n + 1);
    struct cursor c = cursor_of(bytes);
    const char *wrong = NULL;
    bool decodes, passes;
    struct arena a;
    uint8_t *m;

    arena_init(&a, 0);
    m = wire_struct_new(w->body, &a);
    if (!whole || !pieces || !m)
        abort();
    memcpy(whole, bytes.p, bytes.n);
    memcpy(pieces, bytes.p, bytes.n);
    decodes = w->decode(m, &c, version, &a) == ERR_OK && cursor_left(&c) == 0;
    passes = skim_in_pieces(w, version, whole, bytes.n, hide, SIZE_MAX, seed);
    if (skim_in_pieces(w, version, pieces, bytes.n, hide, piece_max, seed) != passes)
        wrong = "whether it passes depends on the pieces";
    else if (passes && memcmp(whole, pieces, bytes.n) != 0)
        wrong = "what passes depends on the pieces";
    else if (!hide && decodes && !passes)
        wrong = "it decodes and does not pass";
    else if (!hide && memcmp(whole, bytes.p, bytes.n) != 0)
        wrong = "bytes change although nothing is hidden";
    else if (hide && decodes && passes)
        wrong = skim_hidden_wrong(w, version, m, slice_of(whole, bytes.n), &a);
    arena_free(&a);
    free(whole);
    free(pieces);
    return wrong;
}

#endif
