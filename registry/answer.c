/* SPDX-License-Identifier: Apache-2.0
 * Answers and their error bodies. */
#include "registry/answer.h"
#include "registry/json_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void answer_init(struct answer *a)
{
    *a = (struct answer){.status = 200};
    buf_init(&a->body, 0);
}

void answer_free(struct answer *a)
{
    buf_free(&a->body);
}

/* The message as text: it may quote bytes of the request, or have been cut in the middle of a character. */
static void put_message(struct buf *out, struct slice message)
{
    struct buf text;
    size_t good = 0; /* bytes of a run that is fine */
    buf_init(&text, 0);
    for (size_t i = 0; i < message.n;) {
        size_t n = json_text_utf8(slice_of(message.p + i, message.n - i));
        good += n;
        i += n ? n : 1;
        if (n && i < message.n)
            continue;
        buf_put(&text, message.p + i - good - !n, good);
        buf_put_str(&text, n ? "" : "\xef\xbf\xbd"); /* U+FFFD */
        good = 0;
    }
    json_text_print_string(out, text.n ? buf_slice(&text) : slice_str(""));
    buf_free(&text);
}

enum err answer_error_text(struct answer *a, int code, struct slice message)
{
    a->status = code;
    while (a->status >= 1000)
        a->status /= 10;
    a->error_code = code;
    buf_clear(&a->body);
    buf_printf(&a->body, "{\"error_code\":%d,\"message\":", code);
    put_message(&a->body, message);
    buf_put_str(&a->body, "}");
    return ERR_CONFLICT;
}

enum err answer_error(struct answer *a, int code, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    enum err e = answer_error_text(a, code, n < 0 ? slice_str("out of memory") : slice_of(text, (size_t)n));
    if (n >= 0)
        free(text);
    return e;
}
