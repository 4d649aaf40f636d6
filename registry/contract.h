/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CONTRACT_H
#define CASTELLAN_REGISTRY_CONTRACT_H

#include "core/base/buf.h"
#include <jansson.h>

/* Data contracts: the metadata and rule set that go with a schema. Kept as JSON in one canonical form (members in the
 * reference's order, maps and sets sorted, nothing empty), so that equal contracts are equal bytes. */

/* A new reference to the canonical form, or NULL when `in` is NULL or JSON null. Foreign members are dropped; a member
 * of the wrong type is ERR_MALFORMED. */
enum err contract_metadata(json_t **out, const json_t *in, struct reason *why) MUST_CHECK;
enum err contract_rules(json_t **out, const json_t *in, struct reason *why) MUST_CHECK;
/* The rules of 42210: names, kinds, modes, duplicates. */
enum err contract_rules_validate(const json_t *rules, struct reason *why) MUST_CHECK;

/* New references; either side may be NULL. The newer side wins, rules by name. Canonical in, canonical out. */
json_t *contract_metadata_merge(const json_t *older, const json_t *newer);
json_t *contract_rules_merge(const json_t *older, const json_t *newer);
json_t *contract_rules_without(const json_t *rules, const json_t *names);

const char *contract_property(const json_t *metadata, const char *key); /* NULL when absent */
json_t *contract_with_property(const json_t *metadata, const char *key, const char *value);
/* Equal but for the property confluent:version. */
bool contract_metadata_alike(const json_t *a, const json_t *b);
bool contract_has_rule_type(const json_t *rules, const char *type);

/* Calls fn with each piece the identity hash takes, in order. */
typedef void (*contract_hash_fn)(void *ctx, const void *bytes, size_t n);
void contract_metadata_hash(const json_t *metadata, contract_hash_fn fn, void *ctx);
void contract_rules_hash(const json_t *rules, contract_hash_fn fn, void *ctx);

void contract_put(struct buf *out, const json_t *v); /* compact text */
/* As the reference prints them in refusals; NULL is "null". */
void contract_show_metadata(struct buf *out, const json_t *metadata);
void contract_show_rules(struct buf *out, const json_t *rules);
json_t *contract_parse(struct slice text); /* NULL when null or broken */

#endif
