/* SPDX-License-Identifier: Apache-2.0
 * `castellan schema export` and `import`: a registry's content to a file, and from a file or a running registry to the
 * registry of the client properties.
 *
 * An import reads both sides, compares, tells every conflict before anything is written, does what is missing, and
 * reads the target again to see that nothing is. So it may be repeated, and one that was killed is run again. */
#include "cli/schema.h"
#include "cli/schema_plan.h"

#include <stdio.h>

/* --- whom to ask --- */

static enum err open_source(struct session *s, struct http_peer *peer)
{
    bool plain;

    *peer = (struct http_peer){
        .url = session_option(s, "from"),
        .user = session_option(s, "from-user"),
        .ca = session_option(s, "from-ca"),
        .insecure = session_flag(s, "from-insecure"),
    };
    if (!peer->url && (peer->user || peer->ca || peer->insecure || session_flag(s, "password-stdin")))
        return session_wrong_usage(s,
                                   "--from-user, --password-stdin, --from-ca and --from-insecure go with --from URL");
    if (!peer->url)
        return ERR_OK;
    plain = strncmp(peer->url, "http://", 7) == 0;
    if (!plain && strncmp(peer->url, "https://", 8) != 0)
        return session_wrong_usage(s, "--from \"%s\" is no http:// or https:// address", peer->url);
    if (plain && peer->user && !peer->insecure)
        return session_wrong_usage(s, "a password would go to %s in the clear; --from-insecure allows it", peer->url);
    if (!peer->user != !session_flag(s, "password-stdin"))
        return session_wrong_usage(s, "--from-user and --password-stdin go together");
    return peer->user ? session_read_password(s, &peer->password) : ERR_OK;
}

static enum err open_target(struct session *s, struct remote *target)
{
    enum err err = session_load(s);
    const char *url = err ? NULL : settings_string(s->settings, "castellan.registry.url");

    *target = (struct remote){.s = s, .name = url ? url : "the registry"};
    return err; /* a missing address is told when it is asked */
}

static struct schema_filter filter_of(struct session *s)
{
    return (struct schema_filter){.context = session_option(s, "context"),
                                  .prefix = session_option(s, "subject-prefix")};
}

/* --- export --- */

static enum err read_registry(struct session *s, struct http_peer *peer, struct schema_set *set)
{
    struct schema_filter filter = filter_of(s);
    struct remote remote = {.s = s, .peer = peer, .name = peer->url};
    enum err err = ERR_OK;

    if (!peer->url)
        err = open_target(s, &remote);
    return err ? err : remote_read(&remote, &filter, set);
}

enum err schema_export(struct session *s)
{
    struct http_peer peer;
    struct schema_set set;
    json_t *note;
    size_t i;
    enum err err = open_source(s, &peer);

    schema_set_init(&set);
    if (!err)
        err = read_registry(s, &peer, &set);
    if (!err)
        err = schema_set_print(s, &set, stdout);
    if (!err)
        json_array_foreach(set.notes, i, note) fprintf(stderr, "castellan: note: %s\n", json_string_value(note));
    schema_set_free(&set);
    http_peer_free(&peer);
    return err;
}

/* --- import --- */

static void keep_filtered(struct schema_set *set, const struct schema_filter *filter)
{
    for (size_t i = json_array_size(set->schemas); i > 0; i--)
        if (!schema_filter_takes(filter, schema_subject(json_array_get(set->schemas, i - 1))))
            json_array_remove(set->schemas, i - 1);
    if (!filter->context && !filter->prefix)
        return;
    for (int kind = 0; kind < 2; kind++) {
        json_t *scopes = kind ? set->modes : set->configs, *unused;
        const char *scope;
        void *next;
        json_object_foreach_safe(scopes, next, scope, unused)
        {
            if (!*scope || !strcmp(scope, ":.__GLOBAL:") || !schema_filter_takes(filter, scope))
                json_object_del(scopes, scope);
        }
    }
}

static enum err read_source(struct session *s, struct http_peer *peer, struct schema_set *set)
{
    struct schema_filter filter = filter_of(s);
    enum err err;

    if (peer->url)
        return read_registry(s, peer, set);
    err = schema_set_read(s, set, s->words[0]);
    if (err)
        return err;
    keep_filtered(set, &filter);
    return schema_set_sort(s, set);
}

