/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AVRO_READ_H
#define CASTELLAN_REGISTRY_AVRO_READ_H

#include "registry/avro_model.h"

/* What the files that read one schema text share. Errors are in `why`, in the words of the Java implementation. */
struct reading {
    struct avro_schema *s;
    const struct avro_parse_options *o;
    struct reason *why;
};

enum err avro_no_memory(struct reading *r);
/* "words: {the JSON as Jackson prints it}" */
enum err avro_bad_json(struct reading *r, const char *words, const struct jvalue *v);
struct slice avro_text_of(const struct jvalue *object, const char *key); /* null: absent or no string */

enum err avro_check_name(struct reading *r, struct slice name);
enum err avro_check_namespace(struct reading *r, struct slice space);
/* `text`: a plain or full name; `space`: that of a plain one. */
enum err avro_make_name(struct reading *r, struct slice text, struct slice space, struct avro_name *out);
enum err avro_check_no_primitive(struct reading *r, const struct avro_name *name);
enum err avro_read_name(struct reading *r, const struct jvalue *v, struct slice space, struct avro_name *out);

/* Words that are no properties, NULL at the end. */
extern const char *const avro_schema_reserved[], *const avro_enum_reserved[], *const avro_field_reserved[];
enum err avro_read_props(struct reading *r, const struct jvalue *v, const char *const *reserved,
                         struct avro_props *out);
enum err avro_check_props(struct reading *r, const struct avro_node *n);
/* Each alias once, in the order given: a field's as written, a type's as names. */
enum err avro_read_alias_texts(struct reading *r, const struct jvalue *v, struct slice **out, uint32_t *n);
enum err avro_read_aliases(struct reading *r, const struct jvalue *v, struct avro_node *n);

/* Are two definitions of one name the same? */
bool avro_equal(const struct avro_node *a, const struct avro_node *b);
/* From the properties read: a logical type that is unknown, or wrong for its type, is as if it were not there. */
void avro_read_logical(struct avro_node *n);

#endif
