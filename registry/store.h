/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_STORE_H
#define CASTELLAN_REGISTRY_STORE_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/map.h"
#include "registry/contract.h"
#include "registry/subject.h"
#include <stdatomic.h>

/* The registry's state, built from the records of `_schemas` in log order (the reference's format, bytes and all).
 * Pure: no I/O, no lock. A store may be an overlay over another: it then holds only what differs, and every lookup
 * falls through, so decisions can see records that are not committed yet. */

enum schema_type { SCHEMA_AVRO, SCHEMA_JSON, SCHEMA_PROTOBUF };
enum { SCHEMA_TYPES = 3, GUID_SIZE = 16 };
const char *schema_type_name(enum schema_type t);
bool schema_type_parse(struct slice s, enum schema_type *out); /* exact; null is AVRO */

struct schema_ref {
    struct slice name, subject;
    int32_t version;
};

/* What a schema is, whatever it is called: immutable, shared by every subject that registered it. */
struct content {
    atomic_int refs;
    enum schema_type type;
    uint8_t guid[GUID_SIZE]; /* MD5 of the rest */
    bool guid_given;         /* not computed: the record brought it, because its metadata is encrypted */
    struct slice text;
    struct slice metadata, rules; /* canonical JSON, or null */
    const struct schema_ref *references;
    size_t reference_count;
};
struct content *content_new(enum schema_type type, struct slice text, const struct schema_ref *references, size_t n,
                            const json_t *metadata, const json_t *rules); /* one reference; NULL: no memory */
/* The identity a record brought ("md5", base64); false: it is none. Before the content is shared. */
bool content_take_md5(struct content *c, struct slice base64);
struct content *content_ref(struct content *c);
void content_unref(struct content *c);
bool content_same(const struct content *a, const struct content *b);
void guid_put(struct buf *out, const uint8_t guid[GUID_SIZE]); /* as UUID text */
bool guid_parse(struct slice text, uint8_t guid[GUID_SIZE]);

struct version {
    int32_t version, id;
    bool deleted; /* softly */
    int64_t timestamp_ms;
    struct content *content;
};

struct subject {
    struct slice name;        /* qualified */
    struct version *versions; /* ascending */
    size_t n, cap;            /* n == 0: as if it were not there */
};

enum mode { MODE_NONE, MODE_READWRITE, MODE_READONLY, MODE_READONLY_OVERRIDE, MODE_IMPORT, MODE_FORWARD };
const char *mode_name(enum mode m);
bool mode_parse(struct slice s, enum mode *out); /* any case */

struct store {
    const struct store *base;     /* overlays only */
    struct map subjects;          /* struct subject, by qualified name */
    struct map contexts;          /* struct context, by name with its dot */
    struct map contents;          /* struct content, by type and guid */
    struct map referrers;         /* struct referrers, by qualified subject and version */
    struct map configs;           /* json_t, by qualified subject; "" is the global one; JSON null hides the base's */
    struct map modes;             /* int as pointer */
    struct map associations;      /* struct association, by canonical key */
    struct map association_index; /* by subject, by resource id -> struct map of such keys */
    struct map raw_keys;          /* canonical key -> json_t, a list: other bytes seen for the same key */
    struct map repairs;           /* raw key -> canonical key: whose record in the topic is not what the store holds */
    struct map reserved;          /* qualified subject -> highest version that is there and was not understood */
    struct arena scratch;         /* of the record being applied */
    struct store_order *order;    /* subjects by name; made on demand, not in overlays */
    const char *default_level;    /* compatibility where nothing is set; NULL: BACKWARD */
    uint64_t skipped;             /* records not understood */
};

void store_init(struct store *s, const struct store *base);
void store_free(struct store *s);
/* One record of the topic. ERR_MALFORMED: not understood, skipped; the rest goes on. */
enum err store_apply(struct store *s, struct slice key, struct slice value, int64_t timestamp_ms,
                     struct reason *why) MUST_CHECK;

/* --- lookups; results live until the store changes --- */
const struct subject *store_subject(const struct store *s, struct slice qualified); /* NULL when no version is left */
const struct version *subject_version(const struct subject *u, int32_t version);    /* NULL when absent */
const struct version *subject_latest(const struct subject *u, bool deleted);        /* the highest */
bool subject_has(const struct subject *u, bool deleted); /* any version; live ones, or softly deleted ones too */

