/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_NUMBER_H
#define CASTELLAN_REGISTRY_JSON_NUMBER_H

#include "core/base/buf.h"
#include "core/base/slice.h"

/* Exact decimals over their JSON text: nothing is rounded, whatever the size. The digits are borrowed from the text. */
struct json_number {
    bool negative;
    bool fits;            /* the digits fit `digits` */
    uint64_t digits;      /* significant digits as an integer, when they fit */
    int64_t exponent;     /* value = digits * 10^exponent; the last significant digit is not 0 */
    uint32_t n;           /* significant digits; 0 means zero */
    const uint8_t *first; /* the first significant digit in the text; a '.' may stand between digits */
};

enum { JSON_NUMBER_DIGITS_MAX = 4096 }; /* digits long division works on; beyond, nothing is a multiple */

struct json_number json_number_of(struct slice text); /* text follows JSON's number grammar */
int json_number_cmp(const struct json_number *a, const struct json_number *b);
bool json_number_is_integer(const struct json_number *a);
bool json_number_is_multiple(const struct json_number *a, const struct json_number *of);
uint64_t json_number_hash(const struct json_number *a);
bool json_number_u64(const struct json_number *a, uint64_t *out); /* false: negative, not whole or too large */
double json_number_double(struct slice text);
void json_number_print(struct buf *out, struct slice text); /* as Java prints a BigInteger or BigDecimal */

#endif
