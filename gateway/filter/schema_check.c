/* SPDX-License-Identifier: Apache-2.0
 * The judge. A value names its schema in one of two ways: the frame (a zero byte, the id as four bytes, big-endian, for
 * Protobuf then the message's indexes), or the header `__value_schema_id` (`__key_schema_id`) with a byte 1 and a GUID,
 * or a byte 0 and an id. Null keys and values pass: a tombstone has nothing to judge.
 *
 * What an id (and, for Protobuf under RecordNameStrategy, a message) means for this topic is remembered until the next
 * record of `_schemas`; only good answers are, a bad one is looked up again every time. */
#include "gateway/filter/schema_check.h"
#include "core/base/env.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLOCK_EVERY = 8, JSON_KEPT_MAX = 1024 * 1024, FRAME_SIZE = 5, GUID_FRAME_SIZE = 1 + GUID_SIZE };

static const char *const side_names[SCHEMA_SIDES] = {"key", "value"};
static const char *const id_headers[SCHEMA_SIDES] = {"__key_schema_id", "__value_schema_id"};

struct schema_judge {
    struct schemas *schemas;
    char *topic;
    struct slice topic_name;
    uint64_t generation; /* of `known` */
    struct judge_side {
        enum subject_strategy strategy;
        struct map known;    /* id or GUID -> struct schema */
        struct schema *held; /* the one at hand, when it is not remembered */
        struct schema *last; /* the one used last, by a plain id; in `known` */
        struct buf subject;  /* scratch */
    } sides[SCHEMA_SIDES];
    struct buf scratch, json;
    struct arena arena;
    bool brief; /* the call at hand must be */
    bool heavy; /* something that takes long came up since the schemas changed */
};

/* ---- Settings ---- */

static const char *const setting_names[] = {
    "castellan.key.schema.validation",       "castellan.key.subject.name.strategy", "castellan.value.schema.validation",
    "castellan.value.subject.name.strategy", "castellan.schema.dead.letter.topic",
};

const char *schema_setting_name(size_t i)
{
    return i < sizeof setting_names / sizeof *setting_names ? setting_names[i] : NULL;
}

static int word_of(struct slice value, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (slice_eq_str(value, words[i]))
            return i;
    return value.n == 0 ? 0 : -1;
}

enum err schema_settings_put(struct schema_settings *s, struct slice name, struct slice value)
{
    static const char *const levels[] = {"", "id", "payload", NULL};
    static const char *const strategies[] = {"TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy",
                                             NULL};
    size_t row = 0;
    int word;

    while (schema_setting_name(row) && !slice_eq_str(name, schema_setting_name(row)))
        row++;
    if (!schema_setting_name(row))
        return ERR_OK;
    if (row == 4) {
        if (value.n > SCHEMA_DEAD_LETTER_MAX)
            return ERR_INVALID_CONFIG;
        memset(s->dead_letter, 0, sizeof s->dead_letter);
        if (value.n)
            memcpy(s->dead_letter, value.p, value.n);
        return ERR_OK;
    }
    word = word_of(value, row % 2 ? strategies : levels);
    if (word < 0)
        return ERR_INVALID_CONFIG;
    if (row % 2)
        s->side[row / 2].strategy = (enum subject_strategy)word;
    else
        s->side[row / 2].level = (enum schema_level)word;
    return ERR_OK;
}

bool schema_settings_check_anything(const struct schema_settings *s)
{
    return s->side[SCHEMA_KEY].level != SCHEMA_LEVEL_NONE || s->side[SCHEMA_VALUE].level != SCHEMA_LEVEL_NONE;
}

const char *schema_fault_label(enum schema_fault f)
{
    static const char *const labels[SCHEMA_FAULTS] = {"unframed", "unknown_id", "subject", "payload", "rule"};
    return labels[f];
}

/* ---- Life ---- */

struct schema_judge *schema_judge_new(struct schemas *schemas, struct slice topic)
{
    struct schema_judge *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    j->schemas = schemas;
    for (int i = 0; i < SCHEMA_SIDES; i++) {
        map_init(&j->sides[i].known);
        buf_init(&j->sides[i].subject, SCHEMA_SUBJECT_MAX);
    }
    buf_init(&j->scratch, 0);
    buf_init(&j->json, 0);
    arena_init(&j->arena, 0);
    j->topic = strndup((const char *)topic.p, topic.n);
    if (j->topic) {
        j->topic_name = slice_str(j->topic);
        return j;
    }
    schema_judge_free(j);
    return NULL;
}

