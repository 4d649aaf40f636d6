/* SPDX-License-Identifier: Apache-2.0
 * Messages that pass a skim: every message in every version, in any pieces, whole and broken; and answers to Fetch
 * whose addresses of nodes must not be seen behind it. */
#include "tests/unit/wire_skim.h"
#include "wire/describe_configs.h"
#include "wire/fetch.h"
#include "wire/list_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void expect_right(const struct wire_message *w, int16_t version, struct slice bytes, bool hide, uint64_t seed)
{
    const char *wrong = skim_wrong(w, version, bytes, hide, 1 + seed % 20, seed);
    if (wrong)
        fail_msg("%s version %d%s, seed %llu: %s", w->name, version, hide ? ", hiding" : "", (unsigned long long)seed,
                 wrong);
}

static struct buf random_bytes_of(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    struct buf b;
    uint8_t *m;

    arena_init(&a, 0);
    buf_init(&b, 0);
    assert_int_equal(random_message(w, version, seed, &a, &m, &b), ERR_OK);
    arena_free(&a);
    return b;
}

static void passes(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct buf b = random_bytes_of(w, version, seed);

    expect_right(w, version, buf_slice(&b), false, seed);
    expect_right(w, version, buf_slice(&b), true, seed);
    assert_true(skim_in_pieces(w, version, b.p, b.n, true, 3, seed));
    buf_free(&b);
}

static void test_every_message_passes(void **state)
{
    (void)state;
    every_version(passes, 6);
}

static void is_right_when_broken(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct buf b = random_bytes_of(w, version, seed);

    for (size_t n = 0; n < b.n; n++)
        if (skim_in_pieces(w, version, b.p, n, false, 9, seed))
            fail_msg("%s version %d: %zu of %zu bytes pass", w->name, version, n, b.n);
    for (size_t at = 0; at < b.n; at++) {
        uint8_t was = b.p[at];
        b.p[at] = (uint8_t)random_next(&seed);
        expect_right(w, version, buf_slice(&b), at % 2, seed);
        b.p[at] = was;
    }
    buf_u8(&b, 0);
    assert_false(skim_in_pieces(w, version, b.p, b.n, false, 9, seed));
    buf_free(&b);
}

static void test_broken_messages_do_not_pass(void **state)
{
    (void)state;
    every_version(is_right_when_broken, 2);
}

/* What cannot be right is refused with its own byte, long before the message ends: nothing behind it goes out. */
static void test_what_is_broken_is_refused_at_once(void **state)
{
    static const struct {
        const struct wire_message *message;
        int16_t version;
        size_t left; /* behind these bytes */
        struct slice bytes;
    } cases[] = {
#define BYTES(text) {(const uint8_t *)(text), sizeof(text) - 1}
        /* four topics in one byte; a string, records, tags beyond the end */
        {&fetch_response_message, 12, 1, BYTES("\0\0\0\0\0\0\0\0\0\0\5")},
        {&fetch_response_message, 4, 99, BYTES("\0\0\0\0\0\0\0\1\0\144")},
        {&fetch_response_message, 12, 5, BYTES("\0\0\0\0\0\0\0\0\0\0\1\3")},
        {&fetch_response_message, 12, 5, BYTES("\0\0\0\0\0\0\0\0\0\0\1\1\7\6")},
        /* a tag twice, a count of more than 32 bits, null where there is none: an array, a name, one of many */
        {&fetch_response_message, 12, 9, BYTES("\0\0\0\0\0\0\0\0\0\0\1\2\7\0\7")},
        {&fetch_response_message, 12, 99, BYTES("\0\0\0\0\0\0\0\0\0\0\201\200\200\200\20")},
        {&fetch_response_message, 12, 99, BYTES("\0\0\0\0\0\0\0\0\0\0\0")},
        {&fetch_response_message, 4, 99, BYTES("\0\0\0\0\0\0\0\1\377\377")},
        {&describe_configs_request_message, 4, 99, BYTES("\2\2\2a\2\0")},
        {&list_groups_request_message, 4, 99, BYTES("\2\0")},
        /* bytes behind the end */
        {&list_groups_request_message, 4, 1, BYTES("\1\0")},
#undef BYTES
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[32], more[1] = {0};
        size_t n = cases[i].bytes.n;
        struct wire_skim s;

        memcpy(bytes, cases[i].bytes.p, n);
        wire_skim_begin(&s, cases[i].message, cases[i].version, n + cases[i].left, true);
        if (!wire_skim_pass(&s, bytes, n - 1))
            fail_msg("case %zu is refused too early", i);
        if (wire_skim_pass(&s, bytes + n - 1, 1))
            fail_msg("case %zu passes", i);
        assert_false(wire_skim_pass(&s, more, 1)); /* and it stays so */
        assert_false(wire_skim_is_through(&s));
    }
}

/* An answer of one topic with these endpoints and unknown fields; version 16 or later. */
static struct buf fetch_answer(int16_t version, int32_t nodes, const uint32_t *tags, int32_t tag_count)
{
    static const uint8_t records[3000] = {1};
    struct fetch_response m;
    struct arena a;
    struct buf b;

