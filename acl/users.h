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
bool users_has(const struct users *u, struct slice user); /* with any mechanism */

/* Record bytes; appended. */
enum err users_record_key(struct buf *out, struct slice user, enum credential_mechanism m) MUST_CHECK;
enum err users_record_value(struct buf *out, const struct credential *c) MUST_CHECK;

/* One reference for the caller. */
enum err users_snapshot_build(struct users_snapshot **out, const struct users *u) MUST_CHECK;
struct users_snapshot *users_snapshot_ref(struct users_snapshot *s); /* atomic */
void users_snapshot_unref(struct users_snapshot *s);                 /* wipes when last; NULL is fine */
const struct credential *users_snapshot_find(const struct users_snapshot *s, struct slice user,
                                             enum credential_mechanism m);
/* The credential a plain password is checked against: SHA-512 if there, else SHA-256; NULL: no such user. */
const struct credential *users_snapshot_any(const struct users_snapshot *s, struct slice user);
size_t users_snapshot_count(const struct users_snapshot *s); /* users, not credentials */
/* 0 <= i < count, sorted by name; credentials absent are NULL. */
struct users_entry {
    struct slice name;
    const struct credential *sha256, *sha512;
};
struct users_entry users_snapshot_at(const struct users_snapshot *s, size_t i);

#endif
