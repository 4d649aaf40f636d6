/* SPDX-License-Identifier: Apache-2.0
 * Metadata and rule sets in canonical form: building, merging, hashing, checking.
 * Canonical objects are built member by member in the reference's order; jansson keeps insertion order. */
#include "registry/contract.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFLUENT_VERSION "confluent:version"

enum { RULE_NAME_MAX = 256 };

static int cmp_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of an object, sorted; the caller frees. */
static const char **sorted_keys(const json_t *object, size_t *n)
{
    *n = json_object_size(object);
    const char **keys = calloc(*n + 1, sizeof *keys);
    size_t i = 0;
    for (void *it = json_object_iter((json_t *)object); it && keys; it = json_object_iter_next((json_t *)object, it))
        keys[i++] = json_object_iter_key(it);
    if (keys)
        qsort(keys, *n, sizeof *keys, cmp_text);
    return keys;
}

/* A sorted set of strings; NULL for an empty one, unless it is to be kept. */
static enum err canonical_set(json_t **out, const json_t *in, bool keep_empty, const char *what, struct reason *why)
{
    *out = NULL;
    if (!in || json_is_null(in))
        return ERR_OK;
    if (!json_is_array(in))
        return reason_set(why, ERR_MALFORMED, "%s must be an array of strings", what);
    size_t n = json_array_size(in);
    const char **items = calloc(n + 1, sizeof *items);
    if (!items)
        return ERR_NO_MEMORY;
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && !e; i++) {
        items[i] = json_string_value(json_array_get(in, i));
        if (!items[i])
            e = reason_set(why, ERR_MALFORMED, "%s must be an array of strings", what);
    }
    if (!e) {
        qsort(items, n, sizeof *items, cmp_text);
        json_t *set = json_array();
        for (size_t i = 0; i < n; i++)
            if (i == 0 || strcmp(items[i], items[i - 1]))
                json_array_append_new(set, json_string(items[i]));
        if (json_array_size(set) || keep_empty)
            *out = set;
        else
            json_decref(set);
    }
    free(items);
    return e;
}

static json_t *scalar_text(const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY);
    json_t *s = text ? json_string(text) : NULL;
    free(text);
    return s;
}

/* A map with sorted keys; values are strings, or sets of strings. NULL for an empty one. */
static enum err canonical_map(json_t **out, const json_t *in, bool of_sets, const char *what, struct reason *why)
{
    size_t n;
    *out = NULL;
    if (!in || json_is_null(in))
        return ERR_OK;
    if (!json_is_object(in))
        return reason_set(why, ERR_MALFORMED, "%s must be an object", what);
    const char **keys = sorted_keys(in, &n);
    if (!keys)
        return ERR_NO_MEMORY;
    json_t *map = json_object();
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && !e; i++) {
        const json_t *v = json_object_get(in, keys[i]);
        json_t *set = NULL;
        if (of_sets)
            e = canonical_set(&set, v, true, what, why);
        else if (json_is_string(v))
            set = json_string(json_string_value(v));
        else if (json_is_integer(v) || json_is_real(v) || json_is_boolean(v))
            set = scalar_text(v); /* Jackson coerces scalars */
        else if (!json_is_null(v))
            e = reason_set(why, ERR_MALFORMED, "%s must hold strings", what);
        if (set)
            json_object_set_new(map, keys[i], set);
    }
    free(keys);
    if (e || !json_object_size(map))
        json_decref(map);
    else
        *out = map;
    return e;
}

static void put_member(json_t *object, const char *key, json_t *value)
{
    if (value)
        json_object_set_new(object, key, value);
}

