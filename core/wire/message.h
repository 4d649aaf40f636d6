/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_MESSAGE_H
#define CASTELLAN_WIRE_MESSAGE_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/cursor.h"

/* What every generated message has in common, and the tables that describe messages at run time.
 *
 * Each core/wire/messages/NAME.msg becomes a header "wire/NAME.h" with, for each message X in it, `struct x`,
 *     void x_init(struct x *m);                                      Kafka's defaults, in every nested struct too
 *     enum err x_decode(struct x *m, struct cursor *c, int16_t version, struct arena *a);
 *     enum err x_encode(const struct x *m, struct buf *out, int16_t version);
 *     void x_print(const struct x *m, int16_t version, struct buf *out);  one line; secrets as "***"
 *     extern const struct wire_message x_message;                    the table row, for generic code
 * and for each nested struct Y, `struct x_y`, x_y_init() and, when it stands in an array, `struct x_y_array` and
 * x_y_array_alloc(). One struct serves all versions.
 *
 * Decoding: strings, bytes and records are slices of the input, arrays come from the arena. Fields a version lacks get
 * their defaults. The struct may be used only when ERR_OK was returned; whether bytes are left over is the caller's
 * question (cursor_finish).
 * Encoding: a field that the version lacks and that is neither default nor ignorable is ERR_UNSUPPORTED_VERSION; null
 * where the version allows none is ERR_MALFORMED, a string over 32767 bytes ERR_LIMIT_EXCEEDED. After a failure `out`
 * is as it was before the call. */

struct wire_uuid {
    uint8_t b[16];
};
_Static_assert(sizeof(struct wire_uuid) == 16, "compared and hashed whole: no padding");

/* A tagged field this program does not know, kept so that it survives being passed on. */
struct wire_tag {
    uint32_t tag;
    struct slice data;
};

struct wire_tags {
    struct wire_tag *v; /* in rising order of tags */
    int32_t n;
};

/* Arrays: n == -1 is null. All array types, also the generated ones, are laid out as struct wire_array. */
struct wire_array {
    void *v;
    int32_t n;
};
struct wire_int8_array {
    int8_t *v;
    int32_t n;
};
struct wire_int16_array {
    int16_t *v;
    int32_t n;
};
struct wire_int32_array {
    int32_t *v;
    int32_t n;
};
struct wire_int64_array {
    int64_t *v;
    int32_t n;
};
struct wire_uuid_array {
    struct wire_uuid *v;
    int32_t n;
};
struct wire_string_array {
    struct slice *v;
    int32_t n;
};

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_UINT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,  /* struct slice */
    WIRE_BYTES,   /* struct slice */
    WIRE_RECORDS, /* struct slice: a run of record batches */
    WIRE_STRUCT   /* in place; a pointer when it may be null */
};

/* What a field names: what authorization, rewriting and redaction look for. */
enum wire_entity {
    WIRE_ENTITY_NONE,
    WIRE_ENTITY_TOPIC_NAME,
    WIRE_ENTITY_GROUP_ID,
    WIRE_ENTITY_TRANSACTIONAL_ID,
    WIRE_ENTITY_PRODUCER_ID,
    WIRE_ENTITY_BROKER_ID,
    /* Ours; Kafka's own descriptions mark only the above. */
    WIRE_ENTITY_TOPIC_ID,       /* a uuid that stands for a topic's name (KIP-516) */
    WIRE_ENTITY_RESOURCE_NAME,  /* a topic, group or broker, by the ResourceType beside it */
    WIRE_ENTITY_COORDINATOR_KEY /* a group or transactional id, by the request's KeyType */
};

enum { WIRE_VERSION_OPEN = INT16_MAX }; /* as a maximum: "and all later" */

struct wire_versions {
    int16_t min, max; /* min > max: none */
};

static inline bool wire_versions_has(struct wire_versions v, int16_t version)
{
    return version >= v.min && version <= v.max;
}

struct wire_field {
    const char *name;         /* Kafka's: "MaxWaitMs" */
    enum wire_type type;      /* of the element, when it is an array */
    enum wire_entity entity;  /* what it names */
    bool array;               /* a struct wire_array stands in the struct */
    bool pointer;             /* a nullable struct: a pointer stands in the struct */
    bool ignorable;           /* dropped silently in versions that lack it */
    bool map_key;             /* the array it stands in is keyed by it */
    bool sensitive;           /* a secret: never printed */
    bool flexible_overridden; /* `flexible` replaces the message's (only RequestHeader.ClientId) */
    int32_t tag;              /* -1: not a tagged field */
    uint32_t offset;          /* in the struct it belongs to */
    struct wire_versions versions, nullable, tagged, flexible;
    const char *default_text;       /* as the description writes it; NULL when it does not */
    const struct wire_struct *body; /* of WIRE_STRUCT */
    /* Does it carry something that is not its default? `m` is the struct it belongs to. NULL where that never matters:
     * every version has it or it is ignorable, and it is never tagged. */
    bool (*is_set)(const void *m);
};

