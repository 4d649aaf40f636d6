/* SPDX-License-Identifier: Apache-2.0
 * Binding JSON to the shapes of requests. The shapes are tables; one function per kind of member coerces or refuses.
 * A refusal names the class as the reference shows it: without its package, and for a collection what is left of
 * `java.util.List<package.Thing>` after that cut, "Thing>". */
#include "registry/rest_bind.h"
#include "registry/json_syntax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum bind_kind { BIND_TEXT, BIND_INT, BIND_FLAG, BIND_WORD, BIND_ENTITY, BIND_LIST, BIND_MAP };

struct bind_member {
    const char *name;
    const struct bind_type *type;
};

struct bind_type {
    enum bind_kind kind;
    const char *name;                  /* as refusals call it */
    const char *made;                  /* LIST, MAP of scalars: the class made for it; else NULL */
    const struct bind_type *element;   /* LIST, MAP */
    const struct bind_member *members; /* ENTITY */
    const char *const *words;          /* WORD: by ordinal */
    const char *shown;                 /* WORD: as refusals list them */
    const char *from_text;             /* ENTITY: the member a bare string stands for */
    bool no_null;                      /* LIST, MAP: null elements are refused */
};

/* --- the shapes --- */

static const char *const kinds[] = {"TRANSFORM", "CONDITION", NULL};
static const char *const modes[] = {"UPGRADE", "DOWNGRADE", "UPDOWN", "WRITE", "READ", "WRITEREAD", NULL};
static const char *const places[] = {"ALL", "CLIENT", "GATEWAY", "SERVER", "NONE", NULL};
static const char *const entities[] = {"sr_record", "sr_field", NULL};

static const struct bind_type text = {.kind = BIND_TEXT, .name = "String"};
static const struct bind_type integer = {.kind = BIND_INT, .name = "Integer"};
static const struct bind_type flag = {.kind = BIND_FLAG, .name = "Boolean", .shown = "\"true\" or \"false\""};
static const struct bind_type bare_flag = {
    .kind = BIND_FLAG, .name = "boolean", .shown = "\"true\"/\"True\"/\"TRUE\" or \"false\"/\"False\"/\"FALSE\""};
static const struct bind_type rule_kind = {
    .kind = BIND_WORD, .name = "RuleKind", .words = kinds, .shown = "[CONDITION, TRANSFORM]"};
static const struct bind_type rule_mode = {.kind = BIND_WORD,
                                           .name = "RuleMode",
                                           .words = modes,
                                           .shown = "[DOWNGRADE, READ, UPGRADE, UPDOWN, WRITE, WRITEREAD]"};
static const struct bind_type place = {.kind = BIND_WORD,
                                       .name = "ExecutionEnvironment",
                                       .words = places,
                                       .shown = "[NONE, ALL, SERVER, GATEWAY, CLIENT]"};
static const struct bind_type entity_type = {
    .kind = BIND_WORD, .name = "EntityType", .words = entities, .shown = "[sr_record, sr_field]"};

static const struct bind_type text_set = {
    .kind = BIND_LIST, .name = "String>", .made = "HashSet", .element = &text, .no_null = true};
static const struct bind_type text_list = {.kind = BIND_LIST, .name = "String>", .made = "ArrayList", .element = &text};
static const struct bind_type text_map = {
    .kind = BIND_MAP, .name = "String>", .made = "LinkedHashMap", .element = &text};
static const struct bind_type set_map = {
    .kind = BIND_MAP, .name = "String>>", .made = "LinkedHashMap", .element = &text_set, .no_null = true};

static const struct bind_member reference_members[] = {
    {"name", &text}, {"subject", &text}, {"version", &integer}, {NULL, NULL}};
static const struct bind_type reference = {
    .kind = BIND_ENTITY, .name = "SchemaReference", .members = reference_members};
static const struct bind_type reference_list = {
    .kind = BIND_LIST, .name = "SchemaReference>", .element = &reference, .no_null = true};

