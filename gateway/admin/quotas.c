/* SPDX-License-Identifier: Apache-2.0
 * DescribeClientQuotas and AlterClientQuotas (KIP-546). DESCRIBE_CONFIGS and ALTER_CONFIGS on the cluster. Each entity
 * of an alteration has its own result; those that pass the checks are one decision in the ledger. */
#include "core/base/log.h"
#include "core/base/map.h"
#include "gateway/admin/change.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "wire/alter_client_quotas.h"
#include "wire/describe_client_quotas.h"

typedef struct describe_client_quotas_response_entry_data described;
typedef struct alter_client_quotas_request_entry_data entry_request;
typedef struct alter_client_quotas_response_entry_data entry_answer;

/* ---- DescribeClientQuotas ---- */

static void put_part(described *out, const char *type, const struct quota_part *part)
{
    struct describe_client_quotas_response_entity_data *e;

    if (part->kind == QUOTA_ABSENT)
        return;
    e = &out->entity.v[out->entity.n++];
    e->entity_type = slice_str(type);
    e->entity_name = part->kind == QUOTA_DEFAULT ? SLICE_NULL : part->name;
}

static bool put_entity(struct request *r, described *out, const struct quota_entity *e, const struct quota_limits *l)
{
    if (!describe_client_quotas_response_entity_data_array_alloc(&out->entity, 3, &r->arena) ||
        !describe_client_quotas_response_value_data_array_alloc(&out->values, QUOTA_KEYS, &r->arena))
        return false;
    out->entity.n = out->values.n = 0;
    put_part(out, "user", &e->user);
    put_part(out, "client-id", &e->client_id);
    put_part(out, "ip", &e->ip);
    for (int k = 0; k < QUOTA_KEYS; k++) {
        if (!l->set[k])
            continue;
        out->values.v[out->values.n].key = slice_str(quota_key_name((enum quota_key)k));
        out->values.v[out->values.n++].value = l->value[k];
    }
    return true;
}

static enum err read_filter(const struct request *r, struct quota_filter *f, struct reason *why)
{
    const struct describe_client_quotas_request *req = r->body;
    enum err err = ERR_OK;

    if (!request_may_cluster(r, ACL_DESCRIBE_CONFIGS))
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    f->strict = req->strict;
    for (int32_t i = 0; !err && i < req->components.n; i++)
        err = quota_filter_add(f, req->components.v[i].entity_type, req->components.v[i].match_type,
                               req->components.v[i].match, why);
    return err ? err : quota_filter_validate(f, why);
}

struct describing {
    struct describe_client_quotas_response response;
    struct quota_snapshot *quotas; /* held: the answer points into it, and the view may be replaced meanwhile */
    struct quota_filter filter;
    int32_t matches;
    size_t counted, at;
};

static void drop_quotas(void *p)
{
    quota_snapshot_unref(p);
}

static struct describing *begin_describing(struct request *r, enum err *err, struct reason *why)
{
    struct describing *d = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *d);

    if (!d)
        return NULL;
    describe_client_quotas_response_init(&d->response);
    d->quotas = quota_snapshot_ref(r->engine->view->quotas);
    if (!request_own(r, d->quotas, drop_quotas))
        return NULL;
    *err = read_filter(r, &d->filter, why);
    return d;
}

static bool matches(const struct describing *d, size_t i)
{
    return quota_filter_matches(&d->filter, quota_snapshot_entity(d->quotas, i));
}

/* Counts, then fills in. */
static enum step describe(struct request *r, struct describing *d)
{
    size_t n = quota_snapshot_count(d->quotas);

