/* SPDX-License-Identifier: Apache-2.0
 * Changes on their way into the ledger: encoded when they are submitted, emitted when the ledger decides, announced and
 * then reported when they were read back. A user who loses the last credential leaves a record of that: it ends what
 * else stands for the name (client certificates, a line of the bootstrap file). */
#include "acl/acl_records.h"
#include "acl/quota_records.h"
#include "core/base/env.h"
#include "gateway/knowledge_internal.h"

#include <stdlib.h>

enum { CHANGE_RECORDS_MAX = 1000000 };

struct submission {
    struct submission *next; /* in knowledge.untold */
    struct knowledge *k;
    knowledge_done_fn done;
    void *ctx;
    struct submission_record {
        struct buf key, value;
        bool tombstone;
    } * records;
    size_t n;
    struct submission_user { /* the change's users, in the order of the records */
        struct buf name;
        enum credential_mechanism mechanism;
        bool remove;
    } * users;
    size_t users_n;
};

static void submission_free(struct submission *s)
{
    for (size_t i = 0; i < s->n; i++) {
        buf_free(&s->records[i].key);
        buf_wipe_free(&s->records[i].value);
    }
    for (size_t i = 0; i < s->users_n; i++)
        buf_free(&s->users[i].name);
    free(s->users);
    free(s->records);
    free(s);
}

static bool has_credential(struct ledger_view *view, struct slice name, enum credential_mechanism m)
{
    struct slice value;
    struct buf key;
    bool there;

    buf_init(&key, 0);
    there = !users_record_key(&key, name, m) && ledger_view_get(view, buf_slice(&key), &value);
    buf_free(&key);
    return there;
}

/* Does the user, who is there now, have no credential once the change is made? Of several alterations of one credential
 * the last counts, as in the table. */
static bool leaves(const struct submission *s, struct ledger_view *view, struct slice name)
{
    static const enum credential_mechanism all[] = {CREDENTIAL_SCRAM_SHA_256, CREDENTIAL_SCRAM_SHA_512};
    bool before = false, after = false;

    for (size_t m = 0; m < sizeof all / sizeof *all; m++) {
        bool there = has_credential(view, name, all[m]);

        before |= there;
        for (size_t i = 0; i < s->users_n; i++)
            if (s->users[i].mechanism == all[m] && slice_eq(buf_slice(&s->users[i].name), name))
                there = !s->users[i].remove;
        after |= there;
    }
    return before && !after;
}

static enum err emit_deletions(const struct submission *s, struct ledger_view *view)
{
    struct env *env = env_system();
    struct buf key, value;
    enum err err = ERR_OK;

    buf_init(&key, 0);
    buf_init(&value, 0);
    for (size_t i = 0; !err && i < s->users_n; i++) {
        if (!s->users[i].remove || !leaves(s, view, buf_slice(&s->users[i].name)))
            continue;
        buf_clear(&key);
        buf_clear(&value);
        err = users_deleted_record(&key, &value, buf_slice(&s->users[i].name), env->wall_ms(env));
        if (!err)
            ledger_view_emit(view, buf_slice(&key), buf_slice(&value));
    }
    buf_free(&key);
    buf_free(&value);
    return err;
}

static enum err decide_change(void *ctx, struct ledger_view *view)
{
    const struct submission *s = ctx;
    enum err err = emit_deletions(s, view); /* first: it asks for what is there before the change */

    for (size_t i = 0; !err && i < s->n; i++)
        ledger_view_emit(view, buf_slice(&s->records[i].key),
                         s->records[i].tombstone ? SLICE_NULL : buf_slice(&s->records[i].value));
    return err;
}

static void wait_until_told(struct submission *s)
{
    struct knowledge *k = s->k;

    pthread_mutex_lock(&k->lock);
    *k->untold_tail = s;
    k->untold_tail = &s->next;
    k->unannounced = true; /* whoever announced meanwhile may not have known of this one */
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}

static void on_done(void *ctx, const struct ledger_result *result)
{
    struct submission *s = ctx;

    if (!result->err && !knowledge_announce(s->k)) {
        wait_until_told(s);
        return;
    }
    s->done(s->ctx, result->err, &result->why);
    submission_free(s);
}

struct submission *knowledge_take_untold(struct knowledge *k)
{
    struct submission *list;

    pthread_mutex_lock(&k->lock);
    list = k->untold;
    k->untold = NULL;
    k->untold_tail = &k->untold;
    pthread_mutex_unlock(&k->lock);
    return list;
}

void knowledge_return_untold(struct knowledge *k, struct submission *list)
{
    struct submission **end = &list;

    while (*end)
        end = &(*end)->next;
    pthread_mutex_lock(&k->lock);
    *end = k->untold;
    if (!k->untold)
        k->untold_tail = end == &list ? &k->untold : end;
    k->untold = list;
    pthread_mutex_unlock(&k->lock);
}

