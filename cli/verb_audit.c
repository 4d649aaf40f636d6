/* SPDX-License-Identifier: Apache-2.0
 * `castellan audit`: the audit's topic, read from its beginning to the end it has now, through the cluster the client
 * properties name. `list` shows records, `verify` proves that within each writer's chain nothing was removed, changed,
 * put in or put elsewhere, and with the heads an earlier verification printed, that nothing was cut off the end either.
 */
#include "cli/session.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/ledger/audit.h"
#include "core/ledger/ledger.h"
#include "core/ledger/ledger_settings.h"
#include "wire/metadata.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADS_FILE_MAX = 64 * 1024 * 1024, PARTITIONS_MAX = 256, LIST_DEFAULT = 100, LIST_MAX = 1000000, STEP_MS = 500 };

/* --- reading the topic --- */

struct reading {
    void (*record)(void *ctx, const struct ledger_record *r);
    void *ctx;
};

static void on_record(void *user, const struct ledger_record *r)
{
    const struct reading *reading = user;
    reading->record(reading->ctx, r);
}

/* Kafka answers for a topic that is not there, or may not be read, where a consumer would wait for ever. */
static enum err check_topic(struct session *s)
{
    struct metadata_request request;
    struct metadata_response m;
    enum err err;

    metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    if (!metadata_request_metadata_request_topic_array_alloc(&request.topics, 1, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    request.topics.v[0].name = slice_str(AUDIT_TOPIC);
    err = session_call(s, KAFKA_CLI_ANY, WIRE_METADATA, &request, &m);
    if (err)
        return err;
    if (m.topics.n != 1)
        return session_fail(s, ERR_MALFORMED, "the server says nothing of the topic " AUDIT_TOPIC);
    return session_check(s, m.topics.v[0].error_code, SLICE_NULL, "the topic " AUDIT_TOPIC);
}

/* The client properties as librdkafka's settings. `user` and `password` back the words. */
static enum err put_settings(struct session *s, struct ledger_settings *l, struct buf *user, struct secret *password)
{
    const char *jaas = settings_string(s->settings, "sasl.jaas.config");

    ledger_settings_cluster(l, s->settings, "bootstrap.servers", "");
    if (!jaas)
        return ERR_OK;
    ledger_settings_put(l, "sasl.mechanism", settings_string(s->settings, "sasl.mechanism"));
    if (kafka_jaas_parse(slice_str(jaas), user, password, &s->why))
        return s->why.code;
    ledger_settings_put(l, "sasl.username", buf_cstr(user));
    ledger_settings_put(l, "sasl.password", (const char *)secret_view(password).p);
    return ERR_OK;
}

/* Until the end is reached, as long as there is progress. */
static enum err wait_end(struct session *s, struct ledger *l)
{
    int64_t patience = settings_int(s->settings, "request.timeout.ms"), position = -1, waited = 0;
    struct reason why = {0};
    enum err err;

    while ((err = ledger_wait_ready(l, STEP_MS, &why)) == ERR_TIMEOUT && waited < patience) {
        int64_t now = ledger_position(l);
        waited = now == position ? waited + STEP_MS : 0;
        position = now;
    }
    if (err == ERR_TIMEOUT)
        return session_fail(s, err,
                            "nothing comes of the topic " AUDIT_TOPIC "; READ on it may be missing (super "
                            "users have it)");
    return err ? session_fail(s, err, "%s", why.text) : ERR_OK;
}

static enum err read_all(struct session *s, void (*record)(void *ctx, const struct ledger_record *r), void *ctx)
{
    struct reading reading = {record, ctx};
    struct ledger_settings settings = {0};
    struct ledger_config config = {.topic = AUDIT_TOPIC, .read_only = true, .kafka = settings.words};
    struct ledger_hooks hooks = {.user = &reading, .apply = on_record};
    struct ledger *l = NULL;
    struct secret password = {0};
    struct buf user;
    enum err err = check_topic(s);

    buf_init(&user, 0);
    log_set_level(LOG_ERROR);
    if (!err)
        err = put_settings(s, &settings, &user, &password);
    if (!err)
        err = ledger_open(&l, &config, &hooks, &s->why);
    if (!err)
        err = wait_end(s, l);
    ledger_close(l);
    buf_free(&user);
    secret_free(&password);
    return err;
}

/* --- verify --- */

struct verification {
    struct audit_verifier *verifier;
    json_t *findings, *chains;
    json_int_t records;
    bool from_start[PARTITIONS_MAX], known[PARTITIONS_MAX];
    enum err err;
};

static void on_found(void *ctx, const struct audit_finding *f)
{
    struct verification *v = ctx;
    json_t *o = json_object();

    json_object_set_new(o, "fault", json_string(audit_fault_name(f->fault)));
    json_object_set_new(o, "partition", json_integer(f->partition));
    json_object_set_new(o, "offset", f->offset < 0 ? json_null() : json_integer(f->offset));
    json_object_set_new(o, "writer", session_json_slice(f->writer));
    json_object_set_new(o, "seq", json_integer((json_int_t)f->seq));
    json_object_set_new(o, "expected", json_integer((json_int_t)f->wanted));
    json_array_append_new(v->findings, o);
}

static void on_chain(void *ctx, const struct audit_summary *s)
{
    struct verification *v = ctx;
    json_t *o = json_object();

    json_object_set_new(o, "writer", session_json_slice(s->writer));
    json_object_set_new(o, "first", json_integer((json_int_t)s->first));
    json_object_set_new(o, "last", json_integer((json_int_t)s->last));
    json_object_set_new(o, "records", json_integer((json_int_t)s->records));
    json_object_set_new(o, "duplicates", json_integer((json_int_t)s->duplicates));
    json_object_set_new(o, "lost", json_integer((json_int_t)s->lost));
    json_object_set_new(o, "end", json_string(s->stopped ? "stop" : "open"));
    json_object_set_new(o, "head", json_string(s->head));
    json_array_append_new(v->chains, o);
}

static void verify_record(void *ctx, const struct ledger_record *r)
{
    struct verification *v = ctx;
    int32_t p = r->partition % PARTITIONS_MAX;

    if (!v->known[p])
        v->from_start[p] = r->offset == 0;
    v->known[p] = true;
    v->records++;
    if (!v->err)
        v->err = audit_verify_record(v->verifier, r->partition, r->offset, r->value, v->from_start[p]);
}

/* What an earlier `castellan audit verify --json` printed. */
static enum err read_heads(struct session *s, struct verification *v)
{
    const char *path = session_option(s, "heads");
    struct buf text;
    json_t *saved, *chain;
    const json_t *chains;
    size_t i;
    enum err err;

    if (!path)
        return ERR_OK;
    buf_init(&text, HEADS_FILE_MAX);
    err = fs_read_file(path, &text, &s->why);
    saved = err ? NULL : json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    chains = json_object_get(saved, "chains");
    buf_free(&text);
    if (!err && !json_is_array(chains))
        err = session_fail(s, ERR_MALFORMED, "%s is not what `castellan audit verify --json` prints", path);
    json_array_foreach(chains, i, chain)
    {
        const char *writer = json_string_value(json_object_get(chain, "writer"));
        const char *head = json_string_value(json_object_get(chain, "head"));
        const json_t *last = json_object_get(chain, "last");
        if (!err && (!writer || !head || !json_is_integer(last)))
            err = session_fail(s, ERR_MALFORMED, "%s: chain %zu lacks writer, head or last", path, i);
        if (!err)
            err = audit_verify_expect(v->verifier, slice_str(writer), (uint64_t)json_integer_value(last),
                                      slice_str(head), &s->why);
    }
    json_decref(saved);
    return err;
}

static void print_findings(const struct verification *v)
{
    json_t *f;
    size_t i;

    json_array_foreach(v->findings, i, f)
    {
        const char *writer = json_string_value(json_object_get(f, "writer"));
        const json_t *offset = json_object_get(f, "offset");
        char where[64] = "";
        if (json_is_integer(offset))
            snprintf(where, sizeof where, " at partition %d offset %lld",
                     (int)json_integer_value(json_object_get(f, "partition")), (long long)json_integer_value(offset));
        printf("%s: record %lld of %s%s (expected %lld)\n", json_string_value(json_object_get(f, "fault")),
               (long long)json_integer_value(json_object_get(f, "seq")), writer ? writer : "?", where,
               (long long)json_integer_value(json_object_get(f, "expected")));
    }
}

static enum err show_verification(struct session *s, struct verification *v)
{
    static const struct table_column columns[] = {
        {"writer", "WRITER"}, {"first", "FIRST"}, {"last", "LAST"}, {"duplicates", "TWICE"},
        {"lost", "LOST"},     {"end", "END"},     {"head", "HEAD"}, {0}};
    size_t faults = json_array_size(v->findings), chains = json_array_size(v->chains);
    enum err err;

    if (session_flag(s, "json")) {
        json_t *o = json_pack("{s:b, s:I, s:O, s:O}", "verified", faults == 0, "records", v->records, "chains",
                              v->chains, "findings", v->findings);
        err = session_say(s, o, " ");
    } else {
        print_findings(v);
        err = session_show_rows(s, json_incref(v->chains), columns, "no records");
        if (!err && !faults)
            printf("%lld records in %zu chains: nothing was removed or altered within them\n", (long long)v->records,
                   chains);
    }
    return err || !faults ? err : session_fail(s, ERR_CONFLICT, "the audit does not verify: %zu findings", faults);
}

static enum err run_verify(struct session *s)
{
    struct verification v = {.findings = json_array(), .chains = json_array()};
    enum err err = session_load(s);

    v.verifier = audit_verifier_new(on_found, &v);
    if (!err && !v.verifier)
        err = session_fail(s, ERR_NO_MEMORY, "no memory");
    if (!err)
        err = read_heads(s, &v);
    if (!err)
        err = read_all(s, verify_record, &v);
    if (!err && v.err)
        err = session_fail(s, v.err, "%s", err_text(v.err));
    if (!err) {
        audit_verify_end(v.verifier);
        audit_verify_each(v.verifier, on_chain, &v);
        err = show_verification(s, &v);
    }
    audit_verifier_free(v.verifier);
    json_decref(v.findings);
    json_decref(v.chains);
    return err;
}

/* --- list --- */

struct listing {
    struct session *s;
    json_t *rows;
    int64_t limit;
};

static bool fits(const struct listing *l, const json_t *record)
{
    static const char *const filters[][2] = {{"principal", "principal"}, {"event", "event"}, {"outcome", "outcome"},
                                             {"resource", "resource"},   {"role", "role"},   {"host", "host"}};
    const char *since = session_option(l->s, "since"), *time = json_string_value(json_object_get(record, "time"));

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *want = session_option(l->s, filters[i][0]);
        const char *have = json_string_value(json_object_get(record, filters[i][1]));
        if (want && (!have || strcmp(want, have) != 0))
            return false;
    }
    return !since || (time && strcmp(time, since) >= 0);
}

/* The latest `limit` rows. */
static void trim(struct listing *l)
{
    size_t n = json_array_size(l->rows), keep = (size_t)l->limit < n ? (size_t)l->limit : n;
    json_t *rows = json_array();

    for (size_t i = n - keep; i < n; i++)
        json_array_append(rows, json_array_get(l->rows, i));
    json_decref(l->rows);
    l->rows = rows;
}

static void list_record(void *ctx, const struct ledger_record *r)
{
    struct listing *l = ctx;
    json_t *record = slice_is_null(r->value) ? NULL : json_loadb((const char *)r->value.p, r->value.n, 0, NULL);

    if (!json_is_object(record) || !fits(l, record)) {
        json_decref(record);
        return;
    }
    json_object_set_new(record, "offset", json_integer(r->offset));
    /* people read why in one column, whatever it is called in the record */
    const char *const whys[] = {"detail", "reason", "right"};
    for (size_t i = 0; i < 3 && !session_flag(l->s, "json") && !json_object_get(record, "why"); i++)
        if (json_object_get(record, whys[i]))
            json_object_set(record, "why", json_object_get(record, whys[i]));
    json_array_append_new(l->rows, record);
    if ((int64_t)json_array_size(l->rows) >= 2 * l->limit) /* seldom, so that dropping costs little */
        trim(l);
}

static enum err run_list(struct session *s)
{
    static const struct table_column columns[] = {{"time", "TIME"},
                                                  {"event", "EVENT"},
                                                  {"outcome", "OUTCOME"},
                                                  {"principal", "PRINCIPAL"},
                                                  {"host", "HOST"},
                                                  {"operation", "OPERATION"},
                                                  {"resource", "RESOURCE"},
                                                  {"version", "VERSION"},
                                                  {"why", "WHY"},
                                                  {"status", "STATUS"},
                                                  {0}};
    struct listing l = {s, NULL, LIST_DEFAULT};
    enum err err = session_number(s, "last", 1, LIST_MAX, &l.limit);

