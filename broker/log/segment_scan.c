/* SPDX-License-Identifier: Apache-2.0
 * Walking a segment's batches and finding offsets and times in it. A walk reads the file through a window, so that many
 * small batches cost one read and headers of large batches do not drag their bodies in. What an index says is only a
 * place to begin: when no fitting batch stands there, the walk begins at the start of the segment instead. */
#include "broker/log/segment.h"
#include "core/base/log.h"

enum {
    WINDOW_BODIES = 1024 * 1024,
    WINDOW_HEADERS = 8 * 1024, /* two index intervals */
    BATCH_LARGE = 8 * 1024,    /* past this, headers are read one by one */
};

void segment_scan_open(struct segment_scan *c, struct segment *s, int64_t position, bool bodies)
{
    memset(c, 0, sizeof *c);
    buf_init(&c->window, INT32_MAX);
    c->segment = s;
    c->position = position;
    c->bodies = bodies;
}

void segment_scan_close(struct segment_scan *c)
{
    buf_free(&c->window);
}

/* At least `need` bytes from the position on into the window (fewer at the end of the segment). */
static enum err fill(struct segment_scan *c, size_t need, size_t want, struct reason *why)
{
    int64_t left = c->segment->size - c->position;
    size_t have = c->window.n, skip = (size_t)(c->position - c->window_at), got;
    uint8_t *p;
    enum err e;

    if (have && c->position >= c->window_at && skip <= have && have - skip >= need)
        return ERR_OK;
    buf_clear(&c->window);
    c->window_at = c->position;
    if (want < need)
        want = need;
    if ((int64_t)want > left)
        want = (size_t)left;
    p = buf_grow(&c->window, want);
    if (!p)
        return reason_set(why, ERR_NO_MEMORY, "no memory to read %zu bytes of a segment", want);
    e = io_read(c->segment->env, c->segment->fd, p, want, c->position, &got, why);
    c->window.n = e ? 0 : got;
    return e;
}

enum err segment_scan_next(struct segment_scan *c, struct record_batch *out, int64_t *position, bool *more,
                           struct reason *why)
{
    int64_t left = c->segment->size - c->position;
    size_t want = c->bodies ? WINDOW_BODIES : WINDOW_HEADERS;
    const uint8_t *p;
    enum err e;

    *more = false;
    *position = c->position;
    if (left <= 0)
        return ERR_OK;
    if (left < RECORD_BATCH_HEADER_SIZE)
        return reason_set(why, ERR_TRUNCATED, "%lld bytes are too few for a batch", (long long)left);
    if (!c->bodies && c->last_bytes > BATCH_LARGE)
        want = RECORD_BATCH_HEADER_SIZE;
    e = fill(c, RECORD_BATCH_HEADER_SIZE, want, why);
    if (e)
        return e;
    if (c->window.n - (size_t)(c->position - c->window_at) < RECORD_BATCH_HEADER_SIZE)
        return reason_set(why, ERR_TRUNCATED, "the segment file is shorter than its size");
    p = c->window.p + (c->position - c->window_at);
    /* Parse against what the file still holds; only header bytes are looked at here. */
    e = record_batch_parse(slice_of(p, (size_t)left), out, why);
    if (e)
        return e;
    if (c->bodies) {
        e = fill(c, out->bytes.n, WINDOW_BODIES, why);
        if (e)
            return e;
        if (c->window.n - (size_t)(c->position - c->window_at) < out->bytes.n)
            return reason_set(why, ERR_TRUNCATED, "the segment file is shorter than its size");
        p = c->window.p + (c->position - c->window_at);
        e = record_batch_parse(slice_of(p, out->bytes.n), out, why);
        if (e)
            return e;
    }
    c->position += (int64_t)out->bytes.n;
    c->last_bytes = out->bytes.n;
    *more = true;
    return ERR_OK;
}

enum err segment_index_view(struct segment *s, bool times, struct slice *out, struct reason *why)
{
    struct io_path path;
    enum err e = io_segment_path(&path, s->dir, s->base_offset, times ? ".timeindex" : ".index", why);
    /* a copy of a compaction is asked only once it is in place */
    return e ? e : index_view(times ? &s->times : &s->offsets, s->env, path.s, out, why);
}

/* Where to begin looking for `offset`: the last indexed batch that ends at or before it. 0 without an index. */
static int64_t start_for(struct segment *s, int64_t offset)
{
    struct slice entries;
    struct index_hit hit;
    int64_t relative = offset - s->base_offset;

    if (relative < 0 || segment_index_view(s, false, &entries, NULL))
        return 0;
    if (relative > SEGMENT_RELATIVE_MAX)
        relative = SEGMENT_RELATIVE_MAX;
    if (!offset_index_floor(entries, (uint32_t)relative, &hit) || hit.position >= s->size)
        return 0;
    return hit.position;
}

static enum err find_from(struct segment *s, int64_t offset, int64_t start, struct segment_spot *out, bool *found,
                          struct reason *why)
{
    struct segment_scan c;
    struct record_batch b;
    int64_t at;
    bool more, first = true;
    enum err e;

