/* SPDX-License-Identifier: Apache-2.0
 * Two clients of two principals and a cluster that knows more names than either may see. The input is a small program:
 * which rules there are, who sends what (requests made from the tables, or any bytes), when the engine runs, when the
 * cluster answers what, who leaves. Promised whatever it says:
 *   - nobody gets a byte of a name that he may not describe and did not say himself, nor the cluster's own address;
 *   - nothing is forwarded that names what his rules do not let him do;
 *   - every request gets one answer, in order, or the connection ends;
 *   - all memory comes back, and no step does much more than its slice. */
#include "gateway/api/api.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine_util.h"

#include <stdio.h>

enum { TOPICS = 8, GROUPS = 4, TXNS = 4, NAMES = TOPICS + GROUPS + TXNS, STEPS_MAX = 96, ASKED_MAX = 32 };
enum { OVERSPENT_MAX = 1 << 17, CHOICES = 7 };

static const char *const names[NAMES] = {
    "topic-zero-qx", "topic-one-wv",  "topic-two-ku", "topic-three-jt",       "__consumer_offsets", "__castellan_users",
    "_schemas",      "topic-four-hs", "group-zero-p", "group-one-rr",         "group-two-qq",       "__castellan_group",
    "txn-zero-mmm",  "txn-one-nnn",   "txn-two-ooo",  "castellan-ledger-fuzz"};
static const char *const people[2] = {"User:ann", "User:bea"};

struct asked {
    int32_t id;
    int16_t key;
    uint32_t said; /* bits of the names that stand in the frame */
    bool said_host;
};

struct side {
    struct asked asked[ASKED_MAX];
    int asked_n, answered;
    int32_t next_id;
};

static struct scene s;
static struct side sides[2];

struct input {
    const uint8_t *p, *end;
};

