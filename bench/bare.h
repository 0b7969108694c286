/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_BARE_H
#define PROVIUM_BENCH_BARE_H

/*
 * The floor of one VM's network: the kernel's work that tc/ asks for, asked for with as little as
 * can be. Six messages written into one buffer, one sendmsg, one recvmmsg for the six
 * acknowledgements; no libnl, nothing of the project, no echo of what was made, no comparison. The
 * link's index is asked of the netlink socket, which is open already.
 */

#include <stdint.h>
#include <sys/types.h>

/* What is made; the same for everybody who is measured. Rates are bytes per second. */
struct bare_plan {
        const char *name, *alias;
        unsigned char mac[6];
        uid_t owner;
        uint32_t group;  /* of links; 0: that of all */
        int bridge, ifb; /* ifindexes */
        uint16_t major, minor;
        uint64_t download, upload, upload_ceil;
};

struct bare_tap {
        int fd, ifindex;
};

/* A netlink socket. All of these exit with a sentence if they fail. */
int bare_open(void);

/* Tap, class, leaf, TBF, clsact, filter, and the place in the bridge. Returns how many messages the
 * kernel was sent; as many came back. */
unsigned bare_setup(int netlink_fd, const struct bare_plan *plan, struct bare_tap *tap);

/* The class; the tap goes with its descriptor. Returns the number of messages. */
unsigned bare_teardown(int netlink_fd, const struct bare_plan *plan);

#endif
