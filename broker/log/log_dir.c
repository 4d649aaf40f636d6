/* SPDX-License-Identifier: Apache-2.0
 * A log directory. The clean-shutdown marker is removed before anything is opened and written only after every log was
 * closed without an error, so its presence means that no log needs recovery. Checkpoints may lag behind: they only say
 * how far back recovery must look. */
#include "broker/log/log_dir.h"
#include "broker/log/checkpoint.h"
#include "broker/log/dir_meta.h"
#include "broker/log/io.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/map.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>

enum { FOLDER_NAME_MAX = 255, CHECKPOINT_EVERY_MS = 60000, UNIQUE_HEX = 32 };
#define DELETE_SUFFIX  "-delete"
#define CLEAN_SHUTDOWN ".kafka_cleanshutdown"

struct dir_log {
    char *topic;
    int32_t partition;
    struct plog *log;
    bool reported; /* its failure was said once */
};

struct dir_doomed {
    char *name;
    int64_t due_ms;
    struct dir_doomed *next;
};

struct log_dir {
    char *path;
    struct env *env;
    struct plog_config config;
    uint8_t id[16];
    int lock;
    bool was_clean;
    struct map logs; /* folder name -> struct dir_log */
    struct dir_doomed *doomed;
    int64_t last_checkpoint_ms;
    int64_t delete_delay_ms;
};

struct checkpoint_kind {
    const char *file;
    int64_t (*value)(const struct plog *l);
};

static const struct checkpoint_kind kinds[] = {
    {"recovery-point-offset-checkpoint", plog_recovery_point},
    {"log-start-offset-checkpoint", plog_start_offset},
    {"replication-offset-checkpoint", plog_high_watermark},
    {"cleaner-offset-checkpoint", plog_cleaned_to},
};
enum { RECOVERY_POINT, LOG_START, HIGH_WATERMARK, CLEANED_TO, KINDS };

static enum err take_lock(struct log_dir *d, struct reason *why)
{
    struct io_path path;
    enum err e = io_join(&path, d->path, ".lock", why);

    if (!e)
        e = io_open(d->env, path.s, O_RDWR | O_CREAT, &d->lock, why);
    if (!e && flock(d->lock, LOCK_EX | LOCK_NB))
        e = reason_set(why, ERR_CONFLICT, "another process uses the log directory %s", d->path);
    return e;
}

/* ---- Checkpoints ---- */

static enum err read_checkpoint(struct log_dir *d, const char *file, struct map *out, struct reason *why)
{
    struct io_path path;
    struct buf text;
    struct reason bad;
    enum err e = io_join(&path, d->path, file, why);

    map_init(out);
    buf_init(&text, 0);
    if (!e)
        e = io_read_file(d->env, path.s, &text, why);
    if (!e && (e = checkpoint_decode(out, buf_slice(&text), &bad)) == ERR_MALFORMED) {
        log_warn("%s: %s; going on without it", path.s, bad.text);
        e = ERR_OK;
    }
    buf_free(&text);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static int64_t checkpoint_get(const struct map *m, const char *name)
{
    const int64_t *value = map_get(m, slice_str(name));
    return value ? *value : 0;
}

static enum err write_checkpoint(struct log_dir *d, const struct checkpoint_kind *kind, struct reason *why)
{
    struct io_path path;
    struct buf text;
    enum err e = io_join(&path, d->path, kind->file, why);

    buf_init(&text, 0);
    buf_printf(&text, "0\n%zu\n", map_count(&d->logs));
    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        const struct dir_log *log = m->value;
        checkpoint_line(&text, slice_str(log->topic), log->partition, kind->value(log->log));
    }
    if (!e)
        e = buf_error(&text);
    if (!e)
        e = io_write_file(d->env, path.s, buf_slice(&text), true, why);
    buf_free(&text);
    return e;
}

enum err log_dir_checkpoint(struct log_dir *d, struct reason *why)
{
    enum err e = ERR_OK;
    for (int i = 0; !e && i < KINDS; i++)
        e = write_checkpoint(d, &kinds[i], why);
    return e;
}

/* ---- Logs ---- */

static void dir_log_free(struct dir_log *log)
{
    if (log)
        free(log->topic);
    free(log);
}

static enum err add_log(struct log_dir *d, const char *name, struct slice topic, int32_t partition, struct plog *l,
                        struct reason *why)
{
    struct dir_log *log = calloc(1, sizeof *log);

