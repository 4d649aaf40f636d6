/* SPDX-License-Identifier: Apache-2.0
 * The table of reserved names: what each row refuses and to whom, and that docs/authorization.md shows the same. */
#include "gateway/request/reserved.h"
#include "wire/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct reserved_names defaults;

struct rule {
    enum acl_type type;
    enum acl_pattern pattern;
    enum acl_operation operation;
    enum acl_permission permission;
    const char *name, *principal;
};

static struct acl_snapshot *snapshot(const struct rule *rules, size_t n, bool allow_if_none)
{
    struct acl_options o = {.super_users = slice_str("User:root"), .allow_if_no_acl = allow_if_none};
    struct acl_set *set = acl_set_new();
    struct acl_snapshot *out;

    for (size_t i = 0; i < n; i++) {
        struct acl_rule r = {rules[i].type,       rules[i].pattern,         rules[i].operation,
                             rules[i].permission, slice_str(rules[i].name), slice_str(rules[i].principal),
                             slice_str("*")};
        assert_int_equal(acl_set_add(set, &r, NULL, NULL), ERR_OK);
    }
    assert_int_equal(acl_snapshot_build(&out, set, &o, NULL), ERR_OK);
    acl_set_free(set);
    return out;
}

/* Everything for ann by "*", by prefix for ben, by the very name for cid. */
static struct acl_snapshot *everything_for(const char *name, bool allow_if_none)
{
    struct rule rules[9];
    static const enum acl_type types[] = {ACL_TOPIC, ACL_GROUP, ACL_TRANSACTIONAL_ID};
    static char prefix[2];

    prefix[0] = name[0];
    for (size_t i = 0; i < 3; i++) {
        rules[3 * i] = (struct rule){types[i], ACL_LITERAL, ACL_ALL, ACL_ALLOW, "*", "User:ann"};
        rules[3 * i + 1] = (struct rule){types[i], ACL_PREFIXED, ACL_ALL, ACL_ALLOW, prefix, "User:ben"};
        rules[3 * i + 2] = (struct rule){types[i], ACL_LITERAL, ACL_ALL, ACL_ALLOW, name, "User:cid"};
    }
    return snapshot(rules, 9, allow_if_none);
}

static enum err judge(const struct acl_snapshot *s, enum acl_type type, const char *name, enum acl_operation op,
                      const char *principal, int16_t api)
{
    struct acl_question q = {type, op, slice_str(name), slice_str(principal), slice_str("127.0.0.1")};
    return reserved_judge(&defaults, s, &q, api, false, NULL);
}

static void test_the_metadata_log(void **state)
{
    static const char *const all[] = {"User:ann", "User:ben", "User:cid", "User:root"};
    static const char name[] = "__cluster_metadata";
    struct acl_snapshot *s = everything_for(name, true);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (int op = ACL_READ; op < ACL_OPERATIONS; op++) {
            for (int16_t api = RESERVED_ANY_API; api < 100; api++)
                assert_int_equal(judge(s, ACL_TOPIC, name, (enum acl_operation)op, all[i], api),
                                 api == WIRE_CREATE_TOPICS ? ERR_INVALID_REQUEST : ERR_UNKNOWN_TOPIC_OR_PARTITION);
        }
    assert_int_equal(judge(s, ACL_TOPIC, name, ACL_READ, "User:dee", WIRE_FETCH), ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(judge(s, ACL_TOPIC, name, ACL_CREATE, "User:dee", WIRE_CREATE_TOPICS), ERR_INVALID_REQUEST);
    assert_int_equal(judge(s, ACL_TOPIC, "__cluster_metadata2", ACL_READ, "User:ann", WIRE_FETCH), ERR_OK);
    acl_snapshot_unref(s);
}

static void test_internal_topics(void **state)
{
    static const char *const names[] = {"__consumer_offsets", "__transaction_state", "__share_group_state"};
    static const char *const all[] = {"User:ann", "User:ben", "User:cid", "User:root"};

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct acl_snapshot *s = everything_for(names[k], false);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_WRITE, all[i], WIRE_PRODUCE),
                             ERR_INVALID_TOPIC_EXCEPTION);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_DELETE, all[i], WIRE_DELETE_RECORDS),
                             ERR_INVALID_TOPIC_EXCEPTION);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_WRITE, all[i], WIRE_ADD_PARTITIONS_TO_TXN),
                             ERR_TOPIC_AUTHORIZATION_FAILED);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_CREATE, all[i], WIRE_METADATA),
                             ERR_UNKNOWN_TOPIC_OR_PARTITION);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_DESCRIBE, all[i], WIRE_METADATA), ERR_OK);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_READ, all[i], WIRE_FETCH), ERR_OK);
            assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_DELETE, all[i], WIRE_DELETE_TOPICS), ERR_OK);
        }
        assert_int_equal(judge(s, ACL_TOPIC, names[k], ACL_WRITE, "User:dee", WIRE_PRODUCE),
                         ERR_TOPIC_AUTHORIZATION_FAILED);
        acl_snapshot_unref(s);
    }
}

