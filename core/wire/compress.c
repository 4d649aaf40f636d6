/* SPDX-License-Identifier: Apache-2.0
 * The codecs of record batches. Each direction of each codec is one function over a whole input; decompressors write
 * into the tail of the output buffer and stop at the caller's limit before they hold more than one step beyond it, so
 * a small input that expands without end costs no more than the limit. zlib, LZ4 and zstd contexts are costly to
 * make, so each thread keeps one of each, in a thread-specific value whose destructor frees them. */
#include "core/wire/compress.h"

#include <limits.h>
#include <lz4frame.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    STEP_MIN = 64 * 1024,                /* least room offered to a decompressor at a time */
    CONTEXT_KEPT_MAX = 16 * 1024 * 1024, /* bytes of a context that a thread keeps */
    XERIAL_HEADER_SIZE = 16,             /* magic, version, compatible version */
    XERIAL_BLOCK_SIZE = 32 * 1024        /* what snappy-java writes by default */
};

static const uint8_t xerial_header[XERIAL_HEADER_SIZE] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                          0,    0,   0,   1,   0,   0,   0,   1};

static const char *const names[WIRE_CODEC_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};

struct contexts {
    z_stream inflate, deflate;
    bool inflate_ready, deflate_ready;
    int deflate_level;
    LZ4F_dctx *lz4;
    ZSTD_CCtx *zstd_c;
    ZSTD_DCtx *zstd_d;
};

static pthread_key_t contexts_key; /* allow: of a thread, made once */
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;
static bool contexts_key_ready; /* allow: the same */

static void contexts_free(void *p)
{
    struct contexts *x = p;
    if (x->inflate_ready)
        inflateEnd(&x->inflate);
    if (x->deflate_ready)
        deflateEnd(&x->deflate);
    LZ4F_freeDecompressionContext(x->lz4);
    ZSTD_freeCCtx(x->zstd_c);
    ZSTD_freeDCtx(x->zstd_d);
    free(x);
}

static void contexts_make_key(void)
{
    contexts_key_ready = pthread_key_create(&contexts_key, contexts_free) == 0;
}

static struct contexts *contexts_get(void)
{
    struct contexts *x;
    pthread_once(&contexts_once, contexts_make_key);
    if (!contexts_key_ready)
        return NULL;
    x = pthread_getspecific(contexts_key);
    if (x)
        return x;
    x = calloc(1, sizeof *x);
    if (x && pthread_setspecific(contexts_key, x)) {
        free(x);
        return NULL;
    }
    return x;
}

const char *wire_codec_name(enum wire_codec codec)
{
    return (unsigned)codec < WIRE_CODEC_COUNT ? names[codec] : "unknown";
}

bool wire_codec_parse(struct slice name, enum wire_codec *codec)
{
    for (unsigned i = 0; i < WIRE_CODEC_COUNT; i++) {
        if (slice_eq_str(name, names[i])) {
            *codec = (enum wire_codec)i;
            return true;
        }
    }
    return false;
}

/* ---- Compressing ---- */

static enum err gzip_compress(int level, struct slice in, struct buf *out)
{
    struct contexts *x = contexts_get();
    z_stream *z;
    size_t bound;

