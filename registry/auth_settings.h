/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AUTH_SETTINGS_H
#define CASTELLAN_REGISTRY_AUTH_SETTINGS_H

#include "core/base/settings.h"
#include "registry/auth.h"

/* The settings of who may use the registry, for its table of settings; Kafka's and Confluent's own names where they
 * have one (KIP-768, KIP-1139). */
#define AUTH_SETTING_ROWS                                                                                              \
    {"authentication.method", SETTING_LIST, "BASIC", 0, 0, "BASIC, BEARER or both; NONE for certificates alone"},      \
        FAILURE_DELAY_SETTING_ROW,                                                                                     \
        {"authentication.realm", SETTING_STRING, "castellan", 0, 0, "realm of the challenges"},                        \
        {"super.users", SETTING_STRING, NULL, 0, 0, "principals that may do everything, separated by ';'"},            \
        {"ssl.principal.mapping.rules", SETTING_STRING, NULL, 0, 0, "from certificate subjects to principals"},        \
        {"sasl.oauthbearer.jwks.endpoint.url",                                                                         \
         SETTING_STRING,                                                                                               \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "the keys of bearer tokens: https://... or file:/..."},                                                       \
        {"sasl.oauthbearer.expected.audience",                                                                         \
         SETTING_STRING,                                                                                               \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         "audiences a token may be meant for, comma-separated; unset: any"},                                           \
        {"sasl.oauthbearer.expected.issuer", SETTING_STRING, NULL, 0, 0, "who must have issued it; unset: anybody"},   \
        {"sasl.oauthbearer.clock.skew.seconds", SETTING_INT, "30", 0, 600, "how far clocks may differ"},               \
        {"sasl.oauthbearer.scope.claim.name", SETTING_STRING, "scope", 0, 0, "the claim that holds scopes"},           \
        {"sasl.oauthbearer.sub.claim.name", SETTING_STRING, "sub", 0, 0, "the claim that names the user"},             \
        {"sasl.oauthbearer.jwks.endpoint.refresh.ms", SETTING_INT, "3600000", 100, INT64_C(604800000),                 \
         "how often the keys are read anew"},                                                                          \
        {"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",                                                            \
         SETTING_INT,                                                                                                  \
         "100",                                                                                                        \
         1,                                                                                                            \
         600000,                                                                                                       \
         "first pause after a failed reading"},                                                                        \
        {"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",                                                        \
         SETTING_INT,                                                                                                  \
         "10000",                                                                                                      \
         1,                                                                                                            \
         3600000,                                                                                                      \
         "longest pause after failed readings"},                                                                       \
        {"castellan.oauthbearer.jwks.ask.ms",                                                                          \
         SETTING_INT,                                                                                                  \
         "10000",                                                                                                      \
         100,                                                                                                          \
         3600000,                                                                                                      \
         "unknown keys lead to a reading at most this often"},                                                         \
        {"castellan.oauthbearer.required.scope", SETTING_STRING, NULL, 0, 0, "a scope every token must have"},         \
    {                                                                                                                  \
        "castellan.oauthbearer.ssl.truststore.location", SETTING_STRING, NULL, 0, 0,                                   \
            "PEM: the authority of the JWKS server; unset: the system's"                                               \
    }

/* Fills all but `memory` and `kafka`; strings live as long as `s`. ERR_BAD_CONFIG names the setting. */
enum err auth_config_read(struct auth_config *out, const struct settings *s, struct reason *why) MUST_CHECK;

#endif
