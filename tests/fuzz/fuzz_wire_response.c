/* SPDX-License-Identifier: Apache-2.0
 * Input: int16 API key, int16 version, then a response frame without its length prefix, as a client reads it. */
#include "core/wire/header.h"
#include "tests/fuzz/wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    int16_t key = (int16_t)cursor_u16(&c), version = (int16_t)cursor_u16(&c);
    const struct wire_api *api = wire_api(key);
    struct response_header h;
    struct arena a;

    arena_init(&a, FUZZ_ARENA_MAX);
    if (api && wire_response_header_decode(&h, &c, key, version, &a) == ERR_OK)
        fuzz_message(api->response, version, &c, &a);
    arena_free(&a);
    return 0;
}
