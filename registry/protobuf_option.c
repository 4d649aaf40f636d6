/* SPDX-License-Identifier: Apache-2.0
 * Options of a .proto file: a name, maybe with parts after dots, and a value that may be a whole tree. */
#include "registry/protobuf_model.h"

static bool out_of_memory(struct proto_reader *r)
{
    if (r->error == ERR_OK)
        r->error = reason_set(r->why, ERR_LIMIT_EXCEEDED,
                              "more than %d declarations of a kind in one place, or out of memory", PROTO_LIST_MAX);
    return false;
}

static bool read_value(struct proto_reader *r, struct proto_value *out);

static struct proto_value *add_item(struct proto_reader *r, struct proto_value *list)
{
    struct proto_value *v = proto_more(r->arena, &list->items, &list->n, &list->cap, sizeof *v);
    if (!v)
        out_of_memory(r);
    return v;
}

static bool append(struct proto_reader *r, struct proto_value *list, const struct proto_value *v)
{
    if (v->kind != PROTO_LIST) {
        struct proto_value *item = add_item(r, list);
        if (item)
            *item = *v;
        return item != NULL;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        struct proto_value *item = add_item(r, list);
        if (!item)
            return false;
        *item = v->items[i];
    }
    return true;
}

static struct proto_entry *entry_of(struct proto_value *map, struct slice key)
{
    for (uint32_t i = 0; i < map->n; i++)
        if (slice_eq(map->entries[i].key, key))
            return &map->entries[i];
    return NULL;
}

static struct proto_entry *add_entry(struct proto_reader *r, struct proto_value *map, struct slice key)
{
    struct proto_entry *e = proto_more(r->arena, &map->entries, &map->n, &map->cap, sizeof *e);
    if (!e) {
        out_of_memory(r);
        return NULL;
    }
    *e = (struct proto_entry){.key = key};
    return e;
}

/* A key given again makes a list; parts after a dot go into a map of their own. */
static bool put_entry(struct proto_reader *r, struct proto_value *map, const struct proto_option *o)
{
    struct proto_entry *e = entry_of(map, o->name);
    if (o->value.kind == PROTO_OPTION) {
        if (!e && (e = add_entry(r, map, o->name)))
            e->value.kind = PROTO_MAP;
        if (!e)
            return false;
        if (e->value.kind != PROTO_MAP)
            return proto_bad(r, "%.*s is not a map", SLICE_FMT(o->name));
        struct proto_entry *inner = entry_of(&e->value, o->value.inner->name);
        if (!inner)
            inner = add_entry(r, &e->value, o->value.inner->name);
        if (inner)
            inner->value = o->value.inner->value;
        return inner != NULL;
    }
    if (!e) {
        if ((e = add_entry(r, map, o->name)))
            e->value = o->value;
        return e != NULL;
    }
    if (e->value.kind != PROTO_LIST) {
        struct proto_value list = {.kind = PROTO_LIST};
        if (!append(r, &list, &e->value))
            return false;
        e->value = list;
    }
    return append(r, &e->value, &o->value);
}

static bool read_map(struct proto_reader *r, struct proto_value *out)
{
    out->kind = PROTO_MAP;
    (void)proto_require(r, '{');
    while (r->error == ERR_OK && !proto_take(r, '}')) {
        struct proto_option o = {0};
        if (!proto_read_option(r, ':', &o) || !put_entry(r, out, &o))
            return false;
        if (!proto_take(r, ','))
            (void)proto_take(r, ';');
    }
    return r->error == ERR_OK;
}

static bool read_list(struct proto_reader *r, struct proto_value *out)
{
    out->kind = PROTO_LIST;
    (void)proto_require(r, '[');
    while (r->error == ERR_OK && !proto_take(r, ']')) {
        struct proto_value v;
        if (!read_value(r, &v))
            return false;
        struct proto_value *item = add_item(r, out);
        if (!item)
            return false;
        *item = v;
        if (!proto_take(r, ',') && proto_peek(r) != ']')
            return proto_bad(r, "expected ',' or ']'");
    }
    return r->error == ERR_OK;
}

