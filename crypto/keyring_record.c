/* SPDX-License-Identifier: Apache-2.0
 * The records a keyring appends: keys, fences, holds. Encoding only; what they mean is in keyring.c. */
#include "crypto/keyring_internal.h"
#include "core/base/secret.h"

#include <sodium.h>
#include <stdlib.h>

void keyring_records_free(struct keyring_records *r)
{
    for (size_t i = 0; i < r->n; i++) {
        buf_free(&r->v[i].key);
        buf_free(&r->v[i].value);
    }
    free(r->v);
    *r = (struct keyring_records){0};
}

struct keyring_record *keyring_records_add(struct keyring_records *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct keyring_record *v = realloc(r->v, cap * sizeof *v);
        if (!v)
            return NULL;
        r->v = v;
        r->cap = cap;
    }
    struct keyring_record *one = &r->v[r->n++];
    one->tombstone = false;
    buf_init(&one->key, KEYRING_TEXT_MAX);
    buf_init(&one->value, KEYRING_RECORD_MAX);
    return one;
}

static enum err record_error(const struct keyring_record *r)
{
    enum err e = buf_error(&r->key);
    return e ? e : buf_error(&r->value);
}

void keyring_put_hex(struct buf *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        buf_u8(out, (uint8_t)digits[p[i] >> 4]);
        buf_u8(out, (uint8_t)digits[p[i] & 15]);
    }
}

bool keyring_get_hex(struct slice text, uint8_t *out, size_t n)
{
    size_t got = 0;
    return text.n == 2 * n && !sodium_hex2bin(out, n, (const char *)text.p, text.n, NULL, &got, NULL) && got == n;
}

void keyring_node_name(struct buf *out, uint32_t epoch, uint32_t index)
{
    buf_printf(out, "node/0/%u/%u", epoch, index);
}

void keyring_key_name(struct buf *out, const struct keyring_key *k)
{
    buf_put_str(out, "key/");
    keyring_put_hex(out, k->tag, sizeof k->tag);
    buf_u8(out, '/');
    keyring_put_hex(out, k->id, sizeof k->id);
}

enum err keyring_make_key(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], int64_t now_ms,
                          struct keyring_records *out, uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    struct keyring_key k = {.epoch = kr->root.epoch, .slot = KEYRING_LOOSE_SLOT};
    uint8_t key[ENVELOPE_KEY_SIZE];
    if (!kr->open || kr->rotation.active)
        return ERR_UNAVAILABLE;
    struct keyring_record *r = keyring_records_add(out);
    if (!r)
        return ERR_NO_MEMORY;
    kr->env->random(kr->env, id, ENVELOPE_KEY_ID_SIZE);
    memcpy(id, tag, 2); /* the partition hint: a subject's keys stay together */
    memcpy(k.id, id, sizeof k.id);
    memcpy(k.tag, tag, sizeof k.tag);
    memcpy(k.salt, k.id, sizeof k.salt);
    kr->env->random(kr->env, key, sizeof key);
    keyring_wrap_key(kr->secret, &k, key, k.wrap);
    secret_wipe(key, sizeof key);
    keyring_key_name(&r->key, &k);
    buf_printf(&r->value, "{\"created\":%lld,\"epoch\":%u,\"wrap\":\"", (long long)now_ms, k.epoch);
    keyring_put_hex(&r->value, k.wrap, sizeof k.wrap);
    buf_put_str(&r->value, "\"}");
    return record_error(r);
}

static void put_fenced(const struct keyring_key *k, struct buf *out, bool first)
{
    buf_put_str(out, first ? "{" : ",{");
    if (k->has_fingerprint) {
        buf_put_str(out, "\"fingerprint\":\"");
        keyring_put_hex(out, k->fingerprint, sizeof k->fingerprint);
        buf_put_str(out, "\",");
    }
    buf_put_str(out, "\"id\":\"");
    keyring_put_hex(out, k->id, sizeof k->id);
    buf_put_str(out, "\"}");
}

enum err keyring_put_fenced_keys(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], struct buf *out,
                                 size_t *count)
{
    const struct keyring_person *p = map_get(&kr->people, slice_of(tag, KEYRING_TAG_SIZE));
    *count = 0;
    buf_u8(out, '[');
    for (const struct keyring_key *k = p ? p->first : NULL; k; k = k->next) {
        if (k->fenced)
            put_fenced(k, out, (*count)++ == 0);
    }
    buf_u8(out, ']');
    return buf_error(out);
}

enum err keyring_make_fence(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                            const uint8_t erasure[KEYRING_ERASURE_ID_SIZE], bool erased, int64_t now_ms,
                            struct keyring_records *out)
{
    const struct keyring_person *p = map_get(&kr->people, slice_of(tag, KEYRING_TAG_SIZE));
    bool first = true;
    if (!kr->open)
        return ERR_UNAVAILABLE;
    struct keyring_record *r = keyring_records_add(out);
    if (!r)
        return ERR_NO_MEMORY;
    buf_put_str(&r->key, "fence/");
    keyring_put_hex(&r->key, tag, KEYRING_TAG_SIZE);
    buf_printf(&r->value, "{\"at\":%lld,\"erasure\":\"", (long long)now_ms);
    keyring_put_hex(&r->value, erasure, KEYRING_ERASURE_ID_SIZE);
    buf_put_str(&r->value, "\",\"keys\":[");
    for (const struct keyring_key *k = p ? p->first : NULL; k; k = k->next) {
        struct keyring_key named = *k;
        uint8_t key[ENVELOPE_KEY_SIZE];
        if (!k->dead && keyring_unwrap_key(kr->secret, k, key)) {
            keyring_fingerprint(named.fingerprint, key);
            named.has_fingerprint = true;
            secret_wipe(key, sizeof key);
        }
        put_fenced(&named, &r->value, first);
        first = false;
    }
    buf_printf(&r->value, "],\"state\":\"%s\"}", erased ? "erased" : "open");
    return record_error(r);
}

enum err keyring_make_hold(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], bool hold, int64_t now_ms,
                           struct keyring_records *out)
{
    struct keyring_record *r = keyring_records_add(out);
    (void)kr;
    if (!r)
        return ERR_NO_MEMORY;
    buf_put_str(&r->key, "hold/");
    keyring_put_hex(&r->key, tag, KEYRING_TAG_SIZE);
    r->tombstone = !hold;
    if (hold)
        buf_printf(&r->value, "{\"at\":%lld}", (long long)now_ms);
    return record_error(r);
}
