/* SPDX-License-Identifier: Apache-2.0
 * Entries of the erasure ledger: the intent when someone asks, the receipt when it is done. The subject's id enters
 * neither: the tag finds the keys, and the commitment, whose salt the requester alone is given, shows whose it was. */
#include "crypto/keyring_internal.h"
#include "crypto/keyring_step_internal.h"
#include "crypto/receipt_internal.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

static void salt_of(const struct keyring_work *w, const uint8_t *erasure, uint8_t salt[RECEIPT_SALT_SIZE])
{
    keyring_derive(w->kr, "subject-salt", slice_of(erasure, KEYRING_ERASURE_ID_SIZE), salt);
}

enum err keyring_work_forget(struct keyring_work *w, const struct keyring_forget *f, int64_t now_ms,
                             uint8_t erasure[KEYRING_ERASURE_ID_SIZE], struct reason *why)
{
    uint8_t tag[KEYRING_TAG_SIZE], salt[RECEIPT_SALT_SIZE];
    if (!keyring_is_open(w->kr))
        return reason_set(why, ERR_UNAVAILABLE, "the keyring is not open yet");
    if (f->id.n == 0 || f->id.n > KEYRING_SUBJECT_MAX || f->tenant.n > ENVELOPE_NAME_MAX ||
        f->subject_class.n > ENVELOPE_NAME_MAX || f->requester.n > KEYRING_REQUESTER_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "a data subject's id must have 1 to %d bytes", KEYRING_SUBJECT_MAX);
    keyring_tag(w->kr, f->tenant, f->subject_class, f->id, tag);
    for (size_t i = 0; w->log->pending && i < w->log->n; i++) {
        const struct erasure_entry *e = &w->log->entries[i];
        if (!e->receipt && !e->done && !memcmp(e->tag, tag, sizeof tag)) {
            memcpy(erasure, e->erasure, KEYRING_ERASURE_ID_SIZE);
            return ERR_OK;
        }
    }
    struct keyring_request **end = &w->requests;
    for (; *end; end = &(*end)->next) {
        if (!memcmp((*end)->tag, tag, sizeof tag)) {
            memcpy(erasure, (*end)->erasure, KEYRING_ERASURE_ID_SIZE);
            return ERR_OK;
        }
    }
    struct keyring_subject s = keyring_subject(w->kr, tag);
    if (s.erased && erasure_log_intent(w->log, s.erasure)) {
        memcpy(erasure, s.erasure, KEYRING_ERASURE_ID_SIZE);
        return ERR_OK;
    }
    struct keyring_request *r = calloc(1, sizeof *r);
    if (!r)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a request");
    w->env->random(w->env, r->erasure, sizeof r->erasure);
    memcpy(erasure, r->erasure, KEYRING_ERASURE_ID_SIZE);
    memcpy(r->tag, tag, sizeof tag);
    salt_of(w, r->erasure, salt);
    receipt_commitment(r->commitment, salt, f->tenant, f->subject_class, f->id);
    if (f->tenant.n)
        memcpy(r->tenant, f->tenant.p, f->tenant.n);
    if (f->requester.n)
        memcpy(r->requester, f->requester.p, f->requester.n);
    r->requested_ms = now_ms;
    *end = r;
    return ERR_OK;
}

static enum err set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
    char text[129];
    sodium_bin2hex(text, sizeof text, p, n);
    return json_object_set_new(o, name, json_string(text)) ? ERR_NO_MEMORY : ERR_OK;
}

/* What every entry begins with. */
static enum err set_head(const struct keyring_work *w, json_t *o, const uint8_t *erasure)
{
    if (json_object_set_new(o, "seq", json_integer((json_int_t)w->log->n)))
        return ERR_NO_MEMORY;
    enum err e = set_hex(o, "prev_hash", w->log->head, sizeof w->log->head);
    return e ? e : set_hex(o, "erasure", erasure, KEYRING_ERASURE_ID_SIZE);
}

static enum err emit(const struct keyring_work *w, const json_t *o, struct keyring_records *out)
{
    struct keyring_record *r = keyring_records_add(out);
    if (!r)
        return ERR_NO_MEMORY;
    erasure_log_key(&r->key, w->log->n);
    enum err e = receipt_canonical(o, &r->value);
    return e ? e : buf_error(&r->key);
}

enum err keyring_work_intents(struct keyring_work *w, struct keyring_records *out, enum keyring_need *need)
{
    struct keyring_request *r;
    while ((r = w->requests) && erasure_log_intent(w->log, r->erasure)) {
        w->requests = r->next;
        free(r);
    }
    if (!r)
        return ERR_OK;
    *need = KEYRING_NEED_WRITE_ERASURE;
    json_t *o = json_pack("{s:s s:i s:I s:s? s:s?}", "type", "intent", "version", 1, "requested_at",
                          (json_int_t)r->requested_ms, "tenant", r->tenant, "requester", r->requester);
    enum err e = o ? set_head(w, o, r->erasure) : ERR_INVALID_REQUEST; /* text that is no UTF-8 */
    if (!e)
        e = set_hex(o, "tag", r->tag, sizeof r->tag);
    if (!e)
        e = set_hex(o, "subject_commitment", r->commitment, sizeof r->commitment);
    if (!e)
        e = emit(w, o, out);
    json_decref(o);
    if (e == ERR_INVALID_REQUEST) {
        w->requests = r->next;
        free(r);
    }
    return e;
}

