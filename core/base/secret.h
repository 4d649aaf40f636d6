/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_SECRET_H
#define CASTELLAN_BASE_SECRET_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* Bytes that must not leak: a type of their own, so that no printing function takes them. Wiped when freed. */
struct secret {
    uint8_t *p;
    size_t n;
};

enum err secret_init(struct secret *s, struct slice bytes) MUST_CHECK; /* copies, NUL-terminated past n */
void secret_free(struct secret *s);                                    /* wipes, then frees */
struct slice secret_view(const struct secret *s);                      /* for the primitive that needs it */
bool secret_equal(struct slice a, struct slice b);                     /* constant time in the content */
void secret_wipe(void *p, size_t n);                                   /* not optimised away */

#endif
