/* SPDX-License-Identifier: Apache-2.0
 * The thread that keeps the leases: nothing runs on its loop but connections to the key process. A worker that is busy,
 * however long and with whatever, is no reason for a lease to run out, or for an erasure to wait. */
#include "crypto/key_client_internal.h"

#include <pthread.h>
#include <stdlib.h>

struct key_keeper {
    struct loop *loop;
    pthread_t thread;
    bool started;
};

enum err key_keeper_new(struct key_keeper **out, struct reason *why)
{
    struct key_keeper *k = calloc(1, sizeof *k);
    enum err e = k ? loop_new(&k->loop, NULL, why) : reason_set(why, ERR_NO_MEMORY, "no memory for the keys' keeper");
    *out = e ? NULL : k;
    if (e)
        free(k);
    return e;
}

static void *run(void *arg)
{
    struct key_keeper *k = arg;
    loop_run(k->loop);
    return NULL;
}

enum err key_keeper_start(struct key_keeper *k, struct reason *why)
{
    if (pthread_create(&k->thread, NULL, run, k))
        return reason_set(why, ERR_NO_MEMORY, "cannot start the thread that keeps the leases of data keys");
    k->started = true;
    return ERR_OK;
}

struct loop *key_keeper_loop(struct key_keeper *k)
{
    return k->loop;
}

void key_keeper_free(struct key_keeper *k)
{
    if (!k)
        return;
    if (k->started) {
        loop_stop(k->loop);
        pthread_join(k->thread, NULL);
    }
    loop_free(k->loop); /* clients that were freed close here, too */
    free(k);
}
