/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REQUEST_LIFE_H
#define CASTELLAN_GATEWAY_REQUEST_LIFE_H

#include "gateway/request/request_data.h"

/* Free `p` by `free_fn` when the request goes. False: no memory, and it was freed. */
bool request_own(struct request *r, void *p, void (*free_fn)(void *p));

/* Inside of gateway/request. */
struct request *request_new(struct pipeline *p, struct buf *frame); /* takes the frame's memory; NULL: no memory */
void request_move(struct request *r, enum request_phase to);
void request_free(struct request *r);
void request_check(const struct request *r);

#endif