    arena_init(&a, 0);
    buf_init(&b, 0);
    fetch_response_init(&m);
    assert_non_null(fetch_response_fetchable_topic_response_array_alloc(&m.responses, 1, &a));
    assert_non_null(fetch_response_partition_data_array_alloc(&m.responses.v[0].partitions, 2, &a));
    m.responses.v[0].partitions.v[0].records = slice_of(records, sizeof records);
    m.responses.v[0].partitions.v[1].current_leader.leader_id = 3;
    m.responses.v[0].partitions.v[1].records = slice_str("");
    fetch_response_node_endpoint_array_alloc(&m.node_endpoints, nodes, &a);
    for (int32_t i = 0; i < nodes; i++) {
        m.node_endpoints.v[i].node_id = i + 1;
        m.node_endpoints.v[i].host = slice_str("broker-of-ours.internal");
        m.node_endpoints.v[i].port = 9092;
    }
    m.tags.v = arena_array(&a, (size_t)tag_count, sizeof *m.tags.v);
    for (m.tags.n = 0; m.tags.n < tag_count; m.tags.n++)
        m.tags.v[m.tags.n] = (struct wire_tag){tags[m.tags.n], slice_str("unknown")};
    assert_int_equal(fetch_response_encode(&m, &b, version), ERR_OK);
    arena_free(&a);
    return b;
}

static bool contains(const struct buf *b, const char *text)
{
    for (size_t at = 0, n = strlen(text); at + n <= b->n; at++)
        if (memcmp(b->p + at, text, n) == 0)
            return true;
    return false;
}

static void test_addresses_of_nodes_are_hidden(void **state)
{
    static const uint32_t tags[] = {1, 2, 90, 126, 127, 128, 5000};
    static const uint32_t renamed[] = {120, 121, 122, 123, 124, 125, 128, 5000};

    (void)state;
    for (int16_t version = 16; version <= FETCH_RESPONSE_MAX; version++) {
        for (size_t piece = 1; piece < 40; piece++) {
            struct buf b = fetch_answer(version, 1 + (int32_t)piece, tags, 7),
                       alone = fetch_answer(version, 2, NULL, 0);
            struct fetch_response m;
            struct cursor c = cursor_of(buf_slice(&b));
            struct arena a;

            arena_init(&a, 0);
            assert_true(contains(&b, "broker-of-ours"));
            assert_true(skim_in_pieces(&fetch_response_message, version, b.p, b.n, true, piece, piece));
            assert_false(contains(&b, "broker-of-ours") || contains(&b, "internal"));
            assert_int_equal(fetch_response_decode(&m, &c, version, &a), ERR_OK);
            assert_int_equal(m.node_endpoints.n, 0);
            assert_int_equal(m.responses.v[0].partitions.v[0].records.n, 3000);
            assert_int_equal(m.responses.v[0].partitions.v[1].current_leader.leader_id, 3);
            assert_int_equal(m.tags.n, 8);
            for (size_t i = 0; i < 8; i++) {
                assert_int_equal(m.tags.v[i].tag, renamed[i]);
                assert_true(slice_eq_str(m.tags.v[i].data, "unknown") == (renamed[i] >= 128));
            }
            c = cursor_of(buf_slice(&alone));
            assert_true(skim_in_pieces(&fetch_response_message, version, alone.p, alone.n, true, piece, piece));
            assert_int_equal(fetch_response_decode(&m, &c, version, &a), ERR_OK);
            assert_int_equal(m.tags.n, 1);
            assert_int_equal(m.tags.v[0].tag, 127);
            arena_free(&a);
            buf_free(&b);
            buf_free(&alone);
        }
    }
}

static void test_without_addresses_nothing_changes(void **state)
{
    static const uint32_t tags[] = {1, 127, 128};
    struct buf b = fetch_answer(17, 0, tags, 3), same = fetch_answer(17, 0, tags, 3);

    (void)state;
    assert_true(skim_in_pieces(&fetch_response_message, 17, b.p, b.n, true, 50, 1));
    assert_true(slice_eq(buf_slice(&b), buf_slice(&same)));
    buf_free(&b);
    buf_free(&same);
}

/* Other ways to say tag 0, or more fields than there are numbers for. */
static void test_a_field_that_cannot_be_hidden_does_not_pass(void **state)
{
    uint8_t longer[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x80, 0, 1, 'x'};
    uint8_t many[10 + 2 + 2 * (WIRE_SKIM_TAGS_MAX + 1)] = {[10] = 1, [11] = WIRE_SKIM_TAGS_MAX + 1};

    (void)state;
    for (size_t i = 0; i <= WIRE_SKIM_TAGS_MAX; i++)
        many[12 + 2 * i] = (uint8_t)i;
    assert_true(skim_in_pieces(&fetch_response_message, 16, many, sizeof many, false, 100, 1));
    assert_false(skim_in_pieces(&fetch_response_message, 16, many, sizeof many, true, 100, 1));
    assert_true(skim_in_pieces(&fetch_response_message, 16, longer, sizeof longer, false, 100, 1));
    assert_false(skim_in_pieces(&fetch_response_message, 16, longer, sizeof longer, true, 100, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_passes),
        cmocka_unit_test(test_broken_messages_do_not_pass),
        cmocka_unit_test(test_what_is_broken_is_refused_at_once),
        cmocka_unit_test(test_addresses_of_nodes_are_hidden),
        cmocka_unit_test(test_without_addresses_nothing_changes),
        cmocka_unit_test(test_a_field_that_cannot_be_hidden_does_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
