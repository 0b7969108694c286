/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SHRINK_H
#define PROVIUM_BROKER_SHRINK_H

/*
 * A VM that runs gets less memory: beside the loop, because taking memory from somebody may wait
 * for disks.
 *
 *     RECLAIM   memory.high down, until so little is in use        (a thread)
 *     SEAL      frozen for a moment: memory.max down               (a thread)
 *     then on the loop: verify, record, books, queue
 *     UNDO      if any of it fails: memory.max and high as before  (a thread)
 *
 * Until the smaller limit is in force and read back, record and books say the larger one; so
 * whoever finds this half done puts the larger limit back, and nothing was sold twice. While it
 * goes on the memory files are the thread's, and drift leaves them alone. A thread has its own
 * descriptor of the group and nothing of the lease.
 */

#include <base/macro.h>

struct broker;
struct connection;
struct lease;
struct why;

enum shrink_news {
        SHRINK_GOES_ON, /* what is in use and what is wanted has changed, see shrink_progress() */
        SHRINK_DONE,
        SHRINK_FAILED, /* with a sentence; everything is as it was */
};

/* @connection: who is to be answered, or NULL: nobody any more. Negative: a fault. */
typedef int (*shrink_fn)(struct lease *lease, struct connection *connection, enum shrink_news news,
                         const struct why *why);

/*
 * Begins to take the memory of @lease, which runs and has lease->shrink NULL, down to
 * @charge_bytes, of which the claim is @memory_bytes. @told is called on the loop with each news
 * for @connection. Answers 1: it could not be begun. Negative: out of memory.
 */
_must_check_ int shrink_start(struct lease *lease, struct connection *connection,
                              uint64_t memory_bytes, uint64_t charge_bytes, shrink_fn told,
                              struct why *why);

/* Bytes in use at the last look, and what they are to come down to. */
void shrink_progress(const struct lease *lease, uint64_t *in_usep, uint64_t *targetp);

/* Its group is being frozen, or is to be, for this: nobody else may freeze or thaw it. */
bool shrink_freezes(const struct lease *lease);

/* What is to be done by the clock. Negative: a fault. */
_must_check_ int shrink_tick(struct lease *lease, uint64_t now_usec, uint64_t *nextp);

/* Who asked has left: it goes on without him. */
void shrink_unfollow(struct lease *lease);
/* The VM is over: who asked is told so, and the lease is free of it. Negative: a fault. */
_must_check_ int shrink_vm_ended(struct lease *lease);

/* All that goes on is given up, as soon as possible. Is there still any? */
bool shrinks_give_up(struct broker *broker);
/* At the broker's end, off the loop: gives all up and waits, a few seconds at most, so that no VM
 * stays frozen or held back. */
void shrinks_close(struct broker *broker);

#endif
