/* SPDX-License-Identifier: Apache-2.0
 * DescribeAcls, CreateAcls and DeleteAcls (KIP-140, KIP-290): answered from the rules the worker knows, changed through
 * the keeper. Rights and checks are Kafka's (AclApis, AclControlManager): DESCRIBE on the cluster to read, ALTER to
 * change. Each creation and each filter has its own result; what passes the checks is one decision in the ledger. */
#include "core/base/log.h"
#include "gateway/admin/change.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "wire/create_acls.h"
#include "wire/delete_acls.h"
#include "wire/describe_acls.h"

enum { RULES_PER_REQUEST_MAX = 100000, LOG_UNITS = 8 /* of work, for a line in the log */ };

/* ---- DescribeAcls ---- */

static bool same_resource(const struct acl_rule *a, const struct acl_rule *b)
{
    return a->type == b->type && a->pattern == b->pattern && slice_eq(a->name, b->name);
}

struct describing {
    struct describe_acls_response response;
    struct acl_snapshot *rules; /* held: the answer points into it, and the view may be replaced meanwhile */
    struct acl_filter filter;
    struct describe_acls_response_acl_description *acls; /* of all resources, one after the other */
    int32_t resources, matches;
    const struct acl_rule *last; /* that matched */
    size_t counted, at;
};

/* Rules come sorted by resource, so those of one resource are one run. */
static void count_next(struct describing *d)
{
    const struct acl_rule *rule = acl_snapshot_rule(d->rules, d->counted++);

    if (!acl_filter_matches(&d->filter, rule))
        return;
    d->matches++;
    d->resources += !d->last || !same_resource(d->last, rule);
    d->last = rule;
}

static void put_next(struct describing *d)
{
    const struct acl_rule *rule = acl_snapshot_rule(d->rules, d->at++);
    struct describe_acls_response_describe_acls_resource *res;
    struct describe_acls_response_acl_description *out;

    if (!acl_filter_matches(&d->filter, rule))
        return;
    out = d->acls++;
    if (!d->last || !same_resource(d->last, rule)) {
        res = &d->response.resources.v[d->response.resources.n++];
        describe_acls_response_describe_acls_resource_init(res);
        res->resource_type = (int8_t)rule->type;
        res->resource_name = rule->name;
        res->pattern_type = (int8_t)rule->pattern;
        res->acls.v = out;
    }
    d->last = rule;
    d->response.resources.v[d->response.resources.n - 1].acls.n++;
    describe_acls_response_acl_description_init(out);
    out->principal = rule->principal;
    out->host = rule->host;
    out->operation = (int8_t)rule->operation;
    out->permission_type = (int8_t)rule->permission;
}

static enum step describe(struct request *r, struct describing *d)
{
    size_t n = acl_snapshot_count(d->rules);

    while (d->counted < n) {
        count_next(d);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (!d->response.resources.v) {
        d->response.resources.v = arena_array_unset(&r->arena, (size_t)d->resources, sizeof *d->response.resources.v);
        d->acls = arena_array_unset(&r->arena, (size_t)d->matches, sizeof *d->acls);
        if (!d->response.resources.v || !d->acls)
            return request_no_memory(r);
        d->last = NULL;
    }
    while (d->at < n) {
        put_next(d);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &d->response);
}

static void drop_snapshot(void *p)
{
    acl_snapshot_unref(p);
}

static struct describing *begin_describing(struct request *r)
{
    const struct describe_acls_request *req = r->body;
    struct describing *d = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *d);

    if (!d)
        return NULL;
    describe_acls_response_init(&d->response);
    d->rules = acl_snapshot_ref(r->engine->view->acl);
    if (!request_own(r, d->rules, drop_snapshot))
        return NULL;
    d->filter = (struct acl_filter){.type = acl_type_of(req->resource_type_filter),
                                    .pattern = acl_pattern_of(req->pattern_type_filter),
                                    .operation = acl_operation_of(req->operation),
                                    .permission = acl_permission_of(req->permission_type),
                                    .name = req->resource_name_filter,
                                    .principal = req->principal_filter,
                                    .host = req->host_filter};
    return d;
}

enum step describe_acls_answer(struct request *r)
{
    struct describing *d = r->state[FILTER_API];
    struct reason why = {0};
    enum err err;

    if (d)
        return describe(r, d);
    d = begin_describing(r);
    if (!d)
        return request_no_memory(r);
    err =
        request_may_cluster(r, ACL_DESCRIBE) ? acl_filter_validate(&d->filter, &why) : ERR_CLUSTER_AUTHORIZATION_FAILED;
    if (!err)
        return describe(r, d);
    d->response.error_code = err_kafka(err);
    d->response.error_message = request_words(r, err, &why);
    return request_reply(r, &d->response);
}

