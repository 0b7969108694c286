/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_IPROUTE_H
#define PROVIUM_BENCH_IPROUTE_H

/*
 * One VM's network with iproute2: as a script would make it, a process for each step, and with the
 * steps in the batch files of `ip` and `tc`, a process for each of the two. In the latter the link
 * is up a moment before its limits are on it: the other order takes a third process. The rates are
 * those of bench/network.c.
 */

#include <sys/types.h>

#include <bench/peer.h>

enum { IPROUTE_COMMANDS, IPROUTE_BATCH, IPROUTE_N };

struct iproute {
        struct peer setup[IPROUTE_N], gone[IPROUTE_N], teardown[IPROUTE_N];
};

/* For the bridge benchbr@bridge and the IFB benchifb@bridge, whose HTB is @major:, with the classes
 * @minor and @minor + 1. Writes the batch files; exits with a sentence if it cannot. */
void iproute_init(struct iproute *iproute, unsigned bridge, unsigned major, unsigned minor,
                  uid_t owner);

#endif
