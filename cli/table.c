/* SPDX-License-Identifier: Apache-2.0
 * Aligned columns out of JSON. Width is counted in characters, not bytes, so that names in any script line up; a
 * terminal never gets a control character that some name smuggled in. */
#include "cli/table.h"

#include <stdio.h>

enum { COLUMNS_MAX = 16, GAP = 2 };

static size_t width_of(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static void put_text(struct buf *out, const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p; p++)
        buf_u8(out, *p < 0x20 || *p == 0x7f ? '?' : *p);
}

static void put_cell(struct buf *out, const json_t *value)
{
    size_t i;
    json_t *item;
    char *text;

    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
        buf_put_str(out, "-");
        break;
    case JSON_STRING:
        put_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        buf_printf(out, "%.15g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_put_str(out, json_is_true(value) ? "yes" : "no");
        break;
    case JSON_ARRAY:
        if (json_array_size(value) == 0)
            buf_put_str(out, "-");
        json_array_foreach(value, i, item)
        {
            if (i)
                buf_put_str(out, ",");
            put_cell(out, item);
        }
        break;
    case JSON_OBJECT:
        text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        put_text(out, text ? text : "?");
        free(text);
        break;
    }
}

static void pad(struct buf *out, size_t n)
{
    while (n--)
        buf_u8(out, ' ');
}

static size_t cell_width(struct buf *scratch, const json_t *row, const char *key)
{
    buf_clear(scratch);
    put_cell(scratch, json_object_get(row, key));
    return width_of(buf_slice(scratch));
}

static void put_row(struct buf *out, const json_t *row, const struct table_column *columns, const size_t *widths,
                    struct buf *scratch)
{
    for (size_t c = 0; columns[c].key; c++) {
        size_t w = cell_width(scratch, row, columns[c].key);
        bool last = !columns[c + 1].key, right = json_is_number(json_object_get(row, columns[c].key));
        if (right)
            pad(out, widths[c] - w);
        buf_put_slice(out, buf_slice(scratch));
        if (!right && !last)
            pad(out, widths[c] - w);
        pad(out, last ? 0 : GAP);
    }
    buf_u8(out, '\n');
}

void cli_table_put(struct buf *out, const json_t *rows, const struct table_column *columns)
{
    size_t widths[COLUMNS_MAX] = {0}, i;
    struct buf scratch;
    json_t *row;

    if (json_array_size(rows) == 0)
        return;
    buf_init(&scratch, 0);
    for (size_t c = 0; columns[c].key && c < COLUMNS_MAX; c++) {
        widths[c] = strlen(columns[c].title);
        json_array_foreach(rows, i, row)
        {
            size_t w = cell_width(&scratch, row, columns[c].key);
            widths[c] = w > widths[c] ? w : widths[c];
        }
    }
    for (size_t c = 0; columns[c].key; c++) {
        bool right = json_is_number(json_object_get(json_array_get(rows, 0), columns[c].key));
        size_t left = widths[c] - strlen(columns[c].title);
        pad(out, right ? left : 0);
        buf_put_str(out, columns[c].title);
        pad(out, columns[c + 1].key ? (right ? 0 : left) + GAP : 0);
    }
    buf_u8(out, '\n');
    json_array_foreach(rows, i, row) put_row(out, row, columns, widths, &scratch);
    buf_free(&scratch);
}

void cli_table_put_fields(struct buf *out, const json_t *object, const struct table_column *columns)
{
    size_t width = 0;

    for (size_t c = 0; columns[c].key; c++)
        width = strlen(columns[c].title) > width ? strlen(columns[c].title) : width;
    for (size_t c = 0; columns[c].key; c++) {
        buf_put_str(out, columns[c].title);
        pad(out, width - strlen(columns[c].title) + GAP);
        put_cell(out, json_object_get(object, columns[c].key));
        buf_u8(out, '\n');
    }
}
