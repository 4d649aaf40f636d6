/* SPDX-License-Identifier: Apache-2.0
 * A partition's log: open, close, its figures, its list of segments. Loading and recovery are in log_load.c, appending
 * in log_append.c, reading in log_read.c, retention and rolling in log_retain.c, compaction in log_clean.c.
 *
 * The order that makes a crash harmless: bytes first, then what is known of them. Everything beside the .log files can
 * be rebuilt from them; nothing beside them is believed past the recovery point. */
#include "broker/log/log_private.h"
#include "broker/log/checkpoint.h"
#include "core/base/log.h"

#include <stdlib.h>

static enum err load_topic_id(struct plog *l, const uint8_t *wanted, struct reason *why)
{
    struct io_path path;
    struct buf text;
    enum err e = io_join(&path, l->dir, "partition.metadata", why);

    buf_init(&text, 0);
    if (!e)
        e = io_read_file(l->env, path.s, &text, why);
    if (!e) {
        e = partition_metadata_decode(buf_slice(&text), l->topic_id, why);
        l->has_topic_id = !e;
        if (!e && wanted && memcmp(wanted, l->topic_id, sizeof l->topic_id))
            e = reason_set(why, ERR_INCONSISTENT_TOPIC_ID, "%s belongs to another topic of this name", l->dir);
    } else if (e == ERR_NOT_FOUND && wanted) {
        e = partition_metadata_encode(wanted, &text);
        if (!e)
            e = io_write_file(l->env, path.s, buf_slice(&text), true, why);
        if (!e)
            memcpy(l->topic_id, wanted, sizeof l->topic_id);
        l->has_topic_id = !e;
    } else if (e == ERR_NOT_FOUND) {
        e = ERR_OK;
    }
    buf_free(&text);
    return e;
}

void plog_abandon(struct plog *l)
{
    if (!l)
        return;
    cleaner_free(l->cleaner);
    for (size_t i = 0; i < l->segment_n; i++)
        segment_free(l->segments[i]);
    free(l->segments);
    free(l->doomed);
    producer_state_free(&l->producers);
    epochs_free(&l->epochs);
    buf_free(&l->scratch);
    buf_free(&l->rewrite);
    free(l->dir);
    free(l);
}

enum err plog_open(struct plog **out, const struct plog_open_args *args, struct reason *why)
{
    struct plog *l = calloc(1, sizeof *l);
    enum err e;

    *out = NULL;
    if (!l || !(l->dir = strdup(args->dir))) {
        free(l);
        return reason_set(why, ERR_NO_MEMORY, "no memory for a log");
    }
    l->env = args->env;
    l->config = *args->config;
    l->last_flush_ms = l->last_expiry_ms = args->now_ms;
    producer_state_init(&l->producers);
    buf_init(&l->scratch, INT32_MAX);
    buf_init(&l->rewrite, INT32_MAX);
    e = io_mkdir(l->env, l->dir, why);
    if (!e)
        e = load_topic_id(l, args->topic_id, why);
    if (!e)
        e = plog_load(l, args, why);
    if (e) {
        plog_abandon(l);
        return e;
    }
    *out = l;
    return ERR_OK;
}

enum err plog_close(struct plog *l, struct reason *why)
{
    enum err e = l->failed ? reason_set(why, ERR_KAFKA_STORAGE_ERROR, "%s had failed before", l->dir) : ERR_OK;
    struct segment *s = plog_active(l);

    if (!e && (s->tail_dirty || l->config.preallocate))
        e = io_truncate(l->env, s->fd, s->size, why);
    if (!e)
        e = plog_flush(l, why);
    if (!e) {
        segment_note_end(s);
        e = segment_save(s, true, why);
    }
    if (!e)
        e = plog_save_snapshot(l, l->end_offset, true, why);
    plog_abandon(l);
    return e;
}

enum err plog_storage_error(struct plog *l, enum err e)
{
    l->failed = true;
    log_error("%s: %s; no more appends until it is opened again", l->dir, err_text(e));
    return e;
}

enum err plog_flush(struct plog *l, struct reason *why)
{
    enum err e = ERR_OK;

    if (l->failed)
        return reason_set(why, ERR_KAFKA_STORAGE_ERROR, "%s failed to reach the disk before", l->dir);
    if (l->recovery_point >= l->end_offset)
        return ERR_OK;
    for (size_t i = plog_segment_at(l, l->recovery_point); !e && i < l->segment_n; i++)
        e = io_sync(l->env, l->segments[i]->fd, why);
    if (e)
        return plog_storage_error(l, e);
    l->recovery_point = l->end_offset;
    l->unflushed_records = 0;
    return ERR_OK;
}

/* ---- Segments ---- */

enum err plog_add_segment(struct plog *l, struct segment *s)
{
    size_t i = l->segment_n;

    if (l->segment_n == l->segment_cap) {
        size_t cap = l->segment_cap ? 2 * l->segment_cap : 4;
        struct segment **v = realloc(l->segments, cap * sizeof(struct segment *));
        if (!v)
            return ERR_NO_MEMORY;
        l->segments = v;
        l->segment_cap = cap;
    }
    for (; i > 0 && l->segments[i - 1]->base_offset > s->base_offset; i--)
        l->segments[i] = l->segments[i - 1];
    l->segments[i] = s;
    l->segment_n++;
    return ERR_OK;
}

