/* SPDX-License-Identifier: Apache-2.0
 * A schema compiled for reading data. Types become operations in an arena of their own, so a program outlives its
 * schema and is shared freely. Types that take no bytes are known beforehand: an array may claim any number of them. */
#include "registry/avro_program.h"

#include "registry/avro_model.h"

#include <stdlib.h>

struct compiling {
    struct avro_program *p;
    struct avro_op **ops; /* by node id */
    enum err error;
};

static struct avro_op *compile(struct compiling *c, const struct avro_node *n);

static void *take(struct compiling *c, size_t n, size_t size)
{
    void *p = arena_array(&c->p->arena, n ? n : 1, size);
    if (!p)
        c->error = ERR_NO_MEMORY;
    return p;
}

static struct slice keep(struct compiling *c, struct slice s)
{
    struct slice copy = arena_copy(&c->p->arena, s);
    if (slice_is_null(copy) && !slice_is_null(s))
        c->error = ERR_NO_MEMORY;
    return copy;
}

static struct slice *compile_tags(struct compiling *c, const struct avro_props *props)
{
    for (uint32_t i = 0; i < props->n; i++) {
        const struct jvalue *v = props->v[i].value;
        uint32_t n = 0;
        if (!slice_eq_str(props->v[i].name, "confluent:tags") || v->kind != J_ARRAY)
            continue;
        struct slice *tags = take(c, v->n + 1u, sizeof *tags);
        for (uint32_t k = 0; tags && k < v->n; k++)
            if (v->u.items[k].kind == J_STRING)
                tags[n++] = keep(c, v->u.items[k].u.text);
        if (tags)
            tags[n] = SLICE_NULL;
        return tags;
    }
    return NULL;
}

static void compile_record(struct compiling *c, const struct avro_node *n, struct avro_op *op)
{
    op->own_tags = compile_tags(c, &n->props);
    for (uint32_t i = 0; i < n->n && c->error == ERR_OK; i++) {
        struct slice *tags = compile_tags(c, &n->u.fields[i].props);
        op->names[i] = keep(c, n->u.fields[i].name);
        op->kids[i] = compile(c, n->u.fields[i].type);
        if (tags && !op->tags)
            op->tags = take(c, n->n, sizeof *op->tags);
        if (op->tags)
            op->tags[i] = tags;
    }
}

static struct avro_op *compile(struct compiling *c, const struct avro_node *n)
{
    if (c->ops[n->id])
        return c->ops[n->id];
    struct avro_op *op = take(c, 1, sizeof *op);
    if (!op)
        return NULL;
    c->ops[n->id] = op;
    op->kind = (uint8_t)n->kind;
    op->name = keep(c, avro_full_name(n));
    op->n = n->kind == AVRO_ARRAY || n->kind == AVRO_MAP ? 1 : n->n;
    if (n->kind == AVRO_FIXED)
        op->size = (uint32_t)n->u.size;
    if (op->n && n->kind != AVRO_ENUM)
        op->kids = take(c, op->n, sizeof *op->kids);
    if (op->n && (n->kind == AVRO_ENUM || n->kind == AVRO_RECORD))
        op->names = take(c, op->n, sizeof *op->names);
    if (c->error != ERR_OK)
        return op;
    if (n->kind == AVRO_ARRAY || n->kind == AVRO_MAP)
        op->kids[0] = compile(c, n->u.items);
    for (uint32_t i = 0; i < n->n && n->kind == AVRO_ENUM; i++)
        op->names[i] = keep(c, n->u.en.symbols[i]);
    for (uint32_t i = 0; i < n->n && n->kind == AVRO_UNION && c->error == ERR_OK; i++)
        op->kids[i] = compile(c, n->u.branches[i]);
    if (n->kind == AVRO_RECORD)
        compile_record(c, n, op);
    /* Kids of a cycle are not known yet and count as taking bytes: such a value never ends anyway. */
    op->empty = n->kind == AVRO_NULL || (n->kind == AVRO_FIXED && op->size == 0) || n->kind == AVRO_RECORD;
    for (uint32_t i = 0; i < op->n && op->empty && op->kids && c->error == ERR_OK; i++)
        op->empty = op->kids[i]->empty;
    return op;
}

enum err avro_program_new(struct avro_program **out, const struct parsed_schema *s, struct reason *why)
{
    const struct avro_schema *a = (const struct avro_schema *)s;
    struct compiling c = {.p = calloc(1, sizeof *c.p), .ops = calloc(a->nodes + 1u, sizeof *c.ops)};
    *out = NULL;
    if (c.p)
        arena_init(&c.p->arena, 0);
    if (!c.p || !c.ops)
        c.error = ERR_NO_MEMORY;
    else
        c.p->root = compile(&c, a->root);
    free(c.ops);
    if (c.error != ERR_OK) {
        avro_program_free(c.p);
        return reason_set(why, c.error, "out of memory compiling an Avro schema");
    }
    *out = c.p;
    return ERR_OK;
}

void avro_program_free(struct avro_program *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    free(p);
}
