/* SPDX-License-Identifier: Apache-2.0
 * Receipts: canonical text, signature, commitment, bundle. */
#include "crypto/receipt.h"
#include "crypto/keyring_internal.h"
#include "crypto/merkle.h"
#include "crypto/receipt_internal.h"
#include "core/base/fs.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

static const char signed_as[] = "castellan-receipt-v1\n", head_signed_as[] = "castellan-tree-head-v1\n";

enum err receipt_canonical(const struct json_t *value, struct buf *out)
{
    char *text = json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (!text)
        return ERR_NO_MEMORY;
    buf_put_str(out, text);
    free(text);
    return buf_error(out);
}

void receipt_entry_hash(uint8_t out[RECEIPT_HASH_SIZE], struct slice entry)
{
    crypto_generichash(out, RECEIPT_HASH_SIZE, entry.p, entry.n, NULL, 0);
}

void receipt_commitment(uint8_t out[32], const uint8_t salt[RECEIPT_SALT_SIZE], struct slice tenant,
                        struct slice subject_class, struct slice subject)
{
    const struct slice parts[] = {tenant, subject_class, subject};
    crypto_generichash_state s;
    crypto_generichash_init(&s, NULL, 0, 32);
    crypto_generichash_update(&s, salt, RECEIPT_SALT_SIZE);
    for (int i = 0; i < 3; i++) {
        uint8_t n[2] = {(uint8_t)(parts[i].n >> 8), (uint8_t)parts[i].n};
        crypto_generichash_update(&s, n, sizeof n);
        crypto_generichash_update(&s, parts[i].p, parts[i].n);
    }
    crypto_generichash_final(&s, out, 32);
}

void receipt_fingerprint(const uint8_t public_key[RECEIPT_PUBLIC_KEY_SIZE], char out[65])
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, public_key, RECEIPT_PUBLIC_KEY_SIZE, NULL, 0);
    sodium_bin2hex(out, 65, hash, sizeof hash);
}

/* ---- the signing key ---- */

static enum err make_key(struct receipt_signer *s, const char *path, struct reason *why)
{
    crypto_sign_keypair(s->public_key, s->secret_key);
    return fs_write_file(path, slice_of(s->secret_key, RECEIPT_SECRET_KEY_SIZE), 0600, why);
}

static enum err load_key(struct receipt_signer *s, const char *path, struct reason *why)
{
    struct buf b;
    buf_init(&b, 4096);
    enum err e = fs_read_private_file(path, &b, why);
    if (!e && b.n != RECEIPT_SECRET_KEY_SIZE)
        e = reason_set(why, ERR_MALFORMED, "%s is no signing key of %d bytes", path, RECEIPT_SECRET_KEY_SIZE);
    if (!e) {
        memcpy(s->secret_key, b.p, RECEIPT_SECRET_KEY_SIZE);
        crypto_sign_ed25519_sk_to_pk(s->public_key, s->secret_key);
    }
    buf_wipe_free(&b);
    return e;
}

enum err receipt_signer_open(struct receipt_signer *s, const char *path, const char *public_path, struct reason *why)
{
    struct buf text;
    *s = (struct receipt_signer){.secret_key = sodium_malloc(RECEIPT_SECRET_KEY_SIZE)};
    if (!s->secret_key)
        return reason_set(why, ERR_NO_MEMORY, "no locked memory for the signing key");
    enum err e = fs_private_dir_of(path, NULL, why);
    if (!e)
        e = fs_exists(path) ? load_key(s, path, why) : make_key(s, path, why);
    if (e) {
        receipt_signer_close(s);
        return e;
    }
    receipt_fingerprint(s->public_key, s->fingerprint);
    buf_init(&text, 256);
    buf_put_str(&text, "ed25519:");
    keyring_put_hex(&text, s->public_key, sizeof s->public_key);
    buf_put_str(&text, "\n");
    e = fs_write_file(public_path, buf_slice(&text), 0644, why);
    buf_free(&text);
    if (e)
        receipt_signer_close(s);
    return e;
}

