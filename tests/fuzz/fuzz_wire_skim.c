/* SPDX-License-Identifier: Apache-2.0
 * Input: int16 API key, int16 version, a byte that says how to cut, then the body of a response as it passes. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire_skim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    int16_t key = (int16_t)cursor_u16(&c), version = (int16_t)cursor_u16(&c);
    uint8_t cut = cursor_u8(&c);
    const struct wire_api *api = wire_api(key);
    struct slice body = slice_of(c.p, cursor_left(&c));

    if (c.error || !api || !wire_versions_has(api->response->valid, version))
        return 0;
    FUZZ_EXPECT(!skim_wrong(api->response, version, body, false, 1 + cut % 32u, cut));
    FUZZ_EXPECT(!skim_wrong(api->response, version, body, true, 1 + cut % 32u, cut));
    return 0;
}
