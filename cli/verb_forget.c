/* SPDX-License-Identifier: Apache-2.0
 * `castellan forget` and `castellan receipt`: a person's keys are destroyed, and what proves it is kept and checked.
 *
 * The bundle that the server hands out holds a salt that opens the receipt's commitment to whom it is about; the server
 * gives it out once. It is therefore always written to a file, and when that fails printed, before anything else. */
#include "cli/session.h"
#include "core/base/fs.h"
#include "core/base/percent.h"
#include "crypto/policy.h"
#include "crypto/receipt.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static json_t *time_text(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[32];
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return json_null();
    return json_string(text);
}

static struct slice option_or(const struct session *s, const char *name, const char *fallback)
{
    const char *value = session_option(s, name);
    return slice_str(value ? value : fallback);
}

static enum err subject_path(struct session *s, struct slice id, struct buf *path)
{
    static const char *const names[] = {"class", "tenant"};
    char separator = '?';

    buf_put_str(path, "/v1/subjects/");
    percent_encode(path, id);
    for (size_t i = 0; i < 2; i++) {
        if (!session_option(s, names[i]))
            continue;
        buf_printf(path, "%c%s=", separator, names[i]);
        session_put_escaped(path, session_option(s, names[i]));
        separator = '&';
    }
    return buf_error(path) ? session_fail(s, buf_error(path), "no memory") : ERR_OK;
}

static enum err keep_bundle(struct session *s, const json_t *bundle, const char *path)
{
    char *text = json_dumps(bundle, JSON_INDENT(2) | JSON_SORT_KEYS);
    enum err err = text ? fs_write_file(path, slice_str(text), 0600, &s->why) : ERR_NO_MEMORY;

    if (err && text)
        printf("%s\n", text);
    free(text);
    return err ? session_fail(s, err,
                              "the person is forgotten, but the receipt could not be written to %s; it is above", path)
               : ERR_OK;
}

static enum err tell_forgotten(struct session *s, const json_t *bundle, const char *path)
{
    const json_t *receipt = json_object_get(bundle, "receipt");
    const char *level = json_string_value(json_object_get(receipt, "level"));
    long long seq = (long long)json_integer_value(json_object_get(receipt, "seq"));
    size_t keys = json_array_size(json_object_get(receipt, "keys"));

    return session_say(s, json_incref((json_t *)bundle),
                       "%s is forgotten (level %s, %zu key%s erased); receipt %lld is in %s:\n"
                       "  castellan receipt verify %s",
                       s->words[0], level ? level : "?", keys, keys == 1 ? "" : "s", seq, path, path);
}

/* Only a receipt that holds, for this very person, is a success. */
static enum err check_answer(struct session *s, struct slice id, const json_t *bundle)
{
    struct receipt_report report;
    struct reason why = {0};
    struct buf text;
    enum err err;

    buf_init(&text, RECEIPT_FILE_MAX);
    err = bundle ? receipt_canonical(bundle, &text) : reason_set(&why, ERR_MALFORMED, "the answer is empty");
    if (!err)
        err = receipt_verify(buf_slice(&text), SLICE_NULL, option_or(s, "tenant", POLICY_TENANT_DEFAULT),
                             option_or(s, "class", POLICY_CLASS_DEFAULT), id, &report, &why);
    buf_free(&text);
    return err ? session_fail(s, err, "%s is not shown to be forgotten: what came back is no receipt for it: %s",
                              s->words[0], why.text)
               : ERR_OK;
}

static enum err run_forget(struct session *s)
{
    char by_number[64];
    const char *file = session_option(s, "receipt");
    json_t *bundle = NULL;
    struct slice id;
    struct buf path;
    enum err err = session_bytes(s, s->words[0], &id);

    if (err)
        return err;
    buf_init(&path, 0);
    err = subject_path(s, id, &path);
    if (!err)
        err = session_http(s, SESSION_ADMIN, "DELETE", buf_cstr(&path), NULL, &bundle);
    buf_free(&path);
    if (err)
        return err;
    err = check_answer(s, id, bundle);
    if (err) {
        json_decref(bundle);
        return err;
    }
    snprintf(by_number, sizeof by_number, "receipt-%lld.json",
             (long long)json_integer_value(json_object_get(json_object_get(bundle, "receipt"), "seq")));
    file = file ? file : by_number;
    err = keep_bundle(s, bundle, file);
    if (!err)
        err = tell_forgotten(s, bundle, file);
    json_decref(bundle);
    return err;
}

/* ---- receipt ---- */

static enum err read_file(struct session *s, const char *path, struct buf *out)
{
    buf_init(out, RECEIPT_FILE_MAX);
    return path ? fs_read_file(path, out, &s->why) : ERR_OK;
}

static enum err tell_verified(struct session *s, const struct receipt_report *r)
{
    static const struct table_column fields[] = {{"receipt", "receipt"},
                                                 {"holds", "holds"},
                                                 {"level", "level"},
                                                 {"keys", "keys erased"},
                                                 {"root", "root"},
                                                 {"completed_at", "completed"},
                                                 {"signer", "signed by"},
                                                 {"trusted", "signer"},
                                                 {"inclusion", "in the ledger"},
                                                 {"subject", "data subject"},
                                                 {0}};
    char root[64];
    json_t *o = json_object();

