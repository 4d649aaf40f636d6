/* SPDX-License-Identifier: Apache-2.0
 * Input: a line with a schema, a line with another, then a datum of the first. A schema that is read prints as a text
 * that reads as the same schema; it is compatible with itself; data and JSON agree on what is valid. */
#include "registry/avro.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

static struct parsed_schema *parse(struct slice text, bool fresh)
{
    struct schema_options o = {.fresh = fresh};
    struct parsed_schema *s;
    return schema_parse(&s, &schema_type_avro, text, NULL, 0, &o, NULL) == ERR_OK ? s : NULL;
}

/* Java's text of a type without namespace inside one with a namespace cannot always be read again. */
static void check_text(const struct parsed_schema *s)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    if (schema_canonical(s, &once) == ERR_OK) {
        struct parsed_schema *again = parse(buf_slice(&once), false);
        if (again && schema_canonical(again, &twice) == ERR_OK)
            FUZZ_EXPECT(slice_eq(buf_slice(&once), buf_slice(&twice)));
        schema_free(again);
    }
    buf_clear(&once);
    (void)!schema_normalized(s, &once);
    buf_clear(&once);
    (void)!avro_parsing_form(s, &once);
    buf_free(&once);
    buf_free(&twice);
}

static void check_pair(const struct parsed_schema *reader, const struct parsed_schema *writer)
{
    struct compat_question q = {.reader_is_new = true};
    struct compat_result r;
    compat_result_init(&r);
    (void)!schema_compatible(reader, writer, &q, &r, NULL);
    compat_result_free(&r);
}

static bool visit(void *context, const struct avro_found *f)
{
    const struct slice *datum = context;
    FUZZ_EXPECT(f->at + f->n <= datum->n);
    return true;
}

static bool count_tag(void *context, struct slice path, struct slice tag)
{
    (void)path, (void)tag;
    return ++*(unsigned *)context < 1000;
}

static void check_data(const struct parsed_schema *s, struct slice datum)
{
    struct avro_program *p;
    struct buf json;
    struct reason why;
    unsigned tags = 0;
    (void)!schema_tags(s, count_tag, &tags);
    if (avro_program_new(&p, s, NULL) != ERR_OK)
        return;
    buf_init(&json, 0);
    bool valid = avro_program_validate(p, datum, &why) == ERR_OK;
    bool shown = avro_program_to_json(p, datum, AVRO_JSON_PLAIN, &json, &why) == ERR_OK;
    FUZZ_EXPECT(!shown || valid); /* JSON may be too large where the datum is valid */
    (void)!avro_program_locate(p, datum, slice_str("a.b"), visit, &datum, NULL);
    (void)!avro_program_locate_tag(p, datum, slice_str("PII"), visit, &datum, NULL);
    (void)avro_program_has_path(p, slice_str("a.b.c"));
    buf_free(&json);
    avro_program_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data ? data : (const uint8_t *)"", size);
    struct slice first = next_line(&rest), second = next_line(&rest);
    struct parsed_schema *a = parse(first, false), *b = parse(second, true);
    if (a) {
        check_text(a);
        check_pair(a, a);
        check_data(a, rest);
    }
    if (a && b) {
        check_pair(a, b);
        check_pair(b, a);
    }
    schema_free(a);
    schema_free(b);
    return 0;
}
