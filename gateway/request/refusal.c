/* SPDX-License-Identifier: Apache-2.0
 * Refusals, by a table of field names and the messages' own tables: which list of the request is mirrored in the
 * answer, what is copied from each element, and where the error stands. The few answers that are built otherwise have a
 * function of their own. Every answer is held against bytes of Kafka's clients library by a test. */
#include "gateway/request/refusal_table.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/alter_user_scram_credentials.h"
#include "wire/api_versions.h"
#include "wire/create_delegation_token.h"
#include "wire/keys.h"
#include "wire/write_txn_markers.h"

#include <stdlib.h>

static const struct refusal_row *row_of(int16_t key, int16_t version)
{
    for (const struct refusal_row *row = refusal_rows; row->key >= 0; row++)
        if (row->key == key && version >= row->min && version <= row->max)
            return row;
    return NULL;
}

bool refusal_is_known(int16_t api_key)
{
    return row_of(api_key, 0) != NULL;
}

/* ---- Reaching into structs ---- */

static const struct wire_field *field_of(const struct wire_struct *s, const char *name, int16_t version)
{
    for (size_t i = 0; name && i < s->field_count; i++)
        if (strcmp(s->fields[i].name, name) == 0 && wire_versions_has(s->fields[i].versions, version))
            return &s->fields[i];
    return NULL;
}

static void *at(const void *m, const struct wire_field *f)
{
    return (uint8_t *)(uintptr_t)m + f->offset;
}

static size_t element_size(const struct wire_field *f)
{
    return f->type == WIRE_STRUCT ? f->body->size : f->type == WIRE_STRING ? sizeof(struct slice) : sizeof(int32_t);
}

static size_t value_size(const struct wire_field *f)
{
    switch (f->type) {
    case WIRE_INT8:
        return 1;
    case WIRE_INT16:
        return 2;
    case WIRE_INT32:
        return 4;
    case WIRE_INT64:
        return 8;
    case WIRE_UUID:
        return sizeof(struct wire_uuid);
    case WIRE_STRING:
        return sizeof(struct slice);
    default: /* the table names no others, says refusal_check_table() */
        return 0;
    }
}

/* ---- Filling ---- */

static void put_code(const struct wire_struct *s, void *m, int16_t version, unsigned flags, enum err err)
{
    const struct wire_field *code = field_of(s, "ErrorCode", version), *text = field_of(s, "ErrorMessage", version);

    if (!code)
        code = field_of(s, "PartitionErrorCode", version);
    if (code)
        *(int16_t *)at(m, code) = err_kafka(err);
    if (text)
        *(struct slice *)at(m, text) = flags & TEXT ? slice_str(err_text(err)) : SLICE_NULL;
}

static void put_unknown(const struct refusal_row *row, const struct wire_struct *s, void *m, int16_t version)
{
    for (int i = 0; i < UNKNOWNS_MAX; i++) {
        const struct wire_field *f = field_of(s, row->unknown[i], version);
        if (f)
            memset(at(m, f), 0xff, value_size(f));
    }
}

/* `in` is an element of the request's list `from`, `out` the struct that answers it. */
static void put_copies(const struct refusal_copy *copies, const struct wire_field *from, const void *in,
                       const struct wire_struct *s, void *out, int16_t version, bool empty_for_null)
{
    for (int i = 0; i < COPIES_MAX && copies[i].to; i++) {
        const struct wire_field *to = field_of(s, copies[i].to, version);
        const struct wire_field *value = copies[i].from ? field_of(from->body, copies[i].from, version) : from;
        if (!to || !value)
            continue;
        memcpy(at(out, to), copies[i].from ? at(in, value) : in, value_size(to));
        if (empty_for_null && to->type == WIRE_STRING && slice_is_null(*(struct slice *)at(out, to)))
            *(struct slice *)at(out, to) = slice_str("");
    }
}

