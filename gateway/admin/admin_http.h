/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ADMIN_HTTP_H
#define CASTELLAN_GATEWAY_ADMIN_HTTP_H

#include "core/base/err.h"
#include "core/base/settings.h"

/* The administrators' side over HTTPS, on threads of its own: metrics, health, policies, forgetting, receipts, status,
 * a page to look at.
 *
 *   GET    /metrics                      open; Prometheus text
 *   GET    /health/live                  open; 200 while the process runs
 *   GET    /health/ready                 open; 200 or 503, {"ready", "parts": {NAME: {"ready", "detail"}}}
 *   GET    / and /console                a page; any user
 *   GET    /v1/status                    DESCRIBE on the cluster
 *   GET    /v1/acls/explain?principal=&type=&name=&operation=&host=
 *                                        DESCRIBE on the cluster; {"allowed", "explanation"}
 *   GET    /v1/policies[/TOPIC]          DESCRIBE_CONFIGS on the cluster; {"policies": [...]} or one; ?prefixed=true
 *   PUT    /v1/policies/TOPIC            ALTER on the cluster; {"subject_from", "protect", "erased", and maybe
 *                                        "lineage", "tenant", "class", "suite"}; ?prefixed=true; gives the policy
 *   DELETE /v1/policies/TOPIC            ALTER on the cluster; 204, 404
 *   DELETE /v1/subjects/ID               DELETE on the data subject: forget; gives the receipt's bundle
 *   PUT    /v1/subjects/ID               ALTER on the data subject: reopen
 *   PUT    /v1/holds/ID, DELETE          ALTER on the data subject: legal hold, and its end
 *   GET    /v1/receipts/N                ALTER on the cluster; the bundle
 *
 * A data subject is ID with ?tenant=&class= (both "default" when absent); rights on it: gateway/subject_name.h. Names
 * in paths and queries are bytes, percent-encoded; where a name must be text, %00 in it is 400.
 *
 * Under /v1 and for the page: Basic with the gateway's users. Errors are {"error_code": status, "message"}.
 *
 * Settings are read from gateway->settings: castellan.admin.listener, castellan.registry.url and .ca (default:
 * ssl.truststore.location), castellan.keyd.socket and castellan.keyd.admin.socket. TLS is the gateway's own
 * (ssl.keystore.location). */
struct gateway;
struct admin_http;

/* Without castellan.admin.listener nothing is started: *out is NULL and the result ERR_OK. Call when the gateway's
 * knowledge is open (it need not be ready). A port in use is ERR_ADDRESS_IN_USE with host:port in the words. */
enum err admin_http_start(struct admin_http **out, struct gateway *g, struct reason *why) MUST_CHECK;
void admin_http_stop(struct admin_http *a); /* waits for requests in flight; NULL is fine */

#endif