static const struct bind_member metadata_members[] = {
    {"tags", &set_map}, {"properties", &text_map}, {"sensitive", &text_set}, {NULL, NULL}};
static const struct bind_type metadata = {.kind = BIND_ENTITY, .name = "Metadata", .members = metadata_members};

static const struct bind_member rule_members[] = {{"name", &text},       {"doc", &text},           {"kind", &rule_kind},
                                                  {"mode", &rule_mode},  {"type", &text},          {"tags", &text_set},
                                                  {"params", &text_map}, {"expr", &text},          {"onSuccess", &text},
                                                  {"onFailure", &text},  {"disabled", &bare_flag}, {NULL, NULL}};
static const struct bind_type rule = {.kind = BIND_ENTITY, .name = "Rule", .members = rule_members};
static const struct bind_type rule_list = {.kind = BIND_LIST, .name = "Rule>", .element = &rule, .no_null = true};
static const struct bind_member rule_set_members[] = {{"migrationRules", &rule_list},
                                                      {"domainRules", &rule_list},
                                                      {"encodingRules", &rule_list},
                                                      {"enableAt", &place},
                                                      {NULL, NULL}};
static const struct bind_type rule_set = {.kind = BIND_ENTITY, .name = "RuleSet", .members = rule_set_members};

static const struct bind_member schema_entity_members[] = {
    {"entityPath", &text}, {"entityType", &entity_type}, {NULL, NULL}};
static const struct bind_type schema_entity = {
    .kind = BIND_ENTITY, .name = "SchemaEntity", .members = schema_entity_members};
static const struct bind_member schema_tags_members[] = {
    {"schemaEntity", &schema_entity}, {"tags", &text_list}, {NULL, NULL}};
static const struct bind_type schema_tags = {.kind = BIND_ENTITY, .name = "SchemaTags", .members = schema_tags_members};
static const struct bind_type schema_tags_list = {
    .kind = BIND_LIST, .name = "SchemaTags>", .element = &schema_tags, .no_null = true};

static const struct bind_member register_members[] = {{"version", &integer},
                                                      {"id", &integer},
                                                      {"schemaType", &text},
                                                      {"references", &reference_list},
                                                      {"metadata", &metadata},
                                                      {"ruleSet", &rule_set},
                                                      {"schema", &text},
                                                      {"schemaTagsToAdd", &schema_tags_list},
                                                      {"schemaTagsToRemove", &schema_tags_list},
                                                      {"propagateSchemaTags", &flag},
                                                      {NULL, NULL}};
const struct bind_type bind_register = {
    .kind = BIND_ENTITY, .name = "RegisterSchemaRequest", .members = register_members};

static const struct bind_member config_members_bound[] = {{"alias", &text},
                                                          {"aliasForDeks", &text},
                                                          {"normalize", &flag},
                                                          {"validateFields", &flag},
                                                          {"validateNewSchemas", &flag},
                                                          {"validateRules", &flag},
                                                          {"compatibility", &text},
                                                          {"compatibilityPolicy", &text},
                                                          {"compatibilityGroup", &text},
                                                          {"defaultMetadata", &metadata},
                                                          {"overrideMetadata", &metadata},
                                                          {"defaultRuleSet", &rule_set},
                                                          {"overrideRuleSet", &rule_set},
                                                          {NULL, NULL}};
const struct bind_type bind_config = {
    .kind = BIND_ENTITY, .name = "ConfigUpdateRequest", .members = config_members_bound};

static const struct bind_member mode_members[] = {{"mode", &text}, {NULL, NULL}};
const struct bind_type bind_mode = {
    .kind = BIND_ENTITY, .name = "ModeUpdateRequest", .members = mode_members, .from_text = "mode"};

static const struct bind_member tags_members[] = {{"newVersion", &integer},
                                                  {"tagsToAdd", &schema_tags_list},
                                                  {"tagsToRemove", &schema_tags_list},
                                                  {"metadata", &metadata},
                                                  {"ruleSet", &rule_set},
                                                  {"rulesToMerge", &rule_set},
                                                  {"rulesToRemove", &text_list},
                                                  {NULL, NULL}};
