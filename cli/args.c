/* SPDX-License-Identifier: Apache-2.0
 * The option reader: a table in, names and values out. Order is kept, because `acl add` gives meaning to repetition. */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

static const struct arg_option *find(const struct args *a, const char *name, size_t n)
{
    for (size_t t = 0; t < 2; t++)
        for (const struct arg_option *o = a->options[t]; o && o->name; o++)
            if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                return o;
    return NULL;
}

/* The two short forms: -c FILE, as Kafka's people write it for the roles, and -h. */
static const char *long_form(const char *word)
{
    if (strcmp(word, "-c") == 0)
        return "--config";
    return strcmp(word, "-h") == 0 ? "--help" : word;
}

enum err args_parse(struct args *out, const struct arg_option *own, const struct arg_option *common, int argc,
                    char **argv, struct reason *why)
{
    bool only_operands = false;

    *out = (struct args){.options = {own, common}};
    if (argc > ARGS_MAX)
        return reason_set(why, ERR_BAD_CONFIG, "more than %d words", ARGS_MAX);
    for (int i = 0; i < argc; i++) {
        const char *word = only_operands ? argv[i] : long_form(argv[i]);
        if (only_operands || strncmp(word, "--", 2) != 0) {
            out->operands[out->operand_count++] = word;
            continue;
        }
        if (word[2] == 0) {
            only_operands = true;
            continue;
        }
        const char *equals = strchr(word, '=');
        size_t n = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        const struct arg_option *o = find(out, word + 2, n);
        if (!o)
            return reason_set(why, ERR_BAD_CONFIG, "unknown option --%.*s", (int)n, word + 2);
        if (!o->value && equals)
            return reason_set(why, ERR_BAD_CONFIG, "--%s takes no value", o->name);
        if (o->value && !equals && i + 1 == argc)
            return reason_set(why, ERR_BAD_CONFIG, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        out->given_name[out->given] = o->name;
        out->given_value[out->given++] = !o->value ? "" : equals ? equals + 1 : argv[++i];
    }
    return ERR_OK;
}

const char *args_get(const struct args *a, const char *name)
{
    for (size_t i = a->given; i-- > 0;)
        if (strcmp(a->given_name[i], name) == 0)
            return a->given_value[i];
    return NULL;
}

bool args_has(const struct args *a, const char *name)
{
    return args_get(a, name) != NULL;
}

void args_print_options(const struct arg_option *options)
{
    for (const struct arg_option *o = options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-28s %s\n", left, o->help);
    }
}
