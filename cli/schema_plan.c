/* SPDX-License-Identifier: Apache-2.0
 * What has to be done to a registry so that it holds a set, and what stands against it. Pure but for one question:
 * registries spell the same schema differently (a parsed and reprinted Avro, say), so where texts differ the target is
 * asked to look its own up. */
#include "cli/schema_plan.h"

#include <stdarg.h>
#include <stdio.h>

enum { CONFLICTS_MAX = 20 }; /* told one by one */

void schema_plan_free(struct schema_plan *plan)
{
    json_decref(plan->add);
    json_decref(plan->hide);
    json_decref(plan->configs);
    json_decref(plan->modes);
    json_decref(plan->conflicts);
    json_decref(plan->notes);
    *plan = (struct schema_plan){0};
}

bool schema_plan_is_empty(const struct schema_plan *plan)
{
    return !json_array_size(plan->add) && !json_array_size(plan->hide) && !json_object_size(plan->configs) &&
           !json_object_size(plan->modes) && !json_array_size(plan->conflicts);
}

struct planning {
    struct remote *target;
    const struct schema_set *source, *there;
    struct schema_plan *plan;
};

static void PRINTF_LIKE(2, 3) conflict(struct planning *p, const char *fmt, ...)
{
    char text[600];
    va_list ap;

    if (json_array_size(p->plan->conflicts) > CONFLICTS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(p->plan->conflicts,
                          json_string(json_array_size(p->plan->conflicts) < CONFLICTS_MAX ? text : "... and more"));
}

/* Does the target find `schema` where `there` stands? */
static enum err looks_up(struct planning *p, const json_t *schema, const json_t *there, bool *same)
{
    static const char *const members[] = {"schema", "schemaType", "references", "metadata", "ruleSet"};
    json_t *body = json_object(), *found = NULL;
    enum err err;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(schema, members[i]))
            json_object_set(body, members[i], json_object_get(schema, members[i]));
    err = remote_ask(p->target, "POST", body, &found, "/subjects/", schema_subject(there), "?deleted=true");
    json_decref(body);
    *same = !err && schema_id(found) == schema_id(there);
    json_decref(found);
    if (err && p->target->s->http_status >= 400 &&
        p->target->s->http_status < 500) { /* not found, or no schema to it */
        p->target->s->why = (struct reason){0};
        err = ERR_OK;
    }
    return err;
}

static enum err same_schema(struct planning *p, const json_t *schema, const json_t *there, bool *same)
{
    *same = schema_same_content(schema, there);
    return *same ? ERR_OK : looks_up(p, schema, there, same);
}

/* The id must be free at the target, or stand for the same schema there. One use of it is as good as all. */
static enum err check_id(struct planning *p, const json_t *schema)
{
    const json_t *holder = json_array_get(schema_set_with_id(p->there, schema_subject(schema), schema_id(schema)), 0);
    const json_t *twin;
    bool same;
    enum err err;

    if (!holder)
        return ERR_OK;
    twin = schema_set_find(p->source, schema_subject(holder), schema_version(holder));
    if (twin && schema_id(twin) == schema_id(schema) && schema_same_text(twin, schema))
        return ERR_OK; /* judged where it stands */
    err = same_schema(p, schema, holder, &same);
    if (!err && !same)
        conflict(p, "%s version %lld has id %lld, which stands for another schema there (%s version %lld)",
                 schema_subject(schema), (long long)schema_version(schema), (long long)schema_id(schema),
                 schema_subject(holder), (long long)schema_version(holder));
    return err;
}

static void check_references(struct planning *p, const json_t *schema)
{
    json_t *reference;
    size_t i;

    json_array_foreach(json_object_get(schema, "references"), i, reference)
    {
        const char *subject = schema_subject(reference);
        struct buf name;
        buf_init(&name, 0);
        schema_put_referred(&name, schema_subject(schema), subject ? subject : "");
        if (!schema_set_find(p->source, buf_cstr(&name), schema_version(reference)) &&
            !schema_set_find(p->there, buf_cstr(&name), schema_version(reference)))
            conflict(p, "%s version %lld refers to %s version %lld, which is neither there nor in what is imported",
                     schema_subject(schema), (long long)schema_version(schema), buf_cstr(&name),
                     (long long)schema_version(reference));
        buf_free(&name);
    }
}

static enum err plan_add(struct planning *p, json_t *schema)
{
    enum err err = check_id(p, schema);

