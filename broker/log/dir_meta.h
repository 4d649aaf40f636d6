/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_DIR_META_H
#define CASTELLAN_BROKER_LOG_DIR_META_H

#include "broker/log/log_dir.h"

/* Read or make meta.properties in args->path; `id` is its directory.id. */
enum err dir_meta_load(const struct log_dir_args *args, uint8_t id[16], struct reason *why) MUST_CHECK;

#endif
