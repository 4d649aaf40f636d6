/* SPDX-License-Identifier: Apache-2.0
 * Records of `_schemas`, both directions. Writing follows the reference byte for byte (compaction compares keys as
 * bytes); reading is lenient: older members missing, foreign members present, magic 0 or 1, members in any order.
 * What other writers leave behind is in store_foreign.c. */
#include "registry/association.h"
#include "registry/compatibility.h"
#include "registry/json_text.h"
#include "registry/store_internal.h"

#include <openssl/evp.h>
#include <stdlib.h>

const char *const config_members[] = {"alias",
                                      "aliasForDeks",
                                      "normalize",
                                      "validateFields",
                                      "validateNewSchemas",
                                      "validateRules",
                                      "compatibilityLevel",
                                      "compatibilityPolicy",
                                      "compatibilityGroup",
                                      "defaultMetadata",
                                      "overrideMetadata",
                                      "defaultRuleSet",
                                      "overrideRuleSet",
                                      NULL};

/* --- writing --- */

static void put_subject_member(struct buf *out, struct slice subject)
{
    if (slice_is_null(subject) || subject.n == 0)
        return;
    buf_put_str(out, "\"subject\":");
    json_text_print_string(out, subject);
    buf_put_str(out, ",");
}

static void put_key(struct buf *out, const char *keytype, struct slice subject)
{
    buf_printf(out, "{\"keytype\":\"%s\",", keytype);
    put_subject_member(out, subject);
    buf_put_str(out, "\"magic\":0}");
}

void record_schema_key(struct buf *out, struct slice subject, int32_t version)
{
    buf_put_str(out, "{\"keytype\":\"SCHEMA\",\"subject\":");
    json_text_print_string(out, subject);
    buf_printf(out, ",\"version\":%d,\"magic\":1}", (int)version);
}

static void put_md5(struct buf *out, const struct content *c)
{
    unsigned char text[4 * ((GUID_SIZE + 2) / 3) + 1];
    EVP_EncodeBlock(text, c->guid, GUID_SIZE);
    buf_printf(out, ",\"md5\":\"%s\"", (const char *)text);
}

void record_schema_value(struct buf *out, struct slice subject, const struct version *v, bool deleted)
{
    const struct content *c = v->content;
    buf_put_str(out, "{\"subject\":");
    json_text_print_string(out, subject);
    buf_printf(out, ",\"version\":%d,\"id\":%d", (int)v->version, (int)v->id);
    if (c->guid_given)
        put_md5(out, c);
    buf_printf(out, ",\"schemaType\":\"%s\"", schema_type_name(c->type));
    for (size_t i = 0; i < c->reference_count; i++) {
        buf_put_str(out, i ? ",{\"name\":" : ",\"references\":[{\"name\":");
        json_text_print_string(out, c->references[i].name);
        buf_put_str(out, ",\"subject\":");
        json_text_print_string(out, c->references[i].subject);
        buf_printf(out, ",\"version\":%d}%s", (int)c->references[i].version, i + 1 == c->reference_count ? "]" : "");
    }
    if (!slice_is_null(c->metadata)) {
        buf_put_str(out, ",\"metadata\":");
        buf_put_slice(out, c->metadata);
    }
    if (!slice_is_null(c->rules)) {
        buf_put_str(out, ",\"ruleSet\":");
        buf_put_slice(out, c->rules);
    }
    buf_put_str(out, ",\"schema\":");
    json_text_print_string(out, c->text);
    buf_printf(out, ",\"deleted\":%s}", deleted ? "true" : "false");
}

void record_config_key(struct buf *out, struct slice subject)
{
    put_key(out, "CONFIG", subject);
}

void config_put_members(struct buf *out, const json_t *config, const char *level, bool empty)
{
    bool any = false;
    for (size_t i = 0; config_members[i]; i++) {
        const json_t *v = json_object_get(config, config_members[i]);
        if (!v || (!empty && json_is_string(v) && !json_string_length(v)))
            continue;
        buf_printf(out, "%s\"%s\":", any ? "," : "",
                   strcmp(config_members[i], "compatibilityLevel") ? config_members[i] : level);
        if (json_is_string(v))
            json_text_print_string(out, slice_of(json_string_value(v), json_string_length(v)));
        else
            contract_put(out, v);
        any = true;
    }
}

