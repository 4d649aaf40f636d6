/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYRING_STEP_INTERNAL_H
#define CASTELLAN_CRYPTO_KEYRING_STEP_INTERNAL_H

#include "crypto/keyring_step.h"

struct keyring_request {
    struct keyring_request *next;
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE], tag[KEYRING_TAG_SIZE], commitment[32];
    char tenant[ENVELOPE_NAME_MAX + 1], requester[KEYRING_REQUESTER_MAX + 1];
    int64_t requested_ms;
};

/* keyring_receipt.c */
/* The first request's INTENT as a record; a request that stands in the ledger is dropped. */
enum err keyring_work_intents(struct keyring_work *w, struct keyring_records *out, enum keyring_need *need) MUST_CHECK;
enum err keyring_work_receipt(struct keyring_work *w, const struct erasure_entry *intent,
                              const struct keyring_subject *subject, bool had_keys, int64_t now_ms,
                              struct keyring_records *out, struct reason *why) MUST_CHECK;

#endif
