/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_ENGINE_UTIL_H
#define CASTELLAN_TESTS_ENGINE_UTIL_H

#include "gateway/request/engine.h"
#include "gateway/request/list.h"
#include "gateway/request/turns.h"
#include "gateway/session/worker.h"
#include "tests/unit/engine_cluster.h"

/* The gateway's engine between clients and a cluster that a test makes up: no sockets, files, threads or clock. What
 * the engine asks for is kept here; answers of the cluster come when the test says so. A broken promise of the engine
 * ends the program, in unit tests and under the fuzzer alike. */
enum { SCENE_CLIENTS_MAX = 4, SCENE_SENT_MAX = 64, SCENE_ANSWERS_MAX = 64, SCENE_TURNS_MAX = 200000 };

#define SCENE_EXPECT(condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            scene_broken(__FILE__, __LINE__, #condition);                                                              \
    } while (0)
void scene_broken(const char *file, int line, const char *what) __attribute__((noreturn));

struct scene;

/* Something that was sent to the cluster: a client's request, or a question on its behalf. */
struct sent {
    struct request *request; /* NULL once it is answered, or needs no answer */
    struct client *client;
    int16_t key, version;
    struct buf body;
    bool no_answer, is_forwarded; /* the request itself */
};

struct client {
    struct scene *scene;
    struct pipeline pipeline;
    struct budget principal;               /* memory */
    char name[64];                         /* "User:alice" */
    struct buf answers[SCENE_ANSWERS_MAX]; /* frames without their lengths, in the order they came */
    int answers_n;
    int asked; /* frames sent so far: the next correlation id */
    bool here; /* its connection is open */
    bool deaf; /* it takes no answers */
    enum conn_close why;
    char detail[200]; /* why the engine ended the connection */
    int64_t muted_ms;
    int looked_at_reading;
};

struct scene {
    struct engine engine;
    struct gateway gateway;
    struct worker worker;
    struct view view;
    struct acl_set *rules;
    struct quota_table *quotas;
    struct policy_table *policies;
    struct budget process;
    struct share shares[SCENE_CLIENTS_MAX];
    struct client clients[SCENE_CLIENTS_MAX];
    struct sent sent[SCENE_SENT_MAX];
    int sent_n; /* the test may set it to 0 by scene_forget_sent() */
    struct fake_cluster cluster;
    bool unreachable; /* nothing can be sent */
    int ready, throttled, surplus, refused, topics_changed, nodes_learned;
    int64_t now_ms;
    void (*faults)(bool on); /* NULL, or: the cluster's own memory never fails */
};

bool scene_serves(const struct api_row *row);
void scene_init(struct scene *s);
/* All clients leave; all memory must have been given back. */
void scene_free(struct scene *s);

/* Rules count from scene_rules_done() on. `name` "*" with ACL_LITERAL is every name. */
void scene_allow(struct scene *s, const char *principal, enum acl_type type, enum acl_operation op, const char *name);
void scene_deny(struct scene *s, const char *principal, enum acl_type type, enum acl_operation op, const char *name);
void scene_rules_done(struct scene *s);

/* The gateway has read which topics the cluster has; a new client does that, too. */
void scene_tell_topics(struct scene *s);
/* A client, authenticated as `principal`; those of one principal share turns. */
struct client *scene_client(struct scene *s, int i, const char *principal);
void client_leaves(struct client *c);
/* A request frame without its length. False: no memory. */
bool client_sends(struct client *c, struct slice frame);
/* The same from a struct; returns the correlation id. */
int client_asks(struct client *c, int16_t key, int16_t version, const void *request);

/* Turns until nothing is left to do. */
void scene_run(struct scene *s);
int scene_waiting(const struct scene *s); /* sent, not answered yet */
/* The cluster answers one thing that was sent, as fake_cluster_answer() makes it; `err` other than ERR_OK: not at all.
 */
void scene_answer(struct scene *s, int sent, enum err err);
/* With these bytes as the body. */
void scene_answer_body(struct scene *s, int sent, struct slice body);
/* Runs, and answers what is sent, until nothing waits. */
void scene_settle(struct scene *s);
void scene_forget_sent(struct scene *s);
void client_forget_answers(struct client *c);
/* The decoded i-th answer, in the arena; checks header and correlation id. */
void *client_answer(const struct client *c, int i, int16_t key, int16_t version, int correlation_id, struct arena *a);
/* The decoded i-th request that was sent. */
void *scene_sent(const struct scene *s, int i, struct arena *a);

#endif
