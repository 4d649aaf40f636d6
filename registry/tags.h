/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_TAGS_H
#define CASTELLAN_REGISTRY_TAGS_H

#include "core/base/arena.h"
#include "core/base/map.h"
#include "registry/json_text.h"
#include "registry/schema_type.h"
#include <jansson.h>

/* Tags inside schemas: what requests ask for, what answers tell, and the parts of editing that all kinds share. */

#define TAGS_MEMBER "confluent:tags"

enum {
    TAG_EDITS_MAX = 10000,       /* entities in one request, or taken over from a schema */
    TAG_EDIT_WORK_MAX = 20000000 /* parts of a schema looked at for one request */
};

/* The edits of one request. Strings belong to the JSON they were read from, or to the arena. */
struct tag_edits {
    struct arena arena;
    struct schema_tag_edit *list;
    size_t n;
};

void tag_edits_init(struct tag_edits *e);
void tag_edits_free(struct tag_edits *e);
/* Two lists of {"schemaEntity":{"entityPath","entityType"},"tags":[]}; either may be NULL. Each entity becomes one
 * edit, in the order they are first named. ERR_MALFORMED with what a 400 says. */
enum err tag_edits_read(struct tag_edits *e, const json_t *add, const json_t *remove, struct reason *why) MUST_CHECK;
/* Edits that give a schema what `from` has; entities that `from` only has from its references are left out. */
enum err tag_edits_from(struct tag_edits *e, const struct parsed_schema *from) MUST_CHECK;

/* "schemaTags":[...] with a comma before it, for the entities with one of the tags wanted ("*": any); nothing when
 * there are none. */
enum err tags_put(struct buf *out, const struct parsed_schema *s, const struct slice *wanted, size_t n) MUST_CHECK;

/* --- for the kinds --- */

struct schema_entity_path {
    struct slice names[64]; /* between dots, as Java splits: empty ones at the end are gone */
    size_t n;
};
bool tags_split(struct slice path, struct schema_entity_path *out); /* false: too many names */

/* Existing tags with an edit applied; NULL: no memory. Repeats are dropped. */
struct slice *tags_edited(struct arena *a, const struct slice *old, size_t old_n, const struct schema_tag_edit *edit,
                          size_t *n);
/* The strings of a confluent:tags array; other values as JSON text. NULL with *n 0 when it is none, or no memory. */
struct slice *tags_of_array(struct arena *a, const struct jvalue *array, size_t *n);

/* A JSON text being printed with the tags of some objects replaced. */
struct tag_override {
    const struct slice *tags;
    size_t n; /* 0: the member goes */
};
struct tag_printer {
    struct arena *arena;
    struct map overrides; /* address of the object -> struct tag_override */
};
/* One more edit of `object`, on top of those before. */
enum err tags_override(struct tag_printer *p, const struct jvalue *object,
                       const struct schema_tag_edit *edit) MUST_CHECK;
void tags_print(const struct tag_printer *p, struct buf *out, const struct jvalue *v);

/* The order in which a Java HashMap filled with these names would list them; NULL: no memory. */
uint32_t *tags_hash_order(struct arena *a, const struct slice *names, uint32_t n);

/* What a search's result means: an entity that is missing may be told in missing[i] (see schema_edit_tags()). */
enum err tags_found(enum err e, bool *missing, size_t i) MUST_CHECK;
enum err tags_no_path(struct reason *why, struct slice path);

#endif
