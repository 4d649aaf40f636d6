/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_PARTING_H
#define CASTELLAN_GATEWAY_SCHEMA_PARTING_H

#include "gateway/filter/schema_check.h"

/* Taking the records that broke their schema out of a batch: each is handed to `send`, the others become a batch of
 * their own. May be done on any thread. */
struct schema_parting {
    struct slice records;               /* one batch, as a Produce carries it */
    const struct schema_violation *bad; /* in the order of the batch */
    size_t bad_n;
    struct record_unpack *unpack; /* limits; NULL: the defaults */
    enum err (*send)(void *arg, const struct record *r, const struct schema_violation *why);
    void *arg;
};

/* Append the batch of those that are left, compressed as before, to `kept`; nothing when none is left. On failure some
 * may have been sent, and `kept` is as it was. */
enum err schema_part(const struct schema_parting *p, struct buf *kept) MUST_CHECK;

#endif
