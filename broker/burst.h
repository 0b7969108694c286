/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_BURST_H
#define PROVIUM_BROKER_BURST_H

/*
 * The bucket that io.max does not have.
 *
 * A VM starts with a full bucket of (Burst - 1) x claim x BurstTime bytes and io.max at the
 * ceiling, Burst x claim. What it moves beyond its claim (or, of what has a limit of its own,
 * beyond that) is taken from the bucket; when that is empty, io.max steps down to the claim. After
 * BurstQuiet of next to no I/O the bucket is full again and io.max steps up. The step is taken
 * while the group is frozen: a change beneath waiting requests stalls the group for seconds, or is
 * lost (cgroup/freeze).
 *
 * Nothing is looked at more often than it could matter: next when the bucket could be empty at the
 * ceiling, or when a quiet time could be over. The bucket itself is nowhere but here, and travels
 * with an upgrade in place: a broker that dies in a burst leaves the VM at the ceiling, and the next
 * one steps down at once, since what was used is not known.
 */

#include <jansson.h>

#include <base/macro.h>

struct broker;
struct io_limit;
struct io_use;
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

/*
 * For an upgrade in place, over which the bucket need not be lost: what is left of it, with the
 * counters of the last look, so that what is used meanwhile counts. burst_resume() takes it up
 * after the lease was adopted; anything but such an object leaves the bucket empty.
 */
json_t *burst_pack(const struct lease *lease);
void burst_resume(struct lease *lease, const json_t *bucket);

/*
 * What was moved between two readings, as bytes of the claim: a VM may have a limit of its own for
 * reads, writes or operations, and whoever uses the whole of any has used the whole claim. The
 * largest counts; @limit is the sustained one. Pure.
 */
uint64_t burst_used(const struct io_use *before, const struct io_use *after,
                    const struct io_limit *limit, uint64_t claim);

/* What is left in a bucket that holds @full, had @left, and got @earned while @used was taken: 0 if
 * it is empty. The sums must not overflow. Pure. */
_must_check_ uint64_t burst_left(uint64_t left, uint64_t full, uint64_t earned, uint64_t used);

#endif
