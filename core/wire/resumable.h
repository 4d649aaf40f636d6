/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_RESUMABLE_H
#define CASTELLAN_WIRE_RESUMABLE_H

#include "core/wire/codec.h"

/* Decoding and encoding of long messages in slices: the same as message->decode() and message->encode() in what they
 * read, write, allocate and refuse, but a run stops when its units are used up and goes on at the next one. It takes up
 * to twice as long as generated code: for messages that may be too long for one turn.
 *
 * A unit is an element of an array, a tagged field, or WIRE_UNIT_BYTES bytes copied. `*units` goes down by what was
 * done and may end below 0 (by one string at the most); with *units <= 0 nothing is done.
 *
 * Both borrow what they are given (bytes, struct, arena, buffer) until they are done or failed, and are plain values:
 * one that is not to go on is just left. Between runs nobody reads the unfinished struct or changes the buffer. */
enum wire_progress { WIRE_DONE, WIRE_MORE, WIRE_FAILED };

enum {
    WIRE_UNIT_BYTES = 1024,
    WIRE_SLICE_BYTES = 65536, /* bytes and records longer than this are copied in several steps */
    WIRE_DEPTH_MAX = 8,       /* of structs in structs; the deepest message today has 5 */
};

struct wire_decoding_frame {
    const struct wire_struct *s;
    uint8_t *m;
    size_t field;                   /* of s: the next one */
    const struct wire_field *array; /* whose elements are being read; NULL: none */
    uint8_t *element;
    int32_t left;
    bool in_tags;
    struct wire_tags_reader tags;
    const uint8_t *outer_end; /* inside a known tagged field: the end of what is around it */
};

struct wire_decoding {
    uint32_t magic;
    const struct wire_message *message;
    int16_t version;
    bool flexible;
    struct arena *arena;
    struct cursor cursor; /* when done: behind the message */
    const uint8_t *end;
    enum err error; /* when failed */
    int depth;
    struct wire_decoding_frame frames[WIRE_DEPTH_MAX];
};

/* `m` is message->body's struct. */
void wire_decoding_begin(struct wire_decoding *d, const struct wire_message *message, void *m, struct cursor c,
                         int16_t version, struct arena *a);
enum wire_progress wire_decoding_run(struct wire_decoding *d, int32_t *units) MUST_CHECK;

struct wire_encoding_frame {
    const struct wire_struct *s;
    const uint8_t *m;
    size_t field;
    const struct wire_field *array;
    const uint8_t *element;
    int32_t left;
    bool in_tags, tag_open;
    int64_t tag; /* the last known one written */
    struct wire_tags_writer tags;
};

struct wire_encoding {
    uint32_t magic;
    const struct wire_message *message;
    int16_t version;
    bool flexible;
    struct buf *out;
    size_t before;
    struct slice copying; /* what is left of a long value */
    enum err error;       /* when failed; `out` is as it was before */
    int depth;
    struct wire_encoding_frame frames[WIRE_DEPTH_MAX];
};

void wire_encoding_begin(struct wire_encoding *e, const struct wire_message *message, const void *m, struct buf *out,
                         int16_t version);
enum wire_progress wire_encoding_run(struct wire_encoding *e, int32_t *units) MUST_CHECK;

/* What both ask about a field in a version. */

static inline bool wire_field_flexible(const struct wire_field *f, bool flexible, int16_t version)
{
    return f->flexible_overridden ? wire_versions_has(f->flexible, version) : flexible;
}

/* Does it stand among the plain fields? Where it is tagged are always the upper ones of its versions. */
static inline bool wire_field_is_plain(const struct wire_field *f, int16_t version)
{
    int16_t max = f->tag >= 0 && f->tagged.max >= f->versions.max ? (int16_t)(f->tagged.min - 1) : f->versions.max;
    return version >= f->versions.min && version <= max;
}

#endif