enum err contract_metadata(json_t **out, const json_t *in, struct reason *why)
{
    json_t *tags = NULL, *properties = NULL, *sensitive = NULL;
    *out = NULL;
    if (!in || json_is_null(in))
        return ERR_OK;
    if (!json_is_object(in))
        return reason_set(why, ERR_MALFORMED, "metadata must be an object");
    enum err e = canonical_map(&tags, json_object_get(in, "tags"), true, "metadata.tags", why);
    if (!e)
        e = canonical_map(&properties, json_object_get(in, "properties"), false, "metadata.properties", why);
    if (!e)
        e = canonical_set(&sensitive, json_object_get(in, "sensitive"), false, "metadata.sensitive", why);
    if (e) {
        json_decref(tags);
        json_decref(properties);
        return e;
    }
    *out = json_object();
    put_member(*out, "tags", tags);
    put_member(*out, "properties", properties);
    put_member(*out, "sensitive", sensitive);
    return ERR_OK;
}

/* --- rules --- */

static const char *const rule_text[] = {"name", "doc", "kind", "mode", "type", NULL};
static const char *const rule_text_late[] = {"expr", "onSuccess", "onFailure", NULL};
static const char *const rule_lists[] = {"migrationRules", "domainRules", "encodingRules", NULL};

static enum err copy_texts(json_t *rule, const json_t *in, const char *const *names, struct reason *why)
{
    for (; *names; names++) {
        const json_t *v = json_object_get(in, *names);
        if (!v || json_is_null(v))
            continue;
        if (!json_is_string(v))
            return reason_set(why, ERR_MALFORMED, "rule %s must be a string", *names);
        json_object_set_new(rule, *names, json_string(json_string_value(v)));
    }
    return ERR_OK;
}

/* A rule without kind or mode has these; they stand where a given one would. */
static json_t *with_defaults(const json_t *in)
{
    json_t *copy = json_copy((json_t *)in);
    if (!json_is_string(json_object_get(copy, "kind")))
        json_object_set_new(copy, "kind", json_string("TRANSFORM"));
    if (!json_is_string(json_object_get(copy, "mode")))
        json_object_set_new(copy, "mode", json_string("WRITEREAD"));
    return copy;
}

static enum err canonical_rule(json_t **out, const json_t *in, struct reason *why)
{
    json_t *tags = NULL, *params = NULL;
    if (!json_is_object(in))
        return reason_set(why, ERR_MALFORMED, "a rule must be an object");
    json_t *rule = json_object(), *filled = with_defaults(in);
    enum err e = copy_texts(rule, filled, rule_text, why);
    json_decref(filled);
    if (!e)
        e = canonical_set(&tags, json_object_get(in, "tags"), false, "rule tags", why);
    if (!e)
        e = canonical_map(&params, json_object_get(in, "params"), false, "rule params", why);
    put_member(rule, "tags", tags);
    put_member(rule, "params", params);
    if (!e)
        e = copy_texts(rule, in, rule_text_late, why);
    if (e) {
        json_decref(rule);
        return e;
    }
    json_object_set_new(rule, "disabled", json_boolean(json_is_true(json_object_get(in, "disabled"))));
    *out = rule;
    return ERR_OK;
}

enum err contract_rules(json_t **out, const json_t *in, struct reason *why)
{
    enum err e = ERR_OK;
    *out = NULL;
    if (!in || json_is_null(in))
        return ERR_OK;
    if (!json_is_object(in))
        return reason_set(why, ERR_MALFORMED, "ruleSet must be an object");
    json_t *rules = json_object();
    for (size_t k = 0; rule_lists[k] && !e; k++) {
        const json_t *list = json_object_get(in, rule_lists[k]);
        if (!list || json_is_null(list))
            continue;
        if (!json_is_array(list))
            e = reason_set(why, ERR_MALFORMED, "ruleSet.%s must be an array", rule_lists[k]);
        json_t *items = json_array();
        for (size_t i = 0; i < json_array_size(list) && !e; i++) {
            json_t *rule = NULL;
            e = canonical_rule(&rule, json_array_get(list, i), why);
            if (!e)
                json_array_append_new(items, rule);
        }
        if (!e && json_array_size(items))
            json_object_set(rules, rule_lists[k], items);
        json_decref(items);
    }
    const char *at = json_string_value(json_object_get(in, "enableAt"));
    if (at)
        json_object_set_new(rules, "enableAt", json_string(at));
    if (e)
        json_decref(rules);
    else
        *out = rules;
    return e;
}

