/* SPDX-License-Identifier: Apache-2.0
 * ConsumerGroupHeartbeat (KIP-848): READ on the group, DESCRIBE on each topic that is named, as Kafka. A pattern stays
 * here: it is resolved over the topics that the member may describe, and names go on, again whenever topics or rules
 * have changed (filter/regex_members.h). The work is done in slices, over a list of topics that node_watch.c keeps.
 *
 * On the way back, what the member may not describe is taken out of its assignment: another member of the group may
 * have named it, or the right went since. An id without a name is a topic that was deleted meanwhile: a node's
 * coordinator assigns only what the node's own Metadata, which is asked for the name, already knows. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/subscriptions.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"
#include "gateway/request/ids.h"
#include "gateway/request/topic_names.h"
#include "wire/consumer_group_heartbeat.h"

#include <assert.h>

#define REJOIN_WORDS "The gateway has not heard what this member subscribes to: join again."

enum {
    REGEX_SINCE = 1,
    STEPS_OF_A_UNIT = 64, /* of matching, for one unit of a request's slice */
    NOT_SAID = -1         /* RebalanceTimeoutMs that did not change */
};

struct heartbeat {
    int32_t judged; /* names */
    bool planned, told;
    enum regex_plan plan;
    struct regex_heartbeat said;
    struct regex_resolution resolution; /* with REGEX_RESOLVE, until the names are in the request */
    struct regex_ticket ticket;
    struct topic_list *topics;
    struct ids ids; /* of the assignment */
    bool ids_begun;
    int32_t at, kept; /* in the assignment */
};

static bool may_describe(void *request, struct slice topic)
{
    return request_decide(request, ACL_TOPIC, ACL_DESCRIBE, topic, false) == ERR_OK;
}

static void release(void *p)
{
    struct heartbeat *s = p;

    regex_resolution_free(&s->resolution);
    topic_list_unref(s->topics);
    s->topics = NULL;
}

/* ---- Going ---- */

static enum step refuse(struct request *r, enum err err, struct slice words)
{
    struct consumer_group_heartbeat_response *resp = arena_alloc(&r->arena, sizeof *resp);

    if (!resp)
        return request_no_memory(r);
    consumer_group_heartbeat_response_init(resp);
    resp->error_code = err_kafka(err);
    resp->error_message = words;
    return request_reply(r, resp);
}

/* In Kafka's words where it has some. */
static enum step refuse_pattern(struct request *r, enum err err, const struct reason *why)
{
    const struct consumer_group_heartbeat_request *req = r->body;
    struct slice words;
    struct buf text;

    if (err == ERR_NO_MEMORY)
        return request_no_memory(r);
    if (err != ERR_INVALID_REGULAR_EXPRESSION || slice_is_null(req->subscribed_topic_regex))
        return refuse(r, err, request_words(r, err, why));
    buf_init(&text, 0);
    buf_put_str(&text, "SubscribedTopicRegex `");
    buf_put_slice(&text, req->subscribed_topic_regex);
    buf_put_str(&text, "` is not a valid regular expression: ");
    buf_put_str(&text, why->text);
    buf_put_str(&text, ".");
    words = buf_error(&text) ? SLICE_NULL : arena_copy(&r->arena, buf_slice(&text));
    buf_free(&text);
    return slice_is_null(words) ? request_no_memory(r) : refuse(r, err, words);
}

static enum step judge_names(struct request *r, struct heartbeat *s)
{
    const struct consumer_group_heartbeat_request *req = r->body;

