/* SPDX-License-Identifier: Apache-2.0
 * After parsing: structs declared beneath a field join the message's list under their full name, fields without
 * members of their own find the struct they name, and the rules that span lines are checked. */
#include "core/wire/generator/model.h"

static void register_struct(struct file *file, struct message *m, struct field *f, struct arena *a)
{
    for (struct strukt *s = m->structs; s; s = s->next)
        if (strcmp(s->name, f->body->name) == 0)
            die(file->path, f->line, "struct %s is declared twice in %s", s->name, m->name);
    f->body->c_name = arena_printf(a, "%s_%s", m->c_name, snake_case(f->body->name, a));
    *m->structs_tail = f->body;
    m->structs_tail = &f->body->next;
}

static void register_declared(struct file *file, struct message *m, struct strukt *s, struct arena *a)
{
    for (struct field *f = s->fields; f; f = f->next) {
        if (f->type != WIRE_STRUCT || !f->body->fields)
            continue;
        register_struct(file, m, f, a);
        register_declared(file, m, f->body, a);
    }
}

static void find_struct(struct file *file, struct message *m, struct field *f)
{
    if (f->body->fields)
        return;
    for (struct strukt *s = m->structs; s; s = s->next) {
        if (strcmp(s->name, f->type_name) == 0) {
            f->body = s;
            return;
        }
    }
    die(file->path, f->line, "no type or struct \"%s\"", f->type_name);
}

static void check_field(struct file *file, struct strukt *owner, struct field *f)
{
    bool can_be_null = f->array || f->type == WIRE_STRING || f->type == WIRE_BYTES || f->type == WIRE_RECORDS ||
                       f->type == WIRE_STRUCT;

    if (!versions_none(f->nullable) && !can_be_null)
        die(file->path, f->line, "a %s cannot be null", f->type_name);
    if (f->default_text && strcmp(f->default_text, "null") == 0 && versions_none(f->nullable))
        die(file->path, f->line, "the default is null, but no version allows null");
    if (f->default_text && (f->array || f->type == WIRE_STRUCT) && strcmp(f->default_text, "null") != 0)
        die(file->path, f->line, "an array's or struct's default can only be null");
    if (f->type == WIRE_STRUCT && !f->array && !versions_none(f->nullable) && !f->default_text)
        die(file->path, f->line, "a nullable struct needs \"default null\"");
    if (f->tag >= 0 && (versions_none(f->tagged) || !versions_cover(f->versions, f->tagged)))
        die(file->path, f->line, "the tagged versions are not all versions of the field");
    if (f->secret && f->type != WIRE_STRING && f->type != WIRE_BYTES)
        die(file->path, f->line, "only strings and bytes are marked as secret");
    for (const struct field *o = owner->fields; o != f; o = o->next)
        if (f->tag >= 0 && o->tag == f->tag)
            die(file->path, f->line, "tag %d is taken by %s", f->tag, o->name);
}

static void resolve_struct(struct file *file, struct message *m, struct strukt *s)
{
    for (struct field *f = s->fields; f; f = f->next) {
        check_field(file, s, f);
        if (f->tag >= 0 && versions_none(m->flexible))
            die(file->path, f->line, "a tagged field in a message without flexible versions");
        if (f->type != WIRE_STRUCT)
            continue;
        find_struct(file, m, f);
        if (f->array)
            f->body->in_array = true;
        else if (!field_is_pointer(f))
            f->body->as_value = true;
    }
}

static void check_cycles(struct file *file, struct strukt *s)
{
    if (s->visiting++)
        die(file->path, s->fields ? s->fields->line : 0, "struct %s holds itself", s->name);
    for (struct field *f = s->fields; f; f = f->next)
        if (f->type == WIRE_STRUCT)
            check_cycles(file, f->body);
    s->visiting--;
}

void resolve_file(struct file *f, struct arena *a)
{
    for (struct message *m = f->messages; m; m = m->next) {
        struct strukt *s;
        size_t common = 0;
        for (s = m->structs; s; s = s->next)
            common++;
        register_declared(f, m, m->root, a);
        for (s = m->structs; common > 0; common--, s = s->next)
            register_declared(f, m, s, a);
        resolve_struct(f, m, m->root);
        for (s = m->structs; s; s = s->next)
            resolve_struct(f, m, s);
        check_cycles(f, m->root);
    }
}
