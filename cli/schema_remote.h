/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SCHEMA_REMOTE_H
#define CASTELLAN_CLI_SCHEMA_REMOTE_H

#include "cli/schema_set.h"

/* A registry at the other end: the one of the client properties (peer NULL), or another. What fails for a reason that
 * passes (no connection, 429, 5xx) is asked again, with longer and longer pauses. Everything asked here may be asked
 * twice. */
struct remote {
    struct session *s;
    struct http_peer *peer;
    const char *name; /* for messages */
};

enum { REMOTE_TRIES = 7, REMOTE_PAUSE_MS_MIN = 100, REMOTE_PAUSE_MS_MAX = 3000 };

/* FIRST SUBJECT REST, the subject escaped (or NULL). */
enum err remote_ask(struct remote *r, const char *method, const json_t *body, json_t **answer, const char *first,
                    const char *subject, const char *rest) MUST_CHECK;
/* The same, where "not there" (404, or 405: not served at all) leaves *answer NULL. */
enum err remote_look(struct remote *r, json_t **answer, const char *first, const char *subject,
                     const char *rest) MUST_CHECK;

/* One line on stderr once a second, from the third second on. */
struct progress {
    int64_t started_ms, said_ms;
    bool open; /* a line of a terminal is not ended yet */
};
void progress_start(struct progress *p);
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void progress_end(struct progress *p);

/* SIGINT and SIGTERM end what is running at its next request, instead of the process: modes are put back. */
void remote_catch_signals(void);
void remote_go_on(void); /* ask again after a signal, to tidy up */

struct schema_filter {
    const char *context; /* ".NAME" or "NAME"; NULL: all */
    const char *prefix;  /* of the qualified subject; NULL: all */
};
bool schema_filter_takes(const struct schema_filter *f, const char *subject);

/* Reads what the filter takes: schemas with what is softly deleted, configurations, modes. What the registry does not
 * serve is noted in the set. */
enum err remote_read(struct remote *r, const struct schema_filter *filter, struct schema_set *set) MUST_CHECK;

#endif
