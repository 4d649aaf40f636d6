/* SPDX-License-Identifier: Apache-2.0
 * Is a newer Protobuf schema compatible with an older one? A difference of the two, by field number and type name,
 * from which the changes Protobuf tolerates are left out. The older schema is the writer's, the newer the reader's.
 * What is compared, and in which order, is what Confluent's registry does up to 8.2: a field that changes its type
 * while it moves into or out of a oneof goes unnoticed there, and so it does here. */
#include "registry/protobuf_model.h"
#include "registry/protobuf_order.h"

#include <stdio.h>
#include <stdlib.h>

enum change {
    PACKAGE_CHANGED,
    MESSAGE_REMOVED,
    FIELD_KIND_CHANGED,
    FIELD_SCALAR_KIND_CHANGED,
    FIELD_NAMED_TYPE_CHANGED,
    FIELD_NUMERIC_LABEL_CHANGED,
    REQUIRED_FIELD_ADDED,
    REQUIRED_FIELD_REMOVED,
    ONEOF_FIELD_REMOVED,
    MULTIPLE_FIELDS_MOVED_TO_ONEOF,
    FIELD_MOVED_TO_EXISTING_ONEOF
};

/* Words with the path at @, the reader at 1 and the writer at 2. */
static const struct {
    const char *type, *words;
} changes[] = {
    [PACKAGE_CHANGED] = {"PACKAGE_CHANGED",
                         "The package at '@' in the $1 schema does not match the package in the $2 schema"},
    [MESSAGE_REMOVED] = {"MESSAGE_REMOVED", "The $1 schema is missing a MESSAGE type at path '@' in the $2 schema"},
    [FIELD_KIND_CHANGED] = {"FIELD_KIND_CHANGED",
                            "The type of a field at path '@' in the $1 schema does not match the $2 schema"},
    [FIELD_SCALAR_KIND_CHANGED] = {"FIELD_SCALAR_KIND_CHANGED", "The kind of a SCALAR field at path '@' in the $1 "
                                                                "schema does not match its kind in the $2 schema"},
    [FIELD_NAMED_TYPE_CHANGED] = {"FIELD_NAMED_TYPE_CHANGED", "The type of a MESSAGE field at path '@' in the $1 "
                                                              "schema does not match its type in the $2 schema"},
    [FIELD_NUMERIC_LABEL_CHANGED] = {"FIELD_NUMERIC_LABEL_CHANGED",
                                     "The label for a NUMERIC field at path '@' in the $1 schema does not match its "
                                     "label in the $2 schema"},
    [REQUIRED_FIELD_ADDED] = {"REQUIRED_FIELD_ADDED",
                              "A required field  at path '@' in the $1 schema is missing in the $2 schema"},
    [REQUIRED_FIELD_REMOVED] = {"REQUIRED_FIELD_REMOVED",
                                "The $1 schema is missing a required field at path: '@' in the $2 schema"},
    [ONEOF_FIELD_REMOVED] = {"ONEOF_FIELD_REMOVED",
                             "The $1 schema is missing a oneof field at path '@' in the $2 schema"},
    [MULTIPLE_FIELDS_MOVED_TO_ONEOF] = {"MULTIPLE_FIELDS_MOVED_TO_ONEOF",
                                        "Multiple fields in the oneof at path '@' in the $1 schema are outside a oneof "
                                        "in the $2 schema"},
    [FIELD_MOVED_TO_EXISTING_ONEOF] = {"FIELD_MOVED_TO_EXISTING_ONEOF",
                                       "A field in the oneof at path '@' in the $1 schema is outside an existing oneof "
                                       "in the $2 schema"},
};

/* One of the two schemas, and where we are in it. */
struct side {
    const struct proto_schema *s;
    struct slice package; /* of the file being looked at */
};

struct entered {
    const struct protobuf_message *m;
    const struct entered *up;
};

struct comparing {
    struct side was, now;
    const struct compat_question *q;
    struct compat_result *out;
    struct buf path;  /* "Message/Inner/3" */
    struct buf scope; /* "Message.Inner" */
    const struct entered *entered;
    struct arena arena;
    unsigned work, depth;
    enum err error;
};

