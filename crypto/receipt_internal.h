/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_RECEIPT_INTERNAL_H
#define CASTELLAN_CRYPTO_RECEIPT_INTERNAL_H

#include "crypto/receipt.h"

void receipt_fingerprint(const uint8_t public_key[RECEIPT_PUBLIC_KEY_SIZE], char out[65]);
void receipt_head_text(struct buf *out, uint64_t size, const uint8_t root[RECEIPT_HASH_SIZE]);

#endif
