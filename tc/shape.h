/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_SHAPE_H
#define PROVIUM_TC_SHAPE_H

/*
 * Shaping of one VM's traffic, in both directions, on its taps and one IFB.
 *
 * Upload (from the VM) enters the host through the tap's ingress, where nothing can be queued; so a
 * clsact filter marks every frame with its class (skbedit priority) and redirects it (mirred) to
 * the IFB. There HTB gives each VM one class for all its taps, rate = the guarantee, ceil = the
 * burst, with fq_codel as its leaf. What leaves the IFB goes on from the tap where it came in, as
 * if it had just arrived; so one IFB serves the taps of all bridges, and its root class is the
 * uplink's capacity exactly once. Every frame is counted, whatever its protocol and wherever it
 * goes: other VMs, the host, the outside.
 *
 * Download (to the VM) leaves the host through the tap's egress: TBF there, rate = the claim, and
 * below it fq_codel, so that a thin flow does not wait behind a full one (112 ms in the fifo that
 * TBF brings along, 12 ms so, at 10 Mbit/s). Of a VM with several taps each could carry that, so
 * their sum is held, too: a filter at the egress of each redirects to the same IFB, into one class
 * of the claim that hangs beside the root class of uploads, and from there the frames go on to the
 * tap's TBF (the IFB marks them tc_skip_classify, so they pass the filter the second time).
 *
 *         M:      HTB of the IFB
 *           M:1     the uplink's capacity      M:2  strays: frames whose class is gone, 8 kbit/s
 *             M:U1  uploads of VM 1            M:D1 downloads of VM 1, if it has several taps
 *             M:U2  ...
 *
 * Rates are bytes per second in 64 bits throughout: libnl's own setters for TBF hold 32 bits and
 * round the burst to microseconds, so the attributes are written here as the kernel reads them
 * (include/uapi/linux/pkt_sched.h, net/sched/sch_tbf.c, net/sched/sch_htb.c).
 */

#include <tc/qdisc.h>

#define SHAPE_LATENCY_USEC UINT64_C(50000)   /* bound on the queue of the download */
#define SHAPE_RATE_MIN UINT64_C(1000)        /* 8 kbit/s */
#define SHAPE_RATE_MAX UINT64_C(20000000000) /* 160 Gbit/s: exact up to here */
#define SHAPE_TAPS_MAX 8
#define SHAPE_ROOT_MINOR 1
#define SHAPE_STRAYS_MINOR 2
#define SHAPE_MINOR_MIN 0x10
#define SHAPE_MINOR_MAX 0xfffe

enum {
        _SHAPE_E_SUCCESS,
        SHAPE_E_RANGE = 100, /* a rate outside what can be enforced exactly */
        SHAPE_E_DIFFERS,     /* what the kernel has is not what was asked */
};

struct shape {
        int ifb_ifindex;
        uint16_t major;          /* of the IFB's HTB */
        uint16_t minor;          /* this VM's class of uploads */
        uint16_t download_minor; /* its class of downloads; 0: one tap, so none is needed */
        uint64_t download_bytes_per_s;
        uint64_t download_bucket_bytes;   /* 0: the least that the rate needs */
        uint64_t upload_rate_bytes_per_s; /* guarantee */
        uint64_t upload_ceil_bytes_per_s;
        bool fifo; /* this kernel has no fq_codel: a bounded fifo is the leaf */
        size_t n_taps;
        int taps[SHAPE_TAPS_MAX]; /* ifindexes */
};

/* max(128 KiB, rate / 50 s): a bucket smaller than that does not carry the rate. */
uint64_t shape_bucket(uint64_t rate_bytes_per_s, uint64_t asked_bytes);
/* Bytes that may queue before a VM: a GSO frame and some, and what the rate carries in the latency.
 * Not the bucket as well, although tc(8) counts so: what waits there waits once the bucket is
 * empty, half a second of it at 10 Mbit/s. */
uint64_t shape_limit(uint64_t rate_bytes_per_s, uint64_t latency_usec);

/* ---- the IFB ---- */

/* Messages for a batch: HTB, the root class of the uplink's capacity, and the strays' class. */
void shape_add_root(struct batch *batch, int ifb_ifindex, uint16_t major,
                    uint64_t capacity_bytes_per_s);
/* Another capacity; puts back whichever of the two classes is missing. Queued packets stay. */
void shape_change_root(struct batch *batch, int ifb_ifindex, uint16_t major,
                       uint64_t capacity_bytes_per_s);

/* What an IFB that was found has: its HTB's major and the capacity of the root class (0: the class
 * is missing, or its ceil is another). Answers NETLINK_E_GONE if there is no HTB. */
_must_check_ int shape_find_root(struct netlink *netlink, int ifb_ifindex, uint16_t *majorp,
                                 uint64_t *capacity_bytes_per_sp, struct why *why);

/*
 * A major that no qdisc of this network namespace has, from 0x7056 upwards: frames keep their
 * priority, and another HTB with the same major would take it for its own. Never one that a leaf of
 * a VM's class could have. Answers NETLINK_E_FULL.
 */
