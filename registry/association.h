/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_ASSOCIATION_H
#define CASTELLAN_REGISTRY_ASSOCIATION_H

#include "registry/store.h"

/* Associations: which subject holds the schemas of a resource (a topic) for its keys or its values. A STRONG one owns
 * its subject, alone; WEAK ones share it. A frozen one may not be changed. ASSOC records, from release 8.2 on. */
enum lifecycle { LIFECYCLE_UNSET, LIFECYCLE_STRONG, LIFECYCLE_WEAK };
const char *lifecycle_name(enum lifecycle l);
bool lifecycle_parse(struct slice s, enum lifecycle *out); /* exact, as the reference's enum */

#define ASSOCIATION_RESOURCE_TYPE "topic" /* the only one there is */
#define ASSOCIATION_ANY           "-"     /* in place of a resource's name or namespace: every one */

enum { ASSOCIATION_GUID_SIZE = 37 }; /* as UUID text, with its NUL */

struct association {
    struct slice resource_name, resource_namespace, resource_id, resource_type;
    struct slice type;    /* "key" or "value" */
    struct slice subject; /* qualified, normal */
    struct slice guid;
    enum lifecycle lifecycle;
    bool frozen;
    int64_t created_ms, updated_ms; /* of the first record seen, and of the last */
};

struct association_query {
    struct slice subject, resource_id;              /* by one of these; null: not by it, */
    struct slice resource_name, resource_namespace; /* or by these, each maybe ASSOCIATION_ANY */
    struct slice resource_type;                     /* null: any */
    const struct slice *types;                      /* none: any */
    size_t types_n;
    enum lifecycle lifecycle; /* UNSET: any */
};

struct association_list {
    const struct association **v; /* by name, namespace, types and subject; they live until the store changes */
    size_t n, cap;
};

/* ERR_NO_MEMORY; the list is freed by the caller also then. */
enum err association_find(const struct store *s, const struct association_query *q,
                          struct association_list *out) MUST_CHECK;
void association_list_free(struct association_list *l);
bool association_exists(const struct store *s, struct slice subject); /* any for that subject */

/* --- records --- */
void record_association_key(struct buf *out, const struct association *a);
void record_association_value(struct buf *out, const struct association *a);

/* --- answers --- */
void association_put(struct buf *out, const struct association *a); /* the whole entity */
/* What is told of it in a resource's list; `schema` is a JSON object's text, or null. */
void association_put_info(struct buf *out, const struct association *a, struct slice schema);
/* The resource's members, without braces; null ones are left out. */
void association_put_resource(struct buf *out, struct slice name, struct slice name_space, struct slice id,
                              struct slice type);
void association_guid(char out[ASSOCIATION_GUID_SIZE], uint8_t bytes[GUID_SIZE]); /* version 4; changes the bytes */

/* --- the store's part --- */
struct jvalue;
enum err association_apply(struct store *s, const struct jvalue *key, const struct jvalue *value, int64_t timestamp_ms,
                           struct reason *why) MUST_CHECK;
void association_put_key(struct buf *out, const struct jvalue *key); /* canonical; nothing when members are missing */
void association_store_free(struct store *s);

#endif
