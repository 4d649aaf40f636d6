/* SPDX-License-Identifier: Apache-2.0
 * Delegation tokens are not served: the answer is the one Kafka gives when delegation.token.secret.key is not set. */
#include "gateway/api/steps.h"

enum step delegation_tokens_answer(struct request *r)
{
    return request_refuse(r, ERR_DELEGATION_TOKEN_AUTH_DISABLED);
}
