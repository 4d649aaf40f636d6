/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine_cluster.h"
#include "core/wire/record_batch.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/produce.h"

#include <assert.h>
#include <stdlib.h>

enum { RESOURCE_TOPIC = 2, UNKNOWN_TOPIC_ID = 100 };

static void must(bool held)
{
    if (!held)
        abort();
}

void fake_cluster_init(struct fake_cluster *c)
{
    static const char *const topics[] = {"orders", "payments", "hidden"}, *const groups[] = {"g1", "g2"},
                             *const txns[] = {"t1", "t2"};

    *c = (struct fake_cluster){.topics = {topics, 3}, .groups = {groups, 2}, .txns = {txns, 2}};
}

struct wire_uuid fake_topic_id(const char *topic)
{
    struct wire_uuid id = {{'i', 'd'}};
    uint64_t h = 1469598103934665603u;

    for (const char *p = topic; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    memcpy(id.b + 8, &h, sizeof h);
    return id;
}

static struct slice name_of_id(const struct fake_cluster *c, const struct wire_uuid *id)
{
    for (int i = 0; i < c->topics.n; i++) {
        struct wire_uuid known = fake_topic_id(c->topics.v[i]);
        if (wire_uuid_eq(&known, id))
            return slice_str(c->topics.v[i]);
    }
    return SLICE_NULL;
}

/* ---- The tables ---- */

static bool there(const struct wire_field *f, int16_t version)
{
    return wire_versions_has(f->versions, version);
}

static bool is_name(enum wire_entity e)
{
    return e == WIRE_ENTITY_TOPIC_NAME || e == WIRE_ENTITY_GROUP_ID || e == WIRE_ENTITY_TRANSACTIONAL_ID ||
           e == WIRE_ENTITY_RESOURCE_NAME || e == WIRE_ENTITY_COORDINATOR_KEY;
}

static const struct wire_field *marked(const struct wire_struct *s, int16_t version, enum wire_entity e)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].entity == e && !s->fields[i].array && there(&s->fields[i], version))
            return &s->fields[i];
    return NULL;
}

enum wire_entity fake_entity_of(const struct wire_field *array, int16_t version)
{
    if (array->type != WIRE_STRUCT)
        return is_name(array->entity) && array->type == WIRE_STRING ? array->entity : WIRE_ENTITY_NONE;
    for (size_t i = 0; i < array->body->field_count; i++)
        if (is_name(array->body->fields[i].entity) && !array->body->fields[i].array &&
            there(&array->body->fields[i], version))
            return array->body->fields[i].entity;
    return marked(array->body, version, WIRE_ENTITY_TOPIC_ID) ? WIRE_ENTITY_TOPIC_NAME : WIRE_ENTITY_NONE;
}

static const struct wire_field *index_in(const struct wire_struct *s, int16_t version)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].type == WIRE_INT32 && !s->fields[i].array && there(&s->fields[i], version))
            return &s->fields[i];
    return NULL;
}

static void *at(void *m, const struct wire_field *f)
{
    return (uint8_t *)m + f->offset;
}

static const void *cat(const void *m, const struct wire_field *f)
{
    return (const uint8_t *)m + f->offset;
}

static bool is_called(const struct wire_field *f, const char *name)
{
    return strcmp(f->name, name) == 0;
}

static bool ends_with(const struct wire_field *f, const char *end)
{
    size_t n = strlen(f->name), m = strlen(end);
    return n >= m && strcmp(f->name + n - m, end) == 0;
}

/* ---- Requests ---- */

static struct fake_names names_for(const struct fake_names *topics, const struct fake_names *groups,
                                   const struct fake_names *txns, enum wire_entity e)
{
    switch (e) {
    case WIRE_ENTITY_GROUP_ID:
    case WIRE_ENTITY_COORDINATOR_KEY:
        return *groups;
    case WIRE_ENTITY_TRANSACTIONAL_ID:
        return *txns;
    default:
        return *topics;
    }
}

static struct slice nth(struct fake_names n, int i)
{
    return n.n > 0 ? slice_str(n.v[i % n.n]) : slice_of("", 0);
}

static void fill(const struct wire_struct *s, void *m, int16_t version, const struct fake_asked *q, int i,
                 struct arena *a);

