/* SPDX-License-Identifier: Apache-2.0
 * The first users of a new cluster: lines of a file, added to the table when the user has no credential there and was
 * never deleted, before anybody is told that the tables are ready. The decision is taken under the ledger's fence, so
 * of several gateways that start at once one adds them. The secret that stand-ins for unknown users are made from is
 * added in the same way, once in the table's life. A file that cannot be read is tried again for ever, with a line in
 * the log each time: without its first user a gateway is of no use. */
#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "gateway/knowledge_internal.h"

#include <stdlib.h>

enum {
    BOOTSTRAP_FILE_MAX = 1 << 20, /* bytes */
    BOOTSTRAP_USERS_MAX = 10000,  /* lines */
};

void knowledge_drop_first_users(struct knowledge_bootstrap *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->users[i].name);
        credential_wipe(&b->users[i].credential);
    }
    free(b->users);
    b->users = NULL;
    b->n = 0;
}

static enum err read_line(struct knowledge_bootstrap *b, struct slice line, struct reason *why)
{
    struct env *env = env_system();
    uint8_t salt[CREDENTIAL_SALT_SIZE];
    struct knowledge_bootstrap_user *more;
    struct slice user;
    enum err err;

    if (b->n == BOOTSTRAP_USERS_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "more than %d users", BOOTSTRAP_USERS_MAX);
    more = realloc(b->users, (b->n + 1) * sizeof *more);
    if (!more)
        return reason_set(why, ERR_NO_MEMORY, "no memory");
    b->users = more;
    more += b->n;
    env->random(env, salt, sizeof salt);
    err = credential_parse_line(line, slice_of(salt, sizeof salt), &user, &more->credential, why);
    if (!err)
        err = credential_user_validate(user, why);
    if (err)
        return err;
    more->name = strndup((const char *)user.p, user.n);
    if (!more->name)
        return reason_set(why, ERR_NO_MEMORY, "no memory");
    b->n++;
    return ERR_OK;
}

static enum err read_bootstrap(struct knowledge_bootstrap *b, const char *path, struct reason *why)
{
    struct buf text;
    struct slice rest;
    unsigned number = 0;
    enum err err;

    buf_init(&text, BOOTSTRAP_FILE_MAX);
    err = fs_read_file(path, &text, why);
    rest = buf_slice(&text);
    while (!err && rest.n) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        struct slice line = slice_of(rest.p, end ? (size_t)(end - rest.p) : rest.n);
        struct reason inner = {0};

        rest = slice_of(rest.p + line.n + (end != NULL), rest.n - line.n - (end != NULL));
        number++;
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        err = read_line(b, line, &inner);
        if (err)
            (void)!reason_set(why, err, "%s:%u: %s", path, number, inner.code ? inner.text : err_text(err));
    }
    buf_wipe_free(&text);
    return err;
}

static enum err add_secret(struct ledger_view *view)
{
    struct env *env = env_system();
    uint8_t secret[USERS_SECRET_SIZE];
    struct buf key, value;
    enum err err;

    buf_init(&key, 0);
    buf_init(&value, 0);
    env->random(env, secret, sizeof secret);
    err = users_secret_record(&key, &value, secret);
    if (!err)
        ledger_view_emit(view, buf_slice(&key), buf_slice(&value));
    secret_wipe(secret, sizeof secret);
    buf_free(&key);
    buf_wipe_free(&value);
    return err;
}

static enum err decide_bootstrap(void *ctx, struct ledger_view *view)
{
    struct knowledge *k = ctx;
    struct knowledge_bootstrap *b = &k->bootstrap;
    struct buf key, value;
    enum err err;

    buf_init(&key, 0);
    buf_init(&value, 0);
    b->added = 0;
    pthread_mutex_lock(&k->lock);
    err = users_has_secret(k->users) ? ERR_OK : add_secret(view);
    for (size_t i = 0; !err && i < b->n; i++) {
        struct slice user = slice_str(b->users[i].name);

        if (users_has(k->users, user) || users_deleted_ms(k->users, user))
            continue;
        b->added++;
        buf_clear(&key);
        buf_clear(&value);
        err = users_record_key(&key, user, b->users[i].credential.mechanism);
        if (!err)
            err = users_record_value(&value, &b->users[i].credential);
        if (!err)
            ledger_view_emit(view, buf_slice(&key), buf_slice(&value));
    }
    pthread_mutex_unlock(&k->lock);
    buf_free(&key);
    buf_wipe_free(&value);
    return err;
}

static void bootstrap_done(void *ctx, const struct ledger_result *result)
{
    struct knowledge *k = ctx;

    if (!result->err && k->bootstrap.added)
        log_info("%zu users of %s were added", k->bootstrap.added, k->bootstrap_file);
    pthread_mutex_lock(&k->lock);
    k->bootstrap.waiting = false;
    k->bootstrap.err = result->err;
    k->bootstrap.why = result->why;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}

bool knowledge_add_first_users(struct knowledge *k)
{
    struct knowledge_bootstrap *b = &k->bootstrap;

    if (!k->bootstrap_file && users_has_secret(k->users))
        return true;
    pthread_mutex_unlock(&k->lock);
    knowledge_drop_first_users(b);
    b->why = (struct reason){0};
    b->waiting = true;
    b->err = k->bootstrap_file ? read_bootstrap(b, k->bootstrap_file, &b->why) : ERR_OK;
    if (!b->err) {
        enum err err = ledger_submit(k->ledgers[TABLE_USERS], decide_bootstrap, bootstrap_done, k);
        pthread_mutex_lock(&k->lock);
        if (err) {
            b->err = err;
            b->waiting = false;
        }
    } else {
        pthread_mutex_lock(&k->lock);
        b->waiting = false;
    }
    while (b->waiting && !k->stopping)
        pthread_cond_wait(&k->wake, &k->lock);
    if (b->waiting)
        return false; /* what it needs is freed after the ledger is closed */
    knowledge_drop_first_users(b);
    if (b->err)
        log_error("the first users, or the secret for unknown ones, cannot be added: %s",
                  b->why.code ? b->why.text : err_text(b->err));
    return b->err == ERR_OK;
}
