/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_RECORD_LIST_H
#define CASTELLAN_BROKER_CORE_RECORD_LIST_H

#include "core/base/buf.h"

/* Records decided on but not yet written: keys and values in one buffer, in order. Errors stick (to the buffers). */
struct record_list {
    struct buf bytes;
    struct buf ends; /* where each record's key, value and end stand */
    size_t count;
};

void record_list_init(struct record_list *l);
void record_list_free(struct record_list *l);
void record_list_clear(struct record_list *l);
enum err record_list_error(const struct record_list *l) MUST_CHECK;

/* Begin a record without a key; write the value to the returned buffer; end it. */
struct buf *record_list_begin(struct record_list *l);
void record_list_end(struct record_list *l);
/* A whole record; key and value may be null. */
void record_list_add(struct record_list *l, struct slice key, struct slice value);

struct slice record_list_key(const struct record_list *l, size_t i);
struct slice record_list_value(const struct record_list *l, size_t i);

#endif
