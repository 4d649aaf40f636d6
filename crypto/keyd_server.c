/* SPDX-License-Identifier: Apache-2.0
 * The sockets: Unix stream sockets, mode 0600 in private folders; each peer must run as the same user. What a client
 * may do is a matter of the socket it came in by. Frames are parsed strictly; a peer that sends anything else, asks for
 * what its socket does not give, or does not read its answers, is cut off with one line in the log. Buffers that held
 * keys are wiped.
 *
 * Nobody can keep others out by being there: a connection must say HELLO in time, each process has a share of each
 * socket's places, and when they are all taken, by a process or altogether, the oldest connection that has not said
 * HELLO makes room. */
#include "crypto/keyd_internal.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/net/local_socket.h"

#include <stdlib.h>
#include <unistd.h>

struct keyd_client *keyd_client_of(struct keyd *d, uint64_t id)
{
    for (struct keyd_client *c = d->clients; c; c = c->next) {
        if (c->id == id && !c->closing)
            return c;
    }
    return NULL;
}

static void on_closed(uv_handle_t *h)
{
    struct keyd_client *c = h->data, **at = &c->d->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->d->clients_n--;
    c->door->clients_n--;
    buf_wipe_free(&c->in);
    free(c);
}

void keyd_client_close(struct keyd_client *c, const char *reason)
{
    if (c->closing)
        return;
    c->closing = true;
    if (reason)
        log_info("keyd: client %s: %s", c->welcome ? c->name : "(new)", reason);
    if (c->welcome)
        keyd_push_left(c->d, c);
    keyd_jobs_drop(c);
    uv_close((uv_handle_t *)&c->pipe, on_closed);
}

/* ---- sending ---- */

struct out {
    uv_write_t req;
    struct keyd_client *client;
    struct buf bytes;
};

static void on_written(uv_write_t *req, int status)
{
    struct out *o = req->data;
    o->client->out_bytes -= o->bytes.n;
    if (status < 0)
        keyd_client_close(o->client, NULL);
    buf_wipe_free(&o->bytes);
    free(o);
}

void keyd_send(struct keyd_client *c, struct buf *frame)
{
    struct out *o = c->closing || frame->error ? NULL : calloc(1, sizeof *o);
    if (!o) {
        buf_wipe_free(frame);
        keyd_client_close(c, "its answer cannot be sent");
        return;
    }
    *o = (struct out){.client = c, .bytes = *frame};
    o->req.data = o;
    *frame = (struct buf){0};
    c->out_bytes += o->bytes.n;
    uv_buf_t b = uv_buf_init((char *)o->bytes.p, (unsigned)o->bytes.n);
    if (uv_write(&o->req, (uv_stream_t *)&c->pipe, &b, 1, on_written)) {
        c->out_bytes -= o->bytes.n;
        buf_wipe_free(&o->bytes);
        free(o);
        keyd_client_close(c, "its socket takes nothing");
    } else if (c->out_bytes > KEYD_OUT_MAX) {
        keyd_client_close(c, "it does not read its answers");
    }
}

void keyd_send_error(struct keyd_client *c, uint32_t request, enum err e, const char *words)
{
    struct buf f;
    buf_init(&f, KEYD_FRAME_MAX);
    keyd_put_error(&f, request, e, words);
    keyd_send(c, &f);
}

void keyd_send_json(struct keyd_client *c, uint32_t request, struct slice text)
{
    struct buf f;
    buf_init(&f, KEYD_FRAME_MAX);
    size_t at = keyd_frame_begin(&f, KEYD_JSON, request);
    buf_put_slice(&f, text);
    keyd_frame_end(&f, at);
    keyd_send(c, &f);
}

/* ---- requests ---- */

