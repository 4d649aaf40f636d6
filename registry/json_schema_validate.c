/* SPDX-License-Identifier: Apache-2.0
 * Validating a document against a compiled schema. One call walks schema and document together; a verdict is a bool, a
 * limit or lack of memory stops everything through `error`. The first failure outside a trial (anyOf, oneOf, not, if,
 * contains) is put into words. Where unevaluatedItems or unevaluatedProperties need it, each subschema reports which
 * children of the value it looked at in an array of flags (`seen`), merged into the caller's when it accepts.
 * Everything it writes is on its own stack: a compiled schema serves many threads at once. */
#include "registry/json_schema_graph.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEN_INLINE = 64, PLACE_SHOWN_MAX = 20 };

struct place {
    const struct place *up;
    struct slice name; /* null: `index` */
    uint32_t index;
};

struct scope {
    const struct scope *up;
    const struct json_resource *resource;
};

struct check {
    const struct json_schema *schema;
    uint64_t work;
    uint32_t depth, trials;
    enum err error;
    struct json_regex_scratch regex;
    struct reason *why;
};

/* What one subschema is checked against. */
struct target {
    const struct jvalue *value;
    const struct place *place;
    const struct scope *scope;
    uint8_t *seen; /* one flag per child, or NULL */
};

static bool check_node(struct check *c, const struct json_node *n, const struct target *t);

static bool stop(struct check *c, enum err e, const char *what)
{
    if (c->error == ERR_OK)
        c->error = reason_set(c->why, e, "%s", what);
    return false;
}

static void put_place(char *out, size_t size, const struct place *p)
{
    const struct place *up[PLACE_SHOWN_MAX];
    size_t n = 0, at = (size_t)snprintf(out, size, "#");
    for (; p && n < PLACE_SHOWN_MAX; p = p->up)
        up[n++] = p;
    if (p)
        at += (size_t)snprintf(out + at, size - at, "/...");
    while (n-- && at < size) {
        if (slice_is_null(up[n]->name))
            at += (size_t)snprintf(out + at, size - at, "/%u", up[n]->index);
        else
            at += (size_t)snprintf(out + at, size - at, "/%.*s", SLICE_FMT(up[n]->name));
    }
}

static bool fail(struct check *c, const struct target *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool fail(struct check *c, const struct target *t, const char *fmt, ...)
{
    char place[160], text[240];
    va_list ap;
    if (c->trials || c->error != ERR_OK || !c->why || c->why->code != ERR_OK)
        return false;
    put_place(place, sizeof place, t->place);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)reason_set(c->why, ERR_INVALID_RECORD, "%s: %s", place, text);
    return false;
}

static bool spend(struct check *c, uint64_t steps)
{
    if (c->work < steps)
        return stop(c, ERR_LIMIT_EXCEEDED, "validating takes more steps than the limit allows");
    c->work -= steps;
    return true;
}

/* A subschema whose refusal is no failure of the whole. */
static bool try_node(struct check *c, const struct json_node *n, const struct target *t)
{
    c->trials++;
    bool ok = check_node(c, n, t);
    c->trials--;
    return ok;
}

static bool is_container(const struct jvalue *v)
{
    return v->kind == J_ARRAY || v->kind == J_OBJECT;
}

static bool is_integer(const struct json_node *n, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.n && plain; i++)
        plain = text.p[i] == '-' || (text.p[i] >= '0' && text.p[i] <= '9');
    if (plain || n->resource->draft == JSON_DRAFT_4)
        return plain;
    struct json_number number = json_number_of(text);
    return json_number_is_integer(&number);
}

