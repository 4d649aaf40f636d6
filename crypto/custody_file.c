/* SPDX-License-Identifier: Apache-2.0
 * Custody in a file. Sectors of 512 bytes: 0 the magic, 1 and 2 the slots, 3 and 4 the mark (written in turn, so that a
 * torn write leaves the other). A slot is overwritten in place with random bytes, synced, then with zeros, synced; the
 * check reads the whole file through a descriptor of its own. A slot whose checksum fails was torn while being written
 * or destroyed: it was not in use yet, or not any more, so it is scrubbed at open.
 * The keys themselves live in locked memory and never leave this file's functions. */
#include "crypto/custody.h"
#include "core/base/cursor.h"
#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECTOR = 512,
    SLOT_SECTOR = 1,
    MARK_SECTOR = 3,
    SECTORS = 5,
    SUM_SIZE = 16,
    SLOT_BODY = 4 + 32,
    MARK_BODY = 8 + 8 + 32 + 4, /* sequence, size, head, epoch */
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
};

static const char magic[SECTOR] = "castellan root file 1\n";

struct slot {
    uint32_t version; /* 0: empty */
    uint8_t key[32];
};

struct file {
    struct custody custody;
    char *path, *mark_path;
    int fd;
    struct env *env;
    struct slot *slots; /* CUSTODY_VERSIONS_MAX, in locked memory */
    uint64_t mark_sequence;
    struct custody_mark mark;
};

static void sum(uint8_t out[SUM_SIZE], const char *what, const uint8_t *p, size_t n)
{
    crypto_generichash(out, SUM_SIZE, p, n, (const uint8_t *)what, strlen(what));
}

static enum err write_sector(struct file *f, int sector, const uint8_t p[SECTOR], struct reason *why)
{
    if (f->env->fault(f->env, "custody.write"))
        return reason_set(why, ERR_IO, "%s: an injected fault", f->path);
    ssize_t n = pwrite(f->fd, p, SECTOR, (off_t)sector * SECTOR);
    if (n != SECTOR)
        return reason_set(why, n < 0 ? err_from_errno(errno) : ERR_IO, "%s: cannot write: %s", f->path,
                          n < 0 ? strerror(errno) : "short write");
    if (f->env->fault(f->env, "custody.fsync") || fsync(f->fd))
        return reason_set(why, ERR_IO, "%s: cannot sync: %s", f->path, strerror(errno));
    return ERR_OK;
}

static struct slot *find(struct file *f, uint32_t version)
{
    for (int i = 0; version && i < CUSTODY_VERSIONS_MAX; i++) {
        if (f->slots[i].version == version)
            return &f->slots[i];
    }
    return NULL;
}

static size_t file_versions(struct custody *c, uint32_t out[CUSTODY_VERSIONS_MAX])
{
    struct file *f = (struct file *)c;
    size_t n = 0;
    for (int i = 0; i < CUSTODY_VERSIONS_MAX; i++) {
        if (f->slots[i].version)
            out[n++] = f->slots[i].version;
    }
    if (n == 2 && out[0] > out[1]) {
        uint32_t t = out[0];
        out[0] = out[1];
        out[1] = t;
    }
    return n;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static enum err file_wrap(struct custody *c, uint32_t version, struct slice aad, struct slice plain, struct buf *out)
{
    struct file *f = (struct file *)c;
    const struct slot *s = find(f, version);
    if (!s)
        return ERR_NOT_FOUND;
    uint8_t *p = buf_grow(out, plain.n + CUSTODY_WRAP_OVERHEAD);
    if (!p)
        return buf_error(out);
    f->env->random(f->env, p, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(p + NONCE, NULL, plain.p, plain.n, aad.p, aad.n, NULL, p, s->key);
    return ERR_OK;
}

static enum err file_unwrap(struct custody *c, uint32_t version, struct slice aad, struct slice wrapped,
                            struct buf *out, struct reason *why)
{
    struct file *f = (struct file *)c;
    const struct slot *s = find(f, version);
    if (!s)
        return reason_set(why, ERR_NOT_FOUND, "%s does not hold version %u of the root's key", f->path, version);
    if (wrapped.n < CUSTODY_WRAP_OVERHEAD)
        return reason_set(why, ERR_TRUNCATED, "the wrapped root is too short");
    size_t before = out->n;
    uint8_t *p = buf_grow(out, wrapped.n - CUSTODY_WRAP_OVERHEAD);
    if (!p)
        return buf_error(out);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, NULL, NULL, wrapped.p + NONCE, wrapped.n - NONCE, aad.p, aad.n,
                                                   wrapped.p, s->key)) {
        out->n = before;
        return reason_set(why, ERR_DECRYPT, "the wrapped root does not open under version %u of %s", version, f->path);
    }
    return ERR_OK;
}

