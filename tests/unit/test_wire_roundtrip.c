/* SPDX-License-Identifier: Apache-2.0
 * Every message in every version: random values survive encode and decode, cut and changed bytes never crash the
 * decoder, unknown tagged fields survive, defaults encode and come back, and what a version cannot say is refused. */
#include "core/wire/header.h"
#include "tests/unit/wire_random.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/offset_fetch.h"
#include "wire/produce.h"
#include "wire/sasl_authenticate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 12 };

/* Decodes a copy of exactly n bytes, so that a sanitizer sees any read beyond them. */
static enum err decode_copy(const struct wire_message *w, const uint8_t *p, size_t n, int16_t version, struct arena *a)
{
    uint8_t *copy = malloc(n ? n : 1);
    void *m = wire_struct_new(w->body, a);
    struct cursor c;
    enum err e;

    assert_non_null(copy);
    assert_non_null(m);
    memcpy(copy, p, n);
    c = cursor_of(slice_of(copy, n));
    e = w->decode(m, &c, version, a);
    free(copy);
    return e;
}

static void round_trip(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    struct buf first, second;
    struct cursor c;
    uint8_t *m, *back;

    arena_init(&a, 0);
    buf_init(&first, 0);
    buf_init(&second, 0);
    back = wire_struct_new(w->body, &a);
    if (random_message(w, version, seed, &a, &m, &first) != ERR_OK)
        fail_msg("%s version %d does not encode", w->name, version);
    c = cursor_of(buf_slice(&first));
    if (w->decode(back, &c, version, &a) != ERR_OK || cursor_finish(&c) != ERR_OK)
        fail_msg("%s version %d does not decode", w->name, version);
    if (!wire_struct_equal(w->body, m, back))
        fail_msg("%s version %d: what comes back is different", w->name, version);
    assert_int_equal(w->encode(back, &second, version), ERR_OK);
    if (!slice_eq(buf_slice(&first), buf_slice(&second)))
        fail_msg("%s version %d: the bytes differ the second time", w->name, version);
    buf_free(&first);
    buf_free(&second);
    arena_free(&a);
}

static void test_every_version_round_trips(void **state)
{
    size_t n;

    (void)state;
    (void)wire_messages(&n);
    assert_true(n > 150);
    every_version(round_trip, ROUNDS);
}

static void cut_and_change(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    struct buf b;
    uint8_t *m;

    arena_init(&a, 64 * 1024 * 1024);
    buf_init(&b, 0);
    m = wire_struct_new(w->body, &a);
    random_struct(w->body, m, version, wire_versions_has(w->flexible, version), &seed, &a);
    assert_int_equal(w->encode(m, &b, version), ERR_OK);
    for (size_t n = 0; n < b.n; n++)
        if (decode_copy(w, b.p, n, version, &a) == ERR_OK)
            fail_msg("%s version %d: %zu of %zu bytes decode", w->name, version, n, b.n);
    for (size_t at = 0; at < b.n; at++) {
        uint8_t was = b.p[at];
        b.p[at] = (uint8_t)random_next(&seed);
        (void)!decode_copy(w, b.p, b.n, version, &a); /* right or wrong, it must not crash */
        b.p[at] = was;
    }
    buf_free(&b);
    arena_free(&a);
}

static void test_cut_or_changed_bytes_are_no_danger(void **state)
{
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int16_t v = all[i]->valid.min; v <= all[i]->valid.max; v++)
            cut_and_change(all[i], v, (uint64_t)i * 31 + (uint64_t)v);
}

static void test_defaults_encode_in_every_version(void **state)
{
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (int16_t v = all[i]->valid.min; v <= all[i]->valid.max; v++) {
            struct arena a;
            struct buf b;
            struct cursor c;
            void *m, *back;
            arena_init(&a, 0);
            buf_init(&b, 0);
            m = wire_struct_new(all[i]->body, &a);
            back = wire_struct_new(all[i]->body, &a);
            if (all[i]->encode(m, &b, v) != ERR_OK)
                fail_msg("defaults of %s do not encode in version %d", all[i]->name, v);
            c = cursor_of(buf_slice(&b));
            assert_int_equal(all[i]->decode(back, &c, v, &a), ERR_OK);
            assert_true(wire_struct_equal(all[i]->body, m, back));
            buf_free(&b);
            arena_free(&a);
        }
    }
}

