/* SPDX-License-Identifier: Apache-2.0
 * Sealing and opening runs of record batches. A batch is read record by record and, as soon as one value differs, is
 * written anew with every other field of header and record kept; a batch in which nothing differs is copied. The CRC of
 * a batch is checked before it is rewritten, so that corruption is not laundered under a fresh checksum.
 * Nothing here holds a key longer than a call; plaintext lives in the output and in scratch buffers that are wiped. */
#include "crypto/record_crypt.h"
#include "core/base/secret.h"
#include "core/wire/record_batch.h"

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

/* What is done with each batch of a run, and each record of a batch. */
struct walk {
    enum err (*record)(struct walk *w, const struct record_batch *b, const struct record *r, struct reason *why);
    const struct policy *policy;
    struct record_crypt_needs *needs;
    struct buf scratch; /* decompressed records */
};

static enum err walk_batch(struct walk *w, const struct record_batch *b, struct reason *why)
{
    struct record_iter it;
    struct record r;
    bool more = true;
    enum err e = record_iter_open(&it, b, &w->scratch, 0, why);
    while (!e && !(e = record_iter_next(&it, &r, &more, why)) && more)
        e = w->record(w, b, &r, why);
    return e;
}

static enum err walk_run(struct walk *w, struct slice batches, bool whole, struct reason *why)
{
    struct record_batch b;
    bool more;
    enum err e;
    buf_init(&w->scratch, WIRE_DECOMPRESSED_MAX);
    while (!(e = record_batches_next(&batches, &b, &more, why)) && more) {
        if (!record_batch_is_control(&b) && (e = walk_batch(w, &b, why)))
            break;
    }
    buf_wipe_free(&w->scratch);
    if (!e && whole && batches.n)
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "the last record batch is cut short");
    return e;
}

static enum err collect_subject(struct walk *w, const struct record_batch *b, const struct record *r,
                                struct reason *why)
{
    struct slice subject;
    (void)b;
    if (slice_is_null(r->value))
        return ERR_OK;
    enum err e = subject_of(w->policy, r, &subject, why);
    return e ? e : need(&w->needs->subjects, subject, why);
}

enum err record_crypt_collect_subjects(struct slice batches, const struct policy *p, struct record_crypt_needs *needs,
                                       struct reason *why)
{
    struct walk w = {.record = collect_subject, .policy = p, .needs = needs};
    enum err e = enforceable(p, why);
    return e ? e : walk_run(&w, batches, true, why);
}

static enum err collect_key(struct walk *w, const struct record_batch *b, const struct record *r, struct reason *why)
{
    struct envelope env;
    (void)b;
    if (!envelope_is(r->value) || envelope_parse(r->value, &env, NULL))
        return ERR_OK; /* record_crypt_open judges it */
    return need(&w->needs->key_ids, slice_of(env.key_id, ENVELOPE_KEY_ID_SIZE), why);
}

enum err record_crypt_collect_keys(struct slice batches, struct record_crypt_needs *needs, struct reason *why)
{
    struct walk w = {.record = collect_key, .needs = needs};
    return walk_run(&w, batches, false, why);
}

/* ---- rewriting ---- */

enum verdict { KEEP, REPLACE, DROP };

struct rewrite {
    enum err (*record)(struct rewrite *w, const struct record *r, enum verdict *verdict, struct slice *value,
                       struct reason *why);
    const struct policy *policy; /* may be NULL when opening */
    const struct key_lookup *keys;
    struct envelope_context context;
    enum envelope_suite suite;
    uint8_t salt[ENVELOPE_SALT_SIZE];
    uint32_t index;
    struct buf value;   /* the new value of the record at hand */
    struct buf scratch; /* decompressed records */
    struct env *env;
    size_t max;
    struct record_crypt_counts counts;
};

static enum err rewrite_records(struct rewrite *w, const struct record_batch *b, struct record_batch_builder *builder,
                                bool *changed, struct reason *why)
{
    struct record_iter it;
    struct record r;
    bool more = true;
    enum err e = record_iter_open(&it, b, &w->scratch, 0, why);
    while (!e && !(e = record_iter_next(&it, &r, &more, why)) && more) {
        enum verdict verdict = KEEP;
        struct slice value = r.value;
        buf_clear(&w->value);
        e = w->record(w, &r, &verdict, &value, why);
        if (e)
            break;
        if (verdict != KEEP)
            *changed = true;
        if (verdict != DROP)
            record_batch_append_like(builder, &r, r.key, value);
    }
    return e;
}