/* Makes the answer's list as long as the request's. False: no memory. */
static bool make_list(const struct wire_array *from, const struct wire_field *to, struct wire_array *list,
                      struct arena *a)
{
    list->n = from->n > 0 ? from->n : 0;
    list->v = arena_array(a, (size_t)list->n, to->body->size);
    for (int32_t i = 0; list->v && i < list->n; i++)
        to->body->init((uint8_t *)list->v + (size_t)i * to->body->size);
    return list->v != NULL;
}

static enum err mirror_sub(const struct refusal_row *row, const struct wire_field *from, const void *in,
                           const struct wire_field *to, void *out, int16_t version, enum err err, struct arena *a)
{
    const struct wire_field *sub_from = field_of(from->body, row->sub_from, version);
    const struct wire_field *sub_to = field_of(to->body, row->sub_to, version);
    const struct wire_array *have;
    struct wire_array *list;

    if (!sub_from || !sub_to)
        return ERR_OK;
    have = at(in, sub_from);
    list = at(out, sub_to);
    if (!make_list(have, sub_to, list, a))
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < list->n; i++) {
        const uint8_t *e = (const uint8_t *)have->v + (size_t)i * element_size(sub_from);
        uint8_t *o = (uint8_t *)list->v + (size_t)i * sub_to->body->size;
        put_copies(row->sub_copy, sub_from, e, sub_to->body, o, version, false);
        put_unknown(row, sub_to->body, o, version);
        if (!(row->flags & (ITEM_CODE | NO_ITEM_CODE)))
            put_code(sub_to->body, o, version, row->flags, err);
    }
    return ERR_OK;
}

static enum err mirror(const struct refusal_row *row, const struct wire_api *api, const void *request, void *response,
                       int16_t version, enum err err, struct arena *a)
{
    const struct wire_field *from = field_of(api->request->body, row->from, version);
    const struct wire_field *to = field_of(api->response->body, row->to, version);
    const struct wire_array *have;
    struct wire_array *list;
    enum err wrong = ERR_OK;

    if (!from || !to || !request)
        return ERR_OK;
    have = at(request, from);
    list = at(response, to);
    if (!make_list(have, to, list, a))
        return ERR_NO_MEMORY;
    for (int32_t i = 0; !wrong && i < list->n; i++) {
        const uint8_t *e = (const uint8_t *)have->v + (size_t)i * element_size(from);
        uint8_t *o = (uint8_t *)list->v + (size_t)i * to->body->size;
        put_copies(row->copy, from, e, to->body, o, version, row->flags & NULL_NAME_EMPTY);
        if (!row->sub_from)
            put_unknown(row, to->body, o, version);
        if (!(row->flags & NO_ITEM_CODE) && (!row->sub_from || row->flags & ITEM_CODE))
            put_code(to->body, o, version, row->flags, err);
        if (row->sub_from)
            wrong = mirror_sub(row, from, e, to, o, version, err, a);
    }
    return wrong;
}

/* What stands beside a code, where the description's own default is not what Kafka sends. */
static void put_rest(const struct wire_api *api, int16_t version, const void *request, void *response)
{
    const struct wire_field *in = field_of(api->request->body, "SessionId", version), *out;

    if (api->key == WIRE_FETCH && in && (out = field_of(api->response->body, "SessionId", version)))
        memcpy(at(response, out), at(request, in), sizeof(int32_t));
    if (api->key == WIRE_JOIN_GROUP && (out = field_of(api->response->body, "ProtocolName", version)))
        *(struct slice *)at(response, out) = version >= 7 ? SLICE_NULL : slice_str("");
    if (api->key == WIRE_DESCRIBE_CLIENT_QUOTAS && (out = field_of(api->response->body, "Entries", version)))
        ((struct wire_array *)at(response, out))->n = -1;
}

enum err refusal_build(const struct wire_api *api, int16_t version, const void *request, enum err err, struct arena *a,
                       void *response)
{
    const struct refusal_row *row = row_of(api->key, version);

    if (!row)
        return ERR_UNSUPPORTED;
    if (row->flags & TOP) {
        put_code(api->response->body, response, version, row->flags, err);
        if (!row->from)
            put_unknown(row, api->response->body, response, version);
    }
    if (row->build)
        return row->build(version, request, err, a, response);
    if (request)
        put_rest(api, version, request, response);
    return mirror(row, api, request, response, version, err, a);
}