void record_config_value(struct buf *out, struct slice subject, const json_t *config)
{
    buf_put_str(out, "{");
    size_t at = out->n;
    put_subject_member(out, subject);
    size_t after = out->n;
    config_put_members(out, config, "compatibilityLevel", false);
    if (after != at && out->n == after)
        out->n--; /* only the subject: no comma after it */
    buf_put_str(out, "}");
}

void record_mode_key(struct buf *out, struct slice subject)
{
    put_key(out, "MODE", subject);
}

void record_mode_value(struct buf *out, struct slice subject, enum mode m)
{
    buf_put_str(out, "{");
    put_subject_member(out, subject);
    buf_printf(out, "\"mode\":\"%s\"}", mode_name(m));
}

void record_delete_subject_key(struct buf *out, struct slice subject)
{
    put_key(out, "DELETE_SUBJECT", subject);
}

void record_delete_subject_value(struct buf *out, struct slice subject, int32_t version)
{
    buf_put_str(out, "{\"subject\":");
    json_text_print_string(out, subject);
    buf_printf(out, ",\"version\":%d}", (int)version);
}

void record_clear_subject_key(struct buf *out, struct slice subject)
{
    put_key(out, "CLEAR_SUBJECT", subject);
}

void record_clear_subject_value(struct buf *out, struct slice subject)
{
    buf_put_str(out, "{");
    if (subject.n) {
        buf_put_str(out, "\"subject\":");
        json_text_print_string(out, subject);
    }
    buf_put_str(out, "}");
}

void record_context_key(struct buf *out, struct slice context)
{
    buf_put_str(out, "{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":");
    json_text_print_string(out, context);
    buf_put_str(out, ",\"magic\":0}");
}

void record_context_value(struct buf *out, struct slice context)
{
    buf_put_str(out, "{\"tenant\":\"default\",\"context\":");
    json_text_print_string(out, context);
    buf_put_str(out, "}");
}

/* --- reading --- */

static struct slice text_member(const struct jvalue *v, const char *name)
{
    const struct jvalue *m = json_text_get_str(v, name);
    return m && m->kind == J_STRING ? m->u.text : SLICE_NULL;
}

static bool int_of(const struct jvalue *m, int32_t *out)
{
    int64_t i = 0;
    if (!m || m->kind != J_NUMBER || !m->u.text.n || m->u.text.n > 11)
        return false;
    bool negative = m->u.text.p[0] == '-';
    for (size_t k = negative; k < m->u.text.n; k++) {
        if (m->u.text.p[k] < '0' || m->u.text.p[k] > '9')
            return false;
        i = i * 10 + (m->u.text.p[k] - '0');
    }
    i = negative ? -i : i;
    *out = (int32_t)i;
    return i >= INT32_MIN && i <= INT32_MAX;
}

static bool int_member(const struct jvalue *v, const char *name, int32_t *out)
{
    return int_of(json_text_get_str(v, name), out);
}

/* A member as jansson has it, for what is edited rather than looked at; NULL when absent or null. */
static json_t *json_member(const struct jvalue *v, const char *name)
{
    const struct jvalue *m = json_text_get_str(v, name);
    struct buf text;
    if (!m || m->kind == J_NULL)
        return NULL;
    buf_init(&text, 0);
    json_text_print(&text, m, JSON_TEXT_AS_WRITTEN);
    json_t *j =
        buf_error(&text) ? NULL : json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_free(&text);
    return j;
}

static enum err read_references(const struct jvalue *value, struct schema_ref **out, size_t *n)
{
    const struct jvalue *list = json_text_get_str(value, "references");
    *n = list && list->kind == J_ARRAY ? list->n : 0;
    *out = calloc(*n + 1, sizeof **out);
    if (!*out)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < *n; i++) {
        const struct jvalue *r = &list->u.items[i];
        (*out)[i].name = text_member(r, "name");
        (*out)[i].subject = text_member(r, "subject");
        if (slice_is_null((*out)[i].name) || slice_is_null((*out)[i].subject) ||
            !int_member(r, "version", &(*out)[i].version))
            return ERR_MALFORMED;
    }
    return ERR_OK;
}

static enum err read_contract(const struct jvalue *value, json_t **metadata, json_t **rules, struct reason *why)
{
    json_t *m = json_member(value, "metadata"), *r = json_member(value, "ruleSet");
    enum err e = contract_metadata(metadata, m, why);
    if (!e)
        e = contract_rules(rules, r, why);
    json_decref(m);
    json_decref(r);
    return e;
}

