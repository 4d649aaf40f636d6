/* SPDX-License-Identifier: Apache-2.0
 * Random interleavings of everything that can happen to a few groups, the invariants looked at after each step, and the
 * offsets compared with a replay of the log now and then. A failing seed prints itself; GROUP_SEED=n runs it alone. */
#include "tests/unit/brokercore_group_util.h"

enum { SEEDS = 300, STEPS = 1500, ACTORS = 6, ASKS_MAX = 4000 };

struct actor {
    struct who who;
    char id[128];
    char instance[16];
    int32_t generation;
    struct ask *asking; /* its request under way */
    bool leads;
    int members_n;
    char members[ACTORS * 4][128];
};

struct world {
    struct bench *b;
    uint64_t rng;
    struct actor actors[ACTORS];
    struct ask *asks[ASKS_MAX];
    size_t asks_n;
    bool open[4]; /* transactions */
    long joined, synced;
};

static uint32_t pick(struct world *w, uint32_t n)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (uint32_t)(w->rng >> 33) % n;
}

static struct ask *new_ask(struct world *w)
{
    struct ask *a = calloc(1, sizeof *a);
    assert_non_null(a);
    assert_true(w->asks_n < ASKS_MAX);
    w->asks[w->asks_n++] = a;
    return a;
}

static void took(char out[128], struct slice s)
{
    snprintf(out, 128, "%.*s", SLICE_FMT(s));
}

static void learn_join(struct world *w, struct actor *a, const struct join_group_response *r)
{
    switch (r->error_code) {
    case ERR_OK:
        took(a->id, r->member_id);
        a->generation = r->generation_id;
        a->leads = slice_eq_str(r->leader, a->id);
        a->members_n = r->members.n < ACTORS * 4 ? r->members.n : ACTORS * 4;
        for (int i = 0; i < a->members_n; i++)
            took(a->members[i], r->members.v[i].member_id);
        w->joined++;
        break;
    case ERR_MEMBER_ID_REQUIRED:
        took(a->id, r->member_id);
        break;
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_FENCED_INSTANCE_ID:
        a->id[0] = 0;
        break;
    default:
        break;
    }
}

static void learn(struct world *w, struct actor *a)
{
    struct ask *k = a->asking;
    if (!k || !k->answered)
        return;
    a->asking = NULL;
    if (!k->w.is_sync) {
        learn_join(w, a, &k->w.answer.join);
    } else if (k->w.answer.sync.error_code == 0) {
        w->synced++;
    } else if (k->w.answer.sync.error_code == ERR_UNKNOWN_MEMBER_ID) {
        a->id[0] = 0;
    }
}

static void do_join(struct world *w, struct actor *a)
{
    static const char *const topics[] = {"t", "u"};
    a->asking = new_ask(w);
    a->who.id = a->id[0] ? a->id : NULL;
    a->who.topics[0] = topics[pick(w, 8) == 0];
    a->who.version = (int)pick(w, 10);
    a->who.session_ms = 6000 + (int32_t)pick(w, 20000);
    a->who.rebalance_ms = 1000 + (int32_t)pick(w, 30000);
    join(w->b, &a->who, a->asking);
}

static void do_sync(struct world *w, struct actor *a)
{
    const char *members[8];
    int n = 0;
    a->asking = new_ask(w);
    a->who.id = a->id;
    for (; a->leads && n < a->members_n && n < 8; n++)
        members[n] = a->members[n];
    sync_as(w->b, &a->who, a->generation - (pick(w, 20) == 0), members, n, a->asking);
}

static void do_commit(struct world *w, struct actor *a)
{
    static const char *const topics[] = {"t", "u", "v"};
    struct group_commit k = {.group_id = slice_str(a->who.group), .member_id = slice_str(""), .generation = -1};
    uint32_t txn = pick(w, 8);
    if (pick(w, 2)) {
        k.member_id = slice_str(a->id);
        k.generation = a->generation;
    }
    k.transactional = txn < 4;
    if (commit(w->b, &k, topics[pick(w, 3)], (int32_t)pick(w, 3), pick(w, 1000), txn < 4 ? (int64_t)txn : -1) ==
            ERR_OK &&
        txn < 4)
        w->open[txn] = true;
}

