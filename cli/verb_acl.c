/* SPDX-License-Identifier: Apache-2.0
 * `castellan acl`: who may do what. Words become rules: every principal times every operation times every resource
 * times every host, each option repeatable. `remove` deletes exactly the rules that the same words would add. */
#include "acl/acl.h"
#include "cli/session.h"
#include "wire/create_acls.h"
#include "wire/delete_acls.h"
#include "wire/describe_acls.h"

#include <stdlib.h>

enum { RULES_MAX = 1000, WORDS_MAX = 64 };

static const struct {
    const char *option;
    enum acl_type type;
} resources[] = {
    {"topic", ACL_TOPIC},
    {"group", ACL_GROUP},
    {"cluster", ACL_CLUSTER},
    {"transactional-id", ACL_TRANSACTIONAL_ID},
    {"delegation-token", ACL_DELEGATION_TOKEN},
    {"user", ACL_USER},
    {"subject", ACL_SUBJECT},
    {"data-subject", ACL_DATA_SUBJECT},
};
enum { RESOURCES = sizeof resources / sizeof *resources };

/* The words of the command line, sorted by what they are. */
struct words {
    struct acl_rule principals[WORDS_MAX]; /* principal and permission */
    struct acl_rule resources[WORDS_MAX];  /* type and name */
    enum acl_operation operations[ACL_OPERATIONS];
    struct slice hosts[WORDS_MAX];
    size_t principal_n, resource_n, operation_n, host_n;
    enum acl_pattern pattern;
};

static struct slice principal_of(struct session *s, const char *text)
{
    const char *full = strchr(text, ':') ? text : arena_printf(&s->arena, "User:%s", text);
    return slice_str(full);
}

static enum err add_operations(struct session *s, struct words *w, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        enum acl_operation o = acl_operation_parse(slice_of(text, n));
        bool twice = false;
        if (o == ACL_OP_UNKNOWN || o == ACL_OP_ANY)
            return session_wrong_usage(s,
                                       "unknown operation \"%.*s\": READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, "
                                       "DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, CLUSTER_ACTION, ALL ...",
                                       (int)n, text);
        for (size_t i = 0; i < w->operation_n; i++)
            twice = twice || w->operations[i] == o;
        if (!twice)
            w->operations[w->operation_n++] = o;
        text += n + (text[n] == ',');
    }
    return ERR_OK;
}

static enum err add_word(struct session *s, struct words *w, const char *name, const char *value)
{
    bool allow = strcmp(name, "allow") == 0;

    if (w->principal_n == WORDS_MAX || w->resource_n == WORDS_MAX || w->host_n == WORDS_MAX)
        return session_wrong_usage(s, "more than %d of one kind", WORDS_MAX - 1);
    if (allow || strcmp(name, "deny") == 0)
        w->principals[w->principal_n++] =
            (struct acl_rule){.permission = allow ? ACL_ALLOW : ACL_DENY, .principal = principal_of(s, value)};
    else if (strcmp(name, "host") == 0)
        w->hosts[w->host_n++] = slice_str(value);
    else if (strcmp(name, "operation") == 0)
        return add_operations(s, w, value);
    for (size_t i = 0; i < RESOURCES; i++)
        if (strcmp(name, resources[i].option) == 0)
            w->resources[w->resource_n++] =
                (struct acl_rule){.type = resources[i].type,
                                  .name = slice_str(resources[i].type == ACL_CLUSTER ? ACL_CLUSTER_NAME : value)};
    return ERR_OK;
}

static enum err read_words(struct session *s, struct words *w)
{
    enum err err = ERR_OK;

    *w = (struct words){.pattern = session_flag(s, "prefixed") ? ACL_PREFIXED : ACL_LITERAL};
    for (size_t i = 0; !err && i < s->args->given; i++)
        err = add_word(s, w, s->args->given_name[i], s->args->given_value[i]);
    return err;
}

