/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_LEDGER_END_H
#define CASTELLAN_LEDGER_LEDGER_END_H

#include "core/base/err.h"
#include <stdint.h>

/* Asks a topic for its end, within a deadline whatever the brokers do. Any thread; one question at a time. */
struct ledger_end;

/* Takes over `client`, a consumer that reports ends of partitions and does not linger over empty fetches. */
enum err ledger_end_new(struct ledger_end **out, void *client, const char *topic, struct reason *why) MUST_CHECK;
void ledger_end_free(struct ledger_end *a);
/* ends[p]: the offset after the last committed record of partition p, as of some moment during the call. */
enum err ledger_end_ask(struct ledger_end *a, int32_t partitions, int64_t *ends, int64_t deadline_ms,
                        struct reason *why) MUST_CHECK;

#endif
