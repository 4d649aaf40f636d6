/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REFUSAL_H
#define CASTELLAN_GATEWAY_REFUSAL_H

#include "core/wire/message.h"

/* The answer to a request that is refused as a whole: `err` everywhere Kafka's clients look for it, item by item where
 * the answer has items, as Kafka's own requests make it (AbstractRequest.getErrorResponse). Its words are err_text().
 * Pure.
 *
 * `request` is the decoded request of that API and version, or NULL (ApiVersions of an unknown version), `response` a
 * fresh struct of its response (wire_struct_new). Strings of the answer are the request's; arrays come from the arena.
 * ERR_UNSUPPORTED: the API is not the gateway's (refusal_is_known). Produce with acks=0 has no answer at all: that is
 * the caller's to know. */
enum err refusal_build(const struct wire_api *api, int16_t version, const void *request, enum err err, struct arena *a,
                       void *response) MUST_CHECK;
bool refusal_is_known(int16_t api_key);
/* For a test: the first name in the table that is no field of its message, or NULL. */
const char *refusal_check_table(void);

#endif
