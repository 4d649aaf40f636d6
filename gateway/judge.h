/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_JUDGE_H
#define CASTELLAN_GATEWAY_JUDGE_H

#include "gateway/session.h"

/* Decisions about one element of a request that one right on one resource does not express; for split_plans.c. */
enum err judge_election(struct pending *p, const void *element); /* topics.c */
enum err judge_reassignment(struct pending *p, const void *element);
enum err judge_describe_configs(struct pending *p, const void *element); /* configs.c */
enum err judge_alter_configs(struct pending *p, const void *element);
enum err judge_incremental_alter_configs(struct pending *p, const void *element);

#endif
