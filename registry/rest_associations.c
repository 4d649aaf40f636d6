/* SPDX-License-Identifier: Apache-2.0
 * Associations over REST, served from release 8.2's shape on: reads by subject, by resource id and by name, and the
 * requests that change them, read here and decided on the ledger's thread.
 * A client is told of an association when it may read the association's subject. */
#include "registry/change_associations.h"
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include "core/base/env.h"

#include <stdlib.h>

enum {
    BATCH_MAX = 1000, /* requests of one batch */
    WISHES_MAX = 100  /* associations of one request */
};

static bool is_served(const struct rest_call *c)
{
    return c->settings->shape >= 82;
}

static enum err illegal(struct rest_call *c, const char *property, const char *detail)
{
    return answer_error(c->answer, API_INVALID_ASSOCIATION,
                        "The association specified an invalid value for property: '%s', detail: %s", property, detail);
}

/* --- reading --- */

struct asking {
    struct association_query query;
    struct slice types[REST_PARAMS_MAX];
    int32_t skip, left;
};

static enum err read_lifecycle(struct rest_call *c, enum lifecycle *out)
{
    struct slice text = rest_param(c->request, "lifecycle");
    *out = LIFECYCLE_UNSET;
    return slice_is_null(text) || lifecycle_parse(text, out) ? ERR_OK : rest_not_found(c);
}

static size_t read_types(const struct rest_call *c, struct slice types[REST_PARAMS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->request->param_count; i++)
        if (slice_eq_str(c->request->params[i].name, "associationType"))
            types[n++] = c->request->params[i].value;
    return n;
}

static enum err read_query(struct rest_call *c, struct asking *q)
{
    *q = (struct asking){0};
    q->query.resource_type = rest_param(c->request, "resourceType");
    if (!q->query.resource_type.n)
        q->query.resource_type = slice_str(ASSOCIATION_RESOURCE_TYPE);
    q->query.types = q->types;
    q->query.types_n = read_types(c, q->types);
    enum err e = read_lifecycle(c, &q->query.lifecycle);
    return e ? e : rest_page(c, c->settings->schema_limit_default, c->settings->schema_limit_max, &q->skip, &q->left);
}

static enum err put_found(struct rest_call *c, struct asking *q)
{
    struct association_list found;
    struct buf *out = &c->answer->body;
    bool any = false;
    enum err e = association_find(c->store, &q->query, &found);
    buf_put_str(out, "[");
    for (size_t i = 0; i < found.n && q->left > 0; i++) {
        if (!rest_allowed(c, RIGHT_READ, found.v[i]->subject) || q->skip-- > 0)
            continue;
        buf_put_str(out, any ? "," : "");
        association_put(out, found.v[i]);
        any = true;
        q->left--;
    }
    buf_put_str(out, "]");
    association_list_free(&found);
    return e;
}

enum err get_associations_of_subject(struct rest_call *c)
{
    struct asking q;
    if (!is_served(c))
        return rest_not_found(c);
    struct slice subject = rest_qualify(c, c->request->segments[2]);
    enum err e = rest_require(c, RIGHT_READ, subject);
    if (!e)
        e = read_query(c, &q);
    q.query.subject = subject;
    return e ? e : put_found(c, &q);
}

/* By the resource's id, or by its namespace and name. */
enum err get_associations_of_resource(struct rest_call *c)
{
    struct asking q;
    if (!is_served(c))
        return rest_not_found(c);
    enum err e = read_query(c, &q);
    if (c->request->segment_count == 3) {
        q.query.resource_id = c->request->segments[2];
    } else {
        q.query.resource_namespace = c->request->segments[2];
        q.query.resource_name = c->request->segments[3];
    }
    return e ? e : put_found(c, &q);
}

/* --- many reads at once --- */

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static enum maybe flag_of(const json_t *v)
{
    return json_is_true(v) ? MAYBE_YES : json_is_false(v) ? MAYBE_NO : MAYBE_UNSET;
}

