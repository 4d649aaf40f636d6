/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CODING_H
#define CASTELLAN_GATEWAY_CODING_H

#include "gateway/request/request_data.h"

/* Decoding and encoding for the engine: short messages at once, long ones in slices (core/wire/resumable.h). A call
 * that says AGAIN is made again with the same arguments. */
enum { CODING_AT_ONCE_MAX = 16 << 10 /* bytes that are decoded in one go */ };

/* NEXT: `m` is decoded, *c stands behind it. AGAIN, or DONE with *err: it cannot be. */
enum step coding_decode(struct request *r, const struct wire_message *message, void *m, struct cursor *c,
                        enum err *err);
/* The body behind what `out` holds; on failure `out` is as before. The same answers. */
enum step coding_encode(struct request *r, const struct wire_message *message, const void *m, struct buf *out,
                        enum err *err);

#endif
