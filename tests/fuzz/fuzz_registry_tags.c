/* SPDX-License-Identifier: Apache-2.0
 * Input: a line with a kind (a, j, p), a line with a path, then a schema. Tags are put on the path, and on whatever has
 * tags already; a text that comes of it reads as a schema of that kind again, and tags put on can be taken off. */
#include "registry/avro.h"
#include "registry/tags.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

static struct parsed_schema *parse(const struct schema_type_ops *type, struct slice text)
{
    struct parsed_schema *s;
    return schema_parse(&s, type, text, NULL, 0, NULL, NULL) == ERR_OK ? s : NULL;
}

/* Java's canonical text of a schema cannot always be read again: what is so without an edit is no fault of the edit. */
static bool reads_itself(const struct parsed_schema *s)
{
    struct buf text;
    buf_init(&text, 0);
    struct parsed_schema *again = schema_canonical(s, &text) ? NULL : parse(s->ops, buf_slice(&text));
    schema_free(again);
    buf_free(&text);
    return again != NULL;
}

static void check_edit(const struct parsed_schema *s, const struct schema_tag_edit *edit, bool sound)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    if (schema_edit_tags(s, edit, 1, NULL, &once, NULL) == ERR_OK) {
        struct parsed_schema *again = parse(s->ops, buf_slice(&once));
        struct schema_tag_edit back = {.entity = edit->entity, .remove = edit->add, .remove_n = edit->add_n};
        FUZZ_EXPECT(again || !sound);
        if (again && sound)
            FUZZ_EXPECT(schema_edit_tags(again, &back, 1, NULL, &twice, NULL) == ERR_OK);
        schema_free(again);
    }
    buf_free(&once);
    buf_free(&twice);
}

struct walk {
    const struct parsed_schema *s;
    const struct slice *tags;
    bool sound;
    unsigned left;
};

static bool edit_listed(void *context, const struct schema_entity *e, const struct slice *tags, size_t n)
{
    struct walk *w = context;
    struct schema_tag_edit edit = {.entity = *e, .add = w->tags, .add_n = 1, .remove = tags, .remove_n = n};
    check_edit(w->s, &edit, w->sound);
    return --w->left > 0;
}

static void check_schema(const struct parsed_schema *s, struct slice path)
{
    const struct slice tag = slice_str("X");
    struct walk w = {s, &tag, reads_itself(s), 8};
    for (int kind = 0; kind < 2; kind++) {
        struct schema_tag_edit edit = {
            .entity = {kind ? SCHEMA_ENTITY_FIELD : SCHEMA_ENTITY_RECORD, path}, .add = &tag, .add_n = 1};
        check_edit(s, &edit, w.sound);
    }
    (void)!schema_tagged(s, edit_listed, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data ? data : (const uint8_t *)"", size), kind = next_line(&rest),
                 path = next_line(&rest);
    const struct schema_type_ops *type = slice_eq_str(kind, "p")   ? &schema_type_protobuf
                                         : slice_eq_str(kind, "j") ? &schema_type_json
                                                                   : &schema_type_avro;
    struct parsed_schema *s = parse(type, rest);
    if (s)
        check_schema(s, path);
    schema_free(s);
    return 0;
}
