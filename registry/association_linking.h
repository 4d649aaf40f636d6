/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_ASSOCIATION_LINKING_H
#define CASTELLAN_REGISTRY_ASSOCIATION_LINKING_H

#include "registry/change_associations.h"
#include "registry/change_internal.h"

/* One request about a resource's associations while it is decided; for the deciding files only. */
struct linking {
    const struct change *c;
    struct decision *d;
    const struct association_request *r;
    struct answer *a;
    struct arena arena;
    bool dry_run, create;
    struct slice resource_type;
    struct association_wish *wishes; /* a copy: defaults are filled in */
    const struct association **old;  /* per wish; NULL: none yet */
    bool *skip;                      /* per wish: it is so already */
    struct slice *schemas;           /* per wish: the schema registered, as JSON */
    size_t n;
};

/* A copy of the wishes in the arena; false: no memory. The arena is the caller's to free in either case. */
bool linking_init(struct linking *l, const struct change *c, struct decision *d, const struct association_request *r,
                  const struct association_wish *wishes, size_t n, struct answer *a);
/* 42212 */
enum err linking_illegal(struct linking *l, const char *property, const char *detail) MUST_CHECK;
enum err linking_wrong_subject(struct linking *l, const char *who, const char *what, const char *subject) MUST_CHECK;
/* 40301, 42205, 40908 */
enum err linking_deny(struct linking *l, const char *what, struct slice name) MUST_CHECK;
enum err linking_refuse_mode(struct linking *l, struct slice subject) MUST_CHECK; /* when it may not be written */
enum err linking_refuse_frozen(struct answer *a, const struct association *old) MUST_CHECK;
bool linking_may(const struct linking *l, enum rest_right right, struct slice subject);
const char *linking_default_subject(struct linking *l, const struct association_wish *w); /* ":.ns:name-type" */

/* The request by itself; fills in defaults of what is created. */
enum err linking_check_request(struct linking *l) MUST_CHECK;
enum err linking_apply_defaults(struct linking *l, struct association_wish *w, bool create) MUST_CHECK;
/* The rest of creating or updating, through the decision's emit; the response's JSON is appended. */
enum err linking_link(struct linking *l, struct buf *out) MUST_CHECK;

void linking_put_resource(struct buf *out, const struct linking *l); /* opens the object */
void linking_put_info(struct buf *out, bool first, const struct association *a, struct slice schema);

#endif