/* ---- CreateAcls ---- */

struct creating {
    struct change_outcome outcome;
    struct create_acls_response response;
    struct acl_rule *rules; /* those that pass the checks */
    size_t n;
    int32_t at;         /* creations checked */
    struct slice words; /* of the outcome, when it is an error */
    int32_t answered;
    bool may, submitted;
};

static enum step created(struct request *r, struct creating *c)
{
    if (c->outcome.err && c->answered == 0)
        c->words = request_words(r, c->outcome.err, &c->outcome.why);
    while (c->outcome.err && c->answered < c->response.results.n) {
        struct create_acls_response_acl_creation_result *out = &c->response.results.v[c->answered++];
        if (!out->error_code) {
            out->error_code = err_kafka(c->outcome.err);
            out->error_message = c->words;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &c->response);
}

static void say_who(const struct request *q, const char *what, const struct acl_rule *r)
{
    struct buf text;

    buf_init(&text, 0);
    acl_rule_put(&text, r);
    log_info("%.*s %s the rule %s", SLICE_FMT(request_peer(q)->principal), what, buf_cstr(&text));
    buf_free(&text);
}

static enum err check_creation(const struct creating *c, const struct create_acls_request_acl_creation *in,
                               struct acl_rule *out, struct reason *why)
{
    if (!c->may)
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    *out = (struct acl_rule){acl_type_of(in->resource_type),
                             acl_pattern_of(in->resource_pattern_type),
                             acl_operation_of(in->operation),
                             acl_permission_of(in->permission_type),
                             in->resource_name,
                             in->principal,
                             in->host};
    if (c->n == RULES_PER_REQUEST_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "more than %d rules in one request", RULES_PER_REQUEST_MAX);
    return acl_rule_validate(out, why);
}

static struct creating *begin_creating(struct request *r)
{
    const struct create_acls_request *req = r->body;
    struct creating *c = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *c);

    if (!c)
        return NULL;
    create_acls_response_init(&c->response);
    c->may = request_may_cluster(r, ACL_ALTER);
    c->rules = arena_array(&r->arena, c->may ? (size_t)req->creations.n : 1, sizeof *c->rules);
    if (!c->rules ||
        !create_acls_response_acl_creation_result_array_alloc(&c->response.results, req->creations.n, &r->arena))
        return NULL;
    return c;
}

enum step create_acls_answer(struct request *r)
{
    const struct create_acls_request *req = r->body;
    struct creating *c = r->state[FILTER_API];

    if (!c && !(c = begin_creating(r)))
        return request_no_memory(r);
    if (c->submitted)
        return created(r, c);
    while (c->at < req->creations.n) {
        struct reason why = {0};
        int32_t i = c->at++;
        enum err err = check_creation(c, &req->creations.v[i], &c->rules[c->n], &why);

        if (err) {
            c->response.results.v[i].error_code = err_kafka(err);
            c->response.results.v[i].error_message = why.code ? request_words(r, err, &why) : slice_str(err_text(err));
        } else {
            say_who(r, "adds", &c->rules[c->n++]);
        }
        if (request_spent(r, err ? 1 : LOG_UNITS))
            return STEP_AGAIN;
    }
    if (c->n == 0)
        return request_reply(r, &c->response);
    c->submitted = true;
    if (change_submit(r, &c->outcome, &(struct knowledge_change){.add_rules = c->rules, .add_rules_n = c->n}) ==
        STEP_WAIT)
        return STEP_WAIT;
    return created(r, c);
}

/* ---- DeleteAcls ---- */

struct deleting {
    struct change_outcome outcome;
    struct delete_acls_response response;
    struct acl_snapshot *snapshot; /* held: the view may be replaced while the ledger decides */
    struct acl_rule *rules;        /* to be removed; they point into the snapshot */
    bool *gone;                    /* rules of the snapshot that a filter has taken already */
    size_t n;
    int32_t at;         /* filters looked at */
    struct slice words; /* of the outcome, when it is an error */
    int32_t answered;
    bool may, submitted;
};

