/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DRAIN_H
#define PROVIUM_BROKER_DRAIN_H

/*
 * Draining: nothing is started any more, what runs goes on, who asks waits. It is noted on the root
 * before it counts, and so outlives the broker; it does not outlive the host's next boot, for which
 * it mostly was wanted.
 */

#include <base/macro.h>

struct broker;
struct why;

/* What the note says; at the start, before anybody is answered. */
void drain_begin(struct broker *broker);

/* From now on, or no more; then claims that may start do so later in this turn. 0, or an answer
 * (CGROUP_E_HOST): it cannot be noted, and all is as it was. */
int drain_set(struct broker *broker, bool draining, struct why *why);

#endif
