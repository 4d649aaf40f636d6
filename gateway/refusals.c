/* SPDX-License-Identifier: Apache-2.0
 * Counting what was refused. A series is made when it is first needed, up to a limit, so that nobody fills the metrics
 * by having many names; the name is escaped, because principals come from certificates and may hold anything. Without
 * memory the refusal is counted under "other", whose series are made at the start of their use like the rest. */
#include "gateway/refusals.h"
#include "core/base/log.h"
#include "core/base/log_limit.h"
#include "core/base/map.h"
#include "core/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

struct series {
    struct metric *counter;
    int64_t line_ms; /* of the last line; INT64_MIN: none */
    uint64_t untold; /* counted since */
};

struct refusals {
    const char *metric, *help, *verb;
    struct map series; /* principal NUL operation NUL type */
    size_t series_max, lines;
    struct log_limit limit;
};

enum { KEY_MAX = REFUSALS_PRINCIPAL_MAX + 96, LABELS_MAX = 2 * REFUSALS_PRINCIPAL_MAX + 160, NAME_SHOWN_MAX = 120 };

struct refusals *refusals_new(const char *metric, const char *help, const char *verb, size_t series_max)
{
    struct refusals *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    *r = (struct refusals){.metric = metric, .help = help, .verb = verb, .series_max = series_max};
    map_init(&r->series);
    return r;
}

void refusals_free(struct refusals *r)
{
    if (!r)
        return;
    map_free(&r->series, free);
    free(r);
}

/* Inside the quotes of a Prometheus label: backslash, quote and newline are escaped. */
static void escape(char out[2 * REFUSALS_PRINCIPAL_MAX + 1], struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = (char)s.p[i];
        if (c == '\\' || c == '"' || c == '\n')
            out[n++] = '\\';
        out[n++] = c == '\n' ? 'n' : c ? c : '?';
    }
    out[n] = 0;
}

static struct series *find(struct refusals *r, struct slice principal, const char *operation, const char *type,
                           bool limited)
{
    char key[KEY_MAX], labels[LABELS_MAX], name[2 * REFUSALS_PRINCIPAL_MAX + 1];
    struct series *s;
    int n;

    n = snprintf(key, sizeof key, "%.*s%c%.40s%c%.40s", SLICE_FMT(principal), 0, operation, 0, type);
    s = map_get(&r->series, slice_of(key, (size_t)n));
    if (s || (limited && map_count(&r->series) >= r->series_max))
        return s;
    s = calloc(1, sizeof *s);
    if (!s || map_put(&r->series, slice_of(key, (size_t)n), s, NULL)) {
        free(s);
        return NULL;
    }
    escape(name, principal);
    snprintf(labels, sizeof labels, "principal=\"%s\",operation=\"%.40s\",type=\"%.40s\"", name, operation, type);
    s->counter = metrics_counter(r->metric, labels, r->help);
    s->line_ms = INT64_MIN;
    return s;
}

static void tell(struct refusals *r, struct series *s, struct slice principal, const char *operation, const char *type,
                 struct slice name, int64_t now_ms)
{
    uint64_t held;

    s->untold++;
    if ((s->line_ms != INT64_MIN && now_ms - s->line_ms < REFUSALS_LINE_MS) ||
        !log_limit_pass(&r->limit, now_ms, &held))
        return;
    if (name.n > NAME_SHOWN_MAX)
        name.n = NAME_SHOWN_MAX;
    if (s->untold > 1)
        log_warn("%.*s: %s, %s \"%.*s\": %s; %llu more like it since the last such line", SLICE_FMT(principal),
                 operation, type, SLICE_FMT(name), r->verb, (unsigned long long)(s->untold - 1));
    else
        log_warn("%.*s: %s, %s \"%.*s\": %s", SLICE_FMT(principal), operation, type, SLICE_FMT(name), r->verb);
    s->line_ms = now_ms;
    s->untold = 0;
    r->lines++;
}

void refusals_note(struct refusals *r, struct slice principal, const char *operation, const char *type,
                   struct slice name, int64_t now_ms)
{
    struct series *s;

    if (principal.n > REFUSALS_PRINCIPAL_MAX)
        principal.n = REFUSALS_PRINCIPAL_MAX;
    s = find(r, principal, operation, type, true);
    if (!s) /* operations and types are few: this is bounded as well */
        s = find(r, slice_str("other"), operation, type, false);
    if (!s)
        return; /* no memory; the answer itself is not affected */
    metric_add(s->counter, 1);
    tell(r, s, principal, operation, type, name, now_ms);
}

size_t refusals_lines(const struct refusals *r)
{
    return r->lines;
}
