/* SPDX-License-Identifier: Apache-2.0
 * Every API that is forwarded, in every version: with all rights, with none, and with rights on half of what it names,
 * while the cluster answers in another order, and things are named twice. What reaches the cluster, what reaches the
 * client, and (a golden file) which lists and rights the tables say. */
#include "gateway/api/api.h"
#include "tests/unit/engine_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NAMES = 6, CLIENTS = 3 };

/* Odd ones are hidden from bob; one of each is named twice. */
static const char *const topics[NAMES] = {"topic-a", "hidden-b", "topic-c", "hidden-d", "topic-a", "hidden-b"};
static const char *const groups[NAMES] = {"group-a", "secret-b", "group-c", "secret-d", "group-a", "secret-b"};
static const char *const txns[NAMES] = {"txn-a", "private-b", "txn-c", "private-d", "txn-a", "private-b"};

static struct scene s;
static struct arena arena;

/* root may all, bob what is not hidden, nemo nothing. */
static void begin(int32_t slice_units)
{
    static const char *const open[] = {"topic-a", "topic-c", "group-a", "group-c", "txn-a", "txn-c"};

    arena_init(&arena, 0);
    scene_init(&s);
    for (int i = 0; i < 2; i++) {
        scene_allow(&s, "User:bob", ACL_TOPIC, ACL_ALL, open[i]);
        scene_allow(&s, "User:bob", ACL_GROUP, ACL_ALL, open[2 + i]);
        scene_allow(&s, "User:bob", ACL_TRANSACTIONAL_ID, ACL_ALL, open[4 + i]);
    }
    scene_rules_done(&s);
    s.engine.slice_units = s.engine.turn_units = slice_units;
    s.cluster.topics = (struct fake_names){topics, 4};
    s.cluster.groups = (struct fake_names){groups, 4};
    s.cluster.txns = (struct fake_names){txns, 4};
}

static void end(void)
{
    scene_free(&s);
    arena_free(&arena);
}

static bool contains(struct slice in, const char *what)
{
    return in.n > 0 && memmem(in.p, in.n, what, strlen(what)) != NULL;
}

static bool is_hidden(struct slice name)
{
    return slice_starts(name, slice_str("hidden")) || slice_starts(name, slice_str("secret")) ||
           slice_starts(name, slice_str("private"));
}

static bool each_version(size_t *row, int16_t *version, const struct wire_api **api)
{
    const struct api_row *at;

    for (; (at = api_at(*row)); ++*row, *version = -1) {
        *api = wire_api(at->key);
        if (at->where != API_FORWARDED)
            continue;
        *version = *version < (*api)->min ? (*api)->min : *version + 1;
        if (*version <= (*api)->max && *version <= at->max)
            return true;
    }
    return false;
}

static const struct fake_asked all_names = {{topics, NAMES}, {groups, NAMES}, {txns, NAMES}, false, 3};

/* ---- With all rights ---- */

static void test_allowed(void **state)
{
    size_t row = 0;
    const struct wire_api *api;

    (void)state;
    for (int16_t v = -1; each_version(&row, &v, &api);) {
        struct fake_asked asked = {{topics, 4}, {groups, 4}, {txns, 4}, false, 2};
        struct client *c;
        int id;

        begin(ENGINE_SLICE_UNITS);
        c = scene_client(&s, 0, "User:root");
        id = client_asks(c, api->key, v, fake_request(api->key, v, &asked, &arena));
        scene_settle(&s);
        if (!c->here || c->answers_n != 1)
            fail_msg("%s %d: %s", api->name, v, c->detail);
        if (contains(buf_slice(&c->answers[0]), FAKE_HOST))
            fail_msg("%s %d: the cluster's own address reaches a client", api->name, v);
        client_answer(c, 0, api->key, v, id, &arena);
        assert_int_equal(s.sent[s.sent_n - 1].key, api->key);
        assert_true(s.sent[s.sent_n - 1].is_forwarded);
        for (int i = 0; i < s.sent_n - 1; i++)
            assert_false(s.sent[i].is_forwarded);
        assert_int_equal(s.refused, 0);
        end();
    }
}

/* ---- With rights on half of it ---- */

static enum err no_hidden(void *context, const struct wire_field *f, void *value)
{
    (void)context;
    (void)f;
    return is_hidden(*(struct slice *)value) ? ERR_INVALID_REQUEST : ERR_OK;
}

