/* SPDX-License-Identifier: Apache-2.0
 * The list of decided records. Slices it hands out are valid until the next record is added. */
#include "broker/core/record_list.h"

enum { RECORD_LIST_BYTES_MAX = 64 * 1024 * 1024, NULL_KEY = 1, NULL_VALUE = 2 };

struct place {
    size_t key, value, end;
    int nulls;
};

void record_list_init(struct record_list *l)
{
    buf_init(&l->bytes, RECORD_LIST_BYTES_MAX);
    buf_init(&l->ends, RECORD_LIST_BYTES_MAX);
    l->count = 0;
}

void record_list_free(struct record_list *l)
{
    buf_free(&l->bytes);
    buf_free(&l->ends);
    l->count = 0;
}

void record_list_clear(struct record_list *l)
{
    buf_clear(&l->bytes);
    buf_clear(&l->ends);
    l->count = 0;
}

enum err record_list_error(const struct record_list *l)
{
    return l->bytes.error ? l->bytes.error : l->ends.error;
}

struct buf *record_list_begin(struct record_list *l)
{
    struct place p = {l->bytes.n, l->bytes.n, l->bytes.n, NULL_KEY};
    buf_put(&l->ends, &p, sizeof p);
    return &l->bytes;
}

void record_list_end(struct record_list *l)
{
    struct place *p;
    if (record_list_error(l))
        return;
    p = (struct place *)(void *)(l->ends.p + l->ends.n - sizeof *p);
    p->end = l->bytes.n;
    l->count++;
}

void record_list_add(struct record_list *l, struct slice key, struct slice value)
{
    struct place p = {.key = l->bytes.n, .nulls = (key.p ? 0 : NULL_KEY) | (value.p ? 0 : NULL_VALUE)};

    buf_put_slice(&l->bytes, key);
    p.value = l->bytes.n;
    buf_put_slice(&l->bytes, value);
    p.end = l->bytes.n;
    buf_put(&l->ends, &p, sizeof p);
    if (!record_list_error(l))
        l->count++;
}

static const struct place *place_at(const struct record_list *l, size_t i)
{
    return (const struct place *)(const void *)(l->ends.p + i * sizeof(struct place));
}

struct slice record_list_key(const struct record_list *l, size_t i)
{
    const struct place *p = place_at(l, i);
    return p->nulls & NULL_KEY ? SLICE_NULL : slice_of(l->bytes.p + p->key, p->value - p->key);
}

struct slice record_list_value(const struct record_list *l, size_t i)
{
    const struct place *p = place_at(l, i);
    return p->nulls & NULL_VALUE ? SLICE_NULL : slice_of(l->bytes.p + p->value, p->end - p->value);
}
