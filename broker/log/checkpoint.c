/* SPDX-License-Identifier: Apache-2.0
 * The text formats of a log dir: numbers and words between blanks, Kafka's line formats, base64url ids. */
#include "broker/log/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
enum { UUID_TEXT = 22, TOPIC_MAX = 249, FOLDER_MAX = 280 };

bool checkpoint_word(struct slice *text, struct slice *out)
{
    size_t i = 0, start;

    while (i < text->n && memchr(" \n\r\t", text->p[i], 4))
        i++;
    start = i;
    while (i < text->n && !memchr(" \n\r\t", text->p[i], 4))
        i++;
    *out = slice_of(text->p + start, i - start);
    *text = slice_of(text->p + i, text->n - i);
    return out->n > 0;
}

static bool number_of(struct slice word, int64_t *out)
{
    char text[24], *end;

    if (!word.n || word.n >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(word));
    *out = strtoll(text, &end, 10);
    return !*end && end != text;
}

bool checkpoint_number(struct slice *text, int64_t *out)
{
    struct slice word;
    return checkpoint_word(text, &word) && number_of(word, out);
}

enum err checkpoint_decode(struct map *out, struct slice text, struct reason *why)
{
    int64_t version, count, partition, offset;
    struct slice topic;

    if (!checkpoint_number(&text, &version) || version != 0 || !checkpoint_number(&text, &count) || count < 0)
        return reason_set(why, ERR_MALFORMED, "an offset checkpoint without a valid head");
    while (count--) {
        char name[FOLDER_MAX];
        int64_t *value;
        void *old = NULL;
        if (!checkpoint_word(&text, &topic) || topic.n > TOPIC_MAX || !checkpoint_number(&text, &partition) ||
            !checkpoint_number(&text, &offset) || partition < 0 || partition > INT32_MAX || offset < 0)
            return reason_set(why, ERR_MALFORMED, "an offset checkpoint with a bad line");
        snprintf(name, sizeof name, "%.*s-%lld", SLICE_FMT(topic), (long long)partition);
        value = malloc(sizeof *value);
        if (!value || map_put(out, slice_str(name), value, &old)) {
            free(value);
            return reason_set(why, ERR_NO_MEMORY, "no memory for an offset checkpoint");
        }
        *value = offset;
        free(old);
    }
    return ERR_OK;
}

void checkpoint_line(struct buf *out, struct slice topic, int32_t partition, int64_t offset)
{
    buf_printf(out, "%.*s %d %lld\n", SLICE_FMT(topic), partition, (long long)offset);
}

void uuid_text(const uint8_t id[16], char out[23])
{
    for (int i = 0; i < UUID_TEXT; i++) {
        int bit = 6 * i, at = bit / 8, shift = bit % 8;
        unsigned pair = (unsigned)id[at] << 8 | (at < 15 ? id[at + 1] : 0);
        out[i] = alphabet[pair >> (10 - shift) & 63];
    }
    out[UUID_TEXT] = 0;
}

bool uuid_parse(struct slice text, uint8_t id[16])
{
    unsigned bits = 0, have = 0;
    size_t n = 0;

    if (text.n != UUID_TEXT)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
        if (!at)
            return false;
        bits = bits << 6 | (unsigned)(at - alphabet);
        have += 6;
        if (have >= 8 && n < 16) {
            have -= 8;
            id[n++] = (uint8_t)(bits >> have);
        }
    }
    return n == 16 && (bits & ((1u << have) - 1)) == 0;
}

enum err partition_metadata_decode(struct slice text, uint8_t topic_id[16], struct reason *why)
{
    struct slice key, version, value;

    if (checkpoint_word(&text, &key) && slice_eq_str(key, "version:") && checkpoint_word(&text, &version) &&
        slice_eq_str(version, "0") && checkpoint_word(&text, &key) && slice_eq_str(key, "topic_id:") &&
        checkpoint_word(&text, &value) && uuid_parse(value, topic_id))
        return ERR_OK;
    return reason_set(why, ERR_MALFORMED, "partition.metadata does not follow its format");
}

enum err partition_metadata_encode(const uint8_t topic_id[16], struct buf *out)
{
    char id[23];
    uuid_text(topic_id, id);
    buf_printf(out, "version: 0\ntopic_id: %s", id);
    return buf_error(out);
}

bool partition_folder_parse(struct slice name, struct slice *topic, int32_t *partition)
{
    size_t dash = name.n;
    int64_t number;

    while (dash > 0 && name.p[dash - 1] != '-')
        dash--;
    if (dash < 2 || dash == name.n || dash - 1 > TOPIC_MAX)
        return false;
    for (size_t i = dash; i < name.n; i++)
        if (name.p[i] < '0' || name.p[i] > '9')
            return false;
    if (!number_of(slice_of(name.p + dash, name.n - dash), &number) || number > INT32_MAX)
        return false;
    *topic = slice_of(name.p, dash - 1);
    *partition = (int32_t)number;
    return true;
}
