/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_RECLAIM_H
#define PROVIUM_CGROUP_RECLAIM_H

/*
 * Taking memory from a group that runs, so that its memory.max can come down without anybody being
 * killed.
 *
 * A write of memory.max below what is in use reclaims a little and then calls the OOM killer. So
 * memory.high goes down first, which never kills: it reclaims, and holds the group back when it
 * takes more. Only when less is in use than will be allowed, and while the group is frozen, so that
 * it stays so, does memory.max follow. See memory.high, memory.reclaim (Linux 5.19) and memory.max
 * in the kernel's cgroup-v2.rst.
 *
 * All of it waits for the kernel, for seconds where pages go to a disk: for a thread beside a loop,
 * never for the loop.
 */

#include <stdatomic.h>

#include <cgroup/cgroup.h>

/*
 * Sets memory.high to @target_bytes and reclaims until no more than that is in use. Gives up when
 * for RECLAIM_STUCK_USEC nothing more could be taken, after RECLAIM_USEC at the latest, or when
 * *give_up is set. *least_bytesp is how low it came. memory.high stays at the target: see
 * reclaim_undo(). Answers BUSY (the group holds what is left), GONE, HOST.
 */
#define RECLAIM_STUCK_USEC UINT64_C(2000000)
#define RECLAIM_USEC UINT64_C(60000000)
_must_check_ int reclaim_to(int dir_fd, uint64_t target_bytes, const atomic_bool *give_up,
                            uint64_t *least_bytesp, struct why *why);

/*
 * Freezes the group, and if still no more than @target_bytes is in use sets memory.max to
 * @max_bytes, which is larger. The group runs again afterwards, whatever the answer; then
 * memory.high becomes @high_bytes (not below the target; LIMIT_NONE: none). Both are read back.
 * Answers BUSY (it uses more again, or does not freeze within RECLAIM_FREEZE_USEC), LIMIT,
 * GONE, HOST.
 */
#define RECLAIM_FREEZE_USEC UINT64_C(2000000)
_must_check_ int reclaim_seal(int dir_fd, uint64_t target_bytes, uint64_t max_bytes,
                              uint64_t high_bytes, struct why *why);

/* Puts memory.max and memory.high (LIMIT_NONE: none) back to what they were, which is more. Answers
 * LIMIT, GONE. */
_must_check_ int reclaim_undo(int dir_fd, uint64_t max_bytes, uint64_t high_bytes, struct why *why);

/*
 * What must be free below a memory.max of @max_bytes before it is set: a 32nd, for what the kernel
 * keeps of it per CPU, and for the first steps of a group that was just stopped. In whole pages.
 */
uint64_t reclaim_target(uint64_t max_bytes);
/* The smallest memory.max, in whole pages, for which @bytes in use are few enough. */
uint64_t reclaim_least_max(uint64_t bytes);

#endif
