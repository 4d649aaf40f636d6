/* SPDX-License-Identifier: Apache-2.0
 * The judge of records over a table of schemas in memory: settings, frames, ids, subjects, payloads, rules, and what is
 * forgotten when the registry says something new. */
#include "core/ledger/ledger.h"
#include "gateway/filter/schema_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define LONG_SCHEMA "\\\"long\\\""
#define RECORD_SCHEMA                                                                                                  \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"namespace\\\":\\\"n\\\",\\\"fields\\\":["                 \
    "{\\\"name\\\":\\\"age\\\",\\\"type\\\":\\\"int\\\"}]}"

struct fixture {
    struct schemas *schemas;
    struct schema_judge *judge;
    struct schema_settings settings;
    struct arena arena;
    struct schema_findings findings;
    struct record_batch_builder batch;
    struct buf records;
    struct reason why;
};

static void append(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(ledger_memory_append(schemas_ledger(f->schemas), slice_str(key), slice_str(value)), ERR_OK);
    assert_int_equal(ledger_sync(schemas_ledger(f->schemas), 5000, NULL), ERR_OK);
}

static void put_schema(struct fixture *f, const char *subject, int version, int id, const char *type,
                       const char *schema, const char *more)
{
    char key[300], value[2000];
    snprintf(key, sizeof key, "{\"keytype\":\"SCHEMA\",\"subject\":\"%s\",\"version\":%d,\"magic\":1}", subject,
             version);
    snprintf(value, sizeof value,
             "{\"subject\":\"%s\",\"version\":%d,\"id\":%d,\"schemaType\":\"%s\",\"schema\":\"%s\",%s}", subject,
             version, id, type, schema, more);
    append(f, key, value);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct schemas_config config = {.topic = "_schemas", .memory = true};

    assert_non_null(f);
    assert_int_equal(schemas_open(&f->schemas, &config, &f->why), ERR_OK);
    f->judge = schema_judge_new(f->schemas, slice_str("t"));
    assert_non_null(f->judge);
    arena_init(&f->arena, 0);
    buf_init(&f->records, 0);
    record_batch_builder_init(&f->batch, WIRE_CODEC_NONE, 0);
    f->settings.side[SCHEMA_VALUE].level = SCHEMA_LEVEL_PAYLOAD;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    schema_judge_free(f->judge);
    schemas_close(f->schemas);
    record_batch_builder_free(&f->batch);
    buf_free(&f->records);
    arena_free(&f->arena);
    free(f);
    return 0;
}

static void add(struct fixture *f, int id, const char *payload, size_t n)
{
    uint8_t value[200] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    memcpy(value + 5, payload, n);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of(value, 5 + n), NULL, 0);
}

/* Judges what was added; how many are bad. */
static size_t judge(struct fixture *f)
{
    enum err err;

    buf_clear(&f->records);
    assert_int_equal(record_batch_finish(&f->batch, &f->records), ERR_OK);
    f->findings = (struct schema_findings){.arena = &f->arena};
    err = schema_judge_records(f->judge, &f->settings, buf_slice(&f->records), NULL, &f->findings, &f->why);
    record_batch_builder_free(&f->batch);
    record_batch_builder_init(&f->batch, WIRE_CODEC_LZ4, 0);
    assert_int_equal(err, ERR_OK);
    return f->findings.n;
}

static void expect_one(struct fixture *f, enum schema_fault fault, bool stale)
{
    assert_int_equal(judge(f), 1);
    assert_int_equal(f->findings.v[0].fault, fault);
    assert_int_equal(f->findings.stale, stale);
    assert_true(strncmp(f->findings.v[0].text, "value: ", 7) == 0);
}

static enum err put(struct schema_settings *s, const char *name, const char *value)
{
    return schema_settings_put(s, slice_str(name), slice_str(value));
}

