/* SPDX-License-Identifier: Apache-2.0
 * The key process on a thread of its own, over ledgers in memory, and its clients over the socket: keys are the same
 * for everyone, forgetting reaches every client before it is confirmed, and without the key process nothing opens. */
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/net/local_socket.h"
#include "crypto/key_client.h"
#include "crypto/keyd_internal.h"

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

struct server {
    char dir[64], socket[128], admin[128], root[128], mark[128], signing[128], public_key[128];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    struct loop *loop;
    struct keyd *keyd;
    bool serving;
    char fatal[400];
    int64_t lease_ms, hello_ms;
    const char *const *kafka;
};

static void on_serving(void *user)
{
    struct server *s = user;
    pthread_mutex_lock(&s->lock);
    s->serving = true;
    pthread_cond_signal(&s->turn);
    pthread_mutex_unlock(&s->lock);
}

static void on_fatal(void *user, const struct reason *why)
{
    struct server *s = user;
    pthread_mutex_lock(&s->lock);
    snprintf(s->fatal, sizeof s->fatal, "%s", why->text);
    pthread_cond_signal(&s->turn);
    pthread_mutex_unlock(&s->lock);
    loop_stop(s->loop);
}

static void *run(void *arg)
{
    struct server *s = arg;
    loop_run(s->loop);
    keyd_stop(s->keyd);
    loop_free(s->loop);
    keyd_free(s->keyd);
    return NULL;
}

static void paths(struct server *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/castellan-keyd-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->socket, sizeof s->socket, "%s/s", s->dir);
    snprintf(s->admin, sizeof s->admin, "%s/a", s->dir);
    snprintf(s->root, sizeof s->root, "%s/root", s->dir);
    snprintf(s->mark, sizeof s->mark, "%s/mark", s->dir);
    snprintf(s->signing, sizeof s->signing, "%s/signing", s->dir);
    snprintf(s->public_key, sizeof s->public_key, "%s/receipt-signing.pub", s->dir);
}

