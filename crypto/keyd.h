/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYD_H
#define CASTELLAN_CRYPTO_KEYD_H

/* The key process: the only one that holds the root. Serves two Unix sockets (0600 in private folders, same user only),
 * one for data keys and one for administrators, with the protocol of crypto/keyd_proto.h; keeps its state in the topics
 * __castellan_keys and __castellan_erasures.
 *
 * Settings: castellan.keyd.socket, castellan.keyd.admin.socket, castellan.keyd.hello.timeout.ms,
 * castellan.keyd.root.file, castellan.keyd.signing.key.file,
 * castellan.keyd.public.key.file (default: receipt-signing.pub beside the signing key), castellan.keyd.lease.ms,
 * castellan.keyd.mark.file (default: the signing key file + ".mark"), bootstrap.servers, security.protocol, ssl.*.
 * Returns the process's exit code: 0 after SIGTERM or SIGINT, 2 for wrong settings, 1 for anything else. */
int keyd_main(const char *config_path);

#endif
