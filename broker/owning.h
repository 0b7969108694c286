/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_OWNING_H
#define PROVIUM_BROKER_OWNING_H

/*
 * Owners: who of a user holds VMs and asks for more, by the name that was said (run --owner).
 *
 * A name is its user's: the same word from somebody else is another owner. It is in the lease's
 * record, so the next broker knows who holds what; who waits comes back with a ticket and says his
 * name again. A VM counts as held, to admission/deadlock, from its grant until its end begins; one
 * that said for how long it will run gives back what it has by itself, and never counts; nor does
 * one whose client has yet to come back to this broker, for it may not.
 *
 * A circle is closed by a claim that begins to wait (it is refused at once, broker/claim), by a
 * grant to an owner who goes on waiting, by a claim that is the first of all now, whom none may
 * pass, or by a policy with lower limits: of those, the claim that
 * came last is refused. It is not closed by a VM that grows: while claims wait, none does.
 */

#include <uthash.h>

#include <admission/deadlock.h>
#include <base/text.h>

struct broker;
struct lease;
struct shortage;

#define OWNING_KEY_MAX (TEXT_NAME_MAX + 12)

struct named_owner {
        char key[OWNING_KEY_MAX]; /* "UID/NAME" */
        uid_t uid;
        const char *name; /* in the key */
        struct owner owner;
        uint64_t n_leases;
        UT_hash_handle hh;
};

/* Adds @lease, by its state, to what its owner waits for or holds. Nothing if it has none, or is
 * there already. Negative: out of memory. */
_must_check_ int owning_enter(struct lease *lease);
/* Its waiting claim was granted. */
void owning_granted(struct lease *lease);
/* It is neither waited for nor kept any more. Idempotent. */
void owning_leave(struct lease *lease);

/*
 * Would @lease, a claim that is not queued yet, close a circle? True with @shortage of what it
 * lacks, and a sentence to @uid: who holds what, and waits for what. Of other users' owners only
 * amounts are told, unless to root.
 */
_must_check_ bool owning_would_lock(struct lease *lease, uid_t uid, struct shortage *shortage,
                                    char *text, size_t size);

/*
 * Looks for a circle that no request closed, if there may be one: call it until it returns NULL.
 * Else the claim to refuse, with a sentence to its user; its shortage is noted.
 */
struct lease *owning_find_locked(struct broker *broker, char *text, size_t size);

#endif
