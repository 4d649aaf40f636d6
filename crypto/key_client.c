/* SPDX-License-Identifier: Apache-2.0
 * The connection to the key process: greeting, heartbeat, lease, pushes, requests and their answers, reconnecting.
 *
 * The lease counts from the moment a renewal was SENT, so it ends here before it ends in the key process. Keys are
 * wiped when it ends, and at every new greeting: what was erased while the connection was down must not be found here.
 * When the connection is lost, requests under way fail at once; keys in the cache serve until the lease ends. */
#include "crypto/key_client_internal.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/net/local_socket.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int64_t key_client_now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

bool key_client_leased(const struct key_client *c)
{
    return !c->freeing && c->lease_until_ms > key_client_now_ms();
}

bool key_client_ready(const struct key_client *k)
{
    struct key_client *c = (struct key_client *)k;
    key_client_enter(c);
    bool ready = c->state == KEY_CLIENT_UP && key_client_leased(c);
    pthread_mutex_unlock(&c->lock);
    return ready;
}

/* ---- the lock ---- */

void key_client_enter(struct key_client *c)
{
    if (atomic_load_explicit(&c->wanted, memory_order_relaxed))
        sched_yield();
    pthread_mutex_lock(&c->lock);
}

void key_client_enter_first(struct key_client *c)
{
    atomic_fetch_add(&c->wanted, 1);
    pthread_mutex_lock(&c->lock);
    atomic_fetch_sub(&c->wanted, 1);
}

void key_client_leave(struct key_client *c, bool here)
{
    struct key_set *s = c->finished, *next;
    struct loop *caller = here ? NULL : c->caller;
    c->finished = NULL;
    c->finished_end = &c->finished;
    pthread_mutex_unlock(&c->lock);
    for (; s; s = next) { /* a callback may free the client, and the set is the callee's */
        next = s->finished_next;
        if (caller)
            loop_post_task(caller, &s->task, key_set_deliver, s);
        else
            key_set_deliver(s);
    }
}

/* ---- requests ---- */

static void link_request(struct key_request *list, struct key_request *r)
{
    r->next = list;
    r->prev = list->prev;
    r->prev->next = r;
    list->prev = r;
}

static void unlink_request(struct key_client *c, struct key_request *r)
{
    r->prev->next = r->next;
    r->next->prev = r->prev;
    c->requests_n--;
}

static void finish_request(struct key_client *c, struct key_request *r, struct slice body, enum err e,
                           const struct reason *why)
{
    unlink_request(c, r);
    key_set_answer(c, r, body, e, why);
    free(r->items);
    free(r->names);
    free(r);
}

static void fail_requests(struct key_client *c, int64_t sent_before_ms, enum err e, const char *words)
{
    struct key_request *next;
    struct reason why;
    reason_set(&why, e, "%s", words);
    for (struct key_request *r = c->requests.next; r != &c->requests; r = next) {
        next = r->next;
        if (r->sent_ms < sent_before_ms)
            finish_request(c, r, SLICE_NULL, e, &why);
    }
}

struct out {
    uv_write_t req;
    struct buf bytes;
};

static void on_written(uv_write_t *req, int status)
{
    struct out *o = req->data;
    (void)status; /* a failure shows as the end of the stream */
    buf_wipe_free(&o->bytes);
    free(o);
}

static bool send_frame(struct key_client *c, struct buf *frame)
{
    struct out *o = frame->error ? NULL : calloc(1, sizeof *o);
    if (!o)
        return false;
    o->req.data = o;
    o->bytes = *frame;
    *frame = (struct buf){0};
    uv_buf_t b = uv_buf_init((char *)o->bytes.p, (unsigned)o->bytes.n);
    if (uv_write(&o->req, (uv_stream_t *)c->pipe, &b, 1, on_written)) {
        buf_wipe_free(&o->bytes);
        free(o);
        return false;
    }
    return true;
}

struct key_request *key_client_send(struct key_client *c, struct buf *frame, uint32_t id)
{
    struct key_request *r =
        c->state == KEY_CLIENT_UP && c->requests_n < KEY_CLIENT_PENDING_MAX ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    if (!send_frame(c, frame)) {
        free(r);
        return NULL;
    }
    r->id = id;
    r->sent_ms = key_client_now_ms();
    link_request(&c->requests, r);
    c->requests_n++;
    return r;
}

/* ---- connection ---- */

static void free_pipe(uv_handle_t *h)
{
    free(h);
}

static void disconnect(struct key_client *c, const char *words)
{
    if (c->state == KEY_CLIENT_DOWN)
        return;
    if (c->state == KEY_CLIENT_UP && !c->freeing)
        log_warn("key client %s: %s", c->name, words);
    c->state = KEY_CLIENT_DOWN;
    c->renewal = 0;
    c->connect_after_ms = key_client_now_ms() + KEY_CLIENT_RECONNECT_MS;
    c->pipe->data = NULL;
    uv_close((uv_handle_t *)c->pipe, free_pipe);
    c->pipe = NULL;
    buf_wipe_free(&c->in);
    buf_init(&c->in, KEYD_FRAME_MAX + 128 * 1024);
    fail_requests(c, INT64_MAX, ERR_KAFKA_STORAGE_ERROR, "the connection to the key process was lost");
}

