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

#include <string.h>

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

/* What the table may copy from the request or mark as unknown: refusal_check_table(). */
static bool is_plain_value(const struct wire_field *f)
{
    switch (f->type) {
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_INT32:
    case WIRE_INT64:
    case WIRE_UUID:
    case WIRE_STRING:
        return true;
    default:
        return false;
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
            memset(at(m, f), 0xff, wire_field_size(f));
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
        memcpy(at(out, to), copies[i].from ? at(in, value) : in, wire_field_size(to));
        if (empty_for_null && to->type == WIRE_STRING && slice_is_null(*(struct slice *)at(out, to)))
            *(struct slice *)at(out, to) = slice_str("");
    }
}

/* Makes the answer's list as long as the request's; its elements are not set yet. False: no memory. */
static bool make_list(const struct wire_array *from, const struct wire_field *to, struct wire_array *list,
                      struct arena *a)
{
    list->n = from->n > 0 ? from->n : 0;
    list->v = arena_array_unset(a, (size_t)list->n, to->body->size);
    return list->v != NULL;
}

/* An item was done. After it, so that each run comes further however few units it has. */
static bool spent(int32_t *units)
{
    return --*units <= 0;
}

static void *element(const struct wire_array *list, const struct wire_field *f, int32_t i)
{
    return (uint8_t *)list->v + (size_t)i * wire_field_size(f);
}

/* The partitions of an element; `k` says how far that is. */
static enum refusal_progress mirror_sub(struct refusal *f, const void *in, void *out, int32_t *units)
{
    const struct refusal_row *row = f->row;
    const struct wire_array *have = at(in, f->sub_from);
    struct wire_array *list = at(out, f->sub_to);

    if (f->k == 0 && !make_list(have, f->sub_to, list, f->arena))
        return REFUSAL_NO_MEMORY;
    while (f->k < list->n) {
        void *o = element(list, f->sub_to, f->k);

        f->sub_to->body->init(o);
        put_copies(row->sub_copy, f->sub_from, element(have, f->sub_from, f->k), f->sub_to->body, o, f->version, false);
        put_unknown(row, f->sub_to->body, o, f->version);
        if (!(row->flags & (ITEM_CODE | NO_ITEM_CODE)))
            put_code(f->sub_to->body, o, f->version, row->flags, f->err);
        f->k++;
        if (spent(units))
            return REFUSAL_MORE;
    }
    f->k = 0;
    return REFUSAL_DONE;
}

static enum refusal_progress mirror_one(struct refusal *f, const void *in, void *out, int32_t *units)
{
    const struct refusal_row *row = f->row;

    if (f->k == 0) {
        f->to->body->init(out);
        put_copies(row->copy, f->from, in, f->to->body, out, f->version, row->flags & NULL_NAME_EMPTY);
        if (!row->sub_from)
            put_unknown(row, f->to->body, out, f->version);
        if (!(row->flags & NO_ITEM_CODE) && (!row->sub_from || row->flags & ITEM_CODE))
            put_code(f->to->body, out, f->version, row->flags, f->err);
    }
    return f->sub_from && f->sub_to ? mirror_sub(f, in, out, units) : REFUSAL_DONE;
}

static enum refusal_progress mirror(struct refusal *f, int32_t *units)
{
    const struct wire_array *have;
    struct wire_array *list;

    if (!f->from || !f->to || !f->request)
        return REFUSAL_DONE;
    have = at(f->request, f->from);
    list = at(f->response, f->to);
    if (!f->begun && !make_list(have, f->to, list, f->arena))
        return REFUSAL_NO_MEMORY;
    f->begun = true;
    while (f->i < list->n) {
        enum refusal_progress progress = mirror_one(f, element(have, f->from, f->i), element(list, f->to, f->i), units);
        if (progress != REFUSAL_DONE)
            return progress;
        f->i++;
        if (spent(units))
            return REFUSAL_MORE;
    }
    return REFUSAL_DONE;
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

enum err refusal_begin(struct refusal *f, const struct wire_api *api, int16_t version, const void *request,
                       enum err err, struct arena *a, void *response)
{
    const struct refusal_row *row = row_of(api->key, version);

    if (!row)
        return ERR_UNSUPPORTED;
    *f = (struct refusal){.row = row,
                          .api = api,
                          .version = version,
                          .err = err,
                          .request = request,
                          .response = response,
                          .arena = a,
                          .from = field_of(api->request->body, row->from, version),
                          .to = field_of(api->response->body, row->to, version)};
    if (f->from && f->to && row->sub_from) {
        f->sub_from = field_of(f->from->body, row->sub_from, version);
        f->sub_to = field_of(f->to->body, row->sub_to, version);
    }
    if (row->flags & TOP) {
        put_code(api->response->body, response, version, row->flags, err);
        if (!row->from)
            put_unknown(row, api->response->body, response, version);
    }
    if (request && !row->build)
        put_rest(api, version, request, response);
    return ERR_OK;
}

enum refusal_progress refusal_run(struct refusal *f, int32_t *units)
{
    return f->row->build ? f->row->build(f, units) : mirror(f, units);
}

/* ---- The others ---- */

/* KIP-511: a client that is too new learns which version to try. */
enum refusal_progress refuse_api_versions(struct refusal *f, int32_t *units)
{
    struct api_versions_response *resp = f->response;
    const struct wire_api *api = wire_api(WIRE_API_VERSIONS);

