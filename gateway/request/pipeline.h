/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_PIPELINE_H
#define CASTELLAN_GATEWAY_PIPELINE_H

#include "core/net/conn.h"
#include "gateway/request/pipeline_data.h"

void pipeline_init(struct pipeline *p, struct engine *e, void *session);
/* A request came: takes the frame's memory also on failure. False: no memory. */
bool pipeline_take(struct pipeline *p, struct buf *frame);
/* May it be read from the session now? False while it has too much under way, or the process is short of memory and the
 * session is over its reserve. */
bool pipeline_may_read(const struct pipeline *p);
/* How much more its requests may hold: the least that session and principal leave. */
int64_t pipeline_room(const struct pipeline *p);
/* The client left. */
void pipeline_abandon(struct pipeline *p);
void share_init(struct share *s);
void pipeline_set_share(struct pipeline *p, struct share *s); /* who it is is known now */

/* Inside of gateway/request. */
void pipeline_advance(struct pipeline *p, struct request *r); /* r is on its way, or answered */
void pipeline_flush(struct pipeline *p);
void pipeline_fail(struct pipeline *p, enum conn_close why, const char *detail);
/* Hold the memory of a request against its budget. NULL: within; else the level that is full. */
const struct budget *pipeline_charge(struct pipeline *p, struct request *r);

#endif
