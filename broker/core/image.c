/* SPDX-License-Identifier: Apache-2.0
 * Applying metadata records to the image. Every record kind has one function; unknown kinds are refused rather than
 * skipped, because an image that misses a record is wrong in ways nobody sees. Ownership: the image owns everything it
 * holds; strings are copied out of the record. */
#include "broker/core/image.h"
#include "core/base/cursor.h"
#include "wire/metadata_records.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice id_key(uint8_t out[4], int32_t id)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)((uint32_t)id >> (24 - 8 * i));
    return slice_of(out, 4);
}

static void configs_free(void *p)
{
    map_free(p, free);
    free(p);
}

static void topic_free(void *p)
{
    struct image_topic *t = p;
    for (int32_t i = 0; i < t->partition_count; i++) {
        free(t->partitions[i].replicas);
        free(t->partitions[i].isr);
    }
    free(t->partitions);
    free(t->name);
    free(t);
}

void image_init(struct image *m)
{
    *m = (struct image){.applied = -1};
}

void image_free(struct image *m)
{
    map_free(&m->topics, topic_free);
    map_free(&m->topics_by_id, NULL);
    map_free(&m->brokers, free);
    map_free(&m->configs, configs_free);
    image_init(m);
}

const struct image_topic *image_topic(const struct image *m, struct slice name)
{
    return map_get(&m->topics, name);
}

const struct image_topic *image_topic_by_id(const struct image *m, const struct wire_uuid *id)
{
    return map_get(&m->topics_by_id, slice_of(id->b, sizeof id->b));
}

const struct image_broker *image_broker(const struct image *m, int32_t id)
{
    uint8_t key[4];
    return map_get(&m->brokers, id_key(key, id));
}

bool image_broker_alive(const struct image *m, int32_t id)
{
    const struct image_broker *b = image_broker(m, id);
    return b && !b->fenced;
}

static struct slice config_key(char *out, size_t cap, int8_t resource_type, struct slice name)
{
    snprintf(out, cap, "%c%.*s", resource_type == CONFIG_RESOURCE_TOPIC ? 'T' : 'B', SLICE_FMT(name));
    return slice_str(out);
}

const struct map *image_configs(const struct image *m, int8_t resource_type, struct slice name)
{
    char key[300];
    return map_get(&m->configs, config_key(key, sizeof key, resource_type, name));
}

static enum err configs_of(struct image *m, int8_t resource_type, struct slice name, struct map **out)
{
    char text[300];
    struct slice key = config_key(text, sizeof text, resource_type, name);
    enum err err;

    *out = map_get(&m->configs, key);
    if (*out)
        return ERR_OK;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return ERR_NO_MEMORY;
    err = map_put(&m->configs, key, *out, NULL);
    if (err)
        free(*out);
    return err;
}

static enum err apply_topic(struct image *m, const struct topic_record *r)
{
    struct image_topic *t;
    enum err err;

    if (map_has(&m->topics, r->name))
        return ERR_CORRUPT_MESSAGE;
    t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NO_MEMORY;
    t->id = r->topic_id;
    t->name = strndup((const char *)r->name.p, r->name.n);
    err = t->name ? configs_of(m, CONFIG_RESOURCE_TOPIC, r->name, &t->configs) : ERR_NO_MEMORY;
    if (!err)
        err = map_put(&m->topics, r->name, t, NULL);
    if (err) {
        topic_free(t);
        return err;
    }
    err = map_put(&m->topics_by_id, slice_of(t->id.b, sizeof t->id.b), t, NULL);
    if (err)
        topic_free(map_remove(&m->topics, r->name));
    return err;
}

static enum err copy_ids(int32_t **out, int32_t *count, const int32_t *ids, int32_t n)
{
    int32_t *p = calloc((size_t)(n > 0 ? n : 1), sizeof *p);
    if (!p)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < n; i++)
        p[i] = ids[i];
    free(*out);
    *out = p;
    *count = n > 0 ? n : 0;
    return ERR_OK;
}

static enum err apply_partition(struct image *m, const struct partition_record *r)
{
    struct image_topic *t = map_get(&m->topics_by_id, slice_of(r->topic_id.b, sizeof r->topic_id.b));
    struct image_partition *p;
    enum err err;

    if (!t || r->partition_id < 0 || r->partition_id > t->partition_count)
        return ERR_CORRUPT_MESSAGE; /* partitions are made in order */
    if (r->partition_id == t->partition_count) {
        p = realloc(t->partitions, (size_t)(t->partition_count + 1) * sizeof *p);
        if (!p)
            return ERR_NO_MEMORY;
        t->partitions = p;
        p[t->partition_count++] = (struct image_partition){0};
        m->partitions++;
    }
    p = &t->partitions[r->partition_id];
    err = copy_ids(&p->replicas, &p->replica_count, r->replicas.v, r->replicas.n);
    if (!err)
        err = copy_ids(&p->isr, &p->isr_count, r->isr.v, r->isr.n);
    p->leader = r->leader;
    p->leader_epoch = r->leader_epoch;
    p->partition_epoch = r->partition_epoch;
    return err;
}

