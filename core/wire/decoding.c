/* SPDX-License-Identifier: Apache-2.0
 * The resumable decoder. It walks the field tables with a stack of frames, one for each struct that is being read, and
 * says the same as the generated decoders (emit_decode.c): the order of reads, allocations and checks is theirs.
 *
 * A frame reads its plain fields, then, in a flexible version, its tagged ones. An array of structs or a struct in
 * place puts a frame on top; the frame below goes on when that is popped. Inside a known tagged field the cursor ends
 * where the field does.
 *
 * Memory of arrays is not zeroed first, which alone would take too long for a long one: each element is written before
 * the message is done. */
#include "core/wire/resumable.h"

#include <assert.h>

enum { DECODING_MAGIC = 0x57446563 };

typedef struct wire_decoding_frame frame;

static void push(struct wire_decoding *d, const struct wire_struct *s, void *m)
{
    assert(d->depth < WIRE_DEPTH_MAX);
    s->init(m);
    d->frames[d->depth++] = (frame){.s = s, .m = m};
}

void wire_decoding_begin(struct wire_decoding *d, const struct wire_message *message, void *m, struct cursor c,
                         int16_t version, struct arena *a)
{
    assert(message->body->depth <= WIRE_DEPTH_MAX && m && a);
    d->magic = DECODING_MAGIC;
    d->message = message;
    d->version = version;
    d->flexible = wire_versions_has(message->flexible, version);
    d->arena = a;
    d->cursor = c;
    d->end = c.end;
    d->error = wire_versions_has(message->valid, version) ? c.error : ERR_UNSUPPORTED_VERSION;
    d->depth = 0;
    if (!d->error)
        push(d, message->body, m);
}

static void read_plain(struct cursor *c, const struct wire_field *f, void *at, bool flexible, bool nullable)
{
    switch (f->type) {
    case WIRE_BOOL:
        *(bool *)at = wire_get_8(c) != 0;
        break;
    case WIRE_INT8:
        *(uint8_t *)at = wire_get_8(c);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(uint16_t *)at = wire_get_16(c);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(uint32_t *)at = wire_get_32(c);
        break;
    case WIRE_INT64:
        *(uint64_t *)at = wire_get_64(c);
        break;
    case WIRE_FLOAT64:
        *(double *)at = wire_get_double(c);
        break;
    case WIRE_UUID:
        *(struct wire_uuid *)at = wire_get_uuid(c);
        break;
    case WIRE_STRING:
        *(struct slice *)at = wire_get_string(c, flexible, nullable);
        break;
    case WIRE_BYTES:
    case WIRE_RECORDS:
        *(struct slice *)at = wire_get_bytes(c, flexible, nullable);
        break;
    case WIRE_STRUCT:
        assert(!"a struct has a frame of its own");
    }
}

static size_t min_encoded(const struct wire_field *f, bool flexible)
{
    switch (f->type) {
    case WIRE_STRUCT:
        return f->body->min_encoded;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return flexible ? 1 : 2;
    case WIRE_BOOL:
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_UINT32:
    case WIRE_INT64:
    case WIRE_FLOAT64:
    case WIRE_UUID:
        break;
    }
    return wire_field_size(f);
}

static void begin_array(struct wire_decoding *d, frame *fr, const struct wire_field *f, bool flexible, bool nullable)
{
    struct wire_array *array = (struct wire_array *)(void *)(fr->m + f->offset);

    array->v = NULL;
    array->n = wire_get_count(&d->cursor, flexible, nullable, min_encoded(f, flexible));
    if (array->n <= 0)
        return;
    array->v = arena_array_unset(d->arena, (size_t)array->n, wire_field_size(f));
    if (!array->v) {
        array->n = 0;
        cursor_fail(&d->cursor, ERR_NO_MEMORY);
        return;
    }
    fr->array = f;
    fr->element = array->v;
    fr->left = array->n;
}

