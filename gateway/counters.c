/* SPDX-License-Identifier: Apache-2.0
 * One place that names the gateway's counters, their labels and their help. */
#include "gateway/counters.h"

#include <stdio.h>

static struct metric *counter(const char *name, const char *label, const char *value, const char *help)
{
    char labels[96];

    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    return metrics_counter(name, labels, help);
}

static void init_authentications(struct gateway_counters *c)
{
    char labels[128];

    for (int m = 0; m < SASL_MECHANISMS; m++) {
        for (int r = 0; r < SASL_REASONS; r++) {
            snprintf(labels, sizeof labels, "mechanism=\"%s\",result=\"%s\"",
                     sasl_mechanism_name((enum sasl_mechanism)m),
                     r == SASL_REASON_NONE ? "ok" : sasl_reason_name((enum sasl_reason)r));
            c->authentications[m][r] =
                metrics_counter("castellan_gateway_authentications_total", labels, "SASL authentications.");
        }
    }
}

void gateway_counters_init(struct gateway_counters *c)
{
    static const char records[] = "castellan_crypt_records_total", by_result[] = "Records by what was done.";

    c->connections = metrics_counter("castellan_gateway_connections_total", NULL, "Client connections accepted.");
    for (int i = 0; i < CONN_CLOSE_COUNT_; i++)
        c->disconnects[i] = counter("castellan_gateway_disconnects_total", "reason",
                                    conn_close_label((enum conn_close)i), "Client connections that ended, by reason.");
    init_authentications(c);
    c->throttled = metrics_counter("castellan_gateway_throttled_total", NULL, "Answers that carried a throttle time.");
    c->surplus = metrics_counter("castellan_gateway_surplus_requests_total", NULL,
                                 "Requests with bytes after their end, which were dropped.");
    c->upstream_losses = metrics_counter("castellan_gateway_upstream_losses_total", NULL,
                                         "Connections to the cluster that broke or could not be made.");
    c->sealed = counter(records, "result", "sealed", by_result);
    c->opened = counter(records, "result", "opened", by_result);
    c->erased = counter(records, "result", "erased", by_result);
    c->decompressed = metrics_counter("castellan_gateway_decompressed_bytes_total", NULL,
                                      "Bytes that record batches were decompressed to, to be encrypted or validated.");
    c->decompression_refused =
        metrics_counter("castellan_gateway_decompression_refused_total", NULL,
                        "Record sets that decompress to more than castellan.batch.decompressed.max.bytes or "
                        "castellan.request.decompressed.max.bytes.");
    for (int f = 0; f < SCHEMA_FAULTS; f++)
        c->schema_violations[f] =
            counter("castellan_schema_violations_total", "reason", schema_fault_label((enum schema_fault)f),
                    "Records produced that break their topic's schema rules, by what was wrong.");
}