static void fill_array(const struct wire_field *f, struct wire_array *out, int16_t version, const struct fake_asked *q,
                       struct arena *a)
{
    enum wire_entity e = fake_entity_of(f, version);
    struct fake_names names = names_for(&q->topics, &q->groups, &q->txns, e);
    size_t size = wire_field_size(f);

    out->n = e ? names.n : f->type == WIRE_STRUCT && !index_in(f->body, version) ? 1 : 0;
    if (f->type == WIRE_INT32 || (f->type == WIRE_STRUCT && !e && index_in(f->body, version)))
        out->n = q->partitions;
    out->v = arena_array(a, (size_t)out->n, size);
    must(out->v != NULL);
    for (int32_t k = 0; k < out->n; k++) {
        uint8_t *p = (uint8_t *)out->v + (size_t)k * size;
        if (f->type == WIRE_STRUCT) {
            f->body->init(p);
            fill(f->body, p, version, q, k, a);
        } else if (e) {
            *(struct slice *)(void *)p = nth(names, k);
        } else if (f->type == WIRE_INT32) {
            *(int32_t *)(void *)p = k;
        }
    }
}

static void fill(const struct wire_struct *s, void *m, int16_t version, const struct fake_asked *q, int i,
                 struct arena *a)
{
    const struct wire_field *index = index_in(s, version);
    const struct wire_field *id = marked(s, version, WIRE_ENTITY_TOPIC_ID);
    const struct wire_field *name = marked(s, version, WIRE_ENTITY_TOPIC_NAME);
    bool by_id = id && (!name || (q->by_id && wire_versions_has(name->nullable, version)));

    for (size_t k = 0; k < s->field_count; k++) {
        const struct wire_field *f = &s->fields[k];
        if (!there(f, version) || f->pointer)
            continue;
        if (f->array)
            fill_array(f, at(m, f), version, q, a);
        else if (f->type == WIRE_STRUCT)
            fill(f->body, at(m, f), version, q, i, a);
        else if (f == id && by_id && q->topics.n > 0)
            *(struct wire_uuid *)at(m, f) = fake_topic_id(q->topics.v[i % q->topics.n]);
        else if (f == name && by_id)
            *(struct slice *)at(m, f) = wire_versions_has(name->nullable, version) ? SLICE_NULL : slice_of("", 0);
        else if (f->type == WIRE_STRING && is_name(f->entity))
            *(struct slice *)at(m, f) = nth(names_for(&q->topics, &q->groups, &q->txns, f->entity), i);
        else if (is_called(f, "ResourceType"))
            *(int8_t *)at(m, f) = RESOURCE_TOPIC;
        else if (f == index && !is_called(f, "ReplicaId") &&
                 (is_called(f, "Index") || ends_with(f, "Index") || is_called(f, "Partition")))
            *(int32_t *)at(m, f) = i;
    }
}

struct slice fake_records(struct arena *a)
{
    struct record_batch_builder b;
    struct slice copy;
    struct buf out;

    buf_init(&out, 0);
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    record_batch_append(&b, 1000, slice_str("k"), slice_str("v"), NULL, 0);
    record_batch_append(&b, 1001, slice_str("k"), slice_str("w"), NULL, 0);
    must(record_batch_finish(&b, &out) == ERR_OK);
    record_batch_builder_free(&b);
    copy = arena_copy(a, buf_slice(&out));
    buf_free(&out);
    return copy;
}

static void fix_produce(struct produce_request *r, struct arena *a)
{
    struct slice records = fake_records(a);

    r->transactional_id = SLICE_NULL;
    r->acks = -1;
    for (int32_t i = 0; i < r->topic_data.n; i++)
        for (int32_t k = 0; k < r->topic_data.v[i].partition_data.n; k++)
            r->topic_data.v[i].partition_data.v[k].records = records;
}

static void fix_create_topics(struct create_topics_request *r)
{
    for (int32_t i = 0; i < r->topics.n; i++) {
        r->topics.v[i].num_partitions = r->topics.v[i].replication_factor = 1;
        r->topics.v[i].assignments.n = r->topics.v[i].configs.n = 0;
    }
}

