/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_TEXT_H
#define CASTELLAN_REGISTRY_JSON_TEXT_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

/* A JSON reader that loses nothing a schema's identity needs: members keep their order, numbers keep their text, a
 * repeated member name keeps its first place and its last value (as Jackson does). Values live in the arena they were
 * parsed into; strings without escapes point into the text, so the text must outlive them. Read-only once parsed. */
enum jkind { J_NULL, J_FALSE, J_TRUE, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT };

struct jvalue {
    enum jkind kind;
    uint32_t n; /* items or members */
    union {
        struct slice text; /* J_NUMBER as written, J_STRING unescaped */
        struct jvalue *items;
        struct {
            struct jmember *members;
            uint32_t *sorted; /* members by name, for large objects; else NULL */
        } object;
    } u;
};

struct jmember {
    struct slice name;
    struct jvalue value;
};

enum {
    JSON_TEXT_DEPTH_MAX = 1000,             /* nested arrays and objects; Jackson's own limit */
    JSON_TEXT_NUMBER_MAX = 1000,            /* characters of one number; Jackson's own limit */
    JSON_TEXT_SIZE_MAX = 128 * 1024 * 1024, /* bytes of one document */
    JSON_TEXT_LINEAR_MAX = 12               /* members up to which an object is searched without an index */
};

/* One whole document; anything after it but blanks is an error. `why` names line and column. */
enum err json_text_parse(struct jvalue **out, struct slice text, struct arena *a, struct reason *why) MUST_CHECK;

/* The first document in a text; `rest` is all that follows it. */
enum err json_text_parse_first(struct jvalue **out, struct slice text, struct slice *rest, struct arena *a,
                               struct reason *why) MUST_CHECK;

const struct jvalue *json_text_get(const struct jvalue *object, struct slice name); /* NULL: absent or no object */
const struct jvalue *json_text_get_str(const struct jvalue *object, const char *name);
bool json_text_is_str(const struct jvalue *v, const char *s);

/* Equality as JSON Schema means it: numbers by value, objects without regard to order. */
bool json_text_equal(const struct jvalue *a, const struct jvalue *b);
/* Equality as Java sees the trees the reference makes: 1, 1.0 and 1.00 are three values. */
bool json_text_equal_java(const struct jvalue *a, const struct jvalue *b);
uint64_t json_text_hash(const struct jvalue *v); /* equal values have equal hashes */

enum json_text_order { JSON_TEXT_AS_WRITTEN, JSON_TEXT_SORTED };

/* As Jackson prints a tree: no blanks, its escapes, decimals as BigDecimal prints them. SORTED: members by name. */
void json_text_print(struct buf *out, const struct jvalue *v, enum json_text_order order);
void json_text_print_string(struct buf *out, struct slice s);

/* Length of the valid UTF-8 sequence s begins with; 0: there is none (overlong, a surrogate, cut short). */
size_t json_text_utf8(struct slice s);

const char *json_text_kind_name(enum jkind kind); /* "null", "boolean", "number", "string", "array", "object" */

#endif
