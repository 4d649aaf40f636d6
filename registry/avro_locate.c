/* SPDX-License-Identifier: Apache-2.0
 * Values found in a binary datum, by path or by tag, as byte ranges: what is not asked for is only gone past. */
#include "registry/avro_program.h"

struct looking {
    struct avro_run run;
    struct slice tag; /* null: by path */
    avro_found_visit visit;
    void *context;
    bool stopped;
};

static bool look(struct looking *l, const struct avro_op *op, struct slice path, bool tagged);

/* The first name of a path; `path` becomes what follows. */
static struct slice next_step(struct slice *path)
{
    const uint8_t *dot = path->n ? memchr(path->p, '.', path->n) : NULL;
    struct slice step = dot ? slice_of(path->p, (size_t)(dot - path->p)) : *path;
    size_t used = dot ? step.n + 1 : step.n;
    *path = slice_of(path->p + used, path->n - used);
    return step;
}

static bool has_tag(const struct slice *tags, struct slice tag)
{
    for (; tags && !slice_is_null(*tags); tags++)
        if (slice_eq(*tags, tag))
            return true;
    return false;
}

static bool found(struct looking *l, const struct avro_op *op)
{
    const uint8_t *from = l->run.p;
    struct avro_found f = {.kind = (enum avro_kind)op->kind, .at = (size_t)(from - l->run.start)};
    float real;
    if (!avro_run_skip(&l->run, op))
        return false;
    f.n = (size_t)(l->run.p - from);
    f.content = slice_of(from, f.n);
    f.symbol = SLICE_NULL;
    f.in_sized_block = l->run.sized > 0;
    struct avro_run again = l->run;
    again.p = from;
    if (op->kind == AVRO_STRING || op->kind == AVRO_BYTES)
        (void)avro_bytes(&again, &f.content);
    if (op->kind == AVRO_INT || op->kind == AVRO_LONG || op->kind == AVRO_ENUM)
        (void)avro_long(&again, &f.number);
    if (op->kind == AVRO_BOOLEAN)
        f.number = *from;
    if (op->kind == AVRO_ENUM)
        f.symbol = op->names[f.number];
    if (op->kind == AVRO_FLOAT) {
        memcpy(&real, from, sizeof real);
        f.real = (double)real;
    }
    if (op->kind == AVRO_DOUBLE)
        memcpy(&f.real, from, sizeof f.real);
    l->stopped = !l->visit(l->context, &f);
    return true;
}

static bool look_record(struct looking *l, const struct avro_op *op, struct slice path)
{
    bool by_tag = !slice_is_null(l->tag);
    struct slice rest = path, step = by_tag ? SLICE_NULL : next_step(&rest);
    for (uint32_t i = 0; i < op->n && !l->stopped; i++) {
        bool ok;
        if (by_tag)
            ok = look(l, op->kids[i], path, op->tags && has_tag(op->tags[i], l->tag));
        else if (slice_eq(op->names[i], step))
            ok = look(l, op->kids[i], rest, rest.n == 0);
        else
            ok = avro_run_skip(&l->run, op->kids[i]);
        if (!ok) {
            avro_add_place(&l->run, op->names[i]);
            return false;
        }
    }
    return true;
}

static bool look_item(struct looking *l, const struct avro_op *op, struct slice path)
{
    struct slice key = SLICE_NULL, rest = path;
    if (op->kind == AVRO_ARRAY)
        return look(l, op->kids[0], path, false);
    if (!avro_bytes(&l->run, &key))
        return false;
    if (!slice_is_null(l->tag))
        return look(l, op->kids[0], path, false);
    bool step = slice_eq(next_step(&rest), key);
    return look(l, op->kids[0], step ? rest : path, step && rest.n == 0);
}

