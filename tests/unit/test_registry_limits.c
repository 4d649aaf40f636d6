/* SPDX-License-Identifier: Apache-2.0
 * The page of limits against the code: every fixed limit it lists has the value it says, and none is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/fs.h"
#include "core/ledger/ledger_internal.h"
#include "registry/avro.h"
#include "registry/http.h"
#include "registry/json_compat.h"
#include "registry/json_schema.h"
#include "registry/json_text.h"
#include "registry/protobuf.h"
#include "registry/protobuf_model.h"
#include "registry/rules.h"
#include "registry/text_cache.h"

#define LIMIT(name)                                                                                                    \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
static const struct {
    const char *name;
    long value;
} limits[] = {
    LIMIT(HTTP_CONNECTIONS_MAX),
    LIMIT(HTTP_HEADERS_MAX),
    LIMIT(HTTP_DRAIN_MAX),
    LIMIT(REST_BODY_MAX),
    LIMIT(REST_SEGMENTS_MAX),
    LIMIT(REST_PARAMS_MAX),
    LIMIT(LEDGER_RECORD_MAX),
    LIMIT(MODEL_CACHE_TEXT_MAX),
    LIMIT(TEXT_CACHE_TEXT_MAX),
    LIMIT(TEXT_CACHE_BYTES_MAX),
    LIMIT(AVRO_SCHEMA_SIZE_MAX),
    LIMIT(AVRO_SCHEMA_DEPTH_MAX),
    LIMIT(AVRO_SCHEMA_NODES_MAX),
    LIMIT(AVRO_UNION_BRANCHES_MAX),
    LIMIT(AVRO_PRINT_MAX),
    LIMIT(AVRO_COMPAT_WORK_MAX),
    LIMIT(AVRO_DATUM_DEPTH_MAX),
    LIMIT(AVRO_DATUM_EMPTY_ITEMS_MAX),
    LIMIT(AVRO_DATUM_JSON_MAX),
    LIMIT(JSON_TEXT_DEPTH_MAX),
    LIMIT(JSON_TEXT_NUMBER_MAX),
    LIMIT(JSON_TEXT_SIZE_MAX),
    LIMIT(JSON_SCHEMA_NODES_MAX),
    LIMIT(JSON_SCHEMA_DOCUMENTS_MAX),
    LIMIT(JSON_SCHEMA_DEPTH_MAX),
    LIMIT(JSON_SCHEMA_WORK_MAX),
    LIMIT(JSON_SCHEMA_PATTERN_MAX),
    LIMIT(JSON_SCHEMA_PATTERN_STEPS_MAX),
    LIMIT(JSON_COMPAT_WORK_MAX),
    LIMIT(JSON_COMPAT_VERSIONS_WORK_MAX),
    LIMIT(JSON_COMPAT_PAIR_WORK),
    LIMIT(JSON_COMPAT_MEMORY_MAX),
    LIMIT(JSON_COMPAT_DEPTH_MAX),
    LIMIT(JSON_COMPAT_ITEMS_MAX),
    LIMIT(JSON_COMPAT_PASSES_MAX),
    LIMIT(PROTOBUF_SCHEMA_SIZE_MAX),
    LIMIT(PROTOBUF_DEPTH_MAX),
    LIMIT(PROTO_LIST_MAX),
    LIMIT(PROTOBUF_PRINT_MAX),
    LIMIT(PROTOBUF_COMPAT_WORK_MAX),
    LIMIT(PROTOBUF_DATUM_DEPTH_MAX),
    LIMIT(PROTOBUF_INDEXES_MAX),
    LIMIT(RULES_MAX),
    LIMIT(RULES_EXPRESSION_MAX),
    LIMIT(RULES_NODES_MAX),
    LIMIT(RULES_DEPTH_MAX),
    LIMIT(RULES_STRING_MAX),
    LIMIT(RULES_STEPS_MAX),
    LIMIT(JWT_TOKEN_MAX),
    LIMIT(JWT_SUBJECT_MAX),
    LIMIT(JWT_RSA_BITS_MIN),
    LIMIT(JWT_RSA_BITS_MAX),
    LIMIT(JWT_AUDIENCES_MAX),
    LIMIT(JWT_KEYS_MAX),
    LIMIT(JWT_KEYS_TEXT_MAX),
    LIMIT(AUDIT_QUEUE_MAX),
    LIMIT(AUDIT_QUEUE_BYTES_MAX),
    LIMIT(AUDIT_STRANGERS_BURST),
    LIMIT(AUDIT_STRANGERS_RATE),
    LIMIT(AUDIT_TEXT_MAX),
    LIMIT(AUDIT_WAIT_MS),
};

/* "4,096", "16 KiB", "1 MiB" */
static long number_of(const char *text)
{
    long v = 0;
    for (; (*text >= '0' && *text <= '9') || *text == ','; text++)
        v = *text == ',' ? v : v * 10 + (*text - '0');
    return !strncmp(text, " KiB", 4) ? v * 1024 : !strncmp(text, " MiB", 4) ? v * 1024 * 1024 : v;
}

static void test_limits(void **state)
{
    struct buf page;
    struct reason why = {0};
    size_t listed = 0;
    (void)state;
    buf_init(&page, 0);
    if (fs_read_file(TEST_SOURCE "/docs/registry-limits.md", &page, &why))
        fail_msg("%s", why.text);
    const char *text = buf_cstr(&page);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char cell[80];
        snprintf(cell, sizeof cell, "\n| `%s` | ", limits[i].name);
        const char *row = strstr(text, cell);
        if (!row)
            fail_msg("docs/registry-limits.md does not list %s", limits[i].name);
        if (number_of(row + strlen(cell)) != limits[i].value)
            fail_msg("docs/registry-limits.md has another %s: it is %ld", limits[i].name, limits[i].value);
    }
    for (const char *row = strstr(text, "\n| `"); row; row = strstr(row + 1, "\n| `"))
        listed += row[4] >= 'A' && row[4] <= 'Z';
    assert_int_equal(listed, sizeof limits / sizeof *limits);
    buf_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
