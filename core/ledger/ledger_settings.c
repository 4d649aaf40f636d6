/* SPDX-License-Identifier: Apache-2.0
 * Kafka's names for TLS on the way into librdkafka's. */
#include "core/ledger/ledger_settings.h"

#include <stdio.h>

enum { SETTING_KEY_MAX = 128 };

void ledger_settings_put(struct ledger_settings *l, const char *key, const char *value)
{
    if (!value || l->n + 3 > LEDGER_SETTINGS_MAX)
        return;
    l->words[l->n++] = key;
    l->words[l->n++] = value;
}

static const char *prefixed(const struct settings *s, const char *prefix, const char *key)
{
    char name[SETTING_KEY_MAX];
    snprintf(name, sizeof name, "%s%s", prefix, key);
    return settings_string(s, name);
}

void ledger_settings_cluster(struct ledger_settings *l, const struct settings *s, const char *bootstrap_key,
                             const char *prefix)
{
    const char *keystore = prefixed(s, prefix, "ssl.keystore.location");
    const char *truststore = prefixed(s, prefix, "ssl.truststore.location");
    const char *protocol = prefixed(s, prefix, "security.protocol");
    const char *names = prefixed(s, prefix, "ssl.endpoint.identification.algorithm");

    ledger_settings_put(l, "bootstrap.servers", settings_string(s, bootstrap_key));
    ledger_settings_put(l, "security.protocol", protocol ? protocol : truststore ? "SSL" : NULL);
    ledger_settings_put(l, "ssl.ca.location", truststore);
    ledger_settings_put(l, "ssl.certificate.location", keystore);
    ledger_settings_put(l, "ssl.key.location", keystore);
    ledger_settings_put(l, "ssl.key.password", prefixed(s, prefix, "ssl.key.password"));
    ledger_settings_put(l, "ssl.endpoint.identification.algorithm", *names ? names : "none");
}
