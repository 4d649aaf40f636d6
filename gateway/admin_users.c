/* SPDX-License-Identifier: Apache-2.0
 * DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554). DESCRIBE and ALTER on the cluster. The texts
 * are those of Kafka's ScramImage and ScramControlManager. A user any of whose alterations is wrong is left alone; the
 * others are one decision in the ledger. Salted passwords arrive over TLS and are wiped once the keys are derived. */
#include "core/base/log.h"
#include "core/base/map.h"
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/split.h"
#include "wire/alter_user_scram_credentials.h"
#include "wire/describe_user_scram_credentials.h"

typedef struct describe_user_scram_credentials_response_describe_user_scram_credentials_result described;
typedef struct alter_user_scram_credentials_response_alter_user_scram_credentials_result result;

static void no_memory(struct pending *p)
{
    pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

/* ---- DescribeUserScramCredentials ---- */

static bool put_credentials(struct pending *p, described *out, const struct credential *a, const struct credential *b)
{
    const struct credential *both[] = {a, b};

    if (!describe_user_scram_credentials_response_credential_info_array_alloc(&out->credential_infos, 2, &p->arena))
        return false;
    out->credential_infos.n = 0;
    for (int i = 0; i < 2; i++) {
        struct describe_user_scram_credentials_response_credential_info *info;
        if (!both[i])
            continue;
        info = &out->credential_infos.v[out->credential_infos.n++];
        info->mechanism = (int8_t)both[i]->mechanism;
        info->iterations = (int32_t)both[i]->iterations;
    }
    return true;
}

static bool describe_all(struct pending *p, struct describe_user_scram_credentials_response *resp)
{
    const struct users_snapshot *s = p->session->worker->view->users;
    int32_t n = (int32_t)users_snapshot_count(s);

    if (!describe_user_scram_credentials_response_describe_user_scram_credentials_result_array_alloc(&resp->results, n,
                                                                                                     &p->arena))
        return false;
    for (int32_t i = 0; i < n; i++) {
        struct users_entry e = users_snapshot_at(s, (size_t)i);
        resp->results.v[i].user = e.name;
        if (!put_credentials(p, &resp->results.v[i], e.sha256, e.sha512))
            return false;
    }
    return true;
}

static bool describe_one(struct pending *p, described *out, struct slice user, bool twice)
{
    const struct users_snapshot *s = p->session->worker->view->users;
    const struct credential *a = users_snapshot_find(s, user, CREDENTIAL_SCRAM_SHA_256);
    const struct credential *b = users_snapshot_find(s, user, CREDENTIAL_SCRAM_SHA_512);
    struct reason why = {0};

    out->user = user;
    if (twice)
        out->error_code = err_kafka(reason_set(
            &why, ERR_DUPLICATE_RESOURCE,
            "Cannot describe SCRAM credentials for the same user twice in a single request: %.*s", SLICE_FMT(user)));
    else if (!a && !b)
        out->error_code =
            err_kafka(reason_set(&why, ERR_RESOURCE_NOT_FOUND,
                                 "Attempt to describe a user credential that does not exist: %.*s", SLICE_FMT(user)));
    if (out->error_code)
        out->error_message = admin_words(p, why.code, &why);
    return out->error_code || put_credentials(p, out, a, b);
}

/* One result for each distinct name, in the order of the request. */
static bool describe_named(struct pending *p, struct describe_user_scram_credentials_response *resp)
{
    const struct describe_user_scram_credentials_request *req = p->body;
    int32_t *times = arena_array(&p->arena, (size_t)req->users.n, sizeof *times);
    struct map first; /* name -> its slot of `times` */
    bool ok = true;

    if (!times || !describe_user_scram_credentials_response_describe_user_scram_credentials_result_array_alloc(
                      &resp->results, req->users.n, &p->arena))
        return false;
    map_init(&first);
    for (int32_t i = 0; ok && i < req->users.n; i++) {
        int32_t *seen = map_get(&first, req->users.v[i].name);
        if (seen)
            ++*seen;
        else
            ok = map_put(&first, req->users.v[i].name, &times[i], NULL) == ERR_OK;
    }
    resp->results.n = 0;
    for (struct map_entry *e = map_first(&first); ok && e; e = map_next(&first, e)) {
        int32_t *seen = e->value;
        ok = describe_one(p, &resp->results.v[resp->results.n++], req->users.v[seen - times].name, *seen > 0);
    }
    map_free(&first, NULL);
    return ok;
}

void handle_describe_user_scram_credentials(struct pending *p)
{
    const struct describe_user_scram_credentials_request *req = p->body;
    struct describe_user_scram_credentials_response resp;

    if (!admin_may(p, ACL_DESCRIBE)) {
        split_refuse(p, ERR_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    describe_user_scram_credentials_response_init(&resp);
    if (!(req->users.n <= 0 ? describe_all(p, &resp) : describe_named(p, &resp))) {
        no_memory(p);
        return;
    }
    pending_answer(p, &resp);
}

/* ---- AlterUserScramCredentials ---- */

struct altering {
    struct alter_user_scram_credentials_response response;
    struct map users; /* name -> result of the response */
    struct map pairs; /* name, NUL, mechanism: each may be altered once */
    struct credential *credentials;
    size_t credentials_n;
    struct knowledge_change change;
};

static void free_altering(struct pending *p)
{
    struct altering *a = p->filter;

    map_free(&a->users, NULL);
    map_free(&a->pairs, NULL);
    for (size_t i = 0; i < a->credentials_n; i++)
        credential_wipe(&a->credentials[i]);
}

static void altered(struct pending *p, enum err err, const struct reason *why)
{
    struct altering *a = p->filter;

    for (int32_t i = 0; err && i < a->response.results.n; i++) {
        if (a->response.results.v[i].error_code)
            continue;
        a->response.results.v[i].error_code = err_kafka(err);
        a->response.results.v[i].error_message = admin_words(p, err, why);
    }
    pending_answer(p, &a->response);
}

/* The user's result, made when first named. NULL: no memory. */
static result *result_of(struct altering *a, struct slice user)
{
    result *r = map_get(&a->users, user);

    if (r)
        return r;
    r = &a->response.results.v[a->response.results.n];
    if (map_put(&a->users, user, r, NULL))
        return NULL;
    a->response.results.n++;
    r->user = user;
    r->error_message = SLICE_NULL;
    return r;
}

static bool altered_before(struct altering *a, struct slice user, int8_t mechanism)
{
    struct buf key;
    bool before;

    buf_init(&key, 0);
    buf_put_slice(&key, user);
    buf_u8(&key, 0);
    buf_u8(&key, (uint8_t)mechanism);
    before = map_has(&a->pairs, buf_slice(&key)) || map_put(&a->pairs, buf_slice(&key), a, NULL);
    buf_free(&key);
    return before;
}

/* What deletions and upsertions are checked for alike. */
static enum err check(struct pending *p, struct slice user, int8_t mechanism, struct reason *why)
{
    enum err err = admin_may(p, ACL_ALTER) ? ERR_OK : ERR_CLUSTER_AUTHORIZATION_FAILED;

    if (!err)
        err = credential_user_validate(user, why);
    if (!err && credential_mechanism_of(mechanism) == CREDENTIAL_UNKNOWN)
        err = reason_set(why, ERR_UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    if (!err && altered_before(p->filter, user, mechanism))
        err = reason_set(why, ERR_DUPLICATE_RESOURCE, "A user credential cannot be altered twice in the same request");
    return err;
}

static void fail_user(struct pending *p, result *r, enum err err, const struct reason *why)
{
    if (r->error_code && err != ERR_DUPLICATE_RESOURCE)
        return;
    r->error_code = err_kafka(err);
    r->error_message = admin_words(p, err, why);
}

static bool read_deletions(struct pending *p)
{
    const struct alter_user_scram_credentials_request *req = p->body;
    struct altering *a = p->filter;

    for (int32_t i = 0; i < req->deletions.n; i++) {
        struct slice user = req->deletions.v[i].name;
        enum credential_mechanism m = credential_mechanism_of(req->deletions.v[i].mechanism);
        result *r = result_of(a, user);
        struct reason why = {0};
        enum err err;

        if (!r)
            return false;
        err = check(p, user, req->deletions.v[i].mechanism, &why);
        if (!err && !users_snapshot_find(p->session->worker->view->users, user, m))
            err = reason_set(&why, ERR_RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist");
        if (err) {
            fail_user(p, r, err, &why);
            continue;
        }
        a->change.users[a->change.users_n].user = user;
        a->change.users[a->change.users_n].credential = NULL;
        a->change.users[a->change.users_n++].mechanism = m;
    }
    return true;
}

static bool read_upsertions(struct pending *p)
{
    const struct alter_user_scram_credentials_request *req = p->body;
    struct altering *a = p->filter;

    for (int32_t i = 0; i < req->upsertions.n; i++) {
        const struct alter_user_scram_credentials_request_scram_credential_upsertion *in = &req->upsertions.v[i];
        enum credential_mechanism m = credential_mechanism_of(in->mechanism);
        struct credential *c = &a->credentials[a->credentials_n];
        result *r = result_of(a, in->name);
        struct reason why = {0};
        enum err err;

        if (!r)
            return false;
        err = check(p, in->name, in->mechanism, &why);
        if (!err)
            err = credential_from_salted(c, m, in->salt, in->salted_password, in->iterations, &why);
        secret_wipe((void *)(uintptr_t)in->salted_password.p, in->salted_password.n); /* ours: in the frame */
        if (err) {
            fail_user(p, r, err, &why);
            continue;
        }
        a->credentials_n++;
        a->change.users[a->change.users_n].user = in->name;
        a->change.users[a->change.users_n].credential = c;
        a->change.users[a->change.users_n++].mechanism = m;
    }
    return true;
}

/* Leaves out what belongs to users with an error. */
static void drop_failed(struct altering *a)
{
    size_t kept = 0;

    for (size_t i = 0; i < a->change.users_n; i++) {
        const result *r = map_get(&a->users, a->change.users[i].user);
        if (!r->error_code)
            a->change.users[kept++] = a->change.users[i];
    }
    a->change.users_n = kept;
}

void handle_alter_user_scram_credentials(struct pending *p)
{
    const struct alter_user_scram_credentials_request *req = p->body;
    struct altering *a = arena_alloc(&p->arena, sizeof *a);
    int32_t n = req->deletions.n + req->upsertions.n;

    if (!a)
        return no_memory(p);
    p->filter = a;
    p->filter_free = free_altering;
    map_init(&a->users);
    map_init(&a->pairs);
    alter_user_scram_credentials_response_init(&a->response);
    a->credentials = arena_array(&p->arena, (size_t)req->upsertions.n, sizeof *a->credentials);
    a->change.users = arena_array(&p->arena, (size_t)n, sizeof *a->change.users);
    if (!a->credentials || !a->change.users ||
        !alter_user_scram_credentials_response_alter_user_scram_credentials_result_array_alloc(&a->response.results, n,
                                                                                               &p->arena))
        return no_memory(p);
    a->response.results.n = 0;
    if (!read_deletions(p) || !read_upsertions(p))
        return no_memory(p);
    drop_failed(a);
    if (a->change.users_n == 0) {
        pending_answer(p, &a->response);
        return;
    }
    for (size_t i = 0; i < a->change.users_n; i++)
        log_info("%.*s %s the %s credential of %.*s", SLICE_FMT(session_principal(p->session)),
                 a->change.users[i].credential ? "sets" : "removes",
                 credential_mechanism_name(a->change.users[i].mechanism), SLICE_FMT(a->change.users[i].user));
    admin_submit(p, &a->change, altered);
}
