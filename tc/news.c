/* SPDX-License-Identifier: MIT */
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stddef.h>
#include <sys/socket.h>

#include <tc/news.h>

bool news_subject(const struct nlmsghdr *message, uint16_t major, int *ifindexp, uint16_t *minorp) {
        const struct tcmsg *header = nlmsg_data(message);
        bool class = false;

        if (nlmsg_datalen(message) < (int)sizeof(*header))
                return false;
        switch (message->nlmsg_type) {
        case RTM_NEWTCLASS:
        case RTM_DELTCLASS:
                class = true;
                break;
        case RTM_NEWQDISC:
        case RTM_DELQDISC:
        case RTM_NEWTFILTER:
        case RTM_DELTFILTER:
        case RTM_NEWCHAIN:
        case RTM_DELCHAIN:
                break;
        case RTM_DELLINK: /* not the end of being a bridge's port */
                if (header->tcm_family != AF_UNSPEC)
                        return false;
                static_assert(offsetof(struct tcmsg, tcm_ifindex) ==
                                      offsetof(struct ifinfomsg, ifi_index),
                              "both kinds of header name the link at one place");
                break;
        default:
                return false;
        }
        *ifindexp = header->tcm_ifindex;
        *minorp = class && TC_H_MAJ(header->tcm_handle) == (uint32_t)major << 16
                          ? (uint16_t)TC_H_MIN(header->tcm_handle)
                          : 0;
        return true;
}

bool news_last_bytes(const struct nlmsghdr *message, uint64_t *downloadp, uint64_t *uploadp) {
        struct nlattr *attributes[IFLA_MAX + 1];
        struct rtnl_link_stats64 stats = {};

        if (message->nlmsg_type != RTM_DELLINK ||
            nlmsg_parse((struct nlmsghdr *)message, sizeof(struct ifinfomsg), attributes, IFLA_MAX,
                        NULL) < 0 ||
            !attributes[IFLA_STATS64] ||
            nla_memcpy(&stats, attributes[IFLA_STATS64], sizeof(stats)) <
                    (int)offsetof(struct rtnl_link_stats64, rx_errors))
                return false;
        *downloadp = stats.tx_bytes;
        *uploadp = stats.rx_bytes;
        return true;
}
