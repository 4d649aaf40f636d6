/* SPDX-License-Identifier: Apache-2.0
 * Reads a client's tokens before cyrus-sasl does: who is claimed, does the authorization id agree, is there something
 * we refuse (channel binding, mandatory extensions, delegation tokens). cyrus parses them again and does the proof.
 * Being stricter than cyrus here also keeps its less travelled paths (channel binding without data) out of reach. */
#include "acl/sasl_internal.h"

static const char text_other_user[] =
    "Authentication failed: Client requested an authorization id that is different from username";

static bool claim(struct sasl_session *s, struct slice user)
{
    if (credential_user_validate(user, NULL))
        return false;
    memcpy(s->claimed, user.p, user.n);
    s->claimed[user.n] = 0;
    s->claimed_n = user.n;
    s->has_claimed = true;
    return true;
}

/* RFC 4616: message = [authzid] NUL authcid NUL passwd. Texts are those of Kafka's PlainSaslServer. */
enum sasl_reason sasl_token_plain(struct sasl_session *s, struct slice token, const char **error)
{
    struct slice part[3] = {{0}};
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= token.n; i++) {
        if (i < token.n && token.p[i])
            continue;
        if (n < 3)
            part[n] = slice_of(token.p + start, i - start);
        n++;
        start = i + 1;
    }
    if (n != 3) {
        *error = "Invalid SASL/PLAIN response: expected 3 tokens";
        return SASL_REASON_MALFORMED;
    }
    if (part[1].n == 0) {
        *error = "Authentication failed: username not specified";
        return SASL_REASON_MALFORMED;
    }
    if (part[2].n == 0) {
        *error = "Authentication failed: password not specified";
        return SASL_REASON_MALFORMED;
    }
    if (!claim(s, part[1]) || part[2].n > CREDENTIAL_PASSWORD_MAX)
        return SASL_REASON_CREDENTIALS; /* nobody can have such a name or password */
    if (part[0].n && !slice_eq(part[0], part[1])) {
        *error = text_other_user;
        return SASL_REASON_AUTHORIZATION_ID;
    }
    return SASL_REASON_NONE;
}

/* The text up to the next comma, which is eaten; false at the end. */
static bool next_part(struct slice *rest, struct slice *part)
{
    const uint8_t *comma;

    if (slice_is_null(*rest))
        return false;
    comma = rest->n ? memchr(rest->p, ',', rest->n) : NULL;
    *part = slice_of(rest->p, comma ? (size_t)(comma - rest->p) : rest->n);
    *rest = comma ? slice_of(comma + 1, rest->n - part->n - 1) : SLICE_NULL;
    return true;
}

static bool value_of(struct slice part, const char *prefix, struct slice *value)
{
    if (!slice_starts(part, slice_str(prefix)))
        return false;
    *value = slice_of(part.p + 2, part.n - 2);
    return true;
}

/* RFC 5802 saslname: "=2C" is a comma, "=3D" an equals sign, no other '='. False also when it is too long. */
static bool decode_name(struct slice in, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];
        if (c == '=') {
            if (in.n - i < 3)
                return false;
            if (memcmp(in.p + i, "=2C", 3) == 0)
                c = ',';
            else if (memcmp(in.p + i, "=3D", 3) != 0)
                return false;
            i += 2;
        }
        if (*n == cap)
            return false;
        out[(*n)++] = c;
    }
    return true;
}

static bool printable(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.n > 0;
}

/* client-first-message = gs2-cbind-flag "," [authzid] "," [reserved-mext ","] "n=" saslname ",r=" nonce ["," ext] */
enum sasl_reason sasl_token_scram_first(struct sasl_session *s, struct slice token, const char **error)
{
    uint8_t name[CREDENTIAL_USER_MAX], other[CREDENTIAL_USER_MAX];
    size_t name_n, other_n = 0;
    struct slice rest = token, part, value;

    if (token.n && memchr(token.p, 0, token.n))
        return SASL_REASON_MALFORMED;
    if (!next_part(&rest, &part) || (!slice_eq_str(part, "n") && !slice_eq_str(part, "y")))
        return SASL_REASON_MALFORMED; /* "p=": channel binding was never offered */
    if (!next_part(&rest, &part) ||
        (part.n && (!value_of(part, "a=", &value) || !decode_name(value, other, sizeof other, &other_n))))
        return SASL_REASON_MALFORMED;
    if (!next_part(&rest, &part))
        return SASL_REASON_MALFORMED;
    if (slice_starts(part, slice_str("m=")))
        return SASL_REASON_EXTENSION;
    if (!value_of(part, "n=", &value) || !decode_name(value, name, sizeof name, &name_n))
        return SASL_REASON_MALFORMED;
    if (!claim(s, slice_of(name, name_n)))
        return SASL_REASON_CREDENTIALS;
    if (!next_part(&rest, &part) || !value_of(part, "r=", &value) || !printable(value))
        return SASL_REASON_MALFORMED;
    while (next_part(&rest, &part)) /* optional extensions are ignored, but for Kafka's delegation tokens (KIP-48) */
        if (slice_eq_str(part, "tokenauth=true"))
            return SASL_REASON_EXTENSION;
    if (other_n && !slice_eq(slice_of(other, other_n), slice_of(name, name_n))) {
        *error = text_other_user;
        return SASL_REASON_AUTHORIZATION_ID;
    }
    return SASL_REASON_NONE;
}

/* client-final-message = "c=" base64 ",r=" nonce ["," extensions] ",p=" base64 */
enum sasl_reason sasl_token_scram_final(struct slice token)
{
    struct slice rest = token, part, value;

    if (token.n && memchr(token.p, 0, token.n))
        return SASL_REASON_MALFORMED;
    if (!next_part(&rest, &part) || !value_of(part, "c=", &value) || !next_part(&rest, &part) ||
        !value_of(part, "r=", &value) || !printable(value))
        return SASL_REASON_MALFORMED;
    while (next_part(&rest, &part))
        if (value_of(part, "p=", &value))
            return slice_is_null(rest) && value.n ? SASL_REASON_NONE : SASL_REASON_MALFORMED;
    return SASL_REASON_MALFORMED;
}
