/* SPDX-License-Identifier: Apache-2.0
 * `castellan quota`: how much who may use. An entity is named by one or two of user and client id, or by an IP. */
#include "acl/quota.h"
#include "cli/session.h"
#include "wire/alter_client_quotas.h"
#include "wire/describe_client_quotas.h"

#include <math.h>
#include <stdlib.h>

static const char *const kinds[] = {"user", "client-id", "ip"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_default(struct session *s, size_t kind)
{
    static const char *const flags[] = {"user-default", "client-id-default", "ip-default"};
    return session_flag(s, flags[kind]);
}

static bool is_named(struct session *s, size_t kind)
{
    return session_option(s, kinds[kind]) || is_default(s, kind);
}

static enum err entity_of(struct session *s, struct alter_client_quotas_request_entity_data_array *out)
{
    int32_t n = 0;

    if (!alter_client_quotas_request_entity_data_array_alloc(out, KINDS, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < KINDS; i++) {
        if (!is_named(s, i))
            continue;
        if (session_option(s, kinds[i]) && is_default(s, i))
            return session_wrong_usage(s, "--%s and --%s-default exclude each other", kinds[i], kinds[i]);
        out->v[n].entity_type = slice_str(kinds[i]);
        out->v[n++].entity_name = slice_str(session_option(s, kinds[i])); /* null: the default */
    }
    out->n = n;
    return n ? ERR_OK : session_wrong_usage(s, "whose quota? --user U, --user-default, --client-id C ...");
}

static enum err alter(struct session *s, const struct alter_client_quotas_request *request)
{
    struct alter_client_quotas_response response;
    enum err err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_ALTER_CLIENT_QUOTAS, request, &response);

    for (int32_t i = 0; !err && i < response.entries.n; i++)
        err = session_check(s, response.entries.v[i].error_code, response.entries.v[i].error_message,
                            "cannot change the quota");
    return err;
}

static enum err parse_value(struct session *s, const char *word, struct alter_client_quotas_request_op_data *op)
{
    const char *equals = strchr(word, '=');
    enum quota_key key;
    char *end;

    if (!equals)
        return session_wrong_usage(s, "\"%s\" is not KEY=VALUE", word);
    op->key = slice_of(word, (size_t)(equals - word));
    if (!quota_key_parse(op->key, &key))
        return session_wrong_usage(s,
                                   "unknown quota \"%.*s\": producer_byte_rate, consumer_byte_rate, "
                                   "request_percentage, controller_mutation_rate, connection_creation_rate",
                                   SLICE_FMT(op->key));
    op->value = strtod(equals + 1, &end);
    if (!equals[1] || *end || !isfinite(op->value))
        return session_wrong_usage(s, "\"%s\": the value must be a number", word);
    return ERR_OK;
}

/* One entry with room for n operations. */
static enum err new_request(struct session *s, struct alter_client_quotas_request *request, size_t n)
{
    enum err err;

    alter_client_quotas_request_init(request);
    if (!alter_client_quotas_request_entry_data_array_alloc(&request->entries, 1, &s->arena) ||
        !alter_client_quotas_request_op_data_array_alloc(&request->entries.v[0].ops, (int32_t)n, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    err = entity_of(s, &request->entries.v[0].entity);
    return err;
}

static enum err run_set(struct session *s)
{
    struct alter_client_quotas_request request;
    json_t *o;
    enum err err = new_request(s, &request, s->word_count);

    for (size_t i = 0; !err && i < s->word_count; i++)
        err = parse_value(s, s->words[i], &request.entries.v[0].ops.v[i]);
    if (!err)
        err = alter(s, &request);
    if (err)
        return err;
    o = json_object();
    for (size_t i = 0; i < s->word_count; i++) {
        const struct alter_client_quotas_request_op_data *op = &request.entries.v[0].ops.v[i];
        json_object_set_new(o, arena_strdup(&s->arena, op->key), json_real(op->value));
    }
    return session_say(s, o, "quota set");
}

static enum err describe(struct session *s, bool strict, struct describe_client_quotas_response *out)
{
    struct describe_client_quotas_request request;
    int32_t n = 0;
    enum err err;

    describe_client_quotas_request_init(&request);
    request.strict = strict;
    if (!describe_client_quotas_request_component_data_array_alloc(&request.components, KINDS, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < KINDS; i++) {
        if (!is_named(s, i))
            continue;
        request.components.v[n].entity_type = slice_str(kinds[i]);
        request.components.v[n].match_type = is_default(s, i) ? QUOTA_MATCH_DEFAULT : QUOTA_MATCH_EXACT;
        request.components.v[n++].match = slice_str(session_option(s, kinds[i]));
    }
    request.components.n = n;
    err = session_call(s, KAFKA_CLI_ANY, WIRE_DESCRIBE_CLIENT_QUOTAS, &request, out);
    return err ? err : session_check(s, out->error_code, out->error_message, "cannot list the quotas");
}

static enum err run_list(struct session *s)
{
    static const struct table_column columns[] = {{"user", "USER"}, {"client-id", "CLIENT-ID"}, {"ip", "IP"},
                                                  {"key", "QUOTA"}, {"value", "VALUE"},         {0}};
    struct describe_client_quotas_response d;
    json_t *rows;
    enum err err = describe(s, false, &d);

    if (err)
        return err;
    rows = json_array();
    for (int32_t i = 0; i < d.entries.n; i++)
        for (int32_t k = 0; k < d.entries.v[i].values.n; k++) {
            json_t *row = json_object();
            for (int32_t e = 0; e < d.entries.v[i].entity.n; e++) {
                const struct describe_client_quotas_response_entity_data *part = &d.entries.v[i].entity.v[e];
                json_object_set_new(row, arena_strdup(&s->arena, part->entity_type),
                                    slice_is_null(part->entity_name) ? json_string("<default>")
                                                                     : session_json_slice(part->entity_name));
            }
            json_object_set_new(row, "key", session_json_slice(d.entries.v[i].values.v[k].key));
            json_object_set_new(row, "value", json_real(d.entries.v[i].values.v[k].value));
            json_array_append_new(rows, row);
        }
    return session_show_rows(s, rows, columns, "no quotas: nobody is limited");
}

/* Without keys: all that the entity has. */
static enum err run_remove(struct session *s)
{
    struct alter_client_quotas_request request;
    struct describe_client_quotas_response d;
    size_t n = s->word_count;
    enum err err = new_request(s, &request, n ? n : QUOTA_KEYS);

    if (!err)
        err = describe(s, true, &d);
    if (err)
        return err;
    if (d.entries.n == 0)
        return session_fail(s, ERR_NOT_FOUND, "there is no such quota; `castellan quota list` shows what there is");
    for (size_t i = 0; i < n; i++)
        request.entries.v[0].ops.v[i].key = slice_str(s->words[i]);
    for (int32_t k = 0; s->word_count == 0 && k < d.entries.v[0].values.n && n < QUOTA_KEYS; k++)
        request.entries.v[0].ops.v[n++].key = d.entries.v[0].values.v[k].key;
    request.entries.v[0].ops.n = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        request.entries.v[0].ops.v[i].remove = true;
    err = alter(s, &request);
    return err ? err : session_say(s, json_pack("{s:I}", "removed", (json_int_t)n), "quota removed");
}

static const struct action actions[] = {
    {"set", 1, QUOTA_KEYS, run_set},
    {"list", 0, 0, run_list},
    {"remove", 0, QUOTA_KEYS, run_remove},
    {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"user", "U", "the user U"},
    {"user-default", NULL, "every user without a quota of its own"},
    {"client-id", "C", "the client id C"},
    {"client-id-default", NULL, "every client id without a quota of its own"},
    {"ip", "IP", "the address IP (connection_creation_rate)"},
    {"ip-default", NULL, "every address without a quota of its own"},
    {0},
};

const struct verb verb_quota = {
    .name = "quota",
    .summary = "how much who may use",
    .usage = "set (--user U | --user-default | --client-id C | --client-id-default ...) KEY=VALUE...\n"
             "list [--user U ...]\n"
             "remove (--user U ...) [KEY...]",
    .options = options,
    .run = run,
};
