/* SPDX-License-Identifier: Apache-2.0
 * The order of the checks is Kafka's (ControllerApis): what is wrong with the list itself is said to everybody, since
 * it tells nothing about topics; then rights; and that a name and an id are the same topic is said only to whom may
 * change it. Each list is walked a fixed number of times, with a map for what was seen. */
#include "gateway/api/topic_fates.h"
#include "core/base/map.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"

static void refuse(struct topic_fate *f, enum err err, const char *text)
{
    f->err = err;
    f->text = text;
}

/* The fate that was seen first under a key; `f` itself when it is the first. NULL: no memory. */
static struct topic_fate *first_with(struct map *seen, struct slice key, struct topic_fate *f)
{
    struct topic_fate *first = map_get(seen, key);

    if (first)
        return first;
    return map_put(seen, key, f, NULL) ? NULL : f;
}

static enum err mark_twice(struct map *seen, struct slice key, struct topic_fate *f, const char *text)
{
    struct topic_fate *first = first_with(seen, key, f);

    if (!first)
        return ERR_NO_MEMORY;
    if (first == f)
        return ERR_OK;
    refuse(first, ERR_INVALID_REQUEST, text);
    refuse(f, ERR_INVALID_REQUEST, text);
    f->silent = true;
    return ERR_OK;
}

enum err topic_fates_create(struct topic_fate **out, const struct create_topics_request *req,
                            const struct topic_rights *rights, struct arena *a)
{
    struct topic_fate *fates = arena_array(a, (size_t)req->topics.n + 1, sizeof *fates);
    enum err err = fates ? ERR_OK : ERR_NO_MEMORY;
    struct map seen;

    map_init(&seen);
    for (int32_t i = 0; !err && i < req->topics.n; i++) {
        fates[i].name = req->topics.v[i].name;
        err = mark_twice(&seen, fates[i].name, &fates[i], "Duplicate topic name.");
    }
    for (int32_t i = 0; !err && i < req->topics.n; i++)
        if (!fates[i].err)
            fates[i].err = rights->change(rights->ctx, fates[i].name, &fates[i].text);
    map_free(&seen, NULL);
    *out = fates;
    return err;
}

/* ---- DeleteTopics ---- */

static struct slice id_key(const struct topic_fate *f)
{
    return slice_of(f->id.b, sizeof f->id.b);
}

/* What is wrong with the list itself. */
static enum err check_list(struct topic_fate *fates, int32_t n, struct map *names, struct map *ids)
{
    enum err err = ERR_OK;

    for (int32_t i = 0; !err && i < n; i++) {
        struct topic_fate *f = &fates[i];
        bool id = !wire_uuid_is_zero(&f->id), name = !slice_is_null(f->name);

        if (name && id)
            refuse(f, ERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
        else if (name)
            err = mark_twice(names, f->name, f, "Duplicate topic name.");
        else if (id)
            err = mark_twice(ids, id_key(f), f, "Duplicate topic id.");
        else
            refuse(f, ERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
    }
    return err;
}

static void judge_id(struct topic_fate *f, const struct topic_rights *rights, struct slice name)
{
    if (slice_is_null(name)) {
        refuse(f, ERR_UNKNOWN_TOPIC_ID, NULL);
        return;
    }
    f->err = rights->change(rights->ctx, name, &f->text);
    if (f->err == ERR_UNKNOWN_TOPIC_OR_PARTITION)
        f->err = ERR_UNKNOWN_TOPIC_ID;
    if (f->err && rights->describe(rights->ctx, name))
        f->name = name;
}

/* Rights, and then that a name and an id are the same topic. */
static void judge_all(struct topic_fate *fates, int32_t n, const struct topic_rights *rights, const struct map *names)
{
    for (int32_t i = 0; i < n; i++) {
        struct topic_fate *f = &fates[i];

        if (f->err || slice_is_null(f->name))
            continue;
        f->err = rights->change(rights->ctx, f->name, &f->text);
        f->may_miss = f->err == ERR_TOPIC_AUTHORIZATION_FAILED && rights->describe(rights->ctx, f->name);
    }
    for (int32_t i = 0; i < n; i++) {
        struct topic_fate *f = &fates[i], *same;
        struct slice name;

        if (f->err || !slice_is_null(f->name))
            continue;
        name = rights->name_of(rights->ctx, &f->id);
        judge_id(f, rights, name);
        same = f->err ? NULL : map_get(names, name);
        if (!same || same->err)
            continue;
        refuse(same, ERR_INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied.");
        same->id = f->id;
        refuse(f, ERR_INVALID_REQUEST, NULL);
        f->silent = true;
    }
}

enum err topic_fates_delete(struct topic_fate **out, const struct delete_topics_request *req,
                            const struct topic_rights *rights, struct arena *a)
{
    int32_t by_name = req->topic_names.n > 0 ? req->topic_names.n : 0;
    int32_t n = by_name + (req->topics.n > 0 ? req->topics.n : 0);
    struct topic_fate *fates = arena_array(a, (size_t)n + 1, sizeof *fates);
    struct map names, ids;
    enum err err;

    *out = fates;
    if (!fates)
        return ERR_NO_MEMORY;
    for (int32_t i = 0; i < by_name; i++)
        fates[i].name = req->topic_names.v[i];
    for (int32_t i = by_name; i < n; i++) {
        fates[i].name = req->topics.v[i - by_name].name;
        fates[i].id = req->topics.v[i - by_name].topic_id;
    }
    map_init(&names);
    map_init(&ids);
    err = check_list(fates, n, &names, &ids);
    if (!err)
        judge_all(fates, n, rights, &names);
    map_free(&names, NULL);
    map_free(&ids, NULL);
    return err;
}
