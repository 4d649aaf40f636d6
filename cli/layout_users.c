/* SPDX-License-Identifier: Apache-2.0
 * The first users. A password is made once and stands in the user's client files alone; the gateway is given what SCRAM
 * stores, through a bootstrap file that it reads when the user is unknown to it. Order: client files first, then the
 * bootstrap file, so that whatever the bootstrap file names can be used by somebody. Client files are written anew at
 * each start (ports may have moved) with the password they hold. */
#include "acl/acl_base64.h"
#include "acl/credentials.h"
#include "cli/client_files.h"
#include "cli/layout_internal.h"
#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/net/scram_client.h"

#include <stdio.h>

enum { SCRAM_FILE_MAX = 1 << 20 };

/* A line of the user is in the bootstrap file: "...=[name=USER,". */
static bool names_user(const struct buf *scram, const char *user)
{
    char needle[64];
    int n = snprintf(needle, sizeof needle, "[name=%s,", user);
    return scram->n && memmem(scram->p, scram->n, needle, (size_t)n);
}

static enum err put_scram(struct buf *out, const char *user, struct slice password, enum scram_hash hash)
{
    uint8_t salt[CREDENTIAL_SALT_SIZE], salted[SCRAM_DIGEST_MAX];
    enum err err;

    env_system()->random(env_system(), salt, sizeof salt);
    err = scram_salt_password(hash, password, slice_of(salt, sizeof salt), CREDENTIAL_ITERATIONS_MIN, salted);
    if (err)
        return err;
    buf_printf(out, "SCRAM-SHA-%s=[name=%s,iterations=%d,salt=", hash == SCRAM_SHA_512 ? "512" : "256", user,
               CREDENTIAL_ITERATIONS_MIN);
    base64_put(out, slice_of(salt, sizeof salt));
    buf_put_str(out, ",saltedpassword=");
    base64_put(out, slice_of(salted, scram_digest_size(hash)));
    buf_put_str(out, "]\n");
    secret_wipe(salted, sizeof salted);
    return buf_error(out);
}

static enum err write_client_files(const struct layout *l, const char *user, struct slice password, struct reason *why)
{
    char dir[PATH_MAX], ca[PATH_MAX], bootstrap[32], admin[48], registry[48];
    struct client_files f = {.dir = dir,
                             .user = user,
                             .password = password,
                             .mechanism = "SCRAM-SHA-512",
                             .bootstrap = bootstrap,
                             .ca = ca,
                             .admin_url = admin,
                             .registry_url = registry};
    enum err err = layout_path(l, dir, why, "clients");

    if (!err)
        err = layout_path(l, ca, why, "ca.pem");
    snprintf(bootstrap, sizeof bootstrap, "localhost:%d", l->port_sasl);
    snprintf(admin, sizeof admin, "https://localhost:%d", l->port_admin);
    snprintf(registry, sizeof registry, "https://localhost:%d", l->port_registry);
    return err ? err : client_files_write(&f, why);
}

static enum err prepare_user(const struct layout *l, const char *user, struct buf *scram, struct reason *why)
{
    char path[PATH_MAX];
    struct secret password = {0};
    bool known = names_user(scram, user);
    enum err err = layout_path(l, path, why, "clients/%s.properties", user);

    if (err)
        return err;
    if (fs_exists(path)) {
        err = client_files_password(path, &password, why);
    } else if (known) {
        log_warn("%s is gone, and the password with it; `castellan user add %s` sets a new one, the certificate "
                 "clients/admin.pem still opens the mutual TLS port",
                 path, user);
        return ERR_OK;
    } else {
        err = client_password_new(&password);
    }
    if (!err)
        err = write_client_files(l, user, secret_view(&password), why);
    if (!err && !known)
        err = put_scram(scram, user, secret_view(&password), SCRAM_SHA_256);
    if (!err && !known)
        err = put_scram(scram, user, secret_view(&password), SCRAM_SHA_512);
    secret_free(&password);
    return err;
}

enum err layout_prepare_users(const struct layout *l, bool demo_users, struct reason *why)
{
    const char *users[LAYOUT_USERS_MAX];
    int n = layout_users(demo_users, users);
    char path[PATH_MAX];
    struct buf scram;
    enum err err = layout_path(l, path, why, "secrets/users.scram");

    buf_init(&scram, SCRAM_FILE_MAX);
    if (!err && fs_exists(path))
        err = fs_read_file(path, &scram, why);
    for (int i = 0; !err && i < n; i++)
        err = prepare_user(l, users[i], &scram, why);
    if (!err)
        err = file_put(path, &scram, 0600, why);
    buf_wipe_free(&scram);
    return err;
}
