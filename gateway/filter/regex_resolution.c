/* SPDX-License-Identifier: Apache-2.0
 * Resolving a pattern: one walk over the sorted topics beside the sorted explicit names, so that the result is sorted
 * without sorting it. It stops after the given number of steps and goes on where it was. The right to describe is asked
 * of what the pattern chose, and of the explicit names, which may have lost it since they were told. */
#include "gateway/filter/regex_members.h"

#include "gateway/filter/topic_regex.h"

#include <assert.h>
#include <stdlib.h>

enum { ASK_STEPS = 50 }; /* what asking for a right counts for */

void regex_resolution_free(struct regex_resolution *r)
{
    topic_regex_free(r->re);
    arena_free(&r->arena);
    free(r->names.v);
    *r = (struct regex_resolution){0};
}

static bool add_name(struct regex_resolution *r, struct slice name)
{
    struct slice copy;

    if (r->names.n && slice_eq(r->names.v[r->names.n - 1], name))
        return true;
    assert(!r->names.n || slice_cmp(r->names.v[r->names.n - 1], name) < 0);
    if (r->names.n == r->names_cap) {
        int32_t cap = r->names_cap ? r->names_cap * 2 : 16;
        struct slice *v = r->names_cap > INT32_MAX / 2 ? NULL : realloc(r->names.v, (size_t)cap * sizeof *v);
        if (!v)
            return false;
        r->names.v = v;
        r->names_cap = cap;
    }
    copy = arena_copy(&r->arena, name);
    if (slice_is_null(copy))
        return false;
    r->names.v[r->names.n++] = copy;
    return true;
}

/* The next of both lists: an explicit name, or a topic that the pattern chose. False: no memory. */
static bool take_next(struct regex_resolution *r, const struct slice *topic,
                      bool (*may_describe)(void *context, struct slice topic), void *context)
{
    struct slice *named = r->explicit_next < r->explicit_names.n ? &r->explicit_names.v[r->explicit_next] : NULL;

    r->steps++;
    if (named && (!topic || slice_cmp(*named, *topic) <= 0)) {
        r->explicit_next++;
        r->steps += ASK_STEPS;
        return !may_describe(context, *named) || add_name(r, *named);
    }
    r->topic_next++;
    if (!topic_regex_matches(r->re, *topic, &r->steps))
        return true;
    r->steps += ASK_STEPS;
    return !may_describe(context, *topic) || add_name(r, *topic);
}

enum regex_progress regex_resolution_step(struct regex_resolution *r, const struct slice *topics, size_t topics_n,
                                          bool (*may_describe)(void *context, struct slice topic), void *context,
                                          uint64_t steps, struct reason *why)
{
    uint64_t begin = r->steps;

    assert(r->topic_next <= topics_n);
    for (;;) {
        bool topics_left = r->re && r->topic_next < topics_n;
        if (!topics_left && r->explicit_next == r->explicit_names.n)
            return REGEX_DONE;
        if (r->steps - begin >= steps)
            return REGEX_AGAIN;
        assert(!topics_left || !r->topic_next || slice_cmp(topics[r->topic_next - 1], topics[r->topic_next]) < 0);
        if (!take_next(r, topics_left ? &topics[r->topic_next] : NULL, may_describe, context)) {
            (void)reason_set(why, ERR_NO_MEMORY, "no memory for the names of a pattern's topics");
            return REGEX_FAILED;
        }
        if (r->steps > REGEX_RESOLVE_STEPS_MAX) {
            (void)reason_set(why, ERR_INVALID_REGULAR_EXPRESSION,
                             "the pattern needs more than %d steps over the cluster's topics", REGEX_RESOLVE_STEPS_MAX);
            return REGEX_FAILED;
        }
    }
}
