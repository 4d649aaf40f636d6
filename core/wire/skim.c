/* SPDX-License-Identifier: Apache-2.0
 * Following a message by its field tables, a byte at a time where a number stands and in leaps where none does. The
 * frames are those of decoding.c without the structs to fill.
 *
 * What passed cannot be taken back, so a hidden field keeps its place and length. Its number is not changed to the next
 * best one: a field behind it may have that, and is not seen yet. The fields of the block are renamed all, counted so
 * that the last one would be LAST_SHORT_TAG. Those with longer numbers come behind them anyway and stay. */
#include "core/wire/skim.h"

#include <assert.h>

enum { SKIM_MAGIC = 0x57536b69, LAST_SHORT_TAG = 127 };

/* What the number being read is. */
enum number { NONE, STRING_LENGTH, BYTES_LENGTH, COUNT, PRESENT, TAG_COUNT, TAG, TAG_SIZE };

typedef struct wire_skim_frame frame;

static frame *top(struct wire_skim *s)
{
    return &s->frames[s->depth - 1];
}

static void push(struct wire_skim *s, const struct wire_struct *body)
{
    assert(s->depth < WIRE_DEPTH_MAX);
    s->frames[s->depth++] = (frame){.s = body, .last_tag = -1};
}

static void want(struct wire_skim *s, enum number what, const struct wire_field *f)
{
    s->number = (uint8_t)what;
    s->field = f;
    s->got = 0;
    s->value = 0;
}

static void skip(struct wire_skim *s, uint64_t n)
{
    if (n > s->left)
        s->failed = true;
    else
        s->skip = (size_t)n;
}

static bool is_fixed(const struct wire_field *f)
{
    return f->type != WIRE_STRING && f->type != WIRE_BYTES && f->type != WIRE_RECORDS && f->type != WIRE_STRUCT;
}

/* The value of a field, or one of its elements. */
static void begin_value(struct wire_skim *s, const struct wire_field *f)
{
    if (f->type == WIRE_STRUCT)
        push(s, f->body);
    else if (is_fixed(f))
        skip(s, wire_field_size(f));
    else
        want(s, f->type == WIRE_STRING ? STRING_LENGTH : BYTES_LENGTH, f);
}

static void begin_field(struct wire_skim *s, const struct wire_field *f)
{
    if (f->array)
        want(s, COUNT, f);
    else if (f->pointer && wire_versions_has(f->nullable, s->version))
        want(s, PRESENT, f);
    else
        begin_value(s, f);
}

/* Goes on to the next bytes that are skipped or read, or to the end. */
static void go_on(struct wire_skim *s)
{
    while (s->depth > 0 && !s->failed && !s->skip && s->number == NONE) {
        frame *fr = top(s);
        if (fr->array && fr->left > 0) {
            fr->left--;
            begin_value(s, fr->array);
        } else if (fr->array) {
            fr->array = NULL;
        } else if (fr->in_tags && fr->tags_left == 0) {
            s->depth--;
        } else if (fr->in_tags) {
            want(s, TAG, NULL);
        } else if (fr->field < fr->s->field_count) {
            const struct wire_field *f = &fr->s->fields[fr->field++];
            if (wire_field_is_plain(f, s->version))
                begin_field(s, f);
        } else if (s->flexible) {
            want(s, TAG_COUNT, NULL);
        } else {
            s->depth--;
        }
    }
    s->failed = s->failed || (s->depth == 0) != (s->left == 0);
}

void wire_skim_begin(struct wire_skim *s, const struct wire_message *message, int16_t version, size_t n,
                     bool hide_tag_0)
{
    assert(message->body->depth <= WIRE_DEPTH_MAX && wire_versions_has(message->valid, version));
    *s = (struct wire_skim){.magic = SKIM_MAGIC,
                            .version = version,
                            .flexible = wire_versions_has(message->flexible, version),
                            .hide_tag_0 = hide_tag_0,
                            .left = n};
    push(s, message->body);
    go_on(s);
}

/* ---- Numbers ---- */

/* Bytes of a number of this kind; 0: it is a varint. */
static uint8_t fixed_size(const struct wire_skim *s)
{
    switch ((enum number)s->number) {
    case STRING_LENGTH:
        return wire_field_flexible(s->field, s->flexible, s->version) ? 0 : 2;
    case BYTES_LENGTH:
    case COUNT:
        return wire_field_flexible(s->field, s->flexible, s->version) ? 0 : 4;
    case PRESENT:
        return 1;
    case TAG_COUNT:
    case TAG:
    case TAG_SIZE:
    case NONE:
        break;
    }
    return 0;
}

