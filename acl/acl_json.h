/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_JSON_H
#define CASTELLAN_ACL_JSON_H

#include "core/base/buf.h"

#include <jansson.h>

/* The JSON of our records: objects, written compact with sorted keys, so that equal keys are equal bytes. */
enum { ACL_RECORD_MAX = 256 * 1024, ACL_RECORD_VERSION = 1 };

/* An object, or NULL with `why` set (too large, not JSON, not an object). json_decref() it. */
json_t *acl_json_read(struct slice bytes, struct reason *why);
/* Appends the text and drops the reference; `object` NULL is ERR_NO_MEMORY. ERR_MALFORMED: text that is not UTF-8. */
enum err acl_json_write(struct buf *out, json_t *object) MUST_CHECK;
/* A string member as a slice that lives as long as the object; null when absent or not a string. */
struct slice acl_json_string(const json_t *object, const char *key);
json_t *acl_json_text(struct slice s); /* a JSON string, NULL if it is not UTF-8 */

#endif
