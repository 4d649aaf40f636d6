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

enum err answer_error_text(struct answer *a, int code, struct slice message)
{
    a->status = code;
    while (a->status >= 1000)
        a->status /= 10;
    a->error_code = code;
    buf_clear(&a->body);
    buf_printf(&a->body, "{\"error_code\":%d,\"message\":", code);
    json_text_print_string(&a->body, message);
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
