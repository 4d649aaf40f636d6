/* SPDX-License-Identifier: Apache-2.0
 * Whole-file reading and atomic writing over POSIX calls. Errors name the path and errno's text. */
#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err fail(struct reason *why, const char *what, const char *path)
{
    int e = errno;
    return reason_set(why, err_from_errno(e), "cannot %s %s: %s", what, path, strerror(e));
}

static enum err read_all(int fd, const char *path, struct buf *out, struct reason *why)
{
    enum err err = ERR_OK;

    for (;;) {
        uint8_t chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err = fail(why, "read", path);
            break;
        }
        if (n == 0)
            break;
        buf_put(out, chunk, (size_t)n);
        if ((err = buf_error(out))) {
            reason_set(why, err, "%s is too large", path);
            break;
        }
    }
    return err;
}

enum err fs_read_file(const char *path, struct buf *out, struct reason *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err err;

    if (fd < 0)
        return fail(why, "open", path);
    err = read_all(fd, path, out, why);
    close(fd);
    return err;
}

enum err fs_read_private_file(const char *path, struct buf *out, struct reason *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    enum err err;

    if (fd < 0)
        return fail(why, "open", path);
    if (fstat(fd, &st))
        err = fail(why, "look at", path);
    else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        err = reason_set(why, ERR_BAD_CONFIG, "%s must be a plain file of this user that nobody else can read (0600)",
                         path);
    else
        err = read_all(fd, path, out, why);
    close(fd);
    return err;
}

static enum err write_all(int fd, struct slice s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        s.p += n;
        s.n -= (size_t)n;
    }
    return ERR_OK;
}

enum err fs_write_file(const char *path, struct slice bytes, mode_t mode, struct reason *why)
{
    char temp[PATH_MAX], dir[PATH_MAX];
    char *slash;
    enum err err;
    int fd;

    if (snprintf(temp, sizeof temp, "%s.new.%d", path, (int)getpid()) >= (int)sizeof temp)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s is too long", path);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST && !unlink(temp)) /* left over from a crash, or laid out for us: not written to */
        fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(why, "create", temp);
    err = write_all(fd, bytes);
    if (err || fchmod(fd, mode) || fsync(fd)) {
        err = fail(why, "write", temp);
        close(fd);
        unlink(temp);
        return err;
    }
    close(fd);
    if (rename(temp, path)) {
        err = fail(why, "rename", temp);
        unlink(temp);
        return err;
    }
    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = 0;
    return fs_sync_dir(slash ? dir : ".");
}

enum err fs_mkdirs(const char *path, mode_t mode, struct reason *why)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s is too long", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p)
            continue;
        char keep = *p;
        *p = 0;
        if (mkdir(part, mode) && errno != EEXIST)
            return fail(why, "create folder", part);
        *p = keep;
        if (!keep)
            return ERR_OK;
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

enum err fs_remove_tree(const char *path)
{
    if (!fs_exists(path))
        return ERR_OK;
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) ? err_from_errno(errno) : ERR_OK;
}

bool fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

enum err fs_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_OK;
    if (fd < 0)
        return err_from_errno(errno);
    if (fsync(fd))
        err = err_from_errno(errno);
    close(fd);
    return err;
}

enum err fs_join(char *out, size_t cap, const char *dir, const char *name)
{
    int n = snprintf(out, cap, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= cap ? ERR_LIMIT_EXCEEDED : ERR_OK;
}
