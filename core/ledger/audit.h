/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_AUDIT_H
#define CASTELLAN_LEDGER_AUDIT_H

#include "core/base/buf.h"

/* The audit: who did or tried what. Pure: records, their chain, and its verification; audit_log.h writes them.
 *
 * Each process that writes is a writer of its own, with a random name; its records are numbered from 0 and each holds
 * the hash of the one before, so that within a chain nothing can be removed, changed, put in or put elsewhere unseen.
 * The first record is a `start`, the last of an orderly end a `stop`. What a chain cannot show alone is the loss of its
 * end, or its being written anew as a whole by somebody who may write the topic: keep what audit verification tells
 * (the heads) elsewhere, and hold later verifications against it.
 *
 * A record is a JSON object on one line, at most AUDIT_RECORD_MAX bytes, its members in the order of struct audit_entry
 * behind "v", "writer", "seq" and "prev", and "hash" last: SHA-256 in hexadecimal over every byte before `,"hash":`.
 * The Kafka key is the writer's name. docs/audit.md documents the members. */

#define AUDIT_TOPIC "__castellan_audit"

enum audit_event {
    AUDIT_START,          /* a writer begins */
    AUDIT_STOP,           /* it ends as it should */
    AUDIT_AUTHENTICATION, /* somebody was not let in */
    AUDIT_AUTHORIZATION,  /* somebody known was refused */
    AUDIT_CHANGE,         /* something was changed, or a change was refused or failed */
    AUDIT_LOST,           /* records before this one were not written: the queue was full */
};
enum audit_outcome { AUDIT_DONE, AUDIT_REFUSED, AUDIT_FAILED };

enum {
    AUDIT_HASH_SIZE = 32,
    AUDIT_WRITER_MAX = 64,
    AUDIT_TEXT_MAX = 512, /* bytes kept of one text; subjects may be longer */
    AUDIT_RECORD_MAX = 64 * 1024,
};

/* Null slices, NULL texts and zero numbers are left out of the record. No secrets, no schemas, no tokens. */
struct audit_entry {
    int64_t time_ms;  /* Unix time */
    const char *role; /* "registry" */
    enum audit_event event;
    enum audit_outcome outcome;
    struct slice principal; /* "User:alice"; for failed authentications the name claimed, when there is such a user */
    struct slice host;      /* the client's address */
    struct slice operation; /* "POST subjects/.../versions" */
    const char *resource_type; /* "SUBJECT" */
    struct slice resource;
    const char *right;   /* what was missing: "WRITE" */
    struct slice detail; /* "compatibility FULL" */
    const char *reason;  /* "wrong_password" */
    int status, error_code;
    int32_t id, version;
    int64_t lost; /* AUDIT_LOST: how many */
};

/* --- writing --- */
struct audit_chain {
    char writer[AUDIT_WRITER_MAX]; /* a JSON string without escapes */
    uint64_t next;                 /* number of the next record */
    uint8_t head[AUDIT_HASH_SIZE]; /* of the last record; zero before the first */
};
/* Writes the next record of the chain into `out` (cleared before). On failure the chain stays where it was. */
enum err audit_seal(struct audit_chain *c, const struct audit_entry *e, struct buf *out) MUST_CHECK;

/* --- verifying --- */
enum audit_fault {
    AUDIT_FAULT_MALFORMED, /* not a record of ours */
    AUDIT_FAULT_EDITED,    /* its hash is not that of its bytes */
    AUDIT_FAULT_GAP,       /* records are missing before it */
    AUDIT_FAULT_ORDER,     /* it stands after a later one, or twice with different content */
    AUDIT_FAULT_LINK,      /* it does not follow from the record before */
    AUDIT_FAULT_START,     /* the chain's beginning is missing though the topic's is there */
    AUDIT_FAULT_ANCHOR,    /* an earlier verification saw another record there, or one that is missing now */
};
const char *audit_fault_name(enum audit_fault f); /* "edited" */

struct audit_finding {
    enum audit_fault fault;
    int32_t partition;
    int64_t offset;       /* -1: about the chain as a whole */
    struct slice writer;  /* null when not known */
    uint64_t seq, wanted; /* the record's number; the number expected there */
};

struct audit_summary { /* one chain */
    struct slice writer;
    uint64_t first, last, records, duplicates, lost;
    char head[2 * AUDIT_HASH_SIZE + 1];
    bool stopped; /* its last record is a stop */
};

struct audit_verifier;
struct audit_verifier *audit_verifier_new(void (*found)(void *ctx, const struct audit_finding *f), void *ctx);
void audit_verifier_free(struct audit_verifier *v);
/* What an earlier verification saw: chain `writer` had `hash` at `seq`. Before the first record. */
enum err audit_verify_expect(struct audit_verifier *v, struct slice writer, uint64_t seq, struct slice hash,
                             struct reason *why) MUST_CHECK;
/* Records of each partition in order. `from_start`: the partition's log still begins at offset 0, so a chain must too.
 */
enum err audit_verify_record(struct audit_verifier *v, int32_t partition, int64_t offset, struct slice value,
                             bool from_start) MUST_CHECK;
void audit_verify_end(struct audit_verifier *v); /* reports the anchors that were not met */
/* Each chain, in the order of their first records. */
void audit_verify_each(const struct audit_verifier *v, void (*fn)(void *ctx, const struct audit_summary *s), void *ctx);

#endif
