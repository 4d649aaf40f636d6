/* SPDX-License-Identifier: Apache-2.0
 * The topic behind a ledger: created compacted when missing, checked to be compacted when it is there, through
 * librdkafka's admin calls. The audit's topic is made here too: with a retention, and never compacted. A topic with
 * another cleanup.policy would forget state after its retention, so that is a fatal refusal; a cluster that does not
 * let us look (no authorization, no DescribeConfigs) is only warned about. */
#include "core/base/log.h"
#include "core/ledger/ledger_internal.h"

#include <librdkafka/rdkafka.h>

static rd_kafka_event_t *wait_event(rd_kafka_queue_t *queue, int timeout_ms, const char *what,
                                    rd_kafka_resp_err_t *code, struct reason *why)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 200);
    *code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (*code)
        reason_set(why, ERR_UNAVAILABLE, "%s: %s", what, event ? rd_kafka_event_error_string(event) : "timed out");
    return event;
}

static enum err judge_creation(const char *name, rd_kafka_event_t *event, bool *fatal, struct reason *why)
{
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    rd_kafka_resp_err_t code = n ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (!code)
        log_info("ledger %s: topic created", name);
    if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return ERR_OK;
    const char *words = n ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    if (code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR, "creating %s: %s", name, words ? words : "");
    *fatal = code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || code == RD_KAFKA_RESP_ERR_POLICY_VIOLATION ||
             code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED || code == RD_KAFKA_RESP_ERR_INVALID_CONFIG;
    return reason_set(why, ERR_UNAVAILABLE, "creating %s: %s", name, words ? words : rd_kafka_err2str(code));
}

enum err ledger_topic_create(void *client, const struct ledger_topic *t, int timeout_ms, bool *fatal,
                             struct reason *why)
{
    char text[256];
    rd_kafka_t *rk = client;
    rd_kafka_resp_err_t code;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(t->name, t->partitions, t->replicas > 0 ? t->replicas : -1, text, sizeof text);
    enum err e = ERR_OK;
    if (!topic || !queue) {
        e = reason_set(why, ERR_BAD_CONFIG, "%s: %s", t->name, queue ? text : "no memory for a queue");
    } else {
        rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
        rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof text);
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", t->policy);
        if (t->retention_ms)
            rd_kafka_NewTopic_set_config(topic, "retention.ms", t->retention_ms);
        rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
        rd_kafka_event_t *event = wait_event(queue, timeout_ms, "creating the topic", &code, why);
        e = code ? ERR_UNAVAILABLE : judge_creation(t->name, event, fatal, why);
        if (event)
            rd_kafka_event_destroy(event);
        rd_kafka_AdminOptions_destroy(options);
    }
    if (topic)
        rd_kafka_NewTopic_destroy(topic);
    if (queue)
        rd_kafka_queue_destroy(queue);
    return e;
}

static enum err judge_policy(const struct ledger *l, const rd_kafka_ConfigResource_t *resource, bool *fatal,
                             struct reason *why)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
    for (size_t i = 0; i < n; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") || (value && !strcmp(value, "compact")))
            continue;
        *fatal = true;
        return reason_set(why, ERR_BAD_CONFIG,
                          "the retention policy of the topic %s is incorrect: cleanup.policy is '%s' and must be "
                          "'compact', or Kafka will delete its records after a while",
                          l->topic, value ? value : "");
    }
    return ERR_OK;
}

static enum err check(const struct ledger *l, rd_kafka_t *rk, rd_kafka_queue_t *queue, int timeout_ms, bool *fatal,
                      struct reason *why)
{
    char text[256];
    size_t n = 0;
    rd_kafka_resp_err_t code;
    enum err e = ERR_OK;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, l->topic);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
    rd_kafka_event_t *event = wait_event(queue, timeout_ms, "describing the topic", &code, why);
    const rd_kafka_ConfigResource_t **results =
        code ? NULL : rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
        e = ERR_UNAVAILABLE;
    else if (!n || rd_kafka_ConfigResource_error(results[0]))
        log_warn("ledger %s: cannot see whether cleanup.policy is compact: %s", l->topic,
                 n ? rd_kafka_err2str(rd_kafka_ConfigResource_error(results[0])) : rd_kafka_err2str(code));
    else
        e = judge_policy(l, results[0], fatal, why);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return e;
}

/* As many replicas as were wished for, or as there are brokers for. 0: the broker's default. */
static int replicas(const struct ledger *l, rd_kafka_t *rk, int timeout_ms)
{
    const struct rd_kafka_metadata *m = NULL;
    int wanted = l->config.replication_factor, n = wanted;
    if (!wanted || rd_kafka_metadata(rk, 0, NULL, &m, timeout_ms))
        return wanted;
    if (m->broker_cnt < wanted) {
        n = m->broker_cnt > 0 ? m->broker_cnt : 1;
        log_warn("ledger %s: there are brokers for %d replicas of the %d wanted", l->topic, n, wanted);
    }
    rd_kafka_metadata_destroy(m);
    return n;
}

static enum err create(const struct ledger *l, rd_kafka_t *rk, int timeout_ms, bool *fatal, struct reason *why)
{
    struct ledger_topic topic = {l->topic, l->config.partitions, "compact", NULL, replicas(l, rk, timeout_ms)};
    enum err e = ledger_topic_create(rk, &topic, timeout_ms, fatal, why);
    if (e == ERR_INVALID_REPLICATION_FACTOR && topic.replicas) {
        log_warn("ledger %s: the cluster takes no %d replicas, so its own default is used: %s", l->topic,
                 topic.replicas, why->text);
        topic.replicas = 0;
        e = ledger_topic_create(rk, &topic, timeout_ms, fatal, why);
    }
    return e;
}

enum err ledger_topic_ensure(const struct ledger *l, void *client, int timeout_ms, bool *fatal, struct reason *why)
{
    rd_kafka_t *rk = client;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    enum err e = ERR_OK;
    if (!queue)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a queue");
    if (l->config.create)
        e = create(l, rk, timeout_ms, fatal, why);
    if (!e && l->config.check_policy)
        e = check(l, rk, queue, timeout_ms, fatal, why);
    rd_kafka_queue_destroy(queue);
    return e;
}
