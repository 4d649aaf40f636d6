/* SPDX-License-Identifier: Apache-2.0
 * Parsed schemas by reference count, and their cache: two generations, the older dropped when the younger is full. */
#include "registry/model.h"

#include <pthread.h>
#include <stdlib.h>

const struct schema_type_ops *model_ops(enum schema_type type)
{
    static const struct schema_type_ops *const ops[SCHEMA_TYPES] = {
#ifdef CASTELLAN_HAVE_AVRO
        [SCHEMA_AVRO] = &schema_type_avro,
#endif
#ifdef CASTELLAN_HAVE_JSON
        [SCHEMA_JSON] = &schema_type_json,
#endif
#ifdef CASTELLAN_HAVE_PROTOBUF
        [SCHEMA_PROTOBUF] = &schema_type_protobuf,
#endif
    };
    return ops[type];
}

enum err model_new(struct model **out, enum schema_type type, struct slice text, const struct schema_ref_text *refs,
                   size_t n, const struct schema_options *options, struct reason *why)
{
    const struct schema_type_ops *ops = model_ops(type);
    *out = NULL;
    if (!ops)
        return reason_set(why, ERR_UNSUPPORTED, "Invalid schema type %s", schema_type_name(type));
    struct model *m = calloc(1, sizeof *m);
    if (!m)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    atomic_init(&m->refs, 1);
    m->text_n = text.n;
    for (size_t i = 0; i < n; i++)
        m->text_n += refs[i].text.n;
    enum err e = schema_parse(&m->schema, ops, text, refs, n, options, why);
    if (e)
        free(m);
    else
        *out = m;
    return e;
}

struct model *model_ref(struct model *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void model_unref(struct model *m)
{
    if (m && atomic_fetch_sub(&m->refs, 1) == 1) {
        schema_free(m->schema);
        free(m);
    }
}

struct model_cache {
    pthread_mutex_t lock;
    struct map young, old;
    size_t max;
    size_t young_text; /* bytes of text the younger were made from */
};

struct model_cache *model_cache_new(size_t max)
{
    struct model_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    map_init(&c->young);
    map_init(&c->old);
    c->max = max;
    return c;
}

static void free_model(void *p)
{
    model_unref(p);
}

void model_cache_free(struct model_cache *c)
{
    if (!c)
        return;
    map_free(&c->young, free_model);
    map_free(&c->old, free_model);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct model *model_cache_get(struct model_cache *c, struct slice key)
{
    pthread_mutex_lock(&c->lock);
    struct model *m = map_get(&c->young, key);
    if (!m)
        m = map_get(&c->old, key);
    if (m)
        model_ref(m);
    pthread_mutex_unlock(&c->lock);
    return m;
}

void model_cache_put(struct model_cache *c, struct slice key, struct model *m)
{
    void *old = NULL;
    pthread_mutex_lock(&c->lock);
    if (map_count(&c->young) >= c->max / 2 || c->young_text + m->text_n > MODEL_CACHE_TEXT_MAX / 2) {
        map_free(&c->old, free_model);
        c->old = c->young;
        map_init(&c->young);
        c->young_text = 0;
    }
    if (map_put(&c->young, key, model_ref(m), &old))
        model_unref(m);
    else
        c->young_text += m->text_n - (old ? ((struct model *)old)->text_n : 0);
    model_unref(old);
    pthread_mutex_unlock(&c->lock);
}
