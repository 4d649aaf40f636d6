/* SPDX-License-Identifier: Apache-2.0
 * Checking a receipt with nothing but the file (and, better, the public key one trusts): the signature over the
 * canonical text, the fields against each other, the commitment, and the proof that it stands in the ledger whose head
 * was signed. */
#include "crypto/receipt.h"
#include "crypto/keyring_internal.h"
#include "crypto/merkle.h"
#include "crypto/receipt_internal.h"
#include "core/base/fs.h"

#include <jansson.h>
#include <sodium.h>

static enum err wrong(struct reason *why, const char *what)
{
    return reason_set(why, ERR_AUTH, "the receipt does not hold: %s", what);
}

static bool get_hex(const json_t *o, const char *name, uint8_t *out, size_t n)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text && keyring_get_hex(slice_str(text), out, n);
}

static bool verify_text(const uint8_t signature[RECEIPT_SIGNATURE_SIZE], const struct buf *text, const uint8_t *key)
{
    return !text->error && !crypto_sign_verify_detached(signature, text->p, text->n, key);
}

static enum err check_signature(json_t *receipt, const uint8_t *key, struct reason *why)
{
    uint8_t signature[RECEIPT_SIGNATURE_SIZE];
    struct buf text;
    if (!get_hex(receipt, "signature", signature, sizeof signature))
        return wrong(why, "it has no signature");
    json_t *bare = json_copy(receipt);
    json_object_del(bare, "signature");
    buf_init(&text, RECEIPT_FILE_MAX);
    buf_put_str(&text, "castellan-receipt-v1\n");
    enum err e = receipt_canonical(bare, &text);
    if (!e && !verify_text(signature, &text, key))
        e = wrong(why, "its signature is not the signer's");
    buf_free(&text);
    json_decref(bare);
    return e;
}

static enum err check_keys(const json_t *receipt, struct receipt_report *out, struct reason *why)
{
    const json_t *keys = json_object_get(receipt, "keys"), *one;
    uint8_t id[ENVELOPE_KEY_ID_SIZE];
    size_t i;
    if (!json_is_array(keys) || json_array_size(keys) > RECEIPT_KEYS_MAX)
        return wrong(why, "it lists no keys");
    json_array_foreach(keys, i, one)
    {
        if (!get_hex(one, "id", id, sizeof id))
            return wrong(why, "a key in it has no id");
    }
    out->keys = json_array_size(keys);
    return ERR_OK;
}

/* The fields against each other and against the level it claims. */
static enum err check_fields(json_t *receipt, struct receipt_report *out, struct reason *why)
{
    const char *type, *level, *evidence;
    json_int_t version, seq, requested, completed, old_epoch, new_epoch, destroyed;
    uint8_t hash[32], erasure[KEYRING_ERASURE_ID_SIZE];
    json_error_t je;
    if (json_unpack_ex(receipt, &je, 0, "{s:s s:I s:I s:I s:I s:s s:{s:I s:I} s:{s:I s:s}}", "type", &type, "version",
                       &version, "seq", &seq, "requested_at", &requested, "completed_at", &completed, "level", &level,
                       "epoch", "old", &old_epoch, "new", &new_epoch, "custody", "destroyed_version", &destroyed,
                       "evidence", &evidence))
        return reason_set(why, ERR_AUTH, "the receipt does not hold: %s", je.text);
    if (strcmp(type, "receipt") || version != 1 || seq < 1)
        return wrong(why, "it is no receipt of version 1");
    if (!get_hex(receipt, "prev_hash", hash, 32) || sodium_is_zero(hash, 32))
        return wrong(why, "it is not chained to the entry before it");
    if (!get_hex(receipt, "subject_commitment", hash, 32) || !get_hex(receipt, "erasure", erasure, sizeof erasure))
        return wrong(why, "it does not say whose it is");
    if (completed < requested)
        return wrong(why, "it was completed before it was asked for");
    enum err e = check_keys(receipt, out, why);
    if (e)
        return e;
    if (strlen(level) != 2 || level[0] != 'E' || level[1] < '0' || level[1] > '4')
        return wrong(why, "its level is none of E0 to E4");
    if (level[1] >= '2' && out->keys && (new_epoch <= old_epoch || destroyed < 1 || !*evidence))
        return wrong(why, "it claims that the old root was destroyed, and shows no new epoch or evidence");
    out->seq = (uint64_t)seq;
    memcpy(out->level, level, 3);
    out->epoch_old = (uint32_t)old_epoch;
    out->epoch_new = (uint32_t)new_epoch;
    out->completed_at_ms = completed;
    return ERR_OK;
}

