/* SPDX-License-Identifier: MIT */
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_skbedit.h>
#include <netlink/attr.h>
#include <string.h>

#include <tc/qdisc.h>

#define QUANTUM_MIN 1514
#define QUANTUM_MAX 60000
#define BURST_MIN UINT64_C(65536)
#define CODEL_LIMIT_PACKETS 1024
/* Of 64 bytes each: the kernel's 1024 would be 136 KiB for a VM's two queues. One flow of a VM
 * meets one of its ten full ones in 4 % of all cases. */
#define CODEL_FLOWS 256

uint32_t qdisc_ticks(uint64_t bytes, uint64_t rate_bytes_per_s) {
        unsigned __int128 value = (unsigned __int128)bytes * 1000000000 / rate_bytes_per_s / 64;

        return value > UINT32_MAX ? UINT32_MAX : value < 1 ? 1 : (uint32_t)value;
}

static uint32_t rate32(uint64_t rate) {
        return rate >= UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

static struct nl_msg *begin(struct batch *batch, int type, int flags, const char *what, int ifindex,
                            uint32_t parent, uint32_t handle, uint32_t info) {
        struct tcmsg header = {
                .tcm_family = AF_UNSPEC,
                .tcm_ifindex = ifindex,
                .tcm_parent = parent,
                .tcm_handle = handle,
                .tcm_info = info,
        };
        struct nl_msg *message;

        message = batch_add(batch, type, flags, what);
        if (message)
                nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
        return message;
}

static struct nl_msg *begin_kind(struct batch *batch, int type, int flags, const char *what,
                                 int ifindex, uint32_t parent, uint32_t handle, const char *kind) {
        struct nl_msg *message;

        message = begin(batch, type, flags, what, ifindex, parent, handle, 0);
        if (message)
                nla_put_string(message, TCA_KIND, kind);
        return message;
}

void qdisc_add_tbf(struct batch *batch, int ifindex, int flags, uint64_t rate, uint32_t bucket,
                   uint32_t limit) {
        struct tc_tbf_qopt options = {
                .rate = {.rate = rate32(rate), .linklayer = TC_LINKLAYER_ETHERNET},
                .limit = limit,
                .buffer = qdisc_ticks(bucket, rate),
        };
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin_kind(batch, RTM_NEWQDISC, flags | NLM_F_ECHO, "the download limit", ifindex,
                             TC_H_ROOT, QDISC_TBF_HANDLE, "tbf");
        if (!message)
                return;
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put(message, TCA_TBF_PARMS, sizeof(options), &options);
        nla_put_u32(message, TCA_TBF_BURST, bucket);
        if (rate >= UINT32_MAX)
                nla_put_u64(message, TCA_TBF_RATE64, rate);
        nla_nest_end(message, nest);
}

void qdisc_add_htb(struct batch *batch, int ifindex, uint32_t handle, uint16_t stray_minor) {
        struct tc_htb_glob options = {.version = 3, .rate2quantum = 10, .defcls = stray_minor};
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin_kind(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, "the uplink's shaper",
                             ifindex, TC_H_ROOT, handle, "htb");
        if (!message)
                return;
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put(message, TCA_HTB_INIT, sizeof(options), &options);
        nla_nest_end(message, nest);
}

void qdisc_add_class(struct batch *batch, int ifindex, int flags, uint32_t parent, uint32_t class,
                     uint64_t rate, uint64_t ceil, const char *what) {
        uint64_t quantum = rate / 100;
        struct tc_htb_opt options = {
                .rate = {.rate = rate32(rate), .linklayer = TC_LINKLAYER_ETHERNET},
                .ceil = {.rate = rate32(ceil), .linklayer = TC_LINKLAYER_ETHERNET},
                .buffer = qdisc_ticks(max_u64(BURST_MIN, rate / 100), rate),
                .cbuffer = qdisc_ticks(max_u64(BURST_MIN, ceil / 100), ceil),
                .quantum = quantum < QUANTUM_MIN   ? QUANTUM_MIN
                           : quantum > QUANTUM_MAX ? QUANTUM_MAX
                                                   : (uint32_t)quantum,
        };
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin_kind(batch, RTM_NEWTCLASS, flags | NLM_F_ECHO, what, ifindex, parent, class,
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

void qdisc_add_leaf(struct batch *batch, int ifindex, int flags, uint32_t class, uint32_t handle,
                    uint32_t fifo_bytes, const char *what) {
        struct tc_fifo_qopt fifo = {.limit = fifo_bytes};
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin_kind(batch, RTM_NEWQDISC, flags, what, ifindex, class, handle,
                             fifo_bytes ? "bfifo" : "fq_codel");
        if (!message)
                return;
        if (fifo_bytes) {
                nla_put(message, TCA_OPTIONS, sizeof(fifo), &fifo);
                return;
        }
        nest = nla_nest_start(message, TCA_OPTIONS);
        nla_put_u32(message, TCA_FQ_CODEL_LIMIT, CODEL_LIMIT_PACKETS);
        nla_put_u32(message, TCA_FQ_CODEL_FLOWS, CODEL_FLOWS);
        nla_nest_end(message, nest);
}

void qdisc_add_clsact(struct batch *batch, int ifindex, int flags) {
        begin_kind(batch, RTM_NEWQDISC, flags, "the hook for filters", ifindex, TC_H_CLSACT,
                   TC_H_MAKE(TC_H_CLSACT, 0), "clsact");
}

static struct nlattr *begin_action(struct nl_msg *message, int order, const char *kind,
                                   struct nlattr **actionp) {
        *actionp = nla_nest_start(message, order);
        nla_put_string(message, TCA_ACT_KIND, kind);
        return nla_nest_start(message, TCA_ACT_OPTIONS);
}

static void put_skbedit(struct nl_msg *message, uint32_t priority) {
        struct tc_skbedit options = {.action = TC_ACT_PIPE};
        struct nlattr *action, *nest = begin_action(message, 1, "skbedit", &action);

        nla_put(message, TCA_SKBEDIT_PARMS, sizeof(options), &options);
        nla_put_u32(message, TCA_SKBEDIT_PRIORITY, priority);
        nla_nest_end(message, nest);
        nla_nest_end(message, action);
}

static void put_mirred(struct nl_msg *message, int ifindex) {
        struct tc_mirred options = {
                .action = TC_ACT_STOLEN,
                .eaction = TCA_EGRESS_REDIR,
                .ifindex = (uint32_t)ifindex,
        };
        struct nlattr *action, *nest = begin_action(message, 2, "mirred", &action);

        nla_put(message, TCA_MIRRED_PARMS, sizeof(options), &options);
        nla_nest_end(message, nest);
        nla_nest_end(message, action);
}

/* Preference 1, all protocols: the first filter that a frame meets. */
static const uint32_t filter_info = TC_H_MAKE(1U << 16, __builtin_bswap16(ETH_P_ALL));

void qdisc_add_redirect(struct batch *batch, int ifindex, uint32_t hook, uint32_t class,
                        int to_ifindex) {
        struct nlattr *nest, *actions;
        struct nl_msg *message;

        message = begin(batch, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                        hook == QDISC_INGRESS ? "the redirect of uploads"
                                              : "the redirect of downloads",
                        ifindex, hook, 0, filter_info);
        if (!message)
                return;
        nla_put_string(message, TCA_KIND, "matchall");
        nest = nla_nest_start(message, TCA_OPTIONS);
        actions = nla_nest_start(message, TCA_MATCHALL_ACT);
        put_skbedit(message, class);
        put_mirred(message, to_ifindex);
        nla_nest_end(message, actions);
        nla_nest_end(message, nest);
}

void qdisc_add_plain(struct batch *batch, int type, int ifindex, uint32_t parent, uint32_t handle,
                     const char *what) {
        bool filter = type == RTM_GETTFILTER || type == RTM_DELTFILTER;
        bool get = type == RTM_GETQDISC || type == RTM_GETTCLASS || type == RTM_GETTFILTER;

        begin(batch, type, get && !filter ? NLM_F_ECHO : 0, what, ifindex, parent, handle,
              filter ? filter_info : 0);
}

static uint64_t rate_of(struct nlattr **attributes, int wide, uint32_t narrow) {
        return attributes[wide] ? nla_get_u64(attributes[wide]) : narrow;
}

static void parse_tbf(struct qdisc_seen *seen, struct nlattr *options) {
        struct nlattr *attributes[TCA_TBF_MAX + 1];
        const struct tc_tbf_qopt *made;

        if (nla_parse_nested(attributes, TCA_TBF_MAX, options, NULL) < 0 ||
            !attributes[TCA_TBF_PARMS])
                return;
        made = nla_data(attributes[TCA_TBF_PARMS]);
        seen->tbf = true;
        seen->rate_bytes_per_s = rate_of(attributes, TCA_TBF_RATE64, made->rate.rate);
        seen->buffer_ticks = made->buffer;
        seen->limit_bytes = made->limit;
}

static void parse_class(struct qdisc_seen *seen, struct nlattr *options) {
        struct nlattr *attributes[TCA_HTB_MAX + 1];
        const struct tc_htb_opt *made;

        if (nla_parse_nested(attributes, TCA_HTB_MAX, options, NULL) < 0 ||
            !attributes[TCA_HTB_PARMS])
                return;
        made = nla_data(attributes[TCA_HTB_PARMS]);
        seen->htb_class = true;
        seen->rate_bytes_per_s = rate_of(attributes, TCA_HTB_RATE64, made->rate.rate);
        seen->ceil_bytes_per_s = rate_of(attributes, TCA_HTB_CEIL64, made->ceil.rate);
        seen->level = made->level;
}

/* The options of action @order if it is of @kind, and nothing else. */
static bool parse_action(struct nlattr *action, const char *kind, int max,
                         struct nlattr **attributes) {
        struct nlattr *parts[TCA_ACT_MAX + 1];

        return action && nla_parse_nested(parts, TCA_ACT_MAX, action, NULL) == 0 &&
               parts[TCA_ACT_KIND] && nla_strcmp(parts[TCA_ACT_KIND], kind) == 0 &&
               parts[TCA_ACT_OPTIONS] &&
               nla_parse_nested(attributes, max, parts[TCA_ACT_OPTIONS], NULL) == 0;
}

/* Only what does exactly what ours does counts as one. */
static void parse_matchall(struct qdisc_seen *seen, struct nlattr *options) {
        struct nlattr *parts[TCA_MATCHALL_MAX + 1], *actions[TCA_ACT_MAX_PRIO + 1];
        struct nlattr *edit[TCA_SKBEDIT_MAX + 1], *mirred[TCA_MIRRED_MAX + 1];
        const struct tc_skbedit *edits;
        const struct tc_mirred *redirects;

        if (nla_parse_nested(parts, TCA_MATCHALL_MAX, options, NULL) < 0 ||
            !parts[TCA_MATCHALL_ACT] ||
            nla_parse_nested(actions, TCA_ACT_MAX_PRIO, parts[TCA_MATCHALL_ACT], NULL) < 0 ||
            !parse_action(actions[1], "skbedit", TCA_SKBEDIT_MAX, edit) ||
            !parse_action(actions[2], "mirred", TCA_MIRRED_MAX, mirred) ||
            !edit[TCA_SKBEDIT_PARMS] || !edit[TCA_SKBEDIT_PRIORITY] || !mirred[TCA_MIRRED_PARMS])
                return;
        edits = nla_data(edit[TCA_SKBEDIT_PARMS]);
        redirects = nla_data(mirred[TCA_MIRRED_PARMS]);
        if (edits->action != TC_ACT_PIPE || redirects->eaction != TCA_EGRESS_REDIR)
                return;
        seen->redirect = true;
        seen->class = nla_get_u32(edit[TCA_SKBEDIT_PRIORITY]);
        seen->to_ifindex = (int)redirects->ifindex;
}

static void parse_count(struct qdisc_count *count, struct nlattr *stats) {
        struct nlattr *parts[TCA_STATS_MAX + 1];

        if (!stats || nla_parse_nested(parts, TCA_STATS_MAX, stats, NULL) < 0)
                return;
        if (parts[TCA_STATS_BASIC]) {
                struct gnet_stats_basic basic = {};

                nla_memcpy(&basic, parts[TCA_STATS_BASIC], sizeof(basic));
                count->bytes = basic.bytes;
                count->packets = parts[TCA_STATS_PKT64] ? nla_get_u64(parts[TCA_STATS_PKT64])
                                                        : basic.packets;
        }
        if (parts[TCA_STATS_QUEUE]) {
                struct gnet_stats_queue queue = {};

                nla_memcpy(&queue, parts[TCA_STATS_QUEUE], sizeof(queue));
                count->drops = queue.drops;
                count->overlimits = queue.overlimits;
                count->backlog_bytes = queue.backlog;
                count->backlog_packets = queue.qlen;
        }
}

bool qdisc_parse(const struct nlmsghdr *message, struct qdisc_seen *seen) {
        const struct tcmsg *header = nlmsg_data(message);
        struct nlattr *attributes[TCA_MAX + 1], *options;

        if ((message->nlmsg_type != RTM_NEWQDISC && message->nlmsg_type != RTM_NEWTCLASS &&
             message->nlmsg_type != RTM_NEWTFILTER) ||
            nlmsg_parse((struct nlmsghdr *)message, sizeof(*header), attributes, TCA_MAX, NULL) < 0)
                return false;
        *seen = (struct qdisc_seen){
                .ifindex = header->tcm_ifindex,
                .parent = header->tcm_parent,
                .handle = header->tcm_handle,
        };
        if (attributes[TCA_KIND])
                nla_strlcpy(seen->kind, attributes[TCA_KIND], sizeof(seen->kind));
        parse_count(&seen->count, attributes[TCA_STATS2]);
        options = attributes[TCA_OPTIONS];
        if (!options)
                return true;
        if (message->nlmsg_type == RTM_NEWQDISC && strcmp(seen->kind, "tbf") == 0)
                parse_tbf(seen, options);
        if (message->nlmsg_type == RTM_NEWTCLASS && strcmp(seen->kind, "htb") == 0)
                parse_class(seen, options);
        if (message->nlmsg_type == RTM_NEWTFILTER && strcmp(seen->kind, "matchall") == 0)
                parse_matchall(seen, options);
        return true;
}