static void unref(void *p)
{
    schema_unref(p);
}

static void forget(struct judge_side *side)
{
    map_free(&side->known, unref);
    schema_unref(side->held);
    side->held = side->last = NULL;
}

void schema_judge_free(struct schema_judge *j)
{
    if (!j)
        return;
    for (int i = 0; i < SCHEMA_SIDES; i++) {
        forget(&j->sides[i]);
        buf_free(&j->sides[i].subject);
    }
    buf_free(&j->scratch);
    buf_free(&j->json);
    arena_free(&j->arena);
    free(j->topic);
    free(j);
}

static void renew(struct schema_judge *j, const struct schema_settings *settings)
{
    uint64_t generation = schemas_generation(j->schemas);

    for (int i = 0; i < SCHEMA_SIDES; i++) {
        if (generation != j->generation || settings->side[i].strategy != j->sides[i].strategy) {
            forget(&j->sides[i]);
            j->heavy = false;
        }
        j->sides[i].strategy = settings->side[i].strategy;
    }
    j->generation = generation;
}

/* ---- One key or value ---- */

/* The caller wants it brief, and what comes up now is not: nothing further is judged. */
static bool too_heavy(struct schema_judge *j, struct schema_findings *f)
{
    if (j->brief)
        f->heavy = true;
    return f->heavy;
}

/* What is being judged, and where the verdict goes. */
struct subject_matter {
    struct schema_judge *judge;
    enum schema_sides side;
    const struct schema_rule_of_side *rule;
    const struct record *record;
    int32_t index;
    struct schema_findings *findings;
    struct schema_id id;
    struct slice indexes; /* Protobuf: what stands after a GUID in the header */
    struct slice payload; /* what follows the frame */
};

static enum err found(struct subject_matter *m, enum schema_fault fault, const char *fmt, ...) PRINTF_LIKE(3, 4);

static enum err found(struct subject_matter *m, enum schema_fault fault, const char *fmt, ...)
{
    struct schema_findings *f = m->findings;
    struct schema_violation *v;
    char text[600];
    va_list args;

    if (f->n && f->v[f->n - 1].index == m->index)
        return ERR_OK; /* its key was already found bad */
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct schema_violation *grown = arena_array(f->arena, cap, sizeof *grown);
        if (!grown)
            return ERR_NO_MEMORY;
        if (f->n)
            memcpy(grown, f->v, f->n * sizeof *grown);
        f->v = grown;
        f->cap = cap;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    v = &f->v[f->n];
    *v = (struct schema_violation){.index = m->index, .fault = fault};
    v->text = f->n < SCHEMA_ERRORS_MAX ? arena_printf(f->arena, "%s: %s", side_names[m->side], text) : "";
    if (!v->text)
        return ERR_NO_MEMORY;
    f->n++;
    if (fault == SCHEMA_FAULT_UNKNOWN_ID || fault == SCHEMA_FAULT_SUBJECT)
        f->stale = true;
    return ERR_OK;
}

