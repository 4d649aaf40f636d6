/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JWKS_H
#define CASTELLAN_REGISTRY_JWKS_H

#include "acl/jwt.h"

/* Where the public keys of bearer tokens come from: a JWKS document in a file or behind an HTTPS URL, read by a thread
 * of its own, never by a request. It is read once at start (a failure is an error that names it), then every
 * refresh_ms, and sooner when a token named a key that is not there. While it cannot be read the keys at hand stay, and
 * it is tried again from retry_ms on, doubling up to retry_ms_max. Thread-safe. */
struct jwks;

struct jwks_config {
    const char *url;        /* file:/PATH, file:///PATH or https://... */
    const char *truststore; /* PEM: whom to trust behind https; NULL: the system's authorities */
    int64_t refresh_ms, retry_ms, retry_ms_max;
    int64_t ask_ms_min; /* unknown keys lead to a reading at most this often */
};

enum { JWKS_FETCH_TIMEOUT_S = 10 };

enum err jwks_open(struct jwks **out, const struct jwks_config *config, struct reason *why) MUST_CHECK;
void jwks_close(struct jwks *j); /* NULL is fine */
/* One reference for the caller. *generation changes when the keys do. */
struct jwt_keys *jwks_keys(struct jwks *j, uint64_t *generation);
uint64_t jwks_generation(struct jwks *j);
/* A token named an unknown key: look again soon. Returns at once. */
void jwks_ask(struct jwks *j);

#endif
