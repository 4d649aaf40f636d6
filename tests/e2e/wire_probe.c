/* SPDX-License-Identifier: Apache-2.0
 * Asks a broker every request it announces, in every version, and decodes every answer: whatever a handler puts into a
 * field that a version lacks, or forgets in one that may not be null, shows here. Requests are filled from the table of
 * their fields: one element per array, names and numbers that make most of them sensible.
 *
 *     wire_probe PORT TOPIC [KEY]      prints "NAME vN: what is wrong" for each; exit 1 when there was any */
#include "core/wire/header.h"
#include "wire/api_versions.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SECONDS = 10, DEPTH_MAX = 8 };

struct probe {
    uint16_t port;
    const char *topic;
    int16_t key, version;
    char id[32]; /* of groups and transactions: one per version, so that some requests find what others left */
    struct arena arena;
};

static int64_t number_for(const struct probe *p, const struct wire_field *f)
{
    if (f->entity == WIRE_ENTITY_BROKER_ID)
        return 99; /* nobody */
    if (f->entity == WIRE_ENTITY_PRODUCER_ID)
        return p->key == WIRE_INIT_PRODUCER_ID ? -1 : 1000000 + p->key * 100 + p->version;
    if (strstr(f->name, "Timeout"))
        return 1000;
    if (strcmp(f->name, "ReplicationFactor") == 0 || strcmp(f->name, "NumPartitions") == 0 ||
        strcmp(f->name, "Count") == 0 || strcmp(f->name, "Acks") == 0)
        return 1;
    if (strstr(f->name, "MaxBytes") || strstr(f->name, "Limit"))
        return 1000;
    if (strcmp(f->name, "ResourceType") == 0)
        return 2;
    if (strstr(f->name, "Epoch") || strcmp(f->name, "GenerationId") == 0)
        return -1;
    return 0;
}

static struct slice text_for(const struct probe *p, const struct wire_field *f)
{
    if (f->entity == WIRE_ENTITY_TOPIC_NAME && p->key == WIRE_DELETE_TOPICS)
        return slice_str("probe-deleted"); /* not the one the others look at */
    if (f->entity == WIRE_ENTITY_TOPIC_NAME || strcmp(f->name, "ResourceName") == 0)
        return slice_str(p->topic);
    if (strcmp(f->name, "MemberId") == 0 || strstr(f->name, "InstanceId"))
        return slice_str("");
    if (f->entity == WIRE_ENTITY_GROUP_ID || f->entity == WIRE_ENTITY_TRANSACTIONAL_ID)
        return slice_str(p->id);
    return slice_str("probe");
}

static bool fill(struct probe *p, const struct wire_struct *s, void *m, int depth);

static bool fill_value(struct probe *p, const struct wire_field *f, void *at, int depth)
{
    int64_t number = number_for(p, f);

    switch (f->type) {
    case WIRE_BOOL:
    case WIRE_UUID:
    case WIRE_FLOAT64:
        return true;
    case WIRE_INT8:
        *(int8_t *)at = (int8_t)number;
        return true;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(int16_t *)at = (int16_t)number;
        return true;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(int32_t *)at = (int32_t)number;
        return true;
    case WIRE_INT64:
        *(int64_t *)at = number;
        return true;
    case WIRE_STRING:
        *(struct slice *)at = text_for(p, f);
        if (((struct slice *)at)->n == 0 && wire_versions_has(f->nullable, p->version))
            *(struct slice *)at = SLICE_NULL;
        return true;
    case WIRE_BYTES:
    case WIRE_RECORDS:
        *(struct slice *)at = slice_str("");
        return true;
    case WIRE_STRUCT:
        return fill(p, f->body, at, depth + 1);
    }
    return false;
}

static size_t size_of(const struct wire_field *f)
{
    return f->type == WIRE_STRUCT ? f->body->size : sizeof(struct slice);
}

static bool fill(struct probe *p, const struct wire_struct *s, void *m, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        void *at = (char *)m + f->offset;
        if (!wire_versions_has(f->versions, p->version) || f->tag >= 0)
            continue;
        if (f->array) {
            struct wire_array *a = at;
            a->v = arena_alloc(&p->arena, size_of(f));
            if (!a->v)
                return false;
            if (f->type == WIRE_STRUCT)
                f->body->init(a->v);
            a->n = 1;
            at = a->v;
        } else if (f->pointer) {
            continue; /* stays null */
        }
        if (!fill_value(p, f, at, depth))
            return false;
    }
    return true;
}

