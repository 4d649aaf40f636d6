/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_INDEX_H
#define CASTELLAN_BROKER_LOG_INDEX_H

#include "broker/log/io.h"

/* A segment's sparse index, in Kafka's formats, big-endian:
 *   offset index: relative offset i32 | position i32      time index: timestamp i64 | relative offset i32
 * The active segment keeps its entries in memory and writes them out now and then (they can be rebuilt); a sealed
 * segment's file is mapped when first asked. Every entry is held against the bounds before it is believed. */
enum { OFFSET_INDEX_ENTRY = 8, TIME_INDEX_ENTRY = 12 };

struct log_index {
    size_t entry;   /* bytes per entry */
    struct buf own; /* entries of the active segment */
    size_t saved;   /* of own: bytes that stand in the file */
    const uint8_t *map;
    size_t map_n;
    bool in_memory; /* own holds all entries; else they are in the file */
};

void index_init(struct log_index *x, size_t entry); /* in memory, empty */
void index_free(struct log_index *x);
/* The file's entries into memory: for the active segment. */
enum err index_load(struct log_index *x, struct env *env, const char *path, struct reason *why) MUST_CHECK;
/* Write what the file lacks; exact: no byte follows the last entry. */
enum err index_save(struct log_index *x, struct env *env, const char *path, bool sync, struct reason *why) MUST_CHECK;
/* After a save: forget the memory; the file is mapped when asked. */
void index_seal(struct log_index *x);
/* The entries; maps a sealed file. A file that is gone or has an odd size is ERR_CORRUPT_MESSAGE. */
enum err index_view(struct log_index *x, struct env *env, const char *path, struct slice *out,
                    struct reason *why) MUST_CHECK;
void index_clear(struct log_index *x); /* in memory, no entries */
bool index_append_offset(struct log_index *x, uint32_t relative, uint32_t position);
bool index_append_time(struct log_index *x, int64_t timestamp, uint32_t relative);

struct index_hit {
    int64_t timestamp; /* time index */
    uint32_t relative;
    uint32_t position; /* offset index */
};
size_t offset_index_count_below(struct slice entries, uint32_t relative); /* entries with a relative offset < it */
bool offset_index_floor(struct slice entries, uint32_t relative, struct index_hit *out); /* last one <= it */
bool offset_index_last(struct slice entries, struct index_hit *out);
bool time_index_floor(struct slice entries, int64_t timestamp, struct index_hit *out);
bool time_index_last(struct slice entries, struct index_hit *out);

#endif
