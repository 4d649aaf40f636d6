/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SCHEMA_PLAN_H
#define CASTELLAN_CLI_SCHEMA_PLAN_H

#include "cli/schema_remote.h"

/* What a registry lacks of a set. */
struct schema_plan {
    json_t *add;       /* schemas to register, in order; borrowed objects */
    json_t *hide;      /* those of the source, there or to be added, to delete softly afterwards; in order */
    json_t *configs;   /* scope -> configuration to set, in GET's form */
    json_t *modes;     /* scope -> mode to set at the end */
    json_t *conflicts; /* texts: nothing may be written while there is one */
    json_t *notes;     /* texts */
    size_t there;      /* schemas that are at the target as they should be */
};

void schema_plan_free(struct schema_plan *plan);
/* Compares; asks the target only about spellings. `migrating`: the source is a running registry, whose own global mode
 * (READONLY, usually, while it is left) is not taken over. */
enum err schema_plan_make(struct remote *target, const struct schema_set *source, const struct schema_set *there,
                          bool migrating, struct schema_plan *plan) MUST_CHECK;
bool schema_plan_is_empty(const struct schema_plan *plan);

/* Does it: register in mode IMPORT, delete softly, settings, modes. *switched_left: scopes still in mode IMPORT when it
 * failed. */
enum err schema_plan_run(struct remote *target, const struct schema_set *there, const struct schema_plan *plan,
                         size_t *switched_left) MUST_CHECK;

#endif
