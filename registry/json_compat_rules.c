/* SPDX-License-Identifier: Apache-2.0
 * Comparing what one kind of schema says: lengths, limits, enumerations, and the parts of combined schemas, where the
 * parts of both sides are matched to one another so that as many as possible find a compatible partner. */
#include "registry/json_compat_diff.h"

#include <stdio.h>

void diff_count(const struct diff_at *at, const char *name, uint64_t older, uint64_t newer, struct diff_change change)
{
    if (older == newer)
        return;
    if (older == JSON_COUNT_NONE)
        diff_add_below(at, name, change.added);
    else if (newer == JSON_COUNT_NONE)
        diff_add_below(at, name, change.removed);
    else
        diff_add_below(at, name, older < newer ? change.increased : change.decreased);
}

void diff_strings(const struct diff_at *at, const struct shape *older, const struct shape *newer)
{
    static const struct json_string_rules none = {.min = JSON_COUNT_NONE, .max = JSON_COUNT_NONE};
    const struct json_string_rules *a = older->rules.string ? older->rules.string : &none;
    const struct json_string_rules *b = newer->rules.string ? newer->rules.string : &none;
    diff_count(at, "maxLength", a->max, b->max,
               (struct diff_change){JSON_DIFF_MAX_LENGTH_ADDED, JSON_DIFF_MAX_LENGTH_REMOVED,
                                    JSON_DIFF_MAX_LENGTH_INCREASED, JSON_DIFF_MAX_LENGTH_DECREASED});
    diff_count(at, "minLength", a->min, b->min,
               (struct diff_change){JSON_DIFF_MIN_LENGTH_ADDED, JSON_DIFF_MIN_LENGTH_REMOVED,
                                    JSON_DIFF_MIN_LENGTH_INCREASED, JSON_DIFF_MIN_LENGTH_DECREASED});
    if (!a->pattern && b->pattern)
        diff_add_below(at, "pattern", JSON_DIFF_PATTERN_ADDED);
    else if (a->pattern && !b->pattern)
        diff_add_below(at, "pattern", JSON_DIFF_PATTERN_REMOVED);
    else if (a->pattern && !slice_eq(a->pattern_text, b->pattern_text))
        diff_add_below(at, "pattern", JSON_DIFF_PATTERN_CHANGED);
}

static void diff_limit(const struct diff_at *at, const char *name, const struct json_limit *a,
                       const struct json_limit *b, struct diff_change change)
{
    if (!a->set && !b->set)
        return;
    if (!a->set || !b->set) {
        diff_add_below(at, name, b->set ? change.added : change.removed);
        return;
    }
    double older = json_number_double(a->text), newer = json_number_double(b->text); /* as the reference does */
    if (older < newer)
        diff_add_below(at, name, change.increased);
    else if (older > newer)
        diff_add_below(at, name, change.decreased);
}

static void diff_multiple(const struct diff_at *at, const struct json_limit *a, const struct json_limit *b)
{
    enum json_difference type = JSON_DIFF_MULTIPLE_OF_CHANGED;
    if ((!a->set && !b->set) || (a->set && b->set && json_number_cmp(&a->number, &b->number) == 0))
        return;
    if (!a->set)
        type = JSON_DIFF_MULTIPLE_OF_ADDED;
    else if (!b->set)
        type = JSON_DIFF_MULTIPLE_OF_REMOVED;
    else if (json_number_is_multiple(&b->number, &a->number))
        type = JSON_DIFF_MULTIPLE_OF_EXPANDED;
    else if (json_number_is_multiple(&a->number, &b->number))
        type = JSON_DIFF_MULTIPLE_OF_REDUCED;
    diff_add_below(at, "multipleOf", type);
}

