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
#include "gateway/request/seen.h"
#include "wire/alter_user_scram_credentials.h"
#include "wire/describe_user_scram_credentials.h"

#include <assert.h>

typedef struct describe_user_scram_credentials_response_describe_user_scram_credentials_result described;
typedef struct alter_user_scram_credentials_response_alter_user_scram_credentials_result result;

enum { LOG_UNITS = 8 /* of work, for a line in the log */ };

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

struct describing {
    struct describe_user_scram_credentials_response response;
    struct users_snapshot *users; /* held: the answer points into it, and the view may be replaced meanwhile */
    bool all;
    struct seen seen;
    int32_t *times; /* each name stands in the request, at its first place; -1 at the others */
    int32_t n, at, named;
};

static bool describe_one(struct request *r, const struct users_snapshot *s, described *out, struct slice user,
                         bool twice)
{
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

static struct slice user_at(const void *list, int32_t place)
{
    return ((const struct describe_user_scram_credentials_request *)list)->users.v[place].name;
}

static void drop_users(void *p)
{
    users_snapshot_unref(p);
}

static struct describing *begin_describing(struct request *r)
{
    const struct describe_user_scram_credentials_request *req = r->body;
    struct describing *d = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *d);

    if (!d)
        return NULL;
    describe_user_scram_credentials_response_init(&d->response);
    d->users = users_snapshot_ref(r->engine->view->users);
    if (!request_own(r, d->users, drop_users))
        return NULL;
    d->all = req->users.n <= 0;
    d->n = d->all ? (int32_t)users_snapshot_count(d->users) : req->users.n;
    d->response.results.v = arena_array_unset(&r->arena, (size_t)d->n, sizeof *d->response.results.v);
    d->times = arena_array(&r->arena, d->all ? 0 : (size_t)d->n, sizeof *d->times);
    if (!d->response.results.v || !d->times || (!d->all && !seen_init(&d->seen, d->n, user_at, req, &r->arena)))
        return NULL;
    return d;
}

/* One result for each distinct name, in the order of the request; or for each user. */
static bool describe_next(struct request *r, struct describing *d)
{
    int32_t at = d->at++;
    described *out = &d->response.results.v[d->response.results.n];
    struct users_entry e;

    if (!d->all && d->times[at] < 0)
        return true;
    d->response.results.n++;
    describe_user_scram_credentials_response_describe_user_scram_credentials_result_init(out);
    if (!d->all)
        return describe_one(r, d->users, out, user_at(r->body, at), d->times[at] > 1);
    e = users_snapshot_at(d->users, (size_t)at);
    out->user = e.name;
    return put_credentials(r, out, e.sha256, e.sha512);
}

static void count_next(struct describing *d)
{
    int32_t at = d->named++, first = seen_put(&d->seen, at);

    d->times[first]++;
    if (first != at)
        d->times[at] = -1;
}

enum step describe_user_scram_credentials_answer(struct request *r)
{
    struct describing *d = r->state[FILTER_API];

