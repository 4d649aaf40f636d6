/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TOPIC_NAMES_H
#define CASTELLAN_GATEWAY_TOPIC_NAMES_H

#include "core/base/map.h"
#include "core/wire/message.h"

/* What topic ids stand for, as one worker has learned it from Metadata answers. An id never changes its name; topics
 * that are gone are forgotten when the memory is full and begins anew. */
enum { TOPIC_NAMES_MAX = 200000 };

struct topic_names {
    struct map by_id; /* 16 bytes -> char * */
};

void topic_names_free(struct topic_names *t);
/* Null: not learned yet. The slice lives until the next topic_names_learn(): copy it to keep it. */
struct slice topic_names_find(const struct topic_names *t, const struct wire_uuid *id);
void topic_names_learn(struct topic_names *t, const struct wire_uuid *id, struct slice name);

#endif
