/* SPDX-License-Identifier: Apache-2.0
 * Input: a request frame without its length prefix, as a broker reads it. */
#include "core/wire/header.h"
#include "tests/fuzz/wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct request_header h;
    const struct wire_api *api;
    struct arena a;

    arena_init(&a, FUZZ_ARENA_MAX);
    if (wire_request_header_decode(&h, &c, &a) == ERR_OK) {
        api = wire_api(h.request_api_key);
        if (api)
            fuzz_message(api->request, h.request_api_version, &c, &a);
    }
    arena_free(&a);
    return 0;
}
