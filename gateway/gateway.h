/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_GATEWAY_H
#define CASTELLAN_GATEWAY_GATEWAY_H

#include "core/base/err.h"

/* Run the gateway until SIGTERM or SIGINT, as `castellan gateway -c FILE` does. Returns the exit status: 0 after a
 * clean stop, 2 when the configuration is wrong, 1 for anything else; the reason is in the log. */
int gateway_main(const char *config_path);

/* The same in parts, for a process that has other work, or several gateways. Owned by the caller; one thread. */
struct gateway;
struct reason;
struct gateway *gateway_new(void); /* NULL: no memory */
/* Reads the configuration and opens what stands in it; does not wait for the cluster. After a failure only
 * gateway_free() may follow. */
enum err gateway_start(struct gateway *g, const char *config_path, struct reason *why) MUST_CHECK;
int gateway_run(struct gateway *g);       /* until SIGTERM or SIGINT; the exit status */
void gateway_run_once(struct gateway *g); /* what is due now; instead of gateway_run() */
void gateway_free(struct gateway *g);     /* stops it; NULL is fine */

#endif
