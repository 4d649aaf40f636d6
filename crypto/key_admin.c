/* SPDX-License-Identifier: Apache-2.0
 * The administrator's calls, blocking: connect, greet, ask, read one answer, close. */
#include "core/base/env.h"
#include "core/net/local_socket.h"
#include "crypto/key_client.h"
#include "crypto/keyd_proto.h"
#include "crypto/receipt.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - env_mono_ms(env_system());
    return left < 0 ? 0 : left;
}

static enum err wait_for(int fd, short what, int64_t deadline_ms, struct reason *why)
{
    struct pollfd p = {.fd = fd, .events = what};
    int n;
    do {
        n = poll(&p, 1, (int)left_ms(deadline_ms));
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return reason_set(why, ERR_TIMEOUT, "the key process did not answer in time");
    return n < 0 ? reason_set(why, err_from_errno(errno), "poll: %s", strerror(errno)) : ERR_OK;
}

static enum err send_all(int fd, struct slice s, int64_t deadline_ms, struct reason *why)
{
    while (s.n) {
        enum err e = wait_for(fd, POLLOUT, deadline_ms, why);
        if (e)
            return e;
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return reason_set(why, ERR_CLOSED, "the key process closed the connection: %s", strerror(errno));
        s = slice_of(s.p + n, s.n - (size_t)n);
    }
    return ERR_OK;
}

/* Read on until the answer to `request` is there whole; the frame points into `in`. */
static enum err receive(int fd, uint32_t request, int64_t deadline_ms, struct buf *in, struct keyd_frame *out,
                        struct reason *why)
{
    for (;;) {
        struct slice rest = buf_slice(in);
        bool more = true;
        enum err e = ERR_OK;
        while (rest.n && !(e = keyd_frame_next(&rest, out, &more)) && more) {
            if (out->request == request)
                return ERR_OK;
        }
        if (!e)
            e = wait_for(fd, POLLIN, deadline_ms, why);
        if (e)
            return e;
        if (!buf_reserve(in, 64 * 1024))
            return reason_set(why, ERR_LIMIT_EXCEEDED, "the key process's answer is too large");
        ssize_t n = recv(fd, in->p + in->n, 64 * 1024, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return reason_set(why, ERR_CLOSED, "the key process closed the connection");
        in->n += n > 0 ? (size_t)n : 0;
    }
}

enum { HELLO_REQUEST = 1, CALL_REQUEST = 2 };

static enum err call(const char *path, uint8_t caps, struct buf *frame, int timeout_ms, struct buf *out,
                     struct reason *why)
{
    int64_t deadline_ms = env_mono_ms(env_system()) + timeout_ms;
    struct buf hello, in;
    struct keyd_frame f;
    int fd = -1;
    enum err e = buf_error(frame) ? reason_set(why, ERR_INVALID_REQUEST, "the request is too large")
                                  : local_socket_connect(&fd, path, timeout_ms, why);
    if (e)
        return e;
    buf_init(&hello, 1024);
    buf_init(&in, KEYD_FRAME_MAX + 128 * 1024);
    size_t at = keyd_frame_begin(&hello, KEYD_HELLO, HELLO_REQUEST);
    buf_u8(&hello, KEYD_VERSION);
    buf_u8(&hello, caps);
    keyd_put_string(&hello, slice_str("admin"));
    keyd_frame_end(&hello, at);
    e = send_all(fd, buf_slice(&hello), deadline_ms, why);
    if (!e)
        e = receive(fd, HELLO_REQUEST, deadline_ms, &in, &f, why);
    if (!e && f.type != KEYD_WELCOME)
        e = reason_set(why, ERR_UNSUPPORTED, "the key process did not welcome us");
    buf_clear(&in);
    if (!e)
        e = send_all(fd, buf_slice(frame), deadline_ms, why);
    if (!e)
        e = receive(fd, CALL_REQUEST, deadline_ms, &in, &f, why);
    if (!e && f.type == KEYD_ERROR)
        e = keyd_get_error(f.body, why);
    else if (!e && f.type != KEYD_JSON)
        e = reason_set(why, ERR_MALFORMED, "the key process's answer cannot be understood");
    if (!e) {
        buf_put_slice(out, f.body);
        e = buf_error(out);
    }
    close(fd);
    buf_free(&hello);
    buf_free(&in);
    return e;
}

static void put_subject(struct buf *f, const struct key_subject *s)
{
    keyd_put_string(f, slice_is_null(s->tenant) ? slice_str(POLICY_TENANT_DEFAULT) : s->tenant);
    keyd_put_string(f, slice_is_null(s->subject_class) ? slice_str(POLICY_CLASS_DEFAULT) : s->subject_class);
    keyd_put_string(f, s->id);
}

/* The reserved size of a subject's frame; a longer id is refused here rather than cut. */
static enum err check(const struct key_subject *s, struct reason *why)
{
    if (s->id.n == 0 || s->id.n > RECORD_CRYPT_SUBJECT_MAX || s->tenant.n > ENVELOPE_NAME_MAX ||
        s->subject_class.n > ENVELOPE_NAME_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "a data subject's id must have 1 to %d bytes",
                          RECORD_CRYPT_SUBJECT_MAX);
    return ERR_OK;
}

/* With a subject, and then what the message has beyond it. */
static enum err call_subject(const char *path, enum keyd_message type, const struct key_subject *s, struct slice more,
                             int timeout_ms, struct buf *out, struct reason *why)
{
    struct buf f;
    enum err e = check(s, why);
    if (e)
        return e;
    buf_init(&f, KEYD_FRAME_MAX);
    size_t at = keyd_frame_begin(&f, type, CALL_REQUEST);
    put_subject(&f, s);
    buf_put_slice(&f, more);
    keyd_frame_end(&f, at);
    e = call(path, KEYD_CAP_ADMIN, &f, timeout_ms, out, why);
    buf_free(&f);
    return e;
}

/* Only a receipt that holds, for this very person, is a success. */
static enum err check_receipt(const struct key_subject *s, struct slice answer, struct reason *why)
{
    struct receipt_report report;
    struct reason wrong = {0};
    enum err e = receipt_verify(answer, SLICE_NULL, s->tenant, s->subject_class, s->id, &report, &wrong);
    return e ? reason_set(why, ERR_UNKNOWN_SERVER_ERROR, "the key process's answer is no receipt for this person: %s",
                          wrong.text)
             : ERR_OK;
}

enum err key_admin_forget(const char *socket_path, const struct key_subject *s, struct slice requester, int timeout_ms,
                          struct buf *out, struct reason *why)
{
    struct buf more;
    buf_init(&more, 4096);
    size_t at = out->n;
    requester.n = requester.n > 256 ? 256 : requester.n;
    keyd_put_string(&more, requester);
    enum err e = call_subject(socket_path, KEYD_FORGET, s, buf_slice(&more), timeout_ms, out, why);
    buf_free(&more);
    return e ? e : check_receipt(s, slice_of(out->p + at, out->n - at), why);
}

enum err key_admin_reopen(const char *socket_path, const struct key_subject *s, int timeout_ms, struct buf *out,
                          struct reason *why)
{
    return call_subject(socket_path, KEYD_REOPEN, s, SLICE_NULL, timeout_ms, out, why);
}

enum err key_admin_hold(const char *socket_path, const struct key_subject *s, bool hold, int timeout_ms,
                        struct buf *out, struct reason *why)
{
    uint8_t on = hold;
    return call_subject(socket_path, KEYD_HOLD, s, slice_of(&on, 1), timeout_ms, out, why);
}

enum err key_admin_status(const char *socket_path, int timeout_ms, struct buf *out, struct reason *why)
{
    struct buf f;
    buf_init(&f, 64);
    keyd_frame_end(&f, keyd_frame_begin(&f, KEYD_STATUS, CALL_REQUEST));
    enum err e = call(socket_path, 0, &f, timeout_ms, out, why);
    buf_free(&f);
    return e;
}

enum err key_admin_receipt(const char *socket_path, uint64_t seq, int timeout_ms, struct buf *out, struct reason *why)
{
    struct buf f;
    buf_init(&f, 64);
    size_t at = keyd_frame_begin(&f, KEYD_RECEIPT, CALL_REQUEST);
    buf_u64(&f, seq);
    keyd_frame_end(&f, at);
    enum err e = call(socket_path, KEYD_CAP_ADMIN, &f, timeout_ms, out, why);
    buf_free(&f);
    return e;
}
