/* SPDX-License-Identifier: Apache-2.0
 * Metadata may make a topic that does not exist. The right to describe it is not the right to make it, and before
 * version 4 the request has no flag to forbid it: what may not be made is therefore asked for apart. */
#include "gateway/metadata_plan.h"

static enum err check(const struct metadata_request *req, int16_t version, bool *by_id)
{
    for (int32_t i = 0; i < req->topics.n; i++) {
        bool id = !wire_uuid_is_zero(&req->topics.v[i].topic_id), name = !slice_is_null(req->topics.v[i].name);
        if (version < METADATA_IDS_SINCE && (id || !name))
            return ERR_INVALID_REQUEST;
        *by_id = *by_id || id;
    }
    for (int32_t i = 0; i < req->topics.n && !*by_id; i++)
        if (slice_is_null(req->topics.v[i].name))
            return ERR_UNKNOWN_SERVER_ERROR; /* as Kafka answers */
    return ERR_OK;
}

static void plan_ids(struct metadata_plan *out, const struct metadata_request *req)
{
    for (int32_t i = 0; i < req->topics.n; i++) {
        if (wire_uuid_is_zero(&req->topics.v[i].topic_id))
            continue;
        out->send.v[out->send.n] = req->topics.v[i];
        out->send.v[out->send.n++].name = SLICE_NULL;
    }
}

static void plan_names(struct metadata_plan *out, const struct metadata_request *req, int16_t version,
                       const struct metadata_rights *rights)
{
    bool creates = version < METADATA_CREATE_FLAG_SINCE || req->allow_auto_topic_creation;

    for (int32_t i = 0; i < req->topics.n; i++) {
        struct slice name = req->topics.v[i].name;
        enum err err = rights->describe(rights->ctx, name);

        if (err) {
            out->refused[out->refused_n++] = (struct metadata_refused){name, err};
            continue;
        }
        err = creates ? rights->create(rights->ctx, name) : ERR_OK;
        if (err)
            out->ask.v[out->ask.n++] = req->topics.v[i];
        else
            out->send.v[out->send.n++] = req->topics.v[i];
    }
}

enum err metadata_plan_make(struct metadata_plan *out, const struct metadata_request *req, int16_t version,
                            const struct metadata_rights *rights, struct arena *a)
{
    size_t n = req->topics.n > 0 ? (size_t)req->topics.n : 0;

    *out = (struct metadata_plan){0};
    out->whole = check(req, version, &out->by_id);
    out->refused = arena_array(a, n + 1, sizeof *out->refused);
    out->ask.v = arena_array(a, n + 1, sizeof *out->ask.v);
    out->send.v = arena_array(a, n + 1, sizeof *out->send.v);
    if (!out->refused || !out->ask.v || !out->send.v)
        return ERR_NO_MEMORY;
    if (out->whole)
        return ERR_OK;
    if (out->by_id)
        plan_ids(out, req);
    else
        plan_names(out, req, version, rights);
    return ERR_OK;
}

enum err metadata_refuse_whole(struct metadata_response *out, const struct metadata_request *req, enum err err,
                               struct arena *a)
{
    int32_t n = req->topics.n > 0 ? req->topics.n : 0;

    metadata_response_init(out);
    out->cluster_id = SLICE_NULL;
    out->controller_id = -1;
    if (!metadata_response_metadata_response_topic_array_alloc(&out->topics, n, a))
        return n ? ERR_NO_MEMORY : ERR_OK;
    for (int32_t i = 0; i < n; i++) {
        out->topics.v[i].name = slice_is_null(req->topics.v[i].name) ? slice_of("", 0) : req->topics.v[i].name;
        out->topics.v[i].topic_id = req->topics.v[i].topic_id;
        out->topics.v[i].error_code = err_kafka(err);
    }
    return ERR_OK;
}