static bool check_type(struct check *c, const struct json_node *n, const struct target *t)
{
    static const uint8_t of_kind[] = {JSON_TYPE_NULL,   JSON_TYPE_BOOLEAN, JSON_TYPE_BOOLEAN, JSON_TYPE_NUMBER,
                                      JSON_TYPE_STRING, JSON_TYPE_ARRAY,   JSON_TYPE_OBJECT};
    if (n->types == 0 || (n->types & of_kind[t->value->kind]))
        return true;
    if (t->value->kind == J_NUMBER && (n->types & JSON_TYPE_INTEGER) && is_integer(n, t->value->u.text))
        return true;
    char names[80] = "";
    size_t at = 0;
    static const char *const all[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    for (unsigned i = 0; i < 7 && at < sizeof names; i++)
        if (n->types & 1u << i)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", all[i]);
    return fail(c, t, "expected type: %s, found: %s", names, json_text_kind_name(t->value->kind));
}

static bool check_values(struct check *c, const struct json_node *n, const struct target *t)
{
    bool found = false;
    if (n->constant && !json_text_equal(n->constant, t->value))
        return fail(c, t, "the value is not the constant of the schema");
    if (!n->enumeration)
        return true;
    if (!spend(c, n->enumeration->n))
        return false;
    for (uint32_t i = 0; i < n->enumeration->n && !found; i++)
        found = json_text_equal(&n->enumeration->u.items[i], t->value);
    return found || fail(c, t, "the value is not one of the schema's enum");
}

static bool check_number(struct check *c, const struct json_node *n, const struct target *t)
{
    const struct json_number_rules *r = n->number;
    struct json_number v;
    int cmp;
    if (!r || t->value->kind != J_NUMBER)
        return true;
    v = json_number_of(t->value->u.text);
    if (r->minimum.set && ((cmp = json_number_cmp(&v, &r->minimum.number)) < 0 || (cmp == 0 && r->minimum_excluded)))
        return fail(c, t, "%.*s is below minimum %.*s", SLICE_FMT(t->value->u.text), SLICE_FMT(r->minimum.text));
    if (r->maximum.set && ((cmp = json_number_cmp(&v, &r->maximum.number)) > 0 || (cmp == 0 && r->maximum_excluded)))
        return fail(c, t, "%.*s is above maximum %.*s", SLICE_FMT(t->value->u.text), SLICE_FMT(r->maximum.text));
    if (r->exclusive_minimum.set && json_number_cmp(&v, &r->exclusive_minimum.number) <= 0)
        return fail(c, t, "%.*s is not above exclusiveMinimum %.*s", SLICE_FMT(t->value->u.text),
                    SLICE_FMT(r->exclusive_minimum.text));
    if (r->exclusive_maximum.set && json_number_cmp(&v, &r->exclusive_maximum.number) >= 0)
        return fail(c, t, "%.*s is not below exclusiveMaximum %.*s", SLICE_FMT(t->value->u.text),
                    SLICE_FMT(r->exclusive_maximum.text));
    if (r->multiple_of.set && !json_number_is_multiple(&v, &r->multiple_of.number))
        return fail(c, t, "%.*s is not a multiple of %.*s", SLICE_FMT(t->value->u.text),
                    SLICE_FMT(r->multiple_of.text));
    return true;
}

static uint64_t characters(struct slice s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool search(struct check *c, const struct json_regex *r, struct slice s)
{
    bool found = false;
    if (!spend(c, 1 + s.n / 64))
        return false;
    enum err e = json_regex_search(r, s, &c->regex, &found);
    if (e != ERR_OK)
        return stop(c, e, "a regular expression of the schema takes too many steps");
    return found;
}

static bool check_string(struct check *c, const struct json_node *n, const struct target *t)
{
    const struct json_string_rules *r = n->string;
    struct slice s = t->value->u.text;
    if (!r || t->value->kind != J_STRING)
        return true;
    if (r->min != JSON_COUNT_NONE || r->max != JSON_COUNT_NONE) {
        uint64_t length = characters(s);
        if (r->min != JSON_COUNT_NONE && length < r->min)
            return fail(c, t, "expected minLength: %llu, actual: %llu", (unsigned long long)r->min,
                        (unsigned long long)length);
        if (length > r->max)
            return fail(c, t, "expected maxLength: %llu, actual: %llu", (unsigned long long)r->max,
                        (unsigned long long)length);
    }
    if (r->pattern && !search(c, r->pattern, s))
        return fail(c, t, "the string does not match pattern %.*s", SLICE_FMT(r->pattern_text));
    if (r->assert_format && !json_format_check(r->format, s))
        return fail(c, t, "the string is not a valid %.*s", SLICE_FMT(r->format));
    return true;
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (x[0] > y[0]) - (x[0] < y[0]);
}

static bool check_unique(struct check *c, const struct target *t)
{
    const struct jvalue *v = t->value;
    bool unique = true;
    if (v->n < 2)
        return true;
    uint64_t(*hashes)[2] = calloc(v->n, sizeof *hashes);
    if (!hashes)
        return stop(c, ERR_NO_MEMORY, "out of memory validating");
    for (uint32_t i = 0; i < v->n; i++) {
        hashes[i][0] = json_text_hash(&v->u.items[i]);
        hashes[i][1] = i;
    }
    qsort(hashes, v->n, sizeof *hashes, by_hash);
    /* equal hashes are next to one another; compare within a run, every comparison costing a step */
    for (uint32_t i = 0; i < v->n && unique; i++)
        for (uint32_t j = i + 1; j < v->n && hashes[j][0] == hashes[i][0] && unique; j++)
            unique = spend(c, 1) && !json_text_equal(&v->u.items[hashes[i][1]], &v->u.items[hashes[j][1]]);
    free(hashes);
    return unique || fail(c, t, "array items are not unique");
}

static bool check_item(struct check *c, const struct json_node *n, const struct target *t, uint32_t i)
{
    struct place place = {.up = t->place, .index = i};
    struct target item = {.value = &t->value->u.items[i], .place = &place, .scope = t->scope};
    if (!check_node(c, n, &item))
        return false;
    if (t->seen)
        t->seen[i] = 1;
    return true;
}

static bool check_contains(struct check *c, const struct json_node *n, const struct target *all)
{
    const struct json_array_rules *r = n->array;
    struct target own = *all, *t = &own;
    uint64_t found = 0, min = r->min_contains == JSON_COUNT_NONE ? 1 : r->min_contains;
    if (!r->contains)
        return true;
    if (n->resource->draft < JSON_DRAFT_2020_12)
        own.seen = NULL; /* only from 2020-12 on does `contains` count as having looked */
    for (uint32_t i = 0; i < t->value->n && c->error == ERR_OK; i++) {
        c->trials++;
        found += check_item(c, r->contains, t, i);
        c->trials--;
        if (found >= min && r->max_contains == JSON_COUNT_NONE && !t->seen)
            break;
    }
    if (c->error != ERR_OK)
        return false;
    if (found < min || found > r->max_contains)
        return fail(c, t, "%llu items match contains", (unsigned long long)found);
    return true;
}

static bool check_array(struct check *c, const struct json_node *n, const struct target *t)
{
    const struct json_array_rules *r = n->array;
    const struct jvalue *v = t->value;
    uint32_t i = 0;
    if (!r || v->kind != J_ARRAY)
        return true;
    if (r->min != JSON_COUNT_NONE && v->n < r->min)
        return fail(c, t, "expected minimum item count: %llu, found: %u", (unsigned long long)r->min, v->n);
    if (v->n > r->max)
        return fail(c, t, "expected maximum item count: %llu, found: %u", (unsigned long long)r->max, v->n);
    for (; i < v->n && i < r->prefix.n; i++)
        if (!check_item(c, r->prefix.v[i], t, i))
            return false;
    const struct json_node *rest = r->items ? r->items : r->tuple ? r->additional : NULL;
    for (; rest && i < v->n; i++)
        if (!check_item(c, rest, t, i))
            return false;
    if (r->unique && !check_unique(c, t))
        return false;
    return check_contains(c, n, t);
}

static bool check_member(struct check *c, const struct json_node *n, const struct target *t, uint32_t i)
{
    const struct jmember *m = &t->value->u.object.members[i];
    struct place place = {.up = t->place, .name = m->name};
    struct target member = {.value = &m->value, .place = &place, .scope = t->scope};
    if (!check_node(c, n, &member))
        return false;
    if (t->seen)
        t->seen[i] = 1;
    return true;
}

static bool check_name(struct check *c, const struct json_node *n, const struct target *t, uint32_t i)
{
    struct jvalue name = {.kind = J_STRING, .u.text = t->value->u.object.members[i].name};
    struct target target = {.value = &name, .place = t->place, .scope = t->scope};
    return check_node(c, n, &target);
}

static bool check_members(struct check *c, const struct json_object_rules *r, const struct target *t)
{
    const struct jvalue *v = t->value;
    uint32_t required = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        const struct json_property *p = json_property_find(r, m->name);
        bool covered = p && p->node;
        required += p && p->required;
        if (covered && !check_member(c, p->node, t, i))
            return false;
        for (uint32_t k = 0; k < r->patterns_n; k++)
            if (search(c, r->patterns[k].regex, m->name)) {
                covered = true;
                if (!check_member(c, r->patterns[k].node, t, i))
                    return false;
            } else if (c->error != ERR_OK) {
                return false;
            }
        if (!covered && r->additional) {
            if (r->additional->boolean && !r->additional->accept)
                return fail(c, t, "extraneous key [%.*s] is not permitted", SLICE_FMT(m->name));
            if (!check_member(c, r->additional, t, i))
                return false;
        }
        if (r->names && !check_name(c, r->names, t, i))
            return false;
    }
    if (required == r->required_n)
        return true;
    for (uint32_t i = 0; i < r->properties_n; i++)
        if (r->properties[i].required && !json_text_get(v, r->properties[i].name))
            return fail(c, t, "required key [%.*s] not found", SLICE_FMT(r->properties[i].name));
    return true;
}

static bool check_dependencies(struct check *c, const struct json_object_rules *r, const struct target *t)
{
    for (uint32_t i = 0; i < r->dependencies_n; i++) {
        const struct json_dependency *d = &r->dependencies[i];
        if (!json_text_get(t->value, d->name))
            continue;
        if (d->node && !check_node(c, d->node, t))
            return false;
        for (uint32_t k = 0; k < d->names.n; k++)
            if (!json_text_get(t->value, d->names.v[k]))
                return fail(c, t, "property [%.*s] is required", SLICE_FMT(d->names.v[k]));
    }
    return true;
}

static bool check_object(struct check *c, const struct json_node *n, const struct target *t)
{
    const struct json_object_rules *r = n->object;
    if (!r || t->value->kind != J_OBJECT)
        return true;
    if (r->min != JSON_COUNT_NONE && t->value->n < r->min)
        return fail(c, t, "minimum size: [%llu], found: [%u]", (unsigned long long)r->min, t->value->n);
    if (t->value->n > r->max)
        return fail(c, t, "maximum size: [%llu], found: [%u]", (unsigned long long)r->max, t->value->n);
    return spend(c, t->value->n) && check_members(c, r, t) && check_dependencies(c, r, t);
}

static bool check_combined(struct check *c, const struct json_node *n, const struct target *t)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < n->all_of.n; i++)
        if (!check_node(c, n->all_of.v[i], t))
            return false;
    for (uint32_t i = 0; i < n->any_of.n && c->error == ERR_OK && (!matched || t->seen); i++)
        matched += try_node(c, n->any_of.v[i], t);
    if (c->error != ERR_OK || (n->any_of.v && !matched))
        return fail(c, t, "no subschema matched out of the total %u subschemas", n->any_of.n);
    matched = 0;
    for (uint32_t i = 0; i < n->one_of.n && c->error == ERR_OK && matched < 2; i++)
        matched += try_node(c, n->one_of.v[i], t);
    if (c->error != ERR_OK || (n->one_of.v && matched != 1))
        return fail(c, t, "%u subschemas matched instead of one", matched);
    return true;
}

