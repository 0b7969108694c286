/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_DEADLOCK_H
#define PROVIUM_ADMISSION_DEADLOCK_H

/*
 * Hold and wait: owners that hold leases and ask for more, each keeping what the others wait for.
 *
 * What is proven. An owner that holds something and waits for something keeps all it holds until
 * one of its claims is granted; then it goes on, and in the end gives everything back. Whoever does
 * not wait, or has no owner, gives back what he holds one day. Take the owners that hold and wait.
 * One of them can go on if one of its claims fits, in every account around it and in the pool, when
 * nothing is charged but what these owners hold. Take it away with all that it holds, and look
 * again. Those that are left when no more can go are stuck: whatever all others do, none of them
 * is ever granted anything. The order of looking does not matter, since taking one away only makes
 * more room for the others. (Coffman, Elphick and Shoshani 1971, for one instant instead of all;
 * what is kept free for guarantees is not counted, so that a circle may be closed by them that is
 * not found, but none is found that is none.)
 *
 * First come, first served can close a circle by itself. While the first of all claims waits for
 * the pool and nobody may pass it, it alone is granted next, whoever made it, but for claims with a
 * share of their own (admission/share.h): if it does not fit beside what these owners hold, it
 * waits for them, and they, being behind it, for it. And a claim that waits for an account, because
 * these owners hold too much of it, holds back those behind it that are charged to all that has
 * limits of what it is charged to: wherever it waits, they wait behind it. Both only hold as long
 * as the order is strict (owners->strict); where others may pass nothing is proven by an order.
 *
 * The request that makes its owner stuck closes the circle and is refused, so no circle ever
 * stands. To be asked when an owner that holds something starts to wait, when one that goes on
 * waiting was granted a claim, and when another claim is the first. It costs one look at each of
 * these owners, times the times that somebody goes; never more than DEADLOCK_LOOKS_MAX, beyond
 * which nothing counts as proven.
 *
 * Pure: no clock, no I/O, no allocation; what is owned is embedded in the caller's objects.
 */

#include <sys/queue.h>

#include <admission/ledger.h>

#define DEADLOCK_LOOKS_MAX 20000

enum {
        _DEADLOCK_E_SUCCESS,
        DEADLOCK_E_STUCK,  /* it, and all owners that are marked stuck, wait for each other */
        DEADLOCK_E_BEHIND, /* they, and claims before theirs, wait for each other */
};

struct owner;

/* One lease or waiting claim of an owner. */
struct owned {
        struct owner *owner; /* NULL: not added */
        bool waits;          /* else it is held */
        const struct account *account;
        const struct demand *demand; /* borrowed */
        /* Where it stands among those who wait; borrowed, set by the caller. NULL: it is not known,
         * and nobody is before it. */
        const struct tree_node *place;
        TAILQ_ENTRY(owned) link;
};

TAILQ_HEAD(owned_list, owned);

struct owner {
        struct owned_list held, waiting;
        bool listed; /* it holds and waits */
        bool stuck;  /* as found by the last deadlock_check() */
        TAILQ_ENTRY(owner) link;
};

TAILQ_HEAD(owner_list, owner);

/* All owners that hold something and wait for something. */
struct owners {
        struct owner_list list;
        bool strict; /* set by the caller: nobody passes anybody by policy */
};

void owners_init(struct owners *owners);
void owner_init(struct owner *owner);

/* Adds what @owner holds, or waits for: @account and @demand are borrowed until it is removed. One
 * that was waiting and is granted is removed and added again. */
void owner_add(struct owners *owners, struct owner *owner, struct owned *owned,
               const struct account *account, const struct demand *demand, bool waits);
void owner_remove(struct owners *owners, struct owned *owned);

/*
 * Is @asking, whose new claim has been added, stuck? @first: the claim before all of theirs (or one
 * of them) that waits for the pool and that nobody may pass, with account and demand; NULL: there
 * is none. 0 or DEADLOCK_E_*; then owners->list has those that hold what it waits for, marked, with
 * what they hold and wait for. The accounts' stuck sums are scratch.
 */
_must_check_ int deadlock_check(struct owners *owners, const struct ledger *ledger,
                                const struct owned *first, const struct owner *asking);

/* Is anybody stuck? The same answers, with all that are stuck marked; for when limits changed,
 * which can close a circle that nobody's request did. */
_must_check_ int deadlock_find(struct owners *owners, const struct ledger *ledger,
                               const struct owned *first);

#endif
