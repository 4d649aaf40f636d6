/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_TABLE_H
#define CASTELLAN_CLI_TABLE_H

#include "core/base/buf.h"
#include <jansson.h>

/* What a verb found is one JSON value; people get it as aligned columns, scripts as it is. */
struct table_column {
    const char *key;   /* member of each row; NULL ends the columns */
    const char *title; /* "PARTITIONS" */
};

/* An array of objects as a table, title line first; nothing for an empty array. Numbers are right-aligned, an absent or
 * null member is "-", a list is joined with commas. Control characters are shown as '?'. */
void cli_table_put(struct buf *out, const json_t *rows, const struct table_column *columns);
/* One object as "TITLE  value" lines. */
void cli_table_put_fields(struct buf *out, const json_t *object, const struct table_column *columns);

#endif
