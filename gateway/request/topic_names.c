/* SPDX-License-Identifier: Apache-2.0
 * The names of topic ids. */
#include "gateway/request/topic_names.h"

#include <stdlib.h>

void topic_names_free(struct topic_names *t)
{
    map_free(&t->by_id, free);
}

struct slice topic_names_find(const struct topic_names *t, const struct wire_uuid *id)
{
    return t ? slice_str(map_get(&t->by_id, slice_of(id->b, sizeof id->b))) : SLICE_NULL;
}

void topic_names_learn(struct topic_names *t, const struct wire_uuid *id, struct slice name)
{
    struct slice key = slice_of(id->b, sizeof id->b);
    char *copy;

    if (!t || wire_uuid_is_zero(id) || map_has(&t->by_id, key))
        return;
    if (map_count(&t->by_id) >= TOPIC_NAMES_MAX)
        map_free(&t->by_id, free);
    copy = strndup((const char *)name.p, name.n);
    if (copy && map_put(&t->by_id, key, copy, NULL))
        free(copy);
}
