/* SPDX-License-Identifier: Apache-2.0
 * The keeper over memory ledgers: bootstrap before ready, changes visible in the view when done() is called and
 * announced before it, all four kinds, removal, refusal of a mixed change. */
#include "gateway/knowledge.h"
#include "core/base/fs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int changes, done;
    int changes_at_done;
    enum err err;
};

static enum err on_changed(void *user)
{
    struct watch *w = user;
    pthread_mutex_lock(&w->lock);
    w->changes++;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    return ERR_OK;
}

static void on_done(void *ctx, enum err err, const struct reason *why)
{
    struct watch *w = ctx;
    (void)why;
    pthread_mutex_lock(&w->lock);
    w->done++;
    w->err = err;
    w->changes_at_done = w->changes;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

static struct knowledge *open_ready(struct watch *w, const char *bootstrap)
{
    struct knowledge_config c = {.memory = true, .bootstrap_scram_file = bootstrap};
    struct knowledge *k = NULL;
    struct reason why = {0};

    c.acl.super_users = slice_str("User:admin");
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, NULL);
    assert_int_equal(knowledge_open(&k, &c, on_changed, w, &why), ERR_OK);
    pthread_mutex_lock(&w->lock);
    while (w->changes == 0)
        pthread_cond_wait(&w->moved, &w->lock);
    pthread_mutex_unlock(&w->lock);
    assert_true(knowledge_is_ready(k));
    return k;
}

/* Submits and waits; the view after it. */
static struct view *change(struct knowledge *k, struct watch *w, const struct knowledge_change *c)
{
    int before = w->done, changes;
    struct view *v;

    pthread_mutex_lock(&w->lock);
    changes = w->changes;
    pthread_mutex_unlock(&w->lock);
    assert_int_equal(knowledge_submit(k, c, on_done, w), ERR_OK);
    pthread_mutex_lock(&w->lock);
    while (w->done == before)
        pthread_cond_wait(&w->moved, &w->lock);
    assert_int_equal(w->err, ERR_OK);
    assert_true(w->changes_at_done > changes); /* announced before it is done */
    pthread_mutex_unlock(&w->lock);
    v = knowledge_view(k);
    assert_non_null(v);
    return v;
}

static void test_rules(void **state)
{
    struct acl_rule rule = {
        ACL_TOPIC, ACL_LITERAL, ACL_READ, ACL_ALLOW, slice_str("orders"), slice_str("User:alice"), slice_str("*")};
    struct acl_question q = {ACL_TOPIC, ACL_READ, slice_str("orders"), slice_str("User:alice"), slice_str("127.0.0.1")};
    struct knowledge_change add = {.add_rules = &rule, .add_rules_n = 1};
    struct knowledge_change remove = {.remove_rules = &rule, .remove_rules_n = 1};
    struct watch w;
    struct knowledge *k = open_ready(&w, NULL);
    struct view *v = knowledge_view(k), *old;

    (void)state;
    assert_false(acl_allowed(v->acl, &q));
    old = v;
    v = change(k, &w, &add);
    assert_true(acl_allowed(v->acl, &q));
    assert_false(acl_allowed(old->acl, &q)); /* a view never changes */
    view_free(old);
    view_free(v);
    v = change(k, &w, &remove);
    assert_false(acl_allowed(v->acl, &q));
    assert_int_equal(acl_snapshot_count(v->acl), 0);
    view_free(v);
    knowledge_close(k);
}

static void test_other_kinds(void **state)
{
    uint8_t salt[CREDENTIAL_SALT_SIZE] = {1, 2, 3};
    struct credential credential;
    struct policy_words words = {"people", "key", "value", "null", false, NULL, NULL, NULL, NULL};
    struct policy *policy;
    struct watch w;
    struct knowledge *k = open_ready(&w, NULL);
    struct knowledge_change c;
    struct quota_bound bound;
    struct view *v;

    (void)state;
    assert_int_equal(credential_from_password(&credential, CREDENTIAL_SCRAM_SHA_512, slice_str("secret"),
                                              slice_of(salt, sizeof salt), 4096, NULL),
                     ERR_OK);
    memset(&c, 0, sizeof c);
    c.users = calloc(1, sizeof *c.users);
    c.users_n = 1;
    c.users->user = slice_str("alice");
    c.users->mechanism = CREDENTIAL_SCRAM_SHA_512;
    c.users->credential = &credential;
    v = change(k, &w, &c);
    assert_true(credential_verify(users_snapshot_any(v->users, slice_str("alice")), slice_str("secret")));
    view_free(v);
    c.users->credential = NULL;
    v = change(k, &w, &c);
    assert_null(users_snapshot_any(v->users, slice_str("alice")));
    view_free(v);
    free(c.users);

    memset(&c, 0, sizeof c);
    c.quotas = calloc(1, sizeof *c.quotas);
    c.quotas_n = 1;
    c.quotas->entity.user = (struct quota_part){QUOTA_NAMED, slice_str("alice")};
    c.quotas->key = QUOTA_PRODUCER_BYTE_RATE;
    c.quotas->value = 1000;
    v = change(k, &w, &c);
    assert_true(
        quota_snapshot_resolve(v->quotas, QUOTA_PRODUCER_BYTE_RATE, slice_str("alice"), slice_str("x"), &bound));
    assert_true(bound.bound == 1000);
    view_free(v);
    c.quotas->remove = true;
    v = change(k, &w, &c);
    assert_int_equal(quota_snapshot_count(v->quotas), 0);
    view_free(v);
    free(c.quotas);

    assert_int_equal(policy_new(&policy, &words, NULL), ERR_OK);
    memset(&c, 0, sizeof c);
    c.policies = calloc(1, sizeof *c.policies);
    c.policies_n = 1;
    c.policies->policy = policy;
    v = change(k, &w, &c);
    assert_non_null(policy_set_find(v->policies, slice_str("people"), NULL));
    view_free(v);
    c.policies->policy = NULL;
    c.policies->topic = slice_str("people");
    v = change(k, &w, &c);
    assert_null(policy_set_find(v->policies, slice_str("people"), NULL));
    view_free(v);
    free(c.policies);
    policy_free(policy);
    knowledge_close(k);
}

