/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ENGINE_H
#define CASTELLAN_GATEWAY_ENGINE_H

#include "gateway/request/engine_data.h"
#include "gateway/request/pipeline.h"
#include "gateway/request/request.h"

void engine_init(struct engine *e, const struct engine_ops *ops, void *owner);
/* One turn. True: something is left to do; call it again after the loop looked at its sockets. */
bool engine_run(struct engine *e, int64_t now_ms);

/* The cluster's answer, or why there is none. Takes the frame's memory. */
void request_answered(struct request *r, enum err err, struct buf *frame, size_t body_at);
/* For the connection: may the answer that begins to arrive pass through to the client? */
bool request_may_stream(const struct request *r);
/* It does: `head` gets what goes out before the cluster's bytes (length, header, throttle time), *skip is how much of
 * the cluster's frame that stands for. */
void request_stream(struct request *r, uint32_t header_n, uint32_t body_n, struct buf *head, uint32_t *skip);

/* For admit: API, version, correlation id and client id of the frame. NULL, or what is wrong with it. */
const char *request_read_header(struct request *r);

#endif
