/* SPDX-License-Identifier: Apache-2.0
 * The log writer. A line is built on the stack and written with one write(2), so lines of threads do not mix. */
#include "core/base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int level_min = LOG_INFO; /* allow: the log is one for the process */
static char role_name[32] = "castellan"; /* allow: the same */

void log_set_level(enum log_level level)
{
    level_min = (int)level;
}

void log_set_role(const char *role)
{
    snprintf(role_name, sizeof role_name, "%s", role);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX + 128];
    struct timespec t;
    struct tm tm;
    va_list ap;
    size_t n;
    int len;

    if ((int)level < level_min)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    len = snprintf(line + n, sizeof line - n, ".%03ldZ %s %-10s %s\n", t.tv_nsec / 1000000, names[level], role_name,
                   text);
    if (len > 0 && write(STDERR_FILENO, line, n + (size_t)len) < 0)
        return; /* nowhere left to say it */
}
