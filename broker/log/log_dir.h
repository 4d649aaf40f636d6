/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_LOG_DIR_H
#define CASTELLAN_BROKER_LOG_LOG_DIR_H

#include "broker/log/log.h"

/* A broker's log directory: its identity (meta.properties), its lock (.lock), the checkpoints of all its partitions,
 * the clean-shutdown marker and the logs themselves. One thread uses it at a time, together with its logs. */
struct log_dir;

struct log_dir_args {
    const char *path; /* made when absent */
    int32_t node_id;
    const char *cluster_id; /* must agree with an existing meta.properties; never NULL */
    struct env *env;
    const struct plog_config *config; /* what every log opens with, until plog_set_config */
    int64_t now_ms;
};

/* Takes the lock (ERR_CONFLICT when another process has it), reads identity and checkpoints, opens every partition
 * (with recovery unless the last shutdown was clean) and goes on removing what was being deleted. */
enum err log_dir_open(struct log_dir **out, const struct log_dir_args *args, struct reason *why) MUST_CHECK;
/* Closes all logs, writes the checkpoints and, when all went well, the clean-shutdown marker. */
enum err log_dir_close(struct log_dir *d, struct reason *why) MUST_CHECK;
void log_dir_abandon(struct log_dir *d); /* as a crash would leave it */

const char *log_dir_path(const struct log_dir *d);
const uint8_t *log_dir_id(const struct log_dir *d); /* 16 bytes: directory.id */
bool log_dir_was_clean(const struct log_dir *d);

/* A partition's log; NULL when there is none. It belongs to the log dir. */
struct plog *log_dir_find(const struct log_dir *d, struct slice topic, int32_t partition);
/* Make a partition's log. ERR_EXISTS when it is there. */
enum err log_dir_create(struct log_dir *d, struct slice topic, int32_t partition, const uint8_t topic_id[16],
                        const struct plog_config *config, int64_t now_ms, struct plog **out,
                        struct reason *why) MUST_CHECK;
/* Rename the folder to "topic-partition.UNIQUE-delete" and free the log; the files go after file.delete.delay.ms. */
enum err log_dir_delete(struct log_dir *d, struct slice topic, int32_t partition, int64_t now_ms,
                        struct reason *why) MUST_CHECK;

struct log_dir_entry {
    struct slice topic;
    int32_t partition;
    struct plog *log;
};
/* Walk all logs: set *at to 0, false at the end. No create or delete while walking. */
bool log_dir_at(const struct log_dir *d, size_t *at, struct log_dir_entry *out);

/* Upkeep, every second or so: plog_tick of each log, checkpoints (each minute), compaction of the dirtiest log within
 * `budget_bytes`, removal of deleted partitions. A log that fails is reported and the others go on. */
void log_dir_tick(struct log_dir *d, int64_t now_ms, size_t budget_bytes);
/* plog_retain of each log. */
void log_dir_retain(struct log_dir *d, int64_t now_ms);
enum err log_dir_checkpoint(struct log_dir *d, struct reason *why) MUST_CHECK; /* write all checkpoints now */
/* Bytes of all logs, and of the file system: total and usable. */
enum err log_dir_usage(const struct log_dir *d, int64_t *logs, int64_t *total, int64_t *usable) MUST_CHECK;

#endif
