/* SPDX-License-Identifier: Apache-2.0
 * A difference in words. The texts are those of Confluent's registry, which tools and people match on, its unbalanced
 * quote included. In them %r is the schema that reads, %w the one that wrote, %p the path. */
#include "registry/json_compat.h"

enum text {
    NONE,
    KEYWORD,
    INCREASED,
    DECREASED,
    CHANGED,
    FEWER,
    MORE,
    TYPE,
    ADDED_TO_OPEN,
    REQUIRED_IN_UNOPEN,
    REMOVED_FROM_CLOSED,
    REMOVED_NOT_COVERED,
    ADDED_NOT_COVERED,
    RESERVED_REMOVED,
    RESERVED_CONFLICT
};

static const char *const texts[] = {
    [NONE] = "",
    [KEYWORD] = "The keyword at path '%p' in the %r schema is not present in the %w schema",
    [INCREASED] = "The value at path '%p' in the %r schema is more than its value in the %w schema",
    [DECREASED] = "The value at path '%p' in the %r schema is less than its value in the %w schema",
    [CHANGED] = "The value at path '%p' is different between the %r and %w schema",
    [FEWER] = "An array or combined type at path '%p' has fewer elements in the %r schema than the %w schema",
    [MORE] = "An array or combined type at path '%p' has more elements in the %r schema than the %w schema",
    [TYPE] = "A type at path '%p' is different between the %r schema and the %w schema",
    [ADDED_TO_OPEN] = "The %r schema has an open content model and has a property or item at path '%p' which is "
                      "missing in the %w schema",
    [REQUIRED_IN_UNOPEN] = "The %r schema has an unopen content model and has a required property at path '%p' which "
                           "is missing in the %w schema",
    [REMOVED_FROM_CLOSED] = "The %r has a closed content model and is missing a property or item present at path '%p' "
                            "in the %w schema",
    [REMOVED_NOT_COVERED] = "A property or item is missing in the %r schema but present at path '%p' in the %w schema "
                            "and is not covered by its partially open content model",
    [ADDED_NOT_COVERED] = "The %r schema has a property or item at path '%p' which is missing in the %w schema and is "
                          "not covered by its partially open content model",
    [RESERVED_REMOVED] = "The %r schema has reserved property '%p' removed from its metadata which is present in the "
                         "%w schema.",
    [RESERVED_CONFLICT] =
        "The %r schema has property at path '%p' that conflicts with the reserved properties which is "
        "missing in the %w schema.",
};

static const enum text text_of[] = {
#define JSON_DIFFERENCE(name, strict, lenient, text) [JSON_DIFF_##name] = text,
#include "registry/json_compat.tbl"
#undef JSON_DIFFERENCE
};

void json_compat_print(struct buf *out, const struct json_compat_item *item, const char *reader, const char *writer)
{
    buf_printf(out, "{errorType:\"%s\", description:\"", json_difference_name(item->type));
    for (const char *t = texts[text_of[item->type]]; *t; t++) {
        if (*t != '%') {
            buf_put(out, t, 1);
            continue;
        }
        t++;
        if (*t == 'p')
            buf_put_slice(out, item->path);
        else
            buf_put_str(out, *t == 'r' ? reader : writer);
    }
    buf_put_str(out, "'}");
}
