/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
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

#define TRIES 8

static int attach(const char *dev_dir, const char *name, int flags, int *fdp, struct why *why) {
        struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
        _cleanup_(fd_closep) int fd = -1;
        char path[256];

        if (!text_copy(request.ifr_name, sizeof(request.ifr_name), name))
                return why_set(why, NETLINK_E_KERNEL, "the link name '%s' is too long", name);
        snprintf(path, sizeof(path), "%s/net/tun", dev_dir);
        fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot open /dev/net/tun");
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                return why_errno(why,
                                 errno == EBUSY   ? NETLINK_E_EXISTS
                                 : errno == E2BIG ? NETLINK_E_FULL
                                                  : NETLINK_E_KERNEL,
                                 errno, "cannot open the tap '%s'", name);
        *fdp = take_fd(fd);
        return 0;
}

/* Any socket answers this; the session's own saves a launch two calls. 0: there is none. */
static int find_ifindex(const struct netlink *netlink, const char *name) {
        struct ifreq request = {};

        if (!netlink)
                return (int)if_nametoindex(name);
        strcpy(request.ifr_name, name);
        return ioctl(netlink->fd, SIOCGIFINDEX, &request) < 0 ? 0 : request.ifr_ifindex;
}

int link_open_tap(const struct netlink *netlink, const char *dev_dir, const char *name,
                  bool multi_queue, uid_t owner, int *fdp, int *ifindexp, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        int ifindex, r;

        r = attach(dev_dir, name, IFF_TUN_EXCL | (multi_queue ? IFF_MULTI_QUEUE : 0), &fd, why);
        if (r)
                return r;
        if (owner != LINK_NO_OWNER && ioctl(fd, TUNSETOWNER, (unsigned long)owner) < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot give the tap '%s' to uid %u",
                                 name, owner);
        ifindex = find_ifindex(netlink, name);
        if (ifindex == 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "the tap '%s' vanished", name);
        *fdp = take_fd(fd);
        *ifindexp = ifindex;
        return 0;
}

