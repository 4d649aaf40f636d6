/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SUPERVISOR_H
#define CASTELLAN_CLI_SUPERVISOR_H

#include "core/base/err.h"
#include <stdbool.h>
#include <stdint.h>

/* Decides when a role's process is started, restarted and stopped. Pure: supervisor_step(state, event, now) says what
 * to do next; processes, signals and timers belong to cli/up.c.
 *
 *   IDLE -start-> STARTING -ready-> READY -exit-> BACKOFF -time-> STARTING ...
 *   any -stop-> STOPPING -exit-> STOPPED          STOPPING -time-> killed
 */
enum supervisor_state { SUP_IDLE, SUP_STARTING, SUP_READY, SUP_BACKOFF, SUP_STOPPING, SUP_STOPPED, SUP_FAILED };
enum supervisor_event { SUP_EV_START, SUP_EV_IS_READY, SUP_EV_EXITED, SUP_EV_TIMER, SUP_EV_STOP };
enum supervisor_action { SUP_DO_NOTHING, SUP_DO_SPAWN, SUP_DO_TERMINATE, SUP_DO_KILL, SUP_DO_GIVE_UP };

enum {
    SUP_BACKOFF_MS_MIN = 100,
    SUP_BACKOFF_MS_MAX = 5000,
    SUP_STOP_MS_MAX = 10000, /* from SIGTERM to SIGKILL */
    SUP_STABLE_MS = 30000,   /* up this long: the back-off starts over */
    SUP_EARLY_EXITS_MAX = 3, /* exits before the first READY: give up */
};

struct supervisor {
    enum supervisor_state state;
    int64_t deadline_ms; /* when SUP_EV_TIMER is wanted; INT64_MAX: not at all */
    int64_t ready_at_ms;
    int64_t backoff_ms;
    int early_exits;
    bool was_ready; /* ever */
};

void supervisor_init(struct supervisor *s);
enum supervisor_action supervisor_step(struct supervisor *s, enum supervisor_event event, int64_t now_ms);

#endif
