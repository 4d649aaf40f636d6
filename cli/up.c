/* SPDX-License-Identifier: Apache-2.0
 * `castellan up`: the whole system on one machine. Prepares the data folder, starts one process per role, says where
 * things are once every role serves, restarts what dies, and stops everything on SIGTERM or Ctrl-C.
 *
 * Processes, signals and timers are libuv's; what to do about them is decided in cli/supervisor.c. Each role gets a
 * pipe on descriptor 3 on which it says READY, its stderr goes to DATA/logs/ROLE.log, and it is asked by the kernel to
 * end when this process does (PR_SET_PDEATHSIG, set by the child's main). Descriptor 4 is the roles' lock on the data
 * folder, so that the next `castellan up` can wait for roles that outlive this process (cli/data_lock.c). */
#include "cli/data_lock.h"
#include "cli/layout.h"
#include "cli/supervisor.h"
#include "cli/verb.h"
#include "core/base/env.h"
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

extern char **environ;

enum { READY_FD = 3, LOCK_FD = 4, SLOW_START_MS = 10000 };

struct role {
    struct up *up;
    struct layout_role where;
    struct supervisor supervisor;
    uv_process_t process;
    uv_pipe_t ready_pipe;
    bool process_live, pipe_live;
    uv_timer_t timer;
    char ready_word[16];
    char supervised[40]; /* of its environment */
};

struct up {
    uv_loop_t *loop;
    struct layout layout;
    struct role roles[LAYOUT_ROLES_MAX];
    int role_count;
    uv_signal_t signals[2];
    uv_timer_t slow_timer; /* says who is not ready yet */
    struct data_lock lock;
    bool announced, stopping, brokers_stopping;
    int exit_status;
    int64_t started_ms;
};

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

static void role_event(struct role *r, enum supervisor_event event);

static void on_pipe_closed(uv_handle_t *h)
{
    ((struct role *)h->data)->pipe_live = false;
}

static void on_process_closed(uv_handle_t *h)
{
    ((struct role *)h->data)->process_live = false;
}

static void close_pipe(struct role *r)
{
    if (r->pipe_live && !uv_is_closing((uv_handle_t *)&r->ready_pipe))
        uv_close((uv_handle_t *)&r->ready_pipe, on_pipe_closed);
}

static void on_exit_of_role(uv_process_t *p, int64_t status, int signal_number)
{
    struct role *r = p->data;
    bool expected = r->supervisor.state == SUP_STOPPING;

    if (!expected && signal_number)
        log_warn("%s was ended by signal %d; see %s", r->where.name, signal_number, r->where.log);
    else if (!expected)
        log_warn("%s ended with status %d; see %s", r->where.name, (int)status, r->where.log);
    close_pipe(r);
    uv_close((uv_handle_t *)p, on_process_closed);
    role_event(r, SUP_EV_EXITED);
}

static void on_ready_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct role *r = h->data;
    (void)suggested;
    *buf = uv_buf_init(r->ready_word, sizeof r->ready_word);
}

static void on_ready_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct role *r = stream->data;
    if (n >= 5 && memcmp(buf->base, "READY", 5) == 0)
        role_event(r, SUP_EV_IS_READY);
    if (n != 0)
        close_pipe(r);
}

/* `supervised` must live as long as what is returned. */
static char **environment_of_role(char *supervised, size_t supervised_n)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = calloc(n + 3, sizeof *env);
    if (!env)
        return NULL;
    memcpy(env, environ, n * sizeof *env);
    env[n] = "CASTELLAN_READY_FD=3";
    snprintf(supervised, supervised_n, "CASTELLAN_SUPERVISED=%d", (int)getpid());
    env[n + 1] = supervised;
    return env;
}

