/* SPDX-License-Identifier: Apache-2.0
 * `__castellan_quotas`: one record per entity and quota key. */
#include "acl/quota_records.h"
#include "acl/acl_json.h"

static bool set_part(json_t *o, const char *type, const struct quota_part *p)
{
    switch (p->kind) {
    case QUOTA_ABSENT:
        return true;
    case QUOTA_DEFAULT:
        return json_object_set_new(o, type, json_null()) == 0;
    case QUOTA_NAMED:
        return json_object_set_new(o, type, acl_json_text(p->name)) == 0;
    }
    return false;
}

enum err quota_record_key(struct buf *out, const struct quota_entity *e, enum quota_key k)
{
    json_t *entity = json_object(), *o;

    if (!entity || !set_part(entity, "user", &e->user) || !set_part(entity, "client-id", &e->client_id) ||
        !set_part(entity, "ip", &e->ip)) {
        json_decref(entity);
        return ERR_INVALID_REQUEST; /* a name that is not UTF-8 (or no memory) */
    }
    o = json_pack("{s:o,s:s}", "entity", entity, "quota", quota_key_name(k));
    return acl_json_write(out, o);
}

enum err quota_record_value(struct buf *out, double value)
{
    return acl_json_write(out, json_pack("{s:f,s:i}", "value", value, "version", ACL_RECORD_VERSION));
}

static enum err read_entity(const json_t *o, struct quota_entity *e, struct reason *why)
{
    static const char *const types[] = {"user", "client-id", "ip"};
    const json_t *entity = json_object_get(o, "entity");

    *e = (struct quota_entity){0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const json_t *name = json_object_get(entity, types[i]);
        enum err err;
        if (!name)
            continue;
        if (!json_is_null(name) && !json_is_string(name))
            return reason_set(why, ERR_MALFORMED, "an entity's name is neither a string nor null");
        err = quota_entity_set(e, slice_str(types[i]), acl_json_string(entity, types[i]), why);
        if (err)
            return err;
    }
    return quota_entity_validate(e, why);
}

static enum err put_value(struct quota_table *t, const struct quota_entity *e, enum quota_key k, struct slice value,
                          struct reason *why)
{
    json_t *o = acl_json_read(value, why);
    const json_t *number = o ? json_object_get(o, "value") : NULL;
    enum quota_key same;
    enum err err = ERR_MALFORMED;

    if (!o)
        return err;
    if (!json_is_number(number))
        reason_set(why, ERR_MALFORMED, "the value is no number");
    else if (quota_value_validate(e, slice_str(quota_key_name(k)), json_number_value(number), &same, why) == ERR_OK)
        err = quota_table_put(t, e, k, json_number_value(number));
    json_decref(o);
    return err;
}

enum err quota_record_apply(struct quota_table *t, struct slice key, struct slice value, struct reason *why)
{
    json_t *o = acl_json_read(key, why);
    struct quota_entity e;
    enum quota_key k;
    enum err err = ERR_MALFORMED;

    if (!o)
        return err;
    if (read_entity(o, &e, why)) {
        err = ERR_MALFORMED;
    } else if (!quota_key_parse(acl_json_string(o, "quota"), &k)) {
        err = reason_set(why, ERR_MALFORMED, "the key names no quota");
    } else if (slice_is_null(value)) {
        quota_table_remove(t, &e, k);
        err = ERR_OK;
    } else {
        err = put_value(t, &e, k, value, why);
    }
    json_decref(o);
    return err;
}
