/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_SCHEMA_TYPE_H
#define CASTELLAN_REGISTRY_SCHEMA_TYPE_H

#include "core/base/arena.h"
#include "core/base/buf.h"

/* One face for what a kind of schema (Avro, JSON Schema, Protobuf) can do: `schema_type_ops` is implemented once per
 * kind, everybody else calls the functions below. A parsed schema owns all it needs (texts are copied), is read-only
 * once made and may be used from many threads. */

/* A schema the parsed one refers to, directly or not; those that others need come first. */
struct schema_ref_text {
    struct slice name;    /* of the reference: a full name, a file name, a URI */
    struct slice subject; /* where it was found; may be null */
    int32_t version;
    struct slice text;
};

struct schema_options {
    bool fresh; /* a schema being registered: stricter than one already stored (Avro: defaults must fit their types) */
    bool validate_fields; /* the setting of that name. Protobuf: numbers and names are legal and given once; JSON:
                           * no name begins with $$ */
};

/* LENIENT: adding to an open content model is allowed (JSON Schema); Avro and Protobuf judge alike. */
enum compat_policy { COMPAT_STRICT, COMPAT_LENIENT };

/* One incompatibility. All strings live in the result's arena. */
struct compat_item {
    const char *type;        /* READER_FIELD_MISSING_DEFAULT_VALUE, TYPE_CHANGED ... */
    struct slice path;       /* where: a JSON pointer, "#/..." for Protobuf and JSON Schema */
    struct slice additional; /* the detail, as the reference's message has it: a field's name, missing symbols */
    struct slice text;       /* the whole line as the registry's 409 prints it */
};

struct compat_result {
    struct arena arena;
    struct compat_item *items;
    size_t n, cap;
    uint64_t work; /* steps that comparisons have taken so far, for kinds that count them together (JSON Schema) */
};

/* Who is compared: texts name the reader's and the writer's schema "new" or "old". */
struct compat_question {
    bool reader_is_new;
    enum compat_policy policy;
};

struct schema_type_ops;

/* Each kind's own struct begins with this. */
struct parsed_schema {
    const struct schema_type_ops *ops;
};

/* Called per tagged field (or record). `path`: field names joined by '.', arrays and maps add nothing ("address.city");
 * a record's own tags have the path of the record. Return false to stop. */
typedef bool (*schema_tag_visit)(void *context, struct slice path, struct slice tag);

/* What tags are put on from outside, by a path. Avro: a record's full name, for a field with ".field" after it. JSON
 * Schema: the kinds of schema gone through and the names between them ("object.address.object.street"). Protobuf: names
 * of messages within one another, without the package, then the field's. */
enum schema_entity_kind { SCHEMA_ENTITY_RECORD, SCHEMA_ENTITY_FIELD };

struct schema_entity {
    enum schema_entity_kind kind;
    struct slice path; /* as given; a leading dot means nothing */
};

/* What becomes of one entity's tags: those to add come first, then those to remove go. */
struct schema_tag_edit {
    struct schema_entity entity;
    const struct slice *add, *remove; /* each without repeats */
    size_t add_n, remove_n;
};

/* Called per entity that has tags, in the reference's order. Return false to stop. */
typedef bool (*schema_entity_visit)(void *context, const struct schema_entity *e, const struct slice *tags, size_t n);

