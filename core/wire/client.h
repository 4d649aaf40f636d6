/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_CLIENT_H
#define CASTELLAN_WIRE_CLIENT_H

#include "core/wire/message.h"

/* What a client says of itself in ApiVersions (KIP-511), kept for the log. Both texts are empty until it did. */
enum { CLIENT_SOFTWARE_MAX = 64, CLIENT_DESCRIPTION_MAX = 512 };

struct client_software {
    char name[CLIENT_SOFTWARE_MAX + 1];
    char version[CLIENT_SOFTWARE_MAX + 1];
};

/* Letters, digits, '-' and '.', the latter two not at the ends: else Kafka answers INVALID_REQUEST. */
bool client_software_is_valid(struct slice name_or_version);
/* Copies both, cut at CLIENT_SOFTWARE_MAX. */
void client_software_set(struct client_software *s, struct slice name, struct slice version);
/* For a log line: "Fetch version 99 (client id "app", software librdkafka 2.16.1)"; an API that is not described here
 * is told by its number. */
void client_describe_request(char text[CLIENT_DESCRIPTION_MAX], int16_t key, int16_t version, struct slice client_id,
                             const struct client_software *software);

#endif
