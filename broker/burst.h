/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_BURST_H
#define PROVIUM_BROKER_BURST_H

/*
 * The bucket that io.max does not have.
 *
 * A VM starts with a full bucket of (Burst - 1) x claim x BurstTime bytes and io.max at the
 * ceiling, Burst x claim. What it moves beyond its claim is taken from the bucket; when that is
 * empty, io.max steps down to the claim. After BurstQuiet of next to no I/O the bucket is full
 * again and io.max steps up. The step is taken while the group is frozen: a change beneath waiting
 * requests stalls the group for seconds, or is lost (cgroup/freeze).
 *
 * Nothing is looked at more often than it could matter: next when the bucket could be empty at the
 * ceiling, or when a quiet time could be over. The bucket itself is nowhere but here: a broker that
 * dies in a burst leaves the VM at the ceiling, and the next one steps down at once, since what was
 * used is not known.
 */

#include <base/macro.h>

struct broker;
struct lease;

/* A VM runs, and io.max is at the ceiling: the bucket is full. */
void burst_begin(struct lease *lease);

/* The limit is to become what diskio_limit() says now: after a resize, or an adoption. Negative: a
 * fault. */
_must_check_ int burst_step(struct lease *lease);

/* The group's cgroup.events changed: it may be frozen now. Negative: a fault. */
_must_check_ int burst_progress(struct lease *lease);

/* Looks at what is due; *nextp: when to look again, if earlier than it is. Negative: a fault. */
_must_check_ int burst_tick(struct lease *lease, uint64_t now_usec, uint64_t *nextp);

#endif
