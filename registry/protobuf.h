/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_PROTOBUF_H
#define CASTELLAN_REGISTRY_PROTOBUF_H

#include "registry/schema_type.h"

/* Protobuf schemas, read, printed and judged as the reference registry does. The generic functions of schema_type.h
 * apply with `&schema_type_protobuf`: the text is a .proto file (proto2 or proto3) or a base64 FileDescriptorProto;
 * references are named as imports are. Google's well-known types and Confluent's are built in. */

/* Limits against hostile schemas and data; each answers ERR_LIMIT_EXCEEDED (data: ERR_INVALID_RECORD). */
enum {
    PROTOBUF_SCHEMA_SIZE_MAX = 16 * 1024 * 1024, /* bytes of one schema text */
    PROTOBUF_DEPTH_MAX = 100,                    /* messages, or option values, inside one another */
    PROTOBUF_PRINT_MAX = 64 * 1024 * 1024,       /* bytes of a printed schema */
    PROTOBUF_COMPAT_WORK_MAX = 2000000,          /* types and fields looked at in one comparison */
    PROTOBUF_DATUM_DEPTH_MAX = 100,              /* messages inside one another; protobuf's own default */
    PROTOBUF_INDEXES_MAX = 100                   /* message indexes before a payload */
};

/* The message a serializer's index list leads to: {1, 0} is the first message inside the second. */
struct protobuf_message;

/* Reads the index list that serializers put before the message; `*used` bytes of it. ERR_INVALID_RECORD. */
enum err protobuf_read_indexes(const struct parsed_schema *s, struct slice payload, const struct protobuf_message **out,
                               size_t *used, struct reason *why) MUST_CHECK;
struct slice protobuf_message_name(const struct protobuf_message *m); /* full name */
const struct protobuf_message *protobuf_first_message(const struct parsed_schema *s);
/* One message, exactly. Unknown fields are allowed, as Protobuf means them. ERR_INVALID_RECORD and in `why` where. */
enum err protobuf_validate(const struct protobuf_message *m, struct slice datum, struct reason *why) MUST_CHECK;

#endif
