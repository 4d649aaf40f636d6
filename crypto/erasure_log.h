/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_ERASURE_LOG_H
#define CASTELLAN_CRYPTO_ERASURE_LOG_H

#include "core/base/buf.h"
#include "core/base/map.h"
#include "crypto/custody.h"
#include "crypto/keyring.h"
#include "crypto/merkle.h"
#include "crypto/receipt.h"

/* The ledger of erasures, topic __castellan_erasures: an append-only list, hash-chained. Record key: the sequence
 * number in 20 digits; value: canonical JSON with "type" ("intent" or "receipt"), "seq", "prev_hash" and "erasure". An
 * intent says that someone asked; the receipt of the same erasure says that it was done. State only, no I/O. */
#define ERASURE_TOPIC "__castellan_erasures"

struct erasure_entry {
    uint64_t seq;
    bool receipt;
    struct slice text; /* the record's value, owned by the log */
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    /* of an intent: */
    uint8_t tag[KEYRING_TAG_SIZE];
    int64_t requested_ms;
    bool done;
    uint64_t receipt_seq;
};

struct erasure_log {
    struct erasure_entry *entries;
    uint8_t (*leaves)[MERKLE_HASH_SIZE];
    size_t n, cap;
    size_t pending; /* intents without receipt */
    uint8_t head[RECEIPT_HASH_SIZE];
    struct map intents; /* erasure id -> index + 1 of its intent, as a pointer */
};

void erasure_log_init(struct erasure_log *l);
void erasure_log_free(struct erasure_log *l);
/* ERR_CONFLICT: the record does not continue the chain (a gap, a rewritten entry); the log is not to be trusted. */
enum err erasure_log_apply(struct erasure_log *l, struct slice key, struct slice value, struct reason *why) MUST_CHECK;
/* NULL when there is no such intent. */
const struct erasure_entry *erasure_log_intent(const struct erasure_log *l,
                                               const uint8_t erasure[KEYRING_ERASURE_ID_SIZE]);
/* Is the log as far as custody remembers it to have been? ERR_CONFLICT: it is older, or another one. */
enum err erasure_log_check(const struct erasure_log *l, const struct custody_mark *mark, struct reason *why) MUST_CHECK;
/* The hash of the entry before `seq`, zero for the first. */
void erasure_log_key(struct buf *out, uint64_t seq);

#endif
