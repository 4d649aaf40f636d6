/* SPDX-License-Identifier: Apache-2.0
 * Fetch with long polling. A fetch reads what there is; when that is less than min_bytes it watches its partitions and
 * is tried again at each append, until max_wait_ms is over. Fetch sessions (KIP-227) are not kept: session id 0 in the
 * answer tells every client to send full fetches, as a broker with a full session cache does.
 *
 * Ownership: a waiting fetch (struct fetch_wait) owns its request; its watches hang on the partitions and are taken off
 * before it is answered. */
#include "broker/node/handlers.h"
#include "broker/node/node.h"
#include "core/base/log.h"
#include "wire/fetch.h"

#include <stdlib.h>

enum { FETCH_WAIT_MS_MAX = 60000, FETCH_RESPONSE_BYTES_MAX = 57671680 /* fetch.max.bytes */, LEADER_TOLD_SINCE = 16 };

struct fetch_watch {
    struct fetch_wait *wait;
    struct partition *partition;
    struct fetch_watch *next, **prev; /* on the partition */
};

struct fetch_wait {
    struct request *request;
    struct loop_timer timer;
    struct fetch_watch *watches;
    size_t watch_count;
    struct fetch_wait *next_woken, **prev_woken; /* on node.woken; prev_woken NULL: not there */
};

typedef struct fetch_response_partition_data partition_answer;

struct reader {
    struct request *r;
    size_t left;  /* bytes the whole answer may still take */
    size_t bytes; /* read so far */
    bool any;     /* some partition has given records: no more oversized first batches */
    bool error;   /* some partition answered an error: do not wait */
    struct fetch_response *resp;
};

static void read_aborted(struct partition *p, int64_t from, int64_t to, partition_answer *out, struct arena *arena)
{
    const struct plog_aborted *list;
    size_t n;

    if (plog_aborted_between(p->log, from, to, arena, &list, &n) || n == 0)
        return;
    out->aborted_transactions.v = arena_array(arena, n, sizeof *out->aborted_transactions.v);
    if (!out->aborted_transactions.v)
        return;
    out->aborted_transactions.n = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        fetch_response_aborted_transaction_init(&out->aborted_transactions.v[i]);
        out->aborted_transactions.v[i].producer_id = list[i].producer_id;
        out->aborted_transactions.v[i].first_offset = list[i].first_offset;
    }
}

static enum err read_records(struct reader *rd, struct partition *p, const struct fetch_request_fetch_partition *in,
                             enum plog_isolation isolation, partition_answer *out)
{
    struct buf *bytes;
    struct plog_region region;
    struct reason why = {0};
    size_t max = in->partition_max_bytes > 0 ? (size_t)in->partition_max_bytes : 0;
    enum err err;

    if (max > rd->left)
        max = rd->left;
    bytes = request_scratch(rd->r);
    if (!bytes)
        return ERR_NO_MEMORY;
    err = plog_fetch(p->log, in->fetch_offset, max, isolation, !rd->any, bytes, &region, &why);
    if (err) {
        if (err != ERR_OFFSET_OUT_OF_RANGE)
            log_error("reading %s-%d failed: %s", p->topic, (int)p->index, why.code ? why.text : err_text(err));
        return err;
    }
    out->records = buf_slice(bytes);
    rd->any = rd->any || bytes->n;
    rd->bytes += bytes->n;
    rd->left -= bytes->n < rd->left ? bytes->n : rd->left;
    if (isolation == PLOG_READ_STABLE) {
        out->aborted_transactions.n = 0;
        if (bytes->n)
            read_aborted(p, in->fetch_offset, region.next_offset, out, &rd->r->answer);
    }
    return ERR_OK;
}

