/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_DISCARD_H
#define PROVIUM_TC_DISCARD_H

/*
 * Slow ends. When the last descriptor of a tap is closed, or a link removed, the kernel makes the
 * caller wait for about 20 ms until no processor can still see the device. A loop that serves
 * everybody must not stand there: it hands such things to a thread.
 *
 * There is one thread at most, which ends when nothing is left. It works one thing off after the
 * other: the kernel's network lock has one place anyway, and ten threads in the queue for it would
 * only be ten waits before our own next message. It shares nothing with its maker but the list.
 *
 * This is the one room of the house with state of its own: a thread outlives every object.
 */

#include <base/macro.h>
#include <tc/link.h>

struct discard_link {
        int ifindex;
        char alias[LINK_ALIAS_MAX];
};

/*
 * Closes @fds (the caller's no longer, from now on) and removes each of @links, but only where it
 * still carries exactly that alias: an index may have been another link's for long. Both are
 * copied. Never fails: without a thread or memory it is done here, and slowly. In the network
 * namespace of the caller.
 */
void discard(const int *fds, size_t n_fds, const struct discard_link *links, size_t n_links);

/* Waits until everything is done: for tests, and the end of a program. */
void discard_wait(void);

#endif
