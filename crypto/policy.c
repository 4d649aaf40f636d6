/* SPDX-License-Identifier: Apache-2.0
 * What one privacy policy is: its words, its checks, its record. Anything this version cannot enforce is refused here,
 * with the words to say so, because a policy that is stored but not enforced would leave people's data in the clear. */
#include "crypto/policy.h"
#include "crypto/policy_internal.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const erased_names[] = {
    [POLICY_ERASED_NULL] = "null",
    [POLICY_ERASED_SKIP] = "skip",
    [POLICY_ERASED_REDACT] = "redact",
    [POLICY_ERASED_ERROR] = "error",
    [POLICY_ERASED_CIPHERTEXT] = "ciphertext",
};
enum { ERASED_COUNT = sizeof erased_names / sizeof *erased_names };

const char *policy_erased_name(enum policy_erased e)
{
    return (unsigned)e < ERASED_COUNT ? erased_names[e] : "unknown";
}

bool policy_erased_parse(struct slice text, enum policy_erased *out)
{
    for (int i = 0; i < ERASED_COUNT; i++) {
        if (slice_eq_str(text, erased_names[i])) {
            *out = (enum policy_erased)i;
            return true;
        }
    }
    return false;
}

/* Kafka's topic names: letters, digits, dot, underscore, hyphen; not "." or "..". */
static bool topic_ok(const char *s, bool prefix)
{
    size_t n = strlen(s);
    if (n == 0 || n > POLICY_NAME_MAX || (!prefix && (!strcmp(s, ".") || !strcmp(s, ".."))))
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* Printable, without quotes' surprises: what may stand in a record key, a log line and an AAD. */
static bool text_ok(const char *s, size_t max)
{
    size_t n = strlen(s);
    if (n == 0 || n > max)
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    }
    return true;
}

static enum err parse_subject(struct policy_owned *p, const char *text, struct reason *why)
{
    struct slice s = slice_str(text);
    if (!text)
        return reason_set(why, ERR_POLICY_VIOLATION,
                          "a policy must say whose data it is: subject-from key or header:NAME");
    p->policy.subject_arg = "";
    if (slice_eq_str(s, "key")) {
        p->policy.subject = POLICY_SUBJECT_KEY;
        return ERR_OK;
    }
    if (slice_starts(s, slice_str("header:"))) {
        if (!text_ok(text + 7, POLICY_TEXT_MAX))
            return reason_set(why, ERR_POLICY_VIOLATION,
                              "subject-from header: needs a header's name, as in header:user-id");
        p->policy.subject = POLICY_SUBJECT_HEADER;
        return policy_own(p, &p->policy.subject_arg, text + 7);
    }
    if (slice_starts(s, slice_str("field:")))
        return reason_set(why, ERR_UNSUPPORTED,
                          "subject-from field:PATH cannot be enforced yet; use key or header:NAME");
    return reason_set(why, ERR_POLICY_VIOLATION, "subject-from '%.80s' is none of key, header:NAME", text);
}

static enum err parse_protect(struct policy_owned *p, const char *text, struct reason *why)
{
    struct slice s = slice_str(text);
    if (!text)
        return reason_set(why, ERR_POLICY_VIOLATION, "a policy must say what it protects: protect value");
    p->policy.protect_arg = "";
    if (slice_eq_str(s, "value")) {
        p->policy.protect = POLICY_PROTECT_VALUE;
        return ERR_OK;
    }
    if (slice_starts(s, slice_str("fields:")) || slice_starts(s, slice_str("tag:")))
        return reason_set(why, ERR_UNSUPPORTED,
                          "protect '%.80s' cannot be enforced yet; use value, which protects every field", text);
    return reason_set(why, ERR_POLICY_VIOLATION, "protect '%.80s' is not known; use value", text);
}

