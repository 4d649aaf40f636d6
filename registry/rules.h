/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_RULES_H
#define CASTELLAN_REGISTRY_RULES_H

#include "registry/json_text.h"

/* The rules of a data contract that the gateway can enforce: kind CONDITION, type CEL, in a small part of CEL over the
 * decoded message (`message.amount > 0 && size(message.name) < 80`). Pure: text in, verdict out. A compiled set is
 * read-only and may be used by many threads. */
struct rules;

enum rules_side { RULES_WRITE, RULES_READ };

enum {
    RULES_MAX = 200,                 /* conditions in one rule set */
    RULES_EXPRESSION_MAX = 8 * 1024, /* bytes of one expression */
    RULES_NODES_MAX = 1000,          /* operators and operands of one expression */
    RULES_DEPTH_MAX = 60,            /* parentheses, operators and calls inside one another */
    RULES_STRING_MAX = 1024 * 1024,  /* bytes of a string an expression puts together */
    RULES_STEPS_MAX = 1000000        /* steps of one evaluation */
};

/* `rule_set`: the rule set's JSON. Takes the enabled CONDITION rules of `domainRules` whose mode covers `side`.
 * A condition that is no CEL, or CEL beyond what is known here, is left out and counted in rules_skipped().
 * ERR_MALFORMED: not a rule set. */
enum err rules_compile(struct rules **out, struct slice rule_set, enum rules_side side, struct reason *why) MUST_CHECK;
void rules_free(struct rules *r);
size_t rules_count(const struct rules *r);
size_t rules_skipped(const struct rules *r);
/* Of the i-th rule left out. */
struct slice rules_skipped_name(const struct rules *r, size_t i);
const char *rules_skipped_why(const struct rules *r, size_t i);

/* What to do with a record that breaks a rule: the rule's onFailure for the side. */
enum rules_action { RULES_ACTION_ERROR, RULES_ACTION_NONE, RULES_ACTION_DLQ };

struct rules_verdict {
    bool broken;
    struct slice rule; /* its name; lives as long as the rules */
    enum rules_action action;
};

/* ERR_OK with the verdict: the first rule broken whose action is not NONE (then broken is true and `why` says which and
 * how). A rule that cannot be evaluated (a field that is not there, a comparison across types) counts as broken. */
enum err rules_check(const struct rules *r, const struct jvalue *message, struct rules_verdict *out,
                     struct reason *why) MUST_CHECK;

#endif
