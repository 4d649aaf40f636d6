/* SPDX-License-Identifier: Apache-2.0
 * Who may run on a data folder. The locks are flock()s, which belong to the open file and not to a process: a role that
 * inherited the descriptor keeps the lock of a supervisor that was killed.
 *
 * Roles end by themselves when their supervisor dies (the kernel sends them SIGTERM); a new supervisor waits for that,
 * because they hold the ports and the logs. It ends nobody: a process id may belong to somebody else by now. */
#include "cli/data_lock.h"
#include "core/base/env.h"
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 20, NOTES_MAX = 400 };

static enum err open_lock(int *fd, const char *data, const char *name, struct reason *why)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", data, name);
    *fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd < 0 ? reason_set(why, err_from_errno(errno), "cannot open %s: %s", path, strerror(errno)) : ERR_OK;
}

/* What the roles' file lists, on one line. */
static void read_notes(int fd, char out[NOTES_MAX])
{
    ssize_t n = pread(fd, out, NOTES_MAX - 1, 0);
    size_t end = n > 0 ? (size_t)n : 0;

    out[end] = 0;
    while (end && out[end - 1] == '\n')
        out[--end] = 0;
    for (char *p = out; *p; p++)
        if (*p == '\n')
            *p = ',';
}

static enum err wait_for_roles(int fd, const char *data, int64_t wait_ms, struct reason *why)
{
    int64_t until_ms = env_mono_ms(env_system()) + wait_ms;
    char notes[NOTES_MAX];
    bool told = false;

    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return reason_set(why, err_from_errno(errno), "cannot lock %s/.roles: %s", data, strerror(errno));
        if (env_mono_ms(env_system()) >= until_ms) {
            read_notes(fd, notes);
            return reason_set(why, ERR_CONFLICT,
                              "processes of an earlier `castellan up` still run on %s: one or more of (%s); end them "
                              "and start again",
                              data, notes);
        }
        if (!told)
            log_info("waiting for the processes of an earlier `castellan up` on %s to end", data);
        told = true;
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return ERR_OK;
}

enum err data_lock_take(struct data_lock *l, const char *data, int64_t wait_ms, struct reason *why)
{
    enum err err = open_lock(&l->supervisor_fd, data, ".lock", why);

    if (err)
        return err;
    if (flock(l->supervisor_fd, LOCK_EX | LOCK_NB))
        return reason_set(why, ERR_CONFLICT, "another `castellan up` runs on %s; --data DIR names another folder",
                          data);
    err = open_lock(&l->roles_fd, data, ".roles", why);
    if (!err)
        err = wait_for_roles(l->roles_fd, data, wait_ms, why);
    if (!err && ftruncate(l->roles_fd, 0))
        err = reason_set(why, err_from_errno(errno), "cannot write %s/.roles: %s", data, strerror(errno));
    return err;
}

void data_lock_note(const struct data_lock *l, const char *role, int pid)
{
    if (dprintf(l->roles_fd, "%s %d\n", role, pid) < 0)
        log_warn("cannot note the process id of %s: %s", role, strerror(errno));
}
