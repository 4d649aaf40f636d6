/* SPDX-License-Identifier: Apache-2.0
 * Going through a binary datum. Nothing is allocated or copied; every length is held against the bytes that are left
 * before it is believed. The first fault ends the run, and the path of the field is put together on the way out. */
#include "registry/avro_program.h"

#include <stdio.h>

bool avro_fail(struct avro_run *r, const char *what)
{
    if (!r->fault)
        r->fault = what;
    return false;
}

void avro_add_place(struct avro_run *r, struct slice name)
{
    char inner[sizeof r->where];
    memcpy(inner, r->where, sizeof inner);
    snprintf(r->where, sizeof r->where, "%.*s%s%.100s", SLICE_FMT(name), inner[0] ? "." : "", inner);
}

enum err avro_run_error(const struct avro_run *r, struct reason *why)
{
    return reason_set(why, ERR_INVALID_RECORD, "Avro data does not fit its schema: %s at byte %zu%s%s", r->fault,
                      (size_t)(r->p - r->start), r->where[0] ? ", field " : "", r->where);
}

bool avro_long_rest(struct avro_run *r, int64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (r->p >= r->end)
            return avro_fail(r, "the data ends within a number");
        uint8_t b = *r->p++;
        if (shift == 63 && (b & 0xfe))
            return avro_fail(r, "a long of more than 64 bits");
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
            return true;
        }
    }
    return avro_fail(r, "a long of more than 64 bits");
}

bool avro_is_utf8(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    while (p < end) {
        uint64_t eight;
        while (end - p >= 8) {
            memcpy(&eight, p, 8);
            if (eight & 0x8080808080808080u)
                break;
            p += 8;
        }
        if (p == end)
            break;
        if (*p < 0x80) {
            p++;
            continue;
        }
        size_t more = *p < 0xc2 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf5 ? 3 : 0;
        if (more == 0 || (size_t)(end - p) <= more)
            return false;
        for (size_t i = 1; i <= more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
            (*p == 0xf4 && p[1] > 0x8f))
            return false;
        p += more + 1;
    }
    return true;
}

bool avro_block(struct avro_run *r, const struct avro_op *op, int64_t *count, int64_t *size)
{
    *size = -1;
    if (!avro_long(r, count))
        return false;
    if (*count < 0) {
        if (*count == INT64_MIN)
            return avro_fail(r, "a block of too many items");
        *count = -*count;
        if (!avro_long(r, size))
            return false;
        if (*size < 0 || *size > r->end - r->p)
            return avro_fail(r, "a block's size beyond the end");
    }
    if (op->kind == AVRO_ARRAY && op->kids[0]->empty) {
        if (*count > AVRO_DATUM_EMPTY_ITEMS_MAX || (r->empty_items += (uint64_t)*count) > AVRO_DATUM_EMPTY_ITEMS_MAX)
            return avro_fail(r, "too many items that take no bytes");
    } else if (*count > r->end - r->p) {
        return avro_fail(r, "a block of more items than bytes");
    }
    return true;
}

static bool skip_items(struct avro_run *r, const struct avro_op *op)
{
    int64_t count, size;
    struct slice key = SLICE_NULL;
    for (;;) {
        if (!avro_block(r, op, &count, &size))
            return false;
        if (count == 0)
            return size <= 0 || avro_fail(r, "a block that is not of its stated size");
        const uint8_t *from = r->p;
        for (int64_t i = 0; i < count; i++) {
            if (op->kind == AVRO_MAP &&
                (!avro_bytes(r, &key) || (!avro_is_utf8(key.p, key.n) && !avro_fail(r, "a map key that is not UTF-8"))))
                return false;
            if (!op->kids[0]->empty && !avro_run_skip(r, op->kids[0]))
                return false;
            if (op->kids[0]->empty && op->kind == AVRO_ARRAY)
                break; /* nothing to read for any of them */
        }
        if (!avro_block_done(r, size, from))
            return false;
    }
}

static bool skip_bytes(struct avro_run *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n)
        return avro_fail(r, "the data ends within a value");
    r->p += n;
    return true;
}

static bool skip_scalar(struct avro_run *r, const struct avro_op *op)
{
    struct slice s = SLICE_NULL;
    int64_t number = 0;
    switch (op->kind) {
    case AVRO_NULL:
        return true;
    case AVRO_BOOLEAN:
        if (r->p<r->end && * r->p> 1)
            return avro_fail(r, "a boolean that is neither 0 nor 1");
        return skip_bytes(r, 1);
    case AVRO_INT:
        return avro_int(r, &number);
    case AVRO_LONG:
        return avro_long(r, &number);
    case AVRO_FLOAT:
        return skip_bytes(r, 4);
    case AVRO_DOUBLE:
        return skip_bytes(r, 8);
    case AVRO_FIXED:
        return skip_bytes(r, op->size);
    case AVRO_BYTES:
        return avro_bytes(r, &s);
    case AVRO_STRING:
        return avro_bytes(r, &s) && (avro_is_utf8(s.p, s.n) || avro_fail(r, "a string that is not UTF-8"));
    case AVRO_ENUM:
        return avro_long(r, &number) &&
               ((number >= 0 && number < op->n) || avro_fail(r, "an enum number without symbol"));
    }
    return avro_fail(r, "a type that is not known");
}

static bool skip_record(struct avro_run *r, const struct avro_op *op)
{
    for (uint32_t i = 0; i < op->n; i++) {
        const struct avro_op *kid = op->kids[i];
        bool scalar = kid->kind <= AVRO_STRING || kid->kind == AVRO_ENUM || kid->kind == AVRO_FIXED;
        if (!(scalar ? skip_scalar(r, kid) : avro_run_skip(r, kid))) {
            avro_add_place(r, op->names[i]);
            return false;
        }
    }
    return true;
}

bool avro_run_skip(struct avro_run *r, const struct avro_op *op)
{
    bool ok;
    int64_t branch;
    if (++r->depth > AVRO_DATUM_DEPTH_MAX)
        return avro_fail(r, "values nested too deep");
    switch (op->kind) {
    case AVRO_RECORD:
        ok = skip_record(r, op);
        break;
    case AVRO_ARRAY:
    case AVRO_MAP:
        ok = skip_items(r, op);
        break;
    case AVRO_UNION:
        ok = avro_long(r, &branch) &&
             ((branch >= 0 && branch < op->n) || avro_fail(r, "a union number without branch")) &&
             avro_run_skip(r, op->kids[branch]);
        break;
    default:
        ok = skip_scalar(r, op);
    }
    r->depth--;
    return ok;
}

enum err avro_program_validate(const struct avro_program *p, struct slice datum, struct reason *why)
{
    struct avro_run r;
    r.start = r.p = datum.p ? datum.p : (const uint8_t *)"";
    r.end = r.start + datum.n;
    r.depth = r.sized = 0;
    r.empty_items = 0;
    r.fault = NULL;
    r.where[0] = '\0';
    if (avro_run_skip(&r, p->root) && (r.p == r.end || avro_fail(&r, "bytes after the end of the value")))
        return ERR_OK;
    return avro_run_error(&r, why);
}
