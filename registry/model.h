/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_MODEL_H
#define CASTELLAN_REGISTRY_MODEL_H

#include "registry/compatibility.h"
#include "registry/store.h"

/* Parsed schemas shared by reference count, and kept for the next comparison. */
struct model {
    atomic_int refs;
    struct parsed_schema *schema;
    size_t text_n; /* bytes it was made from, references too: what it weighs in a cache */
};

/* NULL: this build has no model of that type. */
const struct schema_type_ops *model_ops(enum schema_type type);

/* ERR_OK, or the model's own code and words. */
enum err model_new(struct model **out, enum schema_type type, struct slice text, const struct schema_ref_text *refs,
                   size_t n, const struct schema_options *options, struct reason *why) MUST_CHECK;
struct model *model_ref(struct model *m);
void model_unref(struct model *m); /* NULL is fine */

/* By key, least recently made dropped first (in two generations): at most `max`, made from at most
 * MODEL_CACHE_TEXT_MAX bytes of text (a model takes up to about 25 times its text). Thread-safe. */
enum { MODEL_CACHE_TEXT_MAX = 8 * 1024 * 1024 };
struct model_cache;
struct model_cache *model_cache_new(size_t max);
void model_cache_free(struct model_cache *c);
struct model *model_cache_get(struct model_cache *c, struct slice key); /* a reference for the caller, or NULL */
void model_cache_put(struct model_cache *c, struct slice key, struct model *m);

#endif
