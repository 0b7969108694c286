/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_skbedit.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bench/bare.h>

#define BUFFER_SIZE 4096
#define MESSAGES_MAX 8
#define ANSWER_SIZE 512
#define TICK_NSEC 64

struct buffer {
        char bytes[BUFFER_SIZE] __attribute__((__aligned__(8)));
        size_t used;
        struct nlmsghdr *message; /* the last */
        unsigned n;
        const char *what[MESSAGES_MAX];
};

static void *reserve(struct buffer *buffer, size_t size) {
        void *at = buffer->bytes + buffer->used;

        buffer->used += NLMSG_ALIGN(size);
        if (buffer->used > sizeof(buffer->bytes))
                errx(1, "bare: the buffer is too small");
        memset(at, 0, NLMSG_ALIGN(size));
        if (buffer->message)
                buffer->message->nlmsg_len =
                        (uint32_t)(buffer->bytes + buffer->used - (char *)buffer->message);
        return at;
}

static void *begin(struct buffer *buffer, const char *what, uint16_t type, uint16_t flags,
                   size_t header) {
        struct nlmsghdr *message;

        buffer->message = NULL;
        message = reserve(buffer, sizeof(*message));
        buffer->message = message;
        buffer->what[buffer->n++] = what;
        message->nlmsg_type = type;
        message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message->nlmsg_seq = buffer->n;
        return reserve(buffer, header);
}

static struct rtattr *put(struct buffer *buffer, uint16_t type, const void *data, size_t size) {
        struct rtattr *attribute = reserve(buffer, RTA_LENGTH(size));

        attribute->rta_type = type;
        attribute->rta_len = (uint16_t)RTA_LENGTH(size);
        if (size)
                memcpy(RTA_DATA(attribute), data, size);
        return attribute;
}

static void put_text(struct buffer *buffer, uint16_t type, const char *text) {
        put(buffer, type, text, strlen(text) + 1);
}

static void put_u32(struct buffer *buffer, uint16_t type, uint32_t value) {
        put(buffer, type, &value, sizeof(value));
}

static void put_rate64(struct buffer *buffer, uint16_t type, uint64_t rate) {
        if (rate >= UINT32_MAX)
                put(buffer, type, &rate, sizeof(rate));
}

static void end(struct buffer *buffer, struct rtattr *nest) {
        nest->rta_len = (uint16_t)(buffer->bytes + buffer->used - (char *)nest);
}

static struct tcmsg *begin_tc(struct buffer *buffer, const char *what, uint16_t type, int ifindex,
                              uint32_t parent, uint32_t handle, const char *kind) {
        uint16_t flags = type == RTM_DELTCLASS ? 0 : NLM_F_CREATE | NLM_F_EXCL;
        struct tcmsg *header = begin(buffer, what, type, flags, sizeof(*header));

        header->tcm_ifindex = ifindex;
        header->tcm_parent = parent;
        header->tcm_handle = handle;
        if (kind)
                put_text(buffer, TCA_KIND, kind);
        return header;
}

static uint32_t rate32(uint64_t rate) {
        return rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
}

static uint32_t ticks(uint64_t bytes, uint64_t rate) {
        return (uint32_t)(bytes * 1000000000 / rate / TICK_NSEC);
}

static uint32_t class_of(const struct bare_plan *plan, uint16_t minor) {
        return (uint32_t)plan->major << 16 | minor;
}

