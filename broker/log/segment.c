/* SPDX-License-Identifier: Apache-2.0
 * The life of a segment: made, opened, appended to, saved, sealed, cut, deleted. Walking and looking up are in
 * segment_scan.c. An append is one pwritev at the known end of the file, so a failed or torn write never moves the end;
 * what it left behind is cut before the next write (and by recovery, when the process dies first). */
#include "broker/log/segment.h"
#include "core/base/log.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex"};
enum { ABORTED_VERSION = 0, SUFFIX_MAX = 32 };

static enum err path_of(const struct segment *s, const char *suffix, struct io_path *out, struct reason *why)
{
    char name[SUFFIX_MAX];
    snprintf(name, sizeof name, "%s%s", suffix, s->tail);
    return io_segment_path(out, s->dir, s->base_offset, name, why);
}

static struct segment *segment_new(const char *dir, struct env *env, int64_t base_offset)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->dir = dir;
    s->tail = "";
    s->env = env;
    s->fd = -1;
    s->base_offset = s->next_offset = base_offset;
    s->max_timestamp = s->max_timestamp_offset = s->first_timestamp = -1;
    index_init(&s->offsets, OFFSET_INDEX_ENTRY);
    index_init(&s->times, TIME_INDEX_ENTRY);
    return s;
}

void segment_free(struct segment *s)
{
    if (!s)
        return;
    io_close(&s->fd);
    index_free(&s->offsets);
    index_free(&s->times);
    free(s->aborted);
    free(s);
}

enum err segment_create(struct segment **out, const char *dir, struct env *env, int64_t base_offset, int64_t now_ms,
                        struct reason *why)
{
    return segment_create_as(out, dir, env, base_offset, "", now_ms, why);
}

enum err segment_create_as(struct segment **out, const char *dir, struct env *env, int64_t base_offset,
                           const char *tail, int64_t now_ms, struct reason *why)
{
    struct segment *s = segment_new(dir, env, base_offset);
    struct io_path path;
    enum err e;

    *out = NULL;
    if (!s)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a segment");
    s->tail = tail;
    s->created_ms = now_ms;
    e = path_of(s, ".log", &path, why);
    if (!e)
        e = io_open(env, path.s, O_RDWR | O_CREAT | O_TRUNC, &s->fd, why);
    if (!e)
        e = segment_save(s, false, why); /* Kafka has both index files from the start */
    if (e) {
        segment_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void segment_preallocate(struct segment *s, int64_t bytes)
{
    /* The file's size stays, so nobody sees zeros. File systems that cannot do it go without. */
    if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, 0, bytes))
        log_debug("%s: no space reserved for segment %lld", s->dir, (long long)s->base_offset);
}

static enum err load_aborted(struct segment *s, struct reason *why)
{
    struct buf bytes;
    struct io_path path;
    struct cursor c;
    enum err e = path_of(s, ".txnindex", &path, why);

    if (e)
        return e;
    buf_init(&bytes, 0);
    e = io_read_file(s->env, path.s, &bytes, why);
    if (e == ERR_NOT_FOUND)
        e = ERR_OK;
    c = cursor_of(buf_slice(&bytes));
    while (!e && cursor_left(&c)) {
        struct plog_aborted a;
        uint16_t version = cursor_u16(&c);
        a.producer_id = (int64_t)cursor_u64(&c);
        a.first_offset = (int64_t)cursor_u64(&c);
        a.last_offset = (int64_t)cursor_u64(&c);
        a.last_stable_offset = (int64_t)cursor_u64(&c);
        if (c.error || version != ABORTED_VERSION || a.last_offset < s->base_offset || a.first_offset > a.last_offset)
            e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s does not follow its format", path.s);
        else
            e = segment_reserve_aborted(s);
        if (!e)
            segment_add_aborted(s, &a);
    }
    s->aborted_saved = s->aborted_n;
    buf_free(&bytes);
    return e;
}

