/* SPDX-License-Identifier: Apache-2.0
 * The worker's table of principals; a share lives as long as one of them has a session. */
#include "gateway/session/shares.h"
#include "gateway/request/pipeline.h"
#include "gateway/request/turns.h"
#include "gateway/session/worker_data.h"

#include <assert.h>
#include <stdlib.h>

struct share *share_get(struct worker *w, struct slice principal)
{
    struct share *s = map_get(&w->shares, principal);

    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || map_put(&w->shares, principal, s, NULL)) {
            free(s);
            return NULL;
        }
        share_init(s);
    }
    s->sessions++;
    return s;
}

void share_put(struct worker *w, struct share *s, struct slice principal)
{
    assert(s->sessions > 0 && map_get(&w->shares, principal) == s);
    if (--s->sessions > 0)
        return;
    assert(!turn_is_waiting(&s->turn));
    map_remove(&w->shares, principal);
    free(s);
}