/* ---- The others ---- */

/* KIP-511: a client that is too new learns which version to try. */
enum err refuse_api_versions(int16_t version, const void *request, enum err err, struct arena *a, void *response)
{
    struct api_versions_response *resp = response;
    const struct wire_api *api = wire_api(WIRE_API_VERSIONS);

    (void)version;
    (void)request;
    if (err != ERR_UNSUPPORTED_VERSION)
        return ERR_OK;
    if (!api_versions_response_api_version_array_alloc(&resp->api_keys, 1, a))
        return ERR_NO_MEMORY;
    resp->api_keys.v[0].api_key = WIRE_API_VERSIONS;
    resp->api_keys.v[0].min_version = api->min;
    resp->api_keys.v[0].max_version = api->max;
    return ERR_OK;
}

/* Kafka names the principal of whom it knows nothing. */
enum err refuse_delegation_token(int16_t version, const void *request, enum err err, struct arena *a, void *response)
{
    struct create_delegation_token_response *resp = response;

    (void)request;
    (void)err;
    (void)a;
    resp->principal_type = slice_str("User");
    resp->principal_name = slice_str("ANONYMOUS");
    if (version >= 3) {
        resp->token_requester_principal_type = resp->principal_type;
        resp->token_requester_principal_name = resp->principal_name;
    }
    resp->issue_timestamp_ms = resp->expiry_timestamp_ms = resp->max_timestamp_ms = -1;
    return ERR_OK;
}

enum err refuse_log_dirs(int16_t version, const void *request, enum err err, struct arena *a, void *response)
{
    const struct alter_replica_log_dirs_request *req = request;
    struct alter_replica_log_dirs_response *resp = response;
    int32_t n = 0;

    (void)version;
    for (int32_t d = 0; d < req->dirs.n; d++)
        n += req->dirs.v[d].topics.n > 0 ? req->dirs.v[d].topics.n : 0;
    if (!alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_array_alloc(&resp->results, n, a))
        return n ? ERR_NO_MEMORY : ERR_OK;
    n = 0;
    for (int32_t d = 0; d < req->dirs.n; d++) {
        for (int32_t t = 0; t < req->dirs.v[d].topics.n; t++, n++) {
            const struct wire_int32_array *in = &req->dirs.v[d].topics.v[t].partitions;
            struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *out = &resp->results.v[n];
            out->topic_name = req->dirs.v[d].topics.v[t].name;
            if (!alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_array_alloc(&out->partitions,
                                                                                                    in->n, a) &&
                in->n > 0)
                return ERR_NO_MEMORY;
            for (int32_t i = 0; i < out->partitions.n; i++) {
                out->partitions.v[i].partition_index = in->v[i];
                out->partitions.v[i].error_code = err_kafka(err);
            }
        }
    }
    return ERR_OK;
}

static enum err refuse_marker(const struct write_txn_markers_request_writable_txn_marker *in,
                              struct write_txn_markers_response_writable_txn_marker_result *out, enum err err,
                              struct arena *a)
{
    out->producer_id = in->producer_id;
    if (!write_txn_markers_response_writable_txn_marker_topic_result_array_alloc(&out->topics, in->topics.n, a) &&
        in->topics.n > 0)
        return ERR_NO_MEMORY;
    for (int32_t t = 0; t < out->topics.n; t++) {
        const struct wire_int32_array *indexes = &in->topics.v[t].partition_indexes;
        struct write_txn_markers_response_writable_txn_marker_topic_result *o = &out->topics.v[t];
        o->name = in->topics.v[t].name;
        if (!write_txn_markers_response_writable_txn_marker_partition_result_array_alloc(&o->partitions, indexes->n,
                                                                                         a) &&
            indexes->n > 0)
            return ERR_NO_MEMORY;
        for (int32_t i = 0; i < o->partitions.n; i++) {
            o->partitions.v[i].partition_index = indexes->v[i];
            o->partitions.v[i].error_code = err_kafka(err);
        }
    }
    return ERR_OK;
}

