/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_GATEWAY_H
#define CASTELLAN_GATEWAY_GATEWAY_H

/* Run the gateway until SIGTERM or SIGINT, as `castellan gateway -c FILE` does. Returns the exit status: 0 after a
 * clean stop, 2 when the configuration is wrong, 1 for anything else; the reason is in the log. */
int gateway_main(const char *config_path);

#endif
