/* SPDX-License-Identifier: Apache-2.0
 * Which header an API version has, and frames put together from header and body. */
#include "core/wire/header.h"
#include "core/wire/codec.h"

static bool is_flexible(int16_t key, int16_t version)
{
    const struct wire_api *api = wire_api(key);
    return api && version >= api->flexible_from && api->flexible_from != WIRE_VERSION_OPEN;
}

int16_t wire_request_header_version(int16_t key, int16_t version)
{
    return is_flexible(key, version) ? 2 : 1;
}

int16_t wire_response_header_version(int16_t key, int16_t version)
{
    return key != WIRE_API_VERSIONS && is_flexible(key, version) ? 1 : 0;
}

enum err wire_request_header_decode(struct request_header *out, struct cursor *c, struct arena *a)
{
    struct cursor ahead = *c;
    int16_t key = (int16_t)wire_get_16(&ahead), version = (int16_t)wire_get_16(&ahead);
    const struct wire_api *api = wire_api(key);
    bool known = api && version >= api->min && version <= api->max;

    request_header_init(out);
    if (ahead.error)
        cursor_fail(c, ahead.error);
    if (c->error)
        return c->error;
    return request_header_decode(out, c, known ? wire_request_header_version(key, version) : 1, a);
}

enum err wire_request_header_encode(const struct request_header *header, struct buf *out)
{
    return request_header_encode(header, out,
                                 wire_request_header_version(header->request_api_key, header->request_api_version));
}

enum err wire_response_header_decode(struct response_header *out, struct cursor *c, int16_t key, int16_t version,
                                     struct arena *a)
{
    return response_header_decode(out, c, wire_response_header_version(key, version), a);
}

enum err wire_response_header_encode(const struct response_header *header, struct buf *out, int16_t key,
                                     int16_t version)
{
    return response_header_encode(header, out, wire_response_header_version(key, version));
}

enum err wire_frame_close(struct buf *out, size_t before, enum err e)
{
    if (!e && out->n - before - 4 > INT32_MAX)
        e = ERR_LIMIT_EXCEEDED;
    if (e)
        out->n = before;
    else
        buf_patch_u32(out, before, (uint32_t)(out->n - before - 4));
    return e;
}

enum err wire_request_frame(struct buf *out, int16_t key, int16_t version, int32_t correlation_id,
                            struct slice client_id, const void *body)
{
    const struct wire_api *api = wire_api(key);
    struct request_header h;
    size_t before = out->n;
    enum err e;

    if (!api)
        return ERR_UNSUPPORTED_VERSION;
    request_header_init(&h);
    h.request_api_key = key;
    h.request_api_version = version;
    h.correlation_id = correlation_id;
    h.client_id = client_id;
    wire_put_32(out, 0);
    e = wire_request_header_encode(&h, out);
    if (!e)
        e = api->request->encode(body, out, version);
    return wire_frame_close(out, before, e);
}

enum err wire_response_frame_open(struct buf *out, int16_t key, int16_t version, int32_t correlation_id)
{
    struct response_header h;
    size_t before = out->n;
    enum err e;

    response_header_init(&h);
    h.correlation_id = correlation_id;
    wire_put_32(out, 0);
    e = wire_response_header_encode(&h, out, key, version);
    if (e)
        out->n = before;
    return e;
}

enum err wire_response_frame(struct buf *out, int16_t key, int16_t version, int32_t correlation_id, const void *body)
{
    const struct wire_api *api = wire_api(key);
    size_t before = out->n;
    enum err e;

    if (!api)
        return ERR_UNSUPPORTED_VERSION;
    e = wire_response_frame_open(out, key, version, correlation_id);
    if (!e)
        e = api->response->encode(body, out, version);
    return wire_frame_close(out, before, e);
}
