/* SPDX-License-Identifier: Apache-2.0
 * A token's form, header, signature and claims, in that order; nothing a token says is believed before its signature
 * was checked, except which algorithm and key it claims, and those are held against what the key is.
 *
 * Happy path: cut at the two dots -> decode and read the header -> find the key -> check the signature over the text as
 * it came -> read the claims -> times, issuer, audience, subject, scope. JSON with a member twice is refused (RFC 8725
 * section 2.4: two readers must not see two things), as is base64url that is not the one way to write its bytes.
 * Failures are a verdict from jwt.tbl; the token's text goes nowhere. */
#include "acl/jwt_internal.h"

#include "acl/acl_base64.h"
#include "acl/acl_json.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { SIGNATURE_MAX = JWT_RSA_BITS_MAX / 8 };

/* NumericDate (RFC 7519 section 2) is seconds and may have a fraction; past the year 9999 it is nonsense. */
static const double SECONDS_MAX = 253402300799.0;

static const struct {
    const char *label, *text;
} verdicts[] = {
#define JWT(name, label, text) {label, text},
#include "acl/jwt.tbl"
#undef JWT
};

const char *jwt_verdict_label(enum jwt_verdict v)
{
    return verdicts[v].label;
}

const char *jwt_verdict_text(enum jwt_verdict v)
{
    return verdicts[v].text;
}

/* --- form --- */

struct parts {
    struct slice signed_part; /* header.claims, as it came */
    struct slice header, claims, signature;
};

static bool cut(struct slice token, struct parts *p)
{
    const uint8_t *end = token.p + token.n;
    const uint8_t *first = memchr(token.p, '.', token.n);
    const uint8_t *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    p->header = slice_of(token.p, (size_t)(first - token.p));
    p->claims = slice_of(first + 1, (size_t)(second - first - 1));
    p->signature = slice_of(second + 1, (size_t)(end - second - 1));
    p->signed_part = slice_of(token.p, (size_t)(second - token.p));
    return true;
}

/* A JSON object behind base64url, UTF-8, no member twice. NULL: it is not. */
static json_t *read_object(struct slice text)
{
    struct buf bytes;
    size_t n = 0;
    json_t *j = NULL;
    buf_init(&bytes, JWT_TOKEN_MAX);
    uint8_t *p = buf_grow(&bytes, text.n + 1);
    if (p && base64url_read(text, p, text.n, &n))
        j = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, NULL);
    buf_free(&bytes);
    if (j && !json_is_object(j)) {
        json_decref(j);
        j = NULL;
    }
    return j;
}

/* --- header --- */

/* RFC 8725 section 3.11: tokens that say they are something else (a logout or DPoP token) are not for this. */
static bool type_fits(const json_t *header)
{
    const json_t *typ = json_object_get(header, "typ");
    const char *text = json_string_value(typ);
    if (!typ)
        return true;
    if (!text)
        return false;
    if (!strncasecmp(text, "application/", 12))
        text += 12;
    return !strcasecmp(text, "JWT") || !strcasecmp(text, "at+jwt");
}

static enum jwt_verdict check_header(const json_t *header, const struct jwt_algorithm **a, struct slice *kid)
{
    const json_t *k = json_object_get(header, "kid");
    *kid = acl_json_string(header, "kid");
    *a = jwt_algorithm_find(acl_json_string(header, "alg"));
    if (!*a)
        return JWT_ALGORITHM;
    /* RFC 7515 section 4.1.11: an extension that must be understood, and none is; RFC 7797's b64 must be in crit */
    if (json_object_get(header, "crit") || json_object_get(header, "b64"))
        return JWT_CRITICAL;
    if (k && slice_is_null(*kid))
        return JWT_MALFORMED;
    return type_fits(header) ? JWT_OK : JWT_TYPE;
}

static enum jwt_verdict check_signature(const struct jwt_keys *keys, const struct parts *p, const json_t *header)
{
    const struct jwt_algorithm *a;
    struct slice kid;
    uint8_t signature[SIGNATURE_MAX];
    size_t n = 0;
    enum jwt_verdict v = check_header(header, &a, &kid);
    const struct jwt_key *key = v ? NULL : jwt_keys_find(keys, a, kid);
    if (v)
        return v;
    if (!base64url_read(p->signature, signature, sizeof signature, &n))
        return JWT_MALFORMED;
    if (!key)
        return JWT_UNKNOWN_KEY;
    return jwt_signature_is_good(key, a, p->signed_part, slice_of(signature, n)) ? JWT_OK : JWT_SIGNATURE;
}

/* --- claims --- */

