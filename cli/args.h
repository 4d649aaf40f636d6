/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_ARGS_H
#define CASTELLAN_CLI_ARGS_H

#include "core/base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Command-line words against a table of options. `--name value`, `--name=value`; `-c FILE` is `--config FILE`, `-h` is
 * `--help`; everything else is an operand. */
struct arg_option {
    const char *name;  /* without the dashes; NULL ends the table */
    const char *value; /* what the value is called in the help; NULL: a flag */
    const char *help;  /* one line */
};

enum { ARGS_MAX = 256 };

struct args {
    const struct arg_option *options[2]; /* the verb's own, then those every verb has */
    const char *given_name[ARGS_MAX];    /* options in the order given */
    const char *given_value[ARGS_MAX];   /* "" for a flag */
    size_t given;
    const char *operands[ARGS_MAX];
    size_t operand_count;
};

/* ERR_BAD_CONFIG with `why` for an unknown option or a missing value. argv strings must outlive `out`. */
enum err args_parse(struct args *out, const struct arg_option *own, const struct arg_option *common, int argc,
                    char **argv, struct reason *why) MUST_CHECK;
const char *args_get(const struct args *a, const char *name); /* the last value given, or NULL */
bool args_has(const struct args *a, const char *name);
void args_print_options(const struct arg_option *options);

#endif
