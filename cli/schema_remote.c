/* SPDX-License-Identifier: Apache-2.0
 * Asking a registry with patience, and telling who watches how far it is. */
#include "cli/schema_remote.h"
#include "core/base/env.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_AFTER_MS = 2000, PROGRESS_EVERY_MS = 1000, PROGRESS_EVERY_LOG_MS = 5000 };

/* --- signals --- */

static volatile sig_atomic_t stopped; /* allow: set by a signal handler */

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

void remote_catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND}; /* the second one ends the process */

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

void remote_go_on(void)
{
    stopped = 0;
}

/* --- progress --- */

void progress_start(struct progress *p)
{
    *p = (struct progress){.started_ms = env_mono_ms(env_system())};
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    int64_t now = env_mono_ms(env_system());
    bool terminal = isatty(STDERR_FILENO);
    va_list ap;

    if (now - p->started_ms < PROGRESS_AFTER_MS ||
        now - p->said_ms < (terminal ? PROGRESS_EVERY_MS : PROGRESS_EVERY_LOG_MS))
        return;
    p->said_ms = now;
    fputs(terminal ? "\r\033[K" : "", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs(terminal ? "" : "\n", stderr);
    p->open = terminal;
}

void progress_end(struct progress *p)
{
    if (p->open)
        fputs("\r\033[K", stderr);
    p->open = false;
}

/* --- asking --- */

static bool passes(const struct session *s, enum err err)
{
    return (err == ERR_UNAVAILABLE && !s->http_status) || s->http_status == 429 || s->http_status >= 500;
}

static enum err ask_once(struct remote *r, const char *method, const char *path, const json_t *body, json_t **answer)
{
    return r->peer ? session_http_peer(r->s, r->peer, method, path, body, answer)
                   : session_http(r->s, SESSION_REGISTRY, method, path, body, answer);
}

static void pause_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000L};

    nanosleep(&t, NULL); /* a signal ends it early, as it should */
}

enum err remote_ask(struct remote *r, const char *method, const json_t *body, json_t **answer, const char *first,
                    const char *subject, const char *rest)
{
    struct buf path;
    int64_t pause = REMOTE_PAUSE_MS_MIN;
    enum err err;

    buf_init(&path, 0);
    session_put_path(&path, first, subject, rest);
    err = buf_error(&path) ? session_fail(r->s, buf_error(&path), "no memory") : ERR_OK;
    for (int tries = 1; !err; tries++) {
        if (stopped) {
            r->s->http_status = 0;
            err = session_fail(r->s, ERR_CANCELLED, "stopped by a signal");
            break;
        }
        err = ask_once(r, method, buf_cstr(&path), body, answer);
        if (!err || !passes(r->s, err) || tries == REMOTE_TRIES)
            break;
        pause_ms(pause);
        pause = pause * 2 > REMOTE_PAUSE_MS_MAX ? REMOTE_PAUSE_MS_MAX : pause * 2;
        err = ERR_OK;
    }
    buf_free(&path);
    return err;
}

enum err remote_look(struct remote *r, json_t **answer, const char *first, const char *subject, const char *rest)
{
    enum err err;

    *answer = NULL;
    err = remote_ask(r, "GET", NULL, answer, first, subject, rest);
    if (err && (r->s->http_status == 404 || r->s->http_status == 405)) {
        r->s->why = (struct reason){0};
        return ERR_OK;
    }
    return err;
}
