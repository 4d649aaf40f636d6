/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_NODE_CHOICE_H
#define CASTELLAN_GATEWAY_NODE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of the health of the nodes behind, and which of them a request goes to. Pure: questions and answers are
 * told with the time; nothing here asks. */
enum node_state {
    NODE_UNKNOWN, /* never heard of */
    NODE_ANSWERS,
    NODE_SILENT, /* it cannot be reached, or a question waits for longer than NODE_SILENT_MS */
};

enum { NODE_SILENT_MS = 2000, NODE_PLACES_MAX = 64 };

struct node_health {
    enum node_state state;
    int64_t since_ms; /* in this state */
    int64_t asked_ms; /* the oldest question without an answer; meaningless unless `waiting` */
    bool waiting;
};

/* Each returns whether the state changed. */
bool node_health_asked(struct node_health *h, int64_t now_ms); /* a question went out */
bool node_health_answered(struct node_health *h, int64_t now_ms);
bool node_health_lost(struct node_health *h, int64_t now_ms); /* no connection */
bool node_health_look(struct node_health *h, int64_t now_ms); /* time passed */

/* Where a request may be answered. */
enum request_class {
    REQUEST_THIS_NODE, /* by the node it was sent to: leaders, coordinators */
    REQUEST_ANY_NODE,  /* by any, and asking again elsewhere does no harm */
    REQUEST_ANY_ONCE,  /* by any, but never twice: it changes something */
};
enum request_class node_choice_class(int16_t api_key);

struct node_wish {
    enum request_class class;
    int own;        /* the place the client's port stands for; -1: the bootstrap port */
    int start;      /* where to begin when any will do, so that load is spread */
    uint64_t tried; /* bits of places that were tried in vain */
};
/* The place to use; -1: none is left. `silent` has the bit of each place whose node is silent, `known` of each that has
 * one. Silent nodes come last: one of them may be back. */
int node_choice(const struct node_wish *w, uint64_t known, uint64_t silent);

#endif