static const char *text_of(const json_t *rule, const char *name)
{
    return json_string_value(json_object_get(rule, name));
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; s && *words; words++)
        if (!strcmp(s, *words))
            return true;
    return false;
}

/* Java's Character.isLetter is wider than ASCII; bytes above it are let through. */
static bool name_char(unsigned char c, bool first)
{
    return c >= 0x80 || isalpha(c) || c == '_' || (!first && (isdigit(c) || c == '-'));
}

static enum err check_rule_name(const char *name, struct reason *why)
{
    if (!name)
        return reason_set(why, ERR_INVALID_RECORD, "Missing rule name");
    size_t n = strlen(name);
    if (n == 0)
        return reason_set(why, ERR_INVALID_RECORD, "Empty rule name");
    if (n > RULE_NAME_MAX)
        return reason_set(why, ERR_INVALID_RECORD, "Rule name too long");
    if (!name_char((unsigned char)name[0], true))
        return reason_set(why, ERR_INVALID_RECORD, "Illegal initial character in rule name: %s", name);
    for (size_t i = 1; i < n; i++)
        if (!name_char((unsigned char)name[i], false))
            return reason_set(why, ERR_INVALID_RECORD, "Illegal character in rule name: %s", name);
    return ERR_OK;
}

static enum err check_rule(const json_t *rule, bool migration, const char *list, struct reason *why)
{
    static const char *const kinds[] = {"TRANSFORM", "CONDITION", NULL};
    static const char *const moving[] = {"UPGRADE", "DOWNGRADE", "UPDOWN", NULL};
    static const char *const passing[] = {"WRITE", "READ", "WRITEREAD", NULL};
    static const char *const many[] = {"WRITEREAD", "UPDOWN", NULL};
    const char *mode = text_of(rule, "mode"), *kind = text_of(rule, "kind");
    enum err e = check_rule_name(text_of(rule, "name"), why);
    if (e)
        return e;
    if (!text_of(rule, "type"))
        return reason_set(why, ERR_INVALID_RECORD, "Missing rule type");
    if (kind && !is_one_of(kind, kinds))
        return reason_set(why, ERR_INVALID_RECORD, "Unknown rule kind '%s'", kind);
    for (int i = 0; i < 2; i++) {
        const char *action = text_of(rule, i ? "onFailure" : "onSuccess");
        if (mode && action && strchr(action, ',') && !is_one_of(mode, many))
            return reason_set(why, ERR_INVALID_RECORD, "Multiple actions only valid with WRITEREAD and UPDOWN");
    }
    if (migration && !is_one_of(mode, moving))
        return reason_set(why, ERR_INVALID_RECORD, "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN");
    if (!migration && !is_one_of(mode, passing))
        return reason_set(why, ERR_INVALID_RECORD, "%s rules can only be WRITE, READ, WRITEREAD",
                          list[0] == 'd' ? "Domain" : "Encoding");
    return ERR_OK;
}

enum err contract_rules_validate(const json_t *rules, struct reason *why)
{
    enum err e = ERR_OK;
    json_t *names = json_object();
    for (size_t k = 0; rule_lists[k] && !e; k++) {
        const json_t *list = json_object_get(rules, rule_lists[k]);
        for (size_t i = 0; i < json_array_size(list) && !e; i++) {
            const json_t *rule = json_array_get(list, i);
            const char *name = text_of(rule, "name");
            if (name && json_object_get(names, name))
                e = reason_set(why, ERR_INVALID_RECORD, "Found rule with duplicate name '%s'", name);
            else
                e = check_rule(rule, k == 0, rule_lists[k], why);
            if (!e)
                json_object_set_new(names, name, json_true());
        }
    }
    json_decref(names);
    return e;
}

