/* SPDX-License-Identifier: Apache-2.0
 * RFC 6962 trees: "MTH(D[n]) = HASH(0x01 || MTH(D[0:k]) || MTH(D[k:n]))", k the largest power of two below n. */
#include "crypto/merkle.h"

#include <sodium.h>

static void join(uint8_t out[MERKLE_HASH_SIZE], const uint8_t *left, const uint8_t *right)
{
    uint8_t m[1 + 2 * MERKLE_HASH_SIZE];
    m[0] = 1;
    memcpy(m + 1, left, MERKLE_HASH_SIZE);
    memcpy(m + 1 + MERKLE_HASH_SIZE, right, MERKLE_HASH_SIZE);
    crypto_generichash(out, MERKLE_HASH_SIZE, m, sizeof m, NULL, 0);
}

void merkle_leaf(uint8_t out[MERKLE_HASH_SIZE], struct slice entry)
{
    static const uint8_t prefix = 0;
    crypto_generichash_state s;
    crypto_generichash_init(&s, NULL, 0, MERKLE_HASH_SIZE);
    crypto_generichash_update(&s, &prefix, 1);
    crypto_generichash_update(&s, entry.p, entry.n);
    crypto_generichash_final(&s, out, MERKLE_HASH_SIZE);
}

static uint64_t split(uint64_t n)
{
    uint64_t k = 1;
    while (k < n - k)
        k *= 2;
    return k;
}

void merkle_root(uint8_t out[MERKLE_HASH_SIZE], const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n)
{
    uint8_t left[MERKLE_HASH_SIZE], right[MERKLE_HASH_SIZE];
    if (n == 0) {
        crypto_generichash(out, MERKLE_HASH_SIZE, NULL, 0, NULL, 0);
        return;
    }
    if (n == 1) {
        memcpy(out, leaves[0], MERKLE_HASH_SIZE);
        return;
    }
    uint64_t k = split(n);
    merkle_root(left, leaves, k);
    merkle_root(right, leaves + k, n - k);
    join(out, left, right);
}

size_t merkle_path(uint8_t (*path)[MERKLE_HASH_SIZE], const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n,
                   uint64_t index)
{
    if (n <= 1)
        return 0;
    uint64_t k = split(n);
    size_t depth;
    if (index < k) {
        depth = merkle_path(path, leaves, k, index);
        merkle_root(path[depth], leaves + k, n - k);
    } else {
        depth = merkle_path(path, leaves + k, n - k, index - k);
        merkle_root(path[depth], leaves, k);
    }
    return depth + 1;
}

/* Walks down to the leaf, then joins upwards: the same recursion as the path's. */
static bool climb(uint8_t out[MERKLE_HASH_SIZE], const uint8_t *leaf, uint64_t index, uint64_t n,
                  const uint8_t (*path)[MERKLE_HASH_SIZE], size_t path_n)
{
    uint8_t below[MERKLE_HASH_SIZE];
    if (n == 1) {
        memcpy(out, leaf, MERKLE_HASH_SIZE);
        return path_n == 0;
    }
    if (path_n == 0)
        return false;
    uint64_t k = split(n);
    bool left = index < k;
    if (!climb(below, leaf, left ? index : index - k, left ? k : n - k, path, path_n - 1))
        return false;
    join(out, left ? below : path[path_n - 1], left ? path[path_n - 1] : below);
    return true;
}

enum err merkle_verify(const uint8_t leaf[MERKLE_HASH_SIZE], uint64_t index, uint64_t n,
                       const uint8_t (*path)[MERKLE_HASH_SIZE], size_t path_n, const uint8_t root[MERKLE_HASH_SIZE])
{
    uint8_t got[MERKLE_HASH_SIZE];
    if (index >= n || n > INT64_MAX || path_n > MERKLE_PATH_MAX || !climb(got, leaf, index, n, path, path_n) ||
        memcmp(got, root, MERKLE_HASH_SIZE))
        return ERR_AUTH;
    return ERR_OK;
}
