/* SPDX-License-Identifier: Apache-2.0
 * What the files of topic_regex share: the program, the code being written, the text being read. */
#ifndef CASTELLAN_GATEWAY_FILTER_TOPIC_REGEX_INTERNAL_H
#define CASTELLAN_GATEWAY_FILTER_TOPIC_REGEX_INTERNAL_H

#include "gateway/filter/topic_regex.h"

/* A set of ASCII characters, one bit each. Whatever lies beyond ASCII is in no topic's name and is left out, so that
 * the negation of a set is the negation of its bits. */
struct char_set {
    uint64_t bits[2];
};

enum opcode {
    OP_FAIL,   /* no character matches */
    OP_BYTE,   /* the byte `arg`, then the next instruction */
    OP_SET,    /* a byte of set number `arg`, then the next instruction */
    OP_SPLIT,  /* the next instruction, and the one `to` away */
    OP_JUMP,   /* the one `to` away */
    OP_ASSERT, /* the next instruction where all conditions of `arg` hold */
    OP_MATCH,  /* last instruction of every program */
};

enum condition { AT_BEGIN = 1, AT_END = 2, AT_WORD_BOUNDARY = 4, NOT_AT_WORD_BOUNDARY = 8 };

/* `to` is relative, so that code which jumps within itself and falls out at its end can be moved and copied. */
struct instruction {
    uint8_t op, arg;
    int16_t to;
};

_Static_assert(TOPIC_REGEX_INSTRUCTIONS_MAX <= INT16_MAX, "a jump reaches over the whole program");
_Static_assert(TOPIC_REGEX_SETS_MAX <= UINT8_MAX + 1, "a set's number fits an instruction's argument");

struct regex_code {
    struct instruction code[TOPIC_REGEX_INSTRUCTIONS_MAX];
    struct char_set sets[TOPIC_REGEX_SETS_MAX];
    uint32_t n, sets_n;
};

/* --- topic_regex_code.c: all fail with ERR_INVALID_REGULAR_EXPRESSION when a limit is reached --- */
enum err regex_code_add(struct regex_code *c, enum opcode op, uint8_t arg, struct reason *why) MUST_CHECK;
enum err regex_code_add_set(struct regex_code *c, struct char_set set, struct reason *why) MUST_CHECK;
enum err regex_code_insert_split(struct regex_code *c, uint32_t at, int32_t to, struct reason *why) MUST_CHECK;
/* Repeats the code from `start` to the end; max -1 is "without end". */
enum err regex_code_repeat(struct regex_code *c, uint32_t start, int min, int max, struct reason *why) MUST_CHECK;

/* --- topic_regex_parse.c --- */
struct regex_text {
    struct slice all; /* valid UTF-8 */
    size_t at;
};

enum err regex_parse(struct regex_code *c, struct slice pattern, struct reason *why) MUST_CHECK;
bool regex_text_more(const struct regex_text *t);
uint32_t regex_text_peek(const struct regex_text *t); /* asks for more() */
uint32_t regex_text_pop(struct regex_text *t);        /* asks for more() */
bool regex_text_starts(const struct regex_text *t, const char *with);
struct slice regex_text_rest(const struct regex_text *t);

/* --- topic_regex_class.c --- */
enum { RUNE_MAX = 0x10ffff };

void char_set_add(struct char_set *s, uint32_t low, uint32_t high, bool fold);
/* "[...]": `t` is at the bracket. */
enum err regex_class_parse(struct regex_text *t, bool fold, struct char_set *out, struct reason *why) MUST_CHECK;
/* "\d", "\pN", "\P{Greek}": *found is false, and `t` where it was, when no such class begins here. */
enum err regex_class_escape(struct regex_text *t, bool fold, struct char_set *out, bool *found,
                            struct reason *why) MUST_CHECK;
/* "\n", "\x{41}", "\.": one character. */
enum err regex_escape_parse(struct regex_text *t, uint32_t *rune, struct reason *why) MUST_CHECK;

/* --- topic_regex_names.c --- */
/* The ASCII characters of a Unicode category or script (\p{name}), and what (?i) makes of it. False: RE2J does not know
 * the name. */
bool regex_unicode_class(struct slice name, bool fold, struct char_set *out);

#endif