/* Takes a byte. True: the number is there. */
static bool number_byte(struct wire_skim *s, uint8_t byte)
{
    uint8_t size = fixed_size(s);

    if (size) {
        s->value = s->value << 8 | byte;
        return ++s->got == size;
    }
    if (s->got == 4 && byte > 0x0f) { /* more than 32 bits */
        s->failed = true;
        return false;
    }
    s->value |= (uint32_t)(byte & 0x7f) << (7 * s->got++);
    return !(byte & 0x80);
}

/* A length or count as it is meant, -1 for null. */
static int32_t length(struct wire_skim *s)
{
    bool is_string = s->number == STRING_LENGTH, element = top(s)->array == s->field;
    uint8_t size = fixed_size(s);
    int32_t n = size == 2 ? (int16_t)s->value : (int32_t)(size ? s->value : s->value - 1);

    if ((n < 0 && (element || !wire_versions_has(s->field->nullable, s->version))) ||
        (is_string && n > WIRE_STRING_MAX))
        s->failed = true;
    return n < 0 ? -1 : n;
}

static void begin_elements(struct wire_skim *s, const struct wire_field *f, int32_t n)
{
    uint64_t least = f->type == WIRE_STRUCT ? f->body->min_encoded : is_fixed(f) ? wire_field_size(f) : 1;

    if (n <= 0 || s->failed)
        return;
    if ((uint64_t)n * least > s->left) {
        s->failed = true;
    } else if (is_fixed(f)) {
        skip(s, (uint64_t)n * least);
    } else {
        top(s)->array = f;
        top(s)->left = n;
    }
}

/* The number of a tagged field of the message itself, whose last byte is *p. */
static void own_tag(struct wire_skim *s, frame *fr, uint8_t *p)
{
    bool is_short = s->got == 1;

    s->erase = false;
    if (!s->hide_tag_0)
        return;
    if (s->value == 0)
        s->hiding = true;
    if (!is_short && s->value <= LAST_SHORT_TAG) /* nobody writes it so, and it could not be renamed */
        s->failed = true;
    if (!s->hiding || !is_short)
        return;
    if (fr->tags > WIRE_SKIM_TAGS_MAX) {
        s->failed = true;
        return;
    }
    *p = (uint8_t)(LAST_SHORT_TAG + 1 - fr->tags_left);
    s->erase = true;
}

/* What follows from the number that was read, whose last byte is *p. */
static void number_read(struct wire_skim *s, uint8_t *p)
{
    enum number what = (enum number)s->number;
    const struct wire_field *f = s->field;
    uint32_t value = s->value;
    frame *fr = top(s);
    int32_t n;

    switch (what) {
    case STRING_LENGTH:
    case BYTES_LENGTH:
        n = length(s);
        skip(s, n > 0 ? (uint64_t)n : 0);
        break;
    case COUNT:
        begin_elements(s, f, length(s));
        break;
    case PRESENT:
        if ((int8_t)value >= 0)
            push(s, f->body);
        break;
    case TAG_COUNT:
        s->failed = s->failed || value > s->left / 2;
        fr->in_tags = true;
        fr->tags = fr->tags_left = value;
        break;
    case TAG:
        s->failed = s->failed || (int64_t)value <= fr->last_tag;
        fr->last_tag = value;
        if (s->depth == 1)
            own_tag(s, fr, p);
        want(s, TAG_SIZE, NULL);
        return;
    case TAG_SIZE:
        fr->tags_left--;
        skip(s, value);
        break;
    case NONE:
        assert(!"no number was read");
    }
    s->number = NONE;
}

bool wire_skim_pass(struct wire_skim *s, uint8_t *p, size_t n)
{
    assert(s->magic == SKIM_MAGIC);
    s->failed = s->failed || n > s->left;
    while (n > 0 && !s->failed) {
        size_t take = 1;
        if (s->skip) {
            take = s->skip < n ? s->skip : n;
            if (s->erase)
                memset(p, 0, take);
            s->skip -= take;
            s->left -= take;
        } else {
            s->left--;
            if (number_byte(s, *p))
                number_read(s, p);
        }
        go_on(s);
        p += take;
        n -= take;
    }
    return !s->failed;
}

bool wire_skim_is_through(const struct wire_skim *s)
{
    return !s->failed && s->depth == 0;
}