static void compare_types(struct comparing *c, const struct proto_types *was, const struct proto_types *now);
static void compare_messages(struct comparing *c, const struct protobuf_message *was,
                             const struct protobuf_message *now);

static bool step(struct comparing *c)
{
    if (++c->work > PROTOBUF_COMPAT_WORK_MAX || c->depth > PROTOBUF_DEPTH_MAX * 2)
        c->error = ERR_LIMIT_EXCEEDED;
    return c->error == ERR_OK;
}

static void differ(struct comparing *c, enum change change)
{
    struct compat_item *item = compat_result_add(c->out, changes[change].type);
    struct buf b;
    const char *reader = c->q->reader_is_new ? "new" : "old", *writer = c->q->reader_is_new ? "old" : "new";
    if (!item) {
        c->error = ERR_NO_MEMORY;
        return;
    }
    buf_init(&b, PROTOBUF_PRINT_MAX);
    buf_put_str(&b, "#/");
    buf_put_slice(&b, buf_slice(&c->path));
    item->path = arena_copy(&c->out->arena, buf_slice(&b));
    buf_clear(&b);
    buf_printf(&b, "{errorType:\"%s\", description:\"", changes[change].type);
    for (const char *p = changes[change].words; *p; p++) {
        if (*p == '@') {
            buf_put_slice(&b, item->path);
        } else if (*p == '$') {
            buf_put_str(&b, *++p == '1' ? reader : writer);
        } else {
            buf_put(&b, p, 1);
        }
    }
    buf_put_str(&b, "\"}");
    item->text = arena_copy(&c->out->arena, buf_slice(&b));
    if (slice_is_null(item->path) || slice_is_null(item->text))
        c->error = ERR_NO_MEMORY;
    buf_free(&b);
}

static size_t enter(struct buf *b, const char *separator, struct slice name)
{
    size_t was = b->n;
    if (was)
        buf_put_str(b, separator);
    buf_put_slice(b, name);
    return was;
}

static size_t enter_tag(struct comparing *c, int32_t tag)
{
    char text[16];
    return enter(&c->path, "/", slice_of(text, (size_t)snprintf(text, sizeof text, "%d", (int)tag)));
}

static struct protobuf_message *resolve(const struct comparing *c, const struct side *side, struct slice type)
{
    return proto_find_type(side->s, side->package, buf_slice(&c->scope), type);
}

/* --- one field --- */

enum kind { SCALAR, MAP, MESSAGE };

struct field_type {
    enum kind kind;
    struct slice text, key, value;
    struct protobuf_message *message; /* or enum; NULL: not resolved */
};

static struct field_type type_of(struct comparing *c, const struct side *side, struct slice text)
{
    struct field_type t = {.text = text};
    if (proto_is_scalar(text))
        return t;
    if (proto_is_map(text, &t.key, &t.value)) {
        t.kind = MAP;
        return t;
    }
    t.message = resolve(c, side, text);
    t.kind = t.message && t.message->is_enum ? SCALAR : MESSAGE;
    if (t.message && t.message->is_map) {
        t.kind = MAP;
        t.key = t.value = slice_str("");
        for (uint32_t i = 0; i < t.message->fields.n; i++) {
            const struct proto_field *f = &t.message->fields.v[i];
            *(slice_eq_str(f->name, "key") ? &t.key : &t.value) = f->type;
        }
    }
    return t;
}

/* Scalars of one group read each other's bytes. */
static int group_of(const struct field_type *t)
{
    static const struct {
        const char *name;
        int group;
    } groups[] = {
        {"int32", 1},    {"int64", 1},   {"uint32", 1},   {"uint64", 1}, {"bool", 1},
        {"sint32", 2},   {"sint64", 2},  {"string", 3},   {"bytes", 3},  {"fixed32", 4},
        {"sfixed32", 4}, {"fixed64", 5}, {"sfixed64", 5}, {"float", 6},  {"double", 7},
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups && !t->message; i++)
        if (slice_eq_str(t->text, groups[i].name))
            return groups[i].group;
    return 1; /* an enum */
}

