/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYD_PROTO_H
#define CASTELLAN_CRYPTO_KEYD_PROTO_H

#include "core/base/buf.h"
#include "core/base/cursor.h"
#include "crypto/envelope.h"

/* Frames on the key process's socket, big-endian: length u32 of what follows | type u8 | request id u32 | body.
 * A string is a u16 length and its bytes. Anything that does not parse to its last byte ends the connection. */
enum {
    KEYD_VERSION = 1,
    KEYD_FRAME_MAX = 4 * 1024 * 1024,
    KEYD_FRAME_HEADER = 9,
    KEYD_SUBJECTS_MAX = 1000, /* in one CREATE */
    KEYD_KEY_IDS_MAX = 10000, /* in one GET */
    KEYD_NAME_MAX = 128,
    KEYD_ENTRY_SIZE = 1 + ENVELOPE_KEY_ID_SIZE + ENVELOPE_KEY_SIZE,
};

/* What a client may ask for. A socket gives one of them, by the configuration of the key process
 * (castellan.keyd.socket: data keys; castellan.keyd.admin.socket: forgetting, holds, receipts); a client that wants
 * more than its socket gives is cut off, whatever it says of itself. */
enum keyd_capability { KEYD_CAP_DATA = 1, KEYD_CAP_ADMIN = 2 };

enum keyd_message {
#define MESSAGE(name, number, capability, what) KEYD_##name = (number),
#include "crypto/keyd_proto.tbl"
#undef MESSAGE
};

struct keyd_frame {
    uint8_t type; /* any byte: the peer chose it */
    uint32_t request;
    struct slice body;
};

const char *keyd_message_name(uint8_t type);
/* The capability a request needs; -1 when `type` is no request. */
int keyd_message_needs(uint8_t type);

/* Take the next whole frame off the front of `rest`; *more is false when it is not all there yet. */
enum err keyd_frame_next(struct slice *rest, struct keyd_frame *out, bool *more) MUST_CHECK;
/* Append a frame: begin, the body, end. */
size_t keyd_frame_begin(struct buf *out, enum keyd_message type, uint32_t request);
void keyd_frame_end(struct buf *out, size_t at);
void keyd_put_string(struct buf *out, struct slice s);
struct slice keyd_get_string(struct cursor *c, size_t max);
void keyd_put_error(struct buf *out, uint32_t request, enum err e, const char *words);
/* From an ERROR frame's body, into `why`; always a failure. */
enum err keyd_get_error(struct slice body, struct reason *why) MUST_CHECK;

#endif