static void test_versions_outside_the_range_are_refused(void **state)
{
    struct metadata_request m;
    struct arena a;
    struct buf b;
    struct cursor c = cursor_of(SLICE_NULL);
    (void)state;
    arena_init(&a, 0);
    buf_init(&b, 0);
    metadata_request_init(&m);
    assert_int_equal(metadata_request_encode(&m, &b, METADATA_REQUEST_MAX + 1), ERR_UNSUPPORTED_VERSION);
    assert_int_equal(metadata_request_encode(&m, &b, -1), ERR_UNSUPPORTED_VERSION);
    assert_int_equal(metadata_request_decode(&m, &c, METADATA_REQUEST_MAX + 1, &a), ERR_UNSUPPORTED_VERSION);
    buf_free(&b);
    arena_free(&a);
}

static void test_what_a_version_cannot_say_is_refused(void **state)
{
    struct offset_fetch_request m;
    struct fetch_request f;
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    buf_put_str(&b, "before");
    offset_fetch_request_init(&m);
    m.group_id = slice_str("g");
    m.require_stable = true; /* 7+, not ignorable */
    assert_int_equal(offset_fetch_request_encode(&m, &b, 5), ERR_UNSUPPORTED_VERSION);
    assert_int_equal(b.n, 6); /* and the buffer is as it was */
    assert_int_equal(buf_error(&b), ERR_OK);
    m.require_stable = false;
    assert_int_equal(offset_fetch_request_encode(&m, &b, 5), ERR_OK);
    fetch_request_init(&f);
    f.replica_id = 3; /* 0-14 */
    assert_int_equal(fetch_request_encode(&f, &b, 15), ERR_UNSUPPORTED_VERSION);
    f.replica_id = -1;
    f.rack_id = slice_str("r"); /* 11+, ignorable */
    assert_int_equal(fetch_request_encode(&f, &b, 10), ERR_OK);
    f.rack_id = SLICE_NULL; /* never nullable */
    assert_int_equal(fetch_request_encode(&f, &b, 11), ERR_MALFORMED);
    buf_free(&b);
}

static void test_lengths_that_lie_allocate_nothing(void **state)
{
    /* Metadata v1: 2^31-1 topics in four bytes; Metadata v12: as a compact array. */
    static const uint8_t old[] = {0x7f, 0xff, 0xff, 0xff, 0, 0}, compact[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0, 0};
    struct metadata_request m;
    struct arena a;
    struct cursor c;
    (void)state;
    arena_init(&a, 0);
    c = cursor_of(slice_of(old, sizeof old));
    assert_int_equal(metadata_request_decode(&m, &c, 1, &a), ERR_TRUNCATED);
    c = cursor_of(slice_of(compact, sizeof compact));
    assert_int_equal(metadata_request_decode(&m, &c, 12, &a), ERR_TRUNCATED);
    assert_int_equal(a.used, 0);
    arena_free(&a);
}

static void test_tags_out_of_order_are_refused(void **state)
{
    static const uint8_t twice[] = {0, 0, 0, 1, 2, 200, 1, 0, 200, 1, 0}; /* response header v1: tag 200, 200 */
    struct response_header h;
    struct arena a;
    struct cursor c = cursor_of(slice_of(twice, sizeof twice));
    (void)state;
    arena_init(&a, 0);
    assert_int_equal(response_header_decode(&h, &c, 1, &a), ERR_MALFORMED);
    arena_free(&a);
}

