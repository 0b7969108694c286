/* SPDX-License-Identifier: MIT */
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_skbedit.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <tc/shape.h>

#define BUCKET_MIN UINT64_C(131072)
#define LIMIT_MIN UINT64_C(100000) /* GSO frames are 64 KB: at least one, and some */
#define QUANTUM_MIN 1514
#define QUANTUM_MAX 60000
#define TBF_HANDLE TC_H_MAKE(1U << 16, 0)
#define LEAF_LIMIT_FIFO_BYTES 131072
#define CODEL_LIMIT_PACKETS 1024

uint64_t shape_bucket(uint64_t rate_bytes_per_s, uint64_t asked_bytes) {
        return max_u64(asked_bytes, max_u64(BUCKET_MIN, rate_bytes_per_s / 50));
}

uint64_t shape_limit(uint64_t rate_bytes_per_s, uint64_t bucket_bytes, uint64_t latency_usec) {
        unsigned __int128 queue = (unsigned __int128)rate_bytes_per_s * latency_usec / 1000000;

        return min_u64(UINT32_MAX, LIMIT_MIN + bucket_bytes + (uint64_t)queue);
}

/* Bytes at a rate, in the packet scheduler's ticks of 64 ns. */
static uint32_t ticks(uint64_t bytes, uint64_t rate_bytes_per_s) {
        unsigned __int128 value = (unsigned __int128)bytes * 1000000000 / rate_bytes_per_s / 64;

        return value > UINT32_MAX ? UINT32_MAX : value < 1 ? 1 : (uint32_t)value;
}

static uint32_t rate32(uint64_t rate) {
        return rate >= UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

static void put_header(struct nl_msg *message, int ifindex, uint32_t parent, uint32_t handle,
                       uint32_t info) {
        struct tcmsg header = {
                .tcm_family = AF_UNSPEC,
                .tcm_ifindex = ifindex,
                .tcm_parent = parent,
                .tcm_handle = handle,
                .tcm_info = info,
        };

        nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
}

static struct nl_msg *begin(struct batch *batch, int type, int flags, const char *what, int ifindex,
                            uint32_t parent, uint32_t handle, const char *kind) {
        struct nl_msg *message;

        message = batch_add(batch, type, flags, what);
        if (message) {
                put_header(message, ifindex, parent, handle, 0);
                nla_put_string(message, TCA_KIND, kind);
        }
        return message;
}

static void add_tbf(struct batch *batch, const struct shape *shape, int flags) {
        uint64_t rate = shape->download_bytes_per_s;
        uint64_t bucket = min_u64(UINT32_MAX, shape_bucket(rate, shape->download_bucket_bytes));
        struct tc_tbf_qopt options = {
                .rate = {.rate = rate32(rate), .linklayer = TC_LINKLAYER_ETHERNET},
                .limit = (uint32_t)shape_limit(rate, bucket, SHAPE_LATENCY_USEC),
                .buffer = ticks(bucket, rate),
        };
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWQDISC, flags | NLM_F_ECHO, "the download limit",
                        shape->taps[0], TC_H_ROOT, TBF_HANDLE, "tbf");
        if (!message)
                return;
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put(message, TCA_TBF_PARMS, sizeof(options), &options);
        nla_put_u32(message, TCA_TBF_BURST, (uint32_t)bucket);
        if (rate >= UINT32_MAX)
                nla_put_u64(message, TCA_TBF_RATE64, rate);
        nla_nest_end(message, nest);
}

static void add_htb_class(struct batch *batch, int ifindex, uint32_t parent, uint32_t handle,
                          uint64_t rate, uint64_t ceil, int flags, const char *what) {
        uint64_t quantum = rate / 100;
        struct tc_htb_opt options = {
                .rate = {.rate = rate32(rate), .linklayer = TC_LINKLAYER_ETHERNET},
                .ceil = {.rate = rate32(ceil), .linklayer = TC_LINKLAYER_ETHERNET},
                .buffer = ticks(max_u64(65536, rate / 100), rate),
                .cbuffer = ticks(max_u64(65536, ceil / 100), ceil),
                .quantum = quantum < QUANTUM_MIN   ? QUANTUM_MIN
                           : quantum > QUANTUM_MAX ? QUANTUM_MAX
                                                   : (uint32_t)quantum,
        };
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWTCLASS, flags | NLM_F_ECHO, what, ifindex, parent, handle,
                        "htb");
        if (!message)
                return;
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put(message, TCA_HTB_PARMS, sizeof(options), &options);
        if (rate >= UINT32_MAX)
                nla_put_u64(message, TCA_HTB_RATE64, rate);
        if (ceil >= UINT32_MAX)
                nla_put_u64(message, TCA_HTB_CEIL64, ceil);
        nla_nest_end(message, nest);
}

