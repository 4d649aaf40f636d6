/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_GAUGES_H
#define CASTELLAN_REGISTRY_GAUGES_H

#include "registry/store.h"

/* What /metrics tells of the state, counted when it is asked for: castellan_registry_subjects, _versions by type and by
 * whether they are softly deleted, _schemas (distinct ones), _contexts. The caller holds the store's lock. */
void gauges_update(const struct store *s);

#endif
