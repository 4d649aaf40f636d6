/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_DATA_LOCK_H
#define CASTELLAN_CLI_DATA_LOCK_H

#include "core/base/err.h"
#include <stdint.h>

/* Two locks on a data folder. DATA/.lock is the supervisor's: one `castellan up` per folder. DATA/.roles is held by
 * every role it starts, as a descriptor each of them inherits, so it is free only when the last of them is gone,
 * however the supervisor went. It lists their process ids, for whoever has to be told. */
struct data_lock {
    int supervisor_fd; /* closed on exec */
    int roles_fd;      /* closed on exec too; a role gets a copy of it */
};

enum { DATA_LOCK_WAIT_MS = 20000 }; /* what a role may take to end after its supervisor died, and more */

/* Waits up to wait_ms for the roles of a supervisor that died. ERR_CONFLICT: another supervisor runs, or such a role
 * does not end; the reason names it. Both locks go with this process and its roles. */
enum err data_lock_take(struct data_lock *l, const char *data, int64_t wait_ms, struct reason *why) MUST_CHECK;
/* Note that `role` runs as process `pid`. */
void data_lock_note(const struct data_lock *l, const char *role, int pid);

#endif
