/* SPDX-License-Identifier: Apache-2.0
 * What is done with each record: which keys it needs, what becomes of its value. The walk over runs and batches is
 * record_crypt_run.c; the functions of the header that do a whole run at once are that walk without an end to its
 * slice. */
#include "crypto/record_crypt.h"
#include "core/wire/record_batch.h"
#include "crypto/record_crypt_internal.h"

/* ---- what is needed ---- */

void record_crypt_needs_init(struct record_crypt_needs *n)
{
    map_init(&n->subjects);
    map_init(&n->key_ids);
}

void record_crypt_needs_free(struct record_crypt_needs *n)
{
    map_free(&n->subjects, NULL);
    map_free(&n->key_ids, NULL);
}

bool record_crypt_needs_nothing(const struct record_crypt_needs *n)
{
    return map_count(&n->subjects) == 0 && map_count(&n->key_ids) == 0;
}

static enum err need(struct map *m, struct slice id, struct reason *why)
{
    if (map_has(m, id))
        return ERR_OK;
    if (map_count(m) >= RECORD_CRYPT_SUBJECTS_MAX)
        return reason_set(why, ERR_MESSAGE_TOO_LARGE, "more than %d data subjects in one request",
                          RECORD_CRYPT_SUBJECTS_MAX);
    return map_put(m, id, NULL, NULL);
}

static enum err header_subject(const struct policy *p, const struct record *r, struct slice *out, struct reason *why)
{
    struct cursor c = cursor_of(r->headers);
    struct record_header h;
    bool found = false;
    *out = SLICE_NULL;
    while (record_header_next(&c, &h)) {
        if (!slice_eq_str(h.key, p->subject_arg))
            continue;
        if (found && !slice_eq(h.value, *out))
            return reason_set(why, ERR_INVALID_RECORD,
                              "the record has several headers '%.80s', so its data subject is unclear", p->subject_arg);
        found = true;
        *out = h.value;
    }
    return ERR_OK;
}

/* The bytes that name whose record this is. */
static enum err subject_of(const struct policy *p, const struct record *r, struct slice *out, struct reason *why)
{
    enum err e = ERR_OK;
    switch (p->subject) {
    case POLICY_SUBJECT_KEY:
        *out = r->key;
        break;
    case POLICY_SUBJECT_HEADER:
        e = header_subject(p, r, out, why);
        break;
    case POLICY_SUBJECT_FIELD:
        e = reason_set(why, ERR_POLICY_VIOLATION,
                       "the topic's policy takes the data subject from a field, which is not supported");
        break;
    }
    if (e)
        return e;
    if (out->n == 0)
        return reason_set(why, ERR_INVALID_RECORD, "a record on a protected topic has no data subject (%s%s%s)",
                          p->subject == POLICY_SUBJECT_KEY ? "its key is empty" : "header ",
                          p->subject == POLICY_SUBJECT_KEY ? "" : p->subject_arg,
                          p->subject == POLICY_SUBJECT_KEY ? "" : " is missing or empty");
    if (out->n > RECORD_CRYPT_SUBJECT_MAX)
        return reason_set(why, ERR_INVALID_RECORD, "a data subject's id has %zu bytes, the most is %d", out->n,
                          RECORD_CRYPT_SUBJECT_MAX);
    return ERR_OK;
}

static enum err enforceable(const struct policy *p, struct reason *why)
{
    if (p->protect != POLICY_PROTECT_VALUE || p->subject == POLICY_SUBJECT_FIELD)
        return reason_set(why, ERR_POLICY_VIOLATION, "the privacy policy of '%.80s' asks for more than can be enforced",
                          p->topic);
    return ERR_OK;
}

enum err record_crypt_prepare(struct record_crypt_run *w, struct slice topic)
{
    const struct policy *p = w->policy;
    struct slice lineage = p && *p->lineage ? slice_str(p->lineage) : topic;
    enum err e = ERR_OK;

