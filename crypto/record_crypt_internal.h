/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_RECORD_CRYPT_INTERNAL_H
#define CASTELLAN_CRYPTO_RECORD_CRYPT_INTERNAL_H

#include "core/wire/record_batch.h"
#include "crypto/record_crypt.h"

/* What becomes of one record. */
struct record_todo {
    enum { RECORD_KEEP, RECORD_REPLACE, RECORD_DROP, RECORD_SEAL, RECORD_OPEN } what;
    struct slice value;         /* RECORD_REPLACE: by this */
    const struct data_key *key; /* until release(); a stream made from it may stay */
    struct envelope envelope;   /* RECORD_OPEN */
};

/* Where a run stands (record_crypt_run.c). */
enum run_state {
    RUN_BATCH,    /* before a batch */
    RUN_RECORDS,  /* before a record */
    RUN_VALUE,    /* in a large value */
    RUN_HEADERS,  /* in the headers behind it */
    RUN_CHECKING, /* the old batch's CRC, before ... */
    RUN_CLOSING,  /* ... the new batch's */
    RUN_COPYING,  /* of a batch in which nothing differs */
    RUN_THROUGH,
};

struct record_crypt_run {
    uint32_t magic;
    enum record_crypt_kind kind;
    enum run_state state;
    struct slice all, rest;      /* batches */
    const struct policy *policy; /* may be NULL when opening */
    struct record_crypt_needs *needs;
    struct key_lookup keys;
    struct env *env;
    size_t max;
    bool ciphertext;
    struct envelope_context context;
    enum envelope_suite suite;
    uint8_t salt[ENVELOPE_SALT_SIZE];
    uint32_t index; /* of the record in its batch */
    size_t lost;    /* keys, at the start */

    struct record_batch batch;
    struct record_iter records;
    struct buf scratch; /* decompressed records */
    struct record record;
    struct record_todo todo;

    struct buf *out;
    size_t before, batch_at, record_at; /* in `out`: where the run, the batch, the record begins */
    size_t value_at;
    int32_t written; /* records of the batch */
    bool differs;    /* the batch */
    bool changed;    /* the run */

    struct envelope_stream stream; /* of a large value */
    struct key_hold hold;          /* so that it is wiped with its key */
    bool holding;                  /* it is held, or was until it was wiped */
    bool interrupted;              /* it was wiped; to be looked at between enter() and release() */
    struct slice piece;            /* what is worked on piece by piece */
    size_t done;                   /* of it */
    uint32_t crc;

    struct record_crypt_counts counts;
    enum err err;
    struct reason why;
};

/* record_crypt.c */
enum err record_crypt_prepare(struct record_crypt_run *w, struct slice topic) MUST_CHECK;
enum err record_crypt_decide(struct record_crypt_run *w, const struct record *r, struct record_todo *todo) MUST_CHECK;
enum err record_crypt_not_ours(struct record_crypt_run *w, enum err e) MUST_CHECK;

#endif
