/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SESSION_H
#define CASTELLAN_CLI_SESSION_H

#include "cli/table.h"
#include "cli/verb.h"
#include "core/base/arena.h"
#include "core/net/kafka_cli.h"
#include "wire/keys.h"

/* One run of an admin verb: its words, the client properties, connections made when they are first needed, and the
 * reason it failed. */
struct session {
    const struct verb *verb;
    const struct args *args;
    const char *const *words; /* the operands after the action */
    size_t word_count;
    const char *config;        /* path of the client properties */
    bool usage_wrong;          /* the words were wrong: exit 2 */
    struct settings *settings; /* the client properties, once session_load() read them */
    struct kafka_cli *kafka;
    struct http *http;
    long http_status, http_code; /* of the last HTTP answer: its status, its error_code (0: none) */
    struct arena arena;          /* answers live here until the end */
    struct reason why;
};

/* `castellan VERB ACTION words...` */
struct action {
    const char *name; /* NULL ends the list; "" is the verb without an action */
    size_t words_min, words_max;
    enum err (*run)(struct session *s);
};

/* Finds the action, runs it, prints the reason when it failed. Returns the exit status. */
int session_dispatch(const struct verb *verb, const struct args *args, const struct action *actions);

/* For actions. A failing path is `return session_...(s, ...)`. */
enum err session_wrong_usage(struct session *s, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(2, 3);
enum err session_fail(struct session *s, enum err err, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(3, 4);
/* A peer refused: "TASK: KAFKA_ERROR_NAME: words; what to do". `message` may be null. ERR_OK passes. */
enum err session_check(struct session *s, int16_t code, struct slice message, const char *fmt, ...) MUST_CHECK
    PRINTF_LIKE(4, 5);
const char *session_option(const struct session *s, const char *name); /* NULL: not given */
bool session_flag(const struct session *s, const char *name);
/* A decimal option within [min, max]; *out stays when it was not given. */
enum err session_number(struct session *s, const char *name, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

enum { SESSION_PASSWORD_MAX = 1024 };
/* --password-stdin: the first line of stdin. */
enum err session_read_password(struct session *s, struct secret *out) MUST_CHECK;

/* Reads the client properties, once; session_call() and session_http() do it themselves. */
enum err session_load(struct session *s) MUST_CHECK;

/* Kafka: node is an id, KAFKA_CLI_ANY or KAFKA_CLI_CONTROLLER. */
enum err session_call(struct session *s, int32_t node, int16_t api_key, const void *request, void *response) MUST_CHECK;

/* HTTP with JSON. `path` is already escaped (session_put_escaped); `body` may be NULL. *answer (may be NULL) is the
 * caller's to json_decref, NULL when the answer had no body. A status of 400 and more is an error whose words are the
 * server's. */
enum session_api { SESSION_REGISTRY, SESSION_ADMIN };
enum err session_http(struct session *s, enum session_api api, const char *method, const char *path, const json_t *body,
                      json_t **answer) MUST_CHECK;
/* Another server of the registry's interface than the one of the client properties. The strings are borrowed. */
struct http_peer {
    const char *url;  /* http[s]://HOST:PORT[/PATH] */
    const char *user; /* NULL: nobody */
    struct secret password;
    const char *ca; /* PEM; NULL: the system's */
    bool insecure;  /* its certificate is not verified, and the password may go in the clear */
    struct http *http;
};
enum err session_http_peer(struct session *s, struct http_peer *peer, const char *method, const char *path,
                           const json_t *body, json_t **answer) MUST_CHECK;
void http_peer_free(struct http_peer *peer);
void session_put_escaped(struct buf *out, const char *text); /* percent-encoded */
/* The bytes that a word of the command line names: itself or, with --encoded, percent-decoded as in the admin API's
 * paths. They live as long as the session. */
enum err session_bytes(struct session *s, const char *text, struct slice *out) MUST_CHECK;
/* FIRST NAME REST, the name escaped (or NULL). */
void session_put_path(struct buf *out, const char *first, const char *name, const char *rest);
void http_free(struct http *h);

/* The outcome: with --json the value (taken), else a table, a list of fields, or the sentence. */
enum err session_show_rows(struct session *s, json_t *rows, const struct table_column *columns,
                           const char *when_empty) MUST_CHECK;
enum err session_show_fields(struct session *s, json_t *object, const struct table_column *columns) MUST_CHECK;
enum err session_say(struct session *s, json_t *object, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(3, 4);
json_t *session_json_slice(struct slice text); /* null slice: JSON null; bytes that are no UTF-8: "?" */

#endif
