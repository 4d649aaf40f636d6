/* SPDX-License-Identifier: Apache-2.0
 * The resumable encoder, the counterpart of decoding.c; it says the same as the generated ones (emit_encode.c). What is
 * long is copied in pieces. Only the body of a known tagged field is moved in one go, when its size is put before it:
 * those are short in every message that a client may send (the longest lists addresses of nodes). */
#include "core/wire/resumable.h"

#include <assert.h>

enum { ENCODING_MAGIC = 0x57456e63 };

typedef struct wire_encoding_frame frame;

static void push(struct wire_encoding *e, const struct wire_struct *s, const void *m)
{
    assert(e->depth < WIRE_DEPTH_MAX);
    e->frames[e->depth++] = (frame){.s = s, .m = m, .tag = -1};
}

void wire_encoding_begin(struct wire_encoding *e, const struct wire_message *message, const void *m, struct buf *out,
                         int16_t version)
{
    assert(message->body->depth <= WIRE_DEPTH_MAX && m && out);
    e->magic = ENCODING_MAGIC;
    e->message = message;
    e->version = version;
    e->flexible = wire_versions_has(message->flexible, version);
    e->out = out;
    e->before = out->n;
    e->copying = SLICE_NULL;
    e->error = wire_versions_has(message->valid, version) ? out->error : ERR_UNSUPPORTED_VERSION;
    e->depth = 0;
    if (!e->error)
        push(e, message->body, m);
}

/* The bytes behind a length: a long run is left for later steps. */
static void put_bytes(struct wire_encoding *e, struct slice s, int32_t *units)
{
    if (e->out->error)
        return;
    if (s.n > WIRE_SLICE_BYTES) {
        e->copying = s;
        return;
    }
    buf_put_slice(e->out, s);
    *units -= (int32_t)(s.n / WIRE_UNIT_BYTES);
}

static void copy_on(struct wire_encoding *e, int32_t *units)
{
    size_t n = e->copying.n < WIRE_SLICE_BYTES ? e->copying.n : WIRE_SLICE_BYTES;

    buf_put(e->out, e->copying.p, n);
    e->copying = slice_of(e->copying.p + n, e->copying.n - n);
    *units -= (int32_t)(n / WIRE_UNIT_BYTES);
}

static void put_plain(struct wire_encoding *e, const struct wire_field *f, const void *at, bool flexible, bool nullable,
                      int32_t *units)
{
    struct buf *b = e->out;

    switch (f->type) {
    case WIRE_BOOL:
    case WIRE_INT8:
        wire_put_8(b, *(const uint8_t *)at);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        wire_put_16(b, *(const uint16_t *)at);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        wire_put_32(b, *(const uint32_t *)at);
        break;
    case WIRE_INT64:
        wire_put_64(b, *(const uint64_t *)at);
        break;
    case WIRE_FLOAT64:
        wire_put_double(b, *(const double *)at);
        break;
    case WIRE_UUID:
        wire_put_uuid(b, at);
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        wire_put_length(b, *(const struct slice *)at, flexible, nullable, f->type == WIRE_STRING);
        put_bytes(e, *(const struct slice *)at, units);
        break;
    case WIRE_STRUCT:
        assert(!"a struct has a frame of its own");
    }
}

/* Writes a field, or begins to: then there are elements or bytes to come, or a new frame is on top. */
static void begin_field(struct wire_encoding *e, frame *fr, const struct wire_field *f, int32_t *units)
{
    bool flexible = wire_field_flexible(f, e->flexible, e->version);
    bool nullable = wire_versions_has(f->nullable, e->version);
    const void *at = fr->m + f->offset;

    if (f->array) {
        const struct wire_array *array = at;
        wire_put_count(e->out, array->n, flexible, nullable);
        if (array->n <= 0)
            return;
        fr->array = f;
        fr->element = array->v;
        fr->left = array->n;
    } else if (f->pointer) {
        const void *body;
        memcpy(&body, at, sizeof body);
        if (wire_put_present(e->out, body, nullable))
            push(e, f->body, body);
    } else if (f->type == WIRE_STRUCT) {
        push(e, f->body, at);
    } else {
        put_plain(e, f, at, flexible, nullable, units);
    }
}

