/* SPDX-License-Identifier: Apache-2.0
 * Sparse indexes: files of fixed-size entries that only rise, searched by halving. */
#include "broker/log/index.h"
#include "core/base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

void index_init(struct log_index *x, size_t entry)
{
    memset(x, 0, sizeof *x);
    x->entry = entry;
    x->in_memory = true;
    buf_init(&x->own, 0);
}

static void unmap(struct log_index *x)
{
    if (x->map)
        munmap((void *)(uintptr_t)x->map, x->map_n);
    x->map = NULL;
    x->map_n = 0;
}

void index_free(struct log_index *x)
{
    unmap(x);
    buf_free(&x->own);
}

void index_clear(struct log_index *x)
{
    unmap(x);
    buf_clear(&x->own);
    x->saved = 0;
    x->in_memory = true;
}

enum err index_load(struct log_index *x, struct env *env, const char *path, struct reason *why)
{
    enum err e;

    index_clear(x);
    e = io_read_file(env, path, &x->own, why);
    if (!e && x->own.n % x->entry)
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s has an odd size of %zu bytes", path, x->own.n);
    if (e)
        index_clear(x);
    x->saved = x->own.n;
    return e;
}

enum err index_save(struct log_index *x, struct env *env, const char *path, bool sync, struct reason *why)
{
    struct iovec iov = {x->own.p + x->saved, x->own.n - x->saved};
    enum err e;
    int fd;

    if (!x->in_memory)
        return ERR_OK;
    e = io_open(env, path, O_WRONLY | O_CREAT, &fd, why);
    if (e)
        return e;
    e = io_truncate(env, fd, (int64_t)x->saved, why);
    if (!e && iov.iov_len)
        e = io_write(env, fd, &iov, 1, (int64_t)x->saved, why);
    if (!e && sync)
        e = io_sync(env, fd, why);
    if (!e)
        x->saved = x->own.n;
    io_close(&fd);
    return e;
}

void index_seal(struct log_index *x)
{
    unmap(x);
    buf_free(&x->own);
    buf_init(&x->own, 0);
    x->saved = 0;
    x->in_memory = false;
}

enum err index_view(struct log_index *x, struct env *env, const char *path, struct slice *out, struct reason *why)
{
    int64_t size;
    void *p;
    enum err e;
    int fd;

    if (x->in_memory || x->map) {
        *out =
            x->in_memory ? slice_of(x->own.p ? x->own.p : (const uint8_t *)"", x->own.n) : slice_of(x->map, x->map_n);
        return ERR_OK;
    }
    *out = slice_of("", 0);
    e = io_open(env, path, O_RDONLY, &fd, why);
    if (e)
        return e == ERR_NOT_FOUND ? ERR_CORRUPT_MESSAGE : e;
    e = io_size(env, fd, &size, why);
    if (!e && size % (int64_t)x->entry)
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "%s has an odd size of %lld bytes", path, (long long)size);
    if (!e && size) {
        p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            e = reason_set(why, err_from_errno(errno), "cannot map %s: %s", path, strerror(errno));
        } else {
            x->map = p;
            x->map_n = (size_t)size;
            *out = slice_of(x->map, x->map_n);
        }
    }
    io_close(&fd);
    return e;
}

bool index_append_offset(struct log_index *x, uint32_t relative, uint32_t position)
{
    if (!buf_reserve(&x->own, OFFSET_INDEX_ENTRY))
        return false;
    buf_u32(&x->own, relative);
    buf_u32(&x->own, position);
    return true;
}

bool index_append_time(struct log_index *x, int64_t timestamp, uint32_t relative)
{
    if (!buf_reserve(&x->own, TIME_INDEX_ENTRY))
        return false;
    buf_u64(&x->own, (uint64_t)timestamp);
    buf_u32(&x->own, relative);
    return true;
}

static struct index_hit offset_entry(struct slice entries, size_t i)
{
    struct cursor c = cursor_of(slice_of(entries.p + i * OFFSET_INDEX_ENTRY, OFFSET_INDEX_ENTRY));
    struct index_hit h = {0};
    h.relative = cursor_u32(&c);
    h.position = cursor_u32(&c);
    return h;
}

static struct index_hit time_entry(struct slice entries, size_t i)
{
    struct cursor c = cursor_of(slice_of(entries.p + i * TIME_INDEX_ENTRY, TIME_INDEX_ENTRY));
    struct index_hit h = {0};
    h.timestamp = (int64_t)cursor_u64(&c);
    h.relative = cursor_u32(&c);
    return h;
}

size_t offset_index_count_below(struct slice entries, uint32_t relative)
{
    size_t low = 0, high = entries.n / OFFSET_INDEX_ENTRY;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (offset_entry(entries, middle).relative < relative)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool offset_index_floor(struct slice entries, uint32_t relative, struct index_hit *out)
{
    size_t n =
        relative == UINT32_MAX ? entries.n / OFFSET_INDEX_ENTRY : offset_index_count_below(entries, relative + 1);
    if (!n)
        return false;
    *out = offset_entry(entries, n - 1);
    return true;
}

bool offset_index_last(struct slice entries, struct index_hit *out)
{
    return offset_index_floor(entries, UINT32_MAX, out);
}

bool time_index_floor(struct slice entries, int64_t timestamp, struct index_hit *out)
{
    size_t low = 0, high = entries.n / TIME_INDEX_ENTRY;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (time_entry(entries, middle).timestamp <= timestamp)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    *out = time_entry(entries, low - 1);
    return true;
}

bool time_index_last(struct slice entries, struct index_hit *out)
{
    size_t n = entries.n / TIME_INDEX_ENTRY;
    if (!n)
        return false;
    *out = time_entry(entries, n - 1);
    return true;
}
