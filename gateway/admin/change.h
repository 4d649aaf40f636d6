/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CHANGE_H
#define CASTELLAN_GATEWAY_CHANGE_H

#include "gateway/knowledge.h"
#include "gateway/request/request.h"

/* The way of a change through the keeper and back to the request that asked for it. */
struct change_outcome {
    bool came;
    enum err err;
    struct reason why;
};

/* Hand a change to the keeper. WAIT, and when the step is called again `o` says how it went: it is durable, and every
 * worker has been handed the new view, or it failed. NEXT: `o` says so already. `o` lives as long as the request. */
enum step change_submit(struct request *r, struct change_outcome *o, const struct knowledge_change *change);

#endif