/* Wrap and unwrap a probe, so that a version is never relied on before it was seen to work. */
static enum err probe(struct custody *c, uint32_t version, struct reason *why)
{
    static const char text[] = "probe";
    struct buf wrapped, back;
    buf_init(&wrapped, SECTOR);
    buf_init(&back, SECTOR);
    enum err e = file_wrap(c, version, SLICE_NULL, slice_str(text), &wrapped);
    if (!e)
        e = file_unwrap(c, version, SLICE_NULL, buf_slice(&wrapped), &back, why);
    if (!e && !slice_eq_str(buf_slice(&back), text))
        e = reason_set(why, ERR_DECRYPT, "the probe came back different");
    buf_free(&wrapped);
    buf_free(&back);
    return e;
}

static enum err file_new_version(struct custody *c, uint32_t version, struct reason *why)
{
    struct file *f = (struct file *)c;
    uint8_t sector[SECTOR] = {0};
    int i = 0;
    while (i < CUSTODY_VERSIONS_MAX && f->slots[i].version)
        i++;
    if (i == CUSTODY_VERSIONS_MAX || find(f, version))
        return reason_set(why, ERR_CONFLICT, "%s holds %d versions already", f->path, CUSTODY_VERSIONS_MAX);
    put_u32(sector, version);
    f->env->random(f->env, sector + 4, 32);
    sum(sector + SLOT_BODY, "slot", sector, SLOT_BODY);
    enum err e = write_sector(f, SLOT_SECTOR + i, sector, why);
    if (!e) {
        f->slots[i].version = version;
        memcpy(f->slots[i].key, sector + 4, 32);
        e = probe(c, version, why);
    }
    sodium_memzero(sector, sizeof sector);
    return e;
}

static enum err scrub(struct file *f, int i, struct reason *why)
{
    uint8_t sector[SECTOR];
    f->env->random(f->env, sector, sizeof sector);
    enum err e = write_sector(f, SLOT_SECTOR + i, sector, why);
    memset(sector, 0, sizeof sector);
    return e ? e : write_sector(f, SLOT_SECTOR + i, sector, why);
}

static enum err file_destroy_version(struct custody *c, uint32_t version, struct reason *why)
{
    struct file *f = (struct file *)c;
    struct slot *s = find(f, version);
    if (!s)
        return ERR_OK; /* gone already: a restart repeats the step */
    enum err e = scrub(f, (int)(s - f->slots), why);
    if (!e)
        sodium_memzero(s, sizeof *s);
    return e;
}

static enum err file_verify_destroyed(struct custody *c, uint32_t version, struct buf *evidence, struct reason *why)
{
    struct file *f = (struct file *)c;
    uint8_t all[SECTORS * SECTOR];
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return reason_set(why, err_from_errno(errno), "%s: %s", f->path, strerror(errno));
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* from the disk, as far as the kernel lets us */
    ssize_t n = pread(fd, all, sizeof all, 0);
    close(fd);
    bool there = n != (ssize_t)sizeof all;
    int empty = 0;
    for (int i = 0; !there && i < CUSTODY_VERSIONS_MAX; i++) {
        struct cursor cur = cursor_of(slice_of(all + (SLOT_SECTOR + i) * SECTOR, SECTOR));
        there = cursor_u32(&cur) == version;
        empty += sodium_is_zero(all + (SLOT_SECTOR + i) * SECTOR, SECTOR);
    }
    sodium_memzero(all, sizeof all);
    if (there || find(f, version))
        return reason_set(why, ERR_CONFLICT, "%s still holds version %u after it was destroyed", f->path, version);
    buf_printf(evidence,
               "file custody: version %u overwritten in place, synced, and absent when read again through a new "
               "descriptor; %d of %d slots are zero",
               version, empty, CUSTODY_VERSIONS_MAX);
    return buf_error(evidence);
}

