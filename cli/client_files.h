/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_CLIENT_FILES_H
#define CASTELLAN_CLI_CLIENT_FILES_H

#include "core/base/buf.h"
#include "core/base/secret.h"
#include <sys/types.h>

/* The files that let a user in with a password: DIR/NAME.properties (Java's tools and our own verbs) and DIR/NAME.conf
 * (librdkafka: kcat -F). Both 0600. */
enum { CLIENT_PASSWORD_BYTES = 24, CLIENT_FILE_MAX = 64 * 1024 };

struct client_files {
    const char *dir;
    const char *user;
    struct slice password;
    const char *mechanism;                /* "SCRAM-SHA-512" */
    const char *bootstrap;                /* "localhost:9093" */
    const char *ca;                       /* absolute path of the CA's certificate; NULL: the system's */
    const char *admin_url, *registry_url; /* NULL: left out */
};

enum err client_files_write(const struct client_files *f, struct reason *why) MUST_CHECK;
/* The password in an existing NAME.properties. */
enum err client_files_password(const char *properties_path, struct secret *out, struct reason *why) MUST_CHECK;
/* A fresh password: CLIENT_PASSWORD_BYTES random bytes as base64url. */
enum err client_password_new(struct secret *out) MUST_CHECK;

/* "KEY=VALUE\n" as a .properties file holds it. */
void property_put(struct buf *out, const char *key, struct slice value);
/* fs_write_file, unless the file is there with that content. */
enum err file_put(const char *path, const struct buf *content, mode_t mode, struct reason *why) MUST_CHECK;

#endif
