/* SPDX-License-Identifier: Apache-2.0
 * Jobs on the pool: decompression of a request's record sets, judging by schemas, and what is refused or cancelled. */
#include "core/ledger/ledger.h"
#include "gateway/filter/heavy.h"
#include "gateway/filter/schema_parting.h"

#include "malloc_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MIB = 1 << 20 };

struct scene {
    struct work_pool *pool;
    struct loop *loop;
    struct heavy heavy;
    bool done;
};

static void scene_init(struct scene *s, size_t batch_max, size_t request_max)
{
    *s = (struct scene){0};
    assert_int_equal(loop_new(&s->loop, NULL, NULL), ERR_OK);
    assert_int_equal(work_pool_new(&s->pool, &(struct work_pool_opts){2, 64 * MIB}, NULL), ERR_OK);
    s->heavy = (struct heavy){.pool = s->pool,
                              .loop = s->loop,
                              .share = work_share_of(s->pool, slice_str("User:alice")),
                              .limits = {batch_max, request_max}};
}

static void scene_free(struct scene *s)
{
    assert_int_equal(work_pool_load(s->pool).bytes, 0);
    work_pool_free(s->pool);
    loop_free(s->loop);
}

static void on_done(void *arg)
{
    ((struct scene *)arg)->done = true;
}

static void wait_for(struct scene *s)
{
    while (!s->done)
        loop_run_once(s->loop, true);
    s->done = false;
}

static void put_batch(struct buf *out, enum wire_codec codec, int records, size_t value_n)
{
    struct record_batch_builder b;
    uint8_t *value = calloc(1, value_n + 1);

    record_batch_builder_init(&b, codec, 0);
    for (int i = 0; i < records; i++)
        record_batch_append(&b, 1000 + i, slice_str("key"), slice_of(value, value_n), NULL, 0);
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
    free(value);
}

/* ---- Decompression ---- */

static void test_the_runs_of_a_request(void **state)
{
    static const size_t sizes[] = {10, 70000, 3 * MIB, 20, 600000};
    struct heavy_unpack_run *run[5];
    struct heavy_unpack *u;
    struct buf in[5], expected;
    struct scene s;

    (void)state;
    scene_init(&s, 2 * MIB, 4 * MIB);
    u = heavy_unpack_new(&s.heavy, 5, false);
    buf_init(&expected, 0);
    for (int i = 0; i < 5; i++) {
        buf_init(&in[i], 0);
        put_batch(&in[i], (enum wire_codec)(1 + i % 4), 1, sizes[i]);
        run[i] = heavy_unpack_add(u, buf_slice(&in[i]));
    }
    in[3].p[in[3].n - 1] ^= 1;
    assert_int_equal(heavy_unpack_start(u, on_done, &s), ERR_OK);
    wait_for(&s);
    for (int i = 0; i < 5; i++) {
        buf_clear(&expected);
        put_batch(&expected, WIRE_CODEC_NONE, 1, sizes[i]);
        assert_int_equal(run[i]->err, i == 2 ? ERR_MESSAGE_TOO_LARGE : i == 3 ? ERR_CORRUPT_MESSAGE : ERR_OK);
        assert_true(run[i]->err || slice_eq(run[i]->plain, buf_slice(&expected)));
        assert_true(!run[i]->err || run[i]->text);
        buf_free(&in[i]);
    }
    assert_true(work_pool_load(s.pool).bytes >= 670000); /* held until it is freed */
    heavy_unpack_free(u);
    heavy_unpack_free(NULL);
    buf_free(&expected);
    scene_free(&s);
}

