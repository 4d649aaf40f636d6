/* SPDX-License-Identifier: Apache-2.0
 * From the registry's settings to what auth.c needs. What would let somebody in by mistake is an error or a warning. */
#include "registry/auth_settings.h"

#include "core/base/log.h"

#include <strings.h>

static bool word_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

static enum err read_methods(struct auth_config *out, const struct settings *s, struct reason *why)
{
    struct slice one;
    bool none = false;
    for (size_t i = 0; !slice_is_null(one = settings_list(s, "authentication.method", i)); i++) {
        if (word_is(one, "BASIC"))
            out->basic = true;
        else if (word_is(one, "BEARER") || word_is(one, "OAUTHBEARER"))
            out->bearer = true;
        else if (word_is(one, "NONE"))
            none = true;
        else
            return reason_set(why, ERR_BAD_CONFIG, "authentication.method: '%.*s' is not BASIC, BEARER or NONE",
                              SLICE_FMT(one));
    }
    if (none && (out->basic || out->bearer))
        return reason_set(why, ERR_BAD_CONFIG, "authentication.method: NONE stands alone");
    return ERR_OK;
}

static const char *filled(const struct settings *s, const char *key)
{
    const char *v = settings_string(s, key);
    return v && *v ? v : NULL;
}

static enum err read_tokens(struct auth_config *out, const struct settings *s, struct reason *why)
{
    const char *url = filled(s, "sasl.oauthbearer.jwks.endpoint.url");
    if (!url)
        return reason_set(why, ERR_BAD_CONFIG, "authentication.method=BEARER needs sasl.oauthbearer.jwks.endpoint.url");
    out->jwks = (struct jwks_config){
        .url = url,
        .truststore = filled(s, "castellan.oauthbearer.ssl.truststore.location"),
        .refresh_ms = settings_int(s, "sasl.oauthbearer.jwks.endpoint.refresh.ms"),
        .retry_ms = settings_int(s, "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"),
        .retry_ms_max = settings_int(s, "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"),
        .ask_ms_min = settings_int(s, "castellan.oauthbearer.jwks.ask.ms"),
    };
    out->tokens = (struct jwt_policy){
        .issuer = filled(s, "sasl.oauthbearer.expected.issuer"),
        .audience = filled(s, "sasl.oauthbearer.expected.audience"),
        .sub_claim = settings_string(s, "sasl.oauthbearer.sub.claim.name"),
        .scope_claim = settings_string(s, "sasl.oauthbearer.scope.claim.name"),
        .scope = filled(s, "castellan.oauthbearer.required.scope"),
        .clock_skew_s = settings_int(s, "sasl.oauthbearer.clock.skew.seconds"),
    };
    if (!out->tokens.audience)
        log_warn("sasl.oauthbearer.expected.audience is not set: tokens meant for other services are accepted too");
    if (!out->tokens.issuer)
        log_warn("sasl.oauthbearer.expected.issuer is not set: whoever the keys belong to may be the issuer");
    return ERR_OK;
}

enum err auth_config_read(struct auth_config *out, const struct settings *s, struct reason *why)
{
    enum err e = read_methods(out, s, why);
    out->failed_delay_ms = settings_int(s, "connection.failed.authentication.delay.ms");
    out->super_users = settings_string(s, "super.users");
    out->mapping_rules = settings_string(s, "ssl.principal.mapping.rules");
    if (!e && strpbrk(settings_string(s, "authentication.realm"), "\"\\\r\n"))
        e = reason_set(why, ERR_BAD_CONFIG, "authentication.realm: quotes and backslashes do not fit a challenge");
    if (!e && out->bearer)
        e = read_tokens(out, s, why);
    else if (!e && filled(s, "sasl.oauthbearer.jwks.endpoint.url"))
        log_warn("sasl.oauthbearer.jwks.endpoint.url is not used: authentication.method does not name BEARER");
    return e;
}