static uint64_t most(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static void add_class(struct buffer *buffer, const struct bare_plan *plan) {
        struct tc_htb_opt options = {
                .rate = {.rate = rate32(plan->upload), .linklayer = TC_LINKLAYER_ETHERNET},
                .ceil = {.rate = rate32(plan->upload_ceil), .linklayer = TC_LINKLAYER_ETHERNET},
                .buffer = ticks(most(65536, plan->upload / 100), plan->upload),
                .cbuffer = ticks(most(65536, plan->upload_ceil / 100), plan->upload_ceil),
                .quantum = 60000,
        };
        struct rtattr *nest;

        begin_tc(buffer, "class", RTM_NEWTCLASS, plan->ifb, class_of(plan, 1),
                 class_of(plan, plan->minor), "htb");
        nest = put(buffer, TCA_OPTIONS, NULL, 0);
        put(buffer, TCA_HTB_PARMS, &options, sizeof(options));
        put_rate64(buffer, TCA_HTB_RATE64, plan->upload);
        put_rate64(buffer, TCA_HTB_CEIL64, plan->upload_ceil);
        end(buffer, nest);
}

static void add_leaf(struct buffer *buffer, int ifindex, uint32_t parent, uint32_t handle) {
        struct rtattr *nest;

        begin_tc(buffer, "leaf", RTM_NEWQDISC, ifindex, parent, handle, "fq_codel");
        nest = put(buffer, TCA_OPTIONS, NULL, 0);
        put_u32(buffer, TCA_FQ_CODEL_LIMIT, 1024);
        put_u32(buffer, TCA_FQ_CODEL_FLOWS, 256);
        end(buffer, nest);
}

static void add_tbf(struct buffer *buffer, const struct bare_plan *plan, int tap) {
        uint64_t bucket = most(131072, plan->download / 50);
        struct tc_tbf_qopt options = {
                .rate = {.rate = rate32(plan->download), .linklayer = TC_LINKLAYER_ETHERNET},
                .limit = (uint32_t)(100000 + bucket + plan->download / 20),
                .buffer = ticks(bucket, plan->download),
        };
        struct rtattr *nest;

        begin_tc(buffer, "tbf", RTM_NEWQDISC, tap, TC_H_ROOT, 1U << 16, "tbf");
        nest = put(buffer, TCA_OPTIONS, NULL, 0);
        put(buffer, TCA_TBF_PARMS, &options, sizeof(options));
        put_u32(buffer, TCA_TBF_BURST, (uint32_t)bucket);
        put_rate64(buffer, TCA_TBF_RATE64, plan->download);
        end(buffer, nest);
}

static void add_action(struct buffer *buffer, uint16_t number, const char *kind, uint16_t type,
                       const void *parameters, size_t size, uint32_t priority) {
        struct rtattr *action = put(buffer, number, NULL, 0), *nest;

        put_text(buffer, TCA_ACT_KIND, kind);
        nest = put(buffer, TCA_ACT_OPTIONS, NULL, 0);
        put(buffer, type, parameters, size);
        if (priority)
                put_u32(buffer, TCA_SKBEDIT_PRIORITY, priority);
        end(buffer, nest);
        end(buffer, action);
}

static void add_filter(struct buffer *buffer, const struct bare_plan *plan, int tap) {
        struct tc_skbedit edit = {.action = TC_ACT_PIPE};
        struct tc_mirred redirect = {
                .action = TC_ACT_STOLEN,
                .eaction = TCA_EGRESS_REDIR,
                .ifindex = (uint32_t)plan->ifb,
        };
        struct rtattr *nest, *actions;
        struct tcmsg *header;

        header = begin_tc(buffer, "filter", RTM_NEWTFILTER, tap,
                          TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), 0, "matchall");
        header->tcm_info = 1U << 16 | htons(ETH_P_ALL);
        nest = put(buffer, TCA_OPTIONS, NULL, 0);
        actions = put(buffer, TCA_MATCHALL_ACT, NULL, 0);
        add_action(buffer, 1, "skbedit", TCA_SKBEDIT_PARMS, &edit, sizeof(edit),
                   class_of(plan, plan->minor));
        add_action(buffer, 2, "mirred", TCA_MIRRED_PARMS, &redirect, sizeof(redirect), 0);
        end(buffer, actions);
        end(buffer, nest);
}

