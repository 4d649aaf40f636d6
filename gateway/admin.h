/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ADMIN_H
#define CASTELLAN_GATEWAY_ADMIN_H

#include "gateway/session.h"

/* What the handlers that answer from the tables share. */

/* Hand a change to the keeper; `then` runs on the worker's loop when it is durable and every worker has been handed
 * the new view (or when it failed). The client may be gone by then: p->session may be NULL. */
typedef void (*admin_then)(struct pending *p, enum err err, const struct reason *why);
void admin_submit(struct pending *p, const struct knowledge_change *change, admin_then then);

/* May the session do `op` on the cluster? */
bool admin_may(const struct pending *p, enum acl_operation op);
/* The words of a failure, in the request's arena; the error's own text when there are none. */
struct slice admin_words(struct pending *p, enum err err, const struct reason *why);

#endif
