/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REFUSALS_H
#define CASTELLAN_GATEWAY_REFUSALS_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdint.h>

/* What principals were not given: one counter for each (principal, operation, type), and a line in the log now and
 * then. Used for refused rights (operation READ, type TOPIC) and for throttling (operation Produce, type
 * producer_byte_rate). One table belongs to one worker; the counters of several tables with one name are the same
 * series. */
struct refusals;

enum {
    REFUSALS_MAX = 2000,          /* series in all workers' tables together; past it the principal is "other" */
    REFUSALS_LINE_MS = 60000,     /* between two lines of one series */
    REFUSALS_PRINCIPAL_MAX = 128, /* bytes of the name that are kept */
};

/* `metric`, `help` and `verb` ("is refused") are kept as pointers. `verb` ends the log line. NULL: no memory. */
struct refusals *refusals_new(const char *metric, const char *help, const char *verb, size_t series_max);
void refusals_free(struct refusals *r); /* NULL is fine; the counters stay */
/* Count one, and log it unless too much was logged already. Costs one hash lookup. `operation` and `type` are plain
 * words; `name` is for the log line only. */
void refusals_note(struct refusals *r, struct slice principal, const char *operation, const char *type,
                   struct slice name, int64_t now_ms);
/* How many lines were written, for tests. */
size_t refusals_lines(const struct refusals *r);

#endif