static void add_link(struct buffer *buffer, const struct bare_plan *plan, int tap) {
        struct ifinfomsg *header = begin(buffer, "link", RTM_SETLINK, 0, sizeof(*header));

        header->ifi_index = tap;
        header->ifi_flags = header->ifi_change = IFF_UP;
        put(buffer, IFLA_IFALIAS, plan->alias, strlen(plan->alias));
        put(buffer, IFLA_ADDRESS, plan->mac, sizeof(plan->mac));
        put_u32(buffer, IFLA_MASTER, (uint32_t)plan->bridge);
        if (plan->group)
                put_u32(buffer, IFLA_GROUP, plan->group);
}

/* rtnetlink has worked everything off when sendmsg returns: the answers are all there. */
static unsigned commit(int fd, struct buffer *buffer) {
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        struct iovec whole = {buffer->bytes, buffer->used}, parts[MESSAGES_MAX];
        struct msghdr header = {&kernel, sizeof(kernel), &whole, 1, NULL, 0, 0};
        static char answers[MESSAGES_MAX][ANSWER_SIZE] __attribute__((__aligned__(8)));
        struct mmsghdr received[MESSAGES_MAX] = {};
        int n;

        if (sendmsg(fd, &header, 0) < 0)
                err(1, "bare: sendmsg");
        for (unsigned i = 0; i < buffer->n; i++) {
                parts[i] = (struct iovec){answers[i], ANSWER_SIZE};
                received[i].msg_hdr.msg_iov = &parts[i];
                received[i].msg_hdr.msg_iovlen = 1;
        }
        n = recvmmsg(fd, received, buffer->n, MSG_DONTWAIT, NULL);
        if (n != (int)buffer->n)
                err(1, "bare: %d answers to %u messages", n, buffer->n);
        for (unsigned i = 0; i < buffer->n; i++) {
                struct nlmsghdr *answer = (struct nlmsghdr *)answers[i];
                struct nlmsgerr *error = NLMSG_DATA(answer);

                if (answer->nlmsg_type != NLMSG_ERROR || answer->nlmsg_seq != i + 1)
                        errx(1, "bare: an answer out of turn");
                if (error->error)
                        errx(1, "bare: %s: %s", buffer->what[i], strerror(-error->error));
        }
        return buffer->n;
}

int bare_open(void) {
        struct sockaddr_nl address = {.nl_family = AF_NETLINK};
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), one = 1;

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                err(1, "bare: netlink");
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        return fd;
}

unsigned bare_setup(int netlink_fd, const struct bare_plan *plan, struct bare_tap *tap) {
        struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
        struct buffer buffer;

        strncpy(request.ifr_name, plan->name, sizeof(request.ifr_name) - 1);
        tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (tap->fd < 0 || ioctl(tap->fd, TUNSETIFF, &request) < 0)
                err(1, "bare: tap %s", plan->name);
        if (ioctl(tap->fd, TUNSETOWNER, (unsigned long)plan->owner) < 0)
                err(1, "bare: TUNSETOWNER");
        if (ioctl(netlink_fd, SIOCGIFINDEX, &request) < 0)
                err(1, "bare: SIOCGIFINDEX");
        tap->ifindex = request.ifr_ifindex;

        buffer.used = 0;
        buffer.n = 0;
        add_class(&buffer, plan);
        add_leaf(&buffer, plan->ifb, class_of(plan, plan->minor), (uint32_t)plan->minor << 16);
        add_tbf(&buffer, plan, tap->ifindex);
        add_leaf(&buffer, tap->ifindex, TC_H_MAKE(1U << 16, 1), 2U << 16);
        begin_tc(&buffer, "clsact", RTM_NEWQDISC, tap->ifindex, TC_H_CLSACT,
                 TC_H_MAKE(TC_H_CLSACT, 0), "clsact");
        add_filter(&buffer, plan, tap->ifindex);
        add_link(&buffer, plan, tap->ifindex);
        return commit(netlink_fd, &buffer);
}

unsigned bare_teardown(int netlink_fd, const struct bare_plan *plan) {
        struct buffer buffer;

        buffer.used = 0;
        buffer.n = 0;
        begin_tc(&buffer, "removal", RTM_DELTCLASS, plan->ifb, 0, class_of(plan, plan->minor),
                 NULL);
        return commit(netlink_fd, &buffer);
}
