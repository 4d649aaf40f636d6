/* SPDX-License-Identifier: Apache-2.0
 * The keyring's state: records of the topic in log order become people, keys and a root. Everything follows from the
 * log, so a restart that replays it arrives at the same state, compacted or not. A record is parsed whole before
 * anything is changed. Dead keys stay as bare ids, without their wraps, so that a reader learns "erased" and not
 * "unknown". */
#include "crypto/keyring_internal.h"
#include "core/base/cursor.h"
#include "core/base/log.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

/* What stands in the ledger for ever. */
_Static_assert(KEYRING_TAG_SIZE == 16 && KEYRING_ROOT_SIZE == 32, "of the records");
_Static_assert(KEYRING_WRAP_SIZE == 48, "a wrapped key: the key and its tag");
_Static_assert(KEYRING_ERASURE_ID_SIZE == 16 && KEYRING_FINGERPRINT_SIZE == 32, "of the records");

struct keyring *keyring_new(struct env *env)
{
    struct keyring *kr = calloc(1, sizeof *kr);
    if (!kr)
        return NULL;
    struct map *maps[] = {&kr->people, &kr->keys, &kr->nodes, &kr->stale, &kr->loose, &kr->paged};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        map_init(maps[i]);
    kr->env = env;
    kr->last_loose_offset = -1;
    buf_init(&kr->wrapped_root, 4096);
    buf_init(&kr->rotation.wrapped_root, 4096);
    kr->secret = sodium_malloc(sizeof *kr->secret);
    kr->next = sodium_malloc(sizeof *kr->next);
    if (!kr->secret || !kr->next) {
        keyring_free(kr);
        return NULL;
    }
    return kr;
}

static void free_key(void *p)
{
    sodium_memzero(p, sizeof(struct keyring_key));
    free(p);
}

void keyring_free(struct keyring *kr)
{
    if (!kr)
        return;
    keyring_rotation_abort(kr);
    map_free(&kr->people, free);
    map_free(&kr->keys, free_key);
    map_free(&kr->nodes, free);
    map_free(&kr->stale, NULL);
    map_free(&kr->loose, NULL);
    map_free(&kr->paged, NULL);
    buf_free(&kr->wrapped_root);
    sodium_free(kr->secret);
    sodium_free(kr->next);
    free(kr);
}

struct keyring_root keyring_root(const struct keyring *kr)
{
    return kr->root;
}

bool keyring_is_open(const struct keyring *kr)
{
    return kr->open;
}

struct keyring_person *keyring_person_of(struct keyring *kr, const uint8_t *tag)
{
    struct slice key = slice_of(tag, KEYRING_TAG_SIZE);
    struct keyring_person *p = map_get(&kr->people, key);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    memcpy(p->tag, tag, sizeof p->tag);
    p->fence_offset = -1;
    if (map_put(&kr->people, key, p, NULL)) {
        free(p);
        return NULL;
    }
    return p;
}

/* The key of this id, made (without a wrap) when it is new. NULL: no memory, or the id belongs to someone else. */
struct keyring_key *keyring_key_of(struct keyring *kr, const uint8_t *id, const uint8_t *tag)
{
    struct slice name = slice_of(id, ENVELOPE_KEY_ID_SIZE);
    struct keyring_person *p = keyring_person_of(kr, tag);
    struct keyring_key *k = map_get(&kr->keys, name);
    if (k || !p)
        return k && !memcmp(k->tag, tag, sizeof k->tag) ? k : NULL;
    k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    memcpy(k->id, id, sizeof k->id);
    memcpy(k->tag, tag, sizeof k->tag);
    k->offset = -1;
    if (map_put(&kr->keys, name, k, NULL)) {
        free(k);
        return NULL;
    }
    *(p->last ? &p->last->next : &p->first) = k;
    p->last = k;
    return k;
}

static void kill_key(struct keyring_key *k)
{
    k->dead = true;
    sodium_memzero(k->wrap, sizeof k->wrap);
    sodium_memzero(k->salt, sizeof k->salt);
}

/* The fence rule. */
void keyring_settle(struct keyring_person *p, struct keyring_key *k)
{
    if (!k->dead && (p->erased || k->offset < p->fence_offset))
        kill_key(k);
}

/* ---- records ---- */

