/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_FS_H
#define CASTELLAN_BASE_FS_H

#include "core/base/buf.h"
#include <sys/types.h>

/* Small files, whole: read with a cap, written so that a crash leaves the old or the new one, never half. */
enum err fs_read_file(const char *path, struct buf *out, struct reason *why) MUST_CHECK; /* appends; cap is out->max */
/* Temporary file beside it, fsync, rename, fsync of the folder. `mode` as in chmod (0600 for anything secret). */
enum err fs_write_file(const char *path, struct slice bytes, mode_t mode, struct reason *why) MUST_CHECK;
enum err fs_mkdirs(const char *path, mode_t mode, struct reason *why) MUST_CHECK; /* with parents; existing is fine */
enum err fs_remove_tree(const char *path) MUST_CHECK;                             /* absent is fine */
bool fs_exists(const char *path);
enum err fs_sync_dir(const char *path) MUST_CHECK;
/* path = dir + "/" + name into out; ERR_LIMIT_EXCEEDED when it does not fit. */
enum err fs_join(char *out, size_t cap, const char *dir, const char *name) MUST_CHECK;

#endif