/* KIP-320: a follower or consumer that read records of an older epoch past that epoch's end has diverged. */
static bool has_diverged(struct partition *p, const struct fetch_request_fetch_partition *in, partition_answer *out)
{
    int32_t epoch;
    int64_t end;

    if (in->last_fetched_epoch < 0)
        return false;
    plog_end_offset_for_epoch(p->log, in->last_fetched_epoch, &epoch, &end);
    if (epoch < 0 || (epoch == in->last_fetched_epoch && end >= in->fetch_offset))
        return false;
    out->diverging_epoch.epoch = epoch;
    out->diverging_epoch.end_offset = end;
    return true;
}

/* The broker that says it fetches as a replica; -1: a client. */
static int32_t follower_of(const struct request *r)
{
    const struct fetch_request *req = r->body;
    return req->replica_id >= 0 ? req->replica_id : req->replica_state.replica_id;
}

static bool from_follower(const struct request *r)
{
    return follower_of(r) >= 0;
}

static bool is_replica(const struct image_partition *p, int32_t id)
{
    for (int32_t i = 0; p && i < p->replica_count; i++)
        if (p->replicas[i] == id)
            return true;
    return false;
}

/* The metadata log is for the other brokers: to anybody else it does not exist, as on a broker of Kafka. */
static bool is_metadata(const struct request *r, struct slice topic, int32_t index)
{
    int32_t id = follower_of(r);
    bool voter = false;

    for (int i = 0; i < r->node->voter_count; i++)
        voter = voter || (r->node->voters[i].id == id && id != r->node->id);
    return voter && index == 0 && slice_eq_str(topic, METADATA_TOPIC) && request_is_from_broker(r);
}

static enum err find(const struct request *r, struct slice topic, const struct fetch_request_fetch_partition *in,
                     struct partition **out)
{
    struct node *n = r->node;
    enum err err;

    if (slice_is_null(topic))
        return r->version >= 13 ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!is_metadata(r, topic, in->partition)) {
        err = node_leading(n, topic, in->partition, in->current_leader_epoch, out);
        if (err || !from_follower(r) || is_replica(node_image_partition(n, topic, in->partition), follower_of(r)))
            return err;
        *out = NULL;
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    if (!n->metadata.leader)
        return ERR_NOT_LEADER_OR_FOLLOWER;
    *out = &n->metadata;
    return ERR_OK;
}

/* The partition exists: Kafka came as far as reading it. */
static bool is_there(enum err err)
{
    return err != ERR_UNKNOWN_TOPIC_OR_PARTITION && err != ERR_UNKNOWN_TOPIC_ID;
}

static void add_endpoint(struct reader *rd, int32_t id)
{
    const struct image_broker *b = image_broker(&rd->r->node->image, id);
    struct fetch_response_node_endpoint_array *list = &rd->resp->node_endpoints;

    for (int32_t i = 0; i < list->n; i++)
        if (list->v[i].node_id == id)
            return;
    if (!list->v)
        list->v = arena_array(&rd->r->answer, map_count(&rd->r->node->image.brokers), sizeof *list->v);
    if (!b || !list->v)
        return;
    fetch_response_node_endpoint_init(&list->v[list->n]);
    list->v[list->n].node_id = id;
    list->v[list->n].host = slice_str(b->host);
    list->v[list->n].port = b->port;
    list->v[list->n++].rack = b->rack[0] ? slice_str(b->rack) : SLICE_NULL;
}

/* KIP-951: who asked the wrong broker is told the right one. */
static void tell_leader(struct reader *rd, struct slice topic, partition_answer *out, enum err err)
{
    const struct image_partition *p;

    if (rd->r->version < LEADER_TOLD_SINCE || (err != ERR_NOT_LEADER_OR_FOLLOWER && err != ERR_FENCED_LEADER_EPOCH))
        return;
    p = node_image_partition(rd->r->node, topic, out->partition_index);
    if (!p)
        return;
    out->current_leader.leader_id = p->leader;
    out->current_leader.leader_epoch = p->leader_epoch;
    if (!from_follower(rd->r)) /* replicas know where it is */
        add_endpoint(rd, p->leader);
}