    if (!x)
        return ERR_NO_MEMORY;
    if (level == WIRE_LEVEL_DEFAULT)
        level = Z_DEFAULT_COMPRESSION;
    z = &x->deflate;
    if (x->deflate_ready && x->deflate_level != level) {
        deflateEnd(z);
        x->deflate_ready = false;
    }
    if (!x->deflate_ready) {
        memset(z, 0, sizeof *z);
        if (deflateInit2(z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            return ERR_NO_MEMORY;
        x->deflate_ready = true;
        x->deflate_level = level;
    }
    if (in.n > UINT_MAX || deflateReset(z) != Z_OK)
        return ERR_LIMIT_EXCEEDED;
    bound = deflateBound(z, in.n);
    if (bound > UINT_MAX || !buf_reserve(out, bound))
        return out->error ? out->error : ERR_LIMIT_EXCEEDED;
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.n;
    z->next_out = out->p + out->n;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return ERR_UNKNOWN_SERVER_ERROR;
    out->n += bound - z->avail_out;
    return ERR_OK;
}

static enum err snappy_compress_xerial(struct slice in, struct buf *out)
{
    buf_put(out, xerial_header, sizeof xerial_header);
    for (size_t at = 0; at < in.n; at += XERIAL_BLOCK_SIZE) {
        size_t n = in.n - at < XERIAL_BLOCK_SIZE ? in.n - at : XERIAL_BLOCK_SIZE;
        size_t size = snappy_max_compressed_length(n), length_at = out->n;
        buf_u32(out, 0);
        if (!buf_reserve(out, size))
            return out->error;
        if (snappy_compress((const char *)in.p + at, n, (char *)out->p + out->n, &size) != SNAPPY_OK)
            return ERR_UNKNOWN_SERVER_ERROR;
        out->n += size;
        buf_patch_u32(out, length_at, (uint32_t)size);
    }
    return buf_error(out);
}

static enum err lz4_compress(int level, struct slice in, struct buf *out)
{
    LZ4F_preferences_t prefs = LZ4F_INIT_PREFERENCES;
    size_t bound, n;

    /* Kafka's readers refuse dependent blocks; its own writer uses 64 KiB independent ones without checksums. */
    prefs.frameInfo.blockSizeID = LZ4F_max64KB;
    prefs.frameInfo.blockMode = LZ4F_blockIndependent;
    prefs.compressionLevel = level == WIRE_LEVEL_DEFAULT ? 0 : level;
    bound = LZ4F_compressFrameBound(in.n, &prefs);
    if (!buf_reserve(out, bound))
        return out->error;
    n = LZ4F_compressFrame(out->p + out->n, bound, in.p, in.n, &prefs);
    if (LZ4F_isError(n))
        return ERR_UNKNOWN_SERVER_ERROR;
    out->n += n;
    return ERR_OK;
}

static enum err zstd_compress(int level, struct slice in, struct buf *out)
{
    struct contexts *x = contexts_get();
    size_t bound = ZSTD_compressBound(in.n), n;

    if (x && !x->zstd_c)
        x->zstd_c = ZSTD_createCCtx();
    if (!x || !x->zstd_c)
        return ERR_NO_MEMORY;
    if (!buf_reserve(out, bound))
        return out->error;
    n = ZSTD_compressCCtx(x->zstd_c, out->p + out->n, bound, in.p, in.n,
                          level == WIRE_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level);
    if (ZSTD_isError(n))
        return ERR_UNKNOWN_SERVER_ERROR;
    out->n += n;
    return ERR_OK;
}

enum err wire_compress(enum wire_codec codec, int level, struct slice in, struct buf *out)
{
    static const uint8_t empty[1];
    size_t before = out->n;
    enum err e = ERR_UNSUPPORTED_COMPRESSION_TYPE;

    if (!in.p)
        in = slice_of(empty, 0);
    switch (codec) {
    case WIRE_CODEC_NONE:
        buf_put_slice(out, in);
        e = buf_error(out);
        break;
    case WIRE_CODEC_GZIP:
        e = gzip_compress(level, in, out);
        break;
    case WIRE_CODEC_SNAPPY:
        e = snappy_compress_xerial(in, out);
        break;
    case WIRE_CODEC_LZ4:
        e = lz4_compress(level, in, out);
        break;
    case WIRE_CODEC_ZSTD:
        e = zstd_compress(level, in, out);
        break;
    case WIRE_CODEC_COUNT:
        break;
    }
    if (e)
        out->n = before;
    return e;
}

/* ---- Decompressing ---- */

/* The output side of a decompressor: where it stands, and how much it may still write. */
struct sink {
    struct buf *out;
    size_t before, max;
};

/* Room for the next step, in *n; one byte more than allowed is offered, so that going over is noticed. */
static uint8_t *sink_room(struct sink *s, size_t want, size_t *n)
{
    size_t left = s->max - (s->out->n - s->before);
    if (want < STEP_MIN)
        want = STEP_MIN;
    if (want > left)
        want = left + 1;
    if (!buf_reserve(s->out, want))
        return NULL;
    *n = want;
    return s->out->p + s->out->n;
}

static enum err sink_wrote(struct sink *s, size_t n)
{
    s->out->n += n;
    return s->out->n - s->before > s->max ? ERR_LIMIT_EXCEEDED : ERR_OK;
}

static enum err gzip_decompress(struct slice in, struct sink *s)
{
    struct contexts *x = contexts_get();
    z_stream *z;

    if (!x)
        return ERR_NO_MEMORY;
    z = &x->inflate;
    if (!x->inflate_ready && inflateInit2(z, 15 + 16) != Z_OK)
        return ERR_NO_MEMORY;
    x->inflate_ready = true;
    if (in.n > UINT_MAX || inflateReset(z) != Z_OK)
        return ERR_LIMIT_EXCEEDED;
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.n;
    for (;;) {
        size_t room;
        uint8_t *at = sink_room(s, (size_t)z->avail_in * 4, &room);
        enum err e;
        int r;

        if (!at)
            return s->out->error;
        if (room > UINT_MAX)
            room = UINT_MAX;
        z->next_out = at;
        z->avail_out = (uInt)room;
        r = inflate(z, Z_NO_FLUSH);
        e = sink_wrote(s, room - z->avail_out);
        if (e)
            return e;
        if (r == Z_STREAM_END) {
            if (z->avail_in == 0)
                return ERR_OK;
            if (inflateReset(z) != Z_OK) /* another member follows */
                return ERR_CORRUPT_MESSAGE;
        } else if (r != Z_OK) { /* Z_BUF_ERROR: the input ended early */
            return ERR_CORRUPT_MESSAGE;
        }
    }
}

static enum err snappy_decompress_block(struct slice in, struct sink *s)
{
    size_t n, left = s->max - (s->out->n - s->before);

    if (snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK)
        return ERR_CORRUPT_MESSAGE;
    if (n > left)
        return ERR_LIMIT_EXCEEDED;
    if (n / 256 > in.n) /* the format cannot expand so far (at most 64 bytes from 2..3), so the length is a lie */
        return ERR_CORRUPT_MESSAGE;
    if (!buf_reserve(s->out, n ? n : 1))
        return s->out->error;
    if (snappy_uncompress((const char *)in.p, in.n, (char *)s->out->p + s->out->n, &n) != SNAPPY_OK)
        return ERR_CORRUPT_MESSAGE;
    return sink_wrote(s, n);
}

static enum err snappy_decompress(struct slice in, struct sink *s)
{
    size_t at = XERIAL_HEADER_SIZE;

    if (in.n < XERIAL_HEADER_SIZE || memcmp(in.p, xerial_header, 8) != 0)
        return snappy_decompress_block(in, s);
    while (at < in.n) {
        size_t n;
        enum err e;
        if (in.n - at < 4)
            return ERR_CORRUPT_MESSAGE;
        n = (size_t)in.p[at] << 24 | (size_t)in.p[at + 1] << 16 | (size_t)in.p[at + 2] << 8 | in.p[at + 3];
        /* Streams written one after the other: snappy-java accepts a header where a length could stand. */
        if (in.n - at >= XERIAL_HEADER_SIZE && memcmp(in.p + at, xerial_header, 8) == 0) {
            at += XERIAL_HEADER_SIZE;
            continue;
        }
        at += 4;
        if (n > in.n - at)
            return ERR_CORRUPT_MESSAGE;
        e = snappy_decompress_block(slice_of(in.p + at, n), s);
        if (e)
            return e;
        at += n;
    }
    return ERR_OK;
}

static enum err lz4_decompress(struct slice in, struct sink *s)
{
    struct contexts *x = contexts_get();
    size_t at = 0, hint = 1;

    if (!x || (!x->lz4 && LZ4F_isError(LZ4F_createDecompressionContext(&x->lz4, LZ4F_VERSION))))
        return ERR_NO_MEMORY;
    LZ4F_resetDecompressionContext(x->lz4);
    for (;;) {
        size_t room, used = in.n - at;
        uint8_t *to = sink_room(s, used * 4, &room);
        enum err e;

        if (!to)
            return s->out->error;
        hint = LZ4F_decompress(x->lz4, to, &room, in.p + at, &used, NULL);
        if (LZ4F_isError(hint))
            return ERR_CORRUPT_MESSAGE;
        at += used;
        e = sink_wrote(s, room);
        if (e)
            return e;
        if (at == in.n && room == 0) /* all read, nothing more to come: whole only when a frame just ended */
            return hint == 0 ? ERR_OK : ERR_CORRUPT_MESSAGE;
        if (at == in.n && hint == 0)
            return ERR_OK;
        if (used == 0 && room == 0)
            return ERR_CORRUPT_MESSAGE;
    }
}

static enum err zstd_decompress_with(ZSTD_DCtx *context, struct slice in, struct sink *s)
{
    ZSTD_inBuffer src = {in.p, in.n, 0};

    ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    for (;;) {
        ZSTD_outBuffer dst = {0};
        size_t before = src.pos, hint;
        enum err e;

        dst.dst = sink_room(s, (src.size - src.pos) * 4, &dst.size);
        if (!dst.dst)
            return s->out->error;
        hint = ZSTD_decompressStream(context, &dst, &src);
        if (ZSTD_isError(hint))
            return ERR_CORRUPT_MESSAGE;
        e = sink_wrote(s, dst.pos);
        if (e)
            return e;
        if (hint == 0 && src.pos == src.size)
            return ERR_OK;
        if (src.pos == before && dst.pos == 0)
            return ERR_CORRUPT_MESSAGE;
    }
}

static enum err zstd_decompress(struct slice in, struct sink *s)
{
    struct contexts *x = contexts_get();
    enum err e;

    if (x && !x->zstd_d)
        x->zstd_d = ZSTD_createDCtx();
    if (!x || !x->zstd_d)
        return ERR_NO_MEMORY;
    e = zstd_decompress_with(x->zstd_d, in, s);
    if (ZSTD_sizeof_DCtx(x->zstd_d) > CONTEXT_KEPT_MAX) { /* a frame may ask for a window of 128 MiB */
        ZSTD_freeDCtx(x->zstd_d);
        x->zstd_d = NULL;
    }
    return e;
}

enum err wire_decompress(enum wire_codec codec, struct slice in, struct buf *out, size_t max, struct reason *why)
{
    static const uint8_t empty[1];
    struct sink s = {out, out->n, max ? max : (size_t)WIRE_DECOMPRESSED_MAX};
    enum err e = ERR_UNSUPPORTED_COMPRESSION_TYPE;

    if (!in.p)
        in = slice_of(empty, 0);
    switch (codec) {
    case WIRE_CODEC_NONE:
        if (in.n > s.max) {
            e = ERR_LIMIT_EXCEEDED;
            break;
        }
        buf_put_slice(out, in);
        e = buf_error(out);
        break;
    case WIRE_CODEC_GZIP:
        e = gzip_decompress(in, &s);
        break;
    case WIRE_CODEC_SNAPPY:
        e = snappy_decompress(in, &s);
        break;
    case WIRE_CODEC_LZ4:
        e = lz4_decompress(in, &s);
        break;
    case WIRE_CODEC_ZSTD:
        e = zstd_decompress(in, &s);
        break;
    case WIRE_CODEC_COUNT:
        break;
    }
    if (!e)
        return ERR_OK;
    out->n = s.before;
    if (e == ERR_LIMIT_EXCEEDED)
        return reason_set(why, e, "%s data expands beyond the limit of %zu bytes", wire_codec_name(codec), s.max);
    return reason_set(why, e, "cannot decompress %zu bytes of %s data: %s", in.n, wire_codec_name(codec), err_text(e));
}
