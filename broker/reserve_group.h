/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RESERVE_GROUP_H
#define PROVIUM_BROKER_RESERVE_GROUP_H

/*
 * A reservation in the tree: a directory ID.claim in its slice's, with the record, the limits of
 * the charge, and the weight and protection of it; the VMs' groups lie in it. That directory is all
 * there is to find after a crash. A reservation whose end was begun says so in its record, for the
 * next broker.
 */

#include <stdint.h>

#include <base/macro.h>

struct lease;
struct why;

/* Makes it. On an answer, what was made is still there. CGROUP_E_*. */
_must_check_ int reserve_group_make(struct lease *lease, struct why *why);

/* Before a VM is made inside: its empty directory may have been taken away by somebody (which, as
 * it is held open, is no news). Then it is made again. Answers CGROUP_E_*. */
_must_check_ int reserve_group_ready(struct lease *lease, struct why *why);

/*
 * Begins the end of a reservation: noted at once, carried out by reserves_settle() in a turn of its
 * own, because the end of one lease here is that of others, and whoever walks through the list of
 * leases must not lose the ground. As release_start() otherwise.
 */
void reserve_group_end(struct lease *lease, const char *reason, int signo, uint64_t grace_usec);

#endif
