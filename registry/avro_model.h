/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AVRO_MODEL_H
#define CASTELLAN_REGISTRY_AVRO_MODEL_H

#include "core/base/map.h"
#include "registry/avro.h"
#include "registry/json_text.h"

/* The inside of a parsed Avro schema, for the avro_*.c files only. Everything lives in the schema's arena. */

/* While a text is read, a name not yet defined is a node of this kind; none is left in a parsed schema. */
enum { AVRO_UNRESOLVED = AVRO_UNION + 1 };

struct avro_name {
    struct slice name;  /* the part after the last dot */
    struct slice space; /* null: none */
    struct slice full;
};

struct avro_prop {
    struct slice name;
    const struct jvalue *value;
};

struct avro_props {
    struct avro_prop *v;
    uint32_t n;
};

enum avro_order { AVRO_ASCENDING, AVRO_DESCENDING, AVRO_IGNORE };

struct avro_field {
    struct slice name;
    struct slice doc; /* null: none */
    struct avro_node *type;
    const struct jvalue *default_value; /* NULL: none */
    bool default_is_double;             /* a string given for a float or double field: `default_double` is meant */
    double default_double;
    enum avro_order order;
    struct slice *aliases;
    uint32_t aliases_n;
    struct avro_props props;
};

enum avro_logical {
    AVRO_LOGICAL_NONE, /* or not valid for its type: ignored, as the specification asks */
    AVRO_LOGICAL_DECIMAL,
    AVRO_LOGICAL_OTHER /* any other known one, valid for its type */
};

struct avro_node {
    int kind; /* enum avro_kind or AVRO_UNRESOLVED */
    uint32_t id;
    uint32_t name_id; /* named types: equal for equal full names */
    struct avro_name name;
    struct slice doc; /* null: none */
    bool is_error;
    bool is_type_word; /* unresolved, and given where the word of a type belongs: {"type": "Name"} */
    bool visited;      /* while resolving */
    bool ready;        /* a record: all that it holds is resolved and checked */
    struct avro_name *aliases;
    uint32_t aliases_n;
    struct avro_props props;
    enum avro_logical logical;
    struct slice logical_name;
    int32_t precision, scale;
    const struct jvalue *json; /* as written, for messages */
    uint32_t n;                /* fields, symbols or branches */
    uint32_t *by_name;         /* record: its fields in order of their names */
    union {
        struct avro_field *fields;
        struct avro_node **branches;
        struct avro_node *items; /* of an array, or a map's values */
        struct {
            struct slice *symbols;
            struct slice default_symbol; /* null: none */
        } en;
        int32_t size;
    } u;
};

struct avro_schema {
    struct parsed_schema head;
    struct arena arena;
    struct avro_node *root;
    struct map names; /* full name -> node */
    uint32_t nodes;
    struct schema_ref_text *refs; /* copies, kept for the normalized form */
    size_t refs_n;
    struct avro_node **ref_roots;
    unsigned default_work; /* done holding defaults against types */
};

struct avro_parse_options {
    bool fresh; /* names, namespaces and defaults are checked while reading */
};

const char *avro_kind_name(int kind);     /* "record" */
const char *avro_kind_upper(int kind);    /* "RECORD" */
int avro_primitive_of(struct slice name); /* kind, or -1 */
static inline bool avro_is_named(int kind)
{
    return kind == AVRO_RECORD || kind == AVRO_ENUM || kind == AVRO_FIXED;
}
/* A record's field of that name, or NULL. */
const struct avro_field *avro_field_named(const struct avro_node *record, struct slice name);
/* What Java's getFullName() gives: the type's word for what has no name. */
struct slice avro_full_name(const struct avro_node *n);
/* An alias as getAliases() prints it: ".x" when it has no namespace and its type has one. */
struct slice avro_alias_text(struct arena *a, const struct avro_node *of, const struct avro_name *alias);

/* One text read into `s`; what it names is found among s->names, and what it defines is added there. */
enum err avro_read_text(struct avro_schema *s, struct slice text, const struct avro_parse_options *o,
                        struct avro_node **root, struct reason *why) MUST_CHECK;
/* Names replaced by what they mean, unions checked, depth bounded, defaults held against their types. */
enum err avro_resolve(struct avro_schema *s, struct avro_node **root, bool check_defaults,
                      struct reason *why) MUST_CHECK;
/* Can a union's branches be told apart? Names not resolved yet are passed over. */
enum err avro_check_union(const struct avro_node *n, struct reason *why) MUST_CHECK;
/* Does a field's default fit its type? While reading, a type not yet known passes for a record without fields. */
enum err avro_check_default(struct avro_schema *s, const struct avro_field *f, bool reading,
                            struct reason *why) MUST_CHECK;
/* Names of a stored schema: letters of any script. Namespaces and aliases are not looked at. */
enum err avro_check_stored_names(const struct avro_schema *s, struct reason *why) MUST_CHECK;
/* JSON with comments: a copy in the arena with blanks for them. */
struct slice avro_strip_comments(struct arena *a, struct slice text);

enum err avro_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                         const struct compat_question *q, struct compat_result *out, struct reason *why) MUST_CHECK;

enum err avro_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context) MUST_CHECK;
enum err avro_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                        struct buf *out, struct reason *why) MUST_CHECK;

enum avro_print_style {
    AVRO_PRINT_CANONICAL, /* Schema.toString() */
    AVRO_PRINT_PARSING,   /* Parsing Canonical Form */
    AVRO_PRINT_NORMAL     /* the text whose canonical form is the normalized one */
};
/* `known`: bits by name_id of types printed by name only; changed. NULL: none. */
enum err avro_print(const struct avro_schema *s, const struct avro_node *n, enum avro_print_style style, uint8_t *known,
                    struct buf *out) MUST_CHECK;
void avro_print_json(struct buf *out, const struct jvalue *v); /* as Jackson prints what it parsed */
void avro_print_json_sorted(struct buf *out, const struct jvalue *v);

/* As Java's Double.toString and Float.toString (shortest digits); NaN and the infinities quoted, as Jackson does. */
void avro_put_double(struct buf *out, double d);
void avro_put_float(struct buf *out, float f);
struct slice avro_trim(struct slice text); /* Java's trim: spaces and control characters */
/* As Java's Double.parseDouble reads it; false: not a number. */
bool avro_parse_double(struct slice text, double *out);
/* The same JSON to Jackson: 1 and 1.0 differ, the order of members does not count. */
bool avro_json_same(const struct jvalue *a, const struct jvalue *b);
bool avro_number_is_integral(struct slice text);
bool avro_number_int64(struct slice text, int64_t *out); /* integral and fits */

#endif
