/* SPDX-License-Identifier: Apache-2.0
 * `castellan user`: who may log in. The salted password is made here (RFC 5802), so the password itself leaves this
 * process only towards the person who asked: on stdout, or into client files. */
#include "acl/credentials.h"
#include "cli/client_files.h"
#include "cli/session.h"
#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/net/scram_client.h"
#include "wire/alter_user_scram_credentials.h"
#include "wire/describe_user_scram_credentials.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { ITERATIONS = 8192 };

typedef struct describe_user_scram_credentials_response described;
typedef struct describe_user_scram_credentials_response_describe_user_scram_credentials_result described_user;

/* All users (name NULL) or one; an unknown user is an empty list. */
static enum err describe(struct session *s, const char *name, described *out)
{
    struct describe_user_scram_credentials_request request;
    enum err err;

    describe_user_scram_credentials_request_init(&request);
    request.users.n = -1;
    if (name) {
        if (!describe_user_scram_credentials_request_user_name_array_alloc(&request.users, 1, &s->arena))
            return session_fail(s, ERR_NO_MEMORY, "no memory");
        request.users.v[0].name = slice_str(name);
    }
    err = session_call(s, KAFKA_CLI_ANY, WIRE_DESCRIBE_USER_SCRAM_CREDENTIALS, &request, out);
    if (err)
        return err;
    err = session_check(s, out->error_code, out->error_message, "cannot list users");
    if (err || !name)
        return err;
    if (out->results.n == 1 && out->results.v[0].error_code == ERR_RESOURCE_NOT_FOUND)
        out->results.n = 0;
    return out->results.n == 0 ? ERR_OK
                               : session_check(s, out->results.v[0].error_code, out->results.v[0].error_message,
                                               "cannot look up the user %s", name);
}

static bool has_mechanism(const described *d, enum credential_mechanism m)
{
    for (int32_t i = 0; d->results.n == 1 && i < d->results.v[0].credential_infos.n; i++)
        if (d->results.v[0].credential_infos.v[i].mechanism == (int8_t)m)
            return true;
    return false;
}

static enum err alter(struct session *s, const struct alter_user_scram_credentials_request *request, const char *task,
                      const char *name)
{
    struct alter_user_scram_credentials_response response;
    enum err err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_ALTER_USER_SCRAM_CREDENTIALS, request, &response);

    for (int32_t i = 0; !err && i < response.results.n; i++)
        err = session_check(s, response.results.v[i].error_code, response.results.v[i].error_message, "cannot %s %s",
                            task, name);
    return err;
}

static enum err upsert(struct session *s, const char *name, enum credential_mechanism m, struct slice password)
{
    uint8_t salt[CREDENTIAL_SALT_SIZE], salted[SCRAM_DIGEST_MAX];
    enum scram_hash hash = m == CREDENTIAL_SCRAM_SHA_256 ? SCRAM_SHA_256 : SCRAM_SHA_512;
    struct alter_user_scram_credentials_request request;
    struct alter_user_scram_credentials_request_scram_credential_upsertion *u;
    enum err err;

    alter_user_scram_credentials_request_init(&request);
    u = alter_user_scram_credentials_request_scram_credential_upsertion_array_alloc(&request.upsertions, 1, &s->arena);
    if (!u)
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    env_system()->random(env_system(), salt, sizeof salt);
    err = scram_salt_password(hash, password, slice_of(salt, sizeof salt), ITERATIONS, salted);
    if (err)
        return session_fail(s, err, "cannot salt the password");
    u->name = slice_str(name);
    u->mechanism = (int8_t)m;
    u->iterations = ITERATIONS;
    u->salt = slice_of(salt, sizeof salt);
    u->salted_password = slice_of(salted, scram_digest_size(hash));
    err = alter(s, &request, "add the user", name);
    secret_wipe(salted, sizeof salted);
    return err;
}

static enum err write_files(struct session *s, const char *name, const char *mechanism, struct slice password)
{
    char ca[PATH_MAX];
    const char *truststore = settings_string(s->settings, "ssl.truststore.location");
    const struct client_files f = {
        .dir = session_option(s, "client-files"),
        .user = name,
        .password = password,
        .mechanism = mechanism,
        .bootstrap = settings_string(s->settings, "bootstrap.servers"),
        .ca = truststore && realpath(truststore, ca) ? ca : truststore,
        .admin_url = settings_string(s->settings, "castellan.admin.url"),
        .registry_url = settings_string(s->settings, "castellan.registry.url"),
    };
    return client_files_write(&f, &s->why);
}

static enum err check_files(struct session *s, const char *name)
{
    const char *dir = session_option(s, "client-files");

    if (!dir)
        return ERR_OK;
    if (strchr(name, '/') || name[0] == '.')
        return session_fail(s, ERR_BAD_CONFIG, "a user called \"%s\" cannot have client files", name);
    if (session_load(s))
        return s->why.code;
    if (strcmp(settings_string(s->settings, "security.protocol"), "SASL_SSL") != 0)
        return session_fail(s, ERR_BAD_CONFIG, "--client-files copies the addresses of %s, which are not SASL_SSL ones",
                            s->config);
    return fs_mkdirs(dir, 0700, &s->why);
}

