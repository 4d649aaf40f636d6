/* SPDX-License-Identifier: Apache-2.0
 * What names mean in Protobuf: a table of full names for the file and what it refers to, the built-in files (read once
 * per process, kept for ever), and the search from the inside out. */
#include "registry/protobuf_model.h"

#include <pthread.h>
#include <stdlib.h>

static struct proto_schema known; /* allow: built in; read-only once made */
static enum err known_error;      /* allow: how making it went */

static enum err add_name(struct map *m, struct arena *a, struct slice prefix, struct slice name, void *value,
                         struct slice *full)
{
    const char *text = prefix.n ? arena_printf(a, "%.*s.%.*s", SLICE_FMT(prefix), SLICE_FMT(name))
                                : arena_printf(a, "%.*s", SLICE_FMT(name));
    if (!text)
        return ERR_NO_MEMORY;
    *full = slice_str(text);
    return map_put(m, *full, value, NULL);
}

static enum err link_extends(struct proto_schema *s, const struct proto_extends *list, struct slice prefix)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < list->n && e == ERR_OK; i++)
        for (uint32_t k = 0; k < list->v[i].fields.n && e == ERR_OK; k++) {
            struct proto_field *f = &list->v[i].fields.v[k];
            struct slice full;
            e = add_name(&s->extensions, &s->arena, prefix, f->name, f, &full);
        }
    return e;
}

static enum err link_types(struct proto_schema *s, struct proto_file *f, const struct proto_types *types,
                           struct slice prefix)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < types->n && e == ERR_OK; i++) {
        struct protobuf_message *m = types->v[i];
        const struct proto_value *entry = proto_option_value(&m->options, "map_entry", false);
        m->file = f;
        m->schema = s;
        m->is_map = !m->is_enum && entry && slice_eq_str(entry->text, "true");
        e = add_name(&s->types, &s->arena, prefix, m->name, m, &m->full);
        if (e == ERR_OK)
            e = link_extends(s, &m->extends, m->full);
        if (e == ERR_OK)
            e = link_types(s, f, &m->types, m->full);
    }
    return e;
}

/* --- what each field's type is --- */

static uint8_t kind_of(const struct proto_schema *s, const struct protobuf_message *m, struct slice type,
                       struct protobuf_message **found)
{
    size_t skip = m->file->package.n ? m->file->package.n + 1 : 0;
    int scalar = proto_scalar_number(type);
    if (scalar)
        return (uint8_t)scalar;
    *found = proto_find_type(s, m->file->package, slice_of(m->full.p + skip, m->full.n - skip), type);
    return !*found ? PROTO_UNKNOWN : (*found)->is_enum ? PROTO_ENUM : PROTO_MESSAGE;
}

static void type_field(const struct proto_schema *s, struct protobuf_message *m, struct proto_field *f)
{
    struct slice key, value;
    m->has_required |= f->label == PROTO_REQUIRED;
    if (!proto_is_map(f->type, &key, &value)) {
        f->kind = kind_of(s, m, f->type, &f->message);
        return;
    }
    f->kind = PROTO_MAP_FIELD;
    f->key_kind = (uint8_t)proto_scalar_number(key);
    f->value_kind = kind_of(s, m, value, &f->message);
}

static void type_fields(const struct proto_schema *s, const struct proto_types *types)
{
    for (uint32_t i = 0; i < types->n; i++) {
        struct protobuf_message *m = types->v[i];
        for (uint32_t k = 0; k < m->fields.n; k++)
            type_field(s, m, &m->fields.v[k]);
        for (uint32_t k = 0; k < m->oneofs.n; k++)
            for (uint32_t f = 0; f < m->oneofs.v[k].fields.n; f++)
                type_field(s, m, &m->oneofs.v[k].fields.v[f]);
        type_fields(s, &m->types);
    }
}

static enum err link_file(struct proto_schema *s, struct proto_file *f)
{
    enum err e = link_extends(s, &f->extends, f->package);
    return e == ERR_OK ? link_types(s, f, &f->types, f->package) : e;
}

static void make_known(void)
{
    arena_init(&known.arena, 0);
    map_init(&known.types);
    map_init(&known.extensions);
    for (const char *const *p = proto_known_files(); *p && known_error == ERR_OK; p += 2) {
        struct proto_file *f = arena_alloc(&known.arena, sizeof *f);
        known_error = f ? proto_read_text(f, slice_str(p[1]), &known.arena, NULL) : ERR_NO_MEMORY;
        if (known_error == ERR_OK) {
            f->import_name = slice_str(p[0]);
            known_error = link_file(&known, f);
        }
    }
    for (struct map_entry *e = map_first(&known.types); e && known_error == ERR_OK; e = map_next(&known.types, e)) {
        const struct protobuf_message *m = e->value;
        if (!m->up)
            type_fields(&known, &m->file->types);
    }
}

