/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_USERS_H
#define CASTELLAN_ACL_USERS_H

#include "acl/credentials.h"

/* The users and their SCRAM credentials, materialised from `__castellan_users`.
 *
 * Record format (JSON, compact, keys sorted), one record per user and mechanism, so that a change needs no
 * read-modify-write:
 *   key    {"mechanism":"SCRAM-SHA-512","user":"alice"}
 *   value  {"iterations":4096,"salt":"B64","server_key":"B64","stored_key":"B64","version":1}
 *   value  null: that credential is gone.
 * Two further kinds of records:
 *   key    {"kind":"deleted","user":"alice"}
 *   value  {"at_ms":1700000000000,"version":1}
 *          alice lost her last credential then (Unix ms). A client certificate that names her is good only when its
 *          time begins later, also once she is back; a bootstrap file does not bring her back.
 *   key    {"kind":"decoys"}
 *   value  {"secret":"B64","version":1}
 *          what the stand-ins for unknown users are made from; written once by the first gateway.
 * Unknown fields are ignored; records that do not parse are refused by users_apply (the caller logs and goes on). */

struct users;          /* mutable, not thread-safe */
struct users_snapshot; /* immutable, shared by reference count */

struct users *users_new(void); /* NULL: no memory */
void users_free(struct users *u);
void users_clear(struct users *u);
/* One record of the topic. ERR_MALFORMED: not ours or broken, nothing changed. */
enum err users_apply(struct users *u, struct slice key, struct slice value, struct reason *why) MUST_CHECK;
enum err users_put(struct users *u, struct slice user, const struct credential *c) MUST_CHECK;
bool users_remove(struct users *u, struct slice user, enum credential_mechanism m);
const struct credential *users_find(const struct users *u, struct slice user, enum credential_mechanism m);
bool users_has(const struct users *u, struct slice user);           /* with any mechanism */
int64_t users_deleted_ms(const struct users *u, struct slice user); /* when, the last time; 0: never */
bool users_has_secret(const struct users *u);                       /* the one decoys are made from is known */

/* Record bytes; appended. */
enum err users_record_key(struct buf *out, struct slice user, enum credential_mechanism m) MUST_CHECK;
enum err users_record_value(struct buf *out, const struct credential *c) MUST_CHECK;
enum err users_deleted_record(struct buf *key, struct buf *value, struct slice user, int64_t at_ms) MUST_CHECK;
enum { USERS_SECRET_SIZE = 48 };
enum err users_secret_record(struct buf *key, struct buf *value, const uint8_t secret[USERS_SECRET_SIZE]) MUST_CHECK;

/* One reference for the caller. */
enum err users_snapshot_build(struct users_snapshot **out, const struct users *u) MUST_CHECK;
struct users_snapshot *users_snapshot_ref(struct users_snapshot *s); /* atomic */
void users_snapshot_unref(struct users_snapshot *s);                 /* wipes when last; NULL is fine */
const struct credential *users_snapshot_find(const struct users_snapshot *s, struct slice user,
                                             enum credential_mechanism m);
/* The credential a plain password is checked against: SHA-512 if there, else SHA-256; NULL: no such user. */
const struct credential *users_snapshot_any(const struct users_snapshot *s, struct slice user);
/* May a client certificate whose time begins at `not_before_s` (Unix seconds) stand for the user? False when the user
 * was deleted then or later. Names that never were users may be certificates' alone. */
bool users_snapshot_certificate_counts(const struct users_snapshot *s, struct slice user, int64_t not_before_s);
/* Another number for each snapshot of the process: whoever remembers it knows whether anything may have changed. */
uint64_t users_snapshot_id(const struct users_snapshot *s);

/* A stand-in for `user` with this mechanism, in the shape of a real user's credential. Which one is decided by the
 * place of their hashes on a ring, so that among the stand-ins each shape is as frequent as among the users, and one
 * user more or less changes few of them. Made in the same time whether the user exists or not. */
void users_snapshot_decoy(const struct users_snapshot *s, struct slice user, enum credential_mechanism m,
                          struct credential *out);
/* Is it the user's password? One PBKDF2 whether there is such a user or not. */
bool users_snapshot_check_password(const struct users_snapshot *s, struct slice user, struct slice password);

size_t users_snapshot_count(const struct users_snapshot *s); /* users, not credentials */
/* 0 <= i < count, sorted by name; credentials absent are NULL. */
struct users_entry {
    struct slice name;
    const struct credential *sha256, *sha512;
};
struct users_entry users_snapshot_at(const struct users_snapshot *s, size_t i);

#endif
