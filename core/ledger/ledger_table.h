/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_TABLE_H
#define CASTELLAN_LEDGER_TABLE_H

#include "core/base/buf.h"
#include "core/base/map.h"

/* key -> latest value, owning copies. Not thread-safe. A table may hold tombstones, so that it can overlay another. */
struct ledger_table {
    struct map map; /* of struct table_value */
};

struct table_value {
    size_t n;
    bool tombstone;
    uint8_t bytes[];
};

void table_init(struct ledger_table *t);
void table_free(struct ledger_table *t);
void table_clear(struct ledger_table *t);
enum err table_put(struct ledger_table *t, struct slice key,
                   struct slice value) MUST_CHECK; /* null: a tombstone entry */
void table_remove(struct ledger_table *t, struct slice key);
const struct table_value *table_get(const struct ledger_table *t, struct slice key);

#endif
