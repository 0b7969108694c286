/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <tc/link.h>

static int find_index(const char *name, int *ifindexp) {
        *ifindexp = (int)if_nametoindex(name);
        return *ifindexp > 0 ? 0 : errno;
}

int link_open_tap(const char *name, bool multi_queue, uid_t owner, int *fdp, int *ifindexp,
                  struct why *why) {
        struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (multi_queue)
                request.ifr_flags |= IFF_MULTI_QUEUE;
        if (!text_copy(request.ifr_name, sizeof(request.ifr_name), name))
                return why_set(why, NETLINK_E_KERNEL, "the link name '%s' is too long", name);
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot open /dev/net/tun");
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                return why_errno(why, errno == EBUSY ? NETLINK_E_EXISTS : NETLINK_E_KERNEL, errno,
                                 "cannot make the tap '%s'", name);
        /* Asked of the descriptor's own namespace, by the name the kernel has just given it. */
        r = find_index(request.ifr_name, ifindexp);
        if (r)
                return why_errno(why, NETLINK_E_GONE, r, "the tap '%s' vanished", name);
        *fdp = take_fd(fd);
        return 0;
}

void link_tap_name(char name[IF_NAMESIZE], const char *lease_id, unsigned number) {
        /* 2 + 11 + 2 fill IFNAMSIZ - 1: 55 bits of the id are plenty for the ports of one host. */
        snprintf(name, IF_NAMESIZE, "pv%.11s%02u", lease_id, number % 100);
}

void link_mac(unsigned char mac[6], const char *vm_name, unsigned number) {
        uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

        for (const char *at = vm_name; *at; at++)
                hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
        hash = (hash ^ (number + 1)) * UINT64_C(1099511628211);
        hash ^= hash >> 29;
        for (size_t i = 0; i < 6; i++)
                mac[i] = (unsigned char)(hash >> (8 * i));
        mac[0] = (unsigned char)((mac[0] & 0xfc) | 0x02);
}

static struct nl_msg *begin(struct batch *batch, int type, int flags, const char *what, int family,
                            int ifindex, unsigned set, unsigned change) {
        struct ifinfomsg header = {
                .ifi_family = (unsigned char)family,
                .ifi_index = ifindex,
                .ifi_flags = set,
                .ifi_change = change,
        };
        struct nl_msg *message;

        message = batch_add(batch, type, flags, what);
        if (message)
                nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
        return message;
}

void link_add_create(struct batch *batch, const char *name, const char *kind) {
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "a new link", AF_UNSPEC, 0,
                        0, 0);
        if (!message)
                return;
        nla_put_string(message, IFLA_IFNAME, name);
        nest = nla_nest_start(message, IFLA_LINKINFO);
        nla_put_string(message, IFLA_INFO_KIND, kind);
        nla_nest_end(message, nest);
}

void link_add_alias(struct batch *batch, int ifindex, const char *alias) {
        struct nl_msg *message;

        message = begin(batch, RTM_SETLINK, 0, "the link's alias", AF_UNSPEC, ifindex, 0, 0);
        if (message)
                nla_put(message, IFLA_IFALIAS, (int)strlen(alias), alias);
}

void link_add_up(struct batch *batch, int ifindex) {
        begin(batch, RTM_SETLINK, 0, "the link going up", AF_UNSPEC, ifindex, IFF_UP, IFF_UP);
}

void link_add_port(struct batch *batch, int ifindex, int master, bool isolated) {
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_SETLINK, 0, "the place in the bridge", AF_UNSPEC, ifindex, 0, 0);
        if (message)
                nla_put_u32(message, IFLA_MASTER, (uint32_t)master);
        /* Before it is up, so that no frame ever passes a wall that is not there yet. */
        if (isolated) {
                message = begin(batch, RTM_SETLINK, 0, "the port's isolation", AF_BRIDGE, ifindex,
                                0, 0);
                if (message) {
                        nest = nla_nest_start(message, IFLA_PROTINFO);
                        nla_put_u8(message, IFLA_BRPORT_ISOLATED, 1);
                        nla_nest_end(message, nest);
                        nest->nla_type |= NLA_F_NESTED;
                }
        }
        link_add_up(batch, ifindex);
}

void link_add_removal(struct batch *batch, int ifindex) {
        begin(batch, RTM_DELLINK, 0, "the link's removal", AF_UNSPEC, ifindex, 0, 0);
}

static bool parse_link(const struct nlmsghdr *message, struct link *link) {
        const struct ifinfomsg *header = nlmsg_data(message);
        struct nlattr *attributes[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];

        if (message->nlmsg_type != RTM_NEWLINK ||
            nlmsg_parse((struct nlmsghdr *)message, sizeof(*header), attributes, IFLA_MAX, NULL) <
                    0 ||
            !attributes[IFLA_IFNAME])
                return false;
        *link = (struct link){.ifindex = header->ifi_index, .up = header->ifi_flags & IFF_UP};
        nla_strlcpy(link->name, attributes[IFLA_IFNAME], sizeof(link->name));
        if (attributes[IFLA_IFALIAS])
                nla_strlcpy(link->alias, attributes[IFLA_IFALIAS], sizeof(link->alias));
        if (attributes[IFLA_MASTER])
                link->master = (int)nla_get_u32(attributes[IFLA_MASTER]);
        if (attributes[IFLA_LINKINFO] &&
            nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], NULL) == 0 &&
            info[IFLA_INFO_KIND])
                nla_strlcpy(link->kind, info[IFLA_INFO_KIND], sizeof(link->kind));
        return true;
}

struct found {
        struct link *link;
        bool seen;
};

static void take_link(void *userdata, const struct nlmsghdr *message) {
        struct found *found = userdata;

        if (parse_link(message, found->link))
                found->seen = true;
}

int link_get(struct netlink *netlink, const char *name, int ifindex, struct link *link,
             struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct found found = {.link = link};
        struct nl_msg *message;
        int r;

        message = begin(&batch, RTM_GETLINK, 0, "a look at the link", AF_UNSPEC, name ? 0 : ifindex,
                        0, 0);
        if (message && name)
                nla_put_string(message, IFLA_IFNAME, name);
        r = netlink_commit(netlink, &batch, take_link, &found, NULL, why);
        if (r)
                return r;
        return found.seen ? 0
                          : why_set(why, NETLINK_E_KERNEL, "the kernel did not describe the link");
}

struct each {
        void (*fn)(void *userdata, const struct link *link);
        void *userdata;
};

static void take_marked(void *userdata, const struct nlmsghdr *message) {
        struct each *each = userdata;
        struct link link;

        if (parse_link(message, &link) && strncmp(link.alias, LINK_MARK, strlen(LINK_MARK)) == 0)
                each->fn(each->userdata, &link);
}

int link_each_marked(struct netlink *netlink, const char *prefix,
                     void (*fn)(void *userdata, const struct link *link), void *userdata,
                     struct why *why) {
        struct if_nameindex *names;
        struct each each = {.fn = fn, .userdata = userdata};
        int r = 0;

        /* One look a link: a dump that is interrupted by a change would have to be begun again. */
        names = if_nameindex();
        if (!names)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot list the links");
        for (size_t i = 0; r == 0 && names[i].if_index; i++) {
                _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;

                begin(&batch, RTM_GETLINK, 0, "a look at a link", AF_UNSPEC, (int)names[i].if_index,
                      0, 0);
                r = netlink_commit(netlink, &batch, take_marked, &each, NULL, why);
                if (r == NETLINK_E_GONE)
                        r = 0; /* it went while we looked */
        }
        if_freenameindex(names);
        return r;
}
