/* SPDX-License-Identifier: Apache-2.0
 * Can data of one schema be read with another? The judgement, its words and its locations are those of Java's
 * SchemaCompatibility, down to what a remembered verdict says: a pair of types is judged once, a pair that is being
 * judged counts as compatible where it meets itself, and the incompatibilities of a remembered pair keep the location
 * where it was judged first. Depth and work are bounded, so a hostile pair gets ERR_LIMIT_EXCEEDED. */
#include "registry/avro_model.h"

#include <stdlib.h>

enum { PAIR_DEPTH_MAX = 1500, LIST_MAX = 1000 };

/* Where we are, innermost first. */
struct place {
    const struct place *up;
    struct slice token;
};

/* A verdict: nothing in the list means compatible. */
struct verdict {
    struct compat_item *const *list;
    size_t n;
    bool incompatible;
};

struct pair {
    bool in_progress;
    struct verdict verdict;
};

struct judging {
    const struct compat_question *q;
    const struct avro_schema *writer;
    struct compat_result *out;
    struct map pairs;
    struct arena arena;
    unsigned work, depth;
    const char *failure; /* Java's exception: the whole verdict is this text */
    enum err error;
};

static struct verdict judge(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                            const struct place *at);

static void merge(struct judging *j, struct verdict *v, struct verdict more)
{
    if (!more.incompatible)
        return;
    v->incompatible = true;
    if (v->n == 0) {
        v->list = more.list;
        v->n = more.n;
        return;
    }
    size_t n = v->n + more.n < LIST_MAX ? v->n + more.n : LIST_MAX;
    struct compat_item **list = n > v->n ? arena_array(&j->arena, n, sizeof *list) : NULL;
    if (!list) {
        if (n > v->n)
            j->error = ERR_NO_MEMORY;
        return;
    }
    memcpy(list, v->list, v->n * sizeof *list);
    memcpy(list + v->n, more.list, (n - v->n) * sizeof *list);
    v->list = list;
    v->n = n;
}

/* --- one incompatibility --- */

static void put_token(struct buf *b, struct slice token)
{
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] == '~' || token.p[i] == '/')
            buf_put_str(b, token.p[i] == '~' ? "~0" : "~1");
        else
            buf_put(b, token.p + i, 1);
    }
}

static void put_path(struct buf *b, const struct place *at)
{
    if (!at->up) {
        buf_put_str(b, "/");
        return;
    }
    put_path(b, at->up);
    if (at->up->up)
        buf_put_str(b, "/");
    put_token(b, at->token);
}

static void put_text(struct judging *j, struct buf *b, const char *type, struct slice path, struct slice additional)
{
    const char *reader = j->q->reader_is_new ? "new" : "old", *writer = j->q->reader_is_new ? "old" : "new";
    buf_printf(b, "{errorType:'%s', description:'", type);
    if (!strcmp(type, "FIXED_SIZE_MISMATCH"))
        buf_printf(b, "The size of FIXED type field at path '%.*s' in the %s schema does not match with the %s schema",
                   SLICE_FMT(path), reader, writer);
    else if (!strcmp(type, "TYPE_MISMATCH"))
        buf_printf(b, "The type (path '%.*s') of a field in the %s schema does not match with the %s schema",
                   SLICE_FMT(path), reader, writer);
    else if (!strcmp(type, "NAME_MISMATCH"))
        buf_printf(b, "The name of the schema has changed (path '%.*s')", SLICE_FMT(path));
    else if (!strcmp(type, "MISSING_ENUM_SYMBOLS"))
        buf_printf(b, "The %s schema is missing enum symbols '%.*s' at path '%.*s' in the %s schema", reader,
                   SLICE_FMT(additional), SLICE_FMT(path), writer);
    else if (!strcmp(type, "MISSING_UNION_BRANCH"))
        buf_printf(b, "The %s schema is missing a type inside a union field at path '%.*s' in the %s schema", reader,
                   SLICE_FMT(path), writer);
    else
        buf_printf(b,
                   "The field '%.*s' at path '%.*s' in the %s schema has no default value and is missing in the %s "
                   "schema",
                   SLICE_FMT(additional), SLICE_FMT(path), reader, writer);
    buf_printf(b, "', additionalInfo:'%.*s'}", SLICE_FMT(additional));
}

