/* SPDX-License-Identifier: Apache-2.0
 * Nanoseconds per record of sealing and opening envelopes, next to bare AES-256-GCM (a key schedule each, and one key
 * for all) in the same run; the best of several rounds. Records belong to many subjects: keys are taken in random order
 * from a table of KEYS, so the caches of a real gateway are felt. Usage: bench_crypto [KEYS] */
#include "core/base/env.h"
#include "crypto/envelope.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEYS = 100000, RECORDS = 50000, ROUNDS = 5 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct bench {
    struct data_key *keys;
    uint32_t *order;
    uint8_t *plain;
    size_t size;
    struct envelope_context context;
    struct buf sealed, opened;
    crypto_aead_aes256gcm_state one;
};

typedef void (*pass_fn)(struct bench *b, int what);

static void pass_bare_rekeyed(struct bench *b, int what)
{
    static const uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES];
    (void)what;
    for (int i = 0; i < RECORDS; i++)
        crypto_aead_aes256gcm_encrypt(b->sealed.p, NULL, b->plain, b->size, NULL, 0, NULL, nonce,
                                      b->keys[b->order[i]].bytes);
}

static void pass_bare_one_key(struct bench *b, int what)
{
    static const uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES];
    (void)what;
    for (int i = 0; i < RECORDS; i++)
        crypto_aead_aes256gcm_encrypt_afternm(b->sealed.p, NULL, b->plain, b->size, NULL, 0, NULL, nonce,
                                              (const crypto_aead_aes256gcm_state *)&b->one);
}

static void pass_seal(struct bench *b, int suite)
{
    uint8_t salt[ENVELOPE_SALT_SIZE] = {0};
    for (int i = 0; i < RECORDS; i++) {
        const struct data_key *k = &b->keys[b->order[i]];
        buf_clear(&b->sealed);
        salt[15] = (uint8_t)i;
        if (envelope_seal((enum envelope_suite)suite, k, &b->context, slice_of(k->id, 16), salt,
                          slice_of(b->plain, b->size), &b->sealed))
            exit(1);
    }
}

static void pass_open(struct bench *b, int suite)
{
    uint8_t salt[ENVELOPE_SALT_SIZE] = {0};
    struct envelope e;
    (void)suite;
    for (int i = 0; i < RECORDS; i++) {
        /* one envelope opened again and again: sealing is not to be measured */
        const struct data_key *k = &b->keys[b->order[0]];
        if (i == 0) {
            buf_clear(&b->sealed);
            if (envelope_seal((enum envelope_suite)suite, k, &b->context, slice_of(k->id, 16), salt,
                              slice_of(b->plain, b->size), &b->sealed))
                exit(1);
        }
        buf_clear(&b->opened);
        if (envelope_parse(buf_slice(&b->sealed), &e, NULL) ||
            envelope_open(&e, k->bytes, &b->context, slice_of(k->id, 16), &b->opened, NULL))
            exit(1);
    }
}

static double best(struct bench *b, pass_fn fn, int what)
{
    double least = 1e18;
    for (int r = 0; r < ROUNDS; r++) {
        int64_t t = now_ns();
        fn(b, what);
        double ns = (double)(now_ns() - t) / RECORDS;
        least = ns < least ? ns : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {256, 1024};
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : KEYS;
    struct bench *b = NULL;
    struct env *env = env_system();
    if (crypto_init(NULL) || n == 0 || posix_memalign((void **)&b, 64, sizeof *b))
        return 1;
    *b = (struct bench){0};
    b->keys = calloc(n, sizeof *b->keys);
    b->order = calloc(RECORDS, sizeof *b->order);
    b->plain = calloc(1, 1024);
    if (!b->keys || !b->order || !b->plain ||
        envelope_context_init(&b->context, slice_str("default"), slice_str("orders")))
        return 1;
    randombytes_buf_deterministic(b->keys, n * sizeof *b->keys, (const uint8_t[32]){1});
    env->random(env, b->plain, 1024);
    for (int i = 0; i < RECORDS; i++)
        b->order[i] = randombytes_uniform(n);
    buf_init(&b->sealed, 0);
    buf_init(&b->opened, 0);
    if (!buf_reserve(&b->sealed, 4096) || !buf_reserve(&b->opened, 4096))
        return 1;
    if (envelope_has_fast_aes())
        crypto_aead_aes256gcm_beforenm(&b->one, b->keys[0].bytes);
    else
        printf("this processor has no AES instructions: suite 1 goes through OpenSSL, bare AES is left out\n");
    printf("%u keys, ns per record (best of %d)\n%-44s %8s %8s\n", n, ROUNDS, "", "256 B", "1 KiB");
    const struct {
        const char *name;
        pass_fn fn;
        int what;
        bool fast_aes;
    } rows[] = {{"bare AES-256-GCM, one key", pass_bare_one_key, 0, true},
                {"bare AES-256-GCM, key schedule each", pass_bare_rekeyed, 0, true},
                {"envelope, suite 1 (AES-256-GCM), seal", pass_seal, ENVELOPE_AES_256_GCM, false},
                {"envelope, suite 1, open", pass_open, ENVELOPE_AES_256_GCM, false},
                {"envelope, suite 2 (ChaCha20-Poly1305), seal", pass_seal, ENVELOPE_CHACHA20_POLY1305, false},
                {"envelope, suite 2, open", pass_open, ENVELOPE_CHACHA20_POLY1305, false}};
    double bare[2] = {0};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        if (rows[r].fast_aes && !envelope_has_fast_aes())
            continue;
        printf("%-44s", rows[r].name);
        for (int s = 0; s < 2; s++) {
            b->size = sizes[s];
            double ns = best(b, rows[r].fn, rows[r].what);
            if (r == 1)
                bare[s] = ns;
            printf(" %8.0f", ns);
            if (r > 1 && bare[s] > 0)
                printf(" (%.2fx)", ns / bare[s]);
        }
        printf("\n");
    }
    return 0;
}
