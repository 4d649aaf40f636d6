/* SPDX-License-Identifier: Apache-2.0
 * Input: a message's name (as "GroupMetadataValue"), a zero byte, int16 version, its body. For what is neither request
 * nor response: records of internal topics, the consumer protocol, control records. */
#include "tests/fuzz/wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    struct slice name = slice_of(data, end ? (size_t)(end - data) : 0);
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);
    struct cursor c;
    struct arena a;

    if (!end)
        return 0;
    c = cursor_of(slice_of(end + 1, size - name.n - 1));
    arena_init(&a, FUZZ_ARENA_MAX);
    for (size_t i = 0; i < n; i++)
        if (slice_eq_str(name, all[i]->name))
            fuzz_message(all[i], (int16_t)cursor_u16(&c), &c, &a);
    arena_free(&a);
    return 0;
}
