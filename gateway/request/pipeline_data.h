/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_PIPELINE_DATA_H
#define CASTELLAN_GATEWAY_PIPELINE_DATA_H

#include "gateway/request/budget.h"
#include "gateway/request/request_data.h"

/* The requests of one session. They are decided in the order they came and answered in that order, whatever is finished
 * first; one that waits before it is forwarded holds back those behind it, so that a producer with several requests in
 * flight keeps its sequence. */
enum {
    PIPELINE_REQUESTS_MAX = 256,
    PIPELINE_AHEAD_BYTES_MAX = 1 << 20, /* of requests whose turn has not come: then no further one is read */
    PIPELINE_HELD_BYTES_MAX = 2 << 20,  /* of those whose turn has come: then no further one is begun */
};

/* All sessions of one principal on one worker: they share its turns. */
struct share {
    struct turn turn;  /* among the engine's principals */
    struct turn ready; /* ring of its sessions (struct pipeline) with something to do */
    int sessions;
};

struct pipeline {
    uint32_t magic;
    struct engine *engine;
    void *session; /* the owner */
    struct peer peer;
    struct budget budget; /* the session's */
    struct share *share;  /* the principal's; `alone` until it is known */
    struct share alone;
    struct request *head, **tail; /* in the order they came */
    struct request *deciding;     /* the first that is not on its way yet */
    int count;
    size_t ahead;      /* bytes of the requests whose turn has not come */
    int64_t held;      /* bytes that the others are charged for */
    struct turn turn;  /* among its principal's sessions */
    struct turn ready; /* ring of its requests with something to do */
    bool closing;
    int64_t request_max; /* castellan.request.memory.max.bytes */
    int64_t reserve;     /* castellan.session.memory.reserve.bytes: what a session may use whatever the others do */
};

#endif
