/* SPDX-License-Identifier: Apache-2.0
 * The readiness line. Losing it is not an error of the role: a supervisor that went away needs no news. */
#include "core/base/ready.h"

#include <stdlib.h>
#include <unistd.h>

void ready_notify(void)
{
    const char *text = getenv("CASTELLAN_READY_FD");
    int fd = text ? (int)strtol(text, NULL, 10) : -1;

    if (fd <= STDERR_FILENO)
        return;
    if (write(fd, "READY\n", 6) != 6)
        (void)0;
    close(fd);
    unsetenv("CASTELLAN_READY_FD");
}