enum { STRING_OR_BYTES = 3, NO_LABEL = -1 };

static void compare_field_types(struct comparing *c, int was_label, int now_label, struct slice was, struct slice now);

static struct slice local_name(const struct protobuf_message *m)
{
    size_t skip = m->file->package.n ? m->file->package.n + 1 : 0;
    return slice_of(m->full.p + skip, m->full.n - skip);
}

/* Types of other files are compared in their own right. */
static void compare_named(struct comparing *c, const struct protobuf_message *was, const struct protobuf_message *now)
{
    struct side was_side = c->was, now_side = c->now;
    struct buf scope = c->scope;
    size_t before = c->out->n;
    bool was_local = was->file == &c->was.s->file, now_local = now->file == &c->now.s->file;
    if (was == now || (was_local && now_local))
        return;
    c->was.package = was->file->package;
    c->now.package = now->file->package;
    buf_init(&c->scope, PROTOBUF_SCHEMA_SIZE_MAX);
    struct buf path = c->path;
    buf_init(&c->path, PROTOBUF_SCHEMA_SIZE_MAX);
    struct slice name = local_name(was);
    buf_put_slice(&c->scope, name);
    for (size_t i = 0; i < name.n; i++)
        buf_put(&c->path, name.p[i] == '.' ? (const uint8_t *)"/" : &name.p[i], 1);
    compare_messages(c, was, now);
    buf_free(&c->scope);
    buf_free(&c->path);
    c->scope = scope;
    c->path = path;
    c->was = was_side;
    c->now = now_side;
    if (c->out->n > before)
        differ(c, FIELD_NAMED_TYPE_CHANGED);
}

static void compare_message_types(struct comparing *c, const struct field_type *was, const struct field_type *now)
{
    if (!was->message || !now->message) {
        if (!slice_eq(was->text, now->text))
            differ(c, FIELD_NAMED_TYPE_CHANGED);
        return;
    }
    if (!slice_eq(local_name(was->message), local_name(now->message)))
        differ(c, FIELD_NAMED_TYPE_CHANGED);
    else
        compare_named(c, was->message, now->message);
}

static void compare_field_types(struct comparing *c, int was_label, int now_label, struct slice was, struct slice now)
{
    struct field_type a = type_of(c, &c->was, was), b = type_of(c, &c->now, now);
    if (!step(c))
        return;
    if (a.kind != b.kind) {
        differ(c, FIELD_KIND_CHANGED);
        return;
    }
    switch (a.kind) {
    case SCALAR:
        if (group_of(&a) != group_of(&b))
            differ(c, FIELD_SCALAR_KIND_CHANGED);
        else if (was_label > PROTO_UNLABELED && now_label > PROTO_UNLABELED && was_label != now_label &&
                 group_of(&a) != STRING_OR_BYTES)
            differ(c, FIELD_NUMERIC_LABEL_CHANGED);
        break;
    case MESSAGE:
        compare_message_types(c, &a, &b);
        break;
    case MAP:
        c->depth++;
        compare_field_types(c, NO_LABEL, NO_LABEL, a.key, b.key);
        compare_field_types(c, NO_LABEL, NO_LABEL, a.value, b.value);
        c->depth--;
        break;
    }
}

/* --- messages --- */

static struct proto_keyed_list room(struct comparing *c, uint32_t n)
{
    struct proto_keyed_list list = {arena_array(&c->arena, (size_t)n + 1, sizeof *list.v), 0};
    if (!list.v)
        c->error = ERR_NO_MEMORY;
    c->work += n;
    return list;
}

static struct proto_keyed_list fields_of(struct comparing *c, const struct proto_fields *fields, bool is_now)
{
    struct proto_keyed_list list = room(c, fields->n);
    for (uint32_t i = 0; list.v && i < fields->n; i++)
        list.v[list.n++] =
            proto_key_tag(fields->v[i].tag, is_now ? NULL : &fields->v[i], is_now ? &fields->v[i] : NULL);
    proto_order_map(&list);
    return list;
}

