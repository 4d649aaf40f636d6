/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ADMIN_HTTP_H
#define CASTELLAN_GATEWAY_ADMIN_HTTP_H

#include "core/base/err.h"
#include "core/base/settings.h"

/* The administrators' side over HTTPS, on threads of its own: metrics, health, policies, forgetting, receipts, status,
 * a page to look at. docs/admin-api.md says what may be asked and by whom.
 *
 * Settings are read from gateway->settings: castellan.admin.listener, castellan.registry.url and .ca (default:
 * ssl.truststore.location), castellan.keyd.socket. TLS is the gateway's own (ssl.keystore.location). */
struct gateway;
struct admin_http;

/* Without castellan.admin.listener nothing is started: *out is NULL and the result ERR_OK. Call when the gateway's
 * knowledge is open (it need not be ready). A port in use is ERR_ADDRESS_IN_USE with host:port in the words. */
enum err admin_http_start(struct admin_http **out, struct gateway *g, struct reason *why) MUST_CHECK;
void admin_http_stop(struct admin_http *a); /* waits for requests in flight; NULL is fine */
/* An address served: "https://127.0.0.1:8443"; NULL past the end. For tests and the log. */
const char *admin_http_address(const struct admin_http *a, int i);

#endif
