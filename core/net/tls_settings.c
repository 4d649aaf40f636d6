/* SPDX-License-Identifier: Apache-2.0
 * Kafka's ssl.* settings as tls_opts. Stores are PEM; whoever brings JKS or PKCS12 is told so. */
#include "core/net/tls.h"

#include <stdio.h>
#include <strings.h>

static const char *get(const struct settings *s, const char *prefix, const char *key)
{
    char name[160];
    const char *v;

    snprintf(name, sizeof name, "%s%s", prefix, key);
    v = settings_string(s, name);
    return v && *v ? v : NULL;
}

static enum err check_pem(const struct settings *s, const char *prefix, const char *key, struct reason *why)
{
    const char *type = get(s, prefix, key);

    if (!type || !strcasecmp(type, "PEM"))
        return ERR_OK;
    return reason_set(why, ERR_BAD_CONFIG, "%s%s=%s: only PEM is supported (convert with keytool and openssl pkcs12)",
                      prefix, key, type);
}

enum err tls_opts_from_settings(struct tls_opts *out, const struct settings *s, const char *prefix, struct reason *why)
{
    const char *word;
    enum err err = check_pem(s, prefix, "ssl.keystore.type", why);

    *out = (struct tls_opts){0};
    if (!err)
        err = check_pem(s, prefix, "ssl.truststore.type", why);
    if (err)
        return err;
    out->keystore = get(s, prefix, "ssl.keystore.location");
    out->key_password = get(s, prefix, "ssl.key.password");
    out->truststore = get(s, prefix, "ssl.truststore.location");
    out->protocols = get(s, prefix, "ssl.enabled.protocols");
    out->ciphers = get(s, prefix, "ssl.cipher.suites");
    word = get(s, prefix, "ssl.client.auth");
    if (!word || !strcmp(word, "none"))
        out->client_auth = TLS_CLIENT_AUTH_NONE;
    else if (!strcmp(word, "requested"))
        out->client_auth = TLS_CLIENT_AUTH_REQUESTED;
    else if (!strcmp(word, "required"))
        out->client_auth = TLS_CLIENT_AUTH_REQUIRED;
    else
        return reason_set(why, ERR_BAD_CONFIG, "%sssl.client.auth=%s is not none, requested or required", prefix, word);
    word = get(s, prefix, "ssl.endpoint.identification.algorithm");
    if (word && strcasecmp(word, "https") != 0)
        return reason_set(why, ERR_BAD_CONFIG, "%sssl.endpoint.identification.algorithm=%s is neither https nor empty",
                          prefix, word);
    out->skip_hostname = !word;
    return ERR_OK;
}
