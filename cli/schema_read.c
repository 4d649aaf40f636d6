/* SPDX-License-Identifier: Apache-2.0
 * Everything a registry tells over REST, into a schema_set.
 *
 * Happy path: contexts -> GET /schemas with and without what is deleted, page by page -> configuration and mode of
 * each scope. Registries differ in what they serve: one without contexts has the default one; one without GET /schemas
 * is asked subject by subject; one without modes has none. Each gap is noted, never guessed over. A page may be
 * shorter than asked for (the server has a limit of its own), or everything (it knows no pages): reading ends with a
 * page that brings nothing new. Settings of subjects that never had a schema cannot be listed, so they are not read. */
#include "cli/schema_remote.h"

#include <stdio.h>

enum { PAGE = 1000 };
#define ALL_CONTEXTS "&subjectPrefix=%3A*%3A"

struct reader {
    struct remote *remote;
    const struct schema_filter *filter;
    struct schema_set *set;
    bool contexts_served, contexts; /* there are others than the default one */
    bool metadata_seen;
    struct progress progress;
};

bool schema_filter_takes(const struct schema_filter *f, const char *subject)
{
    struct buf scope;
    const char *name = f->context;
    bool fits = true;

    if (f->prefix && strncmp(subject, f->prefix, strlen(f->prefix)) != 0)
        return false;
    if (!name)
        return true;
    name += *name == '.';
    buf_init(&scope, 0);
    schema_put_context_scope(&scope, subject);
    fits = scope.n ? scope.n == strlen(name) + 3 && !strncmp(buf_cstr(&scope) + 2, name, strlen(name)) : !*name;
    buf_free(&scope);
    return fits;
}

/* --- pages --- */

/* Takes an item; *fresh: it was not there before. */
typedef enum err (*item_fn)(struct reader *r, const json_t *item, void *ctx, bool *fresh);

/* *served: the registry knows this list. */
static enum err each_page(struct reader *r, const char *path, const char *query, item_fn fn, void *ctx, bool *served)
{
    size_t offset = 0, fresh_count = 1;
    enum err err = ERR_OK;

    *served = true;
    while (!err && fresh_count) {
        char rest[160];
        json_t *page = NULL, *item;
        size_t i;
        snprintf(rest, sizeof rest, "?offset=%zu&limit=%d%s", offset, PAGE, query);
        fresh_count = 0;
        err = remote_look(r->remote, &page, path, NULL, rest);
        if (!err && !json_is_array(page)) {
            *served = offset != 0;
            json_decref(page);
            break;
        }
        json_array_foreach(page, i, item)
        {
            bool fresh = false;
            if (!err)
                err = fn(r, item, ctx, &fresh);
            fresh_count += fresh;
        }
        offset += json_array_size(page);
        json_decref(page);
        progress_say(&r->progress, "%s: %zu versions read", r->remote->name, json_array_size(r->set->schemas));
    }
    return err;
}

static enum err take_name(struct reader *r, const json_t *item, void *names, bool *fresh)
{
    const char *name = json_string_value(item);

    (void)r;
    *fresh = name && !json_object_get(names, name);
    if (*fresh)
        json_object_set_new(names, name, json_true());
    return ERR_OK;
}

/* --- schemas --- */

static enum err add(struct reader *r, const json_t *schema, bool deleted)
{
    r->metadata_seen |= json_object_get(schema, "metadata") || json_object_get(schema, "guid");
    return schema_set_add(r->remote->s, r->set, schema, deleted);
}

/* The first list holds what is live, the second one the rest. */
static enum err take_schema(struct reader *r, const json_t *item, void *seen, bool *fresh)
{
    const char *subject = schema_subject(item);
    bool deleted = seen != NULL;
    struct buf key;

    if (!subject)
        return session_fail(r->remote->s, ERR_MALFORMED, "%s: a schema without subject", r->remote->name);
    *fresh = !schema_set_find(r->set, subject, schema_version(item));
    if (deleted) {
        buf_init(&key, 0);
        buf_printf(&key, "%lld %s", (long long)schema_version(item), subject);
        *fresh = !json_object_get(seen, buf_cstr(&key));
        json_object_set_new(seen, buf_cstr(&key), json_true());
        buf_free(&key);
    }
    if (json_is_boolean(json_object_get(item, "deleted")))
        deleted = schema_deleted(item); /* newer registries say it: it may have come between the two lists */
    return schema_filter_takes(r->filter, subject) ? add(r, item, deleted) : ERR_OK;
}

static enum err read_lists(struct reader *r, bool *served)
{
    json_t *seen = json_object();
    enum err err = each_page(r, "/schemas", r->contexts ? ALL_CONTEXTS : "", take_schema, NULL, served);

    if (!err && *served)
        err = each_page(r, "/schemas", r->contexts ? "&deleted=true" ALL_CONTEXTS : "&deleted=true", take_schema, seen,
                        served);
    json_decref(seen);
    return err;
}

static bool holds(const json_t *list, const json_t *number)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) if (json_equal(item, number)) return true;
    return false;
}

static enum err read_versions(struct reader *r, const char *subject)
{
    json_t *all = NULL, *live = NULL, *number;
    size_t i;
    enum err err = remote_look(r->remote, &all, "/subjects/", subject, "/versions?deleted=true");

    if (!err)
        err = remote_look(r->remote, &live, "/subjects/", subject, "/versions");
    json_array_foreach(all, i, number)
    {
        char rest[64];
        json_t *schema = NULL;
        if (err)
            break;
        snprintf(rest, sizeof rest, "/versions/%lld?deleted=true", (long long)json_integer_value(number));
        err = remote_look(r->remote, &schema, "/subjects/", subject, rest);
        if (!err && schema)
            err = add(r, schema, !holds(live, number));
        json_decref(schema);
    }
    json_decref(all);
    json_decref(live);
    return err;
}