static void test_settings(void **state)
{
    struct schema_settings s = {0};
    char longest[SCHEMA_DEAD_LETTER_MAX + 2];

    (void)state;
    assert_false(schema_settings_check_anything(&s));
    assert_int_equal(put(&s, "castellan.value.schema.validation", "payload"), ERR_OK);
    assert_int_equal(put(&s, "castellan.key.subject.name.strategy", "TopicRecordNameStrategy"), ERR_OK);
    assert_int_equal(put(&s, "castellan.schema.dead.letter.topic", "dead"), ERR_OK);
    assert_int_equal(put(&s, "retention.ms", "whatever"), ERR_OK);
    assert_int_equal(s.side[SCHEMA_VALUE].level, SCHEMA_LEVEL_PAYLOAD);
    assert_int_equal(s.side[SCHEMA_KEY].level, SCHEMA_LEVEL_NONE);
    assert_int_equal(s.side[SCHEMA_KEY].strategy, SUBJECT_OF_TOPIC_RECORD);
    assert_string_equal(s.dead_letter, "dead");
    assert_true(schema_settings_check_anything(&s));
    assert_int_equal(put(&s, "castellan.value.schema.validation", "ids"), ERR_INVALID_CONFIG);
    assert_int_equal(put(&s, "castellan.value.subject.name.strategy", "id"), ERR_INVALID_CONFIG);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(put(&s, "castellan.schema.dead.letter.topic", longest), ERR_INVALID_CONFIG);
    assert_int_equal(put(&s, "castellan.value.schema.validation", ""), ERR_OK);
    assert_false(schema_settings_check_anything(&s));
    assert_int_equal(schema_settings_put(&s, slice_str("castellan.schema.dead.letter.topic"), SLICE_NULL), ERR_OK);
    assert_string_equal(s.dead_letter, "");
}

static void test_ids(void **state)
{
    struct fixture *f = *state;

    put_schema(f, "t-value", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    put_schema(f, "u-value", 1, 8, "AVRO", "\\\"string\\\"", "\"deleted\":false");
    f->settings.side[SCHEMA_VALUE].level = SCHEMA_LEVEL_ID;
    add(f, 7, "not a long at all", 17);
    record_batch_append(&f->batch, 1, slice_str("k"), SLICE_NULL, NULL, 0); /* a tombstone */
    assert_int_equal(judge(f), 0);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\0\0\0\7", 4), NULL, 0);
    expect_one(f, SCHEMA_FAULT_UNFRAMED, false);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\1\0\0\0\7", 5), NULL, 0);
    expect_one(f, SCHEMA_FAULT_UNFRAMED, false);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("", 0), NULL, 0);
    expect_one(f, SCHEMA_FAULT_UNFRAMED, false);
    add(f, 9, "", 0);
    expect_one(f, SCHEMA_FAULT_UNKNOWN_ID, true);
    add(f, -1, "", 0);
    expect_one(f, SCHEMA_FAULT_UNKNOWN_ID, true);
    add(f, 8, "", 0);
    expect_one(f, SCHEMA_FAULT_SUBJECT, true);
    for (int i = 0; i < 40; i++)
        add(f, i % 2 ? 7 : 8, "", 0);
    assert_int_equal(judge(f), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(f->findings.v[i].index, 2 * i);
}

static void test_what_the_registry_says_later(void **state)
{
    struct fixture *f = *state;

    f->settings.side[SCHEMA_VALUE].level = SCHEMA_LEVEL_ID;
    add(f, 7, "", 0);
    expect_one(f, SCHEMA_FAULT_UNKNOWN_ID, true);
    put_schema(f, "t-value", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    add(f, 7, "", 0);
    assert_int_equal(judge(f), 0);
    put_schema(f, "t-value", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":true");
    add(f, 7, "", 0);
    expect_one(f, SCHEMA_FAULT_SUBJECT, true);
    put_schema(f, "real", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    append(f, "{\"keytype\":\"CONFIG\",\"subject\":\"t-value\",\"magic\":0}",
           "{\"subject\":\"t-value\",\"alias\":\"real\",\"compatibilityLevel\":\"NONE\"}");
    add(f, 7, "", 0);
    assert_int_equal(judge(f), 0);
}

static void test_payloads(void **state)
{
    struct fixture *f = *state;

    put_schema(f, "t-value", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    put_schema(f, "t-value", 2, 8, "JSON", "{\\\"type\\\":\\\"integer\\\"}", "\"deleted\":false");
    put_schema(f, "t-value", 3, 9, "AVRO", "\\\"bytes\\\"", "\"deleted\":false");
    put_schema(f, "t-value", 4, 10, "PROTOBUF",
               "syntax = \\\"proto3\\\"; message A { string s = 1; } message B { int32 n = 1; }", "\"deleted\":false");
    add(f, 7, "\2", 1);
    add(f, 8, " 12 ", 4);
    add(f, 9, "\1any bytes at all", 17);
    add(f, 10, "\0\x0a\2hi", 5);
    add(f, 10, "\2\2\x08\1", 4); /* one index: 1, the second message */
    add(f, 7, "\4", 1);
    assert_int_equal(judge(f), 0);
    add(f, 7, "\2\2", 2);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 7, "", 0);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 8, "1.5", 3);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 8, "{", 1);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 10, "\0\x0a\3hi", 5);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 10, "\2\x10\x08\1", 4); /* a message that is not there */
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    add(f, 10, "", 0);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
}

