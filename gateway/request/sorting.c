/* SPDX-License-Identifier: Apache-2.0
 * From below: runs of one are merged to runs of two, and so on; a pass moves every place from one array to the other.
 */
#include "gateway/request/sorting.h"

#include <assert.h>

static int32_t least(int64_t a, int32_t b)
{
    return a < b ? (int32_t)a : b;
}

/* The next two runs of the pass. */
static void open_runs(struct sorting *s)
{
    s->left = s->at;
    s->middle = s->right = least((int64_t)s->at + s->width, s->n);
    s->end = least((int64_t)s->middle + s->width, s->n);
}

bool sorting_begin(struct sorting *s, int32_t n, struct arena *a)
{
    assert(n >= 0);
    *s = (struct sorting){.n = n, .width = 1};
    s->sorted = arena_array_unset(a, (size_t)n, sizeof *s->sorted);
    s->into = arena_array_unset(a, (size_t)n, sizeof *s->into);
    if (!s->sorted || !s->into)
        return false;
    for (int32_t i = 0; i < n; i++)
        s->sorted[i] = i;
    open_runs(s);
    return true;
}

static void end_pass(struct sorting *s)
{
    int32_t *done = s->into;

    s->into = s->sorted;
    s->sorted = done;
    s->width = least((int64_t)s->width * 2, s->n);
    s->at = 0;
}

bool sorting_next(struct sorting *s, int (*compare)(const void *list, int32_t a, int32_t b), const void *list)
{
    bool left;

    if (s->width >= s->n)
        return false;
    left = s->left < s->middle && (s->right == s->end || compare(list, s->sorted[s->left], s->sorted[s->right]) <= 0);
    s->into[s->at++] = s->sorted[left ? s->left++ : s->right++];
    if (s->at == s->n)
        end_pass(s);
    if (s->at == s->end || s->at == 0)
        open_runs(s);
    return true;
}
