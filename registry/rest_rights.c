/* SPDX-License-Identifier: Apache-2.0
 * Rights that are not about the subject a request names alone: what it refers to, and what lies below its scope. */
#include "registry/rest_internal.h"

enum { REFERENCES_MAX = 2000 }; /* as many as a schema may have in all */

struct closure {
    struct rest_call *c;
    struct map seen; /* qualified subject and version */
    bool deep;
};

static enum err require_each(struct closure *k, struct slice parent, const struct schema_ref *refs, size_t n)
{
    struct buf target, key;
    enum err e = ERR_OK;
    buf_init(&target, 0);
    buf_init(&key, 0);
    for (size_t i = 0; i < n && !e; i++) {
        buf_clear(&target);
        subject_put_from_parent(&target, parent, refs[i].subject);
        buf_clear(&key);
        buf_printf(&key, "%d ", (int)refs[i].version);
        buf_put_slice(&key, buf_slice(&target));
        if (map_has(&k->seen, buf_slice(&key)))
            continue;
        e = map_count(&k->seen) < REFERENCES_MAX ? map_put(&k->seen, buf_slice(&key), k, NULL) : ERR_LIMIT_EXCEEDED;
        if (!e)
            e = rest_require(k->c, RIGHT_READ, buf_slice(&target));
        const struct subject *u = !e && k->deep ? store_subject(k->c->store, buf_slice(&target)) : NULL;
        const struct version *v =
            refs[i].version == -1 ? subject_latest(u, false) : subject_version(u, refs[i].version);
        if (v)
            e = require_each(k, u->name, v->content->references, v->content->reference_count);
    }
    buf_free(&target);
    buf_free(&key);
    return e;
}

enum err rest_require_references(struct rest_call *c, struct slice parent, const struct schema_ref *refs, size_t n,
                                 bool deep)
{
    struct closure k = {.c = c, .deep = deep};
    if (!c->request->allowed || !n)
        return ERR_OK;
    map_init(&k.seen);
    enum err e = require_each(&k, parent, refs, n);
    map_free(&k.seen, NULL);
    return e;
}

/* --- below a scope --- */

struct below {
    struct rest_call *c;
    struct slice subject, context;
    bool whole; /* a context, not one subject */
    enum err e;
};

static struct below below(struct rest_call *c)
{
    struct slice subject = slice_is_null(c->subject) ? slice_str("") : c->subject;
    return (struct below){c, subject, subject_parse(subject).context, subject_is_context(subject), ERR_OK};
}

static enum err each_below(struct rest_call *c, bool (*fn)(void *ctx, const struct subject *u))
{
    struct below b = below(c);
    if (c->request->allowed)
        store_each_subject(c->store, fn, &b);
    return b.e;
}

static bool is_below(const struct below *b, struct slice name)
{
    return b->whole ? slice_eq(subject_parse(name).context, b->context) : slice_eq(name, b->subject);
}

/* Also of names that have a mode but no schema. */
static bool require_mode(void *ctx, struct slice name)
{
    struct below *b = ctx;
    if (is_below(b, name))
        b->e = rest_require(b->c, RIGHT_ALTER_CONFIG, name);
    return !b->e;
}

enum err rest_require_modes_below(struct rest_call *c)
{
    struct below b = below(c);
    if (c->request->allowed)
        store_each_mode(c->store, require_mode, &b);
    return b.e;
}

static bool require_delete(void *ctx, const struct subject *u)
{
    struct below *b = ctx;
    if (is_below(b, u->name) && !subject_has(u, false))
        b->e = rest_require(b->c, RIGHT_DELETE, u->name);
    return !b->e;
}

enum err rest_require_deleted_below(struct rest_call *c)
{
    return each_below(c, require_delete);
}

/* --- contexts --- */

struct seen_contexts {
    const struct rest_call *c;
    struct map *contexts;
};

static bool note_context(void *ctx, const struct subject *u)
{
    struct seen_contexts *s = ctx;
    struct slice context = subject_parse(u->name).context;
    if (subject_is_default_context(context) || map_has(s->contexts, context) ||
        !rest_allowed(s->c, RIGHT_DESCRIBE, u->name))
        return true;
    return map_put(s->contexts, context, s, NULL) == ERR_OK;
}

void rest_seen_contexts(const struct rest_call *c, struct map *out)
{
    struct seen_contexts s = {c, out};
    store_each_subject(c->store, note_context, &s);
}
