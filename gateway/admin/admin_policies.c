/* SPDX-License-Identifier: Apache-2.0
 * Privacy policies over HTTP. Reading needs DESCRIBE_CONFIGS on the cluster. Setting or removing one needs ALTER on the
 * cluster, not a right on the topic: removing a policy lets a person's data be stored in the clear. */
#include "acl/acl_json.h"
#include "core/base/log.h"
#include "gateway/admin/admin_request.h"

static json_t *policy_json(const struct policy *policy)
{
    struct buf key, value;
    json_t *json = NULL;

    buf_init(&key, 0);
    buf_init(&value, 0);
    if (!policy_encode(policy, &key, &value))
        json = acl_json_read(buf_slice(&value), NULL);
    buf_free(&key);
    buf_free(&value);
    return json;
}

static const struct policy *find(const struct admin_request *r, bool prefixed)
{
    const struct policy_set *s = r->view->policies;

    for (size_t i = 0; i < policy_set_count(s); i++) {
        const struct policy *p = policy_set_at(s, i);
        if (p && p->prefixed == prefixed && slice_eq_str(r->name, p->topic))
            return p;
    }
    return NULL;
}

static void no_policy(struct admin_request *r, bool prefixed)
{
    admin_refuse(r, 404, "there is no %spolicy for %.*s", prefixed ? "prefixed " : "", SLICE_FMT(r->name));
}

void admin_get_policies(struct admin_request *r)
{
    bool prefixed = admin_query_true(r, "prefixed");
    const struct policy *one;
    json_t *list, *all;

    if (!admin_name_text(r) || !admin_needs(r, ACL_CLUSTER, ACL_DESCRIBE_CONFIGS, slice_str(ACL_CLUSTER_NAME)))
        return;
    if (r->name.n) {
        one = find(r, prefixed);
        if (one)
            admin_give(r, 200, policy_json(one));
        else
            no_policy(r, prefixed);
        return;
    }
    list = json_array();
    for (size_t i = 0; i < policy_set_count(r->view->policies); i++) {
        const struct policy *p = policy_set_at(r->view->policies, i);
        if (p)
            json_array_append_new(list, policy_json(p));
    }
    all = json_object();
    json_object_set_new(all, "policies", list);
    admin_give(r, 200, all);
}

/* ---- Changing: hand it to the keeper and wait ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
    enum err err;
    struct reason why;
    struct audit_log *audit;
    struct audited_change *audited;
};

static void finish(void *ctx)
{
    struct waiter *w = ctx;

    pthread_mutex_lock(&w->lock);
    w->finished = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

static void on_done(void *ctx, enum err err, const struct reason *why)
{
    struct waiter *w = ctx;

    w->err = err;
    w->why = *why;
    gateway_audit_change(w->audit, w->audited, err, finish, w);
}

static enum err change_and_wait(struct admin_request *r, const struct policy *policy, bool prefixed, struct reason *why)
{
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .audit = r->gateway->audit};
    struct knowledge_change change = {.policies_n = 1};
    __typeof__(*change.policies) one = {policy, r->name, prefixed};
    enum err err;

    change.policies = &one;
    w.audited = gateway_audit_prepare(w.audit, buf_slice(&r->principal), slice_str(r->host),
                                      policy ? "PUT policies" : "DELETE policies", &change);
    err = knowledge_submit(r->gateway->knowledge, &change, on_done, &w);
    if (err) {
        gateway_audit_change(w.audit, w.audited, err, NULL, NULL);
        return err;
    }
    pthread_mutex_lock(&w.lock); /* the ledger's own timeout ends it */
    while (!w.finished)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    *why = w.why;
    return w.err;
}

static const char *text(json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static enum err read_policy(const char *topic, json_t *o, bool prefixed, struct policy **out, struct reason *why)
{
    static const char *const known[] = {"subject_from", "protect", "erased",  "lineage", "tenant",
                                        "class",        "suite",   "version", "topic",   "pattern"};
    struct policy_words words = {.topic = topic,
                                 .prefixed = prefixed,
                                 .subject_from = text(o, "subject_from"),
                                 .protect = text(o, "protect"),
                                 .erased = text(o, "erased"),
                                 .lineage = text(o, "lineage"),
                                 .tenant = text(o, "tenant"),
                                 .subject_class = text(o, "class"),
                                 .suite = text(o, "suite")};
    const char *key;
    json_t *value;

    json_object_foreach(o, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return reason_set(why, ERR_INVALID_REQUEST, "unknown member \"%s\"", key);
        if (strcmp(key, "version") != 0 && !json_is_string(value))
            return reason_set(why, ERR_INVALID_REQUEST, "\"%s\" must be a text", key);
        if (slice_has_nul(slice_of(json_string_value(value), json_string_length(value))))
            return reason_set(why, ERR_INVALID_REQUEST, "\"%s\" must not have a NUL character in it", key);
    }
    if (text(o, "topic") && strcmp(text(o, "topic"), topic) != 0)
        return reason_set(why, ERR_INVALID_REQUEST, "the body names another topic than the path");
    return policy_new(out, &words, why);
}

void admin_put_policy(struct admin_request *r)
{
    bool prefixed = admin_query_true(r, "prefixed");
    const char *topic = admin_name_text(r);
    struct policy *policy = NULL;
    struct reason why = {0};
    enum err err;
    json_t *o;

    if (!topic || !admin_needs(r, ACL_CLUSTER, ACL_ALTER, slice_str(ACL_CLUSTER_NAME)))
        return;
    o = acl_json_read(r->body, &why);
    if (!o) {
        admin_refuse(r, 400, "the body must be a JSON object: %s", why.text);
        return;
    }
    err = read_policy(topic, o, prefixed, &policy, &why);
    json_decref(o);
    if (err) {
        admin_refuse(r, 422, "%s", why.code ? why.text : err_text(err));
        return;
    }
    err = change_and_wait(r, policy, prefixed, &why);
    if (err) {
        admin_refuse_err(r, err, &why);
    } else {
        log_info("%.*s sets the policy of %s%s", SLICE_FMT(buf_slice(&r->principal)), topic, prefixed ? "*" : "");
        admin_give(r, 200, policy_json(policy));
    }
    policy_free(policy);
}

void admin_delete_policy(struct admin_request *r)
{
    bool prefixed = admin_query_true(r, "prefixed");
    struct reason why = {0};
    enum err err;

    if (!admin_name_text(r) || !admin_needs(r, ACL_CLUSTER, ACL_ALTER, slice_str(ACL_CLUSTER_NAME)))
        return;
    if (!find(r, prefixed)) {
        no_policy(r, prefixed);
        return;
    }
    err = change_and_wait(r, NULL, prefixed, &why);
    if (err) {
        admin_refuse_err(r, err, &why);
        return;
    }
    log_info("%.*s removes the policy of %.*s%s", SLICE_FMT(buf_slice(&r->principal)), SLICE_FMT(r->name),
             prefixed ? "*" : "");
    r->status = 204;
}
