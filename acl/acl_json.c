/* SPDX-License-Identifier: Apache-2.0
 * The few jansson calls that all record formats share. */
#include "acl/acl_json.h"

#include <stdlib.h>

json_t *acl_json_read(struct slice bytes, struct reason *why)
{
    json_error_t error;
    json_t *j;

    if (bytes.n > ACL_RECORD_MAX) {
        reason_set(why, ERR_MALFORMED, "a record part of %zu bytes is too large", bytes.n);
        return NULL;
    }
    j = json_loadb((const char *)bytes.p, bytes.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!j) {
        reason_set(why, ERR_MALFORMED, "not JSON: %s", error.text);
        return NULL;
    }
    if (!json_is_object(j)) {
        json_decref(j);
        reason_set(why, ERR_MALFORMED, "not a JSON object");
        return NULL;
    }
    return j;
}

static int append(const char *p, size_t n, void *out)
{
    buf_put(out, p, n);
    return 0;
}

enum err acl_json_write(struct buf *out, json_t *object)
{
    int r;

    if (!object)
        return ERR_NO_MEMORY;
    r = json_dump_callback(object, append, out, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(object);
    return r ? ERR_NO_MEMORY : buf_error(out);
}

struct slice acl_json_string(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

json_t *acl_json_text(struct slice s)
{
    return json_stringn(s.n ? (const char *)s.p : "", s.n);
}
