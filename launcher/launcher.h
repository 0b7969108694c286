/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_LAUNCHER_H
#define PROVIUM_LAUNCHER_LAUNCHER_H

/*
 * The launcher as the broker sees it: a process of its own, with the rights that a child on its way
 * to execve needs and the broker does not. It is the parent of all VMs, so that none inherits what
 * the broker is fenced in with, and that how one ended is known to a broker that has been away.
 *
 * It does what it is told and decides nothing. Every call waits for its answer, which no disk and
 * no VM can delay; a launcher that is not there, or has not answered in LAUNCHER_TIMEOUT_SEC, is
 * ESRCH from then on, until launcher_renew().
 */

#include <launcher/child.h>
#include <launcher/wire.h>

#define LAUNCHER_TIMEOUT_SEC 10

struct launcher;

/* One call: 0 or a positive errno. @answer, @answer_fds (owned by the caller then): NULL if there
 * is nothing to be told. */
_must_check_ int launcher_ask(struct launcher *launcher, struct wire_request *request,
                              const void *payload, const int *fds, struct wire_answer *answer,
                              int *answer_fds);

/* Where the host's devices are: a path, "/dev" or one that leads there. Borrowed. */
const char *launcher_dev(const struct launcher *launcher);
/* An open mountinfo of the host's mounts, to be read from its beginning; borrowed. */
int launcher_mountinfo_fd(const struct launcher *launcher);

#endif