static enum err rewrite_batch(struct rewrite *w, const struct record_batch *b, struct buf *out, bool *changed,
                              struct reason *why)
{
    struct record_batch_builder builder;
    size_t before = out->n;
    bool differs = false;
    enum err e;
    if (record_batch_is_control(b)) {
        buf_put_slice(out, b->bytes);
        return buf_error(out);
    }
    record_batch_builder_like(&builder, b, 0);
    builder.head.attributes &= (int16_t)~RECORD_CODEC_MASK;
    w->index = 0;
    if (w->env)
        w->env->random(w->env, w->salt, ENVELOPE_BATCH_SALT_SIZE);
    e = rewrite_records(w, b, &builder, &differs, why);
    if (!e && differs) {
        e = record_batch_check_crc(b, why);
        if (!e && (e = record_batch_finish(&builder, out)))
            reason_set(why, e, "the rewritten batch: %s", err_text(e));
        *changed = true;
    } else if (!e) {
        buf_put_slice(out, b->bytes);
        e = buf_error(out);
    }
    if (!e && differs && w->max && out->n - before > w->max)
        e = reason_set(why, ERR_MESSAGE_TOO_LARGE,
                       "the batch has %zu bytes when encrypted, max.message.bytes is %zu; send smaller batches",
                       out->n - before, w->max);
    secret_wipe(builder.records.p, builder.records.n);
    record_batch_builder_free(&builder);
    return e;
}

static enum err rewrite_run(struct rewrite *w, struct slice batches, bool whole, struct buf *out, bool *changed,
                            struct record_crypt_counts *counts, struct reason *why)
{
    struct record_batch b;
    size_t before = out->n;
    bool more;
    enum err e;
    *changed = false;
    buf_init(&w->value, 0);
    buf_init(&w->scratch, WIRE_DECOMPRESSED_MAX);
    while (!(e = record_batches_next(&batches, &b, &more, why)) && more) {
        if ((e = rewrite_batch(w, &b, out, changed, why)))
            break;
    }
    buf_wipe_free(&w->value);
    buf_wipe_free(&w->scratch);
    if (!e && whole && batches.n)
        e = reason_set(why, ERR_CORRUPT_MESSAGE, "the last record batch is cut short");
    if (e) {
        out->n = before;
    } else if (counts) {
        counts->sealed += w->counts.sealed;
        counts->opened += w->counts.opened;
        counts->erased += w->counts.erased;
        counts->passed += w->counts.passed;
    }
    return e;
}