static uint8_t take(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static void broken(int who, int16_t key, const char *what)
{
    fprintf(stderr, "%s, API %d: %s\n", people[who], key, what);
    abort();
}

/* ---- Rules ---- */

static enum acl_type type_of(int name)
{
    return name < TOPICS ? ACL_TOPIC : name < TOPICS + GROUPS ? ACL_GROUP : ACL_TRANSACTIONAL_ID;
}

static void make_rules(struct input *in)
{
    for (int who = 0; who < 2; who++) {
        for (int i = 0; i < NAMES; i++) {
            uint8_t b = take(in);
            if (b & 1)
                scene_allow(&s, people[who], type_of(i),
                            b & 2 ? ACL_ALL : (enum acl_operation)(ACL_READ + (b >> 2) % 9), names[i]);
            if ((b >> 5) == 7)
                scene_deny(&s, people[who], type_of(i), ACL_DESCRIBE, names[i]);
        }
        uint8_t b = take(in);
        if (b % 8 == 1)
            scene_allow(&s, people[who], ACL_CLUSTER, (enum acl_operation)(ACL_CREATE + (b >> 3) % 8),
                        ACL_CLUSTER_NAME);
        if (b % 8 == 2)
            scene_allow(&s, people[who], ACL_TOPIC, ACL_ALL, "*");
    }
    scene_rules_done(&s);
}

static bool may(int who, enum acl_type type, enum acl_operation op, struct slice name, int16_t key)
{
    struct acl_question q = {type, op, name, slice_str(people[who]), slice_str("10.0.0.1")};
    return reserved_judge(&s.engine.reserved, s.view.acl, &q, key, false, NULL) == ERR_OK;
}

static bool may_cluster(int who, enum acl_operation op)
{
    return may(who, ACL_CLUSTER, op, slice_str(ACL_CLUSTER_NAME), RESERVED_ANY_API);
}

/* ---- What reaches the cluster ---- */

/* What it takes to name a thing in this API, where the table says that the API's own step decides; ACL_OP_UNKNOWN: not
 * told here. */
static enum acl_operation own_operation(int16_t key, enum wire_entity e)
{
    switch (key) {
    case WIRE_PRODUCE:
    case WIRE_INIT_PRODUCER_ID:
        return ACL_WRITE;
    case WIRE_METADATA:
    case WIRE_DESCRIBE_TOPIC_PARTITIONS:
    case WIRE_OFFSET_FETCH:
    case WIRE_CONSUMER_GROUP_HEARTBEAT:
        return ACL_DESCRIBE;
    case WIRE_DELETE_TOPICS:
        return ACL_DELETE;
    case WIRE_CREATE_TOPICS:
        return ACL_CREATE;
    default:
        (void)e;
        return ACL_OP_UNKNOWN;
    }
}

static enum acl_type entity_type(enum wire_entity e)
{
    return e == WIRE_ENTITY_TOPIC_NAME ? ACL_TOPIC : e == WIRE_ENTITY_GROUP_ID ? ACL_GROUP : ACL_TRANSACTIONAL_ID;
}

struct look {
    const struct api_row *row;
    int16_t version;
    int who;
};

static void check_name(const struct look *l, enum wire_entity e, struct slice name, bool by_id)
{
    enum acl_operation op = own_operation(l->row->key, e), cluster = ACL_OP_UNKNOWN;

    for (const struct api_right *r = l->row->rights; r < l->row->rights + API_RIGHTS_MAX && r->scope != RIGHT_END;
         r++) {
        if (r->entity != e || (r->max && (l->version < r->min || l->version > r->max)))
            continue;
        if ((r->scope == RIGHT_EACH || r->scope == RIGHT_WHOLE) && !r->by_cluster)
            op = r->operation;
        if (r->cluster)
            cluster = r->cluster;
        if (r->scope == RIGHT_FREE && (by_id || !r->field)) /* places of their own are ids */
            return;
    }
    if (op == ACL_OP_UNKNOWN)
        return;
    if (l->row->key == WIRE_CREATE_TOPICS || l->row->key == WIRE_DELETE_TOPICS)
        cluster = op;
    if (cluster != ACL_OP_UNKNOWN && may_cluster(l->who, cluster))
        return;
    if (!may(l->who, entity_type(e), op, name, l->row->key))
        broken(l->who, l->row->key, "something is forwarded that he may not name");
}

static enum err look_at_name(void *context, const struct wire_field *f, void *value)
{
    struct slice name = *(struct slice *)value;

    if (name.n > 0)
        check_name(context, f->entity, name, false);
    return ERR_OK;
}

static enum err look_at_id(void *context, const struct wire_field *f, void *value)
{
    const struct look *l = context;

    (void)f;
    for (int i = 0; i < TOPICS && l->row->key != WIRE_METADATA; i++) { /* whose answer is filtered instead */
        struct wire_uuid id = fake_topic_id(names[i]);
        if (wire_uuid_eq(&id, value))
            check_name(l, WIRE_ENTITY_TOPIC_NAME, slice_str(names[i]), true);
    }
    return ERR_OK;
}

static void check_sent(const struct sent *t)
{
    static const enum wire_entity kinds[] = {WIRE_ENTITY_TOPIC_NAME, WIRE_ENTITY_GROUP_ID,
                                             WIRE_ENTITY_TRANSACTIONAL_ID};
    const struct wire_api *api = wire_api(t->key);
    struct look l = {api_find(t->key), t->version, (int)(t->client - s.clients)};
    struct arena a;
    void *m;
    struct cursor c = cursor_of(buf_slice(&t->body));

    if (!t->is_forwarded)
        return;
    arena_init(&a, 0);
    m = wire_struct_new(api->request->body, &a);
    FUZZ_EXPECT(m && api->request->decode(m, &c, t->version, &a) == ERR_OK && cursor_left(&c) == 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        FUZZ_EXPECT(wire_walk_entities(api->request->body, m, t->version, kinds[i], look_at_name, &l) == ERR_OK);
    FUZZ_EXPECT(wire_walk_entities(api->request->body, m, t->version, WIRE_ENTITY_TOPIC_ID, look_at_id, &l) == ERR_OK);
    arena_free(&a);
}

/* ---- What reaches the clients ---- */

static bool contains(struct slice in, const char *what)
{
    return in.n > 0 && memmem(in.p, in.n, what, strlen(what)) != NULL;
}

/* A right on the cluster covers what stands inside, by the table. */
static bool shows_all(int who, int16_t key)
{
    const struct api_row *row = api_find(key);

    for (const struct api_right *r = row->rights; r < row->rights + API_RIGHTS_MAX && r->scope != RIGHT_END; r++)
        if (r->scope == RIGHT_WHOLE && r->entity == WIRE_ENTITY_NONE)
            return may_cluster(who, r->operation);
    return key == WIRE_LIST_GROUPS && may_cluster(who, ACL_DESCRIBE);
}

/* Only a Produce may go without an answer (acks=0). Up to the request with this id; -1: all. */
static void skip_silent(int who, int32_t id)
{
    struct side *me = &sides[who];

    for (; me->answered < me->asked_n && me->asked[me->answered].id != id; me->answered++)
        if (me->asked[me->answered].key != WIRE_PRODUCE)
            broken(who, me->asked[me->answered].key, "a request without an answer");
}

/* Who may delete a topic is told its name, as by Kafka. */
static bool may_know(int who, int16_t key, int name)
{
    struct slice text = slice_str(names[name]);

    if (shows_all(who, key) || may(who, type_of(name), ACL_DESCRIBE, text, RESERVED_ANY_API))
        return true;
    return key == WIRE_DELETE_TOPICS && type_of(name) == ACL_TOPIC &&
           (may_cluster(who, ACL_DELETE) || may(who, ACL_TOPIC, ACL_DELETE, text, key));
}

static void check_answer(int who, struct slice frame)
{
    struct side *me = &sides[who];
    const struct asked *q;
    struct cursor c = cursor_of(frame);
    int32_t id = (int32_t)cursor_u32(&c);

    skip_silent(who, id);
    if (me->answered == me->asked_n)
        broken(who, -1, "an answer to nothing, or out of order");
    q = &me->asked[me->answered++];
    if (!q->said_host && contains(frame, FAKE_HOST))
        broken(who, q->key, "the cluster's own address");
    for (int i = 0; i < NAMES; i++)
        if (!(q->said & 1u << i) && contains(frame, names[i]) && !may_know(who, q->key, i))
            broken(who, q->key, names[i]);
}

static void check_all(int *seen)
{
    for (; *seen < s.sent_n; ++*seen)
        check_sent(&s.sent[*seen]);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < s.clients[i].answers_n; k++)
            check_answer(i, buf_slice(&s.clients[i].answers[k]));
        client_forget_answers(&s.clients[i]);
        for (const struct request *r = s.clients[i].here ? s.clients[i].pipeline.head : NULL; r; r = r->next)
            FUZZ_EXPECT(r->left > -OVERSPENT_MAX);
    }
}

