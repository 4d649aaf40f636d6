/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_PENDING_H
#define CASTELLAN_GATEWAY_PENDING_H

#include "gateway/session.h"

/* Inside of session.c and pending.c: mark a request done and send what may go. */
void pending_finish(struct pending *p);

#endif