/* --- merging --- */

static json_t *ref(const json_t *v)
{
    return json_incref((json_t *)v);
}

static json_t *merge_objects(const json_t *older, const json_t *newer)
{
    json_t *all = json_object();
    json_object_update(all, (json_t *)older);
    json_object_update(all, (json_t *)newer);
    return all;
}

json_t *contract_metadata_merge(const json_t *older, const json_t *newer)
{
    json_t *out = NULL;
    if (!older || !newer)
        return older ? ref(older) : newer ? ref(newer) : NULL;
    json_t *raw = json_object();
    json_t *tags = json_object();
    json_object_update(tags, json_object_get(older, "tags"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(newer, "tags"), key, value)
    {
        json_t *both = json_array();
        json_array_extend(both, json_object_get(tags, key));
        json_array_extend(both, value);
        json_object_set_new(tags, key, both);
    }
    json_object_set_new(raw, "tags", tags);
    json_object_set_new(raw, "properties",
                        merge_objects(json_object_get(older, "properties"), json_object_get(newer, "properties")));
    json_t *sensitive = json_array();
    json_array_extend(sensitive, json_object_get(older, "sensitive"));
    json_array_extend(sensitive, json_object_get(newer, "sensitive"));
    json_object_set_new(raw, "sensitive", sensitive);
    if (contract_metadata(&out, raw, NULL))
        out = NULL;
    json_decref(raw);
    return out;
}

static bool has_name(const json_t *list, const char *name)
{
    for (size_t i = 0; name && i < json_array_size(list); i++) {
        const char *other = text_of(json_array_get(list, i), "name");
        if (other && !strcmp(other, name))
            return true;
    }
    return false;
}

static json_t *merge_rule_lists(const json_t *older, const json_t *newer)
{
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(older); i++) {
        json_t *rule = json_array_get(older, i);
        if (!has_name(newer, text_of(rule, "name")))
            json_array_append(all, rule);
    }
    json_array_extend(all, (json_t *)newer);
    return all;
}

json_t *contract_rules_merge(const json_t *older, const json_t *newer)
{
    if (!older || !newer)
        return older ? ref(older) : newer ? ref(newer) : NULL;
    json_t *out = json_object();
    for (size_t k = 0; rule_lists[k]; k++) {
        json_t *list = merge_rule_lists(json_object_get(older, rule_lists[k]), json_object_get(newer, rule_lists[k]));
        if (json_array_size(list))
            json_object_set(out, rule_lists[k], list);
        json_decref(list);
    }
    const json_t *at = json_object_get(newer, "enableAt");
    at = at ? at : json_object_get(older, "enableAt");
    if (at)
        json_object_set(out, "enableAt", (json_t *)at);
    return out;
}

json_t *contract_rules_without(const json_t *rules, const json_t *names)
{
    if (!rules)
        return NULL;
    json_t *out = json_object();
    for (size_t k = 0; rule_lists[k]; k++) {
        const json_t *list = json_object_get(rules, rule_lists[k]);
        json_t *left = json_array();
        for (size_t i = 0; i < json_array_size(list); i++) {
            json_t *rule = json_array_get(list, i);
            bool named = false;
            for (size_t j = 0; j < json_array_size(names) && !named; j++)
                named = json_equal(json_array_get(names, j), json_object_get(rule, "name"));
            if (!named)
                json_array_append(left, rule);
        }
        if (json_array_size(left))
            json_object_set(out, rule_lists[k], left);
        json_decref(left);
    }
    const json_t *at = json_object_get(rules, "enableAt");
    if (at)
        json_object_set(out, "enableAt", (json_t *)at);
    return out;
}

/* --- properties --- */

