/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYRING_STEP_H
#define CASTELLAN_CRYPTO_KEYRING_STEP_H

#include "core/base/env.h"
#include "crypto/custody.h"
#include "crypto/erasure_log.h"
#include "crypto/keyring.h"
#include "crypto/receipt.h"

/* The erase protocol as one question: given the two topics' state and custody, what is to be done next? Nothing here is
 * remembered that could not be found out again, so the process may be killed between any two steps (but for the
 * acknowledgements of clients, which are then asked for, or waited out, again).
 *
 *   INTENT in the erasure ledger -> fence in the keyring -> clients acknowledge or their leases run out -> custody
 * makes a new version -> nodes and ROOT of the next epoch -> the old version destroyed, and verified -> receipt ->
 * custody's mark moves on -> tombstones for what is useless now.
 *
 * The owner calls keyring_step until it asks for something: records to be written (then waits until they were applied
 * and calls again), acknowledgements, key creations to settle, or nothing. */
enum keyring_need {
    KEYRING_NEED_NOTHING,
    KEYRING_NEED_AGAIN,           /* something was done in custody: call again */
    KEYRING_NEED_WRITE_KEYS,      /* append out->records to __castellan_keys */
    KEYRING_NEED_WRITE_ERASURE,   /* append out->records to __castellan_erasures */
    KEYRING_NEED_ACKS,            /* keyring_work_unacked says whose; then keyring_work_acked */
    KEYRING_NEED_CREATES_SETTLED, /* creations in flight must end first; no new ones */
};

struct keyring_output {
    enum keyring_need need;
    struct keyring_records records; /* freed by the caller (keyring_records_free) */
};

struct keyring_request; /* a FORGET that is not in the ledger yet */

struct keyring_work {
    struct keyring *kr;
    struct erasure_log *log;
    struct custody *custody;
    const struct receipt_signer *signer;
    struct env *env;
    size_t creates_in_flight; /* kept by the owner */
    bool rotation_wanted;     /* no creations may start */
    struct keyring_request *requests;
    struct map acks; /* erasure id -> JSON text of its acknowledgements (malloc) */
    uint32_t verified_version;
    struct buf evidence;
};

enum { KEYRING_SWEEP_MAX = 500, KEYRING_REQUESTER_MAX = 256, KEYRING_SUBJECT_MAX = RECORD_CRYPT_SUBJECT_MAX };

void keyring_work_init(struct keyring_work *w, struct keyring *kr, struct erasure_log *log, struct custody *custody,
                       const struct receipt_signer *signer, struct env *env);
void keyring_work_free(struct keyring_work *w);

/* Once, after both topics were read to the end: are they at least as new as custody remembers, and can the root be
 * opened? Anything else is refused with the reason. */
enum err keyring_work_check(struct keyring_work *w, struct reason *why) MUST_CHECK;

enum err keyring_step(struct keyring_work *w, int64_t now_ms, struct keyring_output *out,
                      struct reason *why) MUST_CHECK;

/* May a key be created now? */
bool keyring_work_may_create(const struct keyring_work *w);

struct keyring_forget {
    struct slice tenant, subject_class, id, requester;
};
/* Ask for an erasure; `erasure` names it from here on. A subject that is already forgotten, or whose erasure is under
 * way, gets the one that is there. */
enum err keyring_work_forget(struct keyring_work *w, const struct keyring_forget *f, int64_t now_ms,
                             uint8_t erasure[KEYRING_ERASURE_ID_SIZE], struct reason *why) MUST_CHECK;

enum keyring_progress {
    KEYRING_PENDING,
    KEYRING_HELD,    /* recorded; a legal hold keeps it from going on */
    KEYRING_DONE,    /* its receipt stands in the ledger and custody's mark is past it */
    KEYRING_NO_SUCH, /* never asked for */
};
enum keyring_progress keyring_work_progress(const struct keyring_work *w,
                                            const uint8_t erasure[KEYRING_ERASURE_ID_SIZE]);

/* The next fenced erasure that has no acknowledgements yet, after index *at (start with 0). */
bool keyring_work_unacked(const struct keyring_work *w, size_t *at, const struct erasure_entry **out);
/* `acks`: a JSON array of {"client", "how", "at"}. */
enum err keyring_work_acked(struct keyring_work *w, const uint8_t erasure[KEYRING_ERASURE_ID_SIZE],
                            struct slice acks) MUST_CHECK;

/* The bundle of a done erasure; with_salt for whoever asked for it. */
enum err keyring_work_bundle(const struct keyring_work *w, uint64_t receipt_seq, bool with_salt, struct buf *out,
                             struct reason *why) MUST_CHECK;

#endif