static void do_admin(struct world *w, struct actor *a)
{
    struct record_list records;
    struct group_call c;
    record_list_init(&records);
    group_call_init(&c, w->b->now_ms, w->b->now_ms, &records);
    switch (pick(w, 4)) {
    case 0:
        if (group_delete(&w->b->table, slice_str(a->who.group), &records))
            record_list_clear(&records);
        break;
    case 1:
        group_table_sweep(&w->b->table, &c);
        break;
    case 2:
        group_table_forget_topic(&w->b->table, slice_str("t"), &records);
        break;
    default:
        offset_record_remove(&records, slice_str(a->who.group), slice_str("u"), (int32_t)pick(w, 3));
        break;
    }
    write_and_apply(w->b, &records, -1);
    record_list_free(&records);
}

static void do_marker(struct world *w)
{
    uint32_t txn = pick(w, 4);
    if (w->open[txn])
        marker(w->b, txn, pick(w, 3) != 0);
    w->open[txn] = false;
}

/* The coordinator moves: who waits is told, and the table is what the log says. */
static void failover(struct world *w)
{
    struct group_call c;
    struct group_table again;
    replay(w->b, &again);
    assert_same_offsets(&w->b->table, &again);
    assert_same_offsets(&again, &w->b->table);
    group_call_init(&c, w->b->now_ms, w->b->now_ms, NULL);
    group_table_fail_waiters(&w->b->table, ERR_NOT_COORDINATOR, &c);
    deliver(&c);
    group_table_free(&w->b->table);
    group_table_init(&w->b->table, &w->b->config); /* again: groups point at their table */
    for (size_t i = 0; i < w->b->log_n; i++)
        apply_logged(&w->b->table, &w->b->log[i], (int64_t)i, w->b->now_ms);
    group_table_free(&again);
}

static void step(struct world *w)
{
    struct actor *a = &w->actors[pick(w, ACTORS)];
    uint32_t what = pick(w, 100);

    for (int i = 0; i < ACTORS; i++)
        learn(w, &w->actors[i]);
    a->who.id = a->id;
    if (what < 30 && !a->asking) {
        do_join(w, a);
    } else if (what < 55 && !a->asking && a->id[0]) {
        do_sync(w, a);
    } else if (what < 65 && a->id[0]) {
        enum err err = beat(w->b, &a->who, a->generation);
        if (err == ERR_UNKNOWN_MEMBER_ID || err == ERR_FENCED_INSTANCE_ID)
            a->id[0] = 0;
    } else if (what < 80) {
        advance(w->b, 1 + pick(w, pick(w, 10) ? 2000 : 60000));
    } else if (what < 90) {
        do_commit(w, a);
    } else if (what < 93) {
        do_marker(w);
    } else if (what < 95 && a->id[0]) {
        if (leave(w->b, &a->who) == ERR_OK && !a->asking)
            a->id[0] = 0;
    } else if (what < 96) {
        a->asking = NULL; /* the client forgets everything and starts again */
        a->id[0] = 0;
    } else if (what < 98) {
        do_admin(w, a);
    } else if (pick(w, 10) == 0) {
        failover(w);
    }
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->b = malloc(sizeof *w->b);
    assert_non_null(w->b);
    bench_init(w->b);
    w->rng = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < ACTORS; i++) {
        w->actors[i].who.group = i < 4 ? "g" : "h";
        if (i % 3 == 2) { /* two of them share an instance id: one fences the other */
            snprintf(w->actors[i].instance, sizeof w->actors[i].instance, "i%d", i % 2);
            w->actors[i].who.instance = w->actors[i].instance;
        }
    }
    printf("GROUP_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < STEPS; i++)
        step(w);
    advance(w->b, 3600 * 1000); /* everyone's time is up: nothing may be left waiting */
    for (size_t i = 0; i < w->asks_n; i++)
        assert_true(w->asks[i]->answered);
    assert_true(w->joined > 10 && w->synced > 5);
    bench_free(w->b);
    for (size_t i = 0; i < w->asks_n; i++) {
        ask_free(w->asks[i]);
        free(w->asks[i]);
    }
    free(w->b);
    free(w);
}

static void test_random(void **state)
{
    const char *one = getenv("GROUP_SEED");
    (void)state;
    if (one) {
        run(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
