/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_READY_H
#define CASTELLAN_BASE_READY_H

/* A role tells its supervisor that it serves: one line "READY" on the descriptor named by CASTELLAN_READY_FD, which is
 * then closed. Without that variable nothing happens. Call once, after the last listener is open. */
void ready_notify(void);

#endif