static enum err check_inclusion(const json_t *bundle, json_t *receipt, const uint8_t *key, struct reason *why)
{
    const json_t *p = json_object_get(bundle, "inclusion"), *path = json_object_get(p, "path");
    uint8_t hashes[MERKLE_PATH_MAX][MERKLE_HASH_SIZE], root[MERKLE_HASH_SIZE], leaf[MERKLE_HASH_SIZE];
    uint8_t signature[RECEIPT_SIGNATURE_SIZE];
    json_int_t size = json_integer_value(json_object_get(p, "tree_size")),
               index = json_integer_value(json_object_get(p, "leaf_index"));
    struct buf text;
    size_t n = json_array_size(path);
    if (!json_is_array(path) || n > MERKLE_PATH_MAX || size < 1 || index < 0 ||
        !get_hex(p, "root", root, sizeof root) || !get_hex(p, "signature", signature, sizeof signature))
        return wrong(why, "its inclusion proof is incomplete");
    if (index != json_integer_value(json_object_get(receipt, "seq")))
        return wrong(why, "its inclusion proof is for another entry");
    for (size_t i = 0; i < n; i++) {
        const char *hex = json_string_value(json_array_get(path, i));
        if (!hex || !keyring_get_hex(slice_str(hex), hashes[i], MERKLE_HASH_SIZE))
            return wrong(why, "its inclusion proof is damaged");
    }
    buf_init(&text, 1024);
    receipt_head_text(&text, (uint64_t)size, root);
    bool signed_by = verify_text(signature, &text, key);
    buf_free(&text);
    if (!signed_by)
        return wrong(why, "the head of the ledger is not signed by the signer");
    buf_init(&text, RECEIPT_FILE_MAX);
    enum err e = receipt_canonical(receipt, &text);
    if (!e)
        merkle_leaf(leaf, buf_slice(&text));
    buf_free(&text);
    if (!e && merkle_verify(leaf, (uint64_t)index, (uint64_t)size, (const uint8_t(*)[MERKLE_HASH_SIZE])hashes, n, root))
        e = wrong(why, "it does not stand in the ledger whose head is given");
    return e;
}

static enum err check_subject(const json_t *bundle, const json_t *receipt, struct slice tenant,
                              struct slice subject_class, struct slice subject, struct reason *why)
{
    uint8_t salt[RECEIPT_SALT_SIZE], want[32], got[32];
    if (!get_hex(bundle, "subject_salt", salt, sizeof salt))
        return wrong(why, "it has no salt, so whom it is about cannot be shown");
    receipt_commitment(got, salt, slice_is_null(tenant) ? slice_str("default") : tenant,
                       slice_is_null(subject_class) ? slice_str("default") : subject_class, subject);
    if (!get_hex(receipt, "subject_commitment", want, sizeof want) || sodium_memcmp(want, got, sizeof want))
        return wrong(why, "it is about another data subject");
    return ERR_OK;
}

static enum err choose_key(const json_t *receipt, struct slice trusted, uint8_t key[RECEIPT_PUBLIC_KEY_SIZE],
                           struct receipt_report *out, struct reason *why)
{
    const char *signer = json_string_value(json_object_get(receipt, "signer"));
    uint8_t mine[RECEIPT_PUBLIC_KEY_SIZE];
    if (!get_hex(receipt, "public_key", key, RECEIPT_PUBLIC_KEY_SIZE))
        return wrong(why, "it has no public key");
    receipt_fingerprint(key, out->signer);
    if (!signer || strcmp(signer, out->signer))
        return wrong(why, "the signer's fingerprint is not that of its public key");
    if (slice_is_null(trusted))
        return ERR_OK;
    while (trusted.n && (trusted.p[trusted.n - 1] == '\n' || trusted.p[trusted.n - 1] == '\r'))
        trusted.n--;
    if (!slice_starts(trusted, slice_str("ed25519:")) ||
        !keyring_get_hex(slice_of(trusted.p + 8, trusted.n - 8), mine, sizeof mine))
        return reason_set(why, ERR_BAD_CONFIG, "the trusted key is no line 'ed25519:HEX'");
    if (sodium_memcmp(mine, key, sizeof mine))
        return wrong(why, "it is signed by another key than the trusted one");
    out->signer_trusted = true;
    return ERR_OK;
}

static enum err verify(const json_t *bundle, json_t *receipt, struct slice trusted, struct slice tenant,
                       struct slice subject_class, struct slice subject, struct receipt_report *out, struct reason *why)
{
    uint8_t key[RECEIPT_PUBLIC_KEY_SIZE];
    enum err e;
    if ((e = choose_key(receipt, trusted, key, out, why)) || (e = check_signature(receipt, key, why)) ||
        (e = check_fields(receipt, out, why)))
        return e;
    if (json_object_get(bundle, "inclusion")) {
        if ((e = check_inclusion(bundle, receipt, key, why)))
            return e;
        out->inclusion_checked = true;
    }
    if (!slice_is_null(subject)) {
        if ((e = check_subject(bundle, receipt, tenant, subject_class, subject, why)))
            return e;
        out->subject_checked = true;
    }
    return ERR_OK;
}

/* A bundle has these members and no others: a misspelt proof must not pass for none. */
static enum err check_members(const json_t *bundle, struct reason *why)
{
    size_t known = 0;
    for (const char *const *n = (const char *const[]){"receipt", "inclusion", "subject_salt", NULL}; *n; n++)
        known += json_object_get(bundle, *n) != NULL;
    if (!json_is_object(json_object_get(bundle, "receipt")) || known != json_object_size(bundle))
        return wrong(why, "the bundle has members that are not known");
    return ERR_OK;
}

enum err receipt_verify(struct slice json, struct slice trusted_key, struct slice tenant, struct slice subject_class,
                        struct slice subject, struct receipt_report *out, struct reason *why)
{
    json_error_t je;
    struct receipt_report report = {0};
    if (sodium_init() < 0)
        return ERR_UNSUPPORTED;
    if (json.n > RECEIPT_FILE_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the receipt has %zu bytes", json.n);
    json_t *o = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(o)) {
        json_decref(o);
        return reason_set(why, ERR_MALFORMED, "the receipt is no JSON object: %s", o ? "wrong type" : je.text);
    }
    json_t *inner = json_object_get(o, "receipt");
    enum err e = inner ? check_members(o, why) : ERR_OK;
    if (!e)
        e = verify(o, inner ? inner : o, trusted_key, tenant, subject_class, subject, &report, why);
    if (!e)
        *out = report;
    json_decref(o);
    return e;
}
