/* SPDX-License-Identifier: Apache-2.0
 * Protobuf behind the face of schema_type.h. A text that is no .proto file may be a base64 FileDescriptorProto; if it
 * is neither, the words are those for the text. */
#include "registry/protobuf_model.h"

#include <stdlib.h>
#include <strings.h>

static const struct proto_schema *proto_of(const struct parsed_schema *s)
{
    return (const struct proto_schema *)s;
}

static void proto_free(struct parsed_schema *s)
{
    struct proto_schema *p = (struct proto_schema *)s;
    map_free(&p->types, NULL);
    map_free(&p->extensions, NULL);
    arena_free(&p->arena);
    free(p);
}

static int digit64(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Strict base64, padding optional; SLICE_NULL when it is none. */
static struct slice decode64(struct arena *a, struct slice text)
{
    while (text.n && text.p[text.n - 1] == '=')
        text.n--;
    uint8_t *out = arena_alloc(a, text.n * 3 / 4 + 1);
    size_t n = 0;
    uint32_t bits = 0;
    for (size_t i = 0; out && i < text.n; i++) {
        int d = digit64(text.p[i]);
        if (d < 0)
            return SLICE_NULL;
        bits = bits << 6 | (uint32_t)d;
        if (i % 4)
            out[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    return out && text.n % 4 != 1 ? slice_of(out, n) : SLICE_NULL;
}

static void encode64(struct slice bytes, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (left > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) |
                     (left > 2 ? bytes.p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        buf_put(out, four, sizeof four);
    }
}

static enum err read_file(struct proto_file *f, struct slice text, struct arena *a, struct reason *why)
{
    struct slice bytes, own = arena_copy(a, text);
    if (slice_is_null(own))
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a Protobuf schema");
    if (own.n > PROTOBUF_SCHEMA_SIZE_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "a schema of more than %d bytes", PROTOBUF_SCHEMA_SIZE_MAX);
    struct slice name = f->import_name;
    enum err e = proto_read_text(f, own, a, why);
    if (e != ERR_MALFORMED)
        return e;
    bytes = decode64(a, own);
    if (slice_is_null(bytes))
        return e;
    *f = (struct proto_file){.import_name = name, .package = SLICE_NULL};
    f->from_descriptor = proto_read_descriptor(f, bytes, a, NULL) == ERR_OK;
    return f->from_descriptor ? ERR_OK : e;
}

static enum err read_refs(struct proto_schema *s, const struct schema_ref_text *refs, size_t n, struct reason *why)
{
    enum err e = ERR_OK;
    s->refs = arena_array(&s->arena, n + 1, sizeof *s->refs);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        struct proto_file *f = s->refs ? arena_alloc(&s->arena, sizeof *f) : NULL;
        if (!f)
            return reason_set(why, ERR_NO_MEMORY, "out of memory reading a Protobuf schema");
        f->import_name = arena_copy(&s->arena, refs[i].name);
        e = read_file(f, refs[i].text, &s->arena, why);
        s->refs[s->refs_n++] = f;
    }
    return e;
}

/* Can what would be printed be read again? */
static enum err reads_back(const struct proto_schema *s, enum proto_style style, struct reason *why)
{
    struct proto_file again = {.import_name = s->file.import_name, .package = SLICE_NULL};
    struct arena a;
    struct buf text;
    arena_init(&a, 0);
    buf_init(&text, PROTOBUF_PRINT_MAX);
    enum err e = proto_print(s, style, &text, why);
    if (e == ERR_OK)
        e = proto_read_text(&again, buf_slice(&text), &a, why);
    else if (e != ERR_MALFORMED)
        e = reason_set(why, e, "the schema's text is too long, or memory ran out");
    buf_free(&text);
    arena_free(&a);
    return e;
}

static enum err proto_parse(struct parsed_schema **out, struct slice text, const struct schema_ref_text *refs,
                            size_t refs_n, const struct schema_options *options, struct reason *why)
{
    struct proto_schema *s = calloc(1, sizeof *s);
    if (!s)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a Protobuf schema");
    s->head.ops = &schema_type_protobuf;
    arena_init(&s->arena, 0);
    map_init(&s->types);
    map_init(&s->extensions);
    enum err e = read_refs(s, refs, refs_n, why);
    if (e == ERR_OK)
        e = read_file(&s->file, text, &s->arena, why);
    if (e == ERR_OK)
        e = proto_link(s, why);
    /* A new schema's types must be there: that its normalized text can be written, and read again, is the reference's
     * test. */
    if (e == ERR_OK && options->fresh)
        e = reads_back(s, PROTO_NORMAL, why);
    if (e == ERR_OK && options->validate_fields)
        e = proto_check(s, why);
    /* A descriptor may hold names that no .proto file can: what is stored is the text, so that has to be one. */
    if (e == ERR_OK && s->file.from_descriptor)
        e = reads_back(s, PROTO_CANONICAL, why);
    if (e != ERR_OK) {
        proto_free(&s->head);
        return e;
    }
    *out = &s->head;
    return ERR_OK;
}

static enum err proto_canonical(const struct parsed_schema *s, struct buf *out)
{
    return proto_print(proto_of(s), PROTO_CANONICAL, out, NULL);
}

static enum err proto_normalized(const struct parsed_schema *s, struct buf *out)
{
    return proto_print(proto_of(s), PROTO_NORMAL, out, NULL);
}

static bool is_word(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

static bool proto_format(const struct parsed_schema *s, struct slice format, struct buf *out)
{
    struct buf bytes;
    enum err e;
    if (is_word(format, "ignore_extensions")) {
        e = proto_print(proto_of(s), PROTO_NO_EXTENSIONS, out, NULL);
    } else if (is_word(format, "serialized")) {
        buf_init(&bytes, PROTOBUF_PRINT_MAX);
        e = proto_encode_descriptor(proto_of(s), &bytes);
        encode64(buf_slice(&bytes), out);
        buf_free(&bytes);
    } else {
        return false;
    }
    if (e != ERR_OK && out->error == ERR_OK)
        out->error = e;
    return true;
}

static bool has_name(const struct proto_fields *fields, struct slice name)
{
    for (uint32_t i = 0; i < fields->n; i++)
        if (slice_eq(fields->v[i].name, name))
            return true;
    return false;
}

/* Of any message at the top level, oneofs not looked into. */
static bool proto_has_field(const struct parsed_schema *s, struct slice name)
{
    const struct proto_types *types = proto_effective_types(proto_of(s));
    for (uint32_t k = 0; k < types->n; k++)
        if (has_name(&types->v[k]->fields, name))
            return true;
    return false;
}

static struct slice proto_record_name(const struct parsed_schema *s)
{
    const struct protobuf_message *m = protobuf_first_message(s);
    const struct proto_types *types = proto_effective_types(proto_of(s));
    return m ? m->full : types->n ? types->v[0]->full : SLICE_NULL; /* an enum when there is nothing else */
}

static enum err proto_validate(const struct parsed_schema *s, struct slice payload, struct reason *why)
{
    const struct protobuf_message *m = protobuf_first_message(s);
    if (!m)
        return reason_set(why, ERR_INVALID_RECORD, "the schema has no message");
    return protobuf_validate(m, payload, why);
}

/* --- tags --- */

struct open {
    const struct protobuf_message *m;
    const struct open *up;
};

struct tagging {
    const struct proto_schema *s;
    schema_tag_visit visit;
    void *context;
    struct buf path;
    const struct open *open;
    unsigned left, depth;
    bool stopped;
    enum err error;
};

enum { TAG_WORK_MAX = 200000 };

static void tag_message(struct tagging *t, const struct protobuf_message *m);

static void visit_tags(struct tagging *t, const struct proto_value *v)
{
    for (uint32_t i = 0; v && v->kind == PROTO_LIST && i < v->n && !t->stopped; i++)
        visit_tags(t, &v->items[i]);
    if (v && v->kind == PROTO_STRING && !t->stopped)
        t->stopped = !t->visit(t->context, buf_slice(&t->path), v->text);
}

static void tag_options(struct tagging *t, const struct proto_options *o, const char *meta)
{
    struct arena a;
    if (o->n == 0)
        return;
    arena_init(&a, 0);
    struct proto_options n = proto_normal_options(t->s, o, slice_str(""), &a);
    const struct proto_value *v = proto_option_value(&n, meta, true);
    for (uint32_t i = 0; v && v->kind == PROTO_MAP && i < v->n; i++)
        if (slice_eq_str(v->entries[i].key, "tags"))
            visit_tags(t, &v->entries[i].value);
    arena_free(&a);
}

static void tag_fields(struct tagging *t, const struct proto_fields *fields)
{
    for (uint32_t i = 0; i < fields->n && !t->stopped && t->error == ERR_OK; i++) {
        const struct proto_field *f = &fields->v[i];
        size_t was = t->path.n;
        if (was)
            buf_put_str(&t->path, ".");
        buf_put_slice(&t->path, f->name);
        tag_options(t, &f->options, "confluent.field_meta");
        if (f->message && !f->message->is_enum)
            tag_message(t, f->message);
        t->path.n = was;
    }
}

static void tag_message(struct tagging *t, const struct protobuf_message *m)
{
    struct open here = {m, t->open};
    for (const struct open *o = t->open; o; o = o->up)
        if (o->m == m)
            return;
    if (t->left-- == 0 || ++t->depth > PROTOBUF_DEPTH_MAX) {
        t->error = ERR_LIMIT_EXCEEDED;
        return;
    }
    t->open = &here;
    tag_options(t, &m->options, "confluent.message_meta");
    tag_fields(t, &m->fields);
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        tag_fields(t, &m->oneofs.v[i].fields);
    t->open = here.up;
    t->depth--;
}

static enum err proto_tags(const struct parsed_schema *s, schema_tag_visit visit, void *context)
{
    struct tagging t = {.s = proto_of(s), .visit = visit, .context = context, .left = TAG_WORK_MAX};
    const struct protobuf_message *m = protobuf_first_message(s);
    buf_init(&t.path, PROTOBUF_PRINT_MAX);
    if (m)
        tag_message(&t, m);
    buf_free(&t.path);
    return t.error;
}

const struct schema_type_ops schema_type_protobuf = {
    .name = "PROTOBUF",
    .parse = proto_parse,
    .free = proto_free,
    .canonical = proto_canonical,
    .normalized = proto_normalized,
    .format = proto_format,
    .has_field = proto_has_field,
    .compatible = proto_compatible,
    .validate = proto_validate,
    .tags = proto_tags,
    .tagged = proto_tagged,
    .edit_tags = proto_edit_tags,
    .record_name = proto_record_name,
};
