/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_QDISC_H
#define PROVIUM_TC_QDISC_H

/*
 * The few kinds of traffic control that shaping is made of, as messages to the kernel and as what
 * the kernel tells about them. Which of them a VM has, and where, is tc/shape's.
 *
 * A get of a qdisc or a class is answered to everybody who listens to RTNLGRP_TC, and to the one
 * who asks only if he wants the echo (qdisc_notify(), net/sched/sch_api.c): NLM_F_ECHO is on all
 * of them. The kernel's default queues are invisible: to ask for one is EINVAL.
 */

#include <linux/pkt_sched.h>

#include <tc/netlink.h>

#define QDISC_TBF_HANDLE TC_H_MAKE(1U << 16, 0)
#define QDISC_TBF_CLASS TC_H_MAKE(1U << 16, 1) /* the one class of TBF, where its queue hangs */
#define QDISC_TBF_LEAF TC_H_MAKE(2U << 16, 0)
#define QDISC_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define QDISC_EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

/* Bytes at a rate, in the packet scheduler's ticks of 64 ns; more than 32 bits hold is cut. */
uint32_t qdisc_ticks(uint64_t bytes, uint64_t rate_bytes_per_s);

/* ---- messages ---- */

void qdisc_add_tbf(struct batch *batch, int ifindex, int flags, uint64_t rate_bytes_per_s,
                   uint32_t bucket_bytes, uint32_t limit_bytes);

/* HTB as the root of @ifindex; what no class claims is @stray_minor's. */
void qdisc_add_htb(struct batch *batch, int ifindex, uint32_t handle, uint16_t stray_minor);
void qdisc_add_class(struct batch *batch, int ifindex, int flags, uint32_t parent, uint32_t class,
                     uint64_t rate_bytes_per_s, uint64_t ceil_bytes_per_s, const char *what);

/* The queue of a class, with @handle: fq_codel, or if @fifo_bytes are not 0 a fifo of so many. */
void qdisc_add_leaf(struct batch *batch, int ifindex, int flags, uint32_t class, uint32_t handle,
                    uint32_t fifo_bytes, const char *what);

void qdisc_add_clsact(struct batch *batch, int ifindex, int flags);
/* A filter at @hook (QDISC_INGRESS, QDISC_EGRESS) that marks all frames with @class and redirects
 * them to @to_ifindex. */
void qdisc_add_redirect(struct batch *batch, int ifindex, uint32_t hook, uint32_t class,
                        int to_ifindex);

/* Gets and removals: RTM_GETQDISC, RTM_DELTCLASS, ... by whichever of @parent and @handle is not 0,
 * and for a filter the one of qdisc_add_redirect(). */
void qdisc_add_plain(struct batch *batch, int type, int ifindex, uint32_t parent, uint32_t handle,
                     const char *what);

/* ---- what the kernel tells ---- */

/* Since the link, the qdisc or the class was made. */
struct qdisc_count {
        uint64_t bytes, packets, drops;
        uint64_t overlimits;
        uint64_t backlog_bytes, backlog_packets;
};

struct qdisc_seen {
        int ifindex;
        uint32_t parent, handle;
        char kind[16];
        bool tbf, htb_class, redirect; /* which of the following was found */
        /* TBF and class */
        uint64_t rate_bytes_per_s, ceil_bytes_per_s;
        uint32_t buffer_ticks, limit_bytes, level;
        /* redirect */
        uint32_t class;
        int to_ifindex;
        struct qdisc_count count;
};

/* False if it is no message about a qdisc, class or filter. */
bool qdisc_parse(const struct nlmsghdr *message, struct qdisc_seen *seen);

#endif
