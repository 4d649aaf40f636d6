/* SPDX-License-Identifier: Apache-2.0
 * What other writers of the topic leave behind: keys in other forms than ours, an id given to two schemas, records that
 * are not understood.
 *
 * Compaction knows keys as bytes, so a key that was written in two forms is two records, and each needs its own
 * tombstone or it comes back one day. A record that gives an id to a second schema is not taken (the first one is in
 * messages already), but it stays in the topic, and should the first one be written anew behind it, a later start would
 * find them in the other order. Both are set right by writing, under each such key, what the store holds for it: that
 * is `repairs`, keyed by raw key. Whatever is applied under a raw key ends its repair, so all instances may set right
 * the same thing. Overlays neither remember nor repair. */
#include "registry/json_text.h"
#include "registry/store_internal.h"

#include <stdlib.h>

static void want_repair(struct store *s, struct slice raw, struct slice canonical)
{
    char *copy = strndup((const char *)canonical.p, canonical.n), *old = NULL;
    if (!copy || map_put(&s->repairs, raw, copy, (void **)&old))
        free(copy);
    free(old);
}

/* What was seen under `raw` counts, whatever it was. */
void store_repaired(struct store *s, struct slice raw)
{
    if (map_count(&s->repairs))
        free(map_remove(&s->repairs, raw));
}

void store_reject(struct store *s, struct slice canonical, struct slice raw)
{
    if (!s->base)
        want_repair(s, raw, canonical);
}

static size_t find_form(const json_t *list, const json_t *form)
{
    size_t at = 0;
    while (at < json_array_size(list) && !json_equal(json_array_get(list, at), form))
        at++;
    return at;
}

/* One form is gone: so must be all others. Our own tombstones come one after the other; what is left when the last one
 * came was some other writer's doing. */
static void forget_form(struct store *s, json_t *list, struct slice canonical, struct slice raw, const json_t *form)
{
    size_t at = find_form(list, form);
    if (at < json_array_size(list))
        json_array_remove(list, at);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *other = json_array_get(list, i);
        want_repair(s, slice_of(json_string_value(other), json_string_length(other)), canonical);
    }
    if (!slice_eq(canonical, raw))
        want_repair(s, canonical, canonical);
}

void store_note_key(struct store *s, struct slice canonical, struct slice raw, bool tombstone)
{
    bool ours = slice_eq(canonical, raw);
    if (s->base || (ours && !map_count(&s->raw_keys)))
        return;
    json_t *list = map_get(&s->raw_keys, canonical);
    if (ours && !list)
        return;
    json_t *form = json_stringn((const char *)raw.p, raw.n);
    if (!form)
        return; /* no UTF-8, so no key of JSON either */
    if (!list && !tombstone) {
        list = json_array();
        if (map_put(&s->raw_keys, canonical, list, NULL))
            json_decref(list), list = NULL;
    }
    if (tombstone)
        forget_form(s, list, canonical, raw, form);
    else if (list && !ours && find_form(list, form) == json_array_size(list))
        json_array_append(list, form);
    json_decref(form);
}

struct slice store_raw_key(const struct store *s, struct slice canonical, size_t i)
{
    while (s->base)
        s = s->base;
    const json_t *list = map_get(&s->raw_keys, canonical);
    const json_t *v = json_array_get(list, i);
    return v ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

bool store_wants_repair(const struct store *s)
{
    while (s->base)
        s = s->base;
    return map_count(&s->repairs) != 0;
}

/* What the store holds under a canonical key; false: nothing. */
static bool held_value(const struct store *s, struct slice canonical, struct buf *out)
{
    json_t *key = json_loadb((const char *)canonical.p, canonical.n, JSON_ALLOW_NUL, NULL);
    const json_t *name = json_object_get(key, "subject");
    const char *kind = json_string_value(json_object_get(key, "keytype"));
    struct slice subject = name ? slice_of(json_string_value(name), json_string_length(name)) : SLICE_NULL;
    if (kind && !strcmp(kind, "SCHEMA")) {
        int32_t version = (int32_t)json_integer_value(json_object_get(key, "version"));
        const struct version *v = subject_version(store_subject(s, subject), version);
        if (v)
            record_schema_value(out, subject, v, v->deleted);
    } else if (kind && !strcmp(kind, "CONFIG") && store_config(s, subject)) {
        record_config_value(out, subject, store_config(s, subject));
    } else if (kind && !strcmp(kind, "MODE") && store_mode(s, subject) != MODE_NONE) {
        record_mode_value(out, subject, store_mode(s, subject));
    }
    json_decref(key);
    return out->n != 0;
}

void store_repair(const struct store *s, void (*emit)(void *ctx, struct slice key, struct slice value), void *ctx)
{
    const struct store *root = s;
    struct buf value;
    while (root->base)
        root = root->base;
    buf_init(&value, 0);
    for (struct map_entry *e = map_first(&root->repairs); e; e = map_next(&root->repairs, e)) {
        buf_clear(&value);
        bool held = held_value(s, slice_str(e->value), &value);
        emit(ctx, map_key(e), held ? buf_slice(&value) : SLICE_NULL);
    }
    buf_free(&value);
}

void store_reserve(struct store *s, struct slice subject, int32_t version, int32_t id)
{
    struct context *c = store_context_for_write(s, subject_parse(subject).context);
    if (c && id > c->max_id)
        c->max_id = id;
    if ((intptr_t)map_get(&s->reserved, subject) < version)
        (void)!map_put(&s->reserved, subject, (void *)(intptr_t)version, NULL);
}

int32_t store_reserved(const struct store *s, struct slice subject)
{
    intptr_t highest = 0;
    for (; s; s = s->base) {
        intptr_t here = (intptr_t)map_get(&s->reserved, subject);
        highest = here > highest ? here : highest;
    }
    return (int32_t)highest;
}

/* Equal texts, or the same JSON written with other blanks: some writers keep each subject's own spelling. */
bool store_same_text(struct arena *scratch, struct slice a, struct slice b)
{
    struct jvalue *x = NULL, *y = NULL;
    struct reason why;
    return slice_eq(a, b) ||
           (!json_text_parse(&x, a, scratch, &why) && !json_text_parse(&y, b, scratch, &why) && json_text_equal(x, y));
}
