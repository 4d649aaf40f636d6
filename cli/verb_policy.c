/* SPDX-License-Identifier: Apache-2.0
 * `castellan policy`: what of a topic is personal, and what a reader sees once the person is forgotten. */
#include "cli/session.h"

static const struct table_column columns[] = {
    {"topic", "TOPIC"},     {"pattern", "PATTERN"}, {"subject_from", "SUBJECT-FROM"},
    {"protect", "PROTECT"}, {"erased", "ERASED"},   {"lineage", "LINEAGE"},
    {"class", "CLASS"},     {"tenant", "TENANT"},   {0},
};

static enum err path_of(struct session *s, struct buf *path)
{
    buf_put_str(path, "/v1/policies");
    if (s->word_count) {
        buf_put_str(path, "/");
        session_put_escaped(path, s->words[0]);
    }
    if (session_flag(s, "prefixed"))
        buf_put_str(path, "?prefixed=true");
    return buf_error(path) ? session_fail(s, buf_error(path), "no memory") : ERR_OK;
}

static enum err ask(struct session *s, const char *method, const json_t *body, json_t **answer)
{
    struct buf path;
    enum err err;

    buf_init(&path, 0);
    err = path_of(s, &path);
    if (!err)
        err = session_http(s, SESSION_ADMIN, method, buf_cstr(&path), body, answer);
    buf_free(&path);
    return err;
}

static enum err run_set(struct session *s)
{
    static const struct {
        const char *option, *member;
        bool needed;
    } words[] = {{"subject-from", "subject_from", true},
                 {"protect", "protect", true},
                 {"erased", "erased", true},
                 {"lineage", "lineage", false},
                 {"class", "class", false},
                 {"tenant", "tenant", false},
                 {"suite", "suite", false}};
    json_t *body = json_object(), *answer = NULL;
    enum err err = ERR_OK;

    for (size_t i = 0; !err && i < sizeof words / sizeof *words; i++) {
        const char *value = session_option(s, words[i].option);
        if (value)
            json_object_set_new(body, words[i].member, json_string(value));
        else if (words[i].needed)
            err = session_wrong_usage(s, "--%s is missing", words[i].option);
    }
    if (!err)
        err = ask(s, "PUT", body, &answer);
    json_decref(body);
    return err ? err : session_show_fields(s, answer, columns);
}

static enum err run_list(struct session *s)
{
    json_t *answer = NULL, *rows;
    enum err err = ask(s, "GET", NULL, &answer);

    if (err)
        return err;
    rows = json_incref(json_object_get(answer, "policies"));
    json_decref(answer);
    return session_show_rows(s, rows ? rows : json_array(), columns, "no policies: no topic is protected");
}

static enum err run_remove(struct session *s)
{
    enum err err = ask(s, "DELETE", NULL, NULL);

    return err ? err
               : session_say(s, json_pack("{s:s}", "removed", s->words[0]),
                             "policy of %s removed: what is produced from now on is stored in the clear", s->words[0]);
}

static const struct action actions[] = {
    {"set", 1, 1, run_set},
    {"list", 0, 0, run_list},
    {"remove", 1, 1, run_remove},
    {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"prefixed", NULL, "TOPIC is a prefix of topics' names"},
    {"subject-from", "WHERE", "whose data it is: key, header:NAME or field:PATH"},
    {"protect", "WHAT", "what is encrypted: value, fields:PATH,... or tag:NAME"},
    {"erased", "HOW", "what a reader sees afterwards: null, skip, redact, error or ciphertext"},
    {"lineage", "NAME", "the topic this one is a mirror of"},
    {"class", "NAME", "kind of data subject (default: default)"},
    {"tenant", "NAME", "whose persons they are (default: default)"},
    {"suite", "NAME", "the cipher (default: whichever is faster here)"},
    {0},
};

const struct verb verb_policy = {
    .name = "policy",
    .summary = "which data is personal",
    .usage = "set TOPIC [--prefixed] --subject-from key|header:NAME|field:PATH\n"
             "    --protect value|fields:PATH,...|tag:NAME --erased null|skip|redact|error|ciphertext\n"
             "list\n"
             "remove TOPIC [--prefixed]",
    .options = options,
    .run = run,
};