    (void)units;
    if (f->err != ERR_UNSUPPORTED_VERSION)
        return REFUSAL_DONE;
    if (!api_versions_response_api_version_array_alloc(&resp->api_keys, 1, f->arena))
        return REFUSAL_NO_MEMORY;
    resp->api_keys.v[0].api_key = WIRE_API_VERSIONS;
    resp->api_keys.v[0].min_version = api->min;
    resp->api_keys.v[0].max_version = api->max;
    return REFUSAL_DONE;
}

/* Kafka names the principal of whom it knows nothing. */
enum refusal_progress refuse_delegation_token(struct refusal *f, int32_t *units)
{
    struct create_delegation_token_response *resp = f->response;

    (void)units;
    resp->principal_type = slice_str("User");
    resp->principal_name = slice_str("ANONYMOUS");
    if (f->version >= 3) {
        resp->token_requester_principal_type = resp->principal_type;
        resp->token_requester_principal_name = resp->principal_name;
    }
    resp->issue_timestamp_ms = resp->expiry_timestamp_ms = resp->max_timestamp_ms = -1;
    return REFUSAL_DONE;
}

static bool begin_log_dirs(struct refusal *f)
{
    const struct alter_replica_log_dirs_request *req = f->request;
    struct alter_replica_log_dirs_response *resp = f->response;
    size_t n = 0;

    for (int32_t d = 0; d < req->dirs.n; d++)
        n += req->dirs.v[d].topics.n > 0 ? (size_t)req->dirs.v[d].topics.n : 0;
    resp->results.v = arena_array_unset(f->arena, n, sizeof *resp->results.v);
    f->begun = resp->results.v != NULL;
    return f->begun;
}

/* `m` counts its partitions. */
static enum refusal_progress
refuse_log_dir_topic(struct refusal *f, const struct alter_replica_log_dirs_request_alter_replica_log_dir_topic *in,
                     struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *out, int32_t *units)
{
    if (f->m == 0) {
        alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_init(out);
        out->topic_name = in->name;
        out->partitions.n = in->partitions.n > 0 ? in->partitions.n : 0;
        out->partitions.v = arena_array_unset(f->arena, (size_t)out->partitions.n, sizeof *out->partitions.v);
        if (!out->partitions.v)
            return REFUSAL_NO_MEMORY;
    }
    while (f->m < out->partitions.n) {
        struct alter_replica_log_dirs_response_alter_replica_log_dir_partition_result *p = &out->partitions.v[f->m];
        alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_init(p);
        p->partition_index = in->partitions.v[f->m++];
        p->error_code = err_kafka(f->err);
        if (spent(units))
            return REFUSAL_MORE;
    }
    f->m = 0;
    return REFUSAL_DONE;
}

enum refusal_progress refuse_log_dirs(struct refusal *f, int32_t *units)
{
    const struct alter_replica_log_dirs_request *req = f->request;
    struct alter_replica_log_dirs_response *resp = f->response;

