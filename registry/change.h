/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CHANGE_H
#define CASTELLAN_REGISTRY_CHANGE_H

#include "registry/draft.h"

struct association_change;

/* A wish to change the registry, and the pure decision about it: given the state, which records to write, or which
 * error to answer. A decision may be taken several times (the log may have moved on); it leaves no trace but its answer
 * and what it emits. */
enum change_kind {
    CHANGE_REGISTER,
    CHANGE_DELETE_SUBJECT,
    CHANGE_DELETE_VERSION,
    CHANGE_SET_CONFIG,
    CHANGE_DELETE_CONFIG,
    CHANGE_SET_MODE,
    CHANGE_DELETE_MODE,
    CHANGE_DELETE_CONTEXT,
    CHANGE_ASSOCIATE,
    CHANGE_DISSOCIATE,
    CHANGE_ASSOCIATION_BATCH,
};

/* What a request does to a subject, for authorization. */
enum rest_right {
    RIGHT_NONE,
    RIGHT_DESCRIBE,
    RIGHT_READ,
    RIGHT_WRITE,
    RIGHT_DELETE,
    RIGHT_SEE_CONFIG,
    RIGHT_ALTER_CONFIG
};

struct api_settings {
    int shape;            /* 79, 81, 82: which release's answers */
    bool mode_mutability; /* mode.mutability */
    bool reject_empty_subject;
    int schema_limit_default, schema_limit_max;
    int list_limit_default, list_limit_max; /* subjects, versions, contexts */
    struct model_cache *models;
    struct text_cache *texts; /* may be NULL */
};

struct change {
    enum change_kind kind;
    struct slice subject; /* qualified, normal; null or empty: global */
    struct slice format;  /* REGISTER: of the schema in the answer; null: as stored */
    int32_t version;      /* DELETE_VERSION; -1 latest. REGISTER: told by the decision */
    bool permanent, recursive, normalize;
    bool force;         /* SET_MODE */
    bool blind;         /* REGISTER: who asks may not read the subject, so a refusal shows nothing of it */
    struct draft draft; /* REGISTER; owned */
    struct association_change *associations; /* owned */
    /* May the client? NULL: everything. Asked where only the decision knows which subjects are meant. */
    bool (*allowed)(void *ctx, enum rest_right right, struct slice subject);
    void *allowed_ctx;
    json_t *config;        /* SET_CONFIG, SET_MODE: the request; owned */
    enum mode mode;        /* SET_MODE; MODE_NONE unsets */
    struct answer *answer; /* filled by the decision */
};

typedef void (*emit_fn)(void *ctx, struct slice key, struct slice value);

/* ERR_OK: emit was called for each record, and the answer is the one to give once they are committed. ERR_CONFLICT:
 * refused, the answer says why. */
enum err change_decide(struct change *c, const struct store *s, const struct api_settings *settings, emit_fn emit,
                       void *emit_ctx) MUST_CHECK;
void change_free(struct change *c);

/* --- also used by reads --- */
/* A version found for a request that brought a schema. */
struct found {
    const struct subject *u;
    const struct version *v; /* NULL when there is none */
    bool stored;             /* answered as it is stored, with time and deletion; else as it was asked for */
};
struct lookup_wish {
    struct slice subject; /* qualified */
    const struct draft *draft;
    bool normalize;
    bool deleted;     /* softly deleted versions too */
    bool latest_only; /* only the latest version counts */
    /* When it is not found as it stands, it is tried with the contract the configuration and the previous version
     * give: -1 not so, 0 as a lookup does, else as registering it as that version would. */
    int32_t fill;
};
enum err find_draft(const struct store *s, const struct api_settings *settings, const struct lookup_wish *w,
                    struct found *out, struct answer *a) MUST_CHECK;
/* Is what a registration asks for there already, so that nothing need be written? Serializers ask for the same schema
 * again and again. Settled: answered. ERR_CONFLICT: refused and answered, the schema is none. */
enum err change_settle(struct change *c, const struct store *s, const struct api_settings *settings,
                       bool *settled) MUST_CHECK;
/* The level and the rule sets of an update: 42203, 42210. */
enum err config_update_check(const json_t *update, struct answer *a) MUST_CHECK;
bool config_has_contract(const json_t *config); /* defaults or overrides are set */

/* --- rendering --- */
/* `text` null: as stored. `tags`: its member "schemaTags", with a comma before it, or null. `stored`: with time and
 * deletion. */
void put_schema_entity(struct buf *out, const struct api_settings *st, struct slice subject, const struct version *v,
                       struct slice text, bool stored);
void put_schema_entity_open(struct buf *out, const struct api_settings *st, struct slice subject,
                            const struct version *v, struct slice text, struct slice tags,
                            bool stored); /* members may follow */
void put_schema_entity_close(struct buf *out, const struct version *v);
/* The text, or else the content's own, as a JSON string. */
void put_text(struct buf *out, const struct api_settings *st, const struct content *c, struct slice text);
void put_references(struct buf *out, const struct schema_ref *refs, size_t n);
void put_contract(struct buf *out, const char *before, struct slice json); /* nothing when null */
void put_int_member(struct buf *out, const char *before, int64_t v);
void put_time(struct buf *out, const struct version *v); /* and deletion */
void put_registered(struct buf *out, const struct api_settings *st, const struct version *v, struct slice text,
                    bool stored);
void put_config(struct buf *out, const json_t *config, const char *level);

#endif
