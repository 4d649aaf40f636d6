/* SPDX-License-Identifier: Apache-2.0
 * The .properties reader, after the grammar of java.util.Properties.load(). Values are kept as text and were checked
 * against their row when read, so the typed getters cannot fail. */
#include "core/base/buf.h"
#include "core/base/fs.h"
#include "core/base/map.h"
#include "core/base/secret.h"
#include "core/base/settings.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { SETTINGS_FILE_MAX = 1024 * 1024 };

struct entry {
    char *key, *value;
    unsigned line;
};

struct settings {
    const struct setting_row *rows;
    struct entry *entries;
    size_t count, cap;
    struct map by_key; /* -> struct entry index + 1 */
};

static bool row_matches(const struct setting_row *row, const char *key)
{
    size_t n = strlen(row->key);
    if (n && row->key[n - 1] == '*')
        return strncmp(row->key, key, n - 1) == 0;
    return strcmp(row->key, key) == 0;
}

static const struct setting_row *find_row(const struct settings *s, const char *key)
{
    for (const struct setting_row *row = s->rows; row->key; row++)
        if (row_matches(row, key))
            return row;
    return NULL;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

static enum err check_value(const struct setting_row *row, const char *value, const char *name, unsigned line,
                            const char *key, struct reason *why)
{
    int64_t v;
    char *end;

    switch (row->type) {
    case SETTING_STRING:
    case SETTING_LIST:
    case SETTING_PASSWORD:
        return ERR_OK;
    case SETTING_INT:
        if (!parse_int(value, &v))
            return reason_set(why, ERR_BAD_CONFIG, "%s:%u: %s must be a whole number, not \"%s\"", name, line, key,
                              value);
        if ((row->min || row->max) && (v < row->min || v > row->max))
            return reason_set(why, ERR_BAD_CONFIG, "%s:%u: %s must be from %lld to %lld, not %s", name, line, key,
                              (long long)row->min, (long long)row->max, value);
        return ERR_OK;
    case SETTING_BOOL:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return reason_set(why, ERR_BAD_CONFIG, "%s:%u: %s must be true or false, not \"%s\"", name, line, key,
                              value);
        return ERR_OK;
    case SETTING_DOUBLE:
        (void)strtod(value, &end);
        if (!*value || *end)
            return reason_set(why, ERR_BAD_CONFIG, "%s:%u: %s must be a number, not \"%s\"", name, line, key, value);
        return ERR_OK;
    }
    return ERR_BAD_CONFIG;
}

static enum err add(struct settings *s, const char *name, unsigned line, struct slice key, struct slice value,
                    struct reason *why)
{
    char *k = strndup((const char *)key.p, key.n), *v = strndup((const char *)value.p, value.n);
    const struct setting_row *row;
    enum err err = ERR_NO_MEMORY;

    if (!k || !v)
        goto fail;
    row = find_row(s, k);
    if (!row) {
        err = reason_set(why, ERR_BAD_CONFIG, "%s:%u: unknown configuration key \"%s\"", name, line, k);
        goto fail;
    }
    if ((err = check_value(row, v, name, line, k, why)))
        goto fail;
    if (map_has(&s->by_key, slice_str(k))) {
        err = reason_set(why, ERR_BAD_CONFIG, "%s:%u: %s is set twice", name, line, k);
        goto fail;
    }
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct entry *p = realloc(s->entries, cap * sizeof *p);
        err = ERR_NO_MEMORY;
        if (!p)
            goto fail;
        s->entries = p;
        s->cap = cap;
    }
    if ((err = map_put(&s->by_key, slice_str(k), (void *)(uintptr_t)(s->count + 1), NULL)))
        goto fail;
    s->entries[s->count++] = (struct entry){k, v, line};
    return ERR_OK;
fail:
    free(k);
    free(v);
    return err;
}

