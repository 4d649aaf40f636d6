/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TURNS_H
#define CASTELLAN_GATEWAY_TURNS_H

#include "gateway/request/engine_data.h"

/* Whose turn it is: three rings, of principals with something to do, of the sessions of each, of the requests of each.
 * A request that used up its slice goes to the end of all three. */
void turn_init(struct turn *t);
bool turn_is_waiting(const struct turn *t);
void turn_leave(struct turn *t);
void turns_add(struct engine *e, struct request *r);           /* it has something to do */
void turns_add_pipeline(struct engine *e, struct pipeline *p); /* it has requests that have */
struct request *turns_next(struct engine *e);                  /* only while e->ready is waiting */

#endif