static enum err parse_suite(struct policy_owned *p, const char *text, struct reason *why)
{
    struct slice s = slice_str(text);
    if (!text || slice_eq_str(s, "auto"))
        p->policy.suite = 0;
    else if (slice_eq_str(s, envelope_suite_name(ENVELOPE_AES_256_GCM)))
        p->policy.suite = ENVELOPE_AES_256_GCM;
    else if (slice_eq_str(s, envelope_suite_name(ENVELOPE_CHACHA20_POLY1305)))
        p->policy.suite = ENVELOPE_CHACHA20_POLY1305;
    else
        return reason_set(why, ERR_POLICY_VIOLATION, "suite '%.40s' is none of auto, aes-256-gcm, chacha20-poly1305",
                          text);
    return ERR_OK;
}

static enum err own_name(struct policy_owned *p, const char **out, const char *text, const char *fallback,
                         const char *what, struct reason *why)
{
    if (!text) {
        *out = fallback;
        return ERR_OK;
    }
    if (!text_ok(text, ENVELOPE_NAME_MAX))
        return reason_set(why, ERR_POLICY_VIOLATION, "%s must have 1 to %d printable characters", what,
                          ENVELOPE_NAME_MAX);
    return policy_own(p, out, text);
}

static enum err fill(struct policy_owned *p, const struct policy_words *w, struct reason *why)
{
    enum err e;
    if (!w->topic || !topic_ok(w->topic, w->prefixed))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "'%.80s' is no topic %s", w->topic ? w->topic : "",
                          w->prefixed ? "prefix" : "name");
    if (!strncmp(w->topic, "__", 2) || (!w->prefixed && !strcmp(w->topic, "_schemas")))
        return reason_set(why, ERR_POLICY_VIOLATION, "the internal topic '%.80s' cannot have a privacy policy",
                          w->topic);
    p->policy.prefixed = w->prefixed;
    if ((e = policy_own(p, &p->policy.topic, w->topic)) || (e = parse_subject(p, w->subject_from, why)) ||
        (e = parse_protect(p, w->protect, why)) || (e = parse_suite(p, w->suite, why)) ||
        (e = own_name(p, &p->policy.lineage, w->lineage, "", "lineage", why)) ||
        (e = own_name(p, &p->policy.tenant, w->tenant, POLICY_TENANT_DEFAULT, "tenant", why)) ||
        (e = own_name(p, &p->policy.subject_class, w->subject_class, POLICY_CLASS_DEFAULT, "class", why)))
        return e;
    if (!w->erased || !policy_erased_parse(slice_str(w->erased), &p->policy.erased))
        return reason_set(why, ERR_POLICY_VIOLATION, "erased '%.40s' is none of null, skip, redact, error, ciphertext",
                          w->erased ? w->erased : "");
    return ERR_OK;
}

enum err policy_own(struct policy_owned *p, const char **out, const char *text)
{
    *out = arena_strdup(&p->arena, slice_str(text));
    return *out ? ERR_OK : ERR_NO_MEMORY;
}

enum err policy_new(struct policy **out, const struct policy_words *words, struct reason *why)
{
    struct policy_owned *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a policy");
    arena_init(&p->arena, POLICY_RECORD_MAX);
    enum err e = fill(p, words, why);
    if (e) {
        policy_free(&p->policy);
        return e;
    }
    *out = &p->policy;
    return ERR_OK;
}

void policy_free(struct policy *policy)
{
    struct policy_owned *p = (struct policy_owned *)policy;
    if (!p)
        return;
    arena_free(&p->arena);
    free(p);
}

void policy_put_subject(const struct policy *p, struct buf *out)
{
    switch (p->subject) {
    case POLICY_SUBJECT_KEY:
        buf_put_str(out, "key");
        return;
    case POLICY_SUBJECT_HEADER:
        buf_printf(out, "header:%s", p->subject_arg);
        return;
    case POLICY_SUBJECT_FIELD:
        buf_printf(out, "field:%s", p->subject_arg);
        return;
    }
}