void *fake_request(int16_t key, int16_t version, const struct fake_asked *asked, struct arena *a)
{
    const struct wire_api *api = wire_api(key);
    void *m = wire_struct_new(api->request->body, a);

    must(m != NULL);
    fill(api->request->body, m, version, asked, 0, a);
    if (key == WIRE_PRODUCE)
        fix_produce(m, a);
    else if (key == WIRE_CREATE_TOPICS)
        fix_create_topics(m);
    return m;
}

/* ---- Answers ---- */

/* What of the request an answer's struct is about. */
struct about {
    const struct wire_struct *body; /* NULL: a plain value */
    const void *m;                  /* NULL: nothing was asked in particular */
    struct slice name;              /* of a plain name */
    int32_t index;                  /* of a plain partition, or the place in the list */
    bool in_list;
};

struct making {
    const struct fake_cluster *c;
    struct arena a;
    int16_t version;
    int16_t key;
};

static void answer_struct(struct making *k, const struct wire_struct *s, void *m, const struct about *q);

/* Do both hold lists about one kind of thing? */
static bool alike_inside(const struct making *k, const struct wire_struct *x, const struct wire_struct *y)
{
    for (size_t i = 0; i < x->field_count; i++)
        for (size_t b = 0; b < y->field_count; b++)
            if (x->fields[i].array && y->fields[b].array && there(&x->fields[i], k->version) &&
                there(&y->fields[b], k->version) && fake_entity_of(&x->fields[i], k->version) &&
                fake_entity_of(&x->fields[i], k->version) == fake_entity_of(&y->fields[b], k->version))
                return true;
    return false;
}

static const struct wire_field *same_list(const struct making *k, const struct wire_field *f, const struct about *q)
{
    enum wire_entity e = fake_entity_of(f, k->version);

    if (!q->body || !q->m)
        return NULL;
    for (size_t i = 0; i < q->body->field_count; i++) {
        const struct wire_field *g = &q->body->fields[i];
        if (!g->array || !there(g, k->version) || fake_entity_of(g, k->version) != e)
            continue;
        if (e)
            return g;
        if (!q->in_list && f->type == WIRE_STRUCT && g->type == WIRE_STRUCT && alike_inside(k, f->body, g->body))
            return g;
        if (q->in_list && f->type == WIRE_STRUCT && index_in(f->body, k->version) &&
            (g->type == WIRE_INT32 || (g->type == WIRE_STRUCT && index_in(g->body, k->version))))
            return g;
    }
    return NULL;
}

static struct about element_of(const struct making *k, const struct wire_field *g, const struct wire_array *list,
                               int32_t i)
{
    const uint8_t *p = (const uint8_t *)list->v + (size_t)i * wire_field_size(g);
    struct about out = {.in_list = true, .index = i, .name = SLICE_NULL};

    if (g->type == WIRE_STRUCT) {
        const struct wire_field *index = index_in(g->body, k->version);
        out.body = g->body;
        out.m = p;
        if (index)
            out.index = *(const int32_t *)cat(p, index);
    } else if (g->type == WIRE_STRING) {
        out.name = *(const struct slice *)(const void *)p;
    } else if (g->type == WIRE_INT32) {
        out.index = *(const int32_t *)(const void *)p;
    }
    return out;
}

static bool same_element(const struct making *k, const struct wire_field *g, const uint8_t *x, const uint8_t *y)
{
    bool named = false;

    if (g->type != WIRE_STRUCT)
        return g->type == WIRE_STRING
                   ? slice_eq(*(const struct slice *)(const void *)x, *(const struct slice *)(const void *)y)
                   : memcmp(x, y, wire_field_size(g)) == 0;
    for (size_t i = 0; i < g->body->field_count; i++) {
        const struct wire_field *f = &g->body->fields[i];
        if (!there(f, k->version) || f->array || (!is_name(f->entity) && f->entity != WIRE_ENTITY_TOPIC_ID))
            continue;
        named = true;
        if (f->type == WIRE_STRING ? !slice_eq(*(const struct slice *)cat(x, f), *(const struct slice *)cat(y, f))
                                   : memcmp(cat(x, f), cat(y, f), wire_field_size(f)) != 0)
            return false;
    }
    return named;
}

