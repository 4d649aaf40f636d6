/* SPDX-License-Identifier: Apache-2.0
 * Names: from Kafka's CamelCase to C. A new word starts at a capital after a small letter or digit, and at the last
 * capital of a run of them ("DescribeACLFilter" would be describe_acl_filter); "KRaft" is one word. */
#include "core/wire/generator/model.h"

#include <ctype.h>

const char *snake_case(const char *name, struct arena *a)
{
    size_t n = strlen(name), at = 0;
    char *out = arena_alloc(a, 2 * n + 1);

    for (size_t i = 0; out && i < n; i++) {
        unsigned char c = (unsigned char)name[i], before = i ? (unsigned char)name[i - 1] : 0;
        unsigned char after = (unsigned char)name[i + 1];
        bool starts = i > 0 && isupper(c) && (!isupper(before) || islower(after));
        if (starts && before == 'K' && strncmp(name + i - 1, "KRaft", 5) == 0)
            starts = false;
        if (starts)
            out[at++] = '_';
        out[at++] = (char)tolower(c);
    }
    return out;
}

const char *field_c_name(const char *name, struct arena *a)
{
    static const char *const keywords[] = {"auto",   "bool",   "char",   "const",   "default",  "double", "enum",
                                           "extern", "float",  "int",    "long",    "register", "short",  "signed",
                                           "static", "struct", "switch", "typedef", "union",    "void",   "tags"};
    const char *c_name = snake_case(name, a);

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(c_name, keywords[i]) == 0)
            return arena_printf(a, "%s_", c_name);
    return c_name;
}

const char *upper_case(const char *name, struct arena *a)
{
    char *out = arena_strdup(a, slice_str(name));
    for (char *p = out; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return out;
}

const char *type_enum_name(enum wire_type type)
{
    static const char *const names[] = {
        [WIRE_BOOL] = "WIRE_BOOL",     [WIRE_INT8] = "WIRE_INT8",       [WIRE_INT16] = "WIRE_INT16",
        [WIRE_UINT16] = "WIRE_UINT16", [WIRE_INT32] = "WIRE_INT32",     [WIRE_UINT32] = "WIRE_UINT32",
        [WIRE_INT64] = "WIRE_INT64",   [WIRE_FLOAT64] = "WIRE_FLOAT64", [WIRE_UUID] = "WIRE_UUID",
        [WIRE_STRING] = "WIRE_STRING", [WIRE_BYTES] = "WIRE_BYTES",     [WIRE_RECORDS] = "WIRE_RECORDS",
        [WIRE_STRUCT] = "WIRE_STRUCT"};
    return names[type];
}

const char *entity_enum_name(enum wire_entity entity)
{
    static const char *const names[] = {[WIRE_ENTITY_NONE] = "WIRE_ENTITY_NONE",
                                        [WIRE_ENTITY_TOPIC_NAME] = "WIRE_ENTITY_TOPIC_NAME",
                                        [WIRE_ENTITY_GROUP_ID] = "WIRE_ENTITY_GROUP_ID",
                                        [WIRE_ENTITY_TRANSACTIONAL_ID] = "WIRE_ENTITY_TRANSACTIONAL_ID",
                                        [WIRE_ENTITY_PRODUCER_ID] = "WIRE_ENTITY_PRODUCER_ID",
                                        [WIRE_ENTITY_BROKER_ID] = "WIRE_ENTITY_BROKER_ID",
                                        [WIRE_ENTITY_TOPIC_ID] = "WIRE_ENTITY_TOPIC_ID",
                                        [WIRE_ENTITY_RESOURCE_NAME] = "WIRE_ENTITY_RESOURCE_NAME",
                                        [WIRE_ENTITY_COORDINATOR_KEY] = "WIRE_ENTITY_COORDINATOR_KEY"};
    return names[entity];
}

const char *kind_enum_name(enum wire_kind kind)
{
    static const char *const names[] = {[WIRE_REQUEST] = "WIRE_REQUEST",
                                        [WIRE_RESPONSE] = "WIRE_RESPONSE",
                                        [WIRE_HEADER] = "WIRE_HEADER",
                                        [WIRE_DATA] = "WIRE_DATA",
                                        [WIRE_METADATA_RECORD] = "WIRE_METADATA_RECORD",
                                        [WIRE_COORDINATOR_KEY] = "WIRE_COORDINATOR_KEY",
                                        [WIRE_COORDINATOR_VALUE] = "WIRE_COORDINATOR_VALUE"};
    return names[kind];
}
