/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_KNOWLEDGE_INTERNAL_H
#define CASTELLAN_GATEWAY_KNOWLEDGE_INTERNAL_H

#include "gateway/knowledge.h"

#include <pthread.h>
#include <stdatomic.h>

/* The inside of the keeper, shared by its three files: knowledge.c (tables, snapshots, the thread),
 * knowledge_bootstrap.c (the first users), knowledge_change.c (what is submitted). */
enum knowledge_table { TABLE_ACL, TABLE_USERS, TABLE_QUOTAS, TABLE_POLICIES, TABLES };

struct knowledge_bootstrap_user {
    char *name;
    struct credential credential;
};

/* The first users, on their way into the table. */
struct knowledge_bootstrap {
    struct knowledge_bootstrap_user *users;
    size_t n, added;
    bool waiting; /* for the ledger */
    enum err err;
    struct reason why;
};

struct knowledge {
    struct knowledge_config config;
    char *super_users, *bootstrap_file;
    knowledge_changed_fn changed;
    void *changed_user;
    struct ledger *ledgers[TABLES];
    struct knowledge_hook {
        struct knowledge *owner;
        enum knowledge_table table;
    } hooks[TABLES];

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct acl_set *acl;
    struct users *users;
    struct quota_table *quotas;
    struct policy_table *policies;
    struct view now;                          /* the newest snapshots */
    bool dirty[TABLES];                       /* the model is newer than its snapshot */
    bool read[TABLES];                        /* the end of the table was reached */
    bool unannounced;                         /* something changed since `changed` was called */
    struct submission *untold, **untold_tail; /* committed, but `changed` failed: done() waits until it does not */
    int64_t untold_since_ms;                  /* when `changed` began to fail; INT64_MAX: it does not */
    struct knowledge_bootstrap bootstrap;
    bool stopping;
    atomic_bool ready;

    pthread_mutex_t announcing;
    pthread_t keeper;
    bool keeper_started;
    struct metric *bad_records;
};

/* Tells the owner when something changed since it was told last. Not under the lock. False: it could not be told, and
 * the keeper's thread tries again. */
bool knowledge_announce(struct knowledge *k);
/* The submissions that wait for it: taken before an announcement, since one that joins later may not be in its view;
 * then finished (everybody was told, or the keeper ends) or put back. */
struct submission;
struct submission *knowledge_take_untold(struct knowledge *k);
void knowledge_return_untold(struct knowledge *k, struct submission *list);
void knowledge_finish_untold(struct submission *list, enum err err);
/* The first users, and the secret that stand-ins for unknown users are made from. On the keeper's thread, under the
 * lock, which it drops for a while. False: try again, or the keeper stops. */
bool knowledge_add_first_users(struct knowledge *k);
void knowledge_drop_first_users(struct knowledge_bootstrap *b);

#endif