static bool check_conditions(struct check *c, const struct json_node *n, const struct target *t)
{
    if (n->not_) {
        struct target blind = *t;
        blind.seen = NULL;
        if (try_node(c, n->not_, &blind))
            return fail(c, t, "subject must not be valid against schema");
        if (c->error != ERR_OK)
            return false;
    }
    if (!n->if_)
        return true;
    bool yes = try_node(c, n->if_, t);
    const struct json_node *next = yes ? n->then_ : n->else_;
    return c->error == ERR_OK && (!next || check_node(c, next, t));
}

/* $dynamicRef and $recursiveRef: the outermost resource of the dynamic scope that has the anchor. */
static const struct json_node *dynamic_target(const struct json_node *n, const struct scope *scope)
{
    const struct json_node *target = n->dynamic_ref;
    for (; scope; scope = scope->up) {
        if (n->recursive && scope->resource->recursive_anchor) {
            target = scope->resource->root_node;
        } else if (!slice_is_null(n->dynamic_name)) {
            struct json_anchor *a = json_resource_anchor(scope->resource, n->dynamic_name, true);
            if (a)
                target = a->node;
        }
    }
    return target;
}

static bool check_refs(struct check *c, const struct json_node *n, const struct target *t)
{
    if (n->ref && !check_node(c, n->ref, t))
        return false;
    if (!n->dynamic_ref)
        return true;
    if (!n->recursive && slice_is_null(n->dynamic_name))
        return check_node(c, n->dynamic_ref, t);
    return check_node(c, dynamic_target(n, t->scope), t);
}

