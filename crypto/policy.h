/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_POLICY_H
#define CASTELLAN_CRYPTO_POLICY_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "crypto/envelope.h"

/* Privacy policies: for which topics, whose data, what is protected, and what a reader sees after erasure.
 *
 * Records of `__castellan_policies`: key "literal/TOPIC" or "prefixed/PREFIX", value JSON (null: removed):
 *   {"version":1, "topic":"orders", "pattern":"literal", "subject_from":"key", "protect":"value", "erased":"null",
 *    "lineage":"orders", "class":"default", "tenant":"default", "suite":"auto"}
 * The last four may be absent: lineage is then the topic's own name (of a prefixed policy: each topic's own). Give a
 * mirror of a topic the original's name as its lineage, and its records open.
 * Subject and protect are written as on the command line: key | header:NAME | field:PATH; value | fields:A,B | tag:N.
 */
#define POLICY_TOPIC          "__castellan_policies"
#define POLICY_TENANT_DEFAULT "default"
#define POLICY_CLASS_DEFAULT  "default"

enum { POLICY_NAME_MAX = 249, POLICY_TEXT_MAX = 1024, POLICY_RECORD_MAX = 64 * 1024, POLICIES_MAX = 100000 };

enum policy_subject { POLICY_SUBJECT_KEY, POLICY_SUBJECT_HEADER, POLICY_SUBJECT_FIELD };
enum policy_protect { POLICY_PROTECT_VALUE, POLICY_PROTECT_FIELDS, POLICY_PROTECT_TAG };
enum policy_erased {
    POLICY_ERASED_NULL,       /* the value becomes null */
    POLICY_ERASED_SKIP,       /* the record is left out; offsets of the others stay */
    POLICY_ERASED_REDACT,     /* the value becomes POLICY_REDACTED */
    POLICY_ERASED_ERROR,      /* the fetch of that partition fails */
    POLICY_ERASED_CIPHERTEXT, /* the value stays as it is on the broker */
};
#define POLICY_REDACTED "[erased]"

struct policy {
    const char *topic; /* name or prefix */
    bool prefixed;
    enum policy_subject subject;
    const char *subject_arg; /* header name, field path; "" for the key */
    enum policy_protect protect;
    const char *protect_arg; /* comma-separated paths, tag; "" for the value */
    enum policy_erased erased;
    const char *lineage;       /* "" : the topic's own name */
    const char *tenant;        /* never "" */
    const char *subject_class; /* never "" */
    enum envelope_suite suite; /* 0: whichever is faster here */
};

const char *policy_erased_name(enum policy_erased e);
bool policy_erased_parse(struct slice text, enum policy_erased *out);

/* A policy owning its strings; free with policy_free. The words of the command line; NULL means the default (lineage,
 * tenant, class) or, for the first five, a missing word, which is an error. Also refuses, by name, what the filter
 * cannot do yet (subject-from field:, protect fields: and tag:), so that nothing is silently left unprotected. */
struct policy_words {
    const char *topic, *subject_from, *protect, *erased;
    bool prefixed;
    const char *lineage, *tenant, *subject_class, *suite;
};
enum err policy_new(struct policy **out, const struct policy_words *words, struct reason *why) MUST_CHECK;
void policy_free(struct policy *p);

/* The record of a policy: key and JSON value are appended. The key alone, for a tombstone. */
enum err policy_encode(const struct policy *p, struct buf *key, struct buf *value) MUST_CHECK;
enum err policy_encode_key(struct slice topic, bool prefixed, struct buf *key) MUST_CHECK;
/* From a record's value, as strict as policy_new; unknown members are refused. */
enum err policy_decode(struct policy **out, struct slice value, struct reason *why) MUST_CHECK;
/* "key", "header:NAME" ... and "value", "fields:..." as text. */
void policy_put_subject(const struct policy *p, struct buf *out);
void policy_put_protect(const struct policy *p, struct buf *out);

/* The live table, owned by whoever applies the ledger's records. */
struct policy_table;
struct policy_table *policy_table_new(void); /* NULL: no memory */
void policy_table_free(struct policy_table *t);
/* Apply one record of the topic. A record that cannot be understood leaves a policy that refuses: topics that it names
 * fail closed (ERR_POLICY_VIOLATION in record_crypt), and `why` says what is wrong with it. */
enum err policy_table_apply(struct policy_table *t, struct slice key, struct slice value,
                            struct reason *why) MUST_CHECK;
void policy_table_clear(struct policy_table *t);

/* An immutable view, reference-counted, to be read by any thread. */
struct policy_set;
struct policy_set *policy_table_snapshot(const struct policy_table *t); /* one reference; NULL: no memory */
struct policy_set *policy_set_ref(struct policy_set *s);
void policy_set_unref(struct policy_set *s); /* NULL is fine */

/* The policy for a topic: the literal one if there is one, else the longest prefix; NULL: the topic is not protected.
 * *broken (may be NULL) is set when the record that decides could not be understood: then the topic must be refused.
 * Lives as long as the snapshot. */
const struct policy *policy_set_find(const struct policy_set *s, struct slice topic, bool *broken);
size_t policy_set_count(const struct policy_set *s);
const struct policy *policy_set_at(const struct policy_set *s, size_t i); /* NULL past the end or when it is broken */

#endif