static void test_headers_follow_the_api(void **state)
{
    struct request_header h, back;
    struct arena a;
    struct buf b;
    struct cursor c;
    (void)state;
    assert_int_equal(wire_request_header_version(WIRE_API_VERSIONS, 2), 1);
    assert_int_equal(wire_request_header_version(WIRE_API_VERSIONS, 3), 2);
    assert_int_equal(wire_request_header_version(WIRE_API_VERSIONS, 99), 2);
    assert_int_equal(wire_response_header_version(WIRE_API_VERSIONS, 4), 0);
    assert_int_equal(wire_response_header_version(WIRE_FETCH, 12), 1);
    assert_int_equal(wire_response_header_version(WIRE_FETCH, 11), 0);
    assert_int_equal(wire_request_header_version(WIRE_SASL_HANDSHAKE, 1), 1);
    assert_int_equal(wire_request_header_version(9999, 3), 1);
    arena_init(&a, 0);
    buf_init(&b, 0);
    request_header_init(&h);
    h.request_api_key = WIRE_METADATA;
    h.request_api_version = 12;
    h.correlation_id = 7;
    h.client_id = slice_str("me");
    assert_int_equal(wire_request_header_encode(&h, &b), ERR_OK);
    assert_memory_equal(b.p, "\0\3\0\14\0\0\0\7\0\2me\0", 13);
    c = cursor_of(buf_slice(&b));
    assert_int_equal(wire_request_header_decode(&back, &c, &a), ERR_OK);
    assert_int_equal(cursor_finish(&c), ERR_OK);
    assert_int_equal(back.correlation_id, 7);
    assert_true(slice_eq_str(back.client_id, "me"));
    buf_free(&b);
    arena_free(&a);
}

static void test_frames_carry_their_length(void **state)
{
    struct api_versions_request m;
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    api_versions_request_init(&m);
    assert_int_equal(wire_request_frame(&b, WIRE_API_VERSIONS, 0, 1, SLICE_NULL, &m), ERR_OK);
    assert_int_equal(b.n, 14);
    assert_memory_equal(b.p, "\0\0\0\12\0\22\0\0\0\0\0\1\377\377", 14);
    assert_int_equal(wire_request_frame(&b, WIRE_API_VERSIONS, 77, 1, SLICE_NULL, &m), ERR_UNSUPPORTED_VERSION);
    assert_int_equal(b.n, 14);
    buf_free(&b);
}

static void test_advertised_versions(void **state)
{
    int16_t min, max;
    (void)state;
    assert_true(wire_api_versions_advertised(WIRE_PRODUCE, &min, &max));
    assert_int_equal(min, 0);
    assert_int_equal(max, 13);
    assert_int_equal(wire_api(WIRE_PRODUCE)->min, 3);
    assert_true(wire_api_versions_advertised(WIRE_INIT_PRODUCER_ID, &min, &max)); /* version 6 is unstable */
    assert_int_equal(max, 5);
    assert_false(wire_api_versions_advertised(4, &min, &max));
    assert_null(wire_api(-1));
    assert_null(wire_api(INT16_MAX));
}

static void test_print_hides_secrets(void **state)
{
    struct sasl_authenticate_request m;
    struct create_topics_request t;
    struct arena a;
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    arena_init(&a, 0);
    sasl_authenticate_request_init(&m);
    m.auth_bytes = slice_str("password");
    sasl_authenticate_request_print(&m, 2, &b);
    assert_string_equal(buf_cstr(&b), "SaslAuthenticateRequest(AuthBytes=***)");
    buf_clear(&b);
    create_topics_request_init(&t);
    assert_non_null(create_topics_request_creatable_topic_array_alloc(&t.topics, 1, &a));
    t.topics.v[0].name = slice_str("a\"\n");
    create_topics_request_print(&t, 7, &b);
    assert_string_equal(buf_cstr(&b),
                        "CreateTopicsRequest(Topics=[CreatableTopic(Name=\"a\\\"\\x0a\", NumPartitions=0, "
                        "ReplicationFactor=0, Assignments=[], Configs=[])], timeoutMs=60000, "
                        "validateOnly=false)");
    buf_free(&b);
    arena_free(&a);
}

struct names {
    struct slice seen[8];
    size_t n;
    struct slice replace;
};

