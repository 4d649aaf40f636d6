/* SPDX-License-Identifier: Apache-2.0
 * The two certificate authorities and what they sign. The cluster's is known to the roles alone: whoever shows one of
 * its certificates is let in by the brokers as one of them. The client-facing one signs the gateway's and the
 * registry's certificates and those of mutual TLS clients.
 *
 * A certificate is issued when a file of it is missing, when it has less than LAYOUT_CERT_DAYS_MIN days left, or when
 * the authority's certificate that follows it in its file is not the authority's of today (the last start was cut short
 * between making an authority and issuing under it). */
#include "certs/certs.h"
#include "cli/client_files.h"
#include "cli/layout_internal.h"
#include "core/base/fs.h"

#include <stdio.h>

enum { PEM_FILE_MAX = 1 << 20 };

struct authority {
    char dir[PATH_MAX];
    const char *name;
    struct buf certificate;
};

static const char *const local_names[] = {"DNS:localhost", "IP:127.0.0.1", "IP:::1", NULL};

static bool still_good(const char *path)
{
    int days;
    return !certs_days_left(path, &days, NULL) && days >= LAYOUT_CERT_DAYS_MIN;
}

static enum err file_of(char out[PATH_MAX], const char *dir, const char *name, const char *suffix, struct reason *why)
{
    if (snprintf(out, PATH_MAX, "%s/%s%s", dir, name, suffix) >= PATH_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s/%s%s is too long", dir, name, suffix);
    return ERR_OK;
}

static enum err authority_open(struct authority *a, const struct layout *l, const char *name, const char *common_name,
                               struct reason *why)
{
    char pem[PATH_MAX], key[PATH_MAX];
    enum err err = layout_path(l, a->dir, why, "secrets");

    a->name = name;
    buf_init(&a->certificate, PEM_FILE_MAX);
    if (!err)
        err = file_of(pem, a->dir, name, ".pem", why);
    if (!err)
        err = file_of(key, a->dir, name, ".key", why);
    if (!err && !(fs_exists(key) && still_good(pem)))
        err = certs_make_ca(a->dir, name, common_name, 0, why);
    return err ? err : fs_read_file(pem, &a->certificate, why);
}

static bool signed_by(const struct authority *a, const char *pem)
{
    struct buf text;
    bool same;

    buf_init(&text, PEM_FILE_MAX);
    same = !fs_read_file(pem, &text, NULL) && text.n > a->certificate.n &&
           memcmp(text.p + text.n - a->certificate.n, a->certificate.p, a->certificate.n) == 0;
    buf_free(&text);
    return same;
}

static enum err issue(const struct authority *a, const char *dir, const char *name, const struct certs_request *request,
                      struct reason *why)
{
    char pem[PATH_MAX], key[PATH_MAX], both[PATH_MAX];
    enum err err = file_of(pem, dir, name, ".pem", why);

    if (!err)
        err = file_of(key, dir, name, ".key", why);
    if (!err)
        err = file_of(both, dir, name, ".keystore.pem", why);
    if (err || (fs_exists(key) && fs_exists(both) && still_good(pem) && signed_by(a, pem)))
        return err;
    return certs_issue(a->dir, a->name, dir, name, request, why);
}

static enum err issue_for_role(const struct layout *l, const struct authority *a, const char *role, const char *name,
                               struct reason *why)
{
    struct certs_request request = {
        .common_name = role, .organization = "castellan", .sans = local_names, .server = true, .client = true};
    char dir[PATH_MAX];
    enum err err = layout_path(l, dir, why, "%s", role);

    return err ? err : issue(a, dir, name, &request, why);
}

static enum err issue_cluster(const struct layout *l, const struct authority *a, struct reason *why)
{
    struct layout_role roles[LAYOUT_ROLES_MAX];
    int n = layout_roles(l, roles);
    enum err err = ERR_OK;

    for (int i = 0; !err && i < n; i++)
        err = issue_for_role(l, a, roles[i].name, "node", why);
    return err;
}

static enum err issue_clients(const struct layout *l, const struct authority *a, bool demo_users, struct reason *why)
{
    const char *users[LAYOUT_USERS_MAX];
    int n = layout_users(demo_users, users);
    char path[PATH_MAX];
    enum err err = layout_path(l, path, why, "ca.pem");

    if (!err)
        err = file_put(path, &a->certificate, 0644, why);
    if (!err)
        err = issue_for_role(l, a, "gateway", "server", why);
    if (!err)
        err = issue_for_role(l, a, "registry", "server", why);
    if (!err)
        err = layout_path(l, path, why, "clients");
    for (int i = 0; !err && i < n; i++) {
        struct certs_request request = {.common_name = users[i], .client = true};
        err = issue(a, path, users[i], &request, why);
    }
    return err;
}

enum err layout_prepare_certs(const struct layout *l, bool demo_users, struct reason *why)
{
    struct authority cluster, clients;
    enum err err = authority_open(&cluster, l, "cluster-ca", "Castellan cluster CA", why);

    if (!err)
        err = issue_cluster(l, &cluster, why);
    buf_free(&cluster.certificate);
    if (err)
        return err;
    err = authority_open(&clients, l, "client-ca", "Castellan CA", why);
    if (!err)
        err = issue_clients(l, &clients, demo_users, why);
    buf_free(&clients.certificate);
    return err;
}
