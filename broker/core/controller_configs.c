/* SPDX-License-Identifier: Apache-2.0
 * The controller's decisions about configurations: the old call that replaces all of a resource's keys, and the
 * incremental one (KIP-339: SET, DELETE, APPEND, SUBTRACT). A resource is changed whole or not at all. */
#include "broker/core/controller.h"
#include "broker/core/topic_config.h"

/* What a resource of either request begins with. */
struct config_resource {
    int8_t type;
    struct slice name;
};
_Static_assert(offsetof(struct config_resource, name) ==
                       offsetof(struct alter_configs_request_alter_configs_resource, resource_name) &&
                   offsetof(struct config_resource, name) ==
                       offsetof(struct incremental_alter_configs_request_alter_configs_resource, resource_name),
               "resources begin with type and name");

enum config_operation { CONFIG_SET = 0, CONFIG_DELETE = 1, CONFIG_APPEND = 2, CONFIG_SUBTRACT = 3 };

static enum err check_value(struct slice name, struct slice value, struct reason *why)
{
    if (slice_is_null(value))
        return reason_set(why, ERR_INVALID_REQUEST, "Null value not supported for : %.*s", SLICE_FMT(name));
    return topic_config_check(name, value, why);
}

static enum err check_resource(const struct controller *c, int8_t type, struct slice name, struct reason *why)
{
    if (type == CONFIG_RESOURCE_BROKER)
        return reason_set(why, ERR_INVALID_REQUEST,
                          "Broker configuration is read from its properties file; change it there and restart.");
    if (type == CONFIG_RESOURCE_BROKER_LOGGER)
        return reason_set(why, ERR_INVALID_CONFIG, "This broker has no loggers.");
    if (type != CONFIG_RESOURCE_TOPIC)
        return reason_set(why, ERR_INVALID_REQUEST, "Unexpected resource type %d.", type);
    if (!image_topic(c->image, name))
        return reason_set(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic '%.*s' does not exist.", SLICE_FMT(name));
    return ERR_OK;
}

/* times[i]: how often the i-th resource is named; NULL: no memory. Both requests begin their resources alike. */
static int32_t *count_resources(struct arena *arena, const void *first, size_t stride, int32_t n)
{
    int32_t *times = arena_array(arena, (size_t)n, sizeof *times);
    struct map seen;
    struct buf key;
    enum err err = times ? ERR_OK : ERR_NO_MEMORY;

    map_init(&seen);
    buf_init(&key, 0);
    for (int pass = 0; pass < 2; pass++) { /* count, then give each the count of the first with its name */
        for (int32_t i = 0; !err && i < n; i++) {
            const struct config_resource *r = (const void *)((const uint8_t *)first + (size_t)i * stride);
            int32_t *known;
            key.n = 0;
            buf_u8(&key, (uint8_t)r->type);
            buf_put_slice(&key, r->name);
            known = map_get(&seen, buf_slice(&key));
            err = buf_error(&key);
            if (!err && !known && !(err = map_put(&seen, buf_slice(&key), &times[i], NULL)))
                times[i] = 1;
            else if (known && pass == 0)
                ++*known;
            else if (known)
                times[i] = *known;
        }
    }
    map_free(&seen, NULL);
    buf_free(&key);
    return err ? NULL : times;
}

static enum err alter_resource(const struct controller *c, const struct alter_configs_request_alter_configs_resource *r,
                               bool validate_only, const struct controller_call *call, struct reason *why)
{
    const struct map *own;
    enum err err = check_resource(c, r->resource_type, r->resource_name, why);

    for (int32_t i = 0; !err && i < r->configs.n; i++)
        err = check_value(r->configs.v[i].name, r->configs.v[i].value, why);
    if (err || validate_only)
        return err;
    own = image_configs(c->image, r->resource_type, r->resource_name);
    for (const struct map_entry *e = own ? map_first(own) : NULL; e; e = map_next(own, e)) {
        bool kept = false;
        for (int32_t i = 0; i < r->configs.n; i++)
            kept = kept || slice_eq(r->configs.v[i].name, map_key(e));
        if (!kept)
            record_put_config(call->records, r->resource_type, r->resource_name, map_key(e), SLICE_NULL);
    }
    for (int32_t i = 0; i < r->configs.n; i++)
        record_put_config(call->records, r->resource_type, r->resource_name, r->configs.v[i].name,
                          r->configs.v[i].value);
    return ERR_OK;
}

static void answer(int16_t *code, struct slice *message, enum err err, const struct reason *why, struct arena *arena)
{
    *code = err_kafka(err);
    *message = err ? arena_copy(arena, slice_str(why->code ? why->text : err_text(err))) : SLICE_NULL;
}

enum err controller_alter_configs(struct controller *c, const struct alter_configs_request *req,
                                  struct alter_configs_response *resp, const struct controller_call *call)
{
    const int32_t *times = count_resources(call->arena, req->resources.v, sizeof *req->resources.v, req->resources.n);

