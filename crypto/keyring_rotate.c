/* SPDX-License-Identifier: Apache-2.0
 * Rotation: every live key is wrapped anew under a fresh root and written in nodes of the next epoch, then ROOT commits
 * it. Until ROOT stands in the log nothing has changed; a crash before it leaves nodes that nobody counts. */
#include "crypto/keyring_internal.h"
#include "core/base/log.h"
#include "core/base/secret.h"

#include <sodium.h>
#include <stdlib.h>

/* A root must come out of custody again before anything relies on it. */
static enum err stage_root(struct keyring *kr, struct custody *custody, struct reason *why)
{
    struct keyring_rotation *r = &kr->rotation;
    kr->env->random(kr->env, kr->next->root, sizeof kr->next->root);
    if (kr->root.epoch)
        memcpy(kr->next->pepper, kr->secret->pepper, sizeof kr->next->pepper);
    else
        kr->env->random(kr->env, kr->next->pepper, sizeof kr->next->pepper);
    buf_clear(&r->wrapped_root);
    enum err e = keyring_wrap_root(custody, r->version, r->epoch, kr->next, &r->wrapped_root);
    if (e)
        return reason_set(why, e, "custody cannot wrap the root: %s", err_text(e));
    struct keyring probe = {.root = {.epoch = r->epoch, .version = r->version}, .wrapped_root = r->wrapped_root};
    probe.secret = sodium_malloc(sizeof *probe.secret);
    e = probe.secret ? keyring_open(&probe, custody, why) : ERR_NO_MEMORY;
    if (!e && sodium_memcmp(probe.secret, kr->next, sizeof *kr->next))
        e = reason_set(why, ERR_DECRYPT, "the staged root came back different from custody");
    sodium_free(probe.secret);
    return e;
}

enum err keyring_rotation_begin(struct keyring *kr, struct custody *custody, uint32_t version, struct reason *why)
{
    struct keyring_rotation *r = &kr->rotation;
    if (r->active || (kr->root.epoch && !kr->open))
        return reason_set(why, ERR_CONFLICT, "a rotation is under way, or the keyring is closed");
    r->keys = calloc(map_count(&kr->keys) + 1, sizeof *r->keys);
    if (!r->keys)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a rotation");
    r->n = 0;
    for (struct map_entry *m = map_first(&kr->keys); m; m = map_next(&kr->keys, m)) {
        struct keyring_key *k = m->value;
        if (!k->dead)
            r->keys[r->n++] = k;
    }
    r->active = true;
    r->version = version;
    r->epoch = kr->root.epoch + 1;
    r->node = 0;
    r->nodes = (uint32_t)((r->n + KEYRING_NODE_ENTRIES - 1) / KEYRING_NODE_ENTRIES);
    r->through = kr->position;
    enum err e = stage_root(kr, custody, why);
    if (e)
        keyring_rotation_abort(kr);
    return e;
}

bool keyring_rotating(const struct keyring *kr)
{
    return kr->rotation.active;
}

void keyring_rotation_abort(struct keyring *kr)
{
    struct keyring_rotation *r = &kr->rotation;
    free(r->keys);
    buf_free(&r->wrapped_root);
    if (kr->next)
        sodium_memzero(kr->next, sizeof *kr->next);
    *r = (struct keyring_rotation){0};
    buf_init(&r->wrapped_root, 4096);
}

static bool put_entry(struct keyring *kr, struct keyring_key *k, const uint8_t salt[16], uint32_t slot, struct buf *out)
{
    struct keyring_key moved = *k;
    uint8_t key[ENVELOPE_KEY_SIZE];
    if (k->dead || !keyring_unwrap_key(kr->secret, k, key)) {
        if (!k->dead)
            log_warn("keyring: a key does not open under the root and is left behind");
        return false;
    }
    memcpy(moved.salt, salt, 16);
    moved.epoch = kr->rotation.epoch;
    moved.slot = slot;
    keyring_wrap_key(kr->next, &moved, key, moved.wrap);
    secret_wipe(key, sizeof key);
    buf_put(out, moved.tag, sizeof moved.tag);
    buf_put(out, moved.id, sizeof moved.id);
    buf_u32(out, (uint32_t)(moved.created_ms / 1000));
    buf_put(out, moved.wrap, sizeof moved.wrap);
    secret_wipe(&moved, sizeof moved);
    return true;
}

