/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_AUDIT_H
#define CASTELLAN_GATEWAY_AUDIT_H

#include "core/ledger/audit_log.h"
#include "gateway/knowledge.h"

/* What the gateway tells the audit: logins that failed, and changes of rules, users, limits and policies, one record
 * for each part of a change. */

/* `user`: null unless there is such a user. `operation`: "SaslAuthenticate SCRAM-SHA-512". */
void gateway_audit_login(struct audit_log *log, struct slice user, struct slice host, const char *operation,
                         const char *reason);

/* The words of a change, kept until its outcome is known. NULL when there is no audit (or no memory: then the change is
 * made all the same, and the log says that its record is missing). */
struct audited_change;
struct audited_change *gateway_audit_prepare(struct audit_log *log, struct slice principal, struct slice host,
                                             const char *operation, const struct knowledge_change *c);
/* Writes the records, frees `a` (NULL is fine) and calls done(ctx), which may be NULL, when they are safe. */
void gateway_audit_change(struct audit_log *log, struct audited_change *a, enum err outcome, void (*done)(void *ctx),
                          void *ctx);

#endif
