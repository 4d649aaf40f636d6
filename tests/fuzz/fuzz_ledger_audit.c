/* SPDX-License-Identifier: Apache-2.0
 * Input: a byte that chooses, then a record for the verifier, or how to tamper with a chain that verifies. No tampering
 * within the chain may go unseen; only its end may be cut off, which an anchor at its head then tells. */
#include "core/ledger/audit.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

enum { RECORDS = 12 };

static struct buf records[RECORDS];
static char head[2 * AUDIT_HASH_SIZE + 1];
static size_t findings;

static void on_found(void *ctx, const struct audit_finding *f)
{
    (void)ctx, (void)f;
    findings++;
}

static void make(void)
{
    struct audit_chain c = {.writer = "w"};
    for (int i = 0; i < RECORDS; i++) {
        struct audit_entry e = {.time_ms = i, .role = "r", .event = AUDIT_CHANGE, .resource = slice_str("s")};
        buf_init(&records[i], 0);
        FUZZ_EXPECT(audit_seal(&c, &e, &records[i]) == ERR_OK);
    }
    for (int i = 0; i < AUDIT_HASH_SIZE; i++)
        snprintf(head + 2 * i, 3, "%02x", c.head[i]);
}

static size_t verify(const struct slice *list, size_t n, bool anchored)
{
    struct audit_verifier *v = audit_verifier_new(on_found, NULL);
    findings = 0;
    if (anchored)
        FUZZ_EXPECT(audit_verify_expect(v, slice_str("w"), RECORDS - 1, slice_str(head), NULL) == ERR_OK);
    for (size_t i = 0; i < n; i++)
        FUZZ_EXPECT(audit_verify_record(v, 0, (int64_t)i, list[i], true) == ERR_OK);
    audit_verify_end(v);
    audit_verifier_free(v);
    return findings;
}

static void tamper(struct slice in)
{
    struct slice list[RECORDS];
    size_t n = RECORDS;
    struct buf changed;
    if (in.n < 4)
        return;
    for (size_t i = 0; i < RECORDS; i++)
        list[i] = buf_slice(&records[i]);
    size_t at = in.p[1] % RECORDS, other = in.p[2] % RECORDS;
    buf_init(&changed, 0);
    buf_put_slice(&changed, list[at]);
    bool same = false;
    switch (in.p[0] % 4) {
    case 0: { /* a byte */
        size_t where = (size_t)(in.p[2] << 8 | in.p[3]) % changed.n;
        same = changed.p[where] == in.p[in.n - 1];
        changed.p[where] = in.p[in.n - 1];
        list[at] = buf_slice(&changed);
        break;
    }
    case 1: /* removed */
        memmove(list + at, list + at + 1, (RECORDS - at - 1) * sizeof *list);
        n--;
        break;
    case 2: { /* put elsewhere */
        struct slice moved = list[at];
        list[at] = list[other];
        list[other] = moved;
        same = at == other;
        break;
    }
    case 3: /* words of one's own in its place */
        list[at] = slice_of(in.p + 3, in.n - 3);
        same = slice_eq(list[at], buf_slice(&changed));
        break;
    }
    FUZZ_EXPECT((verify(list, n, true) == 0) == same);
    buf_free(&changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!head[0])
        make();
    if (!size)
        return 0;
    struct slice in = slice_of(data + 1, size - 1);
    if (data[0] % 2)
        tamper(in);
    else
        (void)verify(&in, 1, false);
    return 0;
}