void knowledge_finish_untold(struct submission *list, enum err err)
{
    struct reason why = {0};
    struct submission *next;

    if (err)
        (void)!reason_set(&why, err, "the gateway ends; the change is stored, and holds from the next start on");
    for (; list; list = next) {
        next = list->next;
        list->done(list->ctx, err, &why);
        submission_free(list);
    }
}

static struct submission_record *next_record(struct submission *s, bool tombstone)
{
    struct submission_record *r = &s->records[s->n++];

    buf_init(&r->key, 0);
    buf_init(&r->value, 0);
    r->tombstone = tombstone;
    return r;
}

static enum err put_rules(struct submission *s, const struct acl_rule *rules, size_t n, bool remove)
{
    enum err err = ERR_OK;

    for (size_t i = 0; !err && i < n; i++) {
        struct submission_record *r = next_record(s, remove);
        err = acl_record_key(&r->key, &rules[i]);
        if (!err && !remove)
            err = acl_record_value(&r->value);
    }
    return err;
}

static enum err put_users(struct submission *s, const struct knowledge_change *c)
{
    enum err err = ERR_OK;

    s->users = c->users_n ? calloc(c->users_n, sizeof *s->users) : NULL;
    if (c->users_n && !s->users)
        return ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < c->users_n; i++) {
        struct submission_record *r = next_record(s, c->users[i].credential == NULL);
        struct submission_user *u = &s->users[s->users_n++];

        buf_init(&u->name, 0);
        buf_put_slice(&u->name, c->users[i].user);
        u->mechanism = c->users[i].mechanism;
        u->remove = r->tombstone;
        if (buf_error(&u->name))
            return buf_error(&u->name);
        err = users_record_key(&r->key, c->users[i].user, c->users[i].mechanism);
        if (!err && c->users[i].credential)
            err = users_record_value(&r->value, c->users[i].credential);
    }
    return err;
}

static enum err put_quotas(struct submission *s, const struct knowledge_change *c)
{
    enum err err = ERR_OK;

    for (size_t i = 0; !err && i < c->quotas_n; i++) {
        struct submission_record *r = next_record(s, c->quotas[i].remove);
        err = quota_record_key(&r->key, &c->quotas[i].entity, c->quotas[i].key);
        if (!err && !c->quotas[i].remove)
            err = quota_record_value(&r->value, c->quotas[i].value);
    }
    return err;
}

static enum err put_policies(struct submission *s, const struct knowledge_change *c)
{
    enum err err = ERR_OK;

    for (size_t i = 0; !err && i < c->policies_n; i++) {
        struct submission_record *r = next_record(s, c->policies[i].policy == NULL);
        if (c->policies[i].policy)
            err = policy_encode(c->policies[i].policy, &r->key, &r->value);
        else
            err = policy_encode_key(c->policies[i].topic, c->policies[i].prefixed, &r->key);
    }
    return err;
}

/* Which topic the change is for; TABLES when it is for none or for several. */
static enum knowledge_table table_of(const struct knowledge_change *c)
{
    bool rules = c->add_rules_n + c->remove_rules_n > 0;
    int kinds = rules + (c->users_n > 0) + (c->quotas_n > 0) + (c->policies_n > 0);

    if (kinds != 1)
        return TABLES;
    return rules ? TABLE_ACL : c->users_n ? TABLE_USERS : c->quotas_n ? TABLE_QUOTAS : TABLE_POLICIES;
}

enum err knowledge_submit(struct knowledge *k, const struct knowledge_change *change, knowledge_done_fn done, void *ctx)
{
    size_t n = change->add_rules_n + change->remove_rules_n + change->users_n + change->quotas_n + change->policies_n;
    enum knowledge_table t = table_of(change);
    struct submission *s;
    enum err err;

    if (t == TABLES)
        return ERR_INVALID_REQUEST;
    if (n > CHANGE_RECORDS_MAX)
        return ERR_LIMIT_EXCEEDED;
    s = calloc(1, sizeof *s);
    if (s)
        s->records = calloc(n, sizeof *s->records);
    if (!s || !s->records) {
        free(s);
        return ERR_NO_MEMORY;
    }
    s->k = k;
    s->done = done;
    s->ctx = ctx;
    err = put_rules(s, change->remove_rules, change->remove_rules_n, true);
    if (!err)
        err = put_rules(s, change->add_rules, change->add_rules_n, false);
    if (!err)
        err = put_users(s, change);
    if (!err)
        err = put_quotas(s, change);
    if (!err)
        err = put_policies(s, change);
    if (!err)
        err = ledger_submit(k->ledgers[t], decide_change, on_done, s);
    if (err)
        submission_free(s);
    return err;
}
