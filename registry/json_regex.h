/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_REGEX_H
#define CASTELLAN_REGISTRY_JSON_REGEX_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* ECMA-262 regular expressions, as JSON Schema means them, on pcre2: searched, not anchored; over characters, not
 * bytes; with a limit on backtracking. A compiled expression is read-only and may be used by many threads. */
struct json_regex {
    void *code; /* pcre2_code */
    struct json_regex *next;
};

/* What one thread needs while matching; zero-initialised, made on first use. */
struct json_regex_scratch {
    void *match_data, *context;
};

enum json_regex_dialect {
    JSON_REGEX_LENIENT, /* what pcre2 knows beyond ECMA-262 is accepted: existing schemas use it */
    JSON_REGEX_STRICT   /* for the format "regex" */
};

enum err json_regex_compile(struct json_regex **out, struct slice text, enum json_regex_dialect dialect,
                            struct reason *why) MUST_CHECK;
void json_regex_free(struct json_regex *r);
/* ERR_OK with *found, or ERR_LIMIT_EXCEEDED. */
enum err json_regex_search(const struct json_regex *r, struct slice s, struct json_regex_scratch *scratch,
                           bool *found) MUST_CHECK;
void json_regex_scratch_free(struct json_regex_scratch *scratch);

#endif
