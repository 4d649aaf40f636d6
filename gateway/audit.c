/* SPDX-License-Identifier: Apache-2.0
 * From the gateway's changes to audit entries. A change's words are made before it is submitted, because what it points
 * to does not outlive that; they live in one arena, freed when the records were put. */
#include "gateway/audit.h"

#include "acl/principal.h"
#include "core/base/arena.h"
#include "core/base/log.h"

#include <stdlib.h>

struct part {
    const char *type;
    struct slice resource, detail;
};

struct audited_change {
    struct arena arena;
    struct slice principal, host, operation;
    struct part *parts;
    size_t n;
};

void gateway_audit_login(struct audit_log *log, struct slice user, struct slice host, const char *operation,
                         const char *reason)
{
    struct audit_entry e = {.event = AUDIT_AUTHENTICATION,
                            .outcome = AUDIT_REFUSED,
                            .host = host,
                            .operation = slice_str(operation),
                            .reason = reason};
    struct buf principal;
    buf_init(&principal, 0);
    if (user.n) {
        principal_put_user(&principal, user);
        e.principal = buf_slice(&principal);
    }
    audit_log_put(log, &e, NULL, NULL);
    buf_free(&principal);
}

/* --- changes --- */

static void add(struct audited_change *a, const char *type, struct slice resource, struct buf *detail)
{
    a->parts[a->n++] = (struct part){type, arena_copy(&a->arena, resource), arena_copy(&a->arena, buf_slice(detail))};
    buf_clear(detail);
}

static void add_rules(struct audited_change *a, const struct acl_rule *rules, size_t n, const char *verb,
                      struct buf *text)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(text, "%s ", verb);
        acl_rule_put(text, &rules[i]);
        add(a, acl_type_name(rules[i].type), rules[i].name, text);
    }
}

static void add_all(struct audited_change *a, const struct knowledge_change *c, struct buf *text)
{
    struct buf name;
    buf_init(&name, 0);
    add_rules(a, c->remove_rules, c->remove_rules_n, "remove", text);
    add_rules(a, c->add_rules, c->add_rules_n, "add", text);
    for (size_t i = 0; i < c->users_n; i++) {
        buf_printf(text, "%s %s", c->users[i].credential ? "set" : "remove",
                   credential_mechanism_name(c->users[i].mechanism));
        add(a, "USER", c->users[i].user, text);
    }
    for (size_t i = 0; i < c->quotas_n; i++) {
        quota_entity_put(&name, &c->quotas[i].entity);
        if (c->quotas[i].remove)
            buf_printf(text, "remove %s", quota_key_name(c->quotas[i].key));
        else
            buf_printf(text, "set %s=%g", quota_key_name(c->quotas[i].key), c->quotas[i].value);
        add(a, "QUOTA", buf_slice(&name), text);
        buf_clear(&name);
    }
    for (size_t i = 0; i < c->policies_n; i++) {
        bool prefixed = c->policies[i].policy ? c->policies[i].policy->prefixed : c->policies[i].prefixed;
        buf_printf(text, "%s%s", c->policies[i].policy ? "set" : "remove", prefixed ? ", prefixed" : "");
        add(a, "POLICY", c->policies[i].policy ? slice_str(c->policies[i].policy->topic) : c->policies[i].topic, text);
    }
    buf_free(&name);
}

struct audited_change *gateway_audit_prepare(struct audit_log *log, struct slice principal, struct slice host,
                                             const char *operation, const struct knowledge_change *c)
{
    size_t n = c->add_rules_n + c->remove_rules_n + c->users_n + c->quotas_n + c->policies_n;
    struct audited_change *a = log ? calloc(1, sizeof *a) : NULL;
    struct buf text;
    if (a) {
        arena_init(&a->arena, 0);
        a->principal = arena_copy(&a->arena, principal);
        a->host = arena_copy(&a->arena, host);
        a->operation = arena_copy(&a->arena, slice_str(operation));
        a->parts = arena_array(&a->arena, n + 1, sizeof *a->parts);
    }
    if (log && (!a || !a->parts)) {
        log_error("audit: no memory: a change by %.*s is not recorded", SLICE_FMT(principal));
        free(a);
        return NULL;
    }
    if (a) {
        buf_init(&text, 0);
        add_all(a, c, &text);
        buf_free(&text);
    }
    return a;
}

void gateway_audit_change(struct audit_log *log, struct audited_change *a, enum err outcome, void (*done)(void *ctx),
                          void *ctx)
{
    for (size_t i = 0; a && i < a->n; i++) {
        struct audit_entry e = {.event = AUDIT_CHANGE,
                                .outcome = outcome ? AUDIT_FAILED : AUDIT_DONE,
                                .principal = a->principal,
                                .host = a->host,
                                .operation = a->operation,
                                .resource_type = a->parts[i].type,
                                .resource = a->parts[i].resource,
                                .detail = a->parts[i].detail,
                                .reason = outcome ? err_name(outcome) : NULL};
        /* records are written in order: when the last one is safe, all are */
        bool last = i + 1 == a->n && !outcome;
        audit_log_put(log, &e, last ? done : NULL, ctx);
        done = last ? NULL : done;
    }
    if (a)
        arena_free(&a->arena);
    free(a);
    if (done)
        done(ctx);
}
