/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_CHECKPOINT_H
#define CASTELLAN_BROKER_LOG_CHECKPOINT_H

#include "core/base/buf.h"
#include "core/base/map.h"

/* The small text files of a log dir. Pure: text in, text out. */

/* The next number of `text` after blanks and line ends; false when there is none. */
bool checkpoint_number(struct slice *text, int64_t *out);
bool checkpoint_word(struct slice *text, struct slice *out);

/* An offset per partition: "0", the count, then "TOPIC PARTITION OFFSET" lines. The map's keys are folder names
 * ("topic-partition"), its values point at int64_t that free() releases. */
enum err checkpoint_decode(struct map *out, struct slice text, struct reason *why) MUST_CHECK;
void checkpoint_line(struct buf *out, struct slice topic, int32_t partition, int64_t offset);

/* partition.metadata */
enum err partition_metadata_decode(struct slice text, uint8_t topic_id[16], struct reason *why) MUST_CHECK;
enum err partition_metadata_encode(const uint8_t topic_id[16], struct buf *out) MUST_CHECK;

/* Kafka's Uuid text: base64url without padding, 22 characters. */
void uuid_text(const uint8_t id[16], char out[23]);
bool uuid_parse(struct slice text, uint8_t id[16]);

/* "my-topic-3" -> "my-topic", 3. False for anything else, also for "NAME.UNIQUE-delete". */
bool partition_folder_parse(struct slice name, struct slice *topic, int32_t *partition);

#endif