static enum err read_content(struct store *s, const struct jvalue *value, struct content **out, struct reason *why)
{
    struct schema_ref *references = NULL;
    size_t n = 0;
    json_t *metadata = NULL, *rules = NULL;
    enum schema_type type;
    struct slice text = text_member(value, "schema");
    struct slice type_name = text_member(value, "schemaType");
    if (slice_is_null(text) || !schema_type_parse(type_name, &type))
        return reason_set(why, ERR_MALFORMED, "schema record without a schema, or of unknown type '%.*s'",
                          SLICE_FMT(type_name));
    enum err e = read_references(value, &references, &n);
    if (!e)
        e = read_contract(value, &metadata, &rules, why);
    if (!e) {
        struct content *c = content_new(type, text, references, n, metadata, rules);
        if (c)
            (void)content_take_md5(c, text_member(value, "md5"));
        *out = c ? store_intern(s, c) : NULL;
        e = *out ? ERR_OK : ERR_NO_MEMORY;
    }
    free(references);
    json_decref(metadata);
    json_decref(rules);
    return e ? reason_set(why, e, "schema record: %s", err_text(e)) : ERR_OK;
}

static void remove_version(struct store *s, struct slice name, int32_t version)
{
    if (!subject_version(store_subject(s, name), version))
        return; /* a tombstone may outlive its record */
    struct subject *u = store_subject_for_write(s, name);
    for (size_t i = 0; u && i < u->n; i++) {
        if (u->versions[i].version != version)
            continue;
        store_release(s, u->versions[i].content);
        memmove(u->versions + i, u->versions + i + 1, (u->n - i - 1) * sizeof *u->versions);
        u->n--;
        return;
    }
}

static enum err put_version(struct store *s, struct slice name, const struct version *v)
{
    struct subject *u = store_subject_for_write(s, name);
    if (!u)
        return ERR_NO_MEMORY;
    size_t at = u->n;
    while (at > 0 && u->versions[at - 1].version >= v->version)
        at--;
    if (at < u->n && u->versions[at].version == v->version) {
        store_release(s, u->versions[at].content);
    } else {
        if (u->n == u->cap) {
            size_t cap = u->cap ? u->cap * 2 : 1;
            struct version *list = realloc(u->versions, cap * sizeof *list);
            if (!list)
                return ERR_NO_MEMORY;
            u->versions = list;
            u->cap = cap;
        }
        memmove(u->versions + at + 1, u->versions + at, (u->n - at) * sizeof *u->versions);
        u->n++;
    }
    u->versions[at] = *v;
    enum err e = store_note_id(s, u, &u->versions[at]);
    return e ? e : store_note_references(s, u, &u->versions[at]);
}

static enum err check_schema_key(const struct jvalue *key, int32_t *version, struct reason *why)
{
    int32_t magic = 1;
    if (slice_is_null(text_member(key, "subject")) || !int_member(key, "version", version))
        return reason_set(why, ERR_MALFORMED, "schema key without subject or version");
    if (*version < 1)
        return reason_set(why, ERR_MALFORMED, "schema key with version %d", (int)*version);
    if (json_text_get_str(key, "magic") && (!int_member(key, "magic", &magic) || (magic != 0 && magic != 1)))
        return reason_set(why, ERR_MALFORMED, "schema key with magic byte %d", (int)magic);
    return ERR_OK;
}

/* An id stands for one schema, the first: messages carry it already. */
static bool id_is_taken(struct store *s, struct slice subject, int32_t id, struct slice text)
{
    const struct content *there = store_by_id(s, subject_parse(subject).context, id);
    return there && !store_same_text(&s->scratch, there->text, text);
}

static enum err apply_schema(struct store *s, const struct jvalue *key, const struct jvalue *value,
                             int64_t timestamp_ms, struct reason *why)
{
    struct version v = {.timestamp_ms = timestamp_ms};
    struct slice subject = text_member(key, "subject");
    enum err e = check_schema_key(key, &v.version, why);
    if (e)
        return e;
    if (!value) {
        remove_version(s, subject, v.version);
        return ERR_OK;
    }
    if (!int_member(value, "id", &v.id))
        return reason_set(why, ERR_MALFORMED, "schema record without id");
    const struct jvalue *deleted = json_text_get_str(value, "deleted");
    v.deleted = deleted && deleted->kind == J_TRUE;
    e = read_content(s, value, &v.content, why);
    if (e) {
        store_reserve(s, subject, v.version, v.id);
        return e;
    }
    if (id_is_taken(s, subject, v.id, v.content->text)) {
        store_release(s, v.content);
        return reason_set(why, ERR_CONFLICT, "subject %.*s version %d brings another schema for the id %d: not taken",
                          SLICE_FMT(subject), (int)v.version, (int)v.id);
    }
    e = put_version(s, subject, &v);
    if (e)
        content_unref(v.content);
    return e;
}