static void renew(struct key_client *c)
{
    struct buf f;
    buf_init(&f, 64);
    uint32_t id = ++c->next_request;
    keyd_frame_end(&f, keyd_frame_begin(&f, KEYD_RENEW, id));
    int64_t now = key_client_now_ms();
    if (send_frame(c, &f)) {
        c->renewal = id;
        c->renewal_sent_ms = now;
    }
    buf_free(&f);
}

static enum err on_welcome(struct key_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    int64_t lease_ms = cursor_u32(&cur);
    cursor_u64(&cur);
    if (c->state != KEY_CLIENT_GREETING || cursor_finish(&cur) || lease_ms <= 0)
        return ERR_MALFORMED;
    key_cache_drop_all(c);
    c->state = KEY_CLIENT_UP;
    c->lease_ms = lease_ms;
    c->lease_until_ms = c->renewal_sent_ms + lease_ms;
    c->lease_lost = c->complained = false;
    log_info("key client %s: connected", c->name);
    return ERR_OK;
}

static enum err on_erased(struct key_client *c, const struct keyd_frame *f)
{
    struct cursor cur = cursor_of(f->body);
    uint32_t n = cursor_u32(&cur);
    struct buf ack;
    if (cursor_left(&cur) != (size_t)n * ENVELOPE_KEY_ID_SIZE)
        return ERR_MALFORMED;
    for (uint32_t i = 0; i < n; i++)
        key_cache_erase(c, cursor_take(&cur, ENVELOPE_KEY_ID_SIZE).p);
    if (c->opts.on_erased)
        c->opts.on_erased(c->opts.user);
    buf_init(&ack, 64);
    keyd_frame_end(&ack, keyd_frame_begin(&ack, KEYD_ACK, f->request));
    bool sent = send_frame(c, &ack);
    buf_free(&ack);
    return sent ? ERR_OK : ERR_CLOSED;
}

static enum err on_answer(struct key_client *c, const struct keyd_frame *f)
{
    struct key_request *r = c->requests.next;
    struct reason why = {0};
    enum err e = ERR_OK;
    while (r != &c->requests && r->id != f->request)
        r = r->next;
    if (r == &c->requests)
        return ERR_OK; /* it timed out */
    if (f->type == KEYD_ERROR)
        e = keyd_get_error(f->body, &why);
    finish_request(c, r, f->body, e, &why);
    return ERR_OK;
}

static enum err on_renewed(struct key_client *c, const struct keyd_frame *f)
{
    if (f->body.n != 1 || f->request != c->renewal)
        return ERR_MALFORMED;
    c->renewal = 0;
    if (f->body.p[0])
        c->lease_until_ms = c->renewal_sent_ms + c->lease_ms;
    return ERR_OK;
}

static enum err dispatch(struct key_client *c, const struct keyd_frame *f)
{
    switch (f->type) {
    case KEYD_WELCOME:
        return on_welcome(c, f);
    case KEYD_KEYS:
    case KEYD_ERROR:
        return on_answer(c, f);
    case KEYD_RENEWED:
        return on_renewed(c, f);
    case KEYD_ERASED:
        return on_erased(c, f);
    }
    return ERR_MALFORMED;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
    struct key_client *c = h->data;
    (void)hint;
    if (!c || !buf_reserve(&c->in, 64 * 1024))
        *b = uv_buf_init(NULL, 0);
    else
        *b = uv_buf_init((char *)c->in.p + c->in.n, 64 * 1024);
}

static void take_bytes(struct key_client *c, ssize_t n)
{
    struct keyd_frame f;
    bool more;
    enum err e = ERR_OK;
    if (n < 0) {
        disconnect(c, "the key process closed the connection");
        return;
    }
    c->in.n += (size_t)n;
    struct slice rest = buf_slice(&c->in);
    while (!(e = keyd_frame_next(&rest, &f, &more)) && more) {
        if ((e = dispatch(c, &f)))
            break;
    }
    size_t used = c->in.n - rest.n;
    secret_wipe(c->in.p, used); /* answers hold keys */
    buf_consume(&c->in, used);
    if (e)
        disconnect(c, "the key process sent something that cannot be understood");
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct key_client *c = s->data;
    (void)b;
    if (!c)
        return;
    key_client_enter_first(c);
    take_bytes(c, n);
    key_client_leave(c, false);
}

static void greet(struct key_client *c)
{
    struct buf f;
    if (uv_read_start((uv_stream_t *)c->pipe, on_alloc, on_read)) {
        disconnect(c, "no connection");
        return;
    }
    c->state = KEY_CLIENT_GREETING;
    buf_init(&f, 1024);
    size_t at = keyd_frame_begin(&f, KEYD_HELLO, ++c->next_request);
    buf_u8(&f, KEYD_VERSION);
    buf_u8(&f, KEYD_CAP_DATA);
    keyd_put_string(&f, slice_str(c->name));
    keyd_frame_end(&f, at);
    c->renewal_sent_ms = key_client_now_ms();
    if (!send_frame(c, &f))
        disconnect(c, "no greeting");
    buf_free(&f);
}

