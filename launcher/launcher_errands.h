/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_LAUNCHER_ERRANDS_H
#define PROVIUM_LAUNCHER_LAUNCHER_ERRANDS_H

/*
 * The errands of launcher/errands as the broker asks for them: each one call that returns 0 or a
 * positive errno, the errand's or launcher_ask()'s. They are for the thread of the broker's loop.
 * Descriptors that are passed stay the caller's; *fdp becomes his, and is close-on-exec.
 */

#include <sys/socket.h>
#include <sys/types.h>

#include <launcher/wire.h>

struct launcher;

_must_check_ int launcher_signal(struct launcher *launcher, int pidfd, int signo);

/* @fd may be O_PATH. */
_must_check_ int launcher_chown(struct launcher *launcher, int fd, uid_t uid, gid_t gid);

/*
 * The kinds of namespaces (CLONE_NEWNS, NEWPID, NEWIPC, NEWUTS, NEWCGROUP, NEWNET) of which process
 * @pid, which runs as @uid and @gid, has another than the launcher, which has the host's.
 */
_must_check_ int launcher_namespaces(struct launcher *launcher, pid_t pid, uid_t uid, gid_t gid,
                                     uint64_t *flagsp);

/* The kernel's log from its oldest record on, not to wait for: /dev/kmsg. */
_must_check_ int launcher_kmsg(struct launcher *launcher, int *fdp);

/*
 * A trigger (Documentation/accounting/psi.rst): POLLPRI when, within @window_usec, some or all
 * (@full) have waited for @stall_usec.
 */
_must_check_ int launcher_pressure(struct launcher *launcher, enum wire_pressure of, bool full,
                                   uint64_t stall_usec, uint64_t window_usec, int *fdp);

/* AF_INET or AF_INET6: the host forwards packets from now on. */
_must_check_ int launcher_forward(struct launcher *launcher, int family);

/* A listening socket, not to wait for, at an address of AF_INET or AF_INET6. */
_must_check_ int launcher_listen(struct launcher *launcher, const struct sockaddr *address,
                                 socklen_t length, int backlog, int *fdp);

/* What the beginning of a connection there does: nobody waits for it. EPERM: a control group's IP
 * filter is in its way; 0, EINPROGRESS: nothing is. */
_must_check_ int launcher_connect(struct launcher *launcher, const struct sockaddr *address,
                                  socklen_t length);

/*
 * Takes regular files (O_PATH; at most ERRAND_QUOTA_FILES_MAX) out of @project, and its limit from
 * the file system of @dev. 0: it is on its way, and @told_fd is written a struct wire_unquota when
 * it is done, and closed.
 */
_must_check_ int launcher_unquota(struct launcher *launcher, int told_fd, const int *fds,
                                  size_t n_fds, uint32_t project, dev_t dev);

#endif