    alter_configs_response_init(resp);
    resp->responses.v = arena_array(call->arena, (size_t)req->resources.n, sizeof *resp->responses.v);
    if (!resp->responses.v || !times)
        return ERR_NO_MEMORY;
    resp->responses.n = req->resources.n;
    for (int32_t i = 0; i < req->resources.n; i++) {
        struct alter_configs_response_alter_configs_resource_response *out = &resp->responses.v[i];
        struct reason why = {0};
        enum err err = times[i] > 1 ? reason_set(&why, ERR_INVALID_REQUEST, "Each resource must appear at most once.")
                                    : alter_resource(c, &req->resources.v[i], req->validate_only, call, &why);

        alter_configs_response_alter_configs_resource_response_init(out);
        out->resource_type = req->resources.v[i].resource_type;
        out->resource_name = req->resources.v[i].resource_name;
        answer(&out->error_code, &out->error_message, err, &why, call->arena);
    }
    return record_list_error(call->records);
}

/* True when the list `have` holds the word. */
static bool list_has(struct slice have, struct slice word)
{
    size_t at = 0;
    while (at <= have.n && have.n) {
        size_t n = 0;
        while (at + n < have.n && have.p[at + n] != ',')
            n++;
        if (slice_eq(slice_of(have.p + at, n), word))
            return true;
        at += n + 1;
    }
    return false;
}

/* `have` with the words of `change` added or taken out. */
static struct slice edit_list(struct slice have, struct slice change, bool add, struct arena *arena)
{
    struct slice kept = add ? have : change, walked = add ? change : have;
    uint8_t *out = arena_alloc(arena, have.n + change.n + 2);
    size_t n = 0, at = 0;

    if (!out)
        return SLICE_NULL;
    if (add && have.n) {
        memcpy(out, have.p, have.n);
        n = have.n;
    }
    while (at < walked.n) {
        size_t len = 0;
        while (at + len < walked.n && walked.p[at + len] != ',')
            len++;
        if (!list_has(kept, slice_of(walked.p + at, len))) {
            if (n)
                out[n++] = ',';
            memcpy(out + n, walked.p + at, len);
            n += len;
        }
        at += len + 1;
    }
    return slice_of(out, n);
}

static enum err alter_one(const struct controller *c,
                          const struct incremental_alter_configs_request_alter_configs_resource *r,
                          const struct incremental_alter_configs_request_alterable_config *a, struct slice *value,
                          struct arena *arena, struct reason *why)
{
    struct topic_config_row row;
    bool known = topic_config_find(a->name, &row);
    const struct map *own = image_configs(c->image, r->resource_type, r->resource_name);
    struct slice have;

    *value = SLICE_NULL;
    switch (a->config_operation) {
    case CONFIG_DELETE:
        return known ? ERR_OK : topic_config_check(a->name, a->value, why);
    case CONFIG_SET:
        *value = a->value;
        break;
    case CONFIG_APPEND:
    case CONFIG_SUBTRACT:
        if (!known || row.type != CONFIG_TYPE_LIST)
            return reason_set(why, ERR_INVALID_CONFIG, "Config value append is not allowed for config key: %.*s",
                              SLICE_FMT(a->name));
        have = slice_str(own && map_has(own, a->name) ? map_get(own, a->name) : row.fallback);
        *value = edit_list(have, a->value, a->config_operation == CONFIG_APPEND, arena);
        break;
    default: /* a number from the wire */
        return reason_set(why, ERR_INVALID_REQUEST, "Unknown operation type %d", a->config_operation);
    }
    return check_value(a->name, *value, why);
}

static enum err incremental_resource(const struct controller *c,
                                     const struct incremental_alter_configs_request_alter_configs_resource *r,
                                     bool validate_only, const struct controller_call *call, struct reason *why)
{
    struct slice *values = arena_array(call->arena, (size_t)(r->configs.n > 0 ? r->configs.n : 0), sizeof *values);
    enum err err = values ? check_resource(c, r->resource_type, r->resource_name, why) : ERR_NO_MEMORY;

    for (int32_t i = 0; !err && i < r->configs.n; i++) {
        for (int32_t k = 0; !err && k < i; k++)
            if (slice_eq(r->configs.v[k].name, r->configs.v[i].name))
                err = reason_set(why, ERR_INVALID_REQUEST, "Error due to duplicate config keys");
        if (!err)
            err = alter_one(c, r, &r->configs.v[i], &values[i], call->arena, why);
    }
    for (int32_t i = 0; !err && !validate_only && i < r->configs.n; i++)
        record_put_config(call->records, r->resource_type, r->resource_name, r->configs.v[i].name, values[i]);
    return err;
}

enum err controller_incremental_alter_configs(struct controller *c, const struct incremental_alter_configs_request *req,
                                              struct incremental_alter_configs_response *resp,
                                              const struct controller_call *call)
{
    const int32_t *times = count_resources(call->arena, req->resources.v, sizeof *req->resources.v, req->resources.n);

    incremental_alter_configs_response_init(resp);
    resp->responses.v = arena_array(call->arena, (size_t)req->resources.n, sizeof *resp->responses.v);
    if (!resp->responses.v || !times)
        return ERR_NO_MEMORY;
    resp->responses.n = req->resources.n;
    for (int32_t i = 0; i < req->resources.n; i++) {
        struct incremental_alter_configs_response_alter_configs_resource_response *out = &resp->responses.v[i];
        struct reason why = {0};
        enum err err = times[i] > 1 ? reason_set(&why, ERR_INVALID_REQUEST, "Each resource must appear at most once.")
                                    : incremental_resource(c, &req->resources.v[i], req->validate_only, call, &why);

        incremental_alter_configs_response_alter_configs_resource_response_init(out);
        out->resource_type = req->resources.v[i].resource_type;
        out->resource_name = req->resources.v[i].resource_name;
        answer(&out->error_code, &out->error_message, err, &why, call->arena);
    }
    return record_list_error(call->records);
}
