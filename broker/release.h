/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RELEASE_H
#define PROVIUM_BROKER_RELEASE_H

/*
 * The end of a VM, whoever asked for it: TERM, grace, cgroup.kill, empty, gone, and only then the
 * charge goes back and the queue moves.
 *
 * The slice decides, not the process: a hypervisor that put itself into the background is still in
 * its slice, and the lease lasts as long as anything is. A main process that fails or is killed
 * takes the rest with it; one that leaves with 0 while others stay has made itself a daemon.
 * Removing the directory is tried first, because it is atomic: the kernel refuses while anything is
 * left.
 */

#include <signal.h>

#include <base/macro.h>

struct broker;
struct lease;
struct why;

/*
 * Begins to end the VM. @signo (0: SIGTERM) goes to its main process now, SIGKILL to the whole
 * slice after
 * @grace_usec (0: at once). A second call may only shorten the grace. Negative on a fault.
 */
_must_check_ int release_start(struct lease *lease, const char *reason, int signo,
                               uint64_t grace_usec);

/* The main process of a lease whose launch is over has ended, with @info if its status is known.
 * Negative on a fault. */
_must_check_ int release_main_ended(struct lease *lease, const siginfo_t *info);

/* Is the group empty now? Then it is removed and the lease is over (and freed). Negative on a
 * fault. */
_must_check_ int release_try(struct lease *lease);

/* Kills what is left once more, or tries to remove what is empty by now. Negative on a fault. */
_must_check_ int release_retry(struct lease *lease);

/* Undoes a lease whose process was never made; frees it. Negative on a fault. */
_must_check_ int release_unmade(struct lease *lease);

/* The OOM killer was in the group: says so, once per kill. */
void release_note_oom(struct lease *lease);

/* Sends a signal to the main process, or to all that are left if it is gone. Answers ESRCH and the
 * like as a positive errno. */
_must_check_ int release_signal(struct lease *lease, int signo);

#endif