/* Softly deleted versions go for good, as before an import. Without a subject: those of the default context. */
static enum err apply_clear_subject(struct store *s, const struct jvalue *key, const struct jvalue *value)
{
    struct slice want = text_member(key, "subject");
    want = slice_is_null(want) ? slice_str("") : want;
    if (!value)
        return ERR_OK;
    for (const struct store *at = s; at; at = at->base)
        for (struct map_entry *e = map_first(&at->subjects); e; e = map_next(&at->subjects, e)) {
            const struct subject *u = store_subject(s, map_key(e));
            bool wanted = subject_is_context(want)
                              ? slice_eq(subject_parse(map_key(e)).context, subject_parse(want).context)
                              : slice_eq(map_key(e), want);
            for (size_t i = wanted && u ? u->n : 0; i > 0; i--)
                if (u->versions[i - 1].deleted) {
                    remove_version(s, map_key(e), u->versions[i - 1].version);
                    u = store_subject(s, map_key(e));
                    if (!u)
                        break;
                }
        }
    return ERR_OK;
}

static enum err apply_delete_subject(struct store *s, const struct jvalue *key, const struct jvalue *value,
                                     struct reason *why)
{
    struct slice subject = text_member(key, "subject");
    int32_t upto = INT32_MAX; /* Redpanda's has no version */
    if (slice_is_null(subject))
        return reason_set(why, ERR_MALFORMED, "DELETE_SUBJECT key without subject");
    if (!value || !store_subject(s, subject))
        return ERR_OK;
    (void)int_member(value, "version", &upto);
    struct subject *u = store_subject_for_write(s, subject);
    if (!u)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < u->n; i++)
        if (u->versions[i].version <= upto)
            u->versions[i].deleted = true;
    return ERR_OK;
}

static bool is_level(const json_t *level)
{
    enum compat_level known;
    const char *text = json_string_value(level);
    return !level || (text && compat_level_parse(slice_str(text), &known) && !strcmp(text, compat_level_name(known)));
}

static enum err apply_config(struct store *s, struct slice scope, const struct jvalue *value, struct reason *why)
{
    json_t *old = NULL, *config = NULL, *level = value ? json_member(value, "compatibilityLevel") : NULL;
    bool known = is_level(level);
    json_decref(level);
    if (!known)
        return reason_set(why, ERR_MALFORMED, "unknown compatibility level");
    if (value) {
        config = json_object();
        for (size_t i = 0; config_members[i]; i++) {
            json_t *v = json_member(value, config_members[i]);
            if (v)
                json_object_set_new(config, config_members[i], v);
        }
    } else if (s->base) {
        config = json_null();
    }
    if (!config) {
        json_decref(map_remove(&s->configs, scope));
        return ERR_OK;
    }
    enum err e = map_put(&s->configs, scope, config, (void **)&old);
    if (e)
        json_decref(config);
    else
        json_decref(old);
    return e;
}

static enum err apply_mode(struct store *s, struct slice scope, const struct jvalue *value, struct reason *why)
{
    enum mode m = MODE_NONE;
    if (value && !mode_parse(text_member(value, "mode"), &m))
        return reason_set(why, ERR_MALFORMED, "unknown mode");
    if (!value && !s->base) {
        map_remove(&s->modes, scope);
        return ERR_OK;
    }
    return map_put(&s->modes, scope, (void *)(intptr_t)m, NULL);
}

static enum err apply_context(struct store *s, const struct jvalue *key, const struct jvalue *value, struct reason *why)
{
    struct slice name = text_member(key, "context");
    if (slice_is_null(name))
        return reason_set(why, ERR_MALFORMED, "CONTEXT key without context");
    struct context *c = store_context_for_write(s, name);
    if (!c)
        return ERR_NO_MEMORY;
    c->declared = value != NULL;
    return ERR_OK;
}

enum key_kind {
    KEY_SCHEMA,
    KEY_CONFIG,
    KEY_MODE,
    KEY_DELETE_SUBJECT,
    KEY_CLEAR_SUBJECT,
    KEY_CONTEXT,
    KEY_ASSOC,
    KEY_OTHER,
    KEY_UNKNOWN
};