static enum err tell_added(struct session *s, const char *name, const char *mechanism, struct slice password)
{
    const char *dir = session_option(s, "client-files");
    bool show = !dir && !session_flag(s, "password-stdin");
    json_t *o = json_pack("{s:s, s:s}", "user", name, "mechanism", mechanism);

    if (dir) {
        json_object_set_new(o, "client_files", json_string(dir));
        return session_say(s, o, "user %s may log in with %s; client files: %s/%s.properties, %s/%s.conf", name,
                           mechanism, dir, name, dir, name);
    }
    if (!show)
        return session_say(s, o, "user %s may log in with %s", name, mechanism);
    json_object_set_new(o, "password", session_json_slice(password));
    return session_say(s, o, "user %s may log in with %s and this password, shown only now: %.*s", name, mechanism,
                       SLICE_FMT(password));
}

static enum err run_add(struct session *s)
{
    const char *name = s->words[0], *mechanism = session_option(s, "mechanism");
    enum credential_mechanism m;
    struct secret password = {0};
    described before;
    enum err err;

    mechanism = mechanism ? mechanism : "SCRAM-SHA-512";
    m = credential_mechanism_parse(slice_str(mechanism));
    if (m == CREDENTIAL_UNKNOWN)
        return session_wrong_usage(s, "--mechanism is SCRAM-SHA-512 or SCRAM-SHA-256, not \"%s\"", mechanism);
    err = credential_user_validate(slice_str(name), &s->why);
    if (!err)
        err = check_files(s, name);
    if (!err)
        err = describe(s, name, &before);
    if (!err && has_mechanism(&before, m) && !session_flag(s, "replace"))
        err = session_fail(s, ERR_EXISTS, "the user %s is there already; --replace gives it a new password", name);
    if (!err)
        err = session_flag(s, "password-stdin") ? session_read_password(s, &password) : client_password_new(&password);
    if (!err)
        err = upsert(s, name, m, secret_view(&password));
    if (!err && session_option(s, "client-files"))
        err = write_files(s, name, mechanism, secret_view(&password));
    if (!err)
        err = tell_added(s, name, mechanism, secret_view(&password));
    secret_free(&password);
    return err;
}

static enum err run_list(struct session *s)
{
    static const struct table_column columns[] = {{"user", "USER"}, {"mechanisms", "MECHANISMS"}, {0}};
    described d;
    json_t *rows;
    enum err err = describe(s, NULL, &d);

    if (err)
        return err;
    rows = json_array();
    for (int32_t i = 0; i < d.results.n; i++) {
        const described_user *u = &d.results.v[i];
        json_t *row = json_object(), *mechanisms = json_array();
        for (int32_t k = 0; k < u->credential_infos.n; k++)
            json_array_append_new(mechanisms, json_string(credential_mechanism_name(
                                                  credential_mechanism_of(u->credential_infos.v[k].mechanism))));
        json_object_set_new(row, "user", session_json_slice(u->user));
        json_object_set_new(row, "mechanisms", mechanisms);
        json_array_append_new(rows, row);
    }
    return session_show_rows(s, rows, columns, "no users");
}

static enum err run_delete(struct session *s)
{
    const char *name = s->words[0];
    struct alter_user_scram_credentials_request request;
    described before;
    enum err err = describe(s, name, &before);
    int32_t n;

    if (err)
        return err;
    n = before.results.n == 1 ? before.results.v[0].credential_infos.n : 0;
    if (n <= 0)
        return session_fail(s, ERR_NOT_FOUND, "there is no user %s; `castellan user list` shows who there is", name);
    alter_user_scram_credentials_request_init(&request);
    if (!alter_user_scram_credentials_request_scram_credential_deletion_array_alloc(&request.deletions, n, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (int32_t i = 0; i < n; i++) {
        request.deletions.v[i].name = slice_str(name);
        request.deletions.v[i].mechanism = before.results.v[0].credential_infos.v[i].mechanism;
    }
    err = alter(s, &request, "delete the user", name);
    return err ? err
               : session_say(s, json_pack("{s:s}", "deleted", name),
                             "user %s may no longer log in, nor with a client certificate issued until now; rules and "
                             "quotas that name it stay",
                             name);
}

static const struct action actions[] = {
    {"add", 1, 1, run_add},
    {"list", 0, 0, run_list},
    {"delete", 1, 1, run_delete},
    {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"mechanism", "NAME", "SCRAM-SHA-512 (default) or SCRAM-SHA-256"},
    {"password-stdin", NULL, "take the password from stdin; default: a random one"},
    {"client-files", "DIR", "write NAME.properties and NAME.conf there instead of printing the password"},
    {"replace", NULL, "the user may be there already: a new password"},
    {0},
};

const struct verb verb_user = {
    .name = "user",
    .summary = "who may log in",
    .usage = "add NAME [--mechanism M] [--password-stdin] [--client-files DIR] [--replace]\nlist\ndelete NAME",
    .options = options,
    .run = run,
};