static enum lifecycle lifecycle_of(const json_t *v)
{
    enum lifecycle l;
    (void)lifecycle_parse(text_of(v), &l);
    return l;
}

static void read_resource(const json_t *object, struct association_request *r)
{
    r->resource_name = text_of(json_object_get(object, "resourceName"));
    r->resource_namespace = text_of(json_object_get(object, "resourceNamespace"));
    r->resource_id = text_of(json_object_get(object, "resourceId"));
    r->resource_type = text_of(json_object_get(object, "resourceType"));
}

struct getting {
    struct association_request r;
    struct association_query query;
    struct slice *types;
    const char *wrong; /* what the request lacks; NULL: nothing */
};

static enum err read_get(struct rest_call *c, const json_t *object, struct getting *g)
{
    const json_t *types = json_object_get(object, "associationTypes");
    *g = (struct getting){0};
    read_resource(object, &g->r);
    g->query.lifecycle = lifecycle_of(json_object_get(object, "lifecycle"));
    g->types = arena_array(&c->request->arena, json_array_size(types) + 1, sizeof *g->types);
    if (!g->types)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < json_array_size(types); i++) {
        struct slice type = text_of(json_array_get(types, i));
        if (!slice_is_null(type))
            g->types[g->query.types_n++] = type;
    }
    g->query.types = g->types;
    if (!g->r.resource_type.n)
        g->r.resource_type = slice_str(ASSOCIATION_RESOURCE_TYPE);
    g->query.resource_type = g->r.resource_type;
    if (g->r.resource_id.n) {
        g->query.resource_id = g->r.resource_id;
    } else {
        g->query.resource_name = g->r.resource_name;
        g->query.resource_namespace = g->r.resource_namespace;
    }
    if (!g->r.resource_id.n && !g->r.resource_name.n)
        g->wrong = "property: resourceId; detail: either resourceId or resourceName must be specified";
    else if (g->r.resource_name.n && !g->r.resource_namespace.n)
        g->wrong = "property: resourceNamespace; detail: resourceNamespace is required when resourceName is specified";
    return ERR_OK;
}

static void put_latest(struct rest_call *c, struct slice subject, struct buf *out)
{
    const struct subject *u = store_subject(c->store, subject);
    const struct version *v = subject_latest(u, false);
    if (v)
        put_schema_entity(out, c->settings, subject, v, SLICE_NULL, true);
}

static bool same_resource(const struct association *a, const struct association *b)
{
    return slice_eq(a->resource_name, b->resource_name) && slice_eq(a->resource_namespace, b->resource_namespace) &&
           slice_eq(a->resource_id, b->resource_id) && slice_eq(a->resource_type, b->resource_type);
}

/* The first association tells what the request left open; all must then be of that resource. */
static const char *complete(struct rest_call *c, struct getting *g, struct association_list *found)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++)
        if (rest_allowed(c, RIGHT_READ, found->v[i]->subject))
            found->v[n++] = found->v[i];
    found->n = n;
    if (!n)
        return NULL;
    const struct association *first = found->v[0];
    struct slice *open[] = {&g->r.resource_name, &g->r.resource_namespace, &g->r.resource_id};
    const struct slice told[] = {first->resource_name, first->resource_namespace, first->resource_id};
    for (int i = 0; i < 3; i++)
        if (slice_is_null(*open[i]))
            *open[i] = told[i];
    struct association asked = {.resource_name = g->r.resource_name,
                                .resource_namespace = g->r.resource_namespace,
                                .resource_id = g->r.resource_id,
                                .resource_type = g->r.resource_type};
    for (size_t i = 0; i < n; i++)
        if (!same_resource(found->v[i], &asked))
            return "All associations must have the same resourceName, resourceNamespace, resourceId, and resourceType.";
    return NULL;
}

