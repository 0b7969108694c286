/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RESERVE_H
#define PROVIUM_BROKER_RESERVE_H

/*
 * The life of a reservation (broker/reservation), from its grant to its end: its VMs are ended as
 * any VM is, then its directory goes, and only then the charge.
 */

#include <base/macro.h>

struct broker;
struct lease;

/* It was granted: the group, in force; its follower is told. What cannot be made is refused.
 * Negative on a fault. */
_must_check_ int reserve_start(struct lease *lease);

/* Somebody switched controllers of it: its VMs' limits may be lost. */
void reserve_check_children(struct lease *lease);

/* After all that runs was adopted: what was being ended is. */
void reserves_adopted(struct broker *broker);

/* Goes on with what is to be done. In a turn of the loop in which nobody walks through leases.
 * Negative on a fault. */
_must_check_ int reserves_settle(struct broker *broker);

#endif
