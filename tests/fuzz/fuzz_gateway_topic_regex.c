/* SPDX-License-Identifier: Apache-2.0
 * A pattern, a line feed, a topic's name. Any pattern compiles or is refused with a reason; matching stays within its
 * bound of steps; and what a pattern chooses, it chooses as a group, as an alternative and repeated, too. */
#include "gateway/filter/topic_regex.h"
#include "core/base/buf.h"
#include "tests/fuzz/fuzz.h"

/* 1 and 0: matches or not; -1: refused. */
static int verdict(struct slice pattern, struct slice topic)
{
    struct topic_regex *re = NULL;
    struct reason why = {0};
    uint64_t steps = 0;
    enum err e = topic_regex_compile(&re, pattern, &why);

    FUZZ_EXPECT(e == ERR_OK || e == ERR_INVALID_REGULAR_EXPRESSION);
    FUZZ_EXPECT((e == ERR_OK) == (re != NULL) && (e == ERR_OK) == (why.text[0] == 0));
    if (e)
        return -1;
    bool yes = topic_regex_matches(re, topic, &steps);
    FUZZ_EXPECT(topic_regex_steps_max(re) <= 2 * TOPIC_REGEX_INSTRUCTIONS_MAX);
    FUZZ_EXPECT(steps > 0 && steps <= (topic.n + 1) * (uint64_t)topic_regex_steps_max(re));
    topic_regex_free(re);
    return yes;
}

/* The verdict on the pattern between two texts. */
static int around(const char *before, struct slice pattern, const char *after, struct slice topic)
{
    struct buf b;
    int yes;

    buf_init(&b, 0);
    buf_put_str(&b, before);
    buf_put_slice(&b, pattern);
    buf_put_str(&b, after);
    yes = verdict(buf_slice(&b), topic);
    buf_free(&b);
    return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    struct slice pattern = slice_of(size ? data : (const uint8_t *)"", end ? (size_t)(end - data) : size);
    struct slice topic = end ? slice_of(end + 1, size - pattern.n - 1) : slice_str("orders-v1");
    int plain, group, other;

    if (topic.n > 249)
        topic.n = 249;
    plain = verdict(pattern, topic);
    if (plain < 0)
        return 0;
    group = around("(?:", pattern, ")", topic); /* refused where an open \Q takes the parenthesis */
    FUZZ_EXPECT(group < 0 || group == plain);
    other = around("(?:", pattern, ")|[^\\x00-\\x7f]", topic);
    FUZZ_EXPECT(group < 0 || other < 0 || other == plain);
    other = around("(?:", pattern, "){1,3}", topic);
    FUZZ_EXPECT(group < 0 || other < 0 || other >= plain);
    other = around("(?:", pattern, ")*?", topic);
    FUZZ_EXPECT(group < 0 || other < 0 || other >= plain);
    return 0;
}
