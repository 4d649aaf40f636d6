/* SPDX-License-Identifier: Apache-2.0
 * `__castellan_acl`: a rule is a record's key; the value only says that it is there. */
#include "acl/acl_records.h"
#include "acl/acl_json.h"

enum err acl_record_key(struct buf *out, const struct acl_rule *r)
{
    json_t *o = json_object();

    if (!o || json_object_set_new(o, "host", acl_json_text(r->host)) ||
        json_object_set_new(o, "name", acl_json_text(r->name)) ||
        json_object_set_new(o, "operation", json_string(acl_operation_name(r->operation))) ||
        json_object_set_new(o, "pattern", json_string(acl_pattern_name(r->pattern))) ||
        json_object_set_new(o, "permission", json_string(acl_permission_name(r->permission))) ||
        json_object_set_new(o, "principal", acl_json_text(r->principal)) ||
        json_object_set_new(o, "type", json_string(acl_type_name(r->type)))) {
        json_decref(o);
        return ERR_INVALID_REQUEST; /* text that is not UTF-8 (or no memory) */
    }
    return acl_json_write(out, o);
}

enum err acl_record_value(struct buf *out)
{
    return acl_json_write(out, json_pack("{s:i}", "version", ACL_RECORD_VERSION));
}

enum err acl_record_apply(struct acl_set *s, struct slice key, struct slice value, struct reason *why)
{
    json_t *o = acl_json_read(key, why);
    struct acl_rule r;
    enum err e;

    if (!o)
        return ERR_MALFORMED;
    r = (struct acl_rule){
        .type = acl_type_parse(acl_json_string(o, "type")),
        .pattern = acl_pattern_parse(acl_json_string(o, "pattern")),
        .operation = acl_operation_parse(acl_json_string(o, "operation")),
        .permission = acl_permission_parse(acl_json_string(o, "permission")),
        .name = acl_json_string(o, "name"),
        .principal = acl_json_string(o, "principal"),
        .host = acl_json_string(o, "host"),
    };
    e = acl_rule_validate(&r, why);
    if (e)
        e = ERR_MALFORMED;
    else if (slice_is_null(value))
        acl_set_remove(s, &r);
    else
        e = acl_set_add(s, &r, NULL, why);
    json_decref(o);
    return e;
}
