/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_BASE64_H
#define CASTELLAN_ACL_BASE64_H

#include "core/base/buf.h"

/* Standard base64 (RFC 4648, padded), for credentials in records and on bootstrap lines. */
void base64_put(struct buf *out, struct slice bytes); /* appends */
/* Strict: whole quads, padding only at the end. False: not base64, or more than `cap` bytes. */
bool base64_read(struct slice text, uint8_t *out, size_t cap, size_t *n);

#endif