static void test_guid(void **state)
{
    struct fixture *f = *state;
    struct schema_id id = {.id = 7};
    struct record_header h = {.key = slice_str("__value_schema_id")};
    uint8_t guid[1 + GUID_SIZE] = {1};
    struct schema *s;

    put_schema(f, "t-value", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    assert_int_equal(schemas_find(f->schemas, &id, &s, NULL), ERR_OK);
    memcpy(guid + 1, s->guid, GUID_SIZE);
    schema_unref(s);
    h.value = slice_of(guid, sizeof guid);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2", 1), &h, 1);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2", 1), &h, 1);
    assert_int_equal(judge(f), 0);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2\2", 2), &h, 1);
    expect_one(f, SCHEMA_FAULT_PAYLOAD, false);
    guid[1] ^= 1;
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2", 1), &h, 1);
    expect_one(f, SCHEMA_FAULT_UNKNOWN_ID, true);
    h.value = slice_of("\0\0\0\0\7", 5);
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2", 1), &h, 1);
    assert_int_equal(judge(f), 0);
    h.value = slice_of("\1\0\0\0\7", 5); /* neither: the frame must tell, and there is none */
    record_batch_append(&f->batch, 1, SLICE_NULL, slice_of("\2", 1), &h, 1);
    expect_one(f, SCHEMA_FAULT_UNFRAMED, false);
}

static void test_strategies(void **state)
{
    struct fixture *f = *state;

    put_schema(f, "n.R", 1, 7, "AVRO", RECORD_SCHEMA, "\"deleted\":false");
    put_schema(f, "t-n.R", 1, 7, "AVRO", RECORD_SCHEMA, "\"deleted\":false");
    put_schema(f, "A", 1, 9, "PROTOBUF", "syntax = \\\"proto3\\\"; message A { int32 n = 1; } message B {}",
               "\"deleted\":false");
    add(f, 7, "\2", 1);
    expect_one(f, SCHEMA_FAULT_SUBJECT, true);
    f->settings.side[SCHEMA_VALUE].strategy = SUBJECT_OF_RECORD;
    add(f, 7, "\2", 1);
    add(f, 9, "\0\x08\1", 3);
    add(f, 7, "\2", 1);
    add(f, 9, "\0\x08\1", 3);
    assert_int_equal(judge(f), 0);
    add(f, 9, "\2\2", 2); /* message B has another subject, though the schema is the same */
    expect_one(f, SCHEMA_FAULT_SUBJECT, true);
    f->settings.side[SCHEMA_VALUE].strategy = SUBJECT_OF_TOPIC_RECORD;
    add(f, 7, "\2", 1);
    assert_int_equal(judge(f), 0);
    add(f, 9, "\0\x08\1", 3);
    expect_one(f, SCHEMA_FAULT_SUBJECT, true);
}

