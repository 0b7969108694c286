/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PARENT_H
#define PROVIUM_BROKER_PARENT_H

/*
 * The launcher is the parent of the VMs; this is what the broker has to do with that: finding it,
 * hearing that a VM's main process has ended and asking how, and going on when the launcher itself
 * has ended. Then its VMs run on; how they end only a new kernel tells, else nobody.
 *
 * Under systemd the launcher is provium-launcher.service, and another one is started when it is
 * called. Without, it is a child of the broker's, which has given up what another would need: the
 * broker leaves with it, and whoever started it starts both anew.
 */

#include <base/macro.h>

struct broker;
struct findings;
struct lease;
struct why;

/* Before rights are given up: a launcher of our own is started, if none is to be called. @progress
 * looks at what a launch has come to. Answers BROKER_E_HOST; negative: out of memory. */
_must_check_ int parent_begin(struct broker *broker, int (*progress)(struct lease *lease),
                              struct why *why);
/* Calls it. Once the root is ours alone: it serves one broker. */
_must_check_ int parent_meet(struct broker *broker, struct why *why);
void parent_end(struct broker *broker);

/* From now on the end of its main process, whose pidfd is open, is news. Negative: out of memory.
 */
_must_check_ int parent_watch(struct lease *lease);

/* Of a VM that was found: will the launcher tell how it ended; and has it ended already? */
void parent_recognise(struct lease *lease, int pid, bool *is_childp, bool *endedp);

/* Everything that runs was found: nobody else of the launcher's children will be asked for. */
_must_check_ int parent_keep(struct broker *broker);

/* A check of broker/doctor: is it there, and does the OOM killer spare it? */
void parent_check(struct findings *findings);

#endif
