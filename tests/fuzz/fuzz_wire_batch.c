/* SPDX-License-Identifier: Apache-2.0
 * Input: a run of record batches, as in a Fetch answer. What can be read can be written again, and reads the same. */
#include "core/wire/record_batch.h"
#include "tests/fuzz/fuzz.h"

enum { EXPANDED_MAX = 1 << 20 };

/* Copies the batch record by record; false when it is broken somewhere. */
static bool copy_batch(const struct record_batch *b, struct buf *scratch, struct buf *out)
{
    struct record_batch_builder copy;
    struct record_iter it;
    struct record r;
    bool more = true, whole = false;

    if (record_iter_open(&it, b, scratch, EXPANDED_MAX, NULL) != ERR_OK)
        return false;
    record_batch_builder_like(&copy, b, 0);
    while (more && record_iter_next(&it, &r, &more, NULL) == ERR_OK) {
        struct cursor c = cursor_of(r.headers);
        struct record_header h;
        int32_t headers = 0;
        whole = !more;
        if (!more)
            break;
        while (record_header_next(&c, &h))
            headers++;
        FUZZ_EXPECT(headers == r.header_count);
        record_batch_append_like(&copy, &r, r.key, r.value);
    }
    if (whole)
        FUZZ_EXPECT(record_batch_finish(&copy, out) == ERR_OK);
    record_batch_builder_free(&copy);
    return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct record_batch b, again;
    struct buf scratch, out;
    bool more;

    buf_init(&scratch, 0);
    buf_init(&out, 0);
    while (record_batches_next(&rest, &b, &more, NULL) == ERR_OK && more) {
        (void)!record_batch_check_produced(&b, NULL);
        buf_clear(&out);
        if (!copy_batch(&b, &scratch, &out))
            continue;
        FUZZ_EXPECT(record_batch_parse(buf_slice(&out), &again, NULL) == ERR_OK);
        FUZZ_EXPECT(record_batch_check_crc(&again, NULL) == ERR_OK);
        FUZZ_EXPECT(again.record_count == b.record_count && again.last_offset_delta == b.last_offset_delta);
    }
    buf_free(&scratch);
    buf_free(&out);
    return 0;
}
