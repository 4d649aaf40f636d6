/* SPDX-License-Identifier: Apache-2.0
 * Names of clients, for people who read logs. What a client sent is cut; control characters are the log's to remove. */
#include "core/wire/client.h"

#include <stdio.h>

enum { CLIENT_ID_SHOWN_MAX = 128 };

bool client_software_is_valid(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && ((c != '-' && c != '.') || i == 0 || i + 1 == s.n))
            return false;
    }
    return s.n > 0;
}

static struct slice cut(struct slice s, size_t max)
{
    return slice_of(s.p, s.n < max ? s.n : max);
}

void client_software_set(struct client_software *s, struct slice name, struct slice version)
{
    snprintf(s->name, sizeof s->name, "%.*s", SLICE_FMT(cut(name, CLIENT_SOFTWARE_MAX)));
    snprintf(s->version, sizeof s->version, "%.*s", SLICE_FMT(cut(version, CLIENT_SOFTWARE_MAX)));
}

void client_describe_request(char text[CLIENT_DESCRIPTION_MAX], int16_t key, int16_t version, struct slice client_id,
                             const struct client_software *software)
{
    const struct wire_api *api = wire_api(key);
    char name[24];

    snprintf(name, sizeof name, "API %d", key);
    snprintf(text, CLIENT_DESCRIPTION_MAX, "%s version %d (client id \"%.*s\", software %s%s%s)",
             api ? api->name : name, version, SLICE_FMT(cut(client_id, CLIENT_ID_SHOWN_MAX)),
             software->name[0] ? software->name : "unknown", software->version[0] ? " " : "", software->version);
}
