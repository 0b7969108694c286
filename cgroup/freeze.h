/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_FREEZE_H
#define PROVIUM_CGROUP_FREEZE_H

/*
 * The frozen step: stop a group's processes for the moment in which its io.max changes, because a
 * change beneath waiting requests stalls the group or is lost (see cgroup/iomax.h).
 *
 *         freeze_begin(dir_fd)     returns at once; the kernel stops one thread after the other
 *         ... the loop goes on ...
 *         freeze_is_frozen()       true: nothing of the group runs
 *         iomax_apply(...)
 *         freeze_end(dir_fd)
 *
 * How a caller waits: the kernel rewrites cgroup.events when the last thread has stopped, and tells
 * of it by POLLPRI on an open cgroup.events, or by IN_MODIFY on the watched directory: the loop's
 * watch already hears it (cgroup/watch.h), as long as the file is held (watch_hold; without it the
 * kernel's own changes are not told). Ask freeze_is_frozen once after freeze_begin, before the
 * first wait: it may have happened. A thread within an uninterruptible request stops when that is
 * done, and behind a narrow limit this takes as long as what is queued: the caller sets itself a
 * deadline, ends the step with freeze_end, leaves the old limit in force, and tries again later.
 *
 * With a kernel thread in the group (KVM's kvm-nx-lpage-recovery, vhost's) the kernel up to 6.13
 * never says that it is frozen, and tells of nothing: freeze_is_frozen() then looks at the states of
 * all other threads, and whoever waits has to ask again by the clock as well.
 *
 * A frozen group can still be killed. Nothing may be cloned into it meanwhile: the child would stop
 * before its execve, and with CLONE_VFORK so would we.
 */

#include <cgroup/cgroup.h>

/* Asks the kernel to stop the group and all below it (cgroup.freeze, Linux 5.2). Answers GONE,
 * HOST. */
_must_check_ int freeze_begin(int dir_fd, struct why *why);

/* Has everything stopped? An empty group is frozen at once. Answers GONE, HOST. */
_must_check_ int freeze_is_frozen(int dir_fd, bool *frozenp, struct why *why);

/* Lets the group run; 0 too if it was not frozen. Answers GONE, HOST. */
_must_check_ int freeze_end(int dir_fd, struct why *why);

/*
 * Blocks until the group is frozen, @timeout_usec at most: for tests and tools, never for the loop.
 * After any answer but 0 the group runs. Answers BUSY (time is up), GONE, HOST.
 */
_must_check_ int freeze_wait(int dir_fd, uint64_t timeout_usec, struct why *why);

#endif
