/* SPDX-License-Identifier: MIT */
/*
 * The IFB's own: HTB with the class of the uplink's capacity and the class of strays.
 *
 * Strays are frames whose class is not there, any longer or yet. HTB lets such pass unshaped, in
 * its direct queue, unless it has a default class. This one lets 8 kbit/s of them through: enough
 * to be seen in its counters, too little to be of use.
 */
#include <linux/rtnetlink.h>
#include <string.h>

#include <base/why.h>
#include <tc/handles.h>
#include <tc/qdisc.h>
#include <tc/shape.h>

#define TRIES 8
#define NUMBERS_WORDS 1024
#define STRAYS_FIFO_BYTES 16384
#define MAJOR_FIRST 0x7056
#define MAJOR_LAST 0xfff0
/* For a moment, the trial of fq_codel. */
#define TRIAL_HANDLE TC_H_MAKE(3U << 16, 0)

static uint32_t class_of(uint16_t major, uint16_t minor) {
        return TC_H_MAKE((uint32_t)major << 16, minor);
}

static void add_strays_leaf(struct batch *batch, int ifb, uint16_t major) {
        qdisc_add_leaf(batch, ifb, NLM_F_CREATE | NLM_F_REPLACE,
                       class_of(major, SHAPE_STRAYS_MINOR),
                       TC_H_MAKE((uint32_t)SHAPE_STRAYS_MINOR << 16, 0), STRAYS_FIFO_BYTES,
                       "the queue of strays");
}

void shape_change_root(struct batch *batch, int ifb, uint16_t major, uint64_t capacity) {
        qdisc_add_class(batch, ifb, NLM_F_CREATE, class_of(major, 0),
                        class_of(major, SHAPE_ROOT_MINOR), capacity, capacity,
                        "the uplink's capacity");
        qdisc_add_class(batch, ifb, NLM_F_CREATE, class_of(major, 0),
                        class_of(major, SHAPE_STRAYS_MINOR), SHAPE_RATE_MIN, SHAPE_RATE_MIN,
                        "the class of strays");
        add_strays_leaf(batch, ifb, major);
}

void shape_add_root(struct batch *batch, int ifb, uint16_t major, uint64_t capacity) {
        qdisc_add_htb(batch, ifb, class_of(major, 0), SHAPE_STRAYS_MINOR);
        shape_change_root(batch, ifb, major, capacity);
}

static void take_seen(void *userdata, const struct nlmsghdr *message) {
        struct qdisc_seen *seen = userdata, now;

        if (qdisc_parse(message, &now))
                *seen = now;
}

/* One get. What is not there leaves @seen empty. */
static int look(struct netlink *netlink, int type, int ifindex, uint32_t parent, uint32_t handle,
                struct qdisc_seen *seen, struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        int r;

        *seen = (struct qdisc_seen){};
        qdisc_add_plain(&batch, type, ifindex, parent, handle, "a look at the uplink's shaper");
        r = netlink_commit(netlink, &batch, take_seen, seen, NULL, why);
        if (r > 0 && (batch.errnums[0] == ENOENT || batch.errnums[0] == EINVAL))
                return 0;
        return r;
}

int shape_find_root(struct netlink *netlink, int ifb, uint16_t *majorp, uint64_t *capacityp,
                    struct why *why) {
        struct qdisc_seen seen;
        uint16_t major;
        int r;

        r = look(netlink, RTM_GETQDISC, ifb, TC_H_ROOT, 0, &seen, why);
        if (r)
                return r;
        if (strcmp(seen.kind, "htb") != 0)
                return why_set(why, NETLINK_E_GONE, "there is no HTB on the IFB");
        major = (uint16_t)(seen.handle >> 16);
        r = look(netlink, RTM_GETTCLASS, ifb, 0, class_of(major, SHAPE_ROOT_MINOR), &seen, why);
        if (r)
                return r;
        *majorp = major;
        /* A ceil of another size is no capacity of ours either. */
        *capacityp = seen.htb_class && seen.ceil_bytes_per_s == seen.rate_bytes_per_s
                             ? seen.rate_bytes_per_s
                             : 0;
        return 0;
}

static struct nl_msg *list(int type, int ifindex) {
        struct tcmsg header = {.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex};
        struct nl_msg *message = netlink_request(type);

        if (message)
                nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
        return message;
}

/* A set of 16-bit numbers. */
static void put(uint64_t *words, uint16_t number) {
        words[number / 64] |= UINT64_C(1) << number % 64;
}

static bool has(const uint64_t *words, uint16_t number) {
        return words[number / 64] >> number % 64 & 1;
}

static void take_major(void *userdata, const struct nlmsghdr *message) {
        struct qdisc_seen seen;

        if (qdisc_parse(message, &seen))
                put((uint64_t *)userdata, (uint16_t)(seen.handle >> 16));
}

int shape_free_major(struct netlink *netlink, uint16_t *majorp, struct why *why) {
        uint64_t taken[NUMBERS_WORDS] = {};
        int r = NETLINK_E_LOST;

        for (unsigned i = 0; i < TRIES && r == NETLINK_E_LOST; i++)
                r = netlink_dump(netlink, list(RTM_GETQDISC, 0), take_major, taken, why);
        if (r)
                return r;
        for (uint32_t major = MAJOR_FIRST; major <= MAJOR_LAST; major++)
                if (!handles_usable((uint16_t)major) && !has(taken, (uint16_t)major)) {
                        *majorp = (uint16_t)major;
                        return 0;
                }
        return why_set(why, NETLINK_E_FULL, "every number for an HTB is taken");
}

int shape_has_fq_codel(struct netlink *netlink, int ifb, uint16_t major, bool *hasp,
                       struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        size_t failed;
        int r;

        qdisc_add_leaf(&batch, ifb, NLM_F_CREATE | NLM_F_REPLACE,
                       class_of(major, SHAPE_STRAYS_MINOR), TRIAL_HANDLE, 0, "a trial of fq_codel");
        add_strays_leaf(&batch, ifb, major);
        r = netlink_commit(netlink, &batch, NULL, NULL, &failed, why);
        if (r < 0 || r == NETLINK_E_LOST || (r && batch.errnums[1]))
                return r;
        if (r && batch.errnums[0] != ENOENT)
                return r;
        *hasp = r == 0;
        return 0;
}

static void take_minor(void *userdata, const struct nlmsghdr *message) {
        struct qdisc_seen seen;

        /* The flows of fq_codel show themselves as classes, too. */
        if (qdisc_parse(message, &seen) && seen.htb_class)
                put((uint64_t *)userdata, (uint16_t)TC_H_MIN(seen.handle));
}

int shape_each_class(struct netlink *netlink, int ifb, void (*fn)(void *userdata, uint16_t minor),
                     void *userdata, struct why *why) {
        uint64_t minors[NUMBERS_WORDS];
        int r = NETLINK_E_LOST;

        for (unsigned i = 0; i < TRIES && r == NETLINK_E_LOST; i++) {
                memset(minors, 0, sizeof(minors));
                r = netlink_dump(netlink, list(RTM_GETTCLASS, ifb), take_minor, minors, why);
        }
        if (r)
                return r;
        for (uint32_t minor = SHAPE_MINOR_MIN; minor <= SHAPE_MINOR_MAX; minor++)
                if (has(minors, (uint16_t)minor))
                        fn(userdata, (uint16_t)minor);
        return 0;
}
