/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_ACL_RECORDS_H
#define CASTELLAN_ACL_ACL_RECORDS_H

#include "acl/acl.h"

/* Records of `__castellan_acl` (JSON, compact, keys sorted). The rule is the key, so adding and removing need no
 * reading and compaction keeps exactly the live rules:
 *   key    {"host":"*","name":"orders","operation":"READ","pattern":"LITERAL","permission":"ALLOW",
 *           "principal":"User:alice","type":"TOPIC"}
 *   value  {"version":1}; null: the rule is gone.
 * Unknown fields of the value are ignored; a key that does not parse is a foreign record: ERR_MALFORMED, skip it. */
enum err acl_record_key(struct buf *out, const struct acl_rule *r) MUST_CHECK;
enum err acl_record_value(struct buf *out) MUST_CHECK;
/* One record of the topic into the set. */
enum err acl_record_apply(struct acl_set *s, struct slice key, struct slice value, struct reason *why) MUST_CHECK;

#endif
