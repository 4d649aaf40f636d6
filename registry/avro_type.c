/* SPDX-License-Identifier: Apache-2.0
 * Avro behind the face of schema_type.h. A parsed schema owns one arena with everything in it; the names of its
 * references are read first, in the order given, into the same table of names. */
#include "registry/avro_model.h"

#include <stdlib.h>
#include <strings.h>

static const struct avro_schema *avro_of(const struct parsed_schema *s)
{
    return (const struct avro_schema *)s;
}

static void avro_free(struct parsed_schema *s)
{
    struct avro_schema *a = (struct avro_schema *)s;
    map_free(&a->names, NULL);
    arena_free(&a->arena);
    free(a);
}

static enum err copy_refs(struct avro_schema *a, const struct schema_ref_text *refs, size_t n)
{
    if (n == 0)
        return ERR_OK;
    a->refs = arena_array(&a->arena, n, sizeof *a->refs);
    a->ref_roots = arena_array(&a->arena, n, sizeof *a->ref_roots);
    if (!a->refs || !a->ref_roots)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        a->refs[i] = refs[i];
        a->refs[i].name = arena_copy(&a->arena, refs[i].name);
        a->refs[i].subject = arena_copy(&a->arena, refs[i].subject);
        a->refs[i].text = arena_copy(&a->arena, refs[i].text);
        if (slice_is_null(a->refs[i].text))
            return refs[i].text.p ? ERR_NO_MEMORY : ERR_MALFORMED;
    }
    a->refs_n = n;
    return ERR_OK;
}

static enum err read_all(struct avro_schema *a, struct slice text, const struct schema_ref_text *refs, size_t refs_n,
                         const struct avro_parse_options *o, struct reason *why)
{
    struct slice own = arena_copy(&a->arena, text);
    enum err e = slice_is_null(own) ? ERR_NO_MEMORY : copy_refs(a, refs, refs_n);
    if (e != ERR_OK)
        return reason_set(why, e,
                          e == ERR_NO_MEMORY ? "out of memory reading an Avro schema" : "a reference without text");
    for (size_t i = 0; i < refs_n && e == ERR_OK; i++) {
        e = avro_read_text(a, a->refs[i].text, o, &a->ref_roots[i], why);
        if (e == ERR_OK)
            e = avro_resolve(a, &a->ref_roots[i], o->fresh, why);
    }
    if (e == ERR_OK)
        e = avro_read_text(a, own, o, &a->root, why);
    return e == ERR_OK ? avro_resolve(a, &a->root, o->fresh, why) : e;
}

static enum err parse_with(struct parsed_schema **out, struct slice text, const struct schema_ref_text *refs,
                           size_t refs_n, const struct avro_parse_options *o, struct reason *why)
{
    struct avro_schema *a = calloc(1, sizeof *a);
    if (!a)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading an Avro schema");
    a->head.ops = &schema_type_avro;
    arena_init(&a->arena, 0);
    map_init(&a->names);
    enum err e = read_all(a, text, refs, refs_n, o, why);
    if (e != ERR_OK) {
        avro_free(&a->head);
        return e;
    }
    *out = &a->head;
    return ERR_OK;
}

static enum err avro_parse(struct parsed_schema **out, struct slice text, const struct schema_ref_text *refs,
                           size_t refs_n, const struct schema_options *options, struct reason *why)
{
    struct avro_parse_options o = {options->fresh};
    enum err e = parse_with(out, text, refs, refs_n, &o, why);
    if (e == ERR_OK && !options->fresh && (e = avro_check_stored_names(avro_of(*out), why)) != ERR_OK) {
        avro_free(*out);
        *out = NULL;
    }
    return e;
}

/* Types that are the root of a reference are printed by name. */
static enum err print_with_refs(const struct avro_schema *a, enum avro_print_style style, struct buf *out)
{
    uint8_t *known = calloc(map_count(&a->names) / 8 + 1, 1);
    if (!known)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < a->refs_n; i++)
        if (avro_is_named(a->ref_roots[i]->kind))
            known[a->ref_roots[i]->name_id / 8] |= (uint8_t)(1u << a->ref_roots[i]->name_id % 8);
    enum err e = avro_print(a, a->root, style, known, out);
    free(known);
    return e;
}

static enum err avro_canonical(const struct parsed_schema *s, struct buf *out)
{
    return print_with_refs(avro_of(s), AVRO_PRINT_CANONICAL, out);
}

/* The ordered text is parsed again and printed: that is what the reference stores. */
static enum err avro_normalized(const struct parsed_schema *s, struct buf *out)
{
    static const struct avro_parse_options lax = {.fresh = false};
    const struct avro_schema *a = avro_of(s);
    struct parsed_schema *again = NULL;
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    enum err e = print_with_refs(a, AVRO_PRINT_NORMAL, &b);
    if (e == ERR_OK)
        e = parse_with(&again, buf_slice(&b), a->refs, a->refs_n, &lax, NULL);
    if (e == ERR_OK)
        e = avro_canonical(again, out);
    schema_free(again);
    buf_free(&b);
    return e;
}