/* One logical line: escapes resolved, continuation lines joined, key and value split. */
struct line_parser {
    const uint8_t *p, *end;
    unsigned line;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static void skip_blanks(struct line_parser *l)
{
    while (l->p < l->end && is_blank(*l->p))
        l->p++;
}

static bool at_eol(const struct line_parser *l)
{
    return l->p == l->end || *l->p == '\n' || *l->p == '\r';
}

static void next_line(struct line_parser *l)
{
    if (l->p < l->end && *l->p == '\r')
        l->p++;
    if (l->p < l->end && *l->p == '\n')
        l->p++;
    l->line++;
}

static void put_utf8(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_u8(b, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(b, (uint8_t)(0xc0 | c >> 6));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_u8(b, (uint8_t)(0xe0 | c >> 12));
        buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

static void read_escape(struct line_parser *l, struct buf *out)
{
    static const char from[] = "tnrf", to[] = "\t\n\r\f";
    uint8_t c;
    const char *at;

    if (l->p == l->end)
        return;
    if (at_eol(l)) { /* a continuation line */
        next_line(l);
        skip_blanks(l);
        return;
    }
    c = *l->p++;
    at = strchr(from, c);
    if (c == 'u' && l->end - l->p >= 4) {
        char hex[5] = {0};
        memcpy(hex, l->p, 4);
        put_utf8(out, (unsigned)strtoul(hex, NULL, 16));
        l->p += 4;
    } else {
        buf_u8(out, at && c ? (uint8_t)to[at - from] : c);
    }
}

static void read_until(struct line_parser *l, struct buf *out, bool is_key)
{
    while (!at_eol(l)) {
        uint8_t c = *l->p;
        if (is_key && (c == '=' || c == ':' || is_blank(c)))
            return;
        l->p++;
        if (c == '\\')
            read_escape(l, out);
        else
            buf_u8(out, c);
    }
}

enum err settings_parse(struct settings **out, const char *name, struct slice text, const struct setting_row *rows,
                        struct reason *why)
{
    struct line_parser l = {text.p, text.p + text.n, 1};
    struct settings *s = calloc(1, sizeof *s);
    struct buf key, value;
    enum err err = ERR_OK;

    *out = NULL;
    if (!s)
        return ERR_NO_MEMORY;
    s->rows = rows;
    buf_init(&key, 4096);
    buf_init(&value, SETTINGS_FILE_MAX);
    while (!err && l.p < l.end) {
        unsigned line = l.line;
        skip_blanks(&l);
        if (at_eol(&l)) {
            next_line(&l);
            continue;
        }
        if (*l.p == '#' || *l.p == '!') {
            while (!at_eol(&l))
                l.p++;
            next_line(&l);
            continue;
        }
        buf_clear(&key);
        buf_clear(&value);
        read_until(&l, &key, true);
        skip_blanks(&l);
        if (l.p < l.end && (*l.p == '=' || *l.p == ':'))
            l.p++;
        skip_blanks(&l);
        read_until(&l, &value, false);
        next_line(&l);
        while (value.n && is_blank(value.p[value.n - 1]))
            value.n--;
        err = buf_error(&key) ? buf_error(&key) : buf_error(&value);
        if (!err)
            err = add(s, name, line, slice_str(buf_cstr(&key)), slice_str(buf_cstr(&value)), why);
        else
            reason_set(why, err, "%s:%u: the line is too long", name, line);
    }
    buf_free(&key);
    buf_wipe_free(&value);
    if (err) {
        settings_free(s);
        return err;
    }
    *out = s;
    return ERR_OK;
}

enum err settings_load(struct settings **out, const char *path, const struct setting_row *rows, struct reason *why)
{
    struct reason inner = {0};
    struct buf text;
    enum err err;

    *out = NULL;
    buf_init(&text, SETTINGS_FILE_MAX);
    err = fs_read_file(path, &text, &inner);
    if (err) /* to whoever starts us with it, a file that cannot be read is a wrong configuration */
        err = reason_set(why, ERR_BAD_CONFIG, "%s", inner.code ? inner.text : err_text(err));
    else
        err = settings_parse(out, path, buf_slice(&text), rows, why);
    buf_wipe_free(&text);
    return err;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->entries[i].key);
        secret_wipe(s->entries[i].value, strlen(s->entries[i].value));
        free(s->entries[i].value);
    }
    free(s->entries);
    map_free(&s->by_key, NULL);
    free(s);
}

const char *settings_string(const struct settings *s, const char *key)
{
    uintptr_t at = (uintptr_t)map_get(&s->by_key, slice_str(key));
    const struct setting_row *row;

    if (at)
        return s->entries[at - 1].value;
    row = find_row(s, key);
    assert(row); /* asking for a key that no row names is a programmer's error */
    return row ? row->fallback : NULL;
}

bool settings_has(const struct settings *s, const char *key)
{
    return settings_string(s, key) != NULL;
}

int64_t settings_int(const struct settings *s, const char *key)
{
    const char *text = settings_string(s, key);
    int64_t v = 0;
    return text && parse_int(text, &v) ? v : 0;
}

bool settings_bool(const struct settings *s, const char *key)
{
    const char *text = settings_string(s, key);
    return text && strcmp(text, "true") == 0;
}

struct slice settings_list(const struct settings *s, const char *key, size_t i)
{
    const char *p = settings_string(s, key);
    for (; p && *p; i--) {
        const char *comma = strchrnul(p, ',');
        const char *a = p, *b = comma;
        while (a < b && is_blank((uint8_t)*a))
            a++;
        while (b > a && is_blank((uint8_t)b[-1]))
            b--;
        if (i == 0)
            return slice_of(a, (size_t)(b - a));
        p = *comma ? comma + 1 : comma;
    }
    return SLICE_NULL;
}

bool settings_at(const struct settings *s, size_t i, const char **key, const char **value, unsigned *line)
{
    if (i >= s->count)
        return false;
    *key = s->entries[i].key;
    *value = s->entries[i].value;
    *line = s->entries[i].line;
    return true;
}
