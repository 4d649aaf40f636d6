/* SPDX-License-Identifier: Apache-2.0
 * Names, texts and Kafka codes of err.tbl. Pure lookups; nothing here allocates. */
#include "core/base/err.h"

#include <errno.h>
#include <stdio.h>

const char *err_name(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "NONE";
#define ERR(name, number, kafka, text)                                                                                 \
    case ERR_##name:                                                                                                   \
        return #name;
#include "core/base/err.tbl"
#undef ERR
    }
    return "UNKNOWN";
}

const char *err_text(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "no error";
#define ERR(name, number, kafka, text)                                                                                 \
    case ERR_##name:                                                                                                   \
        return text;
#include "core/base/err.tbl"
#undef ERR
    }
    return "unknown error";
}

int16_t err_kafka(enum err e)
{
    switch (e) {
    case ERR_OK:
        return 0;
#define ERR(name, number, kafka, text)                                                                                 \
    case ERR_##name:                                                                                                   \
        return (kafka);
#include "core/base/err.tbl"
#undef ERR
    }
    return -1;
}

enum err err_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return ERR_OK;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EADDRINUSE:
        return ERR_ADDRESS_IN_USE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
    case ECONNREFUSED:
        return ERR_CLOSED;
    }
    return ERR_IO;
}

enum err reason_set(struct reason *why, enum err code, const char *fmt, ...)
{
    if (why) {
        va_list ap;
        why->code = code;
        va_start(ap, fmt);
        vsnprintf(why->text, sizeof why->text, fmt, ap);
        va_end(ap);
    }
    return code;
}