/* Do the indexes fit the file? A sealed segment's last time entry also tells its largest timestamp. */
static enum err load_indexes(struct segment *s, bool active, struct reason *why)
{
    struct io_path path;
    struct slice entries;
    struct index_hit hit;
    enum err e = path_of(s, ".index", &path, why);

    if (!active) {
        index_seal(&s->offsets);
        index_seal(&s->times);
    }
    if (!e && active)
        e = index_load(&s->offsets, s->env, path.s, why);
    if (!e)
        e = index_view(&s->offsets, s->env, path.s, &entries, why);
    if (!e && offset_index_last(entries, &hit) && (hit.position >= s->size || hit.relative > SEGMENT_RELATIVE_MAX))
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s points past its segment", path.s);
    if (!e)
        e = path_of(s, ".timeindex", &path, why);
    if (!e && active)
        e = index_load(&s->times, s->env, path.s, why);
    if (!e)
        e = index_view(&s->times, s->env, path.s, &entries, why);
    if (!e && time_index_last(entries, &hit)) {
        s->max_timestamp = hit.timestamp;
        s->max_timestamp_offset = s->base_offset + hit.relative;
        if (hit.relative > SEGMENT_RELATIVE_MAX || (entries.n > TIME_INDEX_ENTRY && hit.timestamp <= 0))
            e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s has impossible entries", path.s);
    } else if (!e && s->size) {
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s is empty", path.s);
    }
    if (!e)
        e = load_aborted(s, why);
    return e == ERR_NOT_FOUND ? ERR_CORRUPT_MESSAGE : e;
}

enum err segment_open(struct segment **out, const char *dir, struct env *env, int64_t base_offset, bool active,
                      struct reason *why)
{
    struct segment *s = segment_new(dir, env, base_offset);
    struct io_path path;
    enum err e;

    *out = NULL;
    if (!s)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a segment");
    e = path_of(s, ".log", &path, why);
    if (!e)
        e = io_open(env, path.s, O_RDWR, &s->fd, why);
    if (!e)
        e = io_size(env, s->fd, &s->size, why);
    if (!e && s->size > INT32_MAX)
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "%s is larger than a segment may be", path.s);
    if (!e)
        e = load_indexes(s, active, why);
    if (e && e != ERR_CORRUPT_MESSAGE) {
        segment_free(s);
        return e;
    }
    *out = s;
    return e;
}

/* Walk the batches from the start, build both indexes anew, stop at the first that does not hold (`bad` says why). */
static enum err rescan(struct segment *s, int32_t index_interval, bool check, int64_t *end, struct reason *bad)
{
    struct segment_scan c;
    struct record_batch b;
    int64_t at;
    bool more = true;
    enum err e;

    *end = 0;
    index_clear(&s->offsets);
    index_clear(&s->times);
    s->max_timestamp = s->max_timestamp_offset = s->first_timestamp = -1;
    s->bytes_since_index = 0;
    s->next_offset = s->base_offset;
    segment_scan_open(&c, s, 0, check);
    while (!(e = segment_scan_next(&c, &b, &at, &more, bad)) && more) {
        if (check)
            e = record_batch_check_crc(&b, bad);
        if (!e &&
            (b.base_offset < s->next_offset || record_batch_last_offset(&b) - s->base_offset > SEGMENT_RELATIVE_MAX))
            e = reason_set(bad, ERR_CORRUPT_MESSAGE, "offset %lld does not follow %lld", (long long)b.base_offset,
                           (long long)s->next_offset);
        if (e)
            break;
        segment_note(s, &b, at, index_interval);
        s->next_offset = record_batch_last_offset(&b) + 1;
        *end = at + (int64_t)b.bytes.n;
    }
    segment_scan_close(&c);
    return e;
}

enum err segment_recover(struct segment *s, int32_t index_interval, int64_t *cut, struct reason *why)
{
    struct reason bad = {0};
    int64_t file_size, end;
    enum err e = io_size(s->env, s->fd, &file_size, why);