static enum err check_operations(struct session *s, const struct words *w)
{
    for (size_t r = 0; r < w->resource_n; r++)
        for (size_t o = 0; o < w->operation_n; o++)
            if (!acl_operation_supported(w->resources[r].type, w->operations[o]))
                return session_wrong_usage(s, "%s does not apply to %s", acl_operation_name(w->operations[o]),
                                           acl_type_name(w->resources[r].type));
    return ERR_OK;
}

/* Every combination, each valid. */
static enum err make_rules(struct session *s, struct acl_rule **out, size_t *count)
{
    struct words w;
    size_t n = 0;
    enum err err = read_words(s, &w);

    if (err)
        return err;
    if (!w.principal_n || !w.operation_n || !w.resource_n)
        return session_wrong_usage(s, "%s is missing",
                                   !w.principal_n   ? "--allow or --deny PRINCIPAL"
                                   : !w.operation_n ? "--operation"
                                                    : "the resource (--topic T, --group G, ...)");
    if (!w.host_n)
        w.hosts[w.host_n++] = slice_str("*");
    err = check_operations(s, &w);
    *count = w.principal_n * w.operation_n * w.resource_n * w.host_n;
    if (!err && *count > RULES_MAX)
        err = session_wrong_usage(s, "these words make %zu rules; at most %d at once", *count, RULES_MAX);
    *out = err ? NULL : arena_array(&s->arena, *count, sizeof **out);
    if (!err && !*out)
        err = session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; !err && i < *count; i++) {
        struct acl_rule *r = &(*out)[n++];
        size_t k = i;
        *r = w.resources[k % w.resource_n];
        k /= w.resource_n;
        r->operation = w.operations[k % w.operation_n];
        k /= w.operation_n;
        r->principal = w.principals[k % w.principal_n].principal;
        r->permission = w.principals[k % w.principal_n].permission;
        r->host = w.hosts[k / w.principal_n];
        r->pattern = r->type == ACL_CLUSTER ? ACL_LITERAL : w.pattern;
        err = acl_rule_validate(r, &s->why);
    }
    return err;
}

static json_t *rule_json(const struct acl_rule *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "permission", json_string(acl_permission_name(r->permission)));
    json_object_set_new(o, "principal", session_json_slice(r->principal));
    json_object_set_new(o, "operation", json_string(acl_operation_name(r->operation)));
    json_object_set_new(o, "resource_type", json_string(acl_type_name(r->type)));
    json_object_set_new(o, "pattern", json_string(acl_pattern_name(r->pattern)));
    json_object_set_new(o, "resource", session_json_slice(r->name));
    json_object_set_new(o, "host", session_json_slice(r->host));
    return o;
}

static enum err show_rules(struct session *s, json_t *rows, const char *when_empty)
{
    static const struct table_column columns[] = {
        {"permission", "PERMISSION"}, {"principal", "PRINCIPAL"}, {"operation", "OPERATION"}, {"resource_type", "TYPE"},
        {"pattern", "PATTERN"},       {"resource", "RESOURCE"},   {"host", "HOST"},           {0},
    };
    return session_show_rows(s, rows, columns, when_empty);
}

static enum err run_add(struct session *s)
{
    struct create_acls_request request;
    struct create_acls_response response;
    struct acl_rule *rules = NULL;
    size_t n = 0;
    json_t *rows;
    enum err err = make_rules(s, &rules, &n);

