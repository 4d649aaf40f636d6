/* SPDX-License-Identifier: Apache-2.0
 * cyrus-sasl, set up once per process and kept away from disk: no application name, so no configuration file; options
 * from getopt(); users from an auxprop plugin of ours; names taken verbatim by a canonicalisation plugin of ours (the
 * internal one strips blanks). Only the mechanisms' shared objects are loaded from Debian's directory.
 *
 * SCRAM is fed with the "authPassword" property, whose value for a user is
 *     SCRAM-SHA-512$ITERATIONS:SALT$STOREDKEY:SERVERKEY   (the last three in base64)
 * so that cyrus never sees a password; for a user who does not exist it is a stand-in, so that the exchange goes to its
 * end and fails there as with a wrong password. PLAIN asks the USERDB_CHECKPASS callback.
 *
 * What to know of cyrus 2.1.28: the server's part of the SCRAM nonce is 24 characters out of a generator seeded with 48
 * bits from the kernel. It is there against replay, which TLS prevents already; the client's nonce is untouched.
 *
 * librdkafka in the same process may call sasl_set_mutex() too; both hand out malloc'ed pthread mutexes, so it does not
 * matter who came last. */
#include "acl/acl_base64.h"
#include "acl/sasl_internal.h"
#include "core/base/log.h"

#include <pthread.h>
#include <sasl/saslplug.h>
#include <stdlib.h>

#define PLUGIN_NAME "castellan"

static pthread_once_t started_once = PTHREAD_ONCE_INIT;
static enum err started = ERR_UNAVAILABLE; /* allow: Cyrus SASL is set up once for a process */
static struct reason started_why;          /* allow: and how that went */

typedef int (*callback_fn)(void);
typedef void (*any_fn)(void); /* the detour that lets one function type become another without a warning */

static void *mutex_new(void)
{
    pthread_mutex_t *m = malloc(sizeof *m);
    if (m)
        pthread_mutex_init(m, NULL);
    return m;
}

static int mutex_lock(void *m)
{
    return pthread_mutex_lock(m) ? SASL_FAIL : SASL_OK;
}

static int mutex_unlock(void *m)
{
    return pthread_mutex_unlock(m) ? SASL_FAIL : SASL_OK;
}

static void mutex_free(void *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(m);
    free(m);
}

static int get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *len)
{
    static const struct {
        const char *option, *value;
    } options[] = {
        {"mech_list", "PLAIN SCRAM-SHA-256 SCRAM-SHA-512"},
        {"auxprop_plugin", PLUGIN_NAME},
        {"canon_user_plugin", PLUGIN_NAME},
        {"pwcheck_method", "auxprop"}, /* after USERDB_CHECKPASS said no: asks our plugin, which has no passwords */
        {"auto_transition", "no"},
        {"log_level", "1"},
    };

    (void)context;
    (void)plugin;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(option, options[i].option) != 0)
            continue;
        *result = options[i].value;
        if (len)
            *len = (unsigned)strlen(*result);
        return SASL_OK;
    }
    return SASL_FAIL;
}

/* cyrus's own lines say "no secret in database", "StoredKey mismatch": the session's reason already says it better. */
static int take_log(void *context, int level, const char *message)
{
    (void)context;
    if (level <= SASL_LOG_ERR && level != SASL_LOG_NONE)
        log_debug("cyrus-sasl: %s", message ? message : "");
    return SASL_OK;
}

static struct sasl_session *session_of(void *context)
{
    struct sasl_session *s = context;
    return s && s->magic == SASL_SESSION_MAGIC ? s : NULL;
}

static int check_password(sasl_conn_t *conn, void *context, const char *user, const char *password, unsigned n,
                          struct propctx *properties)
{
    struct sasl_session *s = session_of(context);

    (void)conn;
    (void)properties;
    if (!s || s->mechanism != SASL_MECHANISM_PLAIN)
        return SASL_FAIL;
    return users_snapshot_check_password(s->users, slice_str(user), slice_of(password, n)) ? SASL_OK : SASL_BADAUTH;
}

static enum credential_mechanism credential_mechanism_of_session(const struct sasl_session *s)
{
    switch (s->mechanism) {
    case SASL_MECHANISM_PLAIN:
        return CREDENTIAL_UNKNOWN;
    case SASL_MECHANISM_SCRAM_SHA_256:
        return CREDENTIAL_SCRAM_SHA_256;
    case SASL_MECHANISM_SCRAM_SHA_512:
        return CREDENTIAL_SCRAM_SHA_512;
    }
    return CREDENTIAL_UNKNOWN;
}

static int serve_secret(struct sasl_session *s, sasl_server_params_t *params, const char *property, struct slice user)
{
    enum credential_mechanism m = credential_mechanism_of_session(s);
    const struct credential *c = &s->used, *own;
    size_t size = credential_digest_size(m);
    struct buf text;
    int r = SASL_NOMEM;

    if (m == CREDENTIAL_UNKNOWN)
        return SASL_NOUSER;
    users_snapshot_decoy(s->users, user, m, &s->used);
    own = users_snapshot_find(s->users, user, m);
    if (own)
        s->used = *own;
    buf_init(&text, 0);
    buf_printf(&text, "%s$%u:", credential_mechanism_name(m), c->iterations);
    base64_put(&text, slice_of(c->salt, c->salt_n));
    buf_u8(&text, '$');
    base64_put(&text, slice_of(c->stored_key, size));
    buf_u8(&text, ':');
    base64_put(&text, slice_of(c->server_key, size));
    if (!buf_error(&text))
        r = params->utils->prop_set(params->propctx, property, buf_cstr(&text), -1);
    buf_wipe_free(&text);
    return r;
}

