/* SPDX-License-Identifier: Apache-2.0
 * The frame around every admin verb. An action returns an error and leaves its words in the session; they are printed
 * once, here, as one line. Output is written only when an action has all of it, so that a failing verb prints nothing
 * on stdout. */
#include "cli/session.h"

#include "core/base/fs.h"
#include "core/wire/message.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIG_DEFAULT "castellan-data/clients/admin.properties"

/* What lies in the current folder may have been laid there by somebody else, to be sent passwords or to answer in the
 * system's place. It is said which file is used, on stderr, and another user's is refused. */
static enum err check_found(struct session *s)
{
    static const char *const path[] = {"castellan-data", "castellan-data/clients", CONFIG_DEFAULT};
    struct reason why = {0};

    for (size_t i = 0; i < sizeof path / sizeof *path; i++)
        if (fs_check_trusted(path[i], &why))
            return session_fail(s, ERR_BAD_CONFIG,
                                "%s, so %s in the current folder is not used; name it with --config if you trust it",
                                why.text, CONFIG_DEFAULT);
    fprintf(stderr, "castellan: using %s\n", CONFIG_DEFAULT);
    return ERR_OK;
}

enum err session_load(struct session *s)
{
    static const struct setting_row rows[] = {KAFKA_CLI_SETTING_ROWS, {0}};
    const char *from_environment = getenv("CASTELLAN_CONFIG");
    bool found; /* nobody named it */

    if (s->settings)
        return ERR_OK;
    s->config = args_get(s->args, "config");
    if (!s->config && from_environment && *from_environment)
        s->config = from_environment;
    found = !s->config;
    if (found)
        s->config = CONFIG_DEFAULT;
    if (!fs_exists(s->config))
        return session_fail(s, ERR_NOT_FOUND,
                            "there is no %s: name the client properties with --config FILE or CASTELLAN_CONFIG "
                            "(`castellan up` writes them to DATA/clients)",
                            s->config);
    return found && check_found(s) ? s->why.code : settings_load(&s->settings, s->config, rows, &s->why);
}

