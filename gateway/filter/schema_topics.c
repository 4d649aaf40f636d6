/* SPDX-License-Identifier: Apache-2.0
 * What topics' configurations say about schemas. The bundled brokers know the keys castellan.*; Apache Kafka refuses
 * keys it does not know, so the same may be said in gateway.properties as castellan.topic.TOPIC.KEY (KEY without
 * "castellan."), which goes before what the cluster says.
 *
 * A topic the cluster does not know is not remembered: its request is refused as the cluster would, and asked again. */
#include "gateway/filter/schema_topics.h"
#include "core/base/log.h"
#include "core/base/settings.h"
#include "gateway/session/worker_data.h"
#include "gateway/request/request.h"
#include "wire/describe_configs.h"

#include <stdio.h>
#include <stdlib.h>

enum { RESOURCE_TOPIC = 2, OUR_PREFIX_SIZE = sizeof "castellan." - 1 };

#define STATIC_PREFIX "castellan.topic."

struct schema_topics {
    struct map by_name; /* struct schema_topic */
};

static void free_topic(void *p)
{
    struct schema_topic *t = p;
    schema_judge_free(t->judge);
    free(t);
}

void schema_topics_free(struct schema_topics *t)
{
    if (!t)
        return;
    map_free(&t->by_name, free_topic);
    free(t);
}

void schema_topics_changed(struct gateway *g)
{
    atomic_store(&g->topic_changed_ms, env_mono_ms(env_system()));
    atomic_fetch_add(&g->topic_changes, 1);
}

struct schema_topic *schema_topic_latest(struct worker *w, struct slice topic)
{
    return w->schema_topics ? map_get(&w->schema_topics->by_name, topic) : NULL;
}

struct schema_topic *schema_topic_find(struct worker *w, struct slice topic)
{
    struct schema_topic *t = schema_topic_latest(w, topic);
    uint64_t changes = atomic_load(&w->gateway->topic_changes);
    int64_t now = loop_now_ms(w->loop), keep = SCHEMA_TOPIC_MS;

    if (!t || !t->known || t->change != changes)
        return NULL;
    if (changes > 0 && now - atomic_load(&w->gateway->topic_changed_ms) < SCHEMA_TOPIC_SETTLE_MS)
        keep = SCHEMA_TOPIC_UNSETTLED_MS;
    return now - t->asked_ms < keep ? t : NULL;
}

struct schema_judge *schema_topic_take_judge(struct worker *w, struct schema_topic *t, struct slice topic)
{
    struct schema_judge *judge = t->judge;

    t->judge = NULL;
    return judge ? judge : schema_judge_new(w->gateway->schemas, topic);
}

void schema_topic_give_judge(struct worker *w, struct slice topic, struct schema_judge *judge)
{
    struct schema_topic *t = schema_topic_latest(w, topic);

    if (!t || t->judge)
        schema_judge_free(judge);
    else
        t->judge = judge;
}

static struct schema_topic *get_or_make(struct worker *w, struct slice topic)
{
    struct schema_topic *t;

    if (!w->schema_topics && !(w->schema_topics = calloc(1, sizeof *w->schema_topics)))
        return NULL;
    t = map_get(&w->schema_topics->by_name, topic);
    if (t)
        return t;
    if (map_count(&w->schema_topics->by_name) >= SCHEMA_TOPICS_MAX) /* learned again when needed */
        map_free(&w->schema_topics->by_name, free_topic);
    t = calloc(1, sizeof *t);
    if (t && map_put(&w->schema_topics->by_name, topic, t, NULL)) {
        free(t);
        t = NULL;
    }
    return t;
}

/* ---- gateway.properties ---- */

void schema_topics_put_own(const struct gateway *g, struct schema_settings *s, struct slice topic)
{
    for (size_t i = 0; schema_setting_name(i); i++) {
        const char *name = schema_setting_name(i), *value;
        char key[512];
        int n = snprintf(key, sizeof key, STATIC_PREFIX "%.*s.%s", SLICE_FMT(topic), name + OUR_PREFIX_SIZE);
        if (n < 0 || (size_t)n >= sizeof key)
            continue;
        value = settings_string(g->settings, key);
        if (value && schema_settings_put(s, slice_str(name), slice_str(value)))
            log_error("%s=%s is not valid", key, value); /* checked at start: cannot be */
    }
}

enum err schema_topics_check_settings(const struct gateway *g, struct reason *why)
{
    const char *key, *value;
    unsigned line;