void shape_add_root(struct batch *batch, int ifb_ifindex, uint16_t major,
                    uint64_t capacity_bytes_per_s) {
        struct tc_htb_glob options = {.version = 3, .rate2quantum = 10};
        uint32_t handle = TC_H_MAKE((uint32_t)major << 16, 0);
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, "the uplink's shaper",
                        ifb_ifindex, TC_H_ROOT, handle, "htb");
        if (message) {
                nest = nla_nest_start(message, TCA_OPTIONS);
                nla_put(message, TCA_HTB_INIT, sizeof(options), &options);
                nla_nest_end(message, nest);
        }
        add_htb_class(batch, ifb_ifindex, handle, handle | SHAPE_ROOT_MINOR, capacity_bytes_per_s,
                      capacity_bytes_per_s, NLM_F_CREATE | NLM_F_EXCL, "the uplink's capacity");
}

static void add_clsact(struct batch *batch, const struct shape *shape) {
        begin(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, "the ingress hook", shape->taps[0],
              TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0), "clsact");
}

static void put_skbedit(struct nl_msg *message, uint32_t priority) {
        struct tc_skbedit options = {.action = TC_ACT_PIPE};
        struct nlattr *action = nla_nest_start(message, 1), *nest;

        nla_put_string(message, TCA_ACT_KIND, "skbedit");
        nest = nla_nest_start(message, TCA_ACT_OPTIONS);
        nla_put(message, TCA_SKBEDIT_PARMS, sizeof(options), &options);
        nla_put_u32(message, TCA_SKBEDIT_PRIORITY, priority);
        nla_nest_end(message, nest);
        nla_nest_end(message, action);
}

static void put_redirect(struct nl_msg *message, int ifindex) {
        struct tc_mirred options = {
                .action = TC_ACT_STOLEN,
                .eaction = TCA_EGRESS_REDIR,
                .ifindex = (uint32_t)ifindex,
        };
        struct nlattr *action = nla_nest_start(message, 2), *nest;

        nla_put_string(message, TCA_ACT_KIND, "mirred");
        nest = nla_nest_start(message, TCA_ACT_OPTIONS);
        nla_put(message, TCA_MIRRED_PARMS, sizeof(options), &options);
        nla_nest_end(message, nest);
        nla_nest_end(message, action);
}

static void add_redirect(struct batch *batch, const struct shape *shape) {
        struct nlattr *nest, *actions;
        struct nl_msg *message;

        message = batch_add(batch, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                            "the redirect of uploads");
        if (!message)
                return;
        put_header(message, shape->taps[0], TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), 0,
                   TC_H_MAKE(1U << 16, __builtin_bswap16(ETH_P_ALL)));
        nla_put_string(message, TCA_KIND, "matchall");
        nest = nla_nest_start(message, TCA_OPTIONS);
        actions = nla_nest_start(message, TCA_MATCHALL_ACT);
        put_skbedit(message, TC_H_MAKE((uint32_t)shape->major << 16, shape->minor));
        put_redirect(message, shape->ifb_ifindex);
        nla_nest_end(message, actions);
        nla_nest_end(message, nest);
}

static void add_leaf(struct batch *batch, const struct shape *shape) {
        uint32_t parent = TC_H_MAKE((uint32_t)shape->major << 16, shape->minor);
        /* The leaf's handle is the class's minor as a major: unique on this IFB, and found without
         * a dump. */
        uint32_t handle = TC_H_MAKE((uint32_t)shape->minor << 16, 0);
        struct tc_fifo_qopt fifo = {.limit = LEAF_LIMIT_FIFO_BYTES};
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, "the queue of uploads",
                        shape->ifb_ifindex, parent, handle, shape->fifo ? "bfifo" : "fq_codel");
        if (!message)
                return;
        if (shape->fifo) {
                nla_put(message, TCA_OPTIONS, sizeof(fifo), &fifo);
                return;
        }
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put_u32(message, TCA_FQ_CODEL_LIMIT, CODEL_LIMIT_PACKETS);
        nla_nest_end(message, nest);
}

static int check_rate(const char *what, uint64_t rate, struct why *why) {
        if (rate < SHAPE_RATE_MIN || rate > SHAPE_RATE_MAX)
                return why_set(why, SHAPE_E_RANGE,
                               "%s: %llu bytes per second; 8 kbit/s to 160 Gbit/s can be enforced",
                               what, (unsigned long long)rate);
        return 0;
}

static int check_rates(const struct shape *shape, struct why *why) {
        int r;

        assert(shape->minor >= SHAPE_MINOR_MIN && shape->minor <= SHAPE_MINOR_MAX);
        r = check_rate("download", shape->download_bytes_per_s, why);
        if (!r)
                r = check_rate("upload", shape->upload_rate_bytes_per_s, why);
        if (!r)
                r = check_rate("upload ceil", shape->upload_ceil_bytes_per_s, why);
        return r;
}

static void add_class(struct batch *batch, const struct shape *shape, int flags) {
        uint32_t major = (uint32_t)shape->major << 16;

        add_htb_class(batch, shape->ifb_ifindex, TC_H_MAKE(major, SHAPE_ROOT_MINOR),
                      TC_H_MAKE(major, shape->minor), shape->upload_rate_bytes_per_s,
                      shape->upload_ceil_bytes_per_s, flags, "the upload limit");
}

