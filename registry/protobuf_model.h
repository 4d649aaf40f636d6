/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_PROTOBUF_MODEL_H
#define CASTELLAN_REGISTRY_PROTOBUF_MODEL_H

#include "core/base/map.h"
#include "registry/protobuf.h"

/* The inside of a parsed .proto file, for the protobuf_*.c files only. Everything lives in the schema's arena. Lists
 * are kept in the order written; order between kinds of members is not kept, as in the reference. */

enum {
    PROTO_TAG_MAX = 536870911,
    PROTO_LIST_MAX = 20000 /* members of one kind in one place */
};

enum proto_value_kind {
    PROTO_STRING,
    PROTO_BOOLEAN,
    PROTO_NUMBER,
    PROTO_WORD, /* an enum's constant */
    PROTO_MAP,
    PROTO_LIST,
    PROTO_OPTION /* (name).inner = value */
};

struct proto_value {
    enum proto_value_kind kind;
    struct slice text;
    struct proto_entry *entries; /* map */
    struct proto_value *items;   /* list */
    struct proto_option *inner;
    uint32_t n, cap;
};

struct proto_entry {
    struct slice key;
    struct proto_value value;
};

struct proto_option {
    struct slice name;
    bool custom; /* in parentheses */
    struct proto_value value;
};

struct proto_options {
    struct proto_option *v;
    uint32_t n, cap;
};

enum proto_label { PROTO_UNLABELED, PROTO_REQUIRED, PROTO_OPTIONAL, PROTO_REPEATED };

struct proto_field {
    enum proto_label label;
    struct slice type; /* as written; map<K, V> normalised in its blanks */
    struct slice name;
    int32_t tag;
    struct slice default_value, json_name; /* null: none */
    struct proto_options options;
    /* made by proto_link() */
    uint8_t kind, key_kind, value_kind; /* enum proto_kind; the latter two of maps */
    struct protobuf_message *message;   /* of the field, or of the map's values; NULL: scalar, or not resolved */
};

/* Scalars by their number in a descriptor; these are the others. */
enum proto_kind { PROTO_UNKNOWN = 0, PROTO_GROUP = 10, PROTO_MESSAGE = 11, PROTO_ENUM = 14, PROTO_MAP_FIELD = 20 };

struct proto_fields {
    struct proto_field *v;
    uint32_t n, cap;
};

struct proto_group {
    enum proto_label label;
    struct slice name;
    int32_t tag;
    struct proto_fields fields;
};

struct proto_groups {
    struct proto_group *v;
    uint32_t n, cap;
};

struct proto_oneof {
    struct slice name;
    struct proto_fields fields;
    struct proto_groups groups;
    struct proto_options options;
};

/* One value of a `reserved` or `extensions` line. */
struct proto_range {
    struct slice name; /* null: numbers */
    int32_t from, to;
    bool range; /* written with "to" */
};

struct proto_ranges {
    struct proto_range *v;
    uint32_t n, cap;
    struct proto_options options; /* of extensions */
};

struct proto_constant {
    struct slice name;
    int32_t tag;
    struct proto_options options;
};

struct proto_extend {
    struct slice name;
    struct proto_fields fields;
};

struct proto_extends {
    struct proto_extend *v;
    uint32_t n, cap;
};

struct proto_range_lists {
    struct proto_ranges *v;
    uint32_t n, cap;
};

struct proto_types {
    struct protobuf_message **v;
    uint32_t n, cap;
};

/* A message or an enum. */
struct protobuf_message {
    bool is_enum;
    struct slice name, full; /* without leading dot */
    unsigned line, column;   /* in the text; 0: not from a text */
    const struct proto_file *file;
    struct protobuf_message *up; /* what it is inside of; NULL: the file */
    struct proto_options options;
    struct proto_range_lists reserved, extensions;
    struct {
        struct proto_constant *v;
        uint32_t n, cap;
    } constants;
    struct proto_fields fields;
    struct {
        struct proto_oneof *v;
        uint32_t n, cap;
    } oneofs;
    struct proto_groups groups;
    struct proto_extends extends;
    struct proto_types types;
    /* made by proto_link() */
    bool is_map;       /* the entry of a map, as descriptors have them */
    bool has_required; /* a field of it is required */
    const struct proto_schema *schema;
};

struct proto_rpc {
    struct slice name, request, response;
    bool request_stream, response_stream;
    struct proto_options options;
};

struct proto_service {
    struct slice name;
    unsigned line, column;
    struct proto_options options;
    struct {
        struct proto_rpc *v;
        uint32_t n, cap;
    } rpcs;
};

struct proto_names {
    struct slice *v;
    uint32_t n, cap;
};

struct proto_file {
    int syntax;               /* 0: not stated, 2, 3 */
    struct slice import_name; /* as others import it; null for the schema itself */
    struct slice package;     /* null: none */
    bool from_descriptor;     /* read from a descriptor, not from text */
    struct proto_names imports, public_imports, weak_imports;
    struct proto_types types;
    struct {
        struct proto_service *v;
        uint32_t n, cap;
    } services;
    struct proto_extends extends;
    struct proto_options options;
};

struct proto_schema {
    struct parsed_schema head;
    struct arena arena;
    struct proto_file file;
    struct proto_file **refs;
    size_t refs_n;
    struct map types;      /* full name -> struct protobuf_message, of the file, its references and what is built in */
    struct map extensions; /* full name -> struct proto_field */
};