static struct verdict incompatible(struct judging *j, const char *type, const struct place *at, struct slice additional)
{
    struct compat_item *item = arena_alloc(&j->out->arena, sizeof *item);
    struct compat_item **list = arena_alloc(&j->arena, sizeof *list);
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    put_path(&b, at);
    struct verdict v = {.list = list, .n = 1, .incompatible = true};
    if (item && list) {
        list[0] = item;
        item->type = type;
        item->path = arena_copy(&j->out->arena, buf_slice(&b));
        item->additional = arena_copy(&j->out->arena, additional);
        buf_clear(&b);
        put_text(j, &b, type, item->path, item->additional);
        item->text = arena_copy(&j->out->arena, buf_slice(&b));
    }
    if (!item || !list || buf_error(&b) != ERR_OK || slice_is_null(item->text)) {
        j->error = ERR_NO_MEMORY;
        v = (struct verdict){0};
    }
    buf_free(&b);
    return v;
}

static struct verdict incompatible_types(struct judging *j, const char *type, const char *format,
                                         const struct place *at, const char *a, const char *b)
{
    struct buf out;
    buf_init(&out, 160);
    for (const char *p = format; *p; p++) {
        if (*p == '%') {
            buf_put_str(&out, a);
            a = b;
        } else {
            buf_put(&out, p, 1);
        }
    }
    struct verdict v = incompatible(j, type, at, buf_slice(&out));
    buf_free(&out);
    return v;
}

static struct verdict type_mismatch(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                    const struct place *at)
{
    return incompatible_types(j, "TYPE_MISMATCH", "reader type: % not compatible with writer type: %", at,
                              avro_kind_upper(reader->kind), avro_kind_upper(writer->kind));
}

/* --- the rules --- */

static struct verdict check_names(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                  const struct place *at)
{
    struct place here = {at, slice_str("name")};
    if (slice_eq(reader->name.name, writer->name.name))
        return (struct verdict){0};
    j->work += reader->aliases_n;
    for (uint32_t i = 0; i < reader->aliases_n; i++)
        if (slice_eq(avro_alias_text(&j->arena, reader, &reader->aliases[i]), writer->name.full))
            return (struct verdict){0};
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    buf_printf(&b, "expected: %.*s", SLICE_FMT(writer->name.full));
    struct verdict v = incompatible(j, "NAME_MISMATCH", &here, buf_slice(&b));
    buf_free(&b);
    return v;
}

static struct verdict check_size(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                 const struct place *at)
{
    struct place here = {at, slice_str("size")};
    struct buf b;
    if (reader->u.size == writer->u.size)
        return (struct verdict){0};
    buf_init(&b, AVRO_PRINT_MAX);
    buf_printf(&b, "expected: %d, found: %d", (int)writer->u.size, (int)reader->u.size);
    struct verdict v = incompatible(j, "FIXED_SIZE_MISMATCH", &here, buf_slice(&b));
    buf_free(&b);
    return v;
}

