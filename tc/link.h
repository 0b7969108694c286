/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_LINK_H
#define PROVIUM_TC_LINK_H

/*
 * Links: taps, bridges, IFBs. What we make carries our mark in its alias, "provium:" and what it is
 * for, so that it can be told from everybody else's from the kernel alone. The mark comes in the
 * same sendmsg(2) as the link: the kernel works a batch off whole, even if we are killed in it, so
 * there is no link of ours without one. A link is named by its index from the moment it exists;
 * names are for people.
 */

#include <net/if.h>
#include <sys/types.h>

#include <tc/netlink.h>

#define LINK_MARK "provium:"
#define LINK_ALIAS_MAX 128
#define LINK_NO_OWNER ((uid_t)-1)

struct link {
        int ifindex;
        char name[IF_NAMESIZE];
        char alias[LINK_ALIAS_MAX];
        char kind[16]; /* "tun", "bridge", "ifb", ...; empty: a device without kind */
        unsigned char mac[6];
        uint32_t mtu;
        int master; /* ifindex of its bridge; 0: none */
        bool up;
};

/*
 * Makes a tap that lives as long as its descriptors: when the last process that has one ends, the
 * kernel removes link, qdiscs and filters. With IFF_VNET_HDR, and IFF_MULTI_QUEUE if @multi_queue.
 * Only a process of @owner, or with CAP_NET_ADMIN, may attach to it; LINK_NO_OWNER: any. @name,
 * made by link_tap_name(), must be free. @netlink, if not NULL, is a session in the same network
 * namespace, whose socket is used to ask for the index. @dev_dir is "/dev". The descriptor, the
 * first queue, is the caller's. Answers EXISTS, KERNEL.
 */
_must_check_ int link_open_tap(const struct netlink *netlink, const char *dev_dir, const char *name,
                               bool multi_queue, uid_t owner, int *fdp, int *ifindexp,
                               struct why *why);

/* One more queue of the multi-queue tap @name, whose first is open. Answers FULL (the kernel has
 * 256 for a tap), KERNEL. */
_must_check_ int link_open_queue(const char *dev_dir, const char *name, int *fdp, struct why *why);

/* "pv" and the first characters of the lease's id and the number of the tap: unique, within
 * IFNAMSIZ. */
void link_tap_name(char name[IF_NAMESIZE], const char *lease_id, unsigned number);

/* A locally administered unicast MAC that is the same for the same VM name and number, always. */
void link_mac(unsigned char mac[6], const char *vm_name, unsigned number);

/*
 * The host's side of a tap: the guest's with 0xfe as its first byte. Two ends of a cable differ,
 * and a bridge that has no address of its own takes the lowest of its ports': this one is never it.
 */
void link_mac_host(unsigned char host[6], const unsigned char guest[6]);

/* The link named @name, or with index @ifindex if @name is NULL. Answers GONE, KERNEL. */
_must_check_ int link_get(struct netlink *netlink, const char *name, int ifindex, struct link *link,
                          struct why *why);

/* Calls @fn once for every link of this network namespace whose alias begins with @prefix, which
 * itself begins with LINK_MARK. Answers LOST (the links never stood still), KERNEL. */
_must_check_ int link_each_marked(struct netlink *netlink, const char *prefix,
                                  void (*fn)(void *userdata, const struct link *link),
                                  void *userdata, struct why *why);

/* Messages for a batch: new links, marked from the start, down. */
void link_add_bridge(struct batch *batch, const char *name, const char *alias);
void link_add_ifb(struct batch *batch, const char *name, const char *alias);

/*
 * A tap becomes a marked port of @bridge (link_get()), with its MTU, and goes up: with what shapes
 * it already on it, so behind shape_add(). @mac is the host's side, link_mac_host(). @isolated:
 * from the bridge's other isolated ports, before it is up, so that no frame passes a wall that is
 * not there yet.
 */
void link_add_tap(struct batch *batch, int ifindex, const char *alias, const unsigned char mac[6],
                  const struct link *bridge, bool isolated);

void link_add_alias(struct batch *batch, int ifindex, const char *alias);
void link_add_master(struct batch *batch, int ifindex, int master); /* 0: out of its bridge */
void link_add_up(struct batch *batch, int ifindex);
void link_add_up_by_name(struct batch *batch, const char *name);
void link_add_removal(struct batch *batch, int ifindex);

/* An address with its network: @bytes are the 4 of AF_INET or the 16 of AF_INET6, in network order.
 * One that is there already is no error. */
void link_add_address(struct batch *batch, int ifindex, int family, const void *bytes,
                      unsigned prefix);

#endif
