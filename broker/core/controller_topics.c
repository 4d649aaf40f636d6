/* SPDX-License-Identifier: Apache-2.0
 * The controller's decisions about topics: create, delete, add partitions. A request names many topics; each is judged
 * alone and answered in its place. Until partitions replicate, a replication factor above 1 is refused in so many
 * words; placement already works on replica lists. */
#include "broker/core/controller.h"
#include "broker/core/topic_config.h"

#include <stdio.h>

static struct slice text_of(const struct controller_call *call, const struct reason *why)
{
    return arena_copy(call->arena, slice_str(why->text));
}

bool topic_name_is_valid(struct slice name)
{
    if (name.n == 0 || name.n > TOPIC_NAME_MAX || slice_eq_str(name, ".") || slice_eq_str(name, ".."))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

static enum err check_name(const struct controller *c, struct slice name, struct reason *why)
{
    char folded[TOPIC_NAME_MAX + 1];

    if (slice_eq_str(name, METADATA_TOPIC))
        return reason_set(why, ERR_INVALID_REQUEST, "Creation of internal topic %s is prohibited.", METADATA_TOPIC);
    if (name.n == 0)
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: the empty string is not allowed");
    if (slice_eq_str(name, ".") || slice_eq_str(name, ".."))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '%.*s' is not allowed",
                          SLICE_FMT(name));
    if (name.n > TOPIC_NAME_MAX)
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                          "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
                          SLICE_FMT(name), TOPIC_NAME_MAX);
    if (!topic_name_is_valid(name))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                          "Topic name is invalid: '%.*s' contains one or more characters other than ASCII "
                          "alphanumerics, '.', '_' and '-'",
                          SLICE_FMT(name));
    if (image_topic(c->image, name))
        return reason_set(why, ERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.", SLICE_FMT(name));
    /* metric names fold '.' to '_', so Kafka refuses names that differ only there */
    if (!memchr(name.p, '.', name.n) && !memchr(name.p, '_', name.n))
        return ERR_OK;
    for (size_t i = 0; i < name.n; i++)
        folded[i] = name.p[i] == '.' ? '_' : (char)name.p[i];
    for (const struct map_entry *e = map_first(&c->image->topics); e; e = map_next(&c->image->topics, e)) {
        size_t same = 0;
        while (same < name.n && e->key_n == name.n && (e->key[same] == '.' ? '_' : (char)e->key[same]) == folded[same])
            same++;
        if (same == name.n)
            return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "Topic '%.*s' collides with existing topic: %s",
                              SLICE_FMT(name), (const char *)e->key);
    }
    return ERR_OK;
}

struct alive {
    int32_t *ids;
    int32_t n;
};

static enum err alive_brokers(const struct controller *c, struct arena *arena, struct alive *out)
{
    out->n = 0;
    out->ids = arena_array(arena, map_count(&c->image->brokers) + 1, sizeof *out->ids);
    if (!out->ids)
        return ERR_NO_MEMORY;
    for (const struct map_entry *e = map_first(&c->image->brokers); e; e = map_next(&c->image->brokers, e)) {
        const struct image_broker *b = e->value;
        int32_t at = out->n;
        if (b->fenced)
            continue;
        for (; at > 0 && out->ids[at - 1] > b->id; at--)
            out->ids[at] = out->ids[at - 1];
        out->ids[at] = b->id;
        out->n++;
    }
    return ERR_OK;
}

static enum err check_replication(int32_t factor, const struct alive *alive, struct reason *why)
{
    if (factor < 1)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR,
                          "Replication factor must be larger than 0, or -1 to use the "
                          "default value.");
    if (factor > alive->n)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR,
                          "Unable to replicate the partition %d time(s): only %d broker(s) are registered.",
                          (int)factor, (int)alive->n);
    if (factor > 1)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR,
                          "Replication factor %d: the bundled brokers keep one replica of each partition; use 1 or -1.",
                          (int)factor);
    return ERR_OK;
}

struct placement {
    int32_t **replicas; /* per partition */
    int32_t *counts;
    int32_t partitions;
    int32_t factor;
};

