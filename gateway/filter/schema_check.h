/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_CHECK_H
#define CASTELLAN_GATEWAY_SCHEMA_CHECK_H

#include "core/wire/record_unpack.h"
#include "gateway/filter/schemas.h"

/* Judging the records of one topic by its settings. No I/O and no waiting: what is not known is said, and the caller
 * asks again after a read barrier. A judge serves one call at a time, from any thread: who judges takes it out of its
 * place meanwhile. */
enum schema_level { SCHEMA_LEVEL_NONE, SCHEMA_LEVEL_ID, SCHEMA_LEVEL_PAYLOAD };
enum subject_strategy { SUBJECT_OF_TOPIC, SUBJECT_OF_RECORD, SUBJECT_OF_TOPIC_RECORD };
enum schema_sides { SCHEMA_KEY, SCHEMA_VALUE, SCHEMA_SIDES };

enum { SCHEMA_DEAD_LETTER_MAX = 249 }; /* Kafka's limit of a topic's name */

/* A topic's configuration, as far as it speaks of schemas. */
struct schema_settings {
    struct schema_rule_of_side {
        enum schema_level level;
        enum subject_strategy strategy;
    } side[SCHEMA_SIDES];
    char dead_letter[SCHEMA_DEAD_LETTER_MAX + 1]; /* "": none */
};

/* The topic configurations' names; NULL past the end. */
const char *schema_setting_name(size_t i);
/* Take one of them over. ERR_INVALID_CONFIG: not a value it may have. Empty or null means the default. */
enum err schema_settings_put(struct schema_settings *s, struct slice name, struct slice value) MUST_CHECK;
bool schema_settings_check_anything(const struct schema_settings *s);

enum schema_fault {
    SCHEMA_FAULT_UNFRAMED,   /* no id where one must be */
    SCHEMA_FAULT_UNKNOWN_ID, /* nobody registered it */
    SCHEMA_FAULT_SUBJECT,    /* registered, but not under the topic's subject */
    SCHEMA_FAULT_PAYLOAD,    /* the data is not what the schema says */
    SCHEMA_FAULT_RULE,       /* a condition of the data contract is broken */
    SCHEMA_FAULTS
};
const char *schema_fault_label(enum schema_fault f);

struct schema_violation {
    int32_t index; /* of the record in its batch */
    enum schema_fault fault;
    bool must_refuse; /* a rule whose failure is ERROR: not for the dead-letter topic */
    const char *text; /* in the findings' arena */
};

enum {
    SCHEMA_KNOWN_MAX = 10000,       /* ids a judge remembers */
    SCHEMA_JUDGE_MS_MAX = 2000,     /* for one batch: hostile JSON schemas and rules can be slow, and others wait */
    SCHEMA_ERRORS_MAX = 10000,      /* violations told one by one for one partition */
    SCHEMA_SUBJECT_MAX = 64 * 1024, /* bytes of a subject's name */
    SCHEMA_BRIEF_MAX = 64 * 1024    /* bytes of a batch that is judged where it is, in about a millisecond */
};

struct schema_findings {
    struct arena *arena; /* the caller's */
    struct schema_violation *v;
    size_t n, cap;
    bool stale; /* some of it may be for want of the newest schemas */
    bool heavy; /* nothing was found, for it takes longer than may be (struct schema_how) */
};

/* How a batch is judged. All zero: however long it takes, within the limits' defaults. */
struct schema_how {
    bool brief; /* on a loop's thread: give up, and say so (findings->heavy), when it is compressed or larger than
                   SCHEMA_BRIEF_MAX, or a JSON schema, rules, or a schema that is not known yet come up */
    struct record_unpack *unpack; /* of the request: limits, and whether it was cancelled */
};

struct schema_judge;
struct schema_judge *schema_judge_new(struct schemas *schemas, struct slice topic); /* NULL: no memory */
void schema_judge_free(struct schema_judge *j);                                     /* NULL is fine */

/* Every record of `records` (one batch, as a Produce carries it). ERR_OK with what was found, ERR_CORRUPT_MESSAGE,
 * ERR_MESSAGE_TOO_LARGE and such when they cannot be read at all, ERR_CANCELLED, ERR_NO_MEMORY. `how` may be NULL. */
enum err schema_judge_records(struct schema_judge *j, const struct schema_settings *settings, struct slice records,
                              const struct schema_how *how, struct schema_findings *out, struct reason *why) MUST_CHECK;

#endif
