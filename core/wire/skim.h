/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_SKIM_H
#define CASTELLAN_WIRE_SKIM_H

#include "core/wire/resumable.h"

/* Follows the bytes of a message while they pass, in whatever pieces they come, without keeping any of them: lengths
 * and counts are read and held against what is left, strings and records are skipped. It can hide the tagged field 0
 * of the message itself (not of structs in it), which in answers to Fetch and Produce holds the addresses of nodes,
 * although the message's length was told already: see wire_skim_pass().
 *
 * A plain value without memory of its own. The work is linear in the pieces; long values cost nothing. */
struct wire_skim_frame {
    const struct wire_struct *s;
    size_t field;
    const struct wire_field *array; /* whose elements pass; NULL: none */
    int32_t left;
    bool in_tags;
    uint32_t tags, tags_left; /* of this struct */
    int64_t last_tag;
};

enum { WIRE_SKIM_TAGS_MAX = 64 }; /* more beside a hidden one are refused */

struct wire_skim {
    uint32_t magic;
    int16_t version;
    bool flexible, hide_tag_0, hiding, erase, failed;
    size_t left;    /* bytes of the message that have not passed yet */
    size_t skip;    /* of them to be skipped now */
    uint8_t number; /* what is being read (skim.c) */
    uint8_t got;    /* bytes of it */
    uint32_t value;
    const struct wire_field *field; /* whose length or count that is */
    int depth;
    struct wire_skim_frame frames[WIRE_DEPTH_MAX];
};

/* `n`: the length of the message. `version` must be valid for it. */
void wire_skim_begin(struct wire_skim *s, const struct wire_message *message, int16_t version, size_t n,
                     bool hide_tag_0);
/* The next n bytes, which may be changed. Where field 0 is hidden, it is given a number that nobody knows and its bytes
 * are zeroed; any fields behind it with numbers below 128 are too, so that the numbers keep their order. A reader skips
 * what it does not know. False: the bytes (or those before) do not parse, end too early, or go on too long. */
bool wire_skim_pass(struct wire_skim *s, uint8_t *p, size_t n) MUST_CHECK;
/* All bytes passed, and they were the message. */
bool wire_skim_is_through(const struct wire_skim *s);

#endif
