/* SPDX-License-Identifier: Apache-2.0
 * The controller's decision about topics that are to go. A topic may be named by its name or by its id, each once, and
 * not by both at a time; what breaks that is refused in its place, and the others go (Kafka's ControllerApis). */
#include "broker/core/controller.h"

typedef struct delete_topics_response_deletable_topic_result result;

/* One thing that is asked for: a name, or an id when the name is null. */
struct asked {
    struct slice name;
    struct wire_uuid id;
    int32_t times; /* it is asked for; 0: an earlier one stands for it */
    const struct image_topic *found;
};

struct deletion {
    const struct controller *controller;
    const struct controller_call *call;
    struct map names; /* -> struct asked, the first with that name */
    struct map ids;   /* the same; those of the names' topics too */
};

static struct slice id_key(const struct wire_uuid *id)
{
    return slice_of(id->b, sizeof id->b);
}

static enum err note(struct map *m, struct slice key, struct asked *a)
{
    struct asked *known = map_get(m, key);

    a->times = !known;
    if (!known)
        return map_put(m, key, a, NULL);
    known->times++;
    return ERR_OK;
}

static enum err refuse(result *out, enum err err, const char *message)
{
    out->error_code = err_kafka(err);
    out->error_message = slice_str(message ? message : err_text(err));
    return ERR_OK;
}

/* ERR_EXISTS: nothing is to be said, the answer to the name of the same topic says it. */
static enum err judge(struct deletion *d, struct asked *a, result *out)
{
    bool by_id = slice_is_null(a->name), has_id = !wire_uuid_is_zero(&a->id);
    const struct asked *named;

    out->name = a->name;
    out->topic_id = a->id;
    out->error_message = SLICE_NULL;
    if (by_id && !has_id)
        return refuse(out, ERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
    if (!by_id && has_id)
        return refuse(out, ERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
    if (a->times > 1)
        return refuse(out, ERR_INVALID_REQUEST, by_id ? "Duplicate topic id." : "Duplicate topic name.");
    if (!a->found)
        return refuse(out, by_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
    out->topic_id = a->found->id;
    if (!by_id && map_has(&d->ids, id_key(&a->found->id)))
        return refuse(out, ERR_INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied.");
    named = by_id ? map_get(&d->names, slice_str(a->found->name)) : NULL;
    if (named && named->times == 1)
        return ERR_EXISTS;
    out->name = arena_copy(d->call->arena, slice_str(a->found->name));
    record_put_remove_topic(d->call->records, &a->found->id);
    return ERR_OK;
}

static enum err look_up(struct deletion *d, struct asked *a)
{
    bool by_id = slice_is_null(a->name), has_id = !wire_uuid_is_zero(&a->id);

    a->times = 1;
    if (by_id == !has_id || (!by_id && has_id))
        return ERR_OK; /* neither or both: refused alone, whatever else is asked for */
    a->found = by_id ? image_topic_by_id(d->controller->image, &a->id) : image_topic(d->controller->image, a->name);
    return by_id ? note(&d->ids, id_key(&a->id), a) : note(&d->names, a->name, a);
}

enum err controller_delete_topics(struct controller *c, const struct delete_topics_request *req, int16_t version,
                                  struct delete_topics_response *resp, const struct controller_call *call)
{
    int32_t n = version >= 6 ? req->topics.n : req->topic_names.n;
    struct asked *asked = arena_array(call->arena, (size_t)n, sizeof *asked);
    struct deletion d = {.controller = c, .call = call};
    enum err err = ERR_OK;

    delete_topics_response_init(resp);
    resp->responses.v = arena_array(call->arena, (size_t)n, sizeof *resp->responses.v);
    if (!resp->responses.v || !asked)
        return ERR_NO_MEMORY;
    map_init(&d.names);
    map_init(&d.ids);
    for (int32_t i = 0; !err && i < n; i++) {
        asked[i].name = version >= 6 ? req->topics.v[i].name : req->topic_names.v[i];
        if (version >= 6)
            asked[i].id = req->topics.v[i].topic_id;
        err = look_up(&d, &asked[i]);
    }
    for (int32_t i = 0; !err && i < n; i++) {
        result *out = &resp->responses.v[resp->responses.n];
        delete_topics_response_deletable_topic_result_init(out);
        if (asked[i].times > 0 && !judge(&d, &asked[i], out))
            resp->responses.n++;
    }
    map_free(&d.names, NULL);
    map_free(&d.ids, NULL);
    return err ? err : record_list_error(call->records);
}
