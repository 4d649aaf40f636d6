/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_IDS_H
#define CASTELLAN_GATEWAY_IDS_H

#include "gateway/request/request.h"

/* The topic ids in a message (KIP-516), and learning the names of those that are not known: rights are about names. The
 * cluster is asked in portions; ids it does not know stay unknown. */
enum { IDS_ASKED_AT_ONCE = 1000 };

struct metadata_request_metadata_request_topic;

struct ids {
    const struct wire_field *outer, *inner, *id; /* inner NULL: the id stands in the outer array's struct */
    int32_t i, k;
    bool asking;
    struct metadata_request_metadata_request_topic *asked; /* IDS_ASKED_AT_ONCE, used again for each question */
};

bool ids_begin(struct ids *s, const struct wire_struct *body, int16_t version); /* false: there can be none */
/* NEXT when every name is known, or known to be unknown. */
enum step ids_resolve(struct request *r, struct ids *s, const void *message);

#endif
