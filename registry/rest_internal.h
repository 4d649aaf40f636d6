/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_REST_INTERNAL_H
#define CASTELLAN_REGISTRY_REST_INTERNAL_H

#include "registry/rest.h"
#include "registry/rest_bind.h"

/* One request being served. */
struct rest_call {
    const struct rest_server *server;
    const struct store *store;
    const struct api_settings *settings;
    struct rest_request *request;
    struct answer *answer;
    struct change *change; /* made by handlers that write */
    struct slice subject;  /* {subject}, normal form, alias replaced where the route says so; null when none */
};

typedef enum err (*rest_handler)(struct rest_call *c);

struct slice rest_param(const struct rest_request *r, const char *name); /* null when absent */
bool rest_flag(const struct rest_request *r, const char *name);
/* An integer parameter; ERR_CONFLICT: answered 404, as the reference's framework does. */
enum err rest_int(struct rest_call *c, const char *name, int32_t fallback, int32_t *out) MUST_CHECK;
enum err rest_page(struct rest_call *c, int limit_default, int limit_max, int32_t *offset, int32_t *limit) MUST_CHECK;
struct slice rest_qualify(struct rest_call *c, struct slice subject); /* with the path's context; normal form */
struct slice rest_alias(struct rest_call *c, struct slice subject);
bool rest_allowed(const struct rest_call *c, enum rest_right right, struct slice subject);
enum err rest_require(struct rest_call *c, enum rest_right right, struct slice subject) MUST_CHECK; /* answers 403 */
/* READ on everything a schema under `parent` refers to (deep: also what that refers to in turn); answers 403. */
enum err rest_require_references(struct rest_call *c, struct slice parent, const struct schema_ref *refs, size_t n,
                                 bool deep) MUST_CHECK;
/* ALTER_CONFIGS on every subject at or below c->subject that has a mode of its own; answers 403. */
enum err rest_require_modes_below(struct rest_call *c) MUST_CHECK;
/* DELETE on every softly deleted subject at or below c->subject; answers 403. */
enum err rest_require_deleted_below(struct rest_call *c) MUST_CHECK;
/* The contexts, apart from the default one, with a subject whose name may be known. */
void rest_seen_contexts(const struct rest_call *c, struct map *out);
/* The body, bound to `type`; answers 400, and 422 when there is none: `parameter` is what it is called then. */
enum err rest_body(struct rest_call *c, const struct bind_type *type, const char *parameter, json_t **out) MUST_CHECK;
bool rest_parse_int(struct slice s, int32_t *out); /* 32 bits, decimal, a sign, nothing else */
enum err rest_version(struct rest_call *c, struct slice text, int32_t *out) MUST_CHECK; /* answers 42202 */
/* The text in the `format` asked for; null when that is the stored one. `out` holds it; answers 42201. */
enum err rest_formatted(struct rest_call *c, struct slice subject, const struct content *content, struct buf *out,
                        struct slice *text) MUST_CHECK;
/* The version a path names, also in other contexts when the subject is unqualified; answers 404 and 422. */
enum err rest_find_version(struct rest_call *c, struct slice text, bool deleted, const struct subject **u,
                           const struct version **v) MUST_CHECK;
struct content *rest_qualified_references(struct rest_call *c, struct slice subject, const struct content *k);
enum err rest_invalid_subject(struct rest_call *c) MUST_CHECK; /* answers 42208 */
enum err rest_not_found(struct rest_call *c) MUST_CHECK;       /* the framework's plain 404 */
/* What ?findTags= asks for, with a comma before it; nothing when it asks for nothing. */
enum err rest_put_tags(struct rest_call *c, struct slice subject, const struct content *content,
                       struct buf *out) MUST_CHECK;
struct change *rest_change_new(struct rest_call *c, enum change_kind kind); /* c->change; NULL: no memory */

/* GET /schemas?resourceType=&associationType=&lifecycle= */
struct association_filter {
    struct slice resource_type, types[REST_PARAMS_MAX];
    size_t types_n;
    bool on, lifecycles, none, strong, weak, wrong;
};
/* false: a lifecycle that is none. */
bool rest_filters_associations(const struct rest_call *c, struct association_filter *f);
/* Does the subject belong in the list? Appends the member "associations", with a comma before it, when it has some. */
bool rest_fits_associations(const struct rest_call *c, const struct association_filter *f, struct slice subject,
                            struct buf *out);

/* A JSON array being written, with offset and limit. */
struct page {
    struct buf *out;
    int32_t skip, left;
    bool any;
};
/* Opens the array; `schemas`: the limits for schemas apply. */
enum err page_open(struct rest_call *c, bool schemas, struct page *p) MUST_CHECK;
bool page_takes(struct page *p); /* is the next element to be written? */

enum err get_root(struct rest_call *c);
enum err post_root(struct rest_call *c);
enum err get_schemas(struct rest_call *c);
enum err get_types(struct rest_call *c);
enum err get_id(struct rest_call *c);
enum err get_id_schema(struct rest_call *c);
enum err get_id_subjects(struct rest_call *c);
enum err get_id_versions(struct rest_call *c);
enum err get_guid(struct rest_call *c);
enum err get_guid_ids(struct rest_call *c);
enum err get_subjects(struct rest_call *c);
enum err post_lookup(struct rest_call *c);
enum err get_subject_metadata(struct rest_call *c);
enum err get_versions(struct rest_call *c);
enum err get_version(struct rest_call *c);
enum err get_version_schema(struct rest_call *c);
enum err get_referenced_by(struct rest_call *c);
enum err post_compatibility(struct rest_call *c);
enum err get_config(struct rest_call *c);
enum err get_mode(struct rest_call *c);
enum err get_contexts(struct rest_call *c);
enum err get_metadata_id(struct rest_call *c);
enum err get_metadata_version(struct rest_call *c);
enum err get_metadata_deployment(struct rest_call *c);
enum err get_live(struct rest_call *c);
enum err get_ready(struct rest_call *c);
enum err get_metrics(struct rest_call *c);
enum err get_openapi(struct rest_call *c);

enum err get_associations_of_subject(struct rest_call *c);
enum err get_associations_of_resource(struct rest_call *c);
enum err post_associations_get(struct rest_call *c);

enum err post_associations(struct rest_call *c);
enum err put_associations(struct rest_call *c);
enum err delete_associations(struct rest_call *c);
enum err post_associations_change(struct rest_call *c);
enum err post_version(struct rest_call *c);
enum err post_tags(struct rest_call *c);
enum err delete_subject(struct rest_call *c);
enum err delete_version(struct rest_call *c);
enum err put_config_route(struct rest_call *c);
enum err delete_config(struct rest_call *c);
enum err put_mode(struct rest_call *c);
enum err delete_mode(struct rest_call *c);
enum err delete_context(struct rest_call *c);

#endif