    while (s->judged < req->subscribed_topic_names.n) {
        if (request_judge(r, ACL_TOPIC, ACL_DESCRIBE, req->subscribed_topic_names.v[s->judged], false))
            return refuse(r, ERR_TOPIC_AUTHORIZATION_FAILED, SLICE_NULL);
        s->judged++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

/* What is told in place of the pattern. */
static enum step send_names(struct request *r, struct heartbeat *s)
{
    struct consumer_group_heartbeat_request *req = r->body;
    int32_t n = s->resolution.names.n;
    struct slice *v = arena_array(&r->arena, (size_t)n, sizeof *v);

    if (!v)
        return request_no_memory(r);
    for (int32_t i = 0; i < n; i++) { /* into the request's memory, which its budget counts */
        v[i] = arena_copy(&r->arena, s->resolution.names.v[i]);
        if (slice_is_null(v[i]))
            return request_no_memory(r);
    }
    request_spent(r, n);
    req->subscribed_topic_names = (struct wire_string_array){v, n};
    req->subscribed_topic_regex = slice_of("", 0); /* one that the cluster got by another way ends here */
    r->changed = true;
    release(s);
    return STEP_NEXT;
}

static enum step resolve(struct request *r, struct heartbeat *s)
{
    uint64_t before = s->resolution.steps, slice = (uint64_t)(r->left > 0 ? r->left : 1) * STEPS_OF_A_UNIT;
    struct reason why = {0};
    enum regex_progress p;

    if (!s->topics)
        return refuse(r, ERR_COORDINATOR_LOAD_IN_PROGRESS,
                      slice_str("The gateway has not read the cluster's topics yet."));
    p = regex_resolution_step(&s->resolution, s->topics->v, s->topics->n, may_describe, r, slice, &why);
    request_spent(r, (int32_t)((s->resolution.steps - before) / STEPS_OF_A_UNIT));
    switch (p) {
    case REGEX_DONE:
        return send_names(r, s);
    case REGEX_AGAIN:
        return STEP_AGAIN;
    case REGEX_FAILED:
        break;
    }
    return refuse_pattern(r, why.code, &why);
}

static enum step plan(struct request *r, struct heartbeat *s)
{
    const struct consumer_group_heartbeat_request *req = r->body;
    struct reason why = {0};
    enum err err;

    s->planned = true;
    s->said = (struct regex_heartbeat){.group = req->group_id,
                                       .member = req->member_id,
                                       .principal = request_peer(r)->principal,
                                       .epoch = req->member_epoch,
                                       .says_all = req->rebalance_timeout_ms != NOT_SAID,
                                       .names = req->subscribed_topic_names,
                                       .regex = req->subscribed_topic_regex};
    err = subscriptions_heartbeat(r->engine->subscriptions, &s->said, r->engine->view->rules,
                                  (uint64_t)r->engine->now_ms, &s->plan, &s->resolution, &s->topics, &why);
    if (err)
        return refuse_pattern(r, err, &why);
    s->ticket = s->resolution.ticket;
    if (s->plan == REGEX_REJOIN && !slice_is_null(req->subscribed_topic_regex))
        return refuse(r, ERR_FENCED_MEMBER_EPOCH, slice_str(REJOIN_WORDS));
    return STEP_NEXT;
}

enum step consumer_group_heartbeat_start(struct request *r)
{
    struct heartbeat *s = r->state[FILTER_API];
    enum step step;

    if (!s) {
        s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);
        if (!s || !request_own(r, s, release))
            return request_no_memory(r);
    }
    step = judge_names(r, s);
    if (step == STEP_NEXT && !s->planned && r->version >= REGEX_SINCE)
        step = plan(r, s);
    if (step == STEP_NEXT && s->plan == REGEX_RESOLVE)
        step = resolve(r, s);
    return step;
}

/* ---- Coming ---- */

/* NEXT: `assignment` has names for all that has one. */
static enum step learn_names(struct request *r, struct heartbeat *s, const void *assignment)
{
    const struct wire_struct *body = r->api->response->body;

    for (size_t i = 0; !s->ids_begun && i < body->field_count; i++)
        if (strcmp(body->fields[i].name, "Assignment") == 0)
            s->ids_begun = ids_begin(&s->ids, body->fields[i].body, r->version);
    assert(s->ids_begun);
    return ids_resolve(r, &s->ids, assignment);
}

static enum step strip(struct request *r, struct heartbeat *s,
                       struct consumer_group_heartbeat_response_topic_partitions_array *topics)
{
    while (s->at < topics->n) {
        struct consumer_group_heartbeat_response_topic_partitions t = topics->v[s->at++];
        struct slice name = topic_names_find(r->engine->topics, &t.topic_id);

        if (!slice_is_null(name) && may_describe(r, name))
            topics->v[s->kept++] = t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (topics->n > 0)
        topics->n = s->kept;
    return STEP_NEXT;
}

/* The cluster knows the member; what it subscribed to, nobody here does. */
static void ask_to_rejoin(struct consumer_group_heartbeat_response *resp)
{
    resp->error_code = err_kafka(ERR_FENCED_MEMBER_EPOCH);
    resp->error_message = slice_str(REJOIN_WORDS);
    resp->member_epoch = 0;
    resp->assignment = NULL;
}

enum step consumer_group_heartbeat_finish(struct request *r)
{
    struct consumer_group_heartbeat_response *resp = r->response;
    struct heartbeat *s = r->state[FILTER_API];
    enum step step;

    if (!r->forwarded)
        return STEP_NEXT; /* answered here */
    if (!s->told) {
        s->told = true;
        if (s->plan == REGEX_RESOLVE)
            subscriptions_answered(r->engine->subscriptions, &s->said, s->ticket, (enum err)resp->error_code);
        if (s->plan == REGEX_REJOIN && !resp->error_code)
            ask_to_rejoin(resp);
    }
    if (!resp->assignment)
        return STEP_NEXT;
    step = learn_names(r, s, resp->assignment);
    return step == STEP_NEXT ? strip(r, s, &resp->assignment->topic_partitions) : step;
}