const struct bind_type bind_tags = {.kind = BIND_ENTITY, .name = "TagSchemaRequest", .members = tags_members};

static const char *const lifecycles[] = {"STRONG", "WEAK", NULL};
static const struct bind_type lifecycle = {
    .kind = BIND_WORD, .name = "LifecyclePolicy", .words = lifecycles, .shown = "[WEAK, STRONG]"};
static const struct bind_member association_members[] = {
    {"subject", &text}, {"associationType", &text},  {"lifecycle", &lifecycle},
    {"frozen", &flag},  {"schema", &bind_register},  {"normalize", &flag},
    {"opType", &text},  {"cascadeLifecycle", &flag}, {NULL, NULL}};
static const struct bind_type association = {
    .kind = BIND_ENTITY, .name = "AssociationCreateOrUpdateInfo", .members = association_members};
static const struct bind_type association_list = {
    .kind = BIND_LIST, .name = "AssociationCreateOrUpdateInfo>", .element = &association, .no_null = true};
static const struct bind_type operation = {
    .kind = BIND_ENTITY, .name = "AssociationOp", .members = association_members};
static const struct bind_type operation_list = {
    .kind = BIND_LIST, .name = "AssociationOp>", .element = &operation, .no_null = true};

static const struct bind_member associate_members[] = {
    {"resourceName", &text}, {"resourceNamespace", &text},        {"resourceId", &text},
    {"resourceType", &text}, {"associations", &association_list}, {NULL, NULL}};
const struct bind_type bind_associate = {
    .kind = BIND_ENTITY, .name = "AssociationCreateOrUpdateRequest", .members = associate_members};

static const struct bind_member get_members[] = {
    {"resourceName", &text},   {"resourceNamespace", &text},     {"resourceId", &text}, {"resourceType", &text},
    {"lifecycle", &lifecycle}, {"associationTypes", &text_list}, {NULL, NULL}};
static const struct bind_type get = {.kind = BIND_ENTITY, .name = "AssociationGetRequest", .members = get_members};
static const struct bind_type get_list = {
    .kind = BIND_LIST, .name = "AssociationGetRequest>", .element = &get, .no_null = true};
static const struct bind_member gets_members[] = {{"requests", &get_list}, {NULL, NULL}};
const struct bind_type bind_association_get = {
    .kind = BIND_ENTITY, .name = "AssociationBatchGetRequest", .members = gets_members};

static const struct bind_member error_members[] = {{"error_code", &integer}, {"message", &text}, {NULL, NULL}};
static const struct bind_type error = {.kind = BIND_ENTITY, .name = "ErrorMessage", .members = error_members};
static const struct bind_member change_members[] = {
    {"resourceName", &text}, {"resourceNamespace", &text},      {"resourceId", &text}, {"resourceType", &text},
    {"error", &error},       {"associations", &operation_list}, {NULL, NULL}};
static const struct bind_type change = {.kind = BIND_ENTITY, .name = "AssociationOpRequest", .members = change_members};
static const struct bind_type change_list = {
    .kind = BIND_LIST, .name = "AssociationOpRequest>", .element = &change, .no_null = true};
static const struct bind_member changes_members[] = {{"requests", &change_list}, {NULL, NULL}};
const struct bind_type bind_association_batch = {
    .kind = BIND_ENTITY, .name = "AssociationBatchRequest", .members = changes_members};

const struct bind_type bind_texts = {.kind = BIND_MAP, .name = "String>", .made = "LinkedHashMap", .element = &text};

/* --- refusals --- */