static void start(struct server *s)
{
    struct keyd_opts o = {.socket_path = s->socket,
                          .admin_socket_path = s->admin,
                          .hello_ms = s->hello_ms ? s->hello_ms : 10000,
                          .root_file = s->root,
                          .mark_file = s->mark,
                          .signing_key_file = s->signing,
                          .public_key_file = s->public_key,
                          .lease_ms = s->lease_ms,
                          .kafka = s->kafka,
                          .topics_exist = true,
                          .env = env_system(),
                          .on_serving = on_serving,
                          .on_fatal = on_fatal,
                          .user = s};
    struct reason why = {0};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->turn, NULL);
    s->serving = false;
    s->fatal[0] = 0;
    assert_int_equal(loop_new(&s->loop, NULL, NULL), ERR_OK);
    if (keyd_new(&s->keyd, s->loop, &o, &why))
        fail_msg("%s", why.text);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
    pthread_mutex_lock(&s->lock);
    while (!s->serving && !s->fatal[0])
        pthread_cond_wait(&s->turn, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void stop(struct server *s)
{
    loop_stop(s->loop);
    pthread_join(s->thread, NULL);
}

static void cleanup(struct server *s)
{
    assert_int_equal(fs_remove_tree(s->dir), ERR_OK);
}

/* ---- a client on this thread's loop ---- */

struct answer {
    bool done;
    enum err e;
    struct key_set *set;
    struct reason why;
};

static void on_keys(void *arg, enum err e, struct key_set *set, const struct reason *why)
{
    struct answer *a = arg;
    assert_false(a->done);
    a->done = true;
    a->e = e;
    a->set = set;
    a->why = *why;
}

static void until(uv_loop_t *loop, const bool *done)
{
    while (!*done)
        uv_run(loop, UV_RUN_ONCE);
}

static void nothing(uv_timer_t *t)
{
    (void)t;
}

struct rig {
    uv_loop_t loop;
    uv_timer_t keep; /* keeps the loop turning */
};

static void rig_open(struct rig *r)
{
    uv_loop_init(&r->loop);
    uv_timer_init(&r->loop, &r->keep);
    uv_timer_start(&r->keep, nothing, 5, 5);
}

static void rig_close(struct rig *r)
{
    uv_close((uv_handle_t *)&r->keep, NULL);
    while (uv_run(&r->loop, UV_RUN_DEFAULT)) {
    }
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static struct key_client *client(struct rig *r, struct server *s, const char *name)
{
    struct key_client *c;
    struct key_client_opts o = {.socket_path = s->socket, .name = name, .cache_keys = 3000};
    assert_int_equal(key_client_new(&c, &r->loop, &o, NULL), ERR_OK);
    while (!key_client_ready(c))
        uv_run(&r->loop, UV_RUN_ONCE);
    return c;
}

static struct key_set *keys_of(struct rig *r, struct key_client *c, const char *const *subjects, size_t n)
{
    struct record_crypt_needs needs;
    struct answer a = {0};
    record_crypt_needs_init(&needs);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(map_put(&needs.subjects, slice_str(subjects[i]), NULL, NULL), ERR_OK);
    assert_int_equal(key_client_resolve(c, NULL, &needs, on_keys, &a, NULL), ERR_OK);
    record_crypt_needs_free(&needs);
    until(&r->loop, &a.done);
    assert_int_equal(a.e, ERR_OK);
    return a.set;
}

static struct key_set *set_of_ids(struct rig *r, struct key_client *c, const struct data_key *keys, size_t n)
{
    struct record_crypt_needs needs;
    struct answer a = {0};
    record_crypt_needs_init(&needs);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(map_put(&needs.key_ids, slice_of(keys[i].id, 16), NULL, NULL), ERR_OK);
    assert_int_equal(key_client_resolve(c, NULL, &needs, on_keys, &a, NULL), ERR_OK);
    record_crypt_needs_free(&needs);
    until(&r->loop, &a.done);
    assert_int_equal(a.e, ERR_OK);
    return a.set;
}

static enum key_state subject_state(struct key_set *s, const char *subject, struct data_key *out)
{
    const struct data_key *k = NULL;
    struct key_lookup l = key_set_lookup(s);
    enum key_state st = l.by_subject(l.user, slice_str(subject), &k);
    if (st == KEY_LIVE && out)
        *out = *k;
    if (st == KEY_LIVE)
        l.release(l.user);
    return st;
}

static enum key_state id_state(struct key_set *s, const struct data_key *key, struct data_key *out)
{
    const struct data_key *k = NULL;
    struct key_lookup l = key_set_lookup(s);
    enum key_state st = l.by_id(l.user, key->id, &k);
    if (st == KEY_LIVE && out)
        *out = *k;
    if (st == KEY_LIVE)
        l.release(l.user);
    return st;
}

/* ---- an administrator's call in a thread of its own, while the clients' loop turns ---- */

enum admin_call { FORGET, REOPEN, HOLD, RECEIPT };

struct admin {
    const struct server *s;
    enum admin_call call;
    const struct key_subject *subject;
    uint64_t seq;
    atomic_bool done;
    enum err e;
    struct buf json;
    struct reason why;
};

static void *admin_main(void *arg)
{
    struct admin *a = arg;
    const char *path = a->s->admin;
    switch (a->call) {
    case FORGET:
        a->e = key_admin_forget(path, a->subject, slice_str("User:admin"), 20000, &a->json, &a->why);
        break;
    case REOPEN:
        a->e = key_admin_reopen(path, a->subject, 20000, &a->json, &a->why);
        break;
    case HOLD:
        a->e = key_admin_hold(path, a->subject, true, 20000, &a->json, &a->why);
        break;
    case RECEIPT:
        a->e = key_admin_receipt(path, a->seq, 20000, &a->json, &a->why);
        break;
    }
    atomic_store(&a->done, true);
    return NULL;
}

/* The answer's text is freed by the next call, or with NULL. */
static struct admin *admin(struct rig *r, const struct server *s, enum admin_call call,
                           const struct key_subject *subject, uint64_t seq)
{
    static struct admin a;
    pthread_t thread;
    buf_free(&a.json);
    a = (struct admin){.s = s, .call = call, .subject = subject, .seq = seq};
    buf_init(&a.json, 0);
    if (!s)
        return NULL;
    assert_int_equal(pthread_create(&thread, NULL, admin_main, &a), 0);
    while (!atomic_load(&a.done))
        uv_run(&r->loop, UV_RUN_ONCE);
    pthread_join(thread, NULL);
    return &a;
}

static void check_bundle(struct server *s, struct buf *json, const char *subject, size_t keys)
{
    struct receipt_report report;
    struct reason why = {0};
    struct buf pub;
    buf_init(&pub, 0);
    assert_int_equal(fs_read_file(s->public_key, &pub, NULL), ERR_OK);
    if (receipt_verify(buf_slice(json), buf_slice(&pub), SLICE_NULL, SLICE_NULL,
                       subject ? slice_str(subject) : SLICE_NULL, &report, &why))
        fail_msg("%s in %s", why.text, buf_cstr(json));
    assert_true(report.signer_trusted && report.inclusion_checked);
    assert_int_equal(report.keys, keys);
    buf_free(&pub);
}

struct made_of_a_key {
    struct key_hold hold;
    int wiped;
};

static void on_wiped(struct key_hold *h)
{
    ((struct made_of_a_key *)(void *)h)->wiped++;
}

static void hold_on(struct key_set *s, const char *subject, struct made_of_a_key *m)
{
    const struct data_key *k = NULL;
    struct key_lookup l = key_set_lookup(s);
    *m = (struct made_of_a_key){.hold.wipe = on_wiped};
    assert_int_equal(l.by_subject(l.user, slice_str(subject), &k), KEY_LIVE);
    l.hold(l.user, k, &m->hold);
    l.release(l.user);
}

static void let_it_go(const struct key_lookup *l, struct made_of_a_key *m)
{
    l->enter(l->user);
    l->let_go(l->user, &m->hold);
    l->release(l->user);
}

static void test_forget_reaches_every_client(void **state)
{
    struct server s = {.lease_ms = 300};
    struct rig r;
    struct data_key a1, a2, b1;
    static const char *const both[] = {"alice", "bob"};
    (void)state;
    paths(&s);
    start(&s);
    assert_string_equal(s.fatal, "");
    struct stat st;
    assert_int_equal(stat(s.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    rig_open(&r);
    struct key_client *c1 = client(&r, &s, "gateway-1/worker-0"), *c2 = client(&r, &s, "gateway-2/worker-0");

    struct key_set *s1 = keys_of(&r, c1, both, 2), *s2 = keys_of(&r, c2, both, 2);
    assert_int_equal(subject_state(s1, "alice", &a1), KEY_LIVE);
    assert_int_equal(subject_state(s2, "alice", &a2), KEY_LIVE);
    assert_int_equal(subject_state(s1, "bob", &b1), KEY_LIVE);
    assert_memory_equal(&a1, &a2, sizeof a1);
    assert_memory_not_equal(&a1, &b1, sizeof a1);
    key_set_free(s2);
    struct key_set *by_id = set_of_ids(&r, c2, &b1, 1);
    assert_int_equal(id_state(by_id, &b1, &a2), KEY_LIVE);
    assert_memory_equal(&b1, &a2, sizeof b1);
    key_set_free(by_id);

    struct key_subject alice = {.id = slice_str("alice")};
    struct made_of_a_key of_alice, of_bob, let_go;
    struct key_lookup l = key_set_lookup(s1);
    hold_on(s1, "alice", &of_alice);
    hold_on(s1, "alice", &let_go);
    hold_on(s1, "bob", &of_bob);
    let_it_go(&l, &let_go);
    assert_int_equal(l.lost(l.user), 0);
    struct admin *f = admin(&r, &s, FORGET, &alice, 0);
    if (f->e)
        fail_msg("%s", f->why.text);
    check_bundle(&s, &f->json, "alice", 1);
    assert_non_null(strstr(buf_cstr(&f->json), "\"how\":\"acknowledged\""));
    assert_non_null(strstr(buf_cstr(&f->json), "gateway-2/worker-0"));
    assert_int_equal(of_alice.wiped, 1);
    assert_int_equal(of_bob.wiped + let_go.wiped, 0);
    assert_int_equal(l.lost(l.user), 1);
    let_it_go(&l, &of_alice);
    let_it_go(&l, &of_bob);
    /* also in a set that is still held */
    assert_int_equal(subject_state(s1, "alice", NULL), KEY_ERASED);
    assert_int_equal(subject_state(s1, "bob", NULL), KEY_LIVE);
    key_set_free(s1);
    s2 = keys_of(&r, c2, both, 2);
    assert_int_equal(subject_state(s2, "alice", NULL), KEY_ERASED);
    assert_int_equal(subject_state(s2, "bob", &a2), KEY_LIVE);
    assert_memory_equal(&b1, &a2, sizeof b1);
    key_set_free(s2);
    by_id = set_of_ids(&r, c2, &a1, 1);
    assert_int_equal(id_state(by_id, &a1, NULL), KEY_ERASED);
    key_set_free(by_id);

    /* status, the receipt again (without the salt), reopen, hold */
    struct buf status;
    buf_init(&status, 0);
    assert_int_equal(key_admin_status(s.socket, 5000, &status, NULL), ERR_OK);
    assert_non_null(strstr(buf_cstr(&status), "\"erased_subjects\":1"));
    assert_non_null(strstr(buf_cstr(&status), "\"root_epoch\":2"));
    buf_free(&status);
    f = admin(&r, &s, RECEIPT, NULL, 1);
    check_bundle(&s, &f->json, NULL, 1);
    assert_null(memmem(f->json.p, f->json.n, "subject_salt", 12));
    assert_int_equal(admin(&r, &s, RECEIPT, NULL, 0)->e, ERR_NOT_FOUND);
    assert_int_equal(admin(&r, &s, REOPEN, &alice, 0)->e, ERR_OK);
    s1 = keys_of(&r, c1, both, 1);
    assert_int_equal(subject_state(s1, "alice", &a2), KEY_LIVE);
    assert_memory_not_equal(&a1, &a2, sizeof a1);
    key_set_free(s1);
    assert_int_equal(admin(&r, &s, HOLD, &alice, 0)->e, ERR_OK);
    f = admin(&r, &s, FORGET, &alice, 0);
    assert_int_equal(f->e, ERR_POLICY_VIOLATION);
    assert_non_null(strstr(f->why.text, "legal hold"));
    admin(NULL, NULL, FORGET, NULL, 0);

    key_client_free(c1);
    key_client_free(c2);
    rig_close(&r);
    stop(&s);
    cleanup(&s);
}

static void test_many_subjects(void **state)
{
    enum { N = 2500 };
    struct server s = {.lease_ms = 3000};
    struct rig r;
    char(*names)[24] = calloc(N, sizeof *names);
    const char **list = calloc(N, sizeof *list);
    struct data_key *k1 = calloc(N, sizeof *k1), k;
    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "user-%d", i);
        list[i] = names[i];
    }
    paths(&s);
    start(&s);
    rig_open(&r);
    struct key_client *c1 = client(&r, &s, "a"), *c2 = client(&r, &s, "b");
    struct key_set *set = keys_of(&r, c1, list, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(subject_state(set, list[i], &k1[i]), KEY_LIVE);
    key_set_free(set);
    set = set_of_ids(&r, c2, k1, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(id_state(set, &k1[i], &k), KEY_LIVE);
        assert_memory_equal(&k, &k1[i], sizeof k);
    }
    key_set_free(set);
    /* more than the cache holds, in two goes: the first are pushed out, and come back the same */
    const char *other[600];
    char other_names[600][24];
    for (int i = 0; i < 600; i++) {
        snprintf(other_names[i], sizeof other_names[i], "other-%d", i);
        other[i] = other_names[i];
    }
    key_set_free(keys_of(&r, c1, other, 600));
    set = keys_of(&r, c1, list, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(subject_state(set, list[i], &k), KEY_LIVE);
        assert_memory_equal(&k, &k1[i], sizeof k);
    }
    key_set_free(set);
    key_client_free(c1);
    key_client_free(c2);
    rig_close(&r);
    stop(&s);
    cleanup(&s);
    free(names), free(list), free(k1);
}

/* A client that hangs cannot hold up an erasure for longer than its lease, and one that lost the key process stops. */
static void test_leases(void **state)
{
    struct server s = {.lease_ms = 300};
    struct rig r;
    struct buf out;
    struct data_key a;
    static const char *const one[] = {"alice"};
    struct key_subject alice = {.id = slice_str("alice")};
    struct reason why = {0};
    (void)state;
    paths(&s);
    start(&s);
    rig_open(&r);
    struct key_client *c = client(&r, &s, "hangs");
    struct key_set *set = keys_of(&r, c, one, 1);
    assert_int_equal(subject_state(set, "alice", &a), KEY_LIVE);
    buf_init(&out, 0);
    if (key_admin_forget(s.admin, &alice, slice_str("cli"), 20000, &out, &why)) /* our loop does not run meanwhile */
        fail_msg("%s", why.text);
    check_bundle(&s, &out, "alice", 1);
    assert_non_null(strstr(buf_cstr(&out), "lease ran out"));
    assert_int_equal(subject_state(set, "alice", NULL), KEY_UNAVAILABLE); /* its own clock told it so */
    key_set_free(set);
    buf_clear(&out);
    assert_int_equal(key_admin_status(s.socket, 5000, &out, &why), ERR_OK);
    assert_non_null(strstr(buf_cstr(&out), "\"pending_erasures\":0"));
    buf_free(&out);

    while (!key_client_ready(c))
        uv_run(&r.loop, UV_RUN_ONCE);
    set = keys_of(&r, c, one, 1);
    assert_int_equal(subject_state(set, "alice", NULL), KEY_ERASED);
    key_set_free(set);
    static const char *const bob[] = {"bob"};
    set = keys_of(&r, c, bob, 1);
    assert_int_equal(subject_state(set, "bob", NULL), KEY_LIVE);
    stop(&s);
    while (subject_state(set, "bob", NULL) == KEY_LIVE)
        uv_run(&r.loop, UV_RUN_ONCE);
    assert_int_equal(subject_state(set, "bob", NULL), KEY_UNAVAILABLE);
    key_set_free(set);
    struct record_crypt_needs needs;
    record_crypt_needs_init(&needs);
    assert_int_equal(map_put(&needs.subjects, slice_str("bob"), NULL, NULL), ERR_OK);
    assert_int_equal(key_client_resolve(c, NULL, &needs, on_keys, NULL, &why), ERR_KAFKA_STORAGE_ERROR);
    record_crypt_needs_free(&needs);
    assert_int_equal(key_admin_status(s.socket, 1000, &out, &why), ERR_UNAVAILABLE);
    key_client_free(c);
    rig_close(&r);

    /* the ledgers are gone (they were memory), the root is not: a key process over them refuses to serve */
    start(&s);
    assert_non_null(strstr(s.fatal, "older"));
    stop(&s);
    cleanup(&s);
}

static int raw(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval t = {10, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(a.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    return fd;
}

static void is_cut_off(const char *path, const struct buf *bytes)
{
    uint8_t junk[512];
    ssize_t n;
    int fd = raw(path);
    assert_int_equal(send(fd, bytes->p, bytes->n, MSG_NOSIGNAL), bytes->n);
    while ((n = recv(fd, junk, sizeof junk, 0)) > 0) {
    }
    assert_true(n == 0 || n == -1);
    close(fd);
}

static void hello(struct buf *b, uint8_t caps)
{
    buf_clear(b);
    size_t at = keyd_frame_begin(b, KEYD_HELLO, 1);
    buf_u8(b, KEYD_VERSION);
    buf_u8(b, caps);
    keyd_put_string(b, slice_str("raw"));
    keyd_frame_end(b, at);
}

static void frame(struct buf *b, enum keyd_message type, const void *body, size_t n)
{
    size_t at = keyd_frame_begin(b, type, 2);
    buf_put(b, body, n);
    keyd_frame_end(b, at);
}

static void test_bad_peers_are_cut_off(void **state)
{
    struct server s = {.lease_ms = 300};
    struct buf b, out;
    (void)state;
    paths(&s);
    start(&s);
    buf_init(&b, 0);
    buf_put_str(&b, "GET / HTTP/1.1\r\n\r\n");
    is_cut_off(s.socket, &b);
    buf_clear(&b); /* a request before the greeting */
    frame(&b, KEYD_STATUS, NULL, 0);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA); /* what its capability does not cover */
    frame(&b, KEYD_RECEIPT, "\0\0\0\0\0\0\0\1", 8);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_ADMIN);
    frame(&b, KEYD_GET, "\0\0\0\0", 4);
    is_cut_off(s.admin, &b);
    /* what its socket does not give, whatever it says of itself */
    hello(&b, KEYD_CAP_ADMIN);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA | KEYD_CAP_ADMIN);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA);
    is_cut_off(s.admin, &b);
    hello(&b, 0);
    frame(&b, KEYD_RENEW, NULL, 0);
    is_cut_off(s.socket, &b);
    hello(&b, 0x80); /* a capability that does not exist */
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA); /* a count that does not match, trailing bytes, an answer sent as a request */
    frame(&b, KEYD_GET, "\0\0\0\2xxxxxxxxxxxxxxxx", 20);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA);
    frame(&b, KEYD_RENEW, "x", 1);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA);
    frame(&b, KEYD_KEYS, "\0\0\0\0", 4);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA);
    hello(&b, KEYD_CAP_DATA);
    size_t n = b.n;
    buf_put(&b, b.p, n); /* a second greeting */
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_DATA);
    frame(&b, KEYD_CREATE, "\0\1t\0\1c\xff\xff\xff\xff", 10);
    is_cut_off(s.socket, &b);
    /* and it still serves */
    buf_init(&out, 0);
    assert_int_equal(key_admin_status(s.socket, 5000, &out, NULL), ERR_OK);
    buf_free(&out);
    buf_free(&b);
    stop(&s);
    cleanup(&s);
}

