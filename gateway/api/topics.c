/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics and DeleteTopics: what Kafka checks about the list as a whole, and rights, is topic_fates.h's; a right
 * on the cluster stands in for the one on a topic that is to be made. The answer tells a new topic's configuration to
 * those who may DESCRIBE_CONFIGS on it (KIP-525). DeleteRecords: what a refused partition says. */
#include "core/base/map.h"
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

enum { CONFIGS_SINCE = 5, EXISTING_VERSION = 12, INVALID_LOW_WATERMARK = -1, ELECTION_PREFERRED = 0 };

struct topics {
    struct topic_fate *fates; /* one for each topic of the request, in its order */
    bool by_cluster;          /* the right on the cluster is there */
    bool asked;               /* which of the refused exist */
    int32_t at;               /* in the answer */
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

static enum step settle(struct request *r, const struct topics *s)
{
    struct request_list *l = r->list;

    for (int32_t i = 0; i < l->n; i++) {
        if (s->fates[i].silent)
            list_set_silent(l, i);
        else if (s->fates[i].err)
            list_refuse(l, i, s->fates[i].err);
    }
    request_spent(r, l->n);
    return l->n > 0 && l->refused == l->n ? list_answer(r) : STEP_NEXT;
}

/* ---- CreateTopics ---- */

enum step create_topics_start(struct request *r)
{
    struct topic_rights rights = {r, may_create, may_describe, name_of};
    struct topics *s = begin(r, ACL_CREATE);

    if (!s || topic_fates_create(&s->fates, r->body, &rights, &r->arena))
        return request_no_memory(r);
    return settle(r, s);
}

void create_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    const struct topic_fate *f = &((const struct topics *)r->state[FILTER_API])->fates[i];
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
            t->configs.n = -1;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    r->engine->ops->topics_changed(r->engine); /* it may have existed before, with another configuration */
    return STEP_NEXT;
}

/* ---- DeleteTopics ---- */

/* Whom may describe a topic is told that it does not exist, before that it may not be deleted. Not knowing, they stay
 * refused. */
static enum step take_existing(struct request *r, struct topics *s)
{
    struct metadata_response *resp = arena_alloc(&r->arena, sizeof *resp);
    enum err err = resp ? r->call.err : ERR_NO_MEMORY;
    struct cursor c;
    struct map missing;

    map_init(&missing);
    if (!err) {
        c = cursor_of(request_call_body(r));
        err = metadata_response_decode(resp, &c, EXISTING_VERSION, &r->arena);
    }
    for (int32_t i = 0; !err && i < resp->topics.n; i++)
        if (resp->topics.v[i].error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION)
            err = map_put(&missing, resp->topics.v[i].name, resp, NULL);
    for (int32_t i = 0; !err && i < r->list->n; i++)
        if (s->fates[i].may_miss && map_has(&missing, s->fates[i].name))
            s->fates[i].err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    map_free(&missing, NULL);
    return settle(r, s);
}

/* WAIT, or NEXT: there is nothing to ask. */
static enum step ask_existing(struct request *r, struct topics *s)
{
    struct metadata_request ask;
    int32_t n = 0;

    for (int32_t i = 0; i < r->list->n; i++)
        n += s->fates[i].may_miss;
    if (n == 0)
        return STEP_NEXT;
    metadata_request_init(&ask);
    if (!metadata_request_metadata_request_topic_array_alloc(&ask.topics, n, &r->arena))
        return request_no_memory(r);
    ask.topics.n = 0;
    for (int32_t i = 0; i < r->list->n; i++)
        if (s->fates[i].may_miss)
            ask.topics.v[ask.topics.n++].name = s->fates[i].name;
    ask.allow_auto_topic_creation = false;
    s->asked = true;
    return request_ask(r, WIRE_METADATA, EXISTING_VERSION, &ask);
}

enum step delete_topics_start(struct request *r)
{
    struct topic_rights rights = {r, may_delete, may_describe, name_of};
    struct topics *s = r->state[FILTER_API];
    enum step step;

    if (s && s->asked)
        return take_existing(r, s);
    s = begin(r, ACL_DELETE);
    if (!s || topic_fates_delete(&s->fates, r->body, &rights, &r->arena))
        return request_no_memory(r);
    step = ask_existing(r, s);
    return step == STEP_NEXT ? settle(r, s) : step;
}

/* By id, the answer shows the name only to whom may describe it. */
void delete_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    const struct topic_fate *f = &((const struct topics *)r->state[FILTER_API])->fates[i];
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
enum err elect_leaders_judge_whole(struct request *r)
{
    const struct elect_leaders_request *req = r->body;

    if (req->topic_partitions.n >= 0 || req->election_type == ELECTION_PREFERRED || request_is_super_user(r))
        return ERR_OK;
    return ERR_CLUSTER_AUTHORIZATION_FAILED;
}