void receipt_signer_close(struct receipt_signer *s)
{
    sodium_free(s->secret_key);
    *s = (struct receipt_signer){0};
}

/* ---- signing ---- */

static enum err set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
    char text[2 * RECEIPT_SIGNATURE_SIZE + 1];
    sodium_bin2hex(text, sizeof text, p, n);
    return json_object_set_new(o, name, json_string(text)) ? ERR_NO_MEMORY : ERR_OK;
}

enum err receipt_sign(const struct receipt_signer *s, struct json_t *receipt)
{
    uint8_t signature[RECEIPT_SIGNATURE_SIZE];
    struct buf text;
    buf_init(&text, RECEIPT_FILE_MAX);
    enum err e = set_hex(receipt, "public_key", s->public_key, sizeof s->public_key);
    if (!e && json_object_set_new(receipt, "signer", json_string(s->fingerprint)))
        e = ERR_NO_MEMORY;
    buf_put_str(&text, signed_as);
    if (!e && !(e = receipt_canonical(receipt, &text))) {
        crypto_sign_detached(signature, NULL, text.p, text.n, s->secret_key);
        e = set_hex(receipt, "signature", signature, sizeof signature);
    }
    buf_free(&text);
    return e;
}

/* "castellan-tree-head-v1\n" | size in decimal "\n" | root in hex "\n" */
void receipt_head_text(struct buf *out, uint64_t size, const uint8_t root[RECEIPT_HASH_SIZE])
{
    buf_printf(out, "%s%llu\n", head_signed_as, (unsigned long long)size);
    keyring_put_hex(out, root, RECEIPT_HASH_SIZE);
    buf_put_str(out, "\n");
}

static enum err inclusion(const struct receipt_signer *s, const uint8_t (*leaves)[RECEIPT_HASH_SIZE], uint64_t size,
                          uint64_t index, json_t **out)
{
    uint8_t path[MERKLE_PATH_MAX][MERKLE_HASH_SIZE], root[MERKLE_HASH_SIZE], signature[RECEIPT_SIGNATURE_SIZE];
    struct buf text;
    char hex[2 * MERKLE_HASH_SIZE + 1];
    size_t n = merkle_path(path, leaves, size, index);
    merkle_root(root, leaves, size);
    buf_init(&text, 1024);
    receipt_head_text(&text, size, root);
    enum err e = buf_error(&text);
    if (!e)
        crypto_sign_detached(signature, NULL, text.p, text.n, s->secret_key);
    buf_free(&text);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        sodium_bin2hex(hex, sizeof hex, path[i], sizeof path[i]);
        json_array_append_new(list, json_string(hex));
    }
    *out = json_pack("{s:I s:I s:o}", "tree_size", (json_int_t)size, "leaf_index", (json_int_t)index, "path", list);
    if (!e && !*out)
        e = ERR_NO_MEMORY;
    if (!e)
        e = set_hex(*out, "root", root, sizeof root);
    return e ? e : set_hex(*out, "signature", signature, sizeof signature);
}

enum err receipt_bundle(const struct receipt_signer *s, struct slice receipt, const uint8_t *salt,
                        const uint8_t (*leaves)[RECEIPT_HASH_SIZE], uint64_t size, uint64_t index, struct buf *out)
{
    json_t *proof = NULL, *o = json_object(), *inner = json_loadb((const char *)receipt.p, receipt.n, 0, NULL);
    enum err e = inner && o ? inclusion(s, leaves, size, index, &proof) : ERR_NO_MEMORY;
    if (!e && salt)
        e = set_hex(o, "subject_salt", salt, RECEIPT_SALT_SIZE);
    if (!e && (json_object_set(o, "receipt", inner) || json_object_set(o, "inclusion", proof)))
        e = ERR_NO_MEMORY;
    if (!e)
        e = receipt_canonical(o, out);
    json_decref(proof);
    json_decref(inner);
    json_decref(o);
    return e;
}
