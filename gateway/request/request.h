/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REQUEST_H
#define CASTELLAN_GATEWAY_REQUEST_H

#include "acl/acl.h"
#include "core/net/conn.h"
#include "gateway/request/request_life.h"

/* What filters and API steps may do with a request (request_data.h). */

const struct peer *request_peer(const struct request *r);

/* One decision about a name in this request: ERR_OK, or what to answer. Rules and the table of reserved names
 * (gateway/reserved.h). A refusal is counted, and now and then logged. `by_cluster`: a right on the cluster, asked
 * before, stands in for the one on the name. */
enum err request_judge(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                       bool by_cluster) MUST_CHECK;
/* The same, not counted: for what is left out of a list, and for rights that may be absent without a refusal. */
enum err request_decide(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                        bool by_cluster) MUST_CHECK;
/* As yes or no, where no API makes a difference, and not counted: for lists that are filtered, and rights that are one
 * of several ways. */
bool request_sees(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name);
bool request_may_cluster(const struct request *r, enum acl_operation op); /* counted */
bool request_is_super_user(const struct request *r);
bool request_sees_cluster(const struct request *r, enum acl_operation op); /* not counted */
/* May it do this on any topic at all (KIP-679)? */
bool request_may_any_topic(const struct request *r, enum acl_operation op);
/* The bits of the operations it may do (KIP-430), for *_authorized_operations. */
int32_t request_operations(const struct request *r, enum acl_type type, struct slice name);
enum { OPERATIONS_ABSENT = INT32_MIN };

/* The answer is this struct (in the arena). Returns STEP_DONE. */
enum step request_reply(struct request *r, void *response);
/* The answer with `err` wherever Kafka's own answer to this request would have it. Returns STEP_DONE or STEP_FAIL; or
 * STEP_AGAIN, and the step is not called again: the engine goes on with the answer. */
enum step request_refuse(struct request *r, enum err err);
enum step request_go_on_refusing(struct request *r); /* for the engine */
/* There is no answer (acks=0). Returns STEP_DONE. */
enum step request_silent(struct request *r);
/* The connection must end: the peer broke the protocol, memory ran out, the cluster is lost. Returns STEP_FAIL. */
enum step request_end(struct request *r, enum conn_close why, const char *detail);
enum step request_no_memory(struct request *r);

/* Ask the cluster on this request's behalf. STEP_WAIT, and when the step is called again r->call has the answer. */
enum step request_ask(struct request *r, int16_t api_key, int16_t version, const void *message);
/* Send the request itself: as it came, or r->body encoded when it was changed. */
enum step request_forward(struct request *r);
/* The question asked was answered: take the answer's body. It lives as long as the request. */
struct slice request_call_body(const struct request *r);

/* Something outside of the engine is under way for this request; request_wake() must follow exactly once, from the
 * worker's thread. It may come before the step that called this returns. */
void request_wait(struct request *r);
void request_wake(struct request *r);
/* What a text says, kept as long as the request; the error's own text when there are no words. */
struct slice request_words(struct request *r, enum err err, const struct reason *why);

#endif
