/* SPDX-License-Identifier: Apache-2.0
 * The levels of compatibility over any kind of schema. BACKWARD asks whether the new schema reads old data, FORWARD
 * whether the old one reads new data, FULL both. The lines about the old schema follow the incompatibilities of the
 * question that was asked last; in FULL only those of the backward question have them, as in the reference. */
#include "registry/compatibility.h"

#include <strings.h>

static const char *const level_names[] = {
    [COMPAT_NONE] = "NONE",
    [COMPAT_BACKWARD] = "BACKWARD",
    [COMPAT_BACKWARD_TRANSITIVE] = "BACKWARD_TRANSITIVE",
    [COMPAT_FORWARD] = "FORWARD",
    [COMPAT_FORWARD_TRANSITIVE] = "FORWARD_TRANSITIVE",
    [COMPAT_FULL] = "FULL",
    [COMPAT_FULL_TRANSITIVE] = "FULL_TRANSITIVE",
};

static bool same_word(struct slice text, const char *word)
{
    return text.p && text.n == strlen(word) && strncasecmp((const char *)text.p, word, text.n) == 0;
}

const char *compat_level_name(enum compat_level level)
{
    return level_names[level];
}

bool compat_level_parse(struct slice text, enum compat_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (same_word(text, level_names[i])) {
            *out = (enum compat_level)i;
            return true;
        }
    return false;
}

bool compat_policy_parse(struct slice text, enum compat_policy *out)
{
    *out = same_word(text, "LENIENT") ? COMPAT_LENIENT : COMPAT_STRICT;
    return slice_is_null(text) || same_word(text, "STRICT") || *out == COMPAT_LENIENT;
}

enum err compat_add_line(struct compat_result *r, struct slice text)
{
    struct compat_item *i = compat_result_add(r, NULL);
    if (!i)
        return ERR_NO_MEMORY;
    i->text = arena_copy(&r->arena, text);
    return slice_is_null(i->text) ? ERR_NO_MEMORY : ERR_OK;
}

enum err compat_add_config(struct compat_result *r, bool validate_fields, enum compat_level level)
{
    struct compat_item *i = compat_result_add(r, NULL);
    const char *text = i ? arena_printf(&r->arena, "{validateFields: '%s', compatibility: '%s'}",
                                        validate_fields ? "true" : "false", level_names[level])
                         : NULL;
    if (!text)
        return ERR_NO_MEMORY;
    i->text = slice_str(text);
    return ERR_OK;
}

static enum err add_old(struct compat_result *r, const struct compat_previous *old)
{
    struct buf text, line;
    buf_init(&text, 0);
    buf_init(&line, 0);
    enum err e = schema_canonical(old->schema, &text);
    if (e == ERR_OK && old->version > 0) {
        buf_printf(&line, "{oldSchemaVersion: %d}", (int)old->version);
        e = buf_error(&line);
        if (e == ERR_OK)
            e = compat_add_line(r, buf_slice(&line));
        buf_clear(&line);
    }
    if (e == ERR_OK) {
        bool cut = text.n > COMPAT_OLD_SCHEMA_SHOWN_MAX;
        size_t n = cut ? COMPAT_OLD_SCHEMA_SHOWN_MAX : text.n;
        while (cut && n && (text.p[n] & 0xc0) == 0x80)
            n--; /* not in the middle of a character */
        buf_put_str(&line, cut ? "{oldSchema: <truncated> '" : "{oldSchema: '");
        buf_put(&line, text.p, n);
        buf_put_str(&line, cut ? "...'}" : "'}");
        e = buf_error(&line);
        if (e == ERR_OK)
            e = compat_add_line(r, buf_slice(&line));
    }
    buf_free(&text);
    buf_free(&line);
    return e;
}

enum { ASK_BACKWARD = 1, ASK_FORWARD = 2 };

static unsigned asks_of(enum compat_level level, bool *transitive)
{
    *transitive =
        level == COMPAT_BACKWARD_TRANSITIVE || level == COMPAT_FORWARD_TRANSITIVE || level == COMPAT_FULL_TRANSITIVE;
    switch (level) {
    case COMPAT_NONE:
        return 0;
    case COMPAT_BACKWARD:
    case COMPAT_BACKWARD_TRANSITIVE:
        return ASK_BACKWARD;
    case COMPAT_FORWARD:
    case COMPAT_FORWARD_TRANSITIVE:
        return ASK_FORWARD;
    case COMPAT_FULL:
    case COMPAT_FULL_TRANSITIVE:
        return ASK_BACKWARD | ASK_FORWARD;
    }
    return 0;
}

static enum err check_one(unsigned asks, enum compat_policy policy, const struct parsed_schema *schema,
                          const struct compat_previous *old, struct compat_result *out, struct reason *why)
{
    size_t before = out->n;
    enum err e = ERR_OK;
    if (schema->ops != old->schema->ops) /* said once, and without the old schema */
        return schema_compatible(schema, old->schema, &(struct compat_question){true, policy}, out, why);
    if (asks & ASK_FORWARD)
        e = schema_compatible(old->schema, schema, &(struct compat_question){false, policy}, out, why);
    if (e == ERR_OK && (asks & ASK_BACKWARD)) {
        before = out->n;
        e = schema_compatible(schema, old->schema, &(struct compat_question){true, policy}, out, why);
    }
    if (e == ERR_OK && out->n > before)
        e = add_old(out, old);
    return e;
}

enum err compat_check(enum compat_level level, enum compat_policy policy, const struct parsed_schema *schema,
                      const struct compat_previous *previous, size_t n, struct compat_result *out, struct reason *why)
{
    bool transitive;
    unsigned asks = asks_of(level, &transitive);
    size_t before = out->n;
    enum err e = ERR_OK;
    if (asks == 0)
        return ERR_OK;
    for (size_t i = 0; i < n && e == ERR_OK && out->n == before && (transitive || i == 0); i++)
        e = check_one(asks, policy, schema, &previous[i], out, why);
    return e;
}

void compat_print(const struct compat_result *r, struct buf *out)
{
    buf_put_str(out, "[");
    for (size_t i = 0; i < r->n; i++) {
        buf_put_str(out, i ? ", " : "");
        buf_put_slice(out, r->items[i].text);
    }
    buf_put_str(out, "]");
}
