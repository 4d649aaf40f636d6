/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_SLICE_H
#define CASTELLAN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes. p == NULL is "null" (Kafka's null string, absent value); an empty slice has p != NULL.
 * A slice never owns its memory; whoever hands it out says how long it lives. Not NUL-terminated. */
struct slice {
    const uint8_t *p;
    size_t n;
};

#define SLICE_NULL ((struct slice){NULL, 0})
/* printf("%.*s", SLICE_FMT(s)) */
#define SLICE_FMT(s) (int)(s).n, (s).p ? (const char *)(s).p : ""

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool slice_is_null(struct slice s)
{
    return s.p == NULL;
}

/* Bytewise order; null sorts before empty. Not constant time: secrets use secret_equal(). */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    if (r)
        return r;
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return (a.p != NULL) - (b.p != NULL);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.p != NULL) == (b.p != NULL) && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* As a C string it would end too early: a name that is checked as a whole and used as a C string must not have one. */
static inline bool slice_has_nul(struct slice s)
{
    return s.n && memchr(s.p, 0, s.n);
}

/* Takes the next item off a list, blanks around it left out: "a, b" is a and b. An item may be empty, but nothing
 * follows a separator at the end. False: no item is left. */
static inline bool slice_next_item(struct slice *rest, char separator, struct slice *item)
{
    if (!rest->n)
        return false;
    const uint8_t *end = (const uint8_t *)memchr(rest->p, separator, rest->n);
    size_t used = end ? (size_t)(end - rest->p) : rest->n;
    *item = slice_of(rest->p, used);
    while (item->n && item->p[0] == ' ')
        *item = slice_of(item->p + 1, item->n - 1);
    while (item->n && item->p[item->n - 1] == ' ')
        item->n--;
    used += end != NULL;
    *rest = slice_of(rest->p + used, rest->n - used);
    return true;
}

#endif