static const struct proto_schema *known_files(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_known);
    return &known;
}

const struct proto_file *proto_known_file(struct slice import_name)
{
    const struct proto_schema *k = known_files();
    for (struct map_entry *e = map_first(&k->types); e; e = map_next(&k->types, e)) {
        const struct protobuf_message *m = e->value;
        if (slice_eq(m->file->import_name, import_name))
            return m->file;
    }
    return NULL;
}

enum err proto_link(struct proto_schema *s, struct reason *why)
{
    (void)known_files();
    enum err e = known_error;
    for (size_t i = 0; i < s->refs_n && e == ERR_OK; i++)
        e = link_file(s, s->refs[i]);
    if (e == ERR_OK)
        e = link_file(s, &s->file);
    for (size_t i = 0; i < s->refs_n && e == ERR_OK; i++)
        type_fields(s, &s->refs[i]->types);
    if (e == ERR_OK)
        type_fields(s, &s->file.types);
    return e == ERR_OK ? ERR_OK : reason_set(why, e, "out of memory reading a Protobuf schema");
}

static void *look_up(const struct proto_schema *s, bool extension, struct slice full)
{
    void *found = map_get(extension ? &s->extensions : &s->types, full);
    if (s == &known) /* while it is being made */
        return found;
    const struct proto_schema *k = known_files();
    return found ? found : map_get(extension ? &k->extensions : &k->types, full);
}

static void *find(const struct proto_schema *s, bool extension, struct slice package, struct slice scope,
                  struct slice name, struct buf *full)
{
    void *found = NULL;
    if (name.n && name.p[0] == '.') {
        buf_put(full, name.p + 1, name.n - 1);
        return look_up(s, extension, buf_slice(full));
    }
    buf_put_slice(full, package);
    if (package.n && scope.n)
        buf_put_str(full, ".");
    buf_put_slice(full, scope);
    for (size_t prefix = full->n;; prefix = full->n) {
        if (prefix)
            buf_put_str(full, ".");
        buf_put_slice(full, name);
        found = buf_error(full) == ERR_OK ? look_up(s, extension, buf_slice(full)) : NULL;
        if (found || prefix == 0)
            return found;
        full->n = prefix;
        while (full->n && full->p[full->n - 1] != '.')
            full->n--;
        full->n -= full->n > 0;
    }
}

struct protobuf_message *proto_find_type(const struct proto_schema *s, struct slice package, struct slice scope,
                                         struct slice name)
{
    struct buf full;
    buf_init(&full, PROTOBUF_SCHEMA_SIZE_MAX);
    struct protobuf_message *m = find(s, false, package, scope, name, &full);
    buf_free(&full);
    return m;
}

struct proto_field *proto_find_extension(const struct proto_schema *s, struct slice scope, struct slice name,
                                         struct buf *full)
{
    return find(s, true, s->file.package, scope, name, full);
}

static const char *const scalars[] = {
    [1] = "double",  [2] = "float",     [3] = "int64",     [4] = "uint64",  [5] = "int32",
    [6] = "fixed64", [7] = "fixed32",   [8] = "bool",      [9] = "string",  [12] = "bytes",
    [13] = "uint32", [15] = "sfixed32", [16] = "sfixed64", [17] = "sint32", [18] = "sint64",
};

int proto_scalar_number(struct slice type)
{
    for (int i = 1; i < (int)(sizeof scalars / sizeof *scalars); i++)
        if (scalars[i] && slice_eq_str(type, scalars[i]))
            return i;
    return 0;
}

const char *proto_scalar_name(int number)
{
    return number > 0 && number < (int)(sizeof scalars / sizeof *scalars) ? scalars[number] : NULL;
}

bool proto_is_scalar(struct slice type)
{
    return proto_scalar_number(type) != 0;
}

bool proto_is_map(struct slice type, struct slice *key, struct slice *value)
{
    const uint8_t *comma;
    if (!slice_starts(type, slice_str("map<")) || type.p[type.n - 1] != '>' || !(comma = memchr(type.p, ',', type.n)))
        return false;
    *key = slice_of(type.p + 4, (size_t)(comma - type.p - 4));
    while (*++comma == ' ')
        ;
    *value = slice_of(comma, (size_t)(type.p + type.n - 1 - comma));
    return true;
}

/* --- is everything there, and only once? --- */