    *cut = 0;
    if (e)
        return e;
    s->aborted_n = 0;
    s->aborted_saved = SIZE_MAX; /* whatever the file holds is made anew */
    s->rebuilt = true;
    s->size = file_size;
    e = rescan(s, index_interval, true, &end, &bad);
    if (e != ERR_OK && e != ERR_CORRUPT_MESSAGE && e != ERR_TRUNCATED && e != ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        return reason_set(why, e, "%s", bad.text); /* the disk failed us, not the data */
    s->size = end;
    *cut = file_size - end;
    if (*cut) {
        log_warn("%s: cutting %lld bytes after offset %lld (byte %lld of segment %lld): %s", s->dir, (long long)*cut,
                 (long long)s->next_offset - 1, (long long)end, (long long)s->base_offset, bad.text);
        e = io_truncate(s->env, s->fd, end, why);
        return e ? e : io_sync(s->env, s->fd, why);
    }
    return ERR_OK;
}

enum err segment_truncate(struct segment *s, int64_t offset, int32_t index_interval, struct reason *why)
{
    struct segment_spot spot;
    int64_t end;
    bool found;
    enum err e = segment_find(s, offset, &spot, &found, why);

    if (e || !found)
        return e;
    e = io_truncate(s->env, s->fd, spot.position, why);
    if (e)
        return e;
    s->size = spot.position;
    s->tail_dirty = false;
    while (s->aborted_n && s->aborted[s->aborted_n - 1].last_offset >= offset)
        s->aborted_n--;
    if (s->aborted_saved > s->aborted_n)
        s->aborted_saved = SIZE_MAX; /* the file holds too much: written anew with the next save */
    e = rescan(s, index_interval, false, &end, why);
    s->next_offset = offset < spot.base_offset ? offset : spot.base_offset;
    return e;
}

static enum err save_aborted(struct segment *s, struct reason *why)
{
    struct buf bytes;
    struct io_path path;
    enum err e = path_of(s, ".txnindex", &path, why);

    if (e || s->aborted_saved == s->aborted_n)
        return e;
    if (!s->aborted_n) {
        e = io_unlink(s->env, path.s, why);
        s->aborted_saved = e ? SIZE_MAX : 0;
        return e;
    }
    buf_init(&bytes, 0);
    for (size_t i = 0; i < s->aborted_n; i++) {
        const struct plog_aborted *a = &s->aborted[i];
        buf_u16(&bytes, ABORTED_VERSION);
        buf_u64(&bytes, (uint64_t)a->producer_id);
        buf_u64(&bytes, (uint64_t)a->first_offset);
        buf_u64(&bytes, (uint64_t)a->last_offset);
        buf_u64(&bytes, (uint64_t)a->last_stable_offset);
    }
    e = buf_error(&bytes);
    if (!e)
        e = io_write_file(s->env, path.s, buf_slice(&bytes), false, why);
    if (!e)
        s->aborted_saved = s->aborted_n;
    buf_free(&bytes);
    return e;
}

enum err segment_save(struct segment *s, bool seal, struct reason *why)
{
    struct io_path path;
    enum err e = path_of(s, ".index", &path, why);

    if (!e)
        e = index_save(&s->offsets, s->env, path.s, seal, why);
    if (!e)
        e = path_of(s, ".timeindex", &path, why);
    if (!e)
        e = index_save(&s->times, s->env, path.s, seal, why);
    if (!e)
        e = save_aborted(s, why);
    if (!e && seal) {
        index_seal(&s->offsets);
        index_seal(&s->times);
    }
    return e;
}

enum err segment_unseal(struct segment *s, struct reason *why)
{
    struct io_path path;
    enum err e = path_of(s, ".index", &path, why);

    if (!e && !s->offsets.in_memory)
        e = index_load(&s->offsets, s->env, path.s, why);
    if (!e)
        e = path_of(s, ".timeindex", &path, why);
    if (!e && !s->times.in_memory)
        e = index_load(&s->times, s->env, path.s, why);
    return e;
}

enum err segment_delete_at(const char *dir, struct env *env, int64_t base_offset, struct reason *why)
{
    struct io_path path;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof suffixes / sizeof *suffixes; i++) {
        e = io_segment_path(&path, dir, base_offset, suffixes[i], why);
        if (!e)
            e = io_unlink(env, path.s, why);
    }
    return e;
}