/* "-2: no change" and null lists leave things as they are (KIP-631, PartitionChangeRecord). */
static enum err apply_partition_change(struct image *m, const struct partition_change_record *r)
{
    struct image_topic *t = map_get(&m->topics_by_id, slice_of(r->topic_id.b, sizeof r->topic_id.b));
    struct image_partition *p;
    enum err err = ERR_OK;

    if (!t || r->partition_id < 0 || r->partition_id >= t->partition_count)
        return ERR_CORRUPT_MESSAGE;
    p = &t->partitions[r->partition_id];
    if (r->replicas.n >= 0)
        err = copy_ids(&p->replicas, &p->replica_count, r->replicas.v, r->replicas.n);
    if (!err && r->isr.n >= 0)
        err = copy_ids(&p->isr, &p->isr_count, r->isr.v, r->isr.n);
    if (r->leader != -2) {
        p->leader = r->leader;
        p->leader_epoch++;
    }
    p->partition_epoch++;
    return err;
}

static enum err apply_remove_topic(struct image *m, const struct remove_topic_record *r)
{
    struct image_topic *t = map_remove(&m->topics_by_id, slice_of(r->topic_id.b, sizeof r->topic_id.b));
    struct map *configs;
    char key[300];

    if (!t)
        return ERR_CORRUPT_MESSAGE;
    m->partitions -= t->partition_count;
    map_remove(&m->topics, slice_str(t->name));
    configs = map_remove(&m->configs, config_key(key, sizeof key, CONFIG_RESOURCE_TOPIC, slice_str(t->name)));
    if (configs)
        configs_free(configs);
    topic_free(t);
    return ERR_OK;
}

static enum err apply_config(struct image *m, const struct config_record *r)
{
    struct map *configs;
    void *old = NULL;
    char *value;
    enum err err = configs_of(m, r->resource_type, r->resource_name, &configs);

    if (err)
        return err;
    if (slice_is_null(r->value)) {
        free(map_remove(configs, r->name));
        return ERR_OK;
    }
    value = strndup((const char *)r->value.p, r->value.n);
    err = value ? map_put(configs, r->name, value, &old) : ERR_NO_MEMORY;
    free(err ? value : old);
    return err;
}

static enum err apply_register_broker(struct image *m, const struct register_broker_record *r)
{
    uint8_t key[4];
    struct image_broker *b = map_get(&m->brokers, id_key(key, r->broker_id));
    enum err err = ERR_OK;

    if (r->end_points.n < 1)
        return ERR_CORRUPT_MESSAGE;
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b)
            return ERR_NO_MEMORY;
        err = map_put(&m->brokers, id_key(key, r->broker_id), b, NULL);
        if (err) {
            free(b);
            return err;
        }
    }
    b->id = r->broker_id;
    b->epoch = r->broker_epoch;
    b->incarnation = r->incarnation_id;
    snprintf(b->host, sizeof b->host, "%.*s", SLICE_FMT(r->end_points.v[0].host));
    snprintf(b->rack, sizeof b->rack, "%.*s", SLICE_FMT(r->rack));
    b->port = r->end_points.v[0].port;
    b->fenced = r->fenced;
    return ERR_OK;
}

static enum err apply_fencing(struct image *m, int32_t id, int64_t epoch, bool fenced)
{
    uint8_t key[4];
    struct image_broker *b = map_get(&m->brokers, id_key(key, id));
    if (!b || b->epoch != epoch)
        return ERR_CORRUPT_MESSAGE;
    b->fenced = fenced;
    return ERR_OK;
}

/* One case per record kind: decode into its struct, check that nothing is left, apply. */
#define CASE(KEY, type, call)                                                                                          \
    case KEY: {                                                                                                        \
        struct type r;                                                                                                 \
        err = type##_decode(&r, &c, version, &arena);                                                                  \
        if (!err)                                                                                                      \
            err = cursor_finish(&c);                                                                                   \
        if (!err)                                                                                                      \
            err = call;                                                                                                \
        break;                                                                                                         \
    }

enum err image_apply(struct image *m, struct slice record, int64_t offset, struct reason *why)
{
    struct cursor c = cursor_of(record);
    int16_t key, version;
    struct arena arena;
    enum err err = wire_metadata_get_frame(&c, &key, &version);

    if (err)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "metadata record at offset %lld has no frame of version 1",
                          (long long)offset);
    arena_init(&arena, 0);
    switch (key) {
        CASE(0, register_broker_record, apply_register_broker(m, &r))
        CASE(2, topic_record, apply_topic(m, &r))
        CASE(3, partition_record, apply_partition(m, &r))
        CASE(4, config_record, apply_config(m, &r))
        CASE(5, partition_change_record, apply_partition_change(m, &r))
        CASE(7, fence_broker_record, apply_fencing(m, r.id, r.epoch, true))
        CASE(8, unfence_broker_record, apply_fencing(m, r.id, r.epoch, false))
        CASE(9, remove_topic_record, apply_remove_topic(m, &r))
        CASE(15, producer_ids_record, (m->next_producer_id = r.next_producer_id, ERR_OK))
    default: /* a number from a file, not an enum */
        err = ERR_UNSUPPORTED;
    }
    arena_free(&arena);
    if (err)
        return reason_set(why, err, "metadata record of kind %d, version %d, at offset %lld: %s", key, version,
                          (long long)offset, err_text(err));
    m->applied = offset;
    return ERR_OK;
}
