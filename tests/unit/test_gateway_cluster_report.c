/* SPDX-License-Identifier: Apache-2.0
 * What is wrong with the cluster behind, told from what its nodes say. */
#include "gateway/cluster/cluster_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct cluster_report report;
static struct report_problem problems[REPORT_PROBLEMS_MAX];

static int three_nodes(void **state)
{
    (void)state;
    memset(&report, 0, sizeof report);
    report.node_count = 3;
    for (int i = 0; i < 3; i++) {
        report.nodes[i] = (struct node_report){.known = true, .id = i + 1, .host = "h", .port = 9092};
        (void)node_health_answered(&report.nodes[i].health, 1000);
    }
    cluster_report_add_topic(&report, "__castellan_acl", true);
    cluster_report_add_topic(&report, "_schemas", false);
    return 0;
}

/* One topic per name, of one partition with the leader given. */
static void tell(bool all, int n, const char *const *names, const int32_t *leaders)
{
    struct metadata_response_metadata_response_topic topics[8];
    struct metadata_response_metadata_response_partition partitions[8];
    struct metadata_response m;

    metadata_response_init(&m);
    m.topics.v = topics;
    m.topics.n = n;
    for (int i = 0; i < n; i++) {
        metadata_response_metadata_response_topic_init(&topics[i]);
        metadata_response_metadata_response_partition_init(&partitions[i]);
        topics[i].name = slice_str(names[i]);
        partitions[i].leader_id = leaders[i];
        topics[i].partitions.v = &partitions[i];
        topics[i].partitions.n = 1;
    }
    cluster_report_metadata(&report, &m, all);
}

static int judge(void)
{
    return cluster_report_problems(&report, 6000, problems);
}

static void test_all_is_well(void **state)
{
    static const char *const names[] = {"__castellan_acl", "_schemas", "orders"};
    static const int32_t leaders[] = {1, 2, 3};
    char text[100];

    (void)state;
    tell(true, 3, names, leaders);
    assert_int_equal(judge(), 0);
    assert_int_equal(report.partitions, 3);
    cluster_report_summary(&report, text, sizeof text);
    assert_string_equal(text, "");
}

static void test_a_silent_leader_leaves_its_partitions_offline(void **state)
{
    static const char *const names[] = {"__castellan_acl", "_schemas", "orders"};
    static const int32_t leaders[] = {1, 2, 3};
    char text[200];

    (void)state;
    (void)node_health_lost(&report.nodes[2].health, 2000);
    tell(true, 3, names, leaders);
    assert_int_equal(judge(), 2);
    assert_string_equal(problems[0].text, "node 3 (h:9092) does not answer since 4 s");
    assert_string_equal(problems[1].text, "1 of 3 partitions have no leader that answers: orders-0");
    assert_false(problems[0].stops_serving || problems[1].stops_serving);
    cluster_report_summary(&report, text, sizeof text);
    assert_string_equal(text, "1 of 3 nodes do not answer; 1 of 3 partitions have no leader that answers");
}

static void test_only_what_the_rules_need_stops_the_gateway(void **state)
{
    static const char *const schemas[] = {"_schemas"}, *const rules[] = {"__castellan_acl"};
    static const int32_t nobody[] = {-1}, somebody[] = {1};

    (void)state;
    tell(false, 1, schemas, nobody);
    assert_int_equal(judge(), 1);
    assert_false(problems[0].stops_serving);
    tell(false, 1, rules, nobody);
    assert_int_equal(judge(), 2);
    assert_true(problems[0].stops_serving);
    assert_non_null(strstr(problems[0].text, "__castellan_acl"));
    tell(false, 1, rules, somebody);
    tell(false, 1, schemas, somebody);
    assert_int_equal(judge(), 0);
}

static void test_no_node_at_all(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)node_health_lost(&report.nodes[i].health, 2000);
    assert_int_equal(judge(), 4);
    assert_true(problems[0].stops_serving);
}

static void disk(int64_t usable, int64_t total, int16_t error)
{
    struct describe_log_dirs_response_describe_log_dirs_result folders[2];
    struct describe_log_dirs_response d;

    describe_log_dirs_response_init(&d);
    for (int i = 0; i < 2; i++)
        describe_log_dirs_response_describe_log_dirs_result_init(&folders[i]);
    folders[0].usable_bytes = folders[0].total_bytes = (int64_t)1 << 40;
    folders[1].usable_bytes = usable;
    folders[1].total_bytes = total;
    folders[1].error_code = error;
    d.results.v = folders;
    d.results.n = 2;
    cluster_report_log_dirs(&report.nodes[1], &d);
}

static void test_disks(void **state)
{
    (void)state;
    disk(50 << 20, (int64_t)1 << 30, 0);
    assert_int_equal(judge(), 0);
    disk(5 << 20, (int64_t)1 << 30, 0); /* less than one in a hundred */
    assert_int_equal(judge(), 1);
    assert_string_equal(problems[0].text, "node 2: the disk is full: 5242880 of 1073741824 bytes are usable");
    disk(DISK_FULL_BYTES - 1, 2 << 20, 0);
    assert_int_equal(judge(), 1);
    disk(-1, -1, 0); /* a node that does not tell */
    assert_int_equal(judge(), 0);
    disk(50 << 20, (int64_t)1 << 30, ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(judge(), 1);
    assert_non_null(strstr(problems[0].text, "cannot use one of its log folders"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_is_well, three_nodes),
        cmocka_unit_test_setup(test_a_silent_leader_leaves_its_partitions_offline, three_nodes),
        cmocka_unit_test_setup(test_only_what_the_rules_need_stops_the_gateway, three_nodes),
        cmocka_unit_test_setup(test_no_node_at_all, three_nodes),
        cmocka_unit_test_setup(test_disks, three_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
