/* SPDX-License-Identifier: Apache-2.0
 * The limits by address behind one lock. */
#include "gateway/session/door.h"
#include "core/base/env.h"
#include "core/base/settings.h"

enum err door_open(struct door *d, const struct settings *s, struct reason *why)
{
    struct accept_limit_opts o = {
        .strangers_max = settings_int(s, "castellan.unauthenticated.connections.max"),
        .strangers_per_address_max = settings_int(s, "castellan.unauthenticated.connections.per.address.max"),
        .rate_per_address = settings_int(s, "castellan.connection.creation.rate.per.address")};

    pthread_mutex_init(&d->lock, NULL);
    d->authentication_ms = settings_int(s, "castellan.authentication.timeout.ms");
    d->strangers = accept_limit_new(&o);
    d->failures =
        failure_limit_new(settings_int(s, "connection.failed.authentication.delay.ms"), FAILURE_ADDRESSES_MAX);
    return d->strangers && d->failures ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory for the limits by address");
}

void door_close(struct door *d)
{
    accept_limit_free(d->strangers);
    failure_limit_free(d->failures);
    d->strangers = NULL;
    d->failures = NULL;
}

int64_t door_before(struct door *d, const struct address_group *from)
{
    int64_t wait_ms;

    pthread_mutex_lock(&d->lock);
    wait_ms = failure_limit_before(d->failures, from, env_mono_ms(env_system()));
    pthread_mutex_unlock(&d->lock);
    return wait_ms;
}

int64_t door_failed(struct door *d, const struct address_group *from, int64_t waited_ms)
{
    int64_t delay_ms;

    pthread_mutex_lock(&d->lock);
    delay_ms = failure_limit_failed(d->failures, from, waited_ms, env_mono_ms(env_system()));
    pthread_mutex_unlock(&d->lock);
    return delay_ms;
}
