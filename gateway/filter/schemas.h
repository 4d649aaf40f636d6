/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMAS_H
#define CASTELLAN_GATEWAY_SCHEMAS_H

#include "registry/avro.h"
#include "registry/json_text.h"
#include "registry/protobuf.h"
#include "registry/rules.h"
#include "registry/store.h"

/* What the gateway knows of the registry: `_schemas`, read only, and the schemas compiled for judging data. Records may
 * arrive at any time, so the state is behind a read-write lock; workers ask it only about what they have not seen since
 * the last record (schemas_generation()) and keep the answers. Compiled schemas never change and are shared by
 * reference count. Ids and subjects are those of the default context. */
struct schemas;

struct schemas_config {
    const char *topic;        /* "_schemas" */
    const char *const *kafka; /* librdkafka settings towards the cluster */
    bool memory;              /* a table in memory only, for tests and benchmarks: schemas_ledger() feeds it */
};

enum {
    SCHEMAS_COMPILED_MAX = 10000, /* compiled schemas kept; past it all are dropped and made again when needed */
    SCHEMAS_SYNC_MS = 3000,       /* how long a request may wait for news of an unknown id */
};

enum err schemas_open(struct schemas **out, const struct schemas_config *config, struct reason *why) MUST_CHECK;
void schemas_stop(struct schemas *s);  /* every schemas_sync() was called back after it; NULL is fine */
void schemas_close(struct schemas *s); /* once nobody uses it; NULL is fine */
bool schemas_is_ready(const struct schemas *s);
uint64_t schemas_generation(const struct schemas *s); /* rises with every record */
struct ledger *schemas_ledger(struct schemas *s);

/* Read barrier: calls then(arg, err) once all that was committed before this call is known; from the keeper's thread.
 * Calls that wait together cost one question to the cluster. */
typedef void (*schemas_synced_fn)(void *arg, enum err err);
enum err schemas_sync(struct schemas *s, schemas_synced_fn then, void *arg) MUST_CHECK;

/* A schema ready to judge data. */
struct schema {
    atomic_int refs;
    int32_t id;
    uint8_t guid[GUID_SIZE];
    enum schema_type type;
    const struct parsed_schema *parsed;
    struct avro_program *avro; /* Avro only */
    bool raw_bytes;            /* Avro "bytes" itself: Confluent's serializers write such a value without its length */
    struct rules *rules;       /* conditions for writing; NULL: none */
    struct slice record_name;  /* of RecordNameStrategy; may be null; for Protobuf the message at hand names it */
    struct model *model;
};

/* How a record names its schema. */
struct schema_id {
    bool is_guid;
    int32_t id;
    uint8_t guid[GUID_SIZE];
};

/* ERR_OK and a reference for the caller; ERR_NOT_FOUND: nobody has that id; or why the schema cannot be compiled. */
enum err schemas_find(struct schemas *s, const struct schema_id *id, struct schema **out,
                      struct reason *why) MUST_CHECK;
/* Has the subject (or the one it is an alias of) a live version with that id? */
bool schemas_subject_has(struct schemas *s, struct slice subject, int32_t id);
void schema_unref(struct schema *s); /* NULL is fine */

#endif