static enum err no_memory(struct reason *why)
{
    return reason_set(why, ERR_NO_MEMORY, "no memory for the keyring");
}

static enum err bad(struct reason *why, const char *what)
{
    return reason_set(why, ERR_MALFORMED, "a keyring record: %s", what);
}

static enum err apply_key(struct keyring *kr, int64_t offset, struct slice name, struct slice record_key,
                          struct slice value, struct reason *why)
{
    uint8_t tag[KEYRING_TAG_SIZE], id[ENVELOPE_KEY_ID_SIZE], wrap[KEYRING_WRAP_SIZE];
    json_int_t created, epoch;
    const char *hex;
    size_t hex_n;
    if (name.n != 65 || name.p[32] != '/' || !keyring_get_hex(slice_of(name.p, 32), tag, sizeof tag) ||
        !keyring_get_hex(slice_of(name.p + 33, 32), id, sizeof id))
        return bad(why, "the name of a key");
    if (slice_is_null(value)) {
        map_remove(&kr->loose, record_key);
        map_remove(&kr->stale, record_key);
        return ERR_OK;
    }
    json_t *o = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    bool ok = o && !json_unpack_ex(o, NULL, JSON_STRICT, "{s:I s:I s:s%}", "created", &created, "epoch", &epoch, "wrap",
                                   &hex, &hex_n);
    ok = ok && epoch > 0 && epoch <= UINT32_MAX && keyring_get_hex(slice_of(hex, hex_n), wrap, sizeof wrap);
    json_decref(o);
    if (!ok)
        return bad(why, "a key's value");
    if ((uint32_t)epoch < kr->root.epoch) /* written by someone who missed the rotation: nothing can open it */
        return map_put(&kr->stale, record_key, NULL, NULL);
    struct keyring_key *k = keyring_key_of(kr, id, tag);
    if (!k)
        return no_memory(why);
    enum err e = map_put(&kr->loose, record_key, NULL, NULL);
    if (e || k->offset >= 0 || k->dead)
        return e;
    memcpy(k->wrap, wrap, sizeof wrap);
    memcpy(k->salt, id, sizeof k->salt);
    k->slot = KEYRING_LOOSE_SLOT;
    k->epoch = (uint32_t)epoch;
    k->created_ms = created;
    k->offset = offset;
    kr->last_loose_offset = offset;
    keyring_settle(keyring_person_of(kr, tag), k);
    return ERR_OK;
}

static enum err fence_key(struct keyring *kr, const uint8_t *tag, json_t *one, struct reason *why)
{
    uint8_t id[ENVELOPE_KEY_ID_SIZE], fp[KEYRING_FINGERPRINT_SIZE];
    const char *id_hex, *fp_hex = NULL;
    if (json_unpack_ex(one, NULL, JSON_STRICT, "{s:s s?s}", "id", &id_hex, "fingerprint", &fp_hex) ||
        !keyring_get_hex(slice_str(id_hex), id, sizeof id) ||
        (fp_hex && !keyring_get_hex(slice_str(fp_hex), fp, sizeof fp)))
        return bad(why, "a key in a fence");
    struct keyring_key *k = keyring_key_of(kr, id, tag);
    if (!k)
        return no_memory(why);
    kill_key(k);
    k->fenced = true;
    if (fp_hex) {
        memcpy(k->fingerprint, fp, sizeof fp);
        k->has_fingerprint = true;
    }
    return ERR_OK;
}

static enum err apply_fence(struct keyring *kr, int64_t offset, struct slice name, struct slice value,
                            struct reason *why)
{
    uint8_t tag[KEYRING_TAG_SIZE], erasure[KEYRING_ERASURE_ID_SIZE];
    const char *hex, *state;
    json_int_t at;
    json_t *keys, *one;
    size_t i;
    if (!keyring_get_hex(name, tag, sizeof tag) || slice_is_null(value))
        return bad(why, "a fence's name, or a fence was deleted, which nothing does");
    json_t *o = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    bool ok = o && !json_unpack_ex(o, NULL, JSON_STRICT, "{s:I s:s s:o s:s}", "at", &at, "erasure", &hex, "keys", &keys,
                                   "state", &state);
    ok = ok && json_is_array(keys) && keyring_get_hex(slice_str(hex), erasure, sizeof erasure) &&
         (!strcmp(state, "erased") || !strcmp(state, "open"));
    struct keyring_person *p = ok ? keyring_person_of(kr, tag) : NULL;
    enum err e = !ok ? bad(why, "a fence") : !p ? no_memory(why) : ERR_OK;
    if (!e) {
        p->erased = !strcmp(state, "erased");
        p->fence_offset = offset;
        memcpy(p->erasure, erasure, sizeof erasure);
        json_array_foreach(keys, i, one)
        {
            enum err f = fence_key(kr, tag, one, why);
            e = e ? e : f;
        }
        for (struct keyring_key *k = p->first; k; k = k->next)
            keyring_settle(p, k);
    }
    json_decref(o);
    return e;
}

