/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_ENV_H
#define CASTELLAN_BASE_ENV_H

#include "core/base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Time, randomness and faults, injected: product code asks `struct env`, tests and the simulator supply another one.
 * Pure modules take `now_ms` as an argument instead and do not see this. */
struct env {
    int64_t (*mono_us)(struct env *e);                  /* monotonic microseconds, any epoch */
    int64_t (*wall_ms)(struct env *e);                  /* Unix time in milliseconds */
    void (*random)(struct env *e, void *out, size_t n); /* cryptographic in production */
    bool (*fault)(struct env *e, const char *point);    /* true: fail here ("log.write", "log.fsync", ...) */
};

struct env *env_system(void); /* the real one; static, thread-safe */

static inline int64_t env_mono_ms(struct env *e)
{
    return e->mono_us(e) / 1000;
}

/* A test's env: time moves only when told, randomness is seeded, the fault at countdown 0 fires once. */
struct env_test {
    struct env env; /* first: &t.env is passed on */
    int64_t now_us;
    int64_t wall_base_ms;
    uint64_t seed;
    int fault_countdown; /* -1: never; n: the (n+1)-th call of fault() says true */
    bool fault_fired;
};
void env_test_init(struct env_test *t, uint64_t seed);
void env_test_advance_ms(struct env_test *t, int64_t ms);

#endif
