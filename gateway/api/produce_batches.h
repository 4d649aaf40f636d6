/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_PRODUCE_BATCHES_H
#define CASTELLAN_GATEWAY_PRODUCE_BATCHES_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* What a Produce request carries, as far as rights depend on it: the headers of the batches, never the records. Pure.
 */
struct produce_batches {
    /* The first batch says that it is part of a transaction. Kafka looks at the first one, since no second is allowed.
     */
    bool transactional;
    /* ERR_OK: one batch of format 2 stands there. Else nothing of this partition may be forwarded:
     * ERR_INVALID_RECORD: none, more than one, or one of an older format; ERR_CORRUPT_MESSAGE: a size or format that
     * cannot be. */
    enum err wrong;
    /* Of the batch. Bytes behind it that are no whole batch are dropped, as Kafka does. */
    size_t length;
};

/* `records` of one partition; null is fine. */
struct produce_batches produce_batches_look(struct slice records);

#endif
