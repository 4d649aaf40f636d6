/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_GENERATOR_MODEL_H
#define CASTELLAN_WIRE_GENERATOR_MODEL_H

#include "core/wire/message.h"

/* What the generator knows of one description file. Everything lives in one arena for the whole run. */

struct strukt;

struct field {
    const char *name, *c_name;
    const char *type_name; /* of the element, as written */
    enum wire_type type;
    enum wire_entity entity;
    bool array, ignorable, map_key, secret, flexible_overridden;
    int tag; /* -1: none */
    struct wire_versions versions, nullable, tagged, flexible;
    const char *default_text; /* NULL: none written */
    struct strukt *body;      /* of WIRE_STRUCT */
    int line;
    struct field *next;
};

struct strukt {
    const char *name, *c_name;
    struct wire_versions versions;
    struct field *fields, **tail;
    bool in_array; /* an array type is needed */
    bool as_value; /* stands in place: is_default() is needed */
    bool emitted;
    int visiting; /* guards against structs that hold themselves */
    struct strukt *next;
};

struct message {
    enum wire_kind kind;
    int key;
    const char *name, *c_name;
    struct wire_versions valid, flexible;
    struct strukt *root;
    struct strukt *structs; /* all nested ones, in order of appearance */
    struct strukt **structs_tail;
    struct message *next;
};

struct file {
    const char *path, *base; /* base: "fetch" */
    bool is_api;
    int api_key;
    const char *api_name;
    unsigned listeners;
    bool unstable;
    struct message *messages;
    struct message **tail;
};

/* parse.c: reads a file or ends the program with file:line and what is wrong. */
struct file *parse_file(const char *path, struct arena *a);

/* resolve.c: joins fields to the structs they name, and checks what lines cannot check alone. */
void resolve_file(struct file *f, struct arena *a);

/* names.c */
const char *snake_case(const char *name, struct arena *a);   /* "MaxWaitMs" -> "max_wait_ms" */
const char *field_c_name(const char *name, struct arena *a); /* the same, away from C's keywords */
const char *upper_case(const char *name, struct arena *a);   /* "max_wait_ms" -> "MAX_WAIT_MS" */
const char *type_enum_name(enum wire_type type);             /* "WIRE_INT32" */
const char *entity_enum_name(enum wire_entity entity);       /* "WIRE_ENTITY_TOPIC_NAME" */
const char *kind_enum_name(enum wire_kind kind);             /* "WIRE_REQUEST" */

/* versions.c */
bool versions_none(struct wire_versions v);
struct wire_versions versions_clip(struct wire_versions v, struct wire_versions to);
bool versions_cover(struct wire_versions v, struct wire_versions all); /* v holds everything in all */
/* A C condition on `v`, knowing that v is within `valid`: "true", "false" or a comparison. */
const char *versions_condition(struct wire_versions v, struct wire_versions valid, struct arena *a);
bool is_true(const char *condition);
bool is_false(const char *condition);

/* fields.c: what the emitters ask about a field */
const char *field_c_type(const struct field *f, struct arena *a);      /* of the element: "int32_t", "struct slice" */
bool field_is_pointer(const struct field *f);                          /* a nullable struct */
const char *field_default(const struct field *f, struct arena *a);     /* C initialiser of a plain field */
const char *field_not_default(const struct field *f, struct arena *a); /* C condition on m->field */
const char *field_flexible(const struct message *m, const struct field *f, struct arena *a);
const char *field_nullable(const struct message *m, const struct field *f, struct arena *a);
bool field_asks_is_set(const struct message *m, const struct field *f); /* some version must know */
int struct_depth(const struct strukt *s);
size_t struct_min_encoded(const struct message *m, const struct strukt *s);
bool struct_has_tags(const struct message *m); /* the message has a flexible version */

/* emit_*.c: append C text */
void emit_header(struct buf *out, const struct file *f, struct arena *a);
void emit_source(struct buf *out, const struct file *f, struct arena *a);
void emit_decode(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a);
void emit_encode(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a);
void emit_tables(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a);
void emit_index(struct buf *out, struct file *const *files, size_t n);
void emit_keys(struct buf *out, struct file *const *files, size_t n, struct arena *a);

_Noreturn void die(const char *path, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