const char *contract_property(const json_t *metadata, const char *key)
{
    return json_string_value(json_object_get(json_object_get(metadata, "properties"), key));
}

json_t *contract_with_property(const json_t *metadata, const char *key, const char *value)
{
    json_t *one = json_pack("{s:{s:s}}", "properties", key, value);
    json_t *out = contract_metadata_merge(metadata, one);
    json_decref(one);
    return out;
}

static json_t *without_version(const json_t *metadata)
{
    json_t *copy = json_deep_copy(metadata);
    json_t *properties = json_object_get(copy, "properties");
    json_object_del(properties, CONFLUENT_VERSION);
    if (properties && !json_object_size(properties))
        json_object_del(copy, "properties");
    if (copy && !json_object_size(copy)) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

bool contract_metadata_alike(const json_t *a, const json_t *b)
{
    json_t *x = without_version(a), *y = without_version(b);
    bool alike = (!x && !y) || (x && y && json_equal(x, y));
    json_decref(x);
    json_decref(y);
    return alike;
}

bool contract_has_rule_type(const json_t *rules, const char *type)
{
    for (size_t k = 0; rule_lists[k]; k++) {
        const json_t *list = json_object_get(rules, rule_lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *t = text_of(json_array_get(list, i), "type");
            if (t && !strcmp(t, type))
                return true;
        }
    }
    return false;
}

/* --- identity --- */

static void hash_text(const json_t *v, contract_hash_fn fn, void *ctx)
{
    if (json_is_string(v))
        fn(ctx, json_string_value(v), json_string_length(v));
}

static void hash_set(const json_t *set, contract_hash_fn fn, void *ctx)
{
    for (size_t i = 0; i < json_array_size(set); i++)
        hash_text(json_array_get(set, i), fn, ctx);
}

static void hash_map(const json_t *map, contract_hash_fn fn, void *ctx)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        fn(ctx, key, strlen(key));
        hash_text(value, fn, ctx);
        hash_set(value, fn, ctx);
    }
}

void contract_metadata_hash(const json_t *metadata, contract_hash_fn fn, void *ctx)
{
    if (!metadata)
        return;
    fn(ctx, "\1", 1);
    hash_map(json_object_get(metadata, "tags"), fn, ctx);
    hash_map(json_object_get(metadata, "properties"), fn, ctx);
    hash_set(json_object_get(metadata, "sensitive"), fn, ctx);
}

static void hash_rule(const json_t *rule, contract_hash_fn fn, void *ctx)
{
    for (size_t i = 0; rule_text[i]; i++)
        hash_text(json_object_get(rule, rule_text[i]), fn, ctx);
    hash_set(json_object_get(rule, "tags"), fn, ctx);
    hash_map(json_object_get(rule, "params"), fn, ctx);
    for (size_t i = 0; rule_text_late[i]; i++)
        hash_text(json_object_get(rule, rule_text_late[i]), fn, ctx);
    if (json_is_true(json_object_get(rule, "disabled")))
        fn(ctx, "\1", 1);
}

void contract_rules_hash(const json_t *rules, contract_hash_fn fn, void *ctx)
{
    if (!rules)
        return;
    fn(ctx, "\1", 1);
    for (size_t k = 0; rule_lists[k]; k++) {
        const json_t *list = json_object_get(rules, rule_lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++)
            hash_rule(json_array_get(list, i), fn, ctx);
    }
    hash_text(json_object_get(rules, "enableAt"), fn, ctx);
}

/* --- text --- */

static int to_buf(const char *p, size_t n, void *ctx)
{
    buf_put(ctx, p, n);
    return 0;
}

void contract_put(struct buf *out, const json_t *v)
{
    json_dump_callback(v, to_buf, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

json_t *contract_parse(struct slice text)
{
    return slice_is_null(text) ? NULL : json_loadb((const char *)text.p, text.n, 0, NULL);
}
