/* SPDX-License-Identifier: Apache-2.0
 * What bench_avro compares with: avro-c, decoding into its generic values. */
#include "tests/bench/bench_avro_c.h"

#include <avro.h>
#include <stdlib.h>
#include <time.h>

double bench_avro_c(const char *schema_text, const struct slice *records, int n, int rounds)
{
    avro_schema_t schema;
    avro_value_t value;
    if (avro_schema_from_json_length(schema_text, strlen(schema_text), &schema))
        exit(1);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    if (!iface || avro_generic_value_new(iface, &value))
        exit(1);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++) {
            avro_reader_t reader = avro_reader_memory((const char *)records[i].p, (int64_t)records[i].n);
            if (avro_value_read(reader, &value))
                exit(1);
            avro_reader_free(reader);
        }
    clock_gettime(CLOCK_MONOTONIC, &to);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}
