/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_METRICS_H
#define CASTELLAN_BASE_METRICS_H

#include "core/base/buf.h"
#include <stdatomic.h>

/* Counters, gauges and histograms of this process, written as Prometheus text (format 0.0.4). A metric is looked up
 * once (metrics_counter and friends lock), kept as a pointer, and then updated without a lock. Pointers stay valid for
 * the life of the process. `labels` is the inside of the braces (`reason="bad_frame"`) or NULL; metrics of one name
 * must share help and kind. At most METRICS_MAX series: past that the lookups return one shared overflow series. */
enum { METRICS_MAX = 20000 };

struct metric {
    _Atomic int64_t value; /* counter or gauge */
};

struct histogram; /* microseconds, buckets 50 us .. 10 s */

struct metric *metrics_counter(const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(const char *name, const char *labels, const char *help);
struct histogram *metrics_histogram(const char *name, const char *labels, const char *help);
void histogram_observe_us(struct histogram *h, int64_t us);
void metrics_render(struct buf *out);

static inline void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

static inline void metric_set(struct metric *m, int64_t n)
{
    atomic_store_explicit(&m->value, n, memory_order_relaxed);
}

#endif
