/* SPDX-License-Identifier: Apache-2.0
 * The key process: settings, powers, signals. It may not be traced and leaves no core; its memory is locked as it is
 * touched, where the limits allow. */
#include "crypto/keyd.h"
#include "crypto/keyd_internal.h"
#include "core/base/fs.h"
#include "core/ledger/ledger_settings.h"
#include "core/base/log.h"
#include "core/base/ready.h"
#include "core/base/settings.h"
#include "core/net/tls.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { EXIT_SETTINGS = 2 };

static const struct setting_row rows[] = {
    {"castellan.keyd.socket", SETTING_STRING, NULL, 0, 0, "the Unix socket for data keys"},
    {"castellan.keyd.admin.socket", SETTING_STRING, NULL, 0, 0,
     "the Unix socket for forgetting, holds and receipts; without it nobody can ask for these"},
    {"castellan.keyd.hello.timeout.ms", SETTING_INT, "5000", 100, 600000,
     "how long a connection may take to say who it is"},
    {"castellan.keyd.root.file", SETTING_STRING, NULL, 0, 0, "the root's file: the memory that forgetting erases"},
    {"castellan.keyd.signing.key.file", SETTING_STRING, NULL, 0, 0, "the key that signs receipts; made when absent"},
    {"castellan.keyd.public.key.file", SETTING_STRING, NULL, 0, 0,
     "default: receipt-signing.pub beside the signing key"},
    {"castellan.keyd.mark.file", SETTING_STRING, NULL, 0, 0,
     "second copy of the anti-rollback mark; default: signing key file + .mark"},
    {"castellan.keyd.lease.ms", SETTING_INT, "5000", 200, 600000, "how long a client may use keys without renewing"},
    {"bootstrap.servers", SETTING_STRING, NULL, 0, 0, "the cluster behind"},
    {"security.protocol", SETTING_STRING, NULL, 0, 0, "PLAINTEXT or SSL; default: SSL when a truststore is given"},
    TLS_SETTING_ROWS(""),
    {0},
};

struct process {
    struct settings *settings;
    struct loop *loop;
    struct keyd *keyd;
    struct ledger_settings kafka;
    char public_path[PATH_MAX], mark_path[PATH_MAX];
    int exit_code;
};

static enum err beside(char *out, size_t cap, const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    int n = slash ? snprintf(out, cap, "%.*s/%s", (int)(slash - file), file, name) : snprintf(out, cap, "%s", name);
    return n < 0 || (size_t)n >= cap ? ERR_LIMIT_EXCEEDED : ERR_OK;
}

static enum err read_settings(struct process *p, const char *path, struct keyd_opts *o, struct reason *why)
{
    static const char *const needed[] = {"castellan.keyd.socket", "castellan.keyd.root.file",
                                         "castellan.keyd.signing.key.file", "bootstrap.servers"};
    enum err e = settings_load(&p->settings, path, rows, why);
    if (e)
        return e;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (!settings_has(p->settings, needed[i]))
            return reason_set(why, ERR_BAD_CONFIG, "%s: %s is missing", path, needed[i]);
    }
    o->socket_path = settings_string(p->settings, "castellan.keyd.socket");
    o->admin_socket_path = settings_string(p->settings, "castellan.keyd.admin.socket");
    o->hello_ms = settings_int(p->settings, "castellan.keyd.hello.timeout.ms");
    o->root_file = settings_string(p->settings, "castellan.keyd.root.file");
    o->signing_key_file = settings_string(p->settings, "castellan.keyd.signing.key.file");
    o->public_key_file = settings_string(p->settings, "castellan.keyd.public.key.file");
    o->mark_file = settings_string(p->settings, "castellan.keyd.mark.file");
    o->lease_ms = settings_int(p->settings, "castellan.keyd.lease.ms");
    if (!o->public_key_file) {
        e = beside(p->public_path, sizeof p->public_path, o->signing_key_file, "receipt-signing.pub");
        o->public_key_file = p->public_path;
    }
    if (!e && !o->mark_file) {
        int n = snprintf(p->mark_path, sizeof p->mark_path, "%s.mark", o->signing_key_file);
        e = n < 0 || (size_t)n >= sizeof p->mark_path ? ERR_LIMIT_EXCEEDED : ERR_OK;
        o->mark_file = p->mark_path;
    }
    if (e)
        return reason_set(why, e, "%s: a path is too long", path);
    ledger_settings_cluster(&p->kafka, p->settings, "bootstrap.servers", "");
    o->kafka = p->kafka.words;
    return ERR_OK;
}

static void on_serving(void *user)
{
    (void)user;
    ready_notify();
}

static void on_fatal(void *user, const struct reason *why)
{
    struct process *p = user;
    (void)why; /* logged */
    p->exit_code = 1;
    loop_stop(p->loop);
}

static void on_signal(void *arg)
{
    struct process *p = arg;
    log_info("keyd: stopping");
    loop_stop(p->loop);
}

/* Nobody may look into this process, and nothing of it may reach a disk. */
static void shut_in(void)
{
    struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
        log_warn("keyd: cannot forbid core dumps: %s", strerror(errno));
#ifdef MCL_ONFAULT
    /* Only without a limit: under one, MCL_FUTURE would make later allocations fail. Locked slabs hold the root then.
     */
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &all) || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
        log_info("keyd: memory is not locked as a whole: %s", strerror(errno));
#endif
}

/* A descriptor for every client that may come: with too few, those who hold them would keep the others out. */
static void reserve_descriptors(void)
{
    enum { OTHERS = 256, NEEDED = KEYD_DATA_CLIENTS_MAX + KEYD_ADMIN_CLIENTS_MAX + OTHERS };
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= NEEDED)
        return;
    r.rlim_cur = r.rlim_max < NEEDED ? r.rlim_max : NEEDED;
    if (setrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur < NEEDED)
        log_warn("keyd: only %llu file descriptors are allowed (ulimit -n), %d are needed to serve every client",
                 (unsigned long long)r.rlim_cur, NEEDED);
}

static int serve(struct process *p, const struct keyd_opts *o)
{
    struct reason why = {0};
    if (loop_new(&p->loop, NULL, &why) || loop_on_signal(p->loop, SIGTERM, on_signal, p) ||
        loop_on_signal(p->loop, SIGINT, on_signal, p) || keyd_new(&p->keyd, p->loop, o, &why)) {
        log_error("keyd: %s", *why.text ? why.text : "cannot start");
        loop_free(p->loop);
        return 1;
    }
    loop_run(p->loop);
    keyd_stop(p->keyd);
    loop_free(p->loop);
    keyd_free(p->keyd);
    return p->exit_code;
}

int keyd_main(const char *config_path)
{
    struct process p = {0};
    struct keyd_opts o = {.env = env_system(), .on_serving = on_serving, .on_fatal = on_fatal, .user = &p};
    struct reason why = {0};
    log_set_role("keyd");
    signal(SIGPIPE, SIG_IGN);
    shut_in();
    reserve_descriptors();
    if (crypto_init(&why) || read_settings(&p, config_path, &o, &why)) {
        log_error("%s", why.text);
        settings_free(p.settings);
        return EXIT_SETTINGS;
    }
    int code = serve(&p, &o);
    settings_free(p.settings);
    return code;
}
