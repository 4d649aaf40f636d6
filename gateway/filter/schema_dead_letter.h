/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_DEAD_LETTER_H
#define CASTELLAN_GATEWAY_SCHEMA_DEAD_LETTER_H

#include "core/wire/record_batch.h"

/* The gateway's own producer, for records that failed validation: one for the process, made at its first use. */
struct dead_letters;

#define DEAD_LETTER_TIMEOUT_MS "10000" /* librdkafka's message.timeout.ms */
enum { DEAD_LETTER_HEADERS_MAX = 1000 };

struct dead_letter {
    const char *topic;      /* where it goes */
    const char *from;       /* the topic it was meant for */
    int32_t from_partition; /* likewise */
    const char *why;
    const struct record *record;
};

/* `kafka`: librdkafka settings, which must stay. NULL: no memory. */
struct dead_letters *dead_letters_new(const char *const *kafka);
/* What is under way is given up and called back. NULL is fine. */
void dead_letters_free(struct dead_letters *d);
/* ERR_OK: done(arg, err) is called once, from another thread, when the record is stored or given up. The original's
 * key, value, headers and time are kept; headers `__castellan.schema.error`, `.topic` and `.partition` are added. */
typedef void (*dead_letter_done_fn)(void *arg, enum err err);
enum err dead_letters_send(struct dead_letters *d, const struct dead_letter *letter, dead_letter_done_fn done,
                           void *arg) MUST_CHECK;

#endif
