/* SPDX-License-Identifier: Apache-2.0
 * Records staged in an overlay. A record that cannot be kept or applied sets the stage's error, which whoever commits
 * must have looked at. */
#include "registry/change_staged.h"

#include <stdlib.h>

static void stage(void *ctx, struct slice key, struct slice value)
{
    struct staged *s = ctx;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct staged_record *records = realloc(s->records, cap * sizeof *records);
        if (!records) {
            s->error = ERR_NO_MEMORY;
            return;
        }
        s->records = records;
        s->cap = cap;
    }
    struct staged_record *r = &s->records[s->n++];
    buf_init(&r->key, 0);
    buf_init(&r->value, 0);
    buf_put_slice(&r->key, key);
    buf_put_slice(&r->value, value);
    r->tombstone = slice_is_null(value);
    enum err e = store_apply(&s->over, key, value, 0, NULL);
    if (buf_error(&r->key) || buf_error(&r->value) || e)
        s->error = e ? e : ERR_NO_MEMORY;
}

void staged_init(struct staged *s, const struct decision *d)
{
    *s = (struct staged){.d = *d};
    store_init(&s->over, d->store);
    s->d.store = &s->over;
    s->d.emit = stage;
    s->d.emit_ctx = s;
}

void staged_free(struct staged *s)
{
    store_free(&s->over);
    for (size_t i = 0; i < s->n; i++) {
        buf_free(&s->records[i].key);
        buf_free(&s->records[i].value);
    }
    free(s->records);
}

void staged_commit(const struct staged *s, struct decision *d)
{
    for (size_t i = 0; i < s->n; i++)
        d->emit(d->emit_ctx, buf_slice(&s->records[i].key),
                s->records[i].tombstone ? SLICE_NULL : buf_slice(&s->records[i].value));
}