    while (d->counted < n) {
        d->matches += matches(d, d->counted++);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (!d->response.entries.v) {
        d->response.entries.v = arena_array_unset(&r->arena, (size_t)d->matches, sizeof *d->response.entries.v);
        if (!d->response.entries.v)
            return request_no_memory(r);
    }
    while (d->at < n) {
        size_t i = d->at++;
        described *out = &d->response.entries.v[d->response.entries.n];
        if (matches(d, i)) {
            describe_client_quotas_response_entry_data_init(out);
            d->response.entries.n++;
            if (!put_entity(r, out, quota_snapshot_entity(d->quotas, i), quota_snapshot_limits(d->quotas, i)))
                return request_no_memory(r);
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &d->response);
}

enum step describe_client_quotas_answer(struct request *r)
{
    struct describing *d = r->state[FILTER_API];
    struct reason why = {0};
    enum err err = ERR_OK;

    if (!d && !(d = begin_describing(r, &err, &why)))
        return request_no_memory(r);
    if (!err)
        return describe(r, d);
    d->response.error_code = err_kafka(err);
    d->response.error_message = request_words(r, err, &why);
    d->response.entries.n = -1;
    return request_reply(r, &d->response);
}

/* ---- AlterClientQuotas ---- */

struct altering {
    struct change_outcome outcome;
    struct alter_client_quotas_response response;
    struct quota_entity *entities; /* one per entry */
    struct map seen;               /* texts of the entities without an error */
    struct knowledge_change change;
    int32_t at;         /* entries read */
    struct slice words; /* of the outcome, when it is an error */
    int32_t answered;
    bool may, submitted;
};

static enum step altered(struct request *r, struct altering *a)
{
    if (a->outcome.err && a->answered == 0)
        a->words = request_words(r, a->outcome.err, &a->outcome.why);
    while (a->outcome.err && a->answered < a->response.entries.n) {
        entry_answer *out = &a->response.entries.v[a->answered++];
        if (!out->error_code) {
            out->error_code = err_kafka(a->outcome.err);
            out->error_message = a->words;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &a->response);
}

static enum err read_entity(const struct altering *a, const entry_request *in, struct quota_entity *out,
                            struct reason *why)
{
    enum err err = ERR_OK;

    if (!a->may)
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    for (int32_t i = 0; !err && i < in->entity.n; i++)
        err = quota_entity_set(out, in->entity.v[i].entity_type, in->entity.v[i].entity_name, why);
    return err ? err : quota_entity_validate(out, why);
}

/* One entry's operations, appended to the change. Nothing is appended when one of them is wrong. */
static enum err read_ops(const entry_request *in, const struct quota_entity *e, struct knowledge_change *change,
                         struct reason *why)
{
    size_t before = change->quotas_n;
    bool seen[QUOTA_KEYS] = {false};
    enum err err = ERR_OK;

    for (int32_t i = 0; !err && i < in->ops.n; i++) {
        enum quota_key key = QUOTA_PRODUCER_BYTE_RATE;
        bool remove = in->ops.v[i].remove;

        err = quota_value_validate(e, in->ops.v[i].key, remove ? 1 : in->ops.v[i].value, &key, why);
        if (!err && seen[key])
            err = reason_set(why, ERR_INVALID_REQUEST, "Duplicate quota key %s", quota_key_name(key));
        if (err)
            break;
        seen[key] = true;
        change->quotas[change->quotas_n].entity = *e;
        change->quotas[change->quotas_n].key = key;
        change->quotas[change->quotas_n].remove = remove;
        change->quotas[change->quotas_n++].value = in->ops.v[i].value;
    }
    if (err)
        change->quotas_n = before;
    return err;
}

static bool mirror_entity(struct request *r, const entry_request *in, entry_answer *out)
{
    if (!alter_client_quotas_response_entity_data_array_alloc(&out->entity, in->entity.n, &r->arena))
        return false;
    for (int32_t i = 0; i < in->entity.n; i++) {
        out->entity.v[i].entity_type = in->entity.v[i].entity_type;
        out->entity.v[i].entity_name = in->entity.v[i].entity_name;
    }
    out->error_message = SLICE_NULL;
    return true;
}

/* Was the entity named before, by an entry without an error? */
static enum err check_twice(struct altering *a, const struct quota_entity *e, struct reason *why)
{
    struct buf key;
    enum err err;

    buf_init(&key, 0);
    quota_entity_put(&key, e);
    err = buf_error(&key);
    if (!err && map_has(&a->seen, buf_slice(&key)))
        err = reason_set(why, ERR_INVALID_REQUEST, "Duplicate client quota entity in the request");
    if (!err)
        err = map_put(&a->seen, buf_slice(&key), a, NULL);
    buf_free(&key);
    return err;
}

static enum err read_entry(struct altering *a, const entry_request *in, int32_t i, struct reason *why)
{
    enum err err = read_entity(a, in, &a->entities[i], why);

    if (!err)
        err = check_twice(a, &a->entities[i], why);
    return err ? err : read_ops(in, &a->entities[i], &a->change, why);
}

static void free_seen(void *p)
{
    map_free(p, NULL);
}

static struct altering *begin_altering(struct request *r)
{
    const struct alter_client_quotas_request *req = r->body;
    struct altering *a = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *a);
    size_t ops = 0;

    if (!a)
        return NULL;
    map_init(&a->seen);
    if (!request_own(r, &a->seen, free_seen))
        return NULL;
    for (int32_t i = 0; i < req->entries.n; i++)
        ops += (size_t)req->entries.v[i].ops.n;
    request_spent(r, req->entries.n);
    a->may = request_may_cluster(r, ACL_ALTER_CONFIGS);
    a->change.quotas = arena_array(&r->arena, a->may ? ops : 0, sizeof *a->change.quotas);
    a->entities = arena_array(&r->arena, (size_t)req->entries.n, sizeof *a->entities);
    alter_client_quotas_response_init(&a->response);
    if (!a->entities || !a->change.quotas ||
        !alter_client_quotas_response_entry_data_array_alloc(&a->response.entries, req->entries.n, &r->arena))
        return NULL;
    return a;
}

enum step alter_client_quotas_answer(struct request *r)
{
    const struct alter_client_quotas_request *req = r->body;
    struct altering *a = r->state[FILTER_API];

    if (!a && !(a = begin_altering(r)))
        return request_no_memory(r);
    if (a->submitted)
        return altered(r, a);
    while (a->at < req->entries.n) {
        int32_t i = a->at++;
        entry_answer *out = &a->response.entries.v[i];
        struct reason why = {0};
        enum err err;

        if (!mirror_entity(r, &req->entries.v[i], out))
            return request_no_memory(r);
        err = read_entry(a, &req->entries.v[i], i, &why);
        if (err) {
            out->error_code = err_kafka(err);
            out->error_message = why.code ? request_words(r, err, &why) : slice_str(err_text(err));
        }
        if (request_spent(r, 1 + req->entries.v[i].ops.n))
            return STEP_AGAIN;
    }
    if (a->change.quotas_n == 0 || req->validate_only)
        return request_reply(r, &a->response);
    log_info("%.*s changes %zu quotas", SLICE_FMT(request_peer(r)->principal), a->change.quotas_n);
    a->submitted = true;
    return change_submit(r, &a->outcome, &a->change) == STEP_WAIT ? STEP_WAIT : altered(r, a);
}
