/* SPDX-License-Identifier: Apache-2.0
 * Delegation tokens are not served: the answer is the one Kafka gives when delegation.token.secret.key is not set. */
#include "gateway/api/steps.h"
#include "gateway/request/request.h"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Owner and requester are who asks. */
static void fill(const struct request *r, const struct wire_field *f, void *at)
{
    if (strcmp(f->name, "ErrorCode") == 0)
        *(int16_t *)at = ERR_DELEGATION_TOKEN_AUTH_DISABLED;
    else if (ends_with(f->name, "PrincipalType"))
        *(struct slice *)at = slice_str("User");
    else if (ends_with(f->name, "PrincipalName"))
        *(struct slice *)at = request_peer(r)->user;
}

enum step delegation_tokens_answer(struct request *r)
{
    const struct wire_struct *body = r->api->response->body;
    uint8_t *response = wire_struct_new(body, &r->arena);

    if (!response)
        return request_no_memory(r);
    for (size_t i = 0; i < body->field_count; i++)
        if (wire_versions_has(body->fields[i].versions, r->version))
            fill(r, &body->fields[i], response + body->fields[i].offset);
    return request_reply(r, response);
}
