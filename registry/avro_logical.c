/* SPDX-License-Identifier: Apache-2.0
 * Logical types: which are valid for the type they annotate. */
#include "registry/avro_read.h"

static const struct jvalue *prop(const struct avro_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->props.n; i++)
        if (slice_eq_str(n->props.v[i].name, name))
            return n->props.v[i].value;
    return NULL;
}

static bool int_prop(const struct avro_node *n, const char *name, int32_t *out)
{
    const struct jvalue *v = prop(n, name);
    int64_t number;
    if (!v || v->kind != J_NUMBER || !avro_number_int64(v->u.text, &number) || number < INT32_MIN || number > INT32_MAX)
        return false;
    *out = (int32_t)number;
    return true;
}

static bool decimal_fits(struct avro_node *n)
{
    /* floor(log10(2) * (8 * size - 1)) digits fit a fixed of that size */
    int64_t most = n->kind == AVRO_BYTES ? INT32_MAX : (8 * (int64_t)n->u.size - 1) * 30103 / 100000;
    n->scale = 0;
    return (n->kind == AVRO_BYTES || n->kind == AVRO_FIXED) && int_prop(n, "precision", &n->precision) &&
           (!prop(n, "scale") || int_prop(n, "scale", &n->scale)) && n->precision > 0 && n->precision <= most &&
           n->scale >= 0 && n->scale <= n->precision;
}

void avro_read_logical(struct avro_node *n)
{
    static const struct {
        const char *name;
        int kind;
    } simple[] = {
        {"date", AVRO_INT},
        {"time-millis", AVRO_INT},
        {"time-micros", AVRO_LONG},
        {"timestamp-millis", AVRO_LONG},
        {"timestamp-micros", AVRO_LONG},
        {"timestamp-nanos", AVRO_LONG},
        {"local-timestamp-millis", AVRO_LONG},
        {"local-timestamp-micros", AVRO_LONG},
        {"local-timestamp-nanos", AVRO_LONG},
        {"big-decimal", AVRO_BYTES},
        {"uuid", AVRO_STRING},
    };
    const struct jvalue *v = prop(n, "logicalType");
    if (!v || v->kind != J_STRING)
        return;
    n->logical_name = v->u.text;
    if (slice_eq_str(v->u.text, "decimal"))
        n->logical = decimal_fits(n) ? AVRO_LOGICAL_DECIMAL : AVRO_LOGICAL_NONE;
    else if (n->kind == AVRO_FIXED && ((slice_eq_str(v->u.text, "duration") && n->u.size == 12) ||
                                       (slice_eq_str(v->u.text, "uuid") && n->u.size == 16)))
        n->logical = AVRO_LOGICAL_OTHER;
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (n->kind == simple[i].kind && slice_eq_str(v->u.text, simple[i].name))
            n->logical = AVRO_LOGICAL_OTHER;
}
