/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_SHAPE_H
#define PROVIUM_TC_SHAPE_H

/*
 * Shaping of one VM's traffic, in both directions, on its tap.
 *
 * Download (to the VM) leaves the host through the tap's egress: TBF there, rate = the claim.
 * Upload (from the VM) enters the host through the tap's ingress, where nothing can be queued; so a
 * clsact filter marks every frame with its class (skbedit priority) and redirects it (mirred) to an
 * IFB that belongs to the bridge. There HTB gives each VM a class, rate = the guarantee, ceil = the
 * burst, with fq_codel as its leaf. What leaves the IFB goes on to the bridge as if it had just
 * arrived. Every frame is counted, whatever its protocol and wherever it goes: other VMs, the host,
 * the outside.
 *
 * Rates are bytes per second in 64 bits throughout: libnl's own setters for TBF hold 32 bits and
 * round the burst to microseconds, so the attributes are written here as the kernel reads them
 * (include/uapi/linux/pkt_sched.h, net/sched/sch_tbf.c, net/sched/sch_htb.c).
 */

#include <tc/netlink.h>

#define SHAPE_LATENCY_USEC UINT64_C(50000)   /* bound on the queue of the download */
#define SHAPE_RATE_MIN UINT64_C(1000)        /* 8 kbit/s */
#define SHAPE_RATE_MAX UINT64_C(20000000000) /* 160 Gbit/s: exact up to here */
#define SHAPE_ROOT_MINOR 1
#define SHAPE_MINOR_MIN 0x10
#define SHAPE_MINOR_MAX 0xfffe

enum {
        _SHAPE_E_SUCCESS,
        SHAPE_E_RANGE = 100, /* a rate outside what can be enforced exactly */
        SHAPE_E_DIFFERS,     /* what the kernel made is not what was asked */
};

struct shape {
        int tap_ifindex;
        int ifb_ifindex;
        uint16_t major; /* of the IFB's HTB */
        uint16_t minor; /* this VM's class */
        uint64_t download_bytes_per_s;
        uint64_t download_bucket_bytes;   /* 0: the least that the rate needs */
        uint64_t upload_rate_bytes_per_s; /* guarantee */
        uint64_t upload_ceil_bytes_per_s;
        bool pfifo; /* this kernel has no fq_codel: a bounded fifo is the leaf */
};

/* max(128 KiB, rate / 50 s): a bucket smaller than that does not carry the rate. */
uint64_t shape_bucket(uint64_t rate_bytes_per_s, uint64_t asked_bytes);
/* Bytes that may queue: one bucket and what the rate carries in the latency. */
uint64_t shape_limit(uint64_t rate_bytes_per_s, uint64_t bucket_bytes, uint64_t latency_usec);

/* Messages for a batch: the root of an IFB, HTB and its root class of the uplink's capacity. */
void shape_add_root(struct batch *batch, int ifb_ifindex, uint16_t major,
                    uint64_t capacity_bytes_per_s);

/* The VM's five: TBF, clsact, redirect, class, leaf. On a link that is still down. Answers RANGE.
 */
_must_check_ int shape_add(struct batch *batch, const struct shape *shape, struct why *why);

/* New rates for what is there; queued packets stay. Answers RANGE. */
_must_check_ int shape_change(struct batch *batch, const struct shape *shape, struct why *why);

/* The class and its leaf; everything else goes with the tap. */
void shape_add_removal(struct batch *batch, const struct shape *shape);

/*
 * For netlink_commit()'s echo: compares what the kernel says it made with @check->shape. After the
 * commit check->result is 0 or SHAPE_E_DIFFERS with check->why.
 */
struct shape_check {
        const struct shape *shape;
        bool seen_download, seen_upload;
        int result;
        struct why *why;
};
void shape_echo(void *check, const struct nlmsghdr *message);
/* Did all that must be confirmed come? 0 or DIFFERS. */
_must_check_ int shape_confirmed(const struct shape_check *check);

#endif
