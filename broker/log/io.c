/* SPDX-License-Identifier: Apache-2.0
 * The log's system calls. Interrupted calls go on; short writes go on; everything else comes back as ERR_DISK_FULL
 * (ENOSPC, EDQUOT) or another operating error with the call and errno's text. An injected write fault writes half of
 * the bytes and then reports a full disk: the worst an append can meet. */
#include "broker/log/io.h"
#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0640, SMALL_FILE_MAX = 64 * 1024 * 1024 };

static enum err failed(struct reason *why, const char *what, const char *path)
{
    int e = errno;
    enum err err = e == ENOSPC || e == EDQUOT ? ERR_DISK_FULL : err_from_errno(e);

    return reason_set(why, err == ERR_OK ? ERR_IO : err, "cannot %s%s%s: %s", what, *path ? " " : "", path,
                      strerror(e));
}

static bool injected(struct env *env, const char *point)
{
    if (!env->fault(env, point))
        return false;
    errno = EIO;
    return true;
}

enum err io_segment_path(struct io_path *out, const char *dir, int64_t base_offset, const char *suffix,
                         struct reason *why)
{
    int n = snprintf(out->s, sizeof out->s, "%s/%020lld%s", dir, (long long)base_offset, suffix);
    if (n < 0 || (size_t)n >= sizeof out->s)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path of %s is too long", dir);
    return ERR_OK;
}

enum err io_join(struct io_path *out, const char *dir, const char *name, struct reason *why)
{
    if (fs_join(out->s, sizeof out->s, dir, name))
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s/%s is too long", dir, name);
    return ERR_OK;
}

enum err io_open(struct env *env, const char *path, int flags, int *fd, struct reason *why)
{
    *fd = -1;
    if (injected(env, "log.open"))
        return failed(why, "open", path);
    *fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    if (*fd < 0)
        return failed(why, flags & O_CREAT ? "create" : "open", path);
    return ERR_OK;
}

void io_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum err io_read(struct env *env, int fd, void *p, size_t n, int64_t at, size_t *got, struct reason *why)
{
    *got = 0;
    if (injected(env, "log.read"))
        return failed(why, "read", "a log file");
    while (*got < n) {
        ssize_t r = pread(fd, (char *)p + *got, n - *got, at + (int64_t)*got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return failed(why, "read", "a log file");
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return ERR_OK;
}

static void write_half(int fd, const struct iovec *iov, int count, int64_t at)
{
    for (int i = 0; i < count; i++) {
        size_t n = i == count - 1 ? iov[i].iov_len / 2 : iov[i].iov_len;
        ssize_t r = pwrite(fd, iov[i].iov_base, n, at);
        if (r < 0)
            return;
        at += r;
    }
}

enum err io_write(struct env *env, int fd, struct iovec *iov, int count, int64_t at, struct reason *why)
{
    if (env->fault(env, "log.write")) {
        write_half(fd, iov, count, at);
        errno = ENOSPC;
        return failed(why, "write", "a log file");
    }
    while (count) {
        ssize_t r = pwritev(fd, iov, count, at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return failed(why, "write", "a log file");
        at += r;
        while (count && (size_t)r >= iov->iov_len) {
            r -= (ssize_t)iov->iov_len;
            iov++;
            count--;
        }
        if (count) {
            iov->iov_base = (char *)iov->iov_base + r;
            iov->iov_len -= (size_t)r;
        }
    }
    return ERR_OK;
}

enum err io_sync(struct env *env, int fd, struct reason *why)
{
    if (injected(env, "log.fsync") || fdatasync(fd))
        return failed(why, "fsync", "a log file");
    return ERR_OK;
}

enum err io_truncate(struct env *env, int fd, int64_t size, struct reason *why)
{
    if (injected(env, "log.truncate") || ftruncate(fd, size))
        return failed(why, "truncate", "a log file");
    return ERR_OK;
}

enum err io_rename(struct env *env, const char *from, const char *to, struct reason *why)
{
    if (injected(env, "log.rename") || rename(from, to))
        return failed(why, "rename", from);
    return ERR_OK;
}

enum err io_unlink(struct env *env, const char *path, struct reason *why)
{
    if (injected(env, "log.unlink") || (unlink(path) && errno != ENOENT))
        return failed(why, "remove", path);
    return ERR_OK;
}

enum err io_sync_dir(struct env *env, const char *path, struct reason *why)
{
    enum err e;
    if (injected(env, "log.fsync"))
        return failed(why, "fsync folder", path);
    e = fs_sync_dir(path);
    return e ? reason_set(why, e, "cannot fsync folder %s", path) : ERR_OK;
}

enum err io_mkdir(struct env *env, const char *path, struct reason *why)
{
    if (injected(env, "log.open"))
        return failed(why, "create folder", path);
    return fs_mkdirs(path, 0750, why);
}

enum err io_size(struct env *env, int fd, int64_t *size, struct reason *why)
{
    struct stat st;
    if (injected(env, "log.read") || fstat(fd, &st))
        return failed(why, "stat", "a log file");
    *size = st.st_size;
    return ERR_OK;
}

enum err io_read_file(struct env *env, const char *path, struct buf *out, struct reason *why)
{
    int64_t size;
    size_t got;
    uint8_t *p;
    enum err e;
    int fd;

    if (!fs_exists(path))
        return reason_set(why, ERR_NOT_FOUND, "%s does not exist", path);
    e = io_open(env, path, O_RDONLY, &fd, why);
    if (e)
        return e;
    e = io_size(env, fd, &size, why);
    if (!e && size > SMALL_FILE_MAX)
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "%s is too large", path);
    p = e || !size ? NULL : buf_grow(out, (size_t)size);
    if (!e && size && !p)
        e = reason_set(why, ERR_NO_MEMORY, "no memory to read %s", path);
    if (!e && size) {
        e = io_read(env, fd, p, (size_t)size, 0, &got, why);
        out->n -= e ? (size_t)size : (size_t)size - got;
    }
    io_close(&fd);
    return e;
}

enum err io_write_file(struct env *env, const char *path, struct slice bytes, bool sync, struct reason *why)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    struct io_path temp, dir;
    char *slash;
    enum err e;
    int fd;

    if (snprintf(temp.s, sizeof temp.s, "%s.tmp", path) >= (int)sizeof temp.s)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s is too long", path);
    e = io_open(env, temp.s, O_WRONLY | O_CREAT | O_TRUNC, &fd, why);
    if (e)
        return e;
    e = bytes.n ? io_write(env, fd, &iov, 1, 0, why) : ERR_OK;
    if (!e && sync)
        e = io_sync(env, fd, why);
    io_close(&fd);
    if (!e)
        e = io_rename(env, temp.s, path, why);
    if (e) {
        unlink(temp.s);
        return e;
    }
    if (!sync)
        return ERR_OK;
    snprintf(dir.s, sizeof dir.s, "%s", path);
    slash = strrchr(dir.s, '/');
    if (slash)
        *slash = 0;
    return io_sync_dir(env, slash ? dir.s : ".", why);
}