static enum key_kind kind_of(const struct jvalue *key)
{
    static const struct {
        const char *name;
        enum key_kind kind;
    } kinds[] = {
        {"SCHEMA", KEY_SCHEMA},   {"CONFIG", KEY_CONFIG}, {"MODE", KEY_MODE},   {"DELETE_SUBJECT", KEY_DELETE_SUBJECT},
        {"CONTEXT", KEY_CONTEXT}, {"NOOP", KEY_OTHER},    {"ASSOC", KEY_ASSOC}, {"CLEAR_SUBJECT", KEY_CLEAR_SUBJECT}};
    struct slice name = text_member(key, "keytype");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_eq_str(name, kinds[i].name))
            return kinds[i].kind;
    return KEY_UNKNOWN;
}

static void canonical_key(struct buf *out, enum key_kind kind, const struct jvalue *key)
{
    int32_t version = 0;
    struct slice subject = text_member(key, "subject");
    if (kind == KEY_SCHEMA && int_member(key, "version", &version))
        record_schema_key(out, subject, version);
    else if (kind == KEY_CONFIG)
        record_config_key(out, subject);
    else if (kind == KEY_MODE)
        record_mode_key(out, subject);
    else if (kind == KEY_CONTEXT && json_text_is_str(json_text_get_str(key, "tenant"), "default"))
        record_context_key(out, text_member(key, "context"));
    else if (kind == KEY_ASSOC)
        association_put_key(out, key);
}

static enum err apply_parsed(struct store *s, enum key_kind kind, const struct jvalue *key, const struct jvalue *value,
                             int64_t timestamp_ms, struct reason *why)
{
    struct slice subject = text_member(key, "subject");
    struct slice scope = slice_is_null(subject) ? slice_str("") : subject;
    switch (kind) {
    case KEY_SCHEMA:
        return apply_schema(s, key, value, timestamp_ms, why);
    case KEY_CONFIG:
        return apply_config(s, scope, value, why);
    case KEY_MODE:
        return apply_mode(s, scope, value, why);
    case KEY_DELETE_SUBJECT:
        return apply_delete_subject(s, key, value, why);
    case KEY_CLEAR_SUBJECT:
        return apply_clear_subject(s, key, value);
    case KEY_CONTEXT:
        return apply_context(s, key, value, why);
    case KEY_ASSOC:
        return association_apply(s, key, value, timestamp_ms, why);
    case KEY_OTHER:
        return ERR_OK;
    case KEY_UNKNOWN:
        break;
    }
    return reason_set(why, ERR_MALFORMED, "unknown keytype");
}

static enum err parse_object(struct jvalue **out, struct slice text, struct arena *a, const char *what,
                             struct reason *why)
{
    enum err e = json_text_parse(out, text, a, why);
    if (!e && (*out)->kind != J_OBJECT)
        e = ERR_MALFORMED;
    return e ? reason_set(why, ERR_MALFORMED, "the %s is not a JSON object", what) : ERR_OK;
}

/* Keys that are written anew or tombstoned. The canonical form is empty for the others. */
static void note_key(struct store *s, enum key_kind kind, const struct jvalue *k, struct slice raw, bool tombstone,
                     bool rejected)
{
    struct buf canonical;
    buf_init(&canonical, 0);
    canonical_key(&canonical, kind, k);
    if (canonical.n && !buf_error(&canonical)) {
        store_repaired(s, raw);
        store_note_key(s, buf_slice(&canonical), raw, tombstone);
        if (rejected)
            store_reject(s, buf_slice(&canonical), raw);
    }
    buf_free(&canonical);
}

enum err store_apply(struct store *s, struct slice key, struct slice value, int64_t timestamp_ms, struct reason *why)
{
    struct jvalue *k = NULL, *v = NULL;
    enum key_kind kind = KEY_UNKNOWN;
    arena_reset(&s->scratch);
    enum err e = parse_object(&k, key, &s->scratch, "key", why);
    if (!e && !slice_is_null(value))
        e = parse_object(&v, value, &s->scratch, "value", why);
    if (!e) {
        kind = kind_of(k);
        e = apply_parsed(s, kind, k, v, timestamp_ms, why);
    }
    if (e)
        s->skipped++;
    if (!e || e == ERR_CONFLICT)
        note_key(s, kind, k, key, !v, e == ERR_CONFLICT);
    return e;
}
