/* SPDX-License-Identifier: Apache-2.0
 * The indexed decision against a plain reading of Kafka's rules (a scan of all of them), on random rule sets over a
 * small alphabet so that everything collides with everything; plus the cases worth naming. */
#include "acl/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

struct scan {
    const struct acl_question *q;
    bool named, deny, allow;
};

static bool scan_implies(const struct acl_rule *r, enum acl_operation o)
{
    if (r->operation == ACL_ALL || r->operation == o)
        return true;
    if (r->permission == ACL_DENY)
        return false;
    if (o == ACL_DESCRIBE)
        return r->operation == ACL_READ || r->operation == ACL_WRITE || r->operation == ACL_DELETE ||
               r->operation == ACL_ALTER;
    return o == ACL_DESCRIBE_CONFIGS && r->operation == ACL_ALTER_CONFIGS;
}

static bool scan_rule(void *ctx, const struct acl_rule *r)
{
    struct scan *s = ctx;

    if (r->type != s->q->type)
        return true;
    if (r->pattern == ACL_LITERAL && !slice_eq(r->name, s->q->name) && !slice_eq_str(r->name, "*"))
        return true;
    if (r->pattern == ACL_PREFIXED && !slice_starts(s->q->name, r->name))
        return true;
    s->named = true;
    if (!slice_eq(r->principal, s->q->principal) && !slice_eq_str(r->principal, "User:*"))
        return true;
    if (!slice_eq(r->host, s->q->host) && !slice_eq_str(r->host, "*"))
        return true;
    if (!scan_implies(r, s->q->operation))
        return true;
    if (r->permission == ACL_DENY)
        s->deny = true;
    else
        s->allow = true;
    return true;
}

static bool scan_allowed(const struct acl_set *set, const struct acl_question *q, bool allow_if_no_acl)
{
    struct scan s = {.q = q};

    acl_set_each(set, scan_rule, &s);
    return !s.deny && (s.allow || (!s.named && allow_if_no_acl));
}

static const char *const names[] = {"a", "aa", "ab", "aab", "abb", "aabb", "b", "ba", "*", "aabbc", "hardcode"};
static const char *const principals[] = {"User:a", "User:b", "User:*", "User:c", "Group:a"};
static const char *const hosts[] = {"*", "10.0.0.1", "10.0.0.2", "::1"};
static const enum acl_type types[] = {ACL_TOPIC, ACL_GROUP, ACL_SUBJECT};
#define PICK(a) (a)[below(sizeof(a) / sizeof *(a))]

static struct acl_rule random_rule(void)
{
    return (struct acl_rule){.type = PICK(types),
                             .pattern = below(2) ? ACL_LITERAL : ACL_PREFIXED,
                             .operation = (enum acl_operation)(ACL_ALL + below(14)),
                             .permission = below(3) ? ACL_ALLOW : ACL_DENY,
                             .name = slice_str(names[below(10)]),
                             .principal = slice_str(PICK(principals)),
                             .host = slice_str(PICK(hosts))};
}

static struct acl_question random_question(void)
{
    static const char *const asked[] = {"User:a", "User:b", "User:c", "Group:a", "User:nobody"};
    return (struct acl_question){.type = PICK(types),
                                 .operation = (enum acl_operation)(ACL_READ + below(13)),
                                 .name = slice_str(PICK(names)),
                                 .principal = slice_str(PICK(asked)),
                                 .host = slice_str(below(8) ? hosts[1 + below(3)] : "10.9.9.9")};
}

/* The rule that explains a decision must by itself say the same. */
static void check_explanation(const struct acl_snapshot *s, const struct acl_question *q, bool allowed)
{
    struct acl_explanation x;
    struct scan one = {.q = q};

    acl_explain(s, q, &x);
    assert_int_equal(x.allowed, allowed);
    if (x.basis == ACL_BASIS_ALLOW_RULE || x.basis == ACL_BASIS_DENY_RULE) {
        assert_non_null(x.rule);
        scan_rule(&one, x.rule);
        assert_true(x.basis == ACL_BASIS_ALLOW_RULE ? one.allow : one.deny);
    } else {
        assert_null(x.rule);
    }
}