    if (err)
        return err;
    create_acls_request_init(&request);
    if (!create_acls_request_acl_creation_array_alloc(&request.creations, (int32_t)n, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < n; i++) {
        struct create_acls_request_acl_creation *c = &request.creations.v[i];
        c->resource_type = (int8_t)rules[i].type;
        c->resource_name = rules[i].name;
        c->resource_pattern_type = (int8_t)rules[i].pattern;
        c->principal = rules[i].principal;
        c->host = rules[i].host;
        c->operation = (int8_t)rules[i].operation;
        c->permission_type = (int8_t)rules[i].permission;
    }
    err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_CREATE_ACLS, &request, &response);
    for (int32_t i = 0; !err && i < response.results.n; i++)
        err = session_check(s, response.results.v[i].error_code, response.results.v[i].error_message,
                            "cannot add the rule for %.*s", SLICE_FMT(rules[i].name));
    if (err)
        return err;
    rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, rule_json(&rules[i]));
    return show_rules(s, rows, "");
}

static enum err run_remove(struct session *s)
{
    struct delete_acls_request request;
    struct delete_acls_response response;
    struct acl_rule *rules = NULL;
    size_t n = 0, removed = 0;
    enum err err = make_rules(s, &rules, &n);

    if (err)
        return err;
    delete_acls_request_init(&request);
    if (!delete_acls_request_delete_acls_filter_array_alloc(&request.filters, (int32_t)n, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < n; i++) {
        struct delete_acls_request_delete_acls_filter *f = &request.filters.v[i];
        f->resource_type_filter = (int8_t)rules[i].type;
        f->resource_name_filter = rules[i].name;
        f->pattern_type_filter = (int8_t)rules[i].pattern;
        f->principal_filter = rules[i].principal;
        f->host_filter = rules[i].host;
        f->operation = (int8_t)rules[i].operation;
        f->permission_type = (int8_t)rules[i].permission;
    }
    err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_DELETE_ACLS, &request, &response);
    for (int32_t i = 0; !err && i < response.filter_results.n; i++) {
        err = session_check(s, response.filter_results.v[i].error_code, response.filter_results.v[i].error_message,
                            "cannot remove the rule for %.*s", SLICE_FMT(rules[i].name));
        removed += response.filter_results.v[i].matching_acls.n > 0;
    }
    if (err)
        return err;
    if (removed == 0)
        return session_fail(s, ERR_NOT_FOUND, "no such rule; `castellan acl list` shows what there is");
    return session_say(s, json_pack("{s:I}", "removed", (json_int_t)removed), "%zu rule%s removed", removed,
                       removed == 1 ? "" : "s");
}

static enum err describe_one(struct session *s, const struct describe_acls_request *request, json_t *rows)
{
    struct describe_acls_response response;
    enum err err = session_call(s, KAFKA_CLI_ANY, WIRE_DESCRIBE_ACLS, request, &response);

    if (!err)
        err = session_check(s, response.error_code, response.error_message, "cannot list the rules");
    for (int32_t i = 0; !err && i < response.resources.n; i++)
        for (int32_t k = 0; k < response.resources.v[i].acls.n; k++) {
            const struct describe_acls_response_acl_description *a = &response.resources.v[i].acls.v[k];
            const struct acl_rule r = {.type = acl_type_of(response.resources.v[i].resource_type),
                                       .pattern = acl_pattern_of(response.resources.v[i].pattern_type),
                                       .name = response.resources.v[i].resource_name,
                                       .principal = a->principal,
                                       .host = a->host,
                                       .operation = acl_operation_of(a->operation),
                                       .permission = acl_permission_of(a->permission_type)};
            json_array_append_new(rows, rule_json(&r));
        }
    return err;
}

/* Type ANY does not include our two types (a stock client could not read them), so they are asked for by name. */
static enum err run_list(struct session *s)
{
    static const enum acl_type all[] = {ACL_TYPE_ANY, ACL_SUBJECT, ACL_DATA_SUBJECT};
    struct describe_acls_request request;
    struct words w;
    json_t *rows = json_array();
    enum err err = read_words(s, &w);

