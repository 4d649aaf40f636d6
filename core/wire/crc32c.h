/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_CRC32C_H
#define CASTELLAN_WIRE_CRC32C_H

#include "core/base/slice.h"

/* CRC-32C (Castagnoli), the checksum of record batches. The fastest way the processor offers is chosen once. */
uint32_t crc32c(const void *p, size_t n);
/* Continue a checksum: crc32c_extend(crc32c(a), b) == crc32c(a followed by b). The CRC of nothing is 0. */
uint32_t crc32c_extend(uint32_t crc, const void *p, size_t n);
/* The table-driven way, whatever the processor offers; for tests that hold the fast way against it. */
uint32_t crc32c_extend_portable(uint32_t crc, const void *p, size_t n);

#endif
