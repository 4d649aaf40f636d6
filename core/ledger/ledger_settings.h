/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_LEDGER_SETTINGS_H
#define CASTELLAN_LEDGER_LEDGER_SETTINGS_H

#include "core/base/settings.h"

/* From a role's configuration to librdkafka's settings towards the cluster: ledger_config.kafka. The strings live as
 * long as the settings they came from. Zeroed is empty. */
enum { LEDGER_SETTINGS_MAX = 64 }; /* words, the closing NULL included */

struct ledger_settings {
    const char *words[LEDGER_SETTINGS_MAX]; /* key, value, key, value, ..., NULL */
    size_t n;
};

/* One more pair; a NULL value adds nothing. */
void ledger_settings_put(struct ledger_settings *l, const char *key, const char *value);
/* The address under `bootstrap_key`, security.protocol (default: SSL when there is a truststore) and the
 * TLS_SETTING_ROWS under `prefix`. */
void ledger_settings_cluster(struct ledger_settings *l, const struct settings *s, const char *bootstrap_key,
                             const char *prefix);

#endif