    if (!d && !request_may_cluster(r, ACL_DESCRIBE))
        return request_refuse(r, ERR_CLUSTER_AUTHORIZATION_FAILED);
    if (!d && !(d = begin_describing(r)))
        return request_no_memory(r);
    while (!d->all && d->named < d->n) {
        count_next(d);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    while (d->at < d->n) {
        if (!describe_next(r, d))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &d->response);
}

/* ---- AlterUserScramCredentials ---- */

struct altering {
    struct change_outcome outcome;
    struct alter_user_scram_credentials_response response;
    struct seen users;  /* the places in the request, deletions first, at which a user is named first */
    int32_t *result_at; /* of those places: in the response's results */
    struct map pairs;   /* name, NUL, mechanism: each may be altered once */
    struct credential *credentials;
    size_t credentials_n;
    struct knowledge_change change;
    struct slice words; /* of the outcome, when it is an error */
    bool may, dropped, submitted;
    int32_t deletion, upsertion; /* read so far */
    size_t at, kept;             /* of the change: in the list at hand */
    int32_t answered;
};

static void free_altering(void *p)
{
    struct altering *a = p;

    map_free(&a->pairs, NULL);
    for (size_t i = 0; i < a->credentials_n; i++)
        credential_wipe(&a->credentials[i]);
}

static enum step altered(struct request *r, struct altering *a)
{
    if (a->outcome.err && a->answered == 0)
        a->words = request_words(r, a->outcome.err, &a->outcome.why);
    while (a->outcome.err && a->answered < a->response.results.n) {
        result *out = &a->response.results.v[a->answered++];
        if (!out->error_code) {
            out->error_code = err_kafka(a->outcome.err);
            out->error_message = a->words;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &a->response);
}

static struct slice altered_user(const void *list, int32_t place)
{
    const struct alter_user_scram_credentials_request *req = list;
    return place < req->deletions.n ? req->deletions.v[place].name : req->upsertions.v[place - req->deletions.n].name;
}

/* The result of the user named at a place, made when first named. */
static result *result_of(const struct request *r, struct altering *a, int32_t place)
{
    int32_t first = seen_put(&a->users, place);
    result *out;

    if (first != place)
        return &a->response.results.v[a->result_at[first]];
    a->result_at[place] = a->response.results.n;
    out = &a->response.results.v[a->response.results.n++];
    alter_user_scram_credentials_response_alter_user_scram_credentials_result_init(out);
    out->user = altered_user(r->body, place);
    out->error_message = SLICE_NULL;
    return out;
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

static void read_deletion(struct request *r, struct altering *a, int32_t i)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    struct slice user = req->deletions.v[i].name;
    enum credential_mechanism m = credential_mechanism_of(req->deletions.v[i].mechanism);
    result *out = result_of(r, a, i);
    struct reason why = {0};
    enum err err;

    err = check(a, user, req->deletions.v[i].mechanism, &why);
    if (!err && !users_snapshot_find(r->engine->view->users, user, m))
        err = reason_set(&why, ERR_RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist");
    if (err) {
        fail_user(r, out, err, &why);
        return;
    }
    a->change.users[a->change.users_n].user = user;
    a->change.users[a->change.users_n].credential = NULL;
    a->change.users[a->change.users_n++].mechanism = m;
}

static void read_upsertion(struct request *r, struct altering *a, int32_t i)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    const struct alter_user_scram_credentials_request_scram_credential_upsertion *in = &req->upsertions.v[i];
    enum credential_mechanism m = credential_mechanism_of(in->mechanism);
    struct credential *c = &a->credentials[a->credentials_n];
    result *out = result_of(r, a, req->deletions.n + i);
    struct reason why = {0};
    enum err err;

    err = check(a, in->name, in->mechanism, &why);
    if (!err)
        err = credential_from_salted(c, m, in->salt, in->salted_password, in->iterations, &why);
    secret_wipe((void *)(uintptr_t)in->salted_password.p, in->salted_password.n); /* ours: in the frame */
    if (err) {
        fail_user(r, out, err, &why);
        return;
    }
    a->credentials_n++;
    a->change.users[a->change.users_n].user = in->name;
    a->change.users[a->change.users_n].credential = c;
    a->change.users[a->change.users_n++].mechanism = m;
}

/* Leaves out what belongs to users with an error. NEXT or AGAIN. */
static enum step drop_failed(struct request *r, struct altering *a)
{
    while (!a->dropped && a->at < a->change.users_n) {
        size_t i = a->at++;
        int32_t first = seen_find(&a->users, a->change.users[i].user);

        assert(first >= 0);
        if (!a->response.results.v[a->result_at[first]].error_code)
            a->change.users[a->kept++] = a->change.users[i];
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (!a->dropped) {
        a->change.users_n = a->kept;
        a->dropped = true;
        a->at = 0;
    }
    return STEP_NEXT;
}

/* NEXT or AGAIN. */
static enum step say_who(struct request *r, struct altering *a)
{
    while (a->at < a->change.users_n) {
        size_t i = a->at++;
        log_info("%.*s %s the %s credential of %.*s", SLICE_FMT(request_peer(r)->principal),
                 a->change.users[i].credential ? "sets" : "removes",
                 credential_mechanism_name(a->change.users[i].mechanism), SLICE_FMT(a->change.users[i].user));
        if (request_spent(r, LOG_UNITS))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static struct altering *begin_altering(struct request *r)
{
    const struct alter_user_scram_credentials_request *req = r->body;
    struct altering *a = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *a);
    int32_t n = req->deletions.n + req->upsertions.n;

    if (!a)
        return NULL;
    map_init(&a->pairs);
    if (!request_own(r, a, free_altering))
        return NULL;
    a->may = request_may_cluster(r, ACL_ALTER);
    alter_user_scram_credentials_response_init(&a->response);
    a->credentials = arena_array(&r->arena, a->may ? (size_t)req->upsertions.n : 1, sizeof *a->credentials);
    a->change.users = arena_array(&r->arena, a->may ? (size_t)n : 0, sizeof *a->change.users);
    a->response.results.v = arena_array_unset(&r->arena, (size_t)n, sizeof *a->response.results.v);
    a->result_at = arena_array_unset(&r->arena, (size_t)n, sizeof *a->result_at);
    if (!a->credentials || !a->change.users || !a->response.results.v || !a->result_at ||
        !seen_init(&a->users, n, altered_user, req, &r->arena))
        return NULL;
    a->response.results.n = 0;
    return a;
}

/* NEXT or AGAIN. Each costs two keys derived, or a look into the users. */
static enum step read_all(struct request *r, struct altering *a)
{
    const struct alter_user_scram_credentials_request *req = r->body;

    while (a->deletion < req->deletions.n) {
        read_deletion(r, a, a->deletion++);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    while (a->upsertion < req->upsertions.n) {
        read_upsertion(r, a, a->upsertion++);
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
    if (step == STEP_NEXT)
        step = drop_failed(r, a);
    if (step != STEP_NEXT)
        return step;
    if (a->change.users_n == 0)
        return request_reply(r, &a->response);
    step = say_who(r, a);
    if (step != STEP_NEXT)
        return step;
    a->submitted = true;
    return change_submit(r, &a->outcome, &a->change) == STEP_WAIT ? STEP_WAIT : altered(r, a);
}
