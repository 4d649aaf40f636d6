/* SPDX-License-Identifier: Apache-2.0
 * Stand-ins for users who do not exist. A stranger who asks for a name learns salt and iterations before any proof, so
 * a stand-in must look like a user of this system: with a fixed shape it would be told apart as soon as users have
 * another one. Every user's credential has a place on a ring, by a keyed hash of the name; a stand-in takes the shape
 * of the next credential after its own place. */
#include "acl/users_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { RING_KEY_SIZE = 16 };
static_assert(USERS_SECRET_SIZE >= RING_KEY_SIZE + 32, "the stand-ins' part of the secret has 256 bits");

static uint64_t place_of(const struct users_snapshot *s, struct slice user)
{
    return hash_siphash(s->secret, user);
}

static int compare_places(const void *a, const void *b)
{
    const struct users_place *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static const struct credential *of_ring(const struct users_snapshot *s, struct slice name, enum users_ring_kind kind)
{
    switch (kind) {
    case RING_SHA_256:
        return users_snapshot_find(s, name, CREDENTIAL_SCRAM_SHA_256);
    case RING_SHA_512:
        return users_snapshot_find(s, name, CREDENTIAL_SCRAM_SHA_512);
    case RING_ANY:
        return users_snapshot_any(s, name);
    case USERS_RINGS:
        break;
    }
    return NULL;
}

enum err users_rings_build(struct users_snapshot *s)
{
    for (int kind = 0; kind < USERS_RINGS; kind++) {
        struct users_ring *r = &s->rings[kind];

        r->v = calloc(s->n + 1, sizeof *r->v);
        if (!r->v)
            return ERR_NO_MEMORY;
        for (size_t i = 0; i < s->n; i++) {
            const struct credential *c = of_ring(s, s->name[i], (enum users_ring_kind)kind);
            if (c)
                r->v[r->n++] = (struct users_place){place_of(s, s->name[i]), c};
        }
        qsort(r->v, r->n, sizeof *r->v, compare_places);
    }
    return ERR_OK;
}

void users_rings_free(struct users_snapshot *s)
{
    for (int kind = 0; kind < USERS_RINGS; kind++)
        free(s->rings[kind].v);
}

/* The first place after `at`, around the ring; NULL when it is empty. */
static const struct credential *next_on(const struct users_ring *r, uint64_t at)
{
    size_t low = 0, high = r->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->v[middle].at > at)
            high = middle;
        else
            low = middle + 1;
    }
    return r->n ? r->v[low % r->n].credential : NULL;
}

static void make(const struct users_snapshot *s, struct slice user, enum users_ring_kind kind,
                 enum credential_mechanism fallback, struct credential *out)
{
    const struct credential alone = {.mechanism = fallback,
                                     .iterations = CREDENTIAL_ITERATIONS_MIN,
                                     .salt_n = CREDENTIAL_SALT_SIZE}; /* what the first user would have */
    const struct credential *like = next_on(&s->rings[kind], place_of(s, user));

    credential_decoy(out, like ? like : &alone, user,
                     slice_of(s->secret + RING_KEY_SIZE, sizeof s->secret - RING_KEY_SIZE));
}

void users_snapshot_decoy(const struct users_snapshot *s, struct slice user, enum credential_mechanism m,
                          struct credential *out)
{
    assert(m == CREDENTIAL_SCRAM_SHA_256 || m == CREDENTIAL_SCRAM_SHA_512);
    make(s, user, m == CREDENTIAL_SCRAM_SHA_256 ? RING_SHA_256 : RING_SHA_512, m, out);
}

bool users_snapshot_check_password(const struct users_snapshot *s, struct slice user, struct slice password)
{
    const struct credential *c = users_snapshot_any(s, user);
    struct credential decoy;
    bool same;

    make(s, user, RING_ANY, CREDENTIAL_SCRAM_SHA_512, &decoy);
    same = credential_verify(c ? c : &decoy, password);
    credential_wipe(&decoy);
    return same && c != NULL;
}