/* ---- The program ---- */

static void come(int who)
{
    sides[who] = (struct side){.next_id = sides[who].next_id};
    scene_client(&s, who, people[who]);
}

static void send_frame(int who, uint8_t *frame, size_t n)
{
    struct side *me = &sides[who];
    struct slice f = slice_of(frame, n);
    struct asked *q = &me->asked[me->asked_n];

    if (!s.clients[who].here || me->asked_n == ASKED_MAX)
        return;
    *q = (struct asked){.id = me->next_id++, .said_host = contains(f, FAKE_HOST)};
    if (n >= 8) {
        q->key = (int16_t)(frame[0] << 8 | frame[1]);
        for (int i = 0; i < 4; i++)
            frame[4 + i] = (uint8_t)(q->id >> (24 - 8 * i));
    }
    for (int i = 0; i < NAMES; i++)
        q->said |= contains(f, names[i]) ? 1u << i : 0;
    me->asked_n++;
    FUZZ_EXPECT(client_sends(&s.clients[who], f));
}

static void pick(struct fake_names *out, const char **v, const char *const *from, int n, uint8_t bits)
{
    out->v = v;
    out->n = 0;
    for (int i = 0; i < n; i++)
        if (bits & 1u << i)
            v[out->n++] = from[i];
    if (out->n > 0 && bits % 3 == 0) /* one of them twice */
        v[out->n++] = v[0];
}