/* Nothing that is hidden from bob was forwarded. */
static void check_sent(const struct wire_api *api, int16_t v)
{
    static const enum wire_entity kinds[] = {WIRE_ENTITY_TOPIC_NAME, WIRE_ENTITY_GROUP_ID, WIRE_ENTITY_TRANSACTIONAL_ID,
                                             WIRE_ENTITY_RESOURCE_NAME, WIRE_ENTITY_COORDINATOR_KEY};

    for (int i = 0; i < s.sent_n; i++) {
        const struct wire_api *to = wire_api(s.sent[i].key);
        if (!s.sent[i].is_forwarded)
            continue;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (wire_walk_entities(to->request->body, scene_sent(&s, i, &arena), s.sent[i].version, kinds[k], no_hidden,
                                   NULL))
                fail_msg("%s %d: what may not be seen was forwarded", api->name, v);
    }
}

static int16_t error_in(const struct shape *sh, const uint8_t *element)
{
    const struct wire_array *parts;
    int16_t first = 0;

    if (!sh->out_parts)
        return sh->out_error ? *(const int16_t *)wire_at(element, sh->out_error) : 0;
    parts = wire_at(element, sh->out_parts);
    for (int32_t i = 0; i < parts->n; i++) {
        const uint8_t *p = (const uint8_t *)parts->v + (size_t)i * sh->out_parts->body->size;
        int16_t error = *(const int16_t *)wire_at(p, sh->out_error);
        if (i == 0)
            first = error;
        assert_int_equal(error, first); /* the fate of an element is that of its partitions */
    }
    assert_int_equal(parts->n, 3);
    return first;
}

/* Is there an error in the answer to the i-th name? Odd ones are hidden; the first two stand there again. */
static bool is_refused(const struct api_row *row, const struct api_right *right, int32_t i)
{
    return i % 2 || right->others || (row->twice && (i < 2 || i >= 4));
}

/* Each thing that was named is answered where it stood, with an error where it is hidden. */
static void check_list(const struct api_row *row, int16_t v, const struct shape *sh, const struct api_right *right,
                       const void *request, const void *answer)
{
    const struct wire_array *asked = wire_at(request, sh->list), *got = wire_at(answer, sh->out_list);
    const struct wire_api *api = wire_api(row->key);
    int32_t n = row->twice == TWICE_ONE_ANSWER ? 4 : asked->n;

    if (got->n != n)
        fail_msg("%s %d: %d answers to %d", api->name, v, got->n, n);
    for (int32_t i = 0; i < n; i++) {
        const uint8_t *e = (const uint8_t *)asked->v + (size_t)i * wire_field_size(sh->list);
        const uint8_t *o = (const uint8_t *)got->v + (size_t)i * sh->out_list->body->size;
        struct slice name = sh->list->type == WIRE_STRUCT
                                ? (sh->name ? *(const struct slice *)wire_at(e, sh->name) : SLICE_NULL)
                                : *(const struct slice *)(const void *)e;
        if (!slice_is_null(name) && sh->out_name && !slice_eq(*(const struct slice *)wire_at(o, sh->out_name), name))
            fail_msg("%s %d: answer %d is about another name", api->name, v, (int)i);
        if (sh->id && !sh->name && sh->out_id)
            assert_memory_equal(wire_at(o, sh->out_id), wire_at(e, sh->id), sizeof(struct wire_uuid));
        if ((error_in(sh, o) != 0) != is_refused(row, right, i))
            fail_msg("%s %d: answer %d has error %d", api->name, v, (int)i, error_in(sh, o));
    }
}

/* The right about the list of this API; NULL: it has none that is answered one for one. */
static const struct api_right *list_of(const struct api_row *row, int16_t v, struct shape *sh)
{
    for (const struct api_right *r = row->rights; r < row->rights + API_RIGHTS_MAX && r->scope != RIGHT_END; r++)
        if (r->scope == RIGHT_EACH && (r->max == 0 || (v >= r->min && v <= r->max)) && !r->by_cluster)
            return shape_find(wire_api(row->key), v, r->entity, sh) && sh->out_list ? r : NULL;
    return NULL;
}

static void half(const struct api_row *row, int16_t v, bool by_id, int32_t slice_units, struct buf *answer)
{
    const struct wire_api *api = wire_api(row->key);
    struct fake_asked asked = all_names;
    const struct api_right *right;
    struct client *c;
    struct shape sh;
    void *request, *got;
    int id;

    begin(slice_units);
    s.cluster.shuffled = s.cluster.once = s.cluster.with_next = true;
    asked.by_id = by_id;
    request = fake_request(api->key, v, &asked, &arena);
    c = scene_client(&s, 0, "User:bob");
    id = client_asks(c, api->key, v, request);
    scene_settle(&s);
    if (!c->here || c->answers_n != 1)
        fail_msg("%s %d: %s", api->name, v, c->detail);
    check_sent(api, v);
    got = client_answer(c, 0, api->key, v, id, &arena);
    right = list_of(row, v, &sh);
    if (right && api->key != WIRE_CONSUMER_GROUP_DESCRIBE) /* its members have hidden topics */
        check_list(row, v, &sh, right, request, got);
    if (contains(buf_slice(&c->answers[0]), FAKE_HOST))
        fail_msg("%s %d: the cluster's own address reaches a client", api->name, v);
    buf_put_slice(answer, buf_slice(&c->answers[0]));
    end();
}