int shape_add(struct batch *batch, const struct shape *shape, struct why *why) {
        int r;

        r = check_rates(shape, why);
        if (r)
                return r;
        /* The class before the frames that name it. */
        add_class(batch, shape, NLM_F_CREATE | NLM_F_EXCL);
        add_leaf(batch, shape);
        add_tbf(batch, shape, NLM_F_CREATE | NLM_F_EXCL);
        add_clsact(batch, shape);
        add_redirect(batch, shape);
        return 0;
}

int shape_change(struct batch *batch, const struct shape *shape, struct why *why) {
        int r;

        r = check_rates(shape, why);
        if (r)
                return r;
        add_tbf(batch, shape, 0);
        add_class(batch, shape, 0);
        return 0;
}

void shape_add_removal(struct batch *batch, const struct shape *shape) {
        struct nl_msg *message;

        message = batch_add(batch, RTM_DELTCLASS, 0, "the upload limit's removal");
        if (message)
                put_header(message, shape->ifb_ifindex, 0,
                           TC_H_MAKE((uint32_t)shape->major << 16, shape->minor), 0);
}

static void differs(struct shape_check *check, const char *what, uint64_t asked, uint64_t made) {
        if (check->result)
                return;
        check->result = why_set(check->why, SHAPE_E_DIFFERS, "%s was set to %llu but reads %llu",
                                what, (unsigned long long)asked, (unsigned long long)made);
}

static uint64_t rate_of(struct nlattr **attributes, int wide, uint32_t narrow) {
        return attributes[wide] ? nla_get_u64(attributes[wide]) : narrow;
}

static void echo_tbf(struct shape_check *check, struct nlattr *options) {
        struct nlattr *attributes[TCA_TBF_MAX + 1];
        const struct tc_tbf_qopt *made;
        uint64_t rate;

        if (nla_parse_nested(attributes, TCA_TBF_MAX, options, NULL) < 0 ||
            !attributes[TCA_TBF_PARMS])
                return;
        made = nla_data(attributes[TCA_TBF_PARMS]);
        rate = rate_of(attributes, TCA_TBF_RATE64, made->rate.rate);
        check->seen_taps = 1;
        if (rate != check->shape->download_bytes_per_s)
                differs(check, "the download rate", check->shape->download_bytes_per_s, rate);
        if (made->limit < LIMIT_MIN)
                differs(check, "the download queue", LIMIT_MIN, made->limit);
}

static void echo_class(struct shape_check *check, struct nlattr *options) {
        struct nlattr *attributes[TCA_HTB_MAX + 1];
        const struct tc_htb_opt *made;
        uint64_t rate, ceil;

        if (nla_parse_nested(attributes, TCA_HTB_MAX, options, NULL) < 0 ||
            !attributes[TCA_HTB_PARMS])
                return;
        made = nla_data(attributes[TCA_HTB_PARMS]);
        rate = rate_of(attributes, TCA_HTB_RATE64, made->rate.rate);
        ceil = rate_of(attributes, TCA_HTB_CEIL64, made->ceil.rate);
        check->seen_upload = true;
        if (rate != check->shape->upload_rate_bytes_per_s)
                differs(check, "the upload rate", check->shape->upload_rate_bytes_per_s, rate);
        if (ceil != check->shape->upload_ceil_bytes_per_s)
                differs(check, "the upload ceil", check->shape->upload_ceil_bytes_per_s, ceil);
        /* A class whose parent is not there becomes a root class without complaint. */
        if (made->level != 0)
                differs(check, "the upload class's level", 0, made->level);
}

void shape_echo(void *userdata, const struct nlmsghdr *message) {
        struct shape_check *check = userdata;
        const struct tcmsg *header = nlmsg_data(message);
        uint32_t class = TC_H_MAKE((uint32_t)check->shape->major << 16, check->shape->minor);
        struct nlattr *attributes[TCA_MAX + 1];

        if (nlmsg_parse((struct nlmsghdr *)message, sizeof(*header), attributes, TCA_MAX, NULL) <
                    0 ||
            !attributes[TCA_OPTIONS])
                return;
        if (message->nlmsg_type == RTM_NEWQDISC && header->tcm_ifindex == check->shape->taps[0] &&
            header->tcm_handle == TBF_HANDLE)
                echo_tbf(check, attributes[TCA_OPTIONS]);
        if (message->nlmsg_type == RTM_NEWTCLASS &&
            header->tcm_ifindex == check->shape->ifb_ifindex && header->tcm_handle == class) {
                echo_class(check, attributes[TCA_OPTIONS]);
                if (header->tcm_parent !=
                    TC_H_MAKE((uint32_t)check->shape->major << 16, SHAPE_ROOT_MINOR))
                        differs(check, "the upload class's parent", SHAPE_ROOT_MINOR,
                                header->tcm_parent);
        }
}

int shape_confirmed(const struct shape_check *check) {
        if (check->result)
                return check->result;
        if (!check->seen_taps || !check->seen_upload)
                return why_set(check->why, SHAPE_E_DIFFERS,
                               "the kernel did not confirm the %s limit",
                               check->seen_taps ? "upload" : "download");
        return 0;
}