static void check_literal(enum acl_type type, const char *name, bool describing)
{
    enum err refused = reserved_refusal(type);

    for (int none = 0; none < 2; none++) {
        struct acl_snapshot *s = everything_for(name, none);
        for (int op = ACL_READ; op < ACL_OPERATIONS; op++) {
            enum acl_operation o = (enum acl_operation)op;
            bool open = describing && (o == ACL_DESCRIBE || o == ACL_DESCRIBE_CONFIGS);
            assert_int_equal(judge(s, type, name, o, "User:ann", WIRE_FETCH), open ? ERR_OK : refused);
            assert_int_equal(judge(s, type, name, o, "User:ben", WIRE_FETCH), open ? ERR_OK : refused);
            assert_int_equal(judge(s, type, name, o, "User:cid", WIRE_FETCH), ERR_OK);
            assert_int_equal(judge(s, type, name, o, "User:root", WIRE_FETCH), ERR_OK);
            assert_int_equal(judge(s, type, name, o, "User:dee", WIRE_FETCH), refused);
        }
        acl_snapshot_unref(s);
    }
}

static void test_ours(void **state)
{
    (void)state;
    check_literal(ACL_TOPIC, "_schemas", true);
    check_literal(ACL_TOPIC, "_dek_registry_keys", true);
    check_literal(ACL_TOPIC, "__castellan_users", true);
    check_literal(ACL_TOPIC, "__castellan_", true);
    check_literal(ACL_TRANSACTIONAL_ID, "castellan-ledger-__castellan_acl", false);
    check_literal(ACL_GROUP, "__castellan_anything", false);
}

