/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SHARES_H
#define CASTELLAN_GATEWAY_SHARES_H

#include "core/base/slice.h"

struct share;
struct worker;

/* The turns of a principal's sessions on one worker. NULL: no memory. Given back once for each session. */
struct share *share_get(struct worker *w, struct slice principal);
void share_put(struct worker *w, struct share *s, struct slice principal);

#endif