static enum err apply_hold(struct keyring *kr, struct slice name, struct slice value, struct reason *why)
{
    uint8_t tag[KEYRING_TAG_SIZE];
    if (!keyring_get_hex(name, tag, sizeof tag))
        return bad(why, "the name of a hold");
    struct keyring_person *p = keyring_person_of(kr, tag);
    if (!p)
        return no_memory(why);
    p->held = !slice_is_null(value);
    return ERR_OK;
}

static bool node_header(struct slice value, uint32_t *epoch, uint32_t *index, uint16_t *count)
{
    struct cursor c = cursor_of(value);
    bool ok = cursor_u8(&c) == 'C' && cursor_u8(&c) == 'N' && cursor_u8(&c) == 1 && cursor_u8(&c) == 0;
    *epoch = cursor_u32(&c);
    *index = cursor_u32(&c);
    *count = cursor_u16(&c);
    ok = ok && cursor_u16(&c) == 0 && cursor_take(&c, 16).p;
    return ok && *count <= KEYRING_NODE_ENTRIES && cursor_left(&c) == (size_t)*count * KEYRING_NODE_ENTRY;
}

static enum err apply_node(struct keyring *kr, int64_t offset, struct slice record_key, struct slice value,
                           struct reason *why)
{
    uint32_t epoch, index;
    uint16_t count;
    void *old = NULL;
    struct buf name;
    if (slice_is_null(value)) {
        map_remove(&kr->stale, record_key);
        map_remove(&kr->paged, record_key);
        free(map_remove(&kr->nodes, record_key));
        return ERR_OK;
    }
    if (!node_header(value, &epoch, &index, &count))
        return bad(why, "a node");
    buf_init(&name, KEYRING_TEXT_MAX);
    keyring_node_name(&name, epoch, index);
    bool same = slice_eq(buf_slice(&name), record_key);
    buf_free(&name);
    if (!same)
        return bad(why, "a node under another's name");
    if (epoch <= kr->root.epoch)
        return map_put(&kr->stale, record_key, NULL, NULL);
    struct keyring_node *n = malloc(sizeof *n + value.n);
    if (!n)
        return no_memory(why);
    *n = (struct keyring_node){.epoch = epoch, .index = index, .offset = offset, .n = value.n};
    memcpy(n->bytes, value.p, value.n);
    enum err e = map_put(&kr->nodes, record_key, n, &old);
    if (e)
        free(n);
    free(old);
    return e;
}

/* The keys of a node become the keyring's, unless they died in the meantime. */
static enum err load_node(struct keyring *kr, const struct keyring_node *n)
{
    struct cursor c = cursor_of(slice_of(n->bytes, n->n));
    cursor_take(&c, KEYRING_NODE_HEADER - 16);
    const uint8_t *salt = cursor_take(&c, 16).p;
    for (uint32_t slot = 0; cursor_left(&c); slot++) {
        const uint8_t *tag = cursor_take(&c, 16).p, *id = cursor_take(&c, 16).p;
        uint32_t created = cursor_u32(&c);
        const uint8_t *wrap = cursor_take(&c, KEYRING_WRAP_SIZE).p;
        struct keyring_key *k = keyring_key_of(kr, id, tag);
        if (!k)
            return ERR_NO_MEMORY;
        if (k->dead)
            continue;
        memcpy(k->salt, salt, 16);
        memcpy(k->wrap, wrap, KEYRING_WRAP_SIZE);
        k->epoch = n->epoch;
        k->slot = slot;
        k->offset = n->offset;
        if (!k->created_ms)
            k->created_ms = (int64_t)created * 1000;
        keyring_settle(keyring_person_of(kr, tag), k);
    }
    return ERR_OK;
}

