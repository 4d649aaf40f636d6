/* SPDX-License-Identifier: Apache-2.0
 * Input: a schema, a byte 0, another schema, a byte 0, a message of the first. What is read prints as text that reads
 * as the same; its descriptor reads again; a schema is compatible with itself. */
#include "registry/protobuf.h"
#include "tests/fuzz/fuzz.h"

static struct slice next_part(struct slice *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n])
        n++;
    struct slice part = slice_of(rest->p, n);
    size_t used = n < rest->n ? n + 1 : n;
    *rest = slice_of(rest->p + used, rest->n - used);
    return part;
}

static struct parsed_schema *parse(struct slice text, bool fresh)
{
    struct schema_options o = {.fresh = fresh};
    struct parsed_schema *s;
    return schema_parse(&s, &schema_type_protobuf, text, NULL, 0, &o, NULL) == ERR_OK ? s : NULL;
}

static void check_texts(const struct parsed_schema *s)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    if (schema_canonical(s, &once) == ERR_OK) {
        struct parsed_schema *again = parse(buf_slice(&once), false);
        FUZZ_EXPECT(again && schema_canonical(again, &twice) == ERR_OK);
        FUZZ_EXPECT(slice_eq(buf_slice(&once), buf_slice(&twice)));
        schema_free(again);
    }
    buf_clear(&once);
    (void)!schema_normalized(s, &once);
    buf_clear(&once);
    (void)!schema_format(s, slice_str("ignore_extensions"), &once);
    buf_clear(&once);
    if (schema_format(s, slice_str("serialized"), &once) == ERR_OK)
        schema_free(parse(buf_slice(&once), false));
    buf_free(&once);
    buf_free(&twice);
}

/* Two fields of one number, which the reference lets through unless fields are validated, differ from themselves: one
 * of them is outside the oneof the other is in. */
static bool is_sound(struct slice text)
{
    struct schema_options o = {.fresh = true, .validate_fields = true};
    struct parsed_schema *s;
    if (schema_parse(&s, &schema_type_protobuf, text, NULL, 0, &o, NULL) != ERR_OK)
        return false;
    schema_free(s);
    return true;
}

static size_t compare(const struct parsed_schema *reader, const struct parsed_schema *writer)
{
    struct compat_question q = {.reader_is_new = true};
    struct compat_result r;
    compat_result_init(&r);
    (void)!schema_compatible(reader, writer, &q, &r, NULL);
    size_t n = r.n;
    compat_result_free(&r);
    return n;
}

static bool count_tag(void *context, struct slice path, struct slice tag)
{
    (void)path, (void)tag;
    return ++*(unsigned *)context < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data ? data : (const uint8_t *)"", size);
    struct slice first = next_part(&rest), second = next_part(&rest);
    struct parsed_schema *a = parse(first, false), *b = parse(second, true);
    const struct protobuf_message *m;
    struct reason why;
    size_t used;
    unsigned tags = 0;
    if (a) {
        check_texts(a);
        (void)!schema_validate(a, rest, &why);
        if (protobuf_read_indexes(a, rest, &m, &used, &why) == ERR_OK)
            FUZZ_EXPECT(used <= rest.n);
        (void)!schema_tags(a, count_tag, &tags);
    }
    if (b)
        FUZZ_EXPECT(compare(b, b) == 0 || !is_sound(second));
    if (a && b) {
        (void)compare(a, b);
        (void)compare(b, a);
    }
    schema_free(a);
    schema_free(b);
    return 0;
}