enum err refuse_markers(int16_t version, const void *request, enum err err, struct arena *a, void *response)
{
    const struct write_txn_markers_request *req = request;
    struct write_txn_markers_response *resp = response;
    enum err wrong = ERR_OK;

    (void)version;
    if (!write_txn_markers_response_writable_txn_marker_result_array_alloc(&resp->markers, req->markers.n, a) &&
        req->markers.n > 0)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; !wrong && i < resp->markers.n; i++)
        wrong = refuse_marker(&req->markers.v[i], &resp->markers.v[i], err, a);
    return wrong;
}

static int by_name(const void *x, const void *y)
{
    return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

/* One answer for each user, however often he is named; in order. */
enum err refuse_scram(int16_t version, const void *request, enum err err, struct arena *a, void *response)
{
    const struct alter_user_scram_credentials_request *req = request;
    struct alter_user_scram_credentials_response *resp = response;
    int32_t deletions = req->deletions.n > 0 ? req->deletions.n : 0, upsertions = req->upsertions.n;
    int32_t n = deletions + (upsertions > 0 ? upsertions : 0);
    struct slice *users = arena_array(a, (size_t)n, sizeof *users);

    (void)version;
    if (!users ||
        (!alter_user_scram_credentials_response_alter_user_scram_credentials_result_array_alloc(&resp->results, n, a) &&
         n > 0))
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < n; i++)
        users[i] = i < deletions ? req->deletions.v[i].name : req->upsertions.v[i - deletions].name;
    qsort(users, (size_t)n, sizeof *users, by_name);
    resp->results.n = 0;
    for (int32_t i = 0; i < n; i++) {
        if (i && slice_eq(users[i], users[i - 1]))
            continue;
        resp->results.v[resp->results.n].user = users[i];
        resp->results.v[resp->results.n].error_code = err_kafka(err);
        resp->results.v[resp->results.n++].error_message = slice_str(err_text(err));
    }
    return ERR_OK;
}

/* ---- For the test ---- */

/* In any version. */
static const struct wire_field *named(const struct wire_struct *s, const char *name)
{
    for (size_t i = 0; s && name && i < s->field_count; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &s->fields[i];
    return NULL;
}

static const char *check_copies(const struct refusal_copy *copies, const struct wire_field *from,
                                const struct wire_field *to)
{
    for (int i = 0; i < COPIES_MAX && copies[i].to; i++) {
        const struct wire_field *f = named(to->body, copies[i].to);
        if (!f || !value_size(f) || (copies[i].from && !named(from->body, copies[i].from)))
            return copies[i].to;
    }
    return NULL;
}

static const char *check_row(const struct refusal_row *row, const struct wire_api *api)
{
    const struct wire_struct *innermost = api->response->body;
    const struct wire_field *from = named(api->request->body, row->from), *to = named(innermost, row->to);
    const char *bad;

    if (row->from) {
        if (!from || !to)
            return row->from;
        if ((bad = check_copies(row->copy, from, to)))
            return bad;
        innermost = to->body;
    }
    if (row->sub_from) {
        from = from ? named(from->body, row->sub_from) : NULL;
        to = to ? named(to->body, row->sub_to) : NULL;
        if (!from || !to)
            return row->sub_from;
        if ((bad = check_copies(row->sub_copy, from, to)))
            return bad;
        innermost = to->body;
    }
    for (int i = 0; i < UNKNOWNS_MAX && row->unknown[i]; i++)
        if (!named(innermost, row->unknown[i]))
            return row->unknown[i];
    return NULL;
}

const char *refusal_check_table(void)
{
    for (const struct refusal_row *row = refusal_rows; row->key >= 0; row++) {
        const struct wire_api *api = wire_api(row->key);
        const char *bad = api ? check_row(row, api) : "no such API";
        if (bad)
            return bad;
    }
    return NULL;
}