    if (w->kind == RECORD_CRYPT_SUBJECTS || w->kind == RECORD_CRYPT_SEAL)
        e = enforceable(p, &w->why);
    if (e || w->kind == RECORD_CRYPT_SUBJECTS || w->kind == RECORD_CRYPT_KEYS)
        return e;
    if (w->kind == RECORD_CRYPT_SEAL)
        w->suite = p->suite ? p->suite : envelope_has_fast_aes() ? ENVELOPE_AES_256_GCM : ENVELOPE_CHACHA20_POLY1305;
    e = envelope_context_init(&w->context, slice_str(p ? p->tenant : POLICY_TENANT_DEFAULT), lineage);
    return e ? reason_set(&w->why, e, "the topic's lineage or tenant is too long") : ERR_OK;
}

/* ---- collecting ---- */

static enum err collect_subject(struct record_crypt_run *w, const struct record *r)
{
    struct slice subject;
    if (slice_is_null(r->value))
        return ERR_OK;
    enum err e = subject_of(w->policy, r, &subject, &w->why);
    return e ? e : need(&w->needs->subjects, subject, &w->why);
}

static enum err collect_key(struct record_crypt_run *w, const struct record *r)
{
    struct envelope env;
    if (!envelope_is(r->value) || envelope_parse(r->value, &env, NULL))
        return ERR_OK; /* record_crypt_open judges it */
    return need(&w->needs->key_ids, slice_of(env.key_id, ENVELOPE_KEY_ID_SIZE), &w->why);
}

/* ---- produce ---- */

static enum err no_key(enum key_state state, struct reason *why)
{
    switch (state) {
    case KEY_ERASED:
        return reason_set(
            why, ERR_POLICY_VIOLATION,
            "a record is about a data subject that was forgotten; reopen the subject to write about it again");
    case KEY_UNKNOWN:
    case KEY_UNAVAILABLE:
    case KEY_LIVE:
        break;
    }
    return reason_set(why, ERR_KAFKA_STORAGE_ERROR, "the key process cannot give a data key now");
}

static enum err seal_record(struct record_crypt_run *w, const struct record *r, struct record_todo *todo)
{
    struct slice subject;
    uint32_t i = w->index++;
    if (slice_is_null(r->value)) {
        w->counts.passed++;
        return ERR_OK;
    }
    enum err e = subject_of(w->policy, r, &subject, &w->why);
    if (e)
        return e;
    if (r->key.n > RECORD_CRYPT_KEY_MAX)
        return reason_set(&w->why, ERR_INVALID_RECORD,
                          "a record's key has %zu bytes, the most on a protected topic is %d", r->key.n,
                          RECORD_CRYPT_KEY_MAX);
    enum key_state state = w->keys.by_subject(w->keys.user, subject, &todo->key);
    if (state != KEY_LIVE)
        return no_key(state, &w->why);
    for (int b = 0; b < 4; b++)
        w->salt[ENVELOPE_BATCH_SALT_SIZE + b] = (uint8_t)(i >> (24 - 8 * b));
    todo->what = RECORD_SEAL;
    w->counts.sealed++;
    return ERR_OK;
}

/* ---- fetch ---- */

