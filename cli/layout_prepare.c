/* SPDX-License-Identifier: Apache-2.0
 * Makes the data folder what a start needs: what is missing is made, what is there stays. Every step looks at what it
 * finds and may be cut short anywhere; the next start goes on from there. */
#include "acl/acl_base64.h"
#include "cli/client_files.h"
#include "cli/layout_internal.h"
#include "core/base/env.h"
#include "core/base/fs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err layout_path(const struct layout *l, char out[PATH_MAX], struct reason *why, const char *fmt, ...)
{
    va_list ap;
    int at = snprintf(out, PATH_MAX, "%s/", l->data), n;

    va_start(ap, fmt);
    n = vsnprintf(out + at, (size_t)(PATH_MAX - at), fmt, ap);
    va_end(ap);
    return n < PATH_MAX - at ? ERR_OK : reason_set(why, ERR_LIMIT_EXCEEDED, "a path under %s is too long", l->data);
}

int layout_users(bool demo_users, const char *users[LAYOUT_USERS_MAX])
{
    users[0] = "admin";
    users[1] = "alice";
    users[2] = "bob";
    return demo_users ? 3 : 1;
}

static enum err make_folders(const struct layout *l, struct reason *why)
{
    static const char *const names[] = {"secrets", "clients", "logs", "keyd", "gateway", "registry"};
    char path[PATH_MAX];
    enum err err = ERR_OK;

    for (size_t i = 0; !err && i < sizeof names / sizeof *names; i++) {
        err = layout_path(l, path, why, "%s", names[i]);
        if (!err)
            err = fs_private_dir_make(path, why);
    }
    for (int i = 1; !err && i <= l->brokers; i++) {
        err = layout_path(l, path, why, "broker-%d/log", i);
        if (!err)
            err = fs_private_dir_make(path, why);
    }
    return err;
}

/* A smaller cluster than last time would leave partitions without anyone to serve them. */
static enum err check_brokers(const struct layout *l, struct reason *why)
{
    char path[PATH_MAX];
    enum err err = layout_path(l, path, why, "broker-%d/broker.properties", l->brokers + 1);

    if (err || !fs_exists(path))
        return err;
    return reason_set(why, ERR_BAD_CONFIG,
                      "%s was made for more than %d brokers: say --brokers with its number, or use "
                      "another --data folder",
                      l->data, l->brokers);
}

/* A random version 4 UUID as Kafka writes one; Kafka avoids a leading '-' because tools take it for an option. */
static enum err make_cluster_id(struct buf *text)
{
    uint8_t id[16];

    do {
        env_system()->random(env_system(), id, sizeof id);
        id[6] = (id[6] & 0x0f) | 0x40;
        id[8] = (id[8] & 0x3f) | 0x80;
        buf_clear(text);
        base64url_put(text, slice_of(id, sizeof id));
    } while (!buf_error(text) && text->p[0] == '-');
    return buf_error(text);
}

static enum err cluster_id(const struct layout *l, char out[LAYOUT_CLUSTER_ID_SIZE + 1], struct reason *why)
{
    char path[PATH_MAX];
    struct buf text;
    enum err err = layout_path(l, path, why, "cluster.id");

    buf_init(&text, 64);
    if (!err && fs_exists(path)) {
        err = fs_read_file(path, &text, why);
    } else if (!err) {
        err = make_cluster_id(&text);
        if (!err)
            err = fs_write_file(path, buf_slice(&text), 0600, why);
    }
    if (!err && text.n && text.p[text.n - 1] == '\n')
        text.n--;
    if (!err && text.n != LAYOUT_CLUSTER_ID_SIZE)
        err = reason_set(why, ERR_BAD_CONFIG, "%s does not hold a cluster id of %d characters", path,
                         LAYOUT_CLUSTER_ID_SIZE);
    if (!err)
        snprintf(out, LAYOUT_CLUSTER_ID_SIZE + 1, "%s", buf_cstr(&text));
    buf_free(&text);
    return err;
}

enum err layout_prepare(const struct layout *l, bool demo_users, struct reason *why)
{
    char id[LAYOUT_CLUSTER_ID_SIZE + 1];
    enum err err = check_brokers(l, why);

    if (!err)
        err = make_folders(l, why);
    if (!err)
        err = cluster_id(l, id, why);
    if (!err)
        err = layout_prepare_certs(l, demo_users, why);
    if (!err)
        err = layout_prepare_users(l, demo_users, why);
    return err ? err : layout_prepare_roles(l, id, why);
}
