/* SPDX-License-Identifier: Apache-2.0
 * Carrying out a plan over REST.
 *
 * Happy path: a scope is switched to mode IMPORT before the first schema of it is written, which lets ids and versions
 * be given; schemas in order -> soft deletions, last first, so that nothing live refers to what goes -> configurations
 * -> every switched scope gets its mode back -> modes of the source. An empty context is switched as a whole, for one
 * with live subjects only the subjects at hand are, so that nobody else is disturbed. Every step may be done twice, so
 * an import that was killed is simply run again; a scope it left in mode IMPORT is taken for its own.
 * When something fails the modes are put back all the same; only kill -9 or a lost connection leaves them. */
#include "cli/schema_plan.h"

#include <stdio.h>

struct run {
    struct remote *target;
    const struct schema_set *there;
    const struct schema_plan *plan;
    json_t *switched;  /* scope -> the mode to go back to; "" is none */
    json_t *populated; /* context scopes with live subjects before */
    struct progress progress;
};

static enum err put_mode(struct run *r, const char *scope, const char *mode)
{
    json_t *body = json_pack("{s:s}", "mode", mode);
    enum err err =
        remote_ask(r->target, "PUT", body, NULL, *scope ? "/mode/" : "/mode", *scope ? scope : NULL, "?force=true");

    json_decref(body);
    return err;
}

static enum err drop_mode(struct run *r, const char *scope)
{
    enum err err = remote_ask(r->target, "DELETE", NULL, NULL, "/mode/", scope, "");

    if (err && r->target->s->http_status == 404) { /* a second time */
        r->target->s->why = (struct reason){0};
        return ERR_OK;
    }
    return err;
}

static const char *mode_there(const struct run *r, const char *scope)
{
    const char *mode = json_string_value(json_object_get(r->there->modes, scope));

    return mode ? mode : "";
}

static enum err switch_scope(struct run *r, const char *scope)
{
    const char *before = mode_there(r, scope);
    enum err err;

    if (json_object_get(r->switched, scope))
        return ERR_OK;
    if (!strcmp(before, "IMPORT"))
        before = *scope ? "" : "READWRITE";
    json_object_set_new(r->switched, scope, json_string(before)); /* first: the answer may be lost */
    err = put_mode(r, scope, "IMPORT");
    if (err && r->target->s->http_code == 42205)
        return session_fail(r->target->s, err,
                            "%s does not let modes be changed (mode.mutability), so ids cannot be given",
                            r->target->name);
    return err;
}

static enum err switch_for(struct run *r, const json_t *schema)
{
    const char *subject = schema_subject(schema), *own = mode_there(r, subject);
    struct buf context;
    bool whole;
    enum err err;

    buf_init(&context, 0);
    schema_put_context_scope(&context, subject);
    whole = !json_object_get(r->populated, buf_cstr(&context)) || !strcmp(mode_there(r, buf_cstr(&context)), "IMPORT");
    err = whole ? switch_scope(r, buf_cstr(&context)) : ERR_OK;
    buf_free(&context);
    if (!err && (!whole || (*own && strcmp(own, "IMPORT") != 0)))
        err = switch_scope(r, subject);
    if (!err && whole && !strcmp(own, "IMPORT") && !json_object_get(r->switched, subject))
        json_object_set_new(r->switched, subject, json_string("")); /* left by a run that was killed */
    return err;
}

static enum err add_schema(struct run *r, const json_t *schema)
{
    static const char *const members[] = {"schema", "schemaType", "references", "metadata", "ruleSet", "id", "version"};
    json_t *body, *answer = NULL;
    enum err err = switch_for(r, schema);

    if (err)
        return err;
    body = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(schema, members[i]))
            json_object_set(body, members[i], json_object_get(schema, members[i]));
    err = remote_ask(r->target, "POST", body, &answer, "/subjects/", schema_subject(schema), "/versions");
    json_decref(body);
    if (!err && schema_id(answer) != schema_id(schema))
        err = session_fail(r->target->s, ERR_CONFLICT, "%s gave %s version %lld the id %lld instead of %lld",
                           r->target->name, schema_subject(schema), (long long)schema_version(schema),
                           (long long)schema_id(answer), (long long)schema_id(schema));
    json_decref(answer);
    return err;
}

static enum err hide_schema(struct run *r, const json_t *schema)
{
    char rest[48];
    enum err err;

