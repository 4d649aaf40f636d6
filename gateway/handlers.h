/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_HANDLERS_H
#define CASTELLAN_GATEWAY_HANDLERS_H

#include "gateway/session.h"

/* One function per API that needs one of its own; the rest go through handle_split (gateway/split.h). */
void handle_api_versions(struct pending *p);   /* auth.c */
void handle_sasl_handshake(struct pending *p); /* auth.c */
void handle_sasl_authenticate(struct pending *p);
void handle_raw_sasl(struct session *s, struct slice token); /* after SaslHandshake v0 */
/* A session's way to PHASE_READY, whichever it is. */
void auth_session_begins(struct session *s, int64_t waited_ms); /* `waited_ms`: what it was parked for (door.h) */
void auth_session_gone(struct session *s);
void auth_wait(struct session *s, int64_t ms, void (*then)(struct session *s)); /* no frame is taken meanwhile */
void auth_is_known(struct session *s);
int64_t auth_failure_delay(struct session *s); /* a failure: counts it, and says when it may be told, in ms */

void auth_by_certificate(struct session *s); /* auth_certificate.c: mutual TLS, after the handshake */
int64_t auth_certificate_refused(void *user, struct conn *conn); /* struct conn_ops.on_refused */
bool auth_certificate_counts(struct session *s);                 /* asked with each request; true without mutual TLS */

void handle_metadata(struct pending *p); /* metadata.c */
void handle_find_coordinator(struct pending *p);
void handle_describe_cluster(struct pending *p);
void handle_describe_topic_partitions(struct pending *p); /* describe_topics.c */

void handle_produce(struct pending *p); /* produce.c */
void handle_fetch(struct pending *p);   /* fetch.c */

void handle_create_topics(struct pending *p); /* topics.c: by the cluster or by the topic */
void handle_delete_topics(struct pending *p);
void handle_elect_leaders(struct pending *p);
void handle_write_txn_markers(struct pending *p); /* cluster_topics.c: reserved topics inside */
void handle_alter_replica_log_dirs(struct pending *p);
void handle_describe_log_dirs(struct pending *p);
void handle_list_partition_reassignments(struct pending *p);
void handle_list_groups(struct pending *p); /* groups.c: filtered by what may be described */
void handle_describe_groups(struct pending *p);
void handle_offset_fetch(struct pending *p); /* offset_fetch.c */
void handle_consumer_group_describe(struct pending *p);
void handle_describe_transactions(struct pending *p); /* groups.c: and the topics inside */
void handle_list_transactions(struct pending *p);
void handle_init_producer_id(struct pending *p);
void handle_describe_configs(struct pending *p); /* configs.c: by resource type */
void handle_alter_configs(struct pending *p);
void handle_incremental_alter_configs(struct pending *p);

void handle_describe_acls(struct pending *p); /* admin_acls.c: answered from the ledger */
void handle_create_acls(struct pending *p);
void handle_delete_acls(struct pending *p);
void handle_describe_client_quotas(struct pending *p); /* admin_quotas.c */
void handle_alter_client_quotas(struct pending *p);
void handle_describe_user_scram_credentials(struct pending *p); /* admin_users.c */
void handle_alter_user_scram_credentials(struct pending *p);

void handle_no_delegation_tokens(struct pending *p); /* tokens.c */

/* The bits of the operations a principal may do on a resource (KIP-430), for *_authorized_operations. */
int32_t authorized_operations(const struct session *s, enum acl_type type, struct slice name);

#endif
