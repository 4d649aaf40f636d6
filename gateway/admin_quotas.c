/* SPDX-License-Identifier: Apache-2.0
 * DescribeClientQuotas and AlterClientQuotas (KIP-546). DESCRIBE_CONFIGS and ALTER_CONFIGS on the cluster. Each entity
 * of an alteration has its own result; those that pass the checks are one decision in the ledger. */
#include "core/base/log.h"
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "wire/alter_client_quotas.h"
#include "wire/describe_client_quotas.h"

typedef struct describe_client_quotas_response_entry_data described;
typedef struct alter_client_quotas_request_entry_data entry_request;
typedef struct alter_client_quotas_response_entry_data entry_answer;

static void no_memory(struct pending *p)
{
    pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

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

static bool put_entity(struct pending *p, described *out, const struct quota_entity *e, const struct quota_limits *l)
{
    if (!describe_client_quotas_response_entity_data_array_alloc(&out->entity, 3, &p->arena) ||
        !describe_client_quotas_response_value_data_array_alloc(&out->values, QUOTA_KEYS, &p->arena))
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

static enum err read_filter(const struct pending *p, struct quota_filter *f, struct reason *why)
{
    const struct describe_client_quotas_request *req = p->body;
    enum err err = ERR_OK;

    if (!admin_may(p, ACL_DESCRIBE_CONFIGS))
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    f->strict = req->strict;
    for (int32_t i = 0; !err && i < req->components.n; i++)
        err = quota_filter_add(f, req->components.v[i].entity_type, req->components.v[i].match_type,
                               req->components.v[i].match, why);
    return err ? err : quota_filter_validate(f, why);
}

void handle_describe_client_quotas(struct pending *p)
{
    const struct quota_snapshot *s = p->session->worker->view->quotas;
    struct describe_client_quotas_response resp;
    struct quota_filter f = {.strict = false};
    struct reason why = {0};
    enum err err = read_filter(p, &f, &why);
    int32_t n = 0;

    describe_client_quotas_response_init(&resp);
    if (err) {
        resp.error_code = err_kafka(err);
        resp.error_message = admin_words(p, err, &why);
        resp.entries.n = -1;
        pending_answer(p, &resp);
        return;
    }
    for (size_t i = 0; i < quota_snapshot_count(s); i++)
        n += quota_filter_matches(&f, quota_snapshot_entity(s, i));
    if (!describe_client_quotas_response_entry_data_array_alloc(&resp.entries, n, &p->arena))
        return no_memory(p);
    n = 0;
    for (size_t i = 0; i < quota_snapshot_count(s); i++) {
        const struct quota_entity *e = quota_snapshot_entity(s, i);
        if (quota_filter_matches(&f, e) && !put_entity(p, &resp.entries.v[n++], e, quota_snapshot_limits(s, i)))
            return no_memory(p);
    }
    pending_answer(p, &resp);
}

/* ---- AlterClientQuotas ---- */

struct altering {
    struct alter_client_quotas_response response;
    struct quota_entity *entities; /* one per entry */
};

static void altered(struct pending *p, enum err err, const struct reason *why)
{
    struct altering *a = p->filter;

    for (int32_t i = 0; err && i < a->response.entries.n; i++) {
        if (a->response.entries.v[i].error_code)
            continue;
        a->response.entries.v[i].error_code = err_kafka(err);
        a->response.entries.v[i].error_message = admin_words(p, err, why);
    }
    pending_answer(p, &a->response);
}

static enum err read_entity(const struct pending *p, const entry_request *in, struct quota_entity *out,
                            struct reason *why)
{
    enum err err = ERR_OK;

    if (!admin_may(p, ACL_ALTER_CONFIGS))
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

static bool mirror_entity(struct pending *p, const entry_request *in, entry_answer *out)
{
    if (!alter_client_quotas_response_entity_data_array_alloc(&out->entity, in->entity.n, &p->arena))
        return false;
    for (int32_t i = 0; i < in->entity.n; i++) {
        out->entity.v[i].entity_type = in->entity.v[i].entity_type;
        out->entity.v[i].entity_name = in->entity.v[i].entity_name;
    }
    out->error_message = SLICE_NULL;
    return true;
}

static enum err read_entry(struct pending *p, int32_t i, struct knowledge_change *change, struct reason *why)
{
    const struct alter_client_quotas_request *req = p->body;
    struct altering *a = p->filter;
    enum err err = read_entity(p, &req->entries.v[i], &a->entities[i], why);

    for (int32_t k = 0; !err && k < i; k++) /* entries are few */
        if (!a->response.entries.v[k].error_code && quota_entity_eq(&a->entities[k], &a->entities[i]))
            err = reason_set(why, ERR_INVALID_REQUEST, "Duplicate client quota entity in the request");
    return err ? err : read_ops(&req->entries.v[i], &a->entities[i], change, why);
}

void handle_alter_client_quotas(struct pending *p)
{
    const struct alter_client_quotas_request *req = p->body;
    struct altering *a = p->filter = arena_alloc(&p->arena, sizeof *a);
    struct knowledge_change change = {.quotas_n = 0};
    size_t ops = 0;

    for (int32_t i = 0; i < req->entries.n; i++)
        ops += (size_t)req->entries.v[i].ops.n;
    change.quotas = arena_array(&p->arena, ops, sizeof *change.quotas);
    if (a)
        a->entities = arena_array(&p->arena, (size_t)req->entries.n, sizeof *a->entities);
    if (!a || !a->entities || !change.quotas)
        return no_memory(p);
    alter_client_quotas_response_init(&a->response);
    if (!alter_client_quotas_response_entry_data_array_alloc(&a->response.entries, req->entries.n, &p->arena))
        return no_memory(p);
    for (int32_t i = 0; i < req->entries.n; i++) {
        entry_answer *out = &a->response.entries.v[i];
        struct reason why = {0};
        enum err err;

        if (!mirror_entity(p, &req->entries.v[i], out))
            return no_memory(p);
        err = read_entry(p, i, &change, &why);
        if (err) {
            out->error_code = err_kafka(err);
            out->error_message = admin_words(p, err, &why);
        }
    }
    if (change.quotas_n == 0 || req->validate_only) {
        pending_answer(p, &a->response);
        return;
    }
    log_info("%.*s changes %zu quotas", SLICE_FMT(session_principal(p->session)), change.quotas_n);
    admin_submit(p, &change, altered);
}