static enum err put_get_result(struct rest_call *c, struct getting *g, bool with_schemas)
{
    struct buf *out = &c->answer->body, schema;
    struct association_list found = {0};
    const char *wrong = g->wrong;
    enum err e = wrong ? ERR_OK : association_find(c->store, &g->query, &found);
    if (!e && !wrong)
        wrong = complete(c, g, &found);
    if (wrong) {
        buf_printf(out, "{\"error\":{\"error_code\":500,\"message\":\"Error while getting associations: %s\"}}", wrong);
        association_list_free(&found);
        return ERR_OK;
    }
    buf_init(&schema, 0);
    buf_put_str(out, "{\"result\":{");
    association_put_resource(out, g->r.resource_name, g->r.resource_namespace, g->r.resource_id, g->r.resource_type);
    for (size_t i = 0; i < found.n; i++) {
        buf_clear(&schema);
        if (with_schemas)
            put_latest(c, found.v[i]->subject, &schema);
        buf_put_str(out, i ? "," : ",\"associations\":[");
        association_put_info(out, found.v[i], schema.n ? buf_slice(&schema) : SLICE_NULL);
    }
    buf_put_str(out, found.n ? "]}}" : "}}");
    buf_free(&schema);
    association_list_free(&found);
    return e;
}

static enum err read_batch(struct rest_call *c, const struct bind_type *type, const char *parameter, json_t **body,
                           const json_t **list)
{
    enum err e = rest_body(c, type, parameter, body);
    *list = json_object_get(*body, "requests");
    if (!e && json_array_size(*list) == 0)
        e = illegal(c, "requests", "cannot be null or empty");
    if (!e && json_array_size(*list) > BATCH_MAX)
        e = illegal(c, "requests", "has more than 1000 requests");
    return e;
}

enum err post_associations_get(struct rest_call *c)
{
    json_t *body = NULL;
    const json_t *list;
    struct getting g;
    if (!is_served(c))
        return rest_not_found(c);
    enum err e = read_batch(c, &bind_association_get, "batchGetAssociations.arg1", &body, &list);
    for (size_t i = 0; i < json_array_size(list) && !e;
         i++) /* all or none: a body that cannot be read has no answers */
        e = read_get(c, json_array_get(list, i), &g);
    buf_put_str(&c->answer->body, e ? "" : "{\"results\":[");
    for (size_t i = 0; i < json_array_size(list) && !e; i++) {
        buf_put_str(&c->answer->body, i ? "," : "");
        e = read_get(c, json_array_get(list, i), &g);
        if (!e)
            e = put_get_result(c, &g, rest_flag(c->request, "includeSchemas"));
    }
    if (!e) {
        buf_put_str(&c->answer->body, "]}");
        c->answer->status = 207;
    }
    json_decref(body);
    return e;
}

/* --- changes --- */

static enum err read_wish(struct rest_call *c, const json_t *object, enum association_op op, struct association_wish *w)
{
    uint8_t bytes[GUID_SIZE];
    const json_t *schema = json_object_get(object, "schema");
    env_system()->random(env_system(), bytes, sizeof bytes);
    association_guid(w->guid, bytes);
    w->op = op;
    w->draft.id = -1;
    w->subject = text_of(json_object_get(object, "subject"));
    w->type = text_of(json_object_get(object, "associationType"));
    w->lifecycle = lifecycle_of(json_object_get(object, "lifecycle"));
    w->frozen = flag_of(json_object_get(object, "frozen"));
    w->normalize = flag_of(json_object_get(object, "normalize")) == MAYBE_YES;
    w->cascade = flag_of(json_object_get(object, "cascadeLifecycle")) == MAYBE_YES;
    w->has_schema = json_is_object(schema);
    return w->has_schema ? draft_read(&w->draft, schema, c->answer) : ERR_OK;
}