/* ---- a process in the key process's place ---- */

struct impostor {
    int listening;
    const char *answer;
};

static void *impostor_main(void *arg)
{
    const struct impostor *im = arg;
    uint8_t junk[4096];
    struct buf b;
    int fd = accept(im->listening, NULL, NULL);
    buf_init(&b, 0);
    assert_true(fd >= 0 && recv(fd, junk, sizeof junk, 0) > 0); /* HELLO */
    size_t at = keyd_frame_begin(&b, KEYD_WELCOME, 1);
    buf_u32(&b, 5000);
    buf_u64(&b, 0);
    keyd_frame_end(&b, at);
    assert_int_equal(send(fd, b.p, b.n, MSG_NOSIGNAL), b.n);
    assert_true(recv(fd, junk, sizeof junk, 0) > 0); /* FORGET */
    buf_clear(&b);
    at = keyd_frame_begin(&b, KEYD_JSON, 2);
    buf_put_str(&b, im->answer);
    keyd_frame_end(&b, at);
    assert_int_equal(send(fd, b.p, b.n, MSG_NOSIGNAL), b.n);
    while (recv(fd, junk, sizeof junk, 0) > 0) {
    }
    close(fd);
    buf_free(&b);
    return NULL;
}

/* Forgetting is a success only with a receipt that holds for this person. */
static void test_an_answer_that_is_no_receipt_is_no_success(void **state)
{
    static const char *const answers[] = {"", "{}", "{\"ok\":true}", "{\"receipt\":{\"level\":\"E2\",\"seq\":7}}"};
    struct server s = {.lease_ms = 300};
    struct key_subject alice = {.id = slice_str("alice")}, bob = {.id = slice_str("bob")};
    struct buf out, receipt;
    (void)state;
    paths(&s);
    start(&s);
    buf_init(&out, 0);
    buf_init(&receipt, 0);
    assert_int_equal(key_admin_forget(s.admin, &alice, slice_str("cli"), 20000, &receipt, NULL), ERR_OK);
    stop(&s);
    for (size_t i = 0; i <= sizeof answers / sizeof *answers; i++) {
        bool last = i == sizeof answers / sizeof *answers; /* a receipt that holds, for somebody else */
        struct impostor im = {.answer = last ? buf_cstr(&receipt) : answers[i]};
        struct reason why = {0};
        pthread_t thread;
        assert_int_equal(local_socket_listen(&im.listening, s.admin, NULL), ERR_OK);
        fcntl(im.listening, F_SETFL, 0);
        assert_int_equal(pthread_create(&thread, NULL, impostor_main, &im), 0);
        buf_clear(&out);
        assert_int_equal(key_admin_forget(s.admin, &bob, slice_str("cli"), 20000, &out, &why),
                         ERR_UNKNOWN_SERVER_ERROR);
        assert_non_null(strstr(why.text, "no receipt"));
        pthread_join(thread, NULL);
        close(im.listening);
    }
    buf_free(&out);
    buf_free(&receipt);
    cleanup(&s);
}

