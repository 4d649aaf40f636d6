/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AVRO_H
#define CASTELLAN_REGISTRY_AVRO_H

#include "registry/schema_type.h"

/* Avro schemas, judged and printed as the Java implementation does (specification 1.12). The generic functions of
 * schema_type.h apply with `&schema_type_avro`; here is what only Avro has. */

/* Limits against hostile schemas; each answers ERR_LIMIT_EXCEEDED (or ERR_MALFORMED from the JSON reader). */
enum {
    AVRO_SCHEMA_SIZE_MAX = 16 * 1024 * 1024, /* bytes of one schema text */
    AVRO_SCHEMA_DEPTH_MAX = 500,             /* schemas inside one another, as written or when resolved */
    AVRO_SCHEMA_NODES_MAX = 500000,          /* schemas in one text and its references */
    AVRO_UNION_BRANCHES_MAX = 10000,
    AVRO_PRINT_MAX = 64 * 1024 * 1024, /* bytes of a printed schema */
    AVRO_COMPAT_WORK_MAX = 5000000     /* pairs and fields looked at in one comparison */
};

/* Parsing Canonical Form (types of references inlined at first use). Appends. */
enum err avro_parsing_form(const struct parsed_schema *s, struct buf *out) MUST_CHECK;

/* Fingerprints of the Parsing Canonical Form. */
uint64_t avro_crc64(struct slice bytes); /* CRC-64-AVRO (Rabin) */
enum err avro_fingerprint_crc64(const struct parsed_schema *s, uint64_t *out) MUST_CHECK;
enum err avro_fingerprint_md5(const struct parsed_schema *s, uint8_t out[16]) MUST_CHECK;
enum err avro_fingerprint_sha256(const struct parsed_schema *s, uint8_t out[32]) MUST_CHECK;

/* --- data: a schema compiled for reading binary datums --- */

struct avro_program;

/* Independent of the schema once made; read-only, for any number of threads. */
enum err avro_program_new(struct avro_program **out, const struct parsed_schema *s, struct reason *why) MUST_CHECK;
void avro_program_free(struct avro_program *p); /* NULL is fine */

enum {
    AVRO_DATUM_DEPTH_MAX = 200,           /* values inside one another */
    AVRO_DATUM_EMPTY_ITEMS_MAX = 1000000, /* array items that take no bytes, in one datum */
    AVRO_DATUM_JSON_MAX = 64 * 1024 * 1024
};

/* Exactly one datum. ERR_INVALID_RECORD and in `why` what and at which byte. */
enum err avro_program_validate(const struct avro_program *p, struct slice datum, struct reason *why) MUST_CHECK;

enum avro_json {
    AVRO_JSON_PLAIN, /* unions show the bare value: for rules and conditions */
    AVRO_JSON_AVRO   /* Avro's JSON encoding: a union branch other than null is {"name": value} */
};
/* The datum as JSON; bytes and fixed as strings of code points 0-255. Appends. */
enum err avro_program_to_json(const struct avro_program *p, struct slice datum, enum avro_json style, struct buf *out,
                              struct reason *why) MUST_CHECK;

/* A value found in a datum. */
enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_FIXED,
    AVRO_UNION
};

struct avro_found {
    enum avro_kind kind;  /* of the value itself: never AVRO_UNION */
    size_t at, n;         /* the encoded value's bytes in the datum, a union's branch number not included */
    struct slice content; /* string, bytes, fixed: what is inside; else the encoded value */
    int64_t number;       /* int, long, boolean, enum (its ordinal) */
    double real;          /* float, double */
    struct slice symbol;  /* enum: lives as long as the program */
    bool in_sized_block;  /* within an array or map block that states its size in bytes: a change must redo it */
};

/* Return false to stop. */
typedef bool (*avro_found_visit)(void *context, const struct avro_found *found);

/* Every value at `path` (names joined by '.'; arrays and maps are gone through, a map's key may be a step). The
 * datum is validated as far as it is read. */
enum err avro_program_locate(const struct avro_program *p, struct slice datum, struct slice path,
                             avro_found_visit visit, void *context, struct reason *why) MUST_CHECK;
/* Every value of a field (or record) that carries `tag` in its confluent:tags, the outermost where they nest. */
enum err avro_program_locate_tag(const struct avro_program *p, struct slice datum, struct slice tag,
                                 avro_found_visit visit, void *context, struct reason *why) MUST_CHECK;
/* Does a field of that path exist in the schema? */
bool avro_program_has_path(const struct avro_program *p, struct slice path);

#endif