void diff_numbers(const struct diff_at *at, const struct shape *older, const struct shape *newer)
{
    static const struct json_number_rules none;
    const struct json_number_rules *a = older->rules.number ? older->rules.number : &none;
    const struct json_number_rules *b = newer->rules.number ? newer->rules.number : &none;
    diff_limit(at, "maximum", &a->maximum, &b->maximum,
               (struct diff_change){JSON_DIFF_MAXIMUM_ADDED, JSON_DIFF_MAXIMUM_REMOVED, JSON_DIFF_MAXIMUM_INCREASED,
                                    JSON_DIFF_MAXIMUM_DECREASED});
    diff_limit(at, "minimum", &a->minimum, &b->minimum,
               (struct diff_change){JSON_DIFF_MINIMUM_ADDED, JSON_DIFF_MINIMUM_REMOVED, JSON_DIFF_MINIMUM_INCREASED,
                                    JSON_DIFF_MINIMUM_DECREASED});
    diff_limit(at, "exclusiveMaximum", &a->exclusive_maximum, &b->exclusive_maximum,
               (struct diff_change){JSON_DIFF_EXCLUSIVE_MAXIMUM_ADDED, JSON_DIFF_EXCLUSIVE_MAXIMUM_REMOVED,
                                    JSON_DIFF_EXCLUSIVE_MAXIMUM_INCREASED, JSON_DIFF_EXCLUSIVE_MAXIMUM_DECREASED});
    diff_limit(at, "exclusiveMinimum", &a->exclusive_minimum, &b->exclusive_minimum,
               (struct diff_change){JSON_DIFF_EXCLUSIVE_MINIMUM_ADDED, JSON_DIFF_EXCLUSIVE_MINIMUM_REMOVED,
                                    JSON_DIFF_EXCLUSIVE_MINIMUM_INCREASED, JSON_DIFF_EXCLUSIVE_MINIMUM_DECREASED});
    diff_multiple(at, &a->multiple_of, &b->multiple_of);
    if (older->integer != newer->integer)
        diff_add(at, older->integer ? JSON_DIFF_TYPE_EXTENDED : JSON_DIFF_TYPE_NARROWED);
}

/* Is every value of `some` among `all`? */
static bool contains_all(struct diff *d, const struct jvalue *all, const struct jvalue *some)
{
    uint64_t *hashes = arena_array(d->arena, all->n ? all->n : 1, sizeof *hashes);
    if (!hashes)
        return diff_fail(d, ERR_NO_MEMORY, "out of memory comparing schemas");
    for (uint32_t i = 0; i < all->n; i++)
        hashes[i] = json_text_hash(&all->u.items[i]);
    for (uint32_t i = 0; i < some->n; i++) {
        uint64_t h = json_text_hash(&some->u.items[i]);
        uint32_t j = 0;
        if (!diff_spend(d, 1 + all->n / 16))
            return false;
        while (j < all->n && !(hashes[j] == h && json_text_equal_java(&all->u.items[j], &some->u.items[i])))
            j++;
        if (j == all->n)
            return false;
    }
    return true;
}

void diff_enums(const struct diff_at *at, const struct jvalue *older, const struct jvalue *newer)
{
    bool more = contains_all(at->diff, newer, older), fewer = contains_all(at->diff, older, newer);
    if (more && fewer)
        return;
    diff_add_below(at, "enum",
                   more    ? JSON_DIFF_ENUM_ARRAY_EXTENDED
                   : fewer ? JSON_DIFF_ENUM_ARRAY_NARROWED
                           : JSON_DIFF_ENUM_ARRAY_CHANGED);
}

/* Matching the parts of two combined schemas. */
struct matching {
    uint32_t older_n, newer_n;
    struct diff_list **edges; /* older_n x newer_n; NULL: no compatible pair */
    uint32_t *partner;        /* of a newer part: older part + 1 */
    uint8_t *tried;
};

static bool find_partner(struct matching *m, uint32_t i)
{
    for (uint32_t j = 0; j < m->newer_n; j++) {
        if (!m->edges[(size_t)i * m->newer_n + j] || m->tried[j])
            continue;
        m->tried[j] = 1;
        if (!m->partner[j] || find_partner(m, m->partner[j] - 1)) {
            m->partner[j] = i + 1;
            return true;
        }
    }
    return false;
}