static void random_sets_decide_like_a_scan(void **state)
{
    (void)state;
    for (seed = 1; seed < 150; seed++) {
        uint64_t keep = seed;
        struct acl_set *set = acl_set_new();
        struct acl_snapshot *s;
        struct acl_options o = {.allow_if_no_acl = below(2)};
        uint32_t rules = below(40);
        for (uint32_t i = 0; i < rules; i++) {
            struct acl_rule r = random_rule();
            assert_int_equal(acl_set_add(set, &r, NULL, NULL), ERR_OK);
        }
        assert_int_equal(acl_snapshot_build(&s, set, &o, NULL), ERR_OK);
        assert_int_equal(acl_snapshot_count(s), acl_set_count(set));
        for (int i = 0; i < 400; i++) {
            struct acl_question q = random_question();
            bool want = scan_allowed(set, &q, o.allow_if_no_acl);
            if (acl_allowed(s, &q) != want)
                fail_msg("seed %llu question %d: %s on %.*s by %.*s from %.*s: want %d", (unsigned long long)keep, i,
                         acl_operation_name(q.operation), SLICE_FMT(q.name), SLICE_FMT(q.principal), SLICE_FMT(q.host),
                         want);
            check_explanation(s, &q, want);
        }
        acl_snapshot_unref(s);
        acl_set_free(set);
        seed = keep;
    }
}

/* Kafka's authorizeByResourceType, read plainly over all rules. */
struct by_type {
    const struct acl_question *q;
    const struct acl_rule *allow[64], *deny[64];
    size_t allows, denies;
};

static bool collect(void *ctx, const struct acl_rule *r)
{
    struct by_type *b = ctx;

    if (r->type != b->q->type || (r->operation != b->q->operation && r->operation != ACL_ALL) ||
        (!slice_eq(r->host, b->q->host) && !slice_eq_str(r->host, "*")) ||
        (!slice_eq(r->principal, b->q->principal) && !slice_eq_str(r->principal, "User:*")))
        return true;
    if (r->permission == ACL_DENY)
        b->deny[b->denies++] = r;
    else
        b->allow[b->allows++] = r;
    return true;
}

static bool scan_by_type(const struct acl_set *set, const struct acl_question *q, bool allow_if_no_acl)
{
    struct by_type b = {.q = q};
    struct acl_question fixed = *q;

    fixed.name = slice_str("hardcode");
    if (scan_allowed(set, &fixed, allow_if_no_acl))
        return true;
    acl_set_each(set, collect, &b);
    for (size_t i = 0; i < b.denies; i++)
        if (b.deny[i]->pattern == ACL_LITERAL && slice_eq_str(b.deny[i]->name, "*"))
            return false;
    for (size_t i = 0; i < b.allows; i++) {
        bool covered = false;
        if (b.allow[i]->pattern == ACL_LITERAL && slice_eq_str(b.allow[i]->name, "*"))
            return true;
        for (size_t k = 0; k < b.denies; k++) {
            if (b.deny[k]->pattern == ACL_PREFIXED)
                covered = covered || slice_starts(b.allow[i]->name, b.deny[k]->name);
            else if (b.allow[i]->pattern == ACL_LITERAL)
                covered = covered || slice_eq(b.allow[i]->name, b.deny[k]->name);
        }
        if (!covered)
            return true;
    }
    return false;
}

static void by_type_decides_like_a_scan(void **state)
{
    (void)state;
    for (seed = 1000; seed < 1400; seed++) {
        uint64_t keep = seed;
        struct acl_set *set = acl_set_new();
        struct acl_snapshot *s;
        uint32_t rules = below(12);
        for (uint32_t i = 0; i < rules; i++) {
            struct acl_rule r = random_rule();
            r.operation = below(4) ? ACL_WRITE : ACL_ALL;
            r.type = ACL_TOPIC;
            assert_int_equal(acl_set_add(set, &r, NULL, NULL), ERR_OK);
        }
        assert_int_equal(acl_snapshot_build(&s, set, NULL, NULL), ERR_OK);
        for (int i = 0; i < 100; i++) {
            struct acl_question q = random_question();
            q.type = ACL_TOPIC;
            q.operation = ACL_WRITE;
            assert_int_equal(acl_allowed_by_type(s, &q), scan_by_type(set, &q, false));
        }
        acl_snapshot_unref(s);
        acl_set_free(set);
        seed = keep;
    }
}

