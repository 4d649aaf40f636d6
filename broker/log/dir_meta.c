/* SPDX-License-Identifier: Apache-2.0
 * The identity of a log directory: meta.properties is read and held against what the broker was told, or made when it
 * is absent. A directory of another cluster or node is refused before anything in it is touched. */
#include "broker/log/dir_meta.h"
#include "broker/log/checkpoint.h"
#include "broker/log/io.h"

#include <stdio.h>

static struct slice property(struct slice text, const char *key)
{
    size_t n = strlen(key);

    while (text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        struct slice line = slice_of(text.p, end ? (size_t)(end - text.p) : text.n);
        text = slice_of(text.p + line.n + (end ? 1 : 0), text.n - line.n - (end ? 1 : 0));
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        if (line.n > n && line.p[n] == '=' && memcmp(line.p, key, n) == 0)
            return slice_of(line.p + n + 1, line.n - n - 1);
    }
    return SLICE_NULL;
}

static enum err check_meta(const struct log_dir_args *args, struct slice text, uint8_t id[16], struct reason *why)
{
    struct slice cluster = property(text, "cluster.id"), directory = property(text, "directory.id");
    struct slice node = property(text, "node.id");
    char wanted[16];

    if (slice_is_null(node))
        node = property(text, "broker.id");
    snprintf(wanted, sizeof wanted, "%d", args->node_id);
    if (!slice_eq_str(cluster, args->cluster_id))
        return reason_set(why, ERR_INCONSISTENT_CLUSTER_ID, "%s belongs to cluster %.*s, not to %s", args->path,
                          SLICE_FMT(cluster), args->cluster_id);
    if (!slice_eq_str(node, wanted))
        return reason_set(why, ERR_BAD_CONFIG, "%s belongs to node %.*s, not to %s", args->path, SLICE_FMT(node),
                          wanted);
    if (!uuid_parse(directory, id))
        return reason_set(why, ERR_BAD_CONFIG, "%s/meta.properties has no usable directory.id", args->path);
    return ERR_OK;
}

enum err dir_meta_load(const struct log_dir_args *args, uint8_t id[16], struct reason *why)
{
    struct io_path path;
    struct buf text;
    char id_text[23];
    enum err e = io_join(&path, args->path, "meta.properties", why);

    buf_init(&text, 0);
    if (!e)
        e = io_read_file(args->env, path.s, &text, why);
    if (!e) {
        e = check_meta(args, buf_slice(&text), id, why);
    } else if (e == ERR_NOT_FOUND) {
        do {
            args->env->random(args->env, id, 16);
        } while (id[0] == 0); /* Kafka keeps small ids for itself */
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
        id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
        uuid_text(id, id_text);
        buf_printf(&text, "#\ncluster.id=%s\ndirectory.id=%s\nnode.id=%d\nversion=1\n", args->cluster_id, id_text,
                   args->node_id);
        e = buf_error(&text);
        if (!e)
            e = io_write_file(args->env, path.s, buf_slice(&text), true, why);
    }
    buf_free(&text);
    return e;
}