static int by_slice(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static struct slice *sorted_symbols(struct judging *j, const struct avro_node *n)
{
    struct slice *list = arena_array(&j->arena, n->n + 1, sizeof *list);
    if (!list) {
        j->error = ERR_NO_MEMORY;
        return NULL;
    }
    if (n->n)
        memcpy(list, n->u.en.symbols, n->n * sizeof *list);
    qsort(list, n->n, sizeof *list, by_slice);
    return list;
}

static struct verdict check_symbols(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                    const struct place *at)
{
    struct place here = {at, slice_str("symbols")};
    struct slice *mine = sorted_symbols(j, reader), *theirs = sorted_symbols(j, writer);
    struct verdict v = {0};
    struct buf b;
    unsigned missing = 0;
    if (!mine || !theirs || !slice_is_null(reader->u.en.default_symbol))
        return v;
    buf_init(&b, AVRO_PRINT_MAX);
    buf_put_str(&b, "[");
    for (uint32_t i = 0; i < writer->n; i++)
        if (!bsearch(&theirs[i], mine, reader->n, sizeof *mine, by_slice)) {
            buf_put_str(&b, missing++ ? ", " : "");
            buf_put_slice(&b, theirs[i]);
        }
    buf_put_str(&b, "]");
    if (missing)
        v = incompatible(j, "MISSING_ENUM_SYMBOLS", &here, buf_slice(&b));
    buf_free(&b);
    j->work += reader->n + writer->n;
    return v;
}

static const char *many_fields(struct judging *j, const struct avro_node *writer, const struct avro_node *reader,
                               const struct avro_field *f)
{
    struct buf text;
    buf_init(&text, AVRO_PRINT_MAX);
    if (avro_print(j->writer, writer, AVRO_PRINT_CANONICAL, NULL, &text) != ERR_OK)
        j->error = ERR_NO_MEMORY;
    const char *words = arena_printf(
        &j->out->arena,
        "Unexpected exception during compatibility check: Reader record field %.*s type:%s pos:%u matches multiple "
        "fields in writer record schema %s",
        SLICE_FMT(f->name), avro_kind_upper(f->type->kind), (unsigned)(f - reader->u.fields), buf_cstr(&text));
    buf_free(&text);
    if (!words)
        j->error = ERR_NO_MEMORY;
    return words;
}

/* The writer's field for a reader's, by its name or an alias. More than one is what Java throws for. */
static const struct avro_field *writer_field(struct judging *j, const struct avro_node *writer,
                                             const struct avro_node *reader, const struct avro_field *f)
{
    const struct avro_field *found = avro_field_named(writer, f->name);
    unsigned n = found != NULL;
    j->work += f->aliases_n;
    for (uint32_t i = 0; i < f->aliases_n; i++) {
        const struct avro_field *other = avro_field_named(writer, f->aliases[i]);
        if (other) {
            found = other;
            n++;
        }
    }
    if (n > 1)
        j->failure = many_fields(j, writer, reader, f);
    return found;
}

static struct verdict check_fields(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                   const struct place *at)
{
    struct verdict v = {0};
    struct place fields = {at, slice_str("fields")};
    for (uint32_t i = 0; i < reader->n && j->error == ERR_OK && !j->failure; i++) {
        const struct avro_field *f = &reader->u.fields[i], *g = writer_field(j, writer, reader, f);
        const char *index = arena_printf(&j->arena, "%u", i);
        struct place here = {&fields, slice_str(index)}, type = {&here, slice_str("type")};
        if (!index) {
            j->error = ERR_NO_MEMORY;
            break;
        }
        j->work++;
        if (g)
            merge(j, &v, judge(j, f->type, g->type, &type));
        else if (f->default_value)
            continue;
        else if (f->type->kind == AVRO_ENUM && !slice_is_null(f->type->u.en.default_symbol))
            merge(j, &v, judge(j, f->type, writer, &type));
        else
            merge(j, &v, incompatible(j, "READER_FIELD_MISSING_DEFAULT_VALUE", &here, f->name));
    }
    return v;
}

static const struct place root_place = {NULL, {(const uint8_t *)"", 0}};

static struct verdict check_unions(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                   const struct place *at)
{
    struct verdict v = {0};
    for (uint32_t i = 0; i < writer->n && j->error == ERR_OK && !j->failure; i++) {
        const char *index = arena_printf(&j->arena, "%u", i);
        struct place here = {at, slice_str(index)};
        if (judge(j, reader, writer->u.branches[i], &root_place).incompatible && index)
            merge(j, &v,
                  incompatible_types(j, "MISSING_UNION_BRANCH", "reader union lacking writer type: %", &here,
                                     avro_kind_upper(writer->u.branches[i]->kind), ""));
    }
    return v;
}

static struct verdict same_kind(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                const struct place *at)
{
    struct verdict v = {0};
    struct place inner = {at, slice_str(reader->kind == AVRO_ARRAY ? "items" : "values")};
    switch (reader->kind) {
    case AVRO_ARRAY:
    case AVRO_MAP:
        return judge(j, reader->u.items, writer->u.items, &inner);
    case AVRO_FIXED:
        v = check_names(j, reader, writer, at);
        merge(j, &v, check_size(j, reader, writer, at));
        return v;
    case AVRO_ENUM:
        v = check_names(j, reader, writer, at);
        merge(j, &v, check_symbols(j, reader, writer, at));
        return v;
    case AVRO_RECORD:
        v = check_names(j, reader, writer, at);
        merge(j, &v, check_fields(j, reader, writer, at));
        return v;
    case AVRO_UNION:
        return check_unions(j, reader, writer, at);
    }
    return v;
}

static bool promotes(int writer, int reader)
{
    switch (reader) {
    case AVRO_LONG:
        return writer == AVRO_INT;
    case AVRO_FLOAT:
        return writer == AVRO_INT || writer == AVRO_LONG;
    case AVRO_DOUBLE:
        return writer == AVRO_INT || writer == AVRO_LONG || writer == AVRO_FLOAT;
    case AVRO_BYTES:
        return writer == AVRO_STRING;
    case AVRO_STRING:
        return writer == AVRO_BYTES;
    }
    return false;
}

static struct verdict other_kind(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                                 const struct place *at)
{
    struct verdict v = {0};
    if (writer->kind == AVRO_UNION) {
        for (uint32_t i = 0; i < writer->n && j->error == ERR_OK && !j->failure; i++) {
            const char *index = arena_printf(&j->arena, "%u", i);
            struct place here = {at, slice_str(index)};
            if (index)
                merge(j, &v, judge(j, reader, writer->u.branches[i], &here));
        }
        return v;
    }
    if (reader->kind == AVRO_UNION) {
        for (uint32_t i = 0; i < reader->n && j->error == ERR_OK && !j->failure; i++)
            if (!judge(j, reader->u.branches[i], writer, &root_place).incompatible)
                return v;
        return incompatible_types(j, "MISSING_UNION_BRANCH", "reader union lacking writer type: %", at,
                                  avro_kind_upper(writer->kind), "");
    }
    return promotes(writer->kind, reader->kind) ? v : type_mismatch(j, reader, writer, at);
}

static struct verdict judge(struct judging *j, const struct avro_node *reader, const struct avro_node *writer,
                            const struct place *at)
{
    uint32_t ids[2] = {reader->id, writer->id};
    struct slice key = slice_of(ids, sizeof ids);
    if (++j->work > AVRO_COMPAT_WORK_MAX || j->depth >= PAIR_DEPTH_MAX)
        j->error = ERR_LIMIT_EXCEEDED;
    if (j->error != ERR_OK || j->failure)
        return (struct verdict){0};
    struct pair *p = map_get(&j->pairs, key);
    if (p)
        return p->in_progress ? (struct verdict){0} : p->verdict;
    p = arena_alloc(&j->arena, sizeof *p);
    if (!p || map_put(&j->pairs, key, p, NULL) != ERR_OK) {
        j->error = ERR_NO_MEMORY;
        return (struct verdict){0};
    }
    p->in_progress = true;
    j->depth++;
    p->verdict = reader->kind == writer->kind ? same_kind(j, reader, writer, at) : other_kind(j, reader, writer, at);
    j->depth--;
    p->in_progress = false;
    return p->verdict;
}

enum err avro_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                         const struct compat_question *q, struct compat_result *out, struct reason *why)
{
    struct judging j = {.q = q, .writer = (const struct avro_schema *)writer, .out = out};
    map_init(&j.pairs);
    arena_init(&j.arena, 0);
    struct verdict v =
        judge(&j, ((const struct avro_schema *)reader)->root, ((const struct avro_schema *)writer)->root, &root_place);
    if (j.failure && j.error == ERR_OK) {
        struct compat_item *i = compat_result_add(out, "UNKNOWN");
        if (i)
            i->text = slice_str(j.failure);
        else
            j.error = ERR_NO_MEMORY;
        v.n = 0;
    }
    for (size_t i = 0; i < v.n && j.error == ERR_OK; i++) {
        struct compat_item *item = compat_result_add(out, NULL);
        if (item)
            *item = *v.list[i];
        else
            j.error = ERR_NO_MEMORY;
    }
    map_free(&j.pairs, NULL);
    arena_free(&j.arena);
    if (j.error == ERR_LIMIT_EXCEEDED)
        return reason_set(why, j.error, "comparing the schemas takes more than %d steps or %d levels",
                          AVRO_COMPAT_WORK_MAX, PAIR_DEPTH_MAX);
    return j.error == ERR_OK ? ERR_OK : reason_set(why, j.error, "out of memory");
}