/* With no rule at all, allow.everyone.if.no.acl.found opens what is not reserved, and nothing else. */
static void test_no_rule_is_no_right(void **state)
{
    struct acl_snapshot *s = snapshot(NULL, 0, true);

    (void)state;
    assert_int_equal(judge(s, ACL_TOPIC, "orders", ACL_READ, "User:ann", WIRE_FETCH), ERR_OK);
    assert_int_equal(judge(s, ACL_TOPIC, "_schemas", ACL_READ, "User:ann", WIRE_FETCH), ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(judge(s, ACL_TOPIC, "_schemas", ACL_DESCRIBE, "User:ann", WIRE_METADATA), ERR_OK);
    acl_snapshot_unref(s);
}

static void test_a_deny_rule_stays(void **state)
{
    const struct rule rules[] = {
        {ACL_TOPIC, ACL_LITERAL, ACL_READ, ACL_ALLOW, "_schemas", "User:ann"},
        {ACL_TOPIC, ACL_LITERAL, ACL_READ, ACL_DENY, "*", "User:ann"},
    };
    struct acl_snapshot *s = snapshot(rules, 2, false);

    (void)state;
    assert_int_equal(judge(s, ACL_TOPIC, "_schemas", ACL_READ, "User:ann", WIRE_FETCH), ERR_TOPIC_AUTHORIZATION_FAILED);
    acl_snapshot_unref(s);
}

static void test_rights_on_the_cluster(void **state)
{
    struct acl_snapshot *s = everything_for("_schemas", false);
    struct acl_question q = {ACL_TOPIC, ACL_CREATE, slice_str("_schemas"), slice_str("User:dee"), slice_str("::1")};
    const struct reserved_row *row;

    (void)state;
    assert_int_equal(reserved_judge(&defaults, s, &q, WIRE_CREATE_TOPICS, true, &row), ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_non_null(row);
    q.name = slice_str("orders");
    assert_int_equal(reserved_judge(&defaults, s, &q, WIRE_CREATE_TOPICS, true, &row), ERR_OK);
    assert_null(row);
    q.name = slice_str("_schemas");
    q.principal = slice_str("User:cid");
    assert_int_equal(reserved_judge(&defaults, s, &q, WIRE_CREATE_TOPICS, true, &row), ERR_OK);
    q.principal = slice_str("User:root");
    assert_int_equal(reserved_judge(&defaults, s, &q, WIRE_CREATE_TOPICS, false, &row), ERR_OK);
    assert_null(row);
    acl_snapshot_unref(s);
}

static void test_a_configured_name(void **state)
{
    const struct reserved_names names = {.schemas = slice_str("my-schemas")};
    struct acl_snapshot *s = everything_for("my-schemas", false);
    struct acl_question q = {ACL_TOPIC, ACL_READ, slice_str("my-schemas"), slice_str("User:ann"), slice_str("::1")};

    (void)state;
    assert_int_equal(reserved_judge(&names, s, &q, WIRE_FETCH, false, NULL), ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(reserved_judge(&defaults, s, &q, WIRE_FETCH, false, NULL), ERR_OK);
    q.name = slice_str("_schemas");
    assert_int_equal(reserved_judge(&names, s, &q, WIRE_FETCH, false, NULL), ERR_OK);
    acl_snapshot_unref(s);
}

static void test_other_names_and_kinds(void **state)
{
    static const char *const plain[] = {"orders", "__castellan", "_schemas2", "_schema", "", "__consumer_offsets2"};

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_null(reserved_find(&defaults, ACL_TOPIC, slice_str(plain[i]), ACL_OP_ANY, RESERVED_ANY_API));
    assert_null(reserved_find(&defaults, ACL_TOPIC, SLICE_NULL, ACL_OP_ANY, RESERVED_ANY_API));
    assert_null(reserved_find(&defaults, ACL_GROUP, slice_str("_schemas"), ACL_OP_ANY, RESERVED_ANY_API));
    assert_null(reserved_find(&defaults, ACL_TOPIC, slice_str("castellan-ledger-x"), ACL_OP_ANY, RESERVED_ANY_API));
    assert_non_null(reserved_find(&defaults, ACL_TOPIC, slice_str("__castellan_x"), ACL_OP_ANY, RESERVED_ANY_API));
}

static char *read_docs(void)
{
    FILE *f = fopen(TEST_SOURCE "/docs/authorization.md", "rb");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static void test_the_docs_show_the_table(void **state)
{
    static const char head[] = "| --- | --- | --- | --- | --- |\n";
    char *docs = read_docs(), *at = strstr(docs, head);
    struct buf table;

    (void)state;
    assert_non_null(at);
    buf_init(&table, 0);
    for (size_t i = 0; reserved_row_at(i); i++)
        reserved_row_put(&table, reserved_row_at(i));
    at += strlen(head);
    if (strncmp(at, buf_cstr(&table), table.n) != 0 || at[table.n] == '|') {
        fputs(buf_cstr(&table), stdout);
        fail_msg("docs/authorization.md must show the table above");
    }
    buf_free(&table);
    free(docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_metadata_log),
        cmocka_unit_test(test_internal_topics),
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_no_rule_is_no_right),
        cmocka_unit_test(test_a_deny_rule_stays),
        cmocka_unit_test(test_rights_on_the_cluster),
        cmocka_unit_test(test_a_configured_name),
        cmocka_unit_test(test_other_names_and_kinds),
        cmocka_unit_test(test_the_docs_show_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
