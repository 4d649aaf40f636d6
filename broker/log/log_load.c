/* SPDX-License-Identifier: Apache-2.0
 * Opening: sort out the folder's files, open the segments, recover what a crash may have touched, rebuild producers and
 * epochs. After an unclean end every segment past the recovery point is read whole and its batches' CRCs are checked;
 * the first that does not hold ends the log there, with a line that says how many bytes went, and later segments go
 * too. Producer state comes from the newest snapshot that does not lie beyond what was recovered, and the batches
 * after it: the same functions that the live log calls, so the state is the live one. */
#include "broker/log/log_private.h"
#include "core/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { OFFSET_DIGITS = 20, NAMES_MAX = 1000000 };

struct file_list {
    struct file_name {
        int64_t offset;
        char suffix[32];
    } * v;
    size_t n, cap;
};

/* "00000000000000000042.log.swap" -> 42, ".log.swap" */
static bool parse_name(const char *name, struct file_name *out)
{
    uint64_t offset = 0;

    for (int i = 0; i < OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        offset = offset * 10 + (uint64_t)(name[i] - '0');
    }
    out->offset = (int64_t)offset;
    return out->offset >= 0 && name[OFFSET_DIGITS] == '.' &&
           snprintf(out->suffix, sizeof out->suffix, "%s", name + OFFSET_DIGITS) < (int)sizeof out->suffix;
}

