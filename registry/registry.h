/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_REGISTRY_H
#define CASTELLAN_REGISTRY_REGISTRY_H

/* The role `castellan registry -c FILE`: a schema registry over HTTPS whose state is the topic `_schemas`. Loads the
 * settings (an unknown key: error with file and line, exit status 2), serves until SIGTERM or SIGINT, returns 0. */
int registry_main(const char *config_path);

#endif
