/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CHANGE_ASSOCIATIONS_H
#define CASTELLAN_REGISTRY_CHANGE_ASSOCIATIONS_H

#include "registry/association.h"
#include "registry/draft.h"

/* Requests that change associations. Strings belong to the JSON body, which the change owns, or to its arena. */

enum association_op { ASSOCIATION_CREATE, ASSOCIATION_UPSERT, ASSOCIATION_DELETE };
enum maybe { MAYBE_UNSET, MAYBE_NO, MAYBE_YES };

/* What is wished for one association of a resource. */
struct association_wish {
    enum association_op op;
    struct slice subject; /* null: by default */
    struct slice type;    /* null: "value" */
    enum lifecycle lifecycle;
    enum maybe frozen;
    bool has_schema, normalize;
    bool cascade;                     /* DELETE: the subject of a strong one goes too */
    struct draft draft;               /* owned */
    char guid[ASSOCIATION_GUID_SIZE]; /* for a new one; drawn before anything is decided */
};

struct association_request {
    struct slice resource_name, resource_namespace, resource_id, resource_type; /* null: not given */
    struct association_wish *wishes;
    size_t n;
    struct slice error; /* batches: an error the client brings, given back; JSON text, or null */
};

struct association_change {
    struct arena arena;
    json_t *body;
    struct slice context; /* ":.ctx:" for subjects that name none; may be empty */
    bool dry_run;
    struct association_request *requests; /* a single one but for batches */
    size_t n;
    /* deleting: what of requests[0].resource_id */
    const struct slice *types;
    size_t types_n;
    bool cascade;
};

struct association_change *association_change_new(void); /* NULL: no memory */
void association_change_free(struct association_change *c);

#endif
