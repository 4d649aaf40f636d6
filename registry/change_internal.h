/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CHANGE_INTERNAL_H
#define CASTELLAN_REGISTRY_CHANGE_INTERNAL_H

#include "registry/change.h"

struct decision {
    const struct store *store;
    const struct api_settings *settings;
    emit_fn emit;
    void *emit_ctx;
};

enum err decide_delete_subject(struct change *c, struct decision *d) MUST_CHECK;
enum err decide_associate(struct change *c, struct decision *d) MUST_CHECK;
enum err decide_dissociate(struct change *c, struct decision *d) MUST_CHECK;
enum err decide_association_batch(struct change *c, struct decision *d) MUST_CHECK;
/* Refuses to delete what an association needs; `version` 0: the whole subject. */
enum err refuse_associated(struct answer *a, const struct decision *d, struct slice subject,
                           int32_t version) MUST_CHECK;
enum err decide_register(struct change *c, struct decision *d) MUST_CHECK;
/* Both buffers are taken over. */
void decision_emit(struct decision *d, struct buf *key, struct buf *value);
void emit_tombstone(struct decision *d, struct slice subject, int32_t version);
void emit_version(struct decision *d, struct slice subject, const struct version *v, bool deleted);
void put_context_name(struct buf *out, struct slice subject);
enum err refuse_in_context(struct answer *a, struct slice subject, const char *words) MUST_CHECK;
enum err refuse_read_only(struct answer *a, const struct store *s, struct slice subject) MUST_CHECK;

#endif
