/* SPDX-License-Identifier: Apache-2.0
 * The kept table of a ledger and the overlay of a batch: the same structure, the overlay with tombstones in it. */
#include "core/ledger/ledger_table.h"

#include <stdlib.h>

void table_init(struct ledger_table *t)
{
    map_init(&t->map);
}

void table_free(struct ledger_table *t)
{
    map_free(&t->map, free);
}

void table_clear(struct ledger_table *t)
{
    map_free(&t->map, free);
    map_init(&t->map);
}

enum err table_put(struct ledger_table *t, struct slice key, struct slice value)
{
    struct table_value *v = malloc(sizeof *v + value.n);
    void *old = NULL;
    if (!v)
        return ERR_NO_MEMORY;
    v->n = value.n;
    v->tombstone = slice_is_null(value);
    if (value.n)
        memcpy(v->bytes, value.p, value.n);
    enum err e = map_put(&t->map, key, v, &old);
    if (e)
        free(v);
    free(old);
    return e;
}

void table_remove(struct ledger_table *t, struct slice key)
{
    free(map_remove(&t->map, key));
}

const struct table_value *table_get(const struct ledger_table *t, struct slice key)
{
    return map_get(&t->map, key);
}
