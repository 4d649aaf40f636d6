/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_API_H
#define CASTELLAN_GATEWAY_API_H

#include "gateway/session.h"

/* The table of what the gateway serves: one row per API. An API without a row does not exist: it is not advertised, and
 * a request for it closes the connection, as Kafka does. */
enum api_phases { API_BEFORE_AUTH = 1, API_READY = 2 };
enum api_where { API_FORWARDED, API_ANSWERED_HERE };

struct api_row {
    int16_t key;
    int16_t max;     /* the highest version served; INT16_MAX: as far as it is described */
    unsigned phases; /* enum api_phases */
    enum api_where where;
    void (*handle)(struct pending *p);
};

const struct api_row *api_find(int16_t key);
const struct api_row *api_at(size_t i); /* NULL past the end */
/* The versions advertised: what is described, what this table serves and what the cluster speaks, all at once.
 * False: not served. */
bool api_versions(struct cluster *c, const struct api_row *row, int16_t *min, int16_t *max);

#endif