    for (size_t i = 0; settings_at(g->settings, i, &key, &value, &line); i++) {
        bool known = false;
        if (strncmp(key, STATIC_PREFIX, sizeof STATIC_PREFIX - 1) != 0)
            continue;
        for (size_t k = 0; schema_setting_name(k) && !known; k++) {
            const char *name = schema_setting_name(k), *end = name + OUR_PREFIX_SIZE - 1; /* with its dot */
            struct schema_settings s = {0};
            size_t n = strlen(key), m = strlen(end);
            known = n > m + sizeof STATIC_PREFIX - 1 && strcmp(key + n - m, end) == 0;
            if (known && schema_settings_put(&s, slice_str(name), slice_str(value)))
                return reason_set(why, ERR_BAD_CONFIG, "line %u: %s=%s is not valid", line, key, value);
        }
        if (!known)
            return reason_set(why, ERR_BAD_CONFIG, "line %u: %s is not a setting of a topic", line, key);
    }
    return ERR_OK;
}

/* ---- Asking ---- */

static void learn(struct worker *w, const struct schema_asking *a,
                  const struct describe_configs_response_describe_configs_result *r)
{
    struct schema_settings s = {0};
    struct schema_topic *t = get_or_make(w, r->resource_name);

    if (!t)
        return;
    t->known = false;
    t->err = ERR_INVALID_CONFIG;
    if (r->error_code) {
        t->err =
            r->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_KAFKA_STORAGE_ERROR;
        log_debug("the configuration of %.*s is not known: error %d", SLICE_FMT(r->resource_name), r->error_code);
        return;
    }
    for (int32_t i = 0; i < r->configs.n; i++)
        if (schema_settings_put(&s, r->configs.v[i].name, r->configs.v[i].value)) {
            log_error("topic %.*s: %.*s=%.*s is not understood: nothing may be produced", SLICE_FMT(r->resource_name),
                      SLICE_FMT(r->configs.v[i].name), SLICE_FMT(r->configs.v[i].value));
            return;
        }
    schema_topics_put_own(w->gateway, &s, r->resource_name);
    t->settings = s;
    t->asked_ms = a->asked_ms;
    t->change = a->change;
    t->known = true;
}

enum err schema_topics_take(struct request *r, struct worker *w, const struct schema_asking *a)
{
    struct describe_configs_response *resp = arena_alloc(&r->arena, sizeof *resp);
    struct cursor c;
    enum err err = r->call.err;

    if (!resp)
        return ERR_NO_MEMORY;
    if (!err) {
        c = cursor_of(request_call_body(r));
        err = describe_configs_response_decode(resp, &c, a->version, &r->arena);
    }
    for (int32_t i = 0; !err && i < resp->results.n; i++)
        learn(w, a, &resp->results.v[i]);
    return err;
}

static enum err fill(struct arena *a, struct describe_configs_request *req, const struct slice *topics, size_t n)
{
    struct slice *names;
    size_t keys = 0;

    while (schema_setting_name(keys))
        keys++;
    describe_configs_request_init(req);
    names = arena_array(a, keys, sizeof *names);
    if (!names || !describe_configs_request_describe_configs_resource_array_alloc(&req->resources, (int32_t)n, a))
        return ERR_NO_MEMORY;
    for (size_t k = 0; k < keys; k++)
        names[k] = slice_str(schema_setting_name(k));
    for (size_t i = 0; i < n; i++) {
        req->resources.v[i].resource_type = RESOURCE_TOPIC;
        req->resources.v[i].resource_name = topics[i];
        req->resources.v[i].configuration_keys.v = names;
        req->resources.v[i].configuration_keys.n = (int32_t)keys;
    }
    return ERR_OK;
}

enum step schema_topics_ask(struct request *r, struct worker *w, struct schema_asking *a, const struct slice *topics,
                            size_t n, enum err *err)
{
    const struct wire_api *api = wire_api(WIRE_DESCRIBE_CONFIGS);
    int16_t max = w->gateway->cluster.max_version[WIRE_DESCRIBE_CONFIGS];
    struct describe_configs_request req;

    *err = max < api->min ? ERR_UNSUPPORTED_VERSION : fill(&r->arena, &req, topics, n);
    if (*err)
        return STEP_NEXT;
    *a = (struct schema_asking){.version = max < api->max ? max : api->max,
                                .asked_ms = loop_now_ms(w->loop),
                                .change = atomic_load(&w->gateway->topic_changes)};
    return request_ask(r, WIRE_DESCRIBE_CONFIGS, a->version, &req);
}