static int32_t read_id(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

static bool id_from_header(struct subject_matter *m, struct slice whole)
{
    struct cursor c = cursor_of(m->record->headers);
    struct record_header h;

    while (record_header_next(&c, &h)) {
        if (!slice_eq_str(h.key, id_headers[m->side]) || slice_is_null(h.value))
            continue;
        if (h.value.n >= GUID_FRAME_SIZE && h.value.p[0] == 1) {
            m->id.is_guid = true;
            memcpy(m->id.guid, h.value.p + 1, GUID_SIZE);
            m->indexes = slice_of(h.value.p + GUID_FRAME_SIZE, h.value.n - GUID_FRAME_SIZE);
        } else if (h.value.n >= FRAME_SIZE && h.value.p[0] == 0) {
            m->id.id = read_id(h.value.p + 1);
            m->indexes = slice_of(h.value.p + FRAME_SIZE, h.value.n - FRAME_SIZE);
        } else {
            return false;
        }
        m->payload = whole;
        return true;
    }
    return false;
}

static bool read_frame(struct subject_matter *m, struct slice whole)
{
    m->id = (struct schema_id){0};
    m->indexes = SLICE_NULL;
    if (m->record->header_count > 0 && id_from_header(m, whole))
        return true;
    if (whole.n < FRAME_SIZE || whole.p[0] != 0)
        return false;
    m->id.id = read_id(whole.p + 1);
    m->payload = slice_of(whole.p + FRAME_SIZE, whole.n - FRAME_SIZE);
    return true;
}

static void name_subject(struct subject_matter *m, struct slice record_name)
{
    struct buf *b = &m->judge->sides[m->side].subject;

    buf_clear(b);
    switch (m->rule->strategy) {
    case SUBJECT_OF_TOPIC:
        buf_printf(b, "%s-%s", m->judge->topic, side_names[m->side]);
        break;
    case SUBJECT_OF_RECORD:
        buf_put_slice(b, record_name);
        break;
    case SUBJECT_OF_TOPIC_RECORD:
        buf_printf(b, "%s-", m->judge->topic);
        buf_put_slice(b, record_name);
        break;
    }
}

static struct slice known_key(struct subject_matter *m)
{
    struct buf *b = &m->judge->scratch;

    buf_clear(b);
    if (m->id.is_guid)
        buf_put(b, m->id.guid, GUID_SIZE);
    else
        buf_u32(b, (uint32_t)m->id.id);
    return buf_slice(b);
}

/* Protobuf: the indexes name the message; they stand in the header, or before the data. */
static enum err find_message(struct subject_matter *m, const struct schema *s, const struct protobuf_message **out,
                             struct reason *why)
{
    bool apart = !slice_is_null(m->indexes) && m->indexes.n > 0;
    size_t used = 0;
    enum err err = protobuf_read_indexes(s->parsed, apart ? m->indexes : m->payload, out, &used, why);

    if (!err && !apart)
        m->payload = slice_of(m->payload.p + used, m->payload.n - used);
    return err;
}

static bool needs_message(const struct subject_matter *m, const struct schema *s)
{
    return s->type == SCHEMA_PROTOBUF &&
           (m->rule->level == SCHEMA_LEVEL_PAYLOAD || m->rule->strategy != SUBJECT_OF_TOPIC);
}

/* Remember a good answer; takes the reference over. Protobuf under a record's name is not remembered: other messages
 * of the schema have other subjects. */
static enum err remember(struct subject_matter *m, struct schema *s)
{
    struct judge_side *side = &m->judge->sides[m->side];

    if (s->type == SCHEMA_PROTOBUF && m->rule->strategy != SUBJECT_OF_TOPIC) {
        schema_unref(side->held);
        side->held = s;
        return ERR_OK;
    }
    if (map_count(&side->known) >= SCHEMA_KNOWN_MAX)
        forget(side);
    if (map_put(&side->known, known_key(m), s, NULL)) {
        schema_unref(s);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

static enum err note_unknown(struct subject_matter *m, const struct reason *why)
{
    if (m->id.is_guid)
        return found(m, SCHEMA_FAULT_UNKNOWN_ID, "the schema GUID in the header cannot be used: %s", why->text);
    return found(m, SCHEMA_FAULT_UNKNOWN_ID, "schema id %d cannot be used: %s", (int)m->id.id, why->text);
}

/* Does the schema belong to the subject this record must have? Otherwise a violation was noted. */
static enum err check_subject(struct subject_matter *m, const struct schema *s, const struct protobuf_message *message,
                              bool *ok)
{
    struct buf *subject = &m->judge->sides[m->side].subject;
    struct slice name = message ? protobuf_message_name(message) : s->record_name;

    name_subject(m, name);
    *ok = (m->rule->strategy == SUBJECT_OF_TOPIC || !slice_is_null(name)) && !buf_error(subject) &&
          schemas_subject_has(m->judge->schemas, buf_slice(subject), s->id);
    if (*ok)
        return ERR_OK;
    return found(m, SCHEMA_FAULT_SUBJECT, "schema id %d is not registered under subject %.*s", (int)s->id,
                 SLICE_FMT(buf_slice(subject)));
}

/* The schema when it may be used in this topic; NULL: a violation was noted. It lives until the next call. */
static enum err resolve(struct subject_matter *m, const struct schema **out, const struct protobuf_message **message)
{
    struct schema *s = map_get(&m->judge->sides[m->side].known, known_key(m));
    bool is_known = s != NULL, ok = true;
    struct reason why = {0};
    enum err err;

    if (!is_known && too_heavy(m->judge, m->findings)) /* it may have to be compiled */
        return ERR_OK;
    if (!is_known) {
        err = schemas_find(m->judge->schemas, &m->id, &s, &why);
        if (err)
            return err == ERR_NO_MEMORY ? err : note_unknown(m, &why);
    }
    if (needs_message(m, s) && find_message(m, s, message, &why)) {
        err = found(m, SCHEMA_FAULT_PAYLOAD, "%s", why.text);
        ok = false;
    } else {
        err = is_known ? ERR_OK : check_subject(m, s, *message, &ok);
    }
    if (!is_known && (err || !ok))
        schema_unref(s);
    else if (!is_known)
        err = remember(m, s);
    if (!err && ok)
        *out = s;
    return err;
}

static enum err check_rules(struct subject_matter *m, const struct schema *s)
{
    struct schema_judge *j = m->judge;
    struct slice text = m->payload;
    size_t before = m->findings->n;
    struct rules_verdict verdict = {0};
    struct jvalue *message;
    struct reason why = {0};
    enum err err = ERR_OK;

    arena_reset(&j->arena);
    if (j->json.cap > JSON_KEPT_MAX)
        buf_free(&j->json);
    buf_clear(&j->json);
    if (s->type == SCHEMA_AVRO) {
        err = avro_program_to_json(s->avro, m->payload, AVRO_JSON_PLAIN, &j->json, &why);
        text = buf_slice(&j->json);
    }
    if (!err)
        err = json_text_parse(&message, text, &j->arena, &why);
    if (!err)
        err = rules_check(s->rules, message, &verdict, &why);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err) /* no verdict: closed */
        return found(m, SCHEMA_FAULT_RULE, "the rules cannot be asked about it: %s", why.text);
    if (!verdict.broken)
        return ERR_OK;
    err = found(m, SCHEMA_FAULT_RULE, "%s", why.text);
    if (!err && m->findings->n > before)
        m->findings->v[before].must_refuse = verdict.action != RULES_ACTION_DLQ;
    return err;
}

static enum err check_payload(struct subject_matter *m, const struct schema *s, const struct protobuf_message *message)
{
    struct reason why = {0};
    enum err err = ERR_OK;

    if (s->type == SCHEMA_JSON || s->rules) {
        m->judge->heavy = true;
        if (too_heavy(m->judge, m->findings))
            return ERR_OK;
    }
    switch (s->type) {
    case SCHEMA_AVRO:
        if (!s->raw_bytes)
            err = avro_program_validate(s->avro, m->payload, &why);
        break;
    case SCHEMA_JSON:
        err = schema_validate(s->parsed, m->payload, &why);
        break;
    case SCHEMA_PROTOBUF:
        err = protobuf_validate(message, m->payload, &why);
        if (!err && s->rules)
            return found(m, SCHEMA_FAULT_RULE,
                         "schema id %d has conditions, and those of Protobuf schemas are not "
                         "understood here",
                         (int)s->id);
        break;
    }
    if (err == ERR_NO_MEMORY)
        return err;
    if (err)
        return found(m, SCHEMA_FAULT_PAYLOAD, "it is not what schema id %d says: %s", (int)s->id, why.text);
    return s->rules && !s->raw_bytes ? check_rules(m, s) : ERR_OK;
}

static enum err judge_one(struct subject_matter *m, struct slice whole)
{
    struct judge_side *side = &m->judge->sides[m->side];
    const struct protobuf_message *message = NULL;
    const struct schema *s = NULL;
    enum err err;

    if (slice_is_null(whole))
        return ERR_OK;
    if (!read_frame(m, whole))
        return found(m, SCHEMA_FAULT_UNFRAMED, "it does not begin with a schema id (a zero byte and four bytes)");
    if (side->last && !m->id.is_guid && side->last->id == m->id.id) {
        s = side->last;
    } else {
        err = resolve(m, &s, &message);
        if (err || !s)
            return err;
        if (!m->id.is_guid && s->type != SCHEMA_PROTOBUF)
            side->last = (struct schema *)(uintptr_t)s;
    }
    return m->rule->level == SCHEMA_LEVEL_PAYLOAD ? check_payload(m, s, message) : ERR_OK;
}

/* ---- Batches ---- */

static enum err check_time(const struct schema_how *how, int64_t until, struct reason *why)
{
    if (how->unpack && how->unpack->cancelled && atomic_load(how->unpack->cancelled))
        return reason_set(why, ERR_CANCELLED, "nobody waits for it any more");
    if (env_mono_ms(env_system()) > until)
        return reason_set(why, ERR_INVALID_RECORD, "validating the batch takes more than %d ms", SCHEMA_JUDGE_MS_MAX);
    return ERR_OK;
}

static enum err judge_record(struct schema_judge *j, const struct schema_settings *settings, const struct record *r,
                             int32_t index, struct schema_findings *out)
{
    enum err err = ERR_OK;

    for (int side = 0; !err && !out->heavy && side < SCHEMA_SIDES; side++) {
        struct subject_matter m = {.judge = j,
                                   .side = (enum schema_sides)side,
                                   .rule = &settings->side[side],
                                   .record = r,
                                   .index = index,
                                   .findings = out};
        if (m.rule->level != SCHEMA_LEVEL_NONE)
            err = judge_one(&m, side == SCHEMA_KEY ? r->key : r->value);
    }
    return err;
}

static enum err judge_batch(struct schema_judge *j, const struct schema_settings *settings,
                            const struct schema_how *how, struct record_iter *it, struct schema_findings *out,
                            struct reason *why)
{
    struct record r;
    bool more = false;
    int64_t until = env_mono_ms(env_system()) + SCHEMA_JUDGE_MS_MAX;
    enum err err = record_iter_next(it, &r, &more, why);

    for (int32_t i = 0; !err && more && !out->heavy; i++) {
        if (i % CLOCK_EVERY == CLOCK_EVERY - 1 && (err = check_time(how, until, why)))
            break;
        err = judge_record(j, settings, &r, i, out);
        if (!err)
            err = record_iter_next(it, &r, &more, why);
    }
    return err;
}

/* The one batch, without compression; in `plain` when it had some. */
static enum err read_batch(const struct schema_how *how, struct slice records, struct record_batch *batch,
                           struct buf *plain, struct reason *why)
{
    struct record_unpack own = {.limits = {RECORD_UNPACK_BATCH_MAX, RECORD_UNPACK_REQUEST_MAX}};
    enum err err = record_batch_parse(records, batch, why);

    if (!err && batch->bytes.n != records.n)
        err = reason_set(why, ERR_INVALID_RECORD, "a Produce carries exactly one batch for a partition");
    if (err || record_batch_codec(batch) == WIRE_CODEC_NONE)
        return err;
    err = record_unpack_run(how->unpack ? how->unpack : &own, records, plain, NULL, why);
    return err ? err : record_batch_parse(buf_slice(plain), batch, why);
}

static bool is_brief(const struct schema_judge *j, struct slice records)
{
    return !j->heavy && records.n <= SCHEMA_BRIEF_MAX && !record_unpack_needed(records);
}

enum err schema_judge_records(struct schema_judge *j, const struct schema_settings *settings, struct slice records,
                              const struct schema_how *how, struct schema_findings *out, struct reason *why)
{
    static const struct schema_how any = {0};
    struct record_batch batch;
    struct record_iter it;
    struct buf plain;
    enum err err;

    if (slice_is_null(records))
        return ERR_OK; /* the cluster has its own answer */
    how = how ? how : &any;
    renew(j, settings);
    j->brief = how->brief;
    if (how->brief && !is_brief(j, records)) {
        out->heavy = true;
        return ERR_OK;
    }
    buf_init(&plain, 0);
    err = read_batch(how, records, &batch, &plain, why);
    if (!err)
        err = record_iter_open(&it, &batch, &plain, 0, why);
    if (!err)
        err = judge_batch(j, settings, how, &it, out, why);
    if (!err && out->n > 0) /* bytes that changed on the way are worth another try */
        err = record_batch_check_crc(&batch, why);
    buf_free(&plain);
    if (out->heavy)
        *out = (struct schema_findings){.arena = out->arena, .heavy = true};
    return err;
}