/* Alters alice's two credentials in one change (0: leave, 1: put, -1: remove); do certificates of old still count? */
static bool alter_alice(struct knowledge *k, struct watch *w, int sha256, int sha512)
{
    static const enum credential_mechanism all[] = {CREDENTIAL_SCRAM_SHA_256, CREDENTIAL_SCRAM_SHA_512};
    int wanted[] = {sha256, sha512};
    struct credential made[2];
    struct knowledge_change c = {.add_rules_n = 0};
    struct view *v;
    bool counts;

    c.users = calloc(2, sizeof *c.users);
    for (int i = 0; i < 2; i++) {
        if (!wanted[i])
            continue;
        assert_int_equal(credential_from_password(&made[i], all[i], slice_str("pw"), slice_str("salt"), 4096, NULL),
                         ERR_OK);
        c.users[c.users_n].user = slice_str("alice");
        c.users[c.users_n].mechanism = all[i];
        c.users[c.users_n++].credential = wanted[i] > 0 ? &made[i] : NULL;
    }
    v = change(k, w, &c);
    counts = users_snapshot_certificate_counts(v->users, slice_str("alice"), 1600000000);
    view_free(v);
    free(c.users);
    return counts;
}

static void test_deletion_ends_certificates(void **state)
{
    struct watch w;
    struct knowledge *k = open_ready(&w, NULL);

    (void)state;
    assert_true(alter_alice(k, &w, 1, 1));
    assert_true(alter_alice(k, &w, -1, 0)); /* she still has the other one */
    assert_true(alter_alice(k, &w, 1, -1)); /* one goes, one comes */
    assert_false(alter_alice(k, &w, -1, 0));
    assert_false(alter_alice(k, &w, 1, 1)); /* back, with a new password: certificates of old stay refused */
    knowledge_close(k);
}

static void test_bootstrap(void **state)
{
    char path[] = "/tmp/castellan-bootstrap-XXXXXX";
    const char *text = "# the first users\nSCRAM-SHA-512=[name=admin,password=first,iterations=4096]\n\n"
                       "SCRAM-SHA-256=[name=other,password=second,iterations=4096]\r\n";
    int fd = mkstemp(path);
    struct watch w;
    struct knowledge *k;
    struct view *v;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(fs_write_file(path, slice_str(text), 0600, NULL), ERR_OK);
    k = open_ready(&w, path);
    v = knowledge_view(k);
    assert_int_equal(users_snapshot_count(v->users), 2);
    assert_true(credential_verify(users_snapshot_any(v->users, slice_str("admin")), slice_str("first")));
    assert_non_null(users_snapshot_find(v->users, slice_str("other"), CREDENTIAL_SCRAM_SHA_256));
    view_free(v);
    knowledge_close(k);
    unlink(path);
}

/* A file that cannot be used keeps the gateway from being ready, and closing does not hang. */
static void test_bootstrap_bad(void **state)
{
    struct knowledge_config c = {.memory = true, .bootstrap_scram_file = "/nonexistent/users"};
    struct knowledge *k = NULL;
    struct watch w = {.changes = 0};

    (void)state;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.moved, NULL);
    assert_int_equal(knowledge_open(&k, &c, on_changed, &w, NULL), ERR_OK);
    assert_null(knowledge_view(k));
    knowledge_close(k);
    assert_int_equal(w.changes, 0);
}

static void test_mixed(void **state)
{
    struct acl_rule rule = {ACL_TOPIC,      ACL_LITERAL,         ACL_READ,      ACL_ALLOW,
                            slice_str("a"), slice_str("User:b"), slice_str("*")};
    struct knowledge_change c = {.add_rules = &rule, .add_rules_n = 1, .quotas_n = 1}, none = {.add_rules_n = 0};
    struct watch w;
    struct knowledge *k = open_ready(&w, NULL);

    (void)state;
    assert_int_equal(knowledge_submit(k, &c, on_done, &w), ERR_INVALID_REQUEST);
    assert_int_equal(knowledge_submit(k, &none, on_done, &w), ERR_INVALID_REQUEST);
    assert_int_equal(w.done, 0);
    knowledge_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_bootstrap), cmocka_unit_test(test_bootstrap_bad),
        cmocka_unit_test(test_mixed),     cmocka_unit_test(test_deletion_ends_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