static enum err prepare(struct rewrite *w, const struct policy *p, struct slice topic, struct reason *why)
{
    struct slice lineage = p && *p->lineage ? slice_str(p->lineage) : topic;
    enum err e = envelope_context_init(&w->context, slice_str(p ? p->tenant : POLICY_TENANT_DEFAULT), lineage);
    return e ? reason_set(why, e, "the topic's lineage or tenant is too long") : ERR_OK;
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

static void release(const struct key_lookup *keys)
{
    if (keys->release)
        keys->release(keys->user);
}

static enum err seal_record(struct rewrite *w, const struct record *r, enum verdict *verdict, struct slice *value,
                            struct reason *why)
{
    const struct data_key *key = NULL;
    struct slice subject;
    uint32_t i = w->index++;
    if (slice_is_null(r->value)) {
        w->counts.passed++;
        return ERR_OK;
    }
    enum err e = subject_of(w->policy, r, &subject, why);
    if (e)
        return e;
    enum key_state state = w->keys->by_subject(w->keys->user, subject, &key);
    if (state != KEY_LIVE)
        return no_key(state, why);
    for (int b = 0; b < 4; b++)
        w->salt[ENVELOPE_BATCH_SALT_SIZE + b] = (uint8_t)(i >> (24 - 8 * b));
    e = envelope_seal(w->suite, key, &w->context, r->key, w->salt, r->value, &w->value);
    release(w->keys);
    if (e)
        return reason_set(why, e, "a record cannot be encrypted: %s", err_text(e));
    *verdict = REPLACE;
    *value = buf_slice(&w->value);
    w->counts.sealed++;
    return ERR_OK;
}

enum err record_crypt_seal(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, struct env *env, size_t max, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why)
{
    struct rewrite w = {.record = seal_record, .policy = p, .keys = keys, .env = env, .max = max};
    enum err e = enforceable(p, why);
    if (e || (e = prepare(&w, p, topic, why)))
        return e;
    w.suite = p->suite ? p->suite : envelope_has_fast_aes() ? ENVELOPE_AES_256_GCM : ENVELOPE_CHACHA20_POLY1305;
    return rewrite_run(&w, batches, true, out, changed, counts, why);
}

/* ---- fetch ---- */

static enum err erased_view(struct rewrite *w, enum verdict *verdict, struct slice *value, struct reason *why)
{
    enum policy_erased view = w->policy ? w->policy->erased : POLICY_ERASED_NULL;
    w->counts.erased++;
    switch (view) {
    case POLICY_ERASED_NULL:
        *verdict = REPLACE;
        *value = SLICE_NULL;
        return ERR_OK;
    case POLICY_ERASED_SKIP:
        *verdict = DROP;
        return ERR_OK;
    case POLICY_ERASED_REDACT:
        *verdict = REPLACE;
        *value = slice_str(POLICY_REDACTED);
        return ERR_OK;
    case POLICY_ERASED_ERROR:
        return reason_set(why, ERR_ERASED,
                          "a record's data subject was forgotten, and the topic's policy makes that an error");
    case POLICY_ERASED_CIPHERTEXT:
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

/* On a topic without a policy anyone may have written bytes that look like an envelope: what cannot be opened there is
 * not ours and passes. On a protected topic every envelope is ours, so one that cannot be opened is damage. */
static enum err not_ours(struct rewrite *w, enum err e, struct reason *why)
{
    if (!w->policy) {
        w->counts.passed++;
        return ERR_OK;
    }
    return why && why->code == e ? (why->code = ERR_CORRUPT_MESSAGE)
                                 : reason_set(why, ERR_CORRUPT_MESSAGE, "an encrypted record: %s", err_text(e));
}

static enum err open_record(struct rewrite *w, const struct record *r, enum verdict *verdict, struct slice *value,
                            struct reason *why)
{
    const struct data_key *key = NULL;
    struct envelope env;
    enum err e;
    if (!envelope_is(r->value)) {
        w->counts.passed++;
        return ERR_OK;
    }
    if ((e = envelope_parse(r->value, &env, why)))
        return not_ours(w, e, why);
    switch (w->keys->by_id(w->keys->user, env.key_id, &key)) {
    case KEY_ERASED:
        return erased_view(w, verdict, value, why);
    case KEY_UNKNOWN:
        return not_ours(w, reason_set(why, ERR_NOT_FOUND, "a record's data key is in no keyring of this installation"),
                        why);
    case KEY_UNAVAILABLE:
        return reason_set(why, ERR_KAFKA_STORAGE_ERROR, "the key process cannot give a data key now");
    case KEY_LIVE:
        break;
    }
    e = envelope_open(&env, key->bytes, &w->context, r->key, &w->value, why);
    release(w->keys);
    if (e)
        return e == ERR_DECRYPT ? not_ours(w, e, why) : e;
    *verdict = REPLACE;
    *value = w->value.p ? slice_of(w->value.p, w->value.n) : slice_str("");
    w->counts.opened++;
    return ERR_OK;
}

static enum err leave_record(struct rewrite *w, const struct record *r, enum verdict *verdict, struct slice *value,
                             struct reason *why)
{
    (void)r, (void)verdict, (void)value, (void)why;
    w->counts.passed++;
    return ERR_OK;
}

enum err record_crypt_open(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, bool may_read, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why)
{
    struct rewrite w = {.record = may_read ? open_record : leave_record, .policy = p, .keys = keys};
    enum err e = prepare(&w, p, topic, why);
    return e ? e : rewrite_run(&w, batches, false, out, changed, counts, why);
}
