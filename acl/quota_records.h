/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_QUOTA_RECORDS_H
#define CASTELLAN_ACL_QUOTA_RECORDS_H

#include "acl/quota.h"

/* Records of `__castellan_quotas` (JSON, compact, keys sorted), one per entity and key. A part of the entity is a name,
 * or null for the default; a part that is absent is left out:
 *   key    {"entity":{"client-id":null,"user":"alice"},"quota":"producer_byte_rate"}
 *   value  {"value":1048576.0,"version":1}; null: that limit is gone.
 * Unknown fields are ignored; a record that does not parse is foreign: ERR_MALFORMED, skip it. */
enum err quota_record_key(struct buf *out, const struct quota_entity *e, enum quota_key k) MUST_CHECK;
enum err quota_record_value(struct buf *out, double value) MUST_CHECK;
enum err quota_record_apply(struct quota_table *t, struct slice key, struct slice value, struct reason *why) MUST_CHECK;

#endif