static enum err on_hello(struct keyd_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    uint8_t version = cursor_u8(&cur), caps = cursor_u8(&cur);
    struct slice name = keyd_get_string(&cur, KEYD_NAME_MAX);
    struct buf out;
    if (c->welcome || cursor_finish(&cur) || version != KEYD_VERSION)
        return ERR_MALFORMED;
    if (caps & ~c->door->caps)
        return ERR_AUTH;
    for (size_t i = 0; i < name.n; i++)
        c->name[i] = name.p[i] > 0x20 && name.p[i] < 0x7f ? (char)name.p[i] : '?';
    c->caps = caps;
    c->welcome = true;
    c->lease_until_ms = env_mono_ms(c->d->env) + c->d->opts.lease_ms;
    buf_init(&out, KEYD_FRAME_MAX);
    size_t at = keyd_frame_begin(&out, KEYD_WELCOME, f->request);
    buf_u32(&out, (uint32_t)c->d->opts.lease_ms);
    buf_u64(&out, c->d->log.n);
    keyd_frame_end(&out, at);
    keyd_send(c, &out);
    return ERR_OK;
}

static enum err on_renew(struct keyd_client *c, const struct keyd_frame *f)
{
    struct buf out;
    bool grant = !keyd_push_waits_for(c->d, c) && !c->d->fatal;
    if (f->body.n)
        return ERR_MALFORMED;
    if (grant)
        c->lease_until_ms = env_mono_ms(c->d->env) + c->d->opts.lease_ms;
    buf_init(&out, KEYD_FRAME_MAX);
    size_t at = keyd_frame_begin(&out, KEYD_RENEWED, f->request);
    buf_u8(&out, grant);
    keyd_frame_end(&out, at);
    keyd_send(c, &out);
    return ERR_OK;
}

static enum err dispatch(struct keyd_client *c, const struct keyd_frame *f)
{
    int needs = keyd_message_needs(f->type);
    if (needs < 0 || (!c->welcome && f->type != KEYD_HELLO))
        return ERR_MALFORMED;
    if ((c->caps & needs) != needs)
        return ERR_AUTH;
    switch ((enum keyd_message)f->type) {
    case KEYD_HELLO:
        return on_hello(c, f);
    case KEYD_CREATE:
    case KEYD_GET:
        return keyd_job_add(c, f);
    case KEYD_RENEW:
        return on_renew(c, f);
    case KEYD_ACK:
        keyd_push_acked(c, f->request);
        return f->body.n ? ERR_MALFORMED : ERR_OK;
    case KEYD_FORGET:
        return keyd_on_forget(c, f);
    case KEYD_STATUS:
        return keyd_on_status(c, f);
    case KEYD_RECEIPT:
        return keyd_on_receipt(c, f);
    case KEYD_REOPEN:
        return keyd_on_reopen(c, f);
    case KEYD_HOLD:
        return keyd_on_hold(c, f);
    case KEYD_WELCOME:
    case KEYD_KEYS:
    case KEYD_RENEWED:
    case KEYD_ERASED:
    case KEYD_JSON:
    case KEYD_ERROR:
        break;
    }
    return ERR_MALFORMED;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
    struct keyd_client *c = h->data;
    (void)hint;
    if (!buf_reserve(&c->in, 64 * 1024))
        *b = uv_buf_init(NULL, 0);
    else
        *b = uv_buf_init((char *)c->in.p + c->in.n, 64 * 1024);
}

void keyd_client_bad(struct keyd_client *c, uint8_t type, enum err e)
{
    log_warn("keyd: client %s: %s: %s", c->welcome ? c->name : "(new)", keyd_message_name(type), err_text(e));
    keyd_client_close(c, "cut off after a bad request");
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct keyd_client *c = s->data;
    struct keyd_frame f;
    bool more;
    enum err e = ERR_OK;
    (void)b;
    if (n < 0) {
        keyd_client_close(c, NULL);
        return;
    }
    c->in.n += (size_t)n;
    struct slice rest = buf_slice(&c->in);
    while (!c->closing && !(e = keyd_frame_next(&rest, &f, &more)) && more) {
        if ((e = dispatch(c, &f)))
            break;
    }
    if (e)
        keyd_client_bad(c, more ? f.type : 0, e);
    else
        buf_consume(&c->in, c->in.n - rest.n);
}

/* ---- the socket ---- */

void keyd_read(struct keyd_client *c, bool on)
{
    if (c->closing || c->reading == on)
        return;
    c->reading = on;
    if (!on)
        uv_read_stop((uv_stream_t *)&c->pipe);
    else if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read))
        keyd_client_close(c, "it cannot be read");
}

