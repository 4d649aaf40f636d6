/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_POLICY_INTERNAL_H
#define CASTELLAN_CRYPTO_POLICY_INTERNAL_H

#include "core/base/arena.h"
#include "crypto/policy.h"

/* A policy and the strings it points to. */
struct policy_owned {
    struct policy policy; /* first */
    struct arena arena;
};

enum err policy_own(struct policy_owned *p, const char **out, const char *text) MUST_CHECK;

#endif
