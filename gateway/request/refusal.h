/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REFUSAL_H
#define CASTELLAN_GATEWAY_REFUSAL_H

#include "core/wire/message.h"
#include "gateway/request/sorting.h"

struct refusal_row;

/* The answer to a request that is refused as a whole: `err` everywhere Kafka's clients look for it, item by item where
 * the answer has items, as Kafka's own requests make it (AbstractRequest.getErrorResponse). Its words are err_text().
 * Pure. A client chooses how many items there are, so it is made in steps. */
struct refusal {
    const struct refusal_row *row;
    const struct wire_api *api;
    int16_t version;
    enum err err;
    const void *request;
    void *response;
    struct arena *arena;
    const struct wire_field *from, *to, *sub_from, *sub_to; /* the lists; NULL: there is none in this version */
    int32_t i, k, m, n;                                     /* where the work stands */
    bool begun;
    struct sorting order;
};
enum refusal_progress { REFUSAL_DONE, REFUSAL_MORE, REFUSAL_NO_MEMORY };

/* `request` is the decoded request of that API and version, or NULL (ApiVersions of an unknown version), `response` a
 * fresh struct of its response (wire_struct_new). Strings of the answer are the request's; arrays come from the arena.
 * ERR_UNSUPPORTED: the API is not the gateway's (refusal_is_known). Produce with acks=0 has no answer at all: that is
 * the caller's to know. */
enum err refusal_begin(struct refusal *f, const struct wire_api *api, int16_t version, const void *request,
                       enum err err, struct arena *a, void *response) MUST_CHECK;
/* Goes on until it is done, or *units are used up: an item is one. */
enum refusal_progress refusal_run(struct refusal *f, int32_t *units) MUST_CHECK;
bool refusal_is_known(int16_t api_key);
/* For a test: the first name in the table that is no field of its message, or NULL. */
const char *refusal_check_table(void);

#endif