/* False: the claim is there and no sensible time. *seconds stays NAN when it is not there. */
static bool read_time(const json_t *claims, const char *name, double *seconds)
{
    const json_t *v = json_object_get(claims, name);
    *seconds = NAN;
    if (!v)
        return true;
    if (!json_is_number(v))
        return false;
    *seconds = json_number_value(v);
    return *seconds >= 0 && *seconds <= SECONDS_MAX;
}

static enum jwt_verdict check_times(const json_t *claims, int64_t skew_s, int64_t now_ms, int64_t *valid_until_ms)
{
    double exp, nbf, iat, now = (double)now_ms / 1000, skew = (double)skew_s;
    if (!read_time(claims, "exp", &exp) || !read_time(claims, "nbf", &nbf) || !read_time(claims, "iat", &iat))
        return JWT_CLAIM;
    if (isnan(exp))
        return JWT_NO_EXPIRY;
    if (now >= exp + skew)
        return JWT_EXPIRED;
    if (!isnan(nbf) && now + skew < nbf)
        return JWT_NOT_YET_VALID;
    if (!isnan(iat) && now + skew < iat)
        return JWT_ISSUED_LATER;
    *valid_until_ms = (int64_t)((exp + skew) * 1000);
    return JWT_OK;
}

/* Is `word` an item of the list, items apart by `separator` and blanks? */
static bool list_has(const char *list, char separator, struct slice word)
{
    struct slice rest = slice_str(list), item;
    while (slice_next_item(&rest, separator, &item))
        if (item.n && slice_eq(item, word))
            return true;
    return false;
}

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static enum jwt_verdict check_audience(const json_t *claims, const char *expected)
{
    const json_t *aud = json_object_get(claims, "aud"), *one;
    size_t i;
    if (!expected)
        return JWT_OK;
    if (json_is_string(aud))
        return list_has(expected, ',', text_of(aud)) ? JWT_OK : JWT_AUDIENCE;
    if (json_array_size(aud) > JWT_AUDIENCES_MAX)
        return JWT_CLAIM;
    json_array_foreach(aud, i, one) if (json_is_string(one) && list_has(expected, ',', text_of(one))) return JWT_OK;
    return JWT_AUDIENCE;
}

static enum jwt_verdict read_subject(const json_t *claims, const char *name, char *out)
{
    struct slice sub = acl_json_string(claims, name);
    if (!sub.n || slice_eq_str(sub, "*"))
        return JWT_SUBJECT;
    if (sub.n > JWT_SUBJECT_MAX)
        return JWT_CLAIM;
    for (size_t i = 0; i < sub.n; i++)
        if (sub.p[i] < 0x20 || sub.p[i] == 0x7f)
            return JWT_CLAIM;
    memcpy(out, sub.p, sub.n);
    out[sub.n] = 0;
    return JWT_OK;
}

static enum jwt_verdict check_scope(const json_t *claims, const struct jwt_policy *policy)
{
    const json_t *scope = json_object_get(claims, policy->scope_claim), *one;
    size_t i;
    if (scope && !json_is_string(scope) && !json_is_array(scope))
        return JWT_CLAIM;
    if (!policy->scope)
        return JWT_OK;
    if (json_is_string(scope))
        return list_has(json_string_value(scope), ' ', slice_str(policy->scope)) ? JWT_OK : JWT_SCOPE;
    json_array_foreach(scope, i, one) if (slice_eq_str(text_of(one), policy->scope)) return JWT_OK;
    return JWT_SCOPE;
}

static enum jwt_verdict check_claims(const json_t *claims, const struct jwt_policy *policy, int64_t now_ms,
                                     struct jwt_identity *out)
{
    enum jwt_verdict v = check_times(claims, policy->clock_skew_s, now_ms, &out->valid_until_ms);
    if (!v && policy->issuer && !slice_eq_str(acl_json_string(claims, "iss"), policy->issuer))
        v = JWT_ISSUER;
    if (!v)
        v = check_audience(claims, policy->audience);
    if (!v)
        v = read_subject(claims, policy->sub_claim, out->subject);
    return v ? v : check_scope(claims, policy);
}

enum jwt_verdict jwt_verify(const struct jwt_keys *keys, const struct jwt_policy *policy, struct slice token,
                            int64_t now_ms, struct jwt_identity *out)
{
    struct parts p;
    json_t *header = NULL, *claims = NULL;
    enum jwt_verdict v;
    *out = (struct jwt_identity){0};
    if (token.n > JWT_TOKEN_MAX)
        return JWT_TOO_LARGE;
    if (!token.n || !cut(token, &p) || !(header = read_object(p.header)))
        return JWT_MALFORMED;
    v = check_signature(keys, &p, header);
    if (!v && !(claims = read_object(p.claims)))
        v = JWT_MALFORMED;
    if (!v)
        v = check_claims(claims, policy, now_ms, out);
    json_decref(header);
    json_decref(claims);
    return v;
}
