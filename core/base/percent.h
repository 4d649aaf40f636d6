/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_PERCENT_H
#define CASTELLAN_BASE_PERCENT_H

#include "core/base/buf.h"

/* Percent-encoding (RFC 3986, 2.1), by which a URL, and a command line, can name any bytes. */

/* Every byte may come out, NUL too. `out` has room for text.n bytes. False: a '%' without two hexadecimal digits. */
bool percent_decode(struct slice text, uint8_t *out, size_t *n) MUST_CHECK;
/* Appended; all but letters, digits and "-._~" is encoded. */
void percent_encode(struct buf *out, struct slice bytes);
/* The HTTP server library parses a request line in place and hands its parts out as C strings: `uri` of `uri_n` bytes
 * as it saw it first, `version` as it came later. Between them is one blank, or a NUL byte of the client's cut the URI
 * short. True: it did. */
bool percent_uri_is_cut(const char *uri, size_t uri_n, const char *version);

#endif
