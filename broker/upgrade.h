/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_UPGRADE_H
#define PROVIUM_BROKER_UPGRADE_H

/*
 * Upgrade in place: the broker executes its binary again and stays the same process. Its children
 * stay its children, so exit statuses are not lost; VMs come back from the tree, as after a crash;
 * what the tree does not hold (connections, who follows whom, claims that wait) travels in a memfd.
 */

#include <base/macro.h>

struct broker;
struct why;

/*
 * Checks that the binary can be executed and begins: from now on nothing new is started, and as
 * soon as no child is on its way to execve any more upgrade_execute() is called from the loop.
 * Answers 1 with the reason.
 */
_must_check_ int upgrade_begin(struct broker *broker, struct why *why);

/* Writes the state and executes; comes back only if that failed, with everything as it was. */
_must_check_ int upgrade_execute(struct broker *broker, struct why *why);

#endif
