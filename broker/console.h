/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONSOLE_H
#define PROVIUM_BROKER_CONSOLE_H

/*
 * The console of a detached VM: a pty for its stdin, stdout and stderr, and a keeper that holds its
 * other side (broker/console_keeper). The broker makes pty and socket, starts the keeper in the
 * VM's group before the VM, and closes all of it: no byte of a console passes through the broker,
 * and nothing of it hangs on the broker's life. One that dies between the two leaves a group that
 * is half made, which the next one ends.
 *
 * The pty is nobody's controlling terminal: no key that is pressed there is a signal for the
 * hypervisor, and if its keeper is killed, reads and writes fail but nothing is hung up.
 */

#include <broker/endpoint.h>

/* How long a VM that failed may stay for its keeper to pass on the end of what it printed. */
#define CONSOLE_END_USEC UINT64_C(1000000)

/*
 * Makes pty, socket and keeper of a lease whose request asks for a console, in its group; else does
 * nothing. On an answer (ENDPOINT_E_HOST, SPAWN_E_*) what was made is still there.
 */
_must_check_ int console_make(struct lease *lease, struct why *why);

/* Sees whether the keeper was executed. 0 also if that is not known yet; answers SPAWN_E_STEP,
 * SPAWN_E_EXEC once: it never will be. */
_must_check_ int console_progress(struct lease *lease, struct why *why);

/* Takes the socket's name away, if it has one. */
void console_remove(const struct lease *lease);

/* Where the socket is, in @path; NULL: it has no console. */
const char *console_path(const struct lease *lease, char path[ENDPOINT_PATH_MAX]);

/* After all that runs was adopted: notes who has one, and removes what is nobody's. */
void console_adopt(struct broker *broker);

#endif