static enum err read_subjects(struct reader *r, json_t *subjects)
{
    const char *subject;
    json_t *unused;
    enum err err = ERR_OK;

    json_object_foreach(subjects, subject, unused)
    {
        if (err || !schema_filter_takes(r->filter, subject))
            continue;
        err = read_versions(r, subject);
        progress_say(&r->progress, "%s: %zu versions read", r->remote->name, json_array_size(r->set->schemas));
    }
    return err;
}

static enum err read_schemas(struct reader *r)
{
    json_t *subjects = json_object();
    bool served, lists;
    enum err err = each_page(r, "/subjects", r->contexts ? "&deleted=true" ALL_CONTEXTS : "&deleted=true", take_name,
                             subjects, &served);

    if (!err && !served)
        err = session_fail(r->remote->s, ERR_UNSUPPORTED, "%s does not list subjects: is it a schema registry?",
                           r->remote->name);
    if (!err)
        err = read_lists(r, &lists);
    if (!err && !lists) {
        schema_set_note(r->set, "%s does not serve GET /schemas: it was read subject by subject", r->remote->name);
        err = read_subjects(r, subjects);
    }
    json_decref(subjects);
    return err;
}

/* --- settings --- */

static enum err read_setting(struct reader *r, const char *first, const char *scope, json_t **out)
{
    struct buf path;
    enum err err;

    buf_init(&path, 0);
    buf_put_str(&path, first);
    buf_put_str(&path, *scope ? "/" : "");
    err = remote_look(r->remote, out, buf_cstr(&path), *scope ? scope : NULL, "");
    buf_free(&path);
    return err;
}

static enum err read_config(struct reader *r, const char *scope)
{
    json_t *config = NULL;
    enum err err = read_setting(r, "/config", scope, &config);

    if (!err && json_object_size(config))
        json_object_set(r->set->configs, scope, config);
    json_decref(config);
    return err;
}

static enum err read_mode(struct reader *r, const char *scope)
{
    json_t *answer = NULL;
    enum err err = read_setting(r, "/mode", scope, &answer);

    if (!err && json_is_string(json_object_get(answer, "mode")))
        json_object_set(r->set->modes, scope, json_object_get(answer, "mode"));
    json_decref(answer);
    return err;
}

static enum err read_settings(struct reader *r, json_t *scopes)
{
    const char *scope;
    json_t *unused, *probe = NULL;
    size_t done = 0;
    enum err err = read_setting(r, "/mode", "", &probe);
    bool modes = json_is_object(probe);

    json_decref(probe);
    if (!err && !modes)
        schema_set_note(r->set, "%s does not serve modes: none were read", r->remote->name);
    json_object_foreach(scopes, scope, unused)
    {
        if (!err)
            err = read_config(r, scope);
        if (!err && modes)
            err = read_mode(r, scope);
        done++;
        progress_say(&r->progress, "%s: settings of %zu of %zu scopes read", r->remote->name, done,
                     json_object_size(scopes));
    }
    return err;
}

/* Global, each context, each subject; with a filter only what it takes. */
static json_t *scopes_of(struct reader *r, json_t *contexts)
{
    json_t *scopes = json_object(), *schema, *unused;
    const char *context;
    bool everything = !r->filter->context && !r->filter->prefix;
    size_t i;

    if (everything)
        json_object_set_new(scopes, "", json_true());
    if (everything && r->contexts_served)
        json_object_set_new(scopes, ":.__GLOBAL:", json_true());
    json_object_foreach(contexts, context, unused)
    {
        struct buf scope;
        buf_init(&scope, 0);
        buf_printf(&scope, ":%s:", context);
        if (strcmp(context, ".") != 0 && !r->filter->prefix && schema_filter_takes(r->filter, buf_cstr(&scope)))
            json_object_set_new(scopes, buf_cstr(&scope), json_true());
        buf_free(&scope);
    }
    json_array_foreach(r->set->schemas, i, schema) json_object_set_new(scopes, schema_subject(schema), json_true());
    return scopes;
}

/* --- all --- */

static enum err read_contexts(struct reader *r, json_t *contexts)
{
    enum err err = each_page(r, "/contexts", "", take_name, contexts, &r->contexts_served);

    if (!err && !r->contexts_served)
        schema_set_note(r->set, "%s does not serve contexts: the default one was read", r->remote->name);
    r->contexts = json_object_size(contexts) > 1;
    return err;
}

static enum err look_for_metadata(struct reader *r)
{
    json_t *version = NULL;
    enum err err = r->metadata_seen || !json_array_size(r->set->schemas)
                       ? ERR_OK
                       : remote_look(r->remote, &version, "/v1/metadata/version", NULL, "");

    if (!err && !r->metadata_seen && json_array_size(r->set->schemas) && !version)
        schema_set_note(r->set, "%s serves no metadata and rule sets with its schemas", r->remote->name);
    json_decref(version);
    return err;
}

enum err remote_read(struct remote *remote, const struct schema_filter *filter, struct schema_set *set)
{
    struct reader r = {.remote = remote, .filter = filter, .set = set};
    json_t *contexts = json_object(), *scopes;
    enum err err = schema_set_from(remote->s, set, remote->name);

    progress_start(&r.progress);
    if (!err)
        err = read_contexts(&r, contexts);
    if (!err)
        err = read_schemas(&r);
    if (!err)
        err = look_for_metadata(&r);
    if (!err) {
        scopes = scopes_of(&r, contexts);
        err = read_settings(&r, scopes);
        json_decref(scopes);
    }
    progress_end(&r.progress);
    json_decref(contexts);
    return err ? err : schema_set_sort(remote->s, set);
}
