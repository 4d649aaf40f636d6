/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CERTS_CERTS_H
#define CASTELLAN_CERTS_CERTS_H

#include "core/base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Development certificates: a CA of its own and what it signs, all ECDSA P-256, PEM. Generated on first start, never
 * committed. Private keys are written 0600, certificates 0644, each file atomically; existing files are replaced.
 *
 * In folder `dir`, for the name NAME:
 *   certs_make_ca: NAME.pem (certificate), NAME.key
 *   certs_issue:   NAME.pem (the certificate, then the CA's), NAME.key, NAME.keystore.pem (key + chain in one, 0600) */
enum {
    CERTS_CA_DAYS_DEFAULT = 3650,
    CERTS_DAYS_DEFAULT = 825,
    CERTS_BACKDATE_S = 3600, /* of CAs and servers, so that a clock somewhat behind accepts a fresh certificate; a
                                client's begins at once, or it would count as older than its user's deletion */
    CERTS_SANS_MAX = 64,
};

struct certs_request {
    const char *common_name;
    const char *organization; /* NULL: none */
    const char *const *sans;  /* "DNS:localhost", "IP:127.0.0.1"; NULL-terminated; may be NULL */
    bool server, client;      /* extended key usages */
    int days;                 /* 0: CERTS_DAYS_DEFAULT; negative: already expired that many days ago (tests) */
};

/* days 0: CERTS_CA_DAYS_DEFAULT. The CA may sign leaves only (pathlen 0). */
enum err certs_make_ca(const char *dir, const char *name, const char *common_name, int days,
                       struct reason *why) MUST_CHECK;
/* Signed by the CA whose files are ca_dir/ca_name.pem and .key. */
enum err certs_issue(const char *ca_dir, const char *ca_name, const char *dir, const char *name,
                     const struct certs_request *request, struct reason *why) MUST_CHECK;
/* Days until the first certificate of a PEM file ends, rounded down; negative once it is over. */
enum err certs_days_left(const char *path, int *days, struct reason *why) MUST_CHECK;

#endif