    if (log) {
        log->topic = strndup((const char *)topic.p, topic.n);
        log->partition = partition;
        log->log = l;
    }
    if (!log || !log->topic || map_put(&d->logs, slice_str(name), log, NULL)) {
        dir_log_free(log);
        return reason_set(why, ERR_NO_MEMORY, "no memory for the log %s", name);
    }
    return ERR_OK;
}

static enum err open_log(struct log_dir *d, const char *name, const struct map *points, int64_t now_ms,
                         struct reason *why)
{
    struct plog_open_args args = {
        .config = &d->config,
        .env = d->env,
        .recovery_point = checkpoint_get(&points[RECOVERY_POINT], name),
        .log_start_offset = checkpoint_get(&points[LOG_START], name),
        .high_watermark = checkpoint_get(&points[HIGH_WATERMARK], name),
        .clean_shutdown = d->was_clean,
        .now_ms = now_ms,
    };
    struct io_path path;
    struct slice topic;
    int32_t partition;
    struct plog *l;
    enum err e;

    if (!partition_folder_parse(slice_str(name), &topic, &partition))
        return ERR_OK;
    e = io_join(&path, d->path, name, why);
    args.dir = path.s;
    if (!e)
        e = plog_open(&l, &args, why);
    if (e)
        return e;
    plog_set_cleaned_to(l, checkpoint_get(&points[CLEANED_TO], name));
    e = add_log(d, name, topic, partition, l, why);
    if (e)
        plog_abandon(l);
    return e;
}

static enum err doom(struct log_dir *d, const char *name, int64_t due_ms)
{
    struct dir_doomed *gone = calloc(1, sizeof *gone);
    if (!gone || !(gone->name = strdup(name))) {
        free(gone);
        return ERR_NO_MEMORY;
    }
    gone->due_ms = due_ms;
    gone->next = d->doomed;
    d->doomed = gone;
    return ERR_OK;
}

static bool is_doomed_name(const char *name)
{
    size_t n = strlen(name), m = strlen(DELETE_SUFFIX);
    return n > m && strcmp(name + n - m, DELETE_SUFFIX) == 0 && strchr(name, '.');
}

static enum err open_logs(struct log_dir *d, int64_t now_ms, struct reason *why)
{
    struct map points[KINDS];
    struct dirent *entry;
    enum err e = ERR_OK;
    DIR *dir;

    for (int i = 0; i < KINDS; i++) {
        enum err one = read_checkpoint(d, kinds[i].file, &points[i], why);
        e = e ? e : one;
    }
    dir = e ? NULL : opendir(d->path);
    if (!e && !dir)
        e = reason_set(why, ERR_IO, "cannot read the folder %s", d->path);
    while (!e && (entry = readdir(dir))) {
        if (is_doomed_name(entry->d_name))
            e = doom(d, entry->d_name, now_ms);
        else
            e = open_log(d, entry->d_name, points, now_ms, why);
    }
    if (dir)
        closedir(dir);
    for (int i = 0; i < KINDS; i++)
        map_free(&points[i], free);
    return e;
}

void log_dir_abandon(struct log_dir *d)
{
    if (!d)
        return;
    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        plog_abandon(log->log);
        dir_log_free(log);
    }
    map_free(&d->logs, NULL);
    while (d->doomed) {
        struct dir_doomed *next = d->doomed->next;
        free(d->doomed->name);
        free(d->doomed);
        d->doomed = next;
    }
    io_close(&d->lock);
    free(d->path);
    free(d);
}

enum err log_dir_open(struct log_dir **out, const struct log_dir_args *args, struct reason *why)
{
    struct log_dir *d = calloc(1, sizeof *d);
    struct io_path marker;
    enum err e;

