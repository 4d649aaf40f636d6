/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_NODE_H
#define CASTELLAN_BROKER_NODE_NODE_H

#include "broker/core/controller.h"
#include "broker/core/image.h"
#include "broker/log/log_dir.h"
#include "core/base/log_limit.h"
#include "core/base/settings.h"
#include "core/net/conn.h"
#include "core/net/kafka_client.h"
#include "core/wire/client.h"
#include "core/wire/header.h"

#include <assert.h>

/* One broker process: the edge between the pure core (image, controller, coordinators) and sockets, files and time.
 * Everything runs on one loop; nothing here is thread-safe.
 *
 *   connection -> request -> handler (handlers.c's table) -> request_answer()
 *   controller: decide -> append to __cluster_metadata -> apply -> answer
 *   others:     fetch __cluster_metadata from the controller -> append -> apply -> reconcile local partitions */
struct node;
struct client;
struct coordinators;

enum {
    NODE_VOTERS_MAX = 15,
    NODE_METADATA_FETCH_BYTES = 1 << 20,
    NODE_METADATA_WAIT_MS = 500,
    NODE_TICK_MS = 1000,
    NODE_CLEAN_BUDGET_BYTES = 8 << 20, /* compaction work per tick */
    NODE_RETRY_MS = 50,                /* between attempts to reach another node */
};

struct node_voter {
    int32_t id;
    char host[256];
    uint16_t port;
    struct kafka_client *link; /* NULL: not connected */
    bool up;
    struct waiting_call *waiting; /* calls made before the link was up */
};

/* A partition whose replica is here. */
struct partition {
    struct node *node;
    char *topic;
    int32_t index;
    struct wire_uuid topic_id;
    struct plog *log;
    bool leader; /* this node leads it */
    int32_t leader_epoch;
    uint64_t markers;            /* transaction markers written here since it was opened */
    struct fetch_watch *watches; /* fetches waiting for more */
};

enum { NODE_MAGIC = 0x4e6f6465 };

/* Everything of one node; several may live in one process. */
struct node {
    uint32_t magic;
    struct loop *loop;
    struct env *env;
    struct settings *settings;
    int32_t id;
    const char *cluster_id;
    struct host_port listen;
    struct listener *listener;
    struct tls *tls_server, *tls_client;
    struct node_voter voters[NODE_VOTERS_MAX];
    int voter_count;
    int32_t controller_id;
    struct node_voter metadata_source; /* the controller again, on the connection of the metadata fetches */

    struct log_dir *dir;
    struct image image;
    struct map partitions; /* topic id and index (20 bytes) -> struct partition */
    struct partition metadata;
    struct controller controller; /* used when id == controller_id */
    struct coordinators *coordinators;

    struct wire_uuid incarnation;
    int64_t broker_epoch; /* -1: not registered yet */
    bool registering, serving, stopping, unfenced;
    int64_t producer_id_next, producer_id_end; /* the block allocated to this broker */
    struct producer_id_wait *producer_id_line; /* requests that wait for the next one */
    struct map verified;                       /* txn_verify.c: 8 bytes of producer id -> struct verified_producer */

    int64_t retention_due_ms; /* when retention is applied next; checked in each tick */
    struct loop_timer tick, heartbeat, metadata_retry, wake;
    struct fetch_wait *woken; /* fetches whose partitions got records in this round of events */
    bool metadata_fetching;
    struct client *clients;      /* open connections */
    struct log_limit not_served; /* lines about what they ask for and is not served */
    int exit_status;
};

