/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_LIST_DATA_H
#define CASTELLAN_GATEWAY_LIST_DATA_H

#include "gateway/request/request_data.h"

/* The list of things a request is about (topics, groups, transactional ids), and the fate of each: it goes on to the
 * cluster, or it is answered here with an error. Works on the generated structs through their tables.
 *
 * Where the list stands follows from the entity marks of the message descriptions: the request's array whose elements
 * are, or hold, a marked name (or a topic id), and the answer's array likewise. The partitions of an element are its
 * array of integers or of structs that begin with an index; the error is the innermost struct's ErrorCode. */
struct shape {
    const struct wire_field *list, *name, *id, *kind, *parts, *index;
    const struct wire_field *out_list, *out_name, *out_id, *out_kind, *out_parts, *out_index, *out_error, *out_message;
};

enum {
    FATE_ANSWERED_HERE = INT16_MIN, /* not an error, but nothing of it is left to forward */
    FATE_SILENT = INT16_MIN + 1,    /* not forwarded, and without an answer of its own */
    FATE_TWICE = INT16_MIN + 2,     /* the request names it more than once: INVALID_REQUEST */
};

/* More about one refused partition than its error. */
struct list_note {
    const char *text;                   /* NULL: the error's own */
    const struct schema_violation *bad; /* records to blame */
    size_t bad_n;
};

struct request_list {
    struct shape shape;
    struct wire_array *array; /* in the request; holds what goes on once list_take_out() ran */
    uint8_t *elements;        /* as they came */
    size_t size;              /* of one */
    int32_t n;
    int16_t *fate; /* of each element: ERR_OK goes on, else the error it is answered with */
    bool any_error;
    int32_t refused;    /* elements with a fate, and partitions with one of their own */
    int32_t *first;     /* the first partition of each element in part_fate, n + 1; NULL: no partition has its own */
    int16_t *part_fate; /* of each partition, where its element goes on */
    int32_t *parts_refused; /* of each element */
    struct list_note *notes;
    int32_t *note_of; /* of each partition: 1 + its note; NULL: there are none */
    int32_t notes_n;
    bool texts; /* refusals carry the error's text where the answer has room for it */
    /* resumable work */
    int32_t at, at_part, kept;
    struct list_index *index;
    struct wire_array merged;
    bool taken_out, merging;
};

#endif
