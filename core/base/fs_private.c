/* SPDX-License-Identifier: Apache-2.0
 * Whom a folder or file belongs to, and who else may touch it. What is checked is what was opened: a folder's owner and
 * mode are read from its descriptor, and sockets are then reached through that. */
#include "core/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOR_OTHERS = 077, WRITE_FOR_OTHERS = 022, PRIVATE = 0700 };

static enum err cannot(struct reason *why, const char *what, const char *path)
{
    int e = errno;
    return reason_set(why, err_from_errno(e), "cannot %s %s: %s", what, path, strerror(e));
}

/* A link that somebody else made leads where he wants. */
static enum err check_link(const char *path, bool root_may, struct reason *why)
{
    struct stat st;

    if (lstat(path, &st))
        return cannot(why, "look at", path);
    if (!S_ISLNK(st.st_mode) || st.st_uid == geteuid() || (root_may && st.st_uid == 0))
        return ERR_OK;
    return reason_set(why, ERR_BAD_CONFIG, "%s is a symbolic link that user %u made; it is not followed", path,
                      (unsigned)st.st_uid);
}

static enum err check_private(int fd, const char *path, struct reason *why)
{
    struct stat st;

    if (fstat(fd, &st))
        return cannot(why, "look at", path);
    if (st.st_uid != geteuid())
        return reason_set(why, ERR_BAD_CONFIG,
                          "the folder %s belongs to user %u, and this process runs as user %u: whoever owns the folder "
                          "must be the one who uses it",
                          path, (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & FOR_OTHERS)
        return reason_set(why, ERR_BAD_CONFIG,
                          "the folder %s is open to other users (mode 0%03o): look at what is in it, then chmod 700 it",
                          path, (unsigned)(st.st_mode & 0777));
    return ERR_OK;
}

enum err fs_private_dir(const char *path, int *out, struct reason *why)
{
    enum err err = check_link(path, false, why);
    int fd;

    if (err)
        return err;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cannot(why, "open folder", path);
    err = check_private(fd, path, why);
    if (err || !out)
        close(fd);
    else
        *out = fd;
    return err;
}

enum err fs_private_dir_of(const char *path, int *fd, struct reason *why)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (n >= sizeof dir)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s is too long", path);
    memcpy(dir, path, n);
    dir[n] = 0;
    return fs_private_dir(n ? dir : slash ? "/" : ".", fd, why);
}

static bool is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;

    if (!d) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    while (n <= 2 && readdir(d)) /* "." and ".." */
        n++;
    closedir(d);
    return n <= 2;
}

enum err fs_private_dir_make(const char *path, struct reason *why)
{
    enum err err = fs_mkdirs(path, PRIVATE, why);
    struct stat st;
    int fd;

    if (err)
        return err;
    err = check_link(path, false, why);
    if (err)
        return err;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cannot(why, "open folder", path);
    if (!fstat(fd, &st) && st.st_uid == geteuid() && (st.st_mode & FOR_OTHERS) && is_empty(fd) && fchmod(fd, PRIVATE))
        err = cannot(why, "close to other users the folder", path);
    if (!err)
        err = check_private(fd, path, why);
    close(fd);
    return err;
}

enum err fs_check_trusted(const char *path, struct reason *why)
{
    enum err err = check_link(path, true, why);
    struct stat st;

    if (err)
        return err;
    if (stat(path, &st))
        return cannot(why, "look at", path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return reason_set(why, ERR_BAD_CONFIG, "%s is neither a file nor a folder", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return reason_set(why, ERR_BAD_CONFIG, "%s belongs to user %u", path, (unsigned)st.st_uid);
    if (st.st_mode & WRITE_FOR_OTHERS)
        return reason_set(why, ERR_BAD_CONFIG, "%s can be written by other users (mode 0%03o)", path,
                          (unsigned)(st.st_mode & 0777));
    return ERR_OK;
}
