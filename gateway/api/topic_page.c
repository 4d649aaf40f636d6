/* SPDX-License-Identifier: Apache-2.0
 * Kafka computes a page over the topics the client may describe, in the order of their names, from the cursor on. A
 * cursor may name any topic when all are asked for (the page begins behind it), but must be in the list when there is
 * one. */
#include "gateway/api/topic_page.h"

static struct slice name_at(const struct topic_page_names *names, int32_t place)
{
    return *(const struct slice *)(const void *)((const uint8_t *)names->first + (size_t)place * names->stride);
}

static int compare(const void *list, int32_t a, int32_t b)
{
    return slice_cmp(name_at(list, a), name_at(list, b));
}

static size_t page_limit(const struct describe_topic_partitions_request *req)
{
    int32_t n = req->response_partition_limit;
    return n < 1 ? 1 : n < TOPIC_PAGE_PARTITIONS_MAX ? (size_t)n : TOPIC_PAGE_PARTITIONS_MAX;
}

static struct slice cursor_name(const struct topic_page *p)
{
    return p->req->cursor ? p->req->cursor->topic_name : SLICE_NULL;
}

bool topic_page_begin(struct topic_page *out, const struct describe_topic_partitions_request *req,
                      const struct topic_page_names *names, bool all, struct arena *a)
{
    size_t n = (size_t)names->n;

    *out = (struct topic_page){.next = SLICE_NULL, .names = names, .req = req, .all = all, .limit = page_limit(req)};
    out->refused = arena_array_unset(a, all ? 0 : n, sizeof *out->refused);
    /* each topic has a partition, so a page has room for `limit` topics at most */
    out->send.v = arena_array_unset(a, n < out->limit ? n : out->limit, sizeof *out->send.v);
    return out->refused && out->send.v && sorting_begin(&out->order, names->n, a);
}

/* The next in order. False: none is of interest any more. */
static bool take(struct topic_page *p, const struct topic_page_rights *rights, struct slice name)
{
    enum err err = rights->describe(rights->ctx, name);

    if (err && !p->all)
        p->refused[p->refused_n++] = (struct topic_page_refused){name, err};
    if (err || !slice_is_null(p->next))
        return true; /* what is refused is said on every page */
    if ((size_t)p->send.n == p->limit) {
        p->next = name;
        return !p->all;
    }
    p->keeps_cursor = p->keeps_cursor || (p->req->cursor && slice_eq(name, cursor_name(p)));
    describe_topic_partitions_request_topic_request_init(&p->send.v[p->send.n]);
    p->send.v[p->send.n++].name = name;
    return true;
}

static bool plan_next(struct topic_page *p, const struct topic_page_rights *rights)
{
    struct slice name;
    int32_t at;

    if (p->at == p->names->n)
        return false;
    at = p->at++;
    name = name_at(p->names, p->order.sorted[at]);
    if (at > 0 && slice_eq(name, name_at(p->names, p->order.sorted[at - 1])))
        return true;
    return slice_cmp(name, cursor_name(p)) < 0 || take(p, rights, name);
}

/* Before anything is sorted: is the cursor's topic one of them? */
static bool look_for_cursor(struct topic_page *p)
{
    bool listed = p->all || !p->req->cursor;

    if (!listed && p->at < p->names->n) {
        listed = slice_eq(name_at(p->names, p->at++), cursor_name(p));
        if (!listed)
            return true;
    }
    if (!listed || (p->req->cursor && p->req->cursor->partition_index < 0)) {
        p->whole = ERR_INVALID_REQUEST;
        return false;
    }
    p->listed = true;
    p->at = 0;
    return true;
}

bool topic_page_next(struct topic_page *p, const struct topic_page_rights *rights)
{
    if (p->whole)
        return false;
    if (!p->listed)
        return look_for_cursor(p);
    if (!p->sorted) {
        p->sorted = !sorting_next(&p->order, compare, p->names);
        return true;
    }
    return plan_next(p, rights);
}