static enum err read_target(struct remote *target, struct schema_set *there)
{
    static const struct schema_filter everything;

    return remote_read(target, &everything, there);
}

static enum err tell_conflicts(struct session *s, const struct schema_plan *plan)
{
    json_t *text;
    size_t i, n = json_array_size(plan->conflicts);

    if (!n)
        return ERR_OK;
    json_array_foreach(plan->conflicts, i, text) fprintf(stderr, "castellan: conflict: %s\n", json_string_value(text));
    return session_fail(s, ERR_CONFLICT, "%zu conflict%s; nothing was written", n, n == 1 ? "" : "s");
}

static enum err say_done(struct session *s, const struct schema_plan *plan, bool dry)
{
    size_t add = json_array_size(plan->add), hide = json_array_size(plan->hide);
    size_t configs = json_object_size(plan->configs), modes = json_object_size(plan->modes), i;
    json_t *note, *value;

    if (!session_flag(s, "json"))
        json_array_foreach(plan->notes, i, note) fprintf(stderr, "castellan: note: %s\n", json_string_value(note));
    value = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:O}", "dry_run", dry, "schemas", (json_int_t)add, "there",
                      (json_int_t)plan->there, "deleted", (json_int_t)hide, "configs", (json_int_t)configs, "modes",
                      (json_int_t)modes, "notes", plan->notes);
    return session_say(
        s, value,
        dry ? "%zu schemas to import, %zu there already, %zu to delete softly, %zu configurations and %zu "
              "modes to set; nothing was written"
            : "%zu schemas imported, %zu there already, %zu softly deleted, %zu configurations and %zu "
              "modes set; verified",
        add, plan->there, hide, configs, modes);
}

/* Everything again, from the target's own mouth. */
static enum err verify(struct remote *target, const struct schema_set *source, bool migrating)
{
    struct schema_set there;
    struct schema_plan left = {0};
    enum err err;

    schema_set_init(&there);
    err = read_target(target, &there);
    if (!err)
        err = schema_plan_make(target, source, &there, migrating, &left);
    if (!err && !schema_plan_is_empty(&left))
        err =
            session_fail(target->s, ERR_CONFLICT,
                         "%s does not hold all of it now: %zu schemas, %zu soft deletions, %zu configurations and %zu "
                         "modes are missing, %zu differ; does somebody else change it?",
                         target->name, json_array_size(left.add), json_array_size(left.hide),
                         json_object_size(left.configs), json_object_size(left.modes), json_array_size(left.conflicts));
    schema_plan_free(&left);
    schema_set_free(&there);
    return err;
}

static enum err carry_out(struct remote *target, const struct schema_set *source, const struct schema_set *there,
                          const struct schema_plan *plan, bool migrating)
{
    size_t left = 0;
    enum err err = schema_plan_run(target, there, plan, &left);

    if (left)
        fprintf(stderr, "castellan: %zu scopes of %s are still in mode IMPORT; run the import again\n", left,
                target->name);
    return err ? err : verify(target, source, migrating);
}

static enum err import_from(struct session *s, struct http_peer *peer, struct schema_set *source)
{
    struct remote target;
    struct schema_set there;
    struct schema_plan plan = {0};
    bool migrating = peer->url != NULL, dry = session_flag(s, "dry-run");
    enum err err = read_source(s, peer, source);

    schema_set_init(&there);
    if (!err)
        err = open_target(s, &target);
    if (!err)
        err = read_target(&target, &there);
    if (!err)
        err = schema_plan_make(&target, source, &there, migrating, &plan);
    if (!err)
        err = tell_conflicts(s, &plan);
    if (!err && !dry && !schema_plan_is_empty(&plan))
        err = carry_out(&target, source, &there, &plan, migrating);
    if (!err)
        err = say_done(s, &plan, dry);
    schema_plan_free(&plan);
    schema_set_free(&there);
    return err;
}

enum err schema_import(struct session *s)
{
    struct http_peer peer;
    struct schema_set source;
    enum err err = open_source(s, &peer);

    if (!err && !peer.url != (s->word_count == 1))
        err = session_wrong_usage(s, "import wants a FILE, or --from URL");
    schema_set_init(&source);
    remote_catch_signals();
    if (!err)
        err = import_from(s, &peer, &source);
    schema_set_free(&source);
    http_peer_free(&peer);
    return err;
}
