/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TOPIC_IDS_H
#define CASTELLAN_GATEWAY_TOPIC_IDS_H

#include "gateway/session.h"

/* Requests may name topics by id (KIP-516); rights are about names. Every Metadata answer teaches a worker names; this
 * asks the cluster for the ids of a request that the worker has not seen, then runs `go` (at once when there is nothing
 * to ask). Ids the cluster does not know stay unknown. `go` must look at p->session: the client may have left. */
void topic_ids_resolve(struct pending *p, void (*go)(struct pending *p));
/* The same for the ids in any message of the request's version: an answer that must be filtered by name. */
void topic_ids_resolve_in(struct pending *p, const struct wire_struct *body, const void *message,
                          void (*go)(struct pending *p));

#endif