static const struct action *find_action(const struct action *actions, const char *name)
{
    for (const struct action *a = actions; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static int finish(struct session *s, enum err err)
{
    int status = EXIT_OK;

    if (err && s->usage_wrong)
        status = verb_usage_error(s->verb, "%s", s->why.text);
    else if (err) {
        s->why.code = s->why.code ? s->why.code : err;
        status = verb_failed(&s->why);
    }
    kafka_cli_close(s->kafka);
    http_free(s->http);
    settings_free(s->settings);
    arena_free(&s->arena);
    return status;
}

int session_dispatch(const struct verb *verb, const struct args *args, const struct action *actions)
{
    struct session s = {.verb = verb, .args = args};
    const char *name = args->operand_count && actions[0].name[0] ? args->operands[0] : "";
    const struct action *a = find_action(actions, name);
    size_t skip = *name ? 1 : 0;

    if (!a)
        return *name ? verb_usage_error(verb, "unknown action \"%s\"", name) : verb_usage_error(verb, "what to do?");
    s.words = args->operands + skip;
    s.word_count = args->operand_count - skip;
    if (s.word_count < a->words_min)
        return verb_usage_error(verb, "%s%sneeds %s", name, *name ? " " : "",
                                s.word_count + 1 == a->words_min ? "one more word" : "more words");
    if (s.word_count > a->words_max)
        return verb_usage_error(verb, "unexpected word \"%s\"", s.words[a->words_max]);
    arena_init(&s.arena, 0);
    return finish(&s, a->run(&s));
}

enum err session_wrong_usage(struct session *s, const char *fmt, ...)
{
    va_list ap;

    s->usage_wrong = true;
    s->why.code = ERR_BAD_CONFIG;
    va_start(ap, fmt);
    vsnprintf(s->why.text, sizeof s->why.text, fmt, ap);
    va_end(ap);
    return ERR_BAD_CONFIG;
}

enum err session_fail(struct session *s, enum err err, const char *fmt, ...)
{
    va_list ap;

    s->why.code = err;
    va_start(ap, fmt);
    vsnprintf(s->why.text, sizeof s->why.text, fmt, ap);
    va_end(ap);
    return err;
}

/* What the person at the keyboard can do about an answer. */
static const char *advice(enum err err)
{
    if (err == ERR_TOPIC_AUTHORIZATION_FAILED || err == ERR_GROUP_AUTHORIZATION_FAILED ||
        err == ERR_CLUSTER_AUTHORIZATION_FAILED || err == ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        return "; an ACL must allow it (castellan acl add)";
    if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION)
        return "; `castellan topic list` shows what is there";
    if (err == ERR_UNSUPPORTED_VERSION)
        return "; the server is too old for it";
    return "";
}

enum err session_check(struct session *s, int16_t code, struct slice message, const char *fmt, ...)
{
    char task[200];
    va_list ap;

    if (code == 0)
        return ERR_OK;
    va_start(ap, fmt);
    vsnprintf(task, sizeof task, fmt, ap);
    va_end(ap);
    if (message.n)
        return session_fail(s, (enum err)code, "%s: %s: %.*s%s", task, err_name((enum err)code), SLICE_FMT(message),
                            advice((enum err)code));
    return session_fail(s, (enum err)code, "%s: %s: %s%s", task, err_name((enum err)code), err_text((enum err)code),
                        advice((enum err)code));
}

const char *session_option(const struct session *s, const char *name)
{
    return args_get(s->args, name);
}

bool session_flag(const struct session *s, const char *name)
{
    return args_has(s->args, name);
}

enum err session_number(struct session *s, const char *name, int64_t min, int64_t max, int64_t *out)
{
    const char *text = session_option(s, name);
    char *end;
    long long v;

    if (!text)
        return ERR_OK;
    v = strtoll(text, &end, 10);
    if (!*text || *end || v < min || v > max)
        return session_wrong_usage(s, "--%s must be a number from %lld to %lld, not \"%s\"", name, (long long)min,
                                   (long long)max, text);
    *out = v;
    return ERR_OK;
}

enum err session_read_password(struct session *s, struct secret *out)
{
    char line[SESSION_PASSWORD_MAX + 2];
    size_t n;
    enum err err;

    if (!fgets(line, sizeof line, stdin))
        return session_fail(s, ERR_BAD_CONFIG, "--password-stdin: nothing came on stdin");
    n = strcspn(line, "\n");
    if (n == 0 || n > SESSION_PASSWORD_MAX)
        err = session_fail(s, ERR_BAD_CONFIG, "--password-stdin: a password has 1 to %d bytes", SESSION_PASSWORD_MAX);
    else
        err = secret_init(out, slice_of(line, n));
    secret_wipe(line, sizeof line);
    return err;
}

enum err session_call(struct session *s, int32_t node, int16_t api_key, const void *request, void *response)
{
    struct reason why = {0};
    enum err err = session_load(s);

    if (err)
        return err;
    if (!s->kafka)
        err = kafka_cli_open_settings(&s->kafka, s->settings, &why);
    if (!err)
        err = kafka_cli_call(s->kafka, node, api_key, request, response, &s->arena, &why);
    if (!err)
        return ERR_OK;
    return session_fail(s, err, "%s (asked with %s)", why.text[0] ? why.text : err_text(err), s->config);
}

static enum err print(struct session *s, struct buf *text)
{
    enum err err = buf_error(text);

    if (!err)
        fwrite(text->p, 1, text->n, stdout);
    buf_free(text);
    return err ? session_fail(s, err, "no memory for the output") : ERR_OK;
}

static enum err print_json(struct session *s, json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

    json_decref(value);
    if (!text)
        return session_fail(s, ERR_NO_MEMORY, "no memory for the output");
    puts(text);
    free(text);
    return ERR_OK;
}

enum err session_show_rows(struct session *s, json_t *rows, const struct table_column *columns, const char *when_empty)
{
    struct buf text;

    if (session_flag(s, "json"))
        return print_json(s, rows);
    buf_init(&text, 0);
    if (json_array_size(rows))
        cli_table_put(&text, rows, columns);
    else
        buf_printf(&text, "%s\n", when_empty);
    json_decref(rows);
    return print(s, &text);
}

enum err session_show_fields(struct session *s, json_t *object, const struct table_column *columns)
{
    struct buf text;

    if (session_flag(s, "json"))
        return print_json(s, object);
    buf_init(&text, 0);
    cli_table_put_fields(&text, object, columns);
    json_decref(object);
    return print(s, &text);
}

enum err session_say(struct session *s, json_t *object, const char *fmt, ...)
{
    va_list ap;

    if (session_flag(s, "json"))
        return print_json(s, object);
    json_decref(object);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    return ERR_OK;
}

json_t *session_json_slice(struct slice text)
{
    json_t *value;

    if (slice_is_null(text))
        return json_null();
    value = json_stringn((const char *)text.p, text.n);
    return value ? value : json_string("?");
}