/* Reads a field, or begins to: then there are elements to come, or a new frame is on top. */
static void begin_field(struct wire_decoding *d, frame *fr, const struct wire_field *f)
{
    bool flexible = wire_field_flexible(f, d->flexible, d->version);
    bool nullable = wire_versions_has(f->nullable, d->version);
    void *at = fr->m + f->offset;

    if (f->array) {
        begin_array(d, fr, f, flexible, nullable);
    } else if (f->pointer) {
        void *body = wire_get_struct(&d->cursor, d->arena, nullable, f->body->size);
        memcpy(at, &body, sizeof body);
        if (body)
            push(d, f->body, body);
    } else if (f->type == WIRE_STRUCT) {
        push(d, f->body, at);
    } else {
        read_plain(&d->cursor, f, at, flexible, nullable);
    }
}

static void read_elements(struct wire_decoding *d, frame *fr, int32_t *units)
{
    const struct wire_field *f = fr->array;
    bool flexible = wire_field_flexible(f, d->flexible, d->version);
    size_t size = wire_field_size(f);

    while (fr->left > 0 && *units > 0 && !d->cursor.error) {
        uint8_t *at = fr->element;
        fr->element += size;
        fr->left--;
        (*units)--;
        if (f->type == WIRE_STRUCT) {
            push(d, f->body, at);
            return;
        }
        read_plain(&d->cursor, f, at, flexible, false);
    }
    if (fr->left == 0)
        fr->array = NULL;
}

static void read_fields(struct wire_decoding *d, frame *fr)
{
    int depth = d->depth;

    while (fr->field < fr->s->field_count) {
        const struct wire_field *f = &fr->s->fields[fr->field++];
        if (!wire_field_is_plain(f, d->version))
            continue;
        begin_field(d, fr, f);
        if (fr->array || d->depth > depth || d->cursor.error)
            return;
    }
    if (!d->flexible) {
        d->depth--;
        return;
    }
    fr->in_tags = true;
    fr->tags = wire_tags_begin(&d->cursor);
}

static const struct wire_field *known_tag(const struct wire_struct *s, uint32_t tag, int16_t version)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        if (f->tag >= 0 && (uint32_t)f->tag == tag && wire_versions_has(f->tagged, version))
            return f;
    }
    return NULL;
}

static void read_tag(struct wire_decoding *d, frame *fr, int32_t *units)
{
    struct cursor *c = &d->cursor, value;
    const struct wire_field *f;
    uint32_t tag;

    if (fr->outer_end) { /* a known one was read: it ends where it says */
        if (c->p != c->end) {
            cursor_fail(c, ERR_MALFORMED);
            return;
        }
        c->end = fr->outer_end;
        fr->outer_end = NULL;
    }
    if (!wire_tags_next(&fr->tags, c, &tag, &value)) {
        if (!c->error)
            d->depth--;
        return;
    }
    (*units)--;
    f = known_tag(fr->s, tag, d->version);
    if (!f) {
        struct wire_tags *tags = (struct wire_tags *)(void *)(fr->m + fr->s->tags_offset);
        wire_tags_keep(&fr->tags, c, tag, &value, tags, d->arena);
        return;
    }
    fr->outer_end = c->end;
    c->p = value.p;
    c->end = value.end;
    begin_field(d, fr, f);
}

enum wire_progress wire_decoding_run(struct wire_decoding *d, int32_t *units)
{
    struct cursor *c = &d->cursor;

    assert(d->magic == DECODING_MAGIC);
    while (!d->error && d->depth > 0) {
        frame *fr = &d->frames[d->depth - 1];
        if (*units <= 0)
            return WIRE_MORE;
        if (fr->array)
            read_elements(d, fr, units);
        else if (fr->in_tags)
            read_tag(d, fr, units);
        else
            read_fields(d, fr);
        d->error = c->error;
    }
    if (!d->error)
        return WIRE_DONE;
    if (c->error) /* perhaps inside a tagged field */
        c->p = c->end = d->end;
    return WIRE_FAILED;
}
