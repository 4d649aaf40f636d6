/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_LIST_H
#define CASTELLAN_GATEWAY_LIST_H

#include "gateway/request/request.h"

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
/* False: this version of the API has no such list. */
bool shape_find(const struct wire_api *api, int16_t version, enum wire_entity entity, struct shape *out);

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

/* The request's list, or NULL with STEP_FAIL when memory ran out. */
struct request_list *list_new(struct request *r, const struct shape *shape);
const void *list_element(const struct request_list *l, int32_t i);
/* The element's name; for a topic named by id its name if it is known, else null. *id NULL: not named by id. */
struct slice list_name(const struct request *r, const struct request_list *l, int32_t i, const struct wire_uuid **id);
void list_refuse(struct request_list *l, int32_t i, enum err err);
void list_refuse_twice(struct request_list *l, int32_t i);
void list_set_silent(struct request_list *l, int32_t i); /* not forwarded, no answer of its own */
/* One partition of an element. `note` may be NULL. False: no memory. */
bool list_refuse_part(struct request *r, int32_t i, int32_t part, int16_t fate, const struct list_note *note);
bool list_any_error(const struct request_list *l);                     /* some refusal is an error */
bool list_goes(const struct request_list *l, int32_t i, int32_t part); /* part -1: the element */
int32_t list_parts(const struct request_list *l, int32_t i);
size_t list_parts_all(const struct request_list *l); /* of all elements that go on */
int32_t list_part_index(const struct request_list *l, int32_t i, int32_t part);

/* Keep in the request what goes on. NEXT, AGAIN or FAIL; l->array->n says how much that is. */
enum step list_take_out(struct request *r);
/* Put the refusals into r->response, in the order of the request; what the cluster said about things that were not
 * asked is left out. Makes the response where there is none. NEXT, AGAIN or FAIL. Linear in the request. */
enum step list_merge(struct request *r);

#endif
