/* SPDX-License-Identifier: Apache-2.0
 * Whole refusals against those of Apache Kafka's own clients library, for every API the gateway serves and every
 * version of it. Kafka's words are not ours: that there are some, and where, is compared. */
#include "gateway/request/refusal.h"
#include "gateway/api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { API_KEY_MAX = 127 };

enum { LINE_BYTES = 16384 };

static const char golden_path[] = TEST_SOURCE "/tests/golden/refusals_kafka_clients.txt";

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static const struct wire_api *find_api(const char *name)
{
    for (int16_t key = 0; key <= API_KEY_MAX; key++)
        if (wire_api(key) && strcmp(wire_api(key)->name, name) == 0)
            return wire_api(key);
    return NULL;
}

/* Our words in place of any. */
static void say_it_our_way(const struct wire_struct *s, void *m, int16_t version, enum err err)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        uint8_t *at = (uint8_t *)m + f->offset;
        struct slice *text = (void *)at;
        const struct wire_array *list = (void *)at;
        if (!wire_versions_has(f->versions, version))
            continue;
        if (strcmp(f->name, "ErrorMessage") == 0 && !slice_is_null(*text))
            *text = slice_str(err_text(err));
        for (int32_t k = 0; f->array && f->type == WIRE_STRUCT && k < list->n; k++)
            say_it_our_way(f->body, (uint8_t *)list->v + (size_t)k * f->body->size, version, err);
    }
}

/* In steps of one item, which make the same answer as one of all. */
static void refuse_in_steps(const struct wire_api *api, int16_t version, const void *req, enum err err, struct arena *a,
                            void *resp)
{
    enum refusal_progress progress;
    struct refusal f;

    assert_int_equal(refusal_begin(&f, api, version, req, err, a, resp), ERR_OK);
    do {
        int32_t units = 1;
        progress = refusal_run(&f, &units);
    } while (progress == REFUSAL_MORE);
    assert_int_equal(progress, REFUSAL_DONE);
}

static void compare(const struct wire_api *api, int16_t version, enum err err, struct slice request,
                    struct slice answer)
{
    struct arena a;
    struct buf ours, kafkas;
    struct cursor in = cursor_of(request), out = cursor_of(answer);
    void *req, *resp, *wanted;

    arena_init(&a, 0);
    buf_init(&ours, 0);
    buf_init(&kafkas, 0);
    req = wire_struct_new(api->request->body, &a);
    resp = wire_struct_new(api->response->body, &a);
    wanted = wire_struct_new(api->response->body, &a);
    assert_int_equal(api->request->decode(req, &in, version, &a), ERR_OK);
    assert_int_equal(api->response->decode(wanted, &out, version, &a), ERR_OK);
    say_it_our_way(api->response->body, wanted, version, err);
    assert_int_equal(api->response->encode(wanted, &kafkas, version), ERR_OK);
    refuse_in_steps(api, version, req, err, &a, resp);
    assert_int_equal(api->response->encode(resp, &ours, version), ERR_OK);
    if (!slice_eq(buf_slice(&ours), buf_slice(&kafkas))) {
        struct buf x, y;
        buf_init(&x, 0);
        buf_init(&y, 0);
        wire_print(api->response->body, resp, version, &x);
        wire_print(api->response->body, wanted, version, &y);
        print_error("%s %d\n  ours:  %s\n  Kafka: %s\n", api->name, version, buf_cstr(&x), buf_cstr(&y));
        fail();
    }
    buf_free(&ours);
    buf_free(&kafkas);
    arena_free(&a);
}

static void test_refusals_are_kafkas(void **state)
{
    static char line[LINE_BYTES], request[LINE_BYTES], answer[LINE_BYTES];
    static uint8_t in[LINE_BYTES / 2], out[LINE_BYTES / 2];
    bool *seen = calloc((size_t)API_KEY_MAX + 1, sizeof *seen);
    FILE *f = fopen(golden_path, "r");
    const struct api_row *row;
    (void)state;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char name[64];
        int version, code;
        const struct wire_api *api;
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%63s %d %d %16383s %16383s", name, &version, &code, request, answer), 5);
        api = find_api(name);
        assert_non_null(api);
        if (version > api->max)
            continue;
        seen[api->key] = true;
        compare(api, (int16_t)version, (enum err)code, slice_of(in, unhex(request, in)),
                slice_of(out, unhex(answer, out)));
    }
    fclose(f);
    for (size_t i = 0; (row = api_at(i)); i++) {
        assert_true(seen[row->key]);
        assert_true(refusal_is_known(row->key));
    }
    free(seen);
}

static void test_the_table_names_fields(void **state)
{
    (void)state;
    assert_null(refusal_check_table());
    assert_false(refusal_is_known(-1));
}

static void test_nulls_and_nothing(void **state)
{
    struct arena a;
    (void)state;

    /* an empty request of every API; null where lists may be; and none at all */
    for (int16_t key = 0; key <= API_KEY_MAX; key++) {
        const struct wire_api *api = wire_api(key);
        for (int16_t v = api ? api->min : 1; api && refusal_is_known(key) && v <= api->max; v++) {
            struct buf out;
            arena_init(&a, 0);
            buf_init(&out, 0);
            void *req = wire_struct_new(api->request->body, &a), *resp = wire_struct_new(api->response->body, &a);
            for (size_t i = 0; i < api->request->body->field_count; i++)
                if (api->request->body->fields[i].array)
                    ((struct wire_array *)(void *)((uint8_t *)req + api->request->body->fields[i].offset))->n = -1;
            refuse_in_steps(api, v, req, ERR_INVALID_REQUEST, &a, resp);
            assert_int_equal(api->response->encode(resp, &out, v), ERR_OK);
            buf_free(&out);
            arena_free(&a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_names_fields),
        cmocka_unit_test(test_refusals_are_kafkas),
        cmocka_unit_test(test_nulls_and_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
