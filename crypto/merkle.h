/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_MERKLE_H
#define CASTELLAN_CRYPTO_MERKLE_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* Merkle trees shaped as in RFC 6962 section 2.1, over BLAKE2b-256: leaf = H(00 | entry), node = H(01 | left | right).
 * Functions take leaf hashes, already made with merkle_leaf. */
enum { MERKLE_HASH_SIZE = 32, MERKLE_PATH_MAX = 64 };

void merkle_leaf(uint8_t out[MERKLE_HASH_SIZE], struct slice entry);
void merkle_root(uint8_t out[MERKLE_HASH_SIZE], const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n);
/* The audit path of leaf `index`, from the leaf upwards; returns its length. index < n. */
size_t merkle_path(uint8_t (*path)[MERKLE_HASH_SIZE], const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n,
                   uint64_t index);
/* ERR_AUTH when the path does not lead from the leaf to the root. */
enum err merkle_verify(const uint8_t leaf[MERKLE_HASH_SIZE], uint64_t index, uint64_t n,
                       const uint8_t (*path)[MERKLE_HASH_SIZE], size_t path_n,
                       const uint8_t root[MERKLE_HASH_SIZE]) MUST_CHECK;

#endif