void policy_put_protect(const struct policy *p, struct buf *out)
{
    switch (p->protect) {
    case POLICY_PROTECT_VALUE:
        buf_put_str(out, "value");
        return;
    case POLICY_PROTECT_FIELDS:
        buf_printf(out, "fields:%s", p->protect_arg);
        return;
    case POLICY_PROTECT_TAG:
        buf_printf(out, "tag:%s", p->protect_arg);
        return;
    }
}

enum err policy_encode_key(struct slice topic, bool prefixed, struct buf *key)
{
    buf_put_str(key, prefixed ? "prefixed/" : "literal/");
    buf_put_slice(key, topic);
    return buf_error(key);
}

static enum err set_text(json_t *object, const char *name, struct slice text)
{
    return json_object_set_new(object, name, json_stringn((const char *)text.p, text.n)) ? ERR_MALFORMED : ERR_OK;
}

enum err policy_encode(const struct policy *p, struct buf *key, struct buf *value)
{
    struct buf subject, protect;
    enum err e = ERR_OK;
    json_t *o = json_object();
    buf_init(&subject, POLICY_RECORD_MAX);
    buf_init(&protect, POLICY_RECORD_MAX);
    policy_put_subject(p, &subject);
    policy_put_protect(p, &protect);
    if (!o || json_object_set_new(o, "version", json_integer(1)))
        e = ERR_NO_MEMORY;
    if (!e && !(e = set_text(o, "topic", slice_str(p->topic))) &&
        !(e = set_text(o, "pattern", slice_str(p->prefixed ? "prefixed" : "literal"))) &&
        !(e = set_text(o, "subject_from", buf_slice(&subject))) && !(e = set_text(o, "protect", buf_slice(&protect))) &&
        !(e = set_text(o, "erased", slice_str(policy_erased_name(p->erased)))) &&
        !(e = set_text(o, "class", slice_str(p->subject_class))) &&
        !(e = set_text(o, "tenant", slice_str(p->tenant))) &&
        !(e = set_text(o, "suite", slice_str(p->suite ? envelope_suite_name(p->suite) : "auto"))) && *p->lineage)
        e = set_text(o, "lineage", slice_str(p->lineage));
    char *text = e ? NULL : json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);
    if (!e && !text)
        e = ERR_NO_MEMORY;
    if (!e && !(e = policy_encode_key(slice_str(p->topic), p->prefixed, key))) {
        buf_put_str(value, text);
        e = buf_error(value);
    }
    free(text);
    json_decref(o);
    buf_free(&subject);
    buf_free(&protect);
    return e;
}

enum err policy_decode(struct policy **out, struct slice value, struct reason *why)
{
    json_error_t je;
    struct policy_words w = {0};
    const char *pattern = NULL;
    int version = 0;
    *out = NULL;
    if (value.n > POLICY_RECORD_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the policy record has %zu bytes", value.n);
    json_t *o = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, &je);
    if (!o)
        return reason_set(why, ERR_MALFORMED, "the policy record is no JSON: %s", je.text);
    enum err e;
    if (json_unpack_ex(o, &je, JSON_STRICT, "{s:i, s:s, s:s, s:s, s:s, s:s, s?s, s?s, s?s, s?s}", "version", &version,
                       "topic", &w.topic, "pattern", &pattern, "subject_from", &w.subject_from, "protect", &w.protect,
                       "erased", &w.erased, "lineage", &w.lineage, "class", &w.subject_class, "tenant", &w.tenant,
                       "suite", &w.suite))
        e = reason_set(why, ERR_MALFORMED, "the policy record: %s", je.text);
    else if (version != 1)
        e = reason_set(why, ERR_UNSUPPORTED, "policy version %d is not known", version);
    else if (strcmp(pattern, "literal") && strcmp(pattern, "prefixed"))
        e = reason_set(why, ERR_MALFORMED, "pattern '%.40s' is neither literal nor prefixed", pattern);
    else {
        w.prefixed = !strcmp(pattern, "prefixed");
        e = policy_new(out, &w, why);
    }
    json_decref(o);
    return e;
}
