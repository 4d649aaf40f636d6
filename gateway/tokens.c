/* SPDX-License-Identifier: Apache-2.0
 * Delegation tokens are not served: the answer is the one Kafka gives when delegation.token.secret.key is not set. */
#include "gateway/handlers.h"

void handle_no_delegation_tokens(struct pending *p)
{
    const struct wire_struct *body = p->api->response->body;
    uint8_t *response = wire_struct_new(body, &p->arena);

    if (!response) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (size_t i = 0; i < body->field_count; i++)
        if (strcmp(body->fields[i].name, "ErrorCode") == 0)
            *(int16_t *)(void *)(response + body->fields[i].offset) = ERR_DELEGATION_TOKEN_AUTH_DISABLED;
    pending_answer(p, response);
}
