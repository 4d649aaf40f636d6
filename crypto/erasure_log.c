/* SPDX-License-Identifier: Apache-2.0
 * The ledger of erasures in memory: entries in order, each checked against the chain as it arrives. */
#include "crypto/erasure_log.h"
#include "crypto/keyring_internal.h"

#include <jansson.h>
#include <stdlib.h>

void erasure_log_init(struct erasure_log *l)
{
    *l = (struct erasure_log){0};
    map_init(&l->intents);
}

void erasure_log_free(struct erasure_log *l)
{
    for (size_t i = 0; i < l->n; i++)
        free((void *)(uintptr_t)l->entries[i].text.p);
    free(l->entries);
    free(l->leaves);
    map_free(&l->intents, NULL);
    *l = (struct erasure_log){0};
}

void erasure_log_key(struct buf *out, uint64_t seq)
{
    buf_printf(out, "%020llu", (unsigned long long)seq);
}

static bool grow(struct erasure_log *l)
{
    if (l->n < l->cap)
        return true;
    size_t cap = l->cap ? 2 * l->cap : 64;
    struct erasure_entry *entries = realloc(l->entries, cap * sizeof *entries);
    if (!entries)
        return false;
    l->entries = entries;
    uint8_t(*leaves)[MERKLE_HASH_SIZE] = realloc(l->leaves, cap * sizeof *leaves);
    if (!leaves)
        return false;
    l->leaves = leaves;
    l->cap = cap;
    return true;
}

static enum err parse(struct erasure_entry *e, uint8_t prev[RECEIPT_HASH_SIZE], struct slice value, struct reason *why)
{
    json_int_t seq = -1, at = 0;
    const char *type = "", *prev_hex = "", *erasure = "", *tag = NULL;
    json_t *o = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    bool ok = o && !json_unpack(o, "{s:s s:I s:s s:s s?s s?I}", "type", &type, "seq", &seq, "prev_hash", &prev_hex,
                                "erasure", &erasure, "tag", &tag, "requested_at", &at);
    e->receipt = ok && !strcmp(type, "receipt");
    ok = ok && seq >= 0 && (e->receipt || !strcmp(type, "intent")) &&
         keyring_get_hex(slice_str(prev_hex), prev, RECEIPT_HASH_SIZE) &&
         keyring_get_hex(slice_str(erasure), e->erasure, sizeof e->erasure) &&
         (e->receipt || (tag && keyring_get_hex(slice_str(tag), e->tag, sizeof e->tag)));
    e->seq = (uint64_t)seq;
    e->requested_ms = at;
    json_decref(o);
    return ok ? ERR_OK : reason_set(why, ERR_MALFORMED, "an entry of the erasure ledger cannot be understood");
}

static enum err chain(const struct erasure_log *l, const struct erasure_entry *e, const uint8_t *prev, struct slice key,
                      struct reason *why)
{
    struct buf name;
    buf_init(&name, 64);
    erasure_log_key(&name, e->seq);
    bool named = slice_eq(buf_slice(&name), key);
    buf_free(&name);
    if (!named || e->seq != l->n || memcmp(prev, l->head, RECEIPT_HASH_SIZE))
        return reason_set(why, ERR_CONFLICT,
                          "entry %llu of the erasure ledger does not continue the chain, which has %zu entries",
                          (unsigned long long)e->seq, l->n);
    if (e->receipt && (!erasure_log_intent(l, e->erasure) || erasure_log_intent(l, e->erasure)->done))
        return reason_set(why, ERR_CONFLICT, "receipt %llu of the erasure ledger answers no open intent",
                          (unsigned long long)e->seq);
    return ERR_OK;
}

static struct erasure_entry *intent_of(const struct erasure_log *l, const uint8_t *erasure)
{
    uintptr_t i = (uintptr_t)map_get(&l->intents, slice_of(erasure, KEYRING_ERASURE_ID_SIZE));
    return i ? &l->entries[i - 1] : NULL;
}

const struct erasure_entry *erasure_log_intent(const struct erasure_log *l,
                                               const uint8_t erasure[KEYRING_ERASURE_ID_SIZE])
{
    return intent_of(l, erasure);
}

enum err erasure_log_apply(struct erasure_log *l, struct slice key, struct slice value, struct reason *why)
{
    struct erasure_entry e = {0};
    uint8_t prev[RECEIPT_HASH_SIZE];
    if (slice_is_null(value))
        return reason_set(why, ERR_CONFLICT, "an entry of the erasure ledger was deleted, which nothing does");
    enum err err = parse(&e, prev, value, why);
    if (!err)
        err = chain(l, &e, prev, key, why);
    if (err)
        return err;
    uint8_t *text = grow(l) ? malloc(value.n) : NULL;
    if (!text || (!e.receipt &&
                  map_put(&l->intents, slice_of(e.erasure, sizeof e.erasure), (void *)(uintptr_t)(l->n + 1), NULL))) {
        free(text);
        return reason_set(why, ERR_NO_MEMORY, "no memory for the erasure ledger");
    }
    memcpy(text, value.p, value.n);
    e.text = slice_of(text, value.n);
    merkle_leaf(l->leaves[l->n], e.text);
    receipt_entry_hash(l->head, e.text);
    l->entries[l->n++] = e;
    if (e.receipt) {
        struct erasure_entry *intent = intent_of(l, e.erasure);
        intent->done = true;
        intent->receipt_seq = e.seq;
        l->pending--;
    } else {
        l->pending++;
    }
    return ERR_OK;
}

enum err erasure_log_check(const struct erasure_log *l, const struct custody_mark *mark, struct reason *why)
{
    uint8_t hash[RECEIPT_HASH_SIZE];
    if (mark->ledger_size > l->n)
        return reason_set(
            why, ERR_CONFLICT,
            "the erasure ledger has %zu entries, but custody remembers %llu: the topics are older than the "
            "root's memory (a restored backup?), so forgotten data could come back; refusing to serve",
            l->n, (unsigned long long)mark->ledger_size);
    if (mark->ledger_size == 0)
        return ERR_OK;
    receipt_entry_hash(hash, l->entries[mark->ledger_size - 1].text);
    if (memcmp(hash, mark->ledger_head, sizeof hash))
        return reason_set(why, ERR_CONFLICT,
                          "entry %llu of the erasure ledger is not the one custody remembers: this is another history; "
                          "refusing to serve",
                          (unsigned long long)mark->ledger_size - 1);
    return ERR_OK;
}
