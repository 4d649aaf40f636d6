/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_BASE64_H
#define CASTELLAN_ACL_BASE64_H

#include "core/base/buf.h"

/* Standard base64 (RFC 4648, padded), for credentials in records and on bootstrap lines. */
void base64_put(struct buf *out, struct slice bytes); /* appends */
/* Strict: whole quads, padding only at the end. False: not base64, or more than `cap` bytes. */
bool base64_read(struct slice text, uint8_t *out, size_t cap, size_t *n);

/* base64url without padding (RFC 4648 section 5, RFC 7515 section 2), for tokens and generated passwords. */
void base64url_put(struct buf *out, struct slice bytes); /* appends */
/* Strict: no padding, and the bits behind the last byte are zero, so that no two texts mean the same bytes. */
bool base64url_read(struct slice text, uint8_t *out, size_t cap, size_t *n);

#endif
