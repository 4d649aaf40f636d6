/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_VERB_H
#define CASTELLAN_CLI_VERB_H

#include "cli/args.h"

/* A verb of the command line. run() returns the exit status: 0 done, 1 refused or failed, 2 wrong usage. */
struct verb {
    const char *name;
    const char *summary; /* one line for `castellan --help` */
    const char *usage;   /* the lines after "usage: castellan NAME", one per form */
    const struct arg_option *options;
    bool local; /* starts something here: of the common options only --help applies */
    int (*run)(const struct verb *verb, const struct args *args);
};

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

extern const struct arg_option verb_options_common[]; /* --config, --json, --help */
extern const struct arg_option verb_options_local[];  /* --help */
extern const struct verb *const verbs[];              /* all, in the order of `castellan --help`; ends with NULL */
extern const struct verb verb_up, verb_broker, verb_gateway, verb_registry, verb_keyd, verb_user, verb_acl, verb_quota,
    verb_topic, verb_policy, verb_schema, verb_forget, verb_receipt, verb_audit, verb_status;

void verb_print_help(const struct verb *verb);
int verb_usage_error(const struct verb *verb, const char *fmt, ...) PRINTF_LIKE(2, 3); /* EXIT_USAGE */
int verb_failed(const struct reason *why);                                             /* one line; EXIT_FAILED */
/* For what serves: a terminal that closes does not end it. Reloading on SIGHUP does not exist yet. */
void verb_outlive_terminal(void);

#endif