/* ---- the mark ---- */

static void mark_encode(uint8_t sector[SECTOR], uint64_t sequence, const struct custody_mark *m)
{
    memset(sector, 0, SECTOR);
    put_u32(sector, (uint32_t)(sequence >> 32));
    put_u32(sector + 4, (uint32_t)sequence);
    put_u32(sector + 8, (uint32_t)(m->ledger_size >> 32));
    put_u32(sector + 12, (uint32_t)m->ledger_size);
    memcpy(sector + 16, m->ledger_head, 32);
    put_u32(sector + 48, m->root_epoch);
    sum(sector + MARK_BODY, "mark", sector, MARK_BODY);
}

static bool mark_decode(const uint8_t *sector, size_t n, uint64_t *sequence, struct custody_mark *m)
{
    uint8_t want[SUM_SIZE];
    if (n < MARK_BODY + SUM_SIZE)
        return false;
    sum(want, "mark", sector, MARK_BODY);
    if (sodium_memcmp(want, sector + MARK_BODY, SUM_SIZE))
        return false;
    struct cursor c = cursor_of(slice_of(sector, MARK_BODY));
    *sequence = cursor_u64(&c);
    m->ledger_size = cursor_u64(&c);
    memcpy(m->ledger_head, cursor_take(&c, 32).p, 32);
    m->root_epoch = cursor_u32(&c);
    return true;
}

static enum err file_get_mark(struct custody *c, struct custody_mark *out, struct reason *why)
{
    (void)why;
    *out = ((struct file *)c)->mark;
    return ERR_OK;
}

static enum err file_set_mark(struct custody *c, const struct custody_mark *mark, struct reason *why)
{
    struct file *f = (struct file *)c;
    uint8_t sector[SECTOR];
    if (mark->ledger_size < f->mark.ledger_size || mark->root_epoch < f->mark.root_epoch)
        return reason_set(why, ERR_CONFLICT, "the mark of %s may only go forward", f->path);
    mark_encode(sector, f->mark_sequence + 1, mark);
    enum err e = write_sector(f, MARK_SECTOR + (int)((f->mark_sequence + 1) & 1), sector, why);
    if (!e && f->mark_path)
        e = fs_write_file(f->mark_path, slice_of(sector, SECTOR), 0600, why);
    if (!e) {
        f->mark_sequence++;
        f->mark = *mark;
    }
    return e;
}

/* The furthest of all copies: the two in the root file and the one kept apart. */
static enum err load_marks(struct file *f, const uint8_t *all, struct reason *why)
{
    struct custody_mark m;
    uint64_t sequence = 0;
    struct buf apart;
    for (int i = 0; i < 2; i++) {
        if (mark_decode(all + (MARK_SECTOR + i) * SECTOR, SECTOR, &sequence, &m) && sequence > f->mark_sequence) {
            f->mark_sequence = sequence;
            f->mark = m;
        }
    }
    if (!f->mark_path || !fs_exists(f->mark_path))
        return ERR_OK;
    buf_init(&apart, 2 * SECTOR);
    enum err e = fs_read_private_file(f->mark_path, &apart, why);
    if (!e && !mark_decode(apart.p, apart.n, &sequence, &m))
        e = reason_set(why, ERR_MALFORMED, "%s is damaged", f->mark_path);
    if (!e && (m.ledger_size > f->mark.ledger_size || m.root_epoch > f->mark.root_epoch)) {
        f->mark = m;
        f->mark_sequence = sequence > f->mark_sequence ? sequence : f->mark_sequence;
    }
    buf_free(&apart);
    return e;
}

