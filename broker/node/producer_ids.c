/* SPDX-License-Identifier: Apache-2.0
 * Producer ids: handed out from a block of PRODUCER_ID_BLOCK that the controller allocated to this broker (KIP-730).
 * Requests that come while a block is being fetched wait in line; when it cannot be had they are told so. */
#include "broker/node/coordinators_private.h"
#include "wire/allocate_producer_ids.h"

#include <stdlib.h>

struct producer_id_wait {
    struct producer_id_wait *next;
    void (*done)(void *user, int64_t id);
    void *user;
};

static void serve(struct node *n, bool failed)
{
    struct producer_id_wait *list = n->producer_id_line, *w;

    n->producer_id_line = NULL;
    while ((w = list)) {
        list = w->next;
        if (failed)
            w->done(w->user, -1);
        else
            producer_id_get(n, w->done, w->user);
        free(w);
    }
}

static void on_block(void *user, enum err err, int16_t version, struct slice body)
{
    struct node *n = node_of(user);
    struct allocate_producer_ids_response resp;
    struct cursor c = cursor_of(body);
    struct arena a;

    arena_init(&a, 0);
    if (!err)
        err = allocate_producer_ids_response_decode(&resp, &c, version, &a);
    arena_free(&a);
    if (!err && resp.error_code)
        err = (enum err)resp.error_code;
    if (!err) {
        n->producer_id_next = resp.producer_id_start;
        n->producer_id_end = resp.producer_id_start + resp.producer_id_len;
    }
    serve(n, err != ERR_OK);
}

void producer_id_get(struct node *n, void (*done)(void *user, int64_t id), void *user)
{
    struct allocate_producer_ids_request req;
    struct producer_id_wait *w;
    bool first = !n->producer_id_line;

    if (n->producer_id_next < n->producer_id_end) {
        done(user, n->producer_id_next++);
        return;
    }
    w = calloc(1, sizeof *w);
    if (!w) {
        done(user, -1);
        return;
    }
    *w = (struct producer_id_wait){n->producer_id_line, done, user};
    n->producer_id_line = w;
    if (!first)
        return;
    allocate_producer_ids_request_init(&req);
    req.broker_id = n->id;
    req.broker_epoch = n->broker_epoch;
    node_call(n, n->controller_id, WIRE_ALLOCATE_PRODUCER_IDS, 0, &req, on_block, n);
}