static void put_elements(struct wire_encoding *e, frame *fr, int32_t *units)
{
    const struct wire_field *f = fr->array;
    bool flexible = wire_field_flexible(f, e->flexible, e->version);
    size_t size = wire_field_size(f);

    while (fr->left > 0 && *units > 0 && !e->out->error && !e->copying.n) {
        const uint8_t *at = fr->element;
        fr->element += size;
        fr->left--;
        (*units)--;
        if (f->type == WIRE_STRUCT) {
            push(e, f->body, at);
            return;
        }
        put_plain(e, f, at, flexible, false, units);
    }
    if (fr->left == 0)
        fr->array = NULL;
}

static void put_fields(struct wire_encoding *e, frame *fr, int32_t *units)
{
    const struct wire_tags *unknown =
        fr->s->tags_offset == SIZE_MAX ? NULL : (const struct wire_tags *)(const void *)(fr->m + fr->s->tags_offset);
    uint32_t known = 0;
    int depth = e->depth;

    while (fr->field < fr->s->field_count) {
        const struct wire_field *f = &fr->s->fields[fr->field++];
        if (wire_field_is_plain(f, e->version)) {
            begin_field(e, fr, f, units);
            if (fr->array || e->copying.n || e->depth > depth || e->out->error)
                return;
        } else if (!f->ignorable && !wire_versions_has(f->versions, e->version) && f->is_set(fr->m)) {
            wire_put_fail(e->out, ERR_UNSUPPORTED_VERSION);
            return;
        }
    }
    if (!e->flexible) {
        if (unknown && unknown->n)
            wire_put_fail(e->out, ERR_UNSUPPORTED_VERSION);
        e->depth--;
        return;
    }
    for (size_t i = 0; i < fr->s->field_count; i++) {
        const struct wire_field *f = &fr->s->fields[i];
        known += f->tag >= 0 && wire_versions_has(f->tagged, e->version) && f->is_set(fr->m);
    }
    fr->in_tags = true;
    fr->tags = wire_put_tags_count(e->out, unknown, known);
}

static const struct wire_field *next_known(const frame *fr, int16_t version)
{
    const struct wire_field *next = NULL;

    for (size_t i = 0; i < fr->s->field_count; i++) {
        const struct wire_field *f = &fr->s->fields[i];
        if (f->tag > fr->tag && wire_versions_has(f->tagged, version) && (!next || f->tag < next->tag) &&
            f->is_set(fr->m))
            next = f;
    }
    return next;
}

static void put_tag(struct wire_encoding *e, frame *fr, int32_t *units)
{
    const struct wire_field *f;
    const struct wire_tag *t;

    if (fr->tag_open) {
        wire_put_tag_end(&fr->tags, e->out);
        fr->tag_open = false;
        return;
    }
    f = next_known(fr, e->version);
    t = wire_put_unknown_tag(&fr->tags, e->out, f ? (uint64_t)f->tag : (uint64_t)UINT32_MAX + 1);
    if (!t && !f) {
        e->depth--;
        return;
    }
    (*units)--;
    if (t) {
        put_bytes(e, t->data, units);
        return;
    }
    wire_put_tag_begin(&fr->tags, e->out, (uint32_t)f->tag);
    fr->tag = f->tag;
    fr->tag_open = true;
    begin_field(e, fr, f, units);
}

enum wire_progress wire_encoding_run(struct wire_encoding *e, int32_t *units)
{
    assert(e->magic == ENCODING_MAGIC);
    while (!e->error && e->depth > 0) {
        frame *fr = &e->frames[e->depth - 1];
        if (*units <= 0)
            return WIRE_MORE;
        if (e->copying.n)
            copy_on(e, units);
        else if (fr->array)
            put_elements(e, fr, units);
        else if (fr->in_tags)
            put_tag(e, fr, units);
        else
            put_fields(e, fr, units);
        if (e->out->error) {
            e->error = wire_encode_finish(e->out, e->before);
            e->depth = 0;
        }
    }
    return e->error ? WIRE_FAILED : WIRE_DONE;
}
