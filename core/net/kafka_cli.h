/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_KAFKA_CLI_H
#define CASTELLAN_NET_KAFKA_CLI_H

#include "core/base/arena.h"
#include "core/base/settings.h"
#include "core/net/kafka_client.h"

/* Blocking calls to a Kafka cluster, for the command line: a bootstrap list, connections to nodes as they are needed,
 * all on a private loop. Not thread-safe. */
struct kafka_cli;

enum {
    KAFKA_CLI_ANY = -1,        /* whichever node answers */
    KAFKA_CLI_CONTROLLER = -2, /* the controller, as Metadata tells */
};

/* The rows of a client .properties file; unknown keys are refused by settings_load(). A verb with keys of its own puts
 * these rows into its table. */
#define KAFKA_CLI_SETTING_ROWS                                                                                         \
    {"bootstrap.servers", SETTING_LIST, NULL, 0, 0, "host:port, comma-separated"},                                     \
        {"security.protocol", SETTING_STRING, "PLAINTEXT", 0, 0, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"},        \
        {"sasl.mechanism", SETTING_STRING, NULL, 0, 0, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},                       \
        {"sasl.jaas.config", SETTING_PASSWORD, NULL, 0, 0, "...LoginModule required username=\"u\" password=\"p\";"},  \
        {"client.id", SETTING_STRING, "castellan-cli", 0, 0, "client id"},                                             \
        {"request.timeout.ms", SETTING_INT, "30000", 1, 3600000, "time for one request"},                              \
        {"castellan.registry.url", SETTING_STRING, NULL, 0, 0, "the registry, https://host:port"},                     \
        {"castellan.admin.url", SETTING_STRING, NULL, 0, 0, "the admin API, https://host:port"}, TLS_SETTING_ROWS("")

enum err kafka_cli_open_settings(struct kafka_cli **out, const struct settings *s, struct reason *why) MUST_CHECK;
void kafka_cli_close(struct kafka_cli *c);

/* One request to one node; the response struct is decoded at the negotiated version, its slices live in the arena.
 * ERR_UNSUPPORTED_VERSION when the node does not speak the API. Errors inside the response are the caller's to read. */
enum err kafka_cli_call(struct kafka_cli *c, int32_t node_id, int16_t api_key, const void *request, void *response,
                        struct arena *a, struct reason *why) MUST_CHECK;
/* The coordinator (FindCoordinator) of a group (key_type 0) or transactional id (1). */
enum err kafka_cli_coordinator(struct kafka_cli *c, int8_t key_type, struct slice key, int32_t *node_id,
                               struct reason *why) MUST_CHECK;
/* The version kafka_cli_call() would use at the node, -1 when it does not speak it. */
enum err kafka_cli_version(struct kafka_cli *c, int32_t node_id, int16_t api_key, int16_t *version,
                           struct reason *why) MUST_CHECK;

/* username and password out of a JAAS line; the password is the caller's to free. */
enum err kafka_jaas_parse(struct slice line, struct buf *user, struct secret *password, struct reason *why) MUST_CHECK;
enum err kafka_sasl_from_name(const char *mechanism, enum kafka_sasl *out) MUST_CHECK;

#endif
