/* SPDX-License-Identifier: Apache-2.0
 * Writing the program. The code of every part of a pattern is one run of instructions that is entered at its first and
 * left behind its last, with relative jumps only. So an operator behind a part puts one instruction before it, and a
 * counted repetition copies it. Sizes are checked before anything is copied: "((x{1000}){1000})" costs no more than
 * saying no. */
#include "gateway/filter/topic_regex_internal.h"

#include <assert.h>

static enum err check_room(const struct regex_code *c, uint64_t more, struct reason *why)
{
    if (c->n + more > TOPIC_REGEX_INSTRUCTIONS_MAX)
        return reason_set(why, ERR_INVALID_REGULAR_EXPRESSION,
                          "the pattern is too large: it takes more than %d instructions", TOPIC_REGEX_INSTRUCTIONS_MAX);
    return ERR_OK;
}

enum err regex_code_add(struct regex_code *c, enum opcode op, uint8_t arg, struct reason *why)
{
    enum err e = check_room(c, 1, why);

    if (!e)
        c->code[c->n++] = (struct instruction){.op = (uint8_t)op, .arg = arg};
    return e;
}

enum err regex_code_add_set(struct regex_code *c, struct char_set set, struct reason *why)
{
    uint32_t i = 0;

    if (!set.bits[0] && !set.bits[1])
        return regex_code_add(c, OP_FAIL, 0, why);
    while (i < c->sets_n && (c->sets[i].bits[0] != set.bits[0] || c->sets[i].bits[1] != set.bits[1]))
        i++;
    if (i == TOPIC_REGEX_SETS_MAX)
        return reason_set(why, ERR_INVALID_REGULAR_EXPRESSION,
                          "the pattern is too large: it has more than %d different sets of characters",
                          TOPIC_REGEX_SETS_MAX);
    if (i == c->sets_n)
        c->sets[c->sets_n++] = set;
    return regex_code_add(c, OP_SET, (uint8_t)i, why);
}

enum err regex_code_insert_split(struct regex_code *c, uint32_t at, int32_t to, struct reason *why)
{
    enum err e = check_room(c, 1, why);

    assert(at <= c->n);
    if (e)
        return e;
    memmove(&c->code[at + 1], &c->code[at], (c->n - at) * sizeof c->code[0]);
    c->code[at] = (struct instruction){.op = OP_SPLIT, .to = (int16_t)to};
    c->n++;
    return ERR_OK;
}

static void copy_part(struct regex_code *c, uint32_t from, uint32_t size)
{
    assert(from + size <= c->n && c->n + size <= TOPIC_REGEX_INSTRUCTIONS_MAX);
    memcpy(&c->code[c->n], &c->code[from], size * sizeof c->code[0]);
    c->n += size;
}

/* x+: x, then back to it or on. */
static enum err repeat_last(struct regex_code *c, uint32_t size, struct reason *why)
{
    return regex_code_insert_split(c, c->n, -(int32_t)size, why);
}

/* x{0,m}: m copies, each of which may be the way out. */
static enum err repeat_optional(struct regex_code *c, uint32_t start, uint32_t size, int max, struct reason *why)
{
    uint64_t whole = (uint64_t)max * (size + 1u);
    enum err e = check_room(c, whole - size, why);

    if (!e)
        e = regex_code_insert_split(c, start, (int32_t)whole, why);
    if (e)
        return e;
    for (int i = 1; i < max; i++) {
        e = regex_code_insert_split(c, c->n, (int32_t)(whole - (uint64_t)i * (size + 1u)), why);
        if (e)
            return e;
        copy_part(c, start + 1, size);
    }
    assert(c->n == start + whole);
    return ERR_OK;
}

enum err regex_code_repeat(struct regex_code *c, uint32_t start, int min, int max, struct reason *why)
{
    uint32_t size = c->n - start;
    enum err e;

    assert(start <= c->n && min >= 0 && (max < 0 || min <= max) && min <= TOPIC_REGEX_COUNT_MAX);
    if (max == 0)
        c->n = start;
    if (max == 0 || size == 0)
        return ERR_OK;
    if (min == 0 && max < 0) {
        e = repeat_last(c, size, why);
        return e ? e : regex_code_insert_split(c, start, (int32_t)size + 2, why);
    }
    if (min == 0)
        return repeat_optional(c, start, size, max, why);
    e = check_room(c, (uint64_t)(min - 1) * size, why);
    if (e)
        return e;
    for (int i = 1; i < min; i++)
        copy_part(c, start, size);
    if (max < 0)
        return repeat_last(c, size, why);
    if (max == min)
        return ERR_OK;
    e = check_room(c, size, why);
    if (e)
        return e;
    copy_part(c, start, size);
    return repeat_optional(c, c->n - size, size, max - min, why);
}
