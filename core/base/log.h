/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_LOG_H
#define CASTELLAN_BASE_LOG_H

#include "core/base/err.h"

/* One line per event on stderr: `2026-11-21T07:48:00.123Z WARN  gateway  text`. Control characters in the text are
 * escaped, lines are cut at LOG_LINE_MAX. Never pass a secret. Thread-safe. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum { LOG_LINE_MAX = 2000 };

void log_set_level(enum log_level level);
void log_set_role(const char *role); /* shown in each line: "gateway", "broker-1"; once, before there are threads */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
