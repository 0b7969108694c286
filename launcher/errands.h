/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_ERRANDS_H
#define PROVIUM_LAUNCHER_ERRANDS_H

/*
 * What the broker asks of the launcher beside VMs: single steps, each of which needs a right, a
 * family of sockets or a place that the broker is fenced off from. launcher/wire.h says how each is
 * asked for; who asks otherwise gets EINVAL, and nothing is done. None waits for a disk or for a
 * process: what may is done in a thread that nobody joins.
 */

#include <launcher/wire.h>

/*
 * Does what @message asks for: WIRE_SIGNAL or one of those after it. Returns 0 or an errno, which
 * is in @answer as well. *answer_fdp is the caller's, -1 if there is none; so are the descriptors
 * of @message, but for those that an errand goes on to use, which are -1 then.
 */
int errand_run(struct wire_message *message, struct wire_answer *answer, int *answer_fdp);

#endif