static int by_offset(const void *a, const void *b)
{
    const struct file_name *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static enum err list_files(struct plog *l, struct file_list *files, struct reason *why)
{
    DIR *dir = l->env->fault(l->env, "log.open") ? NULL : opendir(l->dir);
    struct dirent *d;
    enum err e = ERR_OK;

    if (!dir)
        return reason_set(why, ERR_IO, "cannot read the folder %s", l->dir);
    while (!e && (d = readdir(dir))) {
        struct file_name name;
        if (!parse_name(d->d_name, &name))
            continue;
        if (files->n == files->cap) {
            size_t cap = files->cap ? 2 * files->cap : 16;
            struct file_name *v = cap > NAMES_MAX ? NULL : realloc(files->v, cap * sizeof *v);
            if (!v) {
                e = reason_set(why, ERR_NO_MEMORY, "too many files in %s", l->dir);
                break;
            }
            files->v = v;
            files->cap = cap;
        }
        files->v[files->n++] = name;
    }
    closedir(dir);
    if (files->n)
        qsort(files->v, files->n, sizeof *files->v, by_offset);
    return e;
}

static bool is_name(const struct file_name *f, const char *suffix)
{
    return strcmp(f->suffix, suffix) == 0;
}

static bool has_file(const struct file_list *files, int64_t offset, const char *suffix)
{
    for (size_t i = 0; i < files->n; i++)
        if (files->v[i].offset == offset && is_name(&files->v[i], suffix))
            return true;
    return false;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static enum err rename_suffix(struct plog *l, int64_t offset, const char *from, const char *to, struct reason *why)
{
    struct io_path a, b;
    enum err e = io_segment_path(&a, l->dir, offset, from, why);

    if (!e)
        e = io_segment_path(&b, l->dir, offset, to, why);
    if (!e)
        e = io_rename(l->env, a.s, b.s, why);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err unlink_suffix(struct plog *l, int64_t offset, const char *suffix, struct reason *why)
{
    struct io_path path;
    enum err e = io_segment_path(&path, l->dir, offset, suffix, why);
    return e ? e : io_unlink(l->env, path.s, why);
}

/* A compaction died between naming its result .log.swap and putting it in place: finish it. The originals it replaces
 * are those that begin within it. */
static enum err finish_swap(struct plog *l, const struct file_list *files, int64_t offset, struct reason *why)
{
    static const char *const parts[] = {".index", ".timeindex", ".txnindex", ".log"};
    struct segment s = {.dir = l->dir, .env = l->env, .fd = -1, .base_offset = offset};
    struct segment_scan c;
    struct record_batch b;
    struct io_path path;
    int64_t at, end = offset + 1;
    bool more;
    enum err e = io_segment_path(&path, l->dir, offset, ".log.swap", why);

    if (!e)
        e = io_open(l->env, path.s, 0, &s.fd, why);
    if (e)
        return e;
    e = io_size(l->env, s.fd, &s.size, why);
    segment_scan_open(&c, &s, 0, false);
    while (!e && !(e = segment_scan_next(&c, &b, &at, &more, why)) && more)
        end = record_batch_last_offset(&b) + 1;
    segment_scan_close(&c);
    io_close(&s.fd);
    log_info("%s: finishing the compaction of segment %lld, to offset %lld", l->dir, (long long)offset, (long long)end);
    for (size_t i = 0; !e && i < files->n; i++)
        if (is_name(&files->v[i], ".log") && files->v[i].offset >= offset && files->v[i].offset < end)
            for (int p = 3; !e && p >= 0; p--)
                e = unlink_suffix(l, files->v[i].offset, parts[p], why);
    for (int p = 0; !e && p < 4; p++) {
        char from[32];
        snprintf(from, sizeof from, "%s.swap", parts[p]);
        e = rename_suffix(l, offset, from, parts[p], why);
    }
    return e;
}

static enum err tidy_folder(struct plog *l, struct file_list *files, struct reason *why)
{
    bool changed = false;
    enum err e = list_files(l, files, why);

    for (size_t i = 0; !e && i < files->n; i++) {
        const struct file_name *f = &files->v[i];
        bool leftover = ends_with(f->suffix, ".deleted") || ends_with(f->suffix, ".cleaned") ||
                        ends_with(f->suffix, ".tmp") ||
                        (ends_with(f->suffix, ".swap") && !has_file(files, f->offset, ".log.swap"));
        if (leftover)
            e = unlink_suffix(l, f->offset, f->suffix, why);
        else if (is_name(f, ".log.swap"))
            e = finish_swap(l, files, f->offset, why);
        changed |= leftover || is_name(f, ".log.swap");
    }
    if (!e && changed) {
        files->n = 0;
        e = list_files(l, files, why);
    }
    for (size_t i = 0; !e && i < files->n; i++) {
        const struct file_name *f = &files->v[i];
        if ((is_name(f, ".index") || is_name(f, ".timeindex") || is_name(f, ".txnindex")) &&
            !has_file(files, f->offset, ".log"))
            e = unlink_suffix(l, f->offset, f->suffix, why);
    }
    return e;
}

static enum err open_segments(struct plog *l, const struct file_list *files, bool *broken, struct reason *why)
{
    size_t logs = 0, seen = 0;
    enum err e = ERR_OK;

    for (size_t i = 0; i < files->n; i++)
        logs += is_name(&files->v[i], ".log");
    for (size_t i = 0; !e && i < files->n; i++) {
        struct reason bad = {0};
        struct segment *s;
        if (!is_name(&files->v[i], ".log"))
            continue;
        e = segment_open(&s, l->dir, l->env, files->v[i].offset, ++seen == logs, &bad);
        if (s) {
            enum err added = plog_add_segment(l, s);
            if (added)
                segment_free(s);
            if (e == ERR_CORRUPT_MESSAGE && !added) {
                log_info("%s: rebuilding the indexes of segment %lld: %s", l->dir, (long long)s->base_offset,
                         bad.text[0] ? bad.text : "one is missing");
                s->rebuilt = true;
                *broken = true;
                e = ERR_OK;
            }
            e = added ? added : e;
        }
        if (e)
            reason_set(why, e, "%s", bad.text);
    }
    return e;
}

/* Recover segment i; when bytes were cut the later segments go. */
static enum err recover_one(struct plog *l, size_t i, struct reason *why)
{
    struct segment *s = l->segments[i];
    int64_t cut;
    bool active = i + 1 == l->segment_n;
    enum err e = segment_recover(s, l->config.index_interval_bytes, &cut, why);

    if (!e && cut && !active) {
        for (size_t k = l->segment_n; !e && k > i + 1; k--) {
            struct segment *gone = l->segments[k - 1];
            log_error("%s: dropping segment %lld (%lld bytes), it follows the cut at offset %lld", l->dir,
                      (long long)gone->base_offset, (long long)gone->size, (long long)s->next_offset - 1);
            e = segment_mark_deleted(gone, why);
            if (!e)
                e = segment_delete_files(gone, why);
            if (!e) {
                segment_free(gone);
                l->segment_n--;
            }
        }
        active = true;
    }
    if (!e && !active) {
        segment_note_end(s);
        e = segment_save(s, true, why);
    }
    return e;
}

/* A roll that failed may have left an empty file behind, named for an offset that the segment before it now holds. */
static enum err drop_leftover_ends(struct plog *l, struct reason *why)
{
    enum err e = ERR_OK;

    while (!e && l->segment_n > 1) {
        struct segment *last = plog_active(l), *before = l->segments[l->segment_n - 2];
        if (last->size || before->next_offset <= last->base_offset)
            break;
        e = segment_delete_files(last, why);
        if (!e) {
            segment_free(last);
            l->segment_n--;
            e = segment_unseal(plog_active(l), why);
        }
    }
    return e;
}

static enum err recover_segments(struct plog *l, const struct plog_open_args *args, struct reason *why)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < l->segment_n; i++) {
        bool unflushed =
            !args->clean_shutdown && (i + 1 == l->segment_n || l->segments[i + 1]->base_offset > args->recovery_point);
        if (unflushed || l->segments[i]->rebuilt)
            e = recover_one(l, i, why);
    }
    if (!e)
        e = drop_leftover_ends(l, why);
    if (!e && !plog_active(l)->rebuilt) {
        struct segment *s = plog_active(l);
        e = segment_load_end(s, why);
        if (e == ERR_CORRUPT_MESSAGE || e == ERR_TRUNCATED || e == ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
            e = recover_one(l, l->segment_n - 1, why);
    }
    return e;
}

static enum err load_epochs(struct plog *l, bool *rebuild, struct reason *why)
{
    struct io_path path;
    struct buf text;
    enum err e = io_join(&path, l->dir, "leader-epoch-checkpoint", why);

    buf_init(&text, 0);
    if (!e)
        e = io_read_file(l->env, path.s, &text, why);
    if (!e)
        e = epochs_decode(&l->epochs, buf_slice(&text), why);
    *rebuild = e == ERR_NOT_FOUND || e == ERR_MALFORMED;
    if (*rebuild) {
        l->epochs.n = 0;
        e = ERR_OK;
    }
    buf_free(&text);
    return e;
}

/* Without a usable checkpoint: every batch's header tells its epoch. */
static enum err rebuild_epochs(struct plog *l, struct reason *why)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < l->segment_n; i++) {
        struct segment_scan c;
        struct record_batch b;
        int64_t at;
        bool more, changed;
        segment_scan_open(&c, l->segments[i], 0, false);
        while (!e && !(e = segment_scan_next(&c, &b, &at, &more, why)) && more)
            e = epochs_assign(&l->epochs, b.partition_leader_epoch, b.base_offset, &changed);
        segment_scan_close(&c);
    }
    return e;
}

