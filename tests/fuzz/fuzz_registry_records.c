/* SPDX-License-Identifier: Apache-2.0
 * Input: records of `_schemas`, a line with a key, a line with a value ("~" for none), and so on. Whatever they are:
 * the store keeps its order, an id stands for one schema, what is set right stays right, and what the store holds,
 * written as our records, reads as the same again. */
#include "registry/store_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

#include <stdlib.h>

enum { RECORDS_MAX = 200, REPAIRS_MAX = 1000 };

static void apply(struct store *s, struct slice key, struct slice value)
{
    struct reason why;
    (void)!store_apply(s, key, value, 7, &why);
}

/* --- what is set right stays right --- */

struct writes {
    struct buf keys[REPAIRS_MAX], values[REPAIRS_MAX];
    bool null[REPAIRS_MAX];
    size_t n;
};

static void collect(void *ctx, struct slice key, struct slice value)
{
    struct writes *w = ctx;
    if (w->n == REPAIRS_MAX)
        return;
    buf_init(&w->keys[w->n], 0);
    buf_init(&w->values[w->n], 0);
    buf_put_slice(&w->keys[w->n], key);
    buf_put_slice(&w->values[w->n], slice_is_null(value) ? slice_str("") : value);
    w->null[w->n++] = slice_is_null(value);
}

static void check_repairs(struct store *s)
{
    for (int round = 0; store_wants_repair(s); round++) {
        struct writes *w = calloc(1, sizeof *w);
        if (!w)
            abort();
        store_repair(s, collect, w);
        bool all = w->n < REPAIRS_MAX;
        for (size_t i = 0; i < w->n; i++) {
            apply(s, buf_slice(&w->keys[i]), w->null[i] ? SLICE_NULL : buf_slice(&w->values[i]));
            buf_free(&w->keys[i]);
            buf_free(&w->values[i]);
        }
        free(w);
        FUZZ_EXPECT(round < 3 || !all);
        if (!all)
            return;
    }
}

/* --- what is held --- */

static bool check_subject(void *ctx, const struct subject *u)
{
    struct store *copy = ctx, *s = (struct store *)copy->base;
    struct buf key, value;
    copy->base = NULL;
    for (size_t i = 0; i < u->n; i++) {
        const struct version *v = &u->versions[i];
        const struct content *by_id = store_by_id(s, subject_parse(u->name).context, v->id);
        FUZZ_EXPECT(v->version > 0 && (!i || v[-1].version < v->version));
        FUZZ_EXPECT(by_id && store_same_text(&s->scratch, by_id->text, v->content->text));
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_schema_key(&key, u->name, v->version);
        record_schema_value(&value, u->name, v, v->deleted);
        FUZZ_EXPECT(store_apply(copy, buf_slice(&key), buf_slice(&value), 7, NULL) == ERR_OK);
        const struct version *again = subject_version(store_subject(copy, u->name), v->version);
        FUZZ_EXPECT(again && again->id == v->id && again->deleted == v->deleted &&
                    content_same(again->content, v->content));
        buf_free(&key);
        buf_free(&value);
    }
    copy->base = s;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of(data, n);
    struct store s, copy;
    store_init(&s, NULL);
    store_init(&copy, NULL);
    for (int i = 0; rest.n && i < RECORDS_MAX; i++) {
        struct slice key = next_line(&rest), value = next_line(&rest);
        apply(&s, key, slice_eq_str(value, "~") ? SLICE_NULL : value);
    }
    check_repairs(&s);
    copy.base = &s; /* only to hand it over */
    store_each_subject(&s, check_subject, &copy);
    copy.base = NULL;
    store_free(&copy);
    store_free(&s);
    return 0;
}
