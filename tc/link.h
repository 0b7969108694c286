/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_LINK_H
#define PROVIUM_TC_LINK_H

/*
 * Links: taps, bridges, IFBs. What we make carries our mark in its alias, "provium:" and what it is
 * for, so that it can be told from everybody else's from the kernel alone. A link is named by its
 * index from the moment it exists; names are for people.
 */

#include <net/if.h>

#include <tc/netlink.h>

#define LINK_MARK "provium:"
#define LINK_ALIAS_MAX 128

struct link {
        int ifindex;
        char name[IF_NAMESIZE];
        char alias[LINK_ALIAS_MAX];
        char kind[16]; /* "tun", "bridge", "ifb", ...; empty: a device without kind */
        int master;    /* ifindex of its bridge; 0: none */
        bool up;
};

/*
 * Makes a tap that lives as long as its descriptor: when the last process that has it ends, the
 * kernel removes link, qdiscs and filters. With IFF_VNET_HDR, and IFF_MULTI_QUEUE if @multi_queue.
 * @name, made by link_tap_name(), must be free. The descriptor is the caller's. Answers
 * NETLINK_E_EXISTS, NETLINK_E_KERNEL.
 */
_must_check_ int link_open_tap(const char *name, bool multi_queue, int *fdp, int *ifindexp,
                               struct why *why);

/* "pv" and the first characters of the lease's id and the number of the tap: unique, within
 * IFNAMSIZ. */
void link_tap_name(char name[IF_NAMESIZE], const char *lease_id, unsigned number);

/* A locally administered unicast MAC that is the same for the same VM name and number, always. */
void link_mac(unsigned char mac[6], const char *vm_name, unsigned number);

/* The link named @name, or with index @ifindex if @name is NULL. Answers GONE, KERNEL. */
_must_check_ int link_get(struct netlink *netlink, const char *name, int ifindex, struct link *link,
                          struct why *why);

/* Calls @fn for every link of this network namespace whose alias begins with LINK_MARK. */
_must_check_ int link_each_marked(struct netlink *netlink,
                                  void (*fn)(void *userdata, const struct link *link),
                                  void *userdata, struct why *why);

/* Messages for a batch. */
void link_add_create(struct batch *batch, const char *name, const char *kind);
void link_add_alias(struct batch *batch, int ifindex, const char *alias);
/* Into the bridge @master and up; @isolated: from the bridge's other isolated ports. */
void link_add_port(struct batch *batch, int ifindex, int master, bool isolated);
void link_add_up(struct batch *batch, int ifindex);
void link_add_removal(struct batch *batch, int ifindex);

#endif
