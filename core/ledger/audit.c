/* SPDX-License-Identifier: Apache-2.0
 * Records of the audit and the chain they form. Texts that are not UTF-8 are kept with '?' for each odd byte: a record
 * about a hostile request must not fail for what the request held. */
#include "core/ledger/audit.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const event_names[] = {"start", "stop", "authentication", "authorization", "change", "lost"};
static const char *const outcome_names[] = {"done", "refused", "failed"};

static json_t *text_of(struct slice s)
{
    char clean[AUDIT_TEXT_MAX];
    size_t n = s.n < sizeof clean ? s.n : sizeof clean;
    while (s.n > n && n && (s.p[n] & 0xc0) == 0x80) /* never half a character */
        n--;
    json_t *j = json_stringn(n ? (const char *)s.p : "", n);
    for (size_t i = 0; !j && i < n; i++)
        clean[i] = s.p[i] < 0x80 ? (char)s.p[i] : '?';
    return j ? j : json_stringn(clean, n);
}

static void put_text(json_t *o, const char *key, struct slice s)
{
    if (!slice_is_null(s))
        json_object_set_new(o, key, text_of(s));
}

static void put_number(json_t *o, const char *key, int64_t v)
{
    if (v)
        json_object_set_new(o, key, json_integer(v));
}

static void put_time(json_t *o, int64_t time_ms)
{
    char text[40];
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(time_ms % 1000));
    json_object_set_new(o, "time", json_string(text));
}

static void put_hex(struct buf *out, const uint8_t hash[AUDIT_HASH_SIZE])
{
    for (int i = 0; i < AUDIT_HASH_SIZE; i++)
        buf_printf(out, "%02x", hash[i]);
}

static json_t *object_of(const struct audit_chain *c, const struct audit_entry *e)
{
    json_t *o = json_object();
    struct buf prev;
    buf_init(&prev, 0);
    put_hex(&prev, c->head);
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "writer", json_string(c->writer));
    json_object_set_new(o, "seq", json_integer((json_int_t)c->next));
    json_object_set_new(o, "prev", json_string(buf_cstr(&prev)));
    buf_free(&prev);
    put_time(o, e->time_ms);
    put_text(o, "role", slice_str(e->role));
    json_object_set_new(o, "event", json_string(event_names[e->event]));
    json_object_set_new(o, "outcome", json_string(outcome_names[e->outcome]));
    put_text(o, "principal", e->principal);
    put_text(o, "host", e->host);
    put_text(o, "operation", e->operation);
    put_text(o, "resourceType", slice_str(e->resource_type));
    put_text(o, "resource", e->resource);
    put_text(o, "right", slice_str(e->right));
    put_text(o, "detail", e->detail);
    put_text(o, "reason", slice_str(e->reason));
    put_number(o, "status", e->status);
    put_number(o, "error", e->error_code);
    put_number(o, "id", e->id);
    put_number(o, "version", e->version);
    put_number(o, "lost", e->lost);
    return o;
}

static int append(const char *p, size_t n, void *out)
{
    buf_put(out, p, n);
    return 0;
}

enum err audit_seal(struct audit_chain *c, const struct audit_entry *e, struct buf *out)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    json_t *o = object_of(c, e);
    buf_clear(out);
    int failed = o ? json_dump_callback(o, append, out, JSON_COMPACT) : -1;
    json_decref(o);
    if (failed || buf_error(out) || out->n < 2)
        return ERR_NO_MEMORY;
    out->n--; /* the closing brace comes after the hash */
    if (!EVP_Digest(out->p, out->n, hash, NULL, EVP_sha256(), NULL))
        return ERR_NO_MEMORY;
    buf_put_str(out, ",\"hash\":\"");
    put_hex(out, hash);
    buf_put_str(out, "\"}");
    enum err failure = buf_error(out);
    if (!failure) {
        memcpy(c->head, hash, AUDIT_HASH_SIZE);
        c->next++;
    }
    return failure;
}
