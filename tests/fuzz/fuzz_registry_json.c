/* SPDX-License-Identifier: Apache-2.0
 * Input: up to four lines: a schema, a newer one, a document, an expression. What is read prints and reads again as
 * the same value; a schema validates and compares within its limits, and is compatible with itself. */
#include "registry/json_compat.h"
#include "registry/rules_cel.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

static void check_text(struct slice text, struct arena *a)
{
    struct jvalue *v, *again;
    struct buf once, twice;
    if (json_text_parse(&v, text, a, NULL) != ERR_OK)
        return;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    json_text_print(&once, v, JSON_TEXT_SORTED);
    FUZZ_EXPECT(json_text_parse(&again, buf_slice(&once), a, NULL) == ERR_OK);
    FUZZ_EXPECT(json_text_equal(v, again));
    FUZZ_EXPECT(json_text_hash(v) == json_text_hash(again));
    json_text_print(&twice, again, JSON_TEXT_AS_WRITTEN);
    FUZZ_EXPECT(slice_eq(buf_slice(&once), buf_slice(&twice)));
    buf_free(&once);
    buf_free(&twice);
}

static void check_rule(struct slice text, const struct jvalue *message, struct arena *a)
{
    struct json_regex *regexes = NULL;
    struct cel_node *n;
    bool yes;
    if (cel_parse(&n, text, a, &regexes, NULL) == ERR_OK)
        (void)!cel_is_true(n, message, &yes, NULL);
    while (regexes) {
        struct json_regex *next = regexes->next;
        json_regex_free(regexes);
        regexes = next;
    }
}

static struct json_schema *compile(struct slice text)
{
    static const struct json_schema_options options = {.draft = JSON_DRAFT_7, .formats = JSON_FORMAT_ASSERTION};
    struct json_schema *s;
    return json_schema_compile(&s, text, &options, NULL) == ERR_OK ? s : NULL;
}

static void check_pair(const struct json_schema *older, const struct json_schema *newer, bool same)
{
    struct json_compat c;
    struct buf text;
    if (json_compat_compare(&c, older, newer, JSON_COMPAT_STRICT, NULL) != ERR_OK)
        return;
    FUZZ_EXPECT(!same || c.compatible);
    buf_init(&text, 0);
    for (size_t i = 0; i < c.n && i < 10; i++)
        json_compat_print(&text, &c.items[i], "new", "old");
    buf_free(&text);
    json_compat_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data ? data : (const uint8_t *)"", size);
    struct slice first = next_line(&rest), second = next_line(&rest), third = next_line(&rest), last = next_line(&rest);
    struct json_schema *older = compile(first), *newer = compile(second);
    struct jvalue *document;
    struct arena a;
    arena_init(&a, 0);
    check_text(first, &a);
    if (older)
        check_pair(older, older, true);
    if (older && newer)
        check_pair(older, newer, false);
    if (json_text_parse(&document, third, &a, NULL) == ERR_OK) {
        if (older)
            (void)!json_schema_validate(older, document, NULL);
        check_rule(last, document, &a);
    }
    json_schema_free(older);
    json_schema_free(newer);
    arena_free(&a);
    return 0;
}
