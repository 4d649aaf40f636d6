/* SPDX-License-Identifier: Apache-2.0
 * What every fuzz target defines: it returns 0, and aborts when a property does not hold. */
#ifndef CASTELLAN_TESTS_FUZZ_H
#define CASTELLAN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the code under test, checked in every build. */
#define FUZZ_EXPECT(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

#endif
