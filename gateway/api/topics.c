/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics and DeleteTopics: what Kafka checks about the list as a whole, and rights, is topic_fates.h's; a right
 * on the cluster stands in for the one on a topic that is to be made. The answer tells a new topic's configuration to
 * those who may DESCRIBE_CONFIGS on it (KIP-525). DeleteRecords: what a refused partition says. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"
#include "gateway/request/topic_names.h"
#include "gateway/api/topic_fates.h"
#include "gateway/request/list.h"
#include "wire/create_topics.h"
#include "wire/delete_records.h"
#include "wire/delete_topics.h"
#include "wire/elect_leaders.h"
#include "wire/metadata.h"

enum {
    CONFIGS_SINCE = 5,
    EXISTING_VERSION = 12,
    EXISTING_AT_ONCE = 1000,
    INVALID_LOW_WATERMARK = -1,
    ELECTION_PREFERRED = 0
};

struct topics {
    struct topic_fates fates;
    bool by_cluster; /* the right on the cluster is there */
    int32_t at;      /* in the list at hand */
    /* DeleteTopics: which of the refused exist */
    bool asking, told;
    struct metadata_request ask; /* EXISTING_AT_ONCE, used again for each question */
    int32_t from;                /* the first fate that the question is about */
};

static enum err judge_change(struct request *r, enum acl_operation op, struct slice topic, const char **text)
{
    const struct topics *s = r->state[FILTER_API];
    const struct reserved_row *row;
    enum err err = request_judge(r, ACL_TOPIC, op, topic, s->by_cluster);

    row = err ? reserved_find(&r->engine->reserved, ACL_TOPIC, topic, op, r->api->key) : NULL;
    if (row && row->text && err == row->answer)
        *text = row->text;
    return err;
}

static enum err may_create(void *ctx, struct slice topic, const char **text)
{
    return judge_change(ctx, ACL_CREATE, topic, text);
}

static enum err may_delete(void *ctx, struct slice topic, const char **text)
{
    return judge_change(ctx, ACL_DELETE, topic, text);
}

static bool may_describe(void *ctx, struct slice topic)
{
    return request_sees(ctx, ACL_TOPIC, ACL_DESCRIBE, topic);
}

static struct slice name_of(void *ctx, const struct wire_uuid *id)
{
    const struct request *r = ctx;
    return topic_names_find(r->engine->topics, id);
}

static struct topics *begin(struct request *r, enum acl_operation op)
{
    struct topics *s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);
    struct shape shape;

    if (!s || !shape_find(r->api, r->version, WIRE_ENTITY_TOPIC_NAME, &shape))
        return NULL;
    s->by_cluster = request_sees_cluster(r, op);
    r->list = list_new(r, &shape);
    if (r->list)
        r->list->texts = true;
    return r->list ? s : NULL;
}

static enum step decide(struct request *r, struct topics *s, const struct topic_rights *rights)
{
    while (topic_fates_next(&s->fates, rights))
        if (request_spent(r, 1))
            return STEP_AGAIN;
    return STEP_NEXT;
}

static enum step settle(struct request *r, struct topics *s)
{
    struct request_list *l = r->list;

    while (s->at < l->n) {
        const struct topic_fate *f = &s->fates.v[s->at];
        if (f->silent)
            list_set_silent(l, s->at);
        else if (f->err)
            list_refuse(l, s->at, f->err);
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->at = 0;
    return l->n > 0 && l->refused == l->n ? list_answer(r) : STEP_NEXT;
}

/* ---- CreateTopics ---- */

enum step create_topics_start(struct request *r)
{
    struct topic_rights rights = {r, may_create, may_describe, name_of};
    struct topics *s = r->state[FILTER_API];
    enum step step;

    if (!s && (!(s = begin(r, ACL_CREATE)) || !topic_fates_create(&s->fates, r->body, &r->arena)))
        return request_no_memory(r);
    step = decide(r, s, &rights);
    return step == STEP_NEXT ? settle(r, s) : step;
}

void create_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    const struct topic_fate *f = &((const struct topics *)r->state[FILTER_API])->fates.v[i];
    struct create_topics_response_creatable_topic_result *t = out;

    (void)note;
    if (f->text)
        t->error_message = slice_str(f->text);
}

enum step create_topics_finish(struct request *r)
{
    struct topics *s = r->state[FILTER_API];
    struct create_topics_response *resp = r->response;