static enum err see_name(void *context, const struct wire_field *field, void *value)
{
    struct names *names = context;
    struct slice *s = value;
    assert_int_equal(field->type, WIRE_STRING);
    names->seen[names->n++] = *s;
    if (names->replace.p)
        *s = names->replace;
    return names->n == 3 ? ERR_CANCELLED : ERR_OK;
}

static void test_walk_finds_and_changes_names(void **state)
{
    struct fetch_request m;
    struct names names = {.replace = slice_str("new")};
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    fetch_request_init(&m);
    assert_non_null(fetch_request_fetch_topic_array_alloc(&m.topics, 1, &a));
    assert_non_null(fetch_request_forgotten_topic_array_alloc(&m.forgotten_topics_data, 3, &a));
    m.topics.v[0].topic = slice_str("one");
    m.forgotten_topics_data.v[0].topic = slice_str("two");
    assert_int_equal(wire_walk_entities(fetch_request_message.body, &m, 12, WIRE_ENTITY_TOPIC_NAME, see_name, &names),
                     ERR_CANCELLED);
    assert_int_equal(names.n, 3);
    assert_true(slice_eq_str(names.seen[0], "one"));
    assert_true(slice_eq_str(names.seen[1], "two"));
    assert_true(slice_eq_str(m.topics.v[0].topic, "new"));
    names.n = 0;
    assert_int_equal(wire_walk_entities(fetch_request_message.body, &m, 13, WIRE_ENTITY_TOPIC_NAME, see_name, &names),
                     ERR_OK); /* version 13 has topic ids instead */
    assert_int_equal(names.n, 0);
    arena_free(&a);
}

static void test_uuids_as_kafka_writes_them(void **state)
{
    struct wire_uuid u = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, back;
    char text[WIRE_UUID_TEXT_SIZE];
    (void)state;
    wire_uuid_format(&u, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_true(wire_uuid_parse(slice_str(text), &back));
    assert_true(wire_uuid_eq(&u, &back));
    memset(&u, 0xfb, sizeof u);
    wire_uuid_format(&u, text);
    assert_true(wire_uuid_parse(slice_str(text), &back));
    assert_true(wire_uuid_eq(&u, &back));
    assert_false(wire_uuid_parse(slice_str("AAAAAAAAAAAAAAAAAAAAAR"), &back));
    assert_false(wire_uuid_parse(slice_str("AAAAAAAAAAAAAAAAAAAAA+"), &back));
    assert_false(wire_uuid_parse(slice_str("AAAA"), &back));
}

static void test_metadata_frame(void **state)
{
    struct buf b;
    struct cursor c;
    int16_t type, version;
    (void)state;
    buf_init(&b, 0);
    wire_metadata_put_frame(&b, WIRE_PARTITION_RECORD, 2);
    assert_int_equal(b.n, 3);
    c = cursor_of(buf_slice(&b));
    assert_int_equal(wire_metadata_get_frame(&c, &type, &version), ERR_OK);
    assert_int_equal(type, 3);
    assert_int_equal(version, 2);
    assert_string_equal(wire_metadata_record(type)->name, "PartitionRecord");
    b.p[0] = 2;
    c = cursor_of(buf_slice(&b));
    assert_int_equal(wire_metadata_get_frame(&c, &type, &version), ERR_UNSUPPORTED_VERSION);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version_round_trips),
        cmocka_unit_test(test_cut_or_changed_bytes_are_no_danger),
        cmocka_unit_test(test_defaults_encode_in_every_version),
        cmocka_unit_test(test_versions_outside_the_range_are_refused),
        cmocka_unit_test(test_what_a_version_cannot_say_is_refused),
        cmocka_unit_test(test_lengths_that_lie_allocate_nothing),
        cmocka_unit_test(test_tags_out_of_order_are_refused),
        cmocka_unit_test(test_headers_follow_the_api),
        cmocka_unit_test(test_frames_carry_their_length),
        cmocka_unit_test(test_advertised_versions),
        cmocka_unit_test(test_print_hides_secrets),
        cmocka_unit_test(test_walk_finds_and_changes_names),
        cmocka_unit_test(test_uuids_as_kafka_writes_them),
        cmocka_unit_test(test_metadata_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