static bool asked_before(const struct making *k, const struct wire_field *g, const struct wire_array *list, int32_t i)
{
    size_t size = wire_field_size(g);
    const uint8_t *v = list->v;

    for (int32_t b = 0; b < i; b++)
        if (same_element(k, g, v + (size_t)b * size, v + (size_t)i * size))
            return true;
    return false;
}

/* An empty list that means all. */
static bool means_all(const struct making *k, const struct wire_array *asked)
{
    return asked->n < 0 || (asked->n == 0 &&
                            ((k->key == WIRE_METADATA && k->version == 0) || k->key == WIRE_DESCRIBE_TOPIC_PARTITIONS));
}

/* Every second from behind first: neither the order nor its reverse. */
static int32_t place(const struct fake_cluster *c, int32_t i, int32_t n)
{
    return !c->shuffled ? i : i % 2 ? i / 2 : n - 1 - i / 2;
}

static void put_element(struct making *k, const struct wire_field *f, struct wire_array *out, const struct about *q)
{
    uint8_t *p = (uint8_t *)out->v + (size_t)out->n++ * wire_field_size(f);

    if (f->type == WIRE_STRUCT) {
        f->body->init(p);
        answer_struct(k, f->body, p, q);
    } else if (f->type == WIRE_STRING) {
        *(struct slice *)(void *)p = slice_is_null(q->name) ? slice_of("", 0) : q->name;
    } else if (f->type == WIRE_INT32) {
        *(int32_t *)(void *)p = FAKE_NODE;
    }
}

static void answer_array(struct making *k, const struct wire_field *f, struct wire_array *out, const struct about *q)
{
    enum wire_entity e = fake_entity_of(f, k->version);
    const struct wire_field *g = same_list(k, f, q);
    const struct wire_array *asked = g ? cat(q->m, g) : NULL;
    struct fake_names all = names_for(&k->c->topics, &k->c->groups, &k->c->txns, e);
    int32_t n = e ? all.n : f->type == WIRE_STRUCT || f->type == WIRE_INT32 ? 1 : 0;
    bool whole = !asked || means_all(k, asked);

    if (!whole)
        n = asked->n;
    out->n = 0;
    out->v = arena_array(&k->a, (size_t)n, wire_field_size(f));
    must(out->v != NULL);
    for (int32_t i = 0; i < n; i++) {
        int32_t from = place(k->c, i, n);
        struct about inner = *q;
        if (!whole && k->c->once && asked_before(k, g, asked, from))
            continue;
        if (!whole)
            inner = element_of(k, g, asked, from);
        else if (e)
            inner = (struct about){.in_list = true, .index = from, .name = slice_str(all.v[from])};
        put_element(k, f, out, &inner);
    }
}

/* The name the answer's struct is about; null when its id is nobody's. */
static struct slice about_name(const struct making *k, const struct about *q, enum wire_entity e)
{
    const struct wire_field *f;

    if (!slice_is_null(q->name) || !q->body || !q->m)
        return q->name;
    f = marked(q->body, k->version, e);
    if (f && !slice_is_null(*(const struct slice *)cat(q->m, f)))
        return *(const struct slice *)cat(q->m, f);
    f = e == WIRE_ENTITY_TOPIC_NAME ? marked(q->body, k->version, WIRE_ENTITY_TOPIC_ID) : NULL;
    return f ? name_of_id(k->c, cat(q->m, f)) : SLICE_NULL;
}

static struct wire_uuid about_id(const struct making *k, const struct about *q)
{
    const struct wire_field *f = q->body && q->m ? marked(q->body, k->version, WIRE_ENTITY_TOPIC_ID) : NULL;
    struct slice name = about_name(k, q, WIRE_ENTITY_TOPIC_NAME);
    char text[512];

    if (f && !wire_uuid_is_zero(cat(q->m, f)))
        return *(const struct wire_uuid *)cat(q->m, f);
    if (name.n >= sizeof text)
        return (struct wire_uuid){{0}};
    memcpy(text, name.p ? (const char *)name.p : "", name.n);
    text[name.n] = 0;
    return fake_topic_id(text);
}