static enum err erased_view(struct record_crypt_run *w, struct record_todo *todo)
{
    enum policy_erased view = w->policy ? w->policy->erased : POLICY_ERASED_NULL;
    w->counts.erased++;
    switch (view) {
    case POLICY_ERASED_NULL:
        todo->what = RECORD_REPLACE;
        todo->value = SLICE_NULL;
        return ERR_OK;
    case POLICY_ERASED_SKIP:
        todo->what = RECORD_DROP;
        return ERR_OK;
    case POLICY_ERASED_REDACT:
        todo->what = RECORD_REPLACE;
        todo->value = slice_str(POLICY_REDACTED);
        return ERR_OK;
    case POLICY_ERASED_ERROR:
        return reason_set(&w->why, ERR_ERASED,
                          "a record's data subject was forgotten, and the topic's policy makes that an error");
    case POLICY_ERASED_CIPHERTEXT:
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

/* On a topic without a policy anyone may have written bytes that look like an envelope: what cannot be opened there is
 * not ours and passes. On a protected topic every envelope is ours, so one that cannot be opened is damage. */
enum err record_crypt_not_ours(struct record_crypt_run *w, enum err e)
{
    if (!w->policy) {
        w->counts.passed++;
        w->why.code = ERR_OK;
        return ERR_OK;
    }
    return w->why.code == e ? (w->why.code = ERR_CORRUPT_MESSAGE)
                            : reason_set(&w->why, ERR_CORRUPT_MESSAGE, "an encrypted record: %s", err_text(e));
}

static enum err open_record(struct record_crypt_run *w, const struct record *r, struct record_todo *todo)
{
    enum err e;
    if (w->ciphertext || !envelope_is(r->value)) {
        w->counts.passed++;
        return ERR_OK;
    }
    if ((e = envelope_parse(r->value, &todo->envelope, &w->why)))
        return record_crypt_not_ours(w, e);
    switch (w->keys.by_id(w->keys.user, todo->envelope.key_id, &todo->key)) {
    case KEY_ERASED:
        return erased_view(w, todo);
    case KEY_UNKNOWN:
        return record_crypt_not_ours(
            w, reason_set(&w->why, ERR_NOT_FOUND, "a record's data key is in no keyring of this installation"));
    case KEY_UNAVAILABLE:
        return reason_set(&w->why, ERR_KAFKA_STORAGE_ERROR, "the key process cannot give a data key now");
    case KEY_LIVE:
        break;
    }
    todo->what = RECORD_OPEN; /* counted once it opened */
    return ERR_OK;
}

enum err record_crypt_decide(struct record_crypt_run *w, const struct record *r, struct record_todo *todo)
{
    *todo = (struct record_todo){.what = RECORD_KEEP};
    switch (w->kind) {
    case RECORD_CRYPT_SUBJECTS:
        return collect_subject(w, r);
    case RECORD_CRYPT_KEYS:
        return collect_key(w, r);
    case RECORD_CRYPT_SEAL:
        return seal_record(w, r, todo);
    case RECORD_CRYPT_OPEN:
        return open_record(w, r, todo);
    }
    return ERR_UNSUPPORTED;
}

/* ---- whole runs ---- */

static enum err do_all(const struct record_crypt_args *a, bool *changed, struct record_crypt_counts *counts,
                       struct reason *why)
{
    struct record_crypt_run *w = record_crypt_run_new(a);
    size_t budget;

    if (!w)
        return reason_set(why, ERR_NO_MEMORY, "no memory for encryption");
    do {
        budget = SIZE_MAX;
    } while (!record_crypt_run_step(w, &budget));
    return record_crypt_run_end(w, changed, counts, why);
}

enum err record_crypt_collect_subjects(struct slice batches, const struct policy *p, struct record_crypt_needs *needs,
                                       struct reason *why)
{
    const struct record_crypt_args a = {.kind = RECORD_CRYPT_SUBJECTS, .batches = batches, .policy = p, .needs = needs};
    return do_all(&a, NULL, NULL, why);
}

enum err record_crypt_collect_keys(struct slice batches, struct record_crypt_needs *needs, struct reason *why)
{
    const struct record_crypt_args a = {.kind = RECORD_CRYPT_KEYS, .batches = batches, .needs = needs};
    return do_all(&a, NULL, NULL, why);
}

enum err record_crypt_seal(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, struct env *env, size_t max, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why)
{
    const struct record_crypt_args a = {.kind = RECORD_CRYPT_SEAL,
                                        .batches = batches,
                                        .policy = p,
                                        .topic = topic,
                                        .keys = *keys,
                                        .env = env,
                                        .max = max,
                                        .out = out};
    return do_all(&a, changed, counts, why);
}

enum err record_crypt_open(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, bool may_read, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why)
{
    const struct record_crypt_args a = {.kind = RECORD_CRYPT_OPEN,
                                        .batches = batches,
                                        .policy = p,
                                        .topic = topic,
                                        .keys = *keys,
                                        .ciphertext = !may_read,
                                        .out = out};
    return do_all(&a, changed, counts, why);
}