    describe_acls_request_init(&request);
    request.resource_name_filter = request.principal_filter = request.host_filter = SLICE_NULL;
    request.operation = ACL_OP_ANY;
    request.permission_type = ACL_PERMISSION_ANY;
    if (session_option(s, "principal"))
        request.principal_filter = principal_of(s, session_option(s, "principal"));
    request.pattern_type_filter = ACL_PATTERN_ANY;
    for (size_t i = 0; !err && !w.resource_n && i < sizeof all / sizeof *all; i++) {
        request.resource_type_filter = (int8_t)all[i];
        err = describe_one(s, &request, rows);
    }
    request.pattern_type_filter = w.pattern == ACL_PREFIXED ? ACL_PREFIXED : ACL_PATTERN_MATCH;
    for (size_t i = 0; !err && i < w.resource_n; i++) {
        request.resource_type_filter = (int8_t)w.resources[i].type;
        request.resource_name_filter = w.resources[i].name;
        err = describe_one(s, &request, rows);
    }
    if (!err)
        return show_rules(s, rows, "no rules: only super users may do anything");
    json_decref(rows);
    return err;
}

/* Which rule decides, as the gateway sees it (the admin interface tells; Kafka's protocol has no such question). */
static enum err run_explain(struct session *s)
{
    const char *principal = session_option(s, "principal");
    json_t *answer = NULL;
    struct words w;
    struct buf path;
    enum err err = read_words(s, &w);

    if (!err && (!principal || w.operation_n != 1 || w.resource_n != 1 || w.host_n > 1))
        err = session_wrong_usage(s, "explain needs --principal P, one --operation and one resource");
    if (err)
        return err;
    buf_init(&path, 0);
    buf_put_str(&path, "/v1/acls/explain?principal=");
    session_put_escaped(&path, arena_strdup(&s->arena, principal_of(s, principal)));
    buf_printf(&path, "&type=%s&operation=%s&name=", acl_type_name(w.resources[0].type),
               acl_operation_name(w.operations[0]));
    session_put_escaped(&path, arena_strdup(&s->arena, w.resources[0].name));
    if (w.host_n) {
        buf_put_str(&path, "&host=");
        session_put_escaped(&path, arena_strdup(&s->arena, w.hosts[0]));
    }
    err = session_http(s, SESSION_ADMIN, "GET", buf_cstr(&path), NULL, &answer);
    buf_free(&path);
    if (err)
        return err;
    principal = json_string_value(json_object_get(answer, "explanation"));
    principal = principal ? arena_strdup(&s->arena, slice_str(principal)) : "";
    return session_say(s, answer, "%s", principal);
}

static const struct action actions[] = {
    {"add", 0, 0, run_add}, {"list", 0, 0, run_list}, {"remove", 0, 0, run_remove}, {"explain", 0, 0, run_explain}, {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"allow", "PRINCIPAL", "who may: NAME, User:NAME, or User:* for everybody"},
    {"deny", "PRINCIPAL", "who may not; outweighs every allow"},
    {"operation", "OP[,OP...]", "READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, ... or ALL"},
    {"topic", "T", "on a topic; * is every topic"},
    {"group", "G", "on a consumer group"},
    {"cluster", NULL, "on the cluster"},
    {"transactional-id", "X", "on a transactional id"},
    {"delegation-token", "D", "on a delegation token"},
    {"user", "U", "on a user (tokens made for it)"},
    {"subject", "S", "on a subject of the registry"},
    {"data-subject", "D", "on a person (forgetting)"},
    {"prefixed", NULL, "the resource's name is a prefix"},
    {"host", "HOST", "from one address only (default: any)"},
    {"principal", "P", "list: only rules that name P; explain: who asks"},
    {0},
};

const struct verb verb_acl = {
    .name = "acl",
    .summary = "who may do what",
    .usage = "add --allow|--deny PRINCIPAL --operation OP[,OP...] RESOURCE [--prefixed] [--host HOST]\n"
             "list [RESOURCE] [--principal P]\n"
             "remove (the same words as add)\n"
             "explain --principal P --operation OP RESOURCE [--host HOST]",
    .options = options,
    .run = run,
};