static enum err place_evenly(const struct alive *alive, int32_t first, struct arena *arena, struct placement *p,
                             int32_t start)
{
    p->replicas = arena_array(arena, (size_t)p->partitions, sizeof *p->replicas);
    p->counts = arena_array(arena, (size_t)p->partitions, sizeof *p->counts);
    if (!p->replicas || !p->counts)
        return ERR_NO_MEMORY;
    for (int32_t i = first; i < p->partitions; i++) {
        p->replicas[i] = arena_array(arena, (size_t)p->factor, sizeof **p->replicas);
        if (!p->replicas[i])
            return ERR_NO_MEMORY;
        p->counts[i] = p->factor;
        for (int32_t r = 0; r < p->factor; r++)
            p->replicas[i][r] = alive->ids[(start + i + r) % alive->n];
    }
    return ERR_OK;
}

static enum err check_replica_list(const struct controller *c, const int32_t *ids, int32_t n, int32_t partition,
                                   struct reason *why)
{
    if (n < 1)
        return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The manual partition assignment includes an empty "
                          "replica list for partition %d.",
                          (int)partition);
    for (int32_t i = 0; i < n; i++) {
        if (!image_broker(c->image, ids[i]))
            return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "The manual partition assignment includes broker %d, but no such broker is registered.",
                              (int)ids[i]);
        for (int32_t k = 0; k < i; k++)
            if (ids[k] == ids[i])
                return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                                  "The manual partition assignment includes the broker %d more than once.",
                                  (int)ids[i]);
    }
    return ERR_OK;
}

static enum err place_by_hand(const struct controller *c, const struct create_topics_request_creatable_topic *t,
                              struct arena *arena, struct placement *p, struct reason *why)
{
    enum err err;

    if (t->num_partitions != -1 || t->replication_factor != -1)
        return reason_set(why, ERR_INVALID_REQUEST,
                          "A manual partition assignment was specified, but partitions or replication factor was not "
                          "set to -1.");
    p->partitions = t->assignments.n;
    p->replicas = arena_array(arena, (size_t)p->partitions, sizeof *p->replicas);
    p->counts = arena_array(arena, (size_t)p->partitions, sizeof *p->counts);
    if (!p->replicas || !p->counts)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < t->assignments.n; i++) {
        int32_t index = t->assignments.v[i].partition_index, n = t->assignments.v[i].broker_ids.n;
        if (index < 0 || index >= p->partitions || p->counts[index])
            return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "partitions should be a consecutive 0-based integer sequence");
        err = check_replica_list(c, t->assignments.v[i].broker_ids.v, n, index, why);
        if (err)
            return err;
        if (n > 1)
            return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "%d replicas: the bundled brokers keep one replica of each partition.", (int)n);
        p->replicas[index] = t->assignments.v[i].broker_ids.v;
        p->counts[index] = n;
    }
    p->factor = p->counts[0];
    return ERR_OK;
}

static enum err place(const struct controller *c, const struct create_topics_request_creatable_topic *t,
                      const struct controller_call *call, struct placement *p, struct reason *why)
{
    struct alive alive;
    enum err err = alive_brokers(c, call->arena, &alive);

    if (err)
        return err;
    if (t->assignments.n > 0)
        return place_by_hand(c, t, call->arena, p, why);
    p->partitions = t->num_partitions == -1 ? c->default_partitions : t->num_partitions;
    p->factor = t->replication_factor == -1 ? c->default_replication : t->replication_factor;
    if (p->partitions < 1)
        return reason_set(why, ERR_INVALID_PARTITIONS,
                          "Number of partitions was set to an invalid non-positive value.");
    if (p->partitions > PARTITIONS_PER_TOPIC_MAX)
        return reason_set(why, ERR_INVALID_PARTITIONS, "Number of partitions is over the limit of %d.",
                          PARTITIONS_PER_TOPIC_MAX);
    err = check_replication(p->factor, &alive, why);
    if (err)
        return err;
    return place_evenly(&alive, 0, call->arena, p, (int32_t)(map_count(&c->image->topics) + call->records->count));
}

/* What this request makes besides is counted by its records, so a little too high. */
static enum err check_room(const struct controller *c, int32_t more, const struct controller_call *call,
                           struct reason *why)
{
    if (c->image->partitions + (int64_t)call->records->count + more <= PARTITIONS_PER_CLUSTER_MAX)
        return ERR_OK;
    return reason_set(why, ERR_POLICY_VIOLATION, "The cluster would have more than %d partitions; delete topics first.",
                      PARTITIONS_PER_CLUSTER_MAX);
}

