/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_WORKER_H
#define CASTELLAN_GATEWAY_WORKER_H

#include "gateway/session/worker_data.h"

enum err workers_start(struct gateway *g, int count, struct reason *why) MUST_CHECK;
/* End the sessions and join the threads; the loops stay, so that the keeper may still post answers until it is closed.
 */
void workers_stop(struct gateway *g);
void workers_free(struct gateway *g);
/* Hand the newest view to every worker; any thread. All of them, or, with ERR_NO_MEMORY, none. */
enum err workers_set_view(struct gateway *g) MUST_CHECK;
void workers_leave_silent(struct gateway *g);                                 /* a node was found silent; any thread */
void worker_attach(struct worker *w, struct entrance *e, int listener_index); /* on the worker's thread */
/* For work of this principal's that would hold the worker too long. */
struct heavy worker_heavy(struct worker *w, struct slice principal);

#endif