static int8_t about_type(const struct about *q)
{
    for (size_t i = 0; q->body && q->m && i < q->body->field_count; i++)
        if (is_called(&q->body->fields[i], "ResourceType"))
            return *(const int8_t *)cat(q->m, &q->body->fields[i]);
    return RESOURCE_TOPIC;
}

static void put_string(struct making *k, const struct wire_field *f, struct slice *out, const struct about *q)
{
    if (is_name(f->entity)) {
        *out = about_name(k, q, f->entity);
        if (slice_is_null(*out) && !wire_versions_has(f->nullable, k->version))
            *out = slice_of("", 0);
    } else if (is_called(f, "Host")) {
        *out = slice_str(FAKE_HOST);
    } else if (slice_is_null(*out) && !wire_versions_has(f->nullable, k->version)) {
        *out = slice_of("", 0);
    }
}

static void put_int32(const struct wire_field *f, const struct wire_field *index, int32_t *out, const struct about *q)
{
    if (is_called(f, "Port"))
        *out = FAKE_PORT;
    else if (ends_with(f, "NodeId") || ends_with(f, "BrokerId") || ends_with(f, "LeaderId"))
        *out = FAKE_NODE;
    else if (f == index && !is_called(f, "ThrottleTimeMs"))
        *out = q->index;
}

static void put_cursor(struct making *k, const struct wire_field *f, void **out)
{
    void *m = k->c->with_next && k->c->topics.n > 0 ? wire_struct_new(f->body, &k->a) : NULL;

    if (m) {
        struct about last = {.in_list = true, .name = slice_str(k->c->topics.v[k->c->topics.n - 1])};
        answer_struct(k, f->body, m, &last);
    }
    *out = m;
}

static void answer_struct(struct making *k, const struct wire_struct *s, void *m, const struct about *q)
{
    const struct wire_field *index = index_in(s, k->version);
    bool nobodys = q->in_list && marked(s, k->version, WIRE_ENTITY_TOPIC_ID) &&
                   slice_is_null(about_name(k, q, WIRE_ENTITY_TOPIC_NAME));

    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        if (!there(f, k->version))
            continue;
        if (f->pointer)
            put_cursor(k, f, at(m, f));
        else if (f->array)
            answer_array(k, f, at(m, f), q);
        else if (f->type == WIRE_STRUCT)
            answer_struct(k, f->body, at(m, f), q);
        else if (f->type == WIRE_STRING)
            put_string(k, f, at(m, f), q);
        else if (f->type == WIRE_UUID && f->entity == WIRE_ENTITY_TOPIC_ID)
            *(struct wire_uuid *)at(m, f) = about_id(k, q);
        else if (f->type == WIRE_INT32)
            put_int32(f, index, at(m, f), q);
        else if (f->type == WIRE_INT8 && is_called(f, "ResourceType"))
            *(int8_t *)at(m, f) = about_type(q);
        else if (f->type == WIRE_INT16 && ends_with(f, "ErrorCode"))
            *(int16_t *)at(m, f) = nobodys ? UNKNOWN_TOPIC_ID : k->c->error;
        else if ((f->type == WIRE_RECORDS || f->type == WIRE_BYTES) && slice_is_null(*(struct slice *)at(m, f)) &&
                 !wire_versions_has(f->nullable, k->version))
            *(struct slice *)at(m, f) = slice_of("", 0);
    }
}

void fake_cluster_answer(const struct fake_cluster *c, int16_t key, int16_t version, struct slice request,
                         struct buf *out)
{
    const struct wire_api *api = wire_api(key);
    struct making k = {.c = c, .key = key, .version = version};
    struct about q = {.body = api->request->body, .name = SLICE_NULL};
    struct cursor in = cursor_of(request);
    void *asked, *answer;

    arena_init(&k.a, 0);
    asked = wire_struct_new(api->request->body, &k.a);
    answer = wire_struct_new(api->response->body, &k.a);
    must(asked && answer && api->request->decode(asked, &in, version, &k.a) == ERR_OK && cursor_left(&in) == 0);
    q.m = asked;
    answer_struct(&k, api->response->body, answer, &q);
    must(api->response->encode(answer, out, version) == ERR_OK);
    arena_free(&k.a);
}
