/* SPDX-License-Identifier: Apache-2.0
 * Nanoseconds per access decision among many rules, and how much faster that is than scanning the same rules one by
 * one in the same run. Usage: bench_acl [RULES] */
#include "acl/acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RULES = 100000, QUESTIONS = 4096, ROUNDS = 100, SCANS = 40 };

struct mix {
    const char *name;
    unsigned prefixed, deny; /* percent */
};

static const struct mix mixes[] = {
    {"literal", 0, 0}, {"prefixed", 100, 0}, {"literal + prefixed", 50, 0}, {"with 20 % deny", 50, 20}};

struct question {
    char name[64], principal[32];
    struct acl_question q;
};

static uint64_t seed = 42;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add_rules(struct acl_set *set, const struct mix *mix, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char name[64], who[32];
        bool prefixed = below(100) < mix->prefixed;
        struct acl_rule r = {.type = ACL_TOPIC, .host = slice_str("*"), .operation = ACL_READ + below(2)};
        if (prefixed)
            snprintf(name, sizeof name, "team-%u.%.*s", below(n), (int)below(20), "orders-and-more-orders");
        else
            snprintf(name, sizeof name, "team-%u.orders-%u", below(n), below(8));
        snprintf(who, sizeof who, "User:service-%u", below(5000));
        r.pattern = prefixed ? ACL_PREFIXED : ACL_LITERAL;
        r.permission = below(100) < mix->deny ? ACL_DENY : ACL_ALLOW;
        r.name = slice_str(name);
        r.principal = slice_str(who);
        if (acl_set_add(set, &r, NULL, NULL) != ERR_OK)
            exit(1);
    }
}

/* Half of the questions are answered by a rule, half by none. */
static void make_questions(struct question *q, const struct acl_snapshot *s)
{
    for (int i = 0; i < QUESTIONS; i++) {
        const struct acl_rule *r = acl_snapshot_rule(s, below((uint32_t)acl_snapshot_count(s)));
        snprintf(q[i].name, sizeof q[i].name, "%.*s%s", SLICE_FMT(r->name), r->pattern == ACL_PREFIXED ? "-0017" : "");
        if (below(2))
            snprintf(q[i].principal, sizeof q[i].principal, "%.*s", SLICE_FMT(r->principal));
        else
            snprintf(q[i].principal, sizeof q[i].principal, "User:service-%u", below(5000));
        q[i].q = (struct acl_question){.type = ACL_TOPIC,
                                       .operation = ACL_READ,
                                       .name = slice_str(q[i].name),
                                       .principal = slice_str(q[i].principal),
                                       .host = slice_str("10.1.2.3")};
    }
}

static bool scan(const struct acl_snapshot *s, const struct acl_question *q)
{
    bool allow = false;

    for (size_t i = 0; i < acl_snapshot_count(s); i++) {
        const struct acl_rule *r = acl_snapshot_rule(s, i);
        if (r->type != q->type || (r->operation != q->operation && r->operation != ACL_ALL))
            continue;
        if (r->pattern == ACL_PREFIXED ? !slice_starts(q->name, r->name)
                                       : !slice_eq(q->name, r->name) && !slice_eq_str(r->name, "*"))
            continue;
        if (!slice_eq(r->principal, q->principal) && !slice_eq_str(r->principal, "User:*"))
            continue;
        if (!slice_eq(r->host, q->host) && !slice_eq_str(r->host, "*"))
            continue;
        if (r->permission == ACL_DENY)
            return false;
        allow = true;
    }
    return allow;
}

static int run(const struct mix *mix, uint32_t rules)
{
    static struct question q[QUESTIONS];
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *s;
    int64_t start, built, decided, scanned;
    unsigned yes = 0, wrong = 0;

    add_rules(set, mix, rules);
    start = now_ns();
    if (acl_snapshot_build(&s, set, NULL, NULL) != ERR_OK)
        return 1;
    built = now_ns() - start;
    make_questions(q, s);
    start = now_ns();
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < QUESTIONS; i++)
            yes += acl_allowed(s, &q[i].q);
    decided = now_ns() - start;
    start = now_ns();
    for (int i = 0; i < SCANS; i++)
        wrong += scan(s, &q[i].q) != acl_allowed(s, &q[i].q);
    scanned = now_ns() - start;
    {
        double each = (double)decided / (ROUNDS * QUESTIONS), by_scan = (double)scanned / SCANS;
        printf("%-20s %8zu %10.0f %12.0f %9.0fx %8.0f %9.0f %%%s\n", mix->name, acl_snapshot_count(s), each, by_scan,
               by_scan / each, (double)built / 1e6, 100.0 * yes / (ROUNDS * QUESTIONS), wrong ? "  WRONG" : "");
    }
    acl_snapshot_unref(s);
    acl_set_free(set);
    return wrong != 0;
}

int main(int argc, char **argv)
{
    uint32_t rules = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : RULES;
    int bad = 0;

    printf("%-20s %8s %10s %12s %10s %8s %11s\n", "access decision", "rules", "ns", "ns by scan", "ratio", "build ms",
           "allowed");
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
        bad |= run(&mixes[i], rules);
    return bad;
}