    *found = false;
    segment_scan_open(&c, s, start, false);
    while (!(e = segment_scan_next(&c, &b, &at, &more, why)) && more) {
        if (first && start && b.base_offset > offset) {
            e = reason_set(why, ERR_CORRUPT_MESSAGE, "an index entry points past its offset");
            break;
        }
        first = false;
        if (record_batch_last_offset(&b) < offset)
            continue;
        *out = (struct segment_spot){at, b.base_offset, b.bytes.n};
        *found = true;
        break;
    }
    segment_scan_close(&c);
    return e;
}

enum err segment_find(struct segment *s, int64_t offset, struct segment_spot *out, bool *found, struct reason *why)
{
    int64_t start = start_for(s, offset);
    enum err e = find_from(s, offset, start, out, found, start ? NULL : why);

    if (!start || (e != ERR_CORRUPT_MESSAGE && e != ERR_TRUNCATED && e != ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT))
        return e;
    log_warn("%s: the index of segment %lld is wrong at byte %lld, walking the segment instead", s->dir,
             (long long)s->base_offset, (long long)start);
    return find_from(s, offset, 0, out, found, why);
}

enum err segment_read_batch(struct segment *s, int64_t position, size_t bytes, struct buf *body,
                            struct record_batch *out, struct reason *why)
{
    size_t got;
    uint8_t *p;
    enum err e;

    buf_clear(body);
    p = buf_grow(body, bytes);
    if (!p)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a batch of %zu bytes", bytes);
    e = io_read(s->env, s->fd, p, bytes, position, &got, why);
    return e ? e : record_batch_parse(slice_of(p, got), out, why);
}

static enum err find_time_in_batch(const struct record_batch *b, int64_t timestamp, int64_t from, struct buf *scratch,
                                   struct plog_at *out, bool *found, struct reason *why)
{
    struct record_iter it;
    struct record r;
    bool more = true;
    enum err e = record_iter_open(&it, b, scratch, 0, why);

    while (!e && !*found && !(e = record_iter_next(&it, &r, &more, why)) && more) {
        if (r.timestamp < timestamp || r.offset < from)
            continue;
        *out = (struct plog_at){r.offset, r.timestamp, b->partition_leader_epoch};
        *found = true;
    }
    return e;
}

enum err segment_find_time(struct segment *s, int64_t timestamp, int64_t from, struct plog_at *out, bool *found,
                           struct reason *why)
{
    struct segment_scan c;
    struct record_batch b;
    struct slice entries;
    struct index_hit hit;
    struct buf scratch, body;
    int64_t at, start = 0, begin = from;
    bool more;
    enum err e = ERR_OK;

    *found = false;
    if (!segment_index_view(s, true, &entries, NULL) && time_index_floor(entries, timestamp, &hit) &&
        s->base_offset + hit.relative > begin)
        begin = s->base_offset + hit.relative;
    if (begin > s->base_offset) {
        struct segment_spot spot;
        e = segment_find(s, begin, &spot, found, why);
        if (e || !*found)
            return e;
        start = spot.position;
        *found = false;
    }
    buf_init(&scratch, INT32_MAX);
    buf_init(&body, INT32_MAX);
    segment_scan_open(&c, s, start, false);
    while (!*found && !(e = segment_scan_next(&c, &b, &at, &more, why)) && more) {
        if (b.max_timestamp < timestamp || record_batch_last_offset(&b) < from)
            continue;
        e = segment_read_batch(s, at, b.bytes.n, &body, &b, why);
        if (!e)
            e = find_time_in_batch(&b, timestamp, from, &scratch, out, found, why);
        if (e)
            break;
    }
    segment_scan_close(&c);
    buf_free(&scratch);
    buf_free(&body);
    return e;
}

enum err segment_load_end(struct segment *s, struct reason *why)
{
    struct segment_scan c;
    struct record_batch b;
    struct slice entries;
    struct index_hit hit = {0};
    int64_t at;
    bool more;
    enum err e = segment_index_view(s, false, &entries, why);

    if (e)
        return e;
    if (!offset_index_last(entries, &hit))
        hit.position = 0;
    s->next_offset = s->base_offset;
    s->bytes_since_index = s->size - hit.position;
    segment_scan_open(&c, s, hit.position, false);
    while (!(e = segment_scan_next(&c, &b, &at, &more, why)) && more) {
        s->next_offset = record_batch_last_offset(&b) + 1;
        if (b.max_timestamp > s->max_timestamp) {
            s->max_timestamp = b.max_timestamp;
            s->max_timestamp_offset = s->next_offset - 1;
        }
    }
    segment_scan_close(&c);
    if (e)
        return e;
    segment_scan_open(&c, s, 0, false);
    e = segment_scan_next(&c, &b, &at, &more, why);
    s->first_timestamp = !e && more ? b.max_timestamp : -1;
    segment_scan_close(&c);
    return e;
}