/* ---- node.c ---- */
const struct setting_row *node_setting_rows(void);
struct node *node_new(void); /* NULL: no memory */
/* After a failure only node_free() may follow. */
enum err node_start(struct node *n, const char *config_path, struct reason *why) MUST_CHECK;
int node_free(struct node *n); /* stops it; the exit status */
static inline struct node *node_of(void *user)
{
    struct node *n = user;

    assert(n && n->magic == NODE_MAGIC);
    return n;
}
int64_t node_wall_ms(struct node *n);
struct partition *node_partition(struct node *n, const struct wire_uuid *topic_id, int32_t index);
struct partition *node_partition_named(struct node *n, struct slice topic, int32_t index);
/* The metadata log is no topic: none of these three finds it. Why this node cannot serve the partition, as Kafka says
 * it: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH; ERR_OK with *out
 * set when it leads it. epoch -1: not checked. */
enum err node_leading(struct node *n, struct slice topic, int32_t index, int32_t epoch, struct partition **out);
/* Whether the image knows topic and partition, whoever leads it. */
const struct image_partition *node_image_partition(struct node *n, struct slice topic, int32_t index);

/* ---- metadata.c ---- */
/* On the controller: append decided records, apply them, wake followers. */
enum err node_commit(struct node *n, struct record_list *records, struct reason *why) MUST_CHECK;
enum err node_metadata_start(struct node *n, struct reason *why) MUST_CHECK; /* replay the local metadata log */
void node_metadata_fetch(struct node *n); /* followers: keep fetching from the controller */
void node_register(struct node *n);       /* register with the controller, then heartbeat for ever */
void node_reconcile(struct node *n);      /* make local partitions what the image says */

/* ---- links.c ---- */
/* Call another node (or this one's controller): connects when needed; done() is called exactly once, later. */
typedef void (*node_done)(void *user, enum err err, int16_t version, struct slice body);
void node_call(struct node *n, int32_t to, int16_t api_key, int16_t version, const void *request, node_done done,
               void *user);
/* The same with an encoded body. */
void node_call_body(struct node *n, int32_t to, int16_t api_key, int16_t version, struct slice body, node_done done,
                    void *user);
/* A metadata fetch from the controller, on a connection of its own. */
struct fetch_request;
void node_call_fetch(struct node *n, int16_t version, const struct fetch_request *request, node_done done, void *user);
void node_links_close(struct node *n);

/* ---- request.c ---- */
struct request {
    struct node *node;
    struct client *client; /* NULL once the connection is gone: the answer is dropped */
    struct request *next;  /* of the client */
    const struct wire_api *api;
    int16_t version;
    int32_t correlation_id;
    struct slice client_id;
    struct slice body_bytes; /* as it came, for forwarding */
    struct buf frame;
    struct arena arena;
    struct arena answer;             /* for an answer that is made several times (a waiting fetch) */
    struct request_scratch *scratch; /* buffers that live as long as the request */
    void *body;                      /* the decoded request struct */
};

/* A new empty buffer that is freed with the request (NULL: no memory); _reset frees all of them, and what is in
 * the answer's arena, now. */
struct buf *request_scratch(struct request *r);
void request_scratch_reset(struct request *r);

void request_answer(struct request *r, const void *response); /* sends and frees */
void request_answer_body(struct request *r, struct slice body);
void request_no_answer(struct request *r);             /* Produce with acks=0 */
void request_fail(struct request *r, const char *why); /* closes the connection and frees */
const char *request_host(const struct request *r);
/* Whether another broker asks: over TLS by the name in its certificate (castellan.broker.names). */
bool request_is_from_broker(const struct request *r);
void request_set_software(struct request *r, struct slice name, struct slice version); /* what the client says it is */
enum err node_listen(struct node *n, struct reason *why) MUST_CHECK;
void node_close_clients(struct node *n);

/* ---- partition waits (fetch.c) ---- */
void partition_appended(struct partition *p); /* wakes fetches that wait for data */
void partition_gone(struct partition *p);     /* answers fetches that wait on it */

/* ---- handlers.c: the table of what this broker serves ---- */
struct handler_row {
    int16_t api_key;
    int16_t min_version, max_version;
    void (*handle)(struct request *r);
};
const struct handler_row *handler_find(int16_t api_key);

#endif
