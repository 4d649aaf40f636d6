/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_PARKED_H
#define CASTELLAN_GATEWAY_PARKED_H

struct accepted;
struct entrance;
struct worker;

/* A connection came: a session begins at once, or when it is the address's turn. On the worker's thread. */
void parked_let_in(struct worker *w, struct entrance *e, int place, struct accepted a);
void parked_send_away(struct worker *w); /* whoever still waits; the worker stops */

#endif