    check_references(p, schema);
    json_array_append(p->plan->add, schema);
    if (schema_deleted(schema))
        json_array_append(p->plan->hide, schema);
    return err;
}

static enum err plan_schema(struct planning *p, json_t *schema)
{
    json_t *there = schema_set_find(p->there, schema_subject(schema), schema_version(schema));
    bool same = false;
    enum err err;

    if (!there)
        return plan_add(p, schema);
    err = schema_id(there) == schema_id(schema) ? same_schema(p, schema, there, &same) : ERR_OK;
    if (err)
        return err;
    if (!same)
        conflict(p, "%s version %lld is there with %s", schema_subject(schema), (long long)schema_version(schema),
                 schema_id(there) == schema_id(schema) ? "other content" : "another id");
    else if (!schema_deleted(schema) && schema_deleted(there))
        json_array_append(p->plan->add, schema); /* again, and so it lives again */
    else
        p->plan->there++;
    if (same && schema_deleted(schema) && !schema_deleted(there))
        json_array_append(p->plan->hide, schema);
    return ERR_OK;
}

static void plan_configs(struct planning *p)
{
    const char *scope;
    json_t *value;

    json_object_foreach(p->source->configs, scope, value)
    {
        if (!json_equal(value, json_object_get(p->there->configs, scope)))
            json_object_set(p->plan->configs, scope, value);
    }
}

/* The mode a scope is to have; NULL: as it is, "": none of its own. A mode IMPORT that the source does not have is
 * what an import leaves that was killed. */
static const char *wanted_mode(struct planning *p, const char *scope, const char *there, bool migrating)
{
    const char *mode = json_string_value(json_object_get(p->source->modes, scope));
    bool left = there && !strcmp(there, "IMPORT");

    if (mode && (!strcmp(mode, "FORWARD") || (migrating && !*scope))) {
        if (strcmp(mode, "READWRITE") != 0)
            json_array_append_new(p->plan->notes, json_sprintf("%s has the global mode %s, which was not taken over",
                                                               p->source->from, mode));
        mode = NULL;
    }
    if (!mode && left)
        mode = *scope ? "" : "READWRITE";
    return mode;
}

static void plan_mode(struct planning *p, const char *scope, bool migrating)
{
    const char *there = json_string_value(json_object_get(p->there->modes, scope));
    const char *mode = wanted_mode(p, scope, there, migrating);

    if (!mode || !strcmp(mode, there ? there : ""))
        return;
    json_object_set_new(p->plan->modes, scope, json_string(mode));
    if (there && !strcmp(there, "IMPORT"))
        json_array_append_new(
            p->plan->notes, json_sprintf("the mode of \"%s\" was IMPORT (an import that was cut short?) and becomes %s",
                                         *scope ? scope : "everything", *mode ? mode : "unset"));
}

/* Scopes of the source, and those around its schemas. */
static void plan_modes(struct planning *p, bool migrating)
{
    json_t *scopes = json_object(), *unused, *schema;
    const char *scope;
    size_t i;

    json_object_update(scopes, p->source->modes);
    json_array_foreach(p->source->schemas, i, schema)
    {
        struct buf context;
        buf_init(&context, 0);
        schema_put_context_scope(&context, schema_subject(schema));
        json_object_set_new(scopes, buf_cstr(&context), json_true());
        json_object_set_new(scopes, schema_subject(schema), json_true());
        buf_free(&context);
    }
    json_object_foreach(scopes, scope, unused) plan_mode(p, scope, migrating);
    json_decref(scopes);
}

enum err schema_plan_make(struct remote *target, const struct schema_set *source, const struct schema_set *there,
                          bool migrating, struct schema_plan *plan)
{
    struct planning p = {target, source, there, plan};
    struct progress progress;
    json_t *schema;
    size_t i;
    enum err err = ERR_OK;

    *plan = (struct schema_plan){
        .add = json_array(),
        .hide = json_array(),
        .configs = json_object(),
        .modes = json_object(),
        .conflicts = json_array(),
        .notes = json_copy(source->notes),
    };
    progress_start(&progress);
    json_array_foreach(source->schemas, i, schema)
    {
        if (!err)
            err = plan_schema(&p, schema);
        progress_say(&progress, "%zu of %zu schemas compared", i, json_array_size(source->schemas));
    }
    progress_end(&progress);
    plan_configs(&p);
    plan_modes(&p, migrating);
    return err;
}
