/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_NETWORK_H
#define PROVIUM_BROKER_NETWORK_H

/*
 * The host's side of the network: one IFB through which all uploads pass, whose HTB root is the
 * uplink's capacity, and the bridge that the operator asked for in [Network] of broker.conf.
 * (broker/taps is the VM's side.)
 *
 * Everything of ours carries an alias "provium:TAG:...", where TAG stands for our cgroup root: two
 * brokers on one host never take each other's links for their own, and what carries no such alias
 * is never touched. The IFB is made when the first VM asks for a network, and goes when a broker
 * stops that has no VM; the bridge stays until broker.conf no longer names it.
 */

#include <net/if.h>
#include <systemd/sd-event.h>

#include <tc/handles.h>
#include <tc/link.h>
#include <tc/netlink.h>

struct broker;
struct why;

struct network {
        struct netlink netlink; /* fd -1: this host has no rtnetlink for us, see why */
        struct netlink listener;
        sd_event_source *news;

        char tag[9];
        char ifb_name[IF_NAMESIZE];
        int ifb_ifindex; /* 0: not made yet */
        uint16_t major;
        uint64_t capacity_bytes_per_s; /* of the root class, as written */
        bool fifo;                     /* this kernel has no fq_codel */
        bool suspect;                  /* somebody changed what is ours: to be looked at */
        bool crowded;      /* a VM is gone of more than may be sold: the others' guarantees grow */
        bool keep_numbers; /* VMs we cannot read are there: class numbers of no lease stay */
        bool nat;          /* our table may be there */
        struct handles handles;

        struct link *found; /* while adopting: links of ours that were there; owned */
        size_t n_found;
};

#define NETWORK_ALIAS_MAX 64

/*
 * Opens the sessions and looks for what a broker before us left. A host without rtnetlink is no
 * reason not to start: then a claim with a network is refused. Negative: a fault.
 */
_must_check_ int network_open(struct broker *broker);
/* Takes the IFB away if no VM is left, and closes. */
void network_close(struct broker *broker);

/* Brings bridge, NAT and the root's capacity to what the policy says. What cannot be done is
 * logged. */
void network_configure(struct broker *broker);

/* Bridges of ours that the policy names no more go, unless @in_use says that a VM is on it. */
void network_drop_old_bridges(struct broker *broker,
                              bool (*in_use)(struct broker *broker, const char *name));

/* Sees to it that the IFB is there and as it should be. Answers NETLINK_E_*. */
_must_check_ int network_ready(struct broker *broker, struct why *why);
/* Is the IFB still ours? If not it is forgotten, and the next network_ready() makes one. */
bool network_check_ifb(struct network *network);

/* "provium:TAG:@what" into @alias, which is returned. */
const char *network_alias(const struct network *network, const char *what,
                          char alias[NETWORK_ALIAS_MAX]);
/* The link with this alias among those found at the start, or NULL. */
struct link *network_find(struct network *network, const char *alias);
/* The list of what was found is dropped. */
void network_forget_found(struct network *network);

/* What all VMs may send together: the uplink's capacity less the reserve; SHAPE_RATE_MAX where it
 * is unknown. */
uint64_t network_capacity(const struct broker *broker);

/* The bridge of that name. Answers GONE with a sentence, also where it is no bridge. */
_must_check_ int network_find_bridge(struct network *network, const char *name, struct link *link,
                                     struct why *why);

#endif
