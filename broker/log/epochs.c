/* SPDX-License-Identifier: Apache-2.0
 * Leader epochs of a partition and their checkpoint file: "0", the count, then "EPOCH OFFSET" lines. */
#include "broker/log/epochs.h"
#include "broker/log/checkpoint.h"

#include <stdlib.h>

void epochs_free(struct epochs *e)
{
    free(e->v);
    memset(e, 0, sizeof *e);
}

int32_t epochs_latest(const struct epochs *e)
{
    return e->n ? e->v[e->n - 1].epoch : -1;
}

enum err epochs_assign(struct epochs *e, int32_t epoch, int64_t offset, bool *changed)
{
    *changed = false;
    if (epoch < 0 || epoch <= epochs_latest(e))
        return ERR_OK;
    while (e->n && e->v[e->n - 1].start_offset >= offset)
        e->n--;
    if (e->n == e->cap) {
        size_t cap = e->cap ? 2 * e->cap : 4;
        struct epoch_start *v = realloc(e->v, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        e->v = v;
        e->cap = cap;
    }
    e->v[e->n++] = (struct epoch_start){epoch, offset};
    *changed = true;
    return ERR_OK;
}

bool epochs_truncate_end(struct epochs *e, int64_t end_offset)
{
    size_t before = e->n;
    while (e->n && e->v[e->n - 1].start_offset >= end_offset)
        e->n--;
    return e->n != before;
}

bool epochs_truncate_start(struct epochs *e, int64_t start_offset)
{
    size_t drop = 0;
    while (drop + 1 < e->n && e->v[drop + 1].start_offset <= start_offset)
        drop++;
    if (!e->n || (!drop && e->v[0].start_offset >= start_offset))
        return false;
    memmove(e->v, e->v + drop, (e->n -= drop) * sizeof *e->v);
    if (e->v[0].start_offset < start_offset)
        e->v[0].start_offset = start_offset;
    return true;
}

void epochs_end_offset(const struct epochs *e, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end_offset)
{
    size_t higher = 0;

    *found = -1;
    *end_offset = -1;
    if (epoch < 0 || epoch > epochs_latest(e))
        return;
    if (epoch == epochs_latest(e)) {
        *found = epoch;
        *end_offset = log_end;
        return;
    }
    while (e->v[higher].epoch <= epoch)
        higher++;
    *found = higher ? e->v[higher - 1].epoch : epoch; /* before the first known epoch: it ended where that began */
    *end_offset = e->v[higher].start_offset;
}

int32_t epochs_at(const struct epochs *e, int64_t offset)
{
    for (size_t i = e->n; i-- > 0;)
        if (e->v[i].start_offset <= offset)
            return e->v[i].epoch;
    return -1;
}

enum err epochs_encode(const struct epochs *e, struct buf *out)
{
    buf_printf(out, "0\n%zu\n", e->n);
    for (size_t i = 0; i < e->n; i++)
        buf_printf(out, "%d %lld\n", e->v[i].epoch, (long long)e->v[i].start_offset);
    return buf_error(out);
}

enum err epochs_decode(struct epochs *e, struct slice text, struct reason *why)
{
    int64_t version, count, epoch, offset;
    bool changed;

    e->n = 0;
    if (!checkpoint_number(&text, &version) || version != 0 || !checkpoint_number(&text, &count) || count < 0)
        return reason_set(why, ERR_MALFORMED, "the leader epoch checkpoint has no valid head");
    while (count--) {
        if (!checkpoint_number(&text, &epoch) || !checkpoint_number(&text, &offset) || epoch < 0 || epoch > INT32_MAX ||
            offset < 0 || epoch <= epochs_latest(e) || (e->n && offset < e->v[e->n - 1].start_offset))
            return reason_set(why, ERR_MALFORMED, "the leader epoch checkpoint has a bad line");
        if (epochs_assign(e, (int32_t)epoch, offset, &changed))
            return reason_set(why, ERR_NO_MEMORY, "no memory for leader epochs");
    }
    return ERR_OK;
}