static enum err refuse_kind(const struct bind_type *t, const json_t *v, struct answer *a)
{
    const char *what = json_is_object(v)    ? "Object value (token `JsonToken.START_OBJECT`)"
                       : json_is_array(v)   ? "Array value (token `JsonToken.START_ARRAY`)"
                       : json_is_string(v)  ? "String value (token `JsonToken.VALUE_STRING`)"
                       : json_is_integer(v) ? "Integer value (token `JsonToken.VALUE_NUMBER_INT`)"
                       : json_is_real(v)    ? "Floating-point value (token `JsonToken.VALUE_NUMBER_FLOAT`)"
                       : json_is_true(v)    ? "Boolean value (token `JsonToken.VALUE_TRUE`)"
                                            : "Boolean value (token `JsonToken.VALUE_FALSE`)";
    return answer_error(a, 400, "Cannot deserialize value of type `%s` from %s", t->name, what);
}

static struct slice string_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

static struct slice trimmed(struct slice s)
{
    while (s.n && s.p[0] <= ' ')
        s = slice_of(s.p + 1, s.n - 1);
    while (s.n && s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

/* A number as it was written, near enough: jansson keeps its value only. */
static void put_number(struct buf *out, const json_t *v)
{
    char number[64];
    if (json_is_integer(v)) {
        buf_printf(out, "%lld", (long long)json_integer_value(v));
        return;
    }
    double d = json_real_value(v);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, d);
        if (strtod(number, NULL) == d)
            break;
    }
    buf_put_str(out, number);
    if (!strpbrk(number, ".en"))
        buf_put_str(out, ".0");
}

/* A scalar where an object (or a collection, for strings) was due. */
static enum err refuse_scalar(const char *name, const json_t *v, struct answer *a)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "Cannot construct instance of `%s` (although at least one Creator exists): no ", name);
    if (json_is_string(v)) {
        buf_put_str(&b, "String-argument constructor/factory method to deserialize from String value ('");
        buf_put_slice(&b, trimmed(string_of(v)));
        buf_put_str(&b, "')");
    } else if (json_is_boolean(v)) {
        buf_printf(&b, "boolean/Boolean-argument constructor/factory method to deserialize from boolean value (%s)",
                   json_is_true(v) ? "true" : "false");
    } else {
        json_int_t i = json_integer_value(v);
        buf_put_str(&b, json_is_real(v) ? "double/Double" : i < INT32_MIN || i > INT32_MAX ? "long/Long" : "int/Int");
        buf_put_str(&b, "-argument constructor/factory method to deserialize from Number value (");
        put_number(&b, v);
        buf_put_str(&b, ")");
    }
    enum err e = answer_error_text(a, 400, buf_slice(&b));
    buf_free(&b);
    return e;
}

static enum err refuse_empty(const char *of, const char *name, struct answer *a)
{
    return answer_error(a, 400,
                        "Cannot coerce empty String (\"\") to %s`%s`%s (but could if coercion was enabled using "
                        "`CoercionConfig`)",
                        of, name, *of ? "" : " value");
}

/* --- one function per kind --- */

static enum err bind(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a);

static enum err bind_to_text(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    if (json_is_object(v) || json_is_array(v))
        return refuse_kind(t, v, a);
    if (json_is_string(v)) {
        *out = json_incref((json_t *)v);
        return ERR_OK;
    }
    struct buf b;
    buf_init(&b, 0);
    if (json_is_boolean(v))
        buf_put_str(&b, json_is_true(v) ? "true" : "false");
    else
        put_number(&b, v);
    *out = json_stringn(buf_cstr(&b), b.n);
    buf_free(&b);
    return ERR_OK;
}

/* Text that a scalar of another kind takes for null. */
static bool is_null_text(struct slice s)
{
    return !s.n || slice_eq_str(s, "null");
}