static int look_up(void *context, sasl_server_params_t *params, unsigned flags, const char *user, unsigned n)
{
    sasl_callback_ft proc = NULL;
    void *ours = NULL;
    struct sasl_session *s;
    const struct propval *p;

    (void)context;
    if (params->utils->getcallback(params->utils->conn, SASL_CB_SERVER_USERDB_CHECKPASS, &proc, &ours) != SASL_OK)
        return SASL_FAIL;
    s = session_of(ours);
    p = params->utils->prop_get(params->propctx);
    if (!s || !p)
        return SASL_FAIL;
    if (flags & SASL_AUXPROP_AUTHZID)
        return SASL_OK; /* properties of the authorization id: there are none */
    for (; p->name; p++)
        if (strcmp(p->name, "*authPassword") == 0)
            return serve_secret(s, params, p->name, slice_of(user, n));
    return SASL_OK;
}

static int plug_auxprop(const sasl_utils_t *utils, int max_version, int *version, sasl_auxprop_plug_t **plug,
                        const char *name)
{
    static char plugin_name[] = PLUGIN_NAME; /* allow: Cyrus SASL wants no const */
    static sasl_auxprop_plug_t plugin = {.auxprop_lookup = look_up, .name = plugin_name}; /* allow: so */

    (void)utils;
    (void)name;
    if (max_version < SASL_AUXPROP_PLUG_VERSION)
        return SASL_BADVERS;
    *version = SASL_AUXPROP_PLUG_VERSION;
    *plug = &plugin;
    return SASL_OK;
}

static int take_name(void *context, sasl_server_params_t *params, const char *user, unsigned n, unsigned flags,
                     char *out, unsigned cap, unsigned *out_n)
{
    (void)context;
    (void)params;
    (void)flags;
    if (n >= cap)
        return SASL_BUFOVER;
    memmove(out, user, n);
    out[n] = 0;
    *out_n = n;
    return SASL_OK;
}

static int plug_canon(const sasl_utils_t *utils, int max_version, int *version, sasl_canonuser_plug_t **plug,
                      const char *name)
{
    static char plugin_name[] = PLUGIN_NAME; /* allow: Cyrus SASL wants no const */
    static sasl_canonuser_plug_t plugin = {.name = plugin_name, .canon_user_server = take_name}; /* allow: so */

    (void)utils;
    (void)name;
    if (max_version < SASL_CANONUSER_PLUG_VERSION)
        return SASL_BADVERS;
    *version = SASL_CANONUSER_PLUG_VERSION;
    *plug = &plugin;
    return SASL_OK;
}

static bool has_mechanism(const char *name)
{
    const char **list = sasl_global_listmech();

    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static enum err start(struct reason *why)
{
    static sasl_callback_t callbacks[] = {
        /* allow: Cyrus SASL keeps it, and wants no const */
        {SASL_CB_GETOPT, (callback_fn)(any_fn)get_option, NULL},
        {SASL_CB_LOG, (callback_fn)(any_fn)take_log, NULL},
        {SASL_CB_LIST_END, NULL, NULL},
    };
    int r;

    sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
    r = sasl_server_init(callbacks, NULL);
    if (r == SASL_OK)
        r = sasl_auxprop_add_plugin(PLUGIN_NAME, plug_auxprop);
    if (r == SASL_OK)
        r = sasl_canonuser_add_plugin(PLUGIN_NAME, plug_canon);
    if (r != SASL_OK)
        return reason_set(why, ERR_UNAVAILABLE, "cyrus-sasl does not start: %s", sasl_errstring(r, NULL, NULL));
    for (int m = 0; m < SASL_MECHANISMS; m++)
        if (!has_mechanism(sasl_mechanism_name((enum sasl_mechanism)m)))
            return reason_set(why, ERR_UNAVAILABLE, "cyrus-sasl has no mechanism %s (install libsasl2-modules)",
                              sasl_mechanism_name((enum sasl_mechanism)m));
    return ERR_OK;
}

static void start_once(void)
{
    started = start(&started_why);
}

enum err sasl_server_setup(struct reason *why)
{
    pthread_once(&started_once, start_once);
    if (started && why)
        *why = started_why;
    return started;
}

int sasl_cyrus_conn_new(struct sasl_session *s)
{
    s->callbacks[0] = (sasl_callback_t){SASL_CB_SERVER_USERDB_CHECKPASS, (callback_fn)(any_fn)check_password, s};
    s->callbacks[1] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    return sasl_server_new("kafka", "localhost", NULL, NULL, NULL, s->callbacks, SASL_SUCCESS_DATA, &s->conn);
}