static enum err put_node(struct keyring *kr, uint32_t index, struct keyring_records *out)
{
    struct keyring_rotation *r = &kr->rotation;
    size_t from = (size_t)index * KEYRING_NODE_ENTRIES, to = from + KEYRING_NODE_ENTRIES;
    struct keyring_record *rec = keyring_records_add(out);
    uint8_t salt[16];
    uint16_t count = 0;
    if (!rec)
        return ERR_NO_MEMORY;
    kr->env->random(kr->env, salt, sizeof salt);
    keyring_node_name(&rec->key, r->epoch, index);
    buf_put(&rec->value, "CN\1\0", 4);
    buf_u32(&rec->value, r->epoch);
    buf_u32(&rec->value, index);
    buf_u32(&rec->value, 0);
    buf_put(&rec->value, salt, sizeof salt);
    for (size_t i = from; i < to && i < r->n; i++)
        count += put_entry(kr, r->keys[i], salt, count, &rec->value);
    buf_patch_u32(&rec->value, 12, (uint32_t)count << 16);
    return buf_error(&rec->value);
}

static enum err put_root(struct keyring *kr, struct custody_ops const *ops, int64_t now_ms, struct keyring_records *out)
{
    const struct keyring_rotation *r = &kr->rotation;
    struct keyring_record *rec = keyring_records_add(out);
    if (!rec)
        return ERR_NO_MEMORY;
    buf_put_str(&rec->key, "root");
    buf_printf(&rec->value,
               "{\"at\":%lld,\"custody\":\"%s\",\"epoch\":%u,\"nodes\":%u,\"previous\":%u,\"through\":%lld,"
               "\"version\":%u,\"wrap\":\"",
               (long long)now_ms, ops->kind, r->epoch, r->nodes, kr->root.version, (long long)r->through, r->version);
    keyring_put_hex(&rec->value, r->wrapped_root.p, r->wrapped_root.n);
    buf_put_str(&rec->value, "\"}");
    return buf_error(&rec->value);
}

enum err keyring_rotation_next(struct keyring *kr, const struct custody *custody, int64_t now_ms,
                               struct keyring_records *out, bool *done, struct reason *why)
{
    struct keyring_rotation *r = &kr->rotation;
    enum err e = ERR_OK;
    *done = false;
    if (!r->active)
        return reason_set(why, ERR_CONFLICT, "no rotation is under way");
    if (kr->last_loose_offset >= r->through)
        return reason_set(why, ERR_CONFLICT, "a key was created during the rotation; it starts anew");
    for (int i = 0; !e && i < KEYRING_NODES_PER_WRITE && r->node < r->nodes; i++)
        e = put_node(kr, r->node++, out);
    if (!e && out->n == 0) {
        e = put_root(kr, custody->ops, now_ms, out);
        *done = true;
    }
    return e ? reason_set(why, e, "writing a rotation: %s", err_text(e)) : ERR_OK;
}

enum err keyring_make_sweep(struct keyring *kr, size_t max, struct keyring_records *out)
{
    for (struct map_entry *m = map_first(&kr->stale); m && out->n < max; m = map_next(&kr->stale, m)) {
        struct keyring_record *rec = keyring_records_add(out);
        if (!rec)
            return ERR_NO_MEMORY;
        rec->tombstone = true;
        buf_put_slice(&rec->key, map_key(m));
    }
    return ERR_OK;
}

size_t keyring_stale(const struct keyring *kr)
{
    return map_count(&kr->stale);
}