static enum err move_names(struct map *to, struct map *from)
{
    for (struct map_entry *m = map_first(from); m; m = map_next(from, m)) {
        enum err e = map_put(to, map_key(m), NULL, NULL);
        if (e)
            return e;
        map_remove(from, map_key(m));
    }
    return ERR_OK;
}

/* Take in the nodes of the new epoch; everything older is useless from here on. */
static enum err commit_root(struct keyring *kr)
{
    enum err e = move_names(&kr->stale, &kr->loose);
    if (!e)
        e = move_names(&kr->stale, &kr->paged);
    for (struct map_entry *m = map_first(&kr->nodes); !e && m; m = map_next(&kr->nodes, m)) {
        struct keyring_node *n = m->value;
        if (n->epoch > kr->root.epoch)
            continue;
        bool ours = n->epoch == kr->root.epoch && n->index < kr->root.nodes;
        e = map_put(ours ? &kr->paged : &kr->stale, map_key(m), NULL, NULL);
        if (!e && ours)
            e = load_node(kr, n);
        free(map_remove(&kr->nodes, map_key(m)));
    }
    for (struct map_entry *m = map_first(&kr->keys); !e && m; m = map_next(&kr->keys, m)) {
        struct keyring_key *k = m->value;
        if (!k->dead && k->epoch < kr->root.epoch)
            kill_key(k);
    }
    return e;
}

static enum err apply_root(struct keyring *kr, struct slice value, struct reason *why)
{
    json_int_t at, epoch, nodes, previous, through, version;
    const char *kind, *hex;
    size_t hex_n, n = 0;
    uint8_t wrapped[1024];
    json_t *o = slice_is_null(value) ? NULL : json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
    bool ok = o && !json_unpack_ex(o, NULL, JSON_STRICT, "{s:I s:s s:I s:I s:I s:I s:I s:s%}", "at", &at, "custody",
                                   &kind, "epoch", &epoch, "nodes", &nodes, "previous", &previous, "through", &through,
                                   "version", &version, "wrap", &hex, &hex_n);
    ok = ok && epoch > 0 && epoch <= UINT32_MAX && nodes >= 0 && nodes <= UINT32_MAX && version > 0 &&
         version <= UINT32_MAX && previous >= 0 && previous < version && through >= 0 &&
         !sodium_hex2bin(wrapped, sizeof wrapped, hex, hex_n, NULL, &n, NULL);
    json_decref(o);
    if (!ok)
        return bad(why, "the root");
    if ((uint32_t)epoch <= kr->root.epoch)
        return bad(why, "a root of an epoch that is over");
    kr->root = (struct keyring_root){.epoch = (uint32_t)epoch,
                                     .version = (uint32_t)version,
                                     .previous_version = (uint32_t)previous,
                                     .through = through,
                                     .nodes = (uint32_t)nodes};
    buf_clear(&kr->wrapped_root);
    buf_put(&kr->wrapped_root, wrapped, n);
    const struct buf *mine = &kr->rotation.wrapped_root;
    kr->open = kr->rotation.active && slice_eq(buf_slice(mine), buf_slice(&kr->wrapped_root));
    if (kr->open)
        memcpy(kr->secret, kr->next, sizeof *kr->secret);
    else
        sodium_memzero(kr->secret, sizeof *kr->secret);
    keyring_rotation_abort(kr);
    return commit_root(kr);
}

enum err keyring_apply(struct keyring *kr, int64_t offset, struct slice key, struct slice value, struct reason *why)
{
    kr->position = offset + 1;
    if (value.n > KEYRING_RECORD_MAX)
        return bad(why, "too large");
    if (slice_starts(key, slice_str("key/")))
        return apply_key(kr, offset, slice_of(key.p + 4, key.n - 4), key, value, why);
    if (slice_starts(key, slice_str("fence/")))
        return apply_fence(kr, offset, slice_of(key.p + 6, key.n - 6), value, why);
    if (slice_starts(key, slice_str("hold/")))
        return apply_hold(kr, slice_of(key.p + 5, key.n - 5), value, why);
    if (slice_starts(key, slice_str("node/0/")))
        return apply_node(kr, offset, key, value, why);
    if (slice_eq_str(key, "root"))
        return apply_root(kr, value, why);
    return bad(why, "an unknown kind");
}