static void connect_now(struct key_client *c)
{
    struct reason why = {0};
    int fd;
    if (local_socket_connect(&fd, c->socket_path, 0, &why)) {
        if (!c->complained)
            log_warn("key client %s: %s", c->name, why.text);
        c->complained = true;
        c->connect_after_ms = key_client_now_ms() + KEY_CLIENT_RECONNECT_MS;
        return;
    }
    c->pipe = calloc(1, sizeof *c->pipe);
    if (!c->pipe) {
        close(fd);
        return;
    }
    uv_pipe_init(c->loop, c->pipe, 0);
    c->pipe->data = c;
    c->state = KEY_CLIENT_CONNECTING;
    if (uv_pipe_open(c->pipe, fd)) {
        close(fd);
        disconnect(c, "no connection");
        return;
    }
    greet(c);
}

static void on_tick(uv_timer_t *t);

static void tick(struct key_client *c)
{
    int64_t now = key_client_now_ms();
    if (c->state == KEY_CLIENT_DOWN && now >= c->connect_after_ms)
        connect_now(c);
    if (c->state == KEY_CLIENT_UP && !c->renewal && now - c->renewal_sent_ms >= c->lease_ms / 3)
        renew(c);
    if (c->lease_until_ms && now >= c->lease_until_ms && !c->lease_lost) {
        c->lease_lost = true;
        key_cache_drop_all(c);
        log_warn("key client %s: the lease ran out; every key was wiped", c->name);
        if (c->state == KEY_CLIENT_UP)
            disconnect(c, "the key process does not renew the lease");
    }
    fail_requests(c, now - KEY_CLIENT_REQUEST_TIMEOUT_MS, ERR_KAFKA_STORAGE_ERROR,
                  "the key process did not answer in time");
    int64_t wait_ms = c->state != KEY_CLIENT_UP                  ? KEY_CLIENT_RECONNECT_MS
                      : c->lease_ms / 6 < KEY_CLIENT_TICK_MS_MAX ? c->lease_ms / 6 + 1
                                                                 : KEY_CLIENT_TICK_MS_MAX;
    uv_timer_start(&c->timer, on_tick, (uint64_t)wait_ms, 0);
}

static void on_tick(uv_timer_t *t)
{
    struct key_client *c = t->data;
    key_client_enter_first(c);
    if (!c->freeing)
        tick(c);
    key_client_leave(c, false);
}

/* ---- life ---- */

static void destroy(struct key_client *c)
{
    key_cache_free(&c->cache);
    buf_wipe_free(&c->in);
    free(c->socket_path);
    free(c->name);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

enum err key_client_new(struct key_client **out, struct uv_loop_s *loop, const struct key_client_opts *opts,
                        struct reason *why)
{
    struct key_client *c = calloc(1, sizeof *c);
    enum err e;
    *out = NULL;
    if (!c)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a key client");
    if ((e = crypto_init(why))) {
        free(c);
        return e;
    }
    c->home = opts->keeper ? key_keeper_loop(opts->keeper) : NULL;
    c->caller = opts->keeper ? opts->caller : NULL;
    c->loop = c->home ? loop_uv(c->home) : loop;
    c->opts = *opts;
    pthread_mutex_init(&c->lock, NULL);
    c->finished_end = &c->finished;
    c->askings.prev = c->askings.next = &c->askings;
    c->requests.prev = c->requests.next = &c->requests;
    c->sets.prev = c->sets.next = &c->sets;
    buf_init(&c->in, KEYD_FRAME_MAX + 128 * 1024);
    c->socket_path = strdup(opts->socket_path);
    c->name = strndup(opts->name ? opts->name : "client", KEYD_NAME_MAX);
    e = key_cache_init(&c->cache, opts->cache_keys ? opts->cache_keys : KEY_CLIENT_CACHE_KEYS);
    if (e || !c->socket_path || !c->name) {
        destroy(c);
        return reason_set(why, ERR_NO_MEMORY, "no locked memory for data keys");
    }
    uv_timer_init(c->loop, &c->timer);
    c->timer.data = c;
    uv_unref((uv_handle_t *)&c->timer);
    uv_timer_start(&c->timer, on_tick, 0, 0);
    *out = c;
    return ERR_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
    destroy(h->data);
}

static void close_handles(struct key_client *c)
{
    disconnect(c, "stopping");
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static void on_leaving(void *arg)
{
    struct key_client *c = arg;
    key_client_enter_first(c);
    close_handles(c);
    pthread_mutex_unlock(&c->lock);
}

void key_client_free(struct key_client *c)
{
    if (!c)
        return;
    key_client_enter(c);
    c->freeing = true;
    fail_requests(c, INT64_MAX, ERR_CANCELLED, "the key client stops");
    key_set_cancel_askings(c);
    key_cache_drop_all(c);
    key_set_orphan_all(c);
    if (c->home)
        loop_post_task(c->home, &c->leaving, on_leaving, c);
    else
        close_handles(c);
    key_client_leave(c, true);
}
