/* SPDX-License-Identifier: Apache-2.0
 * The program's entrance: finds the verb, reads its words, runs it, and makes sure that what was printed arrived.
 *
 * A process started by `castellan up` must not outlive it: CASTELLAN_SUPERVISED holds the supervisor's process id, the
 * kernel is asked for SIGTERM when that process dies, and if it died before the asking, this one ends at once. */
#include "cli/verb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool follow_supervisor(void)
{
    const char *text = getenv("CASTELLAN_SUPERVISED");
    if (!text)
        return true;
    (void)prctl(PR_SET_NAME, "castellan"); /* it was started as /proc/self/exe */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM))
        return false;
    return getppid() == (pid_t)strtol(text, NULL, 10);
}

static int print_help(void)
{
    printf("castellan %s: the gate in front of Kafka\n\nusage: castellan VERB ...\n\n", CASTELLAN_VERSION);
    for (const struct verb *const *v = verbs; *v; v++)
        printf("  %-10s %s\n", (*v)->name, (*v)->summary);
    printf("\ncastellan VERB --help tells more about one of them.\n");
    return EXIT_OK;
}

static int usage_error(const char *what, const char *word)
{
    fprintf(stderr, "castellan: %s%s; `castellan --help` lists the verbs\n", what, word);
    return EXIT_USAGE;
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
    struct args args;
    struct reason why = {0};

    if (args_parse(&args, v->options, v->local ? verb_options_local : verb_options_common, argc, argv, &why))
        return verb_usage_error(v, "%s", why.text);
    if (args_has(&args, "help")) {
        verb_print_help(v);
        return EXIT_OK;
    }
    return v->run(v, &args);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_help();
    if (strcmp(argv[1], "--version") == 0) {
        printf("castellan %s\n", CASTELLAN_VERSION);
        return EXIT_OK;
    }
    for (const struct verb *const *v = verbs; *v; v++)
        if (strcmp((*v)->name, argv[1]) == 0)
            return run_verb(*v, argc - 2, argv + 2);
    return usage_error("unknown verb ", argv[1]);
}

int main(int argc, char **argv)
{
    int status;

    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (!follow_supervisor())
        return EXIT_FAILED;
    status = dispatch(argc, argv);
    if (fflush(stdout) && errno != EPIPE) {
        fprintf(stderr, "castellan: cannot write the output: %s\n", strerror(errno));
        return status ? status : EXIT_FAILED;
    }
    return status;
}
