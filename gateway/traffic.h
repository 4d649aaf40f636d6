/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TRAFFIC_H
#define CASTELLAN_GATEWAY_TRAFFIC_H

#include "gateway/session.h"

/* Quotas (acl/quota.h) at work: record what a request used; its answer's throttle time, and the muting that follows,
 * is the longest of all (KIP-219). */
void traffic_record(struct pending *p, enum quota_key key, double value);

#endif