struct schema_type_ops {
    const char *name; /* "AVRO", "JSON", "PROTOBUF" */
    enum err (*parse)(struct parsed_schema **out, struct slice text, const struct schema_ref_text *refs, size_t refs_n,
                      const struct schema_options *options, struct reason *why);
    void (*free)(struct parsed_schema *s);
    enum err (*canonical)(const struct parsed_schema *s, struct buf *out);
    enum err (*normalized)(const struct parsed_schema *s, struct buf *out);
    /* false: the format is not known for this kind. */
    bool (*format)(const struct parsed_schema *s, struct slice format, struct buf *out);
    bool (*has_field)(const struct parsed_schema *s, struct slice name);
    enum err (*compatible)(const struct parsed_schema *reader, const struct parsed_schema *writer,
                           const struct compat_question *q, struct compat_result *out, struct reason *why);
    enum err (*validate)(const struct parsed_schema *s, struct slice payload, struct reason *why);
    enum err (*tags)(const struct parsed_schema *s, schema_tag_visit visit, void *context);
    enum err (*tagged)(const struct parsed_schema *s, schema_entity_visit visit, void *context);
    enum err (*edit_tags)(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                          struct buf *out, struct reason *why);
    struct slice (*record_name)(const struct parsed_schema *s); /* full name for RecordNameStrategy; may be null */
};

extern const struct schema_type_ops schema_type_avro;     /* avro.h */
extern const struct schema_type_ops schema_type_json;     /* json_schema.h */
extern const struct schema_type_ops schema_type_protobuf; /* protobuf.h */

/* ERR_MALFORMED with the words a 42201 carries as details; ERR_LIMIT_EXCEEDED, ERR_NO_MEMORY. `options` may be NULL. */
enum err schema_parse(struct parsed_schema **out, const struct schema_type_ops *type, struct slice text,
                      const struct schema_ref_text *refs, size_t refs_n, const struct schema_options *options,
                      struct reason *why) MUST_CHECK;
void schema_free(struct parsed_schema *s); /* NULL is fine */
/* The text that is the schema's identity. Appends. */
enum err schema_canonical(const struct parsed_schema *s, struct buf *out) MUST_CHECK;
enum err schema_normalized(const struct parsed_schema *s, struct buf *out) MUST_CHECK;
/* A `format` parameter: resolved (Avro), serialized and ignore_extensions (Protobuf); others give the canonical text.
 */
enum err schema_format(const struct parsed_schema *s, struct slice format, struct buf *out) MUST_CHECK;
bool schema_has_field(const struct parsed_schema *s, struct slice name); /* at the top level */
struct slice schema_record_name(const struct parsed_schema *s);
/* Can `reader` read what `writer` wrote? ERR_OK with out->n incompatibilities (appended), ERR_LIMIT_EXCEEDED when the
 * work budget ran out before a verdict, ERR_NO_MEMORY. */
enum err schema_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                           const struct compat_question *q, struct compat_result *out, struct reason *why) MUST_CHECK;
/* One datum, exactly: trailing bytes are an error. ERR_INVALID_RECORD with what and where. For Avro the bytes are the
 * binary encoding, for JSON Schema the document, for Protobuf the message without the index prefix. */
enum err schema_validate(const struct parsed_schema *s, struct slice payload, struct reason *why) MUST_CHECK;
/* Inline tags: `confluent:tags` (Avro, JSON Schema), confluent.field_meta tags (Protobuf). A type within itself is
 * listed once, at its outermost place; avro_program_locate_tag() finds tagged values at any depth. ERR_LIMIT_EXCEEDED:
 * the list is not complete. */
enum err schema_tags(const struct parsed_schema *s, schema_tag_visit visit, void *context) MUST_CHECK;

/* Entities with tags of their own, each once, at the place the reference names them by. ERR_LIMIT_EXCEEDED as above. */
enum err schema_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context) MUST_CHECK;
/* The canonical text with those tags changed, appended. ERR_INVALID_RECORD with the reference's words when an entity is
 * not in the schema itself (those of its references are not), unless `missing` is there to be told, per edit;
 * ERR_LIMIT_EXCEEDED. `out` NULL: only look for them. */
enum err schema_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                          struct buf *out, struct reason *why) MUST_CHECK;

void compat_result_init(struct compat_result *r);
void compat_result_free(struct compat_result *r);
/* A new item with an empty text, or NULL when memory ran out. For implementers. */
struct compat_item *compat_result_add(struct compat_result *r, const char *type);

#endif