/* Room for one more in a list of an arena; NULL at PROTO_LIST_MAX or when memory ran out. */
void *proto_more(struct arena *a, void *list, uint32_t *n, uint32_t *cap, size_t size);
#define PROTO_MORE(a, list) proto_more((a), &(list).v, &(list).n, &(list).cap, sizeof *(list).v)

/* --- reading --- */

struct proto_reader {
    const uint8_t *p, *end, *start;
    const uint8_t *declaration; /* where the one at hand begins */
    unsigned declarations;      /* begun so far */
    struct map types, services; /* of the file, by name */
    const uint8_t *placed;      /* a place whose line and column are known; NULL: none */
    unsigned placed_line, placed_column;
    struct arena *arena;
    struct reason *why;
    enum err error;
    unsigned depth;
};

enum err proto_read_text(struct proto_file *f, struct slice text, struct arena *a, struct reason *why) MUST_CHECK;
enum err proto_read_descriptor(struct proto_file *f, struct slice bytes, struct arena *a,
                               struct reason *why) MUST_CHECK;
/* The characters (protobuf_lex.c); all are sticky on r->error. */
bool proto_bad(struct proto_reader *r, const char *format, ...) PRINTF_LIKE(2, 3); /* false */
bool proto_bad_at(struct proto_reader *r, const uint8_t *at, const char *format, ...) PRINTF_LIKE(3, 4);
void proto_place(struct proto_reader *r, const uint8_t *at, unsigned *line, unsigned *column); /* from 1 */
/* A comment behind a declaration ends its line: nothing may follow one in slash and star. */
bool proto_trailing_comment(struct proto_reader *r);
bool proto_exhausted(struct proto_reader *r);    /* blanks and comments skipped */
int proto_peek(struct proto_reader *r);          /* the next character that is no blank; -1 at the end (an error) */
bool proto_take(struct proto_reader *r, char c); /* if it comes next */
bool proto_require(struct proto_reader *r, char c);
bool proto_is_word(struct slice s); /* would proto_word(r, true) take all of it? */
struct slice proto_word(struct proto_reader *r, bool dots);
struct slice proto_name(struct proto_reader *r); /* a word, maybe in parentheses or brackets, which are dropped */
struct slice proto_quoted(struct proto_reader *r);
bool proto_int(struct proto_reader *r, int32_t *out);
bool proto_decimal(struct slice word, int32_t *out);
struct slice proto_data_type(struct proto_reader *r, struct slice first); /* null first: read it */
bool proto_read_option(struct proto_reader *r, char separator, struct proto_option *out);
bool proto_read_options(struct proto_reader *r, struct proto_options *out); /* [...] when there */

/* --- names --- */

/* Fills s->types and s->extensions, and each type's links. */
enum err proto_link(struct proto_schema *s, struct reason *why) MUST_CHECK;
/* What `name` means inside of `scope` (a dotted name without leading dot, may be empty) of a package. */
struct protobuf_message *proto_find_type(const struct proto_schema *s, struct slice package, struct slice scope,
                                         struct slice name);
/* An extension's field; `full` becomes its full name. */
struct proto_field *proto_find_extension(const struct proto_schema *s, struct slice scope, struct slice name,
                                         struct buf *full);
const char *const *proto_known_files(void); /* import name, text, import name, text, ..., NULL */
const struct proto_file *proto_known_file(struct slice import_name); /* one with types, or NULL */
bool proto_is_scalar(struct slice type);
int proto_scalar_number(struct slice type); /* as in descriptors; 0: no scalar */
const char *proto_scalar_name(int number);  /* NULL: no scalar */
bool proto_is_map(struct slice type, struct slice *key, struct slice *value);
/* Every name used is known; ERR_MALFORMED "Could not resolve type: X". Also tags and names used twice. */
enum err proto_check(const struct proto_schema *s, struct reason *why) MUST_CHECK;
/* The types a schema is about. */
const struct proto_types *proto_effective_types(const struct proto_schema *s);
const struct proto_value *proto_option_value(const struct proto_options *o, const char *name, bool custom);

/* Options that descriptors hold in fields of their own. */
struct proto_known_option {
    int number;
    const char *name;
    enum proto_value_kind kind;
    const char *const *words; /* PROTO_WORD: by value */
};
/* `what`: the options message's name, "FileOptions". Ends with a row without name; NULL: none. */
const struct proto_known_option *proto_known_options(const char *what);
/* The name of Confluent's extension of that options message ("confluent.field_meta"), or NULL. */
const char *proto_meta_name(const char *what);
enum { PROTO_META_NUMBER = 1088 };

/* --- the kinds of output --- */

enum proto_style { PROTO_CANONICAL, PROTO_NORMAL, PROTO_NO_EXTENSIONS };
/* PROTO_NORMAL needs every type it names: ERR_MALFORMED "Could not resolve type: X" in `why`, which may be NULL. */
enum err proto_print(const struct proto_schema *s, enum proto_style style, struct buf *out,
                     struct reason *why) MUST_CHECK;
enum err proto_encode_descriptor(const struct proto_schema *s, struct buf *out) MUST_CHECK; /* FileDescriptorProto */
enum err proto_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                          const struct compat_question *q, struct compat_result *out, struct reason *why) MUST_CHECK;
enum err proto_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context) MUST_CHECK;
enum err proto_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                         struct buf *out, struct reason *why) MUST_CHECK;
/* Options as normalization has them: names qualified, sorted, those of one name merged. In arena `a`. */
struct proto_options proto_normal_options(const struct proto_schema *s, const struct proto_options *o,
                                          struct slice scope, struct arena *a);

#endif
