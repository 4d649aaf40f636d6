/* SPDX-License-Identifier: Apache-2.0
 * The options that descriptors hold in fields of their own, in the order the reference lists them. */
#include "registry/protobuf_model.h"

static const char *const optimize_words[] = {"", "SPEED", "CODE_SIZE", "LITE_RUNTIME", NULL};
static const char *const ctype_words[] = {"STRING", "CORD", "STRING_PIECE", NULL};
static const char *const jstype_words[] = {"JS_NORMAL", "JS_STRING", "JS_NUMBER", NULL};
static const char *const idempotency_words[] = {"IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT", NULL};

#define YES(number, name)                                                                                              \
    {                                                                                                                  \
        number, name, PROTO_BOOLEAN, NULL                                                                              \
    }
#define TEXT(number, name)                                                                                             \
    {                                                                                                                  \
        number, name, PROTO_STRING, NULL                                                                               \
    }
static const struct proto_known_option file_options[] = {
    TEXT(1, "java_package"),
    TEXT(8, "java_outer_classname"),
    YES(10, "java_multiple_files"),
    YES(20, "java_generate_equals_and_hash"),
    YES(27, "java_string_check_utf8"),
    {9, "optimize_for", PROTO_WORD, optimize_words},
    TEXT(11, "go_package"),
    YES(16, "cc_generic_services"),
    YES(17, "java_generic_services"),
    YES(18, "py_generic_services"),
    YES(23, "deprecated"),
    YES(31, "cc_enable_arenas"),
    TEXT(36, "objc_class_prefix"),
    TEXT(37, "csharp_namespace"),
    TEXT(39, "swift_prefix"),
    TEXT(40, "php_class_prefix"),
    TEXT(41, "php_namespace"),
    TEXT(44, "php_metadata_namespace"),
    TEXT(45, "ruby_package"),
    {0},
};
static const struct proto_known_option message_options[] = {
    YES(2, "no_standard_descriptor_accessor"), YES(3, "deprecated"), YES(7, "map_entry"), {0}};
static const struct proto_known_option field_options[] = {
    {1, "ctype", PROTO_WORD, ctype_words},
    YES(2, "packed"),
    {6, "jstype", PROTO_WORD, jstype_words},
    YES(3, "deprecated"),
    YES(16, "debug_redact"),
    {0},
};
static const struct proto_known_option enum_options[] = {YES(2, "allow_alias"), YES(3, "deprecated"), {0}};
static const struct proto_known_option value_options[] = {YES(1, "deprecated"), YES(3, "debug_redact"), {0}};
static const struct proto_known_option service_options[] = {YES(33, "deprecated"), {0}};
static const struct proto_known_option method_options[] = {
    YES(33, "deprecated"), {34, "idempotency_level", PROTO_WORD, idempotency_words}, {0}};

static const struct {
    const char *name;
    const struct proto_known_option *options;
    const char *meta;
} option_messages[] = {
    {"FileOptions", file_options, "confluent.file_meta"},
    {"MessageOptions", message_options, "confluent.message_meta"},
    {"FieldOptions", field_options, "confluent.field_meta"},
    {"EnumOptions", enum_options, "confluent.enum_meta"},
    {"EnumValueOptions", value_options, "confluent.enum_value_meta"},
    {"ServiceOptions", service_options, NULL},
    {"MethodOptions", method_options, NULL},
};

const struct proto_known_option *proto_known_options(const char *what)
{
    for (size_t i = 0; i < sizeof option_messages / sizeof *option_messages; i++)
        if (!strcmp(option_messages[i].name, what))
            return option_messages[i].options;
    return NULL;
}

const char *proto_meta_name(const char *what)
{
    for (size_t i = 0; i < sizeof option_messages / sizeof *option_messages; i++)
        if (!strcmp(option_messages[i].name, what))
            return option_messages[i].meta;
    return NULL;
}
