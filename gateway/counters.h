/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_COUNTERS_H
#define CASTELLAN_GATEWAY_COUNTERS_H

#include "acl/sasl_server.h"
#include "core/base/metrics.h"
#include "core/net/conn.h"
#include "gateway/filter/schema_check.h"

/* The counters that requests and connections touch. They are looked up once, because a lookup takes a lock that every
 * worker and whoever reads /metrics share; adding takes none. */
struct gateway_counters {
    struct metric *connections, *disconnects[CONN_CLOSE_COUNT_];
    struct metric *authentications[SASL_MECHANISMS][SASL_REASONS]; /* SASL_REASON_NONE: it succeeded */
    struct metric *throttled, *surplus, *upstream_losses;
    struct metric *sealed, *opened, *erased;
    struct metric *decompressed, *decompression_refused;
    struct metric *schema_violations[SCHEMA_FAULTS];
};

void gateway_counters_init(struct gateway_counters *c);

#endif
