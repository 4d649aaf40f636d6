/* SPDX-License-Identifier: Apache-2.0
 * Subjects and the contexts they live in. Text only; nothing is looked up here. */
#include "registry/subject.h"

struct qsubject subject_parse(struct slice q)
{
    struct qsubject out = {slice_str(SUBJECT_DEFAULT_CONTEXT), q};
    if (q.n < 2 || q.p[0] != ':' || (q.p[1] != '.' && q.p[1] != '*'))
        return out;
    const uint8_t *end = memchr(q.p + 1, ':', q.n - 1);
    if (!end) { /* ":.ctx" is the context itself */
        out.context = slice_of(q.p + 1, q.n - 1);
        out.name = slice_of(q.p + q.n, 0);
        return out;
    }
    out.context = slice_of(q.p + 1, (size_t)(end - q.p - 1));
    out.name = slice_of(end + 1, q.n - (size_t)(end - q.p) - 1);
    return out;
}

bool subject_is_default_context(struct slice context)
{
    return slice_eq_str(context, SUBJECT_DEFAULT_CONTEXT);
}

void subject_put(struct buf *out, struct slice context, struct slice name)
{
    if (!subject_is_default_context(context)) {
        buf_put_str(out, ":");
        buf_put_slice(out, context);
        buf_put_str(out, ":");
    }
    buf_put_slice(out, name);
}

void subject_put_normal(struct buf *out, struct slice qualified)
{
    struct qsubject q = subject_parse(qualified);
    subject_put(out, q.context, q.name);
}

void subject_put_from_parent(struct buf *out, struct slice parent, struct slice ref)
{
    struct qsubject q = subject_parse(ref);
    bool qualified = q.name.n != ref.n; /* it named its context itself */
    subject_put(out, qualified ? q.context : subject_parse(parent).context, q.name);
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
        if (s.p[i] == 0xc2 && i + 1 < s.n && s.p[i + 1] >= 0x80 && s.p[i + 1] <= 0x9f) /* U+0080..U+009F */
            return true;
    }
    return false;
}

bool subject_is_valid(struct slice qualified, bool config_or_mode)
{
    if (slice_is_null(qualified) || qualified.n > SUBJECT_MAX || has_control(qualified))
        return false;
    struct qsubject q = subject_parse(qualified);
    if (slice_eq_str(q.name, "__GLOBAL") || slice_eq_str(q.name, "__EMPTY"))
        return false;
    return config_or_mode || !slice_eq_str(q.context, SUBJECT_GLOBAL_CONTEXT);
}

bool subject_is_context(struct slice qualified)
{
    return slice_is_null(qualified) || subject_parse(qualified).name.n == 0;
}
