/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_DRAFT_H
#define CASTELLAN_REGISTRY_DRAFT_H

#include "registry/answer.h"
#include "registry/model.h"
#include "registry/tags.h"

/* A schema as a request brings it, and what is made of it: parsed, canonical, with its contract. */
struct draft {
    json_t *request;               /* owns the text slices */
    struct slice text;             /* null or blank: taken from the previous version */
    struct slice type;             /* null: AVRO */
    struct schema_ref *references; /* owned */
    size_t reference_count;
    json_t *metadata, *rules; /* canonical; owned */
    struct tag_edits tags;    /* schemaTagsToAdd, schemaTagsToRemove */
    bool propagate_tags;
    int32_t version; /* 0: not given */
    int32_t id;      /* -1: not given */
};

enum { DRAFT_NO_VERSION = INT32_MIN }; /* a reference that names none */

/* Reads a RegisterSchemaRequest (bound: members are of the right type or null); answers 400 itself. Takes a reference
 * to `request`. */
enum err draft_read(struct draft *d, const json_t *request, struct answer *a) MUST_CHECK;
bool draft_is_blank(const struct draft *d); /* no text but blanks */
void draft_free(struct draft *d);

/* The model of a stored version of `subject`; one reference for the caller. */
enum err work_model(struct model_cache *cache, const struct store *s, struct slice subject, const struct content *c,
                    struct model **out, struct reason *why) MUST_CHECK;

/* A draft made ready against the store: references resolved (latest pinned), parsed, normalized, hashed. */
struct work {
    struct model *model;
    struct content *content;
};
void work_free(struct work *w);
/* `shape` is whose words a refusal is in. */
enum err work_prepare(struct work *w, int shape, const struct store *s, struct slice subject, const struct draft *d,
                      const json_t *metadata, const json_t *rules, bool normalize, bool fresh,
                      struct answer *a) MUST_CHECK;

/* --- configuration in scope --- */
struct scope {
    json_t *config; /* merged; owned */
    enum mode mode;
};
const char *scope_level(const struct scope *c); /* "BACKWARD" */
bool scope_flag(const struct scope *c, const char *name);
bool scope_flag_or(const struct scope *c, const char *name, bool unset);
const char *scope_text(const struct scope *c, const char *name); /* NULL when unset */
bool mode_is_import(enum mode m);                                /* IMPORT or FORWARD */
void scope_read(struct scope *c, const struct store *s, struct slice subject);
void scope_free(struct scope *c);
json_t *scope_config(const struct store *s, struct slice subject, bool inherit); /* NULL: nothing at that scope */
enum mode scope_mode(const struct store *s, struct slice subject, bool inherit);

/* Merge defaults, the draft's or the previous version's contract, and overrides. New references. */
void work_contract(const struct scope *c, const struct draft *d, const struct content *previous, int32_t new_version,
                   json_t **metadata, json_t **rules);

/* May what was asked for be found as `stored` of `subject`: the same schema and contract, apart from
 * confluent:version? */
bool work_alike(struct model_cache *cache, const struct store *s, struct slice subject, const struct work *asked,
                const struct version *stored);

/* Checks against the versions given (ascending) by the level in scope; messages as 409 lists them. */
enum err work_compatible(struct model_cache *cache, const struct store *s, struct slice subject, const struct scope *c,
                         const struct work *w, const struct version *const *versions, size_t n,
                         struct compat_result *out, struct answer *a) MUST_CHECK;

#endif
