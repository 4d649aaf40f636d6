/* SPDX-License-Identifier: Apache-2.0
 * Reading and looking up. A read finds the batch that holds its offset through the sparse index, and the byte where the
 * isolation's bound stands; in between lies one run of bytes of one segment. */
#include "broker/log/log_private.h"

static int64_t bound_of(const struct plog *l, enum plog_isolation isolation)
{
    switch (isolation) {
    case PLOG_READ_TO_END:
        return l->end_offset;
    case PLOG_READ_REPLICATED:
        return l->high_watermark;
    case PLOG_READ_STABLE:
        return plog_stable_offset(l);
    }
    return l->start_offset;
}

/* The first batch at or after `offset`, which may stand in a later segment when compaction left a hole. */
static enum err find_batch(struct plog *l, int64_t offset, size_t *segment, struct segment_spot *spot, bool *found,
                           struct reason *why)
{
    enum err e = ERR_OK;

    *found = false;
    for (size_t i = plog_segment_at(l, offset); !e && !*found && i < l->segment_n; i++) {
        e = segment_find(l->segments[i], offset, spot, found, why);
        *segment = i;
    }
    return e;
}

/* How many bytes of segment i lie below the offset `bound`. */
static enum err bytes_below(struct plog *l, size_t i, int64_t bound, int64_t *out, struct reason *why)
{
    struct segment *s = l->segments[i];
    struct segment_spot spot;
    bool found;
    enum err e;

    *out = s->size;
    if (bound >= plog_segment_end(l, i))
        return ERR_OK;
    e = segment_find(s, bound, &spot, &found, why);
    if (!e && found)
        *out = spot.position;
    return e;
}

enum err plog_read(struct plog *l, int64_t offset, size_t max_bytes, enum plog_isolation isolation, bool min_one,
                   struct plog_region *out, struct reason *why)
{
    int64_t bound = bound_of(l, isolation), end;
    struct segment_spot spot;
    size_t segment = 0, left;
    bool found;
    enum err e;

    *out = (struct plog_region){.fd = -1, .base_offset = offset, .next_offset = -1};
    if (offset < l->start_offset || offset > l->end_offset)
        return reason_set(why, ERR_OFFSET_OUT_OF_RANGE, "offset %lld is outside the log's %lld to %lld",
                          (long long)offset, (long long)l->start_offset, (long long)l->end_offset);
    if (offset >= bound)
        return ERR_OK;
    e = find_batch(l, offset, &segment, &spot, &found, why);
    if (e || !found || spot.base_offset >= bound)
        return e;
    e = bytes_below(l, segment, bound, &end, why);
    if (e || end <= spot.position)
        return e;
    left = (size_t)(end - spot.position);
    if (min_one && max_bytes < spot.bytes)
        max_bytes = spot.bytes;
    out->fd = l->segments[segment]->fd;
    out->position = spot.position;
    out->bytes = left < max_bytes ? left : max_bytes;
    out->base_offset = spot.base_offset;
    return ERR_OK;
}

enum err plog_fetch(struct plog *l, int64_t offset, size_t max_bytes, enum plog_isolation isolation, bool min_one,
                    struct buf *out, struct plog_region *region, struct reason *why)
{
    size_t start = out->n, got, whole = 0;
    struct record_batch b;
    struct slice rest;
    uint8_t *p;
    bool more;
    enum err e = plog_read(l, offset, max_bytes, isolation, min_one, region, why);

    if (e || !region->bytes)
        return e;
    p = buf_grow(out, region->bytes);
    if (!p)
        return reason_set(why, buf_error(out), "no room for %zu bytes of a fetch", region->bytes);
    e = io_read(l->env, region->fd, p, region->bytes, region->position, &got, why);
    rest = slice_of(p, got);
    while (!e && !(e = record_batches_next(&rest, &b, &more, why)) && more) {
        whole += b.bytes.n;
        region->next_offset = record_batch_last_offset(&b) + 1;
    }
    region->bytes = e ? 0 : whole;
    out->n = start + region->bytes;
    return e;
}

enum err plog_aborted_between(struct plog *l, int64_t from, int64_t to, struct arena *arena,
                              const struct plog_aborted **list, size_t *count)
{
    struct plog_aborted *v = NULL;
    size_t n = 0;

    /* Twice: count, then copy. A transaction's marker, and so its entry, may stand in any later segment, but none past
     * the first entry whose last stable offset reaches `to`. */
    for (int pass = 0; pass < 2; pass++) {
        bool done = false;
        if (pass && n && !(v = arena_array(arena, n, sizeof *v)))
            return ERR_NO_MEMORY;
        n = 0;
        for (size_t i = plog_segment_at(l, from); !done && i < l->segment_n; i++) {
            const struct segment *s = l->segments[i];
            for (size_t k = 0; !done && k < s->aborted_n; k++) {
                const struct plog_aborted *a = &s->aborted[k];
                if (a->last_offset >= from && a->first_offset < to) {
                    if (v)
                        v[n] = *a;
                    n++;
                }
                done = a->last_stable_offset >= to;
            }
        }
    }
    *list = v;
    *count = n;
    return ERR_OK;
}

enum err plog_offset_for_time(struct plog *l, int64_t timestamp, struct plog_at *out, struct reason *why)
{
    bool found = false;
    enum err e = ERR_OK;

    *out = (struct plog_at){-1, -1, -1};
    for (size_t i = plog_segment_at(l, l->start_offset); !e && !found && i < l->segment_n; i++)
        if (l->segments[i]->max_timestamp >= timestamp)
            e = segment_find_time(l->segments[i], timestamp, l->start_offset, out, &found, why);
    return e;
}

enum err plog_offset_of_max_time(struct plog *l, struct plog_at *out, struct reason *why)
{
    const struct segment *best = NULL;

    *out = (struct plog_at){-1, -1, -1};
    for (size_t i = plog_segment_at(l, l->start_offset); i < l->segment_n; i++)
        if (l->segments[i]->max_timestamp >= 0 && (!best || l->segments[i]->max_timestamp > best->max_timestamp))
            best = l->segments[i];
    return best ? plog_offset_for_time(l, best->max_timestamp, out, why) : ERR_OK;
}