    if (!err)
        err = session_load(s);
    l.rows = json_array();
    if (!err)
        err = read_all(s, list_record, &l);
    if (!err)
        trim(&l);
    if (err) {
        json_decref(l.rows);
        return err;
    }
    return session_show_rows(s, l.rows, columns, "no records that fit");
}

static const struct action actions[] = {{"list", 0, 0, run_list}, {"verify", 0, 0, run_verify}, {0}};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"principal", "P", "list: only records of this principal (User:alice)"},
    {"event", "E", "list: authentication, authorization, change, start, stop or lost"},
    {"outcome", "O", "list: done, refused or failed"},
    {"resource", "R", "list: only records about this subject"},
    {"role", "ROLE", "list: only what this role wrote"},
    {"host", "H", "list: only records of this address"},
    {"since", "TIME", "list: from then on, as the records write it: 2026-11-27T12:00"},
    {"last", "N", "list: so many at most, the latest; 100 unless given"},
    {"heads", "FILE", "verify: what an earlier verify --json printed; it must still be there"},
    {0},
};

const struct verb verb_audit = {
    .name = "audit",
    .summary = "who did or tried what",
    .usage = "list [--principal P] [--event E] [--outcome O] [--resource R] [--since TIME] [--last N]\n"
             "verify [--heads FILE]               (exit status 1: something was removed or altered)",
    .options = options,
    .run = run,
};