static enum err check_configs(const struct create_topics_request_creatable_topic *t, struct reason *why)
{
    for (int32_t i = 0; i < t->configs.n; i++) {
        enum err err = topic_config_check(t->configs.v[i].name, t->configs.v[i].value, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static void uuid_random(struct env *env, struct wire_uuid *id)
{
    env->random(env, id->b, sizeof id->b);
    id->b[6] = (uint8_t)((id->b[6] & 0x0f) | 0x40);
    id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}

static enum err describe_created(const struct create_topics_request_creatable_topic *t, struct arena *arena,
                                 struct create_topics_response_creatable_topic_result *out)
{
    int32_t n = (int32_t)topic_config_count();

    if (!create_topics_response_creatable_topic_configs_array_alloc(&out->configs, n, arena))
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < n; i++) {
        struct create_topics_response_creatable_topic_configs *o = &out->configs.v[i];
        struct topic_config_row row = topic_config_at((size_t)i);
        o->name = slice_str(row.name);
        o->value = slice_str(row.fallback);
        o->config_source = 5; /* DEFAULT_CONFIG */
        for (int32_t k = 0; k < t->configs.n; k++) {
            if (slice_eq(t->configs.v[k].name, o->name)) {
                o->value = t->configs.v[k].value;
                o->config_source = 1; /* DYNAMIC_TOPIC_CONFIG */
            }
        }
    }
    return ERR_OK;
}

static enum err create_one(const struct controller *c, const struct create_topics_request_creatable_topic *t,
                           bool validate_only, struct create_topics_response_creatable_topic_result *out,
                           const struct controller_call *call, struct reason *why)
{
    struct placement p = {0};
    enum err err;

    if ((err = check_name(c, t->name, why)) || (err = place(c, t, call, &p, why)) ||
        (err = check_room(c, p.partitions, call, why)) || (err = check_configs(t, why)) ||
        (err = describe_created(t, call->arena, out)))
        return err;
    out->num_partitions = p.partitions;
    out->replication_factor = (int16_t)p.factor;
    uuid_random(call->env, &out->topic_id); /* as in Kafka, though nobody ever finds it when nothing is made */
    if (validate_only)
        return ERR_OK;
    record_put_topic(call->records, t->name, &out->topic_id);
    for (int32_t i = 0; i < t->configs.n; i++)
        record_put_config(call->records, CONFIG_RESOURCE_TOPIC, t->name, t->configs.v[i].name, t->configs.v[i].value);
    for (int32_t i = 0; i < p.partitions; i++)
        record_put_partition(call->records, &out->topic_id, i, p.replicas[i], p.counts[i], p.replicas[i][0], 0);
    return ERR_OK;
}

/* Who is named how often: times[i] for the first that has a name, 0 for those that repeat it. NULL: no memory. */
static int32_t *count_names(struct arena *arena, const void *first, size_t stride, int32_t n)
{
    int32_t *times = arena_array(arena, (size_t)n, sizeof *times);
    struct map seen;
    enum err err = times ? ERR_OK : ERR_NO_MEMORY;

    map_init(&seen);
    for (int32_t i = 0; !err && i < n; i++) {
        const struct slice *name = (const void *)((const uint8_t *)first + (size_t)i * stride);
        int32_t *known = map_get(&seen, *name);
        if (known)
            ++*known;
        else
            err = map_put(&seen, *name, &times[i], NULL);
        times[i] = !known;
    }
    map_free(&seen, NULL);
    return err ? NULL : times;
}

enum err controller_create_topics(struct controller *c, const struct create_topics_request *req,
                                  struct create_topics_response *resp, const struct controller_call *call)
{
    int32_t *times =
        count_names(call->arena, req->topics.n ? &req->topics.v->name : NULL, sizeof *req->topics.v, req->topics.n);

    create_topics_response_init(resp);
    resp->topics.v = arena_array(call->arena, (size_t)req->topics.n, sizeof *resp->topics.v);
    if (!resp->topics.v || !times)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < req->topics.n; i++) {
        struct create_topics_response_creatable_topic_result *out = &resp->topics.v[resp->topics.n];
        struct reason why = {0};
        enum err err;

        if (times[i] == 0) /* a name is answered once */
            continue;
        resp->topics.n++;
        create_topics_response_creatable_topic_result_init(out);
        out->name = req->topics.v[i].name;
        out->error_message = SLICE_NULL;
        if (times[i] > 1)
            err = reason_set(&why, ERR_INVALID_REQUEST, "Duplicate topic name.");
        else
            err = create_one(c, &req->topics.v[i], req->validate_only, out, call, &why);
        if (!err)
            continue;
        out->error_code = err_kafka(err);
        out->error_message = why.code ? text_of(call, &why) : slice_str(err_text(err));
        out->num_partitions = -1;
        out->replication_factor = -1;
        out->configs.n = 0;
    }
    return record_list_error(call->records);
}

static enum err add_partitions(const struct controller *c,
                               const struct create_partitions_request_create_partitions_topic *t, bool validate_only,
                               const struct controller_call *call, struct reason *why)
{
    const struct image_topic *topic = image_topic(c->image, t->name);
    struct placement p = {.partitions = t->count};
    struct alive alive;
    enum err err = alive_brokers(c, call->arena, &alive);

    if (err)
        return err;
    if (!topic)
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (t->count == topic->partition_count)
        return reason_set(why, ERR_INVALID_PARTITIONS, "Topic already has %d partition(s).", (int)t->count);
    if (t->count < topic->partition_count)
        return reason_set(why, ERR_INVALID_PARTITIONS,
                          "The topic %s currently has %d partition(s); %d would not be an increase.", topic->name,
                          (int)topic->partition_count, (int)t->count);
    if (t->count > PARTITIONS_PER_TOPIC_MAX)
        return reason_set(why, ERR_INVALID_PARTITIONS, "Number of partitions is over the limit of %d.",
                          PARTITIONS_PER_TOPIC_MAX);
    err = check_room(c, t->count - topic->partition_count, call, why);
    if (err)
        return err;
    p.factor = topic->partitions[0].replica_count;
    if (alive.n < 1)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR, "no broker is available");
    err = place_evenly(&alive, topic->partition_count, call->arena, &p, topic->partitions[0].replicas[0]);
    if (err)
        return err;
    if (t->assignments.n >= 0) {
        if (t->assignments.n != t->count - topic->partition_count)
            return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
                              (int)(t->count - topic->partition_count), (int)t->assignments.n);
        for (int32_t i = 0; i < t->assignments.n; i++) {
            int32_t at = topic->partition_count + i;
            err = check_replica_list(c, t->assignments.v[i].broker_ids.v, t->assignments.v[i].broker_ids.n, at, why);
            if (err)
                return err;
            p.replicas[at] = t->assignments.v[i].broker_ids.v;
            p.counts[at] = t->assignments.v[i].broker_ids.n;
            if (p.counts[at] > 1)
                return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                                  "the bundled brokers keep one replica of each partition");
        }
    }
    for (int32_t i = topic->partition_count; !validate_only && i < t->count; i++)
        record_put_partition(call->records, &topic->id, i, p.replicas[i], p.counts[i], p.replicas[i][0], 0);
    return ERR_OK;
}

enum err controller_create_partitions(struct controller *c, const struct create_partitions_request *req,
                                      struct create_partitions_response *resp, const struct controller_call *call)
{
    int32_t *times =
        count_names(call->arena, req->topics.n ? &req->topics.v->name : NULL, sizeof *req->topics.v, req->topics.n);

    create_partitions_response_init(resp);
    resp->results.v = arena_array(call->arena, (size_t)req->topics.n, sizeof *resp->results.v);
    if (!resp->results.v || !times)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < req->topics.n; i++) {
        struct create_partitions_response_create_partitions_topic_result *out = &resp->results.v[resp->results.n];
        struct reason why = {0};
        enum err err;

        if (times[i] == 0)
            continue;
        resp->results.n++;
        create_partitions_response_create_partitions_topic_result_init(out);
        out->name = req->topics.v[i].name;
        if (times[i] > 1)
            err = reason_set(&why, ERR_INVALID_REQUEST, "Duplicate topic name.");
        else
            err = add_partitions(c, &req->topics.v[i], req->validate_only, call, &why);
        out->error_code = err_kafka(err);
        out->error_message = why.code ? text_of(call, &why) : SLICE_NULL;
    }
    return record_list_error(call->records);
}
