/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_SCHEMA_H
#define CASTELLAN_REGISTRY_JSON_SCHEMA_H

#include "registry/json_text.h"

/* JSON Schema, drafts 4, 6, 7, 2019-09 and 2020-12: a schema is compiled once into a graph of nodes and then validates
 * any number of documents, from any number of threads. References resolve among the documents given, the schema's own
 * resources and the built-in meta-schemas; nothing is ever fetched. */
struct json_schema;

enum json_draft { JSON_DRAFT_4, JSON_DRAFT_6, JSON_DRAFT_7, JSON_DRAFT_2019_09, JSON_DRAFT_2020_12 };

/* A document a $ref may name: the name of a reference between subjects, or a whole URI. */
struct json_schema_document {
    struct slice uri;
    struct slice text;
};

enum json_schema_formats {
    JSON_FORMAT_ANNOTATION, /* `format` is not checked, unless the meta-schema's vocabulary asserts it */
    JSON_FORMAT_ASSERTION,  /* `format` is checked */
    JSON_FORMAT_REFERENCE /* as Confluent's serializers do: the formats drafts 4 to 7 define are, later ones are not */
};

struct json_schema_options {
    const struct json_schema_document *documents;
    size_t documents_n;
    enum json_draft draft; /* when the schema has no (known) $schema */
    enum json_schema_formats formats;
};

/* Limits against hostile schemas and documents; each answers ERR_LIMIT_EXCEEDED. */
enum {
    JSON_SCHEMA_NODES_MAX = 200000,         /* subschemas in one compiled schema */
    JSON_SCHEMA_DOCUMENTS_MAX = 1000,       /* documents taking part in one schema */
    JSON_SCHEMA_DEPTH_MAX = 1500,           /* subschemas inside one another while validating */
    JSON_SCHEMA_WORK_MAX = 20000000,        /* steps of one validation */
    JSON_SCHEMA_PATTERN_MAX = 16 * 1024,    /* bytes of one regular expression */
    JSON_SCHEMA_PATTERN_STEPS_MAX = 1000000 /* backtracking steps of one match */
};

/* ERR_MALFORMED with the words the registry answers 42201 with, ERR_LIMIT_EXCEEDED or ERR_NO_MEMORY. */
enum err json_schema_compile(struct json_schema **out, struct slice text, const struct json_schema_options *options,
                             struct reason *why) MUST_CHECK;
void json_schema_free(struct json_schema *s);
enum json_draft json_schema_draft(const struct json_schema *s);
const struct jvalue *json_schema_root(const struct json_schema *s);

/* ERR_OK: valid. ERR_INVALID_RECORD: not valid, and `why` says where and which keyword. ERR_LIMIT_EXCEEDED: the work
 * or depth limit was met before a verdict. */
enum err json_schema_validate(const struct json_schema *s, const struct jvalue *document,
                              struct reason *why) MUST_CHECK;
enum err json_schema_validate_text(const struct json_schema *s, struct slice document, struct reason *why) MUST_CHECK;

/* Does `value` have this `format`? Unknown formats say yes. */
bool json_format_check(struct slice format, struct slice value);
/* The draft that defined a format Confluent's serializers check; false: they do not know it. */
bool json_format_known(struct slice format, enum json_draft *since);

#endif
