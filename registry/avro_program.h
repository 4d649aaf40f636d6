/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AVRO_PROGRAM_H
#define CASTELLAN_REGISTRY_AVRO_PROGRAM_H

#include "core/base/arena.h"
#include "registry/avro.h"

/* The inside of a compiled schema, for the avro data files only. One operation per type; a type that contains itself
 * is a cycle of operations. Read-only once compiled. */
struct avro_op {
    uint8_t kind;                /* enum avro_kind */
    bool empty;                  /* every value takes no bytes */
    uint32_t n;                  /* fields, branches or symbols */
    uint32_t size;               /* fixed */
    const struct avro_op **kids; /* fields' types, branches, or the one type inside */
    struct slice *names;         /* fields' names or symbols */
    struct slice name;           /* of the type: a named one's full name, else its word */
    struct slice **tags;         /* record: tags of each field, ended by a null slice; NULL: none */
    struct slice *own_tags;      /* record: its own; NULL: none */
};

struct avro_program {
    struct arena arena;
    const struct avro_op *root;
};

/* One run over one datum. */
struct avro_run {
    const uint8_t *start, *p, *end;
    unsigned depth;
    uint64_t empty_items;
    const char *fault; /* what is wrong; NULL: nothing yet */
    char where[160];   /* the field's path, built from the inside out once a fault is known */
    unsigned sized;    /* blocks with a stated size we are inside of */
};

bool avro_fail(struct avro_run *r, const char *what);             /* false */
bool avro_run_skip(struct avro_run *r, const struct avro_op *op); /* validates one value and goes past it */
void avro_add_place(struct avro_run *r, struct slice name);
enum err avro_run_error(const struct avro_run *r, struct reason *why) MUST_CHECK;
/* The rest of a varint that has more than one byte. */
bool avro_long_rest(struct avro_run *r, int64_t *out);
bool avro_is_utf8(const uint8_t *p, size_t n);

static inline bool avro_long(struct avro_run *r, int64_t *out)
{
    if (r->p < r->end && *r->p < 0x80) {
        uint8_t b = *r->p++;
        *out = (int64_t)(b >> 1) ^ -(int64_t)(b & 1);
        return true;
    }
    return avro_long_rest(r, out);
}

static inline bool avro_int(struct avro_run *r, int64_t *out)
{
    const uint8_t *from = r->p;
    if (!avro_long(r, out))
        return false;
    if (r->p - from > 5 || *out < INT32_MIN || *out > INT32_MAX)
        return avro_fail(r, "an int of more than 32 bits");
    return true;
}

/* A length and that many bytes. */
static inline bool avro_bytes(struct avro_run *r, struct slice *out)
{
    int64_t n;
    if (!avro_long(r, &n))
        return false;
    if (n < 0 || n > r->end - r->p)
        return avro_fail(r, "a length beyond the end");
    *out = slice_of(r->p, (size_t)n);
    r->p += n;
    return true;
}

/* A block of an array or map: `count` items follow, 0 is the end. `*size` is -1 when not stated. */
bool avro_block(struct avro_run *r, const struct avro_op *op, int64_t *count, int64_t *size);
/* After a block's items: a stated size must be what they took. */
static inline bool avro_block_done(struct avro_run *r, int64_t size, const uint8_t *from)
{
    return size < 0 || r->p - from == size || avro_fail(r, "a block that is not of its stated size");
}

#endif