enum err plog_load(struct plog *l, const struct plog_open_args *args, struct reason *why)
{
    struct file_list files = {0};
    bool broken = false, no_epochs = false;
    int64_t limit = INT64_MAX;
    enum err e = tidy_folder(l, &files, why);

    if (!e)
        e = open_segments(l, &files, &broken, why);
    free(files.v);
    if (!e && !l->segment_n) {
        struct segment *s;
        e = segment_create(&s, l->dir, l->env, args->log_start_offset, args->now_ms, why);
        if (!e && plog_add_segment(l, s)) {
            segment_free(s);
            e = reason_set(why, ERR_NO_MEMORY, "no memory for a log");
        }
        if (!e && l->config.preallocate)
            segment_preallocate(s, l->config.segment_bytes);
        if (!e)
            e = io_sync_dir(l->env, l->dir, why);
    }
    if (!e)
        e = recover_segments(l, args, why);
    if (!e)
        e = load_epochs(l, &no_epochs, why);
    if (e)
        return e;
    l->end_offset = plog_active(l)->next_offset;
    plog_active(l)->created_ms = args->now_ms;
    l->start_offset = l->segments[0]->base_offset;
    if (args->log_start_offset > l->start_offset)
        l->start_offset = args->log_start_offset;
    if (l->start_offset > l->end_offset) {
        e = plog_truncate_fully(l, l->start_offset, why);
        if (e)
            return e;
    }
    for (size_t i = l->segment_n; i-- > 0;)
        if (l->segments[i]->rebuilt)
            limit = l->segments[i]->base_offset;
    if (no_epochs)
        e = rebuild_epochs(l, why);
    if (!e) {
        bool cut_end = epochs_truncate_end(&l->epochs, l->end_offset);
        bool cut_start = epochs_truncate_start(&l->epochs, l->start_offset);
        if (cut_end || cut_start)
            e = plog_save_epochs(l, why);
    }
    if (!e)
        e = plog_rebuild_state(l, limit, args->now_ms, why);
    l->recovery_point = args->clean_shutdown ? l->end_offset : args->recovery_point;
    if (l->recovery_point > l->end_offset)
        l->recovery_point = l->end_offset;
    plog_set_high_watermark(l, args->high_watermark);
    return e;
}