static enum err read_op(struct rest_call *c, const json_t *object, enum association_op *op)
{
    static const char *const names[] = {"CREATE", "UPSERT", "DELETE"};
    struct slice name = text_of(json_object_get(object, "opType"));
    for (int i = 0; i < 3; i++)
        if (slice_eq_str(name, names[i])) {
            *op = (enum association_op)i;
            return ERR_OK;
        }
    if (slice_is_null(name))
        return answer_error(c->answer, 400,
                            "Could not resolve subtype of `AssociationOp`: missing type id property 'opType' "
                            "(for POJO property 'associations')");
    return answer_error(c->answer, 400,
                        "Could not resolve type id '%.*s' as a subtype of `AssociationOp`: known type ids = [CREATE, "
                        "DELETE, UPSERT] (for POJO property 'associations')",
                        SLICE_FMT(name));
}

/* `op` NULL: each association names its own. */
static enum err read_request(struct rest_call *c, struct association_change *w, const json_t *object,
                             const enum association_op *op, struct association_request *r)
{
    const json_t *list = json_object_get(object, "associations");
    enum err e = ERR_OK;
    read_resource(object, r);
    if (json_array_size(list) > WISHES_MAX)
        return illegal(c, "associations", "has more than 100 associations");
    r->wishes = arena_array(&w->arena, json_array_size(list) + 1, sizeof *r->wishes);
    if (!r->wishes)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < json_array_size(list) && !e; i++) {
        enum association_op own = op ? *op : ASSOCIATION_CREATE;
        if (!op)
            e = read_op(c, json_array_get(list, i), &own);
        if (e)
            return e;
        r->n = i + 1; /* also when it fails: what was read is freed */
        e = read_wish(c, json_array_get(list, i), own, &r->wishes[i]);
    }
    return e;
}

static struct association_change *begin(struct rest_call *c, enum change_kind kind)
{
    struct change *n = rest_change_new(c, kind);
    if (!n)
        return NULL;
    struct association_change *w = n->associations = association_change_new();
    n->allowed = c->request->allowed;
    n->allowed_ctx = c->request->allowed_ctx;
    if (!w)
        return NULL;
    w->dry_run = rest_flag(c->request, "dryRun");
    w->context = slice_is_null(c->request->context) ? rest_param(c->request, "context") : c->request->context;
    return w;
}

static enum err begin_single(struct rest_call *c, enum change_kind kind, struct association_change **out)
{
    struct association_change *w = *out = begin(c, kind);
    if (!w || !(w->requests = arena_array(&w->arena, 1, sizeof *w->requests)))
        return ERR_NO_MEMORY;
    w->n = 1;
    return ERR_OK;
}

enum err post_associations(struct rest_call *c)
{
    static const enum association_op op = ASSOCIATION_CREATE;
    struct association_change *w;
    if (!is_served(c))
        return rest_not_found(c);
    enum err e = begin_single(c, CHANGE_ASSOCIATE, &w);
    if (!e)
        e = rest_body(c, &bind_associate, "createAssociation.arg4", &w->body);
    return e ? e : read_request(c, w, w->body, &op, &w->requests[0]);
}

enum err put_associations(struct rest_call *c)
{
    static const enum association_op op = ASSOCIATION_UPSERT;
    struct association_change *w;
    if (!is_served(c))
        return rest_not_found(c);
    enum err e = begin_single(c, CHANGE_ASSOCIATE, &w);
    if (!e)
        e = rest_body(c, &bind_associate, "createOrUpdateAssociation.arg5", &w->body);
    if (!e)
        e = read_request(c, w, w->body, &op, &w->requests[0]);
    if (e)
        return e;
    struct slice *id = &w->requests[0].resource_id;
    if (slice_is_null(*id))
        *id = c->request->segments[2];
    if (!slice_eq(*id, c->request->segments[2]))
        return illegal(c, "resourceId",
                       "Resource ID in the path parameter does not match the resource ID in the request body");
    return ERR_OK;
}