static struct proto_keyed_list oneofs_of(struct comparing *c, const struct protobuf_message *m, bool is_now)
{
    struct proto_keyed_list list = room(c, m->oneofs.n);
    for (uint32_t i = 0; list.v && i < m->oneofs.n; i++)
        list.v[list.n++] =
            proto_key_name(m->oneofs.v[i].name, is_now ? NULL : &m->oneofs.v[i], is_now ? &m->oneofs.v[i] : NULL);
    proto_order_map(&list);
    return list;
}

static struct proto_keyed_list both(struct comparing *c, const struct proto_keyed_list *was,
                                    const struct proto_keyed_list *now)
{
    struct proto_keyed_list out = {NULL, 0};
    if (c->error == ERR_OK)
        c->error = proto_order_union(&c->arena, was, now, &out);
    return c->error == ERR_OK ? out : (struct proto_keyed_list){NULL, 0};
}

static bool has_tag(const struct proto_fields *fields, int32_t tag)
{
    for (uint32_t i = 0; i < fields->n; i++)
        if (fields->v[i].tag == tag)
            return true;
    return false;
}

static bool was_in_oneof(struct comparing *c, const struct protobuf_message *was, int32_t tag)
{
    for (uint32_t i = 0; i < was->oneofs.n; i++) {
        c->work += was->oneofs.v[i].fields.n;
        if (has_tag(&was->oneofs.v[i].fields, tag))
            return true;
    }
    return false;
}

/* Takes the fields that moved into a oneof out of `outside`, the older message's own fields; more than one, or one that
 * joins others, exclude each other now. */
static void enter_oneof(struct comparing *c, const struct protobuf_message *was, const struct proto_oneof *o,
                        struct proto_keyed_list *outside)
{
    unsigned moved = 0, there = 0;
    size_t at = enter(&c->path, "/", o->name);
    for (uint32_t i = 0; i < o->fields.n && step(c); i++) {
        uint32_t k = 0;
        while (k < outside->n && outside->v[k].tag != o->fields.v[i].tag)
            k++;
        c->work += k;
        if (k == outside->n) {
            there += was_in_oneof(c, was, o->fields.v[i].tag);
            continue;
        }
        memmove(outside->v + k, outside->v + k + 1, (outside->n - k - 1) * sizeof *outside->v);
        outside->n--;
        moved++;
    }
    if (moved > 1)
        differ(c, MULTIPLE_FIELDS_MOVED_TO_ONEOF);
    else if (moved == 1 && there > 0)
        differ(c, FIELD_MOVED_TO_EXISTING_ONEOF);
    c->path.n = at;
}

static void compare_field(struct comparing *c, const struct proto_field *was, const struct proto_field *now)
{
    compare_field_types(c, (int)was->label, (int)now->label, was->type, now->type);
}

static void compare_oneof(struct comparing *c, const struct proto_oneof *was, const struct proto_oneof *now)
{
    struct proto_keyed_list a = fields_of(c, &was->fields, false), b = fields_of(c, &now->fields, true);
    struct proto_keyed_list all = both(c, &a, &b);
    for (uint32_t i = 0; i < all.n && step(c); i++) {
        size_t at = enter_tag(c, all.v[i].tag);
        if (!all.v[i].now)
            differ(c, ONEOF_FIELD_REMOVED);
        else if (all.v[i].was)
            compare_field(c, all.v[i].was, all.v[i].now);
        c->path.n = at;
    }
}

static void compare_oneofs(struct comparing *c, const struct protobuf_message *was, const struct protobuf_message *now)
{
    struct proto_keyed_list a = oneofs_of(c, was, false), b = oneofs_of(c, now, true), all = both(c, &a, &b);
    for (uint32_t i = 0; i < all.n && step(c); i++) {
        size_t at = enter(&c->path, "/", all.v[i].name);
        if (all.v[i].was && all.v[i].now) /* one that came or went is tolerated */
            compare_oneof(c, all.v[i].was, all.v[i].now);
        c->path.n = at;
    }
}