    *out = NULL;
    if (!d || !(d->path = strdup(args->path))) {
        free(d);
        return reason_set(why, ERR_NO_MEMORY, "no memory for a log directory");
    }
    d->env = args->env;
    d->config = *args->config;
    d->lock = -1;
    d->last_checkpoint_ms = args->now_ms;
    map_init(&d->logs);
    e = io_mkdir(d->env, d->path, why);
    if (!e)
        e = take_lock(d, why);
    if (!e)
        e = dir_meta_load(args, d->id, why);
    if (!e)
        e = io_join(&marker, d->path, CLEAN_SHUTDOWN, why);
    if (!e) {
        d->was_clean = fs_exists(marker.s);
        e = d->was_clean ? io_unlink(d->env, marker.s, why) : ERR_OK;
    }
    if (!e && d->was_clean)
        e = io_sync_dir(d->env, d->path, why);
    if (!e)
        e = open_logs(d, args->now_ms, why);
    if (e) {
        log_dir_abandon(d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

enum err log_dir_close(struct log_dir *d, struct reason *why)
{
    static const char marker_text[] = "{\"version\":0,\"brokerEpoch\":-1}";
    struct io_path marker;
    enum err e = ERR_OK;

    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        enum err one = plog_flush(log->log, why);
        e = e ? e : one;
    }
    if (!e)
        e = log_dir_checkpoint(d, why);
    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        enum err one = plog_close(log->log, why);
        log->log = NULL;
        e = e ? e : one;
    }
    if (!e)
        e = io_join(&marker, d->path, CLEAN_SHUTDOWN, why);
    if (!e)
        e = io_write_file(d->env, marker.s, slice_str(marker_text), true, why);
    log_dir_abandon(d);
    return e;
}

const char *log_dir_path(const struct log_dir *d)
{
    return d->path;
}

const uint8_t *log_dir_id(const struct log_dir *d)
{
    return d->id;
}

bool log_dir_was_clean(const struct log_dir *d)
{
    return d->was_clean;
}

/* A dot in front is as good as any letter: the folder ends in "-N", so it is never "." or "..", nor a file of ours. */
static bool folder_name(char out[FOLDER_NAME_MAX + 1], struct slice topic, int32_t partition)
{
    int n = snprintf(out, FOLDER_NAME_MAX + 1, "%.*s-%d", SLICE_FMT(topic), partition);
    return topic.n && n > 0 && n <= FOLDER_NAME_MAX && !memchr(topic.p, '/', topic.n) && !memchr(topic.p, 0, topic.n);
}

struct plog *log_dir_find(const struct log_dir *d, struct slice topic, int32_t partition)
{
    char name[FOLDER_NAME_MAX + 1];
    const struct dir_log *log = folder_name(name, topic, partition) ? map_get(&d->logs, slice_str(name)) : NULL;
    return log ? log->log : NULL;
}

enum err log_dir_create(struct log_dir *d, struct slice topic, int32_t partition, const uint8_t topic_id[16],
                        const struct plog_config *config, int64_t now_ms, struct plog **out, struct reason *why)
{
    struct plog_open_args args = {
        .config = config, .env = d->env, .topic_id = topic_id, .clean_shutdown = true, .now_ms = now_ms};
    char name[FOLDER_NAME_MAX + 1];
    struct io_path path;
    enum err e;

    *out = NULL;
    if (!folder_name(name, topic, partition))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "no folder can be named for topic %.*s", SLICE_FMT(topic));
    if (map_has(&d->logs, slice_str(name)))
        return reason_set(why, ERR_EXISTS, "the log %s exists already", name);
    e = io_join(&path, d->path, name, why);
    args.dir = path.s;
    if (!e)
        e = plog_open(out, &args, why);
    if (!e)
        e = io_sync_dir(d->env, d->path, why);
    if (!e)
        e = add_log(d, name, topic, partition, *out, why);
    if (e) {
        enum err ignored = fs_remove_tree(path.s);
        (void)ignored;
        plog_abandon(*out);
        *out = NULL;
    }
    return e;
}

static enum err doomed_name(struct log_dir *d, const char *folder, char out[FOLDER_NAME_MAX + 1])
{
    char hex[UNIQUE_HEX + 1];
    uint8_t unique[UNIQUE_HEX / 2];
    int room = FOLDER_NAME_MAX - (int)(UNIQUE_HEX + 1 + strlen(DELETE_SUFFIX));
    const char *dash = strrchr(folder, '-');
    int topic = (int)(dash - folder), partition = (int)strlen(dash);

    d->env->random(d->env, unique, sizeof unique);
    for (size_t i = 0; i < sizeof unique; i++)
        snprintf(hex + 2 * i, 3, "%02x", unique[i]);
    if (topic + partition > room)
        topic = room - partition;
    snprintf(out, FOLDER_NAME_MAX + 1, "%.*s%s.%s%s", topic, folder, dash, hex, DELETE_SUFFIX);
    return ERR_OK;
}

enum err log_dir_delete(struct log_dir *d, struct slice topic, int32_t partition, int64_t now_ms, struct reason *why)
{
    char name[FOLDER_NAME_MAX + 1], gone[FOLDER_NAME_MAX + 1];
    struct io_path from, to;
    struct dir_log *log;
    int64_t delay, due;
    enum err e;

