/* SPDX-License-Identifier: Apache-2.0
 * What can be asked of a keyring. */
#include "crypto/keyring_internal.h"

#include <sodium.h>

struct keyring_subject keyring_subject(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE])
{
    const struct keyring_person *p = map_get(&kr->people, slice_of(tag, KEYRING_TAG_SIZE));
    struct keyring_subject s = {.fence_offset = -1};
    if (!p)
        return s;
    s = (struct keyring_subject){.known = true, .erased = p->erased, .held = p->held, .fence_offset = p->fence_offset};
    memcpy(s.erasure, p->erasure, sizeof s.erasure);
    for (const struct keyring_key *k = p->first; k; k = k->next)
        s.live_keys += !k->dead;
    return s;
}

enum key_state keyring_unwrap(const struct keyring *kr, const uint8_t id[ENVELOPE_KEY_ID_SIZE], struct data_key *out,
                              uint8_t tag[KEYRING_TAG_SIZE])
{
    const struct keyring_key *k = map_get(&kr->keys, slice_of(id, ENVELOPE_KEY_ID_SIZE));
    if (!kr->open)
        return KEY_UNAVAILABLE;
    if (k && tag)
        memcpy(tag, k->tag, sizeof k->tag);
    if (!k)
        return KEY_UNKNOWN;
    if (k->dead)
        return KEY_ERASED;
    memcpy(out->id, id, sizeof out->id);
    return keyring_unwrap_key(kr->secret, k, out->bytes) ? KEY_LIVE : KEY_UNKNOWN;
}

bool keyring_current_key(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                         uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    const struct keyring_person *p = map_get(&kr->people, slice_of(tag, KEYRING_TAG_SIZE));
    for (const struct keyring_key *k = p ? p->first : NULL; k; k = k->next) {
        if (!k->dead) {
            memcpy(id, k->id, sizeof k->id);
            return true;
        }
    }
    return false;
}

void keyring_each_key(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                      void (*fn)(void *ctx, const uint8_t id[ENVELOPE_KEY_ID_SIZE]), void *ctx)
{
    const struct keyring_person *p = map_get(&kr->people, slice_of(tag, KEYRING_TAG_SIZE));
    for (const struct keyring_key *k = p ? p->first : NULL; k; k = k->next)
        fn(ctx, k->id);
}

struct keyring_counts keyring_counts(const struct keyring *kr)
{
    struct keyring_counts c = {.subjects = map_count(&kr->people)};
    for (struct map_entry *m = map_first(&kr->keys); m; m = map_next(&kr->keys, m)) {
        const struct keyring_key *k = m->value;
        c.dead_keys += k->dead;
        c.live_keys += !k->dead;
    }
    for (struct map_entry *m = map_first(&kr->people); m; m = map_next(&kr->people, m)) {
        const struct keyring_person *p = m->value;
        c.erased_subjects += p->erased;
        c.held_subjects += p->held;
    }
    return c;
}