static bool avro_format(const struct parsed_schema *s, struct slice format, struct buf *out)
{
    if (format.n != 8 || strncasecmp((const char *)format.p, "resolved", 8) != 0)
        return false;
    enum err e = avro_print(avro_of(s), avro_of(s)->root, AVRO_PRINT_CANONICAL, NULL, out);
    if (e != ERR_OK)
        out->error = e;
    return true;
}

static bool avro_has_field(const struct parsed_schema *s, struct slice name)
{
    const struct avro_node *root = avro_of(s)->root;
    return root->kind == AVRO_RECORD && avro_field_named(root, name) != NULL;
}

static struct slice avro_record_name(const struct parsed_schema *s)
{
    const struct avro_node *root = avro_of(s)->root;
    return avro_is_named(root->kind) ? root->name.full : SLICE_NULL;
}

static enum err avro_validate(const struct parsed_schema *s, struct slice payload, struct reason *why)
{
    struct avro_program *p;
    enum err e = avro_program_new(&p, s, why);
    if (e != ERR_OK)
        return e;
    e = avro_program_validate(p, payload, why);
    avro_program_free(p);
    return e;
}

/* --- tags --- */

struct tagging {
    schema_tag_visit visit;
    void *context;
    struct buf path;
    uint8_t *open; /* records we are inside of, by id: a record within itself is not entered again */
    unsigned left, depth;
    bool stopped;
    enum err error;
};

enum { TAG_WORK_MAX = 1000000 };

static void tag_props(struct tagging *t, const struct avro_props *props)
{
    for (uint32_t i = 0; i < props->n && !t->stopped; i++) {
        const struct jvalue *v = props->v[i].value;
        if (!slice_eq_str(props->v[i].name, "confluent:tags") || v->kind != J_ARRAY)
            continue;
        for (uint32_t k = 0; k < v->n && !t->stopped; k++)
            if (v->u.items[k].kind == J_STRING)
                t->stopped = !t->visit(t->context, buf_slice(&t->path), v->u.items[k].u.text);
    }
}

static void tag_record(struct tagging *t, const struct avro_node *n);

static void tag_node(struct tagging *t, const struct avro_node *n)
{
    if (t->left == 0 || t->depth >= AVRO_SCHEMA_DEPTH_MAX)
        t->error = ERR_LIMIT_EXCEEDED;
    if (t->stopped || t->error != ERR_OK)
        return;
    t->left--;
    t->depth++;
    if (n->kind == AVRO_ARRAY || n->kind == AVRO_MAP)
        tag_node(t, n->u.items);
    for (uint32_t i = 0; n->kind == AVRO_UNION && i < n->n; i++)
        tag_node(t, n->u.branches[i]);
    if (n->kind == AVRO_RECORD && !(t->open[n->id / 8] & 1u << n->id % 8))
        tag_record(t, n);
    t->depth--;
}

static void tag_record(struct tagging *t, const struct avro_node *n)
{
    t->open[n->id / 8] |= (uint8_t)(1u << n->id % 8);
    tag_props(t, &n->props);
    for (uint32_t i = 0; i < n->n && !t->stopped; i++) {
        size_t was = t->path.n;
        if (was)
            buf_put_str(&t->path, ".");
        buf_put_slice(&t->path, n->u.fields[i].name);
        tag_props(t, &n->u.fields[i].props);
        tag_node(t, n->u.fields[i].type);
        t->path.n = was;
    }
    t->open[n->id / 8] &= (uint8_t) ~(1u << n->id % 8);
}

static enum err avro_tags(const struct parsed_schema *s, schema_tag_visit visit, void *context)
{
    const struct avro_schema *a = avro_of(s);
    struct tagging t = {.visit = visit, .context = context, .left = TAG_WORK_MAX, .open = calloc(a->nodes / 8 + 1, 1)};
    buf_init(&t.path, AVRO_PRINT_MAX);
    if (t.open)
        tag_node(&t, a->root);
    else
        t.error = ERR_NO_MEMORY;
    free(t.open);
    buf_free(&t.path);
    return t.error;
}

const struct schema_type_ops schema_type_avro = {
    .name = "AVRO",
    .parse = avro_parse,
    .free = avro_free,
    .canonical = avro_canonical,
    .normalized = avro_normalized,
    .format = avro_format,
    .has_field = avro_has_field,
    .compatible = avro_compatible,
    .validate = avro_validate,
    .tags = avro_tags,
    .tagged = avro_tagged,
    .edit_tags = avro_edit_tags,
    .record_name = avro_record_name,
};
