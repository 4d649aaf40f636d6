/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_AUDIT_H
#define CASTELLAN_REGISTRY_HTTP_AUDIT_H

#include "core/ledger/audit_log.h"
#include "registry/auth.h"

/* What becomes of a request in the audit: credentials that did not let in, rights that were missing, changes (done,
 * refused or failed). Successful reads are not recorded. */
struct http_audited {
    const struct rest_route *route;
    const struct rest_request *rest;
    const struct change *change; /* NULL: a read, or refused before it became a change */
    const struct answer *answer;
    const struct auth_refusal *refusal;
    struct slice principal, host;
};

/* done(ctx) exactly once: when the record is safe, when it need not be waited for, or when there is none. May be NULL.
 */
void http_audit(struct audit_log *log, const struct http_audited *a, void (*done)(void *ctx), void *ctx);

#endif