/* False when the process could not be started; the supervisor then sees an exit. */
static bool role_spawn(struct role *r)
{
    char *argv[] = {"castellan", (char *)r->where.verb, "-c", r->where.config, NULL};
    int log_fd = open(r->where.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char **env = environment_of_role(r->supervised, sizeof r->supervised);
    uv_stdio_container_t stdio[LOCK_FD + 1];
    uv_process_options_t o = {.file = "/proc/self/exe",
                              .args = argv,
                              .env = env,
                              .exit_cb = on_exit_of_role,
                              .stdio = stdio,
                              .stdio_count = LOCK_FD + 1,
                              .flags = UV_PROCESS_DETACHED}; /* Ctrl-C is ours to pass on, in the right order */
    int status;

    if (log_fd < 0 || !env || r->process_live || r->pipe_live) {
        log_error("cannot start %s: %s: %s", r->where.name, r->where.log, strerror(errno));
        free(env);
        return false;
    }
    uv_pipe_init(r->up->loop, &r->ready_pipe, 0);
    r->ready_pipe.data = r;
    r->pipe_live = true;
    stdio[0].flags = UV_IGNORE;
    stdio[1].flags = stdio[2].flags = UV_INHERIT_FD;
    stdio[1].data.fd = stdio[2].data.fd = log_fd;
    stdio[READY_FD].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    stdio[READY_FD].data.stream = (uv_stream_t *)&r->ready_pipe;
    stdio[LOCK_FD].flags = UV_INHERIT_FD; /* nobody reads it; see cli/data_lock.h */
    stdio[LOCK_FD].data.fd = r->up->lock.roles_fd;
    r->process.data = r;
    r->process_live = true;
    status = uv_spawn(r->up->loop, &r->process, &o);
    close(log_fd);
    free(env);
    if (status) {
        log_error("cannot start %s: %s", r->where.name, uv_strerror(status));
        close_pipe(r);
        uv_close((uv_handle_t *)&r->process, on_process_closed);
        return false;
    }
    data_lock_note(&r->up->lock, r->where.name, uv_process_get_pid(&r->process));
    uv_read_start((uv_stream_t *)&r->ready_pipe, on_ready_alloc, on_ready_read);
    return true;
}

static bool is_broker(const struct role *r)
{
    return strcmp(r->where.verb, "broker") == 0;
}

static bool all_in(const struct up *u, enum supervisor_state state, bool also_brokers)
{
    for (int i = 0; i < u->role_count; i++)
        if (u->roles[i].supervisor.state != state && u->roles[i].supervisor.state != SUP_FAILED &&
            (also_brokers || !is_broker(&u->roles[i])))
            return false;
    return true;
}

static void stop_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

/* What fronts the cluster stops first, so that its last writes still find the brokers. */
static void advance_stop(struct up *u)
{
    if (!u->stopping)
        return;
    if (!u->brokers_stopping && all_in(u, SUP_STOPPED, false)) {
        u->brokers_stopping = true;
        for (int i = 0; i < u->role_count; i++)
            if (is_broker(&u->roles[i]))
                role_event(&u->roles[i], SUP_EV_STOP);
        return;
    }
    if (!u->brokers_stopping || !all_in(u, SUP_STOPPED, true))
        return;
    for (int i = 0; i < u->role_count; i++)
        stop_handle((uv_handle_t *)&u->roles[i].timer);
    for (size_t i = 0; i < 2; i++)
        stop_handle((uv_handle_t *)&u->signals[i]);
    stop_handle((uv_handle_t *)&u->slow_timer);
}

static void up_stop(struct up *u, int status)
{
    if (u->stopping)
        return;
    u->stopping = true;
    u->exit_status = status;
    for (int i = 0; i < u->role_count; i++)
        if (!is_broker(&u->roles[i]))
            role_event(&u->roles[i], SUP_EV_STOP);
    advance_stop(u);
}

static void announce(struct up *u)
{
    const struct layout *l = &u->layout;

    if (u->announced || !all_in(u, SUP_READY, true))
        return;
    u->announced = true;
    printf("castellan is up after %.1f s\n\n"
           "  gateway, SASL_SSL       localhost:%d\n"
           "  gateway, mutual TLS     localhost:%d\n"
           "  registry                https://localhost:%d\n"
           "  admin, metrics, health  https://localhost:%d\n"
           "  client files            %s/clients\n"
           "  CA certificate          %s/ca.pem\n"
           "  logs                    %s/logs\n\n"
           "  kcat -F %s/clients/admin.conf -L\n\n"
           "Ctrl-C stops everything.\n",
           (double)(now_ms() - u->started_ms) / 1000, l->port_sasl, l->port_mtls, l->port_registry, l->port_admin,
           l->data, l->data, l->data, l->data);
    fflush(stdout);
}

static void on_slow_start(uv_timer_t *t)
{
    struct up *u = t->data;

    for (int i = 0; !u->announced && !u->stopping && i < u->role_count; i++)
        if (u->roles[i].supervisor.state != SUP_READY)
            log_warn("%s is not ready yet; see %s", u->roles[i].where.name, u->roles[i].where.log);
}

static void on_role_timer(uv_timer_t *t)
{
    role_event(t->data, SUP_EV_TIMER);
}

static void role_event(struct role *r, enum supervisor_event event)
{
    struct supervisor *s = &r->supervisor;
    enum supervisor_action action = supervisor_step(s, event, now_ms());

    switch (action) {
    case SUP_DO_NOTHING:
        break;
    case SUP_DO_SPAWN:
        if (!role_spawn(r)) {
            role_event(r, SUP_EV_EXITED);
            return;
        }
        break;
    case SUP_DO_TERMINATE:
        uv_process_kill(&r->process, SIGTERM);
        break;
    case SUP_DO_KILL:
        log_warn("%s did not stop in %d s and is killed", r->where.name, SUP_STOP_MS_MAX / 1000);
        uv_process_kill(&r->process, SIGKILL);
        break;
    case SUP_DO_GIVE_UP:
        log_error("%s does not start; the last lines of %s say why", r->where.name, r->where.log);
        up_stop(r->up, EXIT_FAILED);
        break;
    }
    if (s->deadline_ms != INT64_MAX && !uv_is_closing((uv_handle_t *)&r->timer)) {
        int64_t left = s->deadline_ms - now_ms();
        uv_timer_start(&r->timer, on_role_timer, left > 0 ? (uint64_t)left + 1 : 1, 0);
    }
    announce(r->up);
    advance_stop(r->up);
}

static void on_signal(uv_signal_t *s, int number)
{
    struct up *u = s->data;
    (void)number;
    printf("stopping\n");
    fflush(stdout);
    up_stop(u, EXIT_OK);
}

static int up_serve(struct up *u)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    struct layout_role where[LAYOUT_ROLES_MAX];

    u->loop = uv_default_loop();
    u->role_count = layout_roles(&u->layout, where);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(u->loop, &u->signals[i]);
        u->signals[i].data = u;
        uv_signal_start(&u->signals[i], on_signal, numbers[i]);
    }
    for (int i = 0; i < u->role_count; i++) {
        struct role *r = &u->roles[i];
        r->up = u;
        r->where = where[i];
        supervisor_init(&r->supervisor);
        uv_timer_init(u->loop, &r->timer);
        r->timer.data = r;
    }
    uv_timer_init(u->loop, &u->slow_timer);
    u->slow_timer.data = u;
    uv_timer_start(&u->slow_timer, on_slow_start, SLOW_START_MS, SLOW_START_MS);
    for (int i = 0; i < u->role_count; i++)
        role_event(&u->roles[i], SUP_EV_START);
    uv_run(u->loop, UV_RUN_DEFAULT);
    return u->exit_status;
}