static void test_a_fetch_is_cut_where_it_grows_too_large(void **state)
{
    struct heavy_unpack_run *run[3];
    struct heavy_unpack *u;
    struct buf in;
    size_t one;
    struct scene s;

    (void)state;
    scene_init(&s, MIB, 3 * MIB);
    u = heavy_unpack_new(&s.heavy, 3, true);
    buf_init(&in, 0);
    put_batch(&in, WIRE_CODEC_ZSTD, 1, MIB - 100);
    one = in.n;
    put_batch(&in, WIRE_CODEC_ZSTD, 1, MIB - 100);
    for (int i = 0; i < 3; i++)
        run[i] = heavy_unpack_add(u, buf_slice(&in));
    assert_int_equal(heavy_unpack_start(u, on_done, &s), ERR_OK);
    wait_for(&s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run[i]->err, ERR_OK);
        assert_int_equal(run[i]->used, i == 0 ? 2 * one : i == 1 ? one : 0);
    }
    heavy_unpack_free(u);
    buf_free(&in);
    scene_free(&s);
}

static void test_stopping_and_cancelling(void **state)
{
    struct heavy_unpack_run *run;
    struct heavy_unpack *u;
    struct buf in;
    struct scene s;

    (void)state;
    buf_init(&in, 0);
    put_batch(&in, WIRE_CODEC_GZIP, 1, 100);
    for (int stopped = 0; stopped < 2; stopped++) {
        scene_init(&s, MIB, MIB);
        u = heavy_unpack_new(&s.heavy, 1, false);
        run = heavy_unpack_add(u, buf_slice(&in));
        if (stopped) {
            work_pool_stop(s.pool);
            assert_int_equal(heavy_unpack_start(u, on_done, &s), ERR_CANCELLED);
        } else {
            assert_int_equal(heavy_unpack_start(u, on_done, &s), ERR_OK);
            heavy_unpack_cancel(u);
            wait_for(&s);
            assert_true(run->err == ERR_CANCELLED || run->plain.n > 0);
        }
        heavy_unpack_free(u);
        scene_free(&s);
    }
    buf_free(&in);
}

static void test_no_memory(void **state)
{
    struct buf in;
    struct scene s;
    int n = 0;
    bool fired;

    (void)state;
    scene_init(&s, MIB, MIB);
    buf_init(&in, 0);
    put_batch(&in, WIRE_CODEC_LZ4, 2, 100000);
    do {
        struct heavy_unpack *u;
        malloc_fault_arm(n++, 1);
        u = heavy_unpack_new(&s.heavy, 1, false);
        if (u) {
            struct heavy_unpack_run *run = heavy_unpack_add(u, buf_slice(&in));
            assert_int_equal(heavy_unpack_start(u, on_done, &s), ERR_OK);
            wait_for(&s);
            assert_true(run->err == ERR_OK || run->err == ERR_NO_MEMORY);
            assert_true(run->err || run->plain.n > 200000);
            heavy_unpack_free(u);
        }
        fired = malloc_fault_fired;
        malloc_fault_countdown = MALLOC_FAULT_NONE;
    } while (fired);
    assert_true(n > 3);
    buf_free(&in);
    scene_free(&s);
}

/* ---- Judging ---- */

struct court {
    struct schemas *schemas;
    struct schema_judge *judge;
    struct schema_settings settings;
    struct record_batch_builder batch;
    struct buf records;
    struct arena arena;
};

static void put_schema(struct court *c, int id, const char *type, const char *schema)
{
    char key[300], value[2000];

    snprintf(key, sizeof key, "{\"keytype\":\"SCHEMA\",\"subject\":\"t-value\",\"version\":%d,\"magic\":1}", id);
    snprintf(value, sizeof value,
             "{\"subject\":\"t-value\",\"version\":%d,\"id\":%d,\"schemaType\":\"%s\",\"schema\":\"%s\"}", id, id, type,
             schema);
    assert_int_equal(ledger_memory_append(schemas_ledger(c->schemas), slice_str(key), slice_str(value)), ERR_OK);
    assert_int_equal(ledger_sync(schemas_ledger(c->schemas), 5000, NULL), ERR_OK);
}

