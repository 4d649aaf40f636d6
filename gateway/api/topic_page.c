/* SPDX-License-Identifier: Apache-2.0
 * Kafka computes a page over the topics the client may describe, in the order of their names, from the cursor on. A
 * cursor may name any topic when all are asked for (the page begins behind it), but must be in the list when there is
 * one. */
#include "gateway/api/topic_page.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static bool is_listed(const struct slice *sorted, int32_t n, struct slice name)
{
    return n > 0 && bsearch(&name, sorted, (size_t)n, sizeof *sorted, compare);
}

static size_t page_limit(const struct describe_topic_partitions_request *req)
{
    int32_t n = req->response_partition_limit;
    return n < 1 ? 1 : n < TOPIC_PAGE_PARTITIONS_MAX ? (size_t)n : TOPIC_PAGE_PARTITIONS_MAX;
}

enum err topic_page_plan(struct topic_page *out, const struct describe_topic_partitions_request *req,
                         const struct slice *names, int32_t n, bool all, const struct topic_page_rights *rights,
                         struct arena *a)
{
    struct slice *sorted = arena_array(a, (size_t)n + 1, sizeof *sorted);
    struct slice from = req->cursor ? req->cursor->topic_name : SLICE_NULL;
    size_t limit = page_limit(req);

    *out = (struct topic_page){.next = SLICE_NULL};
    out->refused = arena_array(a, all ? 1 : (size_t)n + 1, sizeof *out->refused);
    /* each topic has a partition, so a page has room for `limit` topics at most */
    out->send.v = arena_array(a, (size_t)n < limit ? (size_t)n + 1 : limit, sizeof *out->send.v);
    if (!sorted || !out->refused || !out->send.v)
        return ERR_NO_MEMORY;
    if (n)
        memcpy(sorted, names, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    if (req->cursor && (req->cursor->partition_index < 0 || (!all && !is_listed(sorted, n, from)))) {
        out->whole = ERR_INVALID_REQUEST;
        return ERR_OK;
    }
    for (int32_t i = 0; i < n; i++) {
        enum err err;
        if ((i > 0 && slice_eq(sorted[i], sorted[i - 1])) || slice_cmp(sorted[i], from) < 0)
            continue;
        err = rights->describe(rights->ctx, sorted[i]);
        if (err && !all)
            out->refused[out->refused_n++] = (struct topic_page_refused){sorted[i], err};
        if (err || !slice_is_null(out->next))
            continue;
        if ((size_t)out->send.n == limit) {
            out->next = sorted[i];
            if (all)
                break;
            continue; /* what is refused is said on every page */
        }
        out->keeps_cursor = out->keeps_cursor || (req->cursor && slice_eq(sorted[i], from));
        describe_topic_partitions_request_topic_request_init(&out->send.v[out->send.n]);
        out->send.v[out->send.n++].name = sorted[i];
    }
    return ERR_OK;
}