static void fetch_partition(struct reader *rd, struct slice topic, const struct fetch_request_fetch_partition *in,
                            partition_answer *out)
{
    const struct fetch_request *req = rd->r->body;
    enum plog_isolation isolation = from_follower(rd->r)        ? PLOG_READ_TO_END
                                    : req->isolation_level == 1 ? PLOG_READ_STABLE
                                                                : PLOG_READ_REPLICATED;
    struct partition *p = NULL;
    enum err err;

    fetch_response_partition_data_init(out);
    out->partition_index = in->partition;
    out->records = slice_of("", 0);
    err = find(rd->r, topic, in, &p);
    out->high_watermark = out->last_stable_offset = out->log_start_offset = -1;
    if (!err && !has_diverged(p, in, out))
        err = read_records(rd, p, in, isolation, out);
    if (p && (!err || from_follower(rd->r))) { /* Kafka tells a client nothing about a log that it could not read */
        out->high_watermark = plog_high_watermark(p->log);
        out->last_stable_offset = plog_stable_offset(p->log);
        out->log_start_offset = plog_start_offset(p->log);
    }
    if (is_there(err) && (err || isolation != PLOG_READ_STABLE))
        out->aborted_transactions.n = -1;
    out->error_code = err_kafka(err);
    tell_leader(rd, topic, out, err);
    rd->error = rd->error || err || out->diverging_epoch.epoch >= 0;
}

static struct slice topic_of(struct request *r, const struct fetch_request_fetch_topic *t)
{
    const struct image_topic *known;
    if (r->version < 13)
        return t->topic;
    known = image_topic_by_id(&r->node->image, &t->topic_id);
    if (known)
        return slice_str(known->name);
    return SLICE_NULL;
}

static enum err fetch_read(struct reader *rd, struct fetch_response *resp)
{
    struct request *r = rd->r;
    const struct fetch_request *req = r->body;

    fetch_response_init(resp);
    rd->resp = resp;
    resp->responses.v = arena_array(&r->answer, (size_t)req->topics.n, sizeof *resp->responses.v);
    if (!resp->responses.v)
        return ERR_NO_MEMORY;
    resp->responses.n = req->topics.n;
    for (int32_t t = 0; t < req->topics.n; t++) {
        const struct fetch_request_fetch_topic *in = &req->topics.v[t];
        struct fetch_response_fetchable_topic_response *out = &resp->responses.v[t];
        struct slice topic = topic_of(r, in);

        fetch_response_fetchable_topic_response_init(out);
        out->topic = in->topic;
        out->topic_id = in->topic_id;
        out->partitions.v = arena_array(&r->answer, (size_t)in->partitions.n, sizeof *out->partitions.v);
        if (!out->partitions.v)
            return ERR_NO_MEMORY;
        out->partitions.n = in->partitions.n;
        for (int32_t i = 0; i < in->partitions.n; i++)
            fetch_partition(rd, topic, &in->partitions.v[i], &out->partitions.v[i]);
    }
    return ERR_OK;
}

static void watch_remove(struct fetch_watch *w)
{
    if (!w->partition)
        return;
    if (w->next)
        w->next->prev = w->prev;
    *w->prev = w->next;
    w->partition = NULL;
}

static void wait_unwake(struct fetch_wait *w)
{
    if (!w->prev_woken)
        return;
    if (w->next_woken)
        w->next_woken->prev_woken = w->prev_woken;
    *w->prev_woken = w->next_woken;
    w->prev_woken = NULL;
}

static void wait_free(struct fetch_wait *w)
{
    for (size_t i = 0; i < w->watch_count; i++)
        watch_remove(&w->watches[i]);
    wait_unwake(w);
    loop_timer_stop(&w->timer);
    free(w->watches);
    free(w);
}

static struct reader reader_of(struct request *r)
{
    const struct fetch_request *req = r->body;
    size_t max = req->max_bytes > 0 ? (size_t)req->max_bytes : 0;
    return (struct reader){.r = r, .left = max < FETCH_RESPONSE_BYTES_MAX ? max : FETCH_RESPONSE_BYTES_MAX};
}