static bool parse_number(const char *text, long min, long max, int *out)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (!*text || *end || v < min || v > max)
        return false;
    *out = (int)v;
    return true;
}

static int run(const struct verb *verb, const struct args *args)
{
    struct up *u;
    const char *data = args_get(args, "data"), *base = args_get(args, "port-base"), *n = args_get(args, "brokers");
    struct reason why = {0};
    int port_base = 0, brokers = 3;

    if (args->operand_count)
        return verb_usage_error(verb, "unexpected word \"%s\"", args->operands[0]);
    if (base && !parse_number(base, 1024, 65000, &port_base))
        return verb_usage_error(verb, "--port-base must be a port from 1024 to 65000");
    if (n && !parse_number(n, 1, LAYOUT_BROKERS_MAX, &brokers))
        return verb_usage_error(verb, "--brokers must be from 1 to %d", LAYOUT_BROKERS_MAX);
    u = calloc(1, sizeof *u);
    if (!u) {
        reason_set(&why, ERR_NO_MEMORY, "no memory for the roles");
        return verb_failed(&why);
    }
    log_set_role("up");
    verb_outlive_terminal();
    u->started_ms = now_ms();
    if (layout_init(&u->layout, data ? data : "castellan-data", port_base, brokers, &why) ||
        data_lock_take(&u->lock, u->layout.data, DATA_LOCK_WAIT_MS, &why) || layout_check_ports(&u->layout, &why) ||
        layout_prepare(&u->layout, args_has(args, "demo-users"), &why)) {
        free(u);
        return verb_failed(&why);
    }
    return up_serve(u); /* u stays: the loop's handles are in it */
}

static const struct arg_option options[] = {
    {"data", "DIR", "where everything is kept (default: castellan-data)"},
    {"port-base", "N", "move the ports to N, N+100, ... N+400"},
    {"brokers", "N", "how many bundled brokers (default: 3)"},
    {"demo-users", NULL, "add the users alice and bob, who may do nothing yet"},
    {0},
};

const struct verb verb_up = {
    .name = "up",
    .summary = "run the whole system on this machine",
    .usage = "[--data DIR] [--port-base N] [--brokers N] [--demo-users]",
    .options = options,
    .local = true,
    .run = run,
};
