/* SPDX-License-Identifier: Apache-2.0
 * Metadata and rule sets as the reference's classes print themselves: part of the message that refuses a schema. */
#include "registry/contract.h"

static void show_text(struct buf *out, const json_t *v)
{
    buf_put_str(out, json_is_string(v) ? json_string_value(v) : "null");
}

static void show_set(struct buf *out, const json_t *set)
{
    buf_put_str(out, "[");
    for (size_t i = 0; i < json_array_size(set); i++) {
        buf_put_str(out, i ? ", " : "");
        show_text(out, json_array_get(set, i));
    }
    buf_put_str(out, "]");
}

/* Values are texts, or sets of texts. */
static void show_map(struct buf *out, const json_t *map)
{
    const char *key;
    json_t *value;
    bool any = false;
    buf_put_str(out, "{");
    json_object_foreach((json_t *)map, key, value)
    {
        buf_printf(out, "%s%s=", any ? ", " : "", key);
        if (json_is_array(value))
            show_set(out, value);
        else
            show_text(out, value);
        any = true;
    }
    buf_put_str(out, "}");
}

void contract_show_metadata(struct buf *out, const json_t *metadata)
{
    if (!metadata) {
        buf_put_str(out, "null");
        return;
    }
    buf_put_str(out, "Metadata{tags=");
    show_map(out, json_object_get(metadata, "tags"));
    buf_put_str(out, ", properties=");
    show_map(out, json_object_get(metadata, "properties"));
    buf_put_str(out, ", sensitive=");
    show_set(out, json_object_get(metadata, "sensitive"));
    buf_put_str(out, "}");
}

static void show_rule(struct buf *out, const json_t *rule)
{
    static const char *const bare[] = {"name", "doc", "kind", "mode"}, *const late[] = {"expr", "onSuccess",
                                                                                        "onFailure"};
    buf_put_str(out, "Rule{");
    for (size_t i = 0; i < 4; i++) {
        buf_printf(out, "%s%s=", i ? ", " : "", bare[i]);
        show_text(out, json_object_get(rule, bare[i]));
    }
    buf_put_str(out, ", type='");
    show_text(out, json_object_get(rule, "type"));
    buf_put_str(out, "', tags='");
    show_set(out, json_object_get(rule, "tags"));
    buf_put_str(out, "', params='");
    show_map(out, json_object_get(rule, "params"));
    for (size_t i = 0; i < 3; i++) {
        buf_printf(out, "', %s='", late[i]);
        show_text(out, json_object_get(rule, late[i]));
    }
    buf_printf(out, "', disabled='%s'}", json_is_true(json_object_get(rule, "disabled")) ? "true" : "false");
}

void contract_show_rules(struct buf *out, const json_t *rules)
{
    static const char *const lists[] = {"migrationRules", "domainRules", "encodingRules"};
    if (!rules) {
        buf_put_str(out, "null");
        return;
    }
    buf_put_str(out, "Rules{");
    for (size_t k = 0; k < 3; k++) {
        const json_t *list = json_object_get(rules, lists[k]);
        buf_printf(out, "%s=[", lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            buf_put_str(out, i ? ", " : "");
            show_rule(out, json_array_get(list, i));
        }
        buf_put_str(out, "], ");
    }
    buf_put_str(out, "enableAt=");
    show_text(out, json_object_get(rules, "enableAt"));
    buf_put_str(out, "}");
}
