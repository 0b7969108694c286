/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_PLACE_H
#define PROVIUM_ADMISSION_PLACE_H

/*
 * Which host: of many, the first in some order that has room for a claim.
 *
 * All ways of choosing are one question, "the first in order with room on every axis", asked of
 * three orders: by number (first-fit), by what is left with the fullest host first (best-fit), and
 * with the emptiest first (spread). What is left of a host is one number, the smallest share that
 * is free of any resource that it sells: of a host whose memory is sold out nothing is left,
 * whatever its CPUs do.
 *
 * The hosts are a set in that order (base/tree), of which each part knows the most room on each
 * axis of all its hosts, so that a part in which none has enough of something is passed over at
 * once. Where one host has the CPUs and another the memory, both are looked at: an answer takes
 * O(log n) steps as a rule, and not as a bound.
 *
 * What it keeps of a host is what its ledger as a whole has left. Whether a slice still gets it is
 * asked of the caller, for the hosts that come into question, PLACE_TRIES of them at most. Pure: no
 * clock, no I/O, no allocation; a spot is embedded in whoever keeps the host.
 */

#include <admission/ledger.h>
#include <base/tree.h>

#define PLACE_AXES (_RESOURCE_N + 1) /* the resources, and VMs */
#define PLACE_TRIES 64

enum place_policy {
        PLACE_FIRST_FIT,
        PLACE_BEST_FIT,
        PLACE_SPREAD,
        _PLACE_POLICY_N,
};

/* "first-fit", "best-fit", "spread". Never NULL. */
const char *place_policy_name(enum place_policy policy);

struct room {
        uint64_t amount[PLACE_AXES]; /* UINT64_MAX where nothing limits it */
};

/* A host in a placement. All 0 before it is put into one. */
struct spot {
        uint32_t number;
        struct room room;

        /* The placement's own. */
        bool placed;
        struct tree_node node;
        struct room most; /* the largest on each axis in its part of the set */
};

struct placement {
        struct tree_node *hosts;
};

/* What @ledger has left; nothing if not @open, which a host is not that is drained, or where others
 * wait already. */
void place_room(const struct ledger *ledger, bool open, struct room *room);

/* The place of a host with @ledger in the order of @policy. */
uint64_t place_key(const struct ledger *ledger, enum place_policy policy);

/* Puts @spot, or moves it, to @key with @room; its number, unique, decides among equal keys. */
void placement_put(struct placement *placement, struct spot *spot, uint64_t key,
                   const struct room *room);

/* Takes @spot out. Does nothing if it is not in. */
void placement_remove(struct placement *placement, struct spot *spot);

/*
 * The first spot in order that has room for one VM with @demand and of which @fits (NULL: of each)
 * says so; NULL if there is none, or if @fits said no to PLACE_TRIES.
 */
struct spot *placement_find(const struct placement *placement, const struct demand *demand,
                            bool (*fits)(const struct spot *spot, const void *userdata),
                            const void *userdata);

#endif