static bool check_keywords(struct check *c, const struct json_node *n, const struct target *t)
{
    return check_type(c, n, t) && check_refs(c, n, t) && check_values(c, n, t) && check_number(c, n, t) &&
           check_string(c, n, t) && check_array(c, n, t) && check_object(c, n, t) && check_combined(c, n, t) &&
           check_conditions(c, n, t);
}

static bool check_unevaluated(struct check *c, const struct json_node *n, const struct target *t)
{
    const struct json_node *rest = t->value->kind == J_OBJECT ? (n->object ? n->object->unevaluated : NULL)
                                                              : (n->array ? n->array->unevaluated : NULL);
    for (uint32_t i = 0; rest && i < t->value->n; i++) {
        if (t->seen[i])
            continue;
        if (!(t->value->kind == J_OBJECT ? check_member(c, rest, t, i) : check_item(c, rest, t, i)))
            return fail(c, t, "a property or item that no schema evaluated is not permitted");
    }
    return true;
}

/* With flags of its own: what cousins looked at does not count. */
static bool check_seeing(struct check *c, const struct json_node *n, const struct target *t)
{
    uint8_t inline_seen[SEEN_INLINE] = {0}, *seen = inline_seen;
    struct target own = *t;
    bool ok;
    if (t->value->n > SEEN_INLINE && !(seen = calloc(t->value->n, 1)))
        return stop(c, ERR_NO_MEMORY, "out of memory validating");
    own.seen = seen;
    ok = check_keywords(c, n, &own) && check_unevaluated(c, n, &own);
    for (uint32_t i = 0; ok && t->seen && i < t->value->n; i++)
        t->seen[i] |= seen[i];
    if (seen != inline_seen)
        free(seen);
    return ok;
}