static void compare_fields(struct comparing *c, const struct protobuf_message *was, const struct protobuf_message *now)
{
    struct proto_keyed_list a = fields_of(c, &was->fields, false), b = fields_of(c, &now->fields, true);
    for (uint32_t i = 0; i < now->oneofs.n && step(c); i++)
        enter_oneof(c, was, &now->oneofs.v[i], &a);
    compare_oneofs(c, was, now);
    struct proto_keyed_list all = both(c, &a, &b);
    for (uint32_t i = 0; i < all.n && step(c); i++) {
        const struct proto_field *f = all.v[i].was, *g = all.v[i].now;
        size_t at = enter_tag(c, all.v[i].tag);
        if (f && g)
            compare_field(c, f, g);
        else if ((f ? f : g)->label == PROTO_REQUIRED)
            differ(c, f ? REQUIRED_FIELD_REMOVED : REQUIRED_FIELD_ADDED);
        c->path.n = at;
    }
}

static void compare_messages(struct comparing *c, const struct protobuf_message *was,
                             const struct protobuf_message *now)
{
    struct entered here = {was, c->entered};
    bool inside = false;
    if (!step(c))
        return;
    for (const struct entered *e = c->entered; e; e = e->up)
        inside |= e->m == was;
    c->depth++;
    c->entered = &here;
    if (!inside)
        compare_fields(c, was, now);
    compare_types(c, &was->types, &now->types);
    c->entered = here.up;
    c->depth--;
}

static struct proto_keyed_list messages_of(struct comparing *c, const struct proto_types *types, bool is_now)
{
    struct proto_keyed_list list = room(c, types->n);
    for (uint32_t i = 0; list.v && i < types->n; i++)
        if (!types->v[i]->is_enum) /* whatever happens to an enum is tolerated */
            list.v[list.n++] =
                proto_key_name(types->v[i]->name, is_now ? NULL : types->v[i], is_now ? types->v[i] : NULL);
    proto_order_map(&list);
    return list;
}

static void compare_types(struct comparing *c, const struct proto_types *was, const struct proto_types *now)
{
    struct proto_keyed_list a = messages_of(c, was, false), b = messages_of(c, now, true), all = both(c, &a, &b);
    for (uint32_t i = 0; i < all.n && step(c); i++) {
        const struct protobuf_message *m = all.v[i].was, *n = all.v[i].now;
        size_t path = enter(&c->path, "/", all.v[i].name), scope = enter(&c->scope, ".", all.v[i].name);
        if (m && n)
            compare_messages(c, m, n);
        else if (m && !m->is_map)
            differ(c, MESSAGE_REMOVED);
        c->path.n = path;
        c->scope.n = scope;
    }
}

enum err proto_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                          const struct compat_question *q, struct compat_result *out, struct reason *why)
{
    const struct proto_schema *now = (const struct proto_schema *)reader, *was = (const struct proto_schema *)writer;
    struct comparing c = {.was = {was, was->file.package}, .now = {now, now->file.package}, .q = q, .out = out};
    buf_init(&c.path, PROTOBUF_SCHEMA_SIZE_MAX);
    buf_init(&c.scope, PROTOBUF_SCHEMA_SIZE_MAX);
    arena_init(&c.arena, 0);
    if (!slice_eq(was->file.package, now->file.package))
        differ(&c, PACKAGE_CHANGED);
    compare_types(&c, &was->file.types, &now->file.types);
    buf_free(&c.path);
    buf_free(&c.scope);
    arena_free(&c.arena);
    if (c.error == ERR_LIMIT_EXCEEDED)
        return reason_set(why, c.error, "comparing the schemas takes more than %d steps", PROTOBUF_COMPAT_WORK_MAX);
    return c.error == ERR_OK ? ERR_OK : reason_set(why, c.error, "out of memory");
}