    if (!folder_name(name, topic, partition) || !(log = map_get(&d->logs, slice_str(name))))
        return reason_set(why, ERR_NOT_FOUND, "there is no log of %.*s-%d", SLICE_FMT(topic), partition);
    delay = plog_config(log->log)->file_delete_delay_ms;
    due = now_ms > INT64_MAX - delay ? INT64_MAX : now_ms + delay;
    e = doomed_name(d, name, gone);
    if (!e)
        e = io_join(&from, d->path, name, why);
    if (!e)
        e = io_join(&to, d->path, gone, why);
    if (!e)
        e = io_rename(d->env, from.s, to.s, why);
    if (e)
        return e;
    map_remove(&d->logs, slice_str(name));
    plog_abandon(log->log);
    dir_log_free(log);
    if (doom(d, gone, due))
        log_warn("no memory to remember the deletion of %s: it goes at the next start", to.s);
    return io_sync_dir(d->env, d->path, why);
}

bool log_dir_at(const struct log_dir *d, size_t *at, struct log_dir_entry *out)
{
    size_t i = 0;
    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        const struct dir_log *log = m->value;
        if (i++ < *at)
            continue;
        *out = (struct log_dir_entry){slice_str(log->topic), log->partition, log->log};
        ++*at;
        return true;
    }
    return false;
}

enum err log_dir_usage(const struct log_dir *d, int64_t *logs, int64_t *total, int64_t *usable)
{
    struct statvfs fs;

    *logs = 0;
    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m))
        *logs += plog_size(((const struct dir_log *)m->value)->log);
    if (statvfs(d->path, &fs))
        return ERR_IO;
    *total = (int64_t)(fs.f_blocks * fs.f_frsize);
    *usable = (int64_t)(fs.f_bavail * fs.f_frsize);
    return ERR_OK;
}

/* ---- Upkeep ---- */

static void report(struct dir_log *log, enum err e, const struct reason *why)
{
    if (e && !log->reported)
        log_error("%s: %s", plog_dir(log->log), why->text[0] ? why->text : err_text(e));
    log->reported = e != ERR_OK;
}

static void compact_dirtiest(struct log_dir *d, int64_t now_ms, size_t budget_bytes)
{
    struct dir_log *best = NULL;
    struct reason why = {0};
    double most = 0;
    bool done;
    enum err e;

    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        double wanted = log->reported ? 0 : plog_clean_wanted(log->log, now_ms);
        if (wanted > most) {
            most = wanted;
            best = log;
        }
    }
    if (!best)
        return;
    e = plog_clean(best->log, now_ms, budget_bytes, &done, &why);
    report(best, e, &why);
    if (!e && done && (e = write_checkpoint(d, &kinds[CLEANED_TO], &why)))
        log_error("%s", why.text);
}

static void remove_doomed(struct log_dir *d, int64_t now_ms)
{
    for (struct dir_doomed **at = &d->doomed; *at;) {
        struct dir_doomed *gone = *at;
        struct io_path path;
        if (gone->due_ms > now_ms || io_join(&path, d->path, gone->name, NULL) || fs_remove_tree(path.s)) {
            at = &gone->next;
            continue;
        }
        *at = gone->next;
        free(gone->name);
        free(gone);
    }
}

void log_dir_retain(struct log_dir *d, int64_t now_ms)
{
    struct reason why = {0};

    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        why.text[0] = 0;
        report(log, plog_retain(log->log, now_ms, &why), &why);
    }
}

void log_dir_tick(struct log_dir *d, int64_t now_ms, size_t budget_bytes)
{
    struct reason why = {0};

    for (struct map_entry *m = map_first(&d->logs); m; m = map_next(&d->logs, m)) {
        struct dir_log *log = m->value;
        why.text[0] = 0;
        report(log, plog_tick(log->log, now_ms, &why), &why);
    }
    if (budget_bytes)
        compact_dirtiest(d, now_ms, budget_bytes);
    remove_doomed(d, now_ms);
    if (now_ms - d->last_checkpoint_ms >= CHECKPOINT_EVERY_MS) {
        d->last_checkpoint_ms = now_ms;
        if (log_dir_checkpoint(d, &why))
            log_error("%s: cannot write the checkpoints: %s", d->path, why.text);
    }
}