#define RULE(action)                                                                                                   \
    "\"ruleSet\":{\"domainRules\":[{\"name\":\"adult\",\"kind\":\"CONDITION\",\"type\":\"CEL\",\"mode\":\"WRITE\","    \
    "\"expr\":\"message.age >= 18\",\"onFailure\":\"" action "\"}]},\"deleted\":false"

static void test_rules(void **state)
{
    struct fixture *f = *state;

    put_schema(f, "t-value", 1, 7, "AVRO", RECORD_SCHEMA, RULE("ERROR"));
    put_schema(f, "t-value", 2, 8, "AVRO", RECORD_SCHEMA, RULE("DLQ"));
    put_schema(f, "t-value", 3, 9, "AVRO", RECORD_SCHEMA, RULE("NONE"));
    put_schema(f, "t-value", 4, 10, "JSON", "{\\\"type\\\":\\\"object\\\"}", RULE("ERROR"));
    add(f, 7, "\x24", 1); /* 18 */
    add(f, 9, "\x22", 1);
    add(f, 10, "{\"age\":18}", 10);
    assert_int_equal(judge(f), 0);
    add(f, 7, "\x22", 1);
    expect_one(f, SCHEMA_FAULT_RULE, false);
    assert_true(f->findings.v[0].must_refuse);
    add(f, 8, "\x22", 1);
    expect_one(f, SCHEMA_FAULT_RULE, false);
    assert_false(f->findings.v[0].must_refuse);
    add(f, 10, "{\"age\":17}", 10);
    expect_one(f, SCHEMA_FAULT_RULE, false);
    add(f, 10, "{}", 2);
    expect_one(f, SCHEMA_FAULT_RULE, false);
}

static void test_keys_and_broken_batches(void **state)
{
    struct fixture *f = *state;
    struct schema_findings none = {.arena = &f->arena};

    put_schema(f, "t-key", 1, 7, "AVRO", LONG_SCHEMA, "\"deleted\":false");
    f->settings.side[SCHEMA_KEY].level = SCHEMA_LEVEL_PAYLOAD;
    record_batch_append(&f->batch, 1, slice_of("\0\0\0\0\7\2", 6), SLICE_NULL, NULL, 0);
    assert_int_equal(judge(f), 0);
    record_batch_append(&f->batch, 1, slice_of("\0\0\0\0\7", 5), slice_str("bad as well"), NULL, 0);
    assert_int_equal(judge(f), 1); /* one violation for a record */
    assert_true(strncmp(f->findings.v[0].text, "key: ", 5) == 0);
    f->records.p[f->records.n - 1] ^= 0x40; /* changed on the way: worth another try */
    assert_int_not_equal(schema_judge_records(f->judge, &f->settings, buf_slice(&f->records), NULL, &none, &f->why),
                         ERR_OK);
    none = (struct schema_findings){.arena = &f->arena};
    assert_int_not_equal(schema_judge_records(f->judge, &f->settings, slice_str("no batch"), NULL, &none, &f->why),
                         ERR_OK);
    assert_true(buf_reserve(&f->records, f->records.n));
    buf_put_slice(&f->records, buf_slice(&f->records)); /* two batches */
    none = (struct schema_findings){.arena = &f->arena};
    assert_int_equal(schema_judge_records(f->judge, &f->settings, buf_slice(&f->records), NULL, &none, &f->why),
                     ERR_INVALID_RECORD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_registry_says_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payloads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strategies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_and_broken_batches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
