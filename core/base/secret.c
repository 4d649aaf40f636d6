/* SPDX-License-Identifier: Apache-2.0
 * Secrets: copied once, compared in constant time, wiped before the memory goes back. */
#include "core/base/secret.h"

#include <stdlib.h>

enum err secret_init(struct secret *s, struct slice bytes)
{
    *s = (struct secret){0};
    s->p = malloc(bytes.n + 1);
    if (!s->p)
        return ERR_NO_MEMORY;
    if (bytes.n)
        memcpy(s->p, bytes.p, bytes.n);
    s->p[bytes.n] = 0;
    s->n = bytes.n;
    return ERR_OK;
}

void secret_free(struct secret *s)
{
    if (s->p)
        explicit_bzero(s->p, s->n);
    free(s->p);
    *s = (struct secret){0};
}

struct slice secret_view(const struct secret *s)
{
    return slice_of(s->p, s->n);
}

bool secret_equal(struct slice a, struct slice b)
{
    volatile uint8_t diff = a.n != b.n;
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++)
        diff |= (uint8_t)(a.p[i] ^ b.p[i]);
    return diff == 0;
}

void secret_wipe(void *p, size_t n)
{
    if (n) /* an empty buffer has no memory */
        explicit_bzero(p, n);
}
