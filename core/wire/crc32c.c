/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C. On x86-64 with SSE 4.2 and on ARMv8 with the CRC extension the processor's own instruction is used, eight
 * bytes at a time; elsewhere eight tables ("slicing by eight"). The choice is made at the first call; a race between
 * two first calls is harmless, because both choose the same. */
#include "core/wire/crc32c.h"

#include <pthread.h>
#include <stdatomic.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__) && !defined(__clang__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define POLYNOMIAL 0x82f63b78u /* Castagnoli, bits reflected */

typedef uint32_t (*extend_fn)(uint32_t crc, const uint8_t *p, size_t n);

static uint32_t table[8][256]; /* allow: computed once */
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++)
            table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

static uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t extend_tables(uint32_t crc, const uint8_t *p, size_t n)
{
    pthread_once(&table_once, fill_tables);
    for (; n >= 8; p += 8, n -= 8) {
        uint32_t lo = crc ^ load_le32(p), hi = load_le32(p + 4);
        crc = table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^ table[5][lo >> 16 & 0xff] ^ table[4][lo >> 24] ^
              table[3][hi & 0xff] ^ table[2][hi >> 8 & 0xff] ^ table[1][hi >> 16 & 0xff] ^ table[0][hi >> 24];
    }
    for (; n; p++, n--)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t extend_hardware(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = crc, word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    for (; n; p++, n--)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}

static bool have_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && defined(__linux__) && !defined(__clang__)
__attribute__((target("+crc"))) static uint32_t extend_hardware(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        crc = __builtin_aarch64_crc32cx(crc, word);
    }
    for (; n; p++, n--)
        crc = __builtin_aarch64_crc32cb(crc, *p);
    return crc;
}

static bool have_hardware(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#else
static uint32_t extend_hardware(uint32_t crc, const uint8_t *p, size_t n)
{
    return extend_tables(crc, p, n);
}

static bool have_hardware(void)
{
    return false;
}
#endif

static _Atomic(extend_fn) chosen;

uint32_t crc32c_extend(uint32_t crc, const void *p, size_t n)
{
    extend_fn extend = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!extend) {
        extend = have_hardware() ? extend_hardware : extend_tables;
        atomic_store_explicit(&chosen, extend, memory_order_relaxed);
    }
    return ~extend(~crc, p, n);
}

uint32_t crc32c_extend_portable(uint32_t crc, const void *p, size_t n)
{
    return ~extend_tables(~crc, p, n);
}

uint32_t crc32c(const void *p, size_t n)
{
    return crc32c_extend(0, p, n);
}
