/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_TRAFFIC_H
#define PROVIUM_TC_TRAFFIC_H

/*
 * What all links and queues of this network namespace have carried and dropped, in two lists of the
 * kernel's: a thousand VMs' in some hundred messages, where shape_read() would ask for each.
 *
 * A list may be torn (links come and go while it is read): what was told of a link is still true,
 * but some may be missing. It is read again TRAFFIC_TRIES times, and then its answer is LOST: who
 * has not been told of is not known.
 *
 * See rtnetlink(7), and RTM_GETSTATS in include/uapi/linux/if_link.h of Linux.
 */

#include <tc/qdisc.h>

#define TRAFFIC_TRIES 3

/* As the link itself counts: what it receives is what comes from a tap's VM. */
struct traffic_link {
        int ifindex;
        struct qdisc_count received, sent; /* bytes, packets and drops */
};

/* Calls @fn for each link, perhaps more than once: the last time counts. Answers LOST, KERNEL;
 * negative: out of memory. */
_must_check_ int traffic_each_link(struct netlink *netlink,
                                   void (*fn)(void *userdata, const struct traffic_link *link),
                                   void *userdata, struct why *why);

/* The same for each qdisc of each link. */
_must_check_ int traffic_each_queue(struct netlink *netlink,
                                    void (*fn)(void *userdata, const struct qdisc_seen *queue),
                                    void *userdata, struct why *why);

#endif
