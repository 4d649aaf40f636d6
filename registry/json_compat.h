/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_COMPAT_H
#define CASTELLAN_REGISTRY_JSON_COMPAT_H

#include "registry/json_schema.h"

/* What changed between two versions of a JSON Schema, in the terms of Confluent's registry, and whether a reader with
 * the new one can read what was written with the old one. */
enum json_difference {
#define JSON_DIFFERENCE(name, strict, lenient, text) JSON_DIFF_##name,
#include "registry/json_compat.tbl"
#undef JSON_DIFFERENCE
    JSON_DIFFERENCES
};

enum json_compat_policy { JSON_COMPAT_STRICT, JSON_COMPAT_LENIENT };

struct json_compat_item {
    enum json_difference type;
    struct slice path; /* "#/properties/a" */
};

/* The differences, in the order found; they live until json_compat_free(). */
struct json_compat {
    struct json_compat_item *items;
    size_t n;
    bool compatible;
    uint64_t work; /* steps it took */
    struct arena arena;
};

enum {
    JSON_COMPAT_WORK_MAX = 20000000,          /* steps of one comparison */
    JSON_COMPAT_VERSIONS_WORK_MAX = 40000000, /* steps of one schema's comparisons with all earlier versions */
    JSON_COMPAT_PAIR_WORK = 32, /* steps that a pair of schemas met for the first time counts: it takes memory */
    JSON_COMPAT_MEMORY_MAX = 256 * 1024 * 1024, /* bytes of one comparison and its result */
    JSON_COMPAT_DEPTH_MAX = 500,                /* pairs compared inside one another; deeper ones wait their turn */
    JSON_COMPAT_ITEMS_MAX = 100000,             /* differences kept */
    JSON_COMPAT_PASSES_MAX = 1000               /* rounds of the fixpoint over recursive schemas */
};

/* ERR_OK whatever the verdict; ERR_LIMIT_EXCEEDED when the schemas are too large or too entangled to compare. */
enum err json_compat_compare(struct json_compat *out, const struct json_schema *older, const struct json_schema *newer,
                             enum json_compat_policy policy, struct reason *why) MUST_CHECK;
void json_compat_free(struct json_compat *c);

const char *json_difference_name(enum json_difference d);
bool json_difference_is_compatible(enum json_difference d, enum json_compat_policy policy);
/* `{errorType:"TYPE_CHANGED", description:"A type at path '#/' is different between the new schema and the old
 * schema'}`: %s of the reference's text already filled with the two roles ("new"/"old", or the other way round). */
void json_compat_print(struct buf *out, const struct json_compat_item *item, const char *reader, const char *writer);

#endif