int link_open_queue(const char *dev_dir, const char *name, int *fdp, struct why *why) {
        return attach(dev_dir, name, IFF_MULTI_QUEUE, fdp, why);
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

void link_mac_host(unsigned char host[6], const unsigned char guest[6]) {
        memcpy(host, guest, 6);
        host[0] = 0xfe;
}

static struct nl_msg *begin(struct batch *batch, int type, int flags, const char *what, int family,
                            int ifindex, unsigned set) {
        struct ifinfomsg header = {
                .ifi_family = (unsigned char)family,
                .ifi_index = ifindex,
                .ifi_flags = set,
                .ifi_change = set,
        };
        struct nl_msg *message;

        message = batch_add(batch, type, flags, what);
        if (message)
                nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
        return message;
}

static void put_alias(struct nl_msg *message, const char *alias) {
        nla_put(message, IFLA_IFALIAS, (int)strlen(alias), alias);
}

/* The kernel takes no alias with a new link: the second message of the same sendmsg has it. */
static void add_link(struct batch *batch, const char *what, const char *name, const char *kind,
                     const unsigned char *mac, const char *alias) {
        struct nl_msg *message;
        struct nlattr *nest;

        message = begin(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, what, AF_UNSPEC, 0, 0);
        if (message) {
                nla_put_string(message, IFLA_IFNAME, name);
                if (mac)
                        nla_put(message, IFLA_ADDRESS, 6, mac);
                nest = nla_nest_start(message, IFLA_LINKINFO);
                nla_put_string(message, IFLA_INFO_KIND, kind);
                nla_nest_end(message, nest);
        }
        message = begin(batch, RTM_SETLINK, 0, "the mark of the new link", AF_UNSPEC, 0, 0);
        if (message) {
                nla_put_string(message, IFLA_IFNAME, name);
                put_alias(message, alias);
        }
}

void link_add_bridge(struct batch *batch, const char *name, const char *alias) {
        unsigned char mac[6];

        /* With an address of its own it keeps it whichever ports come and go: guests know their
         * gateway by it, and after a restart of the host, too. */
        link_mac(mac, name, 0);
        add_link(batch, "a new bridge", name, "bridge", mac, alias);
}

void link_add_ifb(struct batch *batch, const char *name, const char *alias) {
        add_link(batch, "a new IFB", name, "ifb", NULL, alias);
}

void link_add_alias(struct batch *batch, int ifindex, const char *alias) {
        struct nl_msg *message;

        message = begin(batch, RTM_SETLINK, 0, "the link's alias", AF_UNSPEC, ifindex, 0);
        if (message)
                put_alias(message, alias);
}

void link_add_master(struct batch *batch, int ifindex, int master) {
        struct nl_msg *message;

        message = begin(batch, RTM_SETLINK, 0, "the place in the bridge", AF_UNSPEC, ifindex, 0);
        if (message)
                nla_put_u32(message, IFLA_MASTER, (uint32_t)master);
}

void link_add_up(struct batch *batch, int ifindex) {
        begin(batch, RTM_SETLINK, 0, "the link going up", AF_UNSPEC, ifindex, IFF_UP);
}

void link_add_up_by_name(struct batch *batch, const char *name) {
        struct nl_msg *message;

        message = begin(batch, RTM_SETLINK, 0, "the link going up", AF_UNSPEC, 0, IFF_UP);
        if (message)
                nla_put_string(message, IFLA_IFNAME, name);
}

/* The port's settings are the bridge's, so they come after the master; and the kernel applies them
 * before the flags of the same message. */
static void add_isolated_up(struct batch *batch, int ifindex) {
        struct nlattr *info, *port;
        struct nl_msg *message;

        message = begin(batch, RTM_NEWLINK, 0, "the port's isolation", AF_UNSPEC, ifindex, IFF_UP);
        if (!message)
                return;
        info = nla_nest_start(message, IFLA_LINKINFO);
        nla_put_string(message, IFLA_INFO_SLAVE_KIND, "bridge");
        port = nla_nest_start(message, IFLA_INFO_SLAVE_DATA);
        nla_put_u8(message, IFLA_BRPORT_ISOLATED, 1);
        nla_nest_end(message, port);
        nla_nest_end(message, info);
}

void link_add_tap(struct batch *batch, int ifindex, const char *alias, const unsigned char mac[6],
                  const struct link *bridge, bool isolated) {
        struct nl_msg *message;

        /* In one message; the kernel's order is address, MTU, alias, master, flags. A port with a
         * smaller MTU than the bridge's would drop what the others send it, or lower the bridge's.
         */
        message = begin(batch, RTM_SETLINK, 0, "the tap's place in the bridge", AF_UNSPEC, ifindex,
                        isolated ? 0 : IFF_UP);
        if (message) {
                nla_put(message, IFLA_ADDRESS, 6, mac);
                put_alias(message, alias);
                if (bridge->mtu > 0 && bridge->mtu != ETH_DATA_LEN)
                        nla_put_u32(message, IFLA_MTU, bridge->mtu);
                nla_put_u32(message, IFLA_MASTER, (uint32_t)bridge->ifindex);
        }
        if (isolated)
                add_isolated_up(batch, ifindex);
}

void link_add_removal(struct batch *batch, int ifindex) {
        begin(batch, RTM_DELLINK, 0, "the link's removal", AF_UNSPEC, ifindex, 0);
}

void link_add_address(struct batch *batch, int ifindex, int family, const void *bytes,
                      unsigned prefix) {
        int size = family == AF_INET6 ? 16 : 4;
        struct ifaddrmsg header = {
                .ifa_family = (unsigned char)family,
                .ifa_prefixlen = (unsigned char)prefix,
                /* Nobody else on a bridge of ours can have it: no waiting for duplicates. */
                .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
                .ifa_index = (unsigned)ifindex,
        };
        struct nl_msg *message;

        message = batch_add(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, "the address");
        if (!message)
                return;
        nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
        nla_put(message, IFA_LOCAL, size, bytes);
        nla_put(message, IFA_ADDRESS, size, bytes);
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
        if (attributes[IFLA_MTU])
                link->mtu = nla_get_u32(attributes[IFLA_MTU]);
        if (attributes[IFLA_ADDRESS] && nla_len(attributes[IFLA_ADDRESS]) == sizeof(link->mac))
                memcpy(link->mac, nla_data(attributes[IFLA_ADDRESS]), sizeof(link->mac));
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
                        0);
        if (message && name)
                nla_put_string(message, IFLA_IFNAME, name);
        r = netlink_commit(netlink, &batch, take_link, &found, NULL, why);
        if (r)
                return r;
        return found.seen ? 0
                          : why_set(why, NETLINK_E_KERNEL, "the kernel did not describe the link");
}

/* What a list has shown so far. Only a list that was not torn is passed on. */
struct marked {
        const char *prefix;
        struct link *links;
        size_t n, size;
        bool overrun;
};

static void take_marked(void *userdata, const struct nlmsghdr *message) {
        struct marked *marked = userdata;
        struct link link, *more;

        if (!parse_link(message, &link) ||
            strncmp(link.alias, marked->prefix, strlen(marked->prefix)) != 0)
                return;
        if (marked->n == marked->size) {
                more = reallocarray(marked->links, marked->size * 2 + 16, sizeof(*more));
                if (!more) {
                        marked->overrun = true;
                        return;
                }
                marked->links = more;
                marked->size = marked->size * 2 + 16;
        }
        marked->links[marked->n++] = link;
}

static struct nl_msg *list_of_links(void) {
        struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
        struct nl_msg *message = netlink_request(RTM_GETLINK);

        if (message) {
                nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
                nla_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        }
        return message;
}

int link_each_marked(struct netlink *netlink, const char *prefix,
                     void (*fn)(void *userdata, const struct link *link), void *userdata,
                     struct why *why) {
        struct marked marked = {.prefix = prefix};
        int r = NETLINK_E_LOST;

        assert(strncmp(prefix, LINK_MARK, strlen(LINK_MARK)) == 0);
        for (unsigned i = 0; i < TRIES && r == NETLINK_E_LOST; i++) {
                marked.n = 0;
                r = netlink_dump(netlink, list_of_links(), take_marked, &marked, why);
        }
        if (r == 0 && marked.overrun)
                r = fault(-ENOMEM);
        for (size_t i = 0; r == 0 && i < marked.n; i++)
                fn(userdata, &marked.links[i]);
        free(marked.links);
        return r;
}
