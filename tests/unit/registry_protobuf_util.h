/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_REGISTRY_PROTOBUF_UTIL_H
#define CASTELLAN_TESTS_REGISTRY_PROTOBUF_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "registry/compatibility.h"
#include "registry/protobuf.h"

static inline struct parsed_schema *parse_with(const char *text, const struct schema_ref_text *refs, size_t n)
{
    struct schema_options options = {.fresh = true};
    struct parsed_schema *s;
    struct reason why = {0};
    if (schema_parse(&s, &schema_type_protobuf, slice_str(text), refs, n, &options, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.text);
    return s;
}

static inline struct parsed_schema *parse(const char *text)
{
    return parse_with(text, NULL, 0);
}

/* `want`: "KIND path;" of each incompatibility. */
static inline void check_pair(const char *was, const char *now, const char *want)
{
    struct parsed_schema *a = parse(was), *b = parse(now);
    struct compat_question q = {.reader_is_new = true};
    struct compat_result r;
    struct reason why;
    struct buf got;
    buf_init(&got, 0);
    compat_result_init(&r);
    assert_int_equal(schema_compatible(b, a, &q, &r, &why), ERR_OK);
    for (size_t i = 0; i < r.n; i++)
        buf_printf(&got, "%s %.*s;", r.items[i].type, SLICE_FMT(r.items[i].path));
    if (strcmp(buf_cstr(&got), want) != 0)
        fail_msg("%s\n%s\n  want %s\n  got  %s", was, now, want, buf_cstr(&got));
    buf_free(&got);
    compat_result_free(&r);
    schema_free(a);
    schema_free(b);
}

#endif
