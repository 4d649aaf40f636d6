/* SPDX-License-Identifier: Apache-2.0
 * A binary datum as JSON. Output has a limit of its own, for a few bytes may stand for many. */
#include "registry/avro_model.h"
#include "registry/avro_program.h"

struct showing {
    struct avro_run run;
    enum avro_json style;
    struct buf *out;
    size_t limit;
};

static bool show(struct showing *s, const struct avro_op *op);

/* Bytes are the code points 0 to 255 of a string. */
static void show_bytes(struct showing *s, struct slice bytes)
{
    struct buf text;
    buf_init(&text, AVRO_DATUM_JSON_MAX);
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t two[2] = {(uint8_t)(0xc0 | bytes.p[i] >> 6), (uint8_t)(0x80 | (bytes.p[i] & 63))};
        buf_put(&text, bytes.p[i] < 0x80 ? &bytes.p[i] : two, bytes.p[i] < 0x80 ? 1 : 2);
    }
    json_text_print_string(s->out, buf_slice(&text));
    if (buf_error(&text) != ERR_OK)
        (void)avro_fail(&s->run, "too much JSON");
    buf_free(&text);
}

static bool show_items(struct showing *s, const struct avro_op *op)
{
    bool map = op->kind == AVRO_MAP, first = true;
    int64_t count, size;
    struct slice key;
    buf_put_str(s->out, map ? "{" : "[");
    for (;;) {
        if (!avro_block(&s->run, op, &count, &size))
            return false;
        if (count == 0)
            break;
        const uint8_t *from = s->run.p;
        for (int64_t i = 0; i < count; i++, first = false) {
            buf_put_str(s->out, first ? "" : ",");
            if (map) {
                if (!avro_bytes(&s->run, &key))
                    return false;
                if (!avro_is_utf8(key.p, key.n))
                    return avro_fail(&s->run, "a map key that is not UTF-8");
                json_text_print_string(s->out, key);
                buf_put_str(s->out, ":");
            }
            if (!show(s, op->kids[0]))
                return false;
        }
        if (!avro_block_done(&s->run, size, from))
            return false;
    }
    buf_put_str(s->out, map ? "}" : "]");
    return size <= 0 || avro_fail(&s->run, "a block that is not of its stated size");
}

static bool show_record(struct showing *s, const struct avro_op *op)
{
    buf_put_str(s->out, "{");
    for (uint32_t i = 0; i < op->n; i++) {
        buf_put_str(s->out, i ? "," : "");
        json_text_print_string(s->out, op->names[i]);
        buf_put_str(s->out, ":");
        if (!show(s, op->kids[i])) {
            avro_add_place(&s->run, op->names[i]);
            return false;
        }
    }
    buf_put_str(s->out, "}");
    return true;
}

static bool show_union(struct showing *s, const struct avro_op *op)
{
    int64_t branch;
    if (!avro_long(&s->run, &branch))
        return false;
    if (branch < 0 || branch >= op->n)
        return avro_fail(&s->run, "a union number without branch");
    const struct avro_op *kid = op->kids[branch];
    bool wrapped = s->style == AVRO_JSON_AVRO && kid->kind != AVRO_NULL;
    if (wrapped) {
        buf_put_str(s->out, "{");
        json_text_print_string(s->out, kid->name);
        buf_put_str(s->out, ":");
    }
    bool ok = show(s, kid);
    buf_put_str(s->out, wrapped ? "}" : "");
    return ok;
}

static bool show_scalar(struct showing *s, const struct avro_op *op)
{
    struct avro_run *r = &s->run;
    const uint8_t *from = r->p;
    int64_t number = 0;
    struct slice text;
    float f;
    double d;
    if (!avro_run_skip(r, op))
        return false;
    struct avro_run again = *r;
    again.p = from;
    if (op->kind == AVRO_INT || op->kind == AVRO_LONG || op->kind == AVRO_ENUM)
        (void)avro_long(&again, &number);
    switch (op->kind) {
    case AVRO_NULL:
        buf_put_str(s->out, "null");
        break;
    case AVRO_BOOLEAN:
        buf_put_str(s->out, *from ? "true" : "false");
        break;
    case AVRO_INT:
    case AVRO_LONG:
        buf_printf(s->out, "%lld", (long long)number);
        break;
    case AVRO_FLOAT:
        memcpy(&f, from, sizeof f);
        avro_put_float(s->out, f);
        break;
    case AVRO_DOUBLE:
        memcpy(&d, from, sizeof d);
        avro_put_double(s->out, d);
        break;
    case AVRO_ENUM:
        json_text_print_string(s->out, op->names[number]);
        break;
    case AVRO_FIXED:
        show_bytes(s, slice_of(from, op->size));
        break;
    default:
        if (!avro_bytes(&again, &text))
            return false;
        if (op->kind == AVRO_STRING)
            json_text_print_string(s->out, text);
        else
            show_bytes(s, text);
    }
    return true;
}

static bool show(struct showing *s, const struct avro_op *op)
{
    bool ok;
    if (s->out->n > s->limit || s->out->error != ERR_OK)
        return avro_fail(&s->run, "too much JSON");
    if (++s->run.depth > AVRO_DATUM_DEPTH_MAX)
        return avro_fail(&s->run, "values nested too deep");
    switch (op->kind) {
    case AVRO_RECORD:
        ok = show_record(s, op);
        break;
    case AVRO_ARRAY:
    case AVRO_MAP:
        ok = show_items(s, op);
        break;
    case AVRO_UNION:
        ok = show_union(s, op);
        break;
    default:
        ok = show_scalar(s, op);
    }
    s->run.depth--;
    return ok;
}

enum err avro_program_to_json(const struct avro_program *p, struct slice datum, enum avro_json style, struct buf *out,
                              struct reason *why)
{
    struct showing s = {.style = style, .out = out, .limit = out->n + AVRO_DATUM_JSON_MAX};
    s.run.start = s.run.p = datum.p ? datum.p : (const uint8_t *)"";
    s.run.end = s.run.start + datum.n;
    if (show(&s, p->root) && (s.run.p == s.run.end || avro_fail(&s.run, "bytes after the end of the value")))
        return buf_error(out);
    return avro_run_error(&s.run, why);
}
