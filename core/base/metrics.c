/* SPDX-License-Identifier: Apache-2.0
 * The registry of this process's series. One mutex guards the tables; values are relaxed atomics. */
#include "core/base/map.h"
#include "core/base/metrics.h"

#include <pthread.h>
#include <stdlib.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const int64_t bounds_us[] = {50,    100,   250,    500,    1000,   2500,    5000,    10000,
                                    25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};
enum { BUCKETS = sizeof bounds_us / sizeof *bounds_us };

struct histogram {
    _Atomic int64_t bucket[BUCKETS + 1];
    _Atomic int64_t sum_us;
};

struct series {
    char *labels;
    struct metric metric;
    struct histogram *histogram;
};

struct family {
    const char *help;
    enum kind kind;
    struct map series; /* labels -> struct series */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* allow: the metrics are one registry for the process */
static struct map families;                              /* allow: the metrics are one registry for the process */
static size_t series_count;                              /* allow: the metrics are one registry for the process */
static struct series overflow;                           /* allow: the metrics are one registry for the process */
static struct histogram overflow_histogram;              /* allow: the metrics are one registry for the process */

static struct family *family_of(const char *name, enum kind kind, const char *help)
{
    struct family *f = map_get(&families, slice_str(name));
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->help = help;
    f->kind = kind;
    if (map_put(&families, slice_str(name), f, NULL)) {
        free(f);
        return NULL;
    }
    return f;
}

static struct series *series_new(struct family *f, enum kind kind, const char *labels)
{
    struct series *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->labels = strdup(labels);
    if (kind == HISTOGRAM)
        s->histogram = calloc(1, sizeof *s->histogram);
    if (!s->labels || (kind == HISTOGRAM && !s->histogram) || map_put(&f->series, slice_str(labels), s, NULL)) {
        free(s->labels);
        free(s->histogram);
        free(s);
        return NULL;
    }
    series_count++;
    return s;
}

static struct series *lookup(const char *name, enum kind kind, const char *labels, const char *help)
{
    struct family *f;
    struct series *s = NULL;

    if (!labels)
        labels = "";
    pthread_mutex_lock(&lock);
    f = family_of(name, kind, help);
    if (f)
        s = map_get(&f->series, slice_str(labels));
    if (f && !s && series_count < METRICS_MAX)
        s = series_new(f, kind, labels);
    pthread_mutex_unlock(&lock);
    return s ? s : &overflow;
}

struct metric *metrics_counter(const char *name, const char *labels, const char *help)
{
    return &lookup(name, COUNTER, labels, help)->metric;
}

struct metric *metrics_gauge(const char *name, const char *labels, const char *help)
{
    return &lookup(name, GAUGE, labels, help)->metric;
}

struct histogram *metrics_histogram(const char *name, const char *labels, const char *help)
{
    struct series *s = lookup(name, HISTOGRAM, labels, help);
    return s->histogram ? s->histogram : &overflow_histogram;
}

void histogram_observe_us(struct histogram *h, int64_t us)
{
    size_t i = 0;
    while (i < BUCKETS && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

static void render_histogram(struct buf *out, const char *name, const struct series *s)
{
    const char *comma = *s->labels ? "," : "";
    int64_t total = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        total += s->histogram->bucket[i];
        if (i < BUCKETS)
            buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %lld\n", name, s->labels, comma, (double)bounds_us[i] / 1e6,
                       (long long)total);
        else
            buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", name, s->labels, comma, (long long)total);
    }
    const char *open = *s->labels ? "{" : "", *close = *s->labels ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %g\n%s_count%s%s%s %lld\n", name, open, s->labels, close,
               (double)s->histogram->sum_us / 1e6, name, open, s->labels, close, (long long)total);
}

void metrics_render(struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    pthread_mutex_lock(&lock);
    for (struct map_entry *fe = map_first(&families); fe; fe = map_next(&families, fe)) {
        const struct family *f = fe->value;
        const char *name = (const char *)fe->key;
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, f->help, name, kinds[f->kind]);
        for (struct map_entry *e = map_first(&f->series); e; e = map_next(&f->series, e)) {
            const struct series *s = e->value;
            if (f->kind == HISTOGRAM)
                render_histogram(out, name, s);
            else if (*s->labels)
                buf_printf(out, "%s{%s} %lld\n", name, s->labels, (long long)s->metric.value);
            else
                buf_printf(out, "%s %lld\n", name, (long long)s->metric.value);
        }
    }
    pthread_mutex_unlock(&lock);
}
