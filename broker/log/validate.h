/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_VALIDATE_H
#define CASTELLAN_BROKER_LOG_VALIDATE_H

#include "broker/log/log.h"
#include "core/wire/record_batch.h"

/* What a leader asks of a batch before it appends it (Kafka's LogValidator), and the batch as it is to be stored. Pure.
 * Offsets and the leader epoch are not set here: they stand before the CRC and are put in front by the writer. */
struct validated {
    struct record_batch batch; /* what to store; its bytes are the caller's or those of `rewrite` */
    bool rewritten;
};

/* `scratch` holds decompressed records while checking, `rewrite` the stored form when it differs (recompressed, log
 * append time, a wrong max_timestamp put right). Fills the record errors of `out`. */
enum err validate_batch(const struct plog_config *config, struct slice bytes, const struct plog_append_args *args,
                        struct buf *scratch, struct buf *rewrite, struct validated *v, struct plog_appended *out,
                        struct reason *why) MUST_CHECK;

#endif