static void send_made(int who, struct input *in)
{
    const char *topics[TOPICS + 1], *groups[GROUPS + 1], *txns[TXNS + 1];
    struct fake_asked q = {.partitions = 2};
    const struct api_row *row;
    const struct wire_api *api;
    struct arena a;
    struct buf frame;
    uint8_t at = take(in), version = take(in), flags = take(in);
    size_t rows = 0;

    while (api_at(rows))
        rows++;
    row = api_at(at % rows);
    api = wire_api(row->key);
    pick(&q.topics, topics, names, TOPICS, take(in));
    pick(&q.groups, groups, names + TOPICS, GROUPS, flags & 15);
    pick(&q.txns, txns, names + TOPICS + GROUPS, TXNS, flags >> 4);
    q.by_id = version & 0x80;
    arena_init(&a, 0);
    buf_init(&frame, 0);
    version = (uint8_t)(api->min + version % 0x40 % (api->max - api->min + 1));
    FUZZ_EXPECT(wire_request_frame(&frame, row->key, version, 0, slice_str("fuzz"),
                                   fake_request(row->key, version, &q, &a)) == ERR_OK);
    for (uint8_t i = take(in) % 4; i > 0; i--) { /* and changed a little */
        size_t where = (size_t)(take(in) << 8 | take(in));
        uint8_t to = take(in);
        if (where > 7 && where + 4 < frame.n)
            frame.p[4 + where] = to;
    }
    send_frame(who, frame.p + 4, frame.n - 4);
    buf_free(&frame);
    arena_free(&a);
}

static void send_raw(int who, struct input *in)
{
    size_t n = (size_t)(take(in) << 8 | take(in)), left = (size_t)(in->end - in->p);
    struct buf b;

    if (n > left)
        n = left;
    buf_init(&b, 0);
    buf_put(&b, in->p, n);
    in->p += n;
    send_frame(who, b.p, n);
    buf_free(&b);
}

static void answer_one(struct input *in, bool fails)
{
    int waiting = scene_waiting(&s), n = take(in);
    uint8_t how = take(in);

    if (waiting == 0)
        return;
    s.cluster.shuffled = how & 1;
    s.cluster.once = how & 2;
    s.cluster.with_next = how & 4;
    s.cluster.error = how & 8 && how & 16 ? 3 : 0;
    n %= waiting;
    for (int i = 0; i < s.sent_n; i++)
        if (s.sent[i].request && n-- == 0) {
            scene_answer(&s, i, fails ? ERR_UNAVAILABLE : ERR_OK);
            return;
        }
}

static void one_step(struct input *in)
{
    uint8_t op = take(in);
    int who = op >> 7;

    switch (op % CHOICES) {
    case 0:
    case 1:
        send_made(who, in);
        break;
    case 2:
        send_raw(who, in);
        break;
    case 3:
        engine_run(&s.engine, s.now_ms += op);
        break;
    case 4:
        answer_one(in, op == 4 * CHOICES + 4);
        break;
    case 5:
        s.clients[who].deaf = !s.clients[who].deaf;
        if (s.clients[who].here && !s.clients[who].deaf)
            pipeline_flush(&s.clients[who].pipeline);
        break;
    case 6:
        client_leaves(&s.clients[who]);
        come(who);
        break;
    }
    for (int i = 0; i < 2; i++) /* whom the engine closed comes again */
        if (!s.clients[i].here) {
            client_leaves(&s.clients[i]);
            client_forget_answers(&s.clients[i]);
            come(i);
        }
}

static void settle(int *seen)
{
    scene_settle(&s);
    check_all(seen);
    scene_forget_sent(&s);
    *seen = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    int seen = 0;

    scene_init(&s);
    s.cluster.topics = (struct fake_names){names, TOPICS};
    s.cluster.groups = (struct fake_names){names + TOPICS, GROUPS};
    s.cluster.txns = (struct fake_names){names + TOPICS + GROUPS, TXNS};
    s.engine.slice_units = 1 + take(&in) * 4;
    s.engine.turn_units = s.engine.slice_units * 2;
    make_rules(&in);
    for (int i = 0; i < 2; i++) {
        sides[i] = (struct side){0};
        come(i);
    }
    for (int i = 0; i < STEPS_MAX && in.p < in.end; i++) {
        one_step(&in);
        check_all(&seen);
        if (s.sent_n > SCENE_SENT_MAX / 2)
            settle(&seen);
    }
    for (int i = 0; i < 2; i++) {
        s.clients[i].deaf = false;
        if (s.clients[i].here)
            pipeline_flush(&s.clients[i].pipeline);
    }
    settle(&seen);
    for (int i = 0; i < 2; i++) /* all are answered, or the connection has ended */
        if (s.clients[i].here) {
            FUZZ_EXPECT(s.clients[i].pipeline.count == 0);
            skip_silent(i, -1);
        }
    scene_free(&s);
    return 0;
}