static enum err load_slots(struct file *f, const uint8_t *all, struct reason *why)
{
    for (int i = 0; i < CUSTODY_VERSIONS_MAX; i++) {
        const uint8_t *p = all + (SLOT_SECTOR + i) * SECTOR;
        uint8_t want[SUM_SIZE];
        struct cursor c = cursor_of(slice_of(p, SLOT_BODY));
        if (sodium_is_zero(p, SECTOR))
            continue;
        sum(want, "slot", p, SLOT_BODY);
        if (sodium_memcmp(want, p + SLOT_BODY, SUM_SIZE)) {
            enum err e = scrub(f, i, why);
            if (e)
                return e;
            continue;
        }
        f->slots[i].version = cursor_u32(&c);
        memcpy(f->slots[i].key, p + 4, 32);
    }
    return ERR_OK;
}

static enum err create(struct file *f, struct reason *why)
{
    uint8_t empty[SECTORS * SECTOR] = {0};
    memcpy(empty, magic, sizeof magic);
    return fs_write_file(f->path, slice_of(empty, sizeof empty), 0600, why);
}

static enum err load(struct file *f, struct reason *why)
{
    uint8_t all[SECTORS * SECTOR];
    struct stat st;
    f->fd = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd < 0)
        return reason_set(why, err_from_errno(errno), "the root file %s: %s", f->path, strerror(errno));
    if (flock(f->fd, LOCK_EX | LOCK_NB))
        return reason_set(why, ERR_CONFLICT, "the root file %s is in use by another process", f->path);
    if (fstat(f->fd, &st) || (st.st_mode & 077) || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return reason_set(why, ERR_BAD_CONFIG,
                          "the root file %s must be a plain file of this user that nobody else can read", f->path);
    ssize_t n = pread(f->fd, all, sizeof all, 0);
    enum err e = ERR_OK;
    if (n != (ssize_t)sizeof all || memcmp(all, magic, sizeof magic))
        e = reason_set(why, ERR_MALFORMED, "%s is no root file, or is cut short", f->path);
    if (!e)
        e = load_slots(f, all, why);
    if (!e)
        e = load_marks(f, all, why);
    sodium_memzero(all, sizeof all);
    return e;
}

static void file_close(struct custody *c)
{
    struct file *f = (struct file *)c;
    if (f->fd >= 0)
        close(f->fd);
    sodium_free(f->slots);
    free(f->path);
    free(f->mark_path);
    free(f);
}

static const struct custody_ops file_ops = {
    .kind = "file",
    .versions = file_versions,
    .new_version = file_new_version,
    .wrap = file_wrap,
    .unwrap = file_unwrap,
    .destroy_version = file_destroy_version,
    .verify_destroyed = file_verify_destroyed,
    .get_mark = file_get_mark,
    .set_mark = file_set_mark,
    .close = file_close,
};

enum err custody_file_open(struct custody **out, const char *path, const char *mark_path, bool create_it,
                           struct env *env, struct reason *why)
{
    struct file *f = calloc(1, sizeof *f);
    enum err e = ERR_OK;
    *out = NULL;
    if (!f)
        return reason_set(why, ERR_NO_MEMORY, "no memory for custody");
    f->custody.ops = &file_ops;
    f->fd = -1;
    f->env = env;
    f->path = strdup(path);
    f->mark_path = mark_path ? strdup(mark_path) : NULL;
    f->slots = sodium_malloc(CUSTODY_VERSIONS_MAX * sizeof *f->slots);
    if (!f->path || !f->slots || (mark_path && !f->mark_path))
        e = reason_set(why, ERR_NO_MEMORY, "no locked memory for custody");
    if (!e)
        e = fs_private_dir_of(path, NULL, why);
    if (!e && mark_path)
        e = fs_private_dir_of(mark_path, NULL, why);
    if (!e) {
        memset(f->slots, 0, CUSTODY_VERSIONS_MAX * sizeof *f->slots);
        if (create_it && !fs_exists(path))
            e = create(f, why);
    }
    if (!e)
        e = load(f, why);
    if (e) {
        file_close(&f->custody);
        return e;
    }
    *out = &f->custody;
    return ERR_OK;
}

void custody_close(struct custody *c)
{
    if (c)
        c->ops->close(c);
}