_must_check_ int shape_free_major(struct netlink *netlink, uint16_t *majorp, struct why *why);

/* Has this kernel fq_codel? Tried on the strays' class of a root that is there. */
_must_check_ int shape_has_fq_codel(struct netlink *netlink, int ifb_ifindex, uint16_t major,
                                    bool *hasp, struct why *why);

/* Calls @fn with the minor of each VM's class (upload or download) of this IFB. */
_must_check_ int shape_each_class(struct netlink *netlink, int ifb_ifindex,
                                  void (*fn)(void *userdata, uint16_t minor), void *userdata,
                                  struct why *why);

/* ---- one VM ---- */

/* Messages for a batch. The VM's: class and leaf, for several taps two of each, and for each tap
 * TBF with its leaf, clsact, redirect (for several two). On links that are still down. Answers
 * RANGE. */
_must_check_ int shape_add(struct batch *batch, const struct shape *shape, struct why *why);

/* New rates for what is there; queued packets stay. Answers RANGE. */
_must_check_ int shape_change(struct batch *batch, const struct shape *shape, struct why *why);

/* The classes and their leaves; everything else goes with the taps. */
void shape_add_removal(struct batch *batch, const struct shape *shape);

/*
 * For netlink_commit()'s echo: compares what the kernel says it made with @check->shape. After the
 * commit check->result is 0 or SHAPE_E_DIFFERS with check->why.
 */
struct shape_check {
        const struct shape *shape;
        unsigned seen_taps; /* a bit for each tap whose TBF was confirmed */
        bool seen_upload, seen_download;
        int result;
        struct why *why;
};
void shape_echo(void *check, const struct nlmsghdr *message);
/* Did all that must be confirmed come? 0 or DIFFERS. */
_must_check_ int shape_confirmed(const struct shape_check *check);

/* ---- what the kernel has ---- */

struct shape_class_state {
        bool present;
        uint32_t parent; /* TC_H_ROOT: none, beside the root class */
        uint32_t level;  /* 0: a leaf, which carries frames */
        uint64_t rate_bytes_per_s, ceil_bytes_per_s;
        struct qdisc_count count;
        char leaf[16]; /* kind; empty: the kernel's default */
        struct qdisc_count leaf_count;
};

struct shape_tap_state {
        bool present; /* the link */
        bool up;
        struct qdisc_count upload, download; /* of the link, seen from the VM */
        bool tbf;                            /* its root is our TBF */
        bool other_root;                     /* it has another root qdisc than the kernel's own */
        uint64_t rate_bytes_per_s;
        uint32_t buffer_ticks; /* bucket / rate, in the packet scheduler's 64 ns */
        uint32_t limit_bytes;
        struct qdisc_count tbf_count; /* its drops contain those of its queue */
        char leaf[16];                /* the kind of its queue; empty: the fifo that TBF makes */
        struct qdisc_count leaf_count;
        bool hook;                        /* clsact */
        bool ingress, egress;             /* the redirects: marked with our class, to our IFB */
        bool other_ingress, other_egress; /* in its place is a filter that does something else */
};

struct shape_state {
        struct shape_class_state upload, download;
        struct shape_tap_state taps[SHAPE_TAPS_MAX];
};

/* Everything of this VM, by single gets in one batch. What is missing is no error but a false flag.
 * Answers NETLINK_E_LOST, KERNEL. */
_must_check_ int shape_read(struct netlink *netlink, const struct shape *shape,
                            struct shape_state *state, struct why *why);

/* 0, or SHAPE_E_DIFFERS with a sentence that names the first difference. */
_must_check_ int shape_differs(const struct shape *shape, const struct shape_state *state,
                               struct why *why);

/*
 * Puts back whatever is missing or different, reads again and compares. A queue that is as it
 * should be is not touched. Answers RANGE, DIFFERS (somebody changes it again, or holds it), GONE
 * (a tap, or the IFB's HTB), LOST, KERNEL.
 */
_must_check_ int shape_repair(struct netlink *netlink, const struct shape *shape, struct why *why);

/* ---- the parts one by one, for tc/shape_state ---- */

/* 0 or SHAPE_E_RANGE. */
_must_check_ int shape_check_rates(const struct shape *shape, struct why *why);

void shape_add_upload(struct batch *batch, const struct shape *shape, int flags);
void shape_add_download(struct batch *batch, const struct shape *shape, int flags);
void shape_add_leaf(struct batch *batch, const struct shape *shape, uint16_t minor, int flags);
void shape_add_tbf(struct batch *batch, const struct shape *shape, size_t tap, int flags);
/* The queue below TBF; nothing where a fifo is all that there is, for TBF brings one along. */
void shape_add_tbf_leaf(struct batch *batch, const struct shape *shape, size_t tap, int flags);
/* @hook: QDISC_INGRESS of uploads, QDISC_EGRESS of downloads. */
void shape_add_redirect(struct batch *batch, const struct shape *shape, size_t tap, uint32_t hook);

/* Is that what the kernel tells of a bucket that was set as this shape says? */
bool shape_is_bucket(const struct shape *shape, uint32_t buffer_ticks);

#endif
