/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_USERS_INTERNAL_H
#define CASTELLAN_ACL_USERS_INTERNAL_H

#include "acl/users.h"
#include "core/base/map.h"

#include <stdatomic.h>

/* The users as their two files see them: users.c (model, records, snapshot), users_decoy.c (stand-ins). */

struct user {
    struct credential sha256, sha512; /* mechanism CREDENTIAL_UNKNOWN: absent */
};

/* A user's credential at its place on the ring; for each mechanism one ring, and one for whatever a password is checked
 * against. Sorted by `at`. */
struct users_ring {
    struct users_place {
        uint64_t at;
        const struct credential *credential; /* in the snapshot's `all` */
    } * v;
    size_t n;
};
enum users_ring_kind { RING_SHA_256, RING_SHA_512, RING_ANY, USERS_RINGS };

struct users_snapshot {
    atomic_int refs;
    uint64_t id;
    size_t n;
    struct map map;                    /* name -> struct user in `all` */
    struct user *all;                  /* sorted by name */
    struct slice *name;                /* of all[i]; into the map's keys */
    struct map deleted;                /* name -> int64_t Unix ms */
    uint8_t secret[USERS_SECRET_SIZE]; /* the first 16 bytes place the ring, the others make the stand-ins */
    struct users_ring rings[USERS_RINGS];
};

/* Needs secret, map and all. */
enum err users_rings_build(struct users_snapshot *s) MUST_CHECK;
void users_rings_free(struct users_snapshot *s);

#endif