    snprintf(rest, sizeof rest, "/versions/%lld", (long long)schema_version(schema));
    err = remote_ask(r->target, "DELETE", NULL, NULL, "/subjects/", schema_subject(schema), rest);
    if (err && r->target->s->http_code == 40406) { /* a second time */
        r->target->s->why = (struct reason){0};
        return ERR_OK;
    }
    return err;
}

static enum err run_schemas(struct run *r)
{
    size_t adds = json_array_size(r->plan->add), hides = json_array_size(r->plan->hide);
    enum err err = ERR_OK;

    for (size_t i = 0; i < adds && !err; i++) {
        err = add_schema(r, json_array_get(r->plan->add, i));
        progress_say(&r->progress, "%s: %zu of %zu schemas written", r->target->name, i + 1, adds);
    }
    for (size_t i = hides; i > 0 && !err; i--) {
        err = hide_schema(r, json_array_get(r->plan->hide, i - 1));
        progress_say(&r->progress, "%s: %zu of %zu schemas softly deleted", r->target->name, hides - i + 1, hides);
    }
    return err;
}

/* GET answers with compatibilityLevel, PUT wants compatibility; null unsets what the target has and the source not. */
static json_t *config_for_put(const json_t *config, const json_t *there)
{
    json_t *o = json_copy((json_t *)config), *level = json_object_get(o, "compatibilityLevel"), *unused;
    const char *member;

    json_object_foreach((json_t *)there, member, unused) if (!json_object_get(o, member))
        json_object_set_new(o, strcmp(member, "compatibilityLevel") ? member : "compatibility", json_null());
    if (level) {
        json_object_set(o, "compatibility", level);
        json_object_del(o, "compatibilityLevel");
    }
    return o;
}

static enum err run_configs(struct run *r)
{
    const char *scope;
    json_t *config;
    enum err err = ERR_OK;

    json_object_foreach(r->plan->configs, scope, config)
    {
        json_t *body;
        if (err)
            break;
        body = config_for_put(config, json_object_get(r->there->configs, scope));
        err = remote_ask(r->target, "PUT", body, NULL, *scope ? "/config/" : "/config", *scope ? scope : NULL, "");
        json_decref(body);
        progress_say(&r->progress, "%s: configurations are written", r->target->name);
    }
    return err;
}

/* Whatever happened. *left: what could not be put back because nobody answers any more. */
static enum err put_back(struct run *r, size_t *left)
{
    const char *scope, *mode;
    json_t *before;
    enum err err = ERR_OK;

    *left = json_object_size(r->switched);
    json_object_foreach(r->switched, scope, before)
    {
        mode = json_string_value(before);
        err = *mode ? put_mode(r, scope, mode) : *scope ? drop_mode(r, scope) : put_mode(r, scope, "READWRITE");
        if (err)
            break;
        --*left;
        progress_say(&r->progress, "%s: modes are put back", r->target->name);
    }
    return err;
}

static enum err run_modes(struct run *r)
{
    const char *scope;
    json_t *mode;
    enum err err = ERR_OK;

    json_object_foreach(r->plan->modes, scope, mode)
    {
        if (!err)
            err = *json_string_value(mode) ? put_mode(r, scope, json_string_value(mode)) : drop_mode(r, scope);
    }
    return err;
}

static void note_populated(struct run *r)
{
    json_t *schema;
    size_t i;

    json_array_foreach(r->there->schemas, i, schema)
    {
        struct buf context;
        if (schema_deleted(schema))
            continue;
        buf_init(&context, 0);
        schema_put_context_scope(&context, schema_subject(schema));
        json_object_set_new(r->populated, buf_cstr(&context), json_true());
        buf_free(&context);
    }
}

enum err schema_plan_run(struct remote *target, const struct schema_set *there, const struct schema_plan *plan,
                         size_t *switched_left)
{
    struct run r = {
        .target = target, .there = there, .plan = plan, .switched = json_object(), .populated = json_object()};
    struct reason first;
    enum err err, back;

    progress_start(&r.progress);
    note_populated(&r);
    err = run_schemas(&r);
    if (!err)
        err = run_configs(&r);
    first = target->s->why;
    remote_go_on();
    back = put_back(&r, switched_left);
    if (err)
        target->s->why = first;
    else
        err = back;
    if (!err)
        err = run_modes(&r);
    progress_end(&r.progress);
    json_decref(r.switched);
    json_decref(r.populated);
    return err;
}