/* Where others may come, no root is made and no socket served. */
static void test_a_folder_open_to_others_is_refused(void **state)
{
    struct server s = {.lease_ms = 300};
    struct keyd_opts o = {.lease_ms = 300, .topics_exist = true, .env = env_system()};
    struct reason why = {0};
    struct loop *loop;
    struct keyd *d;
    (void)state;
    paths(&s);
    o.socket_path = s.socket;
    o.root_file = s.root;
    o.mark_file = s.mark;
    o.signing_key_file = s.signing;
    o.public_key_file = s.public_key;
    assert_int_equal(chmod(s.dir, 0755), 0);
    assert_int_equal(loop_new(&loop, NULL, NULL), ERR_OK);
    assert_int_equal(keyd_new(&d, loop, &o, &why), ERR_BAD_CONFIG);
    assert_non_null(strstr(why.text, "open to other users"));
    assert_false(fs_exists(s.root));
    loop_free(loop);
    cleanup(&s);
}

static size_t times_in(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

static void send_whole(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->n;) {
        ssize_t n = send(fd, b->p + at, b->n - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

/* Ask for so many keys, and read no answer, that not one push more fits. */
static void fill_to_the_brim(int fd)
{
    enum { KEYS_FRAME = KEYD_FRAME_HEADER + 4, RENEWED_FRAME = KEYD_FRAME_HEADER + 1 };
    struct buf b;
    int unread = 1;
    buf_init(&b, 0);
    for (size_t left = KEYD_OUT_MAX; left >= RENEWED_FRAME;) {
        size_t n = left < KEYS_FRAME ? 0 : (left - KEYS_FRAME) / KEYD_ENTRY_SIZE;
        n = n > KEYD_KEY_IDS_MAX ? KEYD_KEY_IDS_MAX : n;
        buf_clear(&b);
        size_t at = keyd_frame_begin(&b, n ? KEYD_GET : KEYD_RENEW, 7);
        if (n) {
            buf_u32(&b, (uint32_t)n);
            memset(buf_grow(&b, n * ENVELOPE_KEY_ID_SIZE), 'x', n * ENVELOPE_KEY_ID_SIZE);
        }
        keyd_frame_end(&b, at);
        send_whole(fd, &b);
        left -= n ? KEYS_FRAME + n * KEYD_ENTRY_SIZE : RENEWED_FRAME;
    }
    while (unread)
        assert_int_equal(ioctl(fd, SIOCOUTQ, &unread), 0);
    buf_free(&b);
}

struct question {
    const struct server *s;
    atomic_int answer; /* -1: none yet */
};

static void on_question(void *arg)
{
    struct question *q = arg;
    atomic_store(&q->answer, q->s->keyd->turn != NULL);
}

/* Until the key process has done all that was asked. */
static void wait_for_jobs(const struct server *s)
{
    struct question q = {.s = s};
    do {
        atomic_store(&q.answer, -1);
        assert_int_equal(loop_post(s->loop, on_question, &q), ERR_OK);
        while (atomic_load(&q.answer) < 0)
            sched_yield();
    } while (atomic_load(&q.answer));
}

/* Clients that do not read are closed by the very push of an erasure: each still counts once. */
static void test_slow_readers_closed_by_a_push_count_once(void **state)
{
    enum { SLOW = 3 };
    struct server s = {.lease_ms = 2000};
    struct key_subject carl = {.id = slice_str("carl")};
    struct reason why = {0};
    struct buf b, out;
    int fds[SLOW];
    (void)state;
    paths(&s);
    start(&s);
    buf_init(&b, 0);
    buf_init(&out, 0);
    for (int i = 0; i < SLOW; i++) {
        fds[i] = raw(s.socket);
        hello(&b, KEYD_CAP_DATA);
        send_whole(fds[i], &b);
        fill_to_the_brim(fds[i]);
    }
    wait_for_jobs(&s);
    if (key_admin_forget(s.admin, &carl, slice_str("cli"), 20000, &out, &why))
        fail_msg("%s", why.text);
    assert_int_equal(times_in(buf_cstr(&out), "\"client\":\"raw\""), SLOW);
    assert_int_equal(times_in(buf_cstr(&out), "\"how\":\"lease ran out\""), SLOW);
    for (int i = 0; i < SLOW; i++)
        close(fds[i]);
    buf_free(&b);
    buf_free(&out);
    stop(&s);
    cleanup(&s);
}

struct two_answers {
    struct key_client *client;
    int n;
};

static void on_keys_free_client(void *arg, enum err e, struct key_set *set, const struct reason *why)
{
    struct two_answers *t = arg;
    (void)why;
    assert_null(set);
    assert_int_not_equal(e, ERR_OK);
    if (t->n++ == 0)
        key_client_free(t->client);
}

/* When the key process goes, every request fails; a callback that frees the client then must not spoil the walk. */
static void test_a_callback_may_free_the_client(void **state)
{
    enum { REQUESTS = 5 };
    struct server s = {.lease_ms = 3000};
    struct two_answers t = {0};
    struct record_crypt_needs needs;
    struct rig r;
    (void)state;
    paths(&s);
    start(&s);
    rig_open(&r);
    t.client = client(&r, &s, "a");
    stop(&s); /* the client's loop does not run: it does not know yet */
    record_crypt_needs_init(&needs);
    assert_int_equal(map_put(&needs.subjects, slice_str("alice"), NULL, NULL), ERR_OK);
    for (int i = 0; i < REQUESTS; i++)
        assert_int_equal(key_client_resolve(t.client, NULL, &needs, on_keys_free_client, &t, NULL), ERR_OK);
    record_crypt_needs_free(&needs);
    while (t.n < REQUESTS)
        uv_run(&r.loop, UV_RUN_ONCE);
    rig_close(&r);
    assert_int_equal(t.n, REQUESTS);
    cleanup(&s);
}

/* ---- capacity ---- */

static void many_descriptors(void)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = r.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static bool is_closed(int fd)
{
    uint8_t byte;
    return recv(fd, &byte, 1, MSG_PEEK) <= 0;
}

/* More silent connections than there are places, on both sockets: renewals go on, newcomers get in, and forgetting
 * works; those who never say who they are lose their places. */
static void test_silent_connections_keep_nobody_out(void **state)
{
    enum { SILENT = KEYD_PROCESS_CLIENTS_MAX + 20 };
    struct server s = {.lease_ms = 3000, .hello_ms = 500};
    struct key_subject carl = {.id = slice_str("carl")};
    int *fds = calloc(2 * SILENT, sizeof *fds);
    struct rig r;
    (void)state;
    many_descriptors();
    paths(&s);
    start(&s);
    rig_open(&r);
    struct key_client *before = client(&r, &s, "before");
    for (int i = 0; i < SILENT; i++) {
        fds[i] = raw(s.socket);
        fds[SILENT + i] = raw(s.admin);
    }
    struct key_client *after = client(&r, &s, "after");
    assert_int_equal(admin(&r, &s, FORGET, &carl, 0)->e, ERR_OK);
    assert_true(key_client_ready(before) && key_client_ready(after));
    assert_true(is_closed(fds[0]));
    for (int i = 0; i < 2 * SILENT; i++) /* in time, or 10 s after: recv gives up */
        assert_true(is_closed(fds[i]));
    assert_true(key_client_ready(before) && key_client_ready(after));
    admin(NULL, NULL, FORGET, NULL, 0);
    for (int i = 0; i < 2 * SILENT; i++)
        close(fds[i]);
    free(fds);
    key_client_free(before);
    key_client_free(after);
    rig_close(&r);
    stop(&s);
    cleanup(&s);
}

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

/* ---- leases that no request delays ---- */

static void on_wait_over(void *arg)
{
    *(bool *)arg = true;
}

static void turn_for(struct loop *loop, int64_t ms)
{
    struct loop_timer t;
    bool over = false;
    loop_timer_init(&t, loop, on_wait_over, &over);
    loop_timer_start(&t, ms);
    while (!over)
        loop_run_once(loop, true);
}

static struct key_set *keys_by_keeper(struct loop *loop, struct key_client *c, const char *subject)
{
    struct record_crypt_needs needs;
    struct answer a = {0};
    record_crypt_needs_init(&needs);
    assert_int_equal(map_put(&needs.subjects, slice_str(subject), NULL, NULL), ERR_OK);
    assert_int_equal(key_client_resolve(c, NULL, &needs, on_keys, &a, NULL), ERR_OK);
    record_crypt_needs_free(&needs);
    while (!a.done)
        loop_run_once(loop, true);
    assert_int_equal(a.e, ERR_OK);
    return a.set;
}

/* A worker's loop that does not turn: its lease goes on, and an erasure wipes its keys and is acknowledged at once,
 * except while the worker is in the middle of a record. */
static void test_a_busy_worker_keeps_its_lease(void **state)
{
    struct server s = {.lease_ms = 1500};
    struct key_subject alice = {.id = slice_str("alice")}, bob = {.id = slice_str("bob")};
    struct loop *worker;
    struct key_keeper *keeper;
    struct key_client *c;
    struct reason why = {0};
    struct buf out;
    (void)state;
    paths(&s);
    start(&s);
    buf_init(&out, 0);
    assert_int_equal(loop_new(&worker, NULL, NULL), ERR_OK);
    assert_int_equal(key_keeper_new(&keeper, NULL), ERR_OK);
    struct key_client_opts o = {.socket_path = s.socket, .name = "busy", .keeper = keeper, .caller = worker};
    assert_int_equal(key_client_new(&c, NULL, &o, NULL), ERR_OK);
    assert_int_equal(key_keeper_start(keeper, NULL), ERR_OK);
    while (!key_client_ready(c))
        sched_yield();
    struct key_set *a = keys_by_keeper(worker, c, "alice"), *b = keys_by_keeper(worker, c, "bob");
    assert_int_equal(subject_state(a, "alice", NULL), KEY_LIVE);

    int64_t from = now_ms(); /* busy for three leases: the loop does not turn */
    while (now_ms() < from + 3 * s.lease_ms)
        assert_int_equal(subject_state(a, "alice", NULL), KEY_LIVE);
    assert_int_equal(key_admin_forget(s.admin, &alice, slice_str("cli"), 20000, &out, &why), ERR_OK);
    assert_non_null(strstr(buf_cstr(&out), "\"how\":\"acknowledged\""));
    assert_int_equal(subject_state(a, "alice", NULL), KEY_ERASED);
    assert_int_equal(subject_state(b, "bob", NULL), KEY_LIVE);

    /* in the middle of a record: no acknowledgement; the lease runs out */
    struct key_lookup l = key_set_lookup(b);
    const struct data_key *key = NULL;
    assert_int_equal(l.by_subject(l.user, slice_str("bob"), &key), KEY_LIVE);
    struct data_key before = *key;
    buf_clear(&out);
    assert_int_equal(key_admin_forget(s.admin, &bob, slice_str("cli"), 20000, &out, &why), ERR_OK);
    assert_null(strstr(buf_cstr(&out), "\"how\":\"acknowledged\""));
    assert_non_null(strstr(buf_cstr(&out), "\"how\":\"lease ran out\""));
    assert_memory_equal(&before, key, sizeof before); /* what is in use is not pulled away */
    l.release(l.user);
    assert_int_not_equal(subject_state(b, "bob", NULL), KEY_LIVE);

    key_set_free(a);
    key_set_free(b);
    key_client_free(c);
    key_keeper_free(keeper);
    loop_free(worker);
    buf_free(&out);
    stop(&s);
    cleanup(&s);
}

/* A client that goes while its keys are on their way: everybody is told once. */
static void test_a_client_goes_before_its_keys_come(void **state)
{
    enum { REQUESTS = 20 };
    struct server s = {.lease_ms = 3000};
    struct loop *worker;
    struct key_keeper *keeper;
    struct key_client *c;
    struct answer a[REQUESTS] = {0};
    (void)state;
    paths(&s);
    start(&s);
    for (int round = 0; round < 30; round++) {
        memset(a, 0, sizeof a);
        assert_int_equal(loop_new(&worker, NULL, NULL), ERR_OK);
        assert_int_equal(key_keeper_new(&keeper, NULL), ERR_OK);
        struct key_client_opts o = {.socket_path = s.socket, .name = "brief", .keeper = keeper, .caller = worker};
        assert_int_equal(key_client_new(&c, NULL, &o, NULL), ERR_OK);
        assert_int_equal(key_keeper_start(keeper, NULL), ERR_OK);
        while (!key_client_ready(c))
            sched_yield();
        for (int i = 0; i < REQUESTS; i++) {
            struct record_crypt_needs needs;
            char id[32];
            record_crypt_needs_init(&needs);
            snprintf(id, sizeof id, "p-%d-%d", round, i);
            assert_int_equal(map_put(&needs.subjects, slice_str(id), NULL, NULL), ERR_OK);
            assert_int_equal(key_client_resolve(c, NULL, &needs, on_keys, &a[i], NULL), ERR_OK);
            record_crypt_needs_free(&needs);
        }
        if (round % 3 == 1)
            loop_run_once(worker, false);
        if (round % 3 == 2)
            turn_for(worker, 1);
        key_client_free(c);
        key_keeper_free(keeper);
        loop_free(worker);
        for (int i = 0; i < REQUESTS; i++) {
            assert_true(a[i].done);
            key_set_free(a[i].set);
        }
    }
    stop(&s);
    cleanup(&s);
}

static void put_create(struct buf *b, uint32_t request, size_t subjects)
{
    static uint64_t person;
    size_t at = keyd_frame_begin(b, KEYD_CREATE, request);
    keyd_put_string(b, slice_str("t"));
    keyd_put_string(b, slice_str("c"));
    buf_u32(b, (uint32_t)subjects);
    for (size_t i = 0; i < subjects; i++) {
        char id[32];
        snprintf(id, sizeof id, "person-%llu", (unsigned long long)++person);
        keyd_put_string(b, slice_str(id));
    }
    keyd_frame_end(b, at);
}

struct storm {
    int fd;
    size_t frames;
    int64_t took_ms;
};

static void *storm_main(void *arg)
{
    struct storm *st = arg;
    struct buf b;
    size_t got = 0, want;
    uint8_t junk[65536];
    int64_t from = now_ms();
    buf_init(&b, 0);
    for (size_t i = 0; i < st->frames; i++) {
        buf_clear(&b);
        put_create(&b, (uint32_t)i, KEYD_SUBJECTS_MAX);
        send_whole(st->fd, &b);
    }
    want = st->frames * (KEYD_FRAME_HEADER + 4 + KEYD_SUBJECTS_MAX * (size_t)KEYD_ENTRY_SIZE);
    while (got < want) {
        ssize_t n = recv(st->fd, junk, sizeof junk, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(got, want);
    st->took_ms = now_ms() - from;
    buf_free(&b);
    return NULL;
}

static void receive_welcome(int fd)
{
    uint8_t b[KEYD_FRAME_HEADER + 12];
    assert_int_equal(recv(fd, b, sizeof b, MSG_WAITALL), sizeof b);
    assert_int_equal(b[4], KEYD_WELCOME);
}

/* While one client has very many keys made, another's renewals are answered in between. */
static void test_renewals_come_first(void **state)
{
    struct server s = {.lease_ms = 60000};
    struct storm st = {.frames = 60};
    struct buf b, hi;
    pthread_t thread;
    int64_t longest = 0;
    int renewals = 0;
    (void)state;
    paths(&s);
    start(&s);
    buf_init(&b, 0);
    buf_init(&hi, 0);
    hello(&hi, KEYD_CAP_DATA);
    st.fd = raw(s.socket);
    int fd = raw(s.socket);
    send_whole(st.fd, &hi);
    send_whole(fd, &hi);
    receive_welcome(st.fd);
    receive_welcome(fd);
    frame(&b, KEYD_RENEW, NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, storm_main, &st), 0);
    while (pthread_tryjoin_np(thread, NULL)) {
        uint8_t answer[KEYD_FRAME_HEADER + 1];
        int64_t from = now_ms();
        send_whole(fd, &b);
        assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
        assert_int_equal(answer[4], KEYD_RENEWED);
        longest = now_ms() - from > longest ? now_ms() - from : longest;
        renewals++;
    }
    if (longest > st.took_ms / 4 && longest > 200)
        fail_msg("a renewal took %lld ms of the %lld ms", (long long)longest, (long long)st.took_ms);
    assert_true(renewals > 10);
    close(fd);
    close(st.fd);
    buf_free(&b);
    buf_free(&hi);
    stop(&s);
    cleanup(&s);
}

/* Requests that wait for the same keys: twice as many cost about twice as much, not four times. */
static void test_parked_requests_cost_the_same_each(void **state)
{
    struct server s = {.lease_ms = 60000};
    int64_t cpu_us[2];
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct storm st = {.frames = 40u << (2 * round)};
        struct buf b;
        struct rusage before, after;
        paths(&s);
        start(&s);
        buf_init(&b, 0);
        hello(&b, KEYD_CAP_DATA);
        st.fd = raw(s.socket);
        send_whole(st.fd, &b);
        receive_welcome(st.fd);
        getrusage(RUSAGE_SELF, &before);
        storm_main(&st);
        getrusage(RUSAGE_SELF, &after);
        cpu_us[round] = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * INT64_C(1000000) + after.ru_utime.tv_usec -
                        before.ru_utime.tv_usec;
        close(st.fd);
        buf_free(&b);
        stop(&s);
        cleanup(&s);
    }
    if (cpu_us[1] > 8 * cpu_us[0]) /* four times the work; sixteen times the cost where it is quadratic */
        fail_msg("%lld us, then %lld us", (long long)cpu_us[0], (long long)cpu_us[1]);
}

/* Over Kafka's protocol (librdkafka's mock cluster): what was done is there after a restart. */
static void test_restart_over_kafka(void **state)
{
    struct server s = {.lease_ms = 300};
    struct rig r;
    struct data_key a, b, k;
    struct buf out;
    char text[256];
    static const char *const both[] = {"alice", "bob"};
    struct key_subject alice = {.id = slice_str("alice")};
    struct reason why = {0};
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    rd_kafka_mock_cluster_t *mock = rd_kafka_mock_cluster_new(rk, 1);
    const char *kafka[] = {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock), "fetch.wait.max.ms", "2", NULL};
    (void)state;
    rd_kafka_mock_topic_create(mock, KEYRING_TOPIC, 1, 1);
    rd_kafka_mock_topic_create(mock, ERASURE_TOPIC, 1, 1);
    paths(&s);
    s.kafka = kafka;
    start(&s);
    rig_open(&r);
    struct key_client *c = client(&r, &s, "gateway");
    struct key_set *set = keys_of(&r, c, both, 2);
    assert_int_equal(subject_state(set, "alice", &a), KEY_LIVE);
    assert_int_equal(subject_state(set, "bob", &b), KEY_LIVE);
    key_set_free(set);
    buf_init(&out, 0);
    if (key_admin_forget(s.admin, &alice, slice_str("cli"), 30000, &out, &why))
        fail_msg("%s", why.text);
    check_bundle(&s, &out, "alice", 1);
    for (int i = 0; i < 2; i++) {
        stop(&s);
        start(&s);
        assert_string_equal(s.fatal, "");
        key_client_free(c);
        c = client(&r, &s, "gateway");
        struct data_key ids[] = {a, b};
        set = set_of_ids(&r, c, ids, 2);
        assert_int_equal(id_state(set, &a, NULL), KEY_ERASED);
        assert_int_equal(id_state(set, &b, &k), KEY_LIVE);
        assert_memory_equal(&k, &b, sizeof k);
        key_set_free(set);
    }
    struct buf again;
    buf_init(&again, 0);
    assert_int_equal(key_admin_forget(s.admin, &alice, slice_str("cli"), 30000, &again, &why), ERR_OK);
    assert_true(slice_eq(buf_slice(&again), buf_slice(&out))); /* the same receipt */
    buf_free(&again);
    buf_free(&out);
    key_client_free(c);
    rig_close(&r);
    stop(&s);
    cleanup(&s);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(rk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forget_reaches_every_client),
        cmocka_unit_test(test_many_subjects),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_bad_peers_are_cut_off),
        cmocka_unit_test(test_an_answer_that_is_no_receipt_is_no_success),
        cmocka_unit_test(test_a_folder_open_to_others_is_refused),
        cmocka_unit_test(test_slow_readers_closed_by_a_push_count_once),
        cmocka_unit_test(test_a_callback_may_free_the_client),
        cmocka_unit_test(test_silent_connections_keep_nobody_out),
        cmocka_unit_test(test_renewals_come_first),
        cmocka_unit_test(test_a_busy_worker_keeps_its_lease),
        cmocka_unit_test(test_a_client_goes_before_its_keys_come),
        cmocka_unit_test(test_parked_requests_cost_the_same_each),
        cmocka_unit_test(test_restart_over_kafka),
    };
    signal(SIGPIPE, SIG_IGN); /* as every role does */
    log_set_level(LOG_ERROR);
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
