/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_CUSTODY_H
#define CASTELLAN_CRYPTO_CUSTODY_H

#include "core/base/buf.h"
#include "core/base/env.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* Custody: the small erasable memory that everything hangs from. It holds numbered versions of a key that never leaves
 * it; the keyring's root is wrapped under one version, and destroying that version is what makes forgetting final.
 * Versions are destroyed one by one; at most CUSTODY_VERSIONS_MAX live at once (the current and the staged one).
 *
 * It also remembers how far the erasure ledger had come, so that an older copy of the topics is refused.
 *
 * Backends stand behind this struct of functions: `file` here; PKCS#11, Vault and passphrase are to come. */
enum { CUSTODY_VERSIONS_MAX = 2, CUSTODY_WRAP_OVERHEAD = 40 };

struct custody_mark {
    uint64_t ledger_size;    /* entries of the erasure ledger */
    uint8_t ledger_head[32]; /* hash of the last of them; zero when there is none */
    uint32_t root_epoch;     /* the newest root that was committed */
};

struct custody;
struct custody_ops {
    const char *kind; /* "file" */
    /* Live version numbers, ascending, into `out`; returns how many. */
    size_t (*versions)(struct custody *c, uint32_t out[CUSTODY_VERSIONS_MAX]);
    /* Make version number `version` (larger than any before), durable on return; proves it by a wrap and unwrap. */
    enum err (*new_version)(struct custody *c, uint32_t version, struct reason *why);
    enum err (*wrap)(struct custody *c, uint32_t version, struct slice aad, struct slice plain, struct buf *out);
    enum err (*unwrap)(struct custody *c, uint32_t version, struct slice aad, struct slice wrapped, struct buf *out,
                       struct reason *why);
    enum err (*destroy_version)(struct custody *c, uint32_t version, struct reason *why);
    /* Look again, from a fresh session: ERR_OK and evidence in words when the version is gone; ERR_CONFLICT when it is
     * still there, whatever destroy said. */
    enum err (*verify_destroyed)(struct custody *c, uint32_t version, struct buf *evidence, struct reason *why);
    enum err (*get_mark)(struct custody *c, struct custody_mark *out, struct reason *why);
    enum err (*set_mark)(struct custody *c, const struct custody_mark *mark, struct reason *why);
    void (*close)(struct custody *c);
};

struct custody {
    const struct custody_ops *ops; /* first member of a backend's own struct */
};

/* A file of two slots, 0600, one per version: destroying overwrites the slot in place and fsyncs, and the check reads
 * it back through a new descriptor. Honest only on media that overwrite in place; the receipt says so. The file is
 * locked: a second process gets ERR_CONFLICT. `mark_path` (may be NULL) is a second copy of the mark that is kept apart
 * from the root, so that restoring an old root file along with old topics is noticed too. Missing files are created
 * when `create` is set. */
enum err custody_file_open(struct custody **out, const char *path, const char *mark_path, bool create, struct env *env,
                           struct reason *why) MUST_CHECK;
void custody_close(struct custody *c); /* NULL is fine */

#endif
