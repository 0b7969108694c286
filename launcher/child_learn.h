/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_LEARN_H
#define PROVIUM_LAUNCHER_CHILD_LEARN_H

/*
 * In the place of a filter, one that asks: each call waits until whoever holds the listener
 * (seccomp_unotify(2)) has seen it and says to go on. The listener is made by the child as the last
 * thing before execve, sent to a socket that the client gave, and held by nobody else from then on:
 * neither the launcher nor what is executed has it.
 *
 * Not asked are the calls that a program ends and returns from signals with, so that one whose
 * listener is gone can still end; everything else fails then with ENOSYS. As under every list,
 * calls of another architecture kill, and clone3, whose flags no filter can see, is not there.
 */

#include <linux/filter.h>
#include <sys/socket.h>

#include <base/macro.h>

#define CHILD_LEARN_RULES 18

struct child_learn {
        int socket_fd; /* borrowed; above 2 */
        struct sock_filter rules[CHILD_LEARN_RULES];
        struct sock_fprog program;
        struct msghdr message; /* with the listener; the filter knows this one by its address */
        struct iovec part;
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
};

/* Prepares @learn, which stays where it is until the child no longer shares our memory. */
void child_learn_init(struct child_learn *learn, int socket_fd);

/*
 * Runs in the child; @socket_fd is where the socket is by now. Answers a negative errno: EAGAIN,
 * EPIPE, ENOTSOCK where the socket does not take the listener.
 */
long child_start_learning(struct child_learn *learn, long socket_fd);

#endif
