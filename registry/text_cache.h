/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_TEXT_CACHE_H
#define CASTELLAN_REGISTRY_TEXT_CACHE_H

#include "registry/store.h"

/* Schema texts as they stand in answers, escaped as JSON strings: for texts that are asked for again and again, putting
 * in the escapes costs more than everything else a read does. Entries are found by the content's guid, so nothing of
 * the store is held on to; one place for each, the newer text drives out the older. Thread-safe. */
struct text_cache;

enum {
    TEXT_CACHE_PLACES = 8192,
    TEXT_CACHE_TEXT_MAX = 64 * 1024,         /* bytes of one escaped text; longer ones are not kept */
    TEXT_CACHE_BYTES_MAX = 16 * 1024 * 1024, /* of all of them */
};

struct text_cache *text_cache_new(void); /* NULL: no memory */
void text_cache_free(struct text_cache *c);
/* Appends the content's text as a JSON string, quotes and all. `c` may be NULL: nothing is kept. */
void text_cache_put(struct text_cache *c, struct buf *out, const struct content *content);

#endif