    while (r->version >= CONFIGS_SINCE && s->at < resp->topics.n) {
        struct create_topics_response_creatable_topic_result *t = &resp->topics.v[s->at++];
        if (!t->error_code && !request_sees(r, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, t->name)) {
            t->topic_config_error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
            t->num_partitions = -1;
            t->replication_factor = -1;
            t->configs.n = 0;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    r->engine->ops->topics_changed(r->engine); /* it may have existed before, with another configuration */
    return STEP_NEXT;
}

/* ---- DeleteTopics ---- */

/* Whom may describe a topic is told that it does not exist, before that it may not be deleted. Not knowing, they stay
 * refused. The cluster is asked in portions: a client chooses how many there are. */

static bool add_to_question(struct request *r, struct topics *s, struct slice name)
{
    if (!s->ask.topics.v) {
        metadata_request_init(&s->ask);
        s->ask.allow_auto_topic_creation = false;
        s->ask.topics.v = arena_array(&r->arena, EXISTING_AT_ONCE, sizeof *s->ask.topics.v);
        if (!s->ask.topics.v)
            return false;
    }
    metadata_request_metadata_request_topic_init(&s->ask.topics.v[s->ask.topics.n]);
    s->ask.topics.v[s->ask.topics.n++].name = name;
    return true;
}

/* WAIT or AGAIN; NEXT: there is nothing more to ask. */
static enum step ask_existing(struct request *r, struct topics *s)
{
    while (s->at < s->fates.n && s->ask.topics.n < EXISTING_AT_ONCE) {
        const struct topic_fate *f = &s->fates.v[s->at++];
        if (f->may_miss && !add_to_question(r, s, f->name))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->asking = s->ask.topics.n > 0;
    s->told = !s->asking;
    if (s->asking)
        return request_ask(r, WIRE_METADATA, EXISTING_VERSION, &s->ask);
    s->at = 0;
    return STEP_NEXT;
}

static struct slice answered_at(const void *list, int32_t place)
{
    return ((const struct metadata_response *)list)->topics.v[place].name;
}

static void take_answer(struct topics *s, const struct metadata_response *resp, struct arena *a)
{
    struct seen missing;

    if (!seen_init(&missing, resp->topics.n, answered_at, resp, a))
        return;
    for (int32_t i = 0; i < resp->topics.n; i++)
        if (resp->topics.v[i].error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION)
            (void)seen_put(&missing, i);
    for (int32_t i = s->from; i < s->at; i++)
        if (s->fates.v[i].may_miss && seen_find(&missing, s->fates.v[i].name) >= 0)
            s->fates.v[i].err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* The answer is needed no longer than this. */
static void take_existing(struct request *r, struct topics *s)
{
    struct metadata_response resp;
    struct arena a;
    struct cursor c;

    arena_init(&a, r->arena.max);
    metadata_response_init(&resp);
    if (!r->call.err) {
        c = cursor_of(request_call_body(r));
        if (!metadata_response_decode(&resp, &c, EXISTING_VERSION, &a) && resp.topics.n > 0)
            take_answer(s, &resp, &a);
    }
    arena_free(&a);
    request_spent(r, s->ask.topics.n);
    s->ask.topics.n = 0;
    s->from = s->at;
    s->asking = false;
}

enum step delete_topics_start(struct request *r)
{
    struct topic_rights rights = {r, may_delete, may_describe, name_of};
    struct topics *s = r->state[FILTER_API];
    enum step step;

    if (!s && (!(s = begin(r, ACL_DELETE)) || !topic_fates_delete(&s->fates, r->body, &r->arena)))
        return request_no_memory(r);
    step = decide(r, s, &rights);
    if (step != STEP_NEXT)
        return step;
    if (s->asking)
        take_existing(r, s);
    if (!s->told)
        step = ask_existing(r, s);
    return step == STEP_NEXT ? settle(r, s) : step;
}

/* By id, the answer shows the name only to whom may describe it. */
void delete_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    const struct topic_fate *f = &((const struct topics *)r->state[FILTER_API])->fates.v[i];
    struct delete_topics_response_deletable_topic_result *t = out;

    (void)note;
    t->name = f->name;
    t->topic_id = f->id;
    if (f->text)
        t->error_message = slice_str(f->text);
}

/* ---- DeleteRecords ---- */

void delete_records_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    struct delete_records_response_delete_records_partition_result *p = out;

    (void)r;
    (void)i;
    (void)note;
    p->low_watermark = INVALID_LOW_WATERMARK;
}

/* ---- ElectLeaders ---- */

/* An unclean election may lose what was written. Asked for all partitions at once it would reach reserved topics. */
enum step elect_leaders_judge_whole(struct request *r, enum err *err)
{
    const struct elect_leaders_request *req = r->body;
    bool all = req->topic_partitions.n < 0 && req->election_type != ELECTION_PREFERRED;

    *err = all && !request_is_super_user(r) ? ERR_CLUSTER_AUTHORIZATION_FAILED : ERR_OK;
    return STEP_NEXT;
}
