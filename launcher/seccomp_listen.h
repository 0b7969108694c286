/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_LISTEN_H
#define PROVIUM_LAUNCHER_SECCOMP_LISTEN_H

/*
 * The other end of launcher/child_learn.h, in the process of whoever asked for the VM: takes the
 * listener from the socket, and then each call, notes it and lets it go on as it is. Nothing is
 * decided here, so it does not matter that a program can change what its arguments point to.
 *
 * The listener is as good as the program itself: its holder can answer calls in the kernel's place.
 * It goes to the one who chose the program and its arguments, and so had that power already.
 */

#include <launcher/seccomp_learn.h>

struct seccomp_listener {
        int socket_fd; /* -1: the listener came, or never will */
        int fd;        /* -1: it has not come, or all that it was for is over */
        bool came;
        struct seccomp_learned learned;
};

#define SECCOMP_LISTENER_NULL                                                                      \
        { .socket_fd = -1, .fd = -1 }

/* Makes the socket and its peer *peer_fdp, which the caller owns and gives away. Answers HOST. */
_must_check_ int seccomp_listen_open(struct seccomp_listener *listener, int *peer_fdp,
                                     struct why *why);

/* What to poll(2) for POLLIN, or -1. */
int seccomp_listen_poll_fd(const struct seccomp_listener *listener);

/* Takes what is there, up to a bounded number of calls, without waiting. Answers HOST where the
 * kernel's interface is not the one we know; then it is closed. */
_must_check_ int seccomp_listen_step(struct seccomp_listener *listener, struct why *why);

/* May be repeated. What was learned stays. */
void seccomp_listen_close(struct seccomp_listener *listener);

#endif