static void test_half_refused(void **state)
{
    size_t row = 0;
    const struct wire_api *api;

    (void)state;
    for (int16_t v = -1; each_version(&row, &v, &api);)
        for (int by_id = 0; by_id < 2; by_id++) {
            struct buf whole, sliced;

            buf_init(&whole, 0);
            buf_init(&sliced, 0);
            half(api_at(row), v, by_id, ENGINE_SLICE_UNITS, &whole);
            half(api_at(row), v, by_id, 1, &sliced);
            if (!slice_eq(buf_slice(&whole), buf_slice(&sliced)))
                fail_msg("%s %d: another answer when it is cut into slices", api->name, v);
            buf_free(&whole);
            buf_free(&sliced);
        }
}

/* ---- What is not named is not told ---- */

static const char *const unseen[] = {"hidden-", "secret-", "private-"};

static void test_nothing_else_is_told(void **state)
{
    size_t row = 0;
    const struct wire_api *api;

    (void)state;
    for (int16_t v = -1; each_version(&row, &v, &api);)
        for (int empty = 0; empty < 2; empty++) {
            struct fake_asked asked = {{topics, empty ? 0 : 1}, {groups, empty ? 0 : 1}, {txns, 1}, false, 1};
            struct client *c;

            begin(ENGINE_SLICE_UNITS);
            s.cluster.with_next = true;
            c = scene_client(&s, 0, "User:bob");
            client_asks(c, api->key, v, fake_request(api->key, v, &asked, &arena));
            scene_settle(&s);
            assert_int_equal(c->answers_n, 1);
            for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
                if (contains(buf_slice(&c->answers[0]), unseen[i]))
                    fail_msg("%s %d tells %s, which may not be described", api->name, v, unseen[i]);
            end();
        }
}

/* ---- Without rights ---- */

static bool has_error(const struct wire_struct *st, const void *m, int16_t v)
{
    for (size_t i = 0; i < st->field_count; i++) {
        const struct wire_field *f = &st->fields[i];
        const struct wire_array *list = wire_at(m, f);
        if (!wire_versions_has(f->versions, v))
            continue;
        if (f->type == WIRE_INT16 && strstr(f->name, "ErrorCode") && *(const int16_t *)wire_at(m, f))
            return true;
        for (int32_t k = 0; f->array && f->type == WIRE_STRUCT && k < list->n; k++)
            if (has_error(f->body, (const uint8_t *)list->v + (size_t)k * f->body->size, v))
                return true;
    }
    return false;
}

/* Lists of all there is, filtered; nothing is refused. */
static bool is_filtered(int16_t key)
{
    return key == WIRE_LIST_GROUPS || key == WIRE_LIST_TRANSACTIONS || key == WIRE_DESCRIBE_CLUSTER;
}

static void test_refused(void **state)
{
    size_t row = 0;
    const struct wire_api *api;

    (void)state;
    for (int16_t v = -1; each_version(&row, &v, &api);) {
        struct client *c;
        void *answer;
        int id;

        begin(ENGINE_SLICE_UNITS);
        c = scene_client(&s, 0, "User:nemo");
        id = client_asks(c, api->key, v, fake_request(api->key, v, &all_names, &arena));
        scene_settle(&s);
        if (!c->here || c->answers_n != 1)
            fail_msg("%s %d: %s", api->name, v, c->detail);
        answer = client_answer(c, 0, api->key, v, id, &arena);
        if (!is_filtered(api->key) && !(api->key == WIRE_DESCRIBE_LOG_DIRS && v < 3) && /* nothing is its refusal */
            !has_error(api->response->body, answer, v))
            fail_msg("%s %d is not refused", api->name, v);
        for (int i = 0; i < s.sent_n; i++) /* Metadata asks for the nodes all the same */
            if (s.sent[i].is_forwarded && !is_filtered(api->key) && api->key != WIRE_METADATA)
                fail_msg("%s %d was forwarded", api->name, v);
        check_sent(api, v);
        end();
    }
}

/* ---- The tables ---- */

static void test_every_place_has_a_decision(void **state)
{
    struct reason why = {0};

    (void)state;
    if (api_check(&why))
        fail_msg("%s", why.text);
}

static void put_field(struct buf *out, const char *as, const struct wire_field *f)
{
    if (f)
        buf_printf(out, " %s=%s", as, f->name);
}

