/* SPDX-License-Identifier: Apache-2.0
 * The verbs that are one role in the foreground: `castellan broker|gateway|registry|keyd -c FILE`. */
#include "cli/verb.h"
#include "broker/broker.h"
#include "crypto/keyd.h"
#include "gateway/gateway.h"
#include "registry/registry.h"

static int run_role(const struct verb *verb, const struct args *args, int (*serve)(const char *config_path))
{
    if (args->operand_count)
        return verb_usage_error(verb, "unexpected word \"%s\"", args->operands[0]);
    if (!args_has(args, "config"))
        return verb_usage_error(verb, "-c FILE is missing");
    verb_outlive_terminal();
    return serve(args_get(args, "config"));
}

static int run_broker(const struct verb *verb, const struct args *args)
{
    return run_role(verb, args, broker_main);
}

static int run_gateway(const struct verb *verb, const struct args *args)
{
    return run_role(verb, args, gateway_main);
}

static int run_registry(const struct verb *verb, const struct args *args)
{
    return run_role(verb, args, registry_main);
}

static int run_keyd(const struct verb *verb, const struct args *args)
{
    return run_role(verb, args, keyd_main);
}

static const struct arg_option options[] = {
    {"config", "FILE", "the role's properties (-c FILE)"},
    {0},
};

#define ROLE(role, text)                                                                                               \
    const struct verb verb_##role = {                                                                                  \
        .name = #role, .summary = text, .usage = "-c FILE", .options = options, .local = true, .run = run_##role}

ROLE(broker, "run one bundled broker");
ROLE(gateway, "run the gateway and its admin API");
ROLE(registry, "run the schema registry");
ROLE(keyd, "run the key process");
