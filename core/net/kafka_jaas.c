/* SPDX-License-Identifier: Apache-2.0
 * Java's JAAS line, as far as Kafka clients need it:
 *     org.apache...ScramLoginModule required username="alice" password="it's \"secret\"";
 * Module and control flag are words; options are name="value" with backslash escapes, or name=word. Other options than
 * username and password are passed over. */
#include "core/net/kafka_cli.h"

enum { JAAS_VALUE_MAX = 4096 };

static void skip_blanks(struct slice *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\n' || s->p[0] == '\r')) {
        s->p++;
        s->n--;
    }
}

/* Up to a blank, '=', ';' or quote. */
static struct slice take_word(struct slice *s)
{
    struct slice word = slice_of(s->p, 0);

    while (s->n && !memchr(" \t\r\n=;\"", s->p[0], 7)) {
        s->p++;
        s->n--;
        word.n++;
    }
    return word;
}

static bool take_value(struct slice *s, struct buf *out)
{
    if (s->n == 0 || s->p[0] != '"') {
        buf_put_slice(out, take_word(s));
        return out->n > 0;
    }
    for (s->p++, s->n--; s->n && s->p[0] != '"'; s->p++, s->n--) {
        if (s->p[0] == '\\' && s->n > 1) {
            s->p++;
            s->n--;
        }
        buf_u8(out, s->p[0]);
    }
    if (s->n == 0)
        return false;
    s->p++;
    s->n--;
    return true;
}

static enum err bad(struct reason *why, const char *what)
{
    return reason_set(why, ERR_BAD_CONFIG,
                      "sasl.jaas.config: %s (expected ...LoginModule required username=\"...\" "
                      "password=\"...\";)",
                      what);
}

enum err kafka_jaas_parse(struct slice line, struct buf *user, struct secret *password, struct reason *why)
{
    struct slice s = line;
    bool has_user = false, has_password = false;
    enum err err = ERR_OK;

    *password = (struct secret){0};
    skip_blanks(&s);
    if (take_word(&s).n == 0)
        return bad(why, "no login module");
    skip_blanks(&s);
    if (take_word(&s).n == 0)
        return bad(why, "no control flag");
    for (skip_blanks(&s); !err && s.n && s.p[0] != ';'; skip_blanks(&s)) {
        struct slice name = take_word(&s);
        struct buf value;

        if (name.n == 0 || s.n == 0 || s.p[0] != '=')
            return bad(why, "an option is not name=\"value\"");
        s.p++;
        s.n--;
        buf_init(&value, JAAS_VALUE_MAX);
        if (!take_value(&s, &value) || buf_error(&value)) {
            err = bad(why, "a value does not end, or is too long");
        } else if (slice_eq_str(name, "username")) {
            buf_clear(user);
            buf_put_slice(user, buf_slice(&value));
            has_user = true;
        } else if (slice_eq_str(name, "password")) {
            secret_free(password);
            err = secret_init(password, value.n ? buf_slice(&value) : slice_of("", 0));
            has_password = true;
        }
        buf_wipe_free(&value);
    }
    if (!err && s.n == 0)
        err = bad(why, "no semicolon at the end");
    if (!err && (!has_user || !has_password))
        err = bad(why, "no username or no password");
    if (!err)
        err = buf_error(user);
    if (err)
        secret_free(password);
    return err;
}

enum err kafka_sasl_from_name(const char *mechanism, enum kafka_sasl *out)
{
    if (!mechanism)
        return ERR_UNSUPPORTED;
    if (!strcmp(mechanism, "PLAIN"))
        *out = KAFKA_SASL_PLAIN;
    else if (!strcmp(mechanism, "SCRAM-SHA-256"))
        *out = KAFKA_SASL_SCRAM_SHA_256;
    else if (!strcmp(mechanism, "SCRAM-SHA-512"))
        *out = KAFKA_SASL_SCRAM_SHA_512;
    else
        return ERR_UNSUPPORTED;
    return ERR_OK;
}
