/* SPDX-License-Identifier: MIT */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <base/why.h>
#include <tc/traffic.h>

struct links {
        void (*fn)(void *userdata, const struct traffic_link *link);
        void *userdata;
};

static void take_link(void *userdata, const struct nlmsghdr *message) {
        const struct if_stats_msg *header = nlmsg_data(message);
        struct nlattr *attributes[IFLA_STATS_MAX + 1];
        struct rtnl_link_stats64 stats = {};
        const struct links *links = userdata;
        struct traffic_link link;

        if (message->nlmsg_type != RTM_NEWSTATS ||
            nlmsg_parse((struct nlmsghdr *)message, sizeof(*header), attributes, IFLA_STATS_MAX,
                        NULL) < 0 ||
            !attributes[IFLA_STATS_LINK_64])
                return;
        nla_memcpy(&stats, attributes[IFLA_STATS_LINK_64], sizeof(stats));
        link = (struct traffic_link){
                .ifindex = (int)header->ifindex,
                .received = {.bytes = stats.rx_bytes,
                             .packets = stats.rx_packets,
                             .drops = stats.rx_dropped},
                .sent = {.bytes = stats.tx_bytes,
                         .packets = stats.tx_packets,
                         .drops = stats.tx_dropped},
        };
        links->fn(links->userdata, &link);
}

int traffic_each_link(struct netlink *netlink,
                      void (*fn)(void *userdata, const struct traffic_link *link), void *userdata,
                      struct why *why) {
        struct if_stats_msg header = {.family = AF_UNSPEC,
                                      .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)};
        struct links links = {.fn = fn, .userdata = userdata};
        int r = NETLINK_E_LOST;

        for (unsigned i = 0; i < TRAFFIC_TRIES && r == NETLINK_E_LOST; i++) {
                struct nl_msg *message = netlink_request(RTM_GETSTATS);

                if (message)
                        nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
                r = netlink_dump(netlink, message, take_link, &links, why);
        }
        return r;
}

struct queues {
        void (*fn)(void *userdata, const struct qdisc_seen *queue);
        void *userdata;
};

static void take_queue(void *userdata, const struct nlmsghdr *message) {
        const struct queues *queues = userdata;
        struct qdisc_seen seen;

        if (message->nlmsg_type == RTM_NEWQDISC && qdisc_parse(message, &seen))
                queues->fn(queues->userdata, &seen);
}

int traffic_each_queue(struct netlink *netlink,
                       void (*fn)(void *userdata, const struct qdisc_seen *queue), void *userdata,
                       struct why *why) {
        struct tcmsg header = {.tcm_family = AF_UNSPEC};
        struct queues queues = {.fn = fn, .userdata = userdata};
        int r = NETLINK_E_LOST;

        for (unsigned i = 0; i < TRAFFIC_TRIES && r == NETLINK_E_LOST; i++) {
                struct nl_msg *message = netlink_request(RTM_GETQDISC);

                if (message)
                        nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
                r = netlink_dump(netlink, message, take_queue, &queues, why);
        }
        return r;
}
