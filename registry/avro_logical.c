/* SPDX-License-Identifier: Apache-2.0
 * Logical types: which are valid for the type they annotate. Besides Avro's own there are the two that Confluent's
 * registry knows: "map" on an array of key and value, "variant" on a record. */
#include "registry/avro_read.h"

#include <math.h>

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
    double bits = n->kind == AVRO_FIXED ? 8.0 * n->u.size - 1 : 0;
    int64_t most = n->kind == AVRO_BYTES ? INT32_MAX : (int64_t)floor(log10(2) * bits);
    n->scale = 0;
    return (n->kind == AVRO_BYTES || n->kind == AVRO_FIXED) && int_prop(n, "precision", &n->precision) &&
           (!prop(n, "scale") || int_prop(n, "scale", &n->scale)) && n->precision > 0 && n->precision <= most &&
           n->scale >= 0 && n->scale <= n->precision;
}

static bool is_bytes_field(const struct avro_node *n, const char *name)
{
    const struct avro_field *f = avro_field_named(n, slice_str(name));
    return f && f->type->kind == AVRO_BYTES;
}

static bool is_map_of_records(const struct avro_node *n)
{
    const struct avro_node *item = n->u.items;
    return item->kind == AVRO_RECORD && item->n == 2 && slice_eq_str(item->u.fields[0].name, "key") &&
           slice_eq_str(item->u.fields[1].name, "value");
}

/* Hints for Java code that no logical type goes with. */
static bool has_java_hint(const struct avro_node *n)
{
    static const char *const hints[] = {"avro.java.string", "java-class", "java-key-class", "java-element-class"};
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        const struct jvalue *v = prop(n, hints[i]);
        if (v && v->kind == J_STRING)
            return true;
    }
    return false;
}

/* The reference copies what contains other types, and puts a logical type it knows before the other properties. */
static void move_to_front(struct avro_node *n)
{
    uint32_t i = 0;
    while (!slice_eq_str(n->props.v[i].name, "logicalType"))
        i++;
    struct avro_prop p = n->props.v[i];
    memmove(n->props.v + 1, n->props.v, i * sizeof *n->props.v);
    n->props.v[0] = p;
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
    if (!v || v->kind != J_STRING || has_java_hint(n))
        return;
    n->logical_name = v->u.text;
    if (slice_eq_str(v->u.text, "decimal"))
        n->logical = decimal_fits(n) ? AVRO_LOGICAL_DECIMAL : AVRO_LOGICAL_NONE;
    else if (n->kind == AVRO_FIXED && ((slice_eq_str(v->u.text, "duration") && n->u.size == 12) ||
                                       (slice_eq_str(v->u.text, "uuid") && n->u.size == 16)))
        n->logical = AVRO_LOGICAL_OTHER;
    else if ((n->kind == AVRO_ARRAY && slice_eq_str(v->u.text, "map") && is_map_of_records(n)) ||
             (n->kind == AVRO_RECORD && slice_eq_str(v->u.text, "variant") && n->n == 2 &&
              is_bytes_field(n, "metadata") && is_bytes_field(n, "value"))) {
        n->logical = AVRO_LOGICAL_OTHER;
        move_to_front(n);
    }
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (n->kind == simple[i].kind && slice_eq_str(v->u.text, simple[i].name))
            n->logical = AVRO_LOGICAL_OTHER;
}
