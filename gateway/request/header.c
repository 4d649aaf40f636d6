/* SPDX-License-Identifier: Apache-2.0
 * The head of a request frame. */
#include "gateway/api/api.h"
#include "gateway/request/engine.h"

/* ApiVersions of a version nobody knows: its header may be of any shape too, so only the fixed part is read (KIP-511).
 */
static bool is_unknown_api_versions(struct request *r)
{
    struct cursor c = cursor_of(buf_slice(&r->frame));
    int16_t key = (int16_t)cursor_u16(&c), version = (int16_t)cursor_u16(&c);

    r->correlation_id = (int32_t)cursor_u32(&c);
    return !c.error && key == WIRE_API_VERSIONS && (version < 0 || version > wire_api(key)->max);
}

const char *request_read_header(struct request *r)
{
    struct cursor c = cursor_of(buf_slice(&r->frame));
    struct request_header h;

    r->key = WIRE_API_VERSIONS;
    r->row = api_find(WIRE_API_VERSIONS);
    r->api = wire_api(WIRE_API_VERSIONS);
    if (is_unknown_api_versions(r))
        return NULL; /* no body: it is answered with error 35 in version 0 */
    if (wire_request_header_decode(&h, &c, &r->arena))
        return "a request header does not parse";
    r->key = h.request_api_key;
    r->row = api_find(r->key);
    r->api = wire_api(r->key);
    r->version = h.request_api_version;
    r->correlation_id = h.correlation_id;
    r->client_id = h.client_id;
    r->body_bytes = slice_of(c.p, cursor_left(&c));
    return NULL;
}
