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
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

struct server {
    char dir[64], socket[128], root[128], mark[128], signing[128], public_key[128];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    struct loop *loop;
    struct keyd *keyd;
    bool serving;
    char fatal[400];
    int64_t lease_ms;
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
    snprintf(s->root, sizeof s->root, "%s/root", s->dir);
    snprintf(s->mark, sizeof s->mark, "%s/mark", s->dir);
    snprintf(s->signing, sizeof s->signing, "%s/signing", s->dir);
    snprintf(s->public_key, sizeof s->public_key, "%s/receipt-signing.pub", s->dir);
}

static void start(struct server *s)
{
    struct keyd_opts o = {.socket_path = s->socket,
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
    struct buf json;
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

static void on_json(void *arg, enum err e, struct slice json, const struct reason *why)
{
    struct answer *a = arg;
    assert_false(a->done);
    a->done = true;
    a->e = e;
    a->why = *why;
    buf_init(&a->json, 0);
    buf_put_slice(&a->json, json);
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
    struct key_client_opts o = {.socket_path = s->socket, .name = name, .admin = true, .cache_keys = 3000};
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
    return st;
}

static enum key_state id_state(struct key_set *s, const struct data_key *key, struct data_key *out)
{
    const struct data_key *k = NULL;
    struct key_lookup l = key_set_lookup(s);
    enum key_state st = l.by_id(l.user, key->id, &k);
    if (st == KEY_LIVE && out)
        *out = *k;
    return st;
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

    struct answer f = {0};
    struct key_subject alice = {.id = slice_str("alice")};
    assert_int_equal(key_client_forget(c1, &alice, slice_str("User:admin"), on_json, &f, NULL), ERR_OK);
    until(&r.loop, &f.done);
    if (f.e)
        fail_msg("%s", f.why.text);
    check_bundle(&s, &f.json, "alice", 1);
    assert_non_null(strstr(buf_cstr(&f.json), "\"how\":\"acknowledged\""));
    assert_non_null(strstr(buf_cstr(&f.json), "gateway-2/worker-0"));
    buf_free(&f.json);
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
    struct answer q = {0};
    assert_int_equal(key_client_status(c1, on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    assert_non_null(strstr(buf_cstr(&q.json), "\"erased_subjects\":1"));
    assert_non_null(strstr(buf_cstr(&q.json), "\"root_epoch\":2"));
    buf_free(&q.json);
    q = (struct answer){0};
    assert_int_equal(key_client_receipt(c1, 1, on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    check_bundle(&s, &q.json, NULL, 1);
    assert_null(strstr(buf_cstr(&q.json), "subject_salt"));
    buf_free(&q.json);
    q = (struct answer){0};
    assert_int_equal(key_client_receipt(c1, 0, on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    assert_int_equal(q.e, ERR_NOT_FOUND);
    buf_free(&q.json);
    q = (struct answer){0};
    assert_int_equal(key_client_reopen(c1, &alice, on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    assert_int_equal(q.e, ERR_OK);
    buf_free(&q.json);
    s1 = keys_of(&r, c1, both, 1);
    assert_int_equal(subject_state(s1, "alice", &a2), KEY_LIVE);
    assert_memory_not_equal(&a1, &a2, sizeof a1);
    key_set_free(s1);
    q = (struct answer){0};
    assert_int_equal(key_client_hold(c1, &alice, true, on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    assert_int_equal(q.e, ERR_OK);
    buf_free(&q.json);
    q = (struct answer){0};
    assert_int_equal(key_client_forget(c1, &alice, slice_str("User:admin"), on_json, &q, NULL), ERR_OK);
    until(&r.loop, &q.done);
    assert_int_equal(q.e, ERR_POLICY_VIOLATION);
    assert_non_null(strstr(q.why.text, "legal hold"));
    buf_free(&q.json);

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
    if (key_admin_forget(s.socket, &alice, slice_str("cli"), 20000, &out, &why)) /* our loop does not run meanwhile */
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
    frame(&b, KEYD_STATUS, NULL, 0);
    is_cut_off(s.socket, &b);
    hello(&b, KEYD_CAP_ADMIN);
    frame(&b, KEYD_GET, "\0\0\0\0", 4);
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
    assert_int_equal(key_admin_forget(s.socket, &alice, slice_str("cli"), 20000, &receipt, NULL), ERR_OK);
    stop(&s);
    for (size_t i = 0; i <= sizeof answers / sizeof *answers; i++) {
        bool last = i == sizeof answers / sizeof *answers; /* a receipt that holds, for somebody else */
        struct impostor im = {.answer = last ? buf_cstr(&receipt) : answers[i]};
        struct reason why = {0};
        pthread_t thread;
        assert_int_equal(local_socket_listen(&im.listening, s.socket, NULL), ERR_OK);
        fcntl(im.listening, F_SETFL, 0);
        assert_int_equal(pthread_create(&thread, NULL, impostor_main, &im), 0);
        buf_clear(&out);
        assert_int_equal(key_admin_forget(s.socket, &bob, slice_str("cli"), 20000, &out, &why),
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
    if (key_admin_forget(s.socket, &carl, slice_str("cli"), 20000, &out, &why))
        fail_msg("%s", why.text);
    assert_int_equal(times_in(buf_cstr(&out), "\"client\":\"raw\""), SLOW);
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

static void on_json_free_client(void *arg, enum err e, struct slice json, const struct reason *why)
{
    struct two_answers *t = arg;
    (void)json;
    (void)why;
    assert_int_not_equal(e, ERR_OK);
    if (t->n++ == 0)
        key_client_free(t->client);
}

/* When the key process goes, every request fails; a callback that frees the client then must not spoil the walk. */
static void test_a_callback_may_free_the_client(void **state)
{
    enum { REQUESTS = 5 };
    struct server s = {.lease_ms = 300};
    struct key_subject alice = {.id = slice_str("alice")};
    struct two_answers t = {0};
    struct rig r;
    (void)state;
    paths(&s);
    start(&s);
    rig_open(&r);
    t.client = client(&r, &s, "a");
    stop(&s); /* the client's loop does not run: it does not know yet */
    for (int i = 0; i < REQUESTS; i++)
        assert_int_equal(key_client_hold(t.client, &alice, true, on_json_free_client, &t, NULL), ERR_OK);
    while (t.n < REQUESTS)
        uv_run(&r.loop, UV_RUN_ONCE);
    rig_close(&r);
    assert_int_equal(t.n, REQUESTS);
    cleanup(&s);
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
    if (key_admin_forget(s.socket, &alice, slice_str("cli"), 30000, &out, &why))
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
    assert_int_equal(key_admin_forget(s.socket, &alice, slice_str("cli"), 30000, &again, &why), ERR_OK);
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
        cmocka_unit_test(test_restart_over_kafka),
    };
    signal(SIGPIPE, SIG_IGN); /* as every role does */
    log_set_level(LOG_ERROR);
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