static bool read_value(struct proto_reader *r, struct proto_value *out)
{
    int c = proto_peek(r);
    *out = (struct proto_value){0};
    if (c == '{' || c == '[') {
        if (++r->depth > PROTOBUF_DEPTH_MAX)
            return proto_bad(r, "option values nested deeper than %d", PROTOBUF_DEPTH_MAX);
        bool ok = c == '{' ? read_map(r, out) : read_list(r, out);
        r->depth--;
        return ok;
    }
    if (c == '"' || c == '\'') {
        out->kind = PROTO_STRING;
        out->text = proto_quoted(r);
        return r->error == ERR_OK;
    }
    out->text = proto_word(r, true);
    if ((c >= '0' && c <= '9') || c == '-')
        out->kind = PROTO_NUMBER;
    else
        out->kind = slice_eq_str(out->text, "true") || slice_eq_str(out->text, "false") ? PROTO_BOOLEAN : PROTO_WORD;
    return r->error == ERR_OK;
}

enum { PARTS_MAX = 32 };

static struct proto_option *add_part(struct proto_reader *r, struct proto_option *parts, unsigned *n)
{
    if (*n == PARTS_MAX) {
        proto_bad(r, "an option's name of more than %d parts", PARTS_MAX);
        return NULL;
    }
    parts[*n] = (struct proto_option){0};
    return &parts[(*n)++];
}

/* One name after a dot: (custom), or words with dots of their own between them. */
static bool read_name_parts(struct proto_reader *r, struct proto_option *parts, unsigned *n)
{
    struct proto_option *part;
    int c = proto_peek(r);
    struct slice word = proto_name(r);
    if (c == '(' || c == '[') {
        if (!(part = add_part(r, parts, n)))
            return false;
        part->custom = c == '(';
        const char *text = c == '[' ? arena_printf(r->arena, "[%.*s]", SLICE_FMT(word)) : NULL;
        part->name = text ? slice_str(text) : word;
        return r->error == ERR_OK;
    }
    for (size_t from = 0, i = 0; i <= word.n && r->error == ERR_OK; i++) {
        if (i < word.n && word.p[i] != '.')
            continue;
        if ((part = add_part(r, parts, n)))
            part->name = slice_of(word.p + from, i - from);
        from = i + 1;
    }
    return r->error == ERR_OK;
}

static bool read_parts(struct proto_reader *r, char separator, struct proto_option *parts, unsigned *n)
{
    while (r->error == ERR_OK && proto_take(r, '.'))
        if (!read_name_parts(r, parts, n))
            return false;
    int c = proto_peek(r);
    if (c < 0 || (separator == ':' && c == '{'))
        return r->error == ERR_OK; /* in a map, the separator before a map may be left out */
    r->p++;
    return c == (uint8_t)separator || proto_bad(r, "expected '%c' in option", separator);
}

bool proto_read_option(struct proto_reader *r, char separator, struct proto_option *out)
{
    struct proto_option parts[PARTS_MAX];
    unsigned n = 0;
    int c = proto_peek(r);
    *out = (struct proto_option){.custom = c == '('};
    out->name = proto_name(r);
    if (c == '[') {
        const char *name = arena_printf(r->arena, "[%.*s]", SLICE_FMT(out->name));
        if (!name)
            return out_of_memory(r);
        out->name = slice_str(name);
    }
    if (!read_parts(r, separator, parts, &n) || !read_value(r, n ? &parts[n - 1].value : &out->value))
        return false;
    for (unsigned i = n; i > 0; i--) {
        struct proto_option *inner = arena_alloc(r->arena, sizeof *inner);
        if (!inner)
            return out_of_memory(r);
        *inner = parts[i - 1];
        struct proto_value *outer = i > 1 ? &parts[i - 2].value : &out->value;
        *outer = (struct proto_value){.kind = PROTO_OPTION, .inner = inner};
    }
    return true;
}

bool proto_read_options(struct proto_reader *r, struct proto_options *out)
{
    if (!proto_take(r, '['))
        return r->error == ERR_OK;
    for (;;) {
        struct proto_option o;
        if (!proto_read_option(r, '=', &o))
            return false;
        struct proto_option *more = PROTO_MORE(r->arena, *out);
        if (!more)
            return out_of_memory(r);
        *more = o;
        if (proto_take(r, ']'))
            return true;
        if (!proto_take(r, ','))
            return proto_bad(r, "Expected ',' or ']");
    }
}

const struct proto_value *proto_option_value(const struct proto_options *o, const char *name, bool custom)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (o->v[i].custom == custom && slice_eq_str(o->v[i].name, name))
            return &o->v[i].value;
    return NULL;
}
