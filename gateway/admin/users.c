/* SPDX-License-Identifier: Apache-2.0
 * DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554). DESCRIBE and ALTER on the cluster. The texts
 * are those of Kafka's ScramImage and ScramControlManager. A user any of whose alterations is wrong is left alone; the
 * others are one decision in the ledger. Salted passwords arrive over TLS and are wiped once the keys are derived. */
#include "core/base/log.h"
#include "core/base/map.h"
#include "gateway/admin/change.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "wire/alter_user_scram_credentials.h"
#include "wire/describe_user_scram_credentials.h"

typedef struct describe_user_scram_credentials_response_describe_user_scram_credentials_result described;
typedef struct alter_user_scram_credentials_response_alter_user_scram_credentials_result result;

/* ---- DescribeUserScramCredentials ---- */

static bool put_credentials(struct request *r, described *out, const struct credential *a, const struct credential *b)
{
    const struct credential *both[] = {a, b};

    if (!describe_user_scram_credentials_response_credential_info_array_alloc(&out->credential_infos, 2, &r->arena))
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

static bool describe_all(struct request *r, struct describe_user_scram_credentials_response *resp)
{
    const struct users_snapshot *s = r->engine->view->users;
    int32_t n = (int32_t)users_snapshot_count(s);

    if (!describe_user_scram_credentials_response_describe_user_scram_credentials_result_array_alloc(&resp->results, n,
                                                                                                     &r->arena))
        return false;
    for (int32_t i = 0; i < n; i++) {
        struct users_entry e = users_snapshot_at(s, (size_t)i);
        resp->results.v[i].user = e.name;
        if (!put_credentials(r, &resp->results.v[i], e.sha256, e.sha512))
            return false;
    }
    return true;
}

static bool describe_one(struct request *r, described *out, struct slice user, bool twice)
{
    const struct users_snapshot *s = r->engine->view->users;
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
        out->error_message = request_words(r, why.code, &why);
    return out->error_code || put_credentials(r, out, a, b);
}

/* One result for each distinct name, in the order of the request. */
static bool describe_named(struct request *r, struct describe_user_scram_credentials_response *resp)
{
    const struct describe_user_scram_credentials_request *req = r->body;
    int32_t *times = arena_array(&r->arena, (size_t)req->users.n, sizeof *times);
    struct map first; /* name -> its slot of `times` */
    bool ok = true;

    if (!times || !describe_user_scram_credentials_response_describe_user_scram_credentials_result_array_alloc(
                      &resp->results, req->users.n, &r->arena))
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
        ok = describe_one(r, &resp->results.v[resp->results.n++], req->users.v[seen - times].name, *seen > 0);
    }
    map_free(&first, NULL);
    return ok;
}

enum step describe_user_scram_credentials_answer(struct request *r)
{
    const struct describe_user_scram_credentials_request *req = r->body;
    struct describe_user_scram_credentials_response *resp = arena_alloc(&r->arena, sizeof *resp);
    bool all = req->users.n <= 0;

    if (!resp)
        return request_no_memory(r);
    describe_user_scram_credentials_response_init(resp);
    if (!request_may_cluster(r, ACL_DESCRIBE))
        return request_refuse(r, ERR_CLUSTER_AUTHORIZATION_FAILED);
    if (!(all ? describe_all(r, resp) : describe_named(r, resp)))
        return request_no_memory(r);
    request_spent(r, all ? resp->results.n : req->users.n);
    return request_reply(r, resp);
}

/* ---- AlterUserScramCredentials ---- */

struct altering {
    struct change_outcome outcome;
    struct alter_user_scram_credentials_response response;
    struct map users; /* name -> result of the response */
    struct map pairs; /* name, NUL, mechanism: each may be altered once */
    struct credential *credentials;
    size_t credentials_n;
    struct knowledge_change change;
    bool may, submitted;
    int32_t deletion, upsertion; /* read so far */
};

static void free_altering(void *p)
{
    struct altering *a = p;

    map_free(&a->users, NULL);
    map_free(&a->pairs, NULL);
    for (size_t i = 0; i < a->credentials_n; i++)
        credential_wipe(&a->credentials[i]);
}

static enum step altered(struct request *r, struct altering *a)
{
    for (int32_t i = 0; a->outcome.err && i < a->response.results.n; i++) {
        if (a->response.results.v[i].error_code)
            continue;
        a->response.results.v[i].error_code = err_kafka(a->outcome.err);
        a->response.results.v[i].error_message = request_words(r, a->outcome.err, &a->outcome.why);
    }
    return request_reply(r, &a->response);
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
static enum err check(struct altering *a, struct slice user, int8_t mechanism, struct reason *why)
{
    enum err err = a->may ? ERR_OK : ERR_CLUSTER_AUTHORIZATION_FAILED;

