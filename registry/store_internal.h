/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_STORE_INTERNAL_H
#define CASTELLAN_REGISTRY_STORE_INTERNAL_H

#include "registry/store.h"

struct content_key {
    uint8_t bytes[1 + GUID_SIZE];
};

struct id_entry {
    int32_t id;
    struct content *content;
    struct subject **subjects; /* where the id was seen; hints */
    size_t n;
};

struct context {
    int32_t max_id;
    int declared;          /* a CONTEXT record: 1 there, 0 deleted, -1 none seen */
    struct map ids;        /* struct id_entry, by id */
    struct map by_content; /* the same entries, by type and guid */
};

struct referrer {
    char *subject;
    int32_t version;
};

struct referrers {
    struct referrer *list; /* hints */
    size_t n;
};

struct content_key content_key(const struct content *c);
struct subject *store_subject_for_write(struct store *s, struct slice name);
struct context *store_context_for_write(struct store *s, struct slice name);
struct content *store_intern(struct store *s, struct content *c);
void store_release(struct store *s, struct content *c);
enum err store_note_id(struct store *s, struct subject *u, const struct version *v) MUST_CHECK;
enum err store_note_references(struct store *s, const struct subject *u, const struct version *v) MUST_CHECK;

/* --- what other writers leave behind (store_foreign.c) --- */
void store_note_key(struct store *s, struct slice canonical, struct slice raw, bool tombstone);
void store_reject(struct store *s, struct slice canonical, struct slice raw); /* its record is not taken */
void store_repaired(struct store *s, struct slice raw);
void store_reserve(struct store *s, struct slice subject, int32_t version, int32_t id);
bool store_same_text(struct arena *scratch, struct slice a, struct slice b);

struct slice referrer_key(struct buf *out, struct slice subject, int32_t version);

#endif