static bool look_items(struct looking *l, const struct avro_op *op, struct slice path)
{
    int64_t count, size;
    for (;;) {
        if (!avro_block(&l->run, op, &count, &size))
            return false;
        if (count == 0)
            return size <= 0 || avro_fail(&l->run, "a block that is not of its stated size");
        const uint8_t *from = l->run.p;
        l->run.sized += size >= 0;
        for (int64_t i = 0; i < count && !l->stopped; i++)
            if (!look_item(l, op, path))
                return false;
        l->run.sized -= size >= 0;
        if (l->stopped || !avro_block_done(&l->run, size, from))
            return l->stopped;
    }
}

static bool look_inside(struct looking *l, const struct avro_op *op, struct slice path, bool here)
{
    int64_t branch;
    if (op->kind == AVRO_UNION) {
        if (!avro_long(&l->run, &branch))
            return false;
        if (branch < 0 || branch >= op->n)
            return avro_fail(&l->run, "a union number without branch");
        return look(l, op->kids[branch], path, here);
    }
    if (here || (!slice_is_null(l->tag) && has_tag(op->own_tags, l->tag)))
        return found(l, op);
    if (op->kind == AVRO_RECORD)
        return look_record(l, op, path);
    if (op->kind == AVRO_ARRAY || op->kind == AVRO_MAP)
        return look_items(l, op, path);
    return avro_run_skip(&l->run, op);
}

/* `here`: the value is what was looked for. */
static bool look(struct looking *l, const struct avro_op *op, struct slice path, bool here)
{
    if (++l->run.depth > AVRO_DATUM_DEPTH_MAX)
        return avro_fail(&l->run, "values nested too deep");
    bool ok = look_inside(l, op, path, here);
    l->run.depth--;
    return ok;
}

static enum err run(struct looking *l, const struct avro_program *p, struct slice datum, struct slice path,
                    struct reason *why)
{
    l->run.start = l->run.p = datum.p ? datum.p : (const uint8_t *)"";
    l->run.end = l->run.start + datum.n;
    bool whole = slice_is_null(l->tag) && path.n == 0;
    if (look(l, p->root, path, whole) &&
        (l->stopped || l->run.p == l->run.end || avro_fail(&l->run, "bytes after the end of the value")))
        return ERR_OK;
    return avro_run_error(&l->run, why);
}

enum err avro_program_locate(const struct avro_program *p, struct slice datum, struct slice path,
                             avro_found_visit visit, void *context, struct reason *why)
{
    struct looking l = {.tag = SLICE_NULL, .visit = visit, .context = context};
    return run(&l, p, datum, path, why);
}

enum err avro_program_locate_tag(const struct avro_program *p, struct slice datum, struct slice tag,
                                 avro_found_visit visit, void *context, struct reason *why)
{
    struct looking l = {.tag = slice_is_null(tag) ? slice_str("") : tag, .visit = visit, .context = context};
    return run(&l, p, datum, slice_str(""), why);
}

enum { PATH_WORK_MAX = 100000 };

static bool has_path(const struct avro_op *op, struct slice path, unsigned depth, unsigned *work)
{
    if (path.n == 0)
        return true;
    if (depth > AVRO_DATUM_DEPTH_MAX || ++*work > PATH_WORK_MAX)
        return false;
    if (op->kind == AVRO_ARRAY)
        return has_path(op->kids[0], path, depth + 1, work);
    struct slice rest = path, step = next_step(&rest);
    if (op->kind == AVRO_MAP) /* any key may come */
        return has_path(op->kids[0], rest, depth + 1, work) || has_path(op->kids[0], path, depth + 1, work);
    for (uint32_t i = 0; i < op->n && op->kind == AVRO_UNION; i++)
        if (has_path(op->kids[i], path, depth + 1, work))
            return true;
    for (uint32_t i = 0; i < op->n && op->kind == AVRO_RECORD; i++)
        if (slice_eq(op->names[i], step))
            return has_path(op->kids[i], rest, depth + 1, work);
    return false;
}

bool avro_program_has_path(const struct avro_program *p, struct slice path)
{
    unsigned work = 0;
    return has_path(p->root, path, 0, &work);
}