static enum err int_from_text(const struct bind_type *t, struct slice s, json_t **out, struct answer *a)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    int64_t n = 0;
    bool digits = i < s.n, fits = true;
    for (; i < s.n && digits; i++) {
        digits = s.p[i] >= '0' && s.p[i] <= '9';
        n = n * 10 + (s.p[i] - '0');
        fits = fits && n <= (int64_t)INT32_MAX + 1;
        n = fits ? n : 0;
    }
    if (!digits)
        return answer_error(a, 400,
                            "Cannot deserialize value of type `%s` from String \"%.*s\": not a valid "
                            "`java.lang.Integer` value",
                            t->name, SLICE_FMT(s));
    n = s.p[0] == '-' ? -n : n;
    if (!fits || n > INT32_MAX)
        return answer_error(a, 400,
                            "Cannot deserialize value of type `%s` from String \"%.*s\": Overflow: numeric value "
                            "(%.*s) out of range of `java.lang.Integer` (-2147483648 -2147483647)",
                            t->name, SLICE_FMT(s), SLICE_FMT(s));
    *out = json_integer(n);
    return ERR_OK;
}

static enum err bind_to_int(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    if (json_is_string(v)) {
        struct slice s = trimmed(string_of(v));
        *out = is_null_text(s) ? json_null() : NULL;
        return *out ? ERR_OK : int_from_text(t, s, out, a);
    }
    if (!json_is_number(v))
        return refuse_kind(t, v, a);
    double d = json_number_value(v);
    if (!(d > (double)INT32_MIN - 1 && d < (double)INT32_MAX + 1)) {
        struct buf b;
        buf_init(&b, 0);
        put_number(&b, v);
        enum err e =
            answer_error(a, 400, "Numeric value (%s) out of range of int (-2147483648 - 2147483647)", buf_cstr(&b));
        buf_free(&b);
        return e;
    }
    *out = json_integer((json_int_t)trunc(d));
    return ERR_OK;
}

static enum err bind_to_flag(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};
    if (json_is_boolean(v) || json_is_integer(v)) {
        *out = json_boolean(json_is_true(v) || json_integer_value(v) != 0);
        return ERR_OK;
    }
    if (!json_is_string(v))
        return refuse_kind(t, v, a);
    struct slice s = trimmed(string_of(v));
    *out = is_null_text(s) ? json_null() : NULL;
    for (int i = 0; i < 3 && !*out; i++)
        *out = slice_eq_str(s, yes[i]) ? json_true() : slice_eq_str(s, no[i]) ? json_false() : NULL;
    if (*out)
        return ERR_OK;
    return answer_error(a, 400, "Cannot deserialize value of type `%s` from String \"%.*s\": only %s recognized",
                        t->name, SLICE_FMT(s), t->shown);
}

static enum err bind_to_word(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    size_t n = 0;
    while (t->words[n])
        n++;
    if (json_is_integer(v)) {
        json_int_t i = json_integer_value(v);
        if (i >= 0 && i < (json_int_t)n) {
            *out = json_string(t->words[i]);
            return ERR_OK;
        }
        if (i < INT32_MIN || i > INT32_MAX)
            return answer_error(a, 400, "Numeric value (%lld) out of range of int (-2147483648 - 2147483647)",
                                (long long)i);
        return answer_error(a, 400,
                            "Cannot deserialize value of type `%s` from number %lld: index value outside legal index "
                            "range [0..%zu]",
                            t->name, (long long)i, n - 1);
    }
    if (!json_is_string(v))
        return refuse_kind(t, v, a);
    struct slice s = trimmed(string_of(v));
    if (!s.n)
        return refuse_empty("", t->name, a);
    for (size_t i = 0; i < n; i++)
        if (slice_eq_str(s, t->words[i])) {
            *out = json_string(t->words[i]);
            return ERR_OK;
        }
    return answer_error(a, 400,
                        "Cannot deserialize value of type `%s` from String \"%.*s\": not one of the values accepted "
                        "for Enum class: %s",
                        t->name, SLICE_FMT(s), t->shown);
}

