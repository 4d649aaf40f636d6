/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CHANGE_H
#define CASTELLAN_REGISTRY_CHANGE_H

#include "registry/draft.h"

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
};

struct api_settings {
    int shape;            /* 79, 81, 82: which release's answers */
    bool mode_mutability; /* mode.mutability */
    bool reject_empty_subject;
    int schema_limit_default, schema_limit_max;
    int list_limit_default, list_limit_max; /* subjects, versions, contexts */
    struct model_cache *models;
};

struct change {
    enum change_kind kind;
    struct slice subject; /* qualified, normal; null or empty: global */
    struct slice shown;   /* the subject as the request named it */
    int32_t version;      /* DELETE_VERSION; -1 latest */
    bool permanent, force, recursive, normalize;
    bool blind;            /* REGISTER: who asks may not read the subject, so a refusal shows nothing of it */
    struct draft draft;    /* REGISTER; owned */
    json_t *config;        /* SET_CONFIG: the update request; owned */
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
/* A version found for a request that brought a schema; NULL version when there is none. */
enum err find_draft(const struct store *s, const struct api_settings *settings, struct slice subject,
                    const struct draft *d, bool normalize, bool deleted, bool latest_only, const struct subject **u,
                    const struct version **v, struct answer *a) MUST_CHECK;
bool change_is_settled(struct change *c, const struct store *s, const struct api_settings *settings);
bool config_has_contract(const json_t *config); /* defaults or overrides are set */

/* --- rendering --- */
void put_schema_entity(struct buf *out, const struct api_settings *st, struct slice subject, const struct version *v,
                       struct slice text);
void put_schema_members(struct buf *out, const struct api_settings *st, const struct content *c);
void put_registered(struct buf *out, const struct api_settings *st, const struct version *v, bool stored);
void put_config(struct buf *out, const json_t *config, const char *level);

#endif