static const char *criterion_name(enum shape_criterion c)
{
    static const char *const names[] = {"allOf", "anyOf", "oneOf"};
    return names[c];
}

static bool find_edges(const struct diff_at *at, struct shape *a, struct shape *b, struct matching *m)
{
    for (uint32_t i = 0; i < a->unique_n; i++) {
        char segment[32];
        snprintf(segment, sizeof segment, "%s/%u", criterion_name(a->criterion), i);
        struct diff_path path = {.up = at->path, .segment = slice_str(segment)};
        struct diff_at below = *at;
        below.path = &path;
        for (uint32_t j = 0; j < b->unique_n; j++) {
            struct diff_list found = {0}, *kept;
            if (diff_shapes_apart(&below, a->unique[i], b->unique[j], &found)) {
                if (!(kept = arena_alloc(at->diff->arena, sizeof *kept)))
                    return diff_fail(at->diff, ERR_NO_MEMORY, "out of memory comparing schemas");
                *kept = found;
                m->edges[(size_t)i * m->newer_n + j] = kept;
            }
            if (at->diff->error != ERR_OK)
                return false;
        }
    }
    return true;
}

static void match_parts(const struct diff_at *at, struct shape *a, struct shape *b)
{
    struct matching m = {.older_n = a->unique_n, .newer_n = b->unique_n};
    uint32_t matched = 0;
    if (!diff_spend(at->diff, (uint64_t)a->unique_n * b->unique_n))
        return;
    m.edges = arena_array(at->diff->arena, (size_t)a->unique_n * b->unique_n + 1, sizeof *m.edges);
    m.partner = arena_array(at->diff->arena, b->unique_n + 1, sizeof *m.partner);
    m.tried = arena_array(at->diff->arena, b->unique_n + 1, 1);
    if (!m.edges || !m.partner || !m.tried) {
        diff_fail(at->diff, ERR_NO_MEMORY, "out of memory comparing schemas");
        return;
    }
    if (!find_edges(at, a, b, &m))
        return;
    for (uint32_t i = 0; i < a->unique_n && diff_spend(at->diff, b->unique_n); i++) {
        memset(m.tried, 0, b->unique_n);
        matched += find_partner(&m, i);
    }
    for (uint32_t j = 0; j < b->unique_n; j++)
        if (m.partner[j])
            diff_append(at, m.edges[(size_t)(m.partner[j] - 1) * b->unique_n + j]);
    if (matched < (a->unique_n < b->unique_n ? a->unique_n : b->unique_n))
        diff_add(at, JSON_DIFF_COMBINED_TYPE_SUBSCHEMAS_CHANGED);
}

void diff_combined(const struct diff_at *at, struct shape *a, struct shape *b)
{
    if (a->criterion != b->criterion) {
        bool wider = b->criterion == SHAPE_ANY_OF || (a->n == 1 && b->n == 1) ||
                     (a->n == 1 && b->criterion == SHAPE_ONE_OF) || (b->n == 1 && a->criterion == SHAPE_ALL_OF);
        diff_add(at, wider ? JSON_DIFF_COMBINED_TYPE_EXTENDED : JSON_DIFF_COMBINED_TYPE_CHANGED);
        if (!wider)
            return;
    }
    if (a->unique_n < b->unique_n)
        diff_add(at, b->criterion == SHAPE_ALL_OF ? JSON_DIFF_PRODUCT_TYPE_EXTENDED : JSON_DIFF_SUM_TYPE_EXTENDED);
    else if (a->unique_n > b->unique_n)
        diff_add(at, a->criterion == SHAPE_ALL_OF ? JSON_DIFF_PRODUCT_TYPE_NARROWED : JSON_DIFF_SUM_TYPE_NARROWED);
    match_parts(at, a, b);
}
