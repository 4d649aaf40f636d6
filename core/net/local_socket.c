/* SPDX-License-Identifier: Apache-2.0
 * Unix sockets through their folder's descriptor: /proc/self/fd/N/NAME is always short, and N is the folder that was
 * checked, whatever the path leads to by now. */
#include "core/net/local_socket.h"
#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Opens the folder; the caller closes it. */
static enum err address_of(const char *path, struct sockaddr_un *a, int *dir, struct reason *why)
{
    enum err err = fs_private_dir_of(path, dir, why);
    int n;

    if (err)
        return err;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", *dir, name_of(path));
    if (n > 0 && (size_t)n < sizeof a->sun_path && *name_of(path))
        return ERR_OK;
    close(*dir);
    return reason_set(why, ERR_BAD_CONFIG, "the socket's name in %s must have 1 to %d bytes", path,
                      (int)sizeof a->sun_path - (int)sizeof "/proc/self/fd/1000000/");
}

static enum err failed(struct reason *why, const char *what, const char *path, int fd)
{
    int e = errno;

    if (fd >= 0)
        close(fd);
    return reason_set(why, err_from_errno(e), "cannot %s the socket %s: %s", what, path, strerror(e));
}

/* A socket file nobody listens on is left over from a crash and may be replaced. */
static enum err clear(const struct sockaddr_un *a, int dir, const char *path, struct reason *why)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;
    bool taken;

    if (fd < 0)
        return failed(why, "make", path, -1);
    taken = !connect(fd, (const struct sockaddr *)a, sizeof *a) || errno == EAGAIN; /* its queue is full */
    close(fd);
    if (taken)
        return reason_set(why, ERR_ADDRESS_IN_USE, "another process listens on %s", path);
    if (!fstatat(dir, name_of(path), &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode))
        unlinkat(dir, name_of(path), 0);
    return ERR_OK;
}

static enum err bind_and_listen(int *out, const struct sockaddr_un *a, const char *path, struct reason *why)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return failed(why, "make", path, -1);
    if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)a, sizeof *a)) /* the file takes the socket's mode */
        return failed(why, "bind", path, fd);
    if (listen(fd, LOCAL_SOCKET_BACKLOG))
        return failed(why, "listen on", path, fd);
    *out = fd;
    return ERR_OK;
}

enum err local_socket_listen(int *fd, const char *path, struct reason *why)
{
    struct sockaddr_un a;
    int dir;
    enum err err = address_of(path, &a, &dir, why);

    if (err)
        return err;
    err = clear(&a, dir, path, why);
    if (!err)
        err = bind_and_listen(fd, &a, path, why);
    close(dir);
    return err;
}

enum err local_socket_connect(int *out, const char *path, int timeout_ms, struct reason *why)
{
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    struct reason detail = {0};
    struct sockaddr_un a;
    int dir, fd, bad, e;
    enum err err = address_of(path, &a, &dir, &detail);

    if (err)
        return reason_set(why, ERR_UNAVAILABLE, "%s", detail.text);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (timeout_ms ? 0 : SOCK_NONBLOCK), 0);
    if (fd >= 0 && timeout_ms)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    bad = fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a);
    e = errno;
    close(dir);
    if (!bad && !local_socket_same_user(fd, NULL)) {
        close(fd);
        return reason_set(why, ERR_UNAVAILABLE, "who listens on %s runs as another user", path);
    }
    if (bad) {
        if (fd >= 0)
            close(fd);
        return reason_set(why, ERR_UNAVAILABLE, "nothing can be reached at %s: %s", path, strerror(e));
    }
    *out = fd;
    return ERR_OK;
}

bool local_socket_same_user(int fd, pid_t *pid)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) || cred.uid != geteuid())
        return false;
    if (pid)
        *pid = cred.pid;
    return true;
}