static void add(struct acl_set *set, enum acl_permission p, const char *who, enum acl_operation o, enum acl_type t,
                enum acl_pattern pattern, const char *name, const char *host)
{
    struct acl_rule r = {t, pattern, o, p, slice_str(name), slice_str(who), slice_str(host)};
    assert_int_equal(acl_set_add(set, &r, NULL, NULL), ERR_OK);
}

static bool ask(const struct acl_snapshot *s, const char *who, enum acl_operation o, const char *name, const char *host)
{
    struct acl_question q = {ACL_TOPIC, o, slice_str(name), slice_str(who), slice_str(host)};
    return acl_allowed(s, &q);
}

static void super_users_pass_every_deny(void **state)
{
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *s;
    struct acl_options o = {.super_users = slice_str(" User:admin ; User:CN=ops,O=Example;")};
    struct acl_options bad = {.super_users = slice_str("admin")};
    struct reason why;

    (void)state;
    add(set, ACL_DENY, "User:*", ACL_ALL, ACL_TOPIC, ACL_LITERAL, "*", "*");
    assert_int_equal(acl_snapshot_build(&s, set, &o, NULL), ERR_OK);
    assert_true(ask(s, "User:admin", ACL_WRITE, "t", "1.2.3.4"));
    assert_true(ask(s, "User:CN=ops,O=Example", ACL_WRITE, "t", "1.2.3.4"));
    assert_false(ask(s, "User:bob", ACL_WRITE, "t", "1.2.3.4"));
    acl_snapshot_unref(s);
    assert_int_equal(acl_snapshot_build(&s, set, &bad, &why), ERR_BAD_CONFIG);
    assert_null(s);
    acl_set_free(set);
}

static void hosts_are_compared_as_addresses(void **state)
{
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *s;

    (void)state;
    add(set, ACL_ALLOW, "User:a", ACL_READ, ACL_TOPIC, ACL_LITERAL, "t", "0:0:0:0:0:0:0:1");
    add(set, ACL_ALLOW, "User:a", ACL_WRITE, ACL_TOPIC, ACL_LITERAL, "t", "::1");
    add(set, ACL_ALLOW, "User:a", ACL_DELETE, ACL_TOPIC, ACL_LITERAL, "t", "10.0.0.1");
    assert_int_equal(acl_snapshot_build(&s, set, NULL, NULL), ERR_OK);
    assert_true(ask(s, "User:a", ACL_READ, "t", "::1"));
    assert_true(ask(s, "User:a", ACL_WRITE, "t", "0:0:0:0:0:0:0:1"));
    assert_true(ask(s, "User:a", ACL_DELETE, "t", "::ffff:10.0.0.1"));
    assert_false(ask(s, "User:a", ACL_DELETE, "t", "10.0.0.10"));
    acl_snapshot_unref(s);
    acl_set_free(set);
}

static void senseless_questions_are_refused(void **state)
{
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *s;
    struct acl_options o = {.allow_if_no_acl = true};
    struct acl_question q = {ACL_TYPE_ANY, ACL_READ, slice_str("t"), slice_str("User:a"), slice_str("1.1.1.1")};

    (void)state;
    add(set, ACL_ALLOW, "User:*", ACL_ALL, ACL_TOPIC, ACL_LITERAL, "*", "*");
    assert_int_equal(acl_snapshot_build(&s, set, &o, NULL), ERR_OK);
    assert_false(acl_allowed(s, &q));
    q.type = ACL_TOPIC;
    q.operation = ACL_ALL;
    assert_false(acl_allowed(s, &q));
    q.operation = ACL_READ;
    q.name = SLICE_NULL;
    assert_false(acl_allowed(s, &q));
    q.name = slice_str("t");
    assert_true(acl_allowed(s, &q));
    acl_snapshot_unref(s);
    acl_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sets_decide_like_a_scan),  cmocka_unit_test(by_type_decides_like_a_scan),
        cmocka_unit_test(super_users_pass_every_deny),     cmocka_unit_test(hosts_are_compared_as_addresses),
        cmocka_unit_test(senseless_questions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