static bool read_all(int fd, uint8_t *out, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t more = read(fd, out + got, n - got);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
        connect(fd, (struct sockaddr *)&a, sizeof a)) {
        perror("cannot connect");
        exit(2);
    }
    return fd;
}

/* NULL, or what is wrong. *response is the decoded answer. */
static const char *ask(struct probe *p, const void *request, void **response)
{
    const struct wire_api *api = wire_api(p->key);
    struct response_header h;
    struct cursor c;
    struct buf frame;
    uint8_t length[4], *answer = NULL;
    const char *wrong = "no answer: the connection was closed";
    int fd = connect_to(p->port);
    size_t n;

    buf_init(&frame, 0);
    *response = wire_struct_new(api->response->body, &p->arena);
    if (wire_request_frame(&frame, p->key, p->version, 7, slice_str("probe"), request)) {
        wrong = "the request cannot be encoded";
    } else if (write(fd, frame.p, frame.n) == (ssize_t)frame.n && read_all(fd, length, 4)) {
        n = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
        answer = arena_alloc(&p->arena, n + 1);
        c = cursor_of(slice_of(answer, n));
        if (!answer || !*response || !read_all(fd, answer, n))
            wrong = "the answer is cut short";
        else if (wire_response_header_decode(&h, &c, p->key, p->version, &p->arena) || h.correlation_id != 7)
            wrong = "the answer's header does not parse";
        else if (api->response->decode(*response, &c, p->version, &p->arena) || cursor_finish(&c))
            wrong = "the answer does not parse";
        else
            wrong = NULL;
    }
    buf_free(&frame);
    close(fd);
    return wrong;
}

static int probe_version(struct probe *p)
{
    const struct wire_api *api = wire_api(p->key);
    struct buf line;
    const char *wrong;
    void *request, *response;

    arena_init(&p->arena, 0);
    buf_init(&line, 0);
    snprintf(p->id, sizeof p->id, "probe-%d", p->version);
    request = wire_struct_new(api->request->body, &p->arena);
    wrong =
        request && fill(p, api->request->body, request, 0) ? ask(p, request, &response) : "the request cannot be made";
    if (wrong) {
        printf("%s v%d: %s\n", api->name, p->version, wrong);
        wire_print(api->request->body, request, p->version, &line);
        printf("    %s\n", buf_cstr(&line));
    } else if (getenv("PROBE_VERBOSE")) {
        wire_print(api->response->body, response, p->version, &line);
        printf("%s v%d: %s\n", api->name, p->version, buf_cstr(&line));
    }
    buf_free(&line);
    arena_free(&p->arena);
    return wrong != NULL;
}

int main(int argc, char **argv)
{
    struct probe p = {.port = (uint16_t)strtoul(argc > 1 ? argv[1] : "0", NULL, 10), .topic = argc > 2 ? argv[2] : "t"};
    int only = argc > 3 ? (int)strtol(argv[3], NULL, 10) : -1, bad = 0, asked = 0;
    struct api_versions_request request;
    struct api_versions_response *all;
    struct arena keep;

    api_versions_request_init(&request);
    request.client_software_name = request.client_software_version = slice_str("probe");
    p.key = WIRE_API_VERSIONS;
    p.version = 3;
    arena_init(&p.arena, 0);
    if (ask(&p, &request, (void **)&all)) {
        puts("ApiVersions is not answered");
        return 1;
    }
    keep = p.arena;
    for (int32_t i = 0; i < all->api_keys.n; i++) {
        p.key = all->api_keys.v[i].api_key;
        if (only >= 0 && p.key != only)
            continue;
        for (int v = all->api_keys.v[i].min_version; v <= all->api_keys.v[i].max_version; v++) {
            p.version = (int16_t)v;
            if (p.key == WIRE_PRODUCE && v < 3) /* announced, but refused: see KAFKA-18659 */
                continue;
            bad += probe_version(&p);
            asked++;
        }
    }
    arena_free(&keep);
    printf("%d requests, %d without a good answer\n", asked, bad);
    return bad != 0;
}
