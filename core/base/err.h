/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_ERR_H
#define CASTELLAN_BASE_ERR_H

#include <stdarg.h>
#include <stdint.h>

/* The one error type. ERR_OK is 0; every other value is a row of err.tbl. Values from -1 to 133 are Kafka's own
 * error codes, so they may be written to the wire as they are; err_kafka() maps the rest.
 * A function that can fail returns `enum err` and is marked MUST_CHECK. */
enum err {
    ERR_OK = 0,
#define ERR(name, number, kafka, text) ERR_##name = (number),
#include "core/base/err.tbl"
#undef ERR
};

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

const char *err_name(enum err e); /* "TOPIC_AUTHORIZATION_FAILED" */
const char *err_text(enum err e); /* one line in plain words */
int16_t err_kafka(enum err e);    /* the code a Kafka peer is answered with */
enum err err_from_errno(int errnum);

/* What went wrong, for people: filled where the details are known, printed once at the boundary.
 * Callers pass NULL when they do not want the words. */
struct reason {
    enum err code;
    char text[400];
};

/* Fill `why` (if not NULL) and return `code`, so that a failing path is one line. */
enum err reason_set(struct reason *why, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