static void court_init(struct court *c)
{
    struct schemas_config config = {.topic = "_schemas", .memory = true};

    *c = (struct court){.settings.side[SCHEMA_VALUE].level = SCHEMA_LEVEL_PAYLOAD};
    assert_int_equal(schemas_open(&c->schemas, &config, NULL), ERR_OK);
    c->judge = schema_judge_new(c->schemas, slice_str("t"));
    assert_non_null(c->judge);
    buf_init(&c->records, 0);
    arena_init(&c->arena, 0);
    record_batch_builder_init(&c->batch, WIRE_CODEC_NONE, 0);
    put_schema(c, 1, "AVRO", "\\\"long\\\"");
    put_schema(c, 2, "JSON", "{\\\"type\\\":\\\"integer\\\"}");
}

static void court_free(struct court *c)
{
    schema_judge_free(c->judge);
    schemas_close(c->schemas);
    record_batch_builder_free(&c->batch);
    buf_free(&c->records);
    arena_free(&c->arena);
}

static void add(struct court *c, int id, const char *payload)
{
    uint8_t value[100] = {0, 0, 0, 0, (uint8_t)id};
    size_t n = strlen(payload);

    memcpy(value + 5, payload, n);
    record_batch_append(&c->batch, 1, SLICE_NULL, slice_of(value, 5 + n), NULL, 0);
}

static struct slice batch_of(struct court *c, enum wire_codec codec)
{
    c->batch.head.attributes = (int16_t)codec;
    buf_clear(&c->records);
    assert_int_equal(record_batch_finish(&c->batch, &c->records), ERR_OK);
    record_batch_builder_free(&c->batch);
    record_batch_builder_init(&c->batch, WIRE_CODEC_NONE, 0);
    return buf_slice(&c->records);
}

static bool is_brief(struct court *c, struct slice records, size_t bad)
{
    const struct schema_how how = {.brief = true};
    struct schema_findings f = {.arena = &c->arena};

    assert_int_equal(schema_judge_records(c->judge, &c->settings, records, &how, &f, NULL), ERR_OK);
    assert_int_equal(f.n, f.heavy ? 0 : bad);
    return !f.heavy;
}

static void expect(struct scene *s, struct court *c, struct slice records, enum err err, size_t bad)
{
    struct heavy_judge j;

    heavy_judge_init(&j, &s->heavy);
    assert_int_equal(heavy_judge_start(&j, c->judge, &c->settings, records, on_done, s), ERR_OK);
    wait_for(s);
    assert_int_equal(j.err, err);
    assert_true(!err || *j.why.text);
    assert_int_equal(j.findings.n, bad);
    heavy_judge_free(&j);
}

static void test_what_is_judged_where(void **state)
{
    struct scene s;
    struct court c;

    (void)state;
    scene_init(&s, MIB, MIB);
    court_init(&c);
    add(&c, 1, "\2");
    add(&c, 1, "no long");
    assert_false(is_brief(&c, batch_of(&c, WIRE_CODEC_NONE), 1)); /* the schema is new: it may have to be compiled */
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 1);
    assert_true(is_brief(&c, buf_slice(&c.records), 1));
    add(&c, 1, "\2");
    assert_false(is_brief(&c, batch_of(&c, WIRE_CODEC_LZ4), 0));
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 0);
    for (int i = 0; i < SCHEMA_BRIEF_MAX / 10; i++)
        add(&c, 1, "\2");
    assert_false(is_brief(&c, batch_of(&c, WIRE_CODEC_NONE), 0));
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 0);

    add(&c, 2, "17");
    add(&c, 2, "17.5");
    batch_of(&c, WIRE_CODEC_NONE);
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 1);
    assert_false(is_brief(&c, buf_slice(&c.records), 1));
    add(&c, 1, "\2"); /* and from then on the topic's others neither ... */
    assert_false(is_brief(&c, batch_of(&c, WIRE_CODEC_NONE), 0));
    put_schema(&c, 3, "AVRO", "\\\"int\\\""); /* ... until the schemas change */
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 0);
    assert_true(is_brief(&c, buf_slice(&c.records), 0));
    c.settings.side[SCHEMA_VALUE].level = SCHEMA_LEVEL_ID; /* ids cost little whatever the schema */
    add(&c, 2, "17.5");
    batch_of(&c, WIRE_CODEC_NONE);
    expect(&s, &c, buf_slice(&c.records), ERR_OK, 0);
    assert_true(is_brief(&c, buf_slice(&c.records), 0));
    court_free(&c);
    scene_free(&s);
}

