/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_BENCH_AVRO_C_H
#define CASTELLAN_TESTS_BENCH_AVRO_C_H

#include "core/base/slice.h"

/* Seconds that avro-c takes to decode the n records `rounds` times. Apart, for its names are also ours. */
double bench_avro_c(const char *schema_text, const struct slice *records, int n, int rounds);

#endif
