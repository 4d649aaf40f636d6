/* SPDX-License-Identifier: Apache-2.0
 * Fingerprints of the Parsing Canonical Form: CRC-64-AVRO as the specification defines it, and the common digests. */
#include "registry/avro_model.h"

#include <openssl/evp.h>

static const uint64_t crc_empty = 0xc15d213aa4d7a795u;

/* One byte through the polynomial; a table would be faster, but schemas are fingerprinted once. */
static uint64_t crc_step(uint64_t crc, uint8_t byte)
{
    uint64_t low = (crc ^ byte) & 0xff;
    for (int bit = 0; bit < 8; bit++)
        low = low >> 1 ^ (low & 1 ? crc_empty : 0);
    return crc >> 8 ^ low;
}

uint64_t avro_crc64(struct slice bytes)
{
    uint64_t crc = crc_empty;
    for (size_t i = 0; i < bytes.n; i++)
        crc = crc_step(crc, bytes.p[i]);
    return crc;
}

enum err avro_parsing_form(const struct parsed_schema *s, struct buf *out)
{
    const struct avro_schema *a = (const struct avro_schema *)s;
    return avro_print(a, a->root, AVRO_PRINT_PARSING, NULL, out);
}

enum err avro_fingerprint_crc64(const struct parsed_schema *s, uint64_t *out)
{
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    enum err e = avro_parsing_form(s, &b);
    if (e == ERR_OK)
        *out = avro_crc64(buf_slice(&b));
    buf_free(&b);
    return e;
}

static enum err digest(const struct parsed_schema *s, const EVP_MD *kind, uint8_t *out)
{
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    enum err e = avro_parsing_form(s, &b);
    if (e == ERR_OK && EVP_Digest(b.p, b.n, out, NULL, kind, NULL) != 1)
        e = ERR_UNSUPPORTED;
    buf_free(&b);
    return e;
}

enum err avro_fingerprint_md5(const struct parsed_schema *s, uint8_t out[16])
{
    return digest(s, EVP_md5(), out);
}

enum err avro_fingerprint_sha256(const struct parsed_schema *s, uint8_t out[32])
{
    return digest(s, EVP_sha256(), out);
}
