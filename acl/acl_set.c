/* SPDX-License-Identifier: Apache-2.0
 * The mutable set of rules: a map from a rule's bytes (codes, lengths, texts) to an owned copy. Owner: one thread. */
#include "acl/acl_internal.h"

#include <stdlib.h>

struct acl_set {
    struct map rules; /* of struct set_rule */
};

struct set_rule {
    struct acl_rule rule; /* slices into bytes */
    uint8_t bytes[];
};

struct acl_set *acl_set_new(void)
{
    struct acl_set *s = malloc(sizeof *s);

    if (s)
        map_init(&s->rules);
    return s;
}

void acl_set_free(struct acl_set *s)
{
    if (!s)
        return;
    map_free(&s->rules, free);
    free(s);
}

void acl_set_clear(struct acl_set *s)
{
    map_free(&s->rules, free);
    map_init(&s->rules);
}

static void put_key(struct buf *b, const struct acl_rule *r)
{
    buf_u8(b, (uint8_t)r->type);
    buf_u8(b, (uint8_t)r->pattern);
    buf_u8(b, (uint8_t)r->operation);
    buf_u8(b, (uint8_t)r->permission);
    buf_u32(b, (uint32_t)r->name.n);
    buf_u32(b, (uint32_t)r->principal.n);
    buf_put_slice(b, r->name);
    buf_put_slice(b, r->principal);
    buf_put_slice(b, r->host);
}

static struct slice place(uint8_t **at, struct slice s)
{
    struct slice copy = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct set_rule *rule_copy(const struct acl_rule *r)
{
    struct set_rule *c = malloc(sizeof *c + r->name.n + r->principal.n + r->host.n + 1);
    uint8_t *at;

    if (!c)
        return NULL;
    at = c->bytes;
    c->rule = *r;
    c->rule.name = place(&at, r->name);
    c->rule.principal = place(&at, r->principal);
    c->rule.host = place(&at, r->host);
    return c;
}

enum err acl_set_add(struct acl_set *s, const struct acl_rule *r, bool *added, struct reason *why)
{
    struct buf key;
    struct set_rule *copy = NULL;
    enum err e = acl_rule_validate(r, why);

    if (added)
        *added = false;
    if (e)
        return e;
    buf_init(&key, 0);
    put_key(&key, r);
    e = buf_error(&key);
    if (e || map_has(&s->rules, buf_slice(&key)))
        goto out;
    if (map_count(&s->rules) >= ACL_RULES_MAX) {
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "there are %d rules, no more are taken", ACL_RULES_MAX);
        goto out;
    }
    copy = rule_copy(r);
    e = copy ? map_put(&s->rules, buf_slice(&key), copy, NULL) : ERR_NO_MEMORY;
    if (e)
        free(copy);
    else if (added)
        *added = true;
out:
    buf_free(&key);
    return e;
}

bool acl_set_remove(struct acl_set *s, const struct acl_rule *r)
{
    struct buf key;
    struct set_rule *old = NULL;

    buf_init(&key, 0);
    put_key(&key, r);
    if (buf_error(&key) == ERR_OK)
        old = map_remove(&s->rules, buf_slice(&key));
    buf_free(&key);
    free(old);
    return old != NULL;
}

size_t acl_set_count(const struct acl_set *s)
{
    return map_count(&s->rules);
}

void acl_set_each(const struct acl_set *s, bool (*fn)(void *ctx, const struct acl_rule *r), void *ctx)
{
    for (struct map_entry *e = map_first(&s->rules); e; e = map_next(&s->rules, e)) {
        const struct set_rule *r = e->value;
        if (!fn(ctx, &r->rule))
            return;
    }
}
