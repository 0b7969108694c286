/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <string.h>

#include <base/file.h>
#include <base/why.h>
#include <tc/uplink.h>

struct search {
        int ifindex;
        uint32_t metric;
};

static void look_at(struct nl_object *object, void *userdata) {
        struct rtnl_route *route = (struct rtnl_route *)object;
        struct search *search = userdata;
        struct rtnl_nexthop *hop;

        /* The default route: its destination has no bits. Only the main table counts. */
        if (rtnl_route_get_table(route) != RT_TABLE_MAIN ||
            rtnl_route_get_type(route) != RTN_UNICAST || !rtnl_route_get_dst(route) ||
            nl_addr_get_prefixlen(rtnl_route_get_dst(route)) != 0)
                return;
        hop = rtnl_route_nexthop_n(route, 0);
        if (!hop || rtnl_route_nh_get_ifindex(hop) <= 0)
                return;
        if (search->ifindex == 0 || rtnl_route_get_priority(route) < search->metric) {
                search->ifindex = rtnl_route_nh_get_ifindex(hop);
                search->metric = rtnl_route_get_priority(route);
        }
}

static int find_family(struct nl_sock *socket, int family, int *ifindexp, struct why *why) {
        struct search search = {};
        struct nl_cache *cache;
        int r;

        r = rtnl_route_alloc_cache(socket, family, 0, &cache);
        if (r < 0)
                return why_set(why, UPLINK_E_HOST, "cannot read the routing table: %s",
                               nl_geterror(r));
        nl_cache_foreach(cache, look_at, &search);
        nl_cache_free(cache);
        *ifindexp = search.ifindex;
        return 0;
}

int uplink_find(char name[IF_NAMESIZE], struct why *why) {
        struct nl_sock *socket;
        int ifindex = 0, r;

        socket = nl_socket_alloc();
        if (!socket)
                return fault(-ENOMEM);
        r = nl_connect(socket, NETLINK_ROUTE);
        if (r < 0)
                r = why_set(why, UPLINK_E_HOST, "cannot open a netlink socket: %s", nl_geterror(r));
        if (!r)
                r = find_family(socket, AF_INET, &ifindex, why);
        if (!r && ifindex == 0)
                r = find_family(socket, AF_INET6, &ifindex, why);
        nl_socket_free(socket);
        if (r)
                return r;
        if (ifindex == 0 || !if_indextoname((unsigned)ifindex, name))
                return why_set(why, UPLINK_E_NONE, "there is no default route");
        return 0;
}

bool uplink_speed(const char *sys_dir, const char *name, uint64_t *bytes_per_sp) {
        char path[256];
        uint64_t mbit_per_s;

        snprintf(path, sizeof(path), "%s/class/net/%s/speed", sys_dir, name);
        /* "-1" is no number to file_read_u64_at, and some drivers refuse the read: both unknown. */
        if (file_read_u64_at(AT_FDCWD, path, &mbit_per_s) || mbit_per_s == 0 ||
            mbit_per_s >= UINT32_MAX)
                return false;
        *bytes_per_sp = mbit_per_s * 125000;
        return true;
}
