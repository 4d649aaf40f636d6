/* SPDX-License-Identifier: Apache-2.0
 * Metadata may make a topic that does not exist. The right to describe it is not the right to make it, and before
 * version 4 the request has no flag to forbid it: what may not be made is therefore asked for apart. */
#include "gateway/api/metadata_plan.h"

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

enum err metadata_plan_begin(struct metadata_plan *out, const struct metadata_request *req, int16_t version,
                             struct arena *a)
{
    size_t n = req->topics.n > 0 ? (size_t)req->topics.n : 0;

    *out = (struct metadata_plan){0};
    out->whole = check(req, version, &out->by_id);
    if (out->whole || n == 0)
        return ERR_OK;
    out->refused = arena_array_unset(a, n, sizeof *out->refused);
    out->ask.v = arena_array_unset(a, n, sizeof *out->ask.v);
    out->send.v = arena_array_unset(a, n, sizeof *out->send.v);
    return out->refused && out->ask.v && out->send.v ? ERR_OK : ERR_NO_MEMORY;
}

void metadata_plan_next(struct metadata_plan *p, const struct metadata_request *req, int16_t version,
                        const struct metadata_rights *rights)
{
    const struct metadata_request_metadata_request_topic *t = &req->topics.v[p->at++];
    bool creates = version < METADATA_CREATE_FLAG_SINCE || req->allow_auto_topic_creation;
    enum err err;

    if (p->by_id) {
        if (wire_uuid_is_zero(&t->topic_id))
            return;
        p->send.v[p->send.n] = *t;
        p->send.v[p->send.n++].name = SLICE_NULL;
        return;
    }
    err = rights->describe(rights->ctx, t->name);
    if (err)
        p->refused[p->refused_n++] = (struct metadata_refused){t->name, err};
    else if (creates && rights->create(rights->ctx, t->name))
        p->ask.v[p->ask.n++] = *t;
    else
        p->send.v[p->send.n++] = *t;
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
