/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_HEADER_H
#define CASTELLAN_WIRE_HEADER_H

#include "wire/headers.h"
#include "wire/keys.h"

/* Request and response headers. Their version follows from the API and its version: flexible versions have tagged
 * fields in the header too. Two exceptions are built in: the client id keeps its old two-byte length everywhere, and
 * an ApiVersions response has header version 0 always, because a client that reads it does not know yet what the
 * broker speaks. A frame's four length bytes belong to the connection, not to the header. */

int16_t wire_request_header_version(int16_t key, int16_t version);
int16_t wire_response_header_version(int16_t key, int16_t version);

/* Reads the header of a request frame and leaves the cursor at its body. An API or a version of it that is not
 * described here is read as a version 1 header, with which all begin, so that the log can say who asked; whether API
 * and version are served is the caller's question. */
enum err wire_request_header_decode(struct request_header *out, struct cursor *c, struct arena *a) MUST_CHECK;
/* Uses header->request_api_key and request_api_version. */
enum err wire_request_header_encode(const struct request_header *header, struct buf *out) MUST_CHECK;

/* `key` and `version` are those of the request that is answered. */
enum err wire_response_header_decode(struct response_header *out, struct cursor *c, int16_t key, int16_t version,
                                     struct arena *a) MUST_CHECK;
enum err wire_response_header_encode(const struct response_header *header, struct buf *out, int16_t key,
                                     int16_t version) MUST_CHECK;

/* Whole frames, length prefix included, appended to `out`; `body` is the generated struct of the API's request or
 * response. After a failure `out` is as it was. */
enum err wire_request_frame(struct buf *out, int16_t key, int16_t version, int32_t correlation_id,
                            struct slice client_id, const void *body) MUST_CHECK;
enum err wire_response_frame(struct buf *out, int16_t key, int16_t version, int32_t correlation_id,
                             const void *body) MUST_CHECK;

/* The same in steps, for a body that is encoded in slices (resumable.h): the frame up to its body, the caller's body,
 * then the close, which fills in the length, or, when `e` says that the body failed, takes all back and returns `e`.
 * `before` is out->n before the frame. */
enum err wire_response_frame_open(struct buf *out, int16_t key, int16_t version, int32_t correlation_id) MUST_CHECK;
enum err wire_frame_close(struct buf *out, size_t before, enum err e) MUST_CHECK;

#endif