    if (!f->begun && !begin_log_dirs(f))
        return REFUSAL_NO_MEMORY;
    while (f->i < req->dirs.n) {
        enum refusal_progress progress = REFUSAL_DONE;

        if (f->k < req->dirs.v[f->i].topics.n)
            progress =
                refuse_log_dir_topic(f, &req->dirs.v[f->i].topics.v[f->k], &resp->results.v[resp->results.n], units);
        if (progress != REFUSAL_DONE)
            return progress;
        if (f->k < req->dirs.v[f->i].topics.n) {
            resp->results.n++;
            f->k++;
        } else {
            f->i++;
            f->k = 0;
        }
        if (spent(units))
            return REFUSAL_MORE;
    }
    return REFUSAL_DONE;
}

static enum refusal_progress
refuse_marker_topic(struct refusal *f, const struct write_txn_markers_request_writable_txn_marker_topic *in,
                    struct write_txn_markers_response_writable_txn_marker_topic_result *out, int32_t *units)
{
    if (f->m == 0) {
        write_txn_markers_response_writable_txn_marker_topic_result_init(out);
        out->name = in->name;
        out->partitions.n = in->partition_indexes.n > 0 ? in->partition_indexes.n : 0;
        out->partitions.v = arena_array_unset(f->arena, (size_t)out->partitions.n, sizeof *out->partitions.v);
        if (!out->partitions.v)
            return REFUSAL_NO_MEMORY;
    }
    while (f->m < out->partitions.n) {
        struct write_txn_markers_response_writable_txn_marker_partition_result *p = &out->partitions.v[f->m];
        write_txn_markers_response_writable_txn_marker_partition_result_init(p);
        p->partition_index = in->partition_indexes.v[f->m++];
        p->error_code = err_kafka(f->err);
        if (spent(units))
            return REFUSAL_MORE;
    }
    f->m = 0;
    return REFUSAL_DONE;
}

/* `k` counts its topics, `m` their partitions. */
static enum refusal_progress refuse_marker(struct refusal *f,
                                           const struct write_txn_markers_request_writable_txn_marker *in,
                                           struct write_txn_markers_response_writable_txn_marker_result *out,
                                           int32_t *units)
{
    if (f->k == 0 && f->m == 0) {
        write_txn_markers_response_writable_txn_marker_result_init(out);
        out->producer_id = in->producer_id;
        out->topics.n = in->topics.n > 0 ? in->topics.n : 0;
        out->topics.v = arena_array_unset(f->arena, (size_t)out->topics.n, sizeof *out->topics.v);
        if (!out->topics.v)
            return REFUSAL_NO_MEMORY;
    }
    while (f->k < out->topics.n) {
        enum refusal_progress progress = refuse_marker_topic(f, &in->topics.v[f->k], &out->topics.v[f->k], units);
        if (progress != REFUSAL_DONE)
            return progress;
        f->k++;
        if (spent(units))
            return REFUSAL_MORE;
    }
    f->k = 0;
    return REFUSAL_DONE;
}

enum refusal_progress refuse_markers(struct refusal *f, int32_t *units)
{
    const struct write_txn_markers_request *req = f->request;
    struct write_txn_markers_response *resp = f->response;

    if (!f->begun) {
        resp->markers.n = req->markers.n > 0 ? req->markers.n : 0;
        resp->markers.v = arena_array_unset(f->arena, (size_t)resp->markers.n, sizeof *resp->markers.v);
        if (!resp->markers.v)
            return REFUSAL_NO_MEMORY;
        f->begun = true;
    }
    while (f->i < resp->markers.n) {
        enum refusal_progress progress = refuse_marker(f, &req->markers.v[f->i], &resp->markers.v[f->i], units);
        if (progress != REFUSAL_DONE)
            return progress;
        f->i++;
        if (spent(units))
            return REFUSAL_MORE;
    }
    return REFUSAL_DONE;
}

static struct slice scram_user(const struct alter_user_scram_credentials_request *req, int32_t place)
{
    int32_t deletions = req->deletions.n > 0 ? req->deletions.n : 0;
    return place < deletions ? req->deletions.v[place].name : req->upsertions.v[place - deletions].name;
}

static int by_name(const void *list, int32_t a, int32_t b)
{
    return slice_cmp(scram_user(list, a), scram_user(list, b));
}

static bool begin_scram(struct refusal *f)
{
    const struct alter_user_scram_credentials_request *req = f->request;
    struct alter_user_scram_credentials_response *resp = f->response;

    f->n = (req->deletions.n > 0 ? req->deletions.n : 0) + (req->upsertions.n > 0 ? req->upsertions.n : 0);
    resp->results.v = arena_array_unset(f->arena, (size_t)f->n, sizeof *resp->results.v);
    resp->results.n = 0;
    f->begun = resp->results.v && sorting_begin(&f->order, f->n, f->arena);
    return f->begun;
}

static void put_scram(struct alter_user_scram_credentials_response_alter_user_scram_credentials_result *out,
                      struct slice user, enum err err)
{
    alter_user_scram_credentials_response_alter_user_scram_credentials_result_init(out);
    out->user = user;
    out->error_code = err_kafka(err);
    out->error_message = slice_str(err_text(err));
}

/* One answer for each user, however often he is named; in order. */
enum refusal_progress refuse_scram(struct refusal *f, int32_t *units)
{
    const struct alter_user_scram_credentials_request *req = f->request;
    struct alter_user_scram_credentials_response *resp = f->response;

    if (!f->begun && !begin_scram(f))
        return REFUSAL_NO_MEMORY;
    while (sorting_next(&f->order, by_name, req))
        if (spent(units))
            return REFUSAL_MORE;
    while (f->i < f->n) {
        int32_t i = f->i++;
        struct slice user = scram_user(req, f->order.sorted[i]);

        if (i == 0 || !slice_eq(user, scram_user(req, f->order.sorted[i - 1])))
            put_scram(&resp->results.v[resp->results.n++], user, f->err);
        if (spent(units))
            return REFUSAL_MORE;
    }
    return REFUSAL_DONE;
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
        if (!f || !is_plain_value(f) || (copies[i].from && !named(from->body, copies[i].from)))
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