static enum err bind_to_entity(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    if (json_is_string(v) && t->from_text) {
        *out = json_object();
        json_object_set(*out, t->from_text, (json_t *)v);
        return ERR_OK;
    }
    if (json_is_array(v))
        return refuse_kind(t, v, a);
    if (json_is_string(v) && !trimmed(string_of(v)).n)
        return refuse_empty("", t->name, a);
    if (!json_is_object(v))
        return refuse_scalar(t->name, v, a);
    json_t *object = json_object();
    const char *key;
    json_t *value;
    enum err e = ERR_OK;
    json_object_foreach((json_t *)v, key, value)
    {
        const struct bind_member *m = t->members;
        while (m->name && strcmp(m->name, key))
            m++;
        json_t *bound = NULL;
        if (m->name)
            e = bind(m->type, value, &bound, a);
        if (e)
            break;
        if (bound)
            json_object_set_new(object, key, bound);
    }
    if (e)
        json_decref(object);
    else
        *out = object;
    return e;
}

/* Elements of a list, or values of a map. */
static enum err bind_element(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    if (json_is_null(v) && t->no_null)
        return answer_error(a, 400, "Cannot deserialize value of type `%s`: an element is null", t->name);
    return bind(t->element, v, out, a);
}

static enum err bind_to_many(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    if (json_is_string(v) && t->made)
        return trimmed(string_of(v)).n ? refuse_scalar(t->made, v, a) : refuse_empty("element of ", t->made, a);
    bool map = t->kind == BIND_MAP;
    if (map ? !json_is_object(v) : !json_is_array(v))
        return refuse_kind(t, v, a);
    json_t *many = map ? json_object() : json_array(), *bound;
    const char *key;
    json_t *value;
    enum err e = ERR_OK;
    for (size_t i = 0; !map && i < json_array_size(v) && !e; i++) {
        e = bind_element(t, json_array_get(v, i), &bound, a);
        if (!e)
            json_array_append_new(many, bound);
    }
    json_object_foreach((json_t *)v, key, value)
    {
        e = bind_element(t, value, &bound, a);
        if (e)
            break;
        json_object_set_new(many, key, bound);
    }
    if (e)
        json_decref(many);
    else
        *out = many;
    return e;
}

static enum err bind(const struct bind_type *t, const json_t *v, json_t **out, struct answer *a)
{
    *out = NULL;
    if (json_is_null(v)) {
        *out = json_null();
        return ERR_OK;
    }
    switch (t->kind) {
    case BIND_TEXT:
        return bind_to_text(t, v, out, a);
    case BIND_INT:
        return bind_to_int(t, v, out, a);
    case BIND_FLAG:
        return bind_to_flag(t, v, out, a);
    case BIND_WORD:
        return bind_to_word(t, v, out, a);
    case BIND_ENTITY:
        return bind_to_entity(t, v, out, a);
    case BIND_LIST:
    case BIND_MAP:
        return bind_to_many(t, v, out, a);
    }
    return ERR_UNSUPPORTED;
}

/* --- bodies --- */

static enum err refuse_body(const struct bind_type *type, struct slice body, const json_error_t *at, struct answer *a)
{
    struct buf b;
    enum err e = ERR_OK;
    buf_init(&b, 0);
    enum json_syntax s = json_syntax_check(body, type->name, &b);
    if (s == JSON_SYNTAX_WRONG)
        e = answer_error_text(a, 400, buf_slice(&b));
    else if (s == JSON_SYNTAX_FINE) /* JSON, but not ours: a lone surrogate, a number beyond 64 bits */
        e = answer_error(a, 400, "Unable to parse the request body: %s (line %d, column %d)", at->text, at->line,
                         at->column);
    buf_free(&b);
    return e;
}

enum err bind_body(const struct bind_type *type, struct slice body, json_t **out, struct answer *a)
{
    json_error_t at;
    *out = NULL;
    if (body.n >= 3 && !memcmp(body.p, "\xef\xbb\xbf", 3))
        body = slice_of(body.p + 3, body.n - 3);
    json_t *v = json_loadb((const char *)body.p, body.n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &at);
    if (!v)
        return refuse_body(type, body, &at, a);
    enum err e = json_is_null(v) ? ERR_OK : bind(type, v, out, a);
    json_decref(v);
    return e;
}
