/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_COMPATIBILITY_H
#define CASTELLAN_REGISTRY_COMPATIBILITY_H

#include "registry/schema_type.h"

/* The seven levels, applied. What a level compares and in which order, and the lines a 409 or a verbose check prints,
 * are those of the reference implementation. */
enum compat_level {
    COMPAT_NONE,
    COMPAT_BACKWARD,
    COMPAT_BACKWARD_TRANSITIVE,
    COMPAT_FORWARD,
    COMPAT_FORWARD_TRANSITIVE,
    COMPAT_FULL,
    COMPAT_FULL_TRANSITIVE
};

const char *compat_level_name(enum compat_level level);               /* "BACKWARD_TRANSITIVE" */
bool compat_level_parse(struct slice text, enum compat_level *out);   /* any case */
bool compat_policy_parse(struct slice text, enum compat_policy *out); /* STRICT, LENIENT; any case; null is STRICT */

/* An earlier version. */
struct compat_previous {
    int32_t version; /* 0: not known, its line is left out */
    const struct parsed_schema *schema;
};

enum { COMPAT_OLD_SCHEMA_SHOWN_MAX = 10 * 1024 }; /* bytes of an old schema that a message prints */

/* `previous` is newest first; non-transitive levels look at the first alone, transitive ones stop at the first that is
 * not compatible. Appends the incompatibilities and the lines {oldSchemaVersion: ..} and {oldSchema: '..'} (items with
 * type NULL); nothing appended means compatible. The line of compat_add_config() is the caller's to add, last. */
enum err compat_check(enum compat_level level, enum compat_policy policy, const struct parsed_schema *schema,
                      const struct compat_previous *previous, size_t n, struct compat_result *out,
                      struct reason *why) MUST_CHECK;
/* {validateFields: 'false', compatibility: 'BACKWARD'} */
enum err compat_add_config(struct compat_result *r, bool validate_fields, enum compat_level level) MUST_CHECK;
/* A line of the caller's own. */
enum err compat_add_line(struct compat_result *r, struct slice text) MUST_CHECK;
/* All lines as Java prints a list: [a, b]. Appends. */
void compat_print(const struct compat_result *r, struct buf *out);

#endif
