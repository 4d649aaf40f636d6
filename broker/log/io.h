/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_IO_H
#define CASTELLAN_BROKER_LOG_IO_H

#include "core/base/buf.h"
#include "core/base/env.h"
#include <limits.h>
#include <sys/uio.h>

/* Every system call on a log's files, each behind the fault hook of its env (the names are in plog_open_args). Paths
 * are put together on the stack: dir + "/" + name. */
struct io_path {
    char s[PATH_MAX];
};

/* "DIR/00000000000000000042.log": the name of one of a segment's files. */
enum err io_segment_path(struct io_path *out, const char *dir, int64_t base_offset, const char *suffix,
                         struct reason *why) MUST_CHECK;
enum err io_join(struct io_path *out, const char *dir, const char *name, struct reason *why) MUST_CHECK;

enum err io_open(struct env *env, const char *path, int flags, int *fd, struct reason *why) MUST_CHECK;
void io_close(int *fd); /* -1 afterwards */
/* Read n bytes at `at`; fewer only at the end of the file. */
enum err io_read(struct env *env, int fd, void *p, size_t n, int64_t at, size_t *got, struct reason *why) MUST_CHECK;
/* Write all of it at `at` or fail; a failure may leave some of it in the file. Changes `iov`. */
enum err io_write(struct env *env, int fd, struct iovec *iov, int count, int64_t at, struct reason *why) MUST_CHECK;
enum err io_sync(struct env *env, int fd, struct reason *why) MUST_CHECK;
enum err io_truncate(struct env *env, int fd, int64_t size, struct reason *why) MUST_CHECK;
enum err io_rename(struct env *env, const char *from, const char *to, struct reason *why) MUST_CHECK;
enum err io_unlink(struct env *env, const char *path, struct reason *why) MUST_CHECK; /* absent is fine */
enum err io_sync_dir(struct env *env, const char *path, struct reason *why) MUST_CHECK;
enum err io_mkdir(struct env *env, const char *path, struct reason *why) MUST_CHECK; /* with parents */
enum err io_size(struct env *env, int fd, int64_t *size, struct reason *why) MUST_CHECK;
/* A small file, whole. ERR_NOT_FOUND when absent. Appends to `out`. */
enum err io_read_file(struct env *env, const char *path, struct buf *out, struct reason *why) MUST_CHECK;
/* Written beside it and renamed over it; with `sync` it survives the machine from the return on. */
enum err io_write_file(struct env *env, const char *path, struct slice bytes, bool sync, struct reason *why) MUST_CHECK;

#endif