/* Closes who is over time, and looks again when the next one will be. */
void keyd_on_greeting_timer(void *arg)
{
    struct keyd *d = arg;
    int64_t now = env_mono_ms(d->env), next = INT64_MAX;
    for (struct keyd_client *c = d->clients; c; c = c->next) {
        if (c->welcome || c->closing)
            continue;
        if (c->greet_until_ms <= now)
            keyd_client_close(c, "it did not say who it is in time (castellan.keyd.hello.timeout.ms)");
        else if (c->greet_until_ms < next)
            next = c->greet_until_ms;
    }
    if (next != INT64_MAX)
        loop_timer_start(&d->greeting, next - now);
}

/* Is there a place for `one`, which just came? The oldest that has not said HELLO makes room when there is none. */
static bool make_room(struct keyd_client *one)
{
    struct keyd_door *door = one->door;
    struct keyd_client *silent = NULL, *silent_of_process = NULL;
    size_t all = 0, of_process = 0;
    for (struct keyd_client *c = one->d->clients; c; c = c->next) { /* the oldest comes last */
        if (c->closing || c->door != door)
            continue;
        all++;
        of_process += c->pid == one->pid;
        if (c != one && !c->welcome)
            silent = c;
        if (c != one && !c->welcome && c->pid == one->pid)
            silent_of_process = c;
    }
    if (of_process > KEYD_PROCESS_CLIENTS_MAX)
        silent = silent_of_process;
    else if (all <= door->clients_max)
        return true;
    if (silent)
        keyd_client_close(silent, "it has not said who it is, and its place is needed");
    return silent != NULL;
}

static bool identify(struct keyd_client *c)
{
    uv_os_fd_t fd;
    return !uv_fileno((uv_handle_t *)&c->pipe, &fd) && local_socket_same_user(fd, &c->pid);
}

static void on_connection(uv_stream_t *s, int status)
{
    struct keyd_door *door = s->data;
    struct keyd *d = door->d;
    struct keyd_client *c = status < 0 ? NULL : calloc(1, sizeof *c);
    if (!c)
        return;
    c->d = d;
    c->door = door;
    c->id = d->next_client++;
    c->jobs_end = &c->jobs;
    c->greet_until_ms = env_mono_ms(d->env) + d->opts.hello_ms;
    buf_init(&c->in, KEYD_FRAME_MAX + 128 * 1024);
    uv_pipe_init(loop_uv(d->loop), &c->pipe, 0);
    c->pipe.data = c;
    c->next = d->clients;
    d->clients = c;
    d->clients_n++;
    door->clients_n++;
    if (uv_accept(s, (uv_stream_t *)&c->pipe))
        keyd_client_close(c, "it cannot be accepted");
    else if (!identify(c))
        keyd_client_close(c, "it runs as another user");
    else if (!make_room(c))
        keyd_client_close(c, "too many clients");
    else
        keyd_read(c, true);
    if (!d->greeting.running)
        loop_timer_start(&d->greeting, d->opts.hello_ms);
}

static enum err open_door(struct keyd_door *door, struct reason *why)
{
    int fd, bad;
    enum err e = local_socket_listen(&fd, door->path, why);
    if (e)
        return e;
    uv_pipe_init(loop_uv(door->d->loop), &door->pipe, 0);
    door->pipe.data = door;
    door->open = true;
    bad = uv_pipe_open(&door->pipe, fd);
    if (bad)
        close(fd);
    else
        bad = uv_listen((uv_stream_t *)&door->pipe, LOCAL_SOCKET_BACKLOG, on_connection);
    return bad ? reason_set(why, ERR_IO, "cannot listen on %s: %s", door->path, uv_strerror(bad)) : ERR_OK;
}

enum err keyd_listen(struct keyd *d, struct reason *why)
{
    enum err e = open_door(&d->data_door, why);
    return e || !d->admin_door.path ? e : open_door(&d->admin_door, why);
}

void keyd_close_doors(struct keyd *d)
{
    struct keyd_door *doors[] = {&d->data_door, &d->admin_door};
    for (int i = 0; i < 2; i++) {
        if (!doors[i]->open)
            continue;
        uv_close((uv_handle_t *)&doors[i]->pipe, NULL);
        unlink(doors[i]->path);
        doors[i]->open = false;
    }
}