    if (!err)
        err = credential_user_validate(user, why);
    if (!err && credential_mechanism_of(mechanism) == CREDENTIAL_UNKNOWN)
        err = reason_set(why, ERR_UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    if (!err && altered_before(a, user, mechanism))
        err = reason_set(why, ERR_DUPLICATE_RESOURCE, "A user credential cannot be altered twice in the same request");
    return err;
}

static void fail_user(struct request *r, result *out, enum err err, const struct reason *why)
{
    if (out->error_code && err != ERR_DUPLICATE_RESOURCE)
        return;
    out->error_code = err_kafka(err);
    out->error_message = why->code ? request_words(r, err, why) : slice_str(err_text(err));
}

static bool read_deletion(struct request *r, struct altering *a, int32_t i)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    struct slice user = req->deletions.v[i].name;
    enum credential_mechanism m = credential_mechanism_of(req->deletions.v[i].mechanism);
    result *out = result_of(a, user);
    struct reason why = {0};
    enum err err;

    if (!out)
        return false;
    err = check(a, user, req->deletions.v[i].mechanism, &why);
    if (!err && !users_snapshot_find(r->engine->view->users, user, m))
        err = reason_set(&why, ERR_RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist");
    if (err) {
        fail_user(r, out, err, &why);
        return true;
    }
    a->change.users[a->change.users_n].user = user;
    a->change.users[a->change.users_n].credential = NULL;
    a->change.users[a->change.users_n++].mechanism = m;
    return true;
}

static bool read_upsertion(struct request *r, struct altering *a, int32_t i)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    const struct alter_user_scram_credentials_request_scram_credential_upsertion *in = &req->upsertions.v[i];
    enum credential_mechanism m = credential_mechanism_of(in->mechanism);
    struct credential *c = &a->credentials[a->credentials_n];
    result *out = result_of(a, in->name);
    struct reason why = {0};
    enum err err;

    if (!out)
        return false;
    err = check(a, in->name, in->mechanism, &why);
    if (!err)
        err = credential_from_salted(c, m, in->salt, in->salted_password, in->iterations, &why);
    secret_wipe((void *)(uintptr_t)in->salted_password.p, in->salted_password.n); /* ours: in the frame */
    if (err) {
        fail_user(r, out, err, &why);
        return true;
    }
    a->credentials_n++;
    a->change.users[a->change.users_n].user = in->name;
    a->change.users[a->change.users_n].credential = c;
    a->change.users[a->change.users_n++].mechanism = m;
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

static struct altering *begin_altering(struct request *r)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    struct altering *a = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *a);
    int32_t n = req->deletions.n + req->upsertions.n;

    if (!a)
        return NULL;
    map_init(&a->users);
    map_init(&a->pairs);
    if (!request_own(r, a, free_altering))
        return NULL;
    a->may = request_may_cluster(r, ACL_ALTER);
    alter_user_scram_credentials_response_init(&a->response);
    a->credentials = arena_array(&r->arena, a->may ? (size_t)req->upsertions.n : 1, sizeof *a->credentials);
    a->change.users = arena_array(&r->arena, a->may ? (size_t)n : 0, sizeof *a->change.users);
    if (!a->credentials || !a->change.users ||
        !alter_user_scram_credentials_response_alter_user_scram_credentials_result_array_alloc(&a->response.results, n,
                                                                                               &r->arena))
        return NULL;
    a->response.results.n = 0;
    return a;
}

/* NEXT, AGAIN or FAIL. Each costs two keys derived, or a look into the users. */
static enum step read_all(struct request *r, struct altering *a)
{
    const struct alter_user_scram_credentials_request *req = r->body;

    while (a->deletion < req->deletions.n) {
        if (!read_deletion(r, a, a->deletion++))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    while (a->upsertion < req->upsertions.n) {
        if (!read_upsertion(r, a, a->upsertion++))
            return request_no_memory(r);
        if (request_spent(r, 4))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

enum step alter_user_scram_credentials_answer(struct request *r)
{
    struct altering *a = r->state[FILTER_API];
    enum step step;

    if (!a && !(a = begin_altering(r)))
        return request_no_memory(r);
    if (a->submitted)
        return altered(r, a);
    step = read_all(r, a);
    if (step != STEP_NEXT)
        return step;
    drop_failed(a);
    if (a->change.users_n == 0)
        return request_reply(r, &a->response);
    for (size_t i = 0; i < a->change.users_n; i++)
        log_info("%.*s %s the %s credential of %.*s", SLICE_FMT(request_peer(r)->principal),
                 a->change.users[i].credential ? "sets" : "removes",
                 credential_mechanism_name(a->change.users[i].mechanism), SLICE_FMT(a->change.users[i].user));
    a->submitted = true;
    return change_submit(r, &a->outcome, &a->change) == STEP_WAIT ? STEP_WAIT : altered(r, a);
}
