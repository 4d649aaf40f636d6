/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_WATCH_H
#define CASTELLAN_REGISTRY_HTTP_WATCH_H

#include "core/base/err.h"

#include <stdint.h>

/* Shuts down connections on which no request is complete in time, counted from the connection's start or its last
 * answer: a client that sends a byte of its headers now and then is never idle, and would keep its place for ever.
 * Thread-safe; one connection's calls come from one thread at a time. */
struct watch;
struct watched;

enum err watch_start(struct watch **out, unsigned limit_ms, struct reason *why) MUST_CHECK;
void watch_stop(struct watch *w); /* NULL is fine; every connection has to be closed before */

/* `fd` stays the caller's and may not be closed before watch_close. NULL (no memory): it goes unwatched. */
struct watched *watch_open(struct watch *w, int fd);
void watch_close(struct watch *w, struct watched *c); /* NULL is fine, here and below */
/* A number of the owner's, 0 at first. */
uint64_t watched_mark(const struct watched *c);
void watched_set_mark(struct watched *c, uint64_t mark);
void watch_busy(struct watched *c);    /* the headers are here */
void watch_waiting(struct watched *c); /* answered: the next request may come */

#endif
