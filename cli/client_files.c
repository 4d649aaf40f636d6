/* SPDX-License-Identifier: Apache-2.0
 * What a client needs to come in, written for the two families of Kafka clients. A password stands in these two files
 * and nowhere else; buffers that held it are wiped. */
#include "cli/client_files.h"

#include "acl/acl_base64.h"
#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/net/kafka_cli.h"

#include <limits.h>
#include <stdio.h>

enum err client_password_new(struct secret *out)
{
    uint8_t random[CLIENT_PASSWORD_BYTES];
    struct buf text;
    enum err err;

    env_system()->random(env_system(), random, sizeof random);
    buf_init(&text, 0);
    base64url_put(&text, slice_of(random, sizeof random));
    err = buf_error(&text);
    if (!err)
        err = secret_init(out, buf_slice(&text));
    buf_wipe_free(&text);
    secret_wipe(random, sizeof random);
    return err;
}

void property_put(struct buf *out, const char *key, struct slice value)
{
    buf_put_str(out, key);
    buf_u8(out, '=');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' || (i == 0 && value.p[i] == ' '))
            buf_u8(out, '\\');
        buf_u8(out, value.p[i]);
    }
    buf_u8(out, '\n');
}

static void property_put_str(struct buf *out, const char *key, const char *value)
{
    if (value)
        property_put(out, key, slice_str(value));
}

enum err file_put(const char *path, const struct buf *content, mode_t mode, struct reason *why)
{
    struct buf old;
    bool same;

    if (buf_error(content))
        return reason_set(why, buf_error(content), "no memory for %s", path);
    buf_init(&old, content->n + 1);
    same = fs_exists(path) && !fs_read_file(path, &old, NULL) && slice_eq(buf_slice(&old), buf_slice(content));
    buf_wipe_free(&old);
    return same ? ERR_OK : fs_write_file(path, buf_slice(content), mode, why);
}

/* ScramLoginModule reads the quoted strings as Java's JAAS does: a backslash takes the next character as it is. */
static void put_jaas(struct buf *out, const struct client_files *f)
{
    struct buf line;
    struct slice words[] = {slice_str(f->user), f->password};
    const char *const names[] = {" username=\"", " password=\""};

    buf_init(&line, 0);
    buf_put_str(&line, "org.apache.kafka.common.security.scram.ScramLoginModule required");
    for (size_t w = 0; w < 2; w++) {
        buf_put_str(&line, names[w]);
        for (size_t i = 0; i < words[w].n; i++) {
            if (words[w].p[i] == '"' || words[w].p[i] == '\\')
                buf_u8(&line, '\\');
            buf_u8(&line, words[w].p[i]);
        }
        buf_u8(&line, '"');
    }
    buf_u8(&line, ';');
    if (buf_error(&line))
        out->error = buf_error(&line);
    property_put(out, "sasl.jaas.config", buf_slice(&line));
    buf_wipe_free(&line);
}

static void put_java(struct buf *out, const struct client_files *f)
{
    buf_printf(out,
               "# %s's way in, for Kafka's Java tools (--command-config) and castellan (--config). Holds a password.\n",
               f->user);
    property_put_str(out, "bootstrap.servers", f->bootstrap);
    property_put_str(out, "security.protocol", "SASL_SSL");
    property_put_str(out, "sasl.mechanism", f->mechanism);
    put_jaas(out, f);
    if (f->ca) {
        property_put_str(out, "ssl.truststore.type", "PEM");
        property_put_str(out, "ssl.truststore.location", f->ca);
    }
    property_put_str(out, "castellan.admin.url", f->admin_url);
    property_put_str(out, "castellan.registry.url", f->registry_url);
}

static void put_librdkafka(struct buf *out, const struct client_files *f)
{
    buf_printf(out, "# %s's way in, for librdkafka (kcat -F). Holds a password.\n", f->user);
    buf_printf(out, "bootstrap.servers=%s\nsecurity.protocol=SASL_SSL\nsasl.mechanisms=%s\nsasl.username=%s\n",
               f->bootstrap, f->mechanism, f->user);
    buf_put_str(out, "sasl.password=");
    buf_put_slice(out, f->password);
    buf_u8(out, '\n');
    if (f->ca)
        buf_printf(out, "ssl.ca.location=%s\n", f->ca);
}

static enum err write_one(const struct client_files *f, const char *suffix,
                          void (*put)(struct buf *, const struct client_files *), struct reason *why)
{
    char path[PATH_MAX];
    struct buf text;
    enum err err;

    if (snprintf(path, sizeof path, "%s/%s%s", f->dir, f->user, suffix) >= (int)sizeof path)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s/%s%s is too long", f->dir, f->user, suffix);
    buf_init(&text, CLIENT_FILE_MAX);
    put(&text, f);
    err = file_put(path, &text, 0600, why);
    buf_wipe_free(&text);
    return err;
}

static bool has_line_break(struct slice s)
{
    return memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n);
}

enum err client_files_write(const struct client_files *f, struct reason *why)
{
    enum err err;

    if (strchr(f->user, '/') || f->user[0] == '.')
        return reason_set(why, ERR_BAD_CONFIG, "a user called \"%s\" cannot have client files", f->user);
    if (has_line_break(f->password))
        return reason_set(why, ERR_BAD_CONFIG, "a password with line breaks cannot be put into client files");
    err = fs_private_dir_make(f->dir, why);
    if (!err)
        err = write_one(f, ".properties", put_java, why);
    return err ? err : write_one(f, ".conf", put_librdkafka, why);
}

enum err client_files_password(const char *properties_path, struct secret *out, struct reason *why)
{
    static const struct setting_row rows[] = {KAFKA_CLI_SETTING_ROWS, {0}};
    struct settings *s = NULL;
    struct buf user;
    enum err err = settings_load(&s, properties_path, rows, why);

    if (err)
        return err;
    buf_init(&user, 0);
    if (settings_has(s, "sasl.jaas.config"))
        err = kafka_jaas_parse(slice_str(settings_string(s, "sasl.jaas.config")), &user, out, why);
    else
        err = reason_set(why, ERR_BAD_CONFIG, "%s: sasl.jaas.config is missing", properties_path);
    buf_free(&user);
    settings_free(s);
    return err;
}
