/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_STEPS_H
#define CASTELLAN_GATEWAY_STEPS_H

#include "gateway/request/request_data.h"

struct list_note;

/* What single APIs do beyond the filters; the columns of gateway/api/api.c. */

enum step api_versions_answer(struct request *r); /* session/auth.c */
enum step sasl_handshake_answer(struct request *r);
enum step sasl_authenticate_answer(struct request *r);

enum step produce_judge_whole(struct request *r, enum err *err);
bool produce_is_silent(const struct request *r); /* produce.c */
enum step produce_start(struct request *r);
enum step produce_finish(struct request *r);
void produce_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);
bool fetch_is_by_replica(const struct request *r); /* fetch.c */
enum step fetch_start(struct request *r);
enum step fetch_finish(struct request *r);
void fetch_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);

enum step metadata_start(struct request *r); /* metadata.c */
enum step metadata_finish(struct request *r);
enum step describe_cluster_finish(struct request *r); /* cluster.c */
enum step find_coordinator_finish(struct request *r); /* coordinator.c */
enum step find_coordinator_judge_whole(struct request *r, enum err *err);
enum err find_coordinator_judge(struct request *r, const void *element);
enum step find_coordinator_start(struct request *r);
void find_coordinator_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);
enum step describe_topic_partitions_start(struct request *r); /* describe_topics.c */
enum step describe_topic_partitions_finish(struct request *r);

enum step list_groups_finish(struct request *r); /* groups.c */
enum step describe_groups_finish(struct request *r);
enum step consumer_group_describe_finish(struct request *r);
enum step consumer_group_heartbeat_start(struct request *r); /* group_heartbeat.c */
enum step consumer_group_heartbeat_finish(struct request *r);
enum step offset_delete_finish(struct request *r);
enum step offset_fetch_start(struct request *r); /* offset_fetch.c */
enum step offset_fetch_finish(struct request *r);
void offset_fetch_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);

enum step list_transactions_finish(struct request *r); /* transactions.c */
enum step describe_transactions_finish(struct request *r);
enum step init_producer_id_start(struct request *r);
void delete_records_fill(const struct request *r, int32_t i, void *out, const struct list_note *note); /* topics.c */
enum step create_topics_start(struct request *r);
enum step create_topics_finish(struct request *r);
void create_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);
enum step elect_leaders_judge_whole(struct request *r, enum err *err);
enum step delete_topics_start(struct request *r);
void delete_topics_fill(const struct request *r, int32_t i, void *out, const struct list_note *note);
enum err describe_configs_judge(struct request *r, const void *element); /* configs.c */
enum err alter_configs_judge(struct request *r, const void *element);
enum err incremental_alter_configs_judge(struct request *r, const void *element);
enum step alter_configs_finish(struct request *r);

/* cluster_topics.c: a right on the cluster covers the topics inside, but for reserved ones */
enum step write_txn_markers_start(struct request *r);
enum step write_txn_markers_finish(struct request *r);
enum step alter_replica_log_dirs_start(struct request *r);
enum step alter_replica_log_dirs_finish(struct request *r);
enum step describe_log_dirs_finish(struct request *r);
enum step list_partition_reassignments_finish(struct request *r);

enum step describe_acls_answer(struct request *r); /* admin/acls.c: answered from the ledger */
enum step create_acls_answer(struct request *r);
enum step delete_acls_answer(struct request *r);
enum step describe_client_quotas_answer(struct request *r); /* admin/quotas.c */
enum step alter_client_quotas_answer(struct request *r);
enum step describe_user_scram_credentials_answer(struct request *r); /* admin/users.c */
enum step alter_user_scram_credentials_answer(struct request *r);
enum step delegation_tokens_answer(struct request *r); /* tokens.c */

#endif
