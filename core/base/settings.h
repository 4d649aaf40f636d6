/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_SETTINGS_H
#define CASTELLAN_BASE_SETTINGS_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* Java .properties files with a table of known keys: an unknown key or a value of the wrong type is an error that names
 * file and line. Kafka's own key names; ours begin with "castellan.".
 * Syntax: key=value, key: value, key value; # and ! comments; \ continues a line; \t \n \r \f \uXXXX escapes. */
enum setting_type {
    SETTING_STRING,
    SETTING_INT,  /* int64, bounded by min and max of the row */
    SETTING_BOOL, /* true or false */
    SETTING_DOUBLE,
    SETTING_LIST,     /* comma-separated; settings_list() walks it */
    SETTING_PASSWORD, /* never printed */
};

struct setting_row {
    const char *key; /* a trailing * matches a family: "listener.name.*" */
    enum setting_type type;
    const char *fallback; /* default as text; NULL: no default (settings_has() is false) */
    int64_t min, max;     /* for SETTING_INT; both 0: any */
    const char *help;
};

struct settings;

/* Reads `path` against `rows` (ends with a row whose key is NULL). On failure `why` holds "FILE:LINE: ...". */
enum err settings_load(struct settings **out, const char *path, const struct setting_row *rows,
                       struct reason *why) MUST_CHECK;
/* The same from memory; `name` stands for the file in messages. */
enum err settings_parse(struct settings **out, const char *name, struct slice text, const struct setting_row *rows,
                        struct reason *why) MUST_CHECK;
void settings_free(struct settings *s);

bool settings_has(const struct settings *s, const char *key);           /* set, or has a default */
const char *settings_string(const struct settings *s, const char *key); /* NULL when absent; lives as long as s */
int64_t settings_int(const struct settings *s, const char *key);        /* 0 when absent */
bool settings_bool(const struct settings *s, const char *key);
/* Item i of a list, blanks trimmed, as a slice; null past the end. */
struct slice settings_list(const struct settings *s, const char *key, size_t i);
/* Walk all keys that were set in the file, in order; false at the end. */
bool settings_at(const struct settings *s, size_t i, const char **key, const char **value, unsigned *line);

#endif