static void test_judging_within_limits(void **state)
{
    struct heavy_judge j;
    struct scene s;
    struct court c;
    struct buf bomb;

    (void)state;
    scene_init(&s, MIB, 2 * MIB);
    court_init(&c);
    buf_init(&bomb, 0);
    put_batch(&bomb, WIRE_CODEC_ZSTD, 1, 30 * MIB);
    expect(&s, &c, buf_slice(&bomb), ERR_MESSAGE_TOO_LARGE, 0);
    buf_clear(&bomb);
    put_batch(&bomb, WIRE_CODEC_ZSTD, 1, MIB - 100); /* one is allowed, the third of a request is not */
    heavy_judge_init(&j, &s.heavy);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(heavy_judge_start(&j, c.judge, &c.settings, buf_slice(&bomb), on_done, &s), ERR_OK);
        wait_for(&s);
        assert_int_equal(j.err, i < 2 ? ERR_OK : ERR_MESSAGE_TOO_LARGE);
        assert_int_equal(j.findings.n, i < 2);
    }
    heavy_judge_cancel(&j);
    heavy_judge_free(&j);
    buf_free(&bomb);
    court_free(&c);
    scene_free(&s);
}

/* ---- Parting ---- */

static enum err take_letter(void *arg, const struct record *r, const struct schema_violation *why)
{
    buf_put_slice(arg, r->value);
    buf_put_str(arg, why->text);
    return ERR_OK;
}

static void test_parting(void **state)
{
    const struct schema_violation bad[] = {{.index = 1, .text = "!"}, {.index = 2, .text = "?"}};
    struct schema_parting p = {.bad = bad, .bad_n = 2, .send = take_letter};
    struct record_header header = {slice_str("h"), slice_str("v")};
    struct record_batch_builder b;
    struct buf in, letters, kept, scratch;
    struct record_batch batch;
    struct record_iter it;
    struct record r;
    bool more;

    (void)state;
    buf_init(&in, 0), buf_init(&letters, 0), buf_init(&kept, 0), buf_init(&scratch, 0);
    record_batch_builder_init(&b, WIRE_CODEC_SNAPPY, 0);
    for (int i = 0; i < 4; i++)
        record_batch_append(&b, 100 + i, SLICE_NULL, slice_of(&"abcd"[i], 1), &header, 1);
    assert_int_equal(record_batch_finish(&b, &in), ERR_OK);
    record_batch_builder_free(&b);
    p.records = buf_slice(&in);
    p.arg = &letters;
    assert_int_equal(schema_part(&p, &kept), ERR_OK);
    assert_string_equal(buf_cstr(&letters), "b!c?");
    assert_int_equal(record_batch_parse(buf_slice(&kept), &batch, NULL), ERR_OK);
    assert_int_equal(record_batch_codec(&batch), WIRE_CODEC_SNAPPY);
    assert_int_equal(record_batch_check_produced(&batch, NULL), ERR_OK);
    assert_int_equal(record_iter_open(&it, &batch, &scratch, 0, NULL), ERR_OK);
    for (int i = 0; !record_iter_next(&it, &r, &more, NULL) && more; i++) {
        assert_true(slice_eq_str(r.value, i ? "d" : "a"));
        assert_int_equal(r.timestamp, i ? 103 : 100);
        assert_int_equal(r.header_count, 1);
    }
    buf_free(&in), buf_free(&letters), buf_free(&kept), buf_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_runs_of_a_request),
        cmocka_unit_test(test_a_fetch_is_cut_where_it_grows_too_large),
        cmocka_unit_test(test_stopping_and_cancelling),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_what_is_judged_where),
        cmocka_unit_test(test_judging_within_limits),
        cmocka_unit_test(test_parting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