struct wire_struct {
    const char *name;   /* Kafka's: "FetchTopic" */
    const char *c_name; /* "fetch_request_fetch_topic" */
    size_t size;
    size_t tags_offset; /* of its struct wire_tags; SIZE_MAX when the message has no flexible version */
    struct wire_versions versions;
    const struct wire_field *fields;
    size_t field_count;
    size_t min_encoded; /* bytes that it takes at least, in any version */
    int depth;          /* of structs in it, 1 for itself */
    void (*init)(void *m);
};

enum wire_kind {
    WIRE_REQUEST,
    WIRE_RESPONSE,
    WIRE_HEADER,
    WIRE_DATA,
    WIRE_METADATA_RECORD,   /* key: the record type in the metadata log */
    WIRE_COORDINATOR_KEY,   /* key: the int16 that stands before it */
    WIRE_COORDINATOR_VALUE, /* key: that of its key */
};

struct wire_message {
    const char *name; /* Kafka's: "FetchRequest" */
    enum wire_kind kind;
    int16_t key; /* API key or record type; -1 when it has none */
    struct wire_versions valid, flexible;
    const struct wire_struct *body;
    enum err (*decode)(void *m, struct cursor *c, int16_t version, struct arena *a);
    enum err (*encode)(const void *m, struct buf *out, int16_t version);
};

enum wire_listener { WIRE_LISTENER_BROKER = 1, WIRE_LISTENER_CONTROLLER = 2 };

struct wire_api {
    int16_t key;
    const char *name; /* Kafka's: "Fetch" */
    int16_t min, max;
    int16_t flexible_from; /* WIRE_VERSION_OPEN when it never is */
    unsigned listeners;    /* enum wire_listener */
    bool latest_unstable;  /* the newest version is not released yet: do not advertise it */
    const struct wire_message *request, *response;
};

const struct wire_api *wire_api(int16_t key); /* NULL when it is not described here */
/* Versions to put into an ApiVersions answer; false for an unknown API. Produce is said to start at 0, although 0-2
 * are refused: old clients of librdkafka take their feature decisions from that (KAFKA-18659). */
bool wire_api_versions_advertised(int16_t key, int16_t *min, int16_t *max);

const struct wire_message *wire_metadata_record(int16_t type); /* NULL when it is not described here */
/* Every described message, for tests and tools. */
const struct wire_message *const *wire_messages(size_t *count);

/* ---- Generic use of the tables ---- */

/* Bytes the value takes in its struct; of an array, one element. */
size_t wire_field_size(const struct wire_field *f);
/* A zeroed, initialised struct of this type from the arena; NULL when that is exhausted. */
void *wire_struct_new(const struct wire_struct *s, struct arena *a);
/* One line: Name(Field=value, ...), without the fields this version lacks. Secrets are "***", bytes only counted,
 * control characters escaped. */
void wire_print(const struct wire_struct *s, const void *m, int16_t version, struct buf *out);
/* Call `visit` for each value of an entity type that stands in the message in this version, those in arrays and
 * nested structs included. `value` points at the struct slice (names), int64_t or int32_t (ids); the visitor may
 * change it. Stops with the visitor's first error. */
typedef enum err (*wire_visit_fn)(void *context, const struct wire_field *field, void *value);
enum err wire_walk_entities(const struct wire_struct *s, void *m, int16_t version, enum wire_entity kind,
                            wire_visit_fn visit, void *context) MUST_CHECK;

static inline bool wire_uuid_is_zero(const struct wire_uuid *u)
{
    static const struct wire_uuid zero;
    return memcmp(u, &zero, sizeof zero) == 0;
}

static inline bool wire_uuid_eq(const struct wire_uuid *a, const struct wire_uuid *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

enum { WIRE_UUID_TEXT_SIZE = 23 }; /* with its NUL */
/* Kafka's text of a uuid: 22 characters of URL-safe base64. */
void wire_uuid_format(const struct wire_uuid *u, char text[WIRE_UUID_TEXT_SIZE]);
bool wire_uuid_parse(struct slice text, struct wire_uuid *u);

/* ---- Records of Kafka's internal topics ---- */

/* The int16 before coordinator keys (which record it is) and values (their version). */
void wire_record_put_version(struct buf *out, int16_t version);
int16_t wire_record_get_version(struct cursor *c); /* -1 and a failed cursor when it is negative or missing */
/* Metadata log: frame version 1, record type and version as varints before the body. */
void wire_metadata_put_frame(struct buf *out, int16_t type, int16_t version);
enum err wire_metadata_get_frame(struct cursor *c, int16_t *type, int16_t *version) MUST_CHECK;

#endif
