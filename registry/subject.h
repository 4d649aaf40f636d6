/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_SUBJECT_H
#define CASTELLAN_REGISTRY_SUBJECT_H

#include "core/base/buf.h"

/* Qualified subjects: "name" lives in the default context, ":.ctx:name" in context ".ctx"; ":.ctx:" alone is the
 * context itself, ":.:name" is "name". ":.__GLOBAL:" scopes configuration over all contexts, ":*:" is a prefix that
 * means every context. */
struct qsubject {
    struct slice context; /* "." for the default one; with its leading dot */
    struct slice name;    /* may be empty */
};

#define SUBJECT_DEFAULT_CONTEXT "."
#define SUBJECT_GLOBAL_CONTEXT  ".__GLOBAL"
#define SUBJECT_GLOBAL_SCOPE    ":.__GLOBAL:"
#define SUBJECT_ALL_CONTEXTS    ":*:"

enum { SUBJECT_MAX = 65535 }; /* bytes of a qualified name */

struct qsubject subject_parse(struct slice qualified);
bool subject_is_default_context(struct slice context);
/* Appends the normal form of context + name: no prefix for the default context. */
void subject_put(struct buf *out, struct slice context, struct slice name);
void subject_put_normal(struct buf *out, struct slice qualified);
/* `ref` as seen from a schema under `parent`: an unqualified name belongs to the parent's context. */
void subject_put_from_parent(struct buf *out, struct slice parent, struct slice ref);
/* No control characters, not reserved. The global context only for configuration and mode. */
bool subject_is_valid(struct slice qualified, bool config_or_mode);
/* Is it a whole context (no name), or null/empty, which is the default one? */
bool subject_is_context(struct slice qualified);

#endif