static json_t *exclusions(const struct keyring_work *w)
{
    json_t *a = json_array();
    json_array_append_new(a, json_string("plaintext that was delivered to readers before the erasure"));
    json_array_append_new(a, json_string("copies of data keys or of the root that someone made before the erasure, "
                                         "including backups of custody together with the topics"));
    json_array_append_new(a, json_string("record keys, headers, timestamps and sizes, which are not encrypted"));
    json_array_append_new(a, json_string("records written to the topics before a privacy policy protected them"));
    if (!strcmp(w->custody->ops->kind, "file"))
        json_array_append_new(a, json_string("file custody overwrites in place: media that remap blocks (SSD, "
                                             "copy-on-write file systems, snapshots) may keep the old root's key"));
    return a;
}

static enum err set_keys(const struct keyring_work *w, const struct erasure_entry *intent, json_t *o)
{
    struct buf b;
    size_t n = 0;
    buf_init(&b, KEYRING_RECORD_MAX);
    enum err e = keyring_put_fenced_keys(w->kr, intent->tag, &b, &n);
    json_t *keys = e ? NULL : json_loadb((const char *)b.p, b.n, 0, NULL);
    if (!e && json_object_set_new(o, "keys", keys))
        e = ERR_NO_MEMORY;
    buf_free(&b);
    return e;
}

/* From the intent: who asked, when, about whom. */
static enum err set_from_intent(const struct erasure_entry *intent, json_t *o)
{
    static const char *const names[] = {"tenant", "requester", "requested_at", "subject_commitment"};
    json_t *from = json_loadb((const char *)intent->text.p, intent->text.n, 0, NULL);
    enum err e = from ? ERR_OK : ERR_NO_MEMORY;
    for (size_t i = 0; !e && i < sizeof names / sizeof *names; i++) {
        json_t *v = json_object_get(from, names[i]);
        if (v && json_object_set(o, names[i], v))
            e = ERR_NO_MEMORY;
    }
    json_decref(from);
    return e;
}

static enum err set_acks(const struct keyring_work *w, const struct erasure_entry *intent, json_t *o)
{
    const char *text = map_get(&w->acks, slice_of(intent->erasure, KEYRING_ERASURE_ID_SIZE));
    json_t *acks = json_loads(text ? text : "[]", 0, NULL);
    return json_object_set_new(o, "acks", acks) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err set_ledger(const struct keyring_work *w, json_t *o)
{
    uint8_t root[MERKLE_HASH_SIZE];
    json_t *ledger = json_pack("{s:I}", "size", (json_int_t)w->log->n);
    merkle_root(root, (const uint8_t(*)[MERKLE_HASH_SIZE])w->log->leaves, w->log->n);
    enum err e = ledger ? set_hex(ledger, "root", root, sizeof root) : ERR_NO_MEMORY;
    return json_object_set_new(o, "ledger", ledger) ? ERR_NO_MEMORY : e;
}

enum err keyring_work_receipt(struct keyring_work *w, const struct erasure_entry *intent,
                              const struct keyring_subject *subject, bool had_keys, int64_t now_ms,
                              struct keyring_records *out, struct reason *why)
{
    struct keyring_root root = keyring_root(w->kr);
    const char *evidence = had_keys ? buf_cstr(&w->evidence) : "the data subject had no keys";
    if (now_ms < intent->requested_ms)
        now_ms = intent->requested_ms; /* the clock went back */
    json_t *o = json_pack(
        "{s:s s:i s:I s:s s:{s:s s:i s:I} s:{s:I s:I} s:{s:s s:I s:s} s:o}", "type", "receipt", "version", 1,
        "completed_at", (json_int_t)now_ms, "level", "E2", "erase", "topic", KEYRING_TOPIC, "partition", 0, "offset",
        (json_int_t)subject->fence_offset, "epoch", "old", (json_int_t)root.epoch - (had_keys ? 1 : 0), "new",
        (json_int_t)root.epoch, "custody", "kind", w->custody->ops->kind, "destroyed_version",
        (json_int_t)(had_keys ? root.previous_version : 0), "evidence", evidence, "exclusions", exclusions(w));
    enum err e = o ? set_head(w, o, intent->erasure) : ERR_NO_MEMORY;
    if (e || (e = set_from_intent(intent, o)) || (e = set_keys(w, intent, o)) || (e = set_acks(w, intent, o)) ||
        (e = set_ledger(w, o)) || (e = receipt_sign(w->signer, o)) || (e = emit(w, o, out)))
        reason_set(why, e, "a receipt cannot be written: %s", err_text(e));
    json_decref(o);
    return e;
}

enum err keyring_work_bundle(const struct keyring_work *w, uint64_t receipt_seq, bool with_salt, struct buf *out,
                             struct reason *why)
{
    uint8_t salt[RECEIPT_SALT_SIZE];
    if (receipt_seq >= w->log->n || !w->log->entries[receipt_seq].receipt)
        return reason_set(why, ERR_NOT_FOUND, "entry %llu of the erasure ledger is no receipt",
                          (unsigned long long)receipt_seq);
    const struct erasure_entry *r = &w->log->entries[receipt_seq];
    salt_of(w, r->erasure, salt);
    enum err e = receipt_bundle(w->signer, r->text, with_salt ? salt : NULL,
                                (const uint8_t(*)[RECEIPT_HASH_SIZE])w->log->leaves, w->log->n, receipt_seq, out);
    return e ? reason_set(why, e, "the receipt cannot be bundled: %s", err_text(e)) : ERR_OK;
}