enum err delete_associations(struct rest_call *c)
{
    struct association_change *w;
    struct slice *types;
    if (!is_served(c))
        return rest_not_found(c);
    enum err e = begin_single(c, CHANGE_DISSOCIATE, &w);
    if (e || !(types = arena_array(&w->arena, REST_PARAMS_MAX, sizeof *types)))
        return ERR_NO_MEMORY;
    w->requests[0].resource_id = c->request->segments[2];
    w->requests[0].resource_type = rest_param(c->request, "resourceType");
    w->types_n = read_types(c, types);
    w->types = types;
    w->cascade = rest_flag(c->request, "cascadeLifecycle");
    return ERR_OK;
}

/* An error that the client brings in place of a request. */
static enum err read_error(struct association_change *w, const json_t *object, struct association_request *r)
{
    const json_t *error = json_object_get(object, "error");
    struct slice message = text_of(json_object_get(error, "message"));
    struct buf b;
    if (!json_is_object(error))
        return ERR_OK;
    buf_init(&b, 0);
    buf_printf(&b, "{\"error_code\":%lld", (long long)json_integer_value(json_object_get(error, "error_code")));
    if (message.n) {
        buf_put_str(&b, ",\"message\":");
        json_text_print_string(&b, message);
    }
    buf_put_str(&b, "}");
    r->error = arena_copy(&w->arena, buf_slice(&b));
    buf_free(&b);
    return slice_is_null(r->error) ? ERR_NO_MEMORY : ERR_OK;
}

enum err post_associations_change(struct rest_call *c)
{
    const json_t *list;
    if (!is_served(c))
        return rest_not_found(c);
    struct association_change *w = begin(c, CHANGE_ASSOCIATION_BATCH);
    enum err e = w ? read_batch(c, &bind_association_batch, "mutateAssociations.arg4", &w->body, &list) : ERR_NO_MEMORY;
    if (e)
        return e;
    w->requests = arena_array(&w->arena, json_array_size(list), sizeof *w->requests);
    if (!w->requests)
        return ERR_NO_MEMORY;
    w->n = json_array_size(list);
    for (size_t i = 0; i < w->n && !e; i++) {
        const json_t *object = json_array_get(list, i);
        e = read_request(c, w, object, NULL, &w->requests[i]);
        if (!e)
            e = read_error(w, object, &w->requests[i]);
    }
    return e;
}

/* --- GET /schemas --- */

bool rest_filters_associations(const struct rest_call *c, struct association_filter *f)
{
    *f = (struct association_filter){.resource_type = rest_param(c->request, "resourceType")};
    f->types_n = read_types(c, f->types);
    for (size_t i = 0; i < c->request->param_count; i++) {
        struct slice v = c->request->params[i].value;
        if (!slice_eq_str(c->request->params[i].name, "lifecycle"))
            continue;
        f->lifecycles = true;
        f->none |= slice_eq_str(v, "NONE");
        f->strong |= slice_eq_str(v, "STRONG");
        f->weak |= slice_eq_str(v, "WEAK");
        f->wrong |= !slice_eq_str(v, "NONE") && !slice_eq_str(v, "STRONG") && !slice_eq_str(v, "WEAK");
    }
    f->on = is_served(c) && (f->types_n || !slice_is_null(f->resource_type) || f->lifecycles);
    return !f->on || !f->wrong;
}

bool rest_fits_associations(const struct rest_call *c, const struct association_filter *f, struct slice subject,
                            struct buf *out)
{
    struct association_query q = {
        .subject = subject, .resource_type = f->resource_type, .types = f->types, .types_n = f->types_n};
    struct association_list found;
    bool any = false;
    if (!f->on)
        return true;
    if (association_find(c->store, &q, &found)) {
        association_list_free(&found);
        return false;
    }
    for (size_t i = 0; i < found.n; i++) {
        if (f->lifecycles && !(found.v[i]->lifecycle == LIFECYCLE_STRONG ? f->strong : f->weak))
            continue;
        buf_put_str(out, any ? "," : ",\"associations\":[");
        association_put(out, found.v[i]);
        any = true;
    }
    buf_put_str(out, any ? "]" : "");
    bool fits = any || (found.n == 0 && f->none);
    association_list_free(&found);
    return fits;
}