struct checking {
    const struct proto_schema *s;
    struct reason *why;
    struct buf scope;
};

static enum err check_type(struct checking *c, struct slice type)
{
    struct slice key, value;
    if (proto_is_scalar(type))
        return ERR_OK;
    if (proto_is_map(type, &key, &value)) {
        if (!proto_is_scalar(key) || slice_eq_str(key, "bytes") || slice_eq_str(key, "double") ||
            slice_eq_str(key, "float"))
            return reason_set(c->why, ERR_MALFORMED, "map key must be non-byte, non-floating point scalar: %.*s",
                              SLICE_FMT(key));
        return check_type(c, value);
    }
    if (proto_find_type(c->s, c->s->file.package, buf_slice(&c->scope), type))
        return ERR_OK;
    return reason_set(c->why, ERR_MALFORMED, "Could not resolve type: %.*s", SLICE_FMT(type));
}

static enum err check_once(struct checking *c, struct map *names, struct map *tags, const struct protobuf_message *m,
                           const struct proto_field *f)
{
    if (f->tag < 1 || f->tag > PROTO_TAG_MAX || (f->tag >= 19000 && f->tag < 20000))
        return reason_set(c->why, ERR_MALFORMED, "field number %d of %.*s.%.*s is not allowed", (int)f->tag,
                          SLICE_FMT(m->name), SLICE_FMT(f->name));
    struct slice tag = slice_of(&f->tag, sizeof f->tag);
    if (map_has(names, f->name) || map_has(tags, tag))
        return reason_set(c->why, ERR_MALFORMED, "field %.*s = %d is defined twice in %.*s", SLICE_FMT(f->name),
                          (int)f->tag, SLICE_FMT(m->name));
    if (map_put(names, f->name, c, NULL) != ERR_OK || map_put(tags, tag, c, NULL) != ERR_OK)
        return reason_set(c->why, ERR_NO_MEMORY, "out of memory");
    return check_type(c, f->type);
}

static enum err check_fields(struct checking *c, const struct protobuf_message *m)
{
    struct map names, tags;
    enum err e = ERR_OK;
    map_init(&names);
    map_init(&tags);
    for (uint32_t i = 0; i < m->fields.n && e == ERR_OK; i++)
        e = check_once(c, &names, &tags, m, &m->fields.v[i]);
    for (uint32_t i = 0; i < m->oneofs.n && e == ERR_OK; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n && e == ERR_OK; k++)
            e = check_once(c, &names, &tags, m, &m->oneofs.v[i].fields.v[k]);
    map_free(&names, NULL);
    map_free(&tags, NULL);
    return e;
}

static enum err check_extends(struct checking *c, const struct proto_extends *list)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < list->n && e == ERR_OK; i++) {
        e = check_type(c, list->v[i].name);
        for (uint32_t k = 0; k < list->v[i].fields.n && e == ERR_OK; k++)
            e = check_type(c, list->v[i].fields.v[k].type);
    }
    return e;
}

static enum err check_types(struct checking *c, const struct proto_types *types)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < types->n && e == ERR_OK; i++) {
        const struct protobuf_message *m = types->v[i];
        size_t was = c->scope.n;
        for (uint32_t k = 0; k < i && e == ERR_OK; k++)
            if (slice_eq(types->v[k]->name, m->name))
                e = reason_set(c->why, ERR_MALFORMED, "%.*s is already defined", SLICE_FMT(m->name));
        if (was)
            buf_put_str(&c->scope, ".");
        buf_put_slice(&c->scope, m->name);
        if (e == ERR_OK)
            e = check_fields(c, m);
        if (e == ERR_OK)
            e = check_extends(c, &m->extends);
        if (e == ERR_OK)
            e = check_types(c, &m->types);
        c->scope.n = was;
    }
    return e;
}

enum err proto_check(const struct proto_schema *s, struct reason *why)
{
    struct checking c = {.s = s, .why = why};
    buf_init(&c.scope, PROTOBUF_SCHEMA_SIZE_MAX);
    enum err e = check_types(&c, &s->file.types);
    if (e == ERR_OK)
        e = check_extends(&c, &s->file.extends);
    for (uint32_t i = 0; i < s->file.services.n && e == ERR_OK; i++)
        for (uint32_t k = 0; k < s->file.services.v[i].rpcs.n && e == ERR_OK; k++) {
            e = check_type(&c, s->file.services.v[i].rpcs.v[k].request);
            if (e == ERR_OK)
                e = check_type(&c, s->file.services.v[i].rpcs.v[k].response);
        }
    buf_free(&c.scope);
    return e;
}
