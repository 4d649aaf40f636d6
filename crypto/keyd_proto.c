/* SPDX-License-Identifier: Apache-2.0
 * Frames between the key process and its clients. */
#include "crypto/keyd_proto.h"

_Static_assert(KEYD_ENTRY_SIZE == 49, "a key in an answer: its state, its id, the key");

const char *keyd_message_name(uint8_t type)
{
    static const struct {
        uint8_t type;
        const char *name;
    } names[] = {
#define MESSAGE(name, number, capability, what) {(number), #name},
#include "crypto/keyd_proto.tbl"
#undef MESSAGE
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].type == type)
            return names[i].name;
    }
    return "unknown";
}

int keyd_message_needs(uint8_t type)
{
    static const struct {
        uint8_t type, capability;
    } rows[] = {
#define MESSAGE(name, number, capability, what) {(number), (capability)},
#include "crypto/keyd_proto.tbl"
#undef MESSAGE
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].type == type && type < 128)
            return rows[i].capability;
    }
    return -1;
}

enum err keyd_frame_next(struct slice *rest, struct keyd_frame *out, bool *more)
{
    struct cursor c = cursor_of(*rest);
    *more = false;
    if (rest->n < KEYD_FRAME_HEADER)
        return ERR_OK;
    uint32_t n = cursor_u32(&c);
    if (n < KEYD_FRAME_HEADER - 4 || n > KEYD_FRAME_MAX)
        return ERR_MALFORMED;
    if (cursor_left(&c) < n)
        return ERR_OK;
    out->type = cursor_u8(&c);
    out->request = cursor_u32(&c);
    out->body = cursor_take(&c, n - (KEYD_FRAME_HEADER - 4));
    *rest = slice_of(c.p, cursor_left(&c));
    *more = true;
    return ERR_OK;
}

size_t keyd_frame_begin(struct buf *out, enum keyd_message type, uint32_t request)
{
    size_t at = out->n;
    buf_u32(out, 0);
    buf_u8(out, (uint8_t)type);
    buf_u32(out, request);
    return at;
}

void keyd_frame_end(struct buf *out, size_t at)
{
    if (!out->error)
        buf_patch_u32(out, at, (uint32_t)(out->n - at - 4));
}

void keyd_put_string(struct buf *out, struct slice s)
{
    buf_u16(out, (uint16_t)s.n);
    buf_put_slice(out, s);
}

struct slice keyd_get_string(struct cursor *c, size_t max)
{
    size_t n = cursor_u16(c);
    if (n > max)
        cursor_fail(c, ERR_LIMIT_EXCEEDED);
    return cursor_take(c, n);
}

void keyd_put_error(struct buf *out, uint32_t request, enum err e, const char *words)
{
    size_t at = keyd_frame_begin(out, KEYD_ERROR, request);
    buf_u32(out, (uint32_t)e);
    keyd_put_string(out, slice_str(words));
    keyd_frame_end(out, at);
}

enum err keyd_get_error(struct slice body, struct reason *why)
{
    struct cursor c = cursor_of(body);
    enum err e = (enum err)(int32_t)cursor_u32(&c);
    struct slice words = keyd_get_string(&c, UINT16_MAX);
    if (cursor_finish(&c) || e == ERR_OK)
        return reason_set(why, ERR_MALFORMED, "the key process sent an error that cannot be understood");
    return reason_set(why, e, "%.*s", SLICE_FMT(words));
}
