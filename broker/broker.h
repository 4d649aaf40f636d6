/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_BROKER_H
#define CASTELLAN_BROKER_BROKER_H

/* Run one bundled broker until SIGTERM or SIGINT, as `castellan broker -c FILE` does. Returns the exit status: 0 after
 * a clean stop, 2 when the configuration is wrong, 1 for anything else; the reason is in the log. */
int broker_main(const char *config_path);

#endif