static enum step deleted(struct request *r, struct deleting *d)
{
    if (d->outcome.err && d->answered == 0)
        d->words = request_words(r, d->outcome.err, &d->outcome.why);
    while (d->outcome.err && d->answered < d->response.filter_results.n) {
        struct delete_acls_response_delete_acls_filter_result *f = &d->response.filter_results.v[d->answered++];
        if (!f->error_code && f->matching_acls.n > 0) {
            f->error_code = err_kafka(d->outcome.err);
            f->error_message = d->words;
            f->matching_acls.n = 0;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return request_reply(r, &d->response);
}

static enum err check_filter(const struct deleting *d, const struct delete_acls_request_delete_acls_filter *in,
                             struct acl_filter *f, struct reason *why)
{
    *f = (struct acl_filter){.type = acl_type_of(in->resource_type_filter),
                             .pattern = acl_pattern_of(in->pattern_type_filter),
                             .operation = acl_operation_of(in->operation),
                             .permission = acl_permission_of(in->permission_type),
                             .name = in->resource_name_filter,
                             .principal = in->principal_filter,
                             .host = in->host_filter};
    return d->may ? acl_filter_validate(f, why) : ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static void put_match(struct delete_acls_response_delete_acls_matching_acl *m, const struct acl_rule *rule)
{
    m->error_message = SLICE_NULL;
    m->resource_type = (int8_t)rule->type;
    m->resource_name = rule->name;
    m->pattern_type = (int8_t)rule->pattern;
    m->principal = rule->principal;
    m->host = rule->host;
    m->operation = (int8_t)rule->operation;
    m->permission_type = (int8_t)rule->permission;
}

/* `gone` marks rules already taken by another filter of the request. False: no memory. */
static bool match(struct request *r, struct deleting *d, const struct acl_filter *f,
                  struct delete_acls_response_delete_acls_filter_result *out)
{
    const struct acl_snapshot *s = d->snapshot;
    int32_t count = 0;

    for (size_t i = 0; i < acl_snapshot_count(s); i++)
        count += acl_filter_matches(f, acl_snapshot_rule(s, i));
    request_spent(r, (int32_t)acl_snapshot_count(s));
    if (!delete_acls_response_delete_acls_matching_acl_array_alloc(&out->matching_acls, count, &r->arena))
        return false;
    count = 0;
    for (size_t i = 0; i < acl_snapshot_count(s); i++) {
        const struct acl_rule *rule = acl_snapshot_rule(s, i);

        if (!acl_filter_matches(f, rule))
            continue;
        put_match(&out->matching_acls.v[count++], rule);
        if (!d->gone[i]) {
            d->gone[i] = true;
            d->rules[d->n++] = *rule;
            say_who(r, "removes", rule);
        }
    }
    return true;
}

static struct deleting *begin_deleting(struct request *r)
{
    const struct delete_acls_request *req = r->body;
    struct deleting *d = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *d);
    size_t all;

    if (!d)
        return NULL;
    delete_acls_response_init(&d->response);
    d->may = request_may_cluster(r, ACL_ALTER);
    d->snapshot = acl_snapshot_ref(r->engine->view->acl);
    if (!request_own(r, d->snapshot, drop_snapshot))
        return NULL;
    all = d->may ? acl_snapshot_count(d->snapshot) : 0;
    d->rules = arena_array(&r->arena, all, sizeof *d->rules);
    d->gone = arena_array(&r->arena, all, sizeof *d->gone);
    if (!d->rules || !d->gone ||
        !delete_acls_response_delete_acls_filter_result_array_alloc(&d->response.filter_results, req->filters.n,
                                                                    &r->arena))
        return NULL;
    return d;
}

enum step delete_acls_answer(struct request *r)
{
    const struct delete_acls_request *req = r->body;
    struct deleting *d = r->state[FILTER_API];

    if (!d && !(d = begin_deleting(r)))
        return request_no_memory(r);
    if (d->submitted)
        return deleted(r, d);
    while (d->at < req->filters.n) {
        int32_t i = d->at++;
        struct delete_acls_response_delete_acls_filter_result *out = &d->response.filter_results.v[i];
        struct reason why = {0};
        struct acl_filter f;
        enum err err = check_filter(d, &req->filters.v[i], &f, &why);

        out->error_message = SLICE_NULL;
        if (err) {
            out->error_code = err_kafka(err);
            out->error_message = why.code ? request_words(r, err, &why) : slice_str(err_text(err));
        } else if (!match(r, d, &f, out)) {
            return request_no_memory(r);
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (d->n == 0)
        return request_reply(r, &d->response);
    d->submitted = true;
    if (change_submit(r, &d->outcome, &(struct knowledge_change){.remove_rules = d->rules, .remove_rules_n = d->n}) ==
        STEP_WAIT)
        return STEP_WAIT;
    return deleted(r, d);
}
