/* SPDX-License-Identifier: Apache-2.0
 * Matching a topic's name. The program (topic_regex_code.c) is a nondeterministic automaton that is run over the name
 * once: at each byte the instructions that wait for a byte are in a list, each at most once, so a name costs at most
 * its length times the program's size, and nothing is ever tried twice. There are no captures and no preference among
 * alternatives: the question is only whether the whole name matches.
 *
 * Nothing is allocated while matching and the program is not written to, so threads may share it. */
#include "gateway/filter/topic_regex_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { TOPIC_REGEX_MAGIC = 0x54524758, WORDS = TOPIC_REGEX_INSTRUCTIONS_MAX / 64 };

struct topic_regex {
    uint32_t magic;
    uint32_t n;
    const struct char_set *sets; /* behind the code, in the same allocation */
    struct instruction code[];
};

struct waiting {
    uint32_t n;
    uint16_t pc[TOPIC_REGEX_INSTRUCTIONS_MAX];
};

struct run {
    const struct topic_regex *re;
    uint64_t seen[WORDS];                         /* instructions reached at this position */
    uint16_t stack[TOPIC_REGEX_INSTRUCTIONS_MAX]; /* reached, not yet followed */
    uint32_t stack_n;
    bool matched; /* OP_MATCH was reached at this position */
    uint64_t steps;
};

enum err topic_regex_compile(struct topic_regex **out, struct slice pattern, struct reason *why)
{
    struct regex_code *c;
    struct topic_regex *re = NULL;
    enum err e;

    assert(out && pattern.p);
    if (pattern.n > TOPIC_REGEX_BYTES_MAX)
        return reason_set(why, ERR_INVALID_REGULAR_EXPRESSION, "the pattern is longer than %d bytes",
                          TOPIC_REGEX_BYTES_MAX);
    c = malloc(sizeof *c);
    if (!c)
        return reason_set(why, ERR_NO_MEMORY, "no memory to compile a pattern");
    c->n = c->sets_n = 0;
    e = regex_parse(c, pattern, why);
    if (!e) {
        size_t code_size = (sizeof *re + c->n * sizeof c->code[0] + 7) / 8 * 8;
        re = malloc(code_size + c->sets_n * sizeof c->sets[0]);
        if (!re) {
            e = reason_set(why, ERR_NO_MEMORY, "no memory to keep a pattern");
        } else {
            re->magic = TOPIC_REGEX_MAGIC;
            re->n = c->n;
            re->sets = (const struct char_set *)(const void *)((uint8_t *)re + code_size);
            memcpy(re->code, c->code, c->n * sizeof c->code[0]);
            memcpy((uint8_t *)re + code_size, c->sets, c->sets_n * sizeof c->sets[0]);
            *out = re;
        }
    }
    free(c);
    return e;
}

void topic_regex_free(struct topic_regex *re)
{
    if (!re)
        return;
    assert(re->magic == TOPIC_REGEX_MAGIC);
    re->magic = 0;
    free(re);
}

uint32_t topic_regex_steps_max(const struct topic_regex *re)
{
    return 2 * re->n;
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static unsigned conditions_at(struct slice topic, size_t at)
{
    bool before = at > 0 && is_word(topic.p[at - 1]), after = at < topic.n && is_word(topic.p[at]);

    return (at == 0 ? AT_BEGIN : 0u) | (at == topic.n ? AT_END : 0u) |
           (before != after ? AT_WORD_BOUNDARY : NOT_AT_WORD_BOUNDARY);
}

static void reach(struct run *r, uint32_t pc)
{
    assert(pc < r->re->n);
    if (r->seen[pc / 64] >> pc % 64 & 1)
        return;
    r->seen[pc / 64] |= UINT64_C(1) << pc % 64;
    r->stack[r->stack_n++] = (uint16_t)pc;
}

/* Puts what waits for a byte into `list`: everything that `pc` leads to without one. */
static void follow(struct run *r, uint32_t pc, unsigned conditions, struct waiting *list)
{
    reach(r, pc);
    while (r->stack_n) {
        pc = r->stack[--r->stack_n];
        const struct instruction *i = &r->re->code[pc];
        r->steps++;
        switch ((enum opcode)i->op) {
        case OP_FAIL:
            break;
        case OP_BYTE:
        case OP_SET:
            list->pc[list->n++] = (uint16_t)pc;
            break;
        case OP_SPLIT:
            reach(r, pc + 1);
            reach(r, (uint32_t)((int32_t)pc + i->to));
            break;
        case OP_JUMP:
            reach(r, (uint32_t)((int32_t)pc + i->to));
            break;
        case OP_ASSERT:
            if (!(i->arg & ~conditions))
                reach(r, pc + 1);
            break;
        case OP_MATCH:
            r->matched = true;
            break;
        }
    }
}

static bool takes(const struct topic_regex *re, const struct instruction *i, uint8_t c)
{
    if (i->op == OP_BYTE)
        return i->arg == c;
    assert(i->op == OP_SET);
    return c < 128 && (re->sets[i->arg].bits[c / 64] >> c % 64 & 1);
}

bool topic_regex_matches(const struct topic_regex *re, struct slice topic, uint64_t *steps)
{
    struct waiting lists[2];
    struct waiting *now = &lists[0], *next = &lists[1];
    struct run r;
    size_t seen_size = (re->n + 63) / 64 * sizeof r.seen[0], at = 0;

    assert(re->magic == TOPIC_REGEX_MAGIC);
    r.re = re;
    r.stack_n = 0;
    r.steps = 0;
    r.matched = false;
    now->n = 0;
    memset(r.seen, 0, seen_size);
    follow(&r, 0, conditions_at(topic, 0), now);
    for (; at < topic.n && now->n; at++) {
        struct waiting *was = now;
        unsigned conditions = conditions_at(topic, at + 1);
        memset(r.seen, 0, seen_size);
        r.matched = false;
        next->n = 0;
        for (uint32_t k = 0; k < now->n; k++) {
            r.steps++;
            if (takes(re, &re->code[now->pc[k]], topic.p[at]))
                follow(&r, now->pc[k] + 1u, conditions, next);
        }
        now = next;
        next = was;
    }
    if (steps)
        *steps += r.steps;
    return at == topic.n && r.matched; /* a match before the last byte is none */
}
