/* SPDX-License-Identifier: Apache-2.0
 * Holds every description against Kafka's own definitions, field by field and in both directions: names and their
 * order, types, versions, nullable, tagged and flexible versions, tags, defaults, entity types, ignorable, map keys;
 * and of each message the kind, key, valid versions, listeners and whether its newest version is released. */
#include "core/wire/message.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { SKIPPED = 77 };

static const char *const folders[] = {
    TEST_SHARED "/vectors/kafka-messages", TEST_SHARED "/vectors/kafka-internal-records/group-coordinator",
    TEST_SHARED "/vectors/kafka-internal-records/transaction-coordinator",
    TEST_SHARED "/vectors/kafka-internal-records/metadata", TEST_SHARED "/vectors/kafka-internal-records/raft"};

/* Blanks out comments, which begin with // outside of a string and end with the line. */
static void strip_comments(char *text)
{
    bool in_string = false;
    for (char *p = text; *p; p++) {
        if (*p == '"' && (p == text || p[-1] != '\\'))
            in_string = !in_string;
        if (!in_string && p[0] == '/' && p[1] == '/')
            while (*p && *p != '\n')
                *p++ = ' ';
        if (!*p)
            return;
    }
}

static json_t *load(const char *name)
{
    char path[1024], *text = calloc(1, 1 << 20);
    json_error_t error;
    json_t *root = NULL;
    FILE *in = NULL;

    assert_non_null(text);
    if (strcmp(name, "ZkMigrationStateRecord") == 0) /* the one file that is not called like its message */
        name = "ZkMigrationRecord";
    for (size_t i = 0; !in && i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s.json", folders[i], name);
        in = fopen(path, "r");
    }
    if (!in)
        fail_msg("no definition of %s", name);
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    strip_comments(text);
    root = json_loads(text, 0, &error);
    if (!root)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    free(text);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void expect_versions(const char *where, const char *what, struct wire_versions ours, const char *theirs)
{
    struct wire_versions v = {1, 0};
    int min, max;
    char plus;

    if (theirs && strcmp(theirs, "none") != 0) {
        if (sscanf(theirs, "%d-%d", &min, &max) == 2)
            v = (struct wire_versions){(int16_t)min, (int16_t)max};
        else if (sscanf(theirs, "%d%c", &min, &plus) == 2 && plus == '+')
            v = (struct wire_versions){(int16_t)min, WIRE_VERSION_OPEN};
        else if (sscanf(theirs, "%d", &min) == 1)
            v = (struct wire_versions){(int16_t)min, (int16_t)min};
        else
            fail_msg("%s: cannot read versions \"%s\"", where, theirs);
    }
    if (ours.min > ours.max && v.min > v.max)
        return;
    if (ours.min != v.min || ours.max != v.max)
        fail_msg("%s: %s is %d-%d, Kafka says %s", where, what, ours.min, ours.max, theirs ? theirs : "nothing");
}

static const char *type_name(const struct wire_field *f)
{
    static const char *const names[] = {"bool",  "int8",    "int16", "uint16", "int32", "uint32",
                                        "int64", "float64", "uuid",  "string", "bytes", "records"};
    return f->type == WIRE_STRUCT ? f->body->name : names[f->type];
}

static const char *entity_name(enum wire_entity e)
{
    static const char *const names[] = {[WIRE_ENTITY_TOPIC_NAME] = "topicName",
                                        [WIRE_ENTITY_GROUP_ID] = "groupId",
                                        [WIRE_ENTITY_TRANSACTIONAL_ID] = "transactionalId",
                                        [WIRE_ENTITY_PRODUCER_ID] = "producerId",
                                        [WIRE_ENTITY_BROKER_ID] = "brokerId"};
    return e <= WIRE_ENTITY_BROKER_ID ? names[e] : NULL; /* the others are our own */
}

static void expect_text(const char *where, const char *what, const char *ours, const char *theirs)
{
    if ((ours == NULL) != (theirs == NULL) || (ours && theirs && strcmp(ours, theirs) != 0))
        fail_msg("%s: %s is \"%s\", Kafka says \"%s\"", where, what, ours ? ours : "-", theirs ? theirs : "-");
}

static void expect_default(const char *where, const struct wire_field *f, const json_t *theirs)
{
    char text[64];

    if (!theirs) {
        expect_text(where, "default", f->default_text, NULL);
    } else if (json_is_null(theirs)) {
        expect_text(where, "default", f->default_text, "null");
    } else if (json_is_boolean(theirs)) {
        expect_text(where, "default", f->default_text, json_is_true(theirs) ? "true" : "false");
    } else if (json_is_integer(theirs)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(theirs));
        expect_text(where, "default", f->default_text, text);
    } else {
        expect_text(where, "default", f->default_text, json_string_value(theirs));
    }
}

static void expect_struct(const char *where, const struct wire_struct *s, const json_t *fields, const json_t *common);