enum err segment_delete_files(struct segment *s, struct reason *why)
{
    return segment_delete_at(s->dir, s->env, s->base_offset, why);
}

enum err segment_mark_deleted(struct segment *s, struct reason *why)
{
    struct io_path from, to;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[SUFFIX_MAX];
        snprintf(name, sizeof name, "%s.deleted", suffixes[i]);
        e = path_of(s, suffixes[i], &from, why);
        if (!e)
            e = path_of(s, name, &to, why);
        if (!e)
            e = io_rename(s->env, from.s, to.s, why);
        if (e == ERR_NOT_FOUND)
            e = ERR_OK; /* most segments have no .txnindex */
    }
    return e;
}

enum err segment_rename(struct segment *s, const char *tail, struct reason *why)
{
    const char *old = s->tail;
    enum err e = ERR_OK;

    for (size_t i = sizeof suffixes / sizeof *suffixes; !e && i-- > 0;) {
        struct io_path from, to;
        s->tail = old;
        e = path_of(s, suffixes[i], &from, why);
        s->tail = tail;
        if (!e)
            e = path_of(s, suffixes[i], &to, why);
        if (!e)
            e = io_rename(s->env, from.s, to.s, why);
        if (e == ERR_NOT_FOUND && i)
            e = ERR_OK; /* most segments have no .txnindex */
    }
    if (e)
        s->tail = old;
    return e;
}

enum err segment_write(struct segment *s, struct iovec *iov, int count, size_t bytes, struct reason *why)
{
    enum err e = s->tail_dirty ? io_truncate(s->env, s->fd, s->size, why) : ERR_OK;

    if (e)
        return e;
    s->tail_dirty = false;
    e = io_write(s->env, s->fd, iov, count, s->size, why);
    if (e) {
        s->tail_dirty = io_truncate(s->env, s->fd, s->size, NULL) != ERR_OK;
        return e;
    }
    s->size += (int64_t)bytes;
    return ERR_OK;
}

void segment_note(struct segment *s, const struct record_batch *b, int64_t position, int32_t index_interval)
{
    int64_t last = record_batch_last_offset(b);
    uint32_t relative = (uint32_t)(last - s->base_offset);

    if (s->first_timestamp < 0)
        s->first_timestamp = b->max_timestamp;
    if (b->max_timestamp > s->max_timestamp) {
        s->max_timestamp = b->max_timestamp;
        s->max_timestamp_offset = last;
    }
    if (s->bytes_since_index > index_interval) {
        /* Without memory an entry is left out: the index is sparse, the lookup only walks further. */
        if (index_append_offset(&s->offsets, relative, (uint32_t)position))
            segment_note_end(s);
        s->bytes_since_index = 0;
    }
    s->bytes_since_index += (int64_t)b->bytes.n;
}

void segment_note_end(struct segment *s)
{
    struct index_hit last;
    struct slice entries = slice_of(s->times.own.p, s->times.own.n);

    if (s->max_timestamp < 0)
        return;
    if (!time_index_last(entries, &last) || last.timestamp < s->max_timestamp)
        index_append_time(&s->times, s->max_timestamp, (uint32_t)(s->max_timestamp_offset - s->base_offset));
}

enum err segment_reserve_aborted(struct segment *s)
{
    if (s->aborted_n == s->aborted_cap) {
        size_t cap = s->aborted_cap ? 2 * s->aborted_cap : 8;
        struct plog_aborted *v = realloc(s->aborted, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        s->aborted = v;
        s->aborted_cap = cap;
    }
    return ERR_OK;
}

void segment_add_aborted(struct segment *s, const struct plog_aborted *a)
{
    assert(s->aborted_n < s->aborted_cap);
    s->aborted[s->aborted_n++] = *a;
}
