/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REFUSAL_TABLE_H
#define CASTELLAN_GATEWAY_REFUSAL_TABLE_H

#include "gateway/request/refusal.h"

/* How each API says that a request is refused as a whole. Field names are Kafka's, as in the descriptions. */
enum refusal_flags {
    TOP = 1,              /* the answer has a code of its own */
    TEXT = 2,             /* and words beside each code */
    ITEM_CODE = 4,        /* the code of an item with sub-items stands in the item */
    NO_ITEM_CODE = 8,     /* items are listed without a code */
    NULL_NAME_EMPTY = 16, /* the answer's first copy may not be null */
};

enum { COPIES_MAX = 2, UNKNOWNS_MAX = 3 };

struct refusal_copy {
    const char *from, *to; /* NULL: from an element that is no struct; to NULL: the end */
};

struct refusal_row {
    int16_t key;
    int16_t min, max; /* versions */
    unsigned flags;
    const char *from, *to; /* the lists; NULL: none is mirrored */
    struct refusal_copy copy[COPIES_MAX];
    const char *sub_from, *sub_to; /* within: partitions */
    struct refusal_copy sub_copy[COPIES_MAX];
    const char *unknown[UNKNOWNS_MAX]; /* numbers that are -1, in the innermost struct that is made */
    enum refusal_progress (*build)(struct refusal *f, int32_t *units); /* like refusal_run() */
};

/* A row with a negative key ends it. */
extern const struct refusal_row refusal_rows[];

/* Answers that are no mirror of the request (refusal.c). */
enum refusal_progress refuse_api_versions(struct refusal *f, int32_t *units);
enum refusal_progress refuse_delegation_token(struct refusal *f, int32_t *units);
enum refusal_progress refuse_log_dirs(struct refusal *f, int32_t *units);
enum refusal_progress refuse_markers(struct refusal *f, int32_t *units);
enum refusal_progress refuse_scram(struct refusal *f, int32_t *units);

#endif
