/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_REGISTRY_AVRO_UTIL_H
#define CASTELLAN_TESTS_REGISTRY_AVRO_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry/avro.h"

/* A file of cases; the test is skipped where it is absent. */
static inline json_t *load_cases(const char *path, const char *key)
{
    json_error_t error;
    json_t *whole = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!whole) {
        printf("skipped: %s is absent\n", path);
        exit(77);
    }
    json_t *cases = json_incref(json_object_get(whole, key));
    json_decref(whole);
    assert_true(json_is_array(cases));
    return cases;
}

static inline struct slice text_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

static inline enum err parse_avro(struct parsed_schema **out, struct slice text, bool fresh, struct reason *why)
{
    struct schema_options options = {.fresh = fresh};
    *why = (struct reason){0};
    return schema_parse(out, &schema_type_avro, text, NULL, 0, &options, why);
}

static inline struct parsed_schema *must_parse(const char *text)
{
    struct parsed_schema *s;
    struct reason why;
    if (parse_avro(&s, slice_str(text), true, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.text);
    return s;
}

static inline void expect_text(const char *name, const char *want, struct buf *got, unsigned *failed)
{
    if (!slice_eq_str(buf_slice(got), want)) {
        printf("%s\n  want %s\n  got  %s\n", name, want, buf_cstr(got));
        ++*failed;
    }
}

#endif