static bool check_node(struct check *c, const struct json_node *n, const struct target *t)
{
    struct scope inner = {.up = t->scope, .resource = n->resource};
    struct target scoped;
    bool ok;
    if (!spend(c, 1))
        return false;
    if (n->boolean)
        return n->accept || fail(c, t, "false schema always fails");
    if (c->depth == JSON_SCHEMA_DEPTH_MAX)
        return stop(c, ERR_LIMIT_EXCEEDED, "subschemas are nested deeper than the limit allows");
    if (c->schema->dynamic && (!t->scope || t->scope->resource != n->resource)) {
        scoped = *t;
        scoped.scope = &inner;
        t = &scoped;
    }
    c->depth++;
    ok = is_container(t->value) && (n->own_seen || t->seen) ? check_seeing(c, n, t) : check_keywords(c, n, t);
    c->depth--;
    return ok && c->error == ERR_OK;
}

enum err json_schema_validate(const struct json_schema *s, const struct jvalue *document, struct reason *why)
{
    struct check c = {.schema = s, .work = JSON_SCHEMA_WORK_MAX, .why = why};
    struct target t = {.value = document};
    bool ok;
    if (why)
        *why = (struct reason){0};
    ok = check_node(&c, s->root, &t);
    json_regex_scratch_free(&c.regex);
    if (c.error != ERR_OK)
        return c.error;
    if (ok)
        return ERR_OK;
    if (why && why->code == ERR_OK)
        return reason_set(why, ERR_INVALID_RECORD, "#: the document does not match the schema");
    return ERR_INVALID_RECORD;
}

enum err json_schema_validate_text(const struct json_schema *s, struct slice document, struct reason *why)
{
    struct arena a;
    struct jvalue *v;
    arena_init(&a, 0);
    enum err e = json_text_parse(&v, document, &a, why);
    if (e == ERR_OK)
        e = json_schema_validate(s, v, why);
    arena_free(&a);
    return e;
}
