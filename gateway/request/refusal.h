/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REFUSAL_H
#define CASTELLAN_GATEWAY_REFUSAL_H

#include "core/wire/message.h"

/* Kafka's answer to a request that is refused as a whole. */
enum err refusal_build(const struct wire_api *api, int16_t version, const void *request, enum err refused,
                       struct arena *a, void *response) MUST_CHECK;

#endif