    snprintf(root, sizeof root, "epoch %u replaced by %u", r->epoch_old, r->epoch_new);
    json_object_set_new(o, "receipt", json_integer((json_int_t)r->seq));
    json_object_set_new(o, "holds", json_true());
    json_object_set_new(o, "level", json_string(r->level));
    json_object_set_new(o, "keys", json_integer((json_int_t)r->keys));
    json_object_set_new(o, "root", json_string(root));
    json_object_set_new(o, "completed_at", time_text(r->completed_at_ms));
    json_object_set_new(o, "signer", json_string(r->signer));
    json_object_set_new(o, "trusted",
                        json_string(r->signer_trusted          ? "is the key given with --key"
                                    : session_option(s, "key") ? "is not the key given with --key"
                                                               : "not compared: --key DATA/keyd/receipt-signing.pub"));
    json_object_set_new(o, "inclusion", json_string(r->inclusion_checked ? "proof holds" : "no proof in the file"));
    json_object_set_new(o, "subject",
                        json_string(r->subject_checked ? "is the one given with --id" : "not compared: --id ID"));
    return session_show_fields(s, o, fields);
}

static enum err run_verify(struct session *s)
{
    struct receipt_report report;
    struct buf bundle, key;
    struct slice id = SLICE_NULL;
    enum err err = read_file(s, s->words[0], &bundle);

    buf_init(&key, 0);
    if (!err && session_option(s, "id"))
        err = session_bytes(s, session_option(s, "id"), &id);
    if (!err)
        err = read_file(s, session_option(s, "key"), &key);
    if (!err)
        err = receipt_verify(buf_slice(&bundle), session_option(s, "key") ? buf_slice(&key) : SLICE_NULL,
                             option_or(s, "tenant", POLICY_TENANT_DEFAULT), option_or(s, "class", POLICY_CLASS_DEFAULT),
                             id, &report, &s->why);
    buf_free(&bundle);
    buf_free(&key);
    return err ? err : tell_verified(s, &report);
}

static enum err run_show(struct session *s)
{
    static const struct table_column fields[] = {
        {"seq", "receipt"},      {"level", "level"},       {"completed", "completed"},    {"requester", "requested by"},
        {"keys", "keys erased"}, {"evidence", "evidence"}, {"exclusions", "not covered"}, {0}};
    json_t *bundle = NULL, *receipt, *o;
    struct buf path;
    enum err err;

    buf_init(&path, 0);
    buf_put_str(&path, "/v1/receipts/");
    session_put_escaped(&path, s->words[0]);
    err = session_http(s, SESSION_ADMIN, "GET", buf_cstr(&path), NULL, &bundle);
    buf_free(&path);
    if (err)
        return err;
    if (session_flag(s, "json"))
        return session_show_fields(s, bundle, fields);
    receipt = json_object_get(bundle, "receipt");
    o = json_deep_copy(receipt);
    json_object_set_new(o, "keys", json_integer((json_int_t)json_array_size(json_object_get(receipt, "keys"))));
    json_object_set_new(o, "completed", time_text(json_integer_value(json_object_get(receipt, "completed_at"))));
    json_object_set(o, "evidence", json_object_get(json_object_get(receipt, "custody"), "evidence"));
    json_object_set_new(o, "exclusions", json_string("see --json: what the receipt cannot prove"));
    json_decref(bundle);
    return session_show_fields(s, o, fields);
}

static const struct action forget_actions[] = {{"", 1, 1, run_forget}, {0}};
static const struct action receipt_actions[] = {{"verify", 1, 1, run_verify}, {"show", 1, 1, run_show}, {0}};

static int forget_main(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, forget_actions);
}

static int receipt_main(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, receipt_actions);
}

static const struct arg_option forget_options[] = {
    {"receipt", "FILE", "where the receipt goes (default: receipt-N.json)"},
    {"class", "NAME", "kind of data subject (default: default)"},
    {"tenant", "NAME", "whose person it is (default: default)"},
    {"encoded", NULL, "ID is percent-encoded, as in the admin API's paths: names any bytes"},
    {0},
};

const struct verb verb_forget = {
    .name = "forget",
    .summary = "make a person's data unreadable, for ever",
    .usage = "ID [--receipt FILE] [--encoded]",
    .options = forget_options,
    .run = forget_main,
};

static const struct arg_option receipt_options[] = {
    {"key", "FILE", "verify: the signer's public key (DATA/keyd/receipt-signing.pub)"},
    {"id", "ID", "verify: the person it must be about"},
    {"encoded", NULL, "verify: the ID is percent-encoded, as in the admin API's paths"},
    {"class", "NAME", "verify: kind of data subject (default: default)"},
    {"tenant", "NAME", "verify: whose person it is (default: default)"},
    {0},
};

const struct verb verb_receipt = {
    .name = "receipt",
    .summary = "what proves that somebody was forgotten",
    .usage = "verify FILE [--key FILE] [--id ID]     (offline)\nshow N",
    .options = receipt_options,
    .run = receipt_main,
};
