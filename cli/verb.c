/* SPDX-License-Identifier: Apache-2.0
 * What every verb shares: its place in the list, its help, and how it says that something went wrong. */
#include "cli/verb.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct arg_option verb_options_common[] = {
    {"config", "FILE", "client properties: whom to ask, and as whom"},
    {"json", NULL, "print JSON"},
    {"help", NULL, "this text"},
    {0},
};

const struct arg_option verb_options_local[] = {
    {"help", NULL, "this text"},
    {0},
};

const struct verb *const verbs[] = {
    &verb_up,      &verb_user,  &verb_acl,    &verb_quota,  &verb_topic,   &verb_schema,   &verb_policy, &verb_forget,
    &verb_receipt, &verb_audit, &verb_status, &verb_broker, &verb_gateway, &verb_registry, &verb_keyd,   NULL,
};

void verb_print_help(const struct verb *verb)
{
    const char *line = verb->usage;

    printf("castellan %s: %s\n\n", verb->name, verb->summary);
    for (const char *lead = "usage:"; *line; lead = "      ") {
        size_t n = strcspn(line, "\n");
        printf("%s castellan %s %.*s\n", lead, verb->name, (int)n, line);
        line += n + (line[n] == '\n');
    }
    printf("\n");
    args_print_options(verb->options);
    args_print_options(verb->local ? verb_options_local : verb_options_common);
    if (!verb->local)
        printf("\nWithout --config, CASTELLAN_CONFIG names the file, else castellan-data/clients/admin.properties.\n");
}

int verb_usage_error(const struct verb *verb, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "castellan %s: ", verb->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "; `castellan %s --help` tells how\n", verb->name);
    return EXIT_USAGE;
}

int verb_failed(const struct reason *why)
{
    fflush(stdout); /* what was said before comes before */
    fprintf(stderr, "castellan: %s\n", why->text[0] ? why->text : err_text(why->code));
    return EXIT_FAILED;
}

void verb_outlive_terminal(void)
{
    signal(SIGHUP, SIG_IGN);
}
