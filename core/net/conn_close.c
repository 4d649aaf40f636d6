/* SPDX-License-Identifier: Apache-2.0
 * The close reasons of conn_close.tbl as words. */
#include "core/net/conn.h"

const char *conn_close_label(enum conn_close c)
{
    switch (c) {
#define CLOSE(name, label, text)                                                                                       \
    case CONN_CLOSE_##name:                                                                                            \
        return label;
#include "core/net/conn_close.tbl"
#undef CLOSE
    case CONN_CLOSE_COUNT_:
        break;
    }
    return "unknown";
}

const char *conn_close_text(enum conn_close c)
{
    switch (c) {
#define CLOSE(name, label, text)                                                                                       \
    case CONN_CLOSE_##name:                                                                                            \
        return text;
#include "core/net/conn_close.tbl"
#undef CLOSE
    case CONN_CLOSE_COUNT_:
        break;
    }
    return "unknown";
}
