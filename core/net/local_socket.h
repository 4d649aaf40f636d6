/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_LOCAL_SOCKET_H
#define CASTELLAN_NET_LOCAL_SOCKET_H

#include "core/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Unix stream sockets in private folders (fs_private_dir): the folder is opened, its owner and mode are checked, and
 * the socket is bound or reached through the folder's descriptor. So a path may be longer than a socket address's 107
 * bytes, and nobody can put a folder of his own in between. */
enum { LOCAL_SOCKET_BACKLOG = 512 };

/* Mode 0600. A socket file that nobody listens on is replaced; one that is in use is ERR_ADDRESS_IN_USE. `*fd` is the
 * caller's to close; the file stays, for the next start to replace. */
enum err local_socket_listen(int *fd, const char *path, struct reason *why) MUST_CHECK;
/* Connect, waiting up to timeout_ms for a place in the listener's queue; 0: not at all, and the descriptor does not
 * block. ERR_UNAVAILABLE: nobody listens, or somebody who is not this user. */
enum err local_socket_connect(int *fd, const char *path, int timeout_ms, struct reason *why) MUST_CHECK;
/* Does the process at the other end run as this user? Of a listener's peer: who connected; of a client's: who listened.
 */
bool local_socket_same_user(int fd, pid_t *pid); /* pid: which process; NULL: not wanted */

#endif
