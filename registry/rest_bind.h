/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_REST_BIND_H
#define CASTELLAN_REGISTRY_REST_BIND_H

#include "registry/answer.h"
#include <jansson.h>

/* Request bodies, read as the reference's framework (Jackson) binds them to its classes: scalars are coerced to the
 * member's type, foreign members are dropped, and what cannot be coerced is a 400 with Jackson's words. Handlers then
 * see members of the right type or null, nothing else. */
struct bind_type;

extern const struct bind_type bind_register;          /* RegisterSchemaRequest */
extern const struct bind_type bind_config;            /* ConfigUpdateRequest */
extern const struct bind_type bind_mode;              /* ModeUpdateRequest; a bare JSON string is the mode */
extern const struct bind_type bind_tags;              /* TagSchemaRequest */
extern const struct bind_type bind_associate;         /* AssociationCreateOrUpdateRequest */
extern const struct bind_type bind_association_get;   /* AssociationBatchGetRequest */
extern const struct bind_type bind_association_batch; /* AssociationBatchRequest; an operation's kind is a text */
extern const struct bind_type bind_texts;             /* a map of strings */

/* *out: a new reference, NULL for an absent body (empty, blanks, null). ERR_CONFLICT: answered 400. */
enum err bind_body(const struct bind_type *type, struct slice body, json_t **out, struct answer *a) MUST_CHECK;

#endif
