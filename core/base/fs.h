/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_FS_H
#define CASTELLAN_BASE_FS_H

#include "core/base/buf.h"
#include <sys/types.h>

/* Small files, whole: read with a cap, written so that a crash leaves the old or the new one, never half. */
enum err fs_read_file(const char *path, struct buf *out, struct reason *why) MUST_CHECK; /* appends; cap is out->max */
/* A new temporary file beside it (never one that is there already), fsync, rename, fsync of the folder. `mode` as in
 * chmod (0600 for anything secret). */
enum err fs_write_file(const char *path, struct slice bytes, mode_t mode, struct reason *why) MUST_CHECK;
enum err fs_mkdirs(const char *path, mode_t mode, struct reason *why) MUST_CHECK; /* with parents; existing is fine */
enum err fs_remove_tree(const char *path) MUST_CHECK;                             /* absent is fine */
bool fs_exists(const char *path);
enum err fs_sync_dir(const char *path) MUST_CHECK;
/* A folder for keys, sockets and other private files: this user's own, and nobody else may enter it (mode 0700). One
 * that somebody else prepared is refused, and so is a symbolic link to one; ERR_BAD_CONFIG says what to do. `fd`: the
 * folder's descriptor, for the caller to close; NULL: not wanted. */
enum err fs_private_dir(const char *path, int *fd, struct reason *why) MUST_CHECK;
/* The same for the folder that `path` is in ("." when it names none). */
enum err fs_private_dir_of(const char *path, int *fd, struct reason *why) MUST_CHECK;
/* A data folder: made (0700, with parents) when absent; an empty one of this user is closed to others; else as
 * fs_private_dir. */
enum err fs_private_dir_make(const char *path, struct reason *why) MUST_CHECK;
/* Whole, like fs_read_file, but only if it is a plain file of this user that nobody else can read (mode 0600). */
enum err fs_read_private_file(const char *path, struct buf *out, struct reason *why) MUST_CHECK;
/* What this user may rely on without having named it: a plain file, or folder, that belongs to this user or root and
 * that nobody else can write; a symbolic link to it must belong to one of them, too. */
enum err fs_check_trusted(const char *path, struct reason *why) MUST_CHECK;
/* path = dir + "/" + name into out; ERR_LIMIT_EXCEEDED when it does not fit. */
enum err fs_join(char *out, size_t cap, const char *dir, const char *name) MUST_CHECK;

#endif
