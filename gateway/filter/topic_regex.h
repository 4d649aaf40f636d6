/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_FILTER_TOPIC_REGEX_H
#define CASTELLAN_GATEWAY_FILTER_TOPIC_REGEX_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* The pattern of a subscription (SubscribedTopicRegex of ConsumerGroupHeartbeat, KIP-848): RE2's syntax as RE2J 1.8
 * reads it, which is what Kafka 4.3 compiles it with. A topic is chosen when the whole name matches.
 * Work is bounded by what the pattern says, whoever wrote it: see the limits. */
enum {
    TOPIC_REGEX_BYTES_MAX = 4096,        /* of the pattern's text */
    TOPIC_REGEX_INSTRUCTIONS_MAX = 4096, /* after counted repetitions are written out: "(?:abc){9}" takes 28 */
    TOPIC_REGEX_SETS_MAX = 256,          /* different sets of characters: "[a-f]", ".", "\w" */
    TOPIC_REGEX_DEPTH_MAX = 1000,        /* groups within groups */
    TOPIC_REGEX_COUNT_MAX = 1000,        /* of one counted repetition: RE2J's own limit */
};

struct topic_regex; /* one allocation, never changed after it was compiled: threads may share it */

/* `pattern` is not null and need not outlive the call. ERR_INVALID_REGULAR_EXPRESSION: it does not follow the syntax
 * (`why` is then worded as RE2J's description, which Kafka puts into its answer) or is over a limit (`why` names it).
 * ERR_NO_MEMORY. *out is set on success only; the caller frees it. */
enum err topic_regex_compile(struct topic_regex **out, struct slice pattern, struct reason *why) MUST_CHECK;
void topic_regex_free(struct topic_regex *re); /* NULL is fine */

/* True when the whole of `topic` matches. Adds to *steps (unless NULL) the work done: at most topic_regex_steps_max(re)
 * for each byte of the name and once more, whatever the name. A byte beyond ASCII matches nothing. */
bool topic_regex_matches(const struct topic_regex *re, struct slice topic, uint64_t *steps);
uint32_t topic_regex_steps_max(const struct topic_regex *re);

#endif
