/* SPDX-License-Identifier: Apache-2.0
 * The table of addresses that failed: a map from address to its level as of its last failure. Levels sink by themselves
 * with time, so nothing has to be done until somebody asks; what has sunk to nothing is dropped when room is needed. */
#include "acl/failure_limit.h"

#include "core/base/map.h"

#include <assert.h>
#include <stdlib.h>

struct failures {
    int level; /* at since_ms; 1..FAILURE_LEVEL_MAX */
    int64_t since_ms;
};

struct failure_limit {
    int64_t delay_ms;
    size_t addresses_max;
    struct map map; /* address group -> struct failures */
};

struct failure_limit *failure_limit_new(int64_t delay_ms, size_t addresses_max)
{
    struct failure_limit *l = calloc(1, sizeof *l);

    assert(delay_ms >= 0 && addresses_max > 0);
    if (!l)
        return NULL;
    l->delay_ms = delay_ms;
    l->addresses_max = addresses_max;
    map_init(&l->map);
    return l;
}

void failure_limit_free(struct failure_limit *l)
{
    if (!l)
        return;
    map_free(&l->map, free);
    free(l);
}

size_t failure_limit_addresses(const struct failure_limit *l)
{
    return map_count(&l->map);
}

static int level_now(const struct failures *f, int64_t now_ms)
{
    int64_t forgiven = f && now_ms > f->since_ms ? (now_ms - f->since_ms) / FAILURE_FORGIVEN_MS : 0;

    return !f || forgiven >= f->level ? 0 : f->level - (int)forgiven;
}

static int64_t delay_of(const struct failure_limit *l, int level)
{
    int64_t delay = level > 0 ? l->delay_ms : 0;

    for (int i = 0; i < (level - 1) / FAILURE_PER_DOUBLING && delay < FAILURE_DELAY_MAX_MS; i++)
        delay *= 2;
    return delay < FAILURE_DELAY_MAX_MS ? delay : FAILURE_DELAY_MAX_MS;
}

int64_t failure_limit_before(struct failure_limit *l, const struct address_group *from, int64_t now_ms)
{
    int level = level_now(map_get(&l->map, address_group_slice(from)), now_ms);

    return level < FAILURE_HOLD_LEVEL ? 0 : delay_of(l, level);
}

/* Drops the forgiven; when there is none, the one whose memory is worth least. */
static void make_room(struct failure_limit *l, int64_t now_ms)
{
    struct map_entry *least = NULL;
    int least_level = FAILURE_LEVEL_MAX + 1;
    bool dropped = false;

    for (struct map_entry *e = map_first(&l->map), *next; e; e = next) {
        const struct failures *f = e->value;
        int level = level_now(f, now_ms);

        next = map_next(&l->map, e);
        if (level == 0) {
            free(map_remove(&l->map, map_key(e)));
            dropped = true;
        } else if (level < least_level ||
                   (level == least_level && f->since_ms < ((const struct failures *)least->value)->since_ms)) {
            least = e;
            least_level = level;
        }
    }
    if (!dropped && least)
        free(map_remove(&l->map, map_key(least)));
}

int64_t failure_limit_failed(struct failure_limit *l, const struct address_group *from, int64_t waited_ms,
                             int64_t now_ms)
{
    struct slice key = address_group_slice(from);
    struct failures *f = map_get(&l->map, key);
    bool full = !f && map_count(&l->map) >= l->addresses_max;
    int64_t delay;
    int level;

    if (l->delay_ms == 0)
        return 0;
    if (full) {
        make_room(l, now_ms);
        full = map_count(&l->map) + 1 >= l->addresses_max;
    }
    if (!f) {
        f = calloc(1, sizeof *f);
        if (!f || map_put(&l->map, key, f, NULL)) {
            free(f);
            return FAILURE_DELAY_MAX_MS; /* not to be remembered: as if it were the worst of all */
        }
    }
    level = level_now(f, now_ms) + 1;
    f->level = level < FAILURE_LEVEL_MAX ? level : FAILURE_LEVEL_MAX;
    f->since_ms = now_ms;
    delay = full ? FAILURE_DELAY_MAX_MS : delay_of(l, f->level);
    return delay > waited_ms ? delay - waited_ms : 0;
}
