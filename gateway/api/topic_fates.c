/* SPDX-License-Identifier: Apache-2.0
 * The order of the checks is Kafka's (ControllerApis): what is wrong with the list itself is said to everybody, since
 * it tells nothing about topics; then rights; and that a name and an id are the same topic is said only to whom may
 * change it. Each list is walked once for each of these passes, with a table of what was seen. */
#include "gateway/api/topic_fates.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"

#include <assert.h>

static void refuse(struct topic_fate *f, enum err err, const char *text)
{
    f->err = err;
    f->text = text;
}

static struct slice name_at(const void *list, int32_t place)
{
    return ((const struct topic_fates *)list)->v[place].name;
}

static struct slice id_at(const void *list, int32_t place)
{
    const struct topic_fate *f = &((const struct topic_fates *)list)->v[place];
    return slice_of(f->id.b, sizeof f->id.b);
}

static bool begin(struct topic_fates *f, int32_t n, struct arena *a)
{
    f->n = n;
    f->arena = a;
    f->v = arena_array_unset(a, (size_t)n, sizeof *f->v);
    return f->v && seen_init(&f->names, n, name_at, f, a);
}

bool topic_fates_create(struct topic_fates *out, const struct create_topics_request *req, struct arena *a)
{
    *out = (struct topic_fates){.create = req};
    return begin(out, req->topics.n > 0 ? req->topics.n : 0, a);
}

bool topic_fates_delete(struct topic_fates *out, const struct delete_topics_request *req, struct arena *a)
{
    int32_t by_name = req->topic_names.n > 0 ? req->topic_names.n : 0, topics = req->topics.n > 0 ? req->topics.n : 0;

    *out = (struct topic_fates){.delete = req};
    return begin(out, by_name + topics, a) && seen_init(&out->ids, topics, id_at, out, a);
}

/* ---- What is wrong with the list itself ---- */

static void mark_twice(struct topic_fates *f, struct seen *seen, int32_t at, const char *text)
{
    int32_t first = seen_put(seen, at);

    if (first == at)
        return;
    refuse(&f->v[first], ERR_INVALID_REQUEST, text);
    refuse(&f->v[at], ERR_INVALID_REQUEST, text);
    f->v[at].silent = true;
}

static void read_deletion(struct topic_fate *f, const struct delete_topics_request *req, int32_t at)
{
    int32_t by_name = req->topic_names.n > 0 ? req->topic_names.n : 0;

    if (at < by_name) {
        f->name = req->topic_names.v[at];
        return;
    }
    f->name = req->topics.v[at - by_name].name;
    f->id = req->topics.v[at - by_name].topic_id;
}

static void check_list(struct topic_fates *f, int32_t at)
{
    struct topic_fate *t = &f->v[at];
    bool id, name;

    *t = (struct topic_fate){.err = ERR_OK};
    if (f->create) {
        t->name = f->create->topics.v[at].name;
        mark_twice(f, &f->names, at, "Duplicate topic name.");
        return;
    }
    read_deletion(t, f->delete, at);
    id = !wire_uuid_is_zero(&t->id);
    name = !slice_is_null(t->name);
    if (name && id)
        refuse(t, ERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
    else if (name)
        mark_twice(f, &f->names, at, "Duplicate topic name.");
    else if (id)
        mark_twice(f, &f->ids, at, "Duplicate topic id.");
    else
        refuse(t, ERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
}

/* ---- Rights, and that a name and an id are the same topic ---- */

static void judge_name(const struct topic_fates *f, struct topic_fate *t, const struct topic_rights *rights)
{
    if (t->err || slice_is_null(t->name))
        return;
    t->err = rights->change(rights->ctx, t->name, &t->text);
    t->may_miss = f->delete &&t->err == ERR_TOPIC_AUTHORIZATION_FAILED && rights->describe(rights->ctx, t->name);
}

static void judge_id(struct topic_fates *f, struct topic_fate *t, const struct topic_rights *rights, struct slice name)
{
    if (slice_is_null(name)) {
        refuse(t, ERR_UNKNOWN_TOPIC_ID, NULL);
        return;
    }
    t->err = rights->change(rights->ctx, name, &t->text);
    if (t->err == ERR_UNKNOWN_TOPIC_OR_PARTITION)
        t->err = ERR_UNKNOWN_TOPIC_ID;
    if (t->err && rights->describe(rights->ctx, name))
        t->name = arena_copy(f->arena, name); /* null when memory runs out: then it is not shown */
}

static void find_same(struct topic_fates *f, struct topic_fate *t, const struct topic_rights *rights)
{
    struct slice name;
    int32_t same;

    if (t->err || !slice_is_null(t->name))
        return;
    name = rights->name_of(rights->ctx, &t->id);
    judge_id(f, t, rights, name);
    same = t->err ? -1 : seen_find(&f->names, name);
    if (same < 0 || f->v[same].err)
        return;
    refuse(&f->v[same], ERR_INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied.");
    f->v[same].id = t->id;
    refuse(t, ERR_INVALID_REQUEST, NULL);
    t->silent = true;
}

bool topic_fates_next(struct topic_fates *f, const struct topic_rights *rights)
{
    int32_t at = f->at;

    if (f->pass == TOPIC_FATES_DECIDED)
        return false;
    if (at == f->n) {
        f->pass = f->create && f->pass == TOPIC_FATES_NAMES ? TOPIC_FATES_DECIDED : f->pass + 1;
        f->at = 0;
        return true;
    }
    f->at++;
    switch (f->pass) {
    case TOPIC_FATES_LIST:
        check_list(f, at);
        break;
    case TOPIC_FATES_NAMES:
        judge_name(f, &f->v[at], rights);
        break;
    case TOPIC_FATES_IDS:
        find_same(f, &f->v[at], rights);
        break;
    case TOPIC_FATES_DECIDED:
        assert(!"nothing is left");
    }
    return true;
}
