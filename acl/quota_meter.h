/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_QUOTA_METER_H
#define CASTELLAN_ACL_QUOTA_METER_H

#include "acl/quota.h"

/* How much each quota's tags used lately, and for how long they must wait (KIP-219: answer at once with
 * throttle_time_ms, then mute the channel that long). Token buckets that may go into debt: quota.window.num = 11
 * samples of quota.window.size.seconds = 1 allow a burst of 10 s worth of the bound (controller mutations: 11 s,
 * KIP-599), as Kafka's window does; after that a client that obeys gets exactly its bound, whatever the size of its
 * requests.
 *
 * One object serves all workers of a gateway, so that a user's connections on several workers share one limit: it is
 * cut into QUOTA_METER_SHARDS parts, each with its own short lock; only clients that have a limit come here. At most
 * QUOTA_METERS_MAX meters are kept; one whose bucket is full again is forgotten, which loses nothing. When all places
 * are taken by live meters, a new client shares its shard's one overflow meter. */
enum {
    QUOTA_WINDOW_SAMPLES = 11,
    QUOTA_WINDOW_SAMPLE_MS = 1000,
    QUOTA_WINDOW_SAMPLES_MAX = 3600,
    QUOTA_METER_SHARDS = 16,
    QUOTA_METERS_MAX = 65536,
    QUOTA_METER_SWEEP_MS = 60000,    /* full buckets are looked for this often, when new clients come */
    QUOTA_THROTTLE_MAX_MS = 3600000, /* a throttle_time_ms is never longer */
};

struct quota_meters;

struct quota_meter_options {
    int samples;       /* 0: QUOTA_WINDOW_SAMPLES */
    int64_t sample_ms; /* 0: QUOTA_WINDOW_SAMPLE_MS */
    size_t meters_max; /* 0: QUOTA_METERS_MAX */
};

struct quota_meters *
quota_meters_new(const struct quota_meter_options *o); /* NULL options: defaults; NULL: no memory */
void quota_meters_free(struct quota_meters *m);

/* Record `value` (bytes; percent*s for request_percentage, see quota_request_value; connections) under the bound's tags
 * at `now_ms` (monotonic). The time in ms the client must be throttled, 0 if within the bound. For
 * request_percentage at most one sample (Kafka bounds it). */
int64_t quota_record(struct quota_meters *m, const struct quota_bound *b, double value, int64_t now_ms);
/* Take back what was recorded (a throttled Fetch answers without data). */
void quota_unrecord(struct quota_meters *m, const struct quota_bound *b, double value, int64_t now_ms);
/* How long would a client have to wait now, without recording anything? */
int64_t quota_peek(struct quota_meters *m, const struct quota_bound *b, int64_t now_ms);
/* The most that a full window allows: caps Fetch's max_bytes (KIP-219), so one response cannot overdraw by more.
 */
double quota_window_max(const struct quota_meters *m, const struct quota_bound *b);
/* controller_mutation_rate. strict (KIP-599: CreateTopics >= 6, CreatePartitions >= 3, DeleteTopics >= 5): when tokens
 * are spent, nothing is recorded and *refused is set (answer THROTTLING_QUOTA_EXCEEDED); else recorded always. */
int64_t quota_record_mutations(struct quota_meters *m, const struct quota_bound *b, double mutations, bool strict,
                               bool *refused, int64_t now_ms);
/* Nanoseconds of a thread as request_percentage counts them. */
static inline double quota_request_value(int64_t ns)
{
    return (double)ns * 100.0 / 1e9;
}

size_t quota_meters_count(struct quota_meters *m);

#endif
