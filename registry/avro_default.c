/* SPDX-License-Identifier: Apache-2.0
 * Does a field's default fit its type? The rules are the Java implementation's: any branch of a union will do, numbers
 * must be in range, members a record leaves out come from its fields' own defaults. Bounded in depth and work, since
 * defaults may use defaults. */
#include "registry/avro_model.h"

enum { DEFAULT_WORK_MAX = 5000000 };

enum fit {
    FITS,
    FITS_NOT,
    FITS_UNKNOWN, /* a record that is not ready decides */
    FITS_TOO_MUCH /* too much work */
};

struct fitting {
    struct avro_schema *s;
    bool reading;
};

static enum fit fits(const struct fitting *f, const struct avro_node *n, const struct jvalue *v, unsigned depth);

static enum fit fits_if(bool yes)
{
    return yes ? FITS : FITS_NOT;
}

static enum fit fits_record(const struct fitting *fit, const struct avro_node *n, const struct jvalue *v,
                            unsigned depth)
{
    if (!fit->reading && !n->ready)
        return FITS_UNKNOWN;
    for (uint32_t i = 0; i < n->n; i++) {
        const struct avro_field *f = &n->u.fields[i];
        const struct jvalue *given = json_text_get(v, f->name);
        if (!given && f->default_is_double)
            continue;
        if (!given)
            given = f->default_value;
        enum fit result = given ? fits(fit, f->type, given, depth + 1) : FITS_NOT;
        if (result != FITS)
            return result;
    }
    return FITS;
}

static enum fit fits_items(const struct fitting *fit, const struct avro_node *n, const struct jvalue *v, unsigned depth)
{
    enum fit result = fits_if(v->kind == (n->kind == AVRO_ARRAY ? J_ARRAY : J_OBJECT));
    for (uint32_t i = 0; result == FITS && i < v->n; i++)
        result =
            fits(fit, n->u.items, n->kind == AVRO_ARRAY ? &v->u.items[i] : &v->u.object.members[i].value, depth + 1);
    return result;
}

static enum fit fits_integer(const struct jvalue *v, int64_t low, int64_t high)
{
    int64_t number;
    return fits_if(v->kind == J_NUMBER && avro_number_int64(v->u.text, &number) && number >= low && number <= high);
}

static enum fit fits(const struct fitting *f, const struct avro_node *n, const struct jvalue *v, unsigned depth)
{
    enum fit result = FITS_NOT;
    if (depth > AVRO_SCHEMA_DEPTH_MAX || ++f->s->default_work > DEFAULT_WORK_MAX)
        return FITS_TOO_MUCH;
    switch (n->kind) {
    case AVRO_STRING:
    case AVRO_BYTES:
    case AVRO_ENUM:
    case AVRO_FIXED:
        return fits_if(v->kind == J_STRING);
    case AVRO_INT:
        return fits_integer(v, INT32_MIN, INT32_MAX);
    case AVRO_LONG:
        return fits_integer(v, INT64_MIN, INT64_MAX);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return fits_if(v->kind == J_NUMBER);
    case AVRO_BOOLEAN:
        return fits_if(v->kind == J_TRUE || v->kind == J_FALSE);
    case AVRO_NULL:
        return fits_if(v->kind == J_NULL);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return fits_items(f, n, v, depth);
    case AVRO_UNION:
        for (uint32_t i = 0; result == FITS_NOT && i < n->n; i++)
            result = fits(f, n->u.branches[i], v, depth + 1);
        return result;
    case AVRO_RECORD:
    case AVRO_UNRESOLVED:
        return v->kind == J_OBJECT ? fits_record(f, n, v, depth) : FITS_NOT;
    }
    return FITS_NOT;
}

enum err avro_check_default(struct avro_schema *s, const struct avro_field *f, bool reading, struct reason *why)
{
    struct fitting fit = {s, reading};
    struct buf value, type;
    if (!f->default_value || f->default_is_double)
        return ERR_OK;
    switch (fits(&fit, f->type, f->default_value, 0)) {
    case FITS:
        return ERR_OK;
    case FITS_UNKNOWN:
        return reason_set(why, ERR_MALFORMED, "Schema fields not set yet");
    case FITS_TOO_MUCH:
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the defaults take more than %d steps or %d levels to check",
                          DEFAULT_WORK_MAX, AVRO_SCHEMA_DEPTH_MAX);
    case FITS_NOT:
        break;
    }
    buf_init(&value, AVRO_PRINT_MAX);
    buf_init(&type, AVRO_PRINT_MAX);
    avro_print_json(&value, f->default_value);
    if (avro_print(s, f->type, AVRO_PRINT_CANONICAL, NULL, &type) != ERR_OK)
        buf_put_str(&type, avro_kind_name(f->type->kind));
    enum err e = reason_set(why, ERR_MALFORMED, "Invalid default for field %.*s: %s not a %s", SLICE_FMT(f->name),
                            buf_cstr(&value), buf_cstr(&type));
    buf_free(&value);
    buf_free(&type);
    return e;
}