static void put_right(struct buf *out, const struct api_right *r, int16_t v)
{
    static const char *const scopes[] = {"", "whole", "each", "own", "free"};
    static const char *const entities[] = {"cluster", "topic", "group",    "transactional-id", "producer-id",
                                           "broker",  "topic", "resource", "coordinator-key"};

    if (r->max && (v < r->min || v > r->max))
        return;
    buf_printf(out, " %s:%s", scopes[r->scope], entities[r->entity]);
    if (r->type)
        buf_printf(out, ":%s:%s", acl_type_name(r->type), acl_operation_name(r->operation));
    buf_printf(out, "%s%s%s%s", r->null_passes ? ":null-passes" : "", r->by_cluster ? ":by-cluster" : "",
               r->field ? ":" : "", r->field ? r->field : "");
    if (r->cluster)
        buf_printf(out, ":%s-cluster:%s", r->cluster_instead ? "or-instead" : "or", acl_operation_name(r->cluster));
    if (r->others)
        buf_printf(out, ":others:%s", err_name((enum err)r->others));
}

static void put_version(struct buf *out, const struct api_row *row, int16_t v)
{
    static const enum wire_entity kinds[] = {WIRE_ENTITY_TOPIC_NAME, WIRE_ENTITY_GROUP_ID, WIRE_ENTITY_TRANSACTIONAL_ID,
                                             WIRE_ENTITY_RESOURCE_NAME, WIRE_ENTITY_COORDINATOR_KEY};

    static const char *const twice[] = {"", "named-twice:one-answer ", "named-twice:each "};

    buf_printf(out, "%s%srights", twice[row->twice], row->asks_always ? "asked-always " : "");
    for (const struct api_right *r = row->rights; r < row->rights + API_RIGHTS_MAX && r->scope != RIGHT_END; r++)
        put_right(out, r, v);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct shape sh;
        if (!shape_find(wire_api(row->key), v, kinds[i], &sh))
            continue;
        put_field(out, "| list", sh.list);
        put_field(out, "name", sh.name);
        put_field(out, "id", sh.id);
        put_field(out, "kind", sh.kind);
        put_field(out, "parts", sh.parts);
        put_field(out, "index", sh.index);
        put_field(out, "out-list", sh.out_list);
        put_field(out, "out-name", sh.out_name);
        put_field(out, "out-id", sh.out_id);
        put_field(out, "out-kind", sh.out_kind);
        put_field(out, "out-parts", sh.out_parts);
        put_field(out, "out-index", sh.out_index);
        put_field(out, "out-error", sh.out_error);
        put_field(out, "out-message", sh.out_message);
    }
}

/* One line for versions that are alike. */
static void put_table(struct buf *out)
{
    const struct api_row *row;

    buf_put_str(out, "# What the gateway finds in each request, and what right it asks for it: written by\n"
                     "# test_gateway_engine_apis --write. A change here is a change of what is governed.\n");
    for (size_t i = 0; (row = api_at(i)); i++) {
        const struct wire_api *api = wire_api(row->key);
        int16_t max = api->max < row->max ? api->max : row->max, from = api->min;
        struct buf before, now;

        buf_init(&before, 0);
        buf_init(&now, 0);
        put_version(&before, row, from);
        for (int16_t v = from; v <= max; v++) {
            buf_clear(&now);
            if (v < max)
                put_version(&now, row, (int16_t)(v + 1));
            if (v < max && slice_eq(buf_slice(&now), buf_slice(&before)))
                continue;
            buf_printf(out, "%s %d-%d %s\n", api->name, from, v, buf_cstr(&before));
            from = (int16_t)(v + 1);
            buf_clear(&before);
            buf_put_slice(&before, buf_slice(&now));
        }
        buf_free(&before);
        buf_free(&now);
    }
}

static const char golden_path[] = TEST_SOURCE "/tests/golden/request_lists.txt";

static void test_lists_and_rights_are_the_golden_ones(void **state)
{
    static char golden[1 << 20];
    struct buf out;
    FILE *f = fopen(golden_path, "r");

    (void)state;
    assert_non_null(f);
    golden[fread(golden, 1, sizeof golden - 1, f)] = 0;
    fclose(f);
    buf_init(&out, 0);
    put_table(&out);
    if (strcmp(golden, buf_cstr(&out)) != 0)
        fail_msg("what the gateway finds in requests has changed: compare with %s (--write makes it anew)",
                 golden_path);
    buf_free(&out);
}

static int write_golden(void)
{
    struct buf out;
    FILE *f = fopen(golden_path, "w");

    buf_init(&out, 0);
    put_table(&out);
    if (!f || fwrite(out.p, 1, out.n, f) != out.n || fclose(f))
        return 1;
    buf_free(&out);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_place_has_a_decision),
        cmocka_unit_test(test_lists_and_rights_are_the_golden_ones),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_half_refused),
        cmocka_unit_test(test_nothing_else_is_told),
        cmocka_unit_test(test_refused),
    };

    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_golden();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