size_t plog_segment_at(const struct plog *l, int64_t offset)
{
    size_t low = 0, high = l->segment_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->segments[middle]->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

int64_t plog_segment_end(const struct plog *l, size_t i)
{
    return i + 1 < l->segment_n ? l->segments[i + 1]->base_offset : l->end_offset;
}

enum err plog_doom(struct plog *l, int64_t base_offset, int64_t now_ms)
{
    int64_t delay = l->config.file_delete_delay_ms;

    if (l->doomed_n == l->doomed_cap) {
        size_t cap = l->doomed_cap ? 2 * l->doomed_cap : 4;
        struct plog_doomed *v = realloc(l->doomed, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        l->doomed = v;
        l->doomed_cap = cap;
    }
    l->doomed[l->doomed_n++] =
        (struct plog_doomed){base_offset, now_ms > INT64_MAX - delay ? INT64_MAX : now_ms + delay};
    return ERR_OK;
}

enum err plog_retire_segments(struct plog *l, size_t from, size_t to, int64_t now_ms, struct reason *why)
{
    enum err e = ERR_OK;

    /* One by one, so that a failure in the middle leaves the list and the files in agreement. */
    while (!e && from < to) {
        struct segment *s = l->segments[from];
        e = plog_doom(l, s->base_offset, now_ms);
        if (e)
            break;
        e = segment_mark_deleted(s, why);
        if (e) {
            l->doomed_n--;
            break;
        }
        memmove(l->segments + from, l->segments + from + 1, (--l->segment_n - from) * sizeof(struct segment *));
        segment_free(s);
        to--;
    }
    return e;
}

/* ---- Figures ---- */

void plog_set_config(struct plog *l, const struct plog_config *config)
{
    l->config = *config;
}

const struct plog_config *plog_config(const struct plog *l)
{
    return &l->config;
}

const char *plog_dir(const struct plog *l)
{
    return l->dir;
}

const uint8_t *plog_topic_id(const struct plog *l)
{
    return l->has_topic_id ? l->topic_id : NULL;
}

int64_t plog_start_offset(const struct plog *l)
{
    return l->start_offset;
}

int64_t plog_high_watermark(const struct plog *l)
{
    return l->high_watermark;
}

int64_t plog_stable_offset(const struct plog *l)
{
    int64_t unstable = producer_first_unstable(&l->producers);
    return unstable >= 0 && unstable < l->high_watermark ? unstable : l->high_watermark;
}

int64_t plog_end_offset(const struct plog *l)
{
    return l->end_offset;
}

int64_t plog_recovery_point(const struct plog *l)
{
    return l->recovery_point;
}

int64_t plog_cleaned_to(const struct plog *l)
{
    return l->cleaned_to;
}

void plog_set_cleaned_to(struct plog *l, int64_t offset)
{
    l->cleaned_to = offset;
}

int64_t plog_size(const struct plog *l)
{
    int64_t size = 0;
    for (size_t i = 0; i < l->segment_n; i++)
        size += l->segments[i]->size;
    return size;
}

size_t plog_segment_count(const struct plog *l)
{
    return l->segment_n;
}

int32_t plog_leader_epoch(const struct plog *l)
{
    return epochs_latest(&l->epochs);
}

void plog_set_high_watermark(struct plog *l, int64_t offset)
{
    if (offset > l->end_offset)
        offset = l->end_offset;
    if (offset < l->start_offset)
        offset = l->start_offset;
    l->high_watermark = offset;
    producer_high_watermark(&l->producers, offset);
}

void plog_end_offset_for_epoch(const struct plog *l, int32_t epoch, int32_t *found_epoch, int64_t *end_offset)
{
    epochs_end_offset(&l->epochs, epoch, l->end_offset, found_epoch, end_offset);
}

int32_t plog_epoch_of_offset(const struct plog *l, int64_t offset)
{
    return epochs_at(&l->epochs, offset);
}

bool plog_producer_at(const struct plog *l, size_t *at, struct plog_producer *out)
{
    size_t i = 0;

    for (struct map_entry *m = map_first(&l->producers.by_id); m; m = map_next(&l->producers.by_id, m)) {
        const struct producer_entry *e = m->value;
        if (e->epoch < 0 || i++ < *at)
            continue;
        (*at)++;
        *out = (struct plog_producer){
            .producer_id = e->producer_id,
            .producer_epoch = e->epoch,
            .last_sequence = e->batch_count ? e->batches[e->batch_count - 1].last_sequence : -1,
            .last_timestamp = e->last_timestamp,
            .coordinator_epoch = e->coordinator_epoch,
            .txn_start_offset = e->txn_first_offset,
        };
        return true;
    }
    return false;
}

bool plog_txn_is_open(const struct plog *l, int64_t producer_id)
{
    const struct producer_entry *e = producer_find(&l->producers, producer_id);
    return e && e->txn_first_offset >= 0;
}