/* Call fn for every subject with a version, in no order, until it says false. */
void store_each_subject(const struct store *s, bool (*fn)(void *ctx, const struct subject *u), void *ctx);
/* The same by name. Not for overlays; readers may call it at the same time. */
void store_each_sorted(const struct store *s, bool (*fn)(void *ctx, const struct subject *u), void *ctx);
/* Does any subject named `qualified` exist, or, when that is a context, any subject in it? */
bool store_has_subjects(const struct store *s, struct slice qualified, bool deleted);

const struct content *store_by_id(const struct store *s, struct slice context, int32_t id);
/* The id of that content in the context; -1 when it has none. */
int32_t store_id_of(const struct store *s, struct slice context, const struct content *c);
int32_t store_max_id(const struct store *s, struct slice context);
/* Every (subject, version) of an id in a context, in no order. */
void store_each_use(const struct store *s, struct slice context, int32_t id,
                    bool (*fn)(void *ctx, const struct subject *u, const struct version *v), void *ctx);
/* Every (subject, version) that refers to subject+version. */
void store_each_referrer(const struct store *s, struct slice qualified, int32_t version, bool deleted,
                         bool (*fn)(void *ctx, const struct subject *u, const struct version *v), void *ctx);
const char *store_default_level(const struct store *s);
bool store_is_referenced(const struct store *s, struct slice qualified, int32_t version, bool deleted,
                         struct slice except_subject);
/* Every context, by name. */
void store_each_context(const struct store *s, bool (*fn)(void *ctx, struct slice context, bool declared), void *ctx);
const struct content *store_by_guid(const struct store *s, struct slice context, const uint8_t guid[GUID_SIZE],
                                    int32_t *id);
bool store_has_context(const struct store *s, struct slice context); /* a CONTEXT record is there */

/* The value set at exactly that scope (null or empty: global); NULL / MODE_NONE when unset. */
const json_t *store_config(const struct store *s, struct slice qualified);
enum mode store_mode(const struct store *s, struct slice qualified);
/* Every scope with a configuration (or a mode) of its own, by name; "" is the global one. */
void store_each_config(const struct store *s, bool (*fn)(void *ctx, struct slice qualified), void *ctx);
void store_each_mode(const struct store *s, bool (*fn)(void *ctx, struct slice qualified), void *ctx);

/* --- records --- */
void record_schema_key(struct buf *out, struct slice subject, int32_t version);
void record_schema_value(struct buf *out, struct slice subject, const struct version *v, bool deleted);
void record_config_key(struct buf *out, struct slice subject); /* null or empty: global */
void record_config_value(struct buf *out, struct slice subject, const json_t *config);
void record_mode_key(struct buf *out, struct slice subject);
void record_mode_value(struct buf *out, struct slice subject, enum mode m);
void record_delete_subject_key(struct buf *out, struct slice subject);
void record_delete_subject_value(struct buf *out, struct slice subject, int32_t version);
void record_clear_subject_key(struct buf *out, struct slice subject);
void record_clear_subject_value(struct buf *out, struct slice subject);
void record_context_key(struct buf *out, struct slice context);
void record_context_value(struct buf *out, struct slice context);
/* The i-th other form the key was seen in (an older or foreign writer's), null past the end: each must be tombstoned
 * with the canonical one, or compaction would keep it and bring the record back. */
struct slice store_raw_key(const struct store *s, struct slice canonical, size_t i);

/* Records of others that must not stand: what to write under their keys (null: a tombstone), from a decision. */
bool store_wants_repair(const struct store *s);
void store_repair(const struct store *s, void (*emit)(void *ctx, struct slice key, struct slice value), void *ctx);
/* The highest version of the subject that is in the topic and was not understood; 0: none. */
int32_t store_reserved(const struct store *s, struct slice subject);

/* A configuration's members in the reference's order; `level` names compatibilityLevel ("compatibility" in updates).
 * No braces. `empty`: empty texts too; they are answered once but never kept. */
void config_put_members(struct buf *out, const json_t *config, const char *level, bool empty);
extern const char *const config_members[];

#endif