static void expect_field(const char *parent, const struct wire_field *f, const json_t *theirs, const json_t *common)
{
    const char *type = text_of(theirs, "type"), *versions = text_of(theirs, "versions");
    const json_t *tag = json_object_get(theirs, "tag"), *inner = json_object_get(theirs, "fields");
    bool array = strncmp(type, "[]", 2) == 0;
    char where[512];

    snprintf(where, sizeof where, "%s.%s", parent, f->name);
    expect_text(where, "name", f->name, text_of(theirs, "name"));
    expect_text(where, "type", type_name(f), array ? type + 2 : type);
    if (f->array != array)
        fail_msg("%s: array or not", where);
    expect_versions(where, "versions", f->versions, versions ? versions : text_of(theirs, "taggedVersions"));
    expect_versions(where, "nullableVersions", f->nullable, text_of(theirs, "nullableVersions"));
    expect_versions(where, "taggedVersions", f->tagged, text_of(theirs, "taggedVersions"));
    expect_versions(where, "flexibleVersions", f->flexible, text_of(theirs, "flexibleVersions"));
    if (f->flexible_overridden != (json_object_get(theirs, "flexibleVersions") != NULL))
        fail_msg("%s: flexibleVersions of its own or not", where);
    if (f->tag != (tag ? json_integer_value(tag) : -1))
        fail_msg("%s: tag %d", where, f->tag);
    expect_text(where, "entityType", entity_name(f->entity), text_of(theirs, "entityType"));
    if (f->ignorable != json_is_true(json_object_get(theirs, "ignorable")))
        fail_msg("%s: ignorable or not", where);
    if (f->map_key != json_is_true(json_object_get(theirs, "mapKey")))
        fail_msg("%s: map key or not", where);
    expect_default(where, f, json_object_get(theirs, "default"));
    if (f->type != WIRE_STRUCT)
        return;
    for (size_t i = 0; !inner && i < json_array_size(common); i++)
        if (strcmp(text_of(json_array_get(common, i), "name"), f->body->name) == 0) {
            inner = json_object_get(json_array_get(common, i), "fields");
            expect_versions(where, "versions of the struct", f->body->versions,
                            text_of(json_array_get(common, i), "versions"));
        }
    if (!inner)
        fail_msg("%s: Kafka has no fields for %s", where, f->body->name);
    expect_struct(where, f->body, inner, common);
}

static void expect_struct(const char *where, const struct wire_struct *s, const json_t *fields, const json_t *common)
{
    size_t theirs = json_array_size(fields);

    for (size_t i = 0; i < s->field_count && i < theirs; i++)
        expect_field(where, &s->fields[i], json_array_get(fields, i), common);
    if (s->field_count != theirs)
        fail_msg("%s: %zu fields, Kafka has %zu", where, s->field_count, theirs);
}

static const char *kind_name(enum wire_kind kind)
{
    static const char *const names[] = {"request",  "response",        "header",           "data",
                                        "metadata", "coordinator-key", "coordinator-value"};
    return names[kind];
}

static void expect_api(const struct wire_message *w, const json_t *theirs)
{
    const json_t *listeners = json_object_get(theirs, "listeners");
    const struct wire_api *api = wire_api(w->key);
    unsigned want = 0;

    assert_non_null(api);
    assert_ptr_equal(api->request, w);
    if (strncmp(api->name, w->name, strlen(api->name)) != 0 || strcmp(w->name + strlen(api->name), "Request") != 0)
        fail_msg("%s is the request of the API %s", w->name, api->name);
    assert_int_equal(api->min, w->valid.min);
    assert_int_equal(api->max, w->valid.max);
    assert_int_equal(api->flexible_from, w->flexible.min > w->flexible.max ? WIRE_VERSION_OPEN : w->flexible.min);
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const char *name = json_string_value(json_array_get(listeners, i));
        want |= strcmp(name, "broker") == 0 ? WIRE_LISTENER_BROKER : 0u;
        want |= strcmp(name, "controller") == 0 ? WIRE_LISTENER_CONTROLLER : 0u;
    }
    assert_int_equal(api->listeners, want);
    assert_int_equal(api->latest_unstable, json_is_true(json_object_get(theirs, "latestVersionUnstable")));
}

static void test_every_message_is_kafkas(void **state)
{
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct wire_message *w = all[i];
        json_t *theirs = load(w->name);
        const json_t *key = json_object_get(theirs, "apiKey");
        expect_text(w->name, "name", w->name, text_of(theirs, "name"));
        expect_text(w->name, "type", kind_name(w->kind), text_of(theirs, "type"));
        assert_int_equal(w->key, key ? json_integer_value(key) : -1);
        expect_versions(w->name, "validVersions", w->valid, text_of(theirs, "validVersions"));
        expect_versions(w->name, "flexibleVersions", w->flexible, text_of(theirs, "flexibleVersions"));
        expect_struct(w->name, w->body, json_object_get(theirs, "fields"), json_object_get(theirs, "commonStructs"));
        if (w->kind == WIRE_REQUEST)
            expect_api(w, theirs);
        json_decref(theirs);
    }
}

/* Every API that a Kafka client or the bundled cluster uses is described. */
static void test_no_api_is_missing(void **state)
{
    static const int16_t ranges[][2] = {{0, 3}, {8, 69}, {71, 72}, {74, 75}};
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (int16_t key = ranges[i][0]; key <= ranges[i][1]; key++)
            if (!wire_api(key))
                fail_msg("API %d is not described", key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_is_kafkas),
        cmocka_unit_test(test_no_api_is_missing),
    };
    if (access(folders[0], R_OK) != 0) {
        printf("skipped: Kafka's message definitions (%s) are not here\n", folders[0]);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
