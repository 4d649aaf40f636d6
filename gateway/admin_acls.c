/* SPDX-License-Identifier: Apache-2.0
 * DescribeAcls, CreateAcls and DeleteAcls (KIP-140, KIP-290): answered from the rules the worker knows, changed through
 * the keeper. Rights and checks are Kafka's (AclApis, AclControlManager): DESCRIBE on the cluster to read, ALTER to
 * change. Each creation and each filter has its own result; what passes the checks is one decision in the ledger. */
#include "core/base/log.h"
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "wire/create_acls.h"
#include "wire/delete_acls.h"
#include "wire/describe_acls.h"

enum { RULES_PER_REQUEST_MAX = 100000 };

static void no_memory(struct pending *p)
{
    pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

static const struct acl_snapshot *rules_of(const struct pending *p)
{
    return p->session->worker->view->acl;
}

/* ---- DescribeAcls ---- */

static bool same_resource(const struct acl_rule *a, const struct acl_rule *b)
{
    return a->type == b->type && a->pattern == b->pattern && slice_eq(a->name, b->name);
}

/* Rules come sorted by resource, so those of one resource are one run. Counts with `out` NULL. */
static int32_t group(const struct acl_snapshot *s, const struct acl_filter *f,
                     struct describe_acls_response_describe_acls_resource *out,
                     struct describe_acls_response_acl_description *acls)
{
    const struct acl_rule *last = NULL;
    int32_t resources = 0;

    for (size_t i = 0; i < acl_snapshot_count(s); i++) {
        const struct acl_rule *r = acl_snapshot_rule(s, i);

        if (!acl_filter_matches(f, r))
            continue;
        if (!last || !same_resource(last, r))
            resources++;
        last = r;
        if (!out)
            continue;
        struct describe_acls_response_describe_acls_resource *res = &out[resources - 1];
        if (!res->acls.v) {
            res->resource_type = (int8_t)r->type;
            res->resource_name = r->name;
            res->pattern_type = (int8_t)r->pattern;
            res->acls.v = acls;
        }
        describe_acls_response_acl_description_init(acls);
        acls->principal = r->principal;
        acls->host = r->host;
        acls->operation = (int8_t)r->operation;
        acls->permission_type = (int8_t)r->permission;
        acls++;
        res->acls.n++;
    }
    return resources;
}

void handle_describe_acls(struct pending *p)
{
    const struct describe_acls_request *req = p->body;
    struct describe_acls_response resp;
    struct describe_acls_response_acl_description *acls;
    const struct acl_snapshot *s = rules_of(p);
    struct reason why = {0};
    struct acl_filter f = {.type = acl_type_of(req->resource_type_filter),
                           .pattern = acl_pattern_of(req->pattern_type_filter),
                           .operation = acl_operation_of(req->operation),
                           .permission = acl_permission_of(req->permission_type),
                           .name = req->resource_name_filter,
                           .principal = req->principal_filter,
                           .host = req->host_filter};
    enum err err = admin_may(p, ACL_DESCRIBE) ? acl_filter_validate(&f, &why) : ERR_CLUSTER_AUTHORIZATION_FAILED;

    describe_acls_response_init(&resp);
    if (err) {
        resp.error_code = err_kafka(err);
        resp.error_message = admin_words(p, err, &why);
        pending_answer(p, &resp);
        return;
    }
    acls = arena_array(&p->arena, acl_snapshot_count(s), sizeof *acls);
    if (!acls || !describe_acls_response_describe_acls_resource_array_alloc(&resp.resources, group(s, &f, NULL, NULL),
                                                                            &p->arena)) {
        no_memory(p);
        return;
    }
    group(s, &f, resp.resources.v, acls);
    pending_answer(p, &resp);
}

/* ---- CreateAcls ---- */

struct creating {
    struct create_acls_response response;
};

static void created(struct pending *p, enum err err, const struct reason *why)
{
    struct creating *c = p->filter;

    for (int32_t i = 0; err && i < c->response.results.n; i++) {
        if (c->response.results.v[i].error_code)
            continue;
        c->response.results.v[i].error_code = err_kafka(err);
        c->response.results.v[i].error_message = admin_words(p, err, why);
    }
    pending_answer(p, &c->response);
}

static void say_who(const struct pending *p, const char *what, const struct acl_rule *r)
{
    struct buf text;

    buf_init(&text, 0);
    acl_rule_put(&text, r);
    log_info("%.*s %s the rule %s", SLICE_FMT(session_principal(p->session)), what, buf_cstr(&text));
    buf_free(&text);
}

static enum err check_creation(const struct pending *p, const struct create_acls_request_acl_creation *in,
                               struct acl_rule *out, struct reason *why)
{
    if (!admin_may(p, ACL_ALTER))
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    *out = (struct acl_rule){acl_type_of(in->resource_type),
                             acl_pattern_of(in->resource_pattern_type),
                             acl_operation_of(in->operation),
                             acl_permission_of(in->permission_type),
                             in->resource_name,
                             in->principal,
                             in->host};
    return acl_rule_validate(out, why);
}

void handle_create_acls(struct pending *p)
{
    const struct create_acls_request *req = p->body;
    struct creating *c = p->filter = arena_alloc(&p->arena, sizeof *c);
    struct acl_rule *rules = arena_array(&p->arena, (size_t)req->creations.n, sizeof *rules);
    size_t n = 0;

    if (!c || !rules)
        return no_memory(p);
    create_acls_response_init(&c->response);
    if (!create_acls_response_acl_creation_result_array_alloc(&c->response.results, req->creations.n, &p->arena))
        return no_memory(p);
    for (int32_t i = 0; i < req->creations.n; i++) {
        struct reason why = {0};
        enum err err = check_creation(p, &req->creations.v[i], &rules[n], &why);

        if (!err && n == RULES_PER_REQUEST_MAX)
            err = reason_set(&why, ERR_INVALID_REQUEST, "more than %d rules in one request", RULES_PER_REQUEST_MAX);
        if (err) {
            c->response.results.v[i].error_code = err_kafka(err);
            c->response.results.v[i].error_message = admin_words(p, err, &why);
            continue;
        }
        say_who(p, "adds", &rules[n++]);
    }
    if (n == 0)
        pending_answer(p, &c->response);
    else
        admin_submit(p, &(struct knowledge_change){.add_rules = rules, .add_rules_n = n}, created);
}

/* ---- DeleteAcls ---- */

struct deleting {
    struct delete_acls_response response;
};

static void deleted(struct pending *p, enum err err, const struct reason *why)
{
    struct deleting *d = p->filter;

    for (int32_t i = 0; err && i < d->response.filter_results.n; i++) {
        struct delete_acls_response_delete_acls_filter_result *r = &d->response.filter_results.v[i];
        if (r->error_code || r->matching_acls.n == 0)
            continue;
        r->error_code = err_kafka(err);
        r->error_message = admin_words(p, err, why);
        r->matching_acls.n = 0;
    }
    pending_answer(p, &d->response);
}

static enum err check_filter(const struct pending *p, const struct delete_acls_request_delete_acls_filter *in,
                             struct acl_filter *f, struct reason *why)
{
    *f = (struct acl_filter){.type = acl_type_of(in->resource_type_filter),
                             .pattern = acl_pattern_of(in->pattern_type_filter),
                             .operation = acl_operation_of(in->operation),
                             .permission = acl_permission_of(in->permission_type),
                             .name = in->resource_name_filter,
                             .principal = in->principal_filter,
                             .host = in->host_filter};
    if (!admin_may(p, ACL_ALTER))
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    return acl_filter_validate(f, why);
}

/* The strings are copied: the view may be replaced while the ledger decides. `gone` marks rules already taken by
 * another filter of the request. False: no memory. */
static bool match(struct pending *p, const struct acl_filter *f,
                  struct delete_acls_response_delete_acls_filter_result *out, struct acl_rule *rules, size_t *n,
                  bool *gone)
{
    const struct acl_snapshot *s = rules_of(p);
    int32_t count = 0;

    for (size_t i = 0; i < acl_snapshot_count(s); i++)
        count += acl_filter_matches(f, acl_snapshot_rule(s, i));
    if (!delete_acls_response_delete_acls_matching_acl_array_alloc(&out->matching_acls, count, &p->arena))
        return false;
    count = 0;
    for (size_t i = 0; i < acl_snapshot_count(s); i++) {
        struct acl_rule r = *acl_snapshot_rule(s, i);
        struct delete_acls_response_delete_acls_matching_acl *m;

        if (!acl_filter_matches(f, &r))
            continue;
        r.name = arena_copy(&p->arena, r.name);
        r.principal = arena_copy(&p->arena, r.principal);
        r.host = arena_copy(&p->arena, r.host);
        if (slice_is_null(r.name) || slice_is_null(r.principal) || slice_is_null(r.host))
            return false;
        m = &out->matching_acls.v[count++];
        m->error_message = SLICE_NULL;
        m->resource_type = (int8_t)r.type;
        m->resource_name = r.name;
        m->pattern_type = (int8_t)r.pattern;
        m->principal = r.principal;
        m->host = r.host;
        m->operation = (int8_t)r.operation;
        m->permission_type = (int8_t)r.permission;
        if (!gone[i]) {
            gone[i] = true;
            rules[(*n)++] = r;
            say_who(p, "removes", &r);
        }
    }
    return true;
}

void handle_delete_acls(struct pending *p)
{
    const struct delete_acls_request *req = p->body;
    struct deleting *d = p->filter = arena_alloc(&p->arena, sizeof *d);
    size_t all = acl_snapshot_count(rules_of(p)), n = 0;
    struct acl_rule *rules = arena_array(&p->arena, all, sizeof *rules);
    bool *gone = arena_array(&p->arena, all, sizeof *gone);

    if (!d || !rules || !gone)
        return no_memory(p);
    delete_acls_response_init(&d->response);
    if (!delete_acls_response_delete_acls_filter_result_array_alloc(&d->response.filter_results, req->filters.n,
                                                                    &p->arena))
        return no_memory(p);
    for (int32_t i = 0; i < req->filters.n; i++) {
        struct delete_acls_response_delete_acls_filter_result *r = &d->response.filter_results.v[i];
        struct reason why = {0};
        struct acl_filter f;
        enum err err = check_filter(p, &req->filters.v[i], &f, &why);

        r->error_message = SLICE_NULL;
        if (err) {
            r->error_code = err_kafka(err);
            r->error_message = admin_words(p, err, &why);
        } else if (!match(p, &f, r, rules, &n, gone)) {
            return no_memory(p);
        }
    }
    if (n == 0)
        pending_answer(p, &d->response);
    else
        admin_submit(p, &(struct knowledge_change){.remove_rules = rules, .remove_rules_n = n}, deleted);
}