/* Try a waiting fetch again; answers and frees it when there is enough, or when `now`. */
static void wait_try(struct fetch_wait *w, bool now)
{
    struct request *r = w->request;
    const struct fetch_request *req = r->body;
    struct fetch_response resp;
    struct reader rd = reader_of(r);

    request_scratch_reset(r);
    if (!r->client) {
        wait_free(w);
        request_no_answer(r);
        return;
    }
    if (fetch_read(&rd, &resp)) {
        wait_free(w);
        request_fail(r, "out of memory");
        return;
    }
    if (!now && !rd.error && (int64_t)rd.bytes < req->min_bytes)
        return;
    wait_free(w);
    request_answer(r, &resp);
}

static void on_wait_over(void *arg)
{
    wait_try(arg, true);
}

static void try_woken(void *arg)
{
    struct node *n = node_of(arg);
    while (n->woken) {
        struct fetch_wait *w = n->woken;
        wait_unwake(w);
        wait_try(w, false);
    }
}

/* The fetches are tried in the next round of events, so that an append never runs another request's answer, and many
 * appends of one round wake a fetch once. */
void partition_appended(struct partition *p)
{
    struct node *n = p->node;

    for (struct fetch_watch *watch = p->watches; watch; watch = watch->next) {
        struct fetch_wait *w = watch->wait;
        if (w->prev_woken)
            continue;
        w->next_woken = n->woken;
        w->prev_woken = &n->woken;
        if (w->next_woken)
            w->next_woken->prev_woken = &w->next_woken;
        n->woken = w;
    }
    if (n->woken && !n->wake.running) {
        loop_timer_init(&n->wake, n->loop, try_woken, n);
        loop_timer_start(&n->wake, 0);
    }
}

void partition_gone(struct partition *p)
{
    while (p->watches)
        wait_try(p->watches->wait, true);
}

static void watch_add(struct fetch_wait *w, struct partition *p)
{
    struct fetch_watch *watch = &w->watches[w->watch_count++];
    watch->wait = w;
    watch->partition = p;
    watch->next = p->watches;
    watch->prev = &p->watches;
    if (watch->next)
        watch->next->prev = &watch->next;
    p->watches = watch;
}

static bool wait_start(struct request *r, int64_t wait_ms)
{
    const struct fetch_request *req = r->body;
    struct fetch_wait *w = calloc(1, sizeof *w);
    size_t n = 0;

    for (int32_t t = 0; t < req->topics.n; t++)
        n += (size_t)req->topics.v[t].partitions.n;
    if (w)
        w->watches = calloc(n + 1, sizeof *w->watches);
    if (!w || !w->watches) {
        free(w);
        return false;
    }
    w->request = r;
    for (int32_t t = 0; t < req->topics.n; t++) {
        struct slice topic = topic_of(r, &req->topics.v[t]);
        for (int32_t i = 0; i < req->topics.v[t].partitions.n; i++) {
            struct partition *p = NULL;
            if (!find(r, topic, &req->topics.v[t].partitions.v[i], &p))
                watch_add(w, p);
        }
    }
    loop_timer_init(&w->timer, r->node->loop, on_wait_over, w);
    loop_timer_start(&w->timer, wait_ms < FETCH_WAIT_MS_MAX ? wait_ms : FETCH_WAIT_MS_MAX);
    return true;
}

void node_handle_fetch(struct request *r)
{
    const struct fetch_request *req = r->body;
    struct fetch_response resp;
    struct reader rd = reader_of(r);

    if (fetch_read(&rd, &resp)) {
        request_fail(r, "out of memory");
        return;
    }
    if (!rd.error && (int64_t)rd.bytes < req->min_bytes && req->max_wait_ms > 0 && req->topics.n > 0 &&
        wait_start(r, req->max_wait_ms))
        return;
    request_answer(r, &resp);
}
